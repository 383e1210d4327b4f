"""Rebuilds a ledger from the archived bill files in a temporary place, to compare with or replace the real one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import NamedTuple

from spendwatch.app import App
from spendwatch.cli.outcome import IMPORTED
from spendwatch.domain.errors import ReaderFailedError, SourceUnavailableError, UnreadableBillError
from spendwatch.domain.statement import BillFile, Digest, SeriesKey, SourceName
from spendwatch.jobs.collect import IngestContext, enter
from spendwatch.settings import Settings
from spendwatch.state import Store, scratch_database
from spendwatch.store.statement import EnteredStatement


class Rebuilt(NamedTuple):
    """A scratch ledger, and what could not be put into it."""

    store: Store
    missing: tuple[tuple[EnteredStatement, str], ...]
    """Statements whose files are not to be found or cannot be read any more, each with the reason."""
    troubles: tuple[str, ...]
    """Places in which was not looked, each with the reason."""
    others: Mapping[Digest, tuple[SourceName, str]]
    """Files that the sources kept and that are none of the statements, each with its source and its name."""


@contextmanager
def rebuilt(
    settings: Settings, store: Store, statements: Iterable[EnteredStatement], files: Sequence[Path]
) -> Iterator[Rebuilt]:
    """Give a scratch ledger into which the statements were entered anew, from the sources' kept originals and these files."""
    with scratch_database() as database:
        scratch = replace(settings, state=database.place, spool=Path(database.place).with_name("spool"))
        # The memory tells which of the files are originals.
        with closing(App(scratch, Store.of(database)._replace(memory=store.memory))) as app:
            yield _Rebuilding(app, statements, files).done()


def series_of(statement: EnteredStatement) -> frozenset[SeriesKey]:
    """Return the series that a statement speaks of, or may speak of where it is about several accounts and months."""
    names = statement.series.split(", ")
    return frozenset(SeriesKey(*place) for place in product(statement.accounts, statement.periods, names))


class _Rebuilding:
    """Enters files of which the ledger says that they were entered."""

    def __init__(self, app: App, wanted: Iterable[EnteredStatement], files: Sequence[Path]) -> None:
        self._app = app
        self._wanted: dict[Digest, list[EnteredStatement]] = {}
        for statement in wanted:
            self._wanted.setdefault(statement.digest, []).append(statement)
        self._known = frozenset(self._wanted)
        self._others: dict[Digest, tuple[SourceName, str]] = {}
        self._files = files
        self._unreadable: list[tuple[EnteredStatement, str]] = []
        self._troubles: list[str] = []

    def done(self) -> Rebuilt:
        for path, kept in self._found():
            self._enter(path, kept)
        lost = (one for wanted in self._wanted.values() for one in wanted)
        missing = [*self._unreadable, *((one, "its file was not found") for one in lost)]
        return Rebuilt(self._app.store, tuple(missing), tuple(self._troubles), self._others)

    def _found(self) -> Iterator[tuple[Path, tuple[SourceName, str] | None]]:
        """Yield files that may be wanted, and which source kept them, and as what, if any did.

        What a source kept is open until the next file is asked for.
        """
        yield from ((path, None) for path in self._files)
        for name, source in self._app.sources.items():
            try:
                for kept in source.originals():
                    if kept.path:
                        yield kept.path, (name, kept.name)
                    else:
                        self._troubles.append(f"{name}: {kept.name}: {kept.trouble}")
            except SourceUnavailableError as error:
                self._troubles.append(f"{name}: {error}")

    def _enter(self, path: Path, kept: tuple[SourceName, str] | None) -> None:
        digest = self._app.reader.digest(self._file(path, None))
        if kept and digest not in self._known:
            self._others[digest] = kept
        for statement in self._wanted.pop(digest, ()):
            try:
                enter(self._file(path, statement), self._desk(statement))
            except (UnreadableBillError, ReaderFailedError) as error:
                self._unreadable.append((statement, str(error)))

    def _desk(self, statement: EnteredStatement) -> IngestContext:
        """Return what enters the statement as received when it was: of two files under one name that tells the newer one."""
        return replace(self._app.desk(statement.source), clock=lambda: statement.received_at)

    def _file(self, path: Path, statement: EnteredStatement | None) -> BillFile:
        """Return the file under the name by which it was entered: names tell how new a bill is, and what it relates to."""
        name, source = (statement.name, statement.source) if statement else (path.name, IMPORTED)
        return BillFile(name, path, path.stat().st_size, source, self._app.clock())
