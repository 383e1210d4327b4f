"""What a power cut may leave of a home: every write, sync and rename of the real program on record, and disks made of it.

A disk keeps what was synced. Of later writes to a file it keeps any part, torn at sectors; of later changes to folders a
beginning, because file systems with a journal keep their order. A write harms nothing beside it: SQLite relies on that, too.
"""

from __future__ import annotations

import codecs
import random
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count, islice
from pathlib import Path, PurePath
from typing import TypeAlias

_CONTENTS = ("pwrite64", "ftruncate", "fsync", "fdatasync")
_NAMES = ("openat", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2")
CALLS = (*_CONTENTS, *_NAMES, "write", "writev", "pwritev", "sendfile", "copy_file_range", "link", "linkat", "truncate")
"""What changes files, or is refused where it does: what the program does not do need not be known."""
SECTOR = 512
"""The least that a disk writes whole."""
_LINE = re.compile(r"(?P<thread>\d+) +(?P<at>\d+\.\d+) (?:<\.\.\. \w+ resumed>|(?P<name>\w+)\()(?P<rest>.*)")
_FD = re.compile(r"(?P<number>\d+|AT_FDCWD)<(?P<path>(?:[^<>]|\\[<>])*)>")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
_FOLDER = -1


class Rest(StrEnum):
    """What a disk keeps of what was not synced."""

    NOTHING = "nothing"
    ALL = "all"
    BEGINNING = "beginning"
    SOME = "some"
    TORN = "torn"


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes into a file; None: the file ends there."""

    file: int
    offset: int
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Sync:
    """All that was written to a file is on the disk; or all names in a folder."""

    file: int
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Name:
    """A file, or a folder, got this name; None: it lost it."""

    path: str
    file: int | None
    before: str = ""
    """The name that it lost by this."""


Event: TypeAlias = Write | Sync | Name


@dataclass(slots=True)
class Tape:
    """All that a program did to the files of one folder, in its order."""

    home: Path
    names: dict[str, int] = field(default_factory=dict)
    """By path, when it began."""
    contents: dict[int, bytes] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    """When each event was."""

    @classmethod
    def of(cls, home: Path, before: Path, log: str, *, but: Sequence[str]) -> Tape:
        """Return what strace's log says about the home; `before`: a copy of it; `but`: what does not count."""
        tape = cls(home)
        for number, path in enumerate(sorted(before.rglob("*"))):
            name = str(path.relative_to(before))
            tape.names[name] = _FOLDER if path.is_dir() else number
            if path.is_file():
                tape.contents[number] = path.read_bytes()
        present, numbers = dict(tape.names), count(len(tape.names))
        for at, name, rest in _calls(log):
            for event in _events(name, rest, home, present, numbers):
                if not _path_of(event, present).startswith(tuple(but)):
                    tape.events.append(event)
                    tape.times.append(at)
        return tape

    def disk(self, cut: int, rest: Rest, chance: random.Random) -> tuple[Mapping[str, bytes], Sequence[str]]:
        """Return the files and the folders that a disk may hold if the power fails before that event."""
        waits, kept, names, certain = dict[int, list[Write]](), dict[int, list[Write]](), list[Name](), 0
        for event in islice(self.events, cut):
            match event:
                case Write():
                    waits.setdefault(event.file, []).append(event)
                case Sync(folder=""):
                    kept.setdefault(event.file, []).extend(waits.pop(event.file, ()))
                case Sync():
                    touched = [at for at, one in enumerate(names, 1) if event.folder in _folders(one)]
                    certain = max([certain, *touched])
                case Name():
                    names.append(event)
        last = {Rest.NOTHING: certain, Rest.ALL: len(names)}.get(rest, chance.randint(certain, len(names)))
        present = dict(self.names)
        for one in names[:last]:
            present.pop(one.before, None)
            present.pop(one.path, None)
            if one.file is not None:
                present[one.path] = one.file
        files = {path: file for path, file in present.items() if file != _FOLDER}
        return {
            path: _written(self.contents.get(file, b""), [*kept.get(file, ()), *_left(waits.get(file, []), rest, chance)])
            for path, file in files.items()
        }, sorted(present.keys() - files.keys())

    def lay_out(self, disk: tuple[Mapping[str, bytes], Sequence[str]], folder: Path) -> None:
        """Write that disk into a folder of its own."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        files, folders = disk
        for name in folders:
            (folder / name).mkdir(mode=0o700)
        for name, content in files.items():
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o600)


def _left(waits: Sequence[Write], rest: Rest, chance: random.Random) -> Iterator[Write]:
    match rest:
        case Rest.NOTHING:
            return
        case Rest.ALL:
            yield from waits
        case Rest.BEGINNING:
            yield from waits[: chance.randint(0, len(waits))]
        case Rest.SOME:
            yield from (one for one in waits if chance.random() < 0.5)
        case Rest.TORN:
            yield from (part for one in waits for part in _sectors(one) if chance.random() < 0.5)


def _sectors(one: Write) -> Iterator[Write]:
    if one.content is None:
        yield one
        return
    at, end = one.offset, one.offset + len(one.content)
    while at < end:
        after = min(end, (at // SECTOR + 1) * SECTOR)
        yield Write(one.file, at, one.content[at - one.offset : after - one.offset])
        at = after


def _written(content: bytes, writes: Sequence[Write]) -> bytes:
    found = bytearray(content)
    for one in writes:
        if one.content is None:
            del found[one.offset :]
            found.extend(bytes(one.offset - len(found)))
        else:
            found.extend(bytes(max(0, one.offset - len(found))))
            found[one.offset : one.offset + len(one.content)] = one.content
    return bytes(found)


def _folders(one: Name) -> set[str]:
    return {str(PurePath(path).parent) for path in (one.path, one.before) if path}


def _path_of(event: Event, present: Mapping[str, int]) -> str:
    if isinstance(event, Name):
        return event.path
    if isinstance(event, Sync) and event.folder:
        return event.folder
    return next((path for path, file in present.items() if file == event.file), "")


def _calls(log: str) -> Iterator[tuple[float, str, str]]:
    """Yield time, name and the rest of each call that succeeded; a call counts when it has ended."""
    begun: dict[str, tuple[str, str]] = {}
    for line in log.splitlines():
        if (found := _LINE.match(line)) is None:
            continue
        name, rest = found["name"] or "", found["rest"]
        if not name:
            name, first = begun.pop(found["thread"], ("", ""))
            rest = first + rest
        if rest.endswith("<unfinished ...>"):
            begun[found["thread"]] = name, rest.removesuffix("<unfinished ...>")
        elif name and not re.search(r"= -1 \w+ \([^()]*\)$", rest):
            yield float(found["at"]), name, rest


def _events(name: str, rest: str, home: Path, present: dict[str, int], numbers: Iterator[int]) -> Iterator[Event]:
    """Yield what a call did to the home; `present`: which names there are, which is brought up to date."""
    plain = _TEXT.sub('""', rest)
    places = [_decoded(found["path"]).decode() for found in _FD.finditer(plain)]
    texts = [_decoded(text) for text in _TEXT.findall(rest)]
    if name in _NAMES:
        bases = [*places, *places] if name.endswith(("at", "at2")) else ["", ""]
        paths = [_within(home, PurePath(base, text.decode())) for base, text in zip(bases, texts, strict=False)]
        is_new = name != "openat" or ("O_CREAT" in plain and paths[0] not in present)
        if paths[0] and is_new:
            yield _named(name, paths, present, numbers)
        else:
            assert not paths[0] or "O_TRUNC" not in plain, plain
    elif (path := _within(home, PurePath(places[0]))) in present:
        assert name in _CONTENTS or path.endswith(".log"), f"{name} is not known: {plain}"
        if name in {"fsync", "fdatasync"}:
            yield Sync(present[path], path if present[path] == _FOLDER else "")
        elif name in _CONTENTS:
            offset = int(re.findall(r", (\d+) *\) += \d+$", plain)[0])
            yield Write(present[path], offset, texts[0] if name == "pwrite64" else None)


def _named(name: str, paths: Sequence[str], present: dict[str, int], numbers: Iterator[int]) -> Name:
    if name.startswith("rename"):
        event = Name(paths[1], present.pop(paths[0]), paths[0])
    elif name.startswith(("unlink", "rmdir")):
        event = Name(paths[0], None)
        present.pop(paths[0], None)
    else:
        event = Name(paths[0], _FOLDER if name.startswith("mkdir") else next(numbers))
    if event.file is not None:
        present[event.path] = event.file
    return event


def _within(home: Path, path: PurePath) -> str:
    return str(path.relative_to(home)) if path.is_relative_to(home) else ""


def _decoded(text: str) -> bytes:
    """Return a text that strace wrote as it would stand in a program in C."""
    found: bytes = codecs.escape_decode(text.encode())[0]
    return found
