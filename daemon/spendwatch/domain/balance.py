"""The available balance of an account, term by term: computed by the product's formula beside the provider's figure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import combinations
from typing import NamedTuple

from spendwatch.domain.balance_reading import BalanceReading
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.outstanding import SettledPeriod

TOLERANCE = Decimal("0.06")
"""By so much two figures of one balance may differ: each of the formula's terms is rounded to a cent somewhere."""


class Explanation(StrEnum):
    """Why what the provider reports is not what the product's formula gives."""

    CREDIT_REFUND = "credit_refund"
    """The provider counts credit refunds in."""
    BANK_ACCEPTANCE = "bank_acceptance"
    NEGATIVE_BILL = "negative_bill"
    OTHER_CURRENCIES = "other_currencies"
    """Some of the cash is in other currencies, at an unknown rate."""
    RESELLER_QUOTA = "reseller_quota"
    """The account lives on a reseller's quota, to which the formula does not apply."""


class Difference(NamedTuple):
    """What is reported, less what the formula gives, and what explains it; empty: nothing that is known."""

    amount: Money
    explained_by: tuple[Explanation, ...]


@dataclass(frozen=True, slots=True)
class Billed:
    """What the bills say of an account, for its balance. All products count."""

    current: Money
    """Unsettled of this month."""
    previous: Money
    """Unsettled of earlier months, as far as is known."""
    since: Money
    """Charged on the days after that of the reading, and unsettled."""
    until: datetime | None
    """Up to when there are bills."""
    settled: SettledPeriod | None = None
    """The last month that counts as settled."""
    ordered: Money | None = None
    """Charged in that time for subscriptions, and paid when they were ordered."""
    unseen: tuple[str, ...] = ()
    """Products that were billed lately, and that recent bills may leave out."""


@dataclass(frozen=True, slots=True)
class Position:
    """How an account stands now: its last reading, and what the bills say.

    Where the reading tells what is available, or what is unsettled, the bills take nothing off it again; only what they
    charge on later days does. Else everything unsettled comes from the bills.
    """

    reading: BalanceReading
    billed: Billed
    is_stale: bool = False
    """Nothing newer came for too long."""
    is_dated: bool = True
    """Whether it is known since when the reading holds: of one that is configured, once that was noted."""

    @property
    def currency(self) -> Currency:
        """The currency of every term but cash in other ones."""
        return self.reading.currency

    @property
    def as_of(self) -> datetime | None:
        """The moment that cash and credit, and whatever else is not from bills, hold for."""
        return self.reading.as_of if self.is_dated else None

    @property
    def is_by_bills(self) -> bool:
        """Whether what is unsettled comes from the bills, and from nowhere else."""
        return self.reading.is_by_bills

    @property
    def unsettled_current(self) -> Money | None:
        """What is unsettled of this month."""
        return self.billed.current if self.is_by_bills else self.reading.unsettled_current

    @property
    def unsettled_previous(self) -> Money | None:
        """What is unsettled of earlier months."""
        return self.billed.previous if self.is_by_bills else self.reading.unsettled_previous

    @property
    def spent_since(self) -> Money | None:
        """What the bills charge on the days after the reading: it cannot know of it."""
        return self.billed.since if not self.is_by_bills and self.billed.since.amount > 0 else None

    @property
    def settled(self) -> SettledPeriod | None:
        """The last month whose charges are no longer subtracted, because it is final: bills do not show payments."""
        return self.billed.settled if self.is_by_bills else None

    @property
    def unseen(self) -> tuple[str, ...]:
        """Products billed lately of which recent bills hold nothing: if these are filtered, too little is subtracted."""
        return self.billed.unseen if self.is_by_bills else ()

    @property
    def paid_at_order(self) -> Money | None:
        """What the bills charge for subscriptions, less refunds: paid when ordered, and therefore not subtracted."""
        return self.billed.ordered if self.billed.ordered and self.billed.ordered.amount else None

    @property
    def unsettled(self) -> Money | None:
        """Everything used and not yet paid; where the source gives no such sum, the difference of the terms that it gives."""
        if self.unsettled_current is not None and self.unsettled_previous is not None:
            return self.unsettled_current + self.unsettled_previous
        return self.reading.unsettled_both or self._derived

    @property
    def is_derived(self) -> bool:
        """Whether what is unsettled was only reckoned back from what is reported."""
        told = self.unsettled_current is not None and self.unsettled_previous is not None
        return not told and self.reading.unsettled_both is None and self._derived is not None

    @property
    def funds(self) -> Money | None:
        """Cash, credit limit and credit refunds: what rises at a top-up, and not by a bill that is corrected."""
        return None if self._means is None else self._means + (self.reading.credit_refund or self._zero)

    @property
    def computed(self) -> Money | None:
        """(cash + credit limit) − (unsettled this month + unsettled previous months); None where it is unknown."""
        if self._means is None or self.reading.is_reseller_quota or (unsettled := self.unsettled) is None:
            return None
        return self._means - unsettled

    @property
    def net(self) -> Money:
        """What could be spent at the moment of the reading: of the two figures, the lower."""
        figures = [figure for figure in (self.computed, self.reading.reported) if figure is not None]
        if not figures:
            msg = "a balance of which nothing follows"
            raise ValueError(msg)
        return min(figures)

    @property
    def available(self) -> Money:
        """What may still be spent, less what the bills charge on later days: never more than is sure."""
        return self.net if self.spent_since is None else self.net - self.spent_since

    @property
    def is_overdue(self) -> bool:
        """The provider calls an account overdue when available is below zero."""
        return self.available.amount < 0

    @property
    def is_before_settlement(self) -> bool:
        """Whether cash is as it was before a month counted as settled, so that its payment may not be taken off yet."""
        return self.settled is not None and self.as_of is not None and self.as_of < self.settled.at

    @property
    def net_until(self) -> datetime | None:
        """Up to when charges are subtracted from `available`."""
        if self.is_by_bills or self.as_of is None:
            return self.billed.until
        if self.spent_since and self.spent_since.amount and self.billed.until:
            return max(self.as_of, self.billed.until)
        return self.as_of

    @property
    def difference(self) -> Difference | None:
        """What is reported less what the formula gives, if it is more than cents, or the formula does not apply."""
        if self.reading.is_reseller_quota and self.reading.reported is not None:
            return Difference(self._zero, (Explanation.RESELLER_QUOTA,))
        if self.reading.reported is None or self.is_derived or (computed := self.computed) is None:
            return None
        amount = self.reading.reported - computed
        return Difference(amount, self._explained(amount)) if amount.amount.copy_abs() > TOLERANCE else None

    @property
    def _zero(self) -> Money:
        return Money.zero(self.currency)

    @property
    def _means(self) -> Money | None:
        """Cash and credit limit."""
        cash, credit = self.reading.cash, self.reading.credit
        return cash if cash is None or credit is None else cash + credit

    @property
    def _derived(self) -> Money | None:
        if self._means is None or self.reading.reported is None or self.reading.is_reseller_quota:
            return None
        return self._means - self.reading.reported

    def explaining(self, explanation: Explanation) -> Money | None:
        """Return the term that explains a difference, where it is one of the reading's own."""
        term: Money | None = getattr(self.reading, explanation, None)
        return term

    def _explained(self, amount: Money) -> tuple[Explanation, ...]:
        """Return the fewest terms that make up the amount; else that there is cash at an unknown rate, if there is."""
        terms = [(one, money.amount) for one in Explanation if (money := self.explaining(one)) and money.amount]
        for count in range(1, len(terms) + 1):
            for some in combinations(terms, count):
                rest = amount - Money.total((term for _, term in some), amount.currency)
                if rest.amount.copy_abs() <= TOLERANCE:
                    return tuple(explanation for explanation, _ in some)
        return (Explanation.OTHER_CURRENCIES,) if self.reading.other_cash else ()
