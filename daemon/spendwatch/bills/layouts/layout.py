"""The definition of a layout table: which header names map to which field, and how its lines relate to earlier ones."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from spendwatch.domain.commodity import Cover, cover_of
from spendwatch.domain.statement import ChargeKind, Identity, Kind, TaxBasis

_PAID = (ChargeKind.USAGE, ChargeKind.SUBSCRIPTION)
"""Words that show how a charge is paid: as it is used, or when it is ordered."""


class Field(StrEnum):
    """What a column of a bill can mean to us."""

    LINE_ID = "line_id"
    RECORD = "record"
    """The order or the bill that a line belongs to; many lines may share it."""
    ACCOUNT = "account"
    OWNER = "owner"
    PERIOD = "period"
    DAY = "day"
    CHARGE = "charge"
    TRADE = "trade"
    TIME = "time"
    STARTS = "starts"
    ENDS = "ends"
    TERM = "term"
    """The end of a service period that lasts into another month; it stands in no column of its own."""
    PRODUCT = "product"
    PROVIDER = "provider"
    PUBLISHER = "publisher"
    ISSUER = "issuer"
    CATEGORY = "category"
    """Of the service, as FOCUS has it."""
    SERVICE = "service"
    """The product's name, where its code is missing."""
    COMMODITY = "commodity"
    ITEM = "item"
    ITEM_NAME = "item_name"
    INSTANCE = "instance"
    SELECTOR = "selector"
    """Model and type, as JSON, where the instance id lacks them."""
    USAGE = "usage"
    UNIT = "unit"
    REGION = "region"
    CURRENCY = "currency"
    LIST_COST = "list_cost"
    BILLED_COST = "billed_cost"
    OUTSTANDING = "outstanding"
    PAID_IN_CASH = "paid_in_cash"
    PAID_BY_VOUCHER = "paid_by_voucher"
    PAID_BY_CARD = "paid_by_card"
    PAID_BY_REFUND = "paid_by_refund"
    TAGS = "tags"


PAYMENTS = (Field.PAID_IN_CASH, Field.PAID_BY_VOUCHER, Field.PAID_BY_CARD, Field.PAID_BY_REFUND)
"""What was paid of a line: without any of it, nothing outstanding is no word about what is payable."""


class Layout(NamedTuple):
    """One way in which bills are written."""

    name: str
    kind: Kind
    """How statements relate to earlier ones, where neither the file's name nor the configuration says so."""
    tax_basis: TaxBasis
    columns: Mapping[Field, tuple[str, ...]]
    """For each field the header names that mean it, as the provider writes them, the best first."""
    signature: tuple[tuple[Field, ...], ...]
    """What makes a header this layout: of each group at least one field."""
    charges: tuple[tuple[str, ChargeKind], ...]
    """Charge kinds by a word in the charge's or, after that, the trade's type, in small letters; the first found counts."""
    absent: tuple[Field, ...] = ()
    """Fields that a header of this layout must not have."""
    marks: tuple[str, ...] = ()
    """Words in a file's name that decide where the header fits two layouts."""
    granularities: tuple[str, ...] = ()
    """In which coarser granularities the same layout comes, each the whole money again: `instance` where no column names the
    billing item, `month` where none has a date.
    """
    null: str = ""
    """How a cell says that there is nothing, beside being empty."""
    is_of_others: bool = False
    """Whether other providers write it: all account ids, and amounts like 4.56E-7 or with more decimals than we keep."""
    covers_days: bool = False
    """Whether a complete statement is complete for the days that it names, and not for the whole month."""

    def find(self, header: Sequence[str]) -> Mapping[Field, int]:
        """Return where in the normalised header each field stands. Names must be equal: one is often part of another."""
        places = {name: place for place, name in reversed(list(enumerate(header)))}
        found = {}
        for wanted, names in self.columns.items():
            place = next((places[name] for name in map(normalised, names) if name in places), None)
            if place is not None:
                found[wanted] = place
        return found

    def missing(self, found: Mapping[Field, int]) -> tuple[str, ...]:
        """Return the columns that a header lacks to be this layout, alternatives joined by `or`."""
        lacking = (group for group in self.signature if not any(field in found for field in group))
        return tuple(" or ".join(self.columns[field][0] for field in group) for group in lacking)

    def surplus(self, found: Mapping[Field, int]) -> tuple[str, ...]:
        """Return the columns that a header must not have to be this layout."""
        return tuple(self.columns[field][0] for field in self.absent if field in found)

    def fits(self, found: Mapping[Field, int]) -> bool:
        """Return whether a header with these fields is of this layout."""
        return not self.missing(found) and not self.surplus(found)

    def column(self, field: Field) -> str:
        """Return the field's name in the header, for people; a day without a column of its own comes from a time."""
        instead = (Field.STARTS, Field.TIME) if field is Field.DAY else ()
        return next((self.columns[one][0] for one in (field, *instead) if one in self.columns), field.value)

    def charge_kind(self, charge: str, trade: str, commodity: str) -> ChargeKind:
        """Return what sort of charge these cells name; where they leave open how it is paid, a plan's commodity decides."""
        said = [kind for cell in (charge.casefold(), trade.casefold()) for word, kind in self.charges if word in cell]
        is_plan = cover_of(commodity) is not Cover.NONE
        paid = next((kind for kind in said if kind in _PAID), ChargeKind.SUBSCRIPTION if is_plan else ChargeKind.OTHER)
        kind = next((kind for kind in said if kind not in _PAID), paid)
        return kind.of_subscription if paid is ChargeKind.SUBSCRIPTION else kind

    def series(self, found: Mapping[Field, int], identity: Identity, *, selection: str = "") -> str:
        """Return the series of a file with these columns: files of one series speak of the same lines in the same way."""
        finer = {"instance": {Field.ITEM, Field.ITEM_NAME}, "month": {Field.DAY, Field.TIME, Field.STARTS}}
        parts = [self.name, *(one for one in self.granularities if not found.keys() & finer[one])]
        if Field.LINE_ID in self.columns and identity is Identity.CONTENT:
            parts.append("unkeyed")
        if identity is Identity.GROUP and self.kind is not Kind.AGGREGATE:
            parts.append("export")
        return ".".join((*parts, *filter(None, (selection,))))


_BLANKS = re.compile(r"\s+")
_GROUP = re.compile(r"^(?:[^/]*信息|[a-z]+details)/")


@lru_cache(maxsize=1000)
def normalised(name: str) -> str:
    """Return a header cell as it is compared: no byte-order mark, blanks or group prefix, plain signs, small letters."""
    text = unicodedata.normalize("NFKC", name.replace("\ufeff", "")).casefold()
    return _GROUP.sub("", _BLANKS.sub("", text))
