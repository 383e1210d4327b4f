"""What the way to the database promises: private files, one daemon, one schema, and no commit lost by any death."""

from __future__ import annotations

import gc
import logging
import os
import resource
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from threading import Event

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select, text

import store_worker
from folders import environment
from servers_pool import SessionPool
from servers_postgres import PASSWORD, PostgresServer, missing
from spendwatch.domain.delivery import DeliveryState
from spendwatch.domain.errors import LedgerChangedError, LedgerDamagedError, LedgerUnavailableError
from spendwatch.domain.review import Verdict
from spendwatch.domain.scope import Dimension
from spendwatch.store.alert_book import AlertBook
from spendwatch.store.database import Database
from spendwatch.store.day import day
from spendwatch.store.files import file_system_of, is_shared_between_hosts
from spendwatch.store.ledger import Ledger
from spendwatch.store.opening import open_database
from spendwatch.store.outbox import Outbox
from spendwatch.store.postgres import PostgresStorage
from spendwatch.store.schema import HEAD, REVISIONS, VERSION_TABLE
from spendwatch.store.sqlite import SqliteStorage
from spendwatch.store.tables import metadata
from spendwatch.store.trouble import without_secrets
from store_builders import (
    FINANCE,
    NOON,
    SEPTEMBER,
    Day,
    alert,
    digest,
    key,
    notification,
    record,
    row,
)

WORKER = Path(store_worker.__file__)


def enter(database: Database, name: str, *days: Day) -> None:
    """Enter a file, again and again as long as others are quicker."""
    while True:
        with suppress(LedgerChangedError):
            record(Ledger(database), name, *days)
            return


@contextmanager
def worker(what: str, place: str, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process of its own on the ledger; it is killed at the end, if not before."""
    command = [sys.executable, str(WORKER), what, place, *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)
        if process.stdout:
            process.stdout.close()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def lines_until_killed(process: subprocess.Popen[str], after: int) -> list[str]:
    """Return every line that the process said, and kill it some time after so many."""
    said = [line_of(process) for _ in range(after)]
    Event().wait(0.013 * after)
    process.kill()
    assert process.stdout is not None
    return said + [line for line in process.stdout.read().splitlines(keepends=False) if line]


# Schema


def test_the_tables_are_what_the_migrations_build(new_place: str, place: str) -> None:
    migrate(new_place)
    built, migrated = open_database(place), open_database(new_place)
    with built.reading() as one, migrated.reading() as other:
        context = MigrationContext.configure(other, opts={"version_table": VERSION_TABLE, "target_metadata": metadata})
        assert compare_metadata(context, metadata) == []
        assert shape(one) == shape(other)
        assert one.execute(text("SELECT * FROM revision")).all() == other.execute(text("SELECT * FROM revision")).all()
    built.close()
    migrated.close()


def migrate(place: str) -> None:
    """Make a ledger by running every migration."""
    storage = (
        PostgresStorage(place, read_only=False, password_file=None)
        if place.startswith("postgresql")
        else SqliteStorage(Path(place), read_only=False, any_disk=False)
    )
    config = Config()
    config.set_main_option("script_location", "spendwatch.store:migrations")
    with storage.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, HEAD)
    storage.close()


def shape(connection: Connection) -> dict[str, object]:
    """Return all that the database tells of each table, in an order of its own."""
    found = inspect(connection)

    def told(name: str) -> object:
        columns = {one["name"]: (str(one["type"]), one["nullable"], one["default"]) for one in found.get_columns(name)}
        constraints = (
            found.get_pk_constraint(name),
            *found.get_foreign_keys(name),
            *found.get_unique_constraints(name),
            *found.get_check_constraints(name),
            *found.get_indexes(name),
        )
        return columns, sorted(map(repr, constraints))

    return {name: told(name) for name in found.get_table_names()}


def test_the_last_revision_known_is_that_of_the_last_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "spendwatch.store:migrations")
    scripts = ScriptDirectory.from_config(config)
    assert [script.revision for script in reversed(list(scripts.walk_revisions()))] == list(REVISIONS)


def test_a_new_ledger_is_made_where_there_is_none(new_place: str) -> None:
    database = open_database(new_place)
    enter(database, "first", Day(key()))
    database.close()
    database = open_database(new_place)
    assert Ledger(database).has(digest("first"))
    database.close()


def test_several_starts_at_once_make_one_ledger(new_place: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for database in pool.map(lambda _: open_database(new_place), range(4)):
            assert Ledger(database).revision() == 0
            database.close()


def test_a_migration_that_fails_leaves_nothing_behind(new_place: str, engine: str) -> None:
    if engine == "sqlite":
        Path(new_place).parent.mkdir()
        blocking = sqlite3.connect(new_place)
        blocking.execute("CREATE TABLE delivery (id INTEGER)")
        blocking.close()
    else:
        with psycopg.connect(new_place, autocommit=True) as connection:
            connection.execute("CREATE TABLE delivery (id INTEGER)")
    with pytest.raises(Exception, match="delivery"):
        open_database(new_place)
    assert tables_at(new_place) == {"delivery"}


def tables_at(place: str) -> set[str]:
    if place.startswith("postgresql"):
        with psycopg.connect(place) as server:
            query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            return {str(name) for (name,) in server.execute(query)}
    file = sqlite3.connect(place)
    found = {str(name) for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    file.close()
    return found


def test_an_unknown_schema_is_refused_with_nothing_touched(place: str) -> None:
    database = open_database(place)
    with database.writing() as connection:
        connection.execute(text("UPDATE spendwatch_revision SET version_num = '9999'"))
    database.close()
    before = Path(place).read_bytes() if not place.startswith("postgresql") else b""
    start = time.monotonic()
    for read_only in (False, True):
        with pytest.raises(LedgerUnavailableError, match=r"another spendwatch .*9999.*this one knows up to"):
            open_database(place, read_only=read_only)
    assert time.monotonic() - start < 25
    if before:
        assert Path(place).read_bytes() == before


def test_a_database_of_another_program_is_refused(new_place: str, engine: str) -> None:
    if engine == "sqlite":
        Path(new_place).parent.mkdir()
        foreign = sqlite3.connect(new_place)
        foreign.execute("CREATE TABLE alert (id INTEGER)")
        foreign.close()
    else:
        with psycopg.connect(new_place, autocommit=True) as connection:
            connection.execute("CREATE TABLE alert (id INTEGER)")
    with pytest.raises(LedgerUnavailableError, match="belongs to another program"):
        open_database(new_place)
    assert tables_at(new_place) == {"alert"}


def test_a_start_with_nothing_to_migrate_does_not_load_the_migration_library(place: str) -> None:
    code = (
        "import sys; from spendwatch.store.opening import open_database; "
        "open_database(sys.argv[1]).close(); print('alembic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, place], capture_output=True, text=True, check=True, env=environment())
    assert done.stdout.strip() == "False"


def test_migrating_leaves_the_logging_as_it_is(new_place: str) -> None:
    root = logging.getLogger()
    before = (list(root.handlers), root.level, logging.getLogger("spendwatch").disabled)
    open_database(new_place).close()
    assert (list(root.handlers), root.level, logging.getLogger("spendwatch").disabled) == before


# Read only


def test_reading_only_makes_nothing(new_place: str, engine: str) -> None:
    with pytest.raises(LedgerUnavailableError, match="no ledger yet at"):
        open_database(new_place, read_only=True)
    if engine == "sqlite":
        assert not Path(new_place).parent.exists()
    else:
        assert tables_at(new_place) == set()


def test_reading_only_sees_what_the_daemon_writes_and_writes_nothing(place: str, database: Database) -> None:
    reader = open_database(place, read_only=True)
    enter(database, "first", Day(key()))
    assert Ledger(reader).has(digest("first"))
    with pytest.raises(LedgerUnavailableError):
        enter(reader, "second", Day(key(2)))
    reader.close()
    enter(database, "third", Day(key(3)))


def test_an_older_schema_is_not_migrated_by_who_only_reads(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spendwatch.store.schema.REVISIONS", (*REVISIONS, "9999"))
    monkeypatch.setattr("spendwatch.store.schema.HEAD", "9999")
    with pytest.raises(LedgerUnavailableError, match=rf"older schema \({HEAD}\): start the daemon once"):
        open_database(place, read_only=True)


# One daemon


def test_a_second_daemon_is_refused_at_once_and_welcome_when_the_first_is_killed(place: str, database: Database) -> None:
    with worker("lock", place) as first:
        assert line_of(first) == "locked"
        start = time.monotonic()
        with pytest.raises(LedgerUnavailableError, match="another spendwatch uses"):
            database.lock_for_life()
        assert time.monotonic() - start < 25
        with worker("lock", place) as second:
            assert "another spendwatch uses" in line_of(second)
            assert second.wait(30) == 75
        first.kill()
        first.wait(30)
    eventually_locked(database)


def eventually_locked(database: Database) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            database.lock_for_life()
        except LedgerUnavailableError:
            assert time.monotonic() < end
            Event().wait(0.02)
        else:
            return


def test_whether_a_daemon_works_here_is_told_without_a_clock_and_ends_with_its_death(place: str, database: Database) -> None:
    looking = open_database(place, read_only=True)
    assert not looking.is_taken()
    with worker("lock", place) as daemon:
        assert line_of(daemon) == "locked"
        assert looking.is_taken()
        daemon.kill()
        daemon.wait(30)
    end = time.monotonic() + 60
    while looking.is_taken():
        assert time.monotonic() < end
        Event().wait(0.02)
    looking.close()
    database.lock_for_life()


def test_the_lock_for_life_does_not_hinder_others_who_write(place: str, database: Database) -> None:
    database.lock_for_life()
    other = open_database(place)
    enter(other, "by hand", Day(key()))
    enter(database, "by the daemon", Day(key(2)))
    assert Ledger(other).revision() == 2
    other.close()


@pytest.mark.parametrize("shares_sessions", [True, False])
def test_a_pool_that_shares_sessions_is_refused_in_words_and_one_that_does_not_is_fine(
    postgres_server: PostgresServer, shares_sessions: object
) -> None:
    postgres_server.execute("DROP DATABASE IF EXISTS pooled")
    postgres_server.execute("CREATE DATABASE pooled")
    with SessionPool(postgres_server, "pooled", shares_sessions=bool(shares_sessions)) as pool:
        database = open_database(pool.url)
        with pytest.raises(LedgerUnavailableError, match="pool_mode=session") if shares_sessions else nullcontext():
            database.lock_for_life()
        held = postgres_server.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database AND datname = 'pooled'"
            " WHERE locktype = 'advisory'"
        )
        assert held == [(0 if shares_sessions else 1,)]
        database.close()


def test_closing_gives_the_lock_back(place: str, database: Database) -> None:
    first = open_database(place)
    first.lock_for_life()
    first.close()
    eventually_locked(database)


# Many writers, and death


def test_threads_may_read_and_write_at_once(database: Database) -> None:
    def work(number: int) -> int:
        enter(database, str(number), Day(key(number + 1), (row("0.1"),)))
        return len(Ledger(database).spend(SEPTEMBER, (Dimension.DAY,)))

    with ThreadPoolExecutor(6) as pool:
        assert max(pool.map(work, range(24))) <= 24
    assert Ledger(database).revision() == 24
    (only,) = Ledger(database).spend(SEPTEMBER, ())
    assert str(only.amount) == "2.4"


def test_what_a_killed_process_had_committed_is_there_and_nothing_else(place: str) -> None:
    committed: set[str] = set()
    for round_number in range(3):
        with worker("enter", place, str(round_number * 1000)) as process:
            committed |= set(lines_until_killed(process, round_number + 1))
    database = open_database(place)
    ledger = Ledger(database)
    names = {entered.name.removesuffix(".csv") for entered in ledger.statements(10_000)}
    assert committed <= names
    assert len(names - committed) <= 4  # committed, and killed before it could say so
    assert ledger.revision() == len(names)
    (only,) = ledger.spend(SEPTEMBER, ())
    assert (str(only.amount), only.lines) == ("15", 150)
    assert len(ledger.telling_days([key().month]).lines) == 3
    assert database.complaints() == ()
    database.close()


def test_every_alert_that_a_killed_process_had_committed_is_in_the_outbox(place: str) -> None:
    committed: set[str] = set()
    for round_number in range(2):
        with worker("commit", place, str(round_number * 1000)) as process:
            committed |= set(lines_until_killed(process, round_number + 2))
    database = open_database(place)
    waiting = Outbox(database).claim(FINANCE, NOON, 10_000)
    told = [one.notification.id for one in waiting]
    assert committed <= set(told)
    assert all(told.count(one) == 2 for one in set(told))
    assert {one.notification.alert for one in waiting} == {one.id for one in AlertBook(database).known()}
    database.close()


def test_a_transaction_in_which_a_process_is_killed_never_happened(place: str, database: Database) -> None:
    with worker("stall", place) as process:
        assert line_of(process) == "writing"
        process.kill()
        process.wait(30)
    assert Ledger(database).revision() == 0
    enter(database, "first", Day(key()))
    assert Ledger(database).revision() == 1


# SQLite's file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "state" / "spendwatch.db"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_the_files_are_for_their_owner_alone_whatever_the_umask(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        database = open_database(str(path))
        database.lock_for_life()
        enter(database, "first", Day(key()))
    finally:
        os.umask(before)
    modes = {found.name: stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()}
    assert {name.removeprefix("spendwatch.db") for name in modes} == {"", "-wal", "-shm", ".lock", ".write-lock"}
    assert set(modes.values()) == {0o600}
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)] == [0o700, 0o700]
    database.close()


def test_a_closed_ledger_is_one_file(path: Path) -> None:
    database = open_database(str(path))
    enter(database, "first", Day(key()))
    database.close()
    assert not path.with_name("spendwatch.db-wal").exists()


def test_lists_of_many_lengths_leave_few_statements_in_memory(path: Path) -> None:
    def prepared() -> int:
        return sum(type(one).__name__ == "Statement" for one in gc.get_objects())

    database = open_database(str(path))
    before = prepared()
    for length in range(1, 200):
        with database.reading() as connection:
            connection.execute(select(day).where(day.c.account.in_([str(one) for one in range(length)])))
    assert 0 < prepared() - before <= 40
    database.close()


def test_every_commit_is_synced(path: Path) -> None:
    database = open_database(f"sqlite:///{path}")
    with database.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    assert database.version == f"SQLite {sqlite3.sqlite_version}"
    assert database.place == str(path)
    database.close()


def test_a_backup_goes_where_it_is_told_and_nowhere_else(path: Path, tmp_path: Path) -> None:
    database = open_database(str(path))
    target, other = tmp_path / "backup.db", tmp_path / "other.db"
    other.touch()
    # Where a copy of a process of this number could be made.
    for name in (f".{target.name}.{os.getpid()}.part", f".{target.name}.part"):
        (tmp_path / name).symlink_to(other)
    database.back_up(target)
    assert not other.read_bytes()
    assert (target.is_symlink(), stat.S_IMODE(target.stat().st_mode)) == (False, 0o600)
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "nowhere.db")
    with pytest.raises(FileExistsError):
        database.back_up(link)
    assert not (tmp_path / "nowhere.db").exists()
    database.close()


@pytest.mark.parametrize(("name", "why"), [("x" * 256, "File name too long"), ("file/backup.db", "Not a directory")])
def test_a_backup_that_cannot_be_written_says_why_and_leaves_nothing(path: Path, tmp_path: Path, name: str, why: str) -> None:
    database = open_database(str(path))
    (tmp_path / "file").touch()
    with pytest.raises(LedgerUnavailableError, match=f"cannot be written: {why}$"):
        database.back_up(tmp_path / name)
    assert {one.name for one in tmp_path.iterdir()} == {"file", "made"}
    database.close()


def test_what_killed_backups_left_is_removed_a_day_later_and_nothing_else(path: Path, tmp_path: Path) -> None:
    database = open_database(str(path))
    header, old = b"SQLite format 3\0" + bytes(84), time.time() - 90_000
    for name, content, at in (
        (".x.db.abcdefgh.part", header, old),
        (".young.db.abcdefgh.part", header, time.time()),
        (".other.part", b"another program's download", old),
        ("visible.part", header, old),
    ):
        (tmp_path / name).write_bytes(content)
        os.utime(tmp_path / name, (at, at))
    database.back_up(tmp_path / "new.db")
    database.close()
    assert sorted(one.name for one in tmp_path.iterdir() if one.is_file()) == [
        ".other.part",
        ".young.db.abcdefgh.part",
        "new.db",
        "visible.part",
    ]


def test_an_odd_path_is_just_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a b?mode=memory#%20" / "账.db"
    open_database(str(path)).close()
    assert path.is_file()


def test_what_is_no_database_is_refused(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("time,amount\n" * 1000)
    with pytest.raises(LedgerUnavailableError, match="not an SQLite database, or it is damaged"):
        open_database(str(path))
    assert path.read_text() == "time,amount\n" * 1000


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerUnavailableError, match=r"cannot be used: (Not a directory|File exists)"):
        open_database(str(tmp_path / "file" / "state" / "spendwatch.db"))


def test_damage_is_found(path: Path) -> None:
    database = open_database(str(path))
    enter(database, "first", *(Day(key(day), tuple(row(model=str(n)) for n in range(300))) for day in range(1, 20)))
    assert database.complaints() == ()
    database.close()
    sound = path.read_bytes()
    for share in (0.3, 0.5, 0.75):  # the schema lies before that
        content, place = bytearray(sound), int(len(sound) * share)
        content[place : place + 20_000] = b"\xff" * 20_000
        path.write_bytes(content)
        database = open_database(str(path))
        try:
            found = database.complaints()
        except LedgerDamagedError as error:  # SQLite cannot even look through it
            found = (str(error),)
        assert found
        database.close()


def test_a_foreign_lock_is_told_and_does_no_lasting_harm(path: Path) -> None:
    open_database(str(path)).close()
    database = Database(SqliteStorage(path, read_only=False, any_disk=True, patience=0.2))
    foreign = sqlite3.connect(path, isolation_level=None)
    foreign.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerUnavailableError, match="another program holds the database"):
        enter(database, "first", Day(key()))
    foreign.execute("ROLLBACK")
    foreign.close()
    enter(database, "first", Day(key()))
    assert Ledger(database).revision() == 1
    database.close()


def test_writers_of_other_processes_take_turns(path: Path) -> None:
    open_database(str(path)).close()
    database = Database(SqliteStorage(path, read_only=False, any_disk=True, patience=0.3))
    with worker("stall", str(path)) as process:
        assert line_of(process) == "writing"
        assert Ledger(database).revision() == 0
        with pytest.raises(LedgerUnavailableError, match=r"busy: another writer has held it for 0\.3 s"):
            enter(database, "first", Day(key()))
    enter(database, "first", Day(key()))
    database.close()


MOUNTS = r"""
22 1 259:1 / / rw,relatime - ext4 /dev/root rw
30 22 0:40 / /mnt/share\040one rw - nfs4 server:/x rw
31 22 0:41 / /mnt/sshfs rw - fuse.sshfs host: rw
32 30 259:2 / /mnt/share\040one/local rw - xfs /dev/sdb rw
33 22 0:42 / /var/lib/containers rw - fuse.fuse-overlayfs fuse-overlayfs rw
"""


@pytest.mark.parametrize(
    ("folder", "kind", "shared"),
    [
        ("/var/lib/spendwatch", "ext4", False),
        ("/mnt/share one/state", "nfs4", True),
        ("/mnt/share one/local/state", "xfs", False),
        ("/mnt/sharepoint", "ext4", False),
        ("/mnt/sshfs/x", "fuse.sshfs", True),
        ("/var/lib/containers/x", "fuse.fuse-overlayfs", False),
    ],
)
def test_a_network_file_system_is_recognised(folder: str, kind: str, *, shared: bool) -> None:
    assert file_system_of(Path(folder) / "spendwatch.db", MOUNTS) == kind
    assert is_shared_between_hosts(kind) is shared


def test_a_ledger_on_a_network_file_system_is_refused_unless_wanted(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text("22 1 0:40 / / rw,relatime - nfs4 server:/x rw\n")
    monkeypatch.setattr("spendwatch.store.files._MOUNTS", mounts)
    with pytest.raises(LedgerUnavailableError, match=r"network file system \(nfs4\)"):
        open_database(str(path))
    assert not path.exists()
    open_database(str(path), any_disk=True).close()


# A full disk


@contextmanager
def a_full_disk(folder: Path) -> Iterator[Path]:
    """A disk of its own with little on it left."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        missing("a small disk needs the right to mount one (root)")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill_up(path: Path) -> None:
    with path.open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(b"x" * 4096)


def test_a_full_disk_is_told_and_everything_goes_on_when_there_is_room(tmp_path: Path) -> None:
    with a_full_disk(tmp_path / "small") as disk:
        database = open_database(str(disk / "spendwatch.db"))
        fill = disk / "ballast"
        enter(database, "first", Day(key(), (row("1"),)))
        AlertBook(database).commit(Verdict((alert(),), (notification(alert()),)), {FINANCE: ("a",)}, now=NOON)
        fill_up(fill)
        big = Day(key(2), tuple(row(model=f"{number:0500}") for number in range(2000)))
        for _ in range(2):
            with pytest.raises(LedgerUnavailableError, match="the disk is full"):
                enter(database, "second", big)
            (only,) = Ledger(database).spend(SEPTEMBER, ())
            assert (str(only.amount), Ledger(database).revision()) == ("1", 1)
        fill.unlink()
        enter(database, "third", Day(key(3), (row("2"),)))
        (only,) = Ledger(database).spend(SEPTEMBER, ())
        assert str(only.amount) == "3"
        outbox = Outbox(database)
        (claimed,) = outbox.claim(FINANCE, NOON, 10)
        outbox.settle(claimed.id, at=NOON)
        outbox.write_down()
        assert outbox.counts() == {(FINANCE, DeliveryState.DELIVERED): 1}
        assert database.complaints() == ()
        database.close()


def test_a_limit_on_file_size_is_told_and_everything_goes_on_without_it(path: Path) -> None:
    database = open_database(str(path))
    enter(database, "first", Day(key(), (row("1"),)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 300_000, hard))
    try:
        big = Day(key(2), tuple(row(model=f"{number:0500}") for number in range(4000)))
        with pytest.raises(LedgerUnavailableError, match=r"the disk (is full|failed or rejected a write)"):
            enter(database, "second", big)
        assert Ledger(database).revision() == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    enter(database, "third", Day(key(3), (row("2"),)))
    (only,) = Ledger(database).spend(SEPTEMBER, ())
    assert str(only.amount) == "3"
    assert database.complaints() == ()
    database.close()


# PostgreSQL's server


@pytest.fixture
def server_place(postgres_server: PostgresServer) -> str:
    """A ledger on the server; each test its own."""
    name = f"own_{time.monotonic_ns()}"
    postgres_server.execute(f"CREATE DATABASE {name} TEMPLATE ledger_template")
    return name


@pytest.mark.postgres
def test_a_killed_server_is_told_and_everything_goes_on_after_its_restart(
    postgres_server: PostgresServer, server_place: str
) -> None:
    database = open_database(postgres_server.url(server_place))
    database.lock_for_life()
    enter(database, "first", Day(key(), (row("1"),)))
    postgres_server.kill()
    try:
        with pytest.raises(LedgerUnavailableError):
            enter(database, "second", Day(key(2), (row("2"),)))
        with pytest.raises(LedgerUnavailableError):
            Ledger(database).revision()
    finally:
        postgres_server.start()
    assert Ledger(database).has(digest("first"))
    enter(database, "second", Day(key(2), (row("2"),)))
    (only,) = Ledger(database).spend(SEPTEMBER, ())
    assert str(only.amount) == "3"
    rival = open_database(postgres_server.url(server_place))
    with pytest.raises(LedgerUnavailableError, match="another spendwatch uses"):
        rival.lock_for_life()
    rival.close()
    database.close()


@pytest.mark.postgres
def test_a_daemon_whose_lock_went_to_another_writes_no_more(postgres_server: PostgresServer, server_place: str) -> None:
    database = open_database(postgres_server.url(server_place))
    database.lock_for_life()
    postgres_server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'spendwatch'", server_place
    )
    rival = open_database(postgres_server.url(server_place))
    eventually_locked(rival)
    with pytest.raises(LedgerUnavailableError, match="another spendwatch uses"):
        enter(database, "first", Day(key()))
    assert Ledger(database).revision() == 0
    rival.close()
    database.close()


@pytest.mark.postgres
def test_a_connection_that_was_cut_is_replaced(postgres_server: PostgresServer, server_place: str) -> None:
    database = open_database(postgres_server.url(server_place))
    enter(database, "first", Day(key()))
    postgres_server.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'spendwatch'", server_place
    )
    enter(database, "second", Day(key(2)))
    assert Ledger(database).revision() == 2
    database.close()


@pytest.mark.postgres
def test_the_password_comes_from_a_file_and_is_never_shown(
    postgres_server: PostgresServer, server_place: str, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    database = open_database(postgres_server.tcp_url(server_place), password_file=secret)
    assert database.place == f"postgresql://postgres@127.0.0.1:{postgres_server.port}/{server_place}"
    assert database.version.startswith("PostgreSQL ")
    database.close()
    with pytest.raises(LedgerUnavailableError, match="password authentication failed") as caught:
        open_database(postgres_server.tcp_url(server_place, password="hunter2"))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(LedgerUnavailableError, match=r"password file .* cannot be read: FileNotFoundError"):
        open_database(postgres_server.tcp_url(server_place), password_file=tmp_path / "none")


@pytest.mark.postgres
def test_connections_are_told_when_to_give_up(postgres_server: PostgresServer, server_place: str) -> None:
    database = open_database(f"{postgres_server.url(server_place)}&options=-c%20statement_timeout%3D7s")
    with database.reading() as connection:
        settings = {
            name: connection.scalar(text(f"SHOW {name}"))
            for name in ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout", "TimeZone")
        }
    assert settings == {
        "statement_timeout": "7s",
        "idle_in_transaction_session_timeout": "2min",
        "lock_timeout": "30s",
        "TimeZone": "UTC",
    }
    database.close()


@pytest.mark.postgres
def test_a_server_that_is_not_there_is_told_at_once(postgres_server: PostgresServer) -> None:
    start = time.monotonic()
    with pytest.raises(LedgerUnavailableError, match="Connection refused") as caught:
        open_database("postgresql://postgres:hunter2@127.0.0.1:1/none")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(LedgerUnavailableError, match='database "none" does not exist'):
        open_database(postgres_server.url("none"))
    assert time.monotonic() - start < 25


@pytest.mark.postgres
def test_a_user_without_rights_is_told(postgres_server: PostgresServer, server_place: str) -> None:
    postgres_server.execute("DO $$ BEGIN CREATE ROLE guest LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    with pytest.raises(LedgerUnavailableError, match="permission denied"):
        open_database(postgres_server.url(server_place).replace("postgres@", "guest@"))


@pytest.mark.parametrize("url", ["postgresql://user:hunter2@host:port/db", "postgresql://[::1/x"])
def test_a_url_that_cannot_be_understood_is_told_without_its_secret(url: str) -> None:
    with pytest.raises(LedgerUnavailableError, match="is not valid") as caught:
        open_database(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("complaint", "shown"),
    [
        ("cannot reach postgresql://me:hunter2@host/db\n now", "cannot reach postgresql://me:***@host/db now"),
        ("bad dsn: host=x password=hunter2 user=me", "bad dsn: host=x password=*** user=me"),
        ("bad dsn: password='hunter 2' user=me", "bad dsn: password=*** user=me"),
    ],
)
def test_no_complaint_shows_a_password(complaint: str, shown: str) -> None:
    assert without_secrets(complaint) == shown


def test_a_ledger_whose_very_first_start_was_killed_is_opened_by_the_next(tmp_path: Path) -> None:
    place = tmp_path / "ledger.db"
    script = (
        "import os, sqlite3, sys\n"
        "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "database.execute('PRAGMA cache_size=5')\n"
        "database.execute('BEGIN IMMEDIATE')\n"
        "database.execute('CREATE TABLE half (made TEXT)')\n"
        "database.executemany('INSERT INTO half VALUES (?)', (('x' * 500,) for _ in range(2000)))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(place)], check=False)
    assert place.with_name("ledger.db-journal").stat().st_size
    database = open_database(str(place))
    assert Ledger(database).revision() == 0
    database.close()


def test_the_log_begins_anew_although_at_any_time_somebody_reads(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    log, stopped = path.with_name("ledger.db-wal"), Event()

    def read_without_a_gap() -> None:
        views = [sqlite3.connect(path, isolation_level=None) for _ in range(2)]
        while not stopped.is_set():
            for view, other in (views, reversed(views)):
                view.execute("BEGIN")
                view.execute("SELECT * FROM revision").fetchall()
                if other.in_transaction:
                    other.execute("COMMIT")
                stopped.wait(0.05)
        for view in views:
            view.close()

    database, sizes = open_database(str(path)), []
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(read_without_a_gap)
        try:
            for _ in range(60):
                with database.writing() as connection:
                    connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS bulk (content)")
                    connection.exec_driver_sql("INSERT INTO bulk VALUES (randomblob(1000000))")
                sizes.append(log.stat().st_size)
        finally:
            stopped.set()
            reading.result()
            database.close()
    assert max(sizes) < 20_000_000
    assert min(sizes[20:]) < 2_000_000, "it did begin anew"
