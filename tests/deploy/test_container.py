"""The image: built from its Dockerfile, and run as narrowly as compose.yaml runs it."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deploy.engine import TOOLS, Engine, engine
from deploy.lab import REPOSITORY, need, shipped_files, wait_until
from deploy.scene import CONFIG, POLICY, REACHED, SECRET, Calls, a_bill_of, a_receiver

pytestmark = pytest.mark.container

IMAGE = "localhost/spendwatch:test"
COMPOSE = REPOSITORY / "deploy/docker/compose.yaml"
USER = 10001
MOST_MEGABYTES = 350
"""What the image may add to its base; two thirds of it is the bill reader's library."""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that has built the image."""
    need(*TOOLS)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    # A short path: the engine keeps sockets below it, and loses track of containers when their names do not fit.
    with tempfile.TemporaryDirectory(prefix="box-", dir="/var/tmp") as place, engine(Path(place)) as box:
        box.make_base(f"{version}-slim-bookworm")
        context = shipped_files(tmp_path_factory.mktemp("shipped"))
        box.build(context, "deploy/docker/Dockerfile", IMAGE, PYTHON_VERSION=version)
        yield box


@pytest.fixture(scope="module")
def receiver(box: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calls]:
    with a_receiver(box.beside, tmp_path_factory.mktemp("receiver")) as calls:
        yield calls


class Daemon:
    """A container that runs the daemon, with a configuration, a drop folder and a volume of its own."""

    name = "spendwatch"
    volume = "state"

    def __init__(self, box: Engine, calls: Calls, folder: Path) -> None:
        self.box = box
        self.calls = calls
        self.config = folder / "config"
        self.inbox = folder / "inbox"
        self.secret = folder / "hook"

    def prepare(self) -> None:
        (self.config / "workspaces").mkdir(parents=True)
        (self.config / "spendwatch.yaml").write_text(CONFIG.replace("INBOX", "inbox"), encoding="utf-8")
        (self.config / "workspaces/research.yaml").write_text(POLICY, encoding="utf-8")
        self.secret.write_text(SECRET, encoding="utf-8")
        self.inbox.mkdir()
        for path in (self.secret, self.inbox):
            os.chown(path, USER, USER)
        self.secret.chmod(0o400)

    def options(self) -> list[str | Path]:
        """Return how compose.yaml runs it, with the folders of the test; the receiver is on the loopback that they share."""
        service = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]["spendwatch"]
        narrow = [f"--user={service['user']}", f"--read-only={str(service['read_only']).lower()}"]
        narrow += [f"--cap-drop={name}" for name in service["cap_drop"]]
        narrow += [f"--security-opt={option}" for option in service["security_opt"]]
        narrow += [f"--tmpfs={mount}" for mount in service["tmpfs"]]
        narrow += [f"--env={name}={value}" for name, value in service["environment"].items()]
        places = {self.config: "/etc/spendwatch:ro", self.inbox: "/inbox", self.secret: "/run/secrets/hook:ro"}
        mounts = [f"--volume={source}:{target}" for source, target in places.items()]
        return ["--network=host", *narrow, *mounts, f"--volume={self.volume}:/var/lib/spendwatch"]

    def start(self) -> None:
        self.box.podman("run", "--detach", f"--name={self.name}", *self.options(), IMAGE)
        self.wait_ready(1)

    def start_again(self) -> None:
        before = self.logs().count("daemon_ready")
        self.box.podman("start", self.name)
        self.wait_ready(before + 1)

    def wait_ready(self, times: int) -> None:
        wait_until(lambda: self.logs().count("daemon_ready") == times or self.state().startswith("exited"), within=30)
        assert self.logs().count("daemon_ready") == times, self.logs()

    def state(self) -> str:
        return self.inspect("{{.State.Status}} {{.State.ExitCode}}")

    def drop(self, *amounts: str) -> None:
        name, content = a_bill_of(*amounts)
        (self.inbox / f".{name}").write_bytes(content)
        (self.inbox / f".{name}").rename(self.inbox / name)

    def logs(self) -> str:
        _, out, err = self.box.attempt("logs", self.name)
        return out + err

    def inspect(self, template: str) -> str:
        return self.box.podman("inspect", "--format", template, self.name)

    def run(self, *command: str) -> str:
        return self.box.podman("exec", self.name, *command)

    def attempt(self, *command: str) -> int:
        return self.box.attempt("exec", self.name, *command)[0]

    def remove(self) -> None:
        self.box.attempt("rm", "--force", "--time=1", self.name)


@pytest.fixture
def daemon(box: Engine, receiver: Calls, tmp_path: Path) -> Iterator[Daemon]:
    """A container to be started, with a fresh volume."""
    receiver.file.unlink(missing_ok=True)
    # The folders that pytest makes are closed to others, and the container's user is another.
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    daemon = Daemon(box, receiver, tmp_path)
    daemon.prepare()
    yield daemon
    daemon.remove()
    box.attempt("volume", "rm", "--force", Daemon.volume)


def test_the_image_holds_what_it_needs_and_no_more(box: Engine) -> None:
    base, whole = (
        int(box.podman("image", "inspect", "--format", "{{.Size}}", name))
        for name in (f"python:{sys.version_info.major}.{sys.version_info.minor}-slim-bookworm", IMAGE)
    )
    assert (whole - base) / 1_000_000 < MOST_MEGABYTES
    assert box.podman("image", "inspect", "--format", "{{.Config.User}}", IMAGE) == f"{USER}:{USER}"
    inside = box.podman(
        "run", "--rm", "--network=none", "--entrypoint=sh", IMAGE, "-c", "command -v gcc cc pip3; ls /source; true"
    )
    assert inside == ""
    assert box.podman("run", "--rm", "--network=none", "--read-only", IMAGE, "--version").startswith("spendwatch")


def test_a_bill_in_the_drop_folder_is_told_from_a_closed_container(daemon: Daemon) -> None:
    daemon.start()
    daemon.drop("60.00")
    (told,) = daemon.calls.wait_for(REACHED)
    assert told["data"]["spend"] == "60"
    assert daemon.run("id", "--user") == str(USER)
    status = daemon.run("cat", "/proc/1/status")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    places = ("/", "/etc/spendwatch", "/opt/spendwatch", "/var/lib/spendwatch", "/inbox")
    writable = [place for place in places if daemon.attempt("touch", f"{place}/written") == 0]
    assert writable == ["/var/lib/spendwatch", "/inbox"]


def test_the_health_check_tells_a_living_daemon_from_a_stuck_one(daemon: Daemon) -> None:
    daemon.start()
    assert wait_until(lambda: daemon.box.attempt("healthcheck", "run", daemon.name)[0] == 0, within=60)
    assert daemon.inspect("{{.State.Health.Status}}") == "healthy"
    daemon.box.podman("kill", "--signal=STOP", daemon.name)
    daemon.run("touch", "--date=10 minutes ago", "/var/lib/spendwatch/heartbeat")
    assert daemon.box.attempt("healthcheck", "run", daemon.name)[0] == 1
    daemon.box.podman("kill", "--signal=CONT", daemon.name)
    assert wait_until(lambda: daemon.box.attempt("healthcheck", "run", daemon.name)[0] == 0, within=60)


def test_a_killed_daemon_repeats_nothing_and_its_volume_survives(daemon: Daemon) -> None:
    daemon.start()
    daemon.drop("60.00")
    daemon.calls.wait_for(REACHED)
    daemon.box.podman("kill", "--signal=KILL", daemon.name)
    assert wait_until(lambda: daemon.state() == "exited 137", within=10)
    daemon.start_again()
    daemon.drop("60.00", "20.00")
    assert wait_until(lambda: daemon.logs().count("bill_recorded") == 2, within=30), daemon.logs()
    assert len(daemon.calls.of(REACHED)) == 1


def test_a_new_container_goes_on_with_the_old_ones_volume(daemon: Daemon) -> None:
    daemon.start()
    daemon.drop("60.00")
    daemon.calls.wait_for(REACHED)
    daemon.remove()
    daemon.start()
    report = daemon.run("spendwatch", "report", "--json")
    assert '"60"' in report
    assert len(daemon.calls.of(REACHED)) == 1


def test_a_stop_is_clean_and_quick(daemon: Daemon) -> None:
    daemon.start()
    began = time.monotonic()
    daemon.box.podman("stop", daemon.name)
    assert time.monotonic() - began < 10
    assert daemon.state() == "exited 0"


def test_a_reload_takes_over_a_changed_policy(daemon: Daemon) -> None:
    policy = daemon.config / "workspaces/research.yaml"
    policy.write_text(POLICY.replace("50%", "90%"), encoding="utf-8")
    daemon.start()
    daemon.drop("60.00")
    assert wait_until(lambda: "bill_recorded" in daemon.logs(), within=30), daemon.logs()
    assert not daemon.calls.of(REACHED)
    policy.write_text(POLICY, encoding="utf-8")
    daemon.box.podman("kill", "--signal=HUP", daemon.name)
    assert daemon.calls.wait_for(REACHED)


def test_a_wrong_configuration_is_said_and_ends_with_78(daemon: Daemon) -> None:
    (daemon.config / "workspaces/research.yaml").write_text(POLICY.replace("budget", "bugdet"), encoding="utf-8")
    code, _, words = daemon.box.attempt("run", "--rm", *daemon.options(), IMAGE)
    assert code == 78
    assert "research.yaml:3:" in words
