"""A process of its own that works on a ledger until it is killed: `python store_worker.py enter|commit|lock|stall PLACE`."""

from __future__ import annotations

import sys
from itertools import count
from threading import Event

from spendwatch.domain.errors import LedgerUnavailableError
from spendwatch.domain.review import Verdict
from spendwatch.store.alert_book import AlertBook
from spendwatch.store.database import Database
from spendwatch.store.ledger import Ledger
from spendwatch.store.opening import open_database
from store_builders import FINANCE, INBOX, NOON, Day, alert, key, matter, notification, resolution, row, statement


def say(text: object) -> None:
    print(text, flush=True)


def enter(database: Database, first: int) -> None:
    """Enter one file after the other, each a workspace of its own with three days, and say so after each commit."""
    ledger = Ledger(database)
    for number in count(first):
        days = [Day(key(day), tuple(row("0.1", model=str(n)) for n in range(50)), salt=str(number)) for day in (1, 2, 3)]
        held = ledger.held(day.key.month for day in days)
        ledger.record(statement(number, days), resolution(days), name=f"{number}.csv", source=INBOX, held=held, now=NOON)
        say(number)


def commit(database: Database, first: int) -> None:
    """Commit one alert with its notification and two deliveries after the other, and say so after each."""
    book = AlertBook(database)
    for number in count(first):
        fired = alert(matter(scope=f"workspace:{number}"))
        told = notification(fired)
        book.commit(Verdict((fired,), (told,)), {FINANCE: ("a@example.com", "b@example.com")}, now=NOON)
        say(told.id)


def lock(database: Database) -> None:
    """Be the only daemon, until killed."""
    try:
        database.lock_for_life()
    except LedgerUnavailableError as error:
        say(error)
        sys.exit(75)
    say("locked")
    Event().wait()


def stall(database: Database) -> None:
    """Die in the middle of a transaction: it is written, and not committed."""
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE revision SET number = 999")
        say("writing")
        Event().wait()


def main() -> None:
    """Do what the command line says."""
    what, place, *rest = sys.argv[1:]
    database = open_database(place)
    match what:
        case "enter":
            enter(database, int(rest[0]))
        case "commit":
            commit(database, int(rest[0]))
        case "lock":
            lock(database)
        case "stall":
            stall(database)
        case _:
            sys.exit(f"not known: {what}")


if __name__ == "__main__":
    main()
