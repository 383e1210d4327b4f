"""What every test may use, and the two databases that every promise of the store must hold on."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

import scratch_memory
from servers_postgres import PostgresServer, running_server
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.store.database import Database
from spendwatch.store.opening import open_database

_TEMPLATE = "ledger_template"
_numbers = count(1)
_MEMORY = "/dev/shm"  # noqa: S108 -- folders of our own are made in it
"""Where files are made ten times as quickly: ext4 is slow at it for seconds after many were deleted. TMPDIR says otherwise."""
_LONGEST = ("tests/bills/test_fuzz.py", "tests/deploy/", "tests/sweep/", "tests/journeys/test_sequences.py")
_MINUTES = (
    *("tests/sweep/", "tests/deploy/", "tests/bills/test_fuzz.py", "tests/journeys/", "tests/bills/test_every_bill.py"),
    *("tests/bills/test_packed_bills.py", "tests/bills/test_truncation.py", "tests/letters/test_pictures.py"),
    *("tests/jobs/test_outlook_rounds.py", "tests/sources/test_feeds", "tests/sources/oss/test_oss_death.py"),
)

# Byte code is kept even where the environment forbids it: else each process that a test starts compiles all that it loads.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def _is_room_in_memory() -> bool:
    if not os.access(_MEMORY, os.W_OK | os.X_OK):
        return False
    found = os.statvfs(_MEMORY)
    return found.f_frsize * found.f_bavail >= 6 << 30 and not found.f_flag & os.ST_NOEXEC


if "TMPDIR" not in os.environ and _is_room_in_memory():
    os.environ["TMPDIR"] = tempfile.tempdir = _MEMORY

# Where rich is installed, structlog's default shows a traceback with all local variables: a second without the event loop.
structlog.get_config()["processors"][-1].exception_formatter = structlog.dev.plain_traceback

settings.register_profile("everyday", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("everyday")


@pytest.fixture(scope="session", autouse=True)
def _sql_compiled_once() -> Iterator[None]:
    """Compile a statement once for all ledgers of the tests: each has an engine of its own, which takes a fifth of its time."""
    shared = LRUCache[object, object](4000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "_compiled_cache", property(lambda _: shared, lambda _, __: None), raising=False)
        for base in (SQLiteDialect_pysqlite, PGDialect_psycopg):
            for kind in (base, *base.__subclasses__()):
                patch.setattr(kind, "__hash__", lambda self: hash(type(self)))
                patch.setattr(kind, "__eq__", lambda self, other: type(self) is type(other))
        yield


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The daemon runs on asyncio alone."""
    return "asyncio"


def pytest_addoption(parser: pytest.Parser) -> None:
    """What a developer wants at hand takes a minute; what takes many is asked for."""
    parser.addoption("--long", action="store_true", help="also the long tests; sweeps take all their points, not a sample")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `long`, unless asked for, and begin with the files that take minutes: else one ends last, alone.

    Left out is not skipped: nobody wanted it now.
    """
    if not config.getoption("--long"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
        items[:] = [item for item in items if not item.get_closest_marker("long")]
    items.sort(key=lambda item: (not item.nodeid.startswith(_LONGEST), not item.nodeid.startswith(_MINUTES)))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One private server for all tests."""
    with running_server() as server:
        server.execute(f"CREATE DATABASE {_TEMPLATE}")
        open_database(server.url(_TEMPLATE)).close()
        yield server


@pytest.fixture(autouse=True)
def _scratch_ledgers() -> Iterator[None]:
    """Close what a test opened for the memory of its sources: open files would add up to thousands."""
    yield
    scratch_memory.close_all()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest) -> str:
    """Which database."""
    return str(request.param)


@pytest.fixture
def new_place(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a ledger may be made: a path where nothing is yet, or the URL of an empty database."""
    if engine == "sqlite":
        yield str(tmp_path / "state" / "spendwatch.db")
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"empty_{next(_numbers)}"
    server.execute(f"CREATE DATABASE {name}")
    yield server.url(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def place(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where an empty ledger with all its tables is."""
    if engine == "sqlite":
        path = tmp_path / "state" / "spendwatch.db"
        path.parent.mkdir(mode=0o700)
        shutil.copy(request.getfixturevalue("empty_ledger"), path)
        yield str(path)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"ledger_{next(_numbers)}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    yield server.url(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(place: str) -> Iterator[Database]:
    """An open ledger without anything in it."""
    opened = open_database(place)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def shared_reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadingProcess]:
    """One reading process for all tests: it remembers nothing of a bill."""
    with ReadingProcess(tmp_path_factory.mktemp("reading")) as process:
        yield process


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger in a file, to be copied: to build its tables takes longer than most tests."""
    path = tmp_path_factory.mktemp("empty") / "spendwatch.db"
    open_database(str(path)).close()
    return path
