"""Reads the directory of a zip archive, bounded before it is looked at, and strictly: what is odd is damaged or a trap."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import FileIO

from spendwatch.bills.unpacking.limits import Limits, shown
from spendwatch.domain.errors import Refusal, UnreadableBillError

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_LARGE_END = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_EXTRA = struct.Struct("<2H")
_LONGEST_COMMENT = 0xFFFF
_FULL = 0xFFFFFFFF
_LARGE = 1
_UTF_8 = 0x800
_ENTRY_SIZE = 1024
"""How many bytes of the directory one member may take on average, with its name."""


@dataclass(frozen=True, slots=True)
class Member:
    """One file in an archive, as the directory describes it. Sizes and sums are claims."""

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    at: int
    """Where its own head stands."""


@dataclass(frozen=True, slots=True)
class Directory:
    """What is in an archive, and where the directory itself starts."""

    members: tuple[Member, ...]
    start: int


def read_directory(file: FileIO, limits: Limits) -> Directory:
    """Return the archive's directory, or raise `UnreadableBillError`."""
    at, (disk, first_disk, here, count, size, start) = _end(file)
    if disk or first_disk or here != count:
        raise UnreadableBillError(Refusal("one part of a zip archive in several parts (.z01): join them, or pack it as one"))
    if count > limits.members:
        raise UnreadableBillError(Refusal(f"the zip archive has {count} members; at most {limits.members} are taken"))
    if size > limits.members * _ENTRY_SIZE:
        reason = (
            f"the directory of the zip archive is {shown(size)} long; at most {shown(limits.members * _ENTRY_SIZE)} are taken"
        )
        raise UnreadableBillError(Refusal(reason))
    if start + size != at:
        raise cut_off()
    return Directory(tuple(_members(bytes_at(file, start, size), count)), start)


def bytes_at(file: FileIO, at: int, size: int) -> bytes:
    """Return so many bytes from there; a file that ends before is cut off."""
    if at + size > os.fstat(file.fileno()).st_size:
        raise cut_off()
    found = os.pread(file.fileno(), size, at)
    if len(found) < size:
        raise cut_off()
    return found


def cut_off() -> UnreadableBillError:
    """Return the error that refuses an archive whose directory cannot be followed."""
    return UnreadableBillError(Refusal("the zip archive is cut off or damaged: its directory cannot be followed"))


def _end(file: FileIO) -> tuple[int, tuple[int, ...]]:
    """Return where the directory ends, and what the end record says of it: disks, counts, size and start."""
    at, end = _small_end(file)
    if at < _LOCATOR.size:
        return at, end
    sign, _, large_at, disks = _LOCATOR.unpack(bytes_at(file, at - _LOCATOR.size, _LOCATOR.size))
    if sign != b"PK\x06\x07":
        return at, end
    large = _LARGE_END.unpack(bytes_at(file, large_at, _LARGE_END.size))
    if large[0] != b"PK\x06\x06" or disks > 1:
        raise cut_off()
    return large_at, large[4:]


def _small_end(file: FileIO) -> tuple[int, tuple[int, ...]]:
    length = os.fstat(file.fileno()).st_size
    first = max(0, length - _END.size - _LONGEST_COMMENT)
    tail = bytes_at(file, first, length - first)
    at = tail.rfind(b"PK\x05\x06")
    while at >= 0:
        if at + _END.size <= len(tail):
            *end, comment = _END.unpack_from(tail, at)[1:]
            if at + _END.size + comment == len(tail):
                return first + at, tuple(end)
        at = tail.rfind(b"PK\x05\x06", 0, at)
    raise cut_off()


def _members(directory: bytes, count: int) -> Iterator[Member]:
    at = 0
    for _ in range(count):
        if at + _ENTRY.size > len(directory):
            raise cut_off()
        sign, *entry = _ENTRY.unpack_from(directory, at)
        if sign != b"PK\x01\x02":
            raise cut_off()
        name_ends = at + _ENTRY.size + entry[9]
        extra_ends = name_ends + entry[10]
        yield _member(entry, directory[at + _ENTRY.size : name_ends], directory[name_ends:extra_ends])
        at = extra_ends + entry[11]
    if at != len(directory):
        raise cut_off()


def _member(entry: Sequence[int], name: bytes, extra: bytes) -> Member:
    _, _, flags, method, _, _, crc, packed, size, *_, at = entry
    numbers = [size, packed, at]
    missing = [place for place, number in enumerate(numbers) if number == _FULL]
    large = _large_numbers(extra) if missing else ()
    if len(large) < len(missing):
        raise cut_off()
    for place, number in zip(missing, large, strict=False):
        numbers[place] = number
    size, packed, at = numbers
    return Member(decoded_name(name, flags), name, flags, method, crc, packed, size, at)


def _large_numbers(extra: bytes) -> tuple[int, ...]:
    """Return the 64-bit numbers that stand in for those that do not fit into 32 bits."""
    at = 0
    while at + _EXTRA.size <= len(extra):
        kind, size = _EXTRA.unpack_from(extra, at)
        at += _EXTRA.size
        if kind == _LARGE:
            return struct.unpack(f"<{len(extra[at : at + size]) // 8}Q", extra[at : at + size // 8 * 8])
        at += size
    return ()


def decoded_name(raw: bytes, flags: int) -> str:
    """Return a member's name as text. Many programs write UTF-8 without saying so; Chinese Windows writes GB18030."""
    for encoding in ("utf-8",) if flags & _UTF_8 else ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("cp437")
