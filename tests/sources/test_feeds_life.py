"""Sources that fetch, in the life of a daemon: started lazily, reloaded without loss, stopped in time, sharing one pace."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from bill_builder import a_bill, a_line
from bss_lies import Lie
from endpoint_watch import StopWatch
from feed_house import API, SEPTEMBER, FeedHouse, api_source
from servers_bss import ACCOUNT, BssServer, an_item
from servers_file import FileServer
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.domain.failure import Failure
from spendwatch.domain.statement import AccountId, Kind, SourceName
from spendwatch.heartbeat import Heartbeat
from spendwatch.logs import masked
from spendwatch.schedule import PATIENCE, Daemon

pytestmark = pytest.mark.anyio

DAY = date(2026, 9, 3)
FEED = SourceName("feed")


@dataclass(frozen=True)
class Stage:
    """A house whose sources ask the stand-in of the API, and a server with one file."""

    api: BssServer
    files: FileServer
    house: FeedHouse
    watch: StopWatch

    def feed(self, more: str = "") -> str:
        return f"  feed: {{type: url, url: '{self.files.url('/month.csv?sig=canary')}'{more}}}\n"


@pytest.fixture
def stage(tmp_path: Path, shared_reader: ReadingProcess, empty_ledger: Path) -> Iterator[Stage]:
    watch = StopWatch()
    _, bill = a_bill([a_line(day="20260903", time="10:00:00", amount="2.5")])
    with BssServer({DAY: [an_item(DAY, 1, "7")]}, clock=watch.clock) as api, FileServer(bill) as files:
        files.served.headers = {"content-disposition": 'attachment; filename="1000000000000001-20260904093012_bill.csv"'}
        house = FeedHouse(tmp_path, watch, shared_reader, empty_ledger, api_source(api.url))
        with house:
            yield Stage(api, files, house, watch)


# --- a file behind an address


async def test_a_file_behind_an_address_is_fetched_entered_and_shown(stage: Stage) -> None:
    house = stage.house
    house.configure(stage.feed())
    house.restart()
    await house.round()
    source = house.source(FEED)
    assert (source.type, source.state, source.last_bill) == ("url", "ok", stage.watch.now)
    assert house.spent() == Decimal("2.5")
    await house.round()
    assert stage.files.sent == len(stage.files.served.content), "nothing is sent again that did not change"

    stage.files.served.content = b"<!doctype html><title>Sign in</title>"
    for _ in range(3):
        await house.round()
    assert (house.source(FEED).cause, house.spent()) == (Failure.NOT_A_BILL, Decimal("2.5"))
    assert [said.type for said in house.said()] == ["source.failing"]


async def test_what_a_source_says_of_its_files_is_heard_by_the_reader(stage: Stage) -> None:
    stage.house.configure(stage.feed(", account: acme, kind: snapshot"))
    stage.house.restart()
    hints = stage.house.app.desk(FEED).hints
    assert (hints.account, hints.kind, hints.layout) == (ACCOUNT, Kind.SNAPSHOT, "")
    assert stage.house.app.desk().hints.account is None


async def test_a_download_that_is_broken_off_by_a_stop_goes_on_at_the_next_start(stage: Stage) -> None:
    house = stage.house
    house.configure(stage.feed())
    house.restart()
    stage.files.served.cut_after, stage.files.served.stalls = 500, True
    work = asyncio.create_task(house.app.gather(FEED))
    half = house.kept.parent / FEED / "incoming" / "resumed.download"
    while not (half.exists() and half.stat().st_size == 500):  # noqa: ASYNC110 -- it comes from another thread
        await asyncio.sleep(0.01)
    stopping = time.monotonic()
    house.app.stop()
    assert await work == []
    assert time.monotonic() - stopping < 25
    assert house.store.health.sources() == (), "to be stopped is no trouble of the source"

    stage.files.served.cut_after = None
    house.restart()
    await house.round()
    assert stage.files.requests[-1].headers["range"] == "bytes=500-"
    assert house.spent() == Decimal("2.5")


# --- stopping


async def test_a_fetch_is_broken_off_when_the_daemon_stops_and_what_was_whole_is_entered_at_the_next_start(
    stage: Stage,
) -> None:
    house = stage.house
    stage.api.bills[date(2026, 9, 4)] = [an_item(date(2026, 9, 4), 1, "1")]
    stage.api.pause_before = lambda call: call.query.get("BillingDate") == DAY.isoformat()
    work = asyncio.create_task(house.app.gather(API))
    while not stage.api.hanging:  # noqa: ASYNC110 -- it hangs in a thread of its own
        await asyncio.sleep(0.01)
    house.app.stop()
    assert await work == []
    stage.api.pause_before = lambda _: False
    assert house.spent() == 0
    assert len(list((house.kept / "pending").iterdir())) == 1
    house.restart()
    await house.round()
    assert house.spent() == 8


# --- reloading


async def test_a_reload_keeps_the_sources_that_did_not_change_and_their_pause_after_trouble(stage: Stage) -> None:
    house = stage.house
    stage.api.lie = Lie.UNKNOWN_KEY
    await house.round()
    asked, source, api = len(stage.api.calls), house.app.sources[API], house.app.apis[API]
    house.configure(house.sources + stage.feed())
    house.app.reload()
    assert (house.app.sources[API], house.app.apis[API]) == (source, api)
    assert list(house.app.sources) == [API, FEED]
    await house.round(after=1)
    assert len(stage.api.calls) == asked

    stage.api.lie = None
    (house.folder / "key").write_text("another\n")
    house.app.reload()
    assert house.app.sources[API] is not source
    await house.round(after=1)
    assert stage.api.refused == ["SignatureDoesNotMatch"], "who changed the key need not wait"

    house.configure(stage.feed())
    house.app.reload()
    assert list(house.app.sources) == [FEED]
    assert house.app.apis == {}


async def test_a_reload_in_the_middle_of_a_fetch_gives_nothing_twice(stage: Stage) -> None:
    house = stage.house
    stage.api.bills[date(2026, 9, 4)] = [an_item(date(2026, 9, 4), 1, "1")]
    stage.api.pause_before = lambda call: call.query.get("BillingDate") == DAY.isoformat() and not stage.api.hanging
    house.be_impatient(1.0)
    work = asyncio.create_task(house.app.gather(API))
    while not stage.api.hanging:  # noqa: ASYNC110 -- it hangs in a thread of its own
        await asyncio.sleep(0.01)
    house.configure(house.sources.replace("}\n", ", poll: 2h}\n"))
    await asyncio.to_thread(house.app.reload)
    await work
    await house.round()
    assert house.spent() == 8
    assert len(house.store.ledger.statements()) == 2


async def test_a_reload_in_the_middle_of_a_failing_fetch_does_not_make_it_look_well(stage: Stage) -> None:
    house = stage.house
    stage.api.lie = Lie.UNKNOWN_KEY
    stage.api.pause_before = lambda _: not stage.api.hanging
    house.be_impatient(1.0)
    work = asyncio.create_task(house.app.gather(API))
    while not stage.api.hanging:  # noqa: ASYNC110 -- it hangs in a thread of its own
        await asyncio.sleep(0.01)
    house.configure(house.sources.replace("}\n", ", poll: 2h}\n"))
    await asyncio.to_thread(house.app.reload)
    await work
    assert (house.source().state, house.source().cause) == ("failing", Failure.CREDENTIALS)


async def test_a_source_that_a_reload_takes_away_while_it_fetches_ends_quietly(stage: Stage) -> None:
    house = stage.house
    stage.api.pause_before = lambda _: not stage.api.hanging
    house.be_impatient(1.0)
    work = asyncio.create_task(house.app.gather(API))
    while not stage.api.hanging:  # noqa: ASYNC110 -- it hangs in a thread of its own
        await asyncio.sleep(0.01)
    house.configure(stage.feed())
    await asyncio.to_thread(house.app.reload)
    assert await work == []


async def test_secrets_that_a_reload_brings_are_hidden_from_the_log(stage: Stage) -> None:
    secret = stage.house.folder / "feed-secret"
    secret.write_text("n3w-canary\n")
    secret.chmod(0o600)
    stage.house.configure(stage.feed(", auth: bearer, secret_file: feed-secret"))
    stage.house.app.reload()
    assert masked("n3w-canary") == "***"
    assert masked(stage.files.url("/month.csv?sig=canary")) == "***"


# --- one account, one pace


async def test_all_who_call_for_an_account_share_its_pace(stage: Stage) -> None:
    house = stage.house
    second = api_source(stage.api.url, ", product: ''").replace("  api:", "  all:")
    house.configure(house.sources + second)
    house.restart()
    await asyncio.gather(*(house.app.gather(name) for name in house.app.sources))
    calls = len(stage.api.calls)
    assert calls == 12
    api = house.app.apis[API]
    waited = sum(stage.watch.slept)
    for _ in range(10):
        await api.account_total(AccountId(ACCOUNT), SEPTEMBER)
    assert sum(stage.watch.slept) > waited, "who asks for the balance waits its turn, too"


# --- signs of life


async def test_each_answer_is_a_sign_of_life_and_one_answer_may_take_its_time(stage: Stage) -> None:
    house = stage.house
    heard: list[str] = []
    house.app.on_answer = heard.append
    await house.round()
    assert heard == ["api"] * len(stage.api.calls)
    house.configure(house.sources.replace("}\n", ", timeout: 20m}\n") + "  inbox: {type: folder, path: inbox}\n")
    house.restart()
    stage.watch.now = datetime.now(UTC)  # noqa: TID251 -- the scheduler lives in real time
    heartbeat = Heartbeat({}, time.monotonic)
    daemon = Daemon(house.app, heartbeat)
    daemon._plan()
    assert heartbeat._limits["collect:api"] == timedelta(hours=10).total_seconds()
    assert heartbeat._limits["collect:inbox"] == PATIENCE.total_seconds()
    house.configure(house.sources.replace("timeout: 20m", "timeout: 20m, poll: 1m"))
    house.app.reload()
    daemon._plan()
    assert heartbeat._limits["collect:api"] == (PATIENCE + timedelta(minutes=21)).total_seconds()
    assert daemon._scheduler is not None
    daemon._scheduler.shutdown(wait=False)


# --- what nobody pays for who does not use it


def _printed(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def test_the_app_loads_no_http_library_and_no_package_of_the_provider_before_it_is_built() -> None:
    heavy = "{'httpx', 'httpcore', 'alibabacloud_credentials'}"
    assert _printed(f"import sys, spendwatch.app, spendwatch.schedule; print(*sorted({heavy} & sys.modules.keys()))") == ""


def test_settings_with_every_kind_of_source_load_nothing_heavy(tmp_path: Path) -> None:
    sources = (
        "  inbox: {type: folder, path: inbox}\n"
        "  feed: {type: url, url: 'https://bills.example.com/'}\n"
        "  api: {type: alibaba, account: acme, provider: machine_role}\n"
    )
    (tmp_path / "spendwatch.yaml").write_text(
        'accounts:\n  acme: {id: "1000000000000001", site: cn, currency: CNY}\n'
        f"sources:\n{sources}channels:\n  screen: {{type: console}}\n"
    )
    heavy = "{'httpx', 'structlog', 'sqlalchemy', 'polars', 'apscheduler'}"
    code = (
        "import sys; from pathlib import Path; from spendwatch.settings import load, Outside; "
        f"load(Path({str(tmp_path)!r}), Outside({{}})); print(*sorted({heavy} & sys.modules.keys()))"
    )
    assert _printed(code) == ""
