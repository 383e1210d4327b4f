"""The tables `charged_value`, what bills ever named in charges, and `learnt`, from where on something new is reported."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    PrimaryKeyConstraint,
    Table,
    Text,
    and_,
    case,
    cast,
    delete,
    func,
    literal_column,
    or_,
    select,
    update,
)

from spendwatch.domain.merging import ResolvedDay
from spendwatch.domain.novelty import NOVEL, ChargedValue, Learnt
from spendwatch.domain.scope import Dimension
from spendwatch.domain.statement import AccountId, ChargeKind, SeriesKey
from spendwatch.store.bulk import put_many
from spendwatch.store.columns import Insertion, Row, columns_like, columns_of, metadata, upsert
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

_BLANK: ColumnElement[str] = literal_column("' '")
_ORDER = spend.c.commodity.concat(_BLANK).concat(cast(spend.c.day, Text)).concat(_BLANK).concat(spend.c.ends)
"""Each order of a commodity, by its day and end."""
# Amounts are texts in SQLite. Whether one is above zero does not depend on how exact it is.
_PAID = cast(spend.c.billed_cost, Float) > 0
_SORTS: tuple[tuple[bool, ColumnElement[bool], Mapping[Dimension, ColumnElement[str]]], ...] = (
    (False, _PAID, {dimension: spend.c[dimension.value] for dimension in NOVEL}),
    (True, spend.c.charge == ChargeKind.FREE.value, {Dimension.MODEL: spend.c.model}),
    (False, spend.c.charge == ChargeKind.SUBSCRIPTION.value, {Dimension.ENDS: _ORDER}),
)
"""What is noted: the values of lines that cost something, the models of lines of a free quota, and orders."""
_SPELT = frozenset({Dimension.ITEM, Dimension.COMMODITY, Dimension.REGION})
"""Codes in one layout, names in another."""

_Named = Mapping[tuple[str, str, Dimension, str, bool], tuple[date, date]]
"""The first and the last day of each value, by what tells values apart."""


def note_charged(connection: Connection, days: Iterable[ResolvedDay]) -> None:
    """Note what these days, as they are on record now, name for the first time: at the revision that comes next."""
    touched: dict[SeriesKey, list[date]] = {}
    for day in days:
        touched.setdefault(day.key.month, []).append(day.key.day)
    revision = current_revision(connection) + 1
    for key, on in touched.items():
        named = _named(connection, and_(is_month(spend, key), spend.c.day.between(min(on), max(on))))
        is_of_kind = and_(reach.c.account == key.account, reach.c.series == key.series)
        # Another layout may call the same thing otherwise: what it says first is no news.
        known = _SPELT if connection.scalar(select(reach.c.series).where(is_of_kind).limit(1)) is None else ()
        rows: list[Row] = [
            {**dict(zip(_KEY, place, strict=True)), "since": since, "until": until}
            | {"revision": 0 if place[2] in known else revision, "is_gone": False}
            for place, (since, until) in named.items()
        ]
        put_many(connection, charged_value, rows, _keep_known)


def _named(connection: Connection, where: ColumnElement[bool]) -> _Named:
    found: dict[tuple[str, str, Dimension, str, bool], tuple[date, date]] = {}
    owner = spend.c.account, spend.c.product
    for is_free, counts, columns in _SORTS:
        query = select(*owner, *columns.values(), func.min(spend.c.day), func.max(spend.c.day)).where(where, counts)
        for account, product, *values, since, until in connection.execute(query.group_by(*owner, *columns.values())):
            for dimension, value in zip(columns, values, strict=True):
                if value:
                    place = account, product, dimension, value, is_free
                    before = found.get(place, (since, until))
                    found[place] = min(since, before[0]), max(until, before[1])
    return found


def _keep_known(insertion: Insertion) -> Insertion:
    """What is known keeps its revision, unless it was gone and is charged later than it was before."""
    known, fresh = charged_value.c, insertion.excluded
    is_other = and_(known.is_gone, fresh.since > known.since)
    is_earlier, is_later = fresh.since < known.since, fresh.until > known.until
    changes = {
        "since": case((or_(is_other, is_earlier), fresh.since), else_=known.since),
        "until": case((or_(known.is_gone, is_later), fresh.until), else_=known.until),
        "revision": case((is_other, fresh.revision), else_=known.revision),
        "is_gone": fresh.is_gone,
    }
    where = or_(known.is_gone, is_earlier, is_later)
    return insertion.on_conflict_do_update(index_elements=list(charged_value.primary_key), set_=changes, where=where)


def forget_charged(connection: Connection, series: Collection[SeriesKey]) -> None:
    """Note which values of these accounts no bill on record names any more, and since when the others are named."""
    accounts = sorted({one.account for one in series})
    named = _named(connection, spend.c.account.in_(accounts))
    key = [charged_value.c[name] for name in _KEY]
    for place in connection.execute(select(*key).where(charged_value.c.account.in_(accounts))).all():
        days = named.get(tuple(place))
        values = {"since": days[0], "until": days[1]} if days else {"is_gone": True}
        is_it = and_(*(column == one for column, one in zip(key, place, strict=True)))
        connection.execute(update(charged_value).where(is_it).values(values))


def charged_values(connection: Connection, after: Mapping[AccountId, int]) -> Sequence[ChargedValue]:
    """Return what came on record for these accounts after a revision, and the models that were ever free, and all orders."""
    if not after:
        return ()
    is_lasting = or_(charged_value.c.is_free, charged_value.c.dimension == Dimension.ENDS)
    late = (
        and_(charged_value.c.account == account, or_(charged_value.c.revision > revision, is_lasting))
        for account, revision in after.items()
    )
    found = connection.execute(select(*columns_like(charged_value, ChargedValue)).where(or_(*late), ~charged_value.c.is_gone))
    return tuple(ChargedValue(*row) for row in found)


def first_days(connection: Connection) -> Mapping[AccountId, date]:
    """Return the first day on which each account was charged."""
    query = select(charged_value.c.account, func.min(charged_value.c.since)).group_by(charged_value.c.account)
    return {AccountId(account): day for account, day in connection.execute(query)}


def learn(connection: Connection, new: Iterable[Learnt], given_up: Iterable[Learnt]) -> None:
    """Remember from where on something new is reported; what nobody wants to know any more is to be learnt again."""
    for one in given_up:
        connection.execute(delete(learnt).where(learnt.c.account == one.account, learnt.c.what == one.what))
    for one in new:
        upsert(connection, learnt, one._asdict())
