"""Builds zip archives by hand, so that they can be wrong in any way. What is not said otherwise is right.

content = a_zip(a_member("bill.csv", b"a,b\n1,2\n"), a_member("x", b"", flags=ENCRYPTED))
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

ENCRYPTED, UTF_8 = 0x1, 0x800
STORED, DEFLATED = 0, 8
FULL = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class BuiltMember:
    """One member: its packed bytes, and what is claimed about them."""

    name: bytes
    packed: bytes
    size: int
    crc: int
    method: int = DEFLATED
    flags: int = 0
    local_name: bytes | None = None
    packed_size: int | None = None
    at: int | None = None
    is_large: bool = False


def a_member(name: str | bytes, content: bytes, *, method: int = DEFLATED, flags: int = UTF_8) -> BuiltMember:
    """Return a member that is right; `replace` makes it wrong."""
    raw = name.encode() if isinstance(name, str) else name
    return BuiltMember(raw, packed(content, method), len(content), zlib.crc32(content), method, flags)


def packed(content: bytes, method: int = DEFLATED) -> bytes:
    """Return the content as it stands in an archive."""
    if method != DEFLATED:
        return content
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def zeros(mebibytes: int) -> bytes:
    """Return so many MiB of zeros deflated, without packing each of them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(bytes(1024 * 1024)) + packer.flush(zlib.Z_FULL_FLUSH)
    return piece * mebibytes + b"\x03\x00"


def a_zip(
    *members: BuiltMember,
    disk: int = 0,
    comment: bytes = b"",
    is_large: bool = False,
    between: bytes = b"",
    count: int | None = None,
) -> bytes:
    """Return the archive; `is_large` writes the end records of zip64, `between` stands before the directory."""
    local, entries, places = b"", b"", _places(members)
    for member, place in zip(members, places, strict=True):
        local += _head(member) + member.packed
        entries += _entry(member, place)
    local += between
    total = len(members) if count is None else count
    end = b""
    if is_large:
        at = len(local) + len(entries)
        end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, disk, disk, total, total, len(entries), len(local))
        end += struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)
        numbers = (disk, disk, 0xFFFF, 0xFFFF, FULL, FULL)
    else:
        numbers = (disk, disk, total, total, len(entries), len(local))
    return local + entries + end + struct.pack("<4s4H2LH", b"PK\x05\x06", *numbers, len(comment)) + comment


def wrong(member: BuiltMember, **claims: object) -> BuiltMember:
    """Return the member with other claims."""
    return replace(member, **claims)  # type: ignore[arg-type]


def _places(members: Sequence[BuiltMember]) -> list[int]:
    places, at = [], 0
    for member in members:
        places.append(at if member.at is None else member.at)
        at += len(_head(member)) + len(member.packed)
    return places


def _head(member: BuiltMember) -> bytes:
    name = member.name if member.local_name is None else member.local_name
    numbers = (20, member.flags, member.method, 0, 33, member.crc, len(member.packed) & FULL, member.size & FULL, len(name), 0)
    return struct.pack("<4s5H3L2H", b"PK\x03\x04", *numbers) + name


def _entry(member: BuiltMember, place: int) -> bytes:
    size, at = member.size, place
    taken = len(member.packed) if member.packed_size is None else member.packed_size
    extra = b""
    if member.is_large:
        extra = struct.pack("<2H3Q", 1, 24, size, taken, at)
        size = taken = at = FULL
    numbers = (
        20,
        20,
        member.flags,
        member.method,
        0,
        33,
        member.crc,
        taken,
        size,
        len(member.name),
        len(extra),
        0,
        0,
        0,
        0,
        at,
    )
    return struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *numbers) + member.name + extra
