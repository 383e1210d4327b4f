"""The demo, with the real program: a month in which every alert comes once, with the figures that are behind it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from home import Home


def _demo(*options: str, folder: Path, expect: int = 0) -> str:
    command = [sys.executable, "-m", "spendwatch", "demo", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == expect, done.stderr
    assert (done.stderr == "") == (expect == 0)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it leaves all that came of it."""
    return tmp_path_factory.mktemp("kept") / "demo"


@pytest.fixture(scope="module")
def shown(kept: Path) -> str:
    """What the program shows."""
    return _demo("--keep", str(kept), folder=kept.parent)


def _amount(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


def test_the_thresholds_come_with_their_amounts_and_once_each(shown: str) -> None:
    reached = r"\| (\w+) has reached (\d+)% of its .* budget\n  Spent so far +CNY ([0-9,.]+) +of CNY [0-9,.]+ · (\d+)%"
    found = re.findall(reached, shown)
    budgets = {"Research": Decimal(560), "Training": Decimal(150)}
    assert sorted((name, int(share)) for name, share, *_ in found) == [
        *(("Research", share) for share in (50, 80, 100)),
        *(("Training", share) for share in (50, 80)),
    ]
    for name, share, spent, used in found:
        assert int(share) <= int(used) == int(_amount(spent) / budgets[name] * 100)


def test_the_floors_come_from_the_highest_down_with_the_balance_below_them(shown: str) -> None:
    floors = re.findall(r"balance of acme is below CNY ([0-9,.]+)\n", shown)
    available = re.findall(r"  = Available +CNY ([0-9,.]+)\n", shown)
    assert floors == ["300.00", "100.00"]
    assert all(_amount(below) < _amount(floor) for floor, below in zip(floors, available, strict=False))


def test_an_account_becomes_overdue_its_boss_is_notified_and_a_payment_ends_it(shown: str, kept: Path) -> None:
    told = [shown.index(words) for words in ("| acme is overdue by", "| acme is still overdue by", "somebody recharges")]
    assert told == sorted(told)
    assert "acme is no longer overdue" in shown[told[-1] :]
    to_boss = [mail["Subject"] for mail in _mails(kept) if mail["To"] == "boss@example.com"]
    assert len(to_boss) == 3
    assert "escalated] acme has" in to_boss[0]
    assert "escalated] acme is still overdue" in to_boss[1]
    assert "is no longer overdue" in to_boss[2]


def test_a_login_page_instead_of_a_bill_is_rejected_and_reported(shown: str, kept: Path) -> None:
    assert "bill.csv: rejected\n" in shown
    assert "a web page, not a bill" in shown
    assert (kept / "inbox" / "rejected" / "bill.csv").exists()


def test_every_notification_arrives_over_every_channel_and_is_kept(shown: str, kept: Path) -> None:
    notifications = int(shown.split("The month is over: ")[1].split(maxsplit=1)[0])
    assert notifications == 11
    assert f"({notifications + 3} arrived, 3 of them for the boss)" in shown
    mails, calls = _mails(kept), [json.loads(file.read_bytes()) for file in (kept / "webhooks").iterdir()]
    assert len(mails) == len(list((kept / "mails").glob("*.html"))) == notifications + 3
    assert Counter(call["type"] for call in calls) == {
        "spend.threshold_reached": 5,
        "balance.low": 2,
        "balance.overdue": 2,
        "balance.recovered": 1,
        "bills.rejected": 1,
    }
    html = next((kept / "mails").glob("*overdue*.html")).read_text(encoding="utf-8")
    assert html.lstrip().startswith("<!")
    assert "acme" in html


def test_what_is_kept_can_be_explained_and_reported(shown: str, kept: Path) -> None:
    home = Home(kept)
    for alert in set(re.findall(r"spendwatch explain ([0-9a-f]+)", shown)):
        assert alert in home.call("explain", alert).stdout
    month = shown.split(maxsplit=1)[0]
    spent = sum(Decimal(row["spend"]) for row in home.json("report", "--month", month)["rows"])
    assert spent > 700
    overdue, floor = (
        next(one for one in home.json("alerts", "--all")["alerts"] if one["summary"].startswith(begins))
        for begins in ("acme is overdue: ", "available balance of acme is CNY 2")
    )
    assert "Notified    4 notifications, the last" in home.call("explain", overdue["id"]).stdout
    day, time = floor["since"][:16].split("T")
    assert f"Notified    1 notification, the last {day} {time}\n" in home.call("explain", floor["id"]).stdout
    assert home.call("ledger", "verify").stdout.endswith("all days are equal.\n")


def test_without_a_folder_nothing_is_left_and_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    said = _demo(folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert "spendwatch demo --keep demo" in said.splitlines()[-2]
    (tmp_path / "mine").write_text("")
    assert "is not empty; name a new folder" in _demo("--keep", str(tmp_path), folder=tmp_path, expect=2)


def _mails(kept: Path) -> list[EmailMessage]:
    return [message_from_bytes(file.read_bytes(), policy=default) for file in sorted((kept / "mails").glob("*.eml"))]
