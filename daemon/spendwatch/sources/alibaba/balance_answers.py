"""The provider's responses about a balance, term by term as received. Only missing terms are computed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from spendwatch.domain.errors import InvalidAmountError, printable
from spendwatch.domain.money import Currency, Money, is_currency, parse_amount
from spendwatch.domain.statement import AccountId
from spendwatch.sources.trouble import EndpointError, Trouble, quoted

_CURRENCY = "Currency"
_GROUPED = re.compile(r"-?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?", re.ASCII)


class BalanceOperation(StrEnum):
    """Which operation of the API told it."""

    FUND_ACCOUNT = "GetFundAccountAvailableAmount"
    """Every term of the formula."""
    ACCOUNT = "QueryAccountBalance"
    """The result, cash and credit; what is unsettled is what is missing between them."""


@dataclass(frozen=True, slots=True)
class BalanceAnswer:
    """One answer. `available` is net of everything unsettled already: nothing is subtracted from it again."""

    operation: BalanceOperation
    at: datetime
    """When it was asked for."""
    available: Money
    cash: Money
    credit: Money
    credit_refund: Money | None = None
    """Counts in the provider's own formula."""
    unsettled_current: Money | None = None
    unsettled_previous: Money | None = None
    unsettled_told: Money | None = None
    """Both of them, as the answer adds them up."""
    available_credit: Money | None = None
    bank_acceptance: Money | None = None
    negative_bill: Money | None = None
    quota: Money | None = None
    quota_consumed: Money | None = None
    mybank_credit: Money | None = None
    """A credit line of its own, no part of the formula. So is `quota_limit`."""
    quota_limit: Money | None = None
    fund_account: str = ""
    owner: AccountId | None = None
    """Whose fund account it is: another account's where several share one."""
    kind: str = ""
    """`DIRECT_USER`, or `RESELLER_QUOTA` for a customer of a reseller, to whom the formula does not apply."""
    status: str = ""
    cash_by_currency: tuple[Money, ...] = ()

    @property
    def currency(self) -> Currency:
        """The currency of every term but `cash_by_currency`."""
        return self.available.currency

    @property
    def unsettled(self) -> Money:
        """Everything used and not yet paid; where the answer does not tell, what is missing between the terms it tells."""
        if self.unsettled_current is not None and self.unsettled_previous is not None:
            return self.unsettled_current + self.unsettled_previous
        return self.unsettled_told or (self.cash + self.credit) - self.available

    @property
    def computed(self) -> Money:
        """(cash + credit) − unsettled, to be held against `available`: credit refunds are a usual difference."""
        return (self.cash + self.credit) - self.unsettled


def fund_account(found: Mapping[str, object], at: datetime) -> BalanceAnswer:
    """Return what `GetFundAccountAvailableAmount` says."""
    terms = _Terms(found, BalanceOperation.FUND_ACCOUNT)
    owner = terms.text("FundAccountOwnerAccountId")
    return BalanceAnswer(
        operation=BalanceOperation.FUND_ACCOUNT,
        at=at,
        available=terms.money("AvailableAmount"),
        cash=terms.money("CashAmount"),
        credit=terms.money("CreditAmount"),
        credit_refund=terms.money_if_told("CreditRefundAmount"),
        unsettled_current=terms.money("CurrentMonthUnclearedAmount"),
        unsettled_previous=terms.money("HistoryMonthUnclearedAmount"),
        unsettled_told=terms.money_if_told("UnclearedAmount"),
        available_credit=terms.money_if_told("AvailableCreditAmount"),
        bank_acceptance=terms.money_if_told("BankAcceptanceAmount"),
        negative_bill=terms.money_if_told("NegativeBillAmount"),
        quota=terms.money_if_told("QuotaAmount"),
        quota_consumed=terms.money_if_told("QuotaConsumedAmount"),
        fund_account=terms.text("FundAccountId"),
        owner=AccountId(owner) if owner else None,
        kind=terms.text("FundAccountType"),
        status=terms.text("FundAccountStatus"),
        cash_by_currency=terms.ledgers("OriginalCashAmountList"),
    )


def account_balance(found: Mapping[str, object], at: datetime) -> BalanceAnswer:
    """Return what `QueryAccountBalance` says. It does not say of which account."""
    data = found.get("Data")
    if not isinstance(data, dict):
        msg = f"{BalanceOperation.ACCOUNT}: the answer has no Data"
        raise EndpointError(msg, Trouble.UNEXPECTED)
    terms = _Terms(data, BalanceOperation.ACCOUNT)
    return BalanceAnswer(
        operation=BalanceOperation.ACCOUNT,
        at=at,
        available=terms.money("AvailableAmount"),
        cash=terms.money("AvailableCashAmount"),
        credit=terms.money("CreditAmount"),
        mybank_credit=terms.money_if_told("MybankCreditAmount"),
        quota_limit=terms.money_if_told("QuotaLimit"),
    )


class _Terms:
    """The fields of an answer, all of them texts, amounts of the international site with commas in them."""

    def __init__(self, found: Mapping[str, object], operation: BalanceOperation) -> None:
        self._found = found
        self._operation = operation
        currency = found.get(_CURRENCY)
        if not isinstance(currency, str) or not is_currency(currency):
            raise self._unexpected(_CURRENCY, currency)
        self._currency = Currency(currency)

    def money(self, name: str) -> Money:
        value = self._found.get(name)
        try:
            return Money(parse_amount(_ungrouped(value)), self._currency)
        except InvalidAmountError as error:
            raise self._unexpected(name, value) from error

    def money_if_told(self, name: str) -> Money | None:
        return None if self._found.get(name) is None else self.money(name)

    def text(self, name: str) -> str:
        value = self._found.get(name)
        if not isinstance(value, str | None):
            raise self._unexpected(name, value)
        return value or ""

    def ledgers(self, name: str) -> tuple[Money, ...]:
        value = self._found.get(name)
        if not isinstance(value, list | None):
            raise self._unexpected(name, value)
        parts = [part if isinstance(part, dict) else {} for part in value or ()]
        return tuple(_Terms(part, self._operation).money("Amount") for part in parts)

    def _unexpected(self, name: str, value: object) -> EndpointError:
        what = "missing" if value is None else quoted(str(value))
        return EndpointError(f"{self._operation}: {name} is {what}", Trouble.UNEXPECTED)


def _ungrouped(value: object) -> str:
    if not isinstance(value, str):
        msg = f"not a text: {printable(str(value))}"
        raise InvalidAmountError(msg)
    text = value.strip()  # the provider's own sample ends one of them with a line break
    return text.replace(",", "") if _GROUPED.fullmatch(text) else text
