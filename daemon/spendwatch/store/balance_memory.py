"""The tables `balance_watch`, `runway_reached` and `foretold`: the memory between two rounds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import Column, Connection, Date, Integer, PrimaryKeyConstraint, Table, and_, delete, select

from spendwatch.domain.alert import AlertKey, Rule
from spendwatch.domain.balance_reading import Origin
from spendwatch.domain.balance_watch import BalanceWatch, TopUp
from spendwatch.domain.forecast import RunwayReached
from spendwatch.domain.forecast_alerts import Foretold
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.scope import parse_scope
from spendwatch.domain.statement import AccountId
from spendwatch.store.bulk import put_many
from spendwatch.store.columns import Choice, Insertion, Moment, Row, Total, Words, insert_into, metadata

balance_watch = Table(
    "balance_watch",
    metadata,
    Column("account", Words, primary_key=True),
    Column("origin", Choice(Origin), nullable=False),
    Column("currency", Words, nullable=False),
    Column("funds", Total),
    Column("net", Total),
    Column("top_up", Total),
    Column("topped_up_at", Moment),
    Column("positive_since", Moment),
    Column("overdue_since", Moment),
)

runway_reached = Table(
    "runway_reached",
    metadata,
    Column("account", Words, nullable=False),
    # In seconds.
    Column("threshold", Integer, nullable=False),
    Column("clear_on", Date),
    Column("reached_on", Date),
    PrimaryKeyConstraint("account", "threshold"),
)

foretold = Table(
    "foretold",
    metadata,
    Column("period", Words, nullable=False),
    Column("account", Words, nullable=False),
    Column("scope", Words, nullable=False),
    Column("threshold", Words, nullable=False),
    Column("height", Words, nullable=False),
    Column("through", Date, nullable=False),
    PrimaryKeyConstraint("period", "account", "scope", "threshold", "height"),
)


def put_watch(connection: Connection, watch: BalanceWatch, currency: Currency) -> None:
    """Remember a look at a balance in place of the one before."""
    top_up = watch.top_up
    row: Row = {
        "account": watch.account,
        "origin": watch.origin,
        "currency": currency,
        "funds": watch.funds.amount if watch.funds else None,
        "net": watch.net.amount if watch.net else None,
        "top_up": top_up.amount.amount if top_up else None,
        "topped_up_at": top_up.seen_at if top_up else None,
        "positive_since": watch.positive_since,
        "overdue_since": watch.overdue_since,
    }
    insertion = insert_into(connection, balance_watch).values(row)
    connection.execute(insertion.on_conflict_do_update(index_elements=[balance_watch.c.account], set_=row))
    connection.execute(delete(runway_reached).where(runway_reached.c.account == watch.account))
    for reached in watch.runway:
        seconds = int(reached.threshold.total_seconds())
        days: Row = {"clear_on": reached.clear_on, "reached_on": reached.reached_on}
        place: Row = {"account": watch.account, "threshold": seconds, **days}
        connection.execute(insert_into(connection, runway_reached).values(place))


def watches_on_record(connection: Connection) -> Mapping[AccountId, BalanceWatch]:
    """Return the last look at each balance."""
    reached: dict[str, list[RunwayReached]] = {}
    for row in connection.execute(select(runway_reached).order_by(*runway_reached.primary_key)):
        one = RunwayReached(timedelta(seconds=row.threshold), row.clear_on, row.reached_on)
        reached.setdefault(row.account, []).append(one)
    found: dict[AccountId, BalanceWatch] = {}
    for row in connection.execute(select(balance_watch)):
        currency = Currency(row.currency)
        found[AccountId(row.account)] = BalanceWatch(
            account=AccountId(row.account),
            origin=row.origin,
            funds=None if row.funds is None else Money(row.funds, currency),
            net=None if row.net is None else Money(row.net, currency),
            top_up=None if row.top_up is None else TopUp(Money(row.top_up, currency), row.topped_up_at),
            positive_since=row.positive_since,
            overdue_since=row.overdue_since,
            runway=tuple(reached.get(row.account, ())),
        )
    return found


def put_foretold(connection: Connection, reached: Foretold) -> None:
    """Remember what forecasts reach in place of what they reached before; most of that has not changed."""
    before = foretold_on_record(connection)
    rows: list[Row] = [{**_place(key), "through": day} for key, day in reached.items() if before.get(key) != day]
    put_many(connection, foretold, rows, _move_on)
    for key in before.keys() - reached.keys():
        is_it = and_(*(foretold.c[name] == value for name, value in _place(key).items()))
        connection.execute(delete(foretold).where(is_it))


def _move_on(insertion: Insertion) -> Insertion:
    return insertion.on_conflict_do_update(
        index_elements=list(foretold.primary_key), set_={"through": insertion.excluded.through}
    )


def _place(key: AlertKey) -> Row:
    scope = key.scope
    place: Row = {"period": key.period, "account": scope.account, "scope": scope.text}
    return {**place, "threshold": key.threshold, "height": key.height}


def foretold_on_record(connection: Connection) -> Foretold:
    """Return what forecasts reach, each with the last complete day by which they first did."""
    return {
        AlertKey(Rule.FORECAST, parse_scope(account, scope), threshold, period, height): through
        for period, account, scope, threshold, height, through in connection.execute(select(foretold))
    }
