"""The tables `alert`, every alert that ever fired, and `alert_revision`, which counts their changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any

from sqlalchemy import CheckConstraint, Column, Connection, Index, Integer, Select, Table, and_, func, or_, select, tuple_

from spendwatch.domain.alert import Alert, AlertKey, AlertState, Rule
from spendwatch.domain.period import BillingPeriod, PeriodKind, ShortPeriod, labels_in, parse_period
from spendwatch.domain.scope import parse_scope
from spendwatch.store.bulk import put_columns
from spendwatch.store.columns import BATCH, Insertion, begins_with, choice, columns_of, metadata, texts, upsert

alert = Table(
    "alert",
    metadata,
    *columns_of(Alert, key="id", but=("key",)),
    Column("rule", choice(Rule), nullable=False),
    *texts("account", "scope", "threshold", "period", "height"),
    Index(None, "period"),
    Index(None, "state"),
    CheckConstraint("state IN ('firing', 'resolved')", name="state"),
)

alert_revision = Table(
    "alert_revision",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    CheckConstraint("one = 1", name="one"),
)
"""One row, made by the first change."""

_LAST = BillingPeriod(9998, 12)
"""Later than any."""
_KEY_NAMES = ("rule", "account", "scope", "threshold", "period", "height")
_KEY = tuple(alert.c[name] for name in _KEY_NAMES)
_OWN = tuple(column for column in alert.c if column.name not in _KEY_NAMES)
_OF_KEY = ("key.rule", "key.scope.account", "key.scope.text", "key.threshold", "key.period", "key.height")
_VALUES = attrgetter(*(column.name for column in _OWN), *_OF_KEY)


def change_alerts(connection: Connection) -> None:
    """Count a change: whoever writes to the table has to, or rounds go on with the alerts that they know."""
    upsert(connection, alert_revision, {"one": 1, "number": 1}, {"number": alert_revision.c.number + 1})


def alerts_revision(connection: Connection) -> int:
    """Return the number of changes so far: if it is the same, so are all alerts."""
    return connection.scalar(select(alert_revision.c.number)) or 0


def put_alerts(connection: Connection, alerts: Iterable[Alert]) -> None:
    """Record alerts; of one that is on record only its course changes, never what it is about."""
    latest = {one.id: one for one in alerts}
    if latest:
        change_alerts(connection)
    ordered = [latest[key] for key in sorted(latest)]
    for first in range(0, len(ordered), BATCH):
        some = ordered[first : first + BATCH]
        values = zip(*map(_VALUES, some), strict=True)
        columns: dict[str, Sequence[Any]] = dict(zip((column.name for column in (*_OWN, *_KEY)), values, strict=True))
        put_columns(connection, alert, columns, _change_course)


def _change_course(insertion: Insertion) -> Insertion:
    course = {
        name: insertion.excluded[name]
        for name in ("state", "resolved_at", "told_at", "times_told", "told_amount", "escalated_at", "lapsed")
    }
    return insertion.on_conflict_do_update(index_elements=[alert.c.id], set_=course)


def alerts_that_matter(connection: Connection) -> tuple[Alert, ...]:
    """Return firing alerts, those of the latest three periods, and of matters without a period the latest episode.

    What is left out, ended alerts of older periods, is told apart by its identity all the same should it come up again.
    """
    is_of_week = alert.c.period.like("%-W%")
    newest = [connection.scalar(select(func.max(alert.c.period)).where(one)) for one in (~is_of_week, is_of_week)]
    months = (parse_period(label).span.months[0] for label in newest if label)
    oldest = max(months, default=_LAST).previous().previous()
    # Labels of weeks sort among themselves alone.
    week = ShortPeriod.containing(oldest.first_day, PeriodKind.WEEK).label
    is_late = or_(and_(~is_of_week, alert.c.period >= oldest.label), and_(is_of_week, alert.c.period >= week))
    latest = select(*_KEY, func.max(alert.c.episode)).where(alert.c.period == "").group_by(*_KEY)
    firing, is_latest = alert.c.state == AlertState.FIRING, tuple_(*_KEY, alert.c.episode).in_(latest)
    return _alerts(connection, select(*_KEY, *_OWN).where(or_(firing, is_late, is_latest)))


def alerts_listed(
    connection: Connection, *, state: AlertState | None = None, period: BillingPeriod | None = None, limit: int = 1000
) -> tuple[Alert, ...]:
    """Return alerts, the latest first."""
    query = select(*_KEY, *_OWN).order_by(alert.c.since.desc(), alert.c.id).limit(limit)
    if state is not None:
        query = query.where(alert.c.state == state)
    if period is not None:
        query = query.where(alert.c.period.in_(labels_in(period)))
    return _alerts(connection, query)


def alerts_beginning(connection: Connection, prefix: str, limit: int = 10) -> tuple[Alert, ...]:
    """Return the alerts whose id begins so: none, the one that is meant, or several."""
    if not prefix:
        return ()
    return _alerts(connection, select(*_KEY, *_OWN).where(begins_with(alert.c.id, prefix)).order_by(alert.c.id).limit(limit))


def _alerts(connection: Connection, query: Select[*tuple[Any, ...]]) -> tuple[Alert, ...]:
    scope_of = cache(parse_scope)
    return tuple(
        Alert(which, AlertKey(rule, scope_of(account, scope), threshold, period, height), *rest)
        for rule, account, scope, threshold, period, height, which, *rest in connection.execute(query).all()
    )
