"""A container engine of its own, without a daemon and without a registry, for the tests of the image.

All that it needs lives in one folder, and everything that it starts lives in namespaces that end with the tests, however
they end: mounts, networks, containers, and whoever looks after them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.lab import DIES_WITH_US, attempt, forget_groups, group_name, run, wait_until

TOOLS = ("podman", "crun", "conmon", "mmdebstrap", "ip", "nsenter", "unshare", "setpriv", "pgrep")
UNSHARE = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")
# What CPython and the Dockerfile need of Debian; the official image holds the same.
LIBRARIES = """
ca-certificates libbz2-1.0 libexpat1 libffi8 liblzma5 libncursesw6 libreadline8 libsqlite3-0 libssl3 libuuid1
netbase passwd tzdata zlib1g
"""
SOURCES = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
# Where this machine's pip finds packages, and whom it trusts: the build must do the same, and the image keeps none of it.
FOR_PIP = (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pip.conf"))
PIP = """#!/usr/local/bin/python
import sys
from pip._internal.cli.main import main
sys.exit(main())
"""

# crun wants a tree of control groups in the second version alone, which this machine may not show: a private mount does.
# The first process stays and buries what the containers leave behind.
BOX = """
{ umount -R /sys/fs/cgroup || umount -l /sys/fs/cgroup; } 2>/dev/null
mount -t cgroup2 none /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup/$1"
ip link set lo up
: > "$2"
while :; do sleep 3600 & wait; done
"""
# In the root group podman would move every process of this machine into a group of its own.
JOIN = 'echo $$ > "/sys/fs/cgroup/$0/cgroup.procs" && exec "$@"'

SETTINGS = {
    # No controller is delegated to the box, and root may not raise its limits in there.
    "containers.conf": """
[containers]
cgroups = "disabled"
default_ulimits = []
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "crun"
""",
    "storage.conf": """
[storage]
driver = "overlay"
graphroot = "{folder}/graph"
runroot = "{folder}/run"
""",
    "registries.conf": """
unqualified-search-registries = ["docker.io"]
short-name-mode = "permissive"
""",
}


class Engine:
    """Podman in its box."""

    def __init__(self, folder: Path, first_process: int, group: str) -> None:
        """The process is the box's first one, as this machine counts it."""
        self._folder = folder
        self._inside = ("nsenter", "--target", str(first_process), "--mount", "--pid")
        self._join = ("--", "sh", "-c", JOIN, group)
        self._env = dict(os.environ) | {
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
        }

    def podman(self, *arguments: str | Path, outside: bool = False) -> str:
        """Run a podman command that must succeed; `outside`: with this machine's network, for packages come from there."""
        return run(self._command(*arguments, outside=outside), env=self._env, timeout=600)

    def attempt(self, *arguments: str | Path) -> tuple[int, str, str]:
        """Run a podman command; return its exit code and its words."""
        return attempt(self._command(*arguments), env=self._env, timeout=120)

    def beside(self, *command: str | Path) -> subprocess.Popen[bytes]:
        """Start a program of this machine in the box's network: a receiver, say."""
        # Not in its process namespace: so it is this machine's child, and can be stopped by the one who started it.
        return subprocess.Popen((*DIES_WITH_US, *self._inside[:3], "--net", "--", *command))

    def build(self, context: Path, dockerfile: str, tag: str, **arguments: str) -> None:
        """Build an image, out of the same packages as this machine's own pip would take."""
        options = ["--isolation=chroot", "--network=host", "--pull=never", "--format=docker", "--layers=false"]
        options += [f"--build-arg={name}={value}" for name, value in arguments.items()]
        options += [f"--volume={path}:{path}:ro" for path in FOR_PIP if path.exists()]
        self.podman("build", *options, "--file", context / dockerfile, "--tag", tag, context, outside=True)

    def make_base(self, tag: str) -> None:
        """Make a stand-in for the official Python image: Debian's libraries, and the Python that runs the tests."""
        root = self._folder / "base"
        sources = next(path for path in SOURCES if path.exists())
        run(
            ["mmdebstrap", "--quiet", "--variant=essential", f"--include={','.join(LIBRARIES.split())}"]
            + ["--dpkgopt=force-unsafe-io"]
            + [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "locale", "man")]
            + ["bookworm", root, sources],
            timeout=300,
        )
        _copy_python(root / "usr/local")
        run(["chroot", root, "ldconfig"])
        archive = self._folder / "base.tar"
        run(["tar", "-C", root, "--numeric-owner", "--exclude=./dev/*", "-cf", archive, "."])
        path = "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
        self.podman("import", "--quiet", "--change", f"ENV {path}", archive, f"docker.io/library/python:{tag}")
        archive.unlink()
        shutil.rmtree(root)

    def _command(self, *arguments: str | Path, outside: bool = False) -> tuple[str | Path, ...]:
        network = () if outside else ("--net",)
        return (*self._inside, *network, *self._join, "podman", *arguments)


def _copy_python(target: Path) -> None:
    """Copy the Python that runs the tests, without what an image does not hold."""
    source = Path(sys.base_prefix)
    if source == Path("/usr"):
        pytest.fail("the tests run on Debian's own Python, which cannot be copied: use one with a folder of its own")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    left_out = ("__pycache__", "*.a", "test", "idlelib", "tkinter", "config-*", "_tkinter*", "site-packages")
    library = target / "lib" / version
    shutil.copytree(source / "lib" / version, library, ignore=shutil.ignore_patterns(*left_out))
    for package in (source / "lib" / version / "site-packages").glob("pip*"):
        shutil.copytree(package, library / "site-packages" / package.name)
    for shared in (source / "lib").glob("libpython*.so*"):
        shutil.copy2(shared, target / "lib", follow_symlinks=False)
    programs = target / "bin"
    programs.mkdir(exist_ok=True)
    shutil.copy2(source / "bin" / version, programs)
    for name in ("python3", "python"):
        (programs / name).symlink_to(version)
    (programs / "pip").write_text(PIP)
    (programs / "pip").chmod(0o755)


@contextmanager
def engine(folder: Path) -> Iterator[Engine]:
    """Set up an engine in the folder, and put everything away afterwards."""
    group = group_name("box")
    for name, text in SETTINGS.items():
        (folder / name).write_text(text.format(folder=folder))
    ready = folder / "ready"
    box = subprocess.Popen(
        [*DIES_WITH_US, *UNSHARE, "sh", "-euc", BOX, "sh", group, ready],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        if not wait_until(ready.exists, within=10):
            message = "the box did not open"
            raise AssertionError(message)
        yield Engine(folder, int(run(["pgrep", "--parent", str(box.pid)])), group)
    finally:
        box.kill()
        box.wait()
        wait_until(forget_groups, within=5)
        shutil.rmtree(folder, ignore_errors=True)
