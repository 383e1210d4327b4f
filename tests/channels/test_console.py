from __future__ import annotations

import asyncio
import io
import os
import threading
import time

import pytest

from notices import SAMPLES, ZONE, delivery
from spendwatch.channels.console import ConsoleChannel
from spendwatch.channels.console_settings import ConsoleConfig
from spendwatch.domain.errors import TemporaryDeliveryError

pytestmark = pytest.mark.anyio


class Terminal(io.StringIO):
    """A stream that somebody looks at."""

    def isatty(self) -> bool:
        return True


async def _shown(stream: io.StringIO, sample: str = "threshold", **settings: str) -> str:
    channel = ConsoleChannel(ConsoleConfig.model_validate({"type": "console", **settings}), "screen", zone=ZONE, stream=stream)
    notification = SAMPLES[sample]
    await channel.send(delivery(notification, "", channel.render(notification, "")))
    return stream.getvalue()


async def test_a_block_says_what_happened_how_much_and_up_to_when() -> None:
    shown = await _shown(io.StringIO())
    assert shown.startswith("Warning | Research has reached 80% of its September 2026 budget\n")
    for said in ("CNY 1,021.40", "Based on bills up to 2026-09-15 09:41", "spendwatch explain 3f9c1e07b2d84a6655d1"):
        assert said in shown
    assert len(shown.splitlines()) <= 12


async def test_a_pipe_gets_no_colours() -> None:
    assert "\x1b" not in await _shown(io.StringIO())


async def test_a_terminal_gets_colours_unless_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    painted = await _shown(Terminal(), "overdue")
    assert "\x1b[" in painted
    assert "acme is overdue by CNY 110.83" in painted
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in await _shown(Terminal())


async def test_the_settings_decide_over_what_the_stream_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in await _shown(io.StringIO(), colour="always")
    assert "\x1b" not in await _shown(Terminal(), colour="never")


async def test_the_block_speaks_the_language_of_the_settings() -> None:
    assert "Research 已达到2026年9月预算的 80%" in await _shown(io.StringIO(), language="zh")


async def test_a_screen_that_is_gone_is_tried_again() -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    with pytest.raises(TemporaryDeliveryError, match="BrokenPipeError"):
        await _shown(Gone())


async def test_a_screen_that_nobody_reads_holds_up_nothing_and_shows_each_block_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spendwatch.channels.console._PATIENCE", 0.3)
    reads, writes = os.pipe()
    with os.fdopen(reads, "rb") as reader, os.fdopen(writes, "w") as stream:
        os.set_blocking(writes, False)
        full = 0
        while True:
            try:
                full += os.write(writes, b"." * 4096)
            except BlockingIOError:
                break
        os.set_blocking(writes, True)
        channel = ConsoleChannel(ConsoleConfig.model_validate({"type": "console"}), "screen", zone=ZONE, stream=stream)
        copy = delivery(SAMPLES["threshold"], "", b"the block")
        began, before = time.monotonic(), set(threading.enumerate())
        for maybe_taken in (True, False):
            with pytest.raises(TemporaryDeliveryError, match="nobody reads the screen") as caught:
                await channel.send(copy)
            assert caught.value.maybe_taken is maybe_taken
        assert time.monotonic() - began < 30
        assert sum(thread.name == "aside" for thread in set(threading.enumerate()) - before) == 1
        seen = b""
        while len(seen) < full + len(b"the block\n"):
            seen += await asyncio.to_thread(reader.read1)
        await channel.send(copy)
        os.set_blocking(reads, False)
        assert seen[full:] == b"the block\n"
        assert not reader.read()
