"""Fills in templates in a process of its own. Whatever a template does, it ends there: the daemon only waits for the answer."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from traceback import walk_tb
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template

COMPUTING = 0.25
"""Seconds of computing time that one message may take: then the system kills the process."""
PATIENCE = 10.0
"""Seconds until an answer, also on a machine with much else to do."""
MEMORY = 192 * 1024 * 1024
LONGEST = 256 * 1024
"""Of what a template makes, in characters."""
TOO_MUCH = f"takes more than {COMPUTING:g} s of computing time"
_NAME = "template"


class TemplateError(Exception):
    """What is wrong with a template; `line` is 0 where no line of it is."""

    def __init__(self, what: str, line: int = 0) -> None:
        """Keep both."""
        super().__init__(what)
        self.what = what
        self.line = line


class TemplateProcess:
    """The process, started when it is needed. Any thread may ask it, one after the other."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._turn = threading.Lock()
        self._connection: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def fill(self, source: str, variables: Mapping[str, object], *, is_html: bool) -> str:
        """Return the template with its variables filled in, or raise `TemplateError`."""
        request = json.dumps([source, variables, is_html]).encode() + b"\n"
        with self._turn:
            try:
                connection = self._running()
                connection.sendall(request)
                with connection.makefile("rb") as lines:
                    answer = json.loads(lines.readline())
            except (OSError, ValueError):
                self.close()
                raise TemplateError(TOO_MUCH) from None
        if isinstance(answer, str):
            return answer
        raise TemplateError(*answer)

    def _running(self) -> socket.socket:
        if self._connection and self._process and self._process.poll() is None:
            return self._connection
        self.close()
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 -- our own interpreter and module, no shell
                [sys.executable, "-P", "-m", __name__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={name: os.environ[name] for name in ("PYTHONPATH", "LANG") if name in os.environ},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        ours.settimeout(PATIENCE)
        self._connection = ours
        return ours

    def close(self) -> None:
        """End the process; the next template starts another one."""
        if self._process:
            self._process.kill()
            self._process.wait()
        if self._connection:
            self._connection.close()
        self._process = self._connection = None


def _serve(connection: socket.socket) -> None:
    """Answer until the other side is gone."""
    with connection.makefile("rwb") as lines:
        while request := lines.readline():
            # The signal's own action ends the process, in the middle of whatever it computes.
            signal.setitimer(signal.ITIMER_PROF, COMPUTING)
            answer = json.dumps(_answer(*json.loads(request)))
            signal.setitimer(signal.ITIMER_PROF, 0)
            lines.write(answer.encode() + b"\n")
            lines.flush()


def _answer(source: str, variables: Mapping[str, object], is_html: bool) -> str | tuple[str, int]:  # noqa: FBT001 -- as sent
    from jinja2 import TemplateError as JinjaError  # noqa: PLC0415 -- only the process needs it
    from jinja2 import TemplateSyntaxError  # noqa: PLC0415 -- the same

    pieces, length = list[str](), 0
    try:
        for piece in _template(source, is_html).generate(variables):
            pieces.append(piece)
            length += len(piece)
            if length > LONGEST:
                return f"makes more than {LONGEST // 1024} kB", 0
        return "".join(pieces)
    except TemplateSyntaxError as error:
        return error.message or "not a template", error.lineno
    except MemoryError:
        return f"takes more than {MEMORY // 1024 // 1024} MB of memory", 0
    except RecursionError:
        return "calls itself too often", 0
    except (JinjaError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        return str(error)[:300] or type(error).__name__, _line_of(error)


def _line_of(error: BaseException) -> int:
    """Return the line of the template at which the error happened."""
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == _NAME]
    return lines[-1] if lines else 0


@cache
def _template(source: str, is_html: bool) -> Template:  # noqa: FBT001 -- as sent
    from jinja2 import StrictUndefined, Template  # noqa: PLC0415 -- as above
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415 -- as above

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=is_html, trim_blocks=True, lstrip_blocks=True
    )
    code = environment.compile(source, _NAME, _NAME)
    return Template.from_code(environment, code, environment.globals)


def main() -> None:
    """Limit what the process may take, then serve."""
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError):  # a lower limit is set already
            resource.setrlimit(what, (most, most))
    _template("", is_html=True)
    _serve(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    main()
