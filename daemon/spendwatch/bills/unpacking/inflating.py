"""Unpacks deflated bytes piece by piece, so that memory does not grow with what comes out; believes no length and no sum."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

PIECE = 1024 * 1024
"""How many bytes are taken or given at once."""

_GZIP, _BARE = 31, -15
"""What zlib is told: expect gzip's own frame and check its sums; expect nothing around the bytes."""


class DamagedError(Exception):
    """Packed bytes that are not what they should be. The message says how, in words that follow a name."""


def gunzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what is packed in a gzip file, all its members after each other; the sum of each is checked at its end."""
    decoder = zlib.decompressobj(_GZIP)
    for piece in pieces:
        rest = piece
        while rest:
            if decoder.eof:
                # Tapes and block devices pad with zeros.
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
                decoder = zlib.decompressobj(_GZIP)
            yield from _decoded(decoder, rest)
            rest = decoder.unused_data
    if not decoder.eof:
        raise _cut_off()


def inflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what one stream of bare deflated bytes holds; nothing may follow it."""
    decoder = zlib.decompressobj(_BARE)
    for piece in pieces:
        if decoder.eof:
            raise _followed()
        yield from _decoded(decoder, piece)
    if not decoder.eof:
        raise _cut_off()
    if decoder.unused_data:
        raise _followed()


def _decoded(decoder: zlib._Decompress, packed: bytes) -> Iterator[bytes]:
    try:
        while True:
            unpacked = decoder.decompress(packed, PIECE)
            yield unpacked
            packed = decoder.unconsumed_tail
            if decoder.eof or (not packed and len(unpacked) < PIECE):
                return
    except zlib.error as error:
        msg = f"is damaged ({str(error).rpartition(': ')[2]})"
        raise DamagedError(msg) from error


def _cut_off() -> DamagedError:
    return DamagedError("is cut off")


def _followed() -> DamagedError:
    return DamagedError("is damaged: something follows its packed bytes")
