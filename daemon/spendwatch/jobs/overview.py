"""The overview for people: spend and budget, balance, alerts, sources; read from the ledger without any decision."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from spendwatch.domain.alert import Acknowledgement, Alert, AlertId
from spendwatch.domain.balance import Position
from spendwatch.domain.commodity import Category
from spendwatch.domain.cross_check import CrossCheck
from spendwatch.domain.discrepancy import Discrepancy
from spendwatch.domain.failure import Failure
from spendwatch.domain.forecast import Forecast, Runway
from spendwatch.domain.health import Freshness, ReadingProgress, SourceHealth
from spendwatch.domain.money import Currency, Money, share_of
from spendwatch.domain.period import BillingPeriod, Period, ShortPeriod, open_periods
from spendwatch.domain.policy import AccountPolicy, Policies, Severity
from spendwatch.domain.run_rate import TooEarly, TooOld
from spendwatch.domain.scope import AlertScope, BudgetScope, Counts, Dimension
from spendwatch.domain.series_selection import Unwatched, authorities, uncounted, unwatched
from spendwatch.domain.standing import SpendSum, Split, Standing, foreign_of, gravity, levels_of
from spendwatch.domain.statement import UNASSIGNED, AccountId, SourceName, WorkspaceId
from spendwatch.domain.usage import is_complete
from spendwatch.jobs.balances import Scanned, cause_of, runway, survey, trouble_of
from spendwatch.jobs.days_and_weeks import worst_now
from spendwatch.jobs.insight import Insight
from spendwatch.jobs.ledger_view import LedgerView
from spendwatch.jobs.matters import BalanceNow, Figures, MatterLine, matter_lines
from spendwatch.jobs.ports import AlertBook, Balances, Health, Ledger
from spendwatch.jobs.run_rates import RunRates, forecast
from spendwatch.jobs.standings import dimensions, stand

if TYPE_CHECKING:
    from spendwatch.domain.notification import Message

Place = tuple[AccountId, WorkspaceId | None]
"""An account, or one of its workspaces."""


class BudgetState(StrEnum):
    """How much of a budget is spent now. It depends on the spend alone, not on notifications or alerts."""

    NONE = "none"
    """There is no budget, and no amount that is watched for."""
    OK = "ok"
    """Less than three quarters of it are spent. A threshold below that is a notice, no warning."""
    WARNING = "warning"
    """Three quarters of it are spent, or an amount is reached where there is no budget."""
    CRITICAL = "critical"
    """It has reached the whole budget."""
    UNKNOWN = "unknown"
    """No bill of the month is on record, or bills have stopped: more may be spent than is known."""


class BudgetLine(NamedTuple):
    """One finer budget of a workspace or an account."""

    scope: BudgetScope
    name: str
    """As it is called within its workspace or account."""
    spend: Money
    """What it counts."""
    budget: Money | None
    used: Decimal | None
    mark: BudgetState
    """Of a day or a week that may still grow unknown, in place of ok."""
    period: Period
    """Of those for days or weeks, the one that stands worst of the latest two."""
    forecast: Forecast | None = None

    @property
    def is_so_far(self) -> bool:
        """Whether nothing is known but that it has not reached anything so far."""
        return self.scope.per.is_short and self.mark is BudgetState.UNKNOWN

    @property
    def counts(self) -> Counts:
        """What it counts."""
        return self.scope.counts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """What accounts and workspaces have in common."""

    name: str
    split: Split
    budget: Money | None
    counts: Counts
    """What the budget counts."""
    used: Decimal | None
    """The share of the budget that is spent, by what it counts."""
    mark: BudgetState
    """Of its budgets, finer ones included, that which stands worst."""
    own: BudgetState
    """The same of its own budget alone."""
    forecast: Forecast | None = None
    """What its budget will probably have counted at the end of this month; None where it is too early, and for other months."""
    budgets: tuple[BudgetLine, ...] = ()
    """Its finer budgets."""

    @property
    def spend(self) -> Money:
        """Everything that is charged."""
        return self.split.total


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceLine(_Place):
    """One row of an overview. The unassigned workspace has an empty id."""

    workspace: WorkspaceId
    lines: int
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOverview(_Place):
    """One account in one month."""

    account: AccountId
    currency: Currency
    foreign: tuple[Money, ...]
    workspaces: tuple[WorkspaceLine, ...]
    balance: Position | None
    data_until: datetime | None
    silence: timedelta | None
    """For how long no new bill of the account came, where that is too long."""
    is_too_old: bool
    """Whether its data are too old for a forecast or a runway."""
    lags: bool
    """Whether the figures are those of the billing API, which is late and leaves out what is not settled yet."""
    used_on: tuple[tuple[Category, date], ...] = ()
    """The latest day with usage of each category: they are billed at different paces."""
    uncounted: tuple[Discrepancy, ...] = ()
    """What series that do not count say of days that the one that counts does not have."""
    outside: tuple[Unwatched, ...] = ()
    """What its bills charge for products that are not watched, the largest amount first."""
    runway: Runway | TooEarly | TooOld | None = None
    """How long the balance lasts; None where there is none."""
    balance_trouble: str = ""
    """Why there is no fresh reading of the balance."""
    balance_cause: Failure | None = None
    """The kind of that failure, where known."""

    @property
    def is_balance_stale(self) -> bool:
        """Whether the balance is watched and its figures are too old, or missing."""
        return bool(self.balance_trouble) and (self.balance is None or self.balance.is_stale)


class SourceOverview(NamedTuple):
    """One place where bills come from."""

    name: SourceName
    type: str
    state: str
    """ok, stale or failing."""
    last_success: datetime | None
    last_bill: datetime | None
    trouble: str
    cause: Failure | None
    """The kind of failure, where the source knows it."""
    checks: tuple[CrossCheck, ...]
    """Its days beside the provider's own total of the month, where it asks for that."""


class Overview(NamedTuple):
    """Everything `status` shows."""

    as_of: datetime
    period: BillingPeriod
    accounts: tuple[AccountOverview, ...]
    alerts: tuple[Alert, ...]
    sources: tuple[SourceOverview, ...]
    readings: tuple[ReadingProgress, ...] = ()
    """Long bills that are being read just now."""
    notified: Mapping[AlertId, int] = {}
    """How many deliveries of each alert arrived."""
    undelivered: frozenset[AlertId] = frozenset()
    """Firing alerts whose notification reached nobody."""
    held: tuple[Message, ...] = ()
    """Messages that wait for quiet hours, a silence or the end of a storm."""
    matters: tuple[MatterLine, ...] = ()
    """The same alerts, one row for all that are about the same."""
    acknowledged: Mapping[AlertId, Acknowledgement] = {}
    """Who takes care of which of them."""
    is_of_now: bool = True
    """Whether the month is the current one. Balances are those of now, whatever the month."""

    @property
    def is_stale(self) -> bool:
        """Whether a source gives no bills, an account has none or no balance, so that no verdict is possible."""
        is_silent = any(source.state != "ok" for source in self.sources)
        is_blind = any(account.silence or not account.data_until for account in self.accounts)
        return is_silent or is_blind or any(account.is_balance_stale for account in self.accounts)

    @property
    def is_firing(self) -> bool:
        """Whether some alert fires."""
        return bool(self.alerts)


def look(
    ledger: Ledger,
    book: AlertBook,
    health: Health,
    policies: Policies,
    stale_after: Mapping[SourceName, timedelta],
    *,
    zone: tzinfo,
    now: datetime,
    period: BillingPeriod | None = None,
    types: Mapping[SourceName, str] | None = None,
    balances: Balances | None = None,
    insight: Insight | None = None,
) -> Overview:
    """Return the overview of one month; by default the current one. `types` tells of what kind each source is.

    All of it is of one state of the ledger. Without `balances` no balance is known but what is configured; `insight` spares
    reading again what did not change.
    """
    insight = insight or Insight()
    month = period or BillingPeriod.containing(now, zone)
    with LedgerView.opened(ledger, insight.kept) as view:
        known = insight.alerts(book)
        firing = known.firing()
        fresh = Freshness(now, stale_after, health.account_bills())
        is_of_now = month == BillingPeriod.containing(now, zone)
        seen = _Month(month, view, policies, insight.paces, fresh, zone, is_of_now)
        standings = _Standings.of(seen, {alert.key.scope for alert in firing if alert.key.period == month.label})
        accounts = _accounts(seen, standings, balances)
        sources = {source.name: source for source in health.sources()}
        checks, readings = ledger.checks(month), tuple(health.readings())
    firing = tuple(sorted(firing, key=lambda alert: (-alert.severity.rank, alert.since, alert.id)))
    notified = book.notified(alert.id for alert in firing)
    undelivered = frozenset(alert for one in book.undelivered() for alert in one.alerts) if firing else frozenset()
    acknowledged = {alert.id: said for alert in firing if (said := known.acknowledged(alert.key.matter, now))}
    by_scope = standings.by_scope | {one.watch.scope: one for one in standings.short}
    figures = Figures(by_scope, _likely(accounts), _balances(accounts) if is_of_now else {})
    return Overview(
        as_of=now,
        period=month,
        accounts=accounts,
        alerts=firing,
        sources=tuple(
            _source(name, sources.get(name), after, now)._replace(
                type=(types or {}).get(name, ""),
                checks=tuple(check for check in checks if check.source == name),
            )
            for name, after in stale_after.items()
        ),
        readings=readings,
        notified=notified,
        undelivered=undelivered,
        held=tuple(book.waiting()),
        matters=matter_lines(firing, figures, notified, undelivered, acknowledged),
        acknowledged=acknowledged,
        is_of_now=is_of_now,
    )


def _likely(accounts: Iterable[AccountOverview]) -> Mapping[AlertScope, Money]:
    """Return what each budget will probably have counted at the end of the month, where that is known."""
    found: dict[AlertScope, Money] = {}
    for account in accounts:
        lines: Sequence[AccountOverview | WorkspaceLine] = (account, *account.workspaces)
        for line in lines:
            place = line.workspace if isinstance(line, WorkspaceLine) else None
            own = BudgetScope(account.account, place, counts=line.counts)
            for scope, likely in ((own, line.forecast), *((one.scope, one.forecast) for one in line.budgets)):
                if likely:
                    found[scope] = likely.likely
    return found


def _balances(accounts: Iterable[AccountOverview]) -> Mapping[AccountId, BalanceNow]:
    return {
        one.account: BalanceNow(one.name or one.account, one.balance, one.runway if isinstance(one.runway, Runway) else None)
        for one in accounts
        if one.balance
    }


class _Month(NamedTuple):
    """One month of the ledger, seen at one moment."""

    period: BillingPeriod
    view: LedgerView
    policies: Policies
    paces: RunRates
    fresh: Freshness
    zone: tzinfo
    is_of_now: bool
    """Whether it is the current one."""

    def forecast(self, scope: BudgetScope, split: Split, until: datetime | None) -> Forecast | None:
        """Return what a budget of this scope will probably have counted at its end; other months are over."""
        if not self.is_of_now or scope.per.is_short:
            return None
        spent = split.counted(scope.counts)
        return forecast(self.paces, scope, spent, self.period, self.fresh, until=until, zone=self.zone)


class _Standings(NamedTuple):
    """Every watched budget of the month."""

    month: _Month
    by_scope: dict[AlertScope, Standing]
    by_place: Mapping[Place, Sequence[Standing]]
    short: Sequence[Standing]
    """Of each budget for days or weeks the one that stands worst now: that of yesterday, or of today."""
    seen: Container[WorkspaceId | None]
    """The workspaces that are watched in some account."""
    blind: Container[AccountId]
    """Accounts of which nothing is well: bills are missing."""

    @classmethod
    def of(cls, month: _Month, told: Collection[AlertScope]) -> _Standings:
        fresh, until = month.fresh, month.view.data_until(month.policies.products)
        started = datetime.combine(month.period.first_day, time(), month.zone)
        recorded = {total.series.account for total in month.view.totals(month.period)}
        blind = {
            policy.account
            for policy in month.policies.accounts
            if (until.get(policy.account, started) <= started and policy.account not in recorded)
            or (fresh.silence(policy.account) if month.is_of_now else policy.account not in recorded)
        }
        standings = stand(month.view, month.policies, month.period, told)
        by_place: dict[Place, list[Standing]] = {}
        for standing in standings:
            by_place.setdefault((standing.watch.scope.account, standing.watch.scope.workspace), []).append(standing)
        by_scope: dict[AlertScope, Standing] = {standing.watch.scope: standing for standing in standings}
        seen = {workspace for _, workspace in by_place}
        short = tuple(worst_now(month.view, month.policies, fresh.now)) if month.is_of_now else ()
        for standing in short:
            by_place.setdefault((standing.watch.scope.account, standing.watch.scope.workspace), []).append(standing)
        return cls(month, by_scope, by_place, short, seen, blind)

    def may_be_in(self, account: AccountId, workspace: WorkspaceId) -> bool:
        """Return whether a workspace that is pinned to no account turned up in this one, or in none so far."""
        return (account, workspace) in self.by_place or workspace not in self.seen

    def marks(self, account: AccountId, workspace: WorkspaceId | None = None) -> tuple[BudgetState, BudgetState]:
        """Return the mark of the budget that stands worst, finer ones included, and that of the place's own."""
        found = self.by_place.get((account, workspace), ())
        return self._worst(account, found), self._worst(account, [one for one in found if not _is_finer(one)])

    def finer(self, account: AccountId, workspace: WorkspaceId | None = None) -> tuple[BudgetLine, ...]:
        found = self.by_place.get((account, workspace), ())
        title = next((one.watch.name for one in found if not one.watch.scope.budget), "")
        return tuple(self._line(one, one.watch.name.removeprefix(f"{title}: ")) for one in found if _is_finer(one))

    def _line(self, one: Standing, name: str) -> BudgetLine:
        scope = one.watch.scope
        likely = self.month.forecast(scope, one.split, one.data_until)
        mark = self._worst(scope.account, [one])
        if isinstance(one.period, ShortPeriod):
            name = f"{f'{name}, ' if scope.budget else ''}{scope.per.adverb} {one.period.label}"
            mark = BudgetState.UNKNOWN if mark is BudgetState.NONE else mark
        return BudgetLine(scope, name, one.spend, one.watch.budget, one.used, mark, one.period, likely)

    def _worst(self, account: AccountId, standings: Iterable[Standing]) -> BudgetState:
        worst = max(map(_mark, standings), key=tuple(BudgetState).index, default=BudgetState.NONE)
        return BudgetState.UNKNOWN if account in self.blind and worst in {BudgetState.NONE, BudgetState.OK} else worst


def _accounts(month: _Month, standings: _Standings, balances: Balances | None) -> tuple[AccountOverview, ...]:
    view, policies, fresh, zone = month.view, month.policies, month.fresh, month.zone
    until = view.data_until(policies.products)
    periods = open_periods(fresh.now, zone, final_on=policies.month_final_on)
    surveyed = survey(policies, view, balances, month.paces, periods, zone=zone, now=fresh.now)
    if month.is_of_now:
        month.paces.look(view, policies, (one.watch for one in standings.by_scope.values()), zone)
    return tuple(_account(policy, month, surveyed, standings, until.get(policy.account)) for policy in policies.accounts)


def _account(
    policy: AccountPolicy, month: _Month, surveyed: Scanned, standings: _Standings, until: datetime | None
) -> AccountOverview:
    account, fresh, products = policy.account, month.fresh, month.policies.products
    sums = month.view.spend(month.period, dimensions(finer=False), products)
    mine = [spent for spent in sums if spent.values[Dimension.ACCOUNT] == account]
    split = Split.of(mine, policy.currency)
    budget = None if policy.budget is None else Money(policy.budget, policy.currency)
    totals = month.view.totals(month.period)
    balance, trouble, cause = surveyed.balances.get(account), "", None
    if policy.balance and policy.balance.cash is None:
        health = surveyed.health.get(account)
        trouble, cause = trouble_of(balance, health, fresh.now), cause_of(health)
    missing = uncounted(totals, products, authorities(totals, products))
    mark, own = standings.marks(account)
    return AccountOverview(
        account=account,
        name=policy.name,
        currency=policy.currency,
        split=split,
        budget=budget,
        counts=policy.counts,
        used=share_of(split.counted(policy.counts).amount, budget.amount) if budget else None,
        mark=mark,
        own=own,
        foreign=foreign_of(mine, policy.currency),
        workspaces=_workspaces(policy, month, mine, standings, until),
        balance=balance,
        data_until=until,
        silence=fresh.silence(account),
        is_too_old=fresh.is_too_old(account, until),
        lags=month.view.lagging(month.period, products).get(account, False),
        used_on=month.view.used_on(account, products),
        uncounted=tuple(one for one in missing if one.account == account),
        outside=tuple(one for one in unwatched(totals, products) if one.account == account),
        forecast=month.forecast(BudgetScope(account, counts=policy.counts), split, until),
        budgets=standings.finer(account),
        runway=runway(policy, balance, month.paces, fresh, zone=month.zone) if balance else None,
        balance_trouble=trouble,
        balance_cause=cause,
    )


def _workspaces(
    payer: AccountPolicy, month: _Month, mine: Sequence[SpendSum], standings: _Standings, until: datetime | None
) -> tuple[WorkspaceLine, ...]:
    spent: dict[WorkspaceId, list[SpendSum]] = {}
    for row in mine:
        if row.currency == payer.currency:
            spent.setdefault(WorkspaceId(row.values[Dimension.WORKSPACE]), []).append(row)
    known = {
        policy.workspace: policy
        for policy in month.policies.workspaces
        if policy.account == payer.account or (policy.account is None and standings.may_be_in(payer.account, policy.workspace))
    }
    found = []
    for workspace in (*spent, *(workspace for workspace in known if workspace not in spent)):
        rows, policy = spent.get(workspace, ()), known.get(workspace)
        split, counts = Split.of(rows, payer.currency), policy.counts if policy else Counts.ALL
        budget = Money(policy.budget, payer.currency) if policy and policy.budget is not None else None
        mark, own = standings.marks(payer.account, workspace)
        found.append(
            WorkspaceLine(
                workspace=workspace,
                name=(policy.name if policy else "") or month.policies.names.of(Dimension.WORKSPACE, workspace),
                split=split,
                budget=budget,
                counts=counts,
                used=share_of(split.counted(counts).amount, budget.amount) if budget else None,
                mark=mark,
                own=own,
                lines=sum(row.lines for row in rows),
                forecast=month.forecast(BudgetScope(payer.account, workspace, counts=counts), split, until),
                budgets=standings.finer(payer.account, workspace),
                owner=policy.owner if policy else "",
            )
        )
    return tuple(sorted(found, key=lambda line: (line.workspace == UNASSIGNED, -line.spend.amount, line.workspace)))


def _is_finer(standing: Standing) -> bool:
    """Return whether it has a row of its own."""
    return bool(standing.watch.scope.budget) or standing.watch.scope.per.is_short


def _mark(standing: Standing) -> BudgetState:
    watch = standing.watch
    if watch.budget is None and not levels_of(watch.thresholds, None):
        return BudgetState.NONE
    match gravity(standing):
        case None | Severity.NOTICE:
            # Bills of a day are late: more of it may come.
            may_grow = isinstance(standing.period, ShortPeriod) and not is_complete(standing.period, standing.data_until)
            return BudgetState.NONE if may_grow else BudgetState.OK
        case Severity.WARNING:
            return BudgetState.WARNING
        case Severity.CRITICAL:
            return BudgetState.CRITICAL


def _source(name: SourceName, health: SourceHealth | None, after: timedelta, now: datetime) -> SourceOverview:
    if health is None:
        return SourceOverview(name, "", "stale", None, None, "not looked at yet", None, ())
    state = "failing" if health.failing_since else "stale" if health.is_stale(now, after) else "ok"
    trouble = health.trouble if health.failing_since else f"no new bill for {health.silence(now)}" if state == "stale" else ""
    return SourceOverview(name, "", state, health.last_looked_at, health.last_bill_at, trouble, health.cause, ())
