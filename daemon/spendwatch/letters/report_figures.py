"""The figures of a scheduled report: each account beside the month before, its workspaces, what it spent on, what fires."""

from __future__ import annotations

from collections.abc import Iterator

from spendwatch.domain.money import EXACT, Money, percent, share_of
from spendwatch.domain.report import Cadence, Report, ReportAccount, ReportLine
from spendwatch.letters.figures import cause_chart
from spendwatch.letters.parts import Entries, Entry, Points, Row, Section, Table, clean
from spendwatch.letters.words import NAME_LENGTH, Words


def report_sections(words: Words, report: Report) -> Iterator[Section]:
    """Yield all figures."""
    phrases = words.phrases
    for account in report.accounts:
        title = clean(account.whole.name, NAME_LENGTH) if len(report.accounts) > 1 else ""
        yield Table(title, tuple(_rows(words, report, account)))
        if account.workspaces:
            yield Entries(phrases.workspaces, tuple(_entry(words, report, line) for line in account.workspaces))
        if account.more:
            yield Points("", (phrases.more_files.format(count=account.more),))
        if account.causes.rows:
            yield cause_chart(words, account.causes, phrases.growth, words.month_named(words.facts.period))


def _rows(words: Words, report: Report, account: ReportAccount) -> Iterator[Row]:
    phrases, whole = words.phrases, account.whole
    yield Row(words.month_named(words.facts.period), words.money(whole.spend), _of_budget(words, whole))
    if whole.before is not None:
        yield Row(words.month_named(report.before), words.money(whole.before))
        if report.cadence is Cadence.MONTHLY:  # of a month that goes on it would say nothing
            yield Row(phrases.change, words.money(whole.spend - whole.before, "+"), _change(whole.spend, whole.before))
    if whole.expected is not None:
        yield Row(phrases.expected, words.money(whole.expected))
    if account.available is not None:
        yield Row(phrases.available, words.money(account.available), phrases.is_overdue if account.available.amount < 0 else "")
    until = words.moment(account.data_until) if account.data_until else phrases.never
    yield Row(phrases.bills_until, until, phrases.out_of_date if account.is_stale else "", is_amount=False)


def _entry(words: Words, report: Report, line: ReportLine) -> Entry:
    phrases = words.phrases
    before = f"{words.month_named(report.before)} {words.money(line.before)}" if line.before is not None else ""
    expected = f"{phrases.expected} {words.money(line.expected)}" if line.expected is not None else ""
    notes = " · ".join(filter(None, (_of_budget(words, line), before, expected)))
    return Entry(clean(line.name, NAME_LENGTH) or phrases.no_workspace, words.money(line.spend), notes)


def _of_budget(words: Words, line: ReportLine) -> str:
    if line.budget is None or line.used is None:
        return ""
    return words.phrases.of_budget.format(budget=words.money(line.budget), used=percent(line.used))


def _change(spend: Money, before: Money) -> str:
    if before.amount <= 0:
        return ""
    grown = share_of(EXACT.subtract(spend.amount, before.amount), before.amount)
    return "" if grown is None else f"{'+' if grown >= 0 else ''}{percent(grown)}"
