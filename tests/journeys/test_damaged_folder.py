"""Damaged bill files through the folder of a running daemon: each is taken or refused with a reason, and it stays as it was."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from bill_builder import ACCOUNT
from damaged_bills import CURRENCIES, PLAIN
from home import Home
from mischief import Damaged, damaged
from oracle import Sums, month_to_date
from spendwatch.domain.scope import Dimension
from spendwatch.sources.files.naming import endings, is_temporary
from spendwatch.store.ledger import Ledger
from spendwatch.store.opening import open_database

OTHERS = "".join(
    f'  other-{number}: {{id: "{account}", site: intl, currency: {currency}, channels: [screen]}}\n'
    for number, (account, currency) in enumerate(CURRENCIES.items())
    if account != ACCOUNT
)
DIMENSIONS = (Dimension.ACCOUNT, Dimension.PRODUCT, Dimension.WORKSPACE)
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Vitals:
    """What a process has at one moment."""

    resident: int
    descriptors: int

    @classmethod
    def of(cls, process: int) -> Vitals:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        return cls(pages * 4096, len(list(Path(f"/proc/{process}/fd").iterdir())))


def _furnish(home: Home) -> None:
    home.furnish()
    place = home.folder / "spendwatch.yaml"
    text = place.read_text().replace("sources:\n", f"{OTHERS}sources:\n", 1)
    place.write_text(text.replace("path: inbox,", "path: inbox, recursive: true, account: acme,"))


def _files(seeds: Iterator[int], wanted: int, *, whole: bool) -> Sequence[Damaged]:
    """Return that many files, each in a folder of its own; whole ones alone, if a cut one would be waited for."""
    found: list[Damaged] = []
    for seed in seeds:
        case = damaged(seed)
        is_looked_at = case.content and not any(map(is_temporary, case.name.split("/")))
        ends = endings(case.name)
        if is_looked_at and (not whole or not ends or case.content.rstrip(b" ").endswith(ends)):
            found.append(case.within(f"s{seed}"))
        if len(found) == wanted:
            break
    return found


def _drop(home: Home, files: Sequence[Damaged]) -> None:
    for file in files:
        new = home.folder / "new" / file.name
        new.parent.mkdir(parents=True)
        new.write_bytes(file.content)
        top = file.name.partition("/")[0]
        (home.folder / "new" / top).rename(home.inbox / top)


def _on(home: Home, shelf: str) -> set[str]:
    folder = home.inbox / shelf
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} if folder.exists() else set()


def _are_read(home: Home, files: Sequence[Damaged]) -> bool:
    return {file.name for file in files} <= _on(home, "done") | _on(home, "rejected")


def _spent(home: Home) -> Sums:
    database = open_database(str(home.state), read_only=True)
    try:
        ledger = Ledger(database)
        return {
            (
                one.values[Dimension.ACCOUNT],
                period.label,
                one.values[Dimension.PRODUCT],
                one.values[Dimension.WORKSPACE],
                one.currency,
            ): one.amount
            for period in sorted({period for periods in ledger.periods().values() for period in periods})
            for one in ledger.spend(period, DIMENSIONS)
        }
    finally:
        database.close()


def _without_nothing(sums: Sums) -> Sums:
    return {place: amount for place, amount in sums.items() if amount != Decimal(0)}


def _through_the_folder(home: Home, files: Sequence[Damaged], *, at_once: int) -> None:
    _furnish(home)
    running = home.start()
    try:
        vitals: list[Vitals] = []
        for first in range(0, len(files), at_once):
            _drop(home, files[first : first + at_once])
            home.until(partial(_are_read, home, files[: first + at_once]), seconds=300)
            vitals.append(Vitals.of(running.process.pid))
        shown = home.json("status")
        assert [source["state"] for source in shown["sources"]] == ["ok"]
    finally:
        assert running.stop() == 0
    assert "job_failed" not in running.log()
    assert "Traceback" not in running.log()
    done, rejected = _on(home, "done"), _on(home, "rejected")
    refused = {name for name in rejected if not name.endswith(".why.txt")}
    assert all((home.inbox / "rejected" / f"{name}.why.txt").read_text().strip() for name in refused)
    assert done | refused == {file.name for file in files}
    assert not done & refused
    taken = [file.plainly for file in files if file.name in done]
    assert _without_nothing(_spent(home)) == _without_nothing(month_to_date(taken, PLAIN))
    print(f"{len(done)} of {len(files)} damaged files taken, {len(refused)} refused")
    print("after each share:", *(f"{one.resident / MEGABYTE:.0f} MB and {one.descriptors} files" for one in vitals), sep="\n")
    # In the first half the caches fill, and what a day's refused files take to be judged; the second adds nothing to them.
    half = vitals[len(vitals) // 2]
    assert vitals[-1].descriptors <= half.descriptors + 2
    assert vitals[-1].resident <= half.resident + 4 * MEGABYTE


def test_damaged_files_in_the_folder_are_taken_or_refused_and_the_daemon_goes_on(quiet_home: Home) -> None:
    _through_the_folder(quiet_home, _files(count(), 160, whole=True), at_once=40)


@pytest.mark.long
def test_two_thousand_damaged_files_leave_the_daemon_as_it_was(quiet_home: Home) -> None:
    assert shutil.disk_usage(quiet_home.folder).free > 1 << 30
    _through_the_folder(quiet_home, _files(count(1_000_000), 2000, whole=False), at_once=250)
