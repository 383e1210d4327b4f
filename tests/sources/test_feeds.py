"""Sources that fetch, within the daemon: what each trouble does to status, alerts and figures, and what ends it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest
from structlog.testing import capture_logs

from bill_builder import a_bill, a_line
from bss_lies import Lie
from bss_told import LIES
from endpoint_watch import StopWatch
from feed_house import FeedHouse, a_house, at
from servers_bss import BssServer, an_item
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.domain.failure import Failure
from spendwatch.domain.money import plain
from spendwatch.domain.period import BillingPeriod
from spendwatch.jobs.overview_json import overview_json

pytestmark = pytest.mark.anyio

FIRST, DAY = date(2026, 9, 2), date(2026, 9, 3)
HONEST = Decimal("1.099632")

_PATIENT = 60.0
_WAITED_FOR = {lie for lie, (trouble, _) in LIES.items() if trouble is Failure.UNREACHABLE} - {Lie.GIANT, Lie.GZIP_BOMB}
"""A slow machine must not make others of them: how large an answer is shows however long it takes."""


@dataclass(frozen=True)
class Stage:
    """The stand-in, and the daemon's parts that ask it."""

    server: BssServer
    house: FeedHouse
    watch: StopWatch

    def lie(self, lie: Lie | None) -> None:
        """Lie to whoever asks for the lines of the day; only what is told by a wait is not waited for long."""
        self.server.lie = lie
        self.house.be_impatient(0.4 if lie in _WAITED_FOR else _PATIENT)
        self.server.lies_to = lambda call: call.query.get("BillingDate") == DAY.isoformat() and "MaxResults" in call.query


@pytest.fixture
def stage(tmp_path: Path, shared_reader: ReadingProcess, empty_ledger: Path) -> Iterator[Stage]:
    """Two days with bills; the second one comes on three pages."""
    watch = StopWatch()
    bills = {FIRST: [an_item(FIRST, 1), an_item(FIRST, 2)], DAY: [an_item(DAY, number, f"0.{number}1") for number in range(5)]}
    with (
        BssServer(bills, clock=watch.clock, page_size=2) as server,
        a_house(tmp_path, server, shared_reader, empty_ledger, watch) as house,
    ):
        house.be_impatient(_PATIENT)
        yield Stage(server, house, watch)


# --- lies


@pytest.mark.parametrize("lie", list(LIES), ids=str)
async def test_a_lie_shows_in_status_and_is_told_in_time_moves_no_figure_and_is_over_with_the_next_honest_answer(
    lie: Lie, stage: Stage
) -> None:
    house = stage.house
    trouble, says = LIES[lie]
    await house.round()
    source = house.source()
    reached = source.last_success
    assert (source.state, house.spent()) == ("ok", HONEST)

    stage.lie(lie)
    for number in (1, 2, 3):
        await house.round()
        source = house.source()
        assert (source.state, source.cause, source.last_success) == ("failing", trouble, reached)
        assert re.search(says, source.trouble)
        assert len(house.said("source.failing")) == (1 if trouble.needs_somebody or number == 3 else 0)
        assert house.spent() == HONEST
    (told,) = house.said("source.failing")
    assert (told.facts.cause, re.search(says, told.facts.detail) is None) == (trouble, False)

    stage.lie(None)
    stage.server.bills[DAY] = [*stage.server.bills[DAY], an_item(DAY, 9, "2")]
    await house.round()
    source = house.source()
    assert (source.state, source.trouble, house.spent()) == ("ok", "", HONEST + 2)
    assert [said.type for said in house.said()] == ["source.failing", "alert.resolved"]


@pytest.mark.parametrize("lie", [Lie.UNKNOWN_KEY, Lie.NOT_AUTHORIZED, Lie.OTHER_ACCOUNT, Lie.LOGIN_401, Lie.FORBIDDEN_403])
async def test_trouble_about_credentials_is_told_at_once_and_once_a_day_until_it_is_over(lie: Lie, stage: Stage) -> None:
    stage.lie(lie)
    for _ in range(24 * 3):
        await stage.house.round()
    told = stage.house.said("source.failing")
    assert [said.reason for said in told] == ["fired", "repeated", "repeated"]
    pauses = [later.created_at - earlier.created_at for earlier, later in pairwise(told)]
    # A call that is tried again passes a second.
    assert all(timedelta(days=1) <= pause < timedelta(days=1, minutes=1) for pause in pauses)
    stage.lie(None)
    await stage.house.round()
    assert [said.type for said in stage.house.said()][-1] == "alert.resolved"


async def test_trouble_that_passes_before_the_third_look_is_never_told(stage: Stage) -> None:
    for _ in range(5):
        stage.lie(Lie.BAD_GATEWAY)
        await stage.house.round()
        await stage.house.round()
        stage.lie(None)
        await stage.house.round()
    assert stage.house.said() == []


async def test_one_trouble_after_the_other_is_one_alert(stage: Stage) -> None:
    stage.lie(Lie.UNKNOWN_KEY)
    await stage.house.round()
    stage.lie(Lie.RESET)
    await stage.house.round()
    assert stage.house.source().cause is Failure.UNREACHABLE
    assert [said.type for said in stage.house.said()] == ["source.failing"], "that it is another trouble does not end it"


async def test_looks_within_the_pause_after_trouble_are_no_further_failures(stage: Stage) -> None:
    stage.lie(Lie.RESET)
    await stage.house.round()
    asked = len(stage.server.calls)
    for _ in range(10):
        await stage.house.round(after=1)
    assert len(stage.server.calls) == asked
    assert stage.house.said() == []
    stage.house.app.trigger_now()
    await stage.house.round(after=1)
    assert len(stage.server.calls) > asked, "a person who wants it now need not wait"


# --- silence


async def test_an_endpoint_that_answers_and_has_nothing_new_is_stale_after_its_time_as_a_folder_is(stage: Stage) -> None:
    await stage.house.round()
    entered = stage.watch.now
    while not stage.house.said("bills.stale"):
        await stage.house.round()
        assert stage.watch.now - entered <= timedelta(hours=50)
    assert stage.watch.now - entered == timedelta(hours=50)
    assert (stage.house.source().state, stage.house.source().trouble) == ("stale", "no new bill for 2 d 2 h")
    assert stage.house.source().last_success == stage.watch.now
    stage.server.bills[DAY] = [*stage.server.bills[DAY], an_item(DAY, 9)]
    await stage.house.round()
    assert [said.type for said in stage.house.said()] == ["bills.stale", "alert.resolved"]


# --- whose figures count


async def test_the_lower_figures_of_the_api_never_clear_an_alert_that_fresher_bills_raised(stage: Stage) -> None:
    house = stage.house
    house.configure(house.sources + "  inbox: {type: folder, path: inbox, settle: 0s}\n")
    inbox = house.folder / "inbox"
    inbox.mkdir()
    house.restart()
    lines = [a_line(line_id="a", day="20260902", amount="0.049632"), a_line(line_id="b", day="20260903", amount="84.950368")]
    name, bill = a_bill(lines, exported="20260905100000")
    (inbox / name).write_bytes(bill)
    for _ in range(2):
        await house.round()
    assert [(said.type, said.facts.threshold, said.facts.lags) for said in house.said()] == [
        ("spend.threshold_reached", "80%", False)
    ]
    stage.server.bills[DAY] = [an_item(DAY, number, "1") for number in range(5)]
    for _ in range(3):
        await house.round()
    assert house.spent() == 85
    assert not house.overview().accounts[0].lags
    assert [said.type for said in house.said()] == ["spend.threshold_reached"]
    assert {alert.key.threshold for alert in house.overview().alerts} == {"50%", "80%"}

    stage.server.bills[DAY] = [an_item(DAY, number, "20") for number in range(5)]
    await house.round()
    assert house.spent() == Decimal("100.049632"), "more money counts, wherever it is told"
    assert house.overview().accounts[0].lags


async def test_figures_of_the_api_say_that_they_are_late_wherever_they_are_shown(stage: Stage) -> None:
    stage.server.bills[DAY] = [an_item(DAY, number, "20") for number in range(5)]
    await stage.house.round()
    (told,) = stage.house.said("spend.threshold_reached")
    assert told.facts.lags
    (delivery,) = stage.house.store.outbox.listing(limit=9)
    assert "up to 24 h late" in stage.house.app.channels[delivery.channel].render(told, "").decode()
    document = overview_json(stage.house.overview(), stage.house.app.settings.zone)
    (account,) = cast("list[dict[str, object]]", document["accounts"])
    assert account["lag"] == {"hours": 24, "leaves_out": "unsettled usage"}
    stage.lie(Lie.UNKNOWN_KEY)
    await stage.house.round()
    assert [said.facts.lags for said in stage.house.said("source.failing")] == [True], "and so do messages about the source"


# --- totals beside totals


async def test_a_total_with_which_the_days_do_not_catch_up_is_told_once_with_both_figures_across_restarts(stage: Stage) -> None:
    house = stage.house
    stage.server.summaries["2026-09"] = "5"
    await house.round()
    assert house.said() == []
    (check,) = house.source().checks
    assert (check.days, check.total, check.since) == (HONEST, Decimal(5), stage.watch.now), "at once where one can look"
    house.restart()
    await house.round(after=24 * 3600 - 1)
    assert house.said() == []
    await house.round(after=1)
    (told,) = house.said()
    assert (told.type, told.facts.name, told.facts.period) == ("bills.differing", "acme", "2026-09")
    assert told.facts.discrepancy
    assert [(series, plain(money.amount)) for series, money in told.facts.discrepancy.by_series] == [
        ("describeinstancebill", "1.099632"),
        ("month_total", "5"),
    ]
    for _ in range(3):
        house.restart()
        await house.round()
    assert len(house.said()) == 1
    assert house.spent() == HONEST


async def test_a_total_that_is_always_ahead_and_always_reached_within_a_day_is_no_difference(stage: Stage) -> None:
    stage.watch.now = at("2026-09-06T00:00")
    usage = [Decimal(number) for number in range(60)]
    for hour in range(48):
        said, total = sum(usage[: hour // 2 + 1]), sum(usage[: hour + 5])
        stage.server.bills = {DAY: [an_item(DAY, 1, str(said))]}
        stage.server.summaries["2026-09"] = str(total)
        await stage.house.round()
    assert stage.house.source().checks[0].goal is not None
    assert stage.house.said("bills.differing") == []


# --- a ledger that goes back


async def test_a_ledger_restored_from_a_backup_is_given_again_what_it_lacks(stage: Stage) -> None:
    house = stage.house
    stage.server.bills = {FIRST: stage.server.bills[FIRST]}
    await house.round()
    house.stop()
    backup = house.ledger.read_bytes()
    house.start()
    stage.server.bills[DAY] = [an_item(DAY, 1, "7")]
    await house.round()
    assert house.spent() == Decimal("7.049632")

    house.stop()
    for left in house.ledger.parent.glob("spendwatch.db*"):
        left.unlink()
    house.ledger.write_bytes(backup)
    house.start()
    assert house.spent() == Decimal("0.049632")
    with capture_logs() as logs:
        await house.round()
    assert "archived_files_read_again" in [log["event"] for log in logs]
    assert house.spent() == Decimal("7.049632")
    house.restart()
    with capture_logs() as logs:
        await house.round()
    assert [log["event"] for log in logs] == [], "and that is remembered"


async def test_a_month_that_became_final_while_we_were_away_is_asked_for_once_more(stage: Stage) -> None:
    house, september = stage.house, {day: stage.server.bills[day] for day in (FIRST, DAY)}
    stage.server.bills = {FIRST: september[FIRST]}
    await house.round()
    stage.watch.now = at("2026-11-07T00:00")
    stage.server.bills = {**september, date(2026, 10, 9): [an_item(date(2026, 10, 9), 1, "3")]}
    house.restart()
    await house.round()
    assert house.spent() == HONEST
    assert sum(one.amount for one in house.store.ledger.spend(BillingPeriod(2026, 10), ())) == 3
    stage.server.calls.clear()
    await house.round()
    assert {call.query["BillingCycle"] for call in stage.server.calls} == {"2026-11"}


# --- what is kept


async def test_originals_can_be_read_again_and_are_forgotten_when_they_have_lain_long_enough(stage: Stage) -> None:
    await stage.house.round()
    (source,) = stage.house.app.sources.values()
    names = [f"1000000000000001_DescribeInstanceBill_2026090{day}_20260905130000.json" for day in (2, 3)]
    seen = []
    for original in source.originals():
        assert original.path is not None
        assert original.path.read_bytes() == (stage.house.kept / "originals" / "done" / original.name).read_bytes()
        seen.append((original.name, original.trouble))
    assert seen == [(name, "") for name in names]
    assert list((stage.house.kept / "incoming").iterdir()) == []

    (stage.house.kept / "pending" / "1").mkdir()
    (stage.house.kept / "pending" / "1" / "broken.json").write_text("{")
    await stage.house.round()
    rejected = stage.house.kept / "originals" / "rejected"
    assert sorted(path.name for path in rejected.iterdir()) == ["broken.json", "broken.json.why.txt"]

    now = stage.watch.now
    assert source.forget_originals(now - timedelta(minutes=90)) == 0
    os.utime(stage.house.kept / "originals" / "rejected" / "broken.json.why.txt", (0, 0))
    assert source.forget_originals(now - timedelta(minutes=30)) == 2, "what came an hour ago"
    assert source.forget_originals(now + timedelta(seconds=1)) == 1
    assert list(source.originals()) == []
    assert list(rejected.iterdir()) == []
