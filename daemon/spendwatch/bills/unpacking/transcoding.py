"""Converts text of another encoding to UTF-8 in pieces with bounded memory."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from io import FileIO

from spendwatch.domain.errors import Refusal, UnreadableBillError

_PIECE = 1024 * 1024
_LONGEST = 16 * 1024 * 1024
"""As long as the longest cell that is read."""


class UndecodableError(Exception):
    """Bytes that mean nothing in their encoding, or a character that is cut off."""

    def __init__(self, line: int) -> None:
        """Keep the line, counting from 1, where they stand."""
        self.line = line
        super().__init__(f"line {line}")


def from_gb18030(file: FileIO) -> Iterator[bytes]:
    """Yield the file's GB18030 text as UTF-8."""
    at = 0
    for piece in _whole_pieces(file):
        try:
            yield piece.decode("gb18030").encode()
        except UnicodeDecodeError as error:
            raise UndecodableError(_line(file, at + error.start)) from error
        at += len(piece)


def from_utf_16(file: FileIO, encoding: str) -> Iterator[bytes]:
    """Yield the file's text, whose byte order a mark at the start has shown, as UTF-8 without a mark."""
    decoder = codecs.getincrementaldecoder(encoding)()
    file.seek(len(codecs.BOM_UTF16))
    line, piece = 1, b" "
    while piece:
        piece = file.read(_PIECE)
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(encoding)
            raise UndecodableError(line + before.count("\n")) from error
        line += text.count("\n")
        yield text.encode()


def _whole_pieces(file: FileIO) -> Iterator[bytes]:
    """Yield whole lines, or whole cells of a very long one: line breaks and commas are never part of a longer character."""
    at, size = 0, _PIECE
    while block := os.pread(file.fileno(), size, at):
        end = block.rfind(b"\n") + 1 or block.rfind(b",") + 1 if len(block) == size else len(block)
        if end:
            yield block[:end]
            at, size = at + end, _PIECE
        elif size < _LONGEST:
            size *= 2
        else:
            reason = f"{_LONGEST // 1024**2} MiB without a comma or a line break"
            raise UnreadableBillError(Refusal(reason, line=_line(file, at)))


def _line(file: FileIO, at: int) -> int:
    """Return on which line the byte at that place stands."""
    line = 1
    for start in range(0, at, _PIECE):
        line += os.pread(file.fileno(), min(_PIECE, at - start), start).count(b"\n")
    return line
