"""`check --cases`: plays cases of a file by the configuration, and compares what is said with what they expect."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import click

from spendwatch.app import closing_of
from spendwatch.cli.backtest import Message, messages_of
from spendwatch.cli.dry_run import wording_in
from spendwatch.cli.exits import Exit
from spendwatch.cli.replaying import Balances
from spendwatch.cli.screen import clean, console, print_json, when
from spendwatch.cli.timeline import Timeline
from spendwatch.domain.balance_reading import BalanceReading, Origin, RecordedReading
from spendwatch.domain.count import counted
from spendwatch.domain.merging import Resolution, ResolvedDay
from spendwatch.domain.money import Money
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import AccountPolicy
from spendwatch.domain.scope import BudgetScope
from spendwatch.domain.statement import (
    AccountId,
    DayContent,
    DayKey,
    Digest,
    Identity,
    Kind,
    SourceName,
    SpendRow,
    Statement,
    TaxBasis,
    Version,
    WorkspaceId,
)
from spendwatch.exact_json import json_value
from spendwatch.settings import Settings
from spendwatch.settings.cases import CasePart, ExpectedPart, KnownBalance, SpendPart, account_of, in_zone, load_cases

_LAYOUT = "consumedetailbillv2"
"""Cases are bills of the console."""


class _Outcome(NamedTuple):
    """How what was said until one moment differs from what was expected."""

    at: datetime
    line: int
    missing: Sequence[ExpectedPart]
    unexpected: Sequence[Message]

    @property
    def is_right(self) -> bool:
        """Whether it does not differ."""
        return not self.missing and not self.unexpected


def check_cases(file: Path, settings: Settings, *, as_json: bool) -> Exit:
    """Play every case of the file; show those that end otherwise than expected."""
    cases = load_cases(file, settings)
    found = []
    for number, case in enumerate(cases.cases):
        lines = [cases.line(("cases", number, "moments", place)) for place in range(len(case.moments))]
        found.append((case, cases.line(("cases", number)), list(_played(case, lines, settings))))
    failed = [one for one in found if not all(outcome.is_right for outcome in one[2])]
    if as_json:
        print_json({"schema_version": 1, "file": str(file), "cases": [_json(*one, settings) for one in found]})
    else:
        for case, line, outcomes in failed:
            _print(file, case, line, outcomes, settings)
        as_expected = f"{len(failed)} otherwise than expected" if failed else "all as expected"
        click.echo(f"{file}: {counted(len(found), 'case')}, {as_expected}")
    return Exit.UNEXPECTED if failed else Exit.DONE


def _played(case: CasePart, lines: Sequence[int], settings: Settings) -> Iterator[_Outcome]:
    """Yield how each moment of a case ended that expects anything."""
    first = in_zone(case.moments[0].at, settings)
    with Timeline.opened(settings, first) as timeline:
        bills, readings = _Bills(timeline, settings), dict[AccountId, list[RecordedReading]]()
        source = next(iter(settings.sources), None)
        if source:
            timeline.store.health.looked(source, at=first)
        since = first
        for moment, line in zip(case.moments, lines, strict=True):
            at = in_zone(moment.at, settings)
            timeline.pass_time(at)
            if moment.balance and (policy := account_of(moment.balance.account, settings)):
                readings.setdefault(policy.account, []).append(_reading(moment.balance, policy, at))
            balances = Balances(readings, settings.policies)
            timeline.readings, timeline.policies = balances.at, balances.policies
            if moment.spend:
                bills.enter(moment.spend, at, source or SourceName("import"))
            timeline.round(at)
            said = messages_of(timeline.store.outbox.created(since, since := at + timedelta.resolution))
            if moment.expect is not None:
                yield _Outcome(at, line, *_compared(moment.expect, list(said.values())))


def _reading(known: KnownBalance, policy: AccountPolicy, at: datetime) -> RecordedReading:
    def money(amount: Decimal | None) -> Money | None:
        return None if amount is None else Money(amount, policy.currency)

    is_manual = policy.balance is not None and policy.balance.cash is not None
    plain = BalanceReading(
        policy.account,
        policy.currency,
        Origin.MANUAL if is_manual else Origin.API,
        as_of=at,
        read_at=at,
        cash=money(known.cash),
        credit=None if known.cash is None else money(known.credit),
        reported=money(known.available),
    )
    return RecordedReading(plain, at, at)


class _Bills:
    """The bills of one case: each adds to what is there."""

    def __init__(self, timeline: Timeline, settings: Settings) -> None:
        self._timeline, self._settings = timeline, settings
        self._rows: dict[DayKey, tuple[SpendRow, ...]] = {}
        self._count = 0

    def enter(self, spend: Sequence[SpendPart], at: datetime, source: SourceName) -> None:
        """Enter one bill."""
        self._count += 1
        ledger, version = self._timeline.store.ledger, Version(at)
        keys = []
        for part in spend:
            for key, row in self._lines(part, at):
                self._rows[key] = (*self._rows.get(key, ()), row)
                keys.append(key)
        days = [ResolvedDay.of(key, self._rows[key]) for key in dict.fromkeys(keys)]
        name = f"{self._count}.csv"
        statement = Statement(
            digest=_digest(name),
            layout=_LAYOUT,
            series=_LAYOUT,
            kind=Kind.DELTA,
            tax_basis=TaxBasis.INCLUDED,
            accounts=tuple(sorted({key.account for key in keys})),
            periods=tuple(sorted({key.period for key in keys})),
            lines=len(keys),
            data_until=at,
            exported_at=at,
            version=version,
            days=tuple(DayContent(day.key, _digest(f"{name} {day.key}"), day.lines, Identity.CONTENT, version) for day in days),
        )
        closing = closing_of(self._settings, ledger, at)
        held = ledger.held(statement.months)
        ledger.record(statement, Resolution(days), name=name, source=source, held=held, now=at, closing=closing)
        fresh = {key.account for key in keys if not closing.is_over(key.period)}
        if fresh:
            self._timeline.store.health.bill_came(source, at=at, accounts=fresh)

    def _lines(self, part: SpendPart, at: datetime) -> Iterator[tuple[DayKey, SpendRow]]:
        policy = account_of(part.account, self._settings)
        assert policy is not None  # noqa: S101 -- the file was checked
        first = part.day or at.astimezone(self._settings.zone).date()
        row = SpendRow(
            workspace=WorkspaceId(part.workspace),
            api_key=part.api_key,
            model=part.model,
            type=part.type,
            channel=part.channel,
            safe_mode="",
            region=part.region,
            ends="",
            item=part.item,
            commodity=part.commodity,
            product=part.product,
            owner=policy.account,
            tags=json.dumps(part.tags, sort_keys=True, ensure_ascii=False, separators=(",", ":")) if part.tags else "",
            charge=part.charge,
            currency=policy.currency,
            billed_cost=part.amount,
            lines=1,
        )
        for number in range(((part.until or first) - first).days + 1):
            day = first + timedelta(days=number)
            yield DayKey(policy.account, BillingPeriod(day.year, day.month), _LAYOUT, day), row


def _digest(text: str) -> Digest:
    return Digest(sha256(text.encode()).hexdigest())


def _compared(expected: Sequence[ExpectedPart], said: list[Message]) -> tuple[list[ExpectedPart], list[Message]]:
    """Return what was expected and not said, and what was said and not expected. What says most of itself chooses first."""
    missing = []
    for one in sorted(expected, key=lambda part: -len(part.model_fields_set)):
        if (found := next((message for message in said if _fits(one, message)), None)) is None:
            missing.append(one)
        else:
            said.remove(found)
    return missing, said


def _fits(expected: ExpectedPart, message: Message) -> bool:
    said, facts = message.said, message.said.facts
    scope, labels = facts.scope, (facts.threshold, *facts.also)
    names = {facts.name, facts.account_name, scope.account, scope.label}
    names |= {scope.workspace or "", scope.budget, scope.value} if isinstance(scope, BudgetScope) else {scope.name}
    return (
        expected.alert in {said.type, said.rule.type}
        and expected.about in {None, *names}
        and expected.threshold in {None, *labels}
        and expected.reason in {None, said.reason}
        and expected.severity in {None, said.severity}
        and (expected.channels is None or set(expected.channels) == set(message.copies))
    )


def _print(file: Path, case: CasePart, line: int, outcomes: Sequence[_Outcome], settings: Settings) -> None:
    screen, wording = console(), wording_in(settings.zone)
    screen.print(f"[bold]{clean(str(file))}:{line}: {clean(case.name)}[/]", soft_wrap=True)
    for one in (one for one in outcomes if not one.is_right):
        screen.print(f"  line {one.line}, until {when(one.at, settings.zone)}:")
        for expected in one.missing:
            screen.print(f"    [red]- expected, not sent:[/] {clean(_text(_expected_json(expected)))}", soft_wrap=False)
        for message in one.unexpected:
            said = f"{_text(_said_json(message))} ({when(message.at, settings.zone)}: {wording.subject(message.said)})"
            screen.print(f"    [green]+ sent, not expected:[/] {clean(said)}", soft_wrap=False)


def _text(fields: Mapping[str, object]) -> str:
    """Return fields as the file writes them."""
    shown = ((key, f"[{', '.join(value)}]" if isinstance(value, list) else value) for key, value in fields.items())
    return ", ".join(f"{key}: {value}" for key, value in shown)


def _expected_json(expected: ExpectedPart) -> dict[str, object]:
    return expected.model_dump(mode="json", exclude_unset=True)


def _said_json(message: Message) -> dict[str, object]:
    said = message.said
    told = {"alert": said.type, "about": said.facts.name or said.facts.scope.label, "threshold": said.facts.threshold}
    rest = {"reason": said.reason.value, "severity": said.severity.value, "channels": sorted(message.copies)}
    return {key: value for key, value in (told | rest).items() if value}


def _json(case: CasePart, line: int, outcomes: Sequence[_Outcome], settings: Settings) -> dict[str, object]:
    moments = [
        {
            "at": json_value(one.at, settings.zone),
            "line": one.line,
            "missing": [_expected_json(expected) for expected in one.missing],
            "unexpected": [_said_json(message) for message in one.unexpected],
        }
        for one in outcomes
    ]
    return {"name": case.name, "line": line, "ok": all(one.is_right for one in outcomes), "moments": moments}
