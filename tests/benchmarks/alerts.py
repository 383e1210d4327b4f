"""How long it takes until everybody is told, on paper: one bill in which every workspace crosses three thresholds.

    python tests/benchmarks/alerts.py [--workspaces 10000] [--history 0] [--each] [--daily] [--five]

Prints the time from the recorded bill to committed alerts and deliveries, and beside it, as the baseline, that of writing as
many bare rows with the standard library's sqlite3 under the same settings. With days of history, every workspace also has a
threshold for its forecast; printed is, too, how long a round takes after the next day's bill, in which all of them are told.
With --each there is one rule, `for_each: api_key`, and as many keys as there were workspaces. With --daily the budgets are
for each day instead of for the month. With --five every workspace has five conditions of which none holds (thresholds, a
forecast, a day's budget, a week's budget, a spike): printed is how long a round takes if nothing is new, and if a bill brought
something for all of them, once with one line a day and workspace, once with ten. Processor time stands in brackets: on a
shared machine it says more.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

sys.path.extend(str(Path(__file__).parents[1] / room) for room in (".", "builders", "fakes", "servers", "fuzz"))

from spendwatch.domain.money import Currency
from spendwatch.domain.period import BillingPeriod, PeriodKind
from spendwatch.domain.policy import AccountPolicy, ChannelName, FinerBudget, Policies, Site, Threshold, WorkspacePolicy
from spendwatch.domain.review import Verdict
from spendwatch.domain.scope import Match
from spendwatch.domain.statement import Version, WorkspaceId
from spendwatch.jobs.assess import assess
from spendwatch.jobs.conditions import Surroundings
from spendwatch.jobs.insight import Insight
from spendwatch.schedule import keep_for_life
from spendwatch.store.alert_book import AlertBook
from spendwatch.store.balance_book import BalanceBook
from spendwatch.store.database import Database
from spendwatch.store.health_book import HealthBook
from spendwatch.store.ledger import Ledger
from spendwatch.store.opening import open_database
from store_builders import ACME, Day, key, record, row

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 9, 15, 4, 0, tzinfo=UTC)
TODAY = date(2026, 9, 14)


def enter(
    database: Database, count: int, day: date = TODAY, cost: str = "130.0000000001", until: datetime = NOW, *, lines: int = 1
) -> None:
    """Put the bill of a day on record, with so many lines for each workspace."""
    names = [WorkspaceId(f"llm-{number:012d}") for number in range(count)]
    rows = tuple(row(cost, workspace=name, api_key=name, type="output_token", channel="", lines=lines) for name in names)
    found = Day(key(day.day, period=BillingPeriod(day.year, day.month)), rows, new=count * lines)
    record(Ledger(database), day, found, version=Version(until), data_until=until, exported_at=until)


def policies(workspaces: int, *, with_forecast: bool, by_rule: bool, daily: bool = False) -> Policies:
    """Return three thresholds for each workspace, and one for its forecast; or one rule with these for each API key."""
    thresholds = tuple(Threshold(share=Decimal(share)) for share in ("0.5", "0.8", "1"))
    if with_forecast:
        thresholds += (Threshold(share=Decimal("1.5"), is_forecast=True),)
    finance = (ChannelName("finance"),)
    per = PeriodKind.DAY if daily else PeriodKind.MONTH
    each = FinerBudget("key", Match(), Decimal(100), thresholds, for_each="api_key", per=per)
    budget = None if daily else Decimal(100)
    own = (FinerBudget("", Match(), Decimal(100), thresholds, per=per),) if daily else ()
    monthly = () if daily else thresholds
    return Policies(
        accounts=(
            AccountPolicy(ACME, "bench", Site.CN, Currency("CNY"), channels=finance, budgets=(each,) if by_rule else ()),
        ),
        workspaces=()
        if by_rule
        else tuple(
            WorkspacePolicy(WorkspaceId(f"llm-{number:012d}"), budget=budget, thresholds=monthly, budgets=own, channels=finance)
            for number in range(workspaces)
        ),
        operators=finance,
        products=("sfm",),
        month_final_on=4,
    )


def five_conditions(workspaces: int) -> Policies:
    """Return thresholds, a forecast, a budget for the day, one for the week and a spike for each workspace."""
    ahead = Threshold(share=Decimal("1.5"), is_forecast=True)
    short = tuple(
        FinerBudget("", Match(), Decimal(100), (Threshold(share=Decimal(1)),), per=per)
        for per in (PeriodKind.DAY, PeriodKind.WEEK)
    )
    found = policies(workspaces, with_forecast=False, by_rule=False)
    each = (replace(one, thresholds=(*one.thresholds, ahead), budgets=short, spike=Decimal(50)) for one in found.workspaces)
    return found._replace(workspaces=tuple(each))


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


class Timed:
    """The time that passes, on the wall and on the processor."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def __str__(self) -> str:
        return f"{time.perf_counter() - self._wall:.2f} s ({time.process_time() - self._processor:.2f} s)"


class TimedBook(AlertBook):
    """The alert book, and when in a round its first commit was done."""

    def __init__(self, database: Database, started: Timed) -> None:
        super().__init__(database)
        self._started = started
        self.first = ""

    def commit(self, verdict: Verdict, targets: Mapping[ChannelName, Sequence[str]], *, now: datetime) -> int:
        new = super().commit(verdict, targets, now=now)
        self.first = self.first or str(self._started)
        return new


class Bench:
    """A ledger, and rounds that judge it by some policies."""

    def __init__(self, database: Database, wanted: Policies) -> None:
        self._around = Surroundings(wanted, ZONE, {ChannelName("finance"): ("finops@example.com",)}, {})
        self._database, self._insight = database, Insight()
        self._ledger, self._health, self._balances = Ledger(database), HealthBook(database), BalanceBook(database)
        keep_for_life()

    def round_at(self, now: datetime) -> tuple[TimedBook, int, str]:
        """Return the book of one round, how many deliveries are new, and what it took."""
        started = Timed()
        book = TimedBook(self._database, started)
        new = assess(self._ledger, book, self._health, self._around, now=now, balances=self._balances, insight=self._insight)
        return book, new, str(started)


def crossing(database: Database, count: int, history: int, wanted: Policies) -> None:
    """Print how long it takes if every workspace crosses all of its thresholds in one bill."""
    for back in range(history, 0, -1):
        enter(database, count, TODAY - timedelta(days=back), "1.25")
    enter(database, count)
    bench = Bench(database, wanted)
    book, deliveries, whole = bench.round_at(NOW)
    alerts = len(book.known())
    _, again, idle = bench.round_at(NOW)
    print(f"{count} workspaces: {alerts} alerts and {deliveries} deliveries committed in {book.first}, the round took {whole}")
    print(f"judged again, nothing new ({again}): {idle}")
    if history:
        later = NOW + timedelta(days=1)
        enter(database, count, TODAY + timedelta(days=1), "2.5", later)
        _, told, took = bench.round_at(later)
        print(f"the next day: {told} forecasts told in {took}")
        print(f"judged again: {bench.round_at(later)[2]}")


def quiet(database: Database, count: int, lines: int) -> None:
    """Print how long it takes if five conditions of every workspace are judged, of which none holds."""
    for back in range(14, -1, -1):
        enter(database, count, TODAY - timedelta(days=back), "1.25", NOW - timedelta(days=back), lines=lines)
    bench, later = Bench(database, five_conditions(count)), NOW + timedelta(days=1)
    _, told, first = bench.round_at(NOW)
    again = bench.round_at(NOW + timedelta(minutes=30))[2]
    enter(database, count, TODAY + timedelta(days=1), "1.25", later, lines=lines)
    after = bench.round_at(later)[2]
    print(f"{count} workspaces with 5 conditions, {15 * count * lines} lines: {told} deliveries, the first round took {first}")
    print(f"judged again, nothing new: {again}")
    print(f"after a bill with news of each: {after}")


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspaces", type=int, default=10_000)
    parser.add_argument("--history", type=int, default=0)
    for name in ("--each", "--daily", "--five"):
        parser.add_argument(name, action="store_true")
    given = parser.parse_args()
    count, history = given.workspaces, given.history
    with tempfile.TemporaryDirectory(prefix="spendwatch-bench-") as name:
        folder = Path(name)
        for lines in (1, 10) if given.five else ():
            database = open_database(str(folder / f"{lines}.db"))
            quiet(database, count, lines)
            database.close()
        if given.five:
            return
        wanted = policies(count, with_forecast=bool(history) and not given.daily, by_rule=given.each, daily=given.daily)
        database = open_database(str(folder / "ledger.db"))
        crossing(database, count, history, wanted)
        database.close()
        print(f"bare rows, standard library: {bare_rows(folder, count):.2f} s")


if __name__ == "__main__":
    main()
