"""A bill file that the reading process holds: its statement, and its days after the merge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

from spendwatch.bills.client.child import Child, InvalidAnswerError
from spendwatch.bills.client.dialogue import Dialogue, usable
from spendwatch.bills.messages import DayOutcome, DaysResolved, FindSharedRequest, Request, ResolveRequest, SharedFound
from spendwatch.domain.errors import InvalidAmountError
from spendwatch.domain.merging import NewContent, Plan, Resolution, ResolvedDay
from spendwatch.domain.money import CURRENCY, PLAIN_AMOUNT, Currency, Money, exact_sums, is_currency, parse_amount
from spendwatch.domain.statement import ChargeKind, DayKey, Digest, SpendRow

if TYPE_CHECKING:
    from pydantic import TypeAdapter


A = TypeVar("A")

SLOWEST = 4 * 1024 * 1024
"""How many bytes a second are read at the very least; a careful reading does four times as many on a modest machine."""


@dataclass(frozen=True, slots=True)
class Resolver:
    """Lets the reading process resolve days."""

    dialogue: Dialogue
    folder: Path
    """For what is handed over."""
    seconds: float
    """The limit for each answer, beside what the size of the contents allows."""
    child: Child | None = None
    """Which process is asked; None for any."""
    lines: Mapping[Digest, int] = field(default_factory=dict)
    """How many lines each fresh content has."""

    def resolve(self, plan: Plan, content: Callable[[Digest], bytes], ids: Callable[[Digest], bytes]) -> Resolution:
        """Resolve the days as planned. `content` gives what the ledger holds, one after the other; `ids` the ids of it."""
        plan = self._with_shared(plan, ids)
        held, size = self.hand_over(plan, content)
        answer = self.ask(ResolveRequest(plan, held, self.folder), DaysResolved, size)
        return _resolution(plan, answer, self.folder, self.lines)

    def hand_over(self, plan: Plan, content: Callable[[Digest], bytes]) -> tuple[tuple[Digest, ...], int]:
        """Write the contents that the plan needs and the bill does not have where the process can read them.

        Return them in the order of their files, and their size.
        """
        held, size = tuple(plan.contents), 0
        for place, digest in enumerate(held):
            lines = content(digest)
            with usable():
                size += (self.folder / f"held-{place}").write_bytes(lines)
        return held, size

    def ask(self, request: Request, expected: type[A], size: int) -> A:
        """Return the answer to a request about so many bytes of contents."""
        seconds = self.seconds + size / SLOWEST
        return self.dialogue.ask(request, expected, seconds=seconds, child=self.child)

    def _with_shared(self, plan: Plan, ids: Callable[[Digest], bytes]) -> Plan:
        """Return the plan with the days that have lines in common, which the process finds by ids alone."""
        if not plan.days or not plan.contents:
            return plan
        path, sizes = self.folder / "ids", dict[Digest, int]()
        path.unlink(missing_ok=True)
        for digest in plan.contents:
            some = ids(digest)
            with usable(), path.open("ab") as file:
                sizes[digest] = file.write(some)
        request = FindSharedRequest(plan, path, sizes)
        found = frozenset(self.ask(request, SharedFound, 0).days)
        if not found <= {one.key for one in (*plan.days, *plan.others)}:
            raise InvalidAnswerError
        return plan.with_shared(found)


def _resolution(plan: Plan, answer: DaysResolved, folder: Path, lines: Mapping[Digest, int]) -> Resolution:
    """Return what the process made of a plan, as files; `lines` tells of each fresh content how many lines it has."""
    places = (*plan.days, *plan.others)
    if len(answer.days) != len(places):
        raise InvalidAnswerError
    outcomes = [(place, key.key, one) for place, (key, one) in enumerate(zip(places, answer.days, strict=True)) if one]
    days = [_day(key, one, folder / f"rows-{place}") for place, key, one in outcomes]
    lost = _lost(part for _, _, one in outcomes for part in one.lost)

    def contents() -> Iterator[NewContent]:
        for place, digest in enumerate(plan.fresh):
            packed, ids = ((folder / f"{name}-{place}").read_bytes() for name in ("content", "ids"))
            yield NewContent(digest, lines[digest], packed, ids)

    return Resolution(days, lost, sum(one.lost_lines for _, _, one in outcomes), contents)


def _day(key: DayKey, one: DayOutcome, rows_file: Path) -> ResolvedDay:
    def rows() -> Iterator[SpendRow]:
        return rows_from(rows_file.read_bytes()) if one.lines else iter(())

    return ResolvedDay(key, one.lines, one.new, one.changed, one.gone, one.is_linked, rows)


def _lost(parts: Iterable[tuple[str, str]]) -> list[Money]:
    """Return what the change takes away, by currency."""
    try:
        sums = exact_sums((Currency(currency), parse_amount(cost)) for currency, cost in parts if is_currency(currency))
    except InvalidAmountError as error:
        raise InvalidAnswerError from error
    return [Money(amount, currency) for currency, amount in sorted(sums.items())]


def rows_from(document: bytes) -> Iterator[SpendRow]:
    """Yield the rows of a day's roll-up, as the process wrote them."""
    for *key, cost, lines, outstanding in _validated(_roll_up(), document):
        yield SpendRow._make((*key, Decimal(cost), lines, None if outstanding is None else Decimal(outstanding)))


def _validated(rows: TypeAdapter[list[tuple[Any, ...]]], document: bytes) -> list[tuple[Any, ...]]:
    try:
        return rows.validate_json(document)
    except ValueError as error:
        raise InvalidAnswerError from error


class UsedQuantity(NamedTuple):
    """How much was used, in one unit of the provider, by all lines that agree in everything but time and id."""

    values: Mapping[str, str]
    """By the names of the roll-up's columns."""
    unit: str
    quantity: Decimal


_USED_BY = SpendRow._fields[: SpendRow._fields.index("billed_cost")]


def used_from(document: bytes) -> Iterator[UsedQuantity]:
    """Yield what was used, as the process wrote it."""
    for *values, unit, quantity in _validated(_used(), document):
        yield UsedQuantity(dict(zip(_USED_BY, values, strict=True)), unit, Decimal(quantity))


@cache
def _used() -> TypeAdapter[list[tuple[Any, ...]]]:
    from pydantic import Field, TypeAdapter  # noqa: PLC0415 -- as in `child`

    quantity = Annotated[str, Field(pattern=r"^-?[0-9]{1,60}(?:\.[0-9]{1,60})?$")]
    row: Any = tuple[(*(str,) * len(_USED_BY), str, quantity)]  # type: ignore[misc]
    return TypeAdapter(list[row])


@cache
def _roll_up() -> TypeAdapter[list[tuple[Any, ...]]]:
    from pydantic import Field, TypeAdapter  # noqa: PLC0415 -- as in `child`

    currency = Annotated[str, Field(pattern=f"^{CURRENCY}$")]
    amount = Annotated[str, Field(pattern=f"^{PLAIN_AMOUNT}$")]
    texts = (str,) * SpendRow._fields.index("charge")
    row: Any = tuple[(*texts, ChargeKind, currency, amount, Annotated[int, Field(ge=0)], amount | None)]  # type: ignore[valid-type]
    return TypeAdapter(list[row])
