"""What the tests of both ways to install spendwatch share: what they need, how they run commands, and how they wait."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import TypeVar

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SHIPPED = ("pyproject.toml", "README.md", "LICENSE", ".dockerignore", "daemon", "config", "deploy")
NO_SKIP = "SPENDWATCH_NO_SKIP"
# Before a command that runs in the background: when the tests are killed, so is it.
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")

T = TypeVar("T")


class CommandFailedError(Exception):
    """A command of a test ended with a code that the test did not expect."""


def need(*tools: str) -> None:
    """Skip loudly when this machine cannot run the tests; fail when the environment says that it must."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    troubles = [f"{', '.join(missing)} not on the PATH"] if missing else []
    if os.geteuid() != 0:
        troubles.append("not root")
    if not troubles:
        return
    words = f"NOT TESTED: {' and '.join(troubles)}"
    if os.environ.get(NO_SKIP) == "1":
        pytest.fail(f"{words}, although {NO_SKIP}=1", pytrace=False)
    pytest.skip(words)


def attempt(
    command: Iterable[str | Path], *, stdin: bytes = b"", env: Mapping[str, str] | None = None, timeout: float = 300
) -> tuple[int, str, str]:
    """Run a command; return its exit code and what it said on both streams.

    Files, not pipes: what podman leaves running in the background keeps the streams open, and a pipe would never end.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        done = subprocess.run(
            [str(part) for part in command], input=stdin, stdout=out, stderr=err, env=env, timeout=timeout, check=False
        )
        out.seek(0)
        err.seek(0)
        return done.returncode, out.read().decode().strip(), err.read().decode().strip()


def run(
    command: Iterable[str | Path], *, stdin: bytes = b"", env: Mapping[str, str] | None = None, timeout: float = 300
) -> str:
    """Run a command that must succeed, and return what it said on its standard output."""
    parts = [str(part) for part in command]
    code, out, err = attempt(parts, stdin=stdin, env=env, timeout=timeout)
    if code != 0:
        message = f"exit {code}: {' '.join(parts)}\n{out}\n{err}"
        raise CommandFailedError(message)
    return out


def wait_until(probe: Callable[[], T], *, within: float, every: float = 0.1) -> T:
    """Ask again and again until the answer is true, and return it; the last answer when the time is up."""
    pause = Event()
    end = time.monotonic() + within
    answer = probe()
    while not answer and time.monotonic() < end:
        pause.wait(every)
        answer = probe()
    return answer


def group_name(kind: str) -> str:
    """Return the name of a control group of this test run."""
    return f"spendwatch-{kind}-{os.getpid()}"


def forget_groups() -> bool:
    """Remove the control groups of this run, and of killed ones; say whether none of ours is left."""
    for tree in (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")):
        for group in tree.glob("spendwatch-*-*"):
            process = group.name.rpartition("-")[2]
            if process == str(os.getpid()) or not Path("/proc", process).exists():
                _remove_empty(group)
    return not any(Path("/sys/fs/cgroup").glob(f"**/spendwatch-*-{os.getpid()}"))


def _remove_empty(group: Path) -> None:
    for folder in (*sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True), group):
        with suppress(OSError):
            folder.rmdir()


def shipped_files(folder: Path) -> Path:
    """Copy what a release ships into the folder: what is installed must not lean on the rest of the work tree."""
    for name in SHIPPED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "secrets", "var", "inbox"))
        else:
            shutil.copy2(source, folder / name)
    return folder
