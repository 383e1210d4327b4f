"""What `status` shows in some situations: each of them made by rounds over a real ledger, drawn on a screen of any width.

python tests/builders/screens.py tests/data/status      writes the golden texts
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Literal

if __name__ == "__main__":
    sys.path.extend(str(Path(__file__).parents[1] / room) for room in (".", "builders", "fakes", "servers"))

from rich.console import Console

from rounds_builder import FINANCE, FIRST, OPS, TARGETS, ZONE, Rounds
from spendwatch.cli.show import page
from spendwatch.domain.health import DaemonHealth, Rejection
from spendwatch.domain.money import Currency
from spendwatch.domain.policy import BalancePolicy, FinerBudget, Threshold, WorkspacePolicy
from spendwatch.domain.scope import Dimension, Match
from spendwatch.domain.statement import AccountId, ChargeKind, SourceName, WorkspaceId
from spendwatch.jobs.overview import Overview, look
from spendwatch.jobs.running import Running
from spendwatch.store.database import Database
from spendwatch.store.opening import open_database
from spendwatch.store.outbox import Outbox
from store_builders import digest, row

INBOX = SourceName("inbox")
USUAL = tuple(Threshold(share=Decimal(percent) / 100) for percent in (50, 80, 100))
FORECAST = Threshold(share=Decimal(1), is_forecast=True)
RESEARCH, TRAINING, OTHER = (WorkspaceId(f"llm-demo{number}a1b2c3d4e") for number in (0, 1, 2))
GLOBAL = AccountId("5000000000000002")
USD = Currency("USD")
DAYS = 20


def watched(
    workspace: WorkspaceId, budget: str | None, name: str = "", *more: Threshold, budgets: tuple[FinerBudget, ...] = ()
) -> WorkspacePolicy:
    """Return the policy of a workspace."""
    wanted = None if budget is None else Decimal(budget)
    return WorkspacePolicy(workspace, name, budget=wanted, thresholds=(*USUAL, *more), channels=(FINANCE,), budgets=budgets)


def keyed(name: str, api_key: str, budget: str) -> FinerBudget:
    """Return a finer budget of one API key."""
    return FinerBudget(name, Match(((Dimension.API_KEY, api_key),)), Decimal(budget), USUAL)


def spent(rounds: Rounds, daily: Mapping[WorkspaceId, str], *, days: int = DAYS) -> None:
    """Put a bill of each day on record."""
    for back in range(days):
        rows = [row(amount, workspace=workspace) for workspace, amount in daily.items()]
        rounds.bill(FIRST + back * timedelta(days=1), *rows)
    rounds.now = rounds.now.replace(day=days + 1)
    rounds.health.bill_came(INBOX, at=rounds.now, accounts=[rounds.policies.accounts[0].account])
    rounds.health.looked(INBOX, at=rounds.now)


def delivered(rounds: Rounds) -> None:
    """Let everything that waits arrive."""
    outbox = Outbox(rounds.database)
    for channel in TARGETS:
        for one in outbox.claim(channel, rounds.now, 1000):
            outbox.settle(one.id, at=rounds.now)
    outbox.write_down()


def all_well(rounds: Rounds) -> None:
    """Two budgets with room, and money on the account."""
    rounds.account = {"budget": Decimal(500)}
    rounds.wanted(
        BalancePolicy(cash=Decimal(1000), credit=Decimal(200)),
        watched(RESEARCH, "300", "Research"),
        watched(TRAINING, "200", "Training"),
    )
    rounds.configured()
    spent(rounds, {RESEARCH: "4.5", TRAINING: "2.25"})
    rounds.round()


def in_trouble(rounds: Rounds) -> None:
    """Overdue, two budgets used up, a bill rejected, messages that do not arrive, and a workspace without a budget."""
    rounds.account = {"budget": Decimal(500)}
    finer = (keyed("chatbot key", "1200345", "450"),)
    balance = BalancePolicy(
        cash=Decimal(480), floors=(Decimal(300), Decimal(100)), runway=(timedelta(days=7), timedelta(days=3))
    )
    rounds.wanted(balance, watched(RESEARCH, "400", "Research", FORECAST, budgets=finer))
    rounds.configured()
    for days in (12, 16, DAYS):
        for back in range(0 if days == 12 else days - 4, days):
            rows = [
                row(amount, workspace=workspace)
                for workspace, amount in ((RESEARCH, "20.85"), (TRAINING, "4.69"), (WorkspaceId(""), "1"))
            ]
            rounds.bill(FIRST + back * timedelta(days=1), *rows)
        rounds.now = rounds.now.replace(day=days + 1)
        rounds.health.bill_came(INBOX, at=rounds.now, accounts=[rounds.policies.accounts[0].account])
        rounds.health.looked(INBOX, at=rounds.now)
        rounds.round()
        if days == 12:
            delivered(rounds)
    why = "line 1: the header fits no known layout; the nearest, consumedetailbillv2daysummary, needs also: 账单信息/账单日期"
    rounds.ledger.refuse(Rejection(digest("bank"), "bank.csv", INBOX, rounds.now, why))
    rounds.round()
    outbox = Outbox(rounds.database)
    for one in outbox.claim(OPS, rounds.now, 1):
        outbox.settle(one.id, at=rounds.now, why="550 no such user")
    outbox.write_down()
    rounds.now += timedelta(minutes=8)


def forty(rounds: Rounds) -> None:
    """Forty workspaces, nine of them above a threshold."""
    names = {WorkspaceId(f"llm-team{number:02d}a1b2c3d4"): number for number in range(1, 41)}
    rounds.wanted(None, *(watched(name, "100", f"Team {number:02d}") for name, number in names.items() if number != 33))
    spent(rounds, {name: ("5.6" if number < 4 else "4.1" if number < 10 else "1.23") for name, number in names.items()})
    rounds.round()
    delivered(rounds)


def forty_at_once(rounds: Rounds) -> None:
    """Forty workspaces that all cross in one bill."""
    names = {WorkspaceId(f"llm-team{number:02d}a1b2c3d4"): number for number in range(1, 41)}
    rounds.account = {"budget": Decimal(3000)}
    rounds.wanted(
        BalancePolicy(cash=Decimal(100), floors=(Decimal(90),)),
        *(watched(name, "100", f"Team {number:02d}") for name, number in names.items()),
    )
    rounds.configured()
    spent(rounds, {name: str(number + 100) for name, number in names.items()}, days=1)
    rounds.round()


def no_bill(rounds: Rounds) -> None:
    """Nothing arrived yet."""
    rounds.wanted(BalancePolicy(cash=Decimal(100)), watched(RESEARCH, "300", "Research"), watched(TRAINING, None))
    rounds.configured()
    rounds.round()


def two_accounts(rounds: Rounds) -> None:
    """One account pays in CNY, the other one, whose bills stopped, in USD."""
    rounds.wanted(None, watched(RESEARCH, "300", "Research"), replace(watched(OTHER, "40", "Overseas"), account=GLOBAL))
    first = rounds.policies.accounts[0]
    other = replace(first, account=GLOBAL, name="global", currency=USD, budget=Decimal(100))
    rounds.policies = rounds.policies._replace(accounts=(first, other))
    rounds.health.bill_came(INBOX, at=rounds.now.replace(day=13), accounts=[GLOBAL])
    spent(rounds, {RESEARCH: "4.5"})
    plan = row("20", workspace=OTHER, currency=USD, charge=ChargeKind.SUBSCRIPTION, commodity="sfm_tokenplanteams_dp_intl")
    rounds.bill(date(2026, 9, 12), row("35.5", workspace=OTHER, currency=USD), plan, account=GLOBAL)
    rounds.round()
    delivered(rounds)


SITUATIONS: Mapping[str, Callable[[Rounds], None]] = {
    "all-well": all_well,
    "trouble": in_trouble,
    "forty": forty,
    "forty-at-once": forty_at_once,
    "no-bill": no_bill,
    "two-accounts": two_accounts,
}


def overview_of(rounds: Rounds) -> Overview:
    """Return what is known of one source of bills, too."""
    after = {INBOX: timedelta(hours=26)}
    return look(
        rounds.ledger, rounds.book, rounds.health, rounds.policies, after, zone=ZONE, now=rounds.now, balances=rounds.balances
    )


def drawn(rounds: Rounds, width: int, *, encoding: str = "utf-8", colours: bool = False, everything: bool = False) -> str:
    """Return the screen; the daemon evaluated half a minute ago."""
    outbox = Outbox(rounds.database)
    health = DaemonHealth(rounds.now - timedelta(seconds=20), is_daemon=True)
    running = Running(is_running=True, health=health, counts=outbox.counts(), next_due=min(outbox.due().values(), default=None))
    system: Literal["truecolor"] | None = "truecolor" if colours else None
    file = TextIOWrapper(BytesIO(), encoding=encoding, write_through=True)
    screen = Console(
        file=file,
        width=width,
        highlight=False,
        soft_wrap=True,
        force_terminal=colours,
        color_system=system,
    )
    screen.print(page(overview_of(rounds), running, screen, zone=ZONE, products=("sfm",), everything=everything))
    assert isinstance(file.buffer, BytesIO)
    return "\n".join(line.rstrip() for line in file.buffer.getvalue().decode(encoding).splitlines()) + "\n"


def situation(name: str, database: Database) -> Rounds:
    """Return the rounds that lead to it."""
    rounds = Rounds(database)
    SITUATIONS[name](rounds)
    return rounds


def main(folder: Path, width: int = 80, *options: str) -> None:
    """Write every golden text."""
    for name in SITUATIONS:
        with tempfile.TemporaryDirectory() as scratch:
            database = open_database(str(Path(scratch) / "ledger.db"))
            text = drawn(situation(name, database), width, colours="colours" in options, everything="all" in options)
            (folder / f"{name}.txt").write_text(text, encoding="utf-8")
            database.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int((sys.argv[2:] or ["80"])[0]), *sys.argv[3:])
