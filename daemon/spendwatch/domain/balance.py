"""The available balance of an account, term by term: computed by the product's formula beside the provider's figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import combinations

from spendwatch.domain.balance_reading import BalanceReading, Origin
from spendwatch.domain.money import Currency, Money, plain
from spendwatch.domain.owed import SettledPeriod
from spendwatch.domain.statement import AccountId

TOLERANCE = Decimal("0.06")
"""By so much two figures of one balance may differ: each of the formula's terms is rounded to a cent somewhere."""


class Explanation(StrEnum):
    """Why what the provider reports is not what the product's formula gives."""

    CREDIT_REFUND = "credit_refund"
    """The provider counts credit refunds in."""
    BANK_ACCEPTANCE = "bank_acceptance"
    NEGATIVE_BILL = "negative_bill"
    OTHER_CURRENCIES = "other_currencies"
    """Some of the cash lies in other currencies, and nobody tells at which rate the provider counts it."""
    RESELLER_QUOTA = "reseller_quota"
    """The account lives on a reseller's quota, to which the formula does not apply."""


@dataclass(frozen=True, slots=True)
class Difference:
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
class AccountBalance:
    """The terms of a balance as they stand now. What is unknown is None; `reported` is net of everything unsettled."""

    account: AccountId
    cash: Money | None
    credit: Money | None
    unsettled_current: Money | None
    unsettled_previous: Money | None
    data_until: datetime | None = None
    """Up to when there are bills."""
    reported: Money | None = None
    credit_refund: Money | None = None
    unsettled_both: Money | None = None
    """Of all months, where it is not told apart."""
    bank_acceptance: Money | None = None
    negative_bill: Money | None = None
    quota: Money | None = None
    quota_consumed: Money | None = None
    spent_since: Money | None = None
    """Charged by the bills on the days after the reading: the reading cannot know of it."""
    other_cash: tuple[Money, ...] = ()
    origin: Origin = Origin.MANUAL
    as_of: datetime | None = None
    """The moment that cash and credit, and whatever else is not from bills, hold for."""
    is_stale: bool = False
    """Nothing newer came for too long."""
    is_reseller_quota: bool = False
    is_by_bills: bool = True
    """What is unsettled comes from the bills, and from nowhere else."""
    settled: SettledPeriod | None = None
    """The last month whose charges are no longer subtracted, because it is final: by the bills alone nobody sees payments."""
    paid_at_order: Money | None = None
    """What the bills charge for subscriptions, less refunds: paid when ordered, and therefore not subtracted."""
    unseen: tuple[str, ...] = ()
    """Products billed within two months of which recent bills hold nothing: if these are filtered, too little is subtracted."""

    @property
    def currency(self) -> Currency:
        """The currency of every term but `other_cash`."""
        known = self.cash or self.reported
        if known is None:
            msg = "a balance without any term"
            raise ValueError(msg)
        return known.currency

    @property
    def unsettled(self) -> Money | None:
        """Everything used and not yet paid; where it is not told, what is missing between the terms that are."""
        if self.unsettled_current is not None and self.unsettled_previous is not None:
            return self.unsettled_current + self.unsettled_previous
        return self.unsettled_both or self._derived

    @property
    def is_derived(self) -> bool:
        """Whether what is unsettled was only reckoned back from what is reported."""
        told = self.unsettled_current is not None and self.unsettled_previous is not None
        return not told and self.unsettled_both is None and self._derived is not None

    @property
    def funds(self) -> Money | None:
        """Cash, credit limit and credit refunds: what rises at a top-up, and not by a bill that is corrected."""
        if self.cash is None:
            return None
        return self._cash_and_credit(self.cash) + (self.credit_refund or self._zero)

    @property
    def computed(self) -> Money | None:
        """(cash + credit limit) − (unsettled this month + unsettled previous months); None where that cannot be told."""
        if self.cash is None or self.is_reseller_quota or (unsettled := self.unsettled) is None:
            return None
        return self._cash_and_credit(self.cash) - unsettled

    @property
    def net(self) -> Money:
        """What could be spent at the moment of the reading: of the two figures, the lower."""
        figures = [figure for figure in (self.computed, self.reported) if figure is not None]
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
            return self.data_until
        if self.spent_since and self.spent_since.amount and self.data_until:
            return max(self.as_of, self.data_until)
        return self.as_of

    @property
    def difference(self) -> Difference | None:
        """What is reported less what the formula gives, if it is more than cents, or the formula does not apply."""
        if self.is_reseller_quota and self.reported is not None:
            return Difference(self._zero, (Explanation.RESELLER_QUOTA,))
        if self.reported is None or self.is_derived or (computed := self.computed) is None:
            return None
        amount = self.reported - computed
        return Difference(amount, self._explained(amount)) if amount.amount.copy_abs() > TOLERANCE else None

    def as_plain(self, written: Callable[[datetime | None], str | None]) -> dict[str, object]:
        """Return the terms as plain JSON values, amounts as text; `written`: how a moment is written."""
        amounts = ("available", "cash", "credit", "unsettled_current", "unsettled_previous", "reported", "computed")
        more = ("credit_refund", "unsettled", "spent_since", "paid_at_order")
        terms: dict[str, Money | None] = {name: getattr(self, name) for name in (*amounts, *more)}
        difference, settled = self.difference, self.settled
        terms["difference"] = difference.amount if difference else None
        return {
            "currency": self.currency,
            **{name: plain(money.amount) if money else None for name, money in terms.items()},
            "overdue": self.is_overdue,
            "unsettled_is_derived": self.is_derived,
            "products_unseen": list(self.unseen),
            "explained_by": [explanation.value for explanation in difference.explained_by] if difference else [],
            "settled": {
                "month": settled.period.label,
                "amount": plain(settled.amount.amount),
                "since": written(settled.at),
                "cash_is_older": self.is_before_settlement,
            }
            if settled
            else None,
            "from": self.origin.value,
            "as_of": written(self.as_of),
        }

    @property
    def _zero(self) -> Money:
        return Money.zero(self.currency)

    @property
    def _derived(self) -> Money | None:
        if self.cash is None or self.reported is None or self.is_reseller_quota:
            return None
        return self._cash_and_credit(self.cash) - self.reported

    def _cash_and_credit(self, cash: Money) -> Money:
        return cash if self.credit is None else cash + self.credit

    def _explained(self, amount: Money) -> tuple[Explanation, ...]:
        """Return the fewest terms that make up the amount; else that there is cash at an unknown rate, if there is."""
        terms = tuple(self._further_terms())
        for count in range(1, len(terms) + 1):
            for some in combinations(terms, count):
                rest = amount - Money.total((money.amount for _, money in some), amount.currency)
                if rest.amount.copy_abs() <= TOLERANCE:
                    return tuple(explanation for explanation, _ in some)
        return (Explanation.OTHER_CURRENCIES,) if self.other_cash else ()

    def _further_terms(self) -> Iterator[tuple[Explanation, Money]]:
        for explanation, money in (
            (Explanation.CREDIT_REFUND, self.credit_refund),
            (Explanation.BANK_ACCEPTANCE, self.bank_acceptance),
            (Explanation.NEGATIVE_BILL, self.negative_bill),
        ):
            if money is not None and money.amount:
                yield explanation, money


def balance_from(reading: BalanceReading, billed: Billed, *, is_stale: bool = False) -> AccountBalance:
    """Return how the account stands by a reading and the bills.

    Where the reading tells what is available, or what is unsettled, the bills take nothing off it again; only what they
    charge on later days does. Else everything unsettled comes from the bills.
    """
    is_by_bills = reading.is_by_bills
    return AccountBalance(
        account=reading.account,
        cash=reading.cash,
        credit=reading.credit,
        unsettled_current=billed.current if is_by_bills else reading.unsettled_current,
        unsettled_previous=billed.previous if is_by_bills else reading.unsettled_previous,
        data_until=billed.until,
        reported=reading.reported,
        credit_refund=reading.credit_refund,
        unsettled_both=reading.unsettled_both,
        bank_acceptance=reading.bank_acceptance,
        negative_bill=reading.negative_bill,
        quota=reading.quota,
        quota_consumed=reading.quota_consumed,
        spent_since=billed.since if not is_by_bills and billed.since.amount > 0 else None,
        other_cash=reading.other_cash,
        origin=reading.origin,
        as_of=reading.as_of,
        is_stale=is_stale,
        is_reseller_quota=reading.is_reseller_quota,
        is_by_bills=is_by_bills,
        settled=billed.settled if is_by_bills else None,
        unseen=billed.unseen if is_by_bills else (),
        paid_at_order=billed.ordered if billed.ordered and billed.ordered.amount else None,
    )
