"""A terminal on which a test types what a person would: the program sees a real one, with echo and hidden input."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_PATIENCE = 40
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """Runs one command on a terminal of its own, of 80 columns."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.shown = ""
        self._seen = 0
        self._ours, theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        environ = {**environment, "TERM": "xterm", "COLUMNS": "80"}
        # The session's terminal, so that hidden input is asked there and Ctrl-C arrives.
        self._process = subprocess.Popen(
            ["env", "--default-signal=INT", "setsid", "--ctty", *command],
            cwd=folder,
            env=environ,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(30)
        os.close(self._ours)

    def expect(self, text: str) -> str:
        """Wait until this is shown, behind what was expected before; return what was shown up to it."""
        deadline = time.monotonic() + _PATIENCE
        while text not in self.shown[self._seen :]:
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.shown}"
            assert self._read(), f"it ended without {text!r}:\n{self.shown}"
        end = self.shown.index(text, self._seen) + len(text)
        part, self._seen = self.shown[self._seen : end], end
        return part

    def type(self, text: str) -> None:
        """Type once the program waits: a Ctrl-C between its prompt and its reading would only be seen at the next key."""
        deadline = time.monotonic() + _PATIENCE
        while self._state() not in {"S", "Z"} and self._read():
            assert time.monotonic() < deadline, self.shown
        os.write(self._ours, text.encode())

    def _state(self) -> str:
        return Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def answer(self, question: str, text: str) -> None:
        """Wait for the question, and answer it with a line."""
        self.expect(question)
        self.type(f"{text}\r")

    def end(self) -> int:
        """Wait for the end of the command; return its exit code."""
        deadline = time.monotonic() + _PATIENCE
        while self._read():
            assert time.monotonic() < deadline, self.shown
        return self._process.wait(30)

    def _read(self) -> bool:
        """Take what is shown now; return whether more may come."""
        waiting = select.poll()  # of any number: a descriptor beyond 1024 is one, too
        waiting.register(self._ours, select.POLLIN)
        waiting.poll(200)
        try:
            data = os.read(self._ours, 65536)
        except BlockingIOError:
            return True
        except OSError:  # the other side is closed
            return False
        self.shown += _ESCAPES.sub("", data.decode(errors="replace")).replace("\r\n", "\n")
        return True
