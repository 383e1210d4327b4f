"""The reading process as its parent sees it: a minimal environment, time limits, and a kill if it hangs."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import spendwatch
from spendwatch.bills.messages import Answer, Request
from spendwatch.domain.errors import ReaderFailedError, printable

if TYPE_CHECKING:
    from pydantic import TypeAdapter

LONGEST = 64 * 1024 * 1024
"""How many bytes an answer may have."""

STALLED = 30
"""How many seconds the rest of a message may take once it has begun."""

WORKER = "spendwatch.bills.worker"
"""The module that the process runs."""

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "POLARS_MAX_THREADS")
_LOG = "worker.log"


class GoneError(ReaderFailedError):
    """The process ended by itself before it was asked."""


class InvalidAnswerError(ReaderFailedError):
    """The process sent what makes no sense."""

    def __init__(self) -> None:
        """Say so."""
        super().__init__("the reading process sent an invalid message")


class Child:
    """One reading process."""

    def __init__(self, folder: Path, *, memory: int, idle: float) -> None:
        """Start it; it imports what it needs while we go on."""
        self._log = folder / _LOG
        ours, theirs = socket.socketpair()
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", STALLED, 0))
        self._connection = Connection(ours.detach())
        with theirs, self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 -- our own interpreter and module, no shell
                [sys.executable, "-P", "-m", WORKER, *map(str, (theirs.fileno(), memory, idle))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env=_environment(folder),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self._has_answered = False

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def tell(self, request: Request) -> None:
        """Send a request."""
        try:
            self._connection.send(request)
        except OSError as error:
            raise self._death() from error

    def hear(self, seconds: float) -> Answer:
        """Return the next answer, or raise `ReaderFailedError` when it does not come within so many seconds."""
        try:
            if not self._connection.poll(max(0.0, seconds)):
                msg = "the reading process took too long"
                raise ReaderFailedError(msg)
            answer = _answers().validate_json(self._connection.recv_bytes(LONGEST))
        except (EOFError, ConnectionError) as error:
            raise self._death() from error
        except (OSError, ValueError) as error:  # too long, not whole, or nonsense
            raise InvalidAnswerError from error
        self._has_answered = True
        return answer

    def kill(self) -> None:
        """Kill the process; a running request fails. Any thread may call this at any time."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill the process, wait for its end, and close the connection."""
        self.kill()
        self._process.wait()
        self._connection.close()

    def _death(self) -> ReaderFailedError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        code = self._process.returncode
        if code == 0 and not self._has_answered:
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


@cache
def _answers() -> TypeAdapter[Answer]:
    from pydantic import Field, TypeAdapter  # noqa: PLC0415 -- it loads while the process, which was started before, does so, too

    return TypeAdapter(Annotated[Answer, Field(discriminator="answer")])


def _environment(folder: Path) -> dict[str, str]:
    """Return a clean environment: no secret of ours belongs there."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    paths = [str(Path(spendwatch.__file__).resolve().parent.parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return kept | {
        "PYTHONPATH": os.pathsep.join(str(Path(path).resolve()) for path in paths if path),
        # Its check of the processor maps memory writable and executable, which a hardened service unit forbids.
        "POLARS_SKIP_CPU_CHECK": "1",
        "POLARS_TEMP_DIR": str(folder),
        # Not documented: fewer bytes of a CSV in memory at once, 100 MB less for a million lines and not slower.
        "POLARS_CSV_CHUNK_SIZE": str(4 * 1024**2),
    }
