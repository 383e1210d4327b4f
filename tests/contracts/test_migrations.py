"""A ledger that an earlier release wrote goes on as if the present one had written it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from psycopg import sql

from real_ledger import RealLedger
from spendwatch.bills.process import ReadingProcess
from spendwatch.domain.errors import LedgerUnavailableError
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import AccountId, SeriesKey, Stamp
from spendwatch.store.alert_book import AlertBook
from spendwatch.store.database import Database
from spendwatch.store.ledger import Ledger
from spendwatch.store.opening import open_database
from spendwatch.store.postgres import PostgresStorage
from spendwatch.store.schema import HEAD, stored_revision
from spendwatch.store.sqlite import SqliteStorage
from store_builders import CHINA

DATA = Path(__file__).parent.parent / "data"
FIRST, SECOND = (f"1000000000000001-202609150{time}_consumedetailbillv2.csv" for time in ("93012", "94145"))
SUMMARY = "1000000000000001-20260916080000_consumedetailbillv2daysummary.csv"
SEPTEMBER = BillingPeriod(2026, 9)
DETAIL = SeriesKey(AccountId("1000000000000001"), SEPTEMBER, "consumedetailbillv2")


def sample(name: str) -> bytes:
    return (DATA / "bills" / name).read_bytes()


def as_written(schema: str) -> sqlite3.Connection:
    """Return the ledger of an earlier release that had entered the first of the two detail bills."""
    file = sqlite3.connect(":memory:")
    file.executescript((DATA / "ledgers" / f"schema_{schema}.sql").read_text())
    return file


def build(place: str, schema: str) -> None:
    """Let the migrations build that release's tables."""
    storage: PostgresStorage | SqliteStorage = (
        PostgresStorage(place, read_only=False, password_file=None)
        if place.startswith("postgresql")
        else SqliteStorage(Path(place), read_only=False, any_disk=False)
    )
    with storage.writing() as connection:
        config = Config()
        config.set_main_option("script_location", "spendwatch.store:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, schema)
    storage.close()


def put_on_server(old: sqlite3.Connection, schema: str, url: str) -> None:
    """Let the migrations build that release's tables, and fill them with what it had written."""
    build(url, schema)
    with psycopg.connect(url) as server:
        server.execute("DELETE FROM revision")
        for table in ("statement", "chunk", "spend", "reach", "authority", "revision", "source_health"):
            for row in old.execute(f"SELECT * FROM {table}"):  # noqa: S608 -- the names above
                places = sql.SQL(", ").join(sql.Placeholder() * len(row))
                server.execute(sql.SQL("INSERT INTO {} VALUES ({})").format(sql.Identifier(table), places), row)
        server.execute("SELECT setval(pg_get_serial_sequence('statement', 'id'), max(id)) FROM statement")


def put_at(place: str, schema: str) -> None:
    """Put there what that release had written."""
    old = as_written(schema)
    if place.startswith("postgresql"):
        put_on_server(old, schema, place)
    else:
        Path(place).parent.mkdir()
        file = sqlite3.connect(place)
        old.backup(file)
        file.close()
    old.close()


@pytest.fixture
def migrated(new_place: str) -> Iterator[Database]:
    put_at(new_place, "0001")
    database = open_database(new_place)
    yield database
    database.close()


@pytest.fixture
def ledger(migrated: Database, tmp_path: Path) -> Iterator[RealLedger]:
    folder = tmp_path / "bills"
    folder.mkdir()
    with ReadingProcess(tmp_path / "reading") as reader:
        yield RealLedger(migrated, reader, folder)


def test_a_migration_that_fails_leaves_the_ledger_as_it_was(new_place: str) -> None:
    put_at(new_place, "0001")
    _execute(new_place, "CREATE TABLE late (id INTEGER)")
    with pytest.raises(Exception, match="late"):
        open_database(new_place)
    _execute(new_place, "DROP TABLE late")
    with pytest.raises(LedgerUnavailableError, match="has an older schema"):
        open_database(new_place, read_only=True)
    database = open_database(new_place)
    assert len(Ledger(database).statements()) == 1
    database.close()


def _execute(place: str, statement: LiteralString) -> None:
    if place.startswith("postgresql"):
        with psycopg.connect(place) as server:
            server.execute(statement)
    else:
        with closing(sqlite3.connect(place)) as file:
            file.executescript(statement)


def test_an_older_ledger_says_the_same_after_the_update(ledger: RealLedger) -> None:
    with ledger.database.reading() as connection:
        assert stored_revision(connection) == HEAD
    assert ledger.spent(SEPTEMBER) == {"CNY": Decimal("170.4593912")}
    assert ledger.spent(SEPTEMBER, products=("sfm",)) == {"CNY": Decimal("170.149385")}
    (only,) = ledger.ledger.statements(9)
    assert (only.name, only.stamp, only.gone) == (FIRST, Stamp("20260915093012"), 0)


def test_it_knows_how_far_each_series_reaches(ledger: RealLedger) -> None:
    (until,) = ledger.ledger.data_until().values()
    assert until.astimezone(CHINA).isoformat() == "2026-09-14T16:20:05+08:00"


def test_the_same_bill_is_known_and_the_next_one_is_merged_line_by_line(ledger: RealLedger) -> None:
    assert ledger.enter(FIRST, sample(FIRST)).repeated
    receipt = ledger.enter(SECOND, sample(SECOND))
    assert (receipt.new, receipt.changed, receipt.same, receipt.gone) == (3, 0, 11, 0)
    assert ledger.spent(SEPTEMBER) == {"CNY": Decimal("170.6423912")}


def test_another_layout_of_the_same_month_is_not_added(ledger: RealLedger) -> None:
    before = ledger.spent(SEPTEMBER)
    ledger.enter(SUMMARY, sample(SUMMARY))
    totals = {one.series.series for one in ledger.ledger.totals(SEPTEMBER)}
    assert totals == {"consumedetailbillv2", "consumedetailbillv2daysummary"}
    assert ledger.spent(SEPTEMBER)["CNY"] >= before["CNY"]
    assert ledger.spent(SEPTEMBER)["CNY"] < Decimal(2) * before["CNY"]


def test_lines_entered_before_are_replaced_by_newer_ones_only(ledger: RealLedger) -> None:
    # The same export once more, later, at another amount; then an even older one.
    later = sample(FIRST).replace(b"0.3100062", b"0.3100072")
    ledger.enter(FIRST.replace("20260915093012", "20260917093012"), later)
    ledger.enter(FIRST.replace("20260915093012", "20260910093012"), sample(FIRST) + b"\n")
    assert ledger.spent(SEPTEMBER) == {"CNY": Decimal("170.4593922")}
    assert ledger.ledger.held([DETAIL]).days


def test_alerts_of_before_know_their_budget_and_the_amount_of_the_last_word(new_place: str) -> None:
    build(new_place, "0005")
    _execute(
        new_place,
        """
        INSERT INTO alert SELECT 'told', 'spend.threshold_reached', 'a', 'account', '900', '2026-09', '900', 1, 'warning',
            'firing', '2026-09-05T04:00:00.000000+00:00', NULL, '2026-09-06T04:00:00.000000+00:00', 2, '910', 'told';
        INSERT INTO alert SELECT 'silent', 'spend.threshold_reached', 'a', 'account', '50%', '2026-09', '600', 1, 'notice',
            'firing', '2026-09-05T04:00:00.000000+00:00', NULL, NULL, 0, '910', 'silent';
        INSERT INTO notification SELECT 'b', 'told', '2026-09-05T04:00:00.000000+00:00',
            '{"facts":{"spend":["910","CNY"],"budget":["1200","CNY"]}}';
        INSERT INTO notification SELECT 'a', 'told', '2026-09-06T04:00:00.000000+00:00',
            '{"facts":{"spend":["950","CNY"],"budget":["1000","CNY"]}}';
        INSERT INTO notification SELECT 'c', 'gone', '2026-09-06T04:00:00.000000+00:00', '{"facts":{}}';
        """,
    )
    database = open_database(new_place)
    found = {alert.id: (alert.amount, alert.budget, alert.told_amount) for alert in AlertBook(database).known()}
    assert found == {"told": ("910", "1200", "950"), "silent": ("910", "", "")}
    database.close()
