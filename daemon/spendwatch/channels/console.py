"""Prints notifications to a terminal, for trials."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from datetime import tzinfo
from typing import TextIO

from spendwatch.aside import aside
from spendwatch.channels.channel import Channel
from spendwatch.channels.console_settings import Colour, ConsoleConfig
from spendwatch.domain.delivery import DeliveryId
from spendwatch.domain.errors import TemporaryDeliveryError
from spendwatch.domain.notification import Delivery, Notification

_PATIENCE = 5.0
"""Seconds for the reader to accept a block."""
_COLOURS = {"notice": "blue", "warning": "yellow", "critical": "red", "calm": "green"}


class ConsoleChannel(Channel[ConsoleConfig]):
    """Writes each notification as a short block to a stream."""

    def __init__(self, config: ConsoleConfig, name: str, *, zone: tzinfo, stream: TextIO | None = None) -> None:
        """Write to `stream`, else to standard output."""
        super().__init__(config, name, zone=zone)
        self._stream = stream or sys.stdout
        self._turn = asyncio.Lock()
        self._last: tuple[DeliveryId, asyncio.Task[None]] | None = None
        """The block that is being written: it waits as long as nothing reads it."""

    def render(self, notification: Notification, target: str) -> bytes:  # noqa: ARG002 -- there is one screen
        """Return the block as plain text."""
        return self._wording.brief(notification).encode()

    async def send(self, delivery: Delivery) -> None:
        """Write the block, painted where that is wanted."""
        text = self._rendered(delivery).decode()
        shown = _painted(text, _COLOURS[self._wording.letter(delivery.notification).tone]) if self._paints() else f"{text}\n"
        writing: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(_PATIENCE), self._turn:
                if self._last and not self._last[1].done():
                    await asyncio.wait((self._last[1],))
                if self._last and self._last[0] == delivery.id and not self._last[1].exception():
                    return  # it was given up, and then read after all
                writing = asyncio.create_task(aside(lambda: _write(self._stream, shown)))
                self._last = (delivery.id, writing)
                await asyncio.shield(writing)
        except TimeoutError as error:
            msg = "nobody reads the screen"
            raise TemporaryDeliveryError(msg, of_channel=True, maybe_taken=writing is not None) from error
        except OSError as error:
            msg = f"the screen cannot be written to: {type(error).__name__}"
            raise TemporaryDeliveryError(msg, of_channel=True) from error

    def _paints(self) -> bool:
        if self._config.colour is Colour.AUTO:
            return self._stream.isatty() and not os.environ.get("NO_COLOR")
        return self._config.colour is Colour.ALWAYS


def _painted(text: str, tone: str) -> str:
    # Only a terminal needs it; importing it costs 60 ms.
    from rich.console import Console  # noqa: PLC0415
    from rich.panel import Panel  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    headline, _, rest = text.rstrip("\n").partition("\n")
    tag, _, what = headline.partition(" | ")
    body = Text.assemble((what, "bold"), "\n\n", "\n".join(line.removeprefix("  ") for line in rest.splitlines()))
    title = Text(f" {tag} ", style=f"bold {tone}")
    painted = io.StringIO()
    Console(file=painted, force_terminal=True, highlight=False).print(
        Panel(body, title=title, title_align="left", border_style=tone, padding=(0, 1), expand=False)
    )
    return painted.getvalue()


def _write(stream: TextIO, text: str) -> None:
    """Write all of it, beside the stream's own buffer: a thread that hangs with its lock would hold up the program's end."""
    stream.flush()
    try:
        place = stream.fileno()
    except (OSError, ValueError):  # it is no file
        stream.write(text)
        return
    left = memoryview(text.encode(stream.encoding or "utf-8", "replace"))
    while left:
        left = left[os.write(place, left) :]
