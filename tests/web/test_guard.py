"""Who may read the page: wrong hosts, foreign origins, missing and wrong tokens are refused; each on the real server."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from home import Home
from past_month import MonthHome
from servers_postgres import free_port
from servers_web import WebHouse, web_house
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.domain.errors import ConfigError
from spendwatch.settings import Outside, load
from spendwatch.web import server

TOKEN = "0123456789abcdef0123456789abcdef"
HTML = "text/html,application/xhtml+xml"


@pytest.fixture(scope="module")
def open_house(tmp_path_factory: pytest.TempPathFactory, shared_reader: ReadingProcess) -> Iterator[WebHouse]:
    """As it is by default: on the loopback, without a token."""
    home = MonthHome(tmp_path_factory.mktemp("open"))
    home.furnish()
    with web_house(home, shared_reader, ", allow_hosts: [spend.test], public_url: 'https://spend.example.com'") as house:
        yield house


@pytest.fixture(scope="module")
def closed_house(tmp_path_factory: pytest.TempPathFactory, shared_reader: ReadingProcess) -> Iterator[WebHouse]:
    """With a token, and a proxy on 127.0.0.2 that names users."""
    home = MonthHome(tmp_path_factory.mktemp("closed"))
    home.furnish()
    (home.folder / "page-token").write_text(f"{TOKEN}\n")
    (home.folder / "page-token").chmod(0o600)
    more = ", token_file: page-token, trusted_proxies: [127.0.0.2/32], user_header: X-User"
    with web_house(home, shared_reader, more, listen="0.0.0.0") as house:  # noqa: S104 -- that is the test
        yield house


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:1", "[::1]:8080", "spend.test", "SPEND.EXAMPLE.COM", "spend.test:443"]
)
def test_our_own_names_are_answered(open_house: WebHouse, host: str) -> None:
    assert open_house.get("/login", host=host).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "spend.test.evil.example", "127.0.0.1.evil.example", "[", ""]
)
def test_a_wrong_host_is_refused_so_that_no_name_elsewhere_can_lead_here(open_house: WebHouse, host: str) -> None:
    answer = open_house.get("/login", host=host)
    assert answer.status_code in {400, 421}
    assert "Token" not in answer.text


def test_a_foreign_origin_changes_nothing(open_house: WebHouse) -> None:
    with open_house.client() as client:
        for headers in (
            {"origin": "https://evil.example"},
            {"origin": "null"},
            {"origin": f"http://127.0.0.1:{open_house.port + 1}"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
        ):
            assert client.post("/login", data={"token": "x"}, headers=headers).status_code == 403, headers
            assert client.post("/login", data={"token": "x"}, headers=headers).json()["detail"].startswith("the request comes")
        for origin in (open_house.url, "https://spend.example.com"):
            answer = client.post("/login", data={"token": "x"}, headers={"origin": origin})
            assert "token" in answer.text, "it is looked at"


def test_each_answer_forbids_scripts_frames_guesses_and_copies(open_house: WebHouse) -> None:
    for path in ("/login", "/nothing-here"):
        headers = open_house.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


def test_without_a_token_nothing_is_shown(closed_house: WebHouse) -> None:
    for path in ("/", "/api/v1/status", "/metrics", "/nothing-here"):
        answer = closed_house.get(path)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"
    answer = closed_house.get("/alerts?all=1", accept=HTML)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Falerts%3Fall%3D1")


@pytest.mark.parametrize("header", ["Bearer wrong", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer", "Bearer ä"])
def test_a_wrong_token_is_refused(closed_house: WebHouse, header: str) -> None:
    with closed_house.client() as client:
        assert client.get("/nothing-here", headers=[(b"authorization", header.encode())]).status_code == 401


def test_the_token_opens_by_header_and_by_the_form_whose_cookie_no_script_sees(closed_house: WebHouse) -> None:
    assert closed_house.get("/nothing-here", authorization=f"Bearer {TOKEN}").status_code == 404
    with closed_house.client() as client:
        wrong = client.post("/login", data={"token": "wrong", "next": "/"})
        assert wrong.status_code == 403
        assert "set-cookie" not in wrong.headers
        right = client.post("/login", data={"token": TOKEN, "next": "/nothing-here"})
        assert (right.status_code, right.headers["location"]) == (303, "/nothing-here")
        cookie = right.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert TOKEN not in cookie
        assert client.get("/nothing-here").status_code == 404
        forged = cookie.partition("=")[2].partition(";")[0].replace(".", "9.")
        client.cookies.clear()
        assert client.get("/nothing-here", headers={"cookie": f"spendwatch_session={forged}"}).status_code == 401


def test_the_form_leads_nowhere_else(closed_house: WebHouse) -> None:
    with closed_house.client() as client:
        for there in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nb"):
            assert client.post("/login", data={"token": TOKEN, "next": there}).headers["location"] == "/", there


def test_the_users_header_counts_from_the_trusted_proxy_alone(closed_house: WebHouse) -> None:
    def get(local: str, **headers: str) -> int:
        transport = httpx.HTTPTransport(local_address=local)
        with httpx.Client(base_url=closed_house.url, transport=transport, trust_env=False, headers=headers) as client:
            return client.get("/nothing-here").status_code

    assert get("127.0.0.2", **{"x-user": "li.wei"}) == 404
    assert get("127.0.0.2") == 401
    assert get("127.0.0.2", **{"x-user": ""}) == 401
    assert get("127.0.0.3", **{"x-user": "li.wei"}) == 401
    assert get("127.0.0.3", **{"x-user": "li.wei", "x-forwarded-for": "127.0.0.2"}) == 401


def test_after_ten_wrong_tokens_even_the_right_one_waits(tmp_path: Path, shared_reader: ReadingProcess) -> None:
    home = MonthHome(tmp_path)
    home.furnish()
    home.environment["X"] = ""
    (tmp_path / "page-token").write_text(TOKEN)
    (tmp_path / "page-token").chmod(0o600)
    with web_house(home, shared_reader, ", token_file: page-token") as house, house.client() as client:
        for number in range(10):
            assert client.post("/login", data={"token": f"guess {number}"}).status_code == 403
        assert client.post("/login", data={"token": TOKEN}).status_code == 403


def test_forms_that_are_large_or_none_are_refused(open_house: WebHouse) -> None:
    with open_house.client() as client:
        assert client.post("/login", content=b"token=x", headers={"content-type": "text/plain"}).status_code == 415
        assert client.post("/login", data={"token": "x" * 20_000}).status_code == 413
        many = {f"field{number}": "" for number in range(100)}
        assert client.post("/login", data=many).status_code == 400
        assert client.delete("/login").status_code == 405


@pytest.mark.parametrize(
    ("web", "why"),
    [
        ("{listen: '0.0.0.0:8080'}", "everyone who reaches this address could read it"),
        ("{listen: '[::]:8080', user_header: X-User}", "belong together"),
        ("{trusted_proxies: [10.0.0.0/8]}", "belong together"),
        ("{listen: 8080}", "not an address to listen on"),
        ("{listen: 'spend.example.com:80'}", "not an address to listen on"),
        ("{listen: '127.0.0.1:70000'}", "not an address to listen on"),
        ("{public_url: 'https://user:secret@spend.example.com'}", "without user"),
        ("{public_url: 'ftp://spend.example.com'}", "not the address of a page"),
        ("{token: abc}", "secrets do not belong in the configuration: use token_file"),
        ("{token_file: short}", "the token is too short"),
        ("{allow_hosts: ['https://spend.example.com']}", "not a host name"),
        ("{user_header: 'X User', trusted_proxies: [10.0.0.0/8]}", "not the name of a header"),
        ("{port: 8080}", "port"),
    ],
)
def test_settings_that_would_open_the_page_are_mistakes(tmp_path: Path, web: str, why: str) -> None:
    home = Home(tmp_path)
    home.furnish(extra=f"web: {web}")
    (tmp_path / "short").write_text("123")
    (tmp_path / "short").chmod(0o600)
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, Outside({}))
    assert why in str(refused.value)


def test_the_token_comes_from_the_environment_too_and_stands_in_no_text(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.furnish(extra="web: {listen: '127.0.0.1:8080'}")
    settings = load(tmp_path, Outside({"SPENDWATCH_WEB__TOKEN": TOKEN}))
    assert settings.web
    assert not settings.web.is_open
    assert TOKEN in settings.secrets
    assert TOKEN not in repr(settings)


def test_without_web_nothing_of_the_server_is_loaded_and_nothing_listens(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.furnish()
    code = (
        "import sys, asyncio; sys.argv = ['spendwatch', *sys.argv[1:]]\n"
        "import spendwatch.schedule as schedule\n"
        "async def run(self):\n"
        "    print(sorted(one for one in sys.modules if one.startswith(('starlette', 'uvicorn', 'spendwatch.web', 'anyio'))))\n"
        "schedule.Daemon.run = run\n"
        "from spendwatch.cli import main; main()\n"
    )

    def loaded_by_run() -> str:
        command = [sys.executable, "-c", code, "--config", str(tmp_path), "run"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=home.env()).stdout

    assert loaded_by_run().splitlines()[-1] == "[]"
    home.furnish(extra=f"web: {{listen: '127.0.0.1:{free_port()}'}}")
    assert "'uvicorn'" in loaded_by_run()


def test_the_daemon_serves_the_page_says_so_and_stops_at_once(tmp_path: Path) -> None:
    home, port = Home(tmp_path), free_port()
    home.furnish(extra=f"web: {{listen: '127.0.0.1:{port}'}}")
    running = home.start()
    try:
        home.until(lambda: "web_ready" in running.log())
        with httpx.Client(trust_env=False) as client:
            assert client.get(f"http://127.0.0.1:{port}/login").status_code == 200
    finally:
        assert running.stop() == 0
    with socket.socket() as other:
        assert other.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize(
    "sent", [b"", b"no request\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x", b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\n"]
)
def test_connections_that_make_no_progress_keep_nobody_out_for_long(
    closed_house: WebHouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    monkeypatch.setattr(server, "_PATIENCE", 2.0)
    if sent.startswith(b"POST"):
        sent += b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 99\r\n\r\ntoken="
    assert closed_house.get("/healthz").status_code == 200
    with capture_logs() as logged, ExitStack() as held:
        idle = [held.enter_context(socket.create_connection(("127.0.0.1", closed_house.port))) for _ in range(110)]
        for one in idle:
            one.sendall(sent)
        for one in idle:
            one.settimeout(60)
            with suppress(ConnectionResetError):
                while one.recv(4096):
                    pass
        assert closed_house.get("/login").status_code == 200
    said = [one.message for one in caplog.records if one.name.startswith("uvicorn")]
    assert (logged, said) == ([], []), "nobody without the token fills the log"


def test_a_closed_connection_is_not_kept_until_its_patience_would_be_over(
    closed_house: WebHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_PATIENCE", 3600.0)
    for _ in range(3):
        assert closed_house.get("/healthz").status_code == 200
    kept = weakref.WeakSet(one for one in gc.get_objects() if type(one) is server._Protocol)
    closed_house.home.until(lambda: gc.collect() >= 0 and not kept)


def test_a_port_in_use_is_said_and_alerts_do_not_depend_on_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        home.furnish(extra=f"web: {{listen: '127.0.0.1:{taken.getsockname()[1]}'}}")
        running = home.start()
        try:
            home.until(lambda: "web_unavailable" in running.log())
            assert "Address already in use; trying again every 10 s" in running.log()
            home.until(lambda: "daemon_ready" in running.log())
        finally:
            assert running.stop() == 0
