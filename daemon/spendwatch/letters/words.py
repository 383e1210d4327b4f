"""One notification for a reader: its names and figures, for the placeholders of texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import tzinfo

from spendwatch.domain.alert import AlertState, Rule
from spendwatch.domain.delivery import Cadence, HoldReason, Reason
from spendwatch.domain.errors import InvalidAmountError
from spendwatch.domain.money import Money, parse_amount, percent
from spendwatch.domain.notification import Facts, Notification
from spendwatch.domain.outstanding import SettledPeriod
from spendwatch.domain.period import BillingPeriod, Period, PeriodKind, duration_text, parse_duration, parse_period
from spendwatch.domain.policy import FORECAST
from spendwatch.domain.scope import BudgetScope
from spendwatch.domain.thresholds import BELOW_ZERO
from spendwatch.letters.language import Language
from spendwatch.letters.parts import clean
from spendwatch.letters.reader import NAME_LENGTH, Reader

_LONGEST = 2000
_MOST_PLANS = 2


class Words(Reader):
    """One notification, seen by its reader."""

    def __init__(self, notification: Notification, language: Language, zone: tzinfo) -> None:
        """Know of what, and for whom."""
        super().__init__(language, zone)
        self.notification = notification
        self.facts = notification.facts

    def of(self, one: Notification) -> Words:
        """Return another notification for the same reader."""
        return Words(one, self.language, self.zone)

    def known(self, name: str) -> object:
        """Return what a placeholder stands for; what is missing reads as unknown."""
        found = KNOWN[name](self)
        return self.text("unknown") if found is None else found

    def of_rule(self, what: str, /, **own: object) -> str:
        """Return what is said of its rule."""
        rule: str = self.notification.rule
        if rule is Rule.CORRECTED and self.facts.threshold == BELOW_ZERO:
            rule = "below_zero"
        elif rule is Rule.STALE and self.facts.scope.account:
            rule = "silent_account"
        return self.text("rules", f"{rule}.{what}", **own)

    @property
    def is_test(self) -> bool:
        """Whether it is a test of the channel."""
        return self.notification.reason is Reason.TEST

    @property
    def reason(self) -> Reason:
        """Why it is sent; of a test, why such a message is sent."""
        return self.facts.drill.reason if self.facts.drill else self.notification.reason

    @property
    def holds(self) -> bool:
        """Whether it is true now."""
        return self.notification.state is AlertState.FIRING and self.reason is not Reason.RESOLVED

    @property
    def is_again(self) -> bool:
        """Whether somebody was notified of it before."""
        return self.reason in {Reason.REPEATED, Reason.ESCALATED}

    @property
    def period(self) -> Period | None:
        """The month, day or week that the figures are of."""
        try:
            return parse_period(self.facts.period)
        except ValueError:
            return None

    @property
    def kind(self) -> PeriodKind:
        """What kind of period it is."""
        return self.period.kind if self.period else PeriodKind.MONTH

    @property
    def month_name(self) -> str:
        """What that period is called."""
        period = self.period or BillingPeriod.containing(self.notification.created_at, self.zone)
        if isinstance(period, BillingPeriod):
            return self.month(period)
        return self.text("short_periods", period.kind, day=period.first_day)

    def label(self, label: str) -> str:
        """Return a threshold's or floor's label: shares as they stand, amounts with their currency, durations in words."""
        facts = self.facts
        label = label.removeprefix(f"{FORECAST} ")
        if self.is_duration(label):
            return self.duration(parse_duration(label))
        known = facts.spend or facts.floor or (facts.balance.available if facts.balance else None)
        try:
            return self.money(Money(parse_amount(label), known.currency)) if known else clean(label, NAME_LENGTH)
        except InvalidAmountError:
            return clean(label, NAME_LENGTH)


def _name(words: Words) -> str | None:
    """Return what it is about; of a budget that each value has, what is cut is not the end, which says whose it is."""
    facts, scope = words.facts, words.facts.scope
    if isinstance(scope, BudgetScope) and scope.portion is not None:
        of, tag = facts.name.removesuffix(f": {scope.budget}"), scope.budget.removeprefix(scope.portion).strip()
        return words.text("portions", scope.portion, name=clean(of, NAME_LENGTH), tag=clean(tag, NAME_LENGTH))
    name = clean(facts.name or facts.account_name or scope.label, _LONGEST)
    if len(name) > NAME_LENGTH and isinstance(scope, BudgetScope) and scope.value:
        kept = NAME_LENGTH * 2 // 3
        return f"{name[: NAME_LENGTH - kept - 1].rstrip()}…{name[-kept:].lstrip()}"
    return clean(name, NAME_LENGTH) or None


def _short(facts: Facts) -> Money | None:
    return Money.zero(facts.balance.available.currency) - facts.balance.available if facts.balance else None


def _settled(words: Words) -> SettledPeriod | None:
    return words.facts.balance.settled if words.facts.balance else None


def _firsts(words: Words) -> str | None:
    """Return the most telling first cost, and how many more there are. Web search is item and commodity in one."""
    firsts = words.facts.firsts
    if not firsts:
        return None
    what, *code = words.first(firsts[0])
    more = len([one for one in firsts if not one.category or one.category != firsts[0].category]) - (not code)
    named = f"{what}{''.join(f' ({each})' for each in code)} {words.money(firsts[0].spent)}"
    return words.joined("comma", named, words.text("more", count=more) if more > 0 else "")


def _final(words: Words) -> str:
    facts = words.facts
    of = words.text("final_budget", used=percent(facts.used), budget=words.money(facts.budget)) if facts.used else ""
    return words.joined("then", words.money(facts.spend), of)


def _renewed(words: Words) -> str:
    days = [one.renewed for one in words.facts.plans if one.renewed]
    return words.text("renewed", day=max(days)) if days else words.text("plan_over")


def _silence(words: Words) -> str:
    last = words.facts.last_bill_at
    detail = clean(words.facts.detail, NAME_LENGTH)
    return words.in_units(duration_text(words.notification.created_at - last) if last else detail)


def _messages(words: Words) -> str:
    count = len(words.facts.members) + words.facts.more
    return words.text("one_message") if count == 1 else words.text("many_messages", count=count)


def _provisional(words: Words) -> str:
    report = words.facts.report
    is_provisional = report and report.cadence is Cadence.MONTHLY and not report.is_final
    return words.text("not_final") if is_provisional else ""


def _standing(words: Words) -> str:
    has_share = words.facts.budget is not None and words.facts.used is not None
    return words.text("is_at" if has_share else "has_spent")


KNOWN: Mapping[str, Callable[[Words], object]] = {
    "name": _name,
    "rule": lambda words: words.text("gone") if words.facts.gone else words.of_rule("rule"),
    "alert": lambda words: clean(words.notification.alert, NAME_LENGTH),
    "severity": lambda words: words.text("severities", words.notification.severity),
    "since": lambda words: words.moment(words.notification.since),
    "created": lambda words: words.moment(words.notification.created_at),
    "after": lambda words: words.duration(words.facts.escalated_after) if words.facts.escalated_after else None,
    # The budget, and what is spent of it.
    "month": lambda words: words.month_name,
    "within": lambda words: words.text("within", words.kind),
    "its_budget": lambda words: words.text("budgets", words.kind),
    "of": lambda words: words.text("budget_of", words.facts.counts),
    "on": lambda words: words.text("amount_of", words.facts.counts),
    "threshold": lambda words: words.label(words.facts.threshold),
    "at": lambda words: words.money(words.facts.reached_at),
    "limit": lambda words: words.text("share_limit" if words.facts.threshold.endswith("%") else "amount_limit"),
    "spend": lambda words: words.money(words.facts.spend),
    "budget": lambda words: (budget := words.facts.budget) and budget.written(words.unit(budget, "")),
    "used": lambda words: None if words.facts.used is None else percent(words.facts.used),
    "standing": _standing,
    "expected": lambda words: words.money(words.facts.forecast.likely if words.facts.forecast else None),
    "currency": lambda words: words.facts.spend and words.facts.spend.currency,
    "foreign": lambda words: words.joined("comma", *map(words.money, words.facts.foreign)) or None,
    "span": lambda words: words.text("spans", words.kind),
    "span_before": lambda words: words.text("spans_before", words.kind),
    "final": _final,
    # A day far above its usual band.
    "spike_day": lambda words: words.facts.spike and words.day(words.facts.spike.day),
    "day_spend": lambda words: words.facts.spike and words.money(words.facts.spike.found.spend),
    "so_far": lambda words: words.text("day_so_far") if words.facts.spike and not words.facts.spike.is_complete else "",
    "usual": lambda words: words.facts.spike and words.usual(words.facts.spike.found),
    "least": lambda words: words.facts.spike and words.money(words.facts.spike.least),
    # The balance.
    "available": lambda words: words.money(words.facts.balance.available if words.facts.balance else None),
    "floor": lambda words: words.money(words.facts.floor),
    "short": lambda words: words.money(_short(words.facts)),
    "used_up": lambda words: words.facts.runway and words.facts.runway.zero.likely,
    "settled_month": lambda words: (one := _settled(words)) and words.month(one.period),
    "settled_amount": lambda words: (one := _settled(words)) and words.money(one.amount),
    "settled_since": lambda words: (one := _settled(words)) and words.moment(one.at),
    # What is new, ordered, missing or rejected.
    "firsts": _firsts,
    "plans": lambda words: words.joined("comma", *map(words.plan, words.facts.plans[:_MOST_PLANS])) or None,
    "renewed": _renewed,
    "silence": _silence,
    "files": lambda words: words.text("many_files" if len(words.facts.files) > 1 else "one_file", count=len(words.facts.files)),
    "path": lambda words: clean(words.facts.folder, 200),
    # Messages that were held, digests and reports.
    "messages": _messages,
    "held": lambda words: words.text("held", words.facts.held_by or HoldReason.STORM),
    "due": lambda words: words.facts.held_since and words.moment(words.facts.held_since),
    "sent": lambda words: words.facts.held_until and words.moment(words.facts.held_until),
    "gravest": lambda _: None,
    "report": lambda words: words.facts.report and words.text("reports", words.facts.report.cadence),
    "provisional": _provisional,
}
"""What each placeholder stands for where the caller fills in nothing else; None: unknown."""
