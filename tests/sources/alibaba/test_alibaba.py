"""The billing API as a source: what it gives is whole and was asked for, or it is not given."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from billing_api import Document
from bss_lies import KEY_ID, SECRET, TOKEN, Lie
from bss_told import LIES
from endpoint_watch import NOW, Endpoint, StopWatch, day_of, lines_of
from folders import environment
from servers_bss import ACCOUNT, BssServer, an_item
from small_ledger import Copies
from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import BillFile, SourceName
from spendwatch.sources.download_store import DownloadStore
from spendwatch.sources.trouble import EndpointError, Failure

pytestmark = pytest.mark.anyio

FIRST, DAY = date(2026, 9, 2), date(2026, 9, 3)

_FOR_EVER = {Lie.HANG, Lie.SLOW_DRIP, Lie.STALLED, Lie.ENDLESS}


@dataclass(frozen=True)
class Stage:
    """The stand-in, and the source that asks it."""

    server: BssServer
    endpoint: Endpoint
    watch: StopWatch

    def lie(self, lie: Lie, *, times: int = -1) -> None:
        """Lie to whoever asks for the lines of the day, so many times; only a lie that takes for ever is not waited for."""
        if lie in _FOR_EVER:
            self.endpoint.wait(1.5)
        self.server.lie, self.server.lies_left = lie, times
        self.server.lies_to = lambda call: call.query.get("BillingDate") == DAY.isoformat() and "MaxResults" in call.query

    def asked(self, action: str = "DescribeInstanceBill", day: date | None = None) -> int:
        """How often that was asked for."""
        wanted = day.isoformat() if day else None
        return sum(call.action == action and wanted in {None, call.query.get("BillingDate")} for call in self.server.calls)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Two days with bills; the second one comes on three pages."""
    watch = StopWatch()
    bills = {FIRST: [an_item(FIRST, 1), an_item(FIRST, 2)], DAY: [an_item(DAY, number, f"0.{number}1") for number in range(5)]}
    with BssServer(bills, clock=watch.clock, page_size=2) as server:
        yield Stage(server, Endpoint(server.url, tmp_path / "api", watch), watch)


def _of_day(files: Sequence[BillFile], day: date = DAY) -> BillFile:
    (file,) = (file for file in files if day_of(file) == day)
    return file


# --- lies


@pytest.mark.parametrize("lie", list(LIES), ids=str)
async def test_a_lie_is_told_by_its_name_gives_no_file_and_is_forgotten_with_the_next_honest_answer(
    lie: Lie, stage: Stage
) -> None:
    trouble, says = LIES[lie]
    stage.lie(lie)
    files = await stage.endpoint.round()
    told = stage.endpoint.source.trouble
    assert isinstance(told, EndpointError)
    assert told.trouble is trouble, str(told)
    assert re.search(says, str(told))
    for secret in (KEY_ID, SECRET, TOKEN):
        assert secret not in repr(told)
    assert DAY not in map(day_of, files)
    assert stage.endpoint.names("incoming") == []
    with pytest.raises(SourceUnavailableError, match=says):
        list(stage.endpoint.source.arrivals(stage.watch.now))

    stage.server.lie = None
    if lie in _FOR_EVER:
        stage.endpoint.wait(60)
    files = await stage.endpoint.round()
    assert stage.endpoint.source.trouble is None
    assert sorted(map(day_of, files)) == [FIRST, DAY]
    assert lines_of(_of_day(files).path) == stage.server.bills[DAY]


def test_every_lie_is_tried_and_they_are_many() -> None:
    assert set(LIES) == set(Lie)
    assert len(LIES) >= 40


_PASSING = {Failure.UNREACHABLE, Failure.UNAVAILABLE, Failure.THROTTLED, Failure.CHANGING}
PASSING = [lie for lie, (trouble, _) in LIES.items() if trouble in _PASSING]


@pytest.mark.parametrize("lie", [lie for lie in PASSING if lie is not Lie.THROTTLED_FOR_LONG], ids=str)
async def test_trouble_that_passes_is_over_within_the_same_round(lie: Lie, stage: Stage) -> None:
    stage.lie(lie, times=1)
    if lie in {Lie.COUNT_CHANGES, Lie.DUPLICATE_PAGE, Lie.OVERLAPPING_PAGES}:
        stage.lie(lie, times=3)
    files = await stage.endpoint.round()
    assert stage.endpoint.source.trouble is None
    assert lines_of(_of_day(files).path) == stage.server.bills[DAY]


async def test_what_is_wrong_with_one_day_does_not_hold_up_the_others(stage: Stage) -> None:
    stage.lie(Lie.RENAMED_FIELD)
    assert [day_of(file) for file in await stage.endpoint.round()] == [FIRST]
    assert "2026-09-03" in str(stage.endpoint.source.trouble)


# --- what is asked for, and what is given


async def test_a_day_is_one_file_of_all_its_pages_exactly_as_they_came(stage: Stage) -> None:
    files = await stage.endpoint.round()
    file = _of_day(files)
    assert file.name == "1000000000000001_DescribeInstanceBill_20260903_20260905130000.json"
    assert (file.source, file.size, file.arrived_at) == ("api", file.path.stat().st_size, stage.watch.now)
    content = file.path.read_bytes()
    pages = json.loads(content)
    assert [len(page["Data"]["Items"]) for page in pages] == [2, 2, 1]
    assert [page["Data"]["NextToken"] != "" for page in pages] == [True, True, False]
    assert b'"PretaxAmount": 0.41,' in content, "digit by digit, as it was sent"
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert stage.endpoint.place.stat().st_mode & 0o777 == 0o700


async def test_each_page_is_asked_for_with_the_token_that_just_came(stage: Stage) -> None:
    await stage.endpoint.round()
    calls = [call.query for call in stage.server.calls if call.query.get("BillingDate") == DAY.isoformat()]
    assert calls[0] == {
        "BillingCycle": "2026-09",
        "BillingDate": "2026-09-03",
        "Granularity": "DAILY",
        "IsBillingItem": "true",
        "MaxResults": "300",
        "ProductCode": "sfm",
    }
    assert [{**query, "NextToken": ""} for query in calls[1:]] == [{**calls[0], "NextToken": ""}] * 2
    assert len({query.get("NextToken") for query in calls}) == 3


async def test_every_day_of_the_month_that_has_begun_is_asked_for_and_no_other(stage: Stage) -> None:
    await stage.endpoint.round()
    days = {call.query["BillingDate"] for call in stage.server.calls if "MaxResults" in call.query}
    assert days == {f"2026-09-0{number}" for number in range(1, 6)}


@pytest.mark.parametrize(
    ("moment", "first", "last", "count"),
    [
        ("2026-09-04T15:59:59+00:00", "2026-08-01", "2026-09-04", 35),
        ("2026-09-04T16:00:00+00:00", "2026-09-01", "2026-09-05", 5),
        ("2026-08-31T15:59:59+00:00", "2026-08-01", "2026-08-31", 31),
        ("2026-08-31T16:00:00+00:00", "2026-08-01", "2026-09-01", 32),
        ("2026-03-01T00:00:00+00:00", "2026-02-01", "2026-03-01", 29),
        ("2026-01-02T00:00:00+00:00", "2025-12-01", "2026-01-02", 33),
    ],
)
async def test_months_turn_by_the_provider_s_clock_and_the_previous_one_stays_open(
    moment: str, first: str, last: str, count: int, stage: Stage
) -> None:
    stage.watch.now = datetime.fromisoformat(moment)
    await stage.endpoint.round(after=0)
    days = [call.query["BillingDate"] for call in stage.server.calls if "MaxResults" in call.query]
    assert (min(days), max(days), len(set(days))) == (first, last, count)
    for call in stage.server.calls:
        assert call.query.get("BillingDate", call.query["BillingCycle"]).startswith(call.query["BillingCycle"])


async def test_all_products_are_asked_for_where_none_is_named(stage: Stage) -> None:
    stage.server.bills[DAY] = [*stage.server.bills[DAY], an_item(DAY, 9, ProductCode="ecs")]
    stage.endpoint.restarted(product="")
    assert len(lines_of(_of_day(await stage.endpoint.round()).path)) == 6
    assert not any("ProductCode" in call.query for call in stage.server.calls)


@given(amounts=st.lists(st.integers(-(10**9), 10**12), max_size=30), page_size=st.integers(1, 12))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_however_a_bill_is_cut_into_pages_the_file_holds_each_line_once(
    amounts: Sequence[int], page_size: int, stage: Stage, tmp_path_factory: pytest.TempPathFactory
) -> None:
    bill = [an_item(DAY, number, str(Decimal(amount).scaleb(-10))) for number, amount in enumerate(amounts)]
    stage.server.bills = {DAY: bill}
    stage.server.page_size = page_size
    endpoint = Endpoint(stage.server.url, tmp_path_factory.mktemp("api") / "api", stage.watch)
    files = await endpoint.round()
    assert endpoint.source.trouble is None
    assert [lines_of(file.path) for file in files] == ([bill] if bill else [])


# --- what is known already


async def test_what_says_nothing_new_is_not_given_again_nor_after_a_restart(stage: Stage) -> None:
    assert len(await stage.endpoint.enter()) == 2
    assert await stage.endpoint.enter() == []
    stage.endpoint.restarted()
    assert await stage.endpoint.enter() == []
    stage.server.bills[DAY] = list(reversed(stage.server.bills[DAY]))
    assert await stage.endpoint.enter() == [], "the same lines in another order are no news"


async def test_a_day_that_grew_is_given_again_alone(stage: Stage) -> None:
    await stage.endpoint.enter()
    stage.server.bills[DAY] = [*stage.server.bills[DAY], an_item(DAY, 9)]
    (file,) = await stage.endpoint.enter()
    assert day_of(file) == DAY
    assert stage.endpoint.names("originals/done") == [
        "1000000000000001_DescribeInstanceBill_20260902_20260905130000.json",
        "1000000000000001_DescribeInstanceBill_20260903_20260905130000.json",
        "1000000000000001_DescribeInstanceBill_20260903_20260905140000.json",
    ]


async def test_a_day_without_lines_is_no_news_as_long_as_it_never_had_any(stage: Stage) -> None:
    stage.server.bills.clear()
    assert await stage.endpoint.enter() == []
    assert stage.endpoint.source.trouble is None


async def test_a_jump_up_is_given_at_once(stage: Stage) -> None:
    await stage.endpoint.enter()
    stage.server.bills[DAY] = [an_item(DAY, number, "99.99") for number in range(5)]
    assert len(await stage.endpoint.enter()) == 1


@pytest.mark.parametrize("lower", [[], [an_item(DAY, 1, "0.000001")], [an_item(DAY, 1, "-500")]])
async def test_a_fall_is_given_only_when_a_second_fetch_agrees(lower: list[Document], stage: Stage) -> None:
    await stage.endpoint.enter()
    stage.server.bills[DAY] = lower
    with capture_logs() as logs:
        assert await stage.endpoint.enter() == []
    (told,) = (log for log in logs if log["event"] == "lower_bill_unconfirmed")
    assert (told["day"], told["before"]) == ("2026-09-03", {"CNY": "1.05"})
    stage.endpoint.restarted()
    (file,) = await stage.endpoint.round()
    assert lines_of(file.path) == lower
    stage.endpoint.source.keep(file)
    assert await stage.endpoint.enter() == []


async def test_a_fall_that_is_taken_back_is_never_given(stage: Stage) -> None:
    await stage.endpoint.enter()
    honest = stage.server.bills[DAY]
    for _ in range(2):
        stage.server.bills[DAY] = []
        assert await stage.endpoint.enter() == []
        stage.server.bills[DAY] = honest
        assert await stage.endpoint.enter() == [], "and the doubt is forgotten"


async def test_a_fall_that_goes_on_falling_is_doubted_anew(stage: Stage) -> None:
    await stage.endpoint.enter()
    for amount in ("0.9", "0.5"):
        stage.server.bills[DAY] = [an_item(DAY, 1, amount)]
        assert await stage.endpoint.enter() == []
    stage.server.bills[DAY] = [an_item(DAY, 1, "0.6")]
    assert len(await stage.endpoint.enter()) == 1


async def test_a_file_that_is_left_or_was_not_settled_waits_and_newer_ones_come_behind_it(stage: Stage) -> None:
    for file in await stage.endpoint.round():
        stage.endpoint.source.leave(file)
    stage.server.bills[DAY] = [*stage.server.bills[DAY], an_item(DAY, 9)]
    stage.endpoint.restarted()
    files = await stage.endpoint.round()
    assert [day_of(file) for file in files] == [DAY, FIRST, DAY]
    assert [len(lines_of(file.path)) for file in files] == [5, 2, 6]


async def test_a_refused_file_lies_beside_its_reason(stage: Stage) -> None:
    file = _of_day(await stage.endpoint.round())
    stage.endpoint.source.reject(file, "line 3 is no line")
    stage.endpoint.source.reject(file, "twice does nothing")
    assert stage.endpoint.names("originals/rejected") == [file.name, f"{file.name}.why.txt"]
    why = stage.endpoint.place / "originals" / "rejected" / f"{file.name}.why.txt"
    assert why.read_text(encoding="utf-8") == "line 3 is no line\n"
    assert DAY not in map(day_of, await stage.endpoint.round()), "the same content is not offered again"


async def test_of_two_versions_of_a_day_the_later_one_has_the_later_stamp_though_the_clock_went_back(stage: Stage) -> None:
    (first, _) = await stage.endpoint.enter()
    stage.watch.now -= timedelta(hours=3)
    stage.server.bills[DAY] = [*stage.server.bills[DAY], an_item(DAY, 9)]
    (second,) = await stage.endpoint.enter()
    assert first.name.endswith("_20260905130000.json")
    assert second.name.endswith("_20260905130001.json")


async def test_entered_in_whatever_order_the_files_mean_what_the_endpoint_said_last(stage: Stage) -> None:
    given: list[tuple[str, bytes]] = []
    refund, charge = an_item(DAY, 1, "-1.8", Item="Refund"), an_item(DAY, 7, "6.196488")
    for said in ([charge], [charge, refund, charge], [an_item(DAY, 7, "7"), refund], [an_item(DAY, 8, "6.9e-05")] * 2):
        stage.server.bills[DAY] = said
        for _ in range(2):  # what is less is given the second time
            for file in await stage.endpoint.round():
                given.append((file.name, file.path.read_bytes()))
                stage.endpoint.source.keep(file)
    assert len(given) == 5
    copies = Copies()
    for order in permutations(given):
        ledger = copies.entered(order)
        assert sum(row.billed_cost for row in ledger.rows) == Decimal("0.049632") + Decimal("0.000138")
        assert ledger.lines == 4


# --- how often is asked


async def test_a_month_of_thirty_days_takes_a_request_for_each_page_and_one_for_the_total(stage: Stage) -> None:
    stage.watch.now = datetime(2026, 9, 30, 4, 0, tzinfo=UTC)
    await stage.endpoint.round(after=0)
    assert (stage.asked(), stage.asked("QueryAccountBill"), len(stage.server.calls)) == (32, 1, 33)


async def test_nobody_is_hammered_who_refuses_us(stage: Stage) -> None:
    stage.server.keys.clear()
    pauses = []
    for _ in range(8):
        await stage.endpoint.round(after=0)
        assert isinstance(stage.endpoint.source.trouble, EndpointError)
        assert stage.endpoint.source.trouble.trouble.is_about_credentials
        asked = len(stage.server.refused)
        waited = 0
        while len(stage.server.refused) == asked:
            await stage.endpoint.round(after=10)
            waited += 10
        pauses.append(waited)
    assert pauses == [30, 60, 120, 240, 480, 900, 900, 900]


async def test_a_throttled_call_waits_as_long_as_it_is_told(stage: Stage) -> None:
    stage.lie(Lie.THROTTLED, times=2)
    await stage.endpoint.round()
    assert stage.endpoint.source.trouble is None
    assert [round(pause, 3) for pause in stage.watch.slept] == [7, 7]


async def test_a_pause_that_is_too_long_for_a_round_is_kept_before_the_next(stage: Stage) -> None:
    stage.lie(Lie.THROTTLED_FOR_LONG, times=1)
    await stage.endpoint.round()
    asked = len(stage.server.calls)
    await stage.endpoint.round(after=599)
    assert len(stage.server.calls) == asked
    await stage.endpoint.round(after=1)
    assert stage.endpoint.source.trouble is None
    assert stage.watch.slept == []


async def test_calls_keep_to_the_pace_of_the_account(tmp_path: Path) -> None:
    watch = StopWatch()
    with BssServer({DAY: [an_item(DAY, number) for number in range(30)]}, clock=watch.clock, page_size=1) as server:
        endpoint = Endpoint(server.url, tmp_path / "api", watch)
        await endpoint.round(after=0)
    assert len(server.calls) == 35
    assert sum(watch.slept) == pytest.approx(3.0)


# --- totals beside totals


async def test_the_provider_s_own_total_is_held_against_the_days(stage: Stage) -> None:
    await stage.endpoint.round()
    (check,) = stage.endpoint.source.new_checks()
    assert check.agrees
    assert (check.account, check.period, check.currency) == (ACCOUNT, BillingPeriod(2026, 9), "CNY")
    assert (check.days, check.total) == (Decimal("1.099632"), Decimal("1.099632"))
    assert stage.endpoint.source.new_checks() == []


@pytest.mark.parametrize(("total", "agrees"), [("1.149632", True), ("1.149633", False), ("0", False), ("1.04", False)])
async def test_a_total_that_differs_by_more_than_cents_is_told_once_and_stops_nothing(
    *,
    total: str,
    agrees: bool,
    stage: Stage,
) -> None:
    stage.server.summaries["2026-09"] = total
    with capture_logs() as logs:
        assert len(await stage.endpoint.enter()) == 2
        await stage.endpoint.enter()
    told = [log for log in logs if log["event"] == "bill_totals_differ"]
    assert len(told) == (0 if agrees else 1)
    assert stage.endpoint.source.trouble is None


async def test_who_may_not_see_the_account_bill_is_told_by_the_overview(stage: Stage) -> None:
    stage.server.lie, stage.server.lies_to = Lie.NOT_AUTHORIZED, lambda call: call.action == "QueryAccountBill"
    await stage.endpoint.round()
    assert [check.agrees for check in stage.endpoint.source.new_checks()] == [True]
    assert stage.asked("QueryBillOverview") == 1


async def test_without_any_total_bills_are_given_all_the_same(stage: Stage) -> None:
    stage.server.lie, stage.server.lies_to = Lie.HTML, lambda call: call.action.startswith("Query")
    assert len(await stage.endpoint.round()) == 2
    assert stage.endpoint.source.trouble is None
    assert stage.endpoint.source.new_checks() == []


async def test_equal_lines_on_two_pages_are_two_charges_when_the_total_of_the_day_says_so(stage: Stage) -> None:
    adjustment = an_item(DAY, 1, "-0.5", Item="Adjustment", InstanceID="")
    stage.server.bills[DAY] = [adjustment, an_item(DAY, 2, "2"), an_item(DAY, 3, "2"), adjustment]
    file = _of_day(await stage.endpoint.round())
    assert sum(line["PretaxAmount"] for line in lines_of(file.path)) == 3
    assert stage.asked("QueryAccountBill", DAY) == 1


async def test_equal_lines_on_one_page_need_no_proof(stage: Stage) -> None:
    stage.server.bills[DAY] = [an_item(DAY, 1)] * 2
    assert len(lines_of(_of_day(await stage.endpoint.round()).path)) == 2
    assert stage.asked("QueryAccountBill", DAY) == 0


# --- death


def _killed_before(call_number: int, stage: Stage) -> None:
    """Let a real process fetch, and kill it while it waits for the answer to that call."""
    before = len(stage.server.calls)
    stage.server.pause_before = lambda _: len(stage.server.calls) - before == call_number
    program = [sys.executable, "-m", "endpoint_watch", stage.server.url, str(stage.endpoint.place)]
    with subprocess.Popen(program, env=environment()) as process:
        while not stage.server.hanging:
            assert process.poll() is None, "it ended before it was killed"
            threading.Event().wait(0.01)
        process.kill()
    stage.server.hanging = 0
    stage.server.pause_before = lambda _: False


@pytest.mark.parametrize("call_number", range(1, 9))
async def test_a_kill_between_any_two_pages_leaves_no_part_of_a_bill(call_number: int, stage: Stage) -> None:
    stage.watch.now = NOW
    _killed_before(call_number, stage)
    endpoint = Endpoint(stage.server.url, stage.endpoint.place, stage.watch)
    assert endpoint.names("incoming") == [], "what was half written is swept away"
    whole_already = endpoint.waiting()
    for file in whole_already:
        assert lines_of(file.path) == stage.server.bills[day_of(file)]
    files = await endpoint.round()
    assert endpoint.source.trouble is None
    assert sorted(map(day_of, files)) == [FIRST, DAY]
    for file in files:
        assert lines_of(file.path) == stage.server.bills[day_of(file)]


def _run(program: str, *arguments: str) -> int:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=environment(), check=False).returncode


async def test_a_kill_between_the_memory_and_the_file_gives_every_line_once(stage: Stage) -> None:
    program = """
import os, signal
from pathlib import Path
rename = Path.rename
def die_before_it_waits(path, target):
    if "/pending/" in str(target):
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(path, target)
Path.rename = die_before_it_waits
import endpoint_watch
endpoint_watch.main()
"""
    assert _run(program, stage.server.url, str(stage.endpoint.place)) == -signal.SIGKILL
    files = await stage.endpoint.round()
    assert sorted(map(day_of, files)) == [FIRST, DAY]
    assert [lines_of(file.path) for file in files if day_of(file) == DAY] == [stage.server.bills[DAY]]


async def test_what_another_living_process_is_writing_is_not_swept_away(stage: Stage) -> None:
    holding = DownloadStore(stage.endpoint.place, SourceName("api"), stage.endpoint.memory, stage.watch.monotonic)
    with holding.new_file() as file:
        stage.endpoint.restarted()
        assert file.path.exists()


async def test_a_full_disk_is_told_and_heals(stage: Stage) -> None:
    bills, stage.server.bills = stage.server.bills, {}
    assert await stage.endpoint.round() == []
    stage.server.bills = bills
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, limits[1]))
    try:
        with capture_logs():  # what is printed goes into a file, too
            assert [day_of(file) for file in await stage.endpoint.round()] == []
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert re.search("no disk space in .*incoming for downloads: File too large", str(stage.endpoint.source.trouble))
    assert stage.endpoint.names("incoming") == []
    assert len(await stage.endpoint.round()) == 2


async def test_an_original_that_cannot_be_moved_is_told_and_given_once_more(stage: Stage) -> None:
    file = _of_day(await stage.endpoint.round())
    done = stage.endpoint.place / "originals" / "done"
    done.rmdir()
    done.touch()
    with capture_logs() as logs:
        stage.endpoint.source.keep(file)
    assert [(log["event"], log["name"]) for log in logs] == [("original_not_moved", file.name)]
    assert file.path in [waiting.path for waiting in stage.endpoint.waiting()]


async def test_a_place_that_cannot_be_used_is_told(stage: Stage, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.touch()
    endpoint = Endpoint(stage.server.url, blocked / "api", stage.watch)
    await endpoint.round()
    assert re.search("the folder .*blocked/api cannot be used: File exists", str(endpoint.source.trouble))
    assert stage.server.calls == []


async def test_a_cancelled_fetch_leaves_nothing_behind(stage: Stage) -> None:
    stage.server.pause_before = lambda _: len(stage.server.calls) == 4
    task = asyncio.create_task(stage.endpoint.source.fetch(stage.watch.now))
    while not stage.server.hanging:  # noqa: ASYNC110 -- it hangs in a thread of its own
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (stage.endpoint.names("incoming"), stage.endpoint.names("pending")) == ([], [])
