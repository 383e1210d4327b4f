"""What may be asked of an address: one table for the checks, and for the document that describes the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, NoReturn

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from spendwatch.domain.delivery import DeliveryState
from spendwatch.domain.errors import printable
from spendwatch.domain.period import BillingPeriod, parse_day
from spendwatch.fields import refuse
from spendwatch.jobs.spend_report import COLUMNS, columns_of, filter_of

_LONGEST = 300
_MOST = 500
MOST_ON_PAGE = 50
"""So many rows of a list are on one page, so that it stays small."""
_MOST_SKIPPED = 100_000


class Parameter(NamedTuple):
    """One key of a query."""

    name: str
    parse: Callable[[str], object]
    """Raises `ValueError` with the reason in words."""
    schema: Mapping[str, object]
    what: str
    default: object = None
    is_repeatable: bool = False

    def described(self) -> dict[str, object]:
        """Return it as OpenAPI wants it."""
        schema = {"type": "array", "items": self.schema, "maxItems": 20} if self.is_repeatable else dict(self.schema)
        return {"name": self.name, "in": "query", "required": False, "description": self.what, "schema": schema}


Query = Mapping[str, Any]
"""The values of the keys, checked; of one that is not given its default."""


def query_of(given: QueryParams, parameters: Sequence[Parameter]) -> Query:
    """Return what was asked; what is unknown, given twice or cannot be is refused with the reason."""
    known = {one.name: one for one in parameters}
    found: dict[str, object] = {one.name: () if one.is_repeatable else one.default for one in parameters}
    seen: set[str] = set()
    for name, text in given.multi_items():
        one = known.get(name)
        if one is None:
            _bad_request(f"there is no parameter {printable(name)}; known are {', '.join(known) or 'none'}")
        if name in seen and not one.is_repeatable:
            _bad_request(f"{name}: given twice")
        seen.add(name)
        try:
            if len(text) > _LONGEST:
                _bad_request(f"{name}: longer than {_LONGEST} characters")
            value = one.parse(text)
        except ValueError as error:
            _bad_request(f"{name}: {error}")
        before = found[name]
        found[name] = (*before, value) if one.is_repeatable and isinstance(before, tuple) else value
    return found


def end_of(query: Query) -> int:
    """Return how many of a list to read: one more than are shown, to know whether there are more."""
    return int(query["offset"]) + int(query["limit"]) + 1


def _bad_request(why: str) -> NoReturn:
    raise HTTPException(HTTPStatus.BAD_REQUEST, why)


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        refuse(f"must be true or false, not {printable(text)}")
    return text == "true"


def _number(name: str, least: int, most: int, what: str, default: int) -> Parameter:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or len(text) > len(str(most)) or not least <= int(text) <= most:
            refuse(f"must be a number from {least} to {most}, not {printable(text)}")
        return int(text)

    return Parameter(name, parse, {"type": "integer", "minimum": least, "maximum": most}, what, default)


def _choice(name: str, known: Sequence[str], what: str, default: str | None = None) -> Parameter:
    def parse(text: str) -> str:
        if text not in known:
            refuse(f"not known: {printable(text)}; one of {', '.join(known)}")
        return known[known.index(text)]

    return Parameter(name, parse, {"type": "string", "enum": list(map(str, known))}, what, default)


_TEXT: Mapping[str, object] = {"type": "string", "maxLength": _LONGEST}
_MONTH_FORM = "^20[0-9]{2}-(0[1-9]|1[0-2])$"
MONTH = Parameter(
    "month", BillingPeriod.parse, {"type": "string", "pattern": _MONTH_FORM}, "A month like 2026-09; default: the current one."
)
FIRST = Parameter("from", parse_day, {"type": "string", "format": "date"}, "First day, instead of a month.")
LAST = Parameter("to", parse_day, {"type": "string", "format": "date"}, "Last day, included; default: today.")
BY = Parameter("by", columns_of, _TEXT, f"Columns, separated by commas: {', '.join(COLUMNS)}, tag:KEY.", ("workspace",))
WHERE = Parameter("where", filter_of, _TEXT, "Only spend that matches KEY=PATTERN.", is_repeatable=True)
ALL_PRODUCTS = Parameter("all_products", _flag, {"type": "boolean"}, "Include products that are not watched.", default=False)
FORMAT = _choice("format", ("json", "csv"), "JSON, or a table for spreadsheets.", "json")
EVERYTHING = Parameter("all", _flag, {"type": "boolean"}, "Include alerts that have ended.", default=False)
STATE = _choice("state", tuple(DeliveryState), "Only deliveries in this state.")
LIMIT, PAGE_LIMIT = (_number("limit", 1, most, "At most so many; default: 50.", 50) for most in (_MOST, MOST_ON_PAGE))
OFFSET = _number("offset", 0, _MOST_SKIPPED, "Leave out so many; `Link: rel=next` names the next page.", 0)
