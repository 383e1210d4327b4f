"""A throw-away machine booted by the real systemd, for the tests of the unit.

Its files are this machine's own, below a layer in memory that takes every change; its network is a loopback of its own.
Nothing of this machine is touched, and nothing is left when the machine is gone: its mounts live in a namespace that
ends with it, and it ends with the tests, however they end.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.lab import DIES_WITH_US, attempt, forget_groups, group_name, run, wait_until

TOOLS = ("systemd-nspawn", "nsenter", "unshare", "setpriv", "pgrep")

# A process namespace around it all: when its first process is killed, the kernel ends all the others.
UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")
# systemd wants a tree of control groups in the second version alone, which this machine may not show: a private mount
# does. Over the machine's own root, nothing that is enabled there may start here.
BOOT = """
{ umount -R /sys/fs/cgroup || umount -l /sys/fs/cgroup; } 2>/dev/null
mount -t cgroup2 none /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup/$1"
echo $$ > "/sys/fs/cgroup/$1/cgroup.procs"
mount -t tmpfs -o size=2g,mode=755 tmpfs "$2"
cd "$2"
mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
: > root/etc/machine-id
rm -f root/etc/systemd/system/*.target.wants/* root/etc/rc?.d/S*
exec systemd-nspawn --directory=root --boot --register=no --keep-unit --private-network --link-journal=no \
  --machine="$1" --uuid="$(tr -d - < /proc/sys/kernel/random/uuid)" --console=pipe
"""


class Machine:
    """A booted machine, and the ways into it."""

    def __init__(self, first_process: int) -> None:
        """The process is the machine's systemd, as this machine counts it."""
        self._enter = ("nsenter", "--target", str(first_process))

    def run(self, *command: str | Path, stdin: bytes = b"") -> str:
        """Run a command that must succeed in there."""
        return run((*self._enter, "--all", "--", *command), stdin=stdin, timeout=60)

    def attempt(self, *command: str | Path) -> tuple[int, str, str]:
        """Run a command in there; return its exit code and its words."""
        return attempt((*self._enter, "--all", "--", *command), timeout=60)

    def install(self, *command: str | Path, env: Mapping[str, str]) -> str:
        """Run a command on its files and its systemd, but with this machine's network: packages come from outside."""
        return run((*self._enter, "--mount", "--uts", "--ipc", "--pid", "--", *command), env=env, timeout=300)

    def outside(self, *command: str | Path) -> subprocess.Popen[bytes]:
        """Start a program of this machine in its network: a receiver, say."""
        return subprocess.Popen((*DIES_WITH_US, *self._enter, "--net", "--", *command))

    def put(self, source: Path, target: str) -> None:
        """Copy a folder's content into a folder in there."""
        packed = subprocess.run(["tar", "-C", source, "-cf", "-", "."], capture_output=True, check=True).stdout
        self.run("sh", "-c", 'mkdir -p "$1" && tar -C "$1" --no-same-owner -xf -', "sh", target, stdin=packed)

    def write(self, path: str | Path, text: str | bytes) -> None:
        """Write a file in there, all of it at once."""
        content = text.encode() if isinstance(text, str) else text
        self.run("sh", "-c", 'cat > "$1.part" && mv "$1.part" "$1"', "sh", str(path), stdin=content)


@contextmanager
def booted(folder: Path) -> Iterator[Machine]:
    """Boot a machine, and put it away afterwards; the folder is where its files are mounted."""
    group = group_name("machine")
    with (folder / "console.log").open("wb") as console, _mount_point(folder) as mounts:
        supervisor = subprocess.Popen(
            [*DIES_WITH_US, *UNSHARE, "sh", "-euc", BOOT, "sh", group, mounts],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield Machine(_first_process(supervisor, folder))
        finally:
            _stop(supervisor)
            wait_until(forget_groups, within=5)


@contextmanager
def _mount_point(folder: Path) -> Iterator[Path]:
    mounts = folder / "machine"
    mounts.mkdir()
    yield mounts
    shutil.rmtree(mounts, ignore_errors=True)


def _first_process(supervisor: subprocess.Popen[bytes], folder: Path) -> int:
    def up() -> str | None:
        process = _child(supervisor)
        if process is None:
            return None
        _, state, _ = attempt(["nsenter", "--target", process, "--all", "--", "systemctl", "is-system-running"])
        return process if state in {"running", "degraded"} else None

    if (process := wait_until(up, within=30)) is None:
        message = f"no boot in 30 seconds; the console says:\n{(folder / 'console.log').read_text(errors='replace')}"
        raise AssertionError(message)
    return int(process)


def _child(supervisor: subprocess.Popen[bytes]) -> str | None:
    _, nspawn, _ = attempt(["pgrep", "--parent", str(supervisor.pid), "--exact", "systemd-nspawn"])
    _, systemd, _ = attempt(["pgrep", "--parent", nspawn, "--exact", "systemd"]) if nspawn else (1, "", "")
    return systemd or None


def _stop(supervisor: subprocess.Popen[bytes]) -> None:
    """Ask for a power-off, and insist after a while."""
    process = _child(supervisor)
    if process is not None:
        os.kill(int(process), signal.SIGRTMIN + 4)
    try:
        supervisor.wait(15)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait(15)
