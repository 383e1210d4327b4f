"""An alert with the figures of its decision and those of now, the bills behind it, and every delivery."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from spendwatch.domain.alert import Acknowledgement, Alert, AlertsKnown, AlertState, Rule
from spendwatch.domain.balance import Position
from spendwatch.domain.causes import TELLING, Causes, splitting_of
from spendwatch.domain.delivery import WAITING, Held, HoldReason, NotificationId, Reason
from spendwatch.domain.forecast import Forecast, Runway
from spendwatch.domain.health import Freshness
from spendwatch.domain.money import Money, percent
from spendwatch.domain.notification import Delivery, Facts, Notification
from spendwatch.domain.novelty import first_costs, threshold_of
from spendwatch.domain.period import BillingPeriod, open_periods, parse_period
from spendwatch.domain.plans import PlanOrder, plan_orders
from spendwatch.domain.policy import Watch, watches
from spendwatch.domain.scope import BudgetScope, Counts, Dimension, NamedScope, Portion, Subject
from spendwatch.domain.spike import Spike
from spendwatch.domain.standing import Picking, SpendSum, Standing, reckon, seen_values, seen_workspaces
from spendwatch.domain.thresholds import budget_facts
from spendwatch.domain.usage import is_paced
from spendwatch.jobs.insight import Insight
from spendwatch.jobs.ledger_view import LedgerView, spend_within
from spendwatch.jobs.novelty_conditions import sums_of
from spendwatch.jobs.run_rates import RunRates, forecast
from spendwatch.jobs.standings import dimensions, tagged_by_now
from spendwatch.letters.language import Language
from spendwatch.letters.words import Words
from spendwatch.settings import Settings
from spendwatch.state import Store
from spendwatch.store.statement import EnteredStatement
from spendwatch.views.moments import channel_notes
from spendwatch.views.status import looked

_MOST = 12
_OF_BALANCE = frozenset({Rule.BALANCE_FAILING, Rule.BALANCE_DIFFERING})


class Explained(NamedTuple):
    """All that is known of an alert."""

    alert: Alert
    decision: Notification | None
    """As it was first put into words, by itself or by a graver alert; None where it never was."""
    now: Facts
    made_of: tuple[SpendSum, ...]
    """The sums that make up the scope's spend now, the largest first."""
    causes: Causes
    """The same by causes."""
    bills: Sequence[EnteredStatement]
    deliveries: Sequence[Delivery]
    held: Sequence[Held]
    times_notified: int
    is_undelivered: bool
    acknowledged: Acknowledgement | None
    channels: tuple[str, ...]
    """What keeps its deliveries back."""

    @property
    def told(self) -> Facts | None:
        """The figures of the decision."""
        return _own(self.decision.facts, self.alert) if self.decision else None


def explained(alert: Alert, store: Store, settings: Settings, at: datetime) -> Explained:
    """Return all that is known of an alert at that moment."""
    decision = _decision(alert, store)
    told = decision.facts if decision else Facts(alert.key.scope)
    now, sums, causes = _now(alert, told, store, settings, at)
    known = AlertsKnown(store.book.known(), store.book.acknowledgements())
    deliveries = store.book.deliveries_of(alert.id)
    waiting = {one.channel for one in deliveries if one.state in WAITING}
    return Explained(
        alert,
        decision,
        _own(now, alert),
        tuple(sums),
        causes,
        _bills(alert, told, store),
        deliveries,
        store.book.held_of(alert.id),
        store.book.notified([alert.id]).get(alert.id, 0),
        any(alert.id in one.alerts for one in store.book.undelivered()),
        known.acknowledged(alert.key.matter, at) if alert.is_firing else None,
        tuple(channel_notes((one for one in store.health.channels() if one.name in waiting), at, settings.zone)),
    )


def _own(facts: Facts, alert: Alert) -> Facts:
    """Return the figures with the threshold or floor of this very alert, for which a graver one may have spoken."""
    key = alert.key
    if facts.spike:
        days = (facts.spike.found, *facts.spike.also)
        own = next((one for one in days if one.scope == key.scope.label), facts.spike.found)
        return replace(facts, name=own.name, spike=replace(facts.spike, found=own, least=own.least or facts.spike.least))
    mine = tuple(one for one in facts.firsts if threshold_of(one.part) == key.threshold)
    plans = tuple(one for one in facts.plans if one.key == key.threshold)
    facts = replace(facts, threshold=key.threshold, firsts=mine, plans=plans)
    if facts.spend and key.height:
        return replace(facts, reached_at=Money(Decimal(key.height), facts.spend.currency))
    if facts.balance:
        is_floor = key.rule is Rule.BALANCE_LOW
        return replace(facts, floor=Money(Decimal(key.threshold), facts.balance.currency) if is_floor else None)
    return facts


def _decision(alert: Alert, store: Store) -> Notification | None:
    """Return the notification that tells of it first: its own, else that of the graver alert of the same matter and round.

    What was told with another has words of its own only later, when it is repeated or ends.
    """
    own = store.book.notifications_of(alert.id)
    if own and own[0].created_at == alert.since:
        return own[0]
    others = (one for one in store.book.alerts() if one.key.matter == alert.key.matter)
    told = (said for other in others for said in store.book.notifications_of(other.id))
    with_it = (said for said in told if said.created_at == alert.since and said.reason is Reason.FIRED)
    return next(with_it, own[0] if own else None)


def _now(alert: Alert, told: Facts, store: Store, settings: Settings, at: datetime) -> tuple[Facts, Sequence[SpendSum], Causes]:
    """Return the figures as they are now, as far as they can be known."""
    scope, rule = alert.key.scope, alert.key.rule
    is_of_month = rule.is_about_spend or rule is Rule.MONTH_CLOSED
    if is_of_month and alert.key.period and isinstance(scope, BudgetScope):
        return _spend_now(alert, scope, store, settings, at)
    facts = Facts(scope, account_name=told.account_name, name=told.name, period=told.period)
    if rule.is_about_news:
        return _firsts_now(_own(told, alert), facts, store, settings, at), (), Causes()
    if rule is Rule.SPIKE and isinstance(scope, BudgetScope) and told.spike:
        return _spike_now(_own(told, alert).spike or told.spike, facts, scope, store, settings)
    if rule.is_about_balance or rule in _OF_BALANCE:
        accounts = looked(settings, store, at).accounts
        account = next((one for one in accounts if one.account == scope.account), None)
        if account is not None:
            runway = account.runway if isinstance(account.runway, Runway) else None
            until, trouble = account.data_until, account.balance_trouble
            facts = replace(facts, balance=account.balance, runway=runway, data_until=until, detail=trouble)
    elif isinstance(scope, NamedScope) and scope.subject is Subject.CHANNEL:
        channel = next((one for one in store.health.channels() if one.name == scope.name), None)
        facts = replace(facts, detail=channel.trouble if channel else "")
    elif rule in {Rule.STALE, Rule.SOURCE_FAILING}:
        facts = _source_now(alert, facts, store)
    return facts, (), Causes()


def _source_now(alert: Alert, facts: Facts, store: Store) -> Facts:
    scope = alert.key.scope
    if isinstance(scope, BudgetScope):
        lasts = [one.last_bill_at for one in store.health.account_bills() if one.account == scope.account]
        return replace(facts, last_bill_at=max(lasts, default=None))
    source = next((one for one in store.health.sources() if one.name == scope.name), None)
    if source is None:
        return facts
    return replace(facts, last_bill_at=source.last_bill_at, detail=source.trouble, cause=source.cause)


def _spend_now(
    alert: Alert, scope: BudgetScope, store: Store, settings: Settings, at: datetime
) -> tuple[Facts, Sequence[SpendSum], Causes]:
    period, policies = parse_period(alert.key.period), settings.policies
    by = tuple(dict.fromkeys((*dimensions(finer=True), *TELLING, Dimension.DAY)))
    sums: Sequence[SpendSum] = spend_within(store.ledger, period.span, by, policies.products)
    wanted = watches(policies, seen_workspaces(sums, [scope]), seen_values(sums, [scope]))
    watch = next((one for one in wanted if one.scope == scope), None)
    if watch is None:
        return Facts(scope, period=period.label), (), Causes()
    if scope.portion is Portion.UNTAGGED:
        until = store.ledger.data_until(policies.products).get(scope.account)
        sums = tagged_by_now(store.ledger, period, by, policies.products, until)
    picking = Picking([watch])
    mine = [spent for spent in sums if any(picking.of(spent.values)) and _is_counted(spent, scope.counts)]
    (standing,) = reckon([watch], sums, period, store.ledger.data_until(policies.products))
    facts = budget_facts(standing, forecast=_forecast_now(watch, standing, store, settings, at))
    counts = [spent for spent in mine if spent.currency == watch.currency]
    causes = splitting_of(watch, policies.names, policies.products).of(counts, most=_MOST, enough=Decimal(0))
    return facts, sorted(mine, key=lambda spent: -spent.amount), causes


def _firsts_now(told: Facts, facts: Facts, store: Store, settings: Settings, at: datetime) -> Facts:
    """Return what was charged for the first time, with its cost until now."""
    account, policies = facts.scope.account, settings.policies
    if (policy := policies.account(account)) is None:
        return facts
    open_now = open_periods(at, settings.zone, final_on=policies.month_final_on)
    with LedgerView.opened(store.ledger, Insight().kept) as view:
        sums = tuple(sums_of(view, policies, account, open_now))
        until = view.data_until(policies.products).get(account)
        orders = [one for one in view.ledger.charged_values({account: view.revision}) if one.account == account]
    plans = tuple(one for one in plan_orders(orders, policy.plans or timedelta()) if one.key in {own.key for own in told.plans})
    days = {(one.part.dimension, one.part.value): one.day for one in told.firsts}
    firsts = tuple(first_costs(days, sums, policy.currency, policies.names))
    return replace(facts, firsts=firsts, plans=plans, data_until=until)


def plan_state(one: PlanOrder, words: Words) -> str:
    """Return when it was ordered, for how much, and whether it was renewed."""
    cost, renewed = one.spent and words.money(one.spent), one.renewed and words.text("renewed", day=one.renewed)
    return words.joined("comma", words.text("ordered_on", day=one.day), cost or "", renewed or "")


def _spike_now(
    told: Spike, facts: Facts, scope: BudgetScope, store: Store, settings: Settings
) -> tuple[Facts, Sequence[SpendSum], Causes]:
    """Return what that day costs now, beside the band of the decision: what is usual changes from day to day."""
    policies, day = settings.policies, told.day
    by = tuple(dict.fromkeys((*dimensions(finer=True), *TELLING)))
    period, days = BillingPeriod(day.year, day.month), (day, day + timedelta(days=1))
    sums = [one for one in store.ledger.spend(period, by, products=policies.products, days=days) if is_paced(one)]
    watched = watches(policies, seen_workspaces(sums, [scope]), seen_values(sums, [scope]))
    if (watch := next((one for one in watched if one.scope == scope), None)) is None:
        return facts, (), Causes()
    picking = Picking([watch])
    mine = [one for one in sums if one.currency == watch.currency and any(picking.of(one.values))]
    spend = Money.total((one.amount for one in mine), watch.currency)
    until = store.ledger.data_until(policies.products).get(scope.account)
    causes = splitting_of(watch, policies.names, policies.products).of(mine, most=_MOST, enough=Decimal(0))
    now = replace(told, found=replace(told.found, spend=spend), also=())
    return replace(facts, name=watch.name, spike=now, data_until=until), sorted(mine, key=lambda one: -one.amount), causes


def _forecast_now(watch: Watch, standing: Standing, store: Store, settings: Settings, at: datetime) -> Forecast | None:
    """Return what the month will probably cost, as far as it still goes on."""
    now, zone, paces = at, settings.zone, RunRates()
    month = BillingPeriod.containing(now, zone)
    if standing.period != month:
        return None
    with LedgerView.opened(store.ledger, Insight().kept) as view:
        paces.look(view, settings.policies, [watch], zone)
    fresh = Freshness(now, settings.stale_after, store.health.account_bills())
    return forecast(paces, watch.scope, standing.spend, month, fresh, until=standing.data_until, zone=zone)


def _is_counted(spent: SpendSum, counts: Counts) -> bool:
    return counts in {Counts.ALL, Counts.SUBSCRIPTION if spent.is_subscription else Counts.PAY_AS_YOU_GO}


def _bills(alert: Alert, told: Facts, store: Store) -> Sequence[EnteredStatement]:
    """Return the bills that its figures come from, the latest first: of its month, else of the month and the one before."""
    scope, rule = alert.key.scope, alert.key.rule
    bills = store.ledger.statements()
    if isinstance(scope, NamedScope) and scope.subject is Subject.SOURCE:
        return [one for one in bills if one.source == scope.name]
    if rule is Rule.REJECTED or not scope.account:
        return [one for one in bills if any(one.name == name for name, _ in told.files)]
    mine = [one for one in bills if scope.account in one.accounts]
    if alert.key.period:
        months = parse_period(alert.key.period).span.months
        return [one for one in mine if not set(months).isdisjoint(one.periods)]
    last = BillingPeriod(alert.since.year, alert.since.month)
    return [one for one in mine if any(period >= last.previous() for period in one.periods)]


def words_of(alert: Alert, facts: Facts, settings: Settings, language: Language = Language.EN) -> Words:
    """Return the words for these figures of the alert."""
    said = Notification(
        id=NotificationId(""),
        alert=alert.id,
        rule=alert.key.rule,
        reason=Reason.FIRED,
        severity=alert.severity,
        state=AlertState.FIRING,
        since=alert.since,
        created_at=alert.since,
        channels=(),
        facts=facts,
    )
    return Words(said, language, settings.zone)


def heading(found: Explained, settings: Settings, language: Language = Language.EN) -> Iterator[tuple[str, str]]:
    """Yield what it is about, by the name of each line."""
    alert, words = found.alert, words_of(found.alert, found.told or found.now, settings, language)
    yield "Rule", f"{alert.key.rule.type}: {words.of_rule('rule')}"
    yield "About", _scope(found, words)
    if account := alert.key.scope.account:
        yield "Account", settings.policies.names.label(Dimension.ACCOUNT, account)
    yield "Period", alert.key.period or words.text("episode", number=alert.episode)
    ended = words.text("ended_at", at=words.moment(alert.resolved_at)) if alert.resolved_at else ""
    yield "Since", words.moment(alert.since) + ended
    if alert.told_at and not alert.times_told and found.decision:
        yield "Notified", words.text("told_with", other=found.decision.alert[:8], at=words.moment(alert.told_at))
    elif alert.told_at:
        told = (one.notification for one in found.deliveries if one.notification.reason is not Reason.ACTION)
        sent = {one.id: one.created_at for one in told}
        count, last = len(sent) or alert.times_told, words.moment(max(sent.values(), default=alert.told_at))
        yield "Notified", words.text("told_once" if count == 1 else "told_often", count=count, at=last)
    else:
        yield "Notified", _covered(alert, words) + (f" ({found.decision.alert[:8]})" if found.decision else "")
    if alert.amount and not found.decision:
        yield "Figure", words.text("when_fired", amount=alert.amount)
    if alert.escalated_at:
        yield "Escalated", words.moment(alert.escalated_at)
    if said := found.acknowledged:
        until = words.text("handled_until", at=words.moment(said.until)) if said.until else ""
        handled = words.text("handled", by=said.by, at=words.moment(said.at))
        yield "Handled by", f"{handled}{until}{f': {said.comment}' if said.comment else ''}"
    if found.is_undelivered:
        yield "Undelivered", words.text("nobody_notified")


def _covered(alert: Alert, words: Words) -> str:
    return words.text("covered_by_day" if alert.key.rule is Rule.SPIKE else "covered")


def _scope(found: Explained, words: Words) -> str:
    """Return what it is about, by name and id."""
    scope, facts = found.alert.key.scope, found.now
    if isinstance(scope, NamedScope):
        is_file = scope.subject is Subject.FILE
        name = words.text("about", scope.subject, name=scope.name)
        return words.text("about_file", source=facts.name, digest=scope.name[:12]) if is_file else name
    if scope.is_whole_account:
        return words.text("about_account")
    return f"{facts.name} ({scope.label})" if facts.name else scope.label


def figures(facts: Facts, words: Words) -> Iterator[tuple[str, object]]:
    """Yield the figures, by their names: amounts, and texts."""
    text, split, likely = words.text, facts.split, facts.forecast
    split = split if split and split.subscription.amount else None
    figures: tuple[tuple[str, object], ...] = (
        ("Data until", facts.data_until and words.moment(facts.data_until)),
        ("Spend", facts.spend),
        *((_day_figures(facts.spike, words)) if facts.spike else ()),
        ("  pay-as-you-go", split and split.pay_as_you_go),
        ("  subscription", split and split.subscription),
        ("Budget", facts.budget),
        ("Used", None if facts.used is None else percent(facts.used)),
        (f"Threshold {facts.threshold}", facts.reached_at),
        ("Expected", likely and f"{words.money(likely.likely)} ({words.span(likely.low, likely.high)})"),
        *((words.part(one.part), text("cost_since", amount=words.money(one.spent), day=one.day)) for one in facts.firsts),
        *((words.plan(one), plan_state(one, words)) for one in facts.plans),
        *((text("foreign_of", currency=money.currency), money) for money in facts.foreign),
        *(_terms(facts.balance, words) if facts.balance else ()),
        ("Floor", facts.floor),
        ("Used up", facts.runway and str(facts.runway.zero.likely or text("not_in_sight"))),
        ("Last new bill", facts.last_bill_at and words.moment(facts.last_bill_at)),
    )
    yield from ((label, value) for label, value in figures if value is not None)


def _day_figures(spike: Spike, words: Words) -> Iterator[tuple[str, object]]:
    yield words.text("day_cost", day=spike.day), spike.found.spend
    yield words.text("usual_band"), words.usual(spike.found)
    yield words.text("above_band"), spike.found.spend - spike.found.high
    yield words.text("reported_from"), spike.least


def _terms(balance: Position, words: Words) -> Iterator[tuple[str, object]]:
    """Yield the balance as a sum."""
    yield "  cash", balance.reading.cash
    yield "+ credit limit", balance.reading.credit
    yield "- unsettled this month", balance.unsettled_current
    yield "- unsettled earlier months", balance.unsettled_previous
    yield "- unsettled", balance.unsettled if balance.unsettled_current is None else None
    yield "- billed since the reading", balance.spent_since
    yield "= available", balance.available
    yield "Reported", balance.reading.reported
    yield "Balance as of", balance.as_of and words.moment(balance.as_of)


def troubles(found: Explained, words: Words) -> Iterator[str]:
    """Yield what went wrong, then and now, and which files were rejected."""
    told = found.told
    for moment, facts in (("trouble_then", told), ("trouble_now", found.now)):
        if facts and facts.detail:
            yield words.text(moment, detail=facts.detail.replace(chr(10), "; "))
    for name, why in told.files if told else ():
        yield words.text("rejected_file", file=name, why=why)
    if told and (differs := told.discrepancy):
        compared = (f"{series} {words.money(money)}" for series, money in differs.by_series)
        yield words.text("compared_are", what=words.joined("comma", *compared))


def held_text(row: Held, words: Words) -> str:
    """Return how long a message waited, and what became of it."""
    channel, begin = row.channel, words.moment(row.held_at)
    if row.why is HoldReason.WITHHELD:
        return words.text("no_action", channel=channel, at=begin, why=row.dropped)
    why = words.text("waits_for", row.why, channel=channel, silence=row.silence)
    until = words.moment(row.ended_at or row.until)
    is_at_once = row.ended_at == row.held_at
    what = f"{channel}: {begin}" if is_at_once else words.text("waited", channel=channel, why=why, begin=begin, end=until)
    if not row.ended_at:
        return what
    if row.digest and row.why is HoldReason.STORM and row.digest != row.notification:
        end = "in_digest"
    else:
        end = "dropped" if row.dropped else "then_sent" if row.digest == row.notification else "sent_late"
    return what + words.text("waited_end", end, why=row.dropped)


def without_deliveries(found: Explained, words: Words) -> str:
    """Return why there is no delivery."""
    alert, told = found.alert, found.decision
    if not alert.told_at:
        return words.text("none_as", why=_covered(alert, words))
    return words.text("none_own", other=told.alert[:8]) if told and told.alert != alert.id else words.text("none_reached")
