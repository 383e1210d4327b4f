"""Log lines: one event per line, readable on a terminal, JSON elsewhere; without secrets and hostile characters."""

from __future__ import annotations

import io
import json
import logging
import math
import os
import select
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TextIO, cast
from urllib.parse import quote, quote_plus

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from spendwatch.domain.money import plain

LONGEST_VALUE = 2000
LONGEST_TRACEBACK = 8000
MASK = "***"

_JOURNAL_PRIORITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_EVENT_WIDTH = 24
REPEATS_EVERY = 300.0
"""So many seconds lie between two lines about the same error."""

_BOUNDED_LEVELS = frozenset({"error", "critical"})
_OF_LIBRARIES = "library_warned"
_MOST_SEEN = 100
_PIECE = 4096
_PATIENCE_MS = 100
_DEEPEST = 6
_LARGEST_NUMBER = 1 << 63


class Format(StrEnum):
    """How log lines are written."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


_secrets: set[str] = set()


def hide(secret: str) -> None:
    """Never show this text in a log line, nor the forms it takes in an address or in quotes."""
    for form in (secret, secret.strip()):
        if form:
            _secrets.update((form, quote(form, safe=""), quote_plus(form), repr(form)[1:-1], repr(form.encode())[2:-1]))
            _secrets.update(json.dumps(form, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False))


def masked(text: str) -> str:
    """Return the text with every hidden secret replaced."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def configure(
    format: str = Format.AUTO,  # noqa: A002 -- named as the option is
    level: str = "info",
    stream: TextIO | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Send every log line of ours, and the warnings of the libraries, to the stream (the standard error output)."""
    # A process may be started with no standard error output at all; then there is nothing to write to.
    stream = stream or sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 -- open for ever
    environ = os.environ if environ is None else environ
    chosen = Format(format)
    is_terminal = _is_terminal(stream)
    if chosen is Format.AUTO:
        chosen = Format.CONSOLE if is_terminal else Format.JSON
    is_coloured = is_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    render = _console(is_coloured=is_coloured) if chosen is Format.CONSOLE else _JSON
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _Repeated(),
            structlog.processors.format_exc_info,
            _cleaned,
            _with_priority(render) if _is_journal(stream, environ) else render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Writer(stream))),
        cache_logger_on_first_use=False,
    )
    _route_libraries(_number(level))


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether the stream ends in systemd's journal, which reads a priority off the start of each line."""
    named = environ.get("JOURNAL_STREAM", "")
    if not named:
        return bool(environ.get("INVOCATION_ID")) and not _is_terminal(stream)
    try:
        seen = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{seen.st_dev}:{seen.st_ino}"


# --- what goes into a line


class _Repeated:
    """Writes an error whole, and while it repeats itself only how often it does: trouble that lasts must not fill the disk."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, int]] = {}
        """When each error was last written, and how often it was not since then."""
        self._lock = threading.Lock()

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        """Return the event, or drop it."""
        if event["level"] not in _BOUNDED_LEVELS and event["event"] != _OF_LIBRARIES:
            return event
        trouble = event.get("exc_info")
        reason = sys.exc_info()[1] if trouble is True else trouble[1] if isinstance(trouble, tuple) else trouble
        key = repr([(name, value) for name, value in event.items() if name not in {"timestamp", "exc_info"}] + [reason])
        now = time.monotonic()
        with self._lock:
            written_at, repeated = self._seen.pop(key, (-math.inf, 0))
            if now - written_at < REPEATS_EVERY:
                self._seen[key] = written_at, repeated + 1
                raise structlog.DropEvent
            self._seen[key] = now, 0
            if len(self._seen) > _MOST_SEEN:
                del self._seen[next(iter(self._seen))]
        if repeated:
            event.pop("exc_info", None)
            event["repeated"] = repeated
        return event


def _cleaned(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Mask secrets, then escape, then shorten: the other way round, half a secret could get through."""
    first = {name: event.pop(name, "") for name in ("timestamp", "level", "event")}
    return {
        _tidy(key, LONGEST_VALUE): _tidy(value, LONGEST_TRACEBACK, keep_lines=True) if key == "exception" else _value(value)
        for key, value in {**first, **event}.items()
    }


def _value(value: object, depth: int = 0) -> object:
    match value:
        case None | bool():
            return value
        case int() | float() if abs(value) < _LARGEST_NUMBER:  # so that neither NaN nor a giant breaks a reader of JSON
            return value
        case Decimal() if value.is_finite():
            return plain(value)
        case Mapping() if depth < _DEEPEST:
            return {_tidy(key, LONGEST_VALUE): _value(item, depth + 1) for key, item in value.items()}
        case list() | tuple() | set() | frozenset() if depth < _DEEPEST:
            return [_value(item, depth + 1) for item in value]
        case _:
            return _tidy(value.isoformat() if isinstance(value, date) else value, LONGEST_VALUE)


def _tidy(text: object, longest: int, *, keep_lines: bool = False) -> str:
    clean = masked(str(text))
    if not clean.isprintable():
        kept = "\n\t" if keep_lines else ""
        clean = "".join(char if char.isprintable() or char in kept else _escaped(char) for char in clean)
    if len(clean) <= longest:
        return clean
    # Keep the end of a traceback, where the error is, and the beginning of everything else.
    return f"…{clean[-longest:]}" if keep_lines else f"{clean[:longest]}…"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


# --- how a line looks

_JSON: Processor = structlog.processors.JSONRenderer(ensure_ascii=False)


def _console(*, is_coloured: bool) -> Processor:
    """Return what makes the line for people; a traceback stays on it, its line breaks escaped as in every other value."""
    render = structlog.dev.ConsoleRenderer(colors=is_coloured, sort_keys=False, pad_event_to=_EVENT_WIDTH)

    def line(logger: WrappedLogger, name: str, event: EventDict) -> str:
        if "exception" in event:
            event["traceback"] = event.pop("exception")
        return render(logger, name, event)

    return line


def _with_priority(render: Processor) -> Processor:
    """Begin the line with its priority, as the journal reads it."""

    def line(logger: WrappedLogger, name: str, event: EventDict) -> str:
        return f"<{_JOURNAL_PRIORITY.get(event['level'], 6)}>{render(logger, name, event)!s}"

    return line


# --- how a line gets out


class _Writer:
    """Writes lines and never raises or waits for long: a stuck reader of our log must not stop the watch over the money."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._dropped = 0
        self._is_cut = False

    def flush(self) -> None:
        """Every line is written at once."""

    def write(self, line: str) -> None:
        """Write one line, or drop it."""
        with self._lock, suppress(OSError, ValueError):
            try:
                # Asked anew for each line: the number of a closed stream may meanwhile belong to the database's file.
                descriptor = self._stream.fileno()
            except io.UnsupportedOperation:
                self._stream.write(line)
                self._stream.flush()
            else:
                self._write_bytes(descriptor, line.encode(errors="backslashreplace"))

    def _write_bytes(self, descriptor: int, line: bytes) -> None:
        if self._dropped or self._is_cut:
            told = json.dumps({"level": "warning", "event": "log_lines_dropped", "count": self._dropped}).encode()
            line = (b"\n" if self._is_cut else b"") + told + b"\n" + line
        view = memoryview(line)
        while view:
            # Up to this many bytes, a pipe that says it is ready takes all of it without waiting.
            if not _takes_bytes(descriptor, 0 if self._dropped else _PATIENCE_MS):
                self._dropped += 1
                self._is_cut = self._is_cut or len(view) != len(line)
                return
            view = view[os.write(descriptor, view[:_PIECE]) :]
        self._dropped, self._is_cut = 0, False


def _takes_bytes(descriptor: int, patience_ms: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(patience_ms))


# --- what the libraries have to say


class _Bridge(logging.Handler):
    """Hands the libraries' own log records to ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the record as an event of ours; a record that cannot be put into words is dropped."""
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 -- a library's broken log call must not break us
            message = str(record.msg)
        logger = structlog.get_logger()
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        logger.log(level, _OF_LIBRARIES, library=record.name, message=message, exc_info=record.exc_info)


def _route_libraries(level: int) -> None:
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _Bridge):
            root.removeHandler(handler)
    root.addHandler(_Bridge(logging.WARNING))
    root.setLevel(max(level, logging.WARNING))
