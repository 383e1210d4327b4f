"""How each account stands: by what was configured or read last, and by the bills. Never subtracts twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import partial

from spendwatch.domain.balance import AccountBalance, Billed, balance_from
from spendwatch.domain.balance_reading import BalanceReading, Origin, RecordedReading
from spendwatch.domain.errors import BalanceUnavailableError
from spendwatch.domain.money import EXACT, Money
from spendwatch.domain.owed import OwedDay, owed, settled_period
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import AccountPolicy, BalancePolicy, Policies
from spendwatch.domain.scope import Dimension
from spendwatch.domain.statement import AccountId
from spendwatch.jobs.ledger_view import Charged, LedgerView


def balances_of(
    policies: Policies,
    view: LedgerView,
    periods: Sequence[BillingPeriod],
    latest: Mapping[AccountId, RecordedReading],
    *,
    zone: tzinfo,
    now: datetime,
) -> dict[AccountId, AccountBalance]:
    """Return the balance of every account whose balance is watched and of which anything is known."""
    watched = [(policy, policy.balance) for policy in policies.accounts if policy.balance]
    if not watched:
        return {}
    owed_days = view.owed(periods[0], now, zone)
    until = view.data_until(policies.products)
    found = {}
    for policy, wanted in watched:
        reading = _reading(policy, wanted, latest.get(policy.account), now)
        if reading is None:
            continue
        charged = partial(_spent, view, policy)
        settled = settled_period(
            charged,
            owed_days,
            policy.account,
            oldest_open=periods[0],
            told_at=reading.as_of,
            now=now,
            zone=zone,
            final_on=policies.month_final_on,
        )
        billed = Billed(
            current=charged(periods[-1]),
            previous=sum(map(charged, periods[:-1]), _owed(policy, owed_days, policies, zone, now)),
            since=_since(view, policy, reading, now.astimezone(zone).date(), zone),
            until=until.get(policy.account),
            settled=settled,
        )
        is_stale = wanted.stale_after is not None and now - reading.as_of > wanted.stale_after
        balance = balance_from(reading, billed, is_stale=is_stale)
        # Since when it is configured so is not known before that was noted once.
        is_noted = policy.account in latest or reading.origin is not Origin.MANUAL
        found[policy.account] = balance if is_noted else replace(balance, as_of=None)
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
            msg = "the configuration says nothing of this balance"
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


def _charged(view: LedgerView, period: BillingPeriod, days: tuple[date, date]) -> Charged:
    sums = view.ledger.spend(period, (Dimension.ACCOUNT,), products=None, days=days)
    return {(one.values[Dimension.ACCOUNT], one.currency): one.amount for one in sums}


def _spent(view: LedgerView, policy: AccountPolicy, period: BillingPeriod) -> Money:
    return _of(view.charged(period), policy)


def _of(charged: Charged, policy: AccountPolicy) -> Money:
    return Money(charged.get((policy.account, policy.currency), Decimal(0)), policy.currency)


def _owed(policy: AccountPolicy, days: Sequence[OwedDay], policies: Policies, zone: tzinfo, now: datetime) -> Money:
    return owed(days, policy.account, policy.currency, now=now, zone=zone, final_on=policies.month_final_on)


def _since(view: LedgerView, policy: AccountPolicy, reading: BalanceReading, today: date, zone: tzinfo) -> Money:
    """Return what the bills charge on the days after that of the reading. That day itself is in part in it already."""
    total, day = Decimal(0), reading.as_of.astimezone(zone).date() + timedelta(days=1)
    if day <= today and reading.origin is not Origin.MANUAL:
        period, end = BillingPeriod(day.year, day.month), today + timedelta(days=1)
        while period.first_day < end:
            total = EXACT.add(total, _of(_charged(view, period, (day, end)), policy).amount)
            period = period.next()
    return Money(total, policy.currency)
