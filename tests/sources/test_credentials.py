"""By what right is asked: keys from files and the environment, roles that lend them for a while, and nothing of them told."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from structlog.testing import capture_logs

from bss_lies import KEY_ID, SECRET, TOKEN
from endpoint_watch import NOW, Endpoint, StopWatch
from servers_bss import BssServer
from servers_http import Fault, HttpSink, Reply
from spendwatch.acs3 import AccessKey
from spendwatch.outgoing import Outgoing
from spendwatch.sources.provider.credentials import (
    OfficialChain,
    RefreshedCredentials,
    StaticCredentials,
    TemporaryCredentials,
    key_in,
)
from spendwatch.sources.provider.roles import MachineRole, ServiceAccountRole
from spendwatch.sources.trouble import EndpointError, Failure

pytestmark = pytest.mark.anyio

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
EXPIRES = "2026-09-05T05:00:00Z"
LENT = {
    "AccessKeyId": "STS.canary-id",
    "AccessKeySecret": "canary-secret",
    "SecurityToken": "canary-token",
    "Expiration": EXPIRES,
}
SIGNER = AccessKey("STS.canary-id", "canary-secret", "canary-token")


def _json(document: object, status: int = 200) -> Reply:
    return Reply(status, {"content-type": "application/json"}, json.dumps(document).encode())


def _text(text: str, status: int = 200) -> Reply:
    return Reply(status, {"content-type": "text/plain"}, text.encode())


# --- keys that a person made


def test_the_environment_holds_a_key_under_the_provider_s_names() -> None:
    environ = {"ALIBABA_CLOUD_ACCESS_KEY_ID": " LTAI1 ", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "s\n"}
    assert key_in(environ) == AccessKey("LTAI1", "s")
    assert key_in({**environ, "ALIBABA_CLOUD_SECURITY_TOKEN": "t"}) == AccessKey("LTAI1", "s", "t")


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({}, "ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET"),
        ({"ALIBABA_CLOUD_ACCESS_KEY_ID": "canary"}, "does not hold ALIBABA_CLOUD_ACCESS_KEY_SECRET"),
        (
            {"ALIBABA_CLOUD_ACCESS_KEY_ID": " ", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "canary"},
            "does not hold ALIBABA_CLOUD_ACCESS",
        ),
    ],
)
def test_half_a_key_is_no_key(environ: Mapping[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        key_in(environ)
    assert "canary" not in str(caught.value)


async def test_a_key_of_one_s_own_stays_as_it_is() -> None:
    key = StaticCredentials(lambda: AccessKey("id", "secret"))
    assert await key.current() == AccessKey("id", "secret")
    assert not key.forget()


# --- the machine's role


async def test_the_machine_s_role_is_asked_for_with_a_token_first() -> None:
    with HttpSink([_text("ticket-1"), _text("spend-reader\n"), _json({"Code": "Success", **LENT})]) as sink:
        loan = await MachineRole(Outgoing(LOOPBACK), url=sink.url("")).provide()
        token, role, credentials = sink.requests
    assert loan == TemporaryCredentials(SIGNER, datetime(2026, 9, 5, 5, tzinfo=UTC))
    assert (token.method, token.path) == ("PUT", "/latest/api/token")
    assert token.headers["x-aliyun-ecs-metadata-token-ttl-seconds"] == "21600"
    assert (role.method, role.path) == ("GET", "/latest/meta-data/ram/security-credentials/")
    assert credentials.path == "/latest/meta-data/ram/security-credentials/spend-reader"
    assert {request.headers["x-aliyun-ecs-metadata-token"] for request in (role, credentials)} == {"ticket-1"}


async def test_a_role_that_is_configured_is_not_asked_for() -> None:
    with HttpSink([_text("ticket"), _json({"Code": "Success", **LENT})]) as sink:
        await MachineRole(Outgoing(LOOPBACK), "mine", url=sink.url("")).provide()
        assert [request.path for request in sink.requests][1:] == ["/latest/meta-data/ram/security-credentials/mine"]


NO_LOANS: Sequence[tuple[str, object]] = [
    ("not success", {"Code": "Failed", **LENT}),
    ("a list", [LENT]),
    ("no secret", {"Code": "Success", **LENT, "AccessKeySecret": None}),
    ("an empty token", {"Code": "Success", **LENT, "SecurityToken": ""}),
    ("a line break", {"Code": "Success", **LENT, "SecurityToken": "canary\r\nx: y"}),
    ("a number", {"Code": "Success", **LENT, "AccessKeyId": 7}),
    ("no date", {"Code": "Success", **LENT, "Expiration": "canary tomorrow"}),
    ("no expiry", {"Code": "Success", **{name: LENT[name] for name in LENT if name != "Expiration"}}),
]


@pytest.mark.parametrize("loan", [loan for _, loan in NO_LOANS], ids=[name for name, _ in NO_LOANS])
async def test_what_is_no_loan_is_told_without_a_word_of_it(loan: object) -> None:
    with (
        HttpSink([_text("ticket"), _json(loan)]) as sink,
        pytest.raises(EndpointError, match="something other than credentials") as caught,
    ):
        await MachineRole(Outgoing(LOOPBACK), "mine", url=sink.url("")).provide()
    assert caught.value.trouble is Failure.CREDENTIALS
    assert "canary" not in repr(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("replies", "says", "trouble"),
    [
        ([_text("", 404)], "answers with status 404: has this instance a RAM role", Failure.CREDENTIALS),
        ([_text("ticket"), _text("", 404)], "answers with status 404", Failure.CREDENTIALS),
        ([_text("ticket"), _text("../../etc/passwd")], "names no RAM role", Failure.CREDENTIALS),
        ([_text("ticket"), _text("")], "names no RAM role", Failure.CREDENTIALS),
        ([_text("ti\ncket")], "something other than credentials", Failure.CREDENTIALS),
        ([_text("")], "something other than credentials", Failure.CREDENTIALS),
        (
            [Reply(fault=Fault.CUT)],
            "the metadata service: http://127.0.0.1:[0-9]+: the connection was cut",
            Failure.UNREACHABLE,
        ),
        ([_text("ticket"), _text("mine"), _text("<html>")], "something other than credentials", Failure.CREDENTIALS),
    ],
)
async def test_a_metadata_service_that_does_not_help_is_told(replies: list[Reply], says: str, trouble: Failure) -> None:
    with HttpSink(replies) as sink, pytest.raises(EndpointError, match=says) as caught:
        await MachineRole(Outgoing(LOOPBACK), url=sink.url("")).provide()
    assert caught.value.trouble is trouble


async def test_with_the_usual_client_the_metadata_service_is_out_of_reach() -> None:
    with pytest.raises(EndpointError, match="private or special address") as caught:
        await MachineRole(Outgoing((ipaddress.ip_network("100.64.0.0/10"),))).provide()
    assert caught.value.trouble is Failure.FORBIDDEN


# --- the role of a service account


def _service_account(sink: HttpSink, token: str = "canary-oidc") -> ServiceAccountRole:
    return ServiceAccountRole(
        Outgoing(LOOPBACK),
        lambda: NOW,
        role_arn="acs:ram::1000000000000001:role/spend-reader",
        provider_arn="acs:ram::1000000000000001:oidc-provider/ack",
        read_token=lambda: token,
        url=sink.url(""),
    )


async def test_a_role_is_assumed_with_the_token_which_travels_in_the_body_alone() -> None:
    with HttpSink([_json({"RequestId": "R-1", "Credentials": LENT})]) as sink:
        loan = await _service_account(sink, "  canary-oidc\n").provide()
        (request,) = sink.requests
    assert loan == TemporaryCredentials(SIGNER, datetime(2026, 9, 5, 5, tzinfo=UTC))
    assert request.method == "POST"
    assert dict(parse_qsl(urlsplit(request.path).query)) == {
        "Action": "AssumeRoleWithOIDC",
        "Version": "2015-04-01",
        "Format": "JSON",
        "Timestamp": "2026-09-05T04:00:00Z",
    }
    assert dict(parse_qsl(request.body.decode())) == {
        "RoleArn": "acs:ram::1000000000000001:role/spend-reader",
        "OIDCProviderArn": "acs:ram::1000000000000001:oidc-provider/ack",
        "OIDCToken": "canary-oidc",
        "RoleSessionName": "spendwatch",
        "DurationSeconds": "3600",
    }
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("reply", "says", "trouble"),
    [
        (
            _json({"Code": "AuthenticationFail.OIDCToken.Expired", "Message": "This JWT canary-oidc has expired."}, 400),
            r"rejected with status 400 \(AuthenticationFail.OIDCToken.Expired\): 'This JWT \*\*\* has expired.'",
            Failure.CREDENTIALS,
        ),
        (_json({"Code": "NoPermission", "Message": "no"}, 403), "not permitted .* a trust policy", Failure.PERMISSION),
        (_json({"Code": "Throttling.User"}, 400), "too many calls", Failure.THROTTLED),
        (_json({"Code": "ServiceUnavailable"}, 503), "rejected with status 503", Failure.UNAVAILABLE),
        (_json({"RequestId": "R-1"}), "something other than credentials", Failure.CREDENTIALS),
        (_json({"Credentials": {**LENT, "AccessKeySecret": 1}}), "something other than credentials", Failure.CREDENTIALS),
        (_text("<html>canary-oidc</html>"), "not JSON: it may be the page of a login or a proxy", Failure.NOT_A_BILL),
        (Reply(fault=Fault.CUT), "cut off", Failure.UNREACHABLE),
    ],
)
async def test_a_role_that_cannot_be_assumed_is_told_without_the_token(reply: Reply, says: str, trouble: Failure) -> None:
    with HttpSink([reply]) as sink, pytest.raises(EndpointError, match=says) as caught:
        await _service_account(sink).provide()
    assert caught.value.trouble is trouble
    assert "canary" not in repr(caught.value)


@pytest.mark.parametrize(("content", "says"), [(None, "No such file"), ("", "is empty"), (b"\xff\xfe", "it is not text")])
async def test_a_token_that_cannot_be_read_is_told(content: str | bytes | None, says: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    role = ServiceAccountRole(
        Outgoing(LOOPBACK), lambda: NOW, role_arn="r", provider_arn="p", read_token=lambda: file.read_text(encoding="utf-8")
    )
    with pytest.raises(EndpointError, match=says) as caught:
        await role.provide()
    assert caught.value.trouble is Failure.CREDENTIALS


# --- what is lent, and renewed


@dataclass
class ScriptedLender:
    """Lends for an hour, numbered; or fails while `trouble` is set."""

    watch: StopWatch
    lasts: timedelta = timedelta(hours=1)
    trouble: EndpointError | None = None
    asked: int = 0
    lent: list[str] = field(default_factory=list)

    async def provide(self) -> TemporaryCredentials:
        self.asked += 1
        await asyncio.sleep(0)
        if self.trouble:
            raise self.trouble
        self.lent.append(f"id-{self.asked}")
        return TemporaryCredentials(AccessKey(self.lent[-1], "canary", "canary"), self.watch.now + self.lasts)


@pytest.fixture
def lender() -> ScriptedLender:
    return ScriptedLender(StopWatch())


async def test_a_loan_is_renewed_a_quarter_of_an_hour_before_it_runs_out(lender: ScriptedLender) -> None:
    key = RefreshedCredentials(lender.provide, lender.watch.clock)
    assert (await key.current()).key_id == "id-1"
    lender.watch.pass_by(44 * 60 + 59)
    assert (await key.current()).key_id == "id-1"
    lender.watch.pass_by(1)
    assert (await key.current()).key_id == "id-2"
    assert lender.asked == 2


async def test_a_short_loan_is_renewed_after_three_quarters_of_its_time(lender: ScriptedLender) -> None:
    lender.lasts = timedelta(minutes=8)
    key = RefreshedCredentials(lender.provide, lender.watch.clock)
    await key.current()
    lender.watch.pass_by(359)
    assert (await key.current()).key_id == "id-1"
    lender.watch.pass_by(1)
    assert (await key.current()).key_id == "id-2"


async def test_a_lender_that_fails_is_asked_once_a_minute_while_the_loan_is_good(lender: ScriptedLender) -> None:
    key = RefreshedCredentials(lender.provide, lender.watch.clock)
    await key.current()
    lender.watch.pass_by(45 * 60)
    lender.trouble = EndpointError("the metadata service: timed out", Failure.UNREACHABLE)
    with capture_logs() as logs:
        for _ in range(10):
            assert (await key.current()).key_id == "id-1"
            lender.watch.pass_by(10)
    assert lender.asked == 3
    assert [log["event"] for log in logs] == ["credentials_not_renewed"] * 2
    assert "canary" not in repr(logs)
    lender.watch.pass_by(13 * 60)
    with pytest.raises(EndpointError, match="timed out"):
        await key.current()
    lender.trouble = None
    assert (await key.current()).key_id != "id-1"


async def test_a_loan_that_has_run_out_already_is_told_as_a_matter_of_clocks(lender: ScriptedLender) -> None:
    lender.lasts = timedelta(seconds=20)
    with pytest.raises(EndpointError, match=r"expired at 2026-09-05T04:00:20.*clock right"):
        await RefreshedCredentials(lender.provide, lender.watch.clock).current()


async def test_several_who_ask_at_once_share_one_loan(lender: ScriptedLender) -> None:
    key = RefreshedCredentials(lender.provide, lender.watch.clock)
    signers = await asyncio.gather(*(key.current() for _ in range(20)))
    assert (len(set(signers)), lender.asked) == (1, 1)


async def test_a_loan_that_is_refused_is_given_up_once_and_another_asked_for(tmp_path: Path) -> None:
    watch = StopWatch()
    lender = ScriptedLender(watch)
    with BssServer(clock=watch.clock) as server:
        server.keys = {"id-2": "canary"}
        endpoint = Endpoint(server.url, tmp_path / "api", watch, credentials=RefreshedCredentials(lender.provide, watch.clock))
        await endpoint.round()
        assert endpoint.source.trouble is None
        assert (server.refused, lender.asked) == (["InvalidAccessKeyId.NotFound"], 2)
        server.keys.clear()
        await endpoint.round()
        assert (len(server.refused), lender.asked) == (3, 4), (
            "an hour later one is lent anew, one more for the refused one, and no third"
        )


async def test_a_temporary_key_is_taken_with_its_token_and_not_without(tmp_path: Path) -> None:
    watch = StopWatch()
    with BssServer(clock=watch.clock, token=TOKEN) as server:
        without = Endpoint(server.url, tmp_path / "without", watch)
        await without.round()
        assert isinstance(without.source.trouble, EndpointError)
        assert without.source.trouble.trouble is Failure.CREDENTIALS
        with_token = Endpoint(
            server.url, tmp_path / "with", watch, credentials=StaticCredentials(lambda: AccessKey(KEY_ID, SECRET, TOKEN))
        )
        await with_token.round()
        assert with_token.source.trouble is None


# --- the provider's own package


PACKAGE = """
import logging

logging.getLogger("credentials").addHandler(logging.StreamHandler())


class Found:
    access_key_id = "id-from-the-chain"
    access_key_secret = "canary-secret"
    security_token = None


class Client:
    def get_credential(self):
        logging.getLogger("credentials").error("canary")
        if FAILS:
            raise RuntimeError("canary: what came was canary")
        return Found()
"""


def _chain(place: Path, *, fails: bool, program: str) -> subprocess.CompletedProcess[str]:
    """Run a program where something of the package's shape is installed: itself it would be twenty packages."""
    package = place / "alibabacloud_credentials"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "client.py").write_text(f"FAILS = {fails}\n{PACKAGE}", encoding="utf-8")
    return subprocess.run([sys.executable, "-c", program], cwd=place, check=False, capture_output=True, text=True)


ASK = """
import asyncio
from spendwatch.sources.provider.credentials import OfficialChain
from spendwatch.sources.trouble import EndpointError
chain = OfficialChain()
try:
    signer = asyncio.run(chain.current())
except EndpointError as error:
    print(error.trouble, error, repr(error), error.__cause__, sep="|")
else:
    print(signer.key_id, signer.secret == "canary-secret", signer.token == "", chain.forget(), repr(signer), sep="|")
"""


def test_the_provider_s_package_finds_credentials_in_its_own_ways_and_is_kept_quiet(tmp_path: Path) -> None:
    ran = _chain(tmp_path, fails=False, program=ASK)
    assert ran.stdout.strip() == "id-from-the-chain|True|True|False|AccessKey()"
    assert ran.stderr == ""


def test_a_package_that_finds_nothing_is_told_without_what_it_says(tmp_path: Path) -> None:
    ran = _chain(tmp_path, fails=True, program=ASK)
    assert ran.stdout.startswith("credentials|the package alibabacloud-credentials finds no credentials (RuntimeError)|")
    assert "canary" not in ran.stdout + ran.stderr


async def test_without_the_package_it_is_named() -> None:
    with pytest.raises(EndpointError, match=r"install spendwatch\[aliyun-credentials\]") as caught:
        await OfficialChain().current()
    assert caught.value.trouble is Failure.CREDENTIALS


# --- nothing told


async def test_nothing_of_a_key_is_logged(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level(logging.DEBUG)
    watch = StopWatch()
    with capture_logs() as logs, BssServer(clock=watch.clock) as server:
        server.keys = {}
        endpoint = Endpoint(server.url, tmp_path / "api", watch, credentials=StaticCredentials(lambda: SIGNER))
        await endpoint.round()
        server.keys = {SIGNER.key_id: SIGNER.secret}
        await endpoint.round()
    assert "canary" not in f"{caplog.text} {logs} {endpoint.source.trouble!r} {SIGNER!r} {TemporaryCredentials(SIGNER, NOW)!r}"
