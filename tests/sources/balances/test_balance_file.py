"""A file as the place where a balance is known: whole, at rest, never a bill, and nobody's trap."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from drop_folder import Inbox
from spendwatch.domain.errors import BalanceUnavailableError
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.statement import AccountId, SourceName
from spendwatch.sources.balances.file import FileBalance
from spendwatch.sources.folder.listing import waiting

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 9, 15, 4, 0, tzinfo=UTC)
ACME = AccountId("1000000000000001")


@dataclass
class IngestContext:
    """A balance file, and what happens while its reader waits."""

    path: Path
    meanwhile: Callable[[], object] = lambda: None
    waited: float = 0.0

    def source(self, settle: float = 2.0) -> FileBalance:
        async def sleep(seconds: float) -> None:
            self.waited += seconds
            self.meanwhile()

        return FileBalance(self.path, timedelta(seconds=settle), account=ACME, currency=Currency("CNY"), sleep=sleep)

    def write(self, cash: str, as_of: str = "2026-09-15T10:00:00+08:00") -> None:
        """Put the file there as one should: written elsewhere, then renamed."""
        part = self.path.with_name(".part")
        part.write_text(json.dumps({"as_of": as_of, "cash": cash}))
        part.rename(self.path)


@pytest.fixture
def desk(tmp_path: Path) -> IngestContext:
    return IngestContext(tmp_path / "balance.json")


async def refused(source: FileBalance) -> BalanceUnavailableError:
    with pytest.raises(BalanceUnavailableError) as caught:
        await source.read(NOW)
    return caught.value


async def test_a_file_is_read_when_it_does_not_change_for_its_settle_time(desk: IngestContext) -> None:
    desk.write("10.00")
    reading = await desk.source().read(NOW)
    assert (reading.cash, reading.read_at, desk.waited) == (Money(Decimal("10.00"), Currency("CNY")), NOW, 2.0)


async def test_a_file_that_did_not_change_is_not_waited_for_again(desk: IngestContext) -> None:
    desk.write("10.00")
    source = desk.source()
    first = await source.read(NOW)
    later = await source.read(NOW + timedelta(minutes=1))
    assert (later.as_of, later.says_the_same(first), later.read_at) == (first.as_of, True, NOW + timedelta(minutes=1))
    desk.write("11.00")
    changed = await source.read(NOW)
    assert changed.cash
    assert changed.cash.amount == Decimal(11)
    assert desk.waited == 4.0


async def test_a_file_that_is_being_written_waits_for_another_time(desk: IngestContext) -> None:
    desk.write("10.00")
    desk.meanwhile = lambda: desk.write("11.00")
    error = await refused(desk.source())
    assert ("is still being written" in str(error), error.is_lasting) == (True, False)
    desk.meanwhile = desk.path.unlink
    assert "cannot be read: No such file" in str(await refused(desk.source()))


async def test_a_broken_file_is_told_with_its_name_line_and_key(desk: IngestContext) -> None:
    desk.path.write_text('{"as_of": "2026-09-15T10:00:00+08:00",\n "cash": "1e3"}')
    error = await refused(desk.source())
    assert f"{desk.path}: line 2, cash: not a plain amount: '1e3'" in str(error)
    assert error.is_lasting


async def test_what_is_no_plain_file_is_not_read(desk: IngestContext, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("{}")
    traps: dict[str, Callable[[], object]] = {
        "Too many levels of symbolic links": lambda: desk.path.symlink_to(elsewhere),
        "a hard link": lambda: desk.path.hardlink_to(elsewhere),
        "not a regular file": lambda: os.mkfifo(desk.path),
    }
    for told, make in traps.items():
        make()
        assert told in str(await refused(desk.source()))
        desk.path.unlink()


async def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    error = await refused(IngestContext(tmp_path / "gone" / "balance.json").source())
    assert f"the folder {tmp_path / 'gone'} cannot be read" in str(error)


async def test_a_file_without_end_is_read_to_its_limit_only(desk: IngestContext) -> None:
    with desk.path.open("wb") as file:
        file.truncate(1 << 40)
    assert "larger than 64 KiB" in str(await refused(desk.source()))


@pytest.mark.parametrize("place", ["balance.json", "sub/balance.json"])
async def test_a_balance_in_a_drop_folder_is_no_bill(tmp_path: Path, place: str) -> None:
    inbox = Inbox(tmp_path, recursive=True)
    balance = inbox.path / place
    balance.parent.mkdir(exist_ok=True)
    inbox.others = (inbox.path / ".." / "inbox" / place,)
    IngestContext(balance).write("10.00")
    inbox.drop("bill.csv")
    assert inbox.kept() == ["bill.csv"]
    IngestContext(balance).write("12.00")
    assert inbox.settled() == []
    assert waiting(SourceName("inbox"), inbox.path, deep=True, others=inbox.others) == ([], None)
    balance.rename(balance.with_name("other.json"))
    assert [Path(file.name).name for file in inbox.settled()] == ["other.json"]
