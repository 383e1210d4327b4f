"""A command that is run for each notification."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from notices import SAMPLES, ZONE, delivery
from spendwatch.channels.exec import ExecChannel, environment
from spendwatch.channels.exec_settings import ExecConfig
from spendwatch.domain.errors import PermanentDeliveryError, TemporaryDeliveryError
from spendwatch.domain.scope import NamedScope, Subject
from spendwatch.domain.statement import AccountId
from spendwatch.letters.json_body import JsonBody

pytestmark = pytest.mark.anyio

SAMPLE = SAMPLES["threshold"]


def _script(folder: Path, text: str) -> Path:
    file = folder / "notify"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


async def _run(folder: Path, text: str, *arguments: str, limit: str = "60s", maybe_repeated: bool = False) -> None:
    config = ExecConfig.model_validate({"command": [str(_script(folder, text)), *arguments], "timeout": limit})
    channel = ExecChannel(config, "robot", zone=ZONE)
    await channel.send(delivery(SAMPLE, "", channel.render(SAMPLE, ""), maybe_repeated=maybe_repeated))


async def test_a_command_reads_the_webhooks_document(tmp_path: Path) -> None:
    await _run(tmp_path, f"cat > {tmp_path}/read")
    document = json.loads((tmp_path / "read").read_bytes())
    assert document == json.loads(JsonBody(ZONE).rendered(SAMPLE))
    assert (document["type"], document["data"]["alert_id"]) == ("spend.threshold_reached", SAMPLE.alert)


async def test_arguments_reach_it_as_they_are_because_there_is_no_shell(tmp_path: Path) -> None:
    hostile = "$(touch /tmp/x); `id` * 'quoted' \"twice\" && exit 9"
    await _run(tmp_path, f'printf "%s\\n" "$@" > {tmp_path}/said', hostile, "two words")
    assert (tmp_path / "said").read_text() == f"{hostile}\ntwo words\n"


async def test_its_environment_holds_facts_and_none_of_our_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPENDWATCH_CHANNELS__OPS__SECRET", "canary-secret")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "canary-key")
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    await _run(tmp_path, f"/usr/bin/env -0 > {tmp_path}/environment", maybe_repeated=True)
    pairs = (one.split("=", 1) for one in (tmp_path / "environment").read_text().split("\0") if one)
    found = {name: value for name, value in pairs if name not in {"PWD", "SHLVL", "_", "OLDPWD"}}  # the shell's own
    assert {name for name in found if not name.startswith("SPENDWATCH_FACT_")} <= {"PATH", "LANG", "TZ"}
    assert "canary" not in str(found)
    assert found["TZ"] == "Asia/Shanghai"
    assert found["SPENDWATCH_FACT_TYPE"] == "spend.threshold_reached"
    assert (found["SPENDWATCH_FACT_SEVERITY"], found["SPENDWATCH_FACT_CHANNEL"]) == (SAMPLE.severity, "robot")
    assert found["SPENDWATCH_FACT_MAYBE_REPEATED"] == "yes"


async def test_it_inherits_no_descriptor(tmp_path: Path) -> None:
    kept = os.open(tmp_path / "canary", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(kept, True)  # noqa: FBT003 -- the library's signature
    try:
        await _run(tmp_path, f"ls -l /proc/self/fd > {tmp_path}/open")
    finally:
        os.close(kept)
    shown = (tmp_path / "open").read_text()
    assert f"{tmp_path}/open" in shown
    assert "canary" not in shown


async def test_the_exit_code_decides(tmp_path: Path) -> None:
    await _run(tmp_path, "exit 0")
    with pytest.raises(TemporaryDeliveryError, match=r"try again later \(exit code 75\): queue is full$") as postponed:
        await _run(tmp_path, "echo 'queue is full' >&2; echo 'second line' >&2; exit 75")
    assert not postponed.value.maybe_taken
    assert postponed.value.is_doubtful, "another message may fare better: this one must not hold up all"
    with pytest.raises(PermanentDeliveryError, match=r"refused it \(exit code 3\): no such team$"):
        await _run(tmp_path, "echo >&2; echo 'no such team' >&2; exit 3")
    with pytest.raises(TemporaryDeliveryError, match="killed by signal 9") as killed:
        await _run(tmp_path, "kill -9 $$")
    assert killed.value.maybe_taken


async def test_what_it_says_is_bounded_and_cannot_write_over_a_terminal(tmp_path: Path) -> None:
    with pytest.raises(PermanentDeliveryError) as refused:
        await _run(tmp_path, "printf 'bad \\033[2J' >&2; head -c 20000000 /dev/zero | tr '\\0' x >&2; exit 1")
    assert len(str(refused.value)) < 400
    assert "\033" not in str(refused.value)


async def test_a_command_that_does_not_read_its_input_is_no_error(tmp_path: Path) -> None:
    await _run(tmp_path, "exec 0<&-; exit 0")


async def test_what_hangs_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    with pytest.raises(TemporaryDeliveryError, match="did not end within 3 s and was killed") as late:
        await _run(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child; trap '' TERM; sleep 60", limit="3s")
    assert late.value.maybe_taken
    await _is_gone(int((tmp_path / "child").read_text()))


async def test_what_it_leaves_behind_ends_with_it_and_holds_nobody_up(tmp_path: Path) -> None:
    begun = time.monotonic()
    await _run(tmp_path, f"sleep 300 & echo $! > {tmp_path}/child; exit 0")
    far = f"setsid sh -c 'echo $$ > {tmp_path}/far; exec sleep 300'"  # beyond our reach, with its output open
    await _run(tmp_path, f"{far} & until [ -s {tmp_path}/far ]; do sleep 0.01; done; exit 0")
    assert time.monotonic() - begun < 60
    await _is_gone(int((tmp_path / "child").read_text()))
    os.kill(int((tmp_path / "far").read_text()), signal.SIGKILL)


async def test_a_cancelled_delivery_kills_the_command(tmp_path: Path) -> None:
    sending = asyncio.create_task(_run(tmp_path, f"echo $$ > {tmp_path}/own; sleep 60"))
    await _line_of(tmp_path / "own")
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await _is_gone(int((tmp_path / "own").read_text()))


@given(name=st.text(max_size=60))
def test_no_name_from_a_bill_can_break_the_environment_or_add_to_it(name: str) -> None:
    scope = NamedScope(Subject.SOURCE, name, AccountId(name))
    body = JsonBody(ZONE).rendered(replace(SAMPLE, facts=replace(SAMPLE.facts, scope=scope, name=name, owner=name)))
    found = environment("robot", body, maybe_repeated=False)
    plain = environment("robot", JsonBody(ZONE).rendered(SAMPLE), maybe_repeated=False)
    assert found.keys() == plain.keys()
    assert all(char.isprintable() for value in found.values() for char in value)
    assert all(len(os.fsencode(value)) < 100_000 for value in found.values())


async def test_a_command_that_vanished_is_tried_again(tmp_path: Path) -> None:
    channel = ExecChannel(ExecConfig(command=(str(tmp_path / "none"),)), "robot", zone=ZONE)
    with pytest.raises(TemporaryDeliveryError, match="cannot be run: No such file"):
        await channel.send(delivery(SAMPLE, "", None))


def test_whoever_may_not_run_it_or_could_replace_it_is_told(tmp_path: Path) -> None:
    file = _script(tmp_path, "exit 0")

    def objection() -> str:
        return ExecConfig(command=(str(file),)).objection() or ""

    assert objection() == ""
    file.chmod(0o757)
    assert objection() == f"{file} is 0757, writable by others (chmod go-w): whoever may change it would run commands as us"
    file.chmod(0o775)
    assert "0775, writable by others" in objection()
    file.chmod(0o644)
    if os.geteuid():
        assert "we may not run it" in objection()
    file.chmod(0o755)
    tmp_path.chmod(0o777)
    assert objection().startswith(f"{tmp_path} is 0777, writable by others")
    tmp_path.chmod(0o700)
    assert ExecConfig(command=(str(tmp_path),)).objection() == f"not a file: {tmp_path}"
    assert "No such file" in (ExecConfig(command=(str(tmp_path / "none"),)).objection() or "")


@pytest.mark.parametrize("command", [[], ["/bin/true", "a\0b"], "/bin/true --flag"])
def test_a_command_is_a_list(command: object) -> None:
    with pytest.raises(ValidationError):
        ExecConfig.model_validate({"command": command})


async def _is_gone(pid: int) -> None:
    async with asyncio.timeout(30):
        while _state(pid) not in "ZX":  # noqa: ASYNC110 -- another process's
            await asyncio.sleep(0.01)


async def _line_of(path: Path) -> str:
    """Return the line of the file, once it is there."""
    async with asyncio.timeout(30):
        while not _content(path).endswith("\n"):  # noqa: ASYNC110 -- another process's
            await asyncio.sleep(0.01)
    return _content(path)


def _content(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _state(pid: int) -> str:
    """Return the state of a process, as the system letters it; `X`: there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return "X"
