"""Inserts many rows at once: row by row, storing a month's first alerts would take longer than finding them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table, bindparam, column, func, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect

from spendwatch.store.columns import Insertion, Row, StoredText, Written, batches, insert_into, storable

Conflict = Callable[[Insertion], Insertion]


def keep_the_old(insertion: Insertion) -> Insertion:
    """A row that is there stays as it is."""
    return insertion.on_conflict_do_nothing()


def replace_the_old(insertion: Insertion) -> Insertion:
    """A row that is there gets all values of the new one."""
    fresh = {column.name: insertion.excluded[column.name] for column in insertion.table.c if not column.primary_key}
    return insertion.on_conflict_do_update(index_elements=list(insertion.table.primary_key), set_=fresh)


def no_conflict(insertion: Insertion) -> Insertion:
    """A row that is there is a defect."""
    return insertion


def put_many(connection: Connection, table: Table, rows: Iterable[Row], conflict: Conflict) -> int:
    """Insert rows that all have the same columns, and return how many were put.

    `conflict` adds to the statement what happens to rows that are there.
    """
    return sum(
        put_columns(connection, table, {name: [row[name] for row in batch] for name in batch[0]}, conflict)
        for batch in batches(rows)
    )


def put_columns(connection: Connection, table: Table, columns: Mapping[str, Sequence[Any]], conflict: Conflict) -> int:
    """Insert rows that are given column by column, which is quicker where there are very many."""
    names = tuple(name for name in table.c.keys() if name in columns)  # noqa: SIM118 -- a collection of columns, no dict
    if not columns[names[0]]:
        return 0
    values = list(zip(*(_bound(connection, table, name, columns[name]) for name in names), strict=True))
    if connection.dialect.name == "sqlite":
        statement = _statement(connection.dialect, table, names, conflict)
        return connection.exec_driver_sql(statement, values, {"preserve_rowcount": True}).rowcount
    return _put_document(connection, conflict(insert_into(connection, table)), table, names, values)


def _bound(connection: Connection, table: Table, name: str, values: Sequence[Any]) -> Iterable[Any]:
    """Return a column's values as the driver takes them."""
    kind = table.c[name].type
    if isinstance(kind, StoredText) and None not in values:
        together = "".join(values)  # looked at at once: a million calls that change nothing take their time
        return values if together.isascii() and "\0" not in together else map(storable, values)
    if isinstance(kind, Written) and None not in values:
        convert: Callable[[Any], Any] | None = kind.write
    else:
        convert = kind.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    if convert is None:
        return values
    is_constant = values[0] == values[-1] and values.count(values[0]) == len(values)
    return [convert(values[0])] * len(values) if is_constant else map(convert, values)


@lru_cache(maxsize=128)
def _statement(dialect: Dialect, table: Table, names: tuple[str, ...], conflict: Conflict) -> str:
    """Return the INSERT of one row, which is compiled once for all batches."""
    return str(conflict(sqlite.insert(table)).compile(dialect=dialect, column_keys=list(names)))


def _put_document(
    connection: Connection,
    insertion: Insertion,
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
