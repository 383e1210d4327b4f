"""A ledger that an earlier release wrote goes on as if the present one had written it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from importlib.resources import as_file, files
from pathlib import Path

import pytest
from sqlalchemy import inspect

from real_ledger import RealLedger
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.domain.errors import LedgerUnavailableError
from spendwatch.domain.period import BillingPeriod
from spendwatch.store import schema
from spendwatch.store.opening import open_database

BILLS = Path(__file__).parent.parent / "data" / "bills"
FIRST, SECOND = (f"1000000000000001-202609150{time}_consumedetailbillv2.csv" for time in ("93012", "94145"))
SEPTEMBER = BillingPeriod(2026, 9)

NEXT = """
from alembic import op
import sqlalchemy as sa

revision, down_revision = "next", "{head}"


def upgrade():
    op.create_table("added", sa.Column("id", sa.Integer()))
    {then}
"""


@contextmanager
def opened(place: str, folder: Path) -> Iterator[RealLedger]:
    folder.mkdir(exist_ok=True)
    database = open_database(place)
    with ReadingProcess(folder / "reading") as reader:
        yield RealLedger(database, reader, folder)
    database.close()


@pytest.fixture
def place_of_before(new_place: str, tmp_path: Path) -> str:
    with opened(new_place, tmp_path / "before") as ledger:
        ledger.enter(FIRST, (BILLS / FIRST).read_bytes())
    return new_place


def release(then: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the program a later release: one whose tables need one more migration, which does that at its end."""
    with as_file(files("spendwatch.store") / "migrations") as today:
        folder = shutil.copytree(today, tmp_path / "migrations")
    (folder / "versions" / "v_next.py").write_text(NEXT.format(head=schema.HEAD, then=then))
    monkeypatch.setattr("spendwatch.store.schema.REVISIONS", (*schema.REVISIONS, "next"))
    monkeypatch.setattr("spendwatch.store.schema.HEAD", "next")
    monkeypatch.setattr("spendwatch.store.schema._MIGRATIONS", str(folder))


@pytest.fixture
def updated(place_of_before: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealLedger]:
    release("pass", tmp_path, monkeypatch)
    with opened(place_of_before, tmp_path / "after") as ledger:
        yield ledger


def test_an_older_ledger_says_the_same_after_the_update(updated: RealLedger) -> None:
    with updated.database.reading() as connection:
        assert schema.stored_revision(connection) == "next"
        assert inspect(connection).has_table("added")
    assert updated.spent(SEPTEMBER) == {"CNY": Decimal("170.4593912")}
    (only,) = updated.ledger.statements(9)
    assert (only.name, only.moment) == (FIRST, datetime(2026, 9, 15, 1, 30, 12, tzinfo=UTC))


def test_the_same_bill_is_known_and_the_next_one_is_merged_line_by_line(updated: RealLedger) -> None:
    assert updated.enter(FIRST, (BILLS / FIRST).read_bytes()).repeated
    receipt = updated.enter(SECOND, (BILLS / SECOND).read_bytes())
    assert (receipt.new, receipt.changed, receipt.same, receipt.gone) == (3, 0, 11, 0)
    assert updated.spent(SEPTEMBER) == {"CNY": Decimal("170.6423912")}


def test_a_migration_that_fails_leaves_the_ledger_as_it_was(
    place_of_before: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        release("raise ValueError('half way')", tmp_path, patched)
        with pytest.raises(ValueError, match="half way"):
            open_database(place_of_before)
        with pytest.raises(LedgerUnavailableError, match="has an older schema"):
            open_database(place_of_before, read_only=True)
    with opened(place_of_before, tmp_path / "after") as ledger, ledger.database.reading() as connection:
        assert not inspect(connection).has_table("added")
        assert schema.stored_revision(connection) == schema.HEAD
        assert len(ledger.ledger.statements()) == 1


def test_a_ledger_that_no_release_made_is_refused_and_left_as_it_is(place_of_before: str) -> None:
    database = open_database(place_of_before)
    with database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE content DROP COLUMN ids")
    database.close()
    for is_read_only in (True, False):
        with pytest.raises(
            LedgerUnavailableError, match=r"unfinished spendwatch \(its table content has no ids\): move it away"
        ):
            open_database(place_of_before, read_only=is_read_only)
