"""The provider's responses about a balance, term by term as received. Only missing terms are computed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from spendwatch.domain.balance_reading import BalanceReading, Origin
from spendwatch.domain.errors import InvalidAmountError, printable
from spendwatch.domain.money import Currency, Money, is_currency, parse_amount
from spendwatch.domain.statement import AccountId
from spendwatch.sources.trouble import EndpointError, Failure, quoted

_CURRENCY = "Currency"
_RESELLER = "RESELLER_QUOTA"
"""The kind of account of a reseller's customer, to whom the formula does not apply."""
_GROUPED = re.compile(r"-?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?", re.ASCII)


class BalanceOperation(StrEnum):
    """The operation of the API that returned it."""

    FUND_ACCOUNT = "GetFundAccountAvailableAmount"
    """Every term of the formula."""
    ACCOUNT = "QueryAccountBalance"
    """The result, cash and credit; what is unsettled is what is missing between them."""


def fund_account(found: Mapping[str, object], at: datetime) -> BalanceReading:
    """Return the answer of `GetFundAccountAvailableAmount`, with the account that owns the fund account, if named."""
    terms = _Terms(found, BalanceOperation.FUND_ACCOUNT)
    owner = AccountId(terms.text("FundAccountOwnerAccountId"))
    return BalanceReading(
        account=owner,
        currency=terms.currency,
        origin=Origin.API,
        as_of=at,
        read_at=at,
        reported=terms.money("AvailableAmount"),
        cash=terms.money("CashAmount"),
        credit=terms.money("CreditAmount"),
        credit_refund=terms.money_if_told("CreditRefundAmount"),
        unsettled_current=terms.money("CurrentMonthUnclearedAmount"),
        unsettled_previous=terms.money("HistoryMonthUnclearedAmount"),
        unsettled_both=terms.money_if_told("UnclearedAmount"),
        bank_acceptance=terms.money_if_told("BankAcceptanceAmount"),
        negative_bill=terms.money_if_told("NegativeBillAmount"),
        quota=terms.money_if_told("QuotaAmount"),
        quota_consumed=terms.money_if_told("QuotaConsumedAmount"),
        owner=owner or None,
        is_reseller_quota=terms.text("FundAccountType") == _RESELLER,
        other_cash=tuple(
            money for money in terms.ledgers("OriginalCashAmountList") if money.currency != terms.currency and money.amount
        ),
    )


def account_balance(found: Mapping[str, object], at: datetime) -> BalanceReading:
    """Return what `QueryAccountBalance` says. It does not say of which account."""
    data = found.get("Data")
    if not isinstance(data, dict):
        msg = f"{BalanceOperation.ACCOUNT}: the answer has no Data"
        raise EndpointError(msg, Failure.UNEXPECTED)
    terms = _Terms(data, BalanceOperation.ACCOUNT)
    return BalanceReading(
        account=AccountId(""),
        currency=terms.currency,
        origin=Origin.API,
        as_of=at,
        read_at=at,
        reported=terms.money("AvailableAmount"),
        cash=terms.money("AvailableCashAmount"),
        credit=terms.money("CreditAmount"),
    )


class _Terms:
    """The fields of an answer, all of them texts, amounts of the international site with commas in them."""

    def __init__(self, found: Mapping[str, object], operation: BalanceOperation) -> None:
        self._found = found
        self._operation = operation
        currency = found.get(_CURRENCY)
        if not isinstance(currency, str) or not is_currency(currency):
            raise self._unexpected(_CURRENCY, currency)
        self.currency = Currency(currency)

    def money(self, name: str) -> Money:
        value = self._found.get(name)
        try:
            return Money(parse_amount(_ungrouped(value)), self.currency)
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
        return EndpointError(f"{self._operation}: {name} is {what}", Failure.UNEXPECTED)


def _ungrouped(value: object) -> str:
    if not isinstance(value, str):
        msg = f"not a text: {printable(str(value))}"
        raise InvalidAmountError(msg)
    text = value.strip()  # the provider's own sample ends one of them with a line break
    return text.replace(",", "") if _GROUPED.fullmatch(text) else text
