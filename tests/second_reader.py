"""A second reader of decisions: what should have been said of monthly budgets, by the bills and the record alone.

The standard library and plain SQL, and none of the program's own code: what both say must be equal.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import NamedTuple

_PRECISE = 60
_ROUND = timedelta(seconds=30)


class Bill(NamedTuple):
    """An amount that a workspace was charged in the month, and when that came to be known."""

    at: datetime
    workspace: str
    amount: Decimal


class Budget(NamedTuple):
    """What a workspace may spend, and at which shares and amounts somebody is to be told."""

    workspace: str
    budget: Decimal
    thresholds: Sequence[str]
    remind: timedelta | None


class Decision(NamedTuple):
    """One message."""

    at: datetime
    workspace: str
    rule: str
    reason: str
    threshold: str
    also: tuple[str, ...]
    spend: Decimal
    reached_at: Decimal


class RecordedAlert(NamedTuple):
    """What the record says of an alert."""

    workspace: str
    rule: str
    threshold: str
    height: Decimal
    amount: Decimal
    since: datetime
    times_told: int


def height_of(threshold: str, budget: Decimal) -> Decimal:
    """Return at which amount a threshold is reached."""
    with localcontext(prec=_PRECISE):
        return budget * Decimal(threshold.removesuffix("%")) / 100 if threshold.endswith("%") else Decimal(threshold)


@dataclass(slots=True)
class _Course:
    """One budget as the month goes on."""

    budget: Budget
    spend: Decimal = Decimal(0)
    known: dict[str, Decimal] = field(default_factory=dict)
    """The thresholds that were ever reached, each with its amount."""
    told: dict[str, Decimal] = field(default_factory=dict)
    """Those that a message was about."""
    fallen: set[str] = field(default_factory=set)
    last: datetime | None = None

    def take(self, bill: Bill) -> list[Decision]:
        """Return what is to be said once this bill is known; a reminder that has become due only if there is nothing else."""
        with localcontext(prec=_PRECISE):
            self.spend += bill.amount
        return [*self._reached(bill.at), *self._fallen(bill.at)] or self.remind(bill.at + _ROUND, since=bill.at)

    def _reached(self, at: datetime) -> Iterator[Decision]:
        levels = sorted((height_of(one, self.budget.budget), one) for one in self.budget.thresholds)
        new = [(height, one) for height, one in levels if self.spend >= height and one not in self.known]
        if not new:
            return
        height, highest = new[-1]
        is_news = all(told < height for told in self.told.values())
        self.known |= {one: amount for amount, one in new}
        if is_news:
            self.told[highest], self.last = height, at
            also = tuple(one for _, one in reversed(new[:-1]))
            yield self._said(at, "fired", highest, height, also=also)

    def _fallen(self, at: datetime) -> Iterator[Decision]:
        below = sorted(((height, one) for one, height in self.told.items() if self.spend < height), reverse=True)
        if below and below[0][1] not in self.fallen:
            height, highest = below[0]
            self.fallen.add(highest)
            yield self._said(at, "fired", highest, height, rule="spend.corrected")

    def remind(self, until: datetime, *, since: datetime | None = None) -> list[Decision]:
        """Return the reminders that are due before that moment: of the highest threshold that was reached, while it is."""
        found: list[Decision] = []
        if self.budget.remind and self.known and self.last:
            height, highest = max((height, one) for one, height in self.known.items())
            while self.spend >= height and (due := self.last + self.budget.remind) < until:
                self.last = max(due, since or due)
                found.append(self._said(self.last, "repeated", highest, height))
        return found

    def _said(
        self,
        at: datetime,
        reason: str,
        threshold: str,
        height: Decimal,
        *,
        rule: str = "spend.threshold_reached",
        also: tuple[str, ...] = (),
    ) -> Decision:
        return Decision(at, self.budget.workspace, rule, reason, threshold, also, self.spend, height)


def expected(budgets: Iterable[Budget], bills: Iterable[Bill], until: datetime) -> list[Decision]:
    """Return everything that is to be said of these budgets up to that moment."""
    courses = {budget.workspace: _Course(budget) for budget in budgets}
    found: list[Decision] = []
    for bill in bills:
        for course in courses.values():
            found += course.remind(bill.at)
        found += courses[bill.workspace].take(bill)
    for course in courses.values():
        found += course.remind(until)
    return sorted(found)


# --- the record


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _workspace(scope: str) -> str:
    return scope.removeprefix("workspace:")


def decisions_on_record(ledger: Path, rules: Sequence[str]) -> list[Decision]:
    """Return what was said of these rules, by the figures that were stored with it."""
    with sqlite3.connect(ledger) as connection:
        rows = connection.execute(
            "SELECT n.created_at, a.scope, n.body FROM notification n JOIN alert a ON a.id = n.alert"
        ).fetchall()
    connection.close()
    return sorted(
        _decision(_moment(at), scope, json.loads(body)) for at, scope, body in rows if json.loads(body)["rule"] in rules
    )


def _decision(at: datetime, scope: str, body: Mapping[str, object]) -> Decision:
    facts = body["facts"]
    assert isinstance(facts, dict)
    return Decision(
        at,
        _workspace(scope),
        str(body["rule"]),
        str(body["reason"]),
        facts["threshold"],
        tuple(facts.get("also", ())),
        Decimal(facts["spend"]["amount"]),
        Decimal(facts["reached_at"]["amount"]),
    )


def alerts_on_record(ledger: Path, rule: str) -> list[RecordedAlert]:
    """Return the alerts of a rule."""
    with sqlite3.connect(ledger) as connection:
        rows = connection.execute(
            "SELECT scope, rule, threshold, height, amount, since, times_told FROM alert WHERE rule = ? ORDER BY id", (rule,)
        ).fetchall()
    connection.close()
    return [
        RecordedAlert(_workspace(scope), kind, threshold, Decimal(height), Decimal(amount), _moment(since), times)
        for scope, kind, threshold, height, amount, since, times in rows
    ]


def complaints(budgets: Sequence[Budget], bills: Sequence[Bill], ledger: Path) -> list[str]:
    """Return what the record says otherwise than bills and budgets do: what was reached, at which amount, how often told."""
    found: list[str] = []
    mine = {budget.workspace: budget for budget in budgets}
    told = [one for one in decisions_on_record(ledger, ("spend.threshold_reached",)) if one.workspace in mine]
    alerts = alerts_on_record(ledger, "spend.threshold_reached")
    if len({(one.workspace, one.threshold) for one in alerts}) != len(alerts):
        found.append("a threshold has two alerts")
    for alert in alerts:
        budget = mine[alert.workspace]
        spent = sum((bill.amount for bill in bills if bill.workspace == alert.workspace and bill.at <= alert.since), Decimal(0))
        times = sum(one.workspace == alert.workspace and one.threshold == alert.threshold for one in told)
        if alert.height != height_of(alert.threshold, budget.budget):
            found.append(f"{alert}: its amount is not that of the policy")
        if not alert.amount == spent >= alert.height:
            found.append(f"{alert}: {spent} were spent then")
        if alert.times_told != times:
            found.append(f"{alert}: told {times} times")
    for budget in budgets:
        highest, total = Decimal(0), Decimal(0)
        for bill in bills:
            total += bill.amount if bill.workspace == budget.workspace else 0
            highest = max(highest, total)
        reached = {one for one in budget.thresholds if height_of(one, budget.budget) <= highest}
        if reached != {one.threshold for one in alerts if one.workspace == budget.workspace}:
            found.append(f"{budget}: {sorted(reached)} were reached")
    return found
