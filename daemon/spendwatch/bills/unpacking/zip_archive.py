"""Reads the members of a zip archive; a member counts only after it is unpacked and matches the directory."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from io import FileIO
from itertools import pairwise
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from spendwatch.bills.unpacking.limits import Limits, shown
from spendwatch.domain.errors import Refusal, UnreadableBillError, printable

PIECE = 1024 * 1024
"""How many bytes are taken or given at once."""

_END, _LARGE_END = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q")
_LONGEST_COMMENT = 0xFFFF
_LOCATOR_SIZE = 20
_FULL = {0xFFFF, 0xFFFFFFFF}
_ENTRY_SIZE = 1024
"""How many bytes of the directory one member may take on average, with its name."""

_LENGTHS = struct.Struct("<26x2H")
"""A member's own head, of which only the lengths of its name and of what follows that are of interest."""

_ENCRYPTED, _UTF_8 = 0x1, 0x800
_METHODS = {9: "Deflate64, as Windows packs large files", 12: "bzip2", 14: "LZMA", 93: "zstd", 95: "xz", 99: "AES"}
_DAMAGED = (BadZipFile, EOFError, OverflowError, NotImplementedError, ValueError, struct.error, zlib.error)
"""What the library raises where an archive is not as it should be. A disk that cannot be read is not the archive's fault."""


class ZipArchive:
    """An open archive whose directory is sound: no two members share bytes, none reaches into the directory."""

    def __init__(self, file: FileIO, limits: Limits) -> None:
        """Read the directory, or raise `UnreadableBillError`."""
        count = _counted(file, limits)
        try:
            self._archive = ZipFile(file)
            infos = self._archive.infolist()
            spans = sorted((info.header_offset, _end_of(file, info)) for info in infos)
        except _DAMAGED as error:
            raise _cut_off() from error
        if len(infos) != count:
            raise _cut_off()
        self.members = tuple(infos)
        """As the directory describes them: sizes and sums are claims."""
        for info in infos:
            info.filename = _name(info)
        start = self._archive.start_dir
        if any(end > begin for (_, end), (begin, _) in pairwise([*spans, (start, start)])):
            raise UnreadableBillError(Refusal("the zip archive is damaged or malicious: its members overlap"))

    def pieces(self, member: ZipInfo) -> Iterator[bytes]:
        """Yield what the member holds; an `UnreadableBillError`, also after the last piece, takes all of it back."""
        if member.flag_bits & _ENCRYPTED:
            raise _refused(member, "is encrypted", accepts="an archive without a password")
        method, size = member.compress_type, 0
        if method not in {ZIP_STORED, ZIP_DEFLATED}:
            how = f"is packed by method {method} ({_METHODS.get(method, 'unknown')})"
            raise _refused(member, how, accepts="a zip with stored or deflated members, or gzip")
        try:
            with self._archive.open(member) as unpacked:
                while piece := unpacked.read(PIECE):
                    size += len(piece)
                    yield piece
        except _DAMAGED as error:
            raise _refused(member, _how(error)) from error
        if size != member.file_size:
            raise _refused(member, f"is damaged: it has {size} bytes, and should have {member.file_size}")


def _counted(file: FileIO, limits: Limits) -> int:
    """Return how many members the archive says it has; refuse one in several parts, or with too long a directory for memory."""
    length = os.fstat(file.fileno()).st_size
    first = max(0, length - _LARGE_END.size - _LOCATOR_SIZE - _END.size - _LONGEST_COMMENT)
    tail = os.pread(file.fileno(), length - first, first)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + _END.size:
        raise _cut_off()
    _, disk, first_disk, here, count, size, *_ = _END.unpack_from(tail, at)
    large_at = tail.rfind(b"PK\x06\x06", 0, at)
    if {count, size} & _FULL and 0 <= large_at <= at - _LARGE_END.size:
        _, _, _, _, disk, first_disk, here, count, size, _ = _LARGE_END.unpack_from(tail, large_at)
    if disk or first_disk or here != count:
        raise UnreadableBillError(Refusal("one part of a zip archive in several parts (.z01): join them, or pack it as one"))
    if count > limits.members:
        raise UnreadableBillError(Refusal(f"the zip archive has {count} members; at most {limits.members} are taken"))
    if size > (most := limits.members * _ENTRY_SIZE):
        reason = f"the directory of the zip archive is {shown(size)} long; at most {shown(most)} are taken"
        raise UnreadableBillError(Refusal(reason))
    return int(count)


def _end_of(file: FileIO, info: ZipInfo) -> int:
    """Return where the member's bytes end."""
    if info.header_offset < 0:
        msg = "a member before the file begins"
        raise BadZipFile(msg)
    lengths = _LENGTHS.unpack(os.pread(file.fileno(), _LENGTHS.size, info.header_offset))
    return int(info.header_offset + _LENGTHS.size + sum(lengths) + info.compress_size)


def _name(info: ZipInfo) -> str:
    """Return a member's name. Many programs write UTF-8 without saying so; Chinese Windows writes GB18030."""
    if not info.flag_bits & _UTF_8:
        raw = info.orig_filename.encode("cp437")
        for encoding in ("utf-8", "gb18030"):
            try:
                return raw.decode(encoding)
            except UnicodeDecodeError:
                continue
    return info.orig_filename


def _how(error: Exception) -> str:
    """Return what is wrong with a member, without its name and its bytes, which the library quotes."""
    if isinstance(error, EOFError):
        return "is cut off"
    if isinstance(error, zlib.error):
        return f"is damaged ({str(error).rpartition(': ')[2]})"
    return f"is damaged: {'its CRC is wrong' if 'CRC' in str(error) else 'it is not at the place given in the directory'}"


def _cut_off() -> UnreadableBillError:
    return UnreadableBillError(Refusal("the zip archive is cut off or damaged: its directory cannot be followed"))


def _refused(member: ZipInfo, how: str, *, accepts: str | None = None) -> UnreadableBillError:
    return UnreadableBillError(Refusal(f"the archive's member {printable(member.filename)} {how}", accepts=accepts))
