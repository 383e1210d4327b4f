"""A bill file that the reading process holds: its statement, and its days after the merge."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from spendwatch.bills.client.child import Child, InvalidAnswerError
from spendwatch.bills.client.dialogue import Dialogue, usable
from spendwatch.bills.messages import DayOutcome, DaysResolved, FindSharedRequest, ResolveRequest, SharedFound
from spendwatch.domain.errors import InvalidAmountError
from spendwatch.domain.merging import NewContent, Plan
from spendwatch.domain.money import CURRENCY, PLAIN_AMOUNT, Currency, Money, is_currency, parse_amount
from spendwatch.domain.statement import ChargeKind, DayKey, Digest, SpendRow, Statement

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class ProcessReading:
    """A bill file that the reading process has understood and still holds."""

    def __init__(
        self,
        dialogue: Dialogue,
        child: Child,
        statement: Statement,
        *,
        number: int,
        folder: Path,
        seconds: float,
        forget: Callable[[ProcessReading], None],
    ) -> None:
        """Keep the process's answer; `seconds` is the limit for each further one."""
        self._dialogue = dialogue
        self._folder = folder
        self._seconds = seconds
        self._forget = forget
        self.child = child
        self.statement = statement
        self.number = number

    def resolve(self, plan: Plan, content: Callable[[Digest], bytes], ids: Callable[[Digest], bytes]) -> ProcessResolution:
        """Resolve the days as planned. `content` gives what the ledger holds, one after the other; `ids` the ids of it."""

        def ask(request: FindSharedRequest) -> SharedFound:
            return self._dialogue.ask(self.child, request, SharedFound, seconds=self._seconds)

        plan = with_shared(plan, self.number, ids, self._folder, ask)
        held = hand_over(plan, content, self._folder)
        request = ResolveRequest(self.number, plan, held, self._folder)
        answer = self._dialogue.ask(self.child, request, DaysResolved, seconds=self._seconds)
        lines = {day.digest: day.lines for day in self.statement.days}
        return ProcessResolution(plan, answer, self._folder, lines)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the process forget the file."""
        self._forget(self)
        shutil.rmtree(self._folder, ignore_errors=True)


def with_shared(
    plan: Plan,
    bill: int,
    ids: Callable[[Digest], bytes],
    folder: Path,
    ask: Callable[[FindSharedRequest], SharedFound],
) -> Plan:
    """Return the plan with the days that have lines in common, which the process finds by ids alone."""
    if not plan.days or not plan.contents:
        return plan
    path, sizes = folder / "ids", dict[Digest, int]()
    path.unlink(missing_ok=True)
    for digest in plan.contents:
        some = ids(digest)
        with usable(), path.open("ab") as file:
            sizes[digest] = file.write(some)
    request = FindSharedRequest(bill, plan, path, sizes)
    places = dict(enumerate(one.key for one in (*plan.days, *plan.others)))
    found = ask(request).places
    if not places.keys() >= set(found):
        raise InvalidAnswerError
    return plan.with_shared(frozenset(places[place] for place in found))


def hand_over(plan: Plan, content: Callable[[Digest], bytes], folder: Path) -> dict[Digest, Path]:
    """Write the contents that the plan needs and the bill does not have where the process can read them."""
    held: dict[Digest, Path] = {}
    for digest in plan.contents:
        held[digest] = folder / f"held-{len(held)}"
        lines = content(digest)
        with usable():
            held[digest].write_bytes(lines)
    return held


class ProcessResolution:
    """What the process made of a plan, as files."""

    def __init__(self, plan: Plan, answer: DaysResolved, folder: Path, lines: Mapping[Digest, int]) -> None:
        """Keep the outcomes of the days; `lines` tells of each fresh content how many lines it has."""
        places = (*plan.days, *plan.others)
        if len(answer.days) != len(places):
            raise InvalidAnswerError
        outcomes = enumerate(zip(places, answer.days, strict=True))
        self.days = [_day(one.key, outcome, folder / f"rows-{place}") for place, (one, outcome) in outcomes if outcome]
        self.lost_lines = sum(outcome.lost_lines for outcome in answer.days if outcome)
        self._lost = [part for outcome in answer.days if outcome for part in outcome.lost]
        self._folder = folder
        self._fresh = [(digest, lines[digest]) for digest in plan.fresh]

    @property
    def lost(self) -> list[Money]:
        """What the change takes away, by currency."""
        try:
            costs = [Money(parse_amount(cost), Currency(currency)) for currency, cost in self._lost if is_currency(currency)]
        except InvalidAmountError as error:
            raise InvalidAnswerError from error
        currencies = sorted({cost.currency for cost in costs})
        return [Money.total((cost.amount for cost in costs if cost.currency == code), code) for code in currencies]

    def contents(self) -> Iterator[NewContent]:
        """Yield the fresh contents, one after the other."""
        for place, (digest, lines) in enumerate(self._fresh):
            packed, ids = ((self._folder / f"{name}-{place}").read_bytes() for name in ("content", "ids"))
            yield NewContent(digest, lines, packed, ids)


def _day(key: DayKey, outcome: DayOutcome, rows: Path) -> ProcessDay:
    return ProcessDay(
        lines=outcome.lines,
        new=outcome.new,
        changed=outcome.changed,
        gone=outcome.gone,
        is_linked=outcome.is_linked,
        lost_lines=outcome.lost_lines,
        lost=outcome.lost,
        key=key,
        rows_file=rows,
    )


@dataclass(frozen=True, slots=True)
class ProcessDay(DayOutcome):
    """One day after a change."""

    key: DayKey
    rows_file: Path

    def rows(self) -> Iterator[SpendRow]:
        """Yield the day's roll-up."""
        return rows_from(self.rows_file.read_bytes()) if self.lines else iter(())


def rows_from(document: bytes) -> Iterator[SpendRow]:
    """Yield the rows of a day's roll-up, as the process wrote them."""
    try:
        rows = _roll_up().validate_json(document)
    except ValueError as error:
        raise InvalidAnswerError from error
    for *key, cost, lines, outstanding in rows:
        yield SpendRow._make((*key, Decimal(cost), lines, None if outstanding is None else Decimal(outstanding)))


@cache
def _roll_up() -> TypeAdapter[list[tuple[Any, ...]]]:
    from pydantic import Field, TypeAdapter  # noqa: PLC0415 -- as in `child`

    currency = Annotated[str, Field(pattern=f"^{CURRENCY}$")]
    amount = Annotated[str, Field(pattern=f"^{PLAIN_AMOUNT}$")]
    texts = (str,) * SpendRow._fields.index("charge")
    row: Any = tuple[(*texts, ChargeKind, currency, amount, Annotated[int, Field(ge=0)], amount | None)]  # type: ignore[valid-type]
    return TypeAdapter(list[row])
