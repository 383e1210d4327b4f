"""Column types: amounts exact, times in UTC, text unchanged. The same on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache, lru_cache
from itertools import islice
from operator import attrgetter
from types import NoneType
from typing import TYPE_CHECKING, Any, NewType, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Date,
    DateTime,
    Float,
    LargeBinary,
    MetaData,
    Numeric,
    Table,
    Text,
    func,
    literal,
    select,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from spendwatch.domain.money import SCALE, exact_sum, parse_amount, plain
from spendwatch.domain.period import BillingPeriod

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)
"""Every table of the ledger. Named constraints can be changed by a later migration, nameless ones cannot."""

T = TypeVar("T")

_SUM_DIGITS = 60
"""As many as our own sums hold: that of many amounts has more than any of them."""

Row = Mapping[str, Any]
"""A row on its way into or out of a table, by column."""


class StoredText(TypeDecorator[str]):
    """Text as it came, save what no database takes: NUL and unpaired surrogates (of file names) are written out."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the text as every database can hold it."""
        del dialect
        return None if value is None else storable(value)


def storable(text: str) -> str:
    """Return the text with NUL and unpaired surrogates escaped."""
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text.replace("\0", "\\x00") if "\0" in text else text


class Written(TypeDecorator[Any]):
    """A value as text, by the two functions that write and read it."""

    impl = Text
    cache_ok = True

    def __init__(self, write: Callable[[Any], str], read: Callable[[str], Any]) -> None:
        """Hold values that these functions know."""
        super().__init__()
        self.write = write
        self.read = read

    def process_bind_param(self, value: Any | None, dialect: Dialect) -> str | None:  # noqa: ANN401 -- the base class says so
        """Return the text."""
        del dialect
        return None if value is None else self.write(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], Any]:
        """Return what reads the column; that of the base class would be called twice for each value, of half a million."""
        del dialect, coltype
        read = self.read
        return lambda text: None if text is None else read(text)


Texts = Written(lambda several: json.dumps(list(several)), lambda text: tuple(json.loads(text)))
"""Several texts in one column, as a JSON list; its escapes hold whatever a text may contain."""

_Period = Written(attrgetter("label"), lru_cache(maxsize=1024)(BillingPeriod.parse))
_Periods = Written(
    lambda several: Texts.write(one.label for one in several), lambda text: tuple(map(BillingPeriod.parse, Texts.read(text)))
)


def choice(kind: type[StrEnum]) -> Written:
    """Return the type of columns that hold one of an enumeration's words."""
    return Written(str, {one.value: one for one in kind}.__getitem__)


def document(kind: str) -> Written:
    """Return the type of columns that hold a dataclass as JSON: `module:Name` of the domain, imported with the first value.

    Amounts are strings, and what is as by default is left out.
    """

    def write(value: object) -> str:
        return storable(_adapter(kind).serializer.to_json(value, exclude_defaults=True).decode())

    return Written(write, lambda text: _adapter(kind).validate_json(text))


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter  # noqa: PLC0415 -- 0.1 s to build, which commands that read no document can do without

    from spendwatch.fields import imported  # noqa: PLC0415 -- the same

    return TypeAdapter(imported(f"spendwatch.domain.{kind}"))


class Amount(TypeDecorator[Decimal]):
    """An exact decimal: NUMERIC in PostgreSQL, plain text in SQLite, which knows only floats. Refused rather than rounded."""

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column type for the database at hand."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Numeric(_SUM_DIGITS, SCALE))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Decimal | str | None:
        """Return what the column holds. PostgreSQL would round surplus decimals silently, so they are refused here."""
        if value is None:
            return None
        text = plain(value)
        amount = parse_amount(text)
        return text if dialect.name == "sqlite" else amount

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Decimal | None]:
        """Return what reads the column: amounts without trailing zeros, as SQLite holds them, on both databases."""
        del coltype
        read: Callable[[Any], Decimal] = Decimal if dialect.name == "sqlite" else lambda value: Decimal(plain(Decimal(value)))
        return lambda value: None if value is None else read(value)


class Moment(TypeDecorator[datetime]):
    """A moment, held in UTC. In SQLite as text of fixed width, so that text order is the order of time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column type for the database at hand."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | str | None:
        """Return the moment in UTC; one without a zone is a defect of the caller."""
        if value is None:
            return None
        return _as_text(value) if dialect.name == "sqlite" else _in_utc(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        """Return what reads the column: moments with their zone, UTC."""
        del coltype
        read = _from_text if dialect.name == "sqlite" else _in_utc
        return lambda value: read(value) if value else None


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        msg = f"a moment without a zone: {moment!r}"
        raise ValueError(msg)
    return moment.astimezone(UTC)


@lru_cache(maxsize=256)
def _as_text(moment: datetime) -> str:
    return _in_utc(moment).isoformat(timespec="microseconds")


@lru_cache(maxsize=256)
def _from_text(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


_TYPES: Mapping[object, TypeEngine[Any] | type[TypeEngine[Any]]] = {
    str: StoredText,
    int: BigInteger,
    float: Float,
    bool: Boolean,
    bytes: LargeBinary,
    date: Date,
    datetime: Moment,
    Decimal: Amount,
    BillingPeriod: _Period,
    tuple[BillingPeriod, ...]: _Periods,
    tuple: Texts,
}


def columns_of(kind: type[Any], *, key: str = "", but: Collection[str] = ()) -> Iterator[Column[Any]]:
    """Yield a column for each field of a class, without those of `but`; it may be empty where the field may be None."""
    own = {name: hint for name, hint in kind.__annotations__.items() if name not in but}
    for name, found in get_type_hints(type("", (), {"__annotations__": own, "__module__": kind.__module__})).items():
        choices = get_args(found)
        hint = choices[0] if NoneType in choices else found
        while isinstance(hint, NewType):
            hint = hint.__supertype__
        own_type = _TYPES.get(hint) or _TYPES.get(get_origin(hint)) or choice(hint)
        yield Column(name, own_type, primary_key=name == key, nullable=NoneType in choices)


def columns_like(table: Table, kind: type[Any]) -> Sequence[Column[Any]]:
    """Return the columns of a table that hold the fields of a class, in their order."""
    return tuple(table.c[name] for name in kind.__annotations__)


def all_of(table: Table, kind: type[T]) -> Callable[[Connection], tuple[T, ...]]:
    """Return what gives all rows of a table that holds instances of a class, in the order of its key."""
    query = select(*columns_like(table, kind)).order_by(*table.primary_key)

    def found(connection: Connection) -> tuple[T, ...]:
        return tuple(kind(*row) for row in connection.execute(query))

    return found


def texts(*names: str) -> Iterator[Column[str]]:
    """Yield columns of texts, which may be empty but not missing."""
    return (Column(name, StoredText, nullable=False) for name in names)


class ExactSum(FunctionElement[Decimal]):
    """The exact sum of an amount column."""

    type = Amount()
    inherit_cache = True


@compiles(ExactSum)
def _native_sum(element: ExactSum, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 -- the compiler's own
    return f"sum({compiler.process(element.clauses, **options)})"


@compiles(ExactSum, "sqlite")
def _registered_sum(element: ExactSum, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 -- the compiler's own
    return f"decimal_sum(group_concat({compiler.process(element.clauses, **options)}))"


def decimal_sum(amounts: str | None) -> str:
    """Return the sum of listed amounts as plain text: SQLite's own SUM would make floats of them.

    SQLite makes the list without calling Python for each row, and in between other threads get their turn.
    """
    if amounts and "," not in amounts:
        return amounts  # it is plain: of most days and resources there is one row
    several = map(Decimal, (amounts or "0").split(","))
    return plain(exact_sum(exact_sum(some) for some in batches(several)))


if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from sqlalchemy.dialects import postgresql

Insertion: TypeAlias = "sqlite.Insert | postgresql.Insert"


def insert_into(connection: Connection, table: Table) -> Insertion:
    """Return an INSERT that knows ON CONFLICT, in the database's own dialect."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 -- loading it costs what a quick command cannot spare

    return postgresql.insert(table)


def upsert(
    connection: Connection,
    table: Table,
    row: Row,
    changes: Row | None = None,
    *,
    key: Sequence[Column[Any]] = (),
    where: ColumnElement[bool] | None = None,
) -> None:
    """Insert a row; one that is there already gets these changes, or, without any, all values of the new one.

    `key` tells which row it is, where that is not the primary key; `where`: which rows may be changed.
    """
    found = list(key) or list(table.primary_key)
    fresh = dict(changes) if changes else {name: value for name, value in row.items() if table.c[name] not in found}
    insertion = insert_into(connection, table).values(row)
    connection.execute(insertion.on_conflict_do_update(index_elements=found, set_=fresh, where=where))


WELL: Row = {"failing_since": None, "failures": 0, "trouble": ""}
"""Of what works."""


def note_failure(connection: Connection, table: Table, first: Row, why: str, *, at: datetime, always: Row) -> None:
    """Count one more failure in a row of what `first` says which it is; `always` is written whether or not it is the first."""
    row = {**first, **always, "failures": 1, "failing_since": at, "trouble": why}
    since = func.coalesce(table.c.failing_since, literal(at, Moment))
    upsert(connection, table, row, {**always, "failures": table.c.failures + 1, "failing_since": since, "trouble": why})


BATCH = 2000
"""Rows handed to the driver at once: enough to be fast, few enough to stay small in memory and to let other threads work."""


def batches(rows: Iterable[T]) -> Iterable[Sequence[T]]:
    """Yield the rows, or what rows are asked for by, in lists of at most `BATCH`."""
    pending = iter(rows)
    while batch := list(islice(pending, BATCH)):
        yield batch


def begins_with(column: ColumnElement[str], prefix: str) -> ColumnElement[bool]:
    """Return the condition that an id begins with what a person typed of it."""
    return column.startswith(prefix.lower(), autoescape=True)
