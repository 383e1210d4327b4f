"""Sends the reports that are due: the figures of `status`, the month beside the month before."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from spendwatch.domain.alert import AlertId, AlertState, Rule
from spendwatch.domain.causes import TELLING, splitting_of
from spendwatch.domain.delivery import Cadence, NotificationId, Reason, Schedule
from spendwatch.domain.digest import text_digest
from spendwatch.domain.money import plain
from spendwatch.domain.notification import Facts, Notification
from spendwatch.domain.period import BillingPeriod, closes_at
from spendwatch.domain.policy import ChannelName, Severity, Watch
from spendwatch.domain.report import LATE, Report, ReportAccount, ReportLine
from spendwatch.domain.review import Verdict
from spendwatch.domain.routing import in_short
from spendwatch.domain.scope import BudgetScope, Dimension
from spendwatch.domain.standing import SpendSum
from spendwatch.jobs.conditions import Surroundings
from spendwatch.jobs.matters import MatterLine
from spendwatch.jobs.overview import AccountOverview, Overview, WorkspaceLine, look
from spendwatch.jobs.ports import AlertBook, Balances, Health, Ledger

_MOST = 20
"""Workspaces of an account in a report; the attached table has all."""
_COLUMNS = ("account", "account_name", "workspace", "workspace_name", "model", "currency", "spend", "lines")


@dataclass(frozen=True, slots=True)
class Reports:
    """Makes reports, and what that takes."""

    ledger: Ledger
    book: AlertBook
    health: Health
    balances: Balances
    around: Surroundings
    guard: Callable[[str], str]
    """Makes a text safe for spreadsheets."""
    page: Callable[[BillingPeriod, ChannelName], str] = lambda *_: ""
    """Makes the page of a month that is attached for such a channel; empty where it takes none."""

    def send(self, now: datetime) -> int:
        """Commit every report that is due and not on record; return how many deliveries are new. Each is sent once.

        What was due while nothing ran is sent later, up to a day, and what is due amid an import at its end.
        """
        if self.around.is_amid:
            return 0
        if not (due := [one for one in self._due(now) if not self.book.is_on_record(one[0])]):
            return 0
        with self.ledger.snapshot():  # a bill that is recorded meanwhile is in none of the figures, or in all
            reports = {(schedule.cadence, at): self._report(schedule, at, now) for _, _, schedule, at in due}
        said = [
            _said(name, channel, self._with_page(reports[schedule.cadence, at], channel), at, now)
            for name, channel, schedule, at in due
        ]
        return self.book.commit(Verdict((), tuple(said)), self.around.targets, now=now)

    def _due(self, now: datetime) -> Iterator[tuple[NotificationId, ChannelName, Schedule, datetime]]:
        for channel, route in self.around.routes.items():
            for schedule in route.reports:
                at = schedule.latest(now, self.around.zone)
                if at and now - at < LATE:
                    content = f"report\x1f{channel}\x1f{schedule.cadence}\x1f{at.isoformat()}"
                    yield NotificationId(text_digest(content)[:24]), channel, schedule, at

    def _report(self, schedule: Schedule, at: datetime, now: datetime) -> Facts:
        zone, policies, is_monthly = self.around.zone, self.around.policies, schedule.cadence is Cadence.MONTHLY
        current = BillingPeriod.containing(now, zone)
        period = BillingPeriod.containing(at, zone).previous() if is_monthly else current
        seen, before = self._look(period, now), self._look(period.previous(), now)
        earlier = {one.account: one for one in before.accounts}
        spent = self.ledger.spend(period, (Dimension.ACCOUNT, *TELLING), products=policies.products)
        report = Report(
            cadence=schedule.cadence,
            due=at,
            before=period.previous().label,
            is_final=closes_at(period, zone, final_on=policies.month_final_on) <= now,
            accounts=tuple(self._account(one, earlier.get(one.account), spent) for one in seen.accounts),
            csv=self._table(period) if is_monthly else "",
        )
        told = (self._told(line) for line in seen.matters[:_MOST])
        until = [one.data_until for one in report.accounts if one.data_until]
        return Facts(
            name=", ".join(one.whole.name for one in report.accounts),
            period=period.label,
            report=report,
            members=tuple(one for one in told if one),
            more=len(seen.matters[_MOST:]),
            data_until=min(until, default=None),
        )

    def _with_page(self, facts: Facts, channel: ChannelName) -> Facts:
        if facts.report is None or facts.report.cadence is not Cadence.MONTHLY:
            return facts
        return replace(facts, report=replace(facts.report, html=self.page(BillingPeriod.parse(facts.period), channel)))

    def _told(self, line: MatterLine) -> Notification | None:
        """Return what was last said of the gravest of these alerts that has a message of its own, as grave as it is now."""
        said = (self.book.notifications_of(alert.id) for alert in line.alerts)
        last = next((each[-1] for each in said if each), None)
        return replace(last, severity=line.severity, facts=in_short(last.facts)) if last else None

    def _look(self, period: BillingPeriod, now: datetime) -> Overview:
        around = self.around
        return look(
            self.ledger, self.book, self.health, around.policies, around.stale_after,
            zone=around.zone, now=now, period=period, balances=self.balances,
        )  # fmt: skip

    def _account(self, one: AccountOverview, before: AccountOverview | None, spent: Sequence[SpendSum]) -> ReportAccount:
        earlier = {line.workspace: line for line in before.workspaces} if before else {}
        lines = [_line(line, earlier.get(line.workspace)) for line in one.workspaces if line.spend.amount or line.budget]
        policies = self.around.policies
        watch = Watch(BudgetScope(one.account), one.name, one.currency, None, (), ())
        mine = [row for row in spent if row.values[Dimension.ACCOUNT] == one.account and row.currency == one.currency]
        return ReportAccount(
            account=one.account,
            whole=_line(one, before),
            workspaces=tuple(lines[:_MOST]),
            more=len(lines[_MOST:]),
            available=one.balance.available if one.balance else None,
            data_until=one.data_until,
            is_stale=bool(one.silence) or one.data_until is None,
            causes=splitting_of(watch, policies.names, policies.products).of(mine, enough=Decimal(0)),
        )

    def _table(self, period: BillingPeriod) -> str:
        """Return the month by workspace and model as CSV."""
        names, dimensions = self.around.policies.names, (Dimension.ACCOUNT, Dimension.WORKSPACE, Dimension.MODEL)
        written = io.StringIO()
        writer = csv.writer(written, lineterminator="\r\n")
        writer.writerow(_COLUMNS)
        sums = self.ledger.spend(period, dimensions, products=self.around.policies.products)
        for row in sorted(sums, key=lambda row: [row.values[one] for one in dimensions]):
            account, workspace, model = (row.values[one] for one in dimensions)
            called = names.of(Dimension.ACCOUNT, account), names.of(Dimension.WORKSPACE, workspace)
            cells = map(self.guard, (account, called[0], workspace, called[1], model))
            writer.writerow((*cells, row.currency, plain(row.amount), row.lines))
        return written.getvalue()


def _line(one: AccountOverview | WorkspaceLine, before: AccountOverview | WorkspaceLine | None) -> ReportLine:
    name = one.name or (one.workspace if isinstance(one, WorkspaceLine) else one.account)
    likely = one.forecast.likely if one.forecast else None
    earlier = before.spend if before and before.spend.currency == one.spend.currency else None
    return ReportLine(name, one.spend, earlier, one.budget, one.used, likely)


def _said(name: NotificationId, channel: ChannelName, facts: Facts, due: datetime, now: datetime) -> Notification:
    return Notification(
        id=name,
        alert=AlertId(f"report-{name}"),
        rule=Rule.REPORT,
        reason=Reason.DIGEST,
        severity=Severity.NOTICE,
        state=AlertState.FIRING,
        since=due,
        created_at=now,
        channels=(channel,),
        facts=facts,
    )
