"""The figures of a scheduled report: each account beside the month before, its workspaces, what it spent on, what fires."""

from __future__ import annotations

from collections.abc import Iterator

from spendwatch.domain.delivery import Cadence
from spendwatch.domain.money import percent
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.report import Report, ReportAccount, ReportLine
from spendwatch.letters.charts import cause_chart, change
from spendwatch.letters.parts import Points, Row, Section, Table, clean
from spendwatch.letters.reader import NAME_LENGTH
from spendwatch.letters.words import Words


def report_sections(words: Words, report: Report) -> Iterator[Section]:
    """Yield all figures."""
    text, before = words.text, words.month(BillingPeriod.parse(report.before))
    for account in report.accounts:
        title = clean(account.whole.name, NAME_LENGTH) if len(report.accounts) > 1 else ""
        yield Table(title, tuple(_rows(words, report, account, before)))
        if account.workspaces:
            yield Table(text("workspaces"), tuple(_line(words, line, before) for line in account.workspaces), "messages")
        if account.more:
            yield Points("", (text("more", count=account.more),))
        if account.causes.rows:
            yield cause_chart(words, account.causes, words.month_name)


def _rows(words: Words, report: Report, account: ReportAccount, before: str) -> Iterator[Row]:
    text, whole = words.text, account.whole
    yield Row(words.month_name, words.money(whole.spend), _of_budget(words, whole))
    if whole.before is not None:
        yield Row(before, words.money(whole.before))
        if report.cadence is Cadence.MONTHLY:  # of a month that goes on it would say nothing
            yield from words.row("change", whole.spend - whole.before, change(whole.spend, whole.before), plus="+")
    yield from words.row("expected", whole.expected)
    is_overdue = account.available is not None and account.available.amount < 0
    yield from words.row("available", account.available, text("is_overdue") if is_overdue else "")
    until = words.moment(account.data_until) if account.data_until else text("never")
    yield Row(text("bills_until"), until, text("out_of_date") if account.is_stale else "", is_amount=False)


def _line(words: Words, line: ReportLine, before: str) -> Row:
    text = words.text
    earlier = f"{before} {words.money(line.before)}" if line.before is not None else ""
    expected = f"{text('expected')} {words.money(line.expected)}" if line.expected is not None else ""
    notes = " · ".join(filter(None, (_of_budget(words, line), earlier, expected)))
    return Row(clean(line.name, NAME_LENGTH) or text("no_workspace"), words.money(line.spend), notes)


def _of_budget(words: Words, line: ReportLine) -> str:
    if line.budget is None or line.used is None:
        return ""
    return words.text("of_budget", budget=words.money(line.budget), used=percent(line.used))
