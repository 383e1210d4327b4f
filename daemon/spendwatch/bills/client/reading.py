"""A bill file that the reading process holds: its statement, and its days after the merge."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from spendwatch.bills.client.child import Child, InvalidAnswerError
from spendwatch.bills.client.dialogue import Dialogue, usable
from spendwatch.bills.messages import DaysMerged, MergedCounts, MergeRequest
from spendwatch.domain.merging import MergePlan
from spendwatch.domain.money import CURRENCY, PLAIN_AMOUNT
from spendwatch.domain.statement import ChargeKind, DayKey, SpendRow, Statement

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
        """Keep what the process said; `seconds` is how long it may take for anything more."""
        self._dialogue = dialogue
        self._folder = folder
        self._seconds = seconds
        self._forget = forget
        self._handed = itertools.count()
        self.child = child
        self.statement = statement
        self.number = number

    def merge(self, plan: MergePlan, chunk: Callable[[DayKey], bytes]) -> tuple[ProcessDay, ...]:
        """Merge the statement with what the ledger holds, as planned, and return the days that are to be written."""
        held = ((key, self._hand_over(key, chunk), plan.confirmed[key]) for key in (*plan.differing, *plan.elsewhere))
        request = MergeRequest(self.number, (*plan.differing, *plan.fresh), tuple(held), plan.coverage)
        answer = self._dialogue.ask(self.child, request, DaysMerged, seconds=self._seconds)
        if len(answer.days) != len(request.places):
            raise InvalidAnswerError
        merged = enumerate(zip(request.places, answer.days, strict=True))
        return tuple(self._day(place, key, counts) for place, (key, counts) in merged if counts)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let the process forget the file."""
        self._forget(self)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _day(self, place: int, key: DayKey, counts: MergedCounts) -> ProcessDay:
        return ProcessDay(
            digest=counts.digest,
            lines=counts.lines,
            new=counts.new,
            changed=counts.changed,
            gone=counts.gone,
            stamps=counts.stamps,
            key=key,
            chunk_file=self._folder / f"chunk-{place}",
            rows_file=self._folder / f"rows-{place}",
        )

    def _hand_over(self, key: DayKey, chunk: Callable[[DayKey], bytes]) -> Path:
        path, content = self._folder / f"held-{next(self._handed)}", chunk(key)
        with usable():
            path.write_bytes(content)
        return path


@dataclass(frozen=True, slots=True)
class ProcessDay(MergedCounts):
    """One day after the merge."""

    key: DayKey
    chunk_file: Path
    rows_file: Path

    def chunk(self) -> bytes:
        """Return the day's lines as one compressed columnar chunk."""
        return self.chunk_file.read_bytes()

    def rows(self) -> Iterator[SpendRow]:
        """Yield the day's roll-up."""
        return rows_from(self.rows_file.read_bytes())


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
