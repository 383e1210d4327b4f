"""The state of a budget in the overview is how much of it is spent now, whatever was told and whichever alerts fire."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from rounds_builder import FINANCE, FIRST, ZONE, Rounds, cny, told
from spendwatch.cli.spending import spending_table
from spendwatch.domain.balance import Position
from spendwatch.domain.causes import NO_CAUSES
from spendwatch.domain.commodity import Category
from spendwatch.domain.health import DaemonHealth
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import BalancePolicy, FinerBudget, Severity, Threshold, WorkspacePolicy
from spendwatch.domain.scope import Counts, Dimension, Match
from spendwatch.domain.standing import Split
from spendwatch.domain.statement import AccountId, ChargeKind, WorkspaceId
from spendwatch.jobs.overview import BudgetState, Overview, look
from spendwatch.jobs.overview_json import overview_json
from spendwatch.jobs.running import Running
from spendwatch.store.database import Database
from store_builders import NOON, row

LLM_A = WorkspaceId("llm-a")
DAY = timedelta(days=1)
SEPTEMBER = BillingPeriod(2026, 9)


def share(percent: int, *, is_forecast: bool = False) -> Threshold:
    return Threshold(share=Decimal(percent) / 100, is_forecast=is_forecast)


USUAL = (share(50), share(80), share(100))


def policy(budget: int | None = 100, thresholds: tuple[Threshold, ...] = USUAL) -> WorkspacePolicy:
    wanted = None if budget is None else Decimal(budget)
    return WorkspacePolicy(LLM_A, budget=wanted, thresholds=thresholds, channels=(FINANCE,))


def spent(rounds: Rounds, amount: str, day: date = FIRST) -> None:
    rounds.bill(day, row(amount, workspace=LLM_A))
    rounds.round(after=timedelta(hours=1))


def marks(rounds: Rounds) -> tuple[BudgetState, BudgetState]:
    """Return the marks of the account and of its workspace."""
    (account,) = rounds.overview().accounts
    return account.mark, account.workspaces[0].mark


def month_of(rounds: Rounds, month: BillingPeriod) -> Overview:
    return look(
        rounds.ledger,
        rounds.book,
        rounds.health,
        rounds.policies,
        {},
        zone=ZONE,
        now=rounds.now,
        period=month,
        balances=rounds.balances,
    )


@pytest.fixture
def rounds(database: Database) -> Rounds:
    return Rounds(database, None, (policy(),))


@pytest.mark.parametrize(
    ("amount", "mark"),
    [
        ("-25", BudgetState.OK),
        ("50", BudgetState.OK),
        ("74.99", BudgetState.OK),
        ("75", BudgetState.WARNING),
        ("99.99", BudgetState.WARNING),
        ("100", BudgetState.CRITICAL),
    ],
)
def test_the_state_is_that_of_the_spend(rounds: Rounds, amount: str, mark: BudgetState) -> None:
    spent(rounds, amount)
    assert marks(rounds) == (BudgetState.NONE, mark)


def test_a_total_that_fell_is_no_longer_critical_though_its_alert_fires(rounds: Rounds) -> None:
    spent(rounds, "110")
    assert marks(rounds) == (BudgetState.NONE, BudgetState.CRITICAL)
    spent(rounds, "-25")
    assert marks(rounds) == (BudgetState.NONE, BudgetState.OK)
    assert rounds.overview().is_firing


def test_the_state_follows_a_budget_that_is_raised_lowered_or_removed(rounds: Rounds) -> None:
    spent(rounds, "110")
    for wanted, mark in (
        ((140,), BudgetState.WARNING),
        ((300,), BudgetState.OK),
        ((None, ()), BudgetState.NONE),
        ((100,), BudgetState.CRITICAL),
    ):
        rounds.wanted(None, policy(*wanted))
        assert marks(rounds)[1] is mark
    rounds.wanted(None)
    assert marks(rounds)[1] is BudgetState.NONE


def test_from_three_quarters_on_it_is_a_warning_whatever_the_thresholds_are(rounds: Rounds) -> None:
    rounds.wanted(None, policy(100, (share(50),)))
    spent(rounds, "74")
    assert marks(rounds)[1] is BudgetState.OK
    spent(rounds, "85")
    assert marks(rounds)[1] is BudgetState.WARNING


def test_a_finer_budget_that_stands_worse_is_that_of_its_workspace(rounds: Rounds) -> None:
    images = FinerBudget("images", Match(((Dimension.MODEL, "*"),)), Decimal(10), USUAL)
    rounds.wanted(None, replace(policy(), budgets=(images,)))
    spent(rounds, "12")
    assert marks(rounds) == (BudgetState.NONE, BudgetState.CRITICAL)


def test_what_is_only_foretold_leaves_the_state_as_it_is(rounds: Rounds) -> None:
    rounds.wanted(None, policy(100, (share(100), share(10, is_forecast=True))))
    for back in range(8):
        spent(rounds, "1", FIRST + back * DAY)
        rounds.round(after=DAY)
    assert [kind for kind, *_ in told(rounds.book.said)] == ["spend.forecast"]
    assert marks(rounds)[1] is BudgetState.OK


def test_a_low_balance_is_no_matter_of_the_budget(rounds: Rounds) -> None:
    rounds.wanted(BalancePolicy(cash=Decimal(10)), policy(1000))
    spent(rounds, "20")
    assert marks(rounds) == (BudgetState.NONE, BudgetState.OK)
    assert rounds.overview().is_firing


def test_a_month_that_is_over_has_the_state_it_ended_with(rounds: Rounds) -> None:
    spent(rounds, "275")
    rounds.round(after=40 * DAY)
    assert not rounds.overview().is_firing
    (account,) = month_of(rounds, SEPTEMBER).accounts
    assert account.workspaces[0].mark is BudgetState.CRITICAL
    assert marks(rounds) == (BudgetState.UNKNOWN, BudgetState.UNKNOWN)


def test_the_balance_of_now_is_not_shown_under_another_month(rounds: Rounds) -> None:
    rounds.wanted(BalancePolicy(cash=Decimal(10)), policy())
    spent(rounds, "20")
    now = overview_json(month_of(rounds, SEPTEMBER), ZONE)
    assert now["accounts"][0]["balance"]["unsettled_current"] == "20"  # type: ignore[index]  # plain JSON
    rounds.round(after=40 * DAY)
    then = overview_json(month_of(rounds, SEPTEMBER), ZONE)
    assert then["accounts"][0]["balance"] is None  # type: ignore[index]  # plain JSON
    assert isinstance(rounds.overview().accounts[0].balance, Position)


def ordered(rounds: Rounds) -> None:
    order = row("300", workspace=LLM_A, charge=ChargeKind.SUBSCRIPTION, commodity="sfm_tokenplanteams_dp_cn", model="", type="")
    rounds.bill(FIRST, row("60", workspace=LLM_A), order, order._replace(billed_cost=Decimal(-20), charge=REFUNDED))
    rounds.round(after=timedelta(hours=1))


ORDERED, REFUNDED = ChargeKind.SUBSCRIPTION, ChargeKind.SUBSCRIPTION_REFUND
PARTS = ("spend", "pay_as_you_go", "subscription", "budget", "counts", "used", "state")


@pytest.mark.parametrize(
    ("counts", "used", "state"),
    [(Counts.ALL, "3.4", "critical"), (Counts.PAY_AS_YOU_GO, "0.6", "ok"), (Counts.SUBSCRIPTION, "2.8", "critical")],
)
def test_subscription_stands_beside_pay_as_you_go_and_the_budget_goes_by_what_it_counts(
    rounds: Rounds, counts: Counts, used: str, state: str
) -> None:
    rounds.account = {"budget": Decimal(100), "counts": counts}
    rounds.wanted(None, replace(policy(), counts=counts))
    ordered(rounds)
    document: Any = overview_json(rounds.overview(), ZONE)
    (account,) = document["accounts"]
    for seen in (account, account["workspaces"][0]):
        assert [seen[part] for part in PARTS] == ["340", "60", "280", "100", counts.value, used, state]


def test_an_order_alone_brings_no_pay_as_you_go_budget_to_its_threshold(rounds: Rounds) -> None:
    rounds.wanted(None, replace(policy(), counts=Counts.PAY_AS_YOU_GO))
    ordered(rounds)
    (said,) = rounds.book.said
    assert (said.facts.threshold, said.facts.spend, said.facts.split) == ("50%", cny(60), Split(cny(60), cny(280)))
    assert (said.facts.scope.label, said.facts.subscribed) == ("pay_as_you_go:workspace:llm-a", NO_CAUSES)
    (alert,) = rounds.overview().alerts
    assert alert.summary == "llm-a reached 50% of CNY 100.00 (pay-as-you-go only) in 2026-09: CNY 60.00 spent"


def test_a_message_names_the_order_that_brought_a_budget_to_its_threshold(rounds: Rounds) -> None:
    ordered(rounds)
    (said,) = rounds.book.said
    assert (said.facts.threshold, said.facts.spend, said.facts.split) == ("100%", cny(340), Split(cny(60), cny(280)))
    (order,) = said.facts.subscribed.rows
    assert (order.category, order.spent, order.share) == (Category.TOKEN_PLAN, cny(280), Decimal(1))
    assert [part.value for part in order.parts][:1] == ["sfm_tokenplanteams_dp_cn"]
    assert [money for _, money in said.facts.course.daily] == [cny(60)]
    assert [cause.spent for cause in said.facts.course.causes.rows] == [cny(60)]


def test_a_budget_that_counts_something_else_from_now_on_is_judged_anew(rounds: Rounds) -> None:
    ordered(rounds)
    rounds.wanted(None, replace(policy(), counts=Counts.PAY_AS_YOU_GO))
    (said,) = rounds.round(after=timedelta(hours=1))
    assert (said.facts.threshold, said.facts.also, said.facts.earlier) == ("50%", (), None)
    rounds.wanted(None, policy())
    assert rounds.round(after=timedelta(hours=1)) == []


def test_a_refunded_subscription_corrects_what_counts_it_and_nothing_else(rounds: Rounds) -> None:
    finer = FinerBudget("plans", Match(((Dimension.MODEL, "*"),)), Decimal(200), USUAL, Counts.SUBSCRIPTION)
    rounds.wanted(None, replace(policy(), counts=Counts.PAY_AS_YOU_GO, budgets=(finer,)))
    ordered(rounds)
    rounds.bill(FIRST + DAY, row("-150", workspace=LLM_A, charge=REFUNDED))
    (said,) = rounds.round(after=timedelta(hours=1))
    place = "subscription:workspace:llm-a/plans"
    assert (said.type, said.facts.scope.label, said.facts.spend) == ("spend.corrected", place, cny(130))


@pytest.mark.parametrize(
    ("is_running", "health", "age", "trouble"),
    [
        (True, DaemonHealth(NOON, is_daemon=True), timedelta(seconds=40), ""),
        (
            True,
            DaemonHealth(NOON, is_daemon=True),
            timedelta(minutes=9),
            "the daemon runs, but has evaluated nothing since 2026-",
        ),
        (
            True,
            DaemonHealth(NOON, is_daemon=True),
            -timedelta(days=30),
            "the daemon runs, but has evaluated nothing since 2026-",
        ),
        (True, DaemonHealth(NOON, is_daemon=True, trouble="page 7"), timedelta(), "the ledger is not reliable: page 7"),
        (False, DaemonHealth(NOON, is_daemon=True), timedelta(), "the daemon is not running: nothing was read since 2026-"),
        (False, DaemonHealth(NOON, is_daemon=False), timedelta(hours=24), ""),
        (
            False,
            DaemonHealth(NOON, is_daemon=False),
            timedelta(hours=26),
            "the last round of `spendwatch once` was at 2026-",
        ),
        (False, None, timedelta(), ""),
    ],
)
def test_only_a_daemon_that_evaluates_looks_well(
    is_running: bool,  # noqa: FBT001 -- a parameter of the test
    health: DaemonHealth | None,
    age: timedelta,
    trouble: str,
) -> None:
    running = Running(is_running, health, {}, None)
    found = running.trouble(NOON + age, UTC)
    assert found.startswith(trouble)
    assert bool(found) == bool(trouble)


@pytest.mark.parametrize(("width", "shows_both"), [(80, False), (120, False), (160, True)])
def test_no_figure_is_cut_on_a_narrow_screen(rounds: Rounds, width: int, *, shows_both: bool) -> None:
    long = WorkspaceId("llm-demo0a1b2c3d4e5f")
    named = WorkspacePolicy(
        long, "Research and development of everything", budget=Decimal(1_500_000), counts=Counts.PAY_AS_YOU_GO
    )
    rounds.wanted(None, policy(), named)
    for back in range(8):
        orders = [row(amount, workspace=place, charge=ORDERED) for amount, place in (("250000", long), ("300", LLM_A))]
        rounds.bill(FIRST + back * DAY, row("123456.78", workspace=long), *(() if back else orders))
        rounds.round(after=DAY)
    (account,) = rounds.overview().accounts
    screen = Console(width=width, file=StringIO(), soft_wrap=True)
    screen.print(spending_table(account, screen, None))
    shown = str(screen.file.getvalue())  # type: ignore[attr-defined]  # it is the one given
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    figures = ["1,237,654.24", "250,000.00", "1,500,000.00", "65%", "critical", *(["3,703,703"] if width > 80 else [])]
    assert [figure for figure in figures if figure not in shown] == []
    assert ("PAY-AS-YOU-GO" in shown, "987,654.24" in shown) == (shows_both, shows_both)


def test_without_any_bill_nothing_is_known(rounds: Rounds) -> None:
    rounds.wanted(None, policy())
    assert marks(rounds) == (BudgetState.UNKNOWN, BudgetState.UNKNOWN)
    assert rounds.overview().is_stale


def test_an_account_without_any_bill_beside_one_that_has_some_is_no_verdict(rounds: Rounds) -> None:
    other = replace(rounds.policies.accounts[0], account=AccountId("5000000000000003"), name="other", budget=Decimal(100))
    spent(rounds, "10")
    assert not rounds.overview().is_stale
    rounds.policies = rounds.policies._replace(accounts=(*rounds.policies.accounts, other))
    overview = rounds.overview()
    assert overview.is_stale
    assert [account.mark for account in overview.accounts] == [BudgetState.NONE, BudgetState.UNKNOWN]


def test_where_only_an_amount_is_watched_for_its_state_is_shown(rounds: Rounds) -> None:
    rounds.wanted(None, policy(None, (Threshold(amount=Decimal(90)),)))
    spent(rounds, "10")
    assert marks(rounds) == (BudgetState.NONE, BudgetState.OK)
    spent(rounds, "90")
    assert marks(rounds) == (BudgetState.NONE, BudgetState.WARNING)


def test_all_alerts_of_a_budget_are_one_matter_with_the_figures_of_now(rounds: Rounds) -> None:
    spent(rounds, "110")
    (matter,) = rounds.overview().matters
    assert (matter.severity, matter.text) == (Severity.CRITICAL, "llm-a used 110% of CNY 100.00")
    assert (matter.reached, [alert.key.threshold for alert in matter.alerts]) == (
        ("50%", "80%", "100%"),
        ["100%", "80%", "50%"],
    )
    rounds.wanted(None, policy(400))
    (matter,) = rounds.overview().matters
    assert (matter.severity, matter.text) == (Severity.NOTICE, "llm-a is back at 27% of CNY 400.00")
    rounds.wanted(None)
    (matter,) = rounds.overview().matters
    assert matter.text == "llm-a reached 100% of CNY 100.00 in 2026-09: CNY 110.00 spent"


def test_a_forecast_is_said_until_the_budget_is_used_up(rounds: Rounds) -> None:
    rounds.wanted(None, policy(100, (share(100), share(100, is_forecast=True))))
    for back in range(8):
        spent(rounds, "5", FIRST + back * DAY)
        rounds.round(after=DAY)
    (matter,) = rounds.overview().matters
    assert (matter.severity, matter.reached) == (Severity.WARNING, ("forecast 100%",))
    assert matter.text.startswith("llm-a used 40% of CNY 100.00, about CNY 1")
    spent(rounds, "70", FIRST + 8 * DAY)
    (matter,) = rounds.overview().matters
    assert (matter.severity, matter.reached) == (Severity.CRITICAL, ("100%", "forecast 100%"))
    assert matter.text == "llm-a used 110% of CNY 100.00"


def test_floors_and_debt_are_one_matter_before_all_budgets(rounds: Rounds) -> None:
    balance = BalancePolicy(cash=Decimal(100), floors=(Decimal(60), Decimal(30)))
    rounds.wanted(balance, policy())
    rounds.configured()
    spent(rounds, "75")
    low, reached = rounds.overview().matters
    assert (low.severity, low.reached) == (Severity.CRITICAL, ("below 60", "below 30"))
    assert low.text == "acme has CNY 25.00 left, less than CNY 30.00"
    assert reached.text == "llm-a used 75% of CNY 100.00"
    spent(rounds, "40", FIRST + DAY)
    overdue, used_up = rounds.overview().matters
    assert overdue.text == "acme is overdue by CNY 15.00: recharge now"
    assert overdue.reached == ("below 60", "below 30", "overdue")
    assert used_up.severity is Severity.CRITICAL


def test_finer_budgets_stand_beneath_their_workspace_each_with_its_own_state(rounds: Rounds) -> None:
    images = FinerBudget("images", Match(((Dimension.MODEL, "wan*"),)), Decimal(10), USUAL)
    each = FinerBudget("a key", Match(), Decimal(50), USUAL, for_each="api_key")
    rounds.wanted(None, replace(policy(1000), budgets=(images, each)))
    for back in range(8):
        rows = [row("3", workspace=LLM_A, api_key=key, model=model) for key, model in (("1", "wan2.7"), ("2", "qwen-max"))]
        rounds.bill(FIRST + back * DAY, *rows)
        rounds.round(after=DAY)
    (account,) = rounds.overview().accounts
    line = account.workspaces[0]
    found = [(one.name, one.spend, one.used, one.mark, bool(one.forecast)) for one in line.budgets]
    assert found == [
        ("images", cny(24), Decimal("2.4"), BudgetState.CRITICAL, True),
        ("a key 1", cny(24), Decimal("0.48"), BudgetState.OK, True),
        ("a key 2", cny(24), Decimal("0.48"), BudgetState.OK, True),
    ]
    assert (line.mark, line.own) == (BudgetState.CRITICAL, BudgetState.OK)
    document: Any = overview_json(rounds.overview(), ZONE)
    (workspace,) = document["accounts"][0]["workspaces"]
    assert workspace["state"] == "critical"
    assert [(one["scope"], one["spend"], one["state"]) for one in workspace["budgets"]][1:] == [
        ("workspace:llm-a/a key/1", "24", "ok"),
        ("workspace:llm-a/a key/2", "24", "ok"),
    ]


def test_a_workspace_stands_in_the_account_in_which_it_turned_up(rounds: Rounds) -> None:
    other = replace(rounds.policies.accounts[0], account=AccountId("5000000000000003"), name="other")
    rounds.policies = rounds.policies._replace(accounts=(*rounds.policies.accounts, other))
    assert [len(account.workspaces) for account in rounds.overview().accounts] == [1, 1]
    spent(rounds, "10")
    assert [len(account.workspaces) for account in rounds.overview().accounts] == [1, 0]
