"""`init --from` with the real program: from bills to a configuration that is right, by options and by a dialogue."""

from __future__ import annotations

import base64
import email
import email.policy
import json
import os
import re
import socket
import stat
import sys
import threading
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from bill_builder import ACCOUNT, a_bill, a_line
from home import RESEARCH, TRAINING, Home, TimedHome, loaded_program
from servers_smtp import SmtpSink
from spendwatch.cli.mail_servers import guess
from terminal import Terminal

SAMPLES = Path(__file__).parent.parent / "data" / "bills"
OTHER = "5000000000000003"
DETAIL = [f"{ACCOUNT}-202609150{time}_consumedetailbillv2.csv" for time in ("93012", "94145")]
LEGACY = f"{ACCOUNT}-20260903120501_instanceconsumeday_202608.csv"
SUMMARY = f"{ACCOUNT}-20260916080000_consumedetailbillv2daysummary.csv"
ENGLISH = f"{OTHER}-20260915101500_consumedetailbillv2.csv"
DIRTY, RESAVED = "edge_dirty_legacy_zh.csv", "edge_excel_resaved_gb18030.csv"
PAGES = ["api_describe_instance_bill_page1.json", "api_describe_instance_bill_page2.json"]
PUSHES = [f"{ACCOUNT}_BillingItemDetail_{day}.csv" for day in ("20260802", "20260803", "202608")]
INSTANCES = [f"{account}_InstanceDetail_20260914.csv" for account in (ACCOUNT, OTHER)]
FOCUS = f"{ACCOUNT}_focus_202609.csv"
ALL = [*PUSHES, LEGACY, *DETAIL, SUMMARY, ENGLISH, *INSTANCES, FOCUS, DIRTY, RESAVED, *PAGES]
MAIL = ("--email", "li@acme.example", "--smtp", "127.0.0.1:2525")
MODELINE = "# yaml-language-server: $schema=../workspace.schema.json\n"


def paths(*names: str) -> list[str]:
    return [str(SAMPLES / name) for name in names]


def files_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A place where nothing is configured yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPENDWATCH_CONFIG", raising=False)
    return Home(tmp_path / "my-config")


def init(home: Home, *arguments: str, expect: int = 0) -> str:
    done = home.call("init", str(home.folder), *arguments, expect=expect)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("names", "month", "spent"),
    [
        ([DETAIL[0]], "2026-09", {"CNY": "170.149385"}),
        ([DETAIL[1]], "2026-09", {"CNY": "170.259761"}),
        (DETAIL, "2026-09", {"CNY": "170.332385"}),
        ([SUMMARY], "2026-09", {"CNY": "170.332385"}),
        ([*DETAIL, SUMMARY, ENGLISH], "2026-09", {"CNY": "170.332385", "USD": "32.455004"}),
        ([ENGLISH], "2026-09", {"USD": "32.455004"}),
        ([LEGACY], "2026-08", {"CNY": "33.67273"}),
        ([PUSHES[0]], "2026-08", {"CNY": "3.1236"}),
        ([PUSHES[1]], "2026-08", {"CNY": "0.18844"}),
        ([PUSHES[2]], "2026-08", {"CNY": "3.31204"}),
        ([INSTANCES[0]], "2026-09", {"CNY": "9.05946"}),
        ([INSTANCES[1]], "2026-09", {"USD": "29.3350067"}),
        ([FOCUS], "2026-09", {"CNY": "163.739476"}),
        ([DIRTY], "2026-09", {"CNY": "1238.800069"}),
        ([RESAVED], "2026-08", {"CNY": "15.67273"}),
        (PAGES, "2026-09", {"CNY": "30.861335"}),
        (ALL, "2026-08", {"CNY": "33.82373"}),
        (ALL, "2026-09", {"CNY": "1238.800069", "USD": "32.455004"}),
    ],
)
def test_every_sample_gives_a_configuration_that_is_accepted_and_counts_what_it_should(
    names: Sequence[str], month: str, spent: dict[str, str], fresh: Home
) -> None:
    account = ("--account", ACCOUNT) if {DIRTY, RESAVED} & set(names) else ()
    shown = init(fresh, "--from", *paths(*names), *MAIL, "--yes", *account)
    assert "ok (" in fresh.call("check", "--strict").stdout
    source = ("--source", "inbox") if "import --source inbox" in shown else ()
    fresh.call("import", *source, *paths(*names))
    report = fresh.json("report", "--month", month)
    assert {one["currency"]: one["spend"] for one in report["totals"]} == spent
    watched = {row["workspace"] for row in report["rows"] if row["workspace"]}
    assert watched <= {path.stem for path in (fresh.folder / "workspaces").iterdir()}


def on_terminal(folder: Path, *arguments: str) -> Terminal:
    return Terminal([sys.executable, "-m", "spendwatch", *arguments], folder, {**os.environ, "NO_COLOR": "1"})


def test_a_dry_run_without_a_configuration_shows_what_the_bills_contain(tmp_path: Path) -> None:
    names = paths(*DETAIL, LEGACY, ENGLISH)
    with on_terminal(tmp_path, "import", "--dry-run", *names) as screen:
        assert screen.end() == 0
    assert f"Account {ACCOUNT}: CNY, China site\nMonths: 2026-08 whole, 2026-09 up to 2026-09-15" in screen.shown
    assert f"Account {OTHER}: USD, international site\nMonths: 2026-09 up to 2026-09-12" in screen.shown
    rows = [f"{RESEARCH} +4.58 +6.66 +1", f"{TRAINING} +29.10 +63.67 +1", r"\(no workspace\) +0.00 +100.00 +-"]
    assert re.search("\n".join(rows), screen.shown)
    assert re.search(rf"{ACCOUNT} +sfm +sfm_GenAI_spn_cn +savings plan +CNY +100\.00", screen.shown)
    assert "`spendwatch init --from FILE...` writes one" in screen.shown
    assert files_of(tmp_path) == []


def test_what_the_bills_contain_is_there_for_programs_too(fresh: Home) -> None:
    names = paths(*DETAIL, SUMMARY, INSTANCES[1])
    done = loaded_program().call(["", "import", "--dry-run", "--json", *names], fresh.env())
    found = json.loads(done.stdout)
    assert (done.returncode, [one["state"] for one in found["files"]]) == (0, ["entered"] * 4)
    china, international = found["accounts"]
    assert (china["account"], china["currency"], china["currency_assumed"], china["site"], china["site_guessed"]) == (
        ACCOUNT, "CNY", False, "cn", False,
    )  # fmt: skip
    assert china["months"] == [{"month": "2026-09", "whole": False, "until": "2026-09-15"}]
    assert [(one["workspace"], one["api_keys"]) for one in china["workspaces"]] == [(RESEARCH, 1), (TRAINING, 1), ("", 0)]
    spent = [Decimal(month["spend"]) for one in china["workspaces"] for month in one["months"]]
    assert sum(spent, Decimal(0)) == Decimal("170.332385")
    assert (international["currency_assumed"], international["site_guessed"]) == (True, True)
    plan = next(one for one in found["services"] if one["commodity"] == "sfm_GenAI_spn_cn")
    assert (plan["product"], plan["category"], plan["subscription"]) == ("sfm", "savings plan", plan["spend"])
    assert {one["series"] for one in found["series"]} == {"consumedetailbillv2", "consumedetailbillv2daysummary"}
    refused = loaded_program().call(["", "import", "--dry-run", *paths("api_error_wrong_site.json")], fresh.env())
    assert (refused.returncode, "an error of the API" in refused.stdout) == (65, True)
    named = loaded_program().call(["", "--config", "none", "import", "--dry-run", *names], fresh.env())
    assert (named.returncode, named.stdout) == (78, "")


def test_budgets_begin_with_the_last_whole_month_and_a_fifth_or_with_this_one_projected(fresh: Home) -> None:
    lines = [
        a_line(workspace="llm-big", amount="416.93", day="20260831", month="202608"),
        a_line(workspace="llm-small", amount="93.83", day="20260805", month="202608"),
        a_line(workspace="llm-growing", amount="10", day="20260805", month="202608"),
        a_line(workspace="llm-big", amount="170.33", day="20260910"),
        a_line(workspace="llm-growing", amount="30", day="20260910"),
        a_line(workspace="llm-new", amount="0.05", day="20260910"),
    ]
    name, content = a_bill(lines, exported="20260910230000")
    Path(name).write_bytes(content)
    shown = init(fresh, "--from", name, *MAIL, "--yes")
    assert re.search(r"WORKSPACE +2026-08 +2026-09 SO FAR +KEYS +BUDGET\n", shown)
    assert re.search(r"llm-big +416\.93 +170\.33 +1 +500\n", shown)
    written = {path.name: path.read_text().removeprefix(MODELINE) for path in (fresh.folder / "workspaces").iterdir()}
    assert written == {
        "llm-big.yaml": "workspace: llm-big\nbudget: 500   # 2026-08: CNY 416.93\n",
        "llm-small.yaml": "workspace: llm-small\nbudget: 120   # 2026-08: CNY 93.83\n",
        "llm-growing.yaml": "workspace: llm-growing\nbudget: 100   # 2026-09 projected to its end: CNY 90.00\n",
        "llm-new.yaml": "workspace: llm-new\nbudget: 1   # 2026-09 projected to its end: CNY 0.15\n",
    }
    main = (fresh.folder / "spendwatch.yaml").read_text()
    assert f'  acme: {{id: "{ACCOUNT}", site: cn, currency: CNY}}\n' in main
    assert len(main.splitlines()) <= 16


def test_without_a_terminal_what_is_missing_is_named_and_nothing_is_asked_or_written(fresh: Home) -> None:
    bill = paths(DETAIL[0])[0]
    shown = init(fresh, "--from", bill, expect=2)
    assert "--email ADDRESS with --smtp HOST:PORT, or --webhook URL" in shown
    assert "--yes: " in shown
    shown = init(fresh, "--from", bill, "--email", "li@qq.com", "--yes", expect=2)
    assert "--smtp-password-file FILE: the password of li@qq.com" in shown
    shown = init(fresh, "--email", "li@acme.example", "--smtp", "127.0.0.1", "--yes", expect=2)
    assert all(option in shown for option in ("--account ID", "--site cn|intl", "--workspace ID=BUDGET"))
    assert "not a plain mail address" in init(fresh, "--from", bill, "--email", "li", "--yes", expect=2)
    assert "not a plain amount" in init(fresh, "--from", bill, *MAIL, "--workspace", "llm-a=1,5", "--yes", expect=2)
    assert "are in CNY: leave --currency out" in init(fresh, "--from", bill, *MAIL, "--currency", "USD", "--yes", expect=2)
    Path("empty").write_text("\n")
    assert "must hold one line" in init(fresh, "--from", bill, *MAIL, "--smtp-password-file", "empty", "--yes", expect=2)
    assert "stands before --from" in init(fresh, "--from", bill, "elsewhere", *MAIL, "--yes", expect=2)
    assert not fresh.folder.exists()


def test_options_alone_write_a_configuration_too(fresh: Home) -> None:
    Path("password").write_text("it's secret: #1\n")
    options = ("--account", "2000000000000002", "--site", "intl", "--name", "acme-intl", "--workspace", "llm-a=500")
    mail = (
        "--email",
        "a@x.example",
        "--email",
        "b@x.example",
        "--smtp",
        "smtp.x.example:587",
        "--smtp-password-file",
        "password",
    )
    init(fresh, *options, *mail, "--webhook", "https://hooks.example.com/a?b=#c", "--yes")
    assert "ok (1 account, 1 workspace, 3 thresholds, 1 source, 3 channels)" in fresh.call("check", "--strict").stdout
    main = (fresh.folder / "spendwatch.yaml").read_text()
    assert '  acme-intl: {id: "2000000000000002", site: intl, currency: USD}\n' in main
    assert "    port: 587\n    security: starttls\n    username: a@x.example\n" in main
    secrets = {path.name: path for path in (fresh.folder / "secrets").iterdir()}
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets.values()} == {0o600}
    assert secrets["smtp"].read_text() == "it's secret: #1\n"
    key = secrets["hook"].read_text()
    assert len(base64.b64decode(key.strip().removeprefix("whsec_"), validate=True)) == 32
    assert "it's secret" not in main + key


def test_the_folder_of_config_is_where_it_is_written(fresh: Home) -> None:
    done = loaded_program().call(["", "init", "--config", "first"], fresh.env())
    assert (done.returncode, Path("first/spendwatch.yaml").is_file()) == (0, True)
    done = loaded_program().call(["", "--config", "second", "init", "--from", *paths(LEGACY), *MAIL, "--yes"], fresh.env())
    assert "Wrote second:" in done.stdout
    assert not Path("config").exists()


def test_an_own_budget_and_several_accounts(fresh: Home) -> None:
    names = paths(DETAIL[0], ENGLISH)
    shown = init(fresh, "--from", *names, *MAIL, "--workspace", f"{RESEARCH}=77.5", "--yes")
    assert "account-0001" in (main := (fresh.folder / "spendwatch.yaml").read_text())
    assert "account-0003" in main
    texts = [path.read_text().removeprefix(MODELINE) for path in sorted((fresh.folder / "workspaces").iterdir())]
    assert sorted(texts)[:2] == [f"workspace: {RESEARCH}\nbudget: 77.5\naccount: account-000{number}\n" for number in (1, 3)]
    assert len(texts) == 4, "each workspace is in both accounts"
    assert "Charges without a workspace count only for the account" in shown
    assert "ok (2 accounts, 4 workspaces" in fresh.call("check", "--strict").stdout


def test_rejected_bills_are_named_and_nothing_is_written_if_none_could_be_read(fresh: Home) -> None:
    junk = paths("api_error_wrong_site.json", "api_query_account_balance_intl.json", "edge_zero_byte_placeholder.csv")
    shown = init(fresh, "--from", *junk, *MAIL, "--yes", expect=65)
    assert "an error of the API: 'NotApplicable'" in shown
    assert "contains a balance, not bills" in shown
    assert "edge_zero_byte_placeholder.csv: empty, ignored" in shown
    assert "--account ID" in init(fresh, "--from", *paths(RESAVED), *MAIL, "--yes", expect=65)
    assert not fresh.folder.exists()
    shown = init(fresh, "--from", *paths(LEGACY), *junk, *MAIL, "--yes")
    assert "Read 1 bill of 4." in shown
    assert re.findall(r" import (.*)\n", shown) == paths(LEGACY)  # what was rejected is not suggested
    assert "contains a balance, not bills" in shown


@pytest.mark.parametrize("there", ["spendwatch.yaml", "workspaces/mine.yml", "secrets/smtp", "workspace.schema.json"])
def test_nothing_is_ever_overwritten(there: str, fresh: Home) -> None:
    file = fresh.folder / there
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    shown = init(fresh, "--from", *paths(LEGACY), *MAIL, "--yes", expect=78)
    assert f"{file} already exists; nothing was written" in shown
    assert files_of(fresh.folder) == [there]
    assert file.read_text() == "mine"


def test_a_configuration_that_would_have_mistakes_is_not_written(fresh: Home) -> None:
    fresh.inbox.mkdir(parents=True)
    shown = init(fresh, "--from", *paths(LEGACY), "--webhook", "http://hooks.example.com", "--yes", expect=78)
    assert "plain http is only for networks listed in allow_networks" in shown
    assert "Nothing was written." in shown
    assert [path.name for path in fresh.folder.iterdir()] == ["inbox"]


def test_ids_of_workspaces_make_safe_names_of_files_and_texts(fresh: Home) -> None:
    ids = ["llm-A", "llm-a", "llm-..", "llm-x/../y", "llm-ü", "llm-" + "z" * 80]
    name, content = a_bill([a_line(workspace=one, amount="5") for one in ids])
    Path(name).write_bytes(content)
    shown = init(fresh, "--from", name, *MAIL, "--yes")
    written = {path.name: path.read_text().splitlines()[1] for path in (fresh.folder / "workspaces").iterdir()}
    assert written == {
        "llm-A.yaml": "workspace: llm-A",
        "llm-a_2.yaml": "workspace: llm-a",
        "llm-__.yaml": "workspace: llm-..",
    }
    assert shown.count("No budget for a workspace with this id: not a workspace id: ") == 3
    assert "ok (1 account, 3 workspaces" in fresh.call("check", "--strict").stdout


def test_bills_without_model_studio_are_watched_as_a_whole(fresh: Home) -> None:
    name, content = a_bill([a_line(product="o: s", instance="", amount="5"), a_line(product="ecs", instance="", amount="7")])
    Path(name).write_bytes(content)
    shown = init(fresh, "--from", name, *MAIL, "--yes")
    assert "No charges of Model Studio (sfm): all products of the bills are watched." in shown
    main = (fresh.folder / "spendwatch.yaml").read_text()
    assert 'products: [ecs, "o: s"]\n' in main
    assert "budget: 40}" in main, "12 in 12 of 30 days, and a fifth"
    fresh.call("check", "--strict")


def test_charges_in_another_currency_are_never_hidden(fresh: Home) -> None:
    lines = [a_line(amount="5"), a_line(amount="6", line_id="b"), a_line(amount="3.5", currency="USD")]
    name, content = a_bill(lines)
    Path(name).write_bytes(content)
    shown = init(fresh, "--from", name, *MAIL, "--yes")
    assert f"Account {ACCOUNT}: CNY, China site\n" in shown
    assert "Charges in another currency count towards no budget: USD 3.50\n" in shown


# --- the dialogue


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # between two programs of one machine
def test_a_newcomer_gets_from_bills_to_the_first_warning_with_three_commands_six_answers_and_no_editor(tmp_path: Path) -> None:
    """The account's own bills, a real mail server that wants a password; every command as `init` shows it."""
    home = TimedHome(tmp_path / "my config")
    lines = [a_line(amount="100", day="20260805", month="202608"), a_line(amount="70", day="20260912")]
    name, content = a_bill(lines)
    bill = tmp_path / name
    bill.write_bytes(content)
    commands, answers, editing = 0, 0, 0
    with SmtpSink(login=("li@acme.example", "p#ss: word")) as relay:
        commands += 1
        with on_terminal(tmp_path, "init", "my config", "--from", name) as screen:
            for question, answer in (
                ("Mail addresses for alerts (empty: none):", "li@acme.example"),
                (f"A name for account {ACCOUNT} [acme]:", ""),
                ("Mail server", f"127.0.0.1:{relay.port}"),
                ("User of 127.0.0.1 (-: none)", "li@acme.example"),
                ("Password", "p#ss: word"),
                ("y: write my config and send a test message to li@acme.example; w: only write", ""),
            ):
                screen.answer(question, answer)
                answers += 1
            assert screen.end() == 0
        assert "p#ss" not in screen.shown
        assert "mail (li@acme.example): accepted" in screen.shown
        assert len(relay.messages) == 1
        shown = re.findall(r"(?m)^  spendwatch --config 'my config' (.*?)(?:     #.*)?$", screen.shown)
        assert shown == [f"import {name}", "run"]
        home.at("2026-09-12T12:00:00")
        for arguments in (("import", str(bill)), ("once",)):
            commands += 1
            home.call(*arguments)
        (warning,) = (email.message_from_bytes(mail, policy=email.policy.default) for _, mail in relay.messages[1:])
        assert RESEARCH in warning["subject"]
        assert "58%" in warning["subject"]
        assert warning["to"] == "li@acme.example"
    assert (commands, answers, editing) == (3, 6, 0)
    assert stat.S_IMODE((home.folder / "secrets" / "smtp").stat().st_mode) == 0o600
    home.call("check", "--strict")


def test_a_wrong_answer_is_asked_again_and_a_budget_can_be_changed(tmp_path: Path) -> None:
    with on_terminal(tmp_path, "init", "c", "--from", *paths(FOCUS)) as screen:
        screen.answer("Site of account", "mars")
        screen.answer("Site of account", "")
        screen.answer("Mail addresses", "li@acme")
        screen.answer("A name for", "no blanks")
        screen.expect("Error: not a name")
        screen.answer("A name for", "acme")
        screen.answer("Mail server", "smtp.acme.example:no")
        screen.expect("Error: not a mail server")
        screen.answer("Mail server", "127.0.0.1:9")
        screen.answer("User of", "")
        screen.answer("Write it?", f"{RESEARCH}=0")
        screen.expect("Error: must be above zero")
        screen.answer("Write it?", f"{RESEARCH}=321")
        screen.answer("Write it?", "w")
        assert screen.end() == 0
    assert (tmp_path / "c" / "workspaces" / f"{RESEARCH}.yaml").read_text() == f"{MODELINE}workspace: {RESEARCH}\nbudget: 321\n"
    assert "spendwatch --config c notify-test" in screen.shown


def test_two_accounts_have_two_names(tmp_path: Path) -> None:
    names = paths(DETAIL[0], ENGLISH)
    with on_terminal(tmp_path, "init", "c", "--from", *names, "--email", "li@acme.example", "--smtp", "127.0.0.1:9") as screen:
        screen.answer(f"A name for account {ACCOUNT} [account-0001]", "acme")
        screen.answer(f"A name for account {OTHER} [account-0003]", "ACME")
        screen.expect("Error: ACME is the name of another account")
        screen.answer(f"A name for account {OTHER}", "acme-intl")
        screen.answer("User of", "-")
        screen.answer("Write it?", "w")
        assert screen.end() == 0
    assert re.findall(r"(?m)^  (\S+): {id:", (tmp_path / "c" / "spendwatch.yaml").read_text()) == ["acme", "acme-intl"]


@pytest.mark.parametrize("end", ["\x03", "\x04", "n\r"])
def test_to_break_off_writes_nothing(end: str, tmp_path: Path) -> None:
    (tmp_path / "c" / "inbox").mkdir(parents=True)
    with on_terminal(tmp_path, "init", "c", "--from", *paths(LEGACY)) as screen:
        screen.answer("Mail addresses", "li@acme.example")
        screen.answer("A name for", "")
        screen.answer("Mail server", "127.0.0.1:9")
        screen.answer("User of", "li")
        screen.answer("Password", "secret")
        screen.expect("Write it? [Y/n/w]")
        screen.type(end)
        assert screen.end() == (0 if end == "n\r" else 130)
    assert "Nothing was written." in screen.shown
    assert files_of(tmp_path) == []


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_a_test_message_that_fails_leaves_the_configuration_and_says_what_to_do(tmp_path: Path) -> None:
    with (
        SmtpSink(login=("li", "right")) as relay,
        on_terminal(tmp_path, "init", "c", "--from", *paths(LEGACY), "--name", "acme", "--email", "li@acme.example") as screen,
    ):
        screen.answer("Mail server", f"127.0.0.1:{relay.port}")
        screen.answer("User of", "li")
        screen.answer("Password", "wrong")
        screen.answer("Write it?", "y")
        assert screen.end() == 69
    assert "rejected the user name or the password" in screen.shown
    assert "\nCorrect c/spendwatch.yaml or the password in c/secrets/smtp, then test again." in screen.shown
    assert "spendwatch --config c notify-test" in screen.shown
    assert "c/secrets/smtp" in [str(path) for path in map(Path, files_of(tmp_path))]


# --- mail servers


class NameServer(threading.Thread):
    """Answers any question for mail servers with these bytes behind the question, or not at all."""

    def __init__(self, answer: bytes | None) -> None:
        super().__init__(daemon=True)
        self._answer = answer
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def run(self) -> None:
        with self._socket:
            query, asker = self._socket.recvfrom(512)
            if self._answer is not None:
                self._socket.sendto(query + self._answer, asker)


@pytest.fixture
def resolvers(tmp_path: Path) -> Path:
    file = tmp_path / "resolv.conf"
    file.write_text("# by hand\nsearch lan\nnameserver 127.0.0.1\n")
    return file


@pytest.mark.parametrize(
    ("answer", "server"),
    [
        (b"\xc0\x0c\0\x0f\0\x01\0\0\0\x3c\0\x0c\0\x05\x06mxbiz1\x02qq\xc0\x11", "smtp.exmail.qq.com:465"),
        (b"\xc0\x0c\0\x0f\0\x01\0\0\0\x3c\0\x13\0\x01\x05ASPMX\x01L\x06GOOGLE\xc0\x11", "smtp.gmail.com:465"),
        (b"\xc0\x0c\0\x0f\0\x01\0\0\0\x3c\0\x0c\0\x05\x02mx\x04acme\xc0\x11", ""),
        (None, ""),
    ],
)
def test_a_mail_server_is_guessed_by_who_receives_mail(answer: bytes | None, server: str, resolvers: Path) -> None:
    name_server = NameServer(answer)
    name_server.start()
    assert guess("acme.com", resolvers=resolvers, port=name_server.port) == server


def test_well_known_domains_need_no_network_and_nothing_is_guessed_without_one(tmp_path: Path) -> None:
    assert guess("QQ.com", resolvers=tmp_path / "none") == "smtp.qq.com:465"
    assert guess("acme.example", resolvers=tmp_path / "none") == ""
    assert guess("a..b", resolvers=tmp_path / "none") == ""
