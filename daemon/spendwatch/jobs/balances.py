"""The balance of each account, from its configuration or last reading and the bills, and how long it will last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, tzinfo
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

from spendwatch.domain.balance import Billed, Position
from spendwatch.domain.balance_reading import BalanceReading, Origin, RecordedReading
from spendwatch.domain.errors import BalanceUnavailableError
from spendwatch.domain.failure import Failure
from spendwatch.domain.forecast import Runway, runway_of
from spendwatch.domain.health import BalanceHealth, Freshness
from spendwatch.domain.money import Money
from spendwatch.domain.outstanding import Charged, OutstandingDay, owed, settled_period
from spendwatch.domain.period import BillingPeriod, duration_text
from spendwatch.domain.policy import AccountPolicy, BalancePolicy, Policies
from spendwatch.domain.run_rate import TooEarly, TooOld
from spendwatch.domain.statement import AccountId
from spendwatch.jobs.ledger_view import LedgerView
from spendwatch.jobs.ports import Balances
from spendwatch.jobs.run_rates import RunRates

if TYPE_CHECKING:
    from spendwatch.domain.balance_watch import BalanceWatch


class Scanned(NamedTuple):
    """What is known of all balances at one moment."""

    balances: Mapping[AccountId, Position]
    health: Mapping[AccountId, BalanceHealth]
    watches: Mapping[AccountId, BalanceWatch]
    """As they were at the last look."""


def survey(
    policies: Policies,
    view: LedgerView,
    book: Balances | None,
    paces: RunRates,
    periods: Sequence[BillingPeriod],
    *,
    zone: tzinfo,
    now: datetime,
) -> Scanned:
    """Return what is known of all balances. Without a balance book only what the configuration says."""
    if not any(policy.balance for policy in policies.accounts):
        return Scanned({}, {}, {})
    paces.look_at_balances(view, policies, zone)
    latest = book.latest() if book else {}
    balances = balances_of(policies, view, periods, latest, zone=zone, now=now)
    return Scanned(balances, book.health() if book else {}, book.watches() if book else {})


def runway(
    policy: AccountPolicy, balance: Position, paces: RunRates, fresh: Freshness, *, zone: tzinfo
) -> Runway | TooEarly | TooOld:
    """Return how long the balance will probably last, down to each floor and to zero."""
    if balance.billed.until and fresh.is_too_old(policy.account, balance.billed.until):
        return TooOld(balance.billed.until)
    pace, until = paces.of_balance(policy.account), balance.net_until
    if isinstance(pace, TooEarly):
        return pace
    if until is None:
        return TooEarly(0)
    floors = policy.balance.floors if policy.balance else ()
    levels = [Money(floor, policy.currency) for floor in sorted(floors, reverse=True)]
    return runway_of(pace, balance.available, levels, data_until=until, zone=zone, today=fresh.now.astimezone(zone).date())


def balances_of(
    policies: Policies,
    view: LedgerView,
    periods: Sequence[BillingPeriod],
    latest: Mapping[AccountId, RecordedReading],
    *,
    zone: tzinfo,
    now: datetime,
) -> dict[AccountId, Position]:
    """Return the balance of every account whose balance is watched and of which anything is known."""
    watched = [(policy, policy.balance) for policy in policies.accounts if policy.balance]
    if not watched:
        return {}
    outstanding_days = view.owed(periods[0], now, zone)
    until = view.data_until(policies.products)
    found = {}
    for policy, wanted in watched:
        reading = _reading(policy, wanted, latest.get(policy.account), now)
        if reading is None:
            continue
        unsettled = partial(_in_month, view, policy, "unsettled")
        settled = settled_period(
            unsettled,
            outstanding_days,
            policy.account,
            oldest_open=periods[0],
            told_at=reading.as_of,
            now=now,
            zone=zone,
            final_on=policies.month_final_on,
        )
        since = _since(view, policy, reading, now.astimezone(zone).date(), zone)
        ordered = (_in_month(view, policy, "ordered", period) for period in periods)
        billed = Billed(
            current=unsettled(periods[-1]),
            previous=sum(map(unsettled, periods[:-1]), _owed(policy, outstanding_days, policies, zone, now)),
            since=Money(since.unsettled, policy.currency),
            until=until.get(policy.account),
            settled=settled,
            ordered=sum(ordered, Money.zero(policy.currency)) if reading.is_by_bills else Money(since.ordered, policy.currency),
            unseen=view.unseen(policy.account, policies.products, now.astimezone(zone).date()),
        )
        is_stale = wanted.stale_after is not None and now - reading.as_of > wanted.stale_after
        # Since when it is configured so is not known before that was noted once.
        is_dated = policy.account in latest or reading.origin is not Origin.MANUAL
        found[policy.account] = Position(reading, billed, is_stale=is_stale, is_dated=is_dated)
    return found


class ConfiguredBalance:
    """The configuration as the place where a balance is known: noted as any other reading, for its history."""

    def __init__(self, policy: AccountPolicy) -> None:
        """Say what this policy says."""
        self._policy = policy

    async def read(self, now: datetime) -> BalanceReading:
        """Return it."""
        wanted = self._policy.balance
        reading = manual_reading(self._policy, wanted, now) if wanted else None
        if reading is None:
            msg = "the configuration has no such balance"
            raise BalanceUnavailableError(msg, is_lasting=True)
        return reading


def manual_reading(policy: AccountPolicy, wanted: BalancePolicy, now: datetime) -> BalanceReading | None:
    """Return what the configuration says of the balance, if it says anything."""
    if wanted.cash is None:
        return None
    return BalanceReading(
        account=policy.account,
        currency=policy.currency,
        origin=Origin.MANUAL,
        as_of=now,
        read_at=now,
        cash=Money(wanted.cash, policy.currency),
        credit=Money(wanted.credit, policy.currency),
    )


def _reading(
    policy: AccountPolicy, wanted: BalancePolicy, recorded: RecordedReading | None, now: datetime
) -> BalanceReading | None:
    """Return what is known of the balance: as configured, with the time since when it is so, or as read last."""
    if manual := manual_reading(policy, wanted, now):
        is_known = recorded is not None and recorded.reading.says_the_same(manual)
        return replace(manual, as_of=recorded.since) if recorded is not None and is_known else manual
    # What was read in another currency is of no use here; the source's own trouble says so.
    return recorded.reading if recorded and recorded.reading.currency == policy.currency else None


def _mine(charged: Iterable[Charged], policy: AccountPolicy) -> Charged:
    mine = (one for one in charged if (one.account, one.currency) == (policy.account, policy.currency))
    return next(mine, Charged(policy.account, policy.currency))


def _in_month(view: LedgerView, policy: AccountPolicy, part: Literal["unsettled", "ordered"], period: BillingPeriod) -> Money:
    return Money(getattr(_mine(view.charged(period), policy), part), policy.currency)


def _owed(policy: AccountPolicy, days: Sequence[OutstandingDay], policies: Policies, zone: tzinfo, now: datetime) -> Money:
    return owed(days, policy.account, policy.currency, now=now, zone=zone, final_on=policies.month_final_on)


def _since(view: LedgerView, policy: AccountPolicy, reading: BalanceReading, today: date, zone: tzinfo) -> Charged:
    """Return what the bills charge on the days after that of the reading. That day itself is in part in it already."""
    total, day = Charged(policy.account, policy.currency), reading.as_of.astimezone(zone).date() + timedelta(days=1)
    if day <= today and reading.origin is not Origin.MANUAL:
        period, end = BillingPeriod(day.year, day.month), today + timedelta(days=1)
        while period.first_day < end:
            total += _mine(view.ledger.charged(period, (day, end)), policy)
            period = period.next()
    return total


def trouble_of(balance: Position | None, health: BalanceHealth | None, now: datetime) -> str:
    """Return why there is no fresh reading of a balance that is read somewhere, in words; empty where there is one."""
    if health and health.failing_since:
        return health.trouble
    if balance and balance.is_stale and balance.as_of:
        return f"the latest reading is {duration_text(now - balance.as_of)} old"
    if balance is None:
        return "no reading in the account's currency yet" if health else "not read yet"
    return ""


def cause_of(health: BalanceHealth | None) -> Failure | None:
    """Return the kind of failure that prevents reading a balance, where known."""
    return health.cause if health and health.failing_since else None
