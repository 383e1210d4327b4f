"""One state of the ledger for one round, so that no message mixes two; each value is read once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, NamedTuple, TypeVar

from spendwatch.domain.commodity import Category, Exposure, exposure_of
from spendwatch.domain.layouts import lags
from spendwatch.domain.novelty import ChargedValue, Learnt
from spendwatch.domain.outstanding import Charged, OutstandingDay, believed_since, earlier_periods
from spendwatch.domain.period import BillingPeriod, DaySpan, Period
from spendwatch.domain.policy import Policies
from spendwatch.domain.scope import AlertScope, Dimension
from spendwatch.domain.series_selection import DayTotal
from spendwatch.domain.standing import SpendSum, Standing
from spendwatch.domain.statement import AccountId, DayKey, WorkspaceId
from spendwatch.jobs.ports import Ledger

_PLANS_SEEN = timedelta(days=40)
"""A plan whose last order is older will have been seen to renew, or has ended."""

_PRODUCTS_SEEN = timedelta(days=62)
"""What was billed within two months is probably still in use."""

_BEGUN = timedelta(days=3)
"""So long the month before is looked at: not everything is billed by the minute, and a new month begins with little."""

Kept = Callable[[int], dict[Hashable, Any]]
"""Returns what is kept of that revision of the ledger."""

_T = TypeVar("_T")


class Stood(NamedTuple):
    """How every budget stood in a period, and what that rests on beside the ledger."""

    policies: Policies
    told: AbstractSet[AlertScope]
    found: tuple[Standing, ...]

    def is_of(self, policies: Policies, told: AbstractSet[AlertScope]) -> bool:
        """Return whether it is the same by these: to be told of what is watched anyway makes no difference."""
        extra = told - self.told
        return self.policies is policies and self.told <= told and extra <= {one.watch.scope for one in self.found}


class LedgerView:
    """The ledger as it was when the round began.

    The figures of whole months, which are few, are kept from round to round for as long as nothing is recorded.
    """

    def __init__(self, ledger: Ledger, kept: Kept) -> None:
        """See what is there now; `opened` makes sure that it stays so."""
        self.ledger = ledger
        self.revision = ledger.revision()
        self._read: dict[Hashable, Any] = {}
        self._kept = kept(self.revision)
        self.stood: dict[Period, Stood] = _known(self._kept, "stood", dict)

    @classmethod
    @contextmanager
    def opened(cls, ledger: Ledger, kept: Kept) -> Iterator[LedgerView]:
        """Hold one state of everything that this thread reads of the database. Be quick, and write afterwards."""
        with ledger.snapshot():
            yield cls(ledger, kept)

    def once(self, what: Hashable, read: Callable[[], _T]) -> _T:
        """Return what is read, or was read before in this round."""
        return _known(self._read, what, read)

    def spend(self, period: Period, by: tuple[Dimension, ...], products: tuple[str, ...]) -> Sequence[SpendSum]:
        """Return the period's exact sums by these dimensions and the currency; of a week those of each of its months."""
        if isinstance(period, BillingPeriod):
            return self.once(("spend", period, by, products), lambda: self.ledger.spend(period, by, products=products))
        return _known(self._kept, ("spend", period, by, products), lambda: spend_within(self.ledger, period.span, by, products))

    def days(self, periods: Sequence[BillingPeriod], products: Sequence[str]) -> Mapping[DayKey, int]:
        """Return each day with lines that count for these products, and the revision that made it what it is."""

        def read() -> Mapping[DayKey, int]:
            counting = {period: self.counting(period, products) for period in periods}
            days = self.ledger.days(periods)
            return {key: one for key, one in days.items() if counting[key.period].get(key.account) == key.series}

        return _known(self._kept, ("days", tuple(periods), tuple(products)), read)

    def totals(self, period: BillingPeriod) -> Sequence[DayTotal]:
        """Return what every series says of that period, by day and product."""
        return _known(self._kept, ("totals", period), lambda: self.ledger.totals(period))

    def counting(self, period: BillingPeriod, products: Sequence[str] | None) -> Mapping[AccountId, str]:
        """Return for each account the series of that period that counts for these products."""
        place = ("counting", period, None if products is None else tuple(products))
        return _known(self._kept, place, lambda: self.ledger.counting(period, products))

    def data_until(self, products: Sequence[str] | None) -> Mapping[AccountId, datetime]:
        """Return up to when each account's bills reach."""
        place = ("data until", None if products is None else tuple(products))
        return _known(self._kept, place, lambda: self.ledger.data_until(products))

    def learnt(self) -> Sequence[Learnt]:
        """Return from where on something new is reported."""
        return self.once("learnt", self.ledger.learnt)

    def charged_values(self) -> Sequence[ChargedValue]:
        """Return what came on record for each account since anything new of it is reported, and the models once free."""
        since: dict[AccountId, int] = {}
        for one in self.learnt():
            since[one.account] = min(one.revision, since.get(one.account, one.revision))
        place = ("charged values", tuple(sorted(since.items())))
        return _known(self._kept, place, lambda: self.ledger.charged_values(since))

    def used_on(self, account: AccountId, products: Sequence[str]) -> tuple[tuple[Category, date], ...]:
        """Return the categories that the account used lately, each with the latest day, the latest first."""
        found = _known(self._kept, ("used on", tuple(products)), lambda: self.ledger.used_on(products))
        mine = ((category, day) for (owner, category), day in found.items() if owner == account)
        return tuple(sorted(mine, key=lambda one: (-one[1].toordinal(), one[0])))

    def unseen(self, account: AccountId, products: Sequence[str], today: date) -> tuple[str, ...]:
        """Return the products charged for lately of which the bills of the month, that are only of these, hold nothing."""
        begun = today - _BEGUN
        period = BillingPeriod(begun.year, begun.month)
        by = (Dimension.ACCOUNT, Dimension.PRODUCT)
        sums = _known(self._kept, ("products", period), lambda: self.ledger.spend(period, by, products=None))
        now = {one.values[Dimension.PRODUCT] for one in sums if one.values[Dimension.ACCOUNT] == account}
        if not now or not now <= set(products):
            return ()
        since = today - _PRODUCTS_SEEN
        known = _known(self._kept, ("products since", since), lambda: self.ledger.products_since(since))
        return tuple(sorted(known.get(account, frozenset()) - set(products)))

    def owed(self, oldest_open: BillingPeriod, now: datetime, zone: tzinfo) -> Sequence[OutstandingDay]:
        """Return what the bills of the months before the open ones show as not paid."""
        place, since = ("owed", oldest_open, now.astimezone(zone).date()), believed_since(now)
        return _known(self._kept, place, lambda: self.ledger.owed(earlier_periods(oldest_open), since))

    def charged(self, period: BillingPeriod) -> Sequence[Charged]:
        """Return what was charged in that month, all products."""
        return _known(self._kept, ("charged", period), lambda: self.ledger.charged(period))

    def exposure(self, account: AccountId, today: date) -> Exposure:
        """Return what the account has to fear from being overdue, by its bills of the last forty days."""
        since = today - _PLANS_SEEN
        charges = _known(self._kept, ("charges", since), lambda: self.ledger.recent_charges(since))
        return exposure_of(charges.get(account, frozenset()))

    def lagging(self, period: BillingPeriod, products: Sequence[str]) -> Mapping[AccountId, bool]:
        """Return of each account whether its figures are those of the billing API, which is late.

        Where a month has just begun, those of the one before tell.
        """

        def read() -> Mapping[AccountId, bool]:
            series = {**self.counting(period.previous(), products), **self.counting(period, products)}
            return {account: lags(one) for account, one in series.items()}

        return self.once(("lagging", period), read)


def spend_within(
    ledger: Ledger,
    span: DaySpan,
    by: Sequence[Dimension],
    products: Sequence[str] | None,
    workspaces: Collection[WorkspaceId] | None = None,
) -> tuple[SpendSum, ...]:
    """Return the exact sums of some days by these dimensions and the currency, month by month."""
    return tuple(
        spent
        for month in span.months
        for spent in ledger.spend(month, by, products=products, days=span.within(month), workspaces=workspaces)
    )


def _known(known: dict[Hashable, Any], what: Hashable, read: Callable[[], _T]) -> _T:
    if what not in known:
        known[what] = read()
    found: _T = known[what]
    return found
