"""The C library's converter of encodings, several times as fast as Python's codecs, and trusted only as far as both agree.

It serves for characters of up to two bytes as GBK has them, nearly all that a Chinese bill holds. About rarer ones the editions
of GB18030 differ: whatever else turns up is left to Python's codec, which is the same everywhere.
"""

from __future__ import annotations

import ctypes
import errno
from contextlib import closing
from functools import cache

_EURO = "€".encode()
_FAILED = ctypes.c_size_t(-1).value
_EURO_BYTE = 0x80
_LEADS = range(0x81, 0x100)


def converted(text: bytes) -> bytearray | None:
    """Return whole GB18030 characters as UTF-8, or None where Python's codec must decide. Other threads go on meanwhile."""
    if not is_trusted():
        return None
    with closing(_Converter()) as converter:
        result = converter.convert(text)
    # Windows writes the euro sign as one byte, which GB18030 does not know. Its first byte alone is found much faster.
    if result is None or (_EURO[:1] in result and _EURO in result):
        return None
    return result


@cache
def is_trusted() -> bool:
    """Tell whether there is a converter here that agrees with Python's codec on each character, or refuses it."""
    try:
        converter = _Converter()
    except (AttributeError, OSError):
        return False
    with closing(converter):
        return _agrees(converter)


def _agrees(converter: _Converter) -> bool:
    pairs = [bytes((lead, trail)) for lead in _LEADS for trail in range(256)]
    known = bytes(range(0x80)) + b"".join(pair for pair in pairs if _is_known(pair))
    if bytes(converter.convert(known) or b"") != known.decode("gb18030").encode():
        return False
    # Refused as wrong, not as unfinished: nothing is made of longer characters either.
    others = (pair for pair in pairs if not _is_known(pair))
    if any(converter.convert(pair) is not None or converter.trouble != errno.EILSEQ for pair in others):
        return False
    euros = (converter.convert(bytes((_EURO_BYTE, trail))) for trail in range(256))
    return all(euro is None or euro.startswith(_EURO) for euro in euros)


def _is_known(pair: bytes) -> bool:
    try:
        pair.decode("gbk")
    except UnicodeDecodeError:
        return False
    return True


class _Converter:
    """One conversion from GBK to UTF-8, to be used by one thread."""

    def __init__(self) -> None:
        """Open it, or raise `OSError`; a C library without it raises `AttributeError`."""
        library = ctypes.CDLL(None, use_errno=True)
        library.iconv_open.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        library.iconv_open.restype = ctypes.c_void_p
        library.iconv.argtypes = [ctypes.c_void_p] + [ctypes.c_void_p] * 4
        library.iconv.restype = ctypes.c_size_t
        library.iconv_close.argtypes = [ctypes.c_void_p]
        self._library = library
        self._descriptor = library.iconv_open(b"UTF-8", b"GBK")
        if self._descriptor == ctypes.c_void_p(-1).value:
            raise OSError(ctypes.get_errno(), "iconv knows no GBK")
        self.trouble = 0
        """Why the last conversion failed."""

    def convert(self, text: bytes) -> bytearray | None:
        """Return the text as UTF-8, or None if it holds anything else than GBK."""
        # Two bytes become three at most.
        result = bytearray(len(text) // 2 * 3 + 4)
        buffer = (ctypes.c_char * len(result)).from_buffer(result)
        source, left = ctypes.c_char_p(text), ctypes.c_size_t(len(text))
        target, room = ctypes.c_void_p(ctypes.addressof(buffer)), ctypes.c_size_t(len(result))
        odd = self._library.iconv(self._descriptor, *map(ctypes.byref, (source, left, target, room)))
        del buffer
        if odd or left.value:
            self.trouble = ctypes.get_errno()
            self._library.iconv(self._descriptor, None, None, None, None)
            return None
        del result[len(result) - room.value :]
        return result

    def close(self) -> None:
        """Give it back."""
        self._library.iconv_close(self._descriptor)
