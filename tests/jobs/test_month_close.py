"""Round by round: the final figures of a month are reported once, to whoever wants them."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from rounds_builder import FINANCE, OPS, ZONE, Rounds, cny
from spendwatch.domain.notification import Notification
from spendwatch.domain.period import BillingPeriod, PeriodClose
from spendwatch.domain.policy import WorkspacePolicy
from spendwatch.domain.scope import BudgetScope
from spendwatch.domain.statement import WorkspaceId
from spendwatch.letters.language import Language
from spendwatch.letters.wording import Wording
from spendwatch.store.database import Database
from store_builders import ACME, row

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CLOSED = datetime(2026, 10, 4, 16, 0, tzinfo=UTC)
"""The end of the 4th in the billing zone: September is final."""
RESEARCH = WorkspacePolicy(WorkspaceId("llm-a"), "Research", budget=Decimal(400), channels=(OPS,))


def watching(database: Database, *workspaces: WorkspacePolicy, **account: object) -> Rounds:
    """Return rounds after August and September, each day of which cost 10, and 12."""
    rounds = Rounds(database, None, workspaces, account)
    for month, amount in ((8, "10"), (9, "12")):
        rounds.bills([(date(2026, month, day), amount) for day in range(1, monthrange(2026, month)[1] + 1)])
    rounds.bill(date(2026, 10, 1), "12")
    rounds.now = CLOSED - HOUR
    return rounds


def closed(said: list[Notification]) -> list[Notification]:
    return [one for one in said if one.type == "month.closed"]


def test_the_final_figures_are_reported_once_when_the_month_becomes_final(database: Database) -> None:
    rounds = watching(database, RESEARCH, month_closed=(FINANCE,), budget=Decimal(1000))
    assert closed(rounds.round()) == []
    (said,) = closed(rounds.round(after=HOUR))
    assert (said.facts.scope, said.facts.period, said.channels) == (BudgetScope(ACME), "2026-09", (FINANCE,))
    found = said.facts.closed
    assert found
    assert [(one.name, one.spend, one.before) for one in found.figures] == [
        ("acme", cny(360), cny(310)),
        ("Research", cny(360), cny(310)),
    ]
    assert (found.figures[1].budget, said.facts.used, found.ends_on) == (cny(400), Decimal("0.36"), None)
    assert rounds.round(after=DAY) == []
    assert [alert for alert in rounds.book.known() if alert.is_firing and alert.key.rule.value == "month.closed"] == []
    assert rounds.round(after=5 * DAY) == []


def test_the_forecast_is_checked_by_the_days_on_record(database: Database) -> None:
    rounds = watching(database, month_closed=(FINANCE,))
    (said,) = closed(rounds.round(after=HOUR))
    assert said.facts.closed
    first, second = said.facts.closed.forecasts
    assert (first.through, first.spent, second.through, second.spent) == (
        date(2026, 9, 10),
        cny(120),
        date(2026, 9, 20),
        cny(240),
    )
    assert cny(330) < first.likely < cny(365)
    assert second.likely == cny(360)
    assert "Up to day 10" in Wording(Language.EN, ZONE).text(said)


def test_a_late_change_of_an_earlier_month_is_listed(database: Database) -> None:
    rounds = watching(database, month_closed=(FINANCE,))
    rounds.now = CLOSED - 20 * DAY
    final = PeriodClose({BillingPeriod(2026, 8): CLOSED - 30 * DAY}, ("sfm",))
    rounds.bill(date(2026, 8, 31), row("40"), told="20260914000000", closing=final)
    rounds.now = CLOSED
    (said,) = closed(rounds.round())
    assert said.facts.closed
    assert said.facts.closed.corrections == (("2026-08", cny(310), cny(340)),)


def test_bills_that_stop_before_the_end_of_the_month_are_named(database: Database) -> None:
    rounds = Rounds(database, None, (), {"month_closed": (FINANCE,)})
    rounds.bills([(date(2026, 9, day), "12") for day in range(1, 21)])
    rounds.now = CLOSED
    (said,) = closed(rounds.round())
    assert said.facts.closed
    assert said.facts.closed.ends_on == date(2026, 9, 21)
    assert "The bills on record end on 2026-09-21" in Wording(Language.EN, ZONE).text(said)


@pytest.mark.parametrize(("channels", "scopes"), [((FINANCE,), [None]), ((OPS,), [None, "llm-a"])])
def test_a_workspace_has_a_message_of_its_own_for_others_than_those_of_the_account(
    database: Database, channels: tuple[str, ...], scopes: list[str | None]
) -> None:
    rounds = watching(database, replace(RESEARCH, month_closed=channels), month_closed=(FINANCE,))  # type: ignore[arg-type]
    said = closed(rounds.round(after=HOUR))
    assert [one.facts.scope.workspace for one in said if isinstance(one.facts.scope, BudgetScope)] == scopes


def test_a_month_that_was_final_long_ago_or_has_no_bill_is_no_news(database: Database) -> None:
    rounds = watching(database, month_closed=(FINANCE,))
    assert closed(rounds.round(after=8 * DAY)) == []
    rounds.now = CLOSED.replace(month=12)
    assert closed(rounds.round()) == []
