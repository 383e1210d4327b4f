"""A bucket as a source: what is new in it comes whole, once, under the name that its key has; nothing in it is touched."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bucket_watch import Stage
from spendwatch.bills.names import told_by
from spendwatch.domain.errors import LedgerUnavailableError
from spendwatch.domain.statement import Kind

pytestmark = pytest.mark.anyio

UID = "1000000000000001"
BILL = "账单信息/账单月份,应付信息/应付金额（含税）\n202609,0.000069\n".encode()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage.opened(tmp_path) as opened:
        yield opened


# --- what is given


async def test_a_push_is_given_under_its_key_below_the_prefix(stage: Stage) -> None:
    stage.bucket.said["prefix"] = "spend/"
    stage.bucket.restarted()
    stage.server.put(f"spend/20260914/{UID}_2688801000001_consumeDetailBillV2_202609", BILL)
    stage.server.put(f"other/{UID}_BillingItemDetail_20260903", BILL)
    (file,) = await stage.bucket.round()
    name = f"20260914/{UID}_2688801000001_consumeDetailBillV2_202609"
    assert (file.name, file.size, file.source, file.arrived_at) == (name, len(BILL), "pushes", stage.bucket.watch.now)
    assert file.path.read_bytes() == BILL
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert all(folder.stat().st_mode & 0o777 == 0o700 for folder in stage.bucket.place.rglob("*") if folder.is_dir())
    stage.bucket.source.keep(file)
    assert stage.bucket.shelf() == {name: BILL}
    assert (stage.bucket.shelf("pending"), list((stage.bucket.place / "pending").iterdir())) == ({}, [])
    assert {call.method for call in stage.server.calls} == {"GET"}, "nothing in the bucket is ever changed"


PUSHES: dict[str, Kind | None] = {
    f"{UID}_BillingItemDetail_20260903": Kind.DELTA,
    f"{UID}_BillingItemDetail_20260903.csv": Kind.DELTA,
    f"{UID}_BillingItemDetail_202608.zip": Kind.SNAPSHOT,
    f"{UID}_InstanceDetail_20260903": Kind.DELTA,
    f"{UID}_InstanceDetail_202608": Kind.SNAPSHOT,
    f"{UID}_InstanceDetailMonthly_202609": Kind.SNAPSHOT,
    f"{UID}_BillingItemDetailMonthly_202609": Kind.SNAPSHOT,
    f"{UID}_SplitItemDetailDaily_202609": Kind.SNAPSHOT,
    f"{UID}_MonthBill_202608.pdf": None,
    f"{UID}_2688801000001_consumeDetailBillV2_20260912": Kind.SNAPSHOT,
    f"{UID}_2688801000001_splitDetailBillV2_202609": Kind.SNAPSHOT,
    f"{UID}_2688801000001_focus_202609": Kind.SNAPSHOT,
    f"{UID}_2688801000001_BillingItemDetail_202609": Kind.SNAPSHOT,
}


@pytest.mark.parametrize("folder", ["", "20260914/", "账单 2026/2026-09-14/"])
async def test_every_name_that_pushes_have_arrives_as_it_is_and_tells_whose_and_what_it_is(folder: str, stage: Stage) -> None:
    for name in PUSHES:
        stage.server.put(f"{folder}{name}", name.encode())
    files = await stage.bucket.round()
    assert [file.name for file in files] == [f"{folder}{name}" for name in PUSHES], "and the oldest first"
    for file in files:
        told = told_by(file.name)
        assert (told.account, told.kind) == (UID, PUSHES[file.path.name])
        assert file.path.read_bytes() == file.path.name.encode()
        if folder and told.kind is Kind.SNAPSHOT and "20260912" not in file.name:
            assert told.exported_at is not None, "the folder's day says when it was pushed"
            assert told.exported_at.date().isoformat() == "2026-09-15"


async def test_what_is_known_is_not_even_asked_for_again_nor_after_a_restart(stage: Stage) -> None:
    stage.server.put("a.csv", BILL)
    assert await stage.bucket.enter() == [("a.csv", BILL)]
    assert await stage.bucket.enter() == []
    stage.bucket.restarted()
    assert await stage.bucket.enter() == []
    assert stage.bucket.source.trouble is None
    assert stage.server.gets() == ["a.csv"]


async def test_an_object_that_changed_is_given_again_alone(stage: Stage) -> None:
    stage.server.put("m/1_BillingItemDetailMonthly_202609", BILL)
    stage.server.put("b.csv", BILL)
    await stage.bucket.enter()
    stage.server.put("m/1_BillingItemDetailMonthly_202609", BILL * 2)
    assert await stage.bucket.enter() == [("m/1_BillingItemDetailMonthly_202609", BILL * 2)]
    assert stage.bucket.shelf() == {
        "m/1_BillingItemDetailMonthly_202609": BILL,
        "m/1_BillingItemDetailMonthly_202609-again2": BILL * 2,
        "b.csv": BILL,
    }


async def test_the_same_bytes_stored_anew_are_no_news_but_those_of_the_day_before_are(stage: Stage) -> None:
    for content, given in [(BILL, 1), (BILL, 0), (BILL * 2, 1), (BILL, 1), (BILL, 0)]:
        stage.server.put("a.csv", content)
        stage.bucket.restarted()
        assert len(await stage.bucket.enter()) == given
        assert await stage.bucket.enter() == []
    assert len(stage.server.gets()) == 5


async def test_a_change_of_the_moment_alone_is_looked_at_and_of_no_other_consequence(stage: Stage) -> None:
    stage.server.put("a.csv", BILL)
    await stage.bucket.enter()
    stage.server.objects["a.csv"] = replace(stage.server.objects["a.csv"], number=77)
    assert await stage.bucket.enter() == []
    assert await stage.bucket.enter() == []
    assert len(stage.server.gets()) == 2


async def test_folders_empty_objects_and_unfinished_ones_are_left_alone_until_they_are_filled(stage: Stage) -> None:
    for key in ("push/", "push/empty.csv", "push/half.csv.part", "push/.hidden", "push/~$x.xlsx", "push/x.tmp"):
        stage.server.put(key, b"" if key in {"push/", "push/empty.csv"} else b"x")
    with capture_logs() as logs:
        assert await stage.bucket.enter() == []
    assert (logs, stage.server.gets(), stage.bucket.source.trouble) == ([], [], None)
    stage.server.put("push/empty.csv", BILL)
    assert await stage.bucket.enter() == [("push/empty.csv", BILL)]


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        ("", ["b/20260914/x", "b/y", "b2/z"]),
        ("b", ["b/20260914/x", "b/y", "b2/z"]),
        ("b/", ["20260914/x", "y"]),
        ("b/2026", ["20260914/x"]),
        ("b/y", ["y"]),
    ],
)
async def test_a_prefix_that_ends_within_a_name_leaves_the_name_whole(prefix: str, names: list[str], stage: Stage) -> None:
    for key in ("b/20260914/x", "b/y", "b2/z"):
        stage.server.put(key, BILL)
    stage.bucket.said["prefix"] = prefix
    stage.bucket.restarted()
    assert [file.name for file in await stage.bucket.round()] == names


async def test_all_pages_are_asked_for_each_with_the_token_that_just_came(stage: Stage) -> None:
    for number in range(25):
        stage.server.put(f"{number:02d} +&=%账.csv", b"%d" % number)
    stage.server.page_size = 4
    files = await stage.bucket.round()
    assert [file.path.read_bytes() for file in files] == [b"%d" % number for number in range(25)]
    tokens = [call.query.get("continuation-token") for call in stage.server.calls if not call.key]
    assert (len(tokens), len(set(tokens)), tokens[0]) == (7, 7, None)
    assert stage.server.calls[0].query == {"list-type": "2", "encoding-type": "url", "max-keys": "1000"}


async def test_of_very_many_objects_some_are_left_for_the_next_round(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spendwatch.sources.oss.source.BATCH", 3)
    for number in range(7):
        stage.server.put(f"{number}", b"x")
    assert [len(await stage.bucket.enter()) for _ in range(4)] == [3, 3, 1, 0]


# --- what becomes of it


async def test_a_file_that_was_left_waits_and_newer_ones_come_behind_it(stage: Stage) -> None:
    stage.server.put("d/a.csv", BILL)
    (file,) = await stage.bucket.round()
    stage.bucket.source.leave(file)
    stage.server.put("d/a.csv", BILL * 2)
    stage.bucket.restarted()
    first, second = await stage.bucket.round()
    assert (first.path, first.name, second.name) == (file.path, "d/a.csv", "d/a.csv")
    stage.bucket.source.keep(second)
    stage.bucket.source.keep(first)
    assert await stage.bucket.enter() == [], "put away in whatever order"
    stage.bucket.restarted()
    assert await stage.bucket.enter() == []
    assert sorted(stage.bucket.shelf().values()) == [BILL, BILL * 2]


async def test_a_refused_file_lies_beside_its_reason_and_is_not_given_again(stage: Stage) -> None:
    stage.server.put("d/a.csv", BILL)
    (file,) = await stage.bucket.round()
    stage.bucket.source.reject(file, "line 3 is no line")
    stage.bucket.source.reject(file, "twice does nothing")
    stage.bucket.restarted()
    assert await stage.bucket.round() == []
    assert stage.bucket.shelf("originals/rejected") == {"d/a.csv": BILL, "d/a.csv.why.txt": b"line 3 is no line\n"}


async def test_a_download_that_is_lost_before_it_is_on_record_is_fetched_again(stage: Stage) -> None:
    stage.server.put("a.csv", BILL)
    await stage.bucket.round()
    shutil.rmtree(stage.bucket.place)
    stage.bucket.restarted()
    assert await stage.bucket.enter() == [("a.csv", BILL)]
    assert await stage.bucket.enter() == []


async def test_a_ledger_that_lacks_what_was_given_is_given_it_from_the_archive(stage: Stage) -> None:
    stage.server.put("d/a.csv", BILL)
    await stage.bucket.enter()
    backup = stage.bucket.memory.backup()
    stage.server.put("d/b.csv", BILL * 2)
    await stage.bucket.enter()
    stage.bucket.memory.restore(backup)
    stage.server.objects.clear()
    with capture_logs() as logs:
        assert await stage.bucket.enter() == [("d/b.csv", BILL * 2)]
    assert [(log["event"], log["count"]) for log in logs] == [("archived_files_read_again", 1)]
    stage.bucket.restarted()
    assert await stage.bucket.enter() == []
    stage.bucket.memory.begin_anew()
    assert sorted(await stage.bucket.enter()) == [("d/a.csv", BILL), ("d/b.csv", BILL * 2)]
    assert await stage.bucket.enter() == []


async def test_a_bill_that_waited_when_the_backup_was_made_is_not_taken_for_known_by_it(stage: Stage) -> None:
    stage.server.put("a.csv", BILL)
    (file,) = await stage.bucket.round()
    backup = stage.bucket.memory.backup()
    stage.bucket.source.keep(file)
    stage.bucket.memory.restore(backup)
    stage.bucket.restarted()
    assert [content for _, content in await stage.bucket.enter()] == [BILL, BILL], "from the archive, and from the bucket"
    assert await stage.bucket.enter() == []


async def test_what_earlier_versions_left_does_no_harm(stage: Stage) -> None:
    stage.bucket.place.mkdir()
    for name in ("known.json", "objects", "history"):
        (stage.bucket.place / name).write_bytes(b"what an earlier version knew")
    (stage.bucket.place / "pending").mkdir()
    (stage.bucket.place / "pending" / "flat.csv").write_bytes(BILL)
    stage.server.put("a.csv", BILL)
    assert await stage.bucket.enter() == [("a.csv", BILL)]


async def test_what_was_entered_is_found_again_under_its_name_and_forgotten_in_time(stage: Stage) -> None:
    stage.server.put("20260914/a.csv", BILL)
    stage.server.put("b.csv", BILL + b"\n")
    await stage.bucket.enter()
    kept = [(one.name, one.path.read_bytes() if one.path else None) for one in stage.bucket.source.originals()]
    assert kept == [("20260914/a.csv", BILL), ("b.csv", BILL + b"\n")]
    now = stage.bucket.watch.now
    assert stage.bucket.source.forget_originals(now) == 0
    assert stage.bucket.source.forget_originals(now + timedelta(seconds=1)) == 2
    assert stage.bucket.shelf() == {}


async def test_an_original_that_cannot_be_moved_is_told_and_given_once_more(stage: Stage) -> None:
    stage.server.put("d/a.csv", BILL)
    (file,) = await stage.bucket.round()
    done = stage.bucket.place / "originals" / "done"
    done.rmdir()
    done.touch()
    with capture_logs() as logs:
        stage.bucket.source.keep(file)
    told = {"event": "original_not_moved", "source": "pushes", "name": "d/a.csv", "shelf": "done"}
    assert [{**log, **told} for log in logs] == logs
    (again,) = await stage.bucket.round()
    assert again.path == file.path
    done.unlink()
    stage.bucket.source.keep(again)
    assert (stage.bucket.shelf(), await stage.bucket.round()) == ({"d/a.csv": BILL}, [])


async def test_what_cannot_be_remembered_stays_where_it_is_and_is_given_once_more(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.server.put("a.csv", BILL)
    (file,) = await stage.bucket.round()
    with monkeypatch.context() as broken:
        broken.setattr(stage.bucket.memory, "settle", _unavailable)
        with pytest.raises(LedgerUnavailableError):
            stage.bucket.source.keep(file)
    assert stage.bucket.waiting() == [file._replace(arrived_at=stage.bucket.watch.now)]
    stage.bucket.source.keep(file)
    stage.bucket.restarted()
    assert await stage.bucket.enter() == []


def _unavailable(*_: object) -> str:
    msg = "the ledger cannot be reached"
    raise LedgerUnavailableError(msg)
