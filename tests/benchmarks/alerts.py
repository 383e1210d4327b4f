"""How long it takes until everybody is told, on paper: one bill in which every workspace crosses three thresholds.

    python tests/benchmarks/alerts.py [--workspaces 10000]

Prints the time from the recorded bill to committed alerts and deliveries, and beside it, as the baseline, that of writing as
many bare rows with the standard library's sqlite3 under the same settings.
"""

from __future__ import annotations

import argparse
import gc
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

sys.path.insert(0, str(Path(__file__).parent.parent))

from spendwatch.cli import COLLECT_AFTER
from spendwatch.domain.merging import Held
from spendwatch.domain.money import Currency
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import AccountPolicy, ChannelName, Policies, Site, Threshold, WorkspacePolicy
from spendwatch.domain.statement import (
    AccountId,
    ChargeKind,
    DayContent,
    DayKey,
    Digest,
    Kind,
    SourceName,
    SpendRow,
    Stamp,
    Statement,
    TaxBasis,
    WorkspaceId,
)
from spendwatch.jobs.assess import assess
from spendwatch.jobs.conditions import Surroundings
from spendwatch.store.alert_book import AlertBook
from spendwatch.store.database import Database
from spendwatch.store.health_book import HealthBook
from spendwatch.store.ledger import Ledger
from spendwatch.store.opening import open_database

ZONE = ZoneInfo("Asia/Shanghai")
ACCOUNT = AccountId("1000000000000001")
NOW = datetime(2026, 9, 15, 4, 0, tzinfo=UTC)
MONTH = BillingPeriod(2026, 9)


class Day:
    """A day with one line for each workspace."""

    def __init__(self, workspaces: int) -> None:
        self.key = DayKey(ACCOUNT, MONTH, "consumedetailbillv2", date(2026, 9, 14))
        self.digest = Digest("0" * 64)
        self.lines = self.new = workspaces
        self.changed = self.gone = 0
        self.stamps = ()
        self._names = [WorkspaceId(f"llm-{number:012d}") for number in range(workspaces)]

    def chunk(self) -> bytes:
        return b""

    def rows(self) -> Iterator[SpendRow]:
        same = ("1200345", "qwen3.8-max", "output_token", "", "token_number", "sfm_inference_public_cn", "sfm", ACCOUNT, "")
        cost = Decimal("130.0000000001")
        return (SpendRow(name, *same, ChargeKind.USAGE, Currency("CNY"), cost, 1) for name in self._names)


def record(database: Database, workspaces: int) -> None:
    """Put the bill on record."""
    day = Day(workspaces)
    statement = Statement(
        digest=Digest("1" * 64),
        layout="bench",
        series="consumedetailbillv2",
        kind=Kind.UPSERT,
        tax_basis=TaxBasis.INCLUDED,
        accounts=(ACCOUNT,),
        periods=(MONTH,),
        lines=workspaces,
        data_until=NOW,
        exported_at=NOW,
        stamp=Stamp("20260915120000"),
        days=(DayContent(day.key, day.digest, workspaces),),
    )
    Ledger(database).record(statement, (day,), name="bench.csv", source=SourceName("inbox"), held=Held({}, ()), now=NOW)


def policies(workspaces: int) -> Policies:
    """Return a policy with three thresholds for each workspace."""
    thresholds = tuple(Threshold(share=Decimal(share)) for share in ("0.5", "0.8", "1"))
    finance = (ChannelName("finance"),)
    return Policies(
        accounts=(AccountPolicy(ACCOUNT, "bench", Site.CN, Currency("CNY"), channels=finance),),
        workspaces=tuple(
            WorkspacePolicy(WorkspaceId(f"llm-{number:012d}"), budget=Decimal(100), thresholds=thresholds, channels=finance)
            for number in range(workspaces)
        ),
        operators=finance,
        products=("sfm",),
        month_final_on=4,
    )


def bare_rows(folder: Path, workspaces: int) -> float:
    """Return how long bare inserts of as many rows of about the same size take."""
    connection = sqlite3.connect(folder / "bare.db")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE bare (id TEXT PRIMARY KEY, content TEXT)")
    started = time.perf_counter()
    with connection:
        connection.executemany("INSERT INTO bare VALUES (?, ?)", ((f"a{n:020d}", "x" * 300) for n in range(3 * workspaces)))
        connection.executemany("INSERT INTO bare VALUES (?, ?)", ((f"n{n:020d}", "x" * 1200) for n in range(workspaces)))
        connection.executemany("INSERT INTO bare VALUES (?, ?)", ((f"d{n:020d}", "x" * 200) for n in range(workspaces)))
    return time.perf_counter() - started


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspaces", type=int, default=10_000)
    count = parser.parse_args().workspaces
    with tempfile.TemporaryDirectory(prefix="spendwatch-bench-") as name:
        folder = Path(name)
        database = open_database(str(folder / "ledger.db"))
        record(database, count)
        around = Surroundings(policies(count), ZONE, {ChannelName("finance"): ("finops@example.com",)}, {})
        ledger, book, health = Ledger(database), AlertBook(database), HealthBook(database)
        gc.freeze()  # as the daemon does at its start
        gc.set_threshold(*COLLECT_AFTER)
        started = time.perf_counter()
        deliveries = assess(ledger, book, health, around, now=NOW)
        took = time.perf_counter() - started
        alerts = len(book.known())
        started = time.perf_counter()
        again = assess(ledger, book, health, around, now=NOW)
        idle = time.perf_counter() - started
        database.close()
        bare = bare_rows(folder, count)
    print(f"{count} workspaces: {alerts} alerts and {deliveries} deliveries committed in {took:.2f} s")
    print(f"bare rows, standard library: {bare:.2f} s   ours / bare: {took / bare:.1f}")
    print(f"judged again, nothing new ({again}): {idle:.2f} s")


if __name__ == "__main__":
    main()
