"""`explain --why-not`: why nothing was said, by the figures of now beside everything that would have been told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from spendwatch.cli.exits import Exit
from spendwatch.cli.options import refuse
from spendwatch.cli.screen import age_text, clean, console, marked, print_json, table, when
from spendwatch.domain.alert import Alert, AlertKey, AlertsKnown, Rule
from spendwatch.domain.count import counted
from spendwatch.domain.delivery import DeliveryState
from spendwatch.domain.errors import printable
from spendwatch.domain.forecast import Forecast, Runway
from spendwatch.domain.forecast_alerts import false_before, not_reached, sure_from
from spendwatch.domain.health import Freshness
from spendwatch.domain.money import Money, in_cents, percent, plain, shown
from spendwatch.domain.period import BillingPeriod, duration_label, month_of, open_periods
from spendwatch.domain.policy import AccountPolicy, threshold_text
from spendwatch.domain.run_rate import TooEarly, TooOld
from spendwatch.domain.scope import MATCHABLE, BudgetScope, Dimension
from spendwatch.domain.spike import FEWEST_DAYS, UsualSpend, usual_spend
from spendwatch.domain.standing import Level, Picking, SpendSum, Standing, levels_of
from spendwatch.domain.statement import AccountId
from spendwatch.domain.suggestions import suggestion
from spendwatch.exact_json import json_fields, json_value
from spendwatch.jobs.balances import Scanned, runway, survey
from spendwatch.jobs.days_and_weeks import worst_now
from spendwatch.jobs.insight import Insight
from spendwatch.jobs.ledger_view import LedgerView
from spendwatch.jobs.run_rates import RunRates, forecast
from spendwatch.jobs.standings import stand
from spendwatch.settings import Settings
from spendwatch.state import Store, opened_store, system_clock
from spendwatch.views.moments import channel_notes

_ARRIVALS = {DeliveryState.DELIVERED: "arrived", DeliveryState.DEAD: "failed", DeliveryState.CANCELLED: "cancelled"}
_BY = (Dimension.ACCOUNT, Dimension.WORKSPACE, Dimension.PRODUCT, Dimension.CHARGE, *MATCHABLE, Dimension.TAGS)


class _Line(NamedTuple):
    """One thing that would have been told, and why it was not, or when it was."""

    rule: Rule
    point: str
    state: str
    """sent, covered, due, not reached, too early, too old."""
    why: str
    alert: str = ""


@dataclass(slots=True)
class _Part:
    """What is watched together: one budget, or one balance."""

    title: str
    lines: list[_Line] = field(default_factory=list)


class _Now(NamedTuple):
    """Everything that is known now."""

    settings: Settings
    store: Store
    now: datetime
    known: AlertsKnown
    month: BillingPeriod
    standings: Sequence[Standing]
    spent: Sequence[SpendSum]
    """Everything that is charged this month, all products."""
    paces: RunRates
    balances: Scanned
    fresh: Freshness
    last: Mapping[AccountId, datetime]

    @classmethod
    def of(cls, settings: Settings, store: Store) -> _Now:
        now, policies, zone = system_clock(), settings.policies, settings.zone
        insight, month = Insight(), BillingPeriod.containing(now, zone)
        with LedgerView.opened(store.ledger, insight.kept) as view:
            known = AlertsKnown(store.book.known(), store.book.acknowledgements())
            of_month = stand(view, policies, month, known.scopes(month.label))
            insight.paces.look(view, policies, [one.watch for one in of_month], zone)
            periods = open_periods(now, zone, final_on=policies.month_final_on)
            balances = survey(policies, view, store.balances, insight.paces, periods, zone=zone, now=now)
            spent = store.ledger.spend(month, _BY)
            standings = (*of_month, *worst_now(view, policies, now))
            fresh = Freshness(now, settings.stale_after, store.health.account_bills())
        last = {one.account: one.last_bill_at for one in sorted(fresh.bills, key=lambda one: one.last_bill_at)}
        return cls(settings, store, now, known, month, standings, spent, insight.paces, balances, fresh, last)

    def when(self, moment: datetime | None) -> str:
        """Return a time for people."""
        return when(moment, self.settings.zone)


def explain_why_not(settings: Settings, asked: str, rule: str | None, *, as_json: bool) -> Exit:
    """Show why nothing was sent about what is called so: a workspace, an account, an API key, a finer budget."""
    with opened_store(settings, read_only=True) as store:
        now = _Now.of(settings, store)
        parts, notes = _parts(now, asked)
        if rule is not None:
            kept = [_Part(one.title, [line for line in one.lines if line.rule.type == rule]) for one in parts]
            parts = [one for one in kept if one.lines] or kept[:1]
        notes += _general(now)
    if as_json:
        print_json({"schema_version": 1, "asked": asked, "as_of": json_value(now.now, settings.zone)} | _json(parts, notes))
        return Exit.DONE
    screen = console()
    for part in parts:
        screen.print(f"[bold]{clean(part.title)}[/]", soft_wrap=False)
        rows = [(clean(one.point), one.state, clean(one.why)) for one in part.lines]
        screen.print(table(("WATCHED FOR", "STATE", "WHY"), rows, wraps="WHY") if rows else "  nothing of that is watched for")
        screen.print()
    for note in notes:
        screen.print(marked("warning", screen, clean(note)), soft_wrap=False)
    return Exit.DONE


def _json(parts: Iterable[_Part], notes: Sequence[str]) -> dict[str, object]:
    def line(one: _Line) -> dict[str, object]:
        said = {"state": one.state.replace(" ", "_"), "why": one.why, "alert": one.alert or None}
        return json_fields(one, rule="rule.type", at="point") | said

    return {"watched": [{"what": one.title, "points": list(map(line, one.lines))} for one in parts], "notes": list(notes)}


# --- what is meant


def _parts(now: _Now, asked: str) -> tuple[list[_Part], list[str]]:
    """Return what is watched under that name, and what else there is to say; what nobody knows is a mistake."""
    names, policies = now.settings.policies.names, now.settings.policies
    wanted = {asked.casefold()} | {
        value.casefold() for (_, value), name in names.known.items() if name.casefold() == asked.casefold()
    }
    accounts = [one for one in policies.accounts if not wanted.isdisjoint({one.account.casefold(), one.name.casefold()})]
    ids = {one.account for one in accounts}
    mine = [
        one
        for one in now.standings
        if not wanted.isdisjoint(_names(one)) or (one.watch.scope.is_whole_account and one.watch.scope.account in ids)
    ]
    rows = [one for one in now.spent if not wanted.isdisjoint(_values(one))]
    notes = _outside(now, [*rows, *(one for one in now.spent if one.values[Dimension.ACCOUNT] in ids)])
    if not mine and not accounts and rows:
        mine = list(_counted_by(now, rows))
        notes.insert(0, _unwatched(now, asked, rows, mine))
    parts = [_of_budget(now, one) for one in mine] + [_of_balance(now, one) for one in accounts]
    if not parts and not rows:
        _unknown(now, asked)
    billed = sorted({*ids, *(one.watch.scope.account for one in mine)})
    parts += [_Part(f"Bills of {names.label(Dimension.ACCOUNT, one)}", [_silence(now, one)]) for one in billed]
    return parts, notes


def _names(one: Standing) -> set[str]:
    scope = one.watch.scope
    names = (
        {scope.workspace or "", one.watch.name, scope.budget, scope.value}
        if scope.workspace or scope.budget
        else {one.watch.name}
    )
    return {name.casefold() for name in names if name}


def _values(one: SpendSum) -> set[str]:
    return {one.values[name].casefold() for name in (Dimension.WORKSPACE, Dimension.API_KEY, Dimension.MODEL)} - {""}


def _unknown(now: _Now, asked: str) -> None:
    known = {one.watch.name for one in now.standings} | {one.name for one in now.settings.accounts}
    known |= {one.workspace for one in now.settings.policies.workspaces} | {
        one.name for one in now.settings.policies.workspaces
    }
    known |= {value for one in now.spent for value in (one.values[Dimension.WORKSPACE], one.values[Dimension.API_KEY])}
    refuse(
        f"no policy and no bill of {now.month.label} names {printable(asked)}; {suggestion(asked, known - {''})}", "--why-not"
    )


def _counted_by(now: _Now, rows: Iterable[SpendSum]) -> Iterator[Standing]:
    """Yield the budgets that count any of these charges."""
    picking = Picking(one.watch for one in now.standings)
    products = now.settings.policies.products
    counting = {watch.scope for row in rows if row.values[Dimension.PRODUCT] in products for watch in picking.of(row.values)}
    return (one for one in now.standings if one.watch.scope in counting and (one.watch.budget or one.watch.thresholds))


def _unwatched(now: _Now, asked: str, rows: Sequence[SpendSum], counting: Sequence[Standing]) -> str:
    total = _sum(rows)
    if any(row.values[Dimension.WORKSPACE] == asked for row in rows):
        near = suggestion(asked, [one.workspace for one in now.settings.policies.workspaces])
        how = f"no file in workspaces/ has `workspace: {asked}` ({near})"
    else:
        how = "no budget is for it alone: see `budgets` with `match` or `for_each`"
    also = f"; it counts for {', '.join(one.watch.name for one in counting)}" if counting else "; no budget counts it"
    return f"{asked} spent {total} in {now.month.label} and is not watched: {how}{also}"


def _outside(now: _Now, rows: Iterable[SpendSum]) -> list[str]:
    products = now.settings.policies.products
    others = [row for row in rows if row.values[Dimension.PRODUCT] not in products and row.amount]
    names = ", ".join(sorted({row.values[Dimension.PRODUCT] for row in others}))
    return [f"{_sum(others)} of {names} are not counted: `products` are {', '.join(products)}"] if others else []


def _sum(rows: Iterable[SpendSum]) -> str:
    totals: dict[str, Money] = {}
    for row in rows:
        totals[row.currency] = totals.get(row.currency, Money.zero(row.currency)) + Money(row.amount, row.currency)
    return ", ".join(map(str, totals.values())) or "nothing"


# --- budgets


def _of_budget(now: _Now, one: Standing) -> _Part:
    watch, period = one.watch, one.period.label
    budget = watch.budget.amount if watch.budget else None
    used = f" of {watch.budget} ({percent(one.used)})" if watch.budget and one.used is not None else ""
    until = f"bills up to {now.when(one.data_until)}" if one.data_until else "no bill yet"
    to = ", ".join(watch.channels) or "nobody"
    title = f"{watch.name}{watch.scope.counts.note}, {period}: {one.spend} spent{used}, {until}, to {to}"
    levels = levels_of(watch.thresholds, budget)
    lines = [_threshold(now, one, level) for level in levels]
    lines += [_foreseen(now, one, level) for level in levels_of(watch.thresholds, budget, of_forecasts=True)]
    return _Part(title, [*lines, _unusual(now, one, one.watch.spike)] if one.watch.spike else lines)


def _unusual(now: _Now, one: Standing, least: Decimal) -> _Line:
    """Return whether the last complete day was unusual, or how many days are missing to know."""
    point, history = f"spike {shown(least)}", now.paces.history(one.watch.scope)
    told = next((alert for alert in now.known.of(Rule.SPIKE, one.watch.scope, one.period.label) if alert.is_firing), None)
    if told:
        return _Line(Rule.SPIKE, point, "sent", told.summary, told.id)
    usual = usual_spend(history.amounts[:-1], history.through) if history else TooEarly(0, FEWEST_DAYS)
    if history is None or isinstance(usual, TooEarly):
        days = 0 if isinstance(usual, UsualSpend) else usual.days
        return _Line(Rule.SPIKE, point, "too early", f"{days} of {counted(FEWEST_DAYS, 'complete day')} are known")
    day, currency = history.through, one.watch.currency
    spent = Money(history.latest.get(day, Decimal(0)), currency)
    low, high = (Money(in_cents(Decimal(amount)), currency) for amount in (usual.low, usual.high))
    band = f"usually {low} to {shown(high.amount)}, reported from {high + Money(least, currency)}"
    alert = now.known.latest(AlertKey(Rule.SPIKE, one.watch.scope, day.isoformat(), f"{day:%Y-%m}"))
    state, goes_on = ("sent", "") if alert else ("not reached", "")
    if not alert and spent - Money(least, currency) >= high:
        state, goes_on = "covered", "; it continues the level of the days before"
    return _Line(Rule.SPIKE, point, state, f"{day} cost {spent}, {band}{goes_on}", alert.id if alert else "")


def _threshold(now: _Now, one: Standing, level: Level) -> _Line:
    rule, money = Rule.of_budget(one.watch.scope), Money(level.at, one.watch.currency)
    point = threshold_text(level.label, money, one.watch.budget)
    if alert := now.known.latest(AlertKey(rule, one.watch.scope, level.label, one.period.label, level.height)):
        return _told(now, rule, point, alert)
    if one.spend.amount >= level.at:
        return _Line(rule, point, "due", f"reached at {money}, and sent in the next round of the daemon")
    return _Line(rule, point, "not reached", f"reached at {money}: {money - one.spend} missing")


def _foreseen(now: _Now, one: Standing, level: Level) -> _Line:
    rule, scope, at = Rule.FORECAST, one.watch.scope, Money(level.at, one.watch.currency)
    point = f"forecast {threshold_text(level.label, at, one.watch.budget)}"
    if alert := now.known.latest(AlertKey(rule, scope, level.label, one.period.label, level.height)):
        return _told(now, rule, point, alert)
    pace, month = now.paces.of(scope), month_of(one.period.label)
    likely = forecast(now.paces, scope, one.spend, month, now.fresh, until=one.data_until, zone=now.settings.zone)
    if one.spend.amount >= level.at:
        return _Line(rule, point, "covered", f"{at} is spent already: there is nothing left to forecast")
    if likely is None:
        if now.fresh.is_too_old(scope.account, one.data_until):
            return _Line(
                rule, point, "too old", f"the bills reach up to {now.when(one.data_until)} only: too old for a forecast"
            )
        early = pace if isinstance(pace, TooEarly) else TooEarly(0)
        return _Line(rule, point, "too early", f"{early.days} of {early.needed} complete days are known")
    if likely.likely.amount < level.at:
        return _Line(
            rule, point, "not reached", f"about {likely.likely} expected in {month.label}: {at - likely.likely} less than {at}"
        )
    return _not_sure(now, one, level, likely, point)


def _not_sure(now: _Now, one: Standing, level: Level, likely: Forecast, point: str) -> _Line:
    """Return what a forecast that reaches the threshold still needs for an alert."""
    held = not_reached(now.store.balances.foretold(), now.standings, now.known, now.month)
    was_false = one.watch.scope in false_before(held, now.month)
    least = Money(sure_from(level.at, one.spend.amount, was_false=was_false), one.watch.currency)
    about = f"about {likely.likely} expected, at least {likely.low}"
    if likely.low.amount >= least.amount:
        return _Line(Rule.FORECAST, point, "due", f"{about}: sent in the next round of the daemon")
    other = "an alert of the last two months proved false" if was_false else "or if the next day confirms it"
    return _Line(
        Rule.FORECAST, point, "too early", f"{about}: sent if at least {least} are expected{';' if was_false else ','} {other}"
    )


def _told(now: _Now, rule: Rule, point: str, alert: Alert) -> _Line:
    """Return how an alert was told, and how that arrived."""
    ended = f", ended {now.when(alert.resolved_at)}" if alert.resolved_at else ""
    if alert.told_at is None:
        why = f"since {now.when(alert.since)}; covered by a more severe alert{ended}"
        return _Line(rule, point, "covered", why, alert.id)
    states = {one.channel: one for one in now.store.book.deliveries_of(alert.id)}
    ways = (f"{name} ({_ARRIVALS.get(one.state, 'waiting')})" for name, one in states.items())
    held = [one for one in now.store.book.held_of(alert.id) if one.ended_at is None or one.dropped]
    waits = [f"{one.channel} until {now.when(one.until)} ({one.dropped or one.why.value.replace('_', ' ')})" for one in held]
    how = f"over {', '.join(ways)}" if states else "" if waits else "together with a more severe alert"
    how += f"{', ' if states else ''}held for {', '.join(waits)}" if waits else ""
    times = f"; {counted(alert.times_told, 'time')} in all" if alert.times_told > 1 else ""
    care = now.known.acknowledged(alert.key.matter, now.now) if alert.is_firing else None
    times += f"; no reminders: acknowledged by {care.by}" if care else ""
    times += f" until {now.when(care.until)}" if care and care.until else ""
    return _Line(rule, point, "sent", f"{now.when(alert.since)} {how}{times}{ended}; `explain {alert.id[:8]}`", alert.id)


# --- balances and bills


def _of_balance(now: _Now, policy: AccountPolicy) -> _Part:
    name, position = policy.name or policy.account, now.balances.balances.get(policy.account)
    if policy.balance is None or position is None:
        what = "is not watched" if policy.balance is None else "is not known yet"
        return _Part(f"Balance of {name}: {what}")
    available, scope = position.available, BudgetScope(policy.account)
    part = _Part(f"Balance of {name}: {available} available, to {', '.join(policy.channels) or 'nobody'}")
    points = [(Rule.BALANCE_LOW, plain(floor), Money(floor, policy.currency)) for floor in policy.balance.floors]
    for rule, label, level in (*points, (Rule.OVERDUE, "", Money.zero(policy.currency))):
        alert = now.known.latest(AlertKey(rule, scope, label))
        point = f"below {level}" if label else "overdue, below zero"
        if alert and alert.is_firing:
            part.lines.append(_told(now, rule, point, alert))
        else:
            before = f"; last sent {now.when(alert.since)}" if alert else ""
            part.lines.append(_Line(rule, point, "not reached", f"{available - level} more than that are available{before}"))
    left = runway(policy, position, now.paces, now.fresh, zone=now.settings.zone)
    part.lines += [_runway(now, policy, label, left) for label in map(duration_label, policy.balance.runway)]
    return part


def _runway(now: _Now, policy: AccountPolicy, label: str, left: Runway | TooEarly | TooOld) -> _Line:
    rule, point = Rule.RUNWAY, f"used up in {label}"
    alert = now.known.latest(AlertKey(rule, BudgetScope(policy.account), label))
    if alert and alert.is_firing:
        return _told(now, rule, point, alert)
    match left:
        case TooEarly():
            return _Line(rule, point, "too early", f"{left.days} of {left.needed} complete days are known")
        case TooOld():
            return _Line(rule, point, "too old", f"the bills reach up to {now.when(left.until)} only: too old for a forecast")
        case Runway():
            likely = left.zero.likely
            return _Line(rule, point, "not reached", f"enough until about {likely}" if likely else "its end is not in sight")


def _silence(now: _Now, account: AccountId) -> _Line:
    alert = now.known.latest(AlertKey(Rule.STALE, BudgetScope(account)))
    sources = now.fresh.sources_of(account)
    patience = max((now.settings.stale_after[name] for name in sources), default=None)
    point = f"silence of {duration_label(patience)}" if patience else "silence"
    last = now.last.get(account)
    if alert and alert.is_firing:
        return _told(now, Rule.STALE, point, alert)
    if last is None or patience is None:
        return _Line(Rule.STALE, point, "not reached", "no configured source has given a bill of it yet: it is not judged")
    silent = now.now - last
    if silent >= patience:
        return _Line(Rule.STALE, point, "covered", f"none for {age_text(silent)}: reported once, for its source")
    return _Line(Rule.STALE, point, "not reached", f"the last bill came {age_text(silent)} ago")


def _general(now: _Now) -> list[str]:
    """Return what keeps messages back."""
    notes = []
    if not now.store.database.is_taken():
        daemon = now.store.health.daemon()
        last = f"the last round was made {now.when(daemon.beat_at)}" if daemon else "no round was made yet"
        notes.append(f"no daemon runs: {last}")
    silences = now.store.book.silences(at=now.now)
    notes += [f"silence {one.id[:8]} by {one.author} until {now.when(one.ends_at)}: {one.matchers}" for one in silences]
    return [*notes, *channel_notes(now.store.health.channels(), now.now, now.settings.zone)]
