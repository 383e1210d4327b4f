"""The pages of one day's bill: each must match the request, and together they must be one complete bill.

Reads a bill only as far as needed for this; other modules parse its lines.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from spendwatch.domain.count import counted
from spendwatch.domain.errors import InvalidAmountError
from spendwatch.domain.money import exact_sums, is_currency
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import AccountId, Digest
from spendwatch.exact_json import exact_amount
from spendwatch.sources.trouble import EndpointError, Failure, quoted

MOST_PAGES = 1000
"""Of one day. A page holds up to 300 lines."""
A_LIMIT = 50_000
"""So many lines, and not one more or less, are the end of what another operation of this API gives, not the end of a bill."""

NO_LINES = hashlib.sha256().hexdigest()
"""The digest of a bill without lines."""

_PAYABLE = "PretaxAmount"
_AMOUNTS = (
    "PretaxGrossAmount", "InvoiceDiscount", "DeductedByCoupons", "AfterDiscountAmount", "DeductedByCashCoupons",
    "DeductedByPrepaidCard", "PaymentAmount", "CashAmount", "OutstandingAmount", "AdjustAmount",
)  # fmt: skip
_TEXTS = (
    "InstanceID", "Item", "ItemName", "BillingItem", "BillingItemCode", "CommodityCode", "ProductCode", "ProductName",
    "ProductType", "ProductDetail", "PipCode", "SubscriptionType", "BillingType", "Usage", "UsageUnit", "ListPrice",
    "ListPriceUnit", "DeductedByResourcePackage", "Region", "Tag", "BillAccountID", "OwnerID",
)  # fmt: skip
_LONGEST_TOKEN = 4096
_MOST_EMPTY = 3


class Wanted(NamedTuple):
    """Whose bill of which day was asked for."""

    account: AccountId
    cycle: BillingPeriod
    day: date
    product: str
    """Empty for all products."""

    def __str__(self) -> str:
        """Return the day, for messages."""
        return self.day.isoformat()


@dataclass(frozen=True, slots=True)
class Page:
    """One answer, checked."""

    raw: bytes = field(repr=False)
    lines: tuple[bytes, ...]
    """A digest of each line."""
    totals: Mapping[str, Decimal]
    """Payable, by currency."""
    count: int
    """Of all lines of the day, as the answer has it."""
    next_token: str


class DayBill(NamedTuple):
    """What the pages of a day say together."""

    digest: Digest
    """Of its lines, in whatever order they came."""
    lines: int
    totals: Mapping[str, Decimal]
    is_doubtful: bool
    """Whether a line stands on two pages: twice charged, or twice sent."""


def page_of(found: Mapping[str, object], raw: bytes, wanted: Wanted) -> Page:
    """Return the page that an answer holds, or raise `EndpointError` when it is not what was asked for."""
    data = found.get("Data")
    if not isinstance(data, dict):
        raise _unexpected(wanted, "the answer has no Data")
    _check_whose(data, wanted)
    items = data.get("Items")
    if not isinstance(items, list):
        raise _unexpected(wanted, "Data has no list of Items")
    lines, paid = [], list[tuple[str, Decimal]]()
    for number, item in enumerate(items, start=1):
        if not isinstance(item, dict):
            raise _unexpected(wanted, f"item {number} is no object")
        paid.append(_checked(item, number, wanted))
        lines.append(_digest_of(item))
    return Page(raw, tuple(lines), exact_sums(paid), _count(data, wanted), _token(data, wanted))


class Paging:
    """Takes the pages of a day one after the other, and holds each against those before."""

    def __init__(self, wanted: Wanted, most_pages: int = MOST_PAGES) -> None:
        """Begin with nothing taken."""
        self._wanted = wanted
        self._most_pages = most_pages
        self._pages: set[tuple[bytes, ...]] = set()
        self._tokens: set[str] = set()
        self._lines: list[bytes] = []
        self._seen: set[bytes] = set()
        self._totals: dict[str, Decimal] = {}
        self._count = -1
        self._taken = self._empty = 0
        self._is_doubtful = False

    def take(self, page: Page) -> str:
        """Take the next page; return the token to ask for the one after it, empty when this was the last."""
        self._taken += 1
        self._compare_counts(page)
        self._look_for_repetition(page)
        self._lines.extend(page.lines)
        self._seen.update(page.lines)
        self._totals = exact_sums([*self._totals.items(), *page.totals.items()])
        if len(self._lines) > self._count:
            raise _changing(self._wanted, f"more lines arrived than the {self._count} announced")
        if page.next_token:
            self._look_for_loops(page)
        elif len(self._lines) < self._count:
            raise _changing(self._wanted, f"{counted(len(self._lines), 'line')} arrived, {self._count} were announced")
        elif self._count == A_LIMIT:
            raise _unexpected(self._wanted, f"exactly {A_LIMIT} lines: that is a limit, not the end of a bill")
        return page.next_token

    def bill(self) -> DayBill:
        """Return what all of them say, once the last was taken."""
        digest = Digest(hashlib.sha256(b"".join(sorted(self._lines))).hexdigest())
        return DayBill(digest, len(self._lines), dict(self._totals), self._is_doubtful)

    def _compare_counts(self, page: Page) -> None:
        if self._count not in {-1, page.count}:
            raise _changing(self._wanted, f"the number of lines changed from {self._count} to {page.count} between two pages")
        self._count = page.count

    def _look_for_repetition(self, page: Page) -> None:
        if len(page.lines) > 1 and page.lines in self._pages:
            raise _changing(self._wanted, "the same page came twice")
        self._pages.add(page.lines)
        # Two lines may agree in everything; that they stand on two pages may also be the seam of a list that moved.
        self._is_doubtful = self._is_doubtful or not self._seen.isdisjoint(page.lines)

    def _look_for_loops(self, page: Page) -> None:
        if page.next_token in self._tokens:
            raise _unexpected(self._wanted, "the same page token came again")
        self._tokens.add(page.next_token)
        self._empty = 0 if page.lines else self._empty + 1
        if self._empty == _MOST_EMPTY:
            raise _unexpected(self._wanted, f"{_MOST_EMPTY} empty pages in a row announce more")
        if self._taken == self._most_pages:
            raise _unexpected(self._wanted, f"more than {self._most_pages} pages")


def _check_whose(data: Mapping[str, object], wanted: Wanted) -> None:
    account, cycle = data.get("AccountID"), data.get("BillingCycle")
    if not isinstance(account, str):
        raise _unexpected(wanted, f"AccountID is {quoted(str(account))}")
    if account != wanted.account:
        msg = f"the key belongs to account {quoted(account)}: requested was the bill of {wanted.account}"
        raise EndpointError(msg, Failure.OTHER_ACCOUNT)
    if cycle != wanted.cycle.label:
        raise _unexpected(wanted, f"the bill is for the cycle {quoted(str(cycle))}, requested was {wanted.cycle.label}")


def _count(data: Mapping[str, object], wanted: Wanted) -> int:
    count = data.get("TotalCount")
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise _unexpected(wanted, f"TotalCount is {quoted(str(count))}, no count")
    return count


def _token(data: Mapping[str, object], wanted: Wanted) -> str:
    token = data.get("NextToken")
    if token is None:
        return ""
    if not isinstance(token, str) or len(token) > _LONGEST_TOKEN:
        raise _unexpected(wanted, "NextToken is no token")
    return token


def _checked(item: Mapping[str, object], number: int, wanted: Wanted) -> tuple[str, Decimal]:
    """Return the line's currency, and what it adds to the amount payable."""
    place = f"item {number}"
    if item.get("BillingDate") != wanted.day.isoformat():
        raise _unexpected(wanted, f"{place}: BillingDate is {quoted(str(item.get('BillingDate')))}")
    currency = item.get("Currency")
    if not isinstance(currency, str) or not is_currency(currency):
        raise _unexpected(wanted, f"{place}: Currency is {quoted(str(currency))}")
    if wanted.product and item.get("ProductCode", wanted.product) != wanted.product:
        raise _unexpected(wanted, f"{place}: ProductCode is {quoted(str(item['ProductCode']))}, requested was {wanted.product}")
    for name in _TEXTS:
        if not isinstance(item.get(name), str | None):
            raise _unexpected(wanted, f"{place}: {name} is no text")
    if _PAYABLE not in item:
        raise _unexpected(wanted, f"{place} has no {_PAYABLE}")
    try:
        for name in _AMOUNTS:
            if item.get(name) is not None:
                exact_amount(item[name])
        return currency, exact_amount(item[_PAYABLE])
    except InvalidAmountError as error:
        raise _unexpected(wanted, f"{place}: {error}") from error


def _digest_of(item: Mapping[str, object]) -> bytes:
    return hashlib.sha256(json.dumps(item, sort_keys=True, default=str, separators=(",", ":")).encode()).digest()


def _unexpected(wanted: Wanted, what: str) -> EndpointError:
    return EndpointError(f"the bill of {wanted}: {what}", Failure.UNEXPECTED)


def _changing(wanted: Wanted, what: str) -> EndpointError:
    return EndpointError(f"the bill of {wanted}: {what}", Failure.CHANGING)


def sums(items: Sequence[object], whose: str) -> Mapping[str, Decimal]:
    """Return what the items of a summary add up to, by currency; `EndpointError` when one is no item."""
    amounts: list[tuple[str, Decimal]] = []
    for number, item in enumerate(items, start=1):
        currency = item.get("Currency") if isinstance(item, dict) else None
        if not isinstance(item, dict) or not isinstance(currency, str) or not is_currency(currency):
            msg = f"{whose}: item {number} has no Currency"
            raise EndpointError(msg, Failure.UNEXPECTED)
        try:
            amounts.append((currency, exact_amount(item.get(_PAYABLE))))
        except InvalidAmountError as error:
            msg = f"{whose}: item {number}: {_PAYABLE} is {error}"
            raise EndpointError(msg, Failure.UNEXPECTED) from error
    return exact_sums(amounts)
