"""Reads the members of a zip archive: none is believed before all of it was unpacked and agrees with the directory."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from io import FileIO
from itertools import pairwise

from spendwatch.bills.unpacking.inflating import PIECE, DamagedError, inflated
from spendwatch.bills.unpacking.limits import Limits
from spendwatch.bills.unpacking.zip_directory import Member, bytes_at, read_directory
from spendwatch.domain.errors import Refusal, UnreadableBillError, printable

_HEAD = struct.Struct("<4s5H3L2H")
_ENCRYPTED = 0x1
_STORED, _DEFLATED = 0, 8
_METHODS = {9: "Deflate64, as Windows packs large files", 12: "bzip2", 14: "LZMA", 93: "zstd", 95: "xz", 99: "AES"}


class ZipArchive:
    """An open archive whose directory is sound: no two members share bytes, none reaches into the directory."""

    def __init__(self, file: FileIO, limits: Limits) -> None:
        """Read the directory, or raise `UnreadableBillError`."""
        self._file = file
        directory = read_directory(file, limits)
        self.members = directory.members
        spans = sorted((member.at, self._place(member) + member.packed) for member in self.members)
        spans.append((directory.start, directory.start))
        if any(end > start for (_, end), (start, _) in pairwise(spans)):
            raise UnreadableBillError(Refusal("the zip archive is damaged or a trap: its members overlap"))

    def pieces(self, member: Member) -> Iterator[bytes]:
        """Yield what the member holds; an `UnreadableBillError`, also after the last piece, takes all of it back."""
        if member.flags & _ENCRYPTED:
            raise _refused(member, "is encrypted", accepts="an archive without a password")
        if member.method not in {_STORED, _DEFLATED}:
            how = f"is packed by method {member.method} ({_METHODS.get(member.method, 'unknown')})"
            raise _refused(member, how, accepts="stored or deflated, as nearly every program packs; or gzip")
        crc = size = 0
        packed = self._packed(member)
        try:
            for piece in packed if member.method == _STORED else inflated(packed):
                crc, size = zlib.crc32(piece, crc), size + len(piece)
                yield piece
        except DamagedError as error:
            raise _refused(member, str(error)) from error
        if size != member.size:
            raise _refused(member, f"is damaged: it has {size} bytes, and should have {member.size}")
        if crc != member.crc:
            raise _refused(member, "is damaged: its CRC is wrong")

    def _packed(self, member: Member) -> Iterator[bytes]:
        at = self._place(member)
        end = at + member.packed
        while at < end and (piece := os.pread(self._file.fileno(), min(PIECE, end - at), at)):
            at += len(piece)
            yield piece

    def _place(self, member: Member) -> int:
        """Return where the member's bytes begin."""
        sign, *_, name_size, extra_size = _HEAD.unpack(bytes_at(self._file, member.at, _HEAD.size))
        if sign != b"PK\x03\x04" or bytes_at(self._file, member.at + _HEAD.size, name_size) != member.raw_name:
            raise _refused(member, "is damaged: it does not stand where the directory says")
        return member.at + _HEAD.size + int(name_size) + int(extra_size)


def _refused(member: Member, how: str, *, accepts: str | None = None) -> UnreadableBillError:
    return UnreadableBillError(Refusal(f"the archive's member {printable(member.name)} {how}", accepts=accepts))
