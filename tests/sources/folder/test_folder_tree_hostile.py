"""Whoever may write into a drop folder cannot lead the daemon out of it, however fast a folder becomes a link and back."""

from __future__ import annotations

import ctypes
import itertools
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from drop_folder import NOW, open_descriptors
from scratch_memory import ScratchMemory
from spendwatch.domain.errors import SourceUnavailableError
from spendwatch.domain.statement import SourceName
from spendwatch.sources.files.identity import Identity
from spendwatch.sources.files.originals import plain_file
from spendwatch.sources.files.shelves import Shelf, bring_back, lay_beside, put_away
from spendwatch.sources.files.tree import Tree, find
from spendwatch.sources.folder.source import FolderSource

SECRET = "top secret\n"
BILL = "a\n1\n"
TRIES = 5000
_EXCHANGE = 2
_libc = ctypes.CDLL(None, use_errno=True)


def exchange(one: Path, other: Path) -> None:
    """Swap two names in one step, so that neither is ever missing."""
    if _libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), _EXCHANGE):
        raise OSError(ctypes.get_errno(), "exchange failed")


def tries(outcomes: dict[str, int], least: int = TRIES) -> Iterator[int]:
    """Count tries until there were enough and each outcome was met: which thread is quicker is the machine's business."""
    deadline = time.monotonic() + 60
    for number in itertools.count():
        if (number >= least and min(outcomes.values()) > 0) or time.monotonic() > deadline:
            return
        yield number


class Scene:
    """A drop folder with a push in it; outside lies a folder of the same shape that must never be touched."""

    def __init__(self, place: Path) -> None:
        self.inbox = place / "inbox"
        self.outside = place / "outside"
        self.link = self.inbox / ".link"
        for folder, text in ((self.inbox / "push" / "deep", BILL), (self.outside / "deep", SECRET)):
            folder.mkdir(parents=True)
            (folder / "x.csv").write_text(text, encoding="utf-8")
        self.link.symlink_to(self.outside)

    @property
    def is_untouched_outside(self) -> bool:
        found = {path: path.read_text(encoding="utf-8") for path in self.outside.rglob("*") if path.is_file()}
        return found == {self.outside / "deep" / "x.csv": SECRET}

    @contextmanager
    def swapping(self, name: Path) -> Iterator[None]:
        """Let the name be a folder and a link in turns, as fast as another thread can."""
        stop = threading.Event()
        dice = random.Random(5)  # noqa: S311 -- a test's dice

        def swap() -> None:
            while not stop.is_set():
                exchange(name, self.link)
                if dice.random() < 0.1:
                    threading.Event().wait(0.0001)

        thread = threading.Thread(target=swap)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
        if name.is_symlink():
            exchange(name, self.link)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
def folder(scene: Scene) -> Iterator[int]:
    opened = os.open(scene.inbox, os.O_RDONLY)
    before = open_descriptors()
    yield opened
    assert open_descriptors() == before, "a descriptor was left open"
    os.close(opened)


@pytest.mark.parametrize("depth", ["push", "push/deep"])
def test_opening_a_file_never_leads_through_a_link(scene: Scene, folder: int, depth: str) -> None:
    target = scene.outside if depth == "push" else scene.outside / "deep"
    scene.link.unlink()
    scene.link.symlink_to(target)
    outcomes = {"bill": 0, "gone": 0}
    with scene.swapping(scene.inbox / depth):
        for _ in tries(outcomes):
            try:
                with plain_file(folder, "push/deep/x.csv") as original:
                    assert os.pread(original, 100, 0) == BILL.encode()
                outcomes["bill"] += 1
            except FileNotFoundError:
                outcomes["gone"] += 1
    print(f"\ntries to open below a swapping folder: {outcomes}")
    assert min(outcomes.values()) > 0


def test_a_reader_that_trusted_paths_would_be_led_out(scene: Scene) -> None:
    """The control: what the test above forbids does happen to whoever opens by a path."""
    outcomes = {BILL: 0, SECRET: 0}
    with scene.swapping(scene.inbox / "push"):
        for _ in tries(outcomes):
            outcomes[(scene.inbox / "push" / "deep" / "x.csv").read_text(encoding="utf-8")] += 1
    assert outcomes[SECRET] > 0


def test_a_look_never_lists_what_lies_behind_a_link(scene: Scene, folder: int) -> None:
    (scene.outside / "deep" / "only outside.csv").write_text(SECRET, encoding="utf-8")
    looks = {"push": 0, "link": 0}
    missed: list[tuple[str, str]] = []
    with scene.swapping(scene.inbox / "push"):
        for _ in tries(looks):
            names = {name for name, _ in Tree(folder, deep=True, shut=(), missed=lambda *what: missed.append(what)).files()}
            assert names <= {"push", "push/deep/x.csv"}
            if names:  # a name that changes while the folder is listed may show neither time
                looks["push" if "push/deep/x.csv" in names else "link"] += 1
    print(f"\nlooks at a swapping folder: {looks}")
    assert min(looks.values()) > 0
    assert missed == [], "what is no folder any more is no trouble"
    (scene.outside / "deep" / "only outside.csv").unlink()
    assert scene.is_untouched_outside


def test_what_is_put_away_is_never_taken_from_behind_a_link(scene: Scene, folder: int) -> None:
    path = scene.inbox / "push" / "deep" / "x.csv"
    secret = Identity.of((scene.outside / "deep" / "x.csv").stat())
    moved = 0
    for _ in range(TRIES // 50):
        bill, final = Identity.of(path.stat()), None
        with scene.swapping(scene.inbox / "push"):
            for _ in range(50):
                # Even whoever knows the secret file's identity does not get at it.
                assert put_away(folder, "push/deep/x.csv", secret, Shelf.DONE) is None
                if final := put_away(folder, "push/deep/x.csv", bill, Shelf.DONE):
                    moved += 1
                    break
        if final:
            assert (scene.inbox / "done" / final).read_text(encoding="utf-8") == BILL
            path.write_text(BILL, encoding="utf-8")
    print(f"\nput away {moved} of {TRIES // 50} files from below a swapping folder")
    assert moved
    assert scene.is_untouched_outside


def test_nothing_is_put_away_to_behind_a_link_on_the_shelf(scene: Scene, folder: int) -> None:
    path = scene.inbox / "push" / "deep" / "x.csv"
    (scene.inbox / "done" / "push" / "deep").mkdir(parents=True)
    finals = {"push": 0, "push.2": 0}
    with scene.swapping(scene.inbox / "done" / "push"):
        for number in tries(finals, TRIES // 5):
            path.write_text(f"a\n{number}\n", encoding="utf-8")
            final = put_away(folder, "push/deep/x.csv", Identity.of(path.stat()), Shelf.DONE)
            assert final is not None
            finals[final.partition("/")[0]] += 1
    kept = [file for file in (scene.inbox / "done").rglob("x*.csv") if not file.is_symlink()]
    texts = {file.read_text(encoding="utf-8") for file in kept}
    print(f"\nfiles put onto a shelf whose folder swaps: {finals}")
    assert texts == {f"a\n{number}\n" for number in range(sum(finals.values()))}, "not one is lost"
    assert min(finals.values()) > 0
    assert scene.is_untouched_outside


def test_no_reason_is_laid_behind_a_link(scene: Scene, folder: int) -> None:
    path = scene.inbox / "push" / "deep" / "x.csv"
    final = put_away(folder, "push/deep/x.csv", Identity.of(path.stat()), Shelf.REJECTED)
    assert final == "push/deep/x.csv"
    outcomes = {"laid": 0, "gone": 0}
    with scene.swapping(scene.inbox / "rejected" / "push"):
        for _ in tries(outcomes, TRIES // 10):
            try:
                lay_beside(folder, Shelf.REJECTED, final, "nonsense")
                outcomes["laid"] += 1
            except FileNotFoundError:
                outcomes["gone"] += 1
    print(f"\nreasons for a swapping folder: {outcomes}")
    assert min(outcomes.values()) > 0
    assert scene.is_untouched_outside


def test_what_comes_back_from_the_shelf_does_not_pass_a_link(scene: Scene, folder: int) -> None:
    name = "push/deep/x.csv"
    ways = {"push/deep/x.csv": 0, "push.2/deep/x.csv": 0}
    with scene.swapping(scene.inbox / "push"):
        for _ in tries(ways):
            try:
                with find(folder, name) as place:
                    identity = Identity.of(os.stat(place.name, dir_fd=place.folder, follow_symlinks=False))
            except FileNotFoundError:
                continue
            if final := put_away(folder, name, identity, Shelf.DONE):
                name = bring_back(folder, Shelf.DONE, final, "push/deep/x.csv")
                ways[name] += 1
    print(f"\ncame back into a swapping folder: {ways}")
    assert min(ways.values()) > 0
    assert (scene.inbox / name).read_text(encoding="utf-8") == BILL
    assert scene.is_untouched_outside


def test_a_source_on_a_swapping_folder_gives_and_keeps_nothing_but_its_bills(scene: Scene, tmp_path: Path) -> None:
    seconds = 0.0
    source = FolderSource(
        SourceName("inbox"),
        scene.inbox,
        timedelta(0),
        lambda: seconds,
        recursive=True,
        memory=ScratchMemory(tmp_path / "ledger.db"),
    )
    deep = os.open(scene.inbox / "push" / "deep", os.O_RDONLY)
    (scene.inbox / "calm").mkdir()
    outcomes = {"calm": 0, "push": 0}
    passes = 0
    with capture_logs(), scene.swapping(scene.inbox / "push"):
        for number in tries(outcomes, TRIES // 5):
            passes += 1
            seconds += 4000.0
            (scene.inbox / "calm" / f"{number}.csv").write_text(BILL, encoding="utf-8")
            with suppress(FileExistsError):
                again = os.open("x.csv", os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=deep)
                os.write(again, BILL.encode())
                os.close(again)
            # A link in the place of a folder is reported when all the bills of the pass were given.
            with suppress(SourceUnavailableError):
                for bill in source.arrivals(NOW):
                    assert bill.path.read_text(encoding="utf-8") == BILL
                    outcomes[bill.name.partition("/")[0]] += 1
                    if number % 2:
                        source.keep(bill)
                    else:
                        source.reject(bill, "nonsense")
    os.close(deep)
    kept = [path for shelf in Shelf for path in (scene.inbox / shelf).rglob("*.csv")]
    calm = [path for path in kept if "calm" in path.parts]
    print(f"\n{passes} passes over a swapping folder: {outcomes} given, {len(kept) - len(calm)} put away from it")
    assert {path.read_text(encoding="utf-8") for path in kept} == {BILL}
    assert len(calm) == passes - 1, "the others go on, and the last one only just came"
    assert outcomes["push"] >= len(kept) - len(calm) > 0
    assert scene.is_untouched_outside
