"""The unit and its installer, under the real systemd."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.lab import need, shipped_files, wait_until
from deploy.machine import TOOLS, Machine, booted
from deploy.scene import CONFIG, POLICY, REACHED, SECRET, Calls, a_bill_of, a_receiver

pytestmark = pytest.mark.systemd

UNIT = "spendwatch.service"
MOST_EXPOSURE = 1.2
CONFIGURATION = Path("/etc/spendwatch")
STATE = Path("/var/lib/spendwatch")
INBOX = STATE / "inbox"
UNINSTALL = "/srv/spendwatch/deploy/systemd/uninstall"
MADE_BY_US = (
    Path("/opt/spendwatch"),
    Path("/usr/local/bin/spendwatch"),
    Path("/usr/local/share/man/man1/spendwatch.1"),
    Path("/usr/local/share/bash-completion/completions/spendwatch"),
    Path("/usr/local/share/zsh/site-functions/_spendwatch"),
    Path("/usr/local/share/fish/vendor_completions.d/spendwatch.fish"),
    Path("/etc/systemd/system") / UNIT,
)
DROP_INS = f"/run/systemd/system/{UNIT}.d"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine on which the installer ran."""
    need(*TOOLS)
    with booted(tmp_path_factory.mktemp("machine")) as machine:
        machine.put(shipped_files(tmp_path_factory.mktemp("shipped")), "/srv/spendwatch")
        machine.install("/srv/spendwatch/deploy/systemd/install", env=os.environ)
        yield machine


@pytest.fixture(scope="module")
def receiver(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calls]:
    with a_receiver(machine.outside, tmp_path_factory.mktemp("receiver")) as calls:
        yield calls


class Service:
    """The installed service, as its operator sees it."""

    def __init__(self, machine: Machine, calls: Calls) -> None:
        self.machine = machine
        self.calls = calls

    def configure(self, inbox: Path = INBOX) -> None:
        self.machine.write(CONFIGURATION / "spendwatch.yaml", CONFIG.replace("INBOX", str(inbox)))
        self.policy(POLICY)

    def policy(self, text: str) -> None:
        self.machine.write(CONFIGURATION / "workspaces/research.yaml", text)

    def drop_in(self, text: str) -> None:
        self.machine.run("mkdir", "-p", DROP_INS)
        self.machine.write(f"{DROP_INS}/test.conf", f"[Service]\n{text}\n")
        self.machine.run("systemctl", "daemon-reload")

    def start(self) -> None:
        self.machine.run("systemctl", "start", UNIT)

    def show(self, name: str) -> str:
        return self.machine.run("systemctl", "show", UNIT, "--property", name, "--value")

    def kill(self, signal: str) -> None:
        self.machine.run("kill", f"-{signal}", self.show("MainPID"))

    def drop(self, *amounts: str, inbox: Path = INBOX) -> None:
        name, content = a_bill_of(*amounts)
        self.machine.write(inbox / name, content)

    def command(self, *arguments: str) -> str:
        """Run the command as the service's user, where another configuration lies that this user may not read."""
        who = "setpriv --reuid=spendwatch --regid=spendwatch --clear-groups"
        return self.machine.run("sh", "-c", f'cd /srv/spendwatch && exec {who} spendwatch "$@"', "sh", *arguments)

    def there(self, *paths: Path) -> list[Path]:
        return [path for path in paths if self.machine.attempt("test", "-e", path)[0] == 0]

    def journal(self) -> str:
        return self.machine.run("journalctl", "--unit", UNIT, "--output", "cat", "--no-pager", "--boot")

    def comes_back(self, restarts: int) -> bool:
        return wait_until(lambda: (self.show("ActiveState"), self.show("NRestarts")) == ("active", str(restarts)), within=30)


@pytest.fixture
def service(machine: Machine, receiver: Calls) -> Iterator[Service]:
    """The service, configured, never yet started."""
    receiver.file.unlink(missing_ok=True)
    machine.run("sh", "-c", f"rm -rf {STATE} {CONFIGURATION}/*.yaml {CONFIGURATION}/workspaces/*; mkdir -p /etc/credstore")
    machine.write("/etc/credstore/spendwatch.hook", SECRET)
    service = Service(machine, receiver)
    service.configure()
    yield service
    machine.attempt("systemctl", "stop", UNIT)
    machine.attempt("systemctl", "reset-failed", UNIT)
    machine.run("rm", "-rf", DROP_INS)
    machine.run("systemctl", "daemon-reload")
    machine.run("journalctl", "--rotate", "--vacuum-time=1s", "--quiet")


def test_what_the_installer_writes_is_to_be_filled_in_before_anything_starts(machine: Machine) -> None:
    # Another test may have configured it: only a machine without a configuration gets one.
    machine.run("sh", "-c", f"rm -rf {CONFIGURATION}/spendwatch.yaml {CONFIGURATION}/workspaces/*")
    said = machine.install("/srv/spendwatch/deploy/systemd/install", env=os.environ)
    assert "not ready yet" in said
    code, _, _ = machine.attempt("systemctl", "start", UNIT)
    assert code != 0
    assert machine.run("systemctl", "show", UNIT, "--property", "ExecMainStatus", "--value") == "78"
    checked = machine.attempt("/opt/spendwatch/bin/spendwatch", "--config", str(CONFIGURATION), "check")
    assert checked[0] == 78
    assert [line.split(": ")[1] for line in checked[2].splitlines()[:2]] == ["accounts.main.id", "workspace"]
    machine.attempt("systemctl", "reset-failed", UNIT)


def test_the_unit_is_without_fault_and_hardly_exposed(machine: Machine) -> None:
    assert machine.run("systemd-analyze", "verify", UNIT) == ""
    words = machine.run("systemd-analyze", "security", "--no-pager", UNIT)
    exposure = re.search(r"exposure level for \S+: ([\d.]+)", words)
    assert exposure
    assert float(exposure[1]) <= MOST_EXPOSURE


def test_a_start_waits_until_the_daemon_is_ready(service: Service) -> None:
    service.start()
    assert service.show("ActiveState") == "active"
    assert service.show("StatusText").startswith("watching 1 account, 1 workspace")
    owner = service.machine.run("stat", "--format=%U", f"/proc/{service.show('MainPID')}")
    assert owner == "spendwatch"


def test_a_bill_in_the_drop_folder_is_told(service: Service) -> None:
    service.start()
    service.drop("60.00")
    (told,) = service.calls.wait_for(REACHED)
    assert told["data"]["spend"] == "60"
    assert service.machine.run("ls", INBOX / "done") != ""


def test_what_the_service_keeps_is_its_own_and_the_rest_is_read_only(service: Service) -> None:
    service.start()
    service.drop("60.00")
    service.calls.wait_for(REACHED)
    # A bill stays as open as whoever dropped it left it; the folder around it is closed.
    open_to_others = service.machine.run("find", STATE, "-perm", "/077", "-not", "-path", f"{INBOX}/done/*")
    assert open_to_others == ""
    inside = ("nsenter", "--target", service.show("MainPID"), "--mount", "--")
    for folder in (CONFIGURATION, Path("/opt/spendwatch"), Path("/etc")):
        _, _, words = service.machine.attempt(*inside, "touch", folder / "written")
        assert "Read-only file system" in words


def test_a_killed_daemon_is_back_by_itself_and_repeats_nothing(service: Service) -> None:
    service.start()
    service.drop("60.00")
    service.calls.wait_for(REACHED)
    service.kill("KILL")
    assert service.comes_back(restarts=1)
    service.drop("60.00", "20.00")
    assert wait_until(lambda: service.journal().count("bill_recorded") == 2, within=30)
    assert len(service.calls.of(REACHED)) == 1


def test_a_daemon_that_hangs_is_ended_and_started_again(service: Service) -> None:
    service.drop_in("WatchdogSec=3s")
    service.start()
    service.kill("STOP")
    assert service.comes_back(restarts=1)
    assert "Watchdog timeout" in service.journal()


def test_a_reload_takes_over_a_changed_policy_and_keeps_the_process(service: Service) -> None:
    service.policy(POLICY.replace("50%", "90%"))
    service.start()
    service.drop("60.00")
    assert wait_until(lambda: "bill_recorded" in service.journal(), within=30)
    assert not service.calls.of(REACHED)
    process = service.show("MainPID")
    service.policy(POLICY)
    service.machine.run("systemctl", "reload", UNIT)
    service.calls.wait_for(REACHED)
    assert (service.show("ActiveState"), service.show("MainPID")) == ("active", process)


def test_a_wrong_configuration_ends_it_for_good(service: Service) -> None:
    service.policy(POLICY.replace("budget", "bugdet"))
    code, _, _ = service.machine.attempt("systemctl", "start", UNIT)
    assert code != 0
    assert not wait_until(lambda: service.show("ActiveState") != "failed", within=4)
    assert (service.show("ExecMainStatus"), service.show("NRestarts")) == ("78", "0")
    assert "research.yaml:3:" in service.journal()


def test_a_stop_is_clean_and_quick(service: Service) -> None:
    service.start()
    service.drop("60.00")
    service.calls.wait_for(REACHED)
    began = time.monotonic()
    service.machine.run("systemctl", "stop", UNIT)
    assert time.monotonic() - began < 5
    assert (service.show("ActiveState"), service.show("Result")) == ("inactive", "success")


def test_a_missing_credential_is_no_obstacle_while_nobody_asks_for_it(service: Service) -> None:
    service.machine.run("rm", "/etc/credstore/spendwatch.hook")
    secrets = CONFIGURATION / "secrets"
    service.machine.write(secrets / "hook", SECRET)
    service.machine.run("chown", "spendwatch:", secrets / "hook")
    service.machine.run("chmod", "0600", secrets / "hook")
    service.machine.write(
        CONFIGURATION / "spendwatch.yaml",
        CONFIG.replace("INBOX", str(INBOX)).replace("secret_file: hook", "secret_file: secrets/hook"),
    )
    service.start()
    assert service.show("ActiveState") == "active"


def test_a_drop_folder_of_others_is_shared_by_its_group(service: Service) -> None:
    bills = Path("/srv/bills")
    service.machine.run("sh", "-c", f"groupadd bills; useradd --gid bills clerk; install -d -g bills -m 2770 {bills}")
    service.configure(inbox=bills)
    service.drop_in(f"ReadWritePaths={bills}\nSupplementaryGroups=bills")
    service.start()
    name, content = a_bill_of("60.00")
    service.machine.run(
        *("setpriv", "--reuid=clerk", "--regid=bills", "--clear-groups"),
        *("sh", "-c", f"umask 027; cat > {bills / name}"),
        stdin=content,
    )
    service.calls.wait_for(REACHED)
    assert service.calls.of(REACHED)


def test_installing_again_keeps_what_was_configured_and_starts_the_new_version(service: Service) -> None:
    service.start()
    process = service.show("MainPID")
    sums = ("find", CONFIGURATION, "-type", "f", "-exec", "sha256sum", "{}", "+")
    before = service.machine.run(*sums).splitlines()
    service.machine.install("/srv/spendwatch/deploy/systemd/install", env=os.environ)
    # Files that were written again stand elsewhere in the folder.
    assert sorted(service.machine.run(*sums).splitlines()) == sorted(before)
    assert service.show("ActiveState") == "active"
    assert service.show("MainPID") != process


def test_the_command_is_on_the_path_and_finds_the_services_own_configuration(service: Service) -> None:
    service.start()
    service.drop("60.00")
    service.calls.wait_for(REACHED)
    assert service.command("--version").startswith("spendwatch ")
    assert json.loads(service.command("status", "--json"))["accounts"][0]["spend"] == "60"
    assert service.there(*MADE_BY_US) == list(MADE_BY_US)
    assert ".SS spendwatch status" in service.machine.run("cat", MADE_BY_US[2])
    assert "_spendwatch_completion" in service.machine.run("cat", MADE_BY_US[3])


def test_uninstalling_keeps_what_is_yours_and_only_a_purge_removes_it(service: Service) -> None:
    service.start()
    service.drop("60.00")
    service.calls.wait_for(REACHED)
    kept = (CONFIGURATION / "spendwatch.yaml", STATE / "spendwatch.db", INBOX / "done")
    assert "Nothing was changed" in service.machine.run(UNINSTALL, "--purge", "--dry-run")
    assert service.there(*MADE_BY_US, *kept) == [*MADE_BY_US, *kept]
    # To install these packages again takes ten seconds, and is what every test here began with.
    packages, elsewhere = "/opt/spendwatch", "/srv/packages"
    service.machine.run("cp", "-al", packages, elsewhere)

    def install() -> None:
        service.machine.run("sh", "-c", f"[ -e {packages} ] || cp -al {elsewhere} {packages}")
        service.machine.install("/srv/spendwatch/deploy/systemd/install", env=os.environ)

    try:
        service.machine.run(UNINSTALL)
        assert service.show("ActiveState") == "inactive"
        assert service.there(*MADE_BY_US, *kept) == list(kept)
        install()
        service.start()
        assert json.loads(service.command("status", "--json"))["accounts"][0]["spend"] == "60"
        assert len(service.calls.of(REACHED)) == 1
        service.machine.run(UNINSTALL, "--purge")
        assert service.there(*MADE_BY_US, CONFIGURATION, STATE) == []
        assert service.machine.attempt("getent", "passwd", "spendwatch")[0] == 2
    finally:
        install()


def test_a_dry_run_of_the_installer_changes_nothing(service: Service) -> None:
    service.machine.run("rm", "-rf", "/etc/systemd/system/spendwatch.service")
    said = service.machine.run("/srv/spendwatch/deploy/systemd/install", "--dry-run")
    assert "+ install -m 0644" in said
    assert said.rstrip().endswith("Nothing was changed: this was a dry run.")
    assert service.machine.attempt("test", "-e", "/etc/systemd/system/spendwatch.service")[0] == 1
    service.machine.run("install", "-m", "0644", "/srv/spendwatch/deploy/systemd/spendwatch.service", "/etc/systemd/system/")
