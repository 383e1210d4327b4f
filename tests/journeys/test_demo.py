"""The demo that asks the billing API, with the real program: what it shows of a month, and what it keeps to itself."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from home import today
from spendwatch.demo.asked_story import KEY_ID, KEY_SECRET
from spendwatch.demo.bills import PACE, sample_bill
from spendwatch.domain.money import exact_sum, shown


def _called(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "spendwatch", "demo", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def _last_month() -> tuple[datetime, datetime]:
    """Return when the month that is told starts and ends."""
    end = today().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (end - timedelta(days=1)).replace(day=1), end


def _worth_of_last_month() -> Decimal:
    """Return what the export of the same invented month says."""
    start, end = _last_month()
    _, content = sample_bill(start, end, pace=PACE)
    rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig")))
    return exact_sum(Decimal(row["应付信息/应付金额（含税）"]) for row in rows)


def _amount(text: str) -> Decimal:
    return Decimal(text.replace(",", ""))


@pytest.fixture(scope="module")
def shown_by_api(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the program shows, once it is certain that it went well and left nothing behind."""
    folder = tmp_path_factory.mktemp("nowhere")
    done = _called("--api", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(folder.iterdir()) == []
    return done.stdout


MORNING = re.compile(
    r"^\d\d-(\d\d) 09:30  (\d+) pages, 1 day changed: (\d+) lines, (\d+) new; "
    r"balance CNY ([0-9,.]+) reported, CNY ([0-9,.]+) computed$",
    re.MULTILINE,
)


def test_every_morning_shows_what_was_fetched_and_the_balance_as_reported_beside_computed(shown_by_api: str) -> None:
    start, end = _last_month()
    days = (end - start).days
    mornings = MORNING.findall(shown_by_api)
    assert [int(day) for day, *_ in mornings] == [*range(2, days + 1), 1]
    assert [(int(lines), int(new)) for _, _, lines, new, _, _ in mornings] == [(7, 7), *[(6, 6)] * (days - 1)]
    assert {_amount(reported) - _amount(computed) for *_, reported, computed in mornings} == {Decimal(50)}
    *_, on_the_last_day = mornings[-2]
    assert on_the_last_day == shown(900 - Decimal(shown(_worth_of_last_month())))


def test_the_alerts_come_with_their_amounts_and_once_each(shown_by_api: str) -> None:
    reached = r"\| (\w+) has reached (\d+)% of its .* budget\n  Spent so far +CNY ([0-9,.]+) +(\d+)% of CNY"
    found = re.findall(reached, shown_by_api)
    budgets = {"Research": Decimal(700), "Training": Decimal(150)}
    assert sorted((name, share) for name, share, *_ in found) == [
        (name, share) for name in ("Research", "Training") for share in ("50", "80")
    ]
    for name, share, spent, used in found:
        assert int(share) <= int(used) == int(_amount(spent) / budgets[name] * 100)
    floors = re.findall(r"balance of acme is below CNY ([0-9,.]+)\n", shown_by_api)
    both = r"  = Available +CNY ([0-9,.]+)\n    Reported +CNY [0-9,.]+   by the provider itself\n"
    available = re.findall(both, shown_by_api)
    assert floors == ["400.00", "200.00"]
    assert all(_amount(below) < _amount(floor) for floor, below in zip(floors, available, strict=True))
    assert shown_by_api.count("Credit refunds are counted in what is reported, not by the product's formula: CNY 50.00.") == 2
    assert "The month is over: 6 notifications. Each was printed here, came as a mail (6 arrived)" in shown_by_api


def test_every_call_was_signed_as_the_stand_in_wants_it_and_the_totals_agree(shown_by_api: str) -> None:
    counts = re.search(
        r"let in (\d+) calls: (\d+) pages of bills, (\d+) balances, (\d+) totals; (\d+) signatures were\n"
        r"checked and right, (\d+) calls refused\.",
        shown_by_api,
    )
    assert counts
    calls, pages, balances, totals, checked, refused = map(int, counts.groups())
    mornings = MORNING.findall(shown_by_api)
    assert (pages, balances) == (sum(int(pages) for _, pages, *_ in mornings), len(mornings))
    assert calls == pages + balances + totals == checked
    assert refused == 0
    worth = shown(_worth_of_last_month())
    assert f"On record are CNY {worth}; its own total of the month is CNY {worth}.\n" in shown_by_api


def test_nothing_of_the_key_pair_is_shown(shown_by_api: str) -> None:
    for secret in (KEY_ID, KEY_SECRET):
        assert secret not in shown_by_api


def test_to_ask_for_bills_and_to_drop_some_do_not_go_together(tmp_path: Path) -> None:
    done = _called("--api", "--drop", "inbox", cwd=tmp_path)
    assert done.returncode == 2
    assert "--api and --drop do not go together" in done.stderr
    assert list(tmp_path.iterdir()) == []
