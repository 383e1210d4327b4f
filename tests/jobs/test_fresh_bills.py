"""Which bills show that bills still come: only news about a month that is still open put off or end `bills.stale`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bill_builder import a_bill, a_line
from endpoint_watch import StopWatch
from feed_house import FeedHouse
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.domain.statement import BillFile, SourceName
from spendwatch.jobs.collect import enter_of_source
from spendwatch.jobs.overview import BudgetState

pytestmark = pytest.mark.anyio

CHINA = ZoneInfo("Asia/Shanghai")
INBOX = SourceName("inbox")
DROPPED = "  inbox: {type: folder, path: inbox, settle: 0s, stale_after: 26h}\n"
Lines = Iterable[Mapping[str, str]]


class Mailroom:
    """A house whose one source is a drop folder."""

    def __init__(self, house: FeedHouse) -> None:
        self.house = house
        self._inbox = house.folder / "inbox"
        self._inbox.mkdir(exist_ok=True)

    def put(self, lines: Lines, *, exported: str, name: str = "") -> bytes:
        """Drop a bill; return its bytes."""
        own_name, content = a_bill(lines, exported=exported)
        (self._inbox / (name or own_name)).write_bytes(content)
        return content

    def put_bytes(self, name: str, content: bytes) -> None:
        (self._inbox / name).write_bytes(content)

    async def at(self, text: str) -> list[str]:
        """Let it be that time; look into the folder, twice as it needs, and return what is said of the feed from then on."""
        watch, before = self.house.watch, len(self._told())
        moment = datetime.fromisoformat(text).replace(tzinfo=CHINA)
        watch.pass_by((moment - watch.now).total_seconds() - 1)
        for _ in range(2):
            await self.house.app.gather(INBOX)
            watch.pass_by(0.5)
        await asyncio.to_thread(self.house.app.assess)
        return self._told()[before:]

    @property
    def last_bill(self) -> str:
        last = self.house.source(INBOX).last_bill
        return last.astimezone(CHINA).date().isoformat() if last else ""

    def _told(self) -> list[str]:
        return [one.type for one in self.house.said("bills.stale", "alert.resolved")]


@pytest.fixture
def mailroom(tmp_path: Path, shared_reader: ReadingProcess, empty_ledger: Path) -> Iterator[Mailroom]:
    watch = StopWatch(now=datetime(2026, 9, 1, 9, tzinfo=CHINA))
    with FeedHouse(tmp_path, watch, shared_reader, empty_ledger, DROPPED, budget="100000") as house:
        yield Mailroom(house)


OTHER = "5000000000000003"


def of_other(day: str) -> tuple[str, bytes]:
    """Return a bill of another account: its name and its bytes."""
    return a_bill([a_line(line_id=f"other {day}", day=day, account=OTHER)], account=OTHER, exported=f"{day}200000")


@pytest.fixture
def two_accounts(tmp_path: Path, shared_reader: ReadingProcess, empty_ledger: Path) -> Iterator[Mailroom]:
    watch, other = (
        StopWatch(now=datetime(2026, 9, 1, 9, tzinfo=CHINA)),
        f"  other: {{id: '{OTHER}', site: cn, currency: CNY}}\n",
    )
    with FeedHouse(tmp_path, watch, shared_reader, empty_ledger, DROPPED, budget="100000", accounts=other) as house:
        yield Mailroom(house)


SEPTEMBER = [a_line(line_id="september", day="20260901", amount="10")]
FEBRUARY = [a_line(line_id="february", day="20260201", amount="10")]
AUGUST = [a_line(line_id="august", day="20260831", amount="10")]


async def test_the_same_bytes_under_a_new_name_each_day_do_not_put_off_that_bills_are_missing(mailroom: Mailroom) -> None:
    content = mailroom.put(SEPTEMBER, exported="20260901200000")
    assert await mailroom.at("2026-09-01T21:00:00") == []
    mailroom.put_bytes("again.csv", content)
    assert await mailroom.at("2026-09-02T21:00:00") == []
    mailroom.put_bytes("and again.csv", content)
    assert await mailroom.at("2026-09-03T21:00:00") == ["bills.stale"]
    mailroom.put_bytes("once more.csv", content)
    assert await mailroom.at("2026-09-03T22:00:00") == []
    assert mailroom.last_bill == "2026-09-01"


async def test_other_bytes_that_say_the_same_and_were_not_exported_later_are_no_news(mailroom: Mailroom) -> None:
    content = mailroom.put(SEPTEMBER, exported="20260901200000")
    await mailroom.at("2026-09-01T21:00:00")
    mailroom.put_bytes("saved once more.csv", content.replace(b"\n", b"\r\n"))
    mailroom.put_bytes("1000000000000001-20260901190000_consumedetailbillv2.csv", content.replace(b"\n", b"\r\n") + b"\r\n")
    assert await mailroom.at("2026-09-03T21:00:00") == ["bills.stale"]


async def test_a_new_export_of_quiet_days_confirms_them(mailroom: Mailroom) -> None:
    for day in range(1, 8):
        mailroom.put(SEPTEMBER, exported=f"202609{day:02}200000")
        assert await mailroom.at(f"2026-09-{day:02}T21:00:00") == []
    assert mailroom.last_bill == "2026-09-07"


async def test_a_bill_of_a_month_that_is_over_neither_puts_off_nor_ends_that_bills_are_missing(mailroom: Mailroom) -> None:
    mailroom.put(SEPTEMBER, exported="20260901200000")
    await mailroom.at("2026-09-01T21:00:00")
    mailroom.put(FEBRUARY, exported="20260301200000")
    assert await mailroom.at("2026-09-02T21:00:00") == []
    assert await mailroom.at("2026-09-03T21:00:00") == ["bills.stale"]
    mailroom.put([*FEBRUARY, a_line(line_id="more", day="20260202")], exported="20260903213000")
    assert await mailroom.at("2026-09-03T22:00:00") == []
    mailroom.put([*SEPTEMBER, a_line(line_id="more of september", day="20260903")], exported="20260903223000")
    assert await mailroom.at("2026-09-03T23:00:00") == ["alert.resolved"]


async def test_the_very_first_bill_shows_nothing_if_its_month_is_over(mailroom: Mailroom) -> None:
    mailroom.put(FEBRUARY, exported="20260301200000")
    assert await mailroom.at("2026-09-01T21:00:00") == []
    assert mailroom.last_bill == ""
    assert await mailroom.at("2026-09-02T23:00:00") == ["bills.stale"]


async def test_last_months_bill_shows_that_bills_come_until_it_is_final(mailroom: Mailroom) -> None:
    mailroom.put(AUGUST, exported="20260904200000")
    await mailroom.at("2026-09-04T23:59:50")
    assert mailroom.last_bill == "2026-09-04"
    mailroom.put([*AUGUST, a_line(line_id="more", day="20260831")], exported="20260905000000")
    await mailroom.at("2026-09-05T00:00:10")
    assert mailroom.last_bill == "2026-09-04"


async def test_a_bill_that_also_tells_of_a_month_that_is_over_counts_by_the_open_one_alone(mailroom: Mailroom) -> None:
    mailroom.put(SEPTEMBER, exported="20260901200000")
    await mailroom.at("2026-09-01T21:00:00")
    mailroom.put([*FEBRUARY, *SEPTEMBER], exported="20260901190000", name="1000000000000001-20260901190000_both.csv")
    await mailroom.at("2026-09-02T21:00:00")
    assert mailroom.last_bill == "2026-09-01"
    mailroom.put([*FEBRUARY, *SEPTEMBER], exported="20260903190000")
    await mailroom.at("2026-09-03T21:00:00")
    assert mailroom.last_bill == "2026-09-03"


async def test_a_bill_that_is_entered_by_hand_for_a_source_follows_the_same_rule(mailroom: Mailroom) -> None:
    house, path = mailroom.house, mailroom.house.folder / "bill.csv"
    for lines, expected in ((FEBRUARY, ""), (SEPTEMBER, "2026-09-02"), (SEPTEMBER, "2026-09-02")):
        path.write_bytes(a_bill(lines)[1])
        file = BillFile(path.name, path, path.stat().st_size, INBOX, house.watch.now)
        enter_of_source(file, house.app.desk(INBOX), house.store.health)
        assert mailroom.last_bill == expected
        house.watch.pass_by(24 * 3600)


async def test_an_account_whose_bills_stop_while_anothers_go_on_is_reported_once(two_accounts: Mailroom) -> None:
    two_accounts.put_bytes(*of_other("20260901"))
    for day in range(1, 4):
        two_accounts.put(SEPTEMBER, exported=f"202609{day:02}200000")
        assert await two_accounts.at(f"2026-09-{day:02}T21:00:00") == (["bills.stale"] if day == 3 else [])
    (told,) = two_accounts.house.said("bills.stale")
    assert (told.facts.scope.account, told.facts.name) == (OTHER, "other")
    overview = two_accounts.house.overview()
    assert overview.is_stale
    assert [(account.silence is not None, account.mark) for account in overview.accounts] == [
        (False, BudgetState.OK),
        (True, BudgetState.UNKNOWN),
    ]
    two_accounts.put_bytes(*of_other("20260904"))
    two_accounts.put(SEPTEMBER, exported="20260904200000")
    assert await two_accounts.at("2026-09-04T20:30:00") == ["alert.resolved"]
    assert not two_accounts.house.overview().is_stale


async def test_of_a_source_that_falls_silent_one_alert_is_enough(two_accounts: Mailroom) -> None:
    two_accounts.put_bytes(*of_other("20260901"))
    two_accounts.put(SEPTEMBER, exported="20260901200000")
    assert await two_accounts.at("2026-09-01T21:00:00") == []
    assert await two_accounts.at("2026-09-03T21:00:00") == ["bills.stale"]
    assert [account.silence is not None for account in two_accounts.house.overview().accounts] == [True, True]


async def test_one_file_of_two_accounts_shows_of_each_whether_its_bills_come(two_accounts: Mailroom) -> None:
    both = [*SEPTEMBER, a_line(line_id="other", day="20260901", account=OTHER)]
    for day in range(1, 5):
        two_accounts.put(both if day < 3 else SEPTEMBER, exported=f"202609{day:02}200000")
        assert await two_accounts.at(f"2026-09-{day:02}T21:00:00") == (["bills.stale"] if day == 4 else [])
