"""The reading process as its parent sees it: a minimal environment, time limits, and a kill if it hangs."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import spendwatch
from spendwatch.bills.wire import LENGTH, LONGEST, Message, NonsenseError, packed, unpacked
from spendwatch.domain.errors import ReaderFailedError, printable

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "POLARS_MAX_THREADS")
_PIECE = 1024 * 1024
_LOG = "worker.log"


class GoneError(ReaderFailedError):
    """The process ended by itself before it was asked."""


class Child:
    """One reading process."""

    def __init__(self, folder: Path, *, memory: int, idle: float) -> None:
        """Start it; it imports what it needs while we go on."""
        self._log = folder / _LOG
        command = [sys.executable, "-P", "-m", "spendwatch.bills.worker", f"--memory={memory}", f"--idle={idle}"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- our own interpreter and module, no shell
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=folder,
                env=_environment(folder),
                start_new_session=True,
            )
        self._input, self._output = _open(self._process.stdin), _open(self._process.stdout)
        self._heard = bytearray()
        self._has_spoken = False

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def tell(self, message: Message) -> None:
        """Send a message."""
        try:
            self._input.write(packed(message))
            self._input.flush()
        except OSError as error:
            raise self._death() from error

    def hear(self, until: float) -> Message:
        """Return the next message, or raise `ReaderFailedError` when that monotonic time has come."""
        length = int.from_bytes(self._bytes(LENGTH, until), "big")
        if length > LONGEST:
            msg = "a message of the reading process is too long"
            raise ReaderFailedError(msg)
        try:
            message = unpacked(self._bytes(length, until))
        except NonsenseError as error:
            msg = "the reading process sent an invalid message"
            raise ReaderFailedError(msg) from error
        self._has_spoken = True
        return message

    def kill(self) -> None:
        """Kill the process; whoever waits for its answer is told so. Any thread may call this at any time."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill the process, wait for its end, and give its pipes back."""
        self.kill()
        self._process.wait()
        with suppress(OSError):
            self._input.close()
        self._output.close()

    def _bytes(self, count: int, until: float) -> bytes:
        poll = select.poll()
        poll.register(self._output, select.POLLIN)
        while len(self._heard) < count:
            if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
                msg = "the reading process took too long"
                raise ReaderFailedError(msg)
            piece = os.read(self._output.fileno(), _PIECE)
            if not piece:
                raise self._death()
            self._heard += piece
        found = bytes(self._heard[:count])
        del self._heard[:count]
        return found

    def _death(self) -> ReaderFailedError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        code = self._process.returncode
        if code == 0 and not self._has_spoken:
            return GoneError("the reading process had ended", is_innocent=True)
        how = f"died of signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
        return ReaderFailedError(f"the reading process {how}{self._last_words()}")

    def _last_words(self) -> str:
        with suppress(OSError):
            said = self._log.read_bytes()[-2000:].decode("utf-8", "replace").splitlines()
            lines = [line for line in said if line.strip() and not line.startswith("note: ")]
            if lines:
                return f": {printable(lines[-1], 200)}"
        return ""


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        msg = "a process without pipes"
        raise RuntimeError(msg)
    return pipe


def _environment(folder: Path) -> dict[str, str]:
    """Return a clean environment: no secret of ours belongs there."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    paths = [str(Path(spendwatch.__file__).resolve().parent.parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return kept | {
        "PYTHONPATH": os.pathsep.join(str(Path(path).resolve()) for path in paths if path),
        # Its check of the processor maps memory writable and executable, which a hardened service unit forbids.
        "POLARS_SKIP_CPU_CHECK": "1",
        "POLARS_TEMP_DIR": str(folder),
    }
