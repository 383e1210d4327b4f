"""The tables `charged_value`, what bills ever named in charges, and `learnt`, from where on something new is reported."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    PrimaryKeyConstraint,
    Select,
    Table,
    and_,
    case,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)

from spendwatch.domain.merging import ResolvedDay
from spendwatch.domain.novelty import NOVEL, ChargedValue, Learnt
from spendwatch.domain.scope import Dimension
from spendwatch.domain.statement import AccountId, ChargeKind, SeriesKey
from spendwatch.store.columns import columns_of, insert_into, metadata, upsert
from spendwatch.store.day import is_month
from spendwatch.store.spend import spend
from spendwatch.store.watermark import current_revision, reach

_KEY = ("account", "product", "dimension", "value", "is_free")

charged_value = Table(
    "charged_value",
    metadata,
    *columns_of(ChargedValue),
    # Whether no bill on record names it any more. It stays: the same bill may be entered again.
    Column("is_gone", Boolean, nullable=False),
    PrimaryKeyConstraint(*_KEY),
    sqlite_with_rowid=False,
)

learnt = Table("learnt", metadata, *columns_of(Learnt), PrimaryKeyConstraint("account", "what"))

_SORTS = (*((dimension, False) for dimension in NOVEL), (Dimension.MODEL, True))
"""What is noted: the values of lines that cost something, and the models of lines of a free quota."""

_SPELT = frozenset({Dimension.ITEM, Dimension.COMMODITY})
"""Codes in one layout, names in another."""


def note_charged(connection: Connection, days: Iterable[ResolvedDay]) -> None:
    """Note what these days, as they are on record now, name for the first time: at the revision that comes next."""
    touched: dict[SeriesKey, list[date]] = {}
    for day in days:
        touched.setdefault(day.key.month, []).append(day.key.day)
    revision = current_revision(connection) + 1
    for key, on in touched.items():
        where = and_(is_month(spend, key), spend.c.day.between(min(on), max(on)))
        is_first = connection.scalar(select(reach.c.series).where(_is_of_kind(key)).limit(1)) is None
        for dimension, is_free in _SORTS:
            # Another layout may call the same thing otherwise: what it says first is no news.
            is_known = is_first and dimension in _SPELT
            _note(connection, _named(dimension, where, is_free=is_free, revision=0 if is_known else revision))


def _is_of_kind(key: SeriesKey) -> ColumnElement[bool]:
    return and_(reach.c.account == key.account, reach.c.series == key.series)


def _named(dimension: Dimension, where: ColumnElement[bool], *, is_free: bool, revision: int) -> Select[*tuple[object, ...]]:
    value = spend.c[dimension.value]
    # Amounts are texts in SQLite. Whether one is above zero does not depend on how exact it is.
    counts = spend.c.charge == ChargeKind.FREE.value if is_free else cast(spend.c.billed_cost, Float) > 0
    return (
        select(
            spend.c.account,
            spend.c.product,
            literal(dimension.value),
            value,
            literal(value=is_free),
            func.min(spend.c.day),
            func.max(spend.c.day),
            literal(revision),
            literal(value=False),
        )
        .where(where, counts, value != "")
        .group_by(spend.c.account, spend.c.product, value)
    )


def _note(connection: Connection, named: Select[*tuple[object, ...]]) -> None:
    """Insert what is new. What is known keeps its revision, unless it was gone and is charged later than it was before."""
    known = charged_value.c
    insertion = insert_into(connection, charged_value).from_select([column.name for column in charged_value.c], named)
    fresh = insertion.excluded
    is_other = and_(known.is_gone, fresh.since > known.since)
    is_earlier, is_later = fresh.since < known.since, fresh.until > known.until
    changes = {
        "since": case((or_(is_other, is_earlier), fresh.since), else_=known.since),
        "until": case((or_(known.is_gone, is_later), fresh.until), else_=known.until),
        "revision": case((is_other, fresh.revision), else_=known.revision),
        "is_gone": literal(value=False),
    }
    connection.execute(
        insertion.on_conflict_do_update(
            index_elements=list(charged_value.primary_key), set_=changes, where=or_(known.is_gone, is_earlier, is_later)
        )
    )


def forget_charged(connection: Connection, series: Collection[SeriesKey]) -> None:
    """Note which values of these accounts no bill on record names any more, and since when the others are named."""
    accounts = sorted({one.account for one in series})
    for dimension, is_free in _SORTS:
        named = _named(dimension, spend.c.account.in_(accounts), is_free=is_free, revision=0)
        found = {tuple(row[:5]): row[5:7] for row in connection.execute(named)}
        key = [charged_value.c[name] for name in _KEY]
        mine = and_(
            charged_value.c.account.in_(accounts),
            charged_value.c.dimension == dimension,
            charged_value.c.is_free == is_free,
        )
        for place in connection.execute(select(*key).where(mine)).all():
            days = found.get((*place[:2], place[2].value, *place[3:]))
            values = {"since": days[0], "until": days[1]} if days else {"is_gone": True}
            is_it = and_(*(column == one for column, one in zip(key, place, strict=True)))
            connection.execute(update(charged_value).where(is_it).values(values))


def charged_values(connection: Connection, after: Mapping[AccountId, int]) -> Sequence[ChargedValue]:
    """Return what came on record for these accounts after a revision, and the models that were ever free."""
    if not after:
        return ()
    names = [column for column in charged_value.c if column.name != "is_gone"]
    late = (
        and_(charged_value.c.account == account, or_(charged_value.c.revision > revision, charged_value.c.is_free))
        for account, revision in after.items()
    )
    found = connection.execute(select(*names).where(or_(*late), ~charged_value.c.is_gone))
    return tuple(ChargedValue(*row) for row in found)


def first_days(connection: Connection) -> Mapping[AccountId, date]:
    """Return the first day on which each account was charged."""
    query = select(charged_value.c.account, func.min(charged_value.c.since)).group_by(charged_value.c.account)
    return {AccountId(account): day for account, day in connection.execute(query)}


def all_learnt(connection: Connection) -> Sequence[Learnt]:
    """Return from where on something new is reported."""
    return tuple(Learnt(*row) for row in connection.execute(select(learnt)))


def learn(connection: Connection, new: Iterable[Learnt], given_up: Iterable[Learnt]) -> None:
    """Remember from where on something new is reported; what nobody wants to know any more is to be learnt again."""
    for one in given_up:
        connection.execute(delete(learnt).where(learnt.c.account == one.account, learnt.c.what == one.what))
    for one in new:
        upsert(connection, learnt, asdict(one))
