"""Inserts many rows at once: row by row, storing a month's first alerts would take longer than finding them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table, bindparam, column, func, select
from sqlalchemy.dialects import sqlite

from spendwatch.store.columns import Insertion, Row, Words, batches, insert_into, storable

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

Conflict = Callable[[Insertion], Insertion]


def keep_the_old(insertion: Insertion) -> Insertion:
    """A row that is there stays as it is."""
    return insertion.on_conflict_do_nothing()


def no_conflict(insertion: Insertion) -> Insertion:
    """A row that is there is a defect."""
    return insertion


def put_many(connection: Connection, table: Table, rows: Iterable[Row], conflict: Conflict) -> int:
    """Insert rows that all have the same columns, and return how many were put.

    `conflict` adds to the statement what happens to rows that are there.
    """
    return sum(_put(connection, table, batch, conflict) for batch in batches(rows))


def _put(connection: Connection, table: Table, batch: Sequence[Row], conflict: Conflict) -> int:
    names = tuple(name for name in table.c.keys() if name in batch[0])  # noqa: SIM118 -- a collection of columns, no dict
    columns = [_converted(connection, table, name, map(itemgetter(name), batch)) for name in names]
    values = list(zip(*columns, strict=True))
    insertion = conflict(insert_into(connection, table))
    if isinstance(insertion, sqlite.Insert):
        return _put_tuples(connection, insertion, names, values)
    return _put_document(connection, insertion, table, names, values)


def _converted(connection: Connection, table: Table, name: str, values: Iterable[Any]) -> Iterable[Any]:
    """Return a column's values as the driver takes them."""
    if isinstance(table.c[name].type, Words):
        return map(storable, values)  # what the type would do, less three calls a value
    convert = table.c[name].type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    return values if convert is None else map(convert, values)


def _put_tuples(
    connection: Connection, insertion: sqlite.Insert, names: tuple[str, ...], values: Sequence[tuple[Any, ...]]
) -> int:
    compiled = insertion.compile(dialect=connection.dialect, column_keys=list(names))
    return connection.exec_driver_sql(str(compiled), list(values), {"preserve_rowcount": True}).rowcount


def _put_document(
    connection: Connection,
    insertion: postgresql.Insert,
    table: Table,
    names: tuple[str, ...],
    values: Sequence[tuple[Any, ...]],
) -> int:
    """Send one JSON document, which the server takes apart: one statement and one answer, however many rows."""
    from sqlalchemy.dialects.postgresql import JSON  # noqa: PLC0415 -- as in `insert_into`

    document = json.dumps([dict(zip(names, row, strict=True)) for row in values], ensure_ascii=False, default=_as_text)
    columns = [column(name, table.c[name].type.dialect_impl(connection.dialect)) for name in names]
    source = func.json_to_recordset(bindparam("document", document).cast(JSON)).table_valued(*columns)
    derived = source.render_derived(name="source", with_types=True)
    statement = insertion.from_select(names, select(*derived.c))
    return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount


def _as_text(value: object) -> str:
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    msg = f"cannot be put into a table: {type(value).__name__}"
    raise TypeError(msg)
