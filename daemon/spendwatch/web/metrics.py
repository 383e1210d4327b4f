"""`/metrics` for Prometheus. Labels are accounts, workspaces, currencies, sources, channels and jobs: never API keys."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from spendwatch import __version__
from spendwatch.domain.errors import LedgerUnavailableError
from spendwatch.domain.forecast import Forecast, Runway
from spendwatch.domain.money import Money
from spendwatch.domain.policy import Severity
from spendwatch.jobs.overview import AccountOverview, Overview, WorkspaceLine
from spendwatch.jobs.running import Running
from spendwatch.jobs.vitals import Vitals
from spendwatch.web.reading import Reader

MOST_WORKSPACES = 500
"""Of an account; what the others spend is one row."""
OTHER, UNASSIGNED = "other", "unassigned"
_PREFIX = "spendwatch_"
_GRAPH = "For graphs: `spendwatch status` has it exactly. Aggregate by currency, never across."
_REST = f"Beyond {MOST_WORKSPACES} workspaces of an account the others are one, workspace='{OTHER}'."
_ACCOUNT, _WORKSPACE = ("account", "currency"), ("account", "workspace", "currency")
_FAMILY = TypeVar("_FAMILY", GaugeMetricFamily, CounterMetricFamily)
Labels = tuple[str, ...]


def metrics_route(reader: Reader, vitals: Vitals) -> Route:
    """Return the address that Prometheus scrapes."""
    registry = CollectorRegistry()
    registry.register(Metrics(reader, vitals))
    ProcessCollector(registry=registry)

    async def metrics(_: Request) -> Response:
        text = await reader.read(lambda: generate_latest(registry))
        return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})

    return Route("/metrics", metrics)


@dataclass(frozen=True, slots=True, eq=False)
class Metrics(Collector):
    """Reads everything at each scrape."""

    reader: Reader
    vitals: Vitals

    def describe(self) -> Iterable[Metric]:
        """Return nothing: names are not looked up before the first scrape."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield all families; where the ledger cannot be read, those that need none, and that."""
        build = GaugeMetricFamily(f"{_PREFIX}build_info", "Which program runs.", labels=("version", "python"))
        build.add_metric((__version__, platform.python_version()), 1)
        yield build
        yield from self._jobs()
        yield from self._configuration()
        try:
            overview, running = self.reader.overview()
            found = [*_spending(overview), *_service(overview, running), *self._channels()]
        except LedgerUnavailableError:
            found = []
        yield _gauge("ledger_up", "Whether the ledger can be read.", (), [((), float(bool(found)))])
        yield from found

    def _jobs(self) -> Iterator[Metric]:
        jobs = sorted(self.vitals.jobs.items())
        took = SummaryMetricFamily(f"{_PREFIX}task_duration_seconds", "How long rounds of a task took.", labels=("task",))
        for name, runs in jobs:
            took.add_metric((name,), runs.runs, runs.seconds)
        yield took
        failed = [((name,), float(runs.failures)) for name, runs in jobs]
        yield _counter("task_failures", "Rounds of a task that failed.", ("task",), failed)
        last = [((name,), runs.succeeded_at.timestamp()) for name, runs in jobs if runs.succeeded_at]
        yield _gauge("task_last_success_timestamp_seconds", "When a task last did a round.", ("task",), last)
        bills = [((result,), float(number)) for result, number in sorted(self.vitals.bills.items())]
        yield _counter("bills", "Bill files since the start: recorded, repeated, rejected or failed.", ("result",), bills)
        yield _counter("bill_lines", "Lines of bills recorded since the start.", (), [((), float(self.vitals.lines))])

    def _configuration(self) -> Iterator[Metric]:
        is_good = float(not self.reader.has_config_mistakes)
        yield _gauge("config_last_reload_successful", "Whether the configuration has no mistakes.", (), [((), is_good)])
        at = self.vitals.reloaded_at
        what = "When the configuration was last read without a mistake."
        yield _gauge("config_last_reload_success_timestamp_seconds", what, (), [((), at.timestamp())] if at else [])

    def _channels(self) -> Iterator[Metric]:
        health = {one.name: one for one in self.reader.store.health.channels()}
        names = sorted(self.reader.settings.channels)
        up = [((name,), float(not (name in health and health[name].failing_since))) for name in names]
        yield _gauge("channel_up", "Whether the channel took the last message.", ("channel",), up)


def _spending(overview: Overview) -> Iterator[Metric]:
    accounts = overview.accounts
    workspaces = [(account, *rows) for account in accounts for rows in _rows(account)]
    spend = [((one.name, one.currency), float(one.spend.amount)) for one in accounts]
    yield _gauge("account_month_to_date_spend", f"Spend of the month so far. {_GRAPH}", _ACCOUNT, spend)
    rows = [((account.name, label, account.currency), float(of.amount)) for account, label, of, _ in workspaces]
    yield _gauge("workspace_month_to_date_spend", f"The same of a workspace. {_GRAPH} {_REST}", _WORKSPACE, rows)
    lines = [((account.name, label, account.currency), line) for account, label, _, line in workspaces if line]
    for level, labels, of in (
        ("account", _ACCOUNT, [((a.name, a.currency), a) for a in accounts]),
        ("workspace", _WORKSPACE, lines),
    ):
        budgets = [(key, float(one.budget.amount)) for key, one in of if one.budget]
        yield _gauge(f"{level}_budget", f"Its budget for the month. {_GRAPH}", labels, budgets)
        used = [(key[:-1], float(one.used)) for key, one in of if one.used is not None]
        yield _gauge(f"{level}_budget_used_ratio", "Share of the budget that is spent.", labels[:-1], used)
        likely = [((*key, bound), amount) for key, one in of for bound, amount in _bounds(one.forecast)]
        what = f"What its budget will probably have counted at the end of the month. {_GRAPH}"
        yield _gauge(f"{level}_forecast_month_end_spend", what, (*labels, "bound"), likely)
    known = [(one, one.balance.available) for one in accounts if one.balance]
    balances = [((one.name, one.currency), float(amount.amount)) for one, amount in known]
    yield _gauge("account_available_balance", f"Cash and credit less what is unsettled. {_GRAPH}", _ACCOUNT, balances)
    left = [((one.name,), days * 86400.0) for one in accounts if (days := _runway(one)) is not None]
    yield _gauge("account_runway_seconds", "How long the balance will probably last.", ("account",), left)
    ages = [((one.name,), _seconds(overview.as_of - one.data_until)) for one in accounts if one.data_until]
    yield _gauge("account_data_age_seconds", "How old the latest charge in the bills is.", ("account",), ages)


def _service(overview: Overview, running: Running) -> Iterator[Metric]:
    up = [((source.name,), float(source.state == "ok")) for source in overview.sources]
    yield _gauge("source_up", "Whether the source can be read and gives bills in time.", ("source",), up)
    bills = [((source.name,), source.last_bill.timestamp()) for source in overview.sources if source.last_bill]
    yield _gauge("source_last_bill_timestamp_seconds", "When the source last gave a new bill.", ("source",), bills)
    firing = [((one.value,), float(sum(alert.severity is one for alert in overview.alerts))) for one in Severity]
    yield _gauge("alerts_firing", "Alerts that fire now.", ("severity",), firing)
    counts = [((channel, state.value), float(number)) for (channel, state), number in sorted(running.counts.items())]
    yield _gauge("deliveries", "Messages on record.", ("channel", "state"), counts)
    waits = _seconds(overview.as_of - running.next_due) if running.next_due and running.pending else 0.0
    yield _gauge("outbox_age_seconds", "For how long the oldest message is due that was not sent.", (), [((), waits)])
    trouble = running.health.ping if running.health else ""
    yield _gauge("heartbeat_ping_up", "Whether the monitoring service could be pinged last.", (), [((), float(not trouble))])
    evaluated = [((), running.health.beat_at.timestamp())] if running.health else []
    yield _gauge("last_evaluation_timestamp_seconds", "When everything was last evaluated.", (), evaluated)


def _rows(account: AccountOverview) -> Iterator[tuple[str, Money, WorkspaceLine | None]]:
    """Yield the workspaces, those with a budget first, then by spend; what is beyond the limit is one."""
    ordered = sorted(account.workspaces, key=lambda one: (one.budget is None, -one.spend.amount, one.workspace))
    for line in ordered[:MOST_WORKSPACES]:
        yield line.workspace or UNASSIGNED, line.spend, line
    if rest := ordered[MOST_WORKSPACES:]:
        yield OTHER, sum((line.spend for line in rest), start=Money.zero(account.currency)), None


def _bounds(forecast: Forecast | None) -> Iterator[tuple[str, float]]:
    for bound in ("low", "likely", "high") if forecast else ():
        yield bound, float(getattr(forecast, bound).amount)


def _runway(account: AccountOverview) -> int | None:
    return account.runway.zero.days if isinstance(account.runway, Runway) else None


def _seconds(age: timedelta) -> float:
    return max(age.total_seconds(), 0.0)


def _gauge(name: str, what: str, labels: Sequence[str], rows: Iterable[tuple[Labels, float]]) -> Metric:
    return _filled(GaugeMetricFamily(f"{_PREFIX}{name}", what, labels=labels), rows)


def _counter(name: str, what: str, labels: Sequence[str], rows: Iterable[tuple[Labels, float]]) -> Metric:
    return _filled(CounterMetricFamily(f"{_PREFIX}{name}", what, labels=labels), rows)


def _filled(family: _FAMILY, rows: Iterable[tuple[Labels, float]]) -> _FAMILY:
    for labels, value in rows:
        family.add_metric(labels, value)
    return family
