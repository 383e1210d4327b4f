"""The table of states in ARCHITECTURE.md, and what the judgement does: each row of one is in the other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import product

import pytest

from domain_builders import ACME, FINANCE, NOW, Book
from folders import REPOSITORY
from spendwatch.domain.alert import Acknowledgement, Alert, AlertKey, AlertState, Rule, alert_id
from spendwatch.domain.notification import Facts
from spendwatch.domain.policy import ChannelName, Escalation, Severity
from spendwatch.domain.review import Condition, Verdict, expire, review_conditions
from spendwatch.domain.scope import BudgetScope

DAY = timedelta(days=1)
LIVES = {
    "episodic": AlertKey(Rule.BALANCE_LOW, BudgetScope(ACME), "500"),
    "of a period": AlertKey(Rule.THRESHOLD_REACHED, BudgetScope(ACME), "80%", "2026-09", "800"),
    "one-shot": AlertKey(Rule.LATE, BudgetScope(ACME), "abc"),
}
STATES = ("none", "firing", "escalated", "acknowledged", "resolved", "lapsed")
EVENTS = (
    "it holds",
    "it holds, and a graver one of its group fires",
    "it holds, and `remind` has passed",
    "it holds, and `escalate` has passed",
    "it does not hold",
    "the configuration ends it",
    "it is over or no longer watched",
)
OTHERS = (ChannelName("boss"),)
Transitions = dict[tuple[str, str, str], tuple[str, str]]


def condition(key: AlertKey, event: str) -> Condition:
    """Return the condition as it is when that happens."""
    return Condition(
        key=key,
        holds=event.startswith("it holds"),
        severity=Severity.WARNING,
        summary="",
        facts=Facts(),
        channels=(FINANCE,),
        group="one",
        remind=DAY if "`remind`" in event else None,
        escalate=Escalation(DAY, OTHERS) if "`escalate`" in event else None,
        lapses=event == "the configuration ends it",
    )


def in_state(key: AlertKey, state: str) -> Book:
    """Return a book in which the alert of that key is in that state, since a day."""
    book, begun = Book(), Alert(alert_id(key, 1), key, 1, Severity.WARNING, AlertState.FIRING, NOW)
    fired = begun.told_again("", NOW)
    over = fired._replace(state=AlertState.RESOLVED, resolved_at=NOW)
    alerts = {"escalated": fired._replace(escalated_at=NOW), "resolved": over, "lapsed": over._replace(lapsed=True)}
    if state != "none":
        book.enter(Verdict((alerts.get(state, fired),)))
    if state == "acknowledged":
        book.acknowledgements = [Acknowledgement(fired.id, "li", NOW)]
    book.now = NOW + DAY
    return book


def state_of(book: Book, key: AlertKey) -> str:
    alert = book.known().latest(key)
    if alert is None or not alert.is_firing:
        return "none" if alert is None else "lapsed" if alert.lapsed else "resolved"
    return (
        "acknowledged" if book.known().acknowledged(key.matter, book.now) else "escalated" if alert.escalated_at else "firing"
    )


def after(key: AlertKey, state: str, event: str) -> tuple[str, str]:
    """Return the state in which it is then, and how it is told."""
    book = in_state(key, state)
    before = set(book.alerts)
    conditions = [] if event == EVENTS[-1] else [condition(key, event)]
    if "graver" in event:
        conditions.append(condition(key._replace(threshold="0", height="1000"), "it holds")._replace(grave=1))
    verdict = review_conditions(conditions, book.known(), now=book.now)
    verdict += expire(book.known(), conditions, frozenset(), now=book.now) if not conditions else Verdict()
    book.enter(verdict)
    mine = {alert.id for alert in book.alerts.values() if alert.key == key}
    told = [one.reason.value for one in verdict.notifications if one.alert in mine]
    again = ", a new episode" if before and mine - before else ""
    return state_of(book, key) + again, told[0] if told else "none"


def observed() -> Transitions:
    """Return what happens in each state at each event, as far as anything does."""
    found = {}
    for life, state, event in product(LIVES, STATES, EVENTS):
        then, told = after(LIVES[life], state, event)
        if then != state or told != "none":
            found[life, state, event] = then, told
    return found


def written() -> Iterator[tuple[tuple[str, str, str], tuple[str, str]]]:
    """Yield the rows of the table; a row may be of several lives, states and events."""
    text = (REPOSITORY / "daemon" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = text.partition("## States of an alert")[2].partition("\n## ")[0].splitlines()
    for row in (row for row in rows if row.startswith("| ") and not row.startswith("| life ")):
        lives, states, events, then, told = (cell.strip() for cell in row.strip("| ").split(" | "))
        for life, state, event in product(
            LIVES if lives == "all" else lives.split("; "), states.split("; "), events.split("; ")
        ):
            yield (life, state, event), (state if then == "the same" else then, told)


def test_what_the_table_says_happens_and_nothing_else_does() -> None:
    rows = list(written())
    table = dict(rows)
    assert len(table) == len(rows), "a transition is written twice"
    happens = observed()
    assert {place for place in table if place not in happens} == set(), "written, and does not happen"
    assert {place: then for place, then in happens.items() if place not in table} == {}, "happens, and is not written"
    assert table == happens


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("life", LIVES)
def test_each_state_is_as_it_is_called(life: str, state: str) -> None:
    assert state_of(in_state(LIVES[life], state), LIVES[life]) == state
