"""Hands damaged bill files to the reader, one after the other, and judges what it makes of each.

`PYTHONPATH=tests:tests/builders python tests/fuzz/damaged_bills.py --first 0 --count 100000` tells what became of them. It
stops at the first surprise and names its seed: `--first 4711 --count 1` shows that one again.
"""

from __future__ import annotations

import argparse
import csv
import faulthandler
import multiprocessing
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from bill_builder import ACCOUNT
from mischief import Damaged, damaged
from oracle import Hints, Sums, month_to_date, spend_by_tags
from small_ledger import Copies
from spendwatch.domain.errors import UnreadableBillError
from spendwatch.domain.money import Currency
from spendwatch.domain.statement import AccountId, ReadingHints
from verdicts import Bench

CURRENCIES = {ACCOUNT: "CNY", "5000000000000003": "USD"}
HINTS = ReadingHints({AccountId(account): Currency(code) for account, code in CURRENCIES.items()}, account=AccountId(ACCOUNT))
PLAIN = Hints(CURRENCIES, ACCOUNT)

TOO_LONG = 10.0
"""So many seconds a small file must never take."""

HANGS = 60.0
"""After so many seconds the process shows where it stands, and ends."""

_ERRORS = 2
"""Standard error itself, whatever captures what is said there."""

_SHARE = 1000
"""How many files a worker takes at once."""


class SurpriseError(AssertionError):
    """The reader did what it never should."""


@dataclass
class Figures:
    """What became of the files."""

    equal: int = 0
    """Taken, and the oracle says the same."""
    refused: int = 0
    cautious: int = 0
    """Refused, though the oracle would have taken it: that is no fault."""
    slowest: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, other: Figures) -> None:
        """Take in what became of others."""
        self.equal += other.equal
        self.refused += other.refused
        self.cautious += other.cautious
        self.slowest = max(self.slowest, other.slowest)
        self.reasons += other.reasons

    def __str__(self) -> str:
        """Return them as one line."""
        count = self.equal + self.refused
        return (
            f"{count} damaged files: {self.equal} taken, each as the oracle says; {self.refused} refused with a reason "
            f"({len(self.reasons)} different ones; {self.cautious} of these files the oracle would take); "
            f"the slowest took {self.slowest * 1000:.0f} ms"
        )


def truth(case: Damaged) -> Sums | None:
    """Return what the oracle says, or None if it refuses."""
    try:
        return month_to_date([case.plainly], PLAIN)
    except (ValueError, KeyError, csv.Error, RecursionError):
        return None


def judge(seed: int, bench: Bench, figures: Figures) -> None:
    """Hand one file over; a surprise raises `SurpriseError`."""
    case = damaged(seed)
    began = time.perf_counter()
    try:
        said = bench.sums(case.name, case.content)
    except BaseException as error:
        raise _surprise(seed, case, f"the reader raised {error!r}") from error
    took = time.perf_counter() - began
    figures.slowest = max(figures.slowest, took)
    if took > TOO_LONG:
        raise _surprise(seed, case, f"it took {took:.1f} s")
    expected = truth(case)
    if isinstance(said, UnreadableBillError):
        figures.refused += 1
        figures.cautious += expected is not None
        figures.reasons[_sort_of(said)] += 1
    elif said != expected:
        raise _surprise(seed, case, f"the reader says {_shown(said)}, and the oracle {_shown(expected)}")
    elif bench.by_tags is not None and bench.by_tags != (tagged := spend_by_tags(case.plainly, PLAIN)):
        raise _surprise(seed, case, f"by tags the reader says {dict(bench.by_tags)}, and the oracle {tagged}")
    else:
        figures.equal += 1


def _surprise(seed: int, case: Damaged, what: str) -> SurpriseError:
    mishaps = ", ".join(case.mishaps) or "nothing"
    return SurpriseError(f"seed {seed}, {case.name!r} after {mishaps}: {what}\n{case.content[:3000]!r}")


def _shown(sums: Sums | None) -> str:
    return "nothing, it refuses" if sums is None else str({" ".join(key): str(amount) for key, amount in sums.items()})


def _sort_of(refused: UnreadableBillError) -> str:
    """Return a refusal without what is particular to the file."""
    reason = refused.refusals[0].reason.partition(":")[0].partition("'")[0]
    return "".join("#" if char.isdigit() else char for char in reason)[:60]


def judged(first: int, count: int, *, workers: int) -> Iterator[tuple[range, Figures]]:
    """Judge so many files in several processes; yield what became of them, in parts, in their order."""
    starts = range(first, first + count, _SHARE)
    shares = [range(start, min(start + _SHARE, first + count)) for start in starts]
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    try:
        futures = [pool.submit(taken, share) for share in shares]
        for share, future in zip(shares, futures, strict=True):
            try:
                yield share, future.result()
            except BrokenProcessPool as error:
                last = share.stop + _SHARE * (workers - 1)
                msg = f"the reader ended its process, or hung in it, at one of the seeds {share.start} to {last}"
                raise SurpriseError(msg) from error
    finally:
        pool.shutdown(cancel_futures=True)


def taken(seeds: range) -> Figures:
    """Judge these in this process; when it hangs in one of them it shows where, and ends."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place), HINTS)
        for seed in seeds:
            faulthandler.dump_traceback_later(HANGS, exit=True, file=_ERRORS)
            try:
                judge(seed, bench, figures)
            finally:
                faulthandler.cancel_dump_traceback_later()
    return figures


def taken_together(seeds: range, *, orders: int) -> int:
    """Enter what is taken of these into one ledger, in several orders, some of it twice; return how many files that is."""
    copies, found = Copies(HINTS), []
    for seed in seeds:
        case = damaged(seed).within(f"s{seed}")
        with suppress(UnreadableBillError):
            copies.entered([(case.name, case.content)])
            found.append(case)
    expected = month_to_date([case.plainly for case in found], PLAIN)
    dice = Random(seeds.start)  # noqa: S311 -- the same orders every time
    for _ in range(orders):
        order = found + dice.choices(found, k=len(found) // 5)
        dice.shuffle(order)
        said = copies.entered((case.name, case.content) for case in order).sums()
        if said != expected:
            msg = (
                f"the taken ones of seeds {seeds.start} to {seeds.stop - 1}: {_shown(said)}, and the oracle {_shown(expected)}"
            )
            raise SurpriseError(msg)
    return len(found)


def main() -> None:
    """Judge what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    total, began = Figures(), time.monotonic()
    for seeds, figures in judged(options.first, options.count, workers=options.workers):
        total.add(figures)
        if seeds.stop % (_SHARE * 50) == 0:
            print(f"up to seed {seeds.stop - 1}, after {time.monotonic() - began:.0f} s: {total}", flush=True)
    print(f"seeds {options.first} to {options.first + options.count - 1}: {total}")
    for reason, count in total.reasons.most_common():
        print(f"{count:8} {reason}")


if __name__ == "__main__":
    main()
