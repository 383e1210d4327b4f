"""Notifies by running a command, which reads the notification as JSON."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

from spendwatch.channels.channel import Channel
from spendwatch.channels.exec_settings import ExecConfig
from spendwatch.domain.errors import PermanentDeliveryError, TemporaryDeliveryError
from spendwatch.domain.notification import Delivery, Notification

_Process: TypeAlias = asyncio.SubprocessTransport
_KEPT = ("PATH", "LANG", "TZ")
_FACTS = ("alert_id", "notification_id", "reason", "severity", "state", "account", "scope", "summary")
_MOST_SAID = 4096
"""Bytes of its errors that are kept."""
_LONGEST_LINE = 300
_LAST_WORDS = 1.0
"""Seconds in which what a command said must be there once it has ended: what it left behind may hold its output open."""


class ExecChannel(Channel[ExecConfig]):
    """Runs one command for each notification."""

    @property
    def at_once(self) -> int:
        """How many copies it carries at a time."""
        return self._config.at_once

    def render(self, notification: Notification, target: str) -> bytes:  # noqa: ARG002 -- a command is one receiver
        """Return what the command reads."""
        return self._json.rendered(notification)

    async def send(self, delivery: Delivery) -> str:
        """Run the command once and return how it ended; raise an error unless that was with 0."""
        body = self._rendered(delivery)
        facts = environment(self.name, body, maybe_repeated=delivery.maybe_repeated)
        limit = self._config.timeout.total_seconds()
        try:
            async with _started(self._config.command, facts) as (transport, run):
                _feed(transport.get_pipe_transport(0), body)
                await asyncio.wait_for(asyncio.shield(run.ended), limit)
        except TimeoutError as error:
            msg = f"the command did not end within {limit:g} s and was killed"
            raise TemporaryDeliveryError(msg, maybe_taken=True, of_channel=True) from error
        except OSError as error:
            msg = f"the command cannot be run: {error.strerror}"
            raise TemporaryDeliveryError(msg, of_channel=True) from error
        _raise_unless_taken(transport.get_returncode(), run.first_line)
        return f"exit code 0{f': {run.first_line}' if run.first_line else ''}"


@asynccontextmanager
async def _started(command: Sequence[str], variables: Mapping[str, str]) -> AsyncIterator[tuple[_Process, _Run]]:
    """Run a command in a group of its own, which is killed at the end with all that it started; it inherits no descriptor."""
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    starting = asyncio.create_task(
        asyncio.get_running_loop().subprocess_exec(
            _Run, *command, stdin=pipe, stdout=nothing, stderr=pipe, cwd="/", env=variables, start_new_session=True
        )
    )
    try:
        yield await asyncio.shield(starting)
    finally:
        await asyncio.wait((starting,))  # a cancelled start, too, may have started it
        if not starting.exception():
            transport, run = starting.result()
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(transport.get_pid(), signal.SIGKILL)
            await asyncio.wait((run.closed,), timeout=_LAST_WORDS)
            transport.close()


class _Run(asyncio.SubprocessProtocol):
    """One run. `Process.wait` would also wait for whoever else holds its output open."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self._said = b""

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002 -- asyncio's signature
        self._said = (self._said + data)[:_MOST_SAID]

    def process_exited(self) -> None:
        self.ended.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        self.closed.set_result(None)

    @property
    def first_line(self) -> str:
        line = next(iter(self._said.decode(errors="replace").strip().splitlines()), "")
        return "".join(char if char.isprintable() else " " for char in line)[:_LONGEST_LINE]


def _feed(stdin: asyncio.BaseTransport | None, body: bytes) -> None:
    assert isinstance(stdin, asyncio.WriteTransport)  # noqa: S101 -- it was asked for
    stdin.write(body)  # a command need not read it
    stdin.write_eof()


def _raise_unless_taken(status: int | None, said: str) -> None:
    if status == os.EX_OK:
        return
    words = f": {said}" if said else ""
    if status == os.EX_TEMPFAIL:
        msg = f"the command asks to try again later (exit code {status}){words}"
        raise TemporaryDeliveryError(msg, of_channel=True, is_doubtful=True)  # it may have read something in the message
    if status is None or status < 0:
        msg = f"the command was killed by signal {-(status or 0)}{words}"
        raise TemporaryDeliveryError(msg, maybe_taken=True)
    msg = f"the command refused it (exit code {status}){words}"
    raise PermanentDeliveryError(msg)


def environment(channel: str, body: bytes, *, maybe_repeated: bool) -> Mapping[str, str]:
    """Return a command's environment: of ours only where programs are, language and zone; and the main facts."""
    document = json.loads(body)
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # No name is that of a setting of ours: a command may well call `spendwatch`.
    facts = {f"SPENDWATCH_FACT_{name.upper()}": str(document["data"].get(name) or "") for name in _FACTS}
    facts |= {"SPENDWATCH_FACT_TYPE": document["type"], "SPENDWATCH_FACT_CHANNEL": channel}
    return {"PATH": os.defpath, **kept, **facts, "SPENDWATCH_FACT_MAYBE_REPEATED": "yes" if maybe_repeated else ""}
