"""A reading of an account's balance at one time, term by term as received. A missing term is unknown."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from spendwatch.domain.errors import CurrencyMismatchError
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.statement import AccountId


class Origin(StrEnum):
    """Where a reading comes from."""

    MANUAL = "manual"
    """Somebody wrote it into the configuration."""
    FILE = "file"
    URL = "url"
    API = "api"
    """The provider's own."""


@dataclass(frozen=True, slots=True)
class BalanceReading:
    """One answer to the question how an account stands. `reported` is net of everything unsettled already."""

    account: AccountId
    currency: Currency
    origin: Origin
    as_of: datetime
    """The moment that it holds for."""
    read_at: datetime
    """When we came to know it."""
    cash: Money | None = None
    credit: Money | None = None
    """The credit limit."""
    credit_refund: Money | None = None
    unsettled_current: Money | None = None
    """Of this month."""
    unsettled_previous: Money | None = None
    """Of earlier months."""
    unsettled_both: Money | None = None
    """Of all months, where the source gives one sum."""
    reported: Money | None = None
    """What may still be spent."""
    bank_acceptance: Money | None = None
    negative_bill: Money | None = None
    quota: Money | None = None
    """What a reseller lets its customer spend, who has no balance of its own."""
    quota_consumed: Money | None = None
    other_cash: tuple[Money, ...] = ()
    """Cash that lies in other currencies."""
    is_reseller_quota: bool = False
    """The account lives on a reseller's quota: the formula of cash and credit does not apply."""
    owner: AccountId | None = None
    """Whose money it is, where the source states it."""

    def __post_init__(self) -> None:
        """Refuse what says nothing, and terms that no formula can add up."""
        told = [term for name in TERMS if (term := getattr(self, name))]
        if self.reported is None and (self.cash is None or self.is_reseller_quota):
            msg = "a balance without cash and without what is available says nothing"
            raise ValueError(msg)
        if odd := next((term for term in told if term.currency != self.currency), None):
            msg = f"a balance in {self.currency} with a term in {odd.currency}"
            raise CurrencyMismatchError(msg)

    def says_the_same(self, other: BalanceReading) -> bool:
        """Return whether nothing but the time differs."""
        return replace(self, as_of=other.as_of, read_at=other.read_at) == other

    @property
    def is_by_bills(self) -> bool:
        """Whether it gives neither the unsettled nor the available amount, so that the bills are used."""
        has_both = self.unsettled_current is not None and self.unsettled_previous is not None
        return not has_both and self.unsettled_both is None and self.reported is None


TERMS = tuple(field.name for field in fields(BalanceReading) if field.type == "Money | None")
"""The names of all terms that are amounts of the account's currency."""


class RecordedReading(NamedTuple):
    """A reading on record."""

    reading: BalanceReading
    since: datetime
    """The time of the first of the successive readings with equal values."""
    first_read_at: datetime
    """When we came to know that one."""
