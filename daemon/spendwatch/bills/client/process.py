"""The daemon's side of reading: calls the reading process and survives its crash. It never imports Polars."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from spendwatch.bills.checksum_scan import digest_of, identity
from spendwatch.bills.client.child import InvalidAnswerError
from spendwatch.bills.client.dialogue import Dialogue, Progress, usable
from spendwatch.bills.client.reading import SLOWEST, Resolver, UsedQuantity, used_from
from spendwatch.bills.messages import BillRead, Done, ExportRequest, ForgetRequest, ReadRequest
from spendwatch.domain.errors import ReaderFailedError, UnreadableBillError
from spendwatch.domain.merging import Plan, Reading, Resolution
from spendwatch.domain.statement import BillFile, DayKey, Digest, ReadingHints, Statement

HEAVY = 256 * 1024 * 1024
"""After a file of this size the reading process is replaced, so that the memory it has taken is given back."""

PATIENCE = 120.0
"""How many seconds may pass without an answer or any progress, plus what the file's size allows."""

_PIECE = 1024 * 1024


@dataclass(eq=False, kw_only=True)
class ReadingProcess(Dialogue):
    """Understands bill files in a process of its own. Any thread may use it, one after the other."""

    patience: float = PATIENCE
    _numbers: Iterator[int] = field(default_factory=itertools.count, init=False)
    _turn: threading.RLock = field(default_factory=threading.RLock, init=False)

    @classmethod
    @contextmanager
    def apart(cls, progress: Progress | None = None) -> Iterator[Self]:
        """Give one with a folder of its own, for a command that has no other place."""
        with tempfile.TemporaryDirectory(prefix="spendwatch-") as folder, cls(Path(folder), progress=progress) as reader:
            yield reader

    def prepare(self) -> None:
        """Start the process ahead of the first file, so that both need not wait for each other."""
        with self._turn:
            self.running()

    def digest(self, file: BillFile) -> Digest:
        """Return the SHA-256 of the file's bytes, without understanding them."""
        return digest_of(file.path)

    @contextmanager
    def read(self, file: BillFile, hints: ReadingHints) -> Iterator[Reading]:
        """Understand the file and hold it until the end; `UnreadableBillError` with every refusal, or `ReaderFailedError`.

        Meanwhile other threads wait for their turn: who writes what one file says must not have to wait for another one to be
        read, with everybody who wants to write waiting behind.
        """
        with self._private_folder() as folder:
            request = ReadRequest(file.path.absolute(), file.name, folder, hints)
            seconds = self.patience + file.size / SLOWEST
            try:
                with _unchanged(file):
                    statement = self.ask(request, BillRead, seconds=seconds).statement
                    if not _makes_sense(statement):
                        self.dismiss()
                        raise InvalidAnswerError
                lines = {day.digest: day.lines for day in statement.days}
                yield Reading(statement, Resolver(self, folder, seconds, self.child, lines).resolve)
            finally:
                self._forget(file.size)

    @contextmanager
    def resolved(self, plan: Plan, content: Callable[[Digest], bytes], ids: Callable[[Digest], bytes]) -> Iterator[Resolution]:
        """Resolve days of the ledger without a new bill; `content` and `ids` give what it holds. Results last until the end."""
        with self._private_folder() as folder:
            yield Resolver(self, folder, self.patience).resolve(plan, content, ids)

    def focus_lines(
        self, key: DayKey, plan: Plan, content: Callable[[Digest], bytes], products: Collection[str] | None
    ) -> Iterator[bytes]:
        """Yield the lines of a day that count by the plan, in the columns of `focus_columns`, piece by piece.

        Only those of these products; None means all. `ReaderFailedError` when the process fails.
        """
        with self._exported(key, plan, content, products) as into, into.open("rb") as file:
            yield from iter(lambda: file.read(_PIECE), b"")

    def usage(
        self, key: DayKey, plan: Plan, content: Callable[[Digest], bytes], products: Collection[str] | None
    ) -> Iterator[UsedQuantity]:
        """Yield how much these lines used, by everything that spend is summed by and the unit."""
        with self._exported(key, plan, content, products, is_usage=True) as into:
            yield from used_from(into.read_bytes())

    @contextmanager
    def _exported(
        self,
        key: DayKey,
        plan: Plan,
        content: Callable[[Digest], bytes],
        products: Collection[str] | None,
        *,
        is_usage: bool = False,
    ) -> Iterator[Path]:
        with self._private_folder() as folder:
            resolver, into = Resolver(self, folder, self.patience), folder / "lines"
            held, size = resolver.hand_over(plan, content)
            request = ExportRequest(key, plan, held, into, None if products is None else tuple(products), is_usage)
            resolver.ask(request, Done, size)
            yield into

    @contextmanager
    def _private_folder(self) -> Iterator[Path]:
        with self._turn:
            folder = self.folder() / f"request-{next(self._numbers)}"
            with usable():
                folder.mkdir(mode=0o700)
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def _forget(self, size: int) -> None:
        """Let the process forget a bill, or replace the process after a heavy one."""
        if size > HEAVY:
            self.dismiss()
        elif child := self.child:
            with suppress(ReaderFailedError):
                self.ask(ForgetRequest(), Done, seconds=self.patience, child=child)

    def close(self) -> None:
        """End the process and remove the private folder. Another read starts both again."""
        with self._turn:
            super().close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


@contextmanager
def _unchanged(file: BillFile) -> Iterator[None]:
    """Believe what was understood of a file, and what was wrong with it, only if it is still what had come to rest."""
    error: Exception | None = None
    try:
        yield
    except (UnreadableBillError, ReaderFailedError) as failure:
        error = failure
    if file.as_settled and identity(file.path) != file.as_settled:
        msg = "the file was changed while being read"
        raise ReaderFailedError(msg, is_innocent=True) from error
    if error:
        raise error


def _makes_sense(statement: Statement) -> bool:
    """Return whether a statement that the process sent holds what types do not tell."""
    days, coverage = statement.days, statement.coverage
    versions = [one for one in (statement.version, *(day.version for day in days), *(one.version for one in coverage)) if one]
    moments = (statement.data_until, statement.exported_at, *(one.moment for one in versions), *(one.reach for one in coverage))
    counts = (statement.lines, *(day.lines for day in days), *statement.parts)
    is_sound = all(moment is None or moment.tzinfo for moment in moments) and all(one.cost.is_finite() for one in versions)
    return is_sound and min(counts) >= 0
