"""Log lines stay one line each, hide what is secret, and never get in the daemon's way."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from spendwatch import logs

HOSTILE = "two\nlines\r\x1b[31mred\u202egnp.exe\u2028\x00\x85\ud800"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave neither our configuration nor a secret behind."""
    root = logging.getLogger()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(capture=False)
    logging.raiseExceptions = raises
    root.handlers[:] = handlers
    root.setLevel(level)
    logs._secrets.clear()


def _lines(stream: io.StringIO) -> list[str]:
    text = stream.getvalue()
    assert text == "" or text.endswith("\n")
    return text.split("\n")[:-1]


def _json_of(*args: object, **fields: object) -> dict[str, object]:
    stream = io.StringIO()
    logs.configure("json", stream=stream, environ={})
    structlog.get_logger().info(*args, **fields)
    (line,) = _lines(stream)
    found: dict[str, object] = json.loads(line)
    return found


# --- one event, one line


def test_a_json_line_says_when_how_grave_and_what() -> None:
    found = _json_of("bill_recorded", rows=12, spend=Decimal("1E+2"), day=date(2026, 9, 1), tags=["a"], more={"x": None})
    moment = datetime.fromisoformat(str(found.pop("timestamp")))
    assert abs(datetime.fromtimestamp(time.time(), UTC) - moment) < timedelta(minutes=1)
    assert found == {
        "level": "info",
        "event": "bill_recorded",
        "rows": 12,
        "spend": "100",
        "day": "2026-09-01",
        "tags": ["a"],
        "more": {"x": None},
    }


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_hostile_value_stays_on_its_line_and_harmless(form: str) -> None:
    stream = io.StringIO()
    logs.configure(form, stream=stream, environ={})
    structlog.get_logger().warning("file_skipped", name=HOSTILE, deep={"list": [HOSTILE], HOSTILE: 1})
    (line,) = _lines(stream)
    assert line.isprintable()
    assert "x1b[31mred" in line


@given(st.text(), st.text())
def test_no_text_whatever_breaks_a_line(value: str, key: str) -> None:
    for form in ("json", "console"):
        stream = io.StringIO()
        logs.configure(form, stream=stream, environ={})
        structlog.get_logger().info("bill_recorded", value=value, deep={key: [value]})
        (line,) = _lines(stream)
        assert line.isprintable()
        if form == "json":
            json.loads(line)


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_is_part_of_its_line(form: str) -> None:
    stream = io.StringIO()
    logs.configure(form, stream=stream, environ={})
    try:
        1 / 0  # noqa: B018 -- to make an error
    except ZeroDivisionError:
        structlog.get_logger().exception("round_failed")
    (line,) = _lines(stream)
    assert "ZeroDivisionError: division by zero" in line
    if form == "json":
        assert str(json.loads(line)["exception"]).splitlines()[0] == "Traceback (most recent call last):"


def test_a_giant_value_is_cut_and_a_giant_traceback_keeps_its_end() -> None:
    assert _json_of("e", value="x" * 100_000)["value"] == "x" * 2000 + "…"
    found = str(_json_of("e", exc_info=ValueError("y" * 100_000 + "the end"))["exception"])
    assert found.endswith("the end")
    assert len(found) == 8001


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1 << 100, Decimal("NaN")])
def test_numbers_that_json_cannot_hold_become_text(number: object) -> None:
    assert _json_of("e", n=number)["n"] == str(number)


def test_context_is_part_of_each_line() -> None:
    structlog.contextvars.bind_contextvars(round=7)
    assert _json_of("e")["round"] == 7


def test_lines_below_the_level_are_not_written() -> None:
    stream = io.StringIO()
    logs.configure("json", level="warning", stream=stream, environ={})
    structlog.get_logger().info("quiet")
    structlog.get_logger().error("loud")
    assert [json.loads(line)["event"] for line in _lines(stream)] == ["loud"]


# --- where the line goes


def test_a_terminal_gets_colours_unless_they_are_unwanted() -> None:
    for environ, is_coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": ""}, True)):
        master, slave = pty.openpty()
        with os.fdopen(slave, "w", encoding="utf-8") as terminal:
            logs.configure(stream=terminal, environ=environ)
            structlog.get_logger().info("bill_recorded", name="a b")
            line = os.read(master, 10_000).decode()
        os.close(master)
        assert ("\x1b[" in line) == is_coloured
        plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
        assert "[info     ] bill_recorded            name='a b'" in plain


def test_what_is_no_terminal_gets_json(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        logs.configure(stream=stream, environ={})
        structlog.get_logger().info("started")
    assert json.loads((tmp_path / "log").read_text(encoding="utf-8"))["event"] == "started"


@pytest.mark.parametrize(("level", "priority"), [("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2)])
def test_the_journal_gets_the_priority_before_each_line(tmp_path: Path, level: str, priority: int) -> None:
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        seen = os.fstat(stream.fileno())
        logs.configure("json", "debug", stream, {"JOURNAL_STREAM": f"{seen.st_dev}:{seen.st_ino}", "INVOCATION_ID": "x"})
        getattr(structlog.get_logger(), level)("happened")
    assert (tmp_path / "log").read_text(encoding="utf-8").startswith(f'<{priority}>{{"timestamp"')


def test_a_stream_led_elsewhere_than_the_journal_gets_no_priority(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        logs.configure("json", stream=stream, environ={"JOURNAL_STREAM": "1:2", "INVOCATION_ID": "x"})
        structlog.get_logger().info("happened")
    assert (tmp_path / "log").read_text(encoding="utf-8").startswith("{")


def test_a_service_without_a_named_journal_still_gets_the_priority(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        logs.configure("console", stream=stream, environ={"INVOCATION_ID": "x"})
        structlog.get_logger().info("happened")
    assert (tmp_path / "log").read_text(encoding="utf-8").startswith("<6>")


# --- secrets

CANARY = 'p4ss"wörd/\\ &ü'


def test_a_hidden_secret_is_masked_wherever_it_turns_up() -> None:
    logs.hide(CANARY)
    stream = io.StringIO()
    logs.configure("json", stream=stream, environ={})
    log = structlog.get_logger()
    event = f"login_{CANARY}"
    log.info(event, plain=CANARY, deep=[{"x": (CANARY, CANARY.encode())}], **{CANARY: 1})
    log.info("asked", url=f"https://u:{quote(CANARY, safe='')}@host/?q={quote_plus(CANARY)}", why=repr(CANARY))
    log.info("answered", body=json.dumps({"password": CANARY}))
    try:
        int(CANARY)
    except ValueError:
        log.exception("round_failed")
    logging.getLogger("httpx").warning("sent %s", CANARY)
    text = stream.getvalue()
    assert len(_lines(stream)) == 5
    for form in (CANARY, json.dumps(CANARY)[1:-1], quote(CANARY, safe=""), quote_plus(CANARY), "p4ss"):
        assert form not in text


def test_a_secret_across_the_cut_does_not_leak_its_first_half() -> None:
    logs.hide("0123456789abcdef" * 4)
    found = str(_json_of("e", value="x" * (logs.LONGEST_VALUE - 8) + "0123456789abcdef" * 4)["value"])
    assert "0123" not in found


def test_the_line_break_at_the_end_of_a_secret_file_does_not_spoil_the_mask() -> None:
    logs.hide("from-a-file\n")
    assert _json_of("e", value="is from-a-file here")["value"] == "is *** here"


def test_a_secret_within_a_secret_is_masked_whole() -> None:
    logs.hide("key")
    logs.hide("key-with-more")
    assert _json_of("e", value="key-with-more")["value"] == "***"


def test_hiding_nothing_masks_nothing() -> None:
    logs.hide("")
    logs.hide("\n")
    assert _json_of("e", value="as it is")["value"] == "as it is"


# --- the libraries


def test_the_libraries_warnings_come_as_our_events() -> None:
    stream = io.StringIO()
    logs.configure("json", stream=stream, environ={})
    logging.getLogger("httpx").info("GET /")
    logging.getLogger("apscheduler.executors").warning("job %s missed", "collect")
    logging.getLogger("alembic").error("broken %d", "no number")
    found = [json.loads(line) for line in _lines(stream)]
    assert [(entry["event"], entry["level"], entry["library"], entry["message"]) for entry in found] == [
        ("library_warned", "warning", "apscheduler.executors", "job collect missed"),
        ("library_warned", "error", "alembic", "broken %d"),
    ]


def test_configuring_twice_does_not_say_everything_twice() -> None:
    stream = io.StringIO()
    for _ in range(3):
        logs.configure("json", stream=stream, environ={})
    logging.getLogger("x").warning("once")
    assert len(_lines(stream)) == 1


def test_a_python_warning_is_one_line_too() -> None:
    stream = io.StringIO()
    logs.configure("json", stream=stream, environ={})
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old ways", DeprecationWarning, stacklevel=1)
    assert [json.loads(line)["library"] for line in _lines(stream)] == ["py.warnings"]


# --- nobody listens


def test_a_reader_that_went_away_does_not_matter() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        logs.configure("json", stream=stream, environ={})
        os.close(reader)
        for _ in range(10):
            structlog.get_logger().info("spoken_to_nobody")
    heard = io.StringIO()
    logs.configure("json", stream=heard, environ={})
    structlog.get_logger().info("spoken_to_somebody")
    assert [json.loads(line)["event"] for line in _lines(heard)] == ["spoken_to_somebody"]


def test_a_closed_stream_does_not_matter(tmp_path: Path) -> None:
    stream = (tmp_path / "log").open("w", encoding="utf-8")
    logs.configure("json", stream=stream, environ={})
    descriptor = stream.fileno()
    stream.close()
    logs.configure("auto", stream=stream, environ={"JOURNAL_STREAM": "1:2"})
    database = os.open(tmp_path / "database", os.O_RDWR | os.O_CREAT)
    assert database == descriptor, "the number is taken over"
    structlog.get_logger().info("spoken_to_nobody")
    os.close(database)
    assert (tmp_path / "database").read_bytes() == b""


def test_a_process_without_any_standard_error_output_runs() -> None:
    program = "import structlog; from spendwatch import logs; logs.configure(); structlog.get_logger().info('x'); print('fine')"
    answer = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, program], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "fine\n"


def test_a_reader_that_is_stuck_costs_little_time_and_hears_later_how_much_it_missed() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as stream, os.fdopen(reader, "rb") as listener:
        logs.configure("json", stream=stream, environ={})
        log = structlog.get_logger()
        started = time.monotonic()
        for number in range(2000):
            log.info("bill_recorded", number=number, filler="x" * 1500)
        assert time.monotonic() - started < 20, "to wait for it before each line would take 200 s"
        heard: list[bytes] = []
        thread = threading.Thread(target=lambda: heard.extend(listener))
        thread.start()
        select.select([], [stream], [])
        log.info("last_word")
        stream.close()
        thread.join()
    found = [json.loads(line) for line in heard if line.strip() and line.rstrip().endswith(b"}")]
    dropped = next(entry for entry in found if entry["event"] == "log_lines_dropped")
    recorded = [entry for entry in found if entry["event"] == "bill_recorded"]
    assert found[-1]["event"] == "last_word"
    assert 1999 <= dropped["count"] + len(recorded) <= 2000


def test_lines_of_many_threads_do_not_mix() -> None:
    reader, writer = os.pipe()
    heard: list[bytes] = []
    with os.fdopen(writer, "w", encoding="utf-8") as stream, os.fdopen(reader, "rb") as listener:
        logs.configure("json", stream=stream, environ={})
        hearing = threading.Thread(target=lambda: heard.extend(listener))
        hearing.start()
        log = structlog.get_logger()
        speakers = [
            threading.Thread(target=lambda: [log.info("e", filler=["x" * 1900] * 5) for _ in range(100)]) for _ in range(8)
        ]
        for speaker in speakers:
            speaker.start()
        for speaker in speakers:
            speaker.join()
        stream.close()
        hearing.join()
    assert [json.loads(line)["event"] for line in heard] == ["e"] * 800


def test_an_error_that_repeats_itself_is_one_traceback_and_then_a_count(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, passed = io.StringIO(), [0.0]
    monkeypatch.setattr("time.monotonic", lambda: passed[0])
    logs.configure("json", stream=stream, environ={})
    log = structlog.get_logger()
    for second in range(600):
        passed[0] = float(second)
        for job in ("assess", "deliver"):
            log.error("job_failed", job=job, exc_info=ValueError("away"))
        log.info("bill_recorded")
    entries = [json.loads(line) for line in _lines(stream)]
    failed = [
        (entry["job"], "exception" in entry, entry.get("repeated")) for entry in entries if entry["event"] == "job_failed"
    ]
    first = [("assess", True, None), ("deliver", True, None)]
    assert failed == [*first, ("assess", False, 299), ("deliver", False, 299)]
    assert len(entries) == 604, "what is no error is written each time"
