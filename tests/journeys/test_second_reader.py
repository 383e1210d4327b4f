"""Random months, decided by the program, and by a reader that shares no code with it: from bills, budgets and the record."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import second_reader
from home import Home
from second_reader import Bill, Budget
from spendwatch.cli.cases import _Bills
from spendwatch.cli.timeline import Timeline
from spendwatch.domain.statement import SourceName
from spendwatch.settings import load
from spendwatch.settings.cases import SpendPart

BEGIN = datetime(2026, 9, 2, 2, tzinfo=UTC)
END = datetime(2026, 9, 20, 2, tzinfo=UTC)
GIVEN_BACK = 0.2
RULES = ("spend.threshold_reached", "spend.corrected")
SHARES = ("20%", "37.5%", "50%", "80%", "100%", "120%", "150%")


def month(seed: int) -> tuple[list[Budget], list[Bill]]:
    """Return the budgets and the bills of a month: some amounts are given back, some bills jump over several thresholds."""
    source = random.Random(seed)  # noqa: S311 -- no secret: the same months every time
    budgets = []
    for number in range(3):
        budget = Decimal(source.randint(500, 90000)) / 100
        shares = source.sample(SHARES, source.randint(1, 4))
        amounts = [f"{budget * Decimal(source.randint(3, 130)) / 101:.2f}" for _ in range(source.randint(0, 2))]
        remind = source.choice([None, timedelta(days=1), timedelta(days=3)])
        wanted = {second_reader.height_of(one, budget): one for one in (*shares, *map(plain, amounts))}
        budgets.append(Budget(f"llm-{seed}-{number}", budget, tuple(wanted.values()), remind))
    bills, totals = [], dict.fromkeys((one.workspace for one in budgets), Decimal(0))
    for hour in sorted(source.sample(range(0, 380, 2), 20)):
        one = source.choice(budgets)
        most = one.budget * Decimal(source.choice([3, 10, 40])) / 100
        amount = Decimal(source.randint(1, 10**6)) / 10**6 * most
        if source.random() < GIVEN_BACK:
            amount = -min(amount, totals[one.workspace])
        amount = amount.quantize(Decimal("0.000001"))
        totals[one.workspace] += amount
        if amount:
            bills.append(Bill(BEGIN + timedelta(hours=hour), one.workspace, amount))
    return budgets, bills


def plain(amount: str) -> str:
    return format(Decimal(amount).normalize(), "f")


def furnished(folder: Path, budgets: list[Budget]) -> Home:
    home = Home(folder)
    home.furnish(stale_after="360d")
    for number, one in enumerate(budgets):
        remind = f"\nremind: {one.remind.days}d" if one.remind else ""
        more = f"thresholds: [{', '.join(one.thresholds)}]{remind}"
        home.watch(one.workspace, budget=str(one.budget), name=f"w{number}", more=more)
    return home


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 6, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(100, 200))])
def test_both_decide_the_same(tmp_path: Path, seed: int) -> None:
    budgets, bills = month(seed)
    settings = load(furnished(tmp_path, budgets).folder)
    with Timeline.opened(settings, BEGIN) as timeline:
        entering = _Bills(timeline, settings)
        for bill in bills:
            timeline.pass_time(bill.at)
            part = SpendPart.model_validate({"amount": str(bill.amount), "workspace": bill.workspace})
            entering.enter([part], bill.at, SourceName("inbox"))
            timeline.round(bill.at)
        timeline.pass_time(END)
        ledger = Path(timeline.store.database.place)
        said = second_reader.decisions_on_record(ledger, RULES)
        assert said == second_reader.expected(budgets, bills, END)
        assert second_reader.complaints(budgets, bills, ledger) == []
