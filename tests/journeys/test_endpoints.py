"""Bills that are fetched, with the real program: what people see, what they are told, what a kill or a stop leaves behind."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import oss_lies
from bill_builder import a_bill, a_line
from billing_api import Document
from bss_lies import KEY_ID, SECRET, Lie
from bss_told import LIES
from home import Home, today
from servers_bss import BssServer, an_item
from servers_file import FileServer
from servers_oss import OssServer
from spendwatch.domain.failure import Failure
from spendwatch.store.health_book import HealthBook
from spendwatch.store.opening import open_database


@dataclass(frozen=True)
class Stage:
    """A home with a source that asks the stand-in for the bills of this month."""

    home: Home
    server: BssServer
    day: date
    """Today: its bill comes on three pages, that of yesterday on one."""

    def lie(self, lie: Lie) -> None:
        self.server.lie = lie
        self.server.lies_to = lambda call: call.query.get("BillingDate") == self.day.isoformat() and "MaxResults" in call.query

    def spent(self) -> Decimal:
        return sum((Decimal(row["spend"]) for row in self.home.json("report")["rows"]), Decimal(0))

    def seen(self) -> tuple[str, str | None]:
        """Return the state of the source, and what causes it."""
        source = next(one for one in self.home.json("status")["sources"] if one["name"] == "api")
        return source["state"], source["cause"]

    def waits_for(self, state: str, cause: str | None = None) -> None:
        """Wait until that is on record; to ask the program itself each time would take longer than to wait."""
        self.home.until(lambda: self._recorded() == (state, cause))

    def _recorded(self) -> tuple[str, str | None]:
        database = open_database(str(self.home.state), read_only=True)
        try:
            found = [source for source in HealthBook(database).sources() if source.name == "api"]
        finally:
            database.close()
        if not found or not (found[0].last_looked_at or found[0].failing_since):
            return "unknown", None
        return ("failing", found[0].cause and found[0].cause.value) if found[0].failing_since else ("ok", None)


@pytest.fixture
def stage(home: Home) -> Iterator[Stage]:
    day = today().date()
    before = day - timedelta(days=1)
    bills = {before: [an_item(before, 1, "3")], day: [an_item(day, number, "1.25") for number in range(5)]}
    with BssServer(bills, page_size=2) as server:
        for name, secret in (("id", KEY_ID), ("key", SECRET)):
            path = home.folder / name
            path.write_text(f"{secret}\n")
            path.chmod(0o600)
        keys = "key_id_file: id, secret_file: key, timeout: 2s"
        home.furnish(sources=[f"api: {{type: alibaba, account: acme, {keys}, endpoint: '{server.url}'}}"])
        yield Stage(home, server, day)


def _lines(stage: Stage) -> list[Document]:
    """Return the lines of this month: on the first of it, those of yesterday are not."""
    return [line for day, lines in stage.server.bills.items() if day.month == stage.day.month for line in lines]


def _worth(stage: Stage) -> Decimal:
    return sum((line["PretaxAmount"] for line in _lines(stage)), Decimal(0))


def test_bills_of_the_api_reach_people_who_are_told_how_late_they_are(stage: Stage) -> None:
    stage.home.furnish(account=", budget: 10.00", sources=_sources(stage.home))
    stage.home.call("once")
    assert stage.spent() == _worth(stage)
    (call,) = stage.home.calls() if len(stage.home.calls()) == 1 else stage.home.calls()[-1:]
    assert call["data"]["data_lags"] is True
    assert b"up to 24" in stage.home.mails()[-1]
    shown = stage.home.call("status").stdout
    for expected in (
        "From the billing API: up to 24 h late",
        "✓ api ok, last bill ",
        "✓ inbox ok, no bill of an open month yet",
    ):
        assert expected in shown
    document = stage.home.json("status")
    assert document["accounts"][0]["lag"] == {"hours": 24, "leaves_out": "unsettled usage"}
    api = next(source for source in document["sources"] if source["name"] == "api")
    assert (api["type"], api["checks"][0]["days"], api["checks"][0]["differs_since"]) == ("alibaba", str(_worth(stage)), None)


def _sources(home: Home) -> list[str]:
    text = (home.folder / "spendwatch.yaml").read_text()
    return [line.strip() for line in text.splitlines() if line.startswith("  api:")]


HALF_A_DOZEN = [Lie.UNKNOWN_KEY, Lie.WRONG_SITE, Lie.CLOCK_SKEW, Lie.HTML, Lie.RENAMED_FIELD, Lie.TOKENS_IN_A_RING]


def test_half_a_dozen_lies_show_in_status_move_no_figure_and_are_over_without_a_restart(stage: Stage) -> None:
    running = stage.home.start()
    try:
        stage.waits_for("ok")
        worth = _worth(stage)
        assert stage.spent() == worth
        for lie in HALF_A_DOZEN:
            trouble, says = LIES[lie]
            stage.lie(lie)
            running.process.send_signal(signal.SIGUSR1)
            stage.waits_for("failing", trouble.value)
            shown = stage.home.json("status", "--exit-code", expect=4)
            (source,) = [one for one in shown["sources"] if one["name"] == "api"]
            assert (source["state"], source["cause"]) == ("failing", trouble.value)
            assert re.search(says, source["trouble"])
            assert Decimal(shown["accounts"][0]["spend"]) == worth
            stage.server.lie = None
            running.process.send_signal(signal.SIGUSR1)
            stage.waits_for("ok")
    finally:
        assert running.stop() == 0


def test_the_daemon_tells_of_refused_credentials_and_when_they_are_accepted_again(stage: Stage) -> None:
    running = stage.home.start()
    try:
        stage.waits_for("ok")
        stage.lie(Lie.NOT_AUTHORIZED)
        running.process.send_signal(signal.SIGUSR1)
        stage.home.until(lambda: bool(stage.home.calls()))
        (call,) = stage.home.calls()
        assert (call["type"], call["data"]["cause"]) == ("source.failing", "permission")
        assert "bssapi:DescribeInstanceBill" in call["data"]["text"]
        stage.server.lie = None
        running.process.send_signal(signal.SIGUSR1)
        stage.home.until(lambda: len(stage.home.calls()) == 2)
        assert stage.home.calls()[-1]["type"] == "alert.resolved"
    finally:
        assert running.stop() == 0


def test_who_wants_a_look_in_the_middle_of_one_gets_another_when_it_is_over(stage: Stage) -> None:
    stage.server.pause_before = lambda call: call.action == "QueryAccountBill"  # the last one of the round; it gives up in time
    running = stage.home.start()
    try:
        stage.home.until(lambda: bool(stage.server.hanging))
        stage.server.bills = {**stage.server.bills, stage.day: [*stage.server.bills[stage.day], an_item(stage.day, 77, "7.75")]}
        running.process.send_signal(signal.SIGUSR1)
        stage.server.pause_before = lambda _: False
        worth = _worth(stage)
        stage.home.until(lambda: stage.spent() == worth)
    finally:
        assert running.stop() == 0


def test_a_person_s_hurry_does_not_shorten_the_pause_that_the_endpoint_asked_for(stage: Stage) -> None:
    stage.lie(Lie.THROTTLED_FOR_LONG)
    running = stage.home.start()
    try:
        stage.waits_for("failing", "throttled")
        asked = len(stage.server.calls)
        running.process.send_signal(signal.SIGUSR1)
        subprocess.run(["sleep", "1"], check=True)
        assert len(stage.server.calls) == asked
    finally:
        assert running.stop() == 0


def _shown(stage: Stage) -> str:
    source = next(one for one in stage.home.json("status")["sources"] if one["name"] == "api")
    return str(source["trouble"])


@pytest.mark.parametrize("call_number", range(1, 7))
def test_after_a_kill_between_any_two_pages_the_next_round_is_exact(call_number: int, stage: Stage) -> None:
    """The first three calls are for the pages of today, the next for yesterday or, on the first of a month, for its total."""
    stage.server.pause_before = lambda _: len(stage.server.calls) == call_number
    running = stage.home.start()
    stage.home.until(lambda: bool(stage.server.hanging))
    running.kill()
    stage.server.pause_before = lambda _: False
    again = stage.home.start()
    try:
        stage.waits_for("ok")
        assert stage.spent() == _worth(stage)
        assert sum(row["lines"] for row in stage.home.json("report")["rows"]) == len(_lines(stage))
    finally:
        again.stop()
    kept = stage.home.folder / "var" / "sources" / "api"
    assert list((kept / "incoming").iterdir()) == []
    assert list((kept / "pending").iterdir()) == []


def test_a_stop_in_the_middle_of_a_fetch_is_a_clean_and_quick_one(stage: Stage) -> None:
    stage.home.furnish(sources=[_sources(stage.home)[0].replace("timeout: 2s", "timeout: 10m")])
    stage.server.pause_before = lambda _: True
    running = stage.home.start()
    stage.home.until(lambda: bool(stage.server.hanging))
    stopping = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - stopping < 30
    assert "daemon_stopped" in running.log()
    assert "job_failed" not in running.log()


def test_one_round_says_by_its_exit_code_that_credentials_are_refused(stage: Stage) -> None:
    stage.lie(Lie.UNKNOWN_KEY)
    said = stage.home.call("once", expect=77).stderr
    assert "source api: DescribeInstanceBill: the access key is not accepted (InvalidAccessKeyId.NotFound)" in said
    stage.lie(Lie.RENAMED_FIELD)
    assert f"the bill of {stage.day}" in stage.home.call("once", expect=75).stderr
    stage.server.lie = None
    stage.home.call("once")
    assert stage.spent() == _worth(stage)


def test_check_asks_nobody_and_says_what_a_balance_by_bills_would_miss(stage: Stage) -> None:
    stage.home.furnish(account=", balance: {from: manual, cash: 100.00}", sources=_sources(stage.home))
    said = stage.home.call("check").stderr
    assert "note: source api: its endpoint was not called; `spendwatch once` calls it" in said
    assert "note: source api asks for the product sfm alone, and the balance of acme takes what is unsettled from bills" in said
    assert stage.server.calls == []
    everything = [_sources(stage.home)[0].replace("alibaba,", "alibaba, product: '',")]
    stage.home.furnish(account=", balance: {from: manual, cash: 100.00}", sources=everything)
    assert "unsettled" not in stage.home.call("check").stderr


def test_a_dry_run_asks_nobody_changes_nothing_and_shows_what_was_fetched_before(stage: Stage) -> None:
    shown = stage.home.call("once", "--dry-run").stdout
    assert "api: 0 files fetched and not recorded yet; a dry run does not call the endpoint" in shown
    assert stage.server.calls == []
    assert not (stage.home.folder / "var").exists()

    # A daemon that was killed between fetching and entering leaves a file behind.
    stage.server.pause_before = lambda call: call.action == "QueryAccountBill"
    running = stage.home.start()
    stage.home.until(lambda: bool(stage.server.hanging))
    running.kill()
    before = _everything_in(stage.home.folder / "var" / "sources")
    asked = len(stage.server.calls)
    shown = stage.home.call("once", "--dry-run").stdout
    fetched = "2 files" if stage.day.day > 1 else "1 file"
    assert f"api: {fetched} fetched and not recorded yet" in shown
    assert "describeinstancebill (snapshot), account 1000000000000001" in shown
    assert len(stage.server.calls) == asked
    assert _everything_in(stage.home.folder / "var" / "sources") == before
    assert stage.home.json("report")["rows"] == []


def _everything_in(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_no_secret_of_a_source_stands_in_logs_state_or_messages(stage: Stage) -> None:
    stage.lie(Lie.BAD_SIGNATURE)  # which repeats the secret that it was sent
    said = stage.home.call("once", "--log-format", "json", expect=77)
    assert len(stage.home.calls()) == 1
    for secret in (KEY_ID, SECRET):
        text = secret.encode()
        assert secret not in said.stdout + said.stderr
        kept = [path for path in stage.home.folder.rglob("*") if path.is_file() and path.name not in {"id", "key"}]
        assert [path for path in kept if text in path.read_bytes()] == []
        assert text not in b"".join(stage.home.mails())


def test_a_download_that_a_kill_cut_off_goes_on_where_it_was(home: Home) -> None:
    month = today().strftime("%Y%m")
    _, bill = a_bill([a_line(line_id=f"{month}_0700v1_019_x_{number}", day=f"{month}01", amount="1") for number in range(400)])
    with FileServer(bill) as server:
        server.served.headers = {"content-disposition": f'attachment; filename="1000000000000001-{month}02093012_bill.csv"'}
        server.served.cut_after, server.served.stalls = len(bill) // 2, True
        home.furnish(sources=[f"feed: {{type: url, url: '{server.url()}', timeout: 10m}}"])
        running = home.start()
        half = home.folder / "var" / "sources" / "feed" / "incoming" / "resumed.download"
        home.until(lambda: half.exists() and half.stat().st_size == len(bill) // 2)
        assert running.stop() == 0
        server.served.cut_after = None
        home.call("once")
        assert home.json("report")["rows"][0]["spend"] == "400"
        assert server.requests[-1].headers["range"] == f"bytes={len(bill) // 2}-"


def test_a_machine_s_clock_that_is_wrong_is_told_with_both_times(stage: Stage) -> None:
    stage.server.clock = lambda: datetime.now(UTC) - timedelta(hours=3)  # noqa: TID251 -- a server has a clock of its own
    stage.home.call("once", expect=69)
    assert stage.seen() == ("failing", Failure.CLOCK.value)
    assert "this machine's clock is 3 h" in _shown(stage)
    assert "ahead of the provider's" in _shown(stage)


def test_bills_of_a_bucket_are_entered_once_and_a_refusal_of_its_owner_is_told(home: Home) -> None:
    month = today().strftime("%Y%m")
    with OssServer() as server:
        for name, secret in (("id", oss_lies.KEY_ID), ("key", oss_lies.SECRET)):
            (home.folder / name).write_text(secret)
            (home.folder / name).chmod(0o600)
        keys = f"key_id_file: id, secret_file: key, region: {oss_lies.REGION}, path_style: true, endpoint: '{server.url}'"
        home.furnish(sources=[f"pushes: {{type: oss, bucket: {oss_lies.BUCKET}, prefix: spend/, {keys}}}"])
        for day, lines in (("02", 2), ("03", 3)):
            numbers = range(lines)
            _, bill = a_bill([a_line(line_id=f"{month}_0700v1_019_x_{n}", day=f"{month}01", amount="1.5") for n in numbers])
            server.put(f"spend/{month}{day}/1000000000000001_2688801000001_consumeDetailBillV2_{month}.csv", bill)
        home.call("once")
        assert home.json("report")["rows"][0]["spend"] == "4.5"
        asked = len(server.gets())
        assert "0 bills recorded" in home.call("once").stderr
        assert len(server.gets()) == asked
        shown = home.call("status").stdout
        assert "✓ pushes ok, last bill " in shown
        assert "pushes  oss     ok" in home.call("status", "--all").stdout
        kept = home.folder / "var" / "sources" / "pushes" / "originals" / "done"
        assert sorted(path.parent.name for path in kept.rglob("*.csv")) == [f"{month}02", f"{month}03"]
        assert "all days are equal" in home.call("ledger", "verify").stdout
        server.keys.clear()
        assert "the access key is not accepted" in home.call("once", expect=77).stderr
        assert [call["type"] for call in home.calls()] == ["source.failing"]
