"""A budget asks a program to act, from the bill to the command's standard input; and the rehearsal of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bill_builder import a_line
from home import TimedHome


@pytest.fixture
def home(tmp_path: Path) -> TimedHome:
    """A home with a command that keeps what it reads."""
    home = TimedHome(tmp_path / "home")
    home.folder.mkdir()
    command = home.folder / "stop"
    command.write_text(f'#!/bin/sh\ncat > "{home.folder}/asked-$SPENDWATCH_FACT_NOTIFICATION_ID"\n')
    command.chmod(0o755)
    home.furnish(extra='names: {api_keys: {"1200345": chatbot}}')
    main = home.folder / "spendwatch.yaml"
    main.write_text(
        main.read_text().replace("channels:\n  screen", "channels:\n  stop: {type: exec, command: [stop]}\n  screen")
    )
    home.watch(more="thresholds: [80%, {at: 100%, actions: [stop]}]\nremind: 1d")
    return home


def spend(home: TimedHome, amount: str, name: str) -> None:
    line = a_line(line_id=name, day=f"{home.now:%Y%m%d}", amount=amount, time="00:00:00")
    home.drop([line], exported=home.now, name=f"{name}.csv")


def asked(home: TimedHome) -> list[dict[str, object]]:
    return [json.loads(file.read_bytes()) for file in sorted(home.folder.glob("asked-*"))]


def test_a_command_is_asked_once_and_explain_check_and_backtest_say_so(home: TimedHome) -> None:
    assert "100.00 (100%) and calls stop" in " ".join(home.call("check").stdout.split())
    watched = home.json("check")["policy"]["watched"]
    assert ["stop"] in [each["actions"] for one in watched for each in one["notifies_at"]]
    spend(home, "85.00", "a")
    home.call("once")
    assert asked(home) == []
    home.at("2026-09-21T12:00")
    spend(home, "20.00", "b")
    home.call("once")
    (document,) = asked(home)
    data = document["data"]
    assert isinstance(data, dict)
    assert (document["type"], data["threshold"], data["spend"]) == ("action.requested", "100%", "105")
    assert data["action"]["api_keys"]
    assert data["action"]["workspaces"][0]["name"] == "Research"
    assert data["action"]["steps"]
    home.at("2026-09-24T12:00")
    home.call("once")
    assert len(asked(home)) == 1

    assert "action stop - delivered" in " ".join(home.call("explain", data["alert_id"]).stdout.split())
    deliveries = home.json("explain", data["alert_id"])["deliveries"]
    assert [(one["channel"], one["state"]) for one in deliveries if one["reason"] == "action"] == [("stop", "delivered")]

    found = home.json("backtest", "--from", "2026-09-01", "--to", "2026-09-24")
    (row,) = (one for one in found["notifications"] if one["type"] == "action.requested")
    assert (row["id"], row["channels"], row["at"][:16]) == (data["notification_id"], ["stop"], "2026-09-21T12:00")
    assert row["id"] not in found["added"]
    assert found["dropped"] == []
    assert "action requested" in " ".join(home.call("backtest", "--month", "2026-09").stdout.split())
    assert len(asked(home)) == 1


def test_a_rehearsal_asks_nothing_and_names_what_would_be_called(home: TimedHome) -> None:
    spend(home, "105.00", "a")
    policy = home.folder / "workspaces" / "research.yaml"
    wanted = policy.read_text()
    policy.write_text(wanted.replace("{at: 100%, actions: [stop]}", "100%"))
    home.call("once")
    other = home.folder / "other"
    (other / "workspaces").mkdir(parents=True)
    (other / "spendwatch.yaml").write_text((home.folder / "spendwatch.yaml").read_text().replace("[stop]", "[../stop]"))
    (other / "workspaces" / "research.yaml").write_text(wanted)
    home.at("2026-09-20T13:00")
    found = home.json("backtest", "--month", "2026-09", "--policy", str(other))
    (row,) = (one for one in found["notifications"] if one["reason"] == "action")
    assert (row["channels"], [row["id"]]) == (["stop"], found["added"])
    assert asked(home) == []


def test_what_a_silence_withholds_is_told_by_explain(home: TimedHome) -> None:
    home.call("silence", "add", "--workspace", "Research", "--for", "2h")
    spend(home, "105.00", "a")
    home.call("once")
    assert asked(home) == []
    alert = next(one for one in home.json("alerts")["alerts"] if one["threshold"] == "100%")
    shown = " ".join(home.call("explain", alert["id"]).stdout.split())
    assert "stop: no action requested 2026-09-20 12:00: silence" in shown
