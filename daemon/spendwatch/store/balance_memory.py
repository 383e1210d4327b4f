"""The tables `balance_watch`, `foretold` and `watched_since`: the memory between two rounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, Date, PrimaryKeyConstraint, Table, and_, delete, select

from spendwatch.domain.alert import AlertKey, Rule
from spendwatch.domain.scope import BudgetScope, parse_scope
from spendwatch.domain.standing import WatchedSince
from spendwatch.domain.statement import AccountId
from spendwatch.store.bulk import put_many, replace_the_old
from spendwatch.store.columns import Moment, Row, StoredText, document, metadata, texts, upsert

if TYPE_CHECKING:
    from spendwatch.domain.balance_watch import BalanceWatch
    from spendwatch.domain.forecast_alerts import Foretold

balance_watch = Table(
    "balance_watch",
    metadata,
    Column("account", StoredText, primary_key=True),
    Column("body", document("balance_watch:BalanceWatch"), nullable=False),
    # Beside the rest, so that they can be corrected when the clock was wrong.
    Column("topped_up_at", Moment),
    Column("positive_since", Moment),
    Column("overdue_since", Moment),
)

foretold = Table(
    "foretold",
    metadata,
    *texts("period", "account", "scope", "threshold", "height"),
    Column("through", Date, nullable=False),
    PrimaryKeyConstraint("period", "account", "scope", "threshold", "height"),
)


watched_since = Table(
    "watched_since",
    metadata,
    *texts("account", "scope", "version"),
    Column("since", Date, nullable=False),
    PrimaryKeyConstraint("account", "scope"),
)


def put_since(connection: Connection, begun: WatchedSince) -> None:
    """Remember since which day these budgets are watched."""
    rows: list[Row] = [
        {"account": scope.account, "scope": scope.text, "version": version, "since": since}
        for scope, (version, since) in begun.items()
    ]
    put_many(connection, watched_since, rows, replace_the_old)


def since_on_record(connection: Connection) -> WatchedSince:
    """Return since which day each budget for days or weeks is watched."""
    found = connection.execute(select(watched_since))
    parsed = ((parse_scope(AccountId(account), text), version, since) for account, text, version, since in found)
    return {scope: (version, since) for scope, version, since in parsed if isinstance(scope, BudgetScope)}


def put_watches(connection: Connection, watches: Iterable[BalanceWatch]) -> None:
    """Remember these looks at balances in place of the ones before."""
    for watch in watches:
        row: Row = {
            "account": watch.account,
            "body": watch,
            "topped_up_at": watch.top_up.seen_at if watch.top_up else None,
            "positive_since": watch.positive_since,
            "overdue_since": watch.overdue_since,
        }
        upsert(connection, balance_watch, row)


def watches_on_record(connection: Connection) -> Mapping[AccountId, BalanceWatch]:
    """Return the last look at each balance."""
    return {
        account: replace(
            watch,
            top_up=replace(watch.top_up, seen_at=topped_up_at) if watch.top_up else None,
            positive_since=positive_since,
            overdue_since=overdue_since,
        )
        for account, watch, topped_up_at, positive_since, overdue_since in connection.execute(select(balance_watch))
    }


def put_foretold(connection: Connection, reached: Foretold) -> None:
    """Remember what forecasts reach in place of what they reached before; most of that has not changed."""
    before = foretold_on_record(connection)
    rows: list[Row] = [{**_place(key), "through": day} for key, day in reached.items() if before.get(key) != day]
    put_many(connection, foretold, rows, replace_the_old)
    for key in before.keys() - reached.keys():
        is_it = and_(*(foretold.c[name] == value for name, value in _place(key).items()))
        connection.execute(delete(foretold).where(is_it))


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
