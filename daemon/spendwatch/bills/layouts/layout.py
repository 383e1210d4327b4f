"""What a layout table says: which header names mean which field, and how its lines relate to earlier ones."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from spendwatch.domain.statement import ChargeKind, Kind, TaxBasis


class Field(StrEnum):
    """What a column of a bill can mean to us."""

    LINE_ID = "line_id"
    ACCOUNT = "account"
    OWNER = "owner"
    PERIOD = "period"
    DAY = "day"
    CHARGE = "charge"
    TRADE = "trade"
    TIME = "time"
    STARTS = "starts"
    ENDS = "ends"
    PRODUCT = "product"
    COMMODITY = "commodity"
    ITEM = "item"
    INSTANCE = "instance"
    USAGE = "usage"
    UNIT = "unit"
    CURRENCY = "currency"
    LIST_COST = "list_cost"
    BILLED_COST = "billed_cost"
    TAGS = "tags"


@dataclass(frozen=True, slots=True)
class Layout:
    """One way in which bills are written."""

    name: str
    series: str
    """Files of one series speak of the same lines; two series of one month are the same money told twice."""
    kind: Kind
    tax_basis: TaxBasis
    columns: Mapping[Field, tuple[str, ...]]
    """For each field the header names that mean it, as the provider writes them."""
    signature: tuple[tuple[Field, ...], ...]
    """What makes a header this layout: of each group at least one field."""
    charges: tuple[tuple[str, ChargeKind], ...]
    """Charge kinds by a word in the charge's or the trade's type; the first that is found counts."""

    def find(self, header: Sequence[str]) -> Mapping[Field, int]:
        """Return where in the normalised header each field stands. Names must be equal: one is often part of another."""
        places = {name: place for place, name in reversed(list(enumerate(header)))}
        found = {}
        for field, names in self.columns.items():
            place = next((places[name] for name in map(normalised, names) if name in places), None)
            if place is not None:
                found[field] = place
        return found

    def missing(self, found: Mapping[Field, int]) -> tuple[str, ...]:
        """Return the columns that a header lacks to be this layout, alternatives joined by `or`."""
        lacking = (group for group in self.signature if not any(field in found for field in group))
        return tuple(" or ".join(self.columns[field][0] for field in group) for group in lacking)

    def column(self, field: Field) -> str:
        """Return the field's name in the header, for people."""
        return self.columns[field][0]

    def charge_kind(self, charge: str, trade: str) -> ChargeKind:
        """Return what sort of charge these two cells name."""
        return next((kind for word, kind in self.charges if word in charge or word in trade), ChargeKind.OTHER)


def normalised(name: str) -> str:
    """Return a header cell without byte-order mark and outer blanks, full-width signs as plain ones."""
    return unicodedata.normalize("NFKC", name.replace("\ufeff", "")).strip()
