"""A loaded program that works through one outbox in a fork of itself, which dies at the nth system call of all its threads.

    python warm.py LEDGER MAIL-PORT HOOK-PORT CHAT-PORT

First it makes a round of its own, after which everything is loaded. For each number and label on standard input it forks, makes
a round with one more alert, and prints how many calls there were; 0: nobody dies. What strace does (`sweep.killing`) it does
itself, because a start of the program costs ten times as much as what is swept. With an error's number behind the label the
nth write or sync of the database fails with it instead; printed is, too, how the round ended.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import struct
import sys
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

sys.path.extend(str(Path(__file__).parents[1] / room) for room in (".", "builders"))

from spendwatch.channels.chat_settings import SlackConfig
from spendwatch.channels.email_settings import EmailConfig
from spendwatch.channels.opening import open_channel
from spendwatch.channels.webhook_settings import WebhookConfig
from spendwatch.domain.errors import LedgerUnavailableError
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.review import Verdict
from spendwatch.jobs.deliver import deliver, to_their_ends
from spendwatch.jobs.ports import Channel
from spendwatch.outgoing import Outgoing
from spendwatch.store.alert_book import AlertBook
from spendwatch.store.health_book import HealthBook
from spendwatch.store.opening import open_database
from spendwatch.store.outbox import Outbox
from store_builders import alert, matter, notification

READERS = ("finops@example.com", "lead@example.com")
NOW = datetime(2026, 9, 16, 12, tzinfo=UTC)
_TRACEME, _CONTINUE, _SETOPTIONS = 0, 7, 0x4200
_FORK, _VFORK, _CLONE, _SECCOMP, _EXITKILL = 2, 4, 8, 0x80, 0x100000
_ALL = 0x40000000
"""Threads, too."""
_AT_CALL = 7 << 8 | signal.SIGTRAP
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_STOP_AT_EVERY_CALL = struct.pack("HBBI", 6, 0, 0, 0x7FF00000)
"""The filter, of one instruction: return "ask the tracer". So a call stops once, and not again when it is done."""
_PEEK, _POKE, _NUMBER, _RESULT = 3, 6, 15 * 8, 10 * 8
"""Where a call's number and its result stand on x86-64."""
_WRITES = {18, 74, 75, 77}
"""pwrite64, fsync, fdatasync, ftruncate."""
UNAVAILABLE = 75
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong)


def channels(mail: int, hook: int, chat: int) -> Mapping[ChannelName, Channel]:
    """Return three of them, opened once for all rounds."""
    clients = Outgoing([ip_network("127.0.0.0/8")])
    told = {"host": "127.0.0.1", "port": mail, "security": "none", "from": "alerts@example.com", "to": READERS}
    configs: Mapping[str, EmailConfig | WebhookConfig | SlackConfig] = {
        "post": EmailConfig.model_validate(told),
        "hook": WebhookConfig(url=f"http://127.0.0.1:{hook}/hook"),
        "chat": SlackConfig.model_validate({"url": f"http://127.0.0.1:{chat}/chat", "per_second": 100, "per_minute": 6000}),
    }
    opened = {
        name: open_channel(name, config, clients=lambda _: clients, zone=ZoneInfo("Asia/Shanghai"), clock=lambda: NOW)
        for name, config in configs.items()
    }
    return {ChannelName(name): channel for name, channel in opened.items()}


def cycle(place: str, ways: Mapping[ChannelName, Channel], label: str) -> None:
    """Commit what is to be said, as a round does that found it, and deliver it."""
    database = open_database(place)
    database.lock_for_life()
    fired = alert(matter(label))
    targets = {name: channel.targets for name, channel in ways.items()}
    AlertBook(database).commit(Verdict((fired,), (notification(fired, channels=tuple(ways)),)), targets, now=NOW)
    outbox, health = Outbox(database), HealthBook(database)

    def one(name: ChannelName, way: Channel) -> Coroutine[object, object, int]:
        return deliver(
            name,
            way,
            outbox=outbox,
            health=health,
            clock=lambda: NOW,
            settled=lambda _: None,
            stopping=lambda: False,
        )

    asyncio.run(to_their_ends(one(name, way) for name, way in ways.items()))
    database.close()


def be_traced() -> None:
    """Let the parent stop this process and its threads at each system call."""
    _libc.ptrace(_TRACEME, 0, None, None)
    os.kill(os.getpid(), signal.SIGSTOP)
    program = ctypes.create_string_buffer(_STOP_AT_EVERY_CALL)
    told = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 1, ctypes.addressof(program)))
    _libc.prctl(_NO_NEW_PRIVILEGES, 1, None, 0, 0)
    if _libc.prctl(_SET_SECCOMP, _FILTER, told, 0, 0):
        raise OSError(ctypes.get_errno(), "no system call can be watched here")


def traced(child: int, at: int, error: int) -> tuple[int, int]:
    """Let the child go on from call to call, and kill it at that one, or let it fail; return how many, and how it ended."""
    os.waitpid(child, _ALL)
    _libc.ptrace(_SETOPTIONS, child, None, _FORK | _VFORK | _CLONE | _SECCOMP | _EXITKILL)
    _libc.ptrace(_CONTINUE, child, None, None)
    calls = 0
    while True:
        thread, status = os.waitpid(-1, _ALL)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            if thread == child:
                return calls, os.waitstatus_to_exitcode(status)
            continue
        number, stopped = 0, os.WSTOPSIG(status)
        if status >> 8 == _AT_CALL:
            if not error or _libc.ptrace(_PEEK, thread, _NUMBER, None) in _WRITES:
                calls += 1
                if calls == at and not error:
                    os.kill(child, signal.SIGKILL)
                elif calls == at:
                    _libc.ptrace(_POKE, thread, _NUMBER, -1)
                    _libc.ptrace(_POKE, thread, _RESULT, -error)
        elif not status >> 16 and stopped not in {signal.SIGSTOP, signal.SIGTRAP}:
            number = stopped
        _libc.ptrace(_CONTINUE, thread, None, number)


def main() -> None:
    """Make a round for each number that is asked for."""
    place, *ports = sys.argv[1:]
    ways = channels(*map(int, ports))
    cycle(place, ways, "first")
    gc.freeze()  # what is not touched need not be copied in a fork
    for line in sys.stdin:
        number, label, error = line.split()
        if (child := os.fork()) == 0:
            if int(number):
                be_traced()
            os._exit(_ended(place, ways, label))
        print(*(traced(child, int(number), int(error)) if int(number) else os.waitpid(child, 0)), flush=True)


def _ended(place: str, ways: Mapping[ChannelName, Channel], label: str) -> int:
    try:
        cycle(place, ways, label)
    except LedgerUnavailableError:
        return UNAVAILABLE
    return 0


if __name__ == "__main__":
    main()
