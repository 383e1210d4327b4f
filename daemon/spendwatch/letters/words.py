"""The names and figures of one notification, formatted for the phrases of a language."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, tzinfo

from spendwatch.domain.alert import AlertState, Rule
from spendwatch.domain.causes import Part
from spendwatch.domain.commodity import Category
from spendwatch.domain.errors import InvalidAmountError
from spendwatch.domain.money import Money, parse_amount, percent, shown
from spendwatch.domain.notification import Facts, HoldReason, Notification, Reason
from spendwatch.domain.novelty import FirstCost
from spendwatch.domain.period import BillingPeriod, Period, PeriodKind, duration_text, parse_duration, parse_period
from spendwatch.domain.plans import PlanOrder
from spendwatch.domain.policy import FORECAST
from spendwatch.domain.report import Cadence
from spendwatch.domain.scope import PLAYGROUND, BudgetScope, Dimension
from spendwatch.domain.spike import SpendOn
from spendwatch.domain.thresholds import BELOW_ZERO
from spendwatch.letters.parts import clean
from spendwatch.letters.phrases import Phrases, RuleTexts

NAME_LENGTH = 60
_LONGEST = 2000
_MOST_PLANS = 2
_DURATION = re.compile(r"[0-9]{1,6}[dhms]", re.ASCII)


class Words:
    """One notification, seen by the reader of one language in one time zone."""

    def __init__(self, notification: Notification, phrases: Phrases, zone: tzinfo) -> None:
        """Write out whatever a phrase may ask for; what is missing reads as unknown."""
        self.notification = notification
        self.phrases = phrases
        self.zone = zone
        self._filled = self._fill_in()

    @property
    def facts(self) -> Facts:
        """The notification's figures."""
        return self.notification.facts

    @property
    def texts(self) -> RuleTexts:
        """The texts of the notification's rule."""
        if self.notification.rule is Rule.CORRECTED and self.facts.threshold == BELOW_ZERO:
            return self.phrases.below_zero
        if self.notification.rule is Rule.STALE and self.facts.scope.account:
            return self.phrases.silent_account
        return self.phrases.rule_texts[self.notification.rule]

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

    def put(self, form: str, **more: str) -> str:
        """Return the phrase with its braces filled in."""
        return form.format_map(self._filled | more)

    def moment(self, moment: datetime) -> str:
        """Return the moment as clocks in the reader's zone show it."""
        return moment.astimezone(self.zone).strftime("%Y-%m-%d %H:%M")

    def label(self, label: str) -> str:
        """Return a threshold's or floor's label: shares as they stand, amounts with their currency, durations in words."""
        facts = self.facts
        label = label.removeprefix(f"{FORECAST} ")
        if self.is_duration(label):
            return self.duration(parse_duration(label))
        known = facts.spend or facts.floor
        currency = known.currency if known else facts.balance.currency if facts.balance else None
        if currency is None:
            return clean(label, NAME_LENGTH)
        try:
            return self.money(Money(parse_amount(label), currency))
        except InvalidAmountError:
            return clean(label, NAME_LENGTH)

    def money(self, money: Money | None, plus: str = "") -> str:
        """Return the amount as readers of the language write it; `plus` stands before what is above zero."""
        if money is None:
            return self.phrases.unknown
        return money.written(self.phrases.units_of.get(money.currency, f"{money.currency} "), plus)

    def span(self, low: Money, high: Money) -> str:
        """Return from how much to how much."""
        return self.phrases.between.format(low=shown(low.amount), high=shown(high.amount))

    def is_duration(self, label: str) -> bool:
        """Return whether the label is that of a runway."""
        return _DURATION.fullmatch(label) is not None

    def days(self, count: int) -> str:
        """Return a number of whole days."""
        return self._in_units(f"{count} d")

    def duration(self, duration: timedelta) -> str:
        """Return how long something is, or was."""
        return self._in_units(duration_text(duration))

    def _fill_in(self) -> dict[str, str]:
        facts, phrases = self.facts, self.phrases
        filled = {
            "name": self._portion() or _name_of(facts) or phrases.unknown,
            "threshold": self.label(facts.threshold),
            "expected": self.money(facts.forecast.likely if facts.forecast else None),
            "used_up": self._used_up(),
            "after": self.duration(facts.escalated_after) if facts.escalated_after else phrases.unknown,
            **self._period(),
            "at": self.money(facts.reached_at),
            "spend": self.money(facts.spend),
            "budget": self._bare(facts.budget),
            "currency": facts.spend.currency if facts.spend else phrases.unknown,
            "path": clean(facts.folder, 200),
            "used": percent(facts.used) if facts.used is not None else phrases.unknown,
            "floor": self.money(facts.floor),
            "available": self.money(facts.balance.available if facts.balance else None),
            "short": self.money(self._shortage()),
            **self._settled(),
            "firsts": self._firsts(),
            **self._spike(),
            "final": self._final(),
            "plans": phrases.comma.join(self.plan(one) for one in facts.plans[:_MOST_PLANS]) or phrases.unknown,
            "renewed": self._renewed(),
            "foreign": phrases.comma.join(self.money(money) for money in facts.foreign) or phrases.unknown,
            "silence": self._silence(),
            "of": phrases.budget_of[facts.counts],
            "on": phrases.amount_of[facts.counts],
            "files": phrases.one_file if len(facts.files) <= 1 else phrases.many_files.format(count=len(facts.files)),
            "since": self.moment(self.notification.since),
            "created": self.moment(self.notification.created_at),
            "severity": phrases.severities[self.notification.severity],
            "alert": clean(self.notification.alert, NAME_LENGTH),
            **self._digest(),
        }
        filled |= {
            "within": phrases.within[self.kind].format_map(filled),
            "its_budget": phrases.budgets[self.kind].format_map(filled),
        }
        is_share = facts.threshold.endswith("%")
        filled["limit"] = (phrases.share_limit if is_share else phrases.amount_limit).format_map(filled)
        has_share = facts.budget is not None and facts.used is not None
        filled["standing"] = (phrases.is_at if has_share else phrases.has_spent).format_map(filled)
        rule = phrases.gone if facts.gone else self.texts.rule
        return filled | {"rule": rule.format_map(filled)}

    def part(self, part: Part) -> str:
        """Return what kind of thing a part of the spend is, its name and its id."""
        if part.dimension is Dimension.CHANNEL and part.value == PLAYGROUND:
            return self.phrases.playground
        return self.phrases.parts[part.dimension].format(name=clean(part.label, NAME_LENGTH))

    def first(self, one: FirstCost) -> tuple[str, ...]:
        """Return what costs something for the first time: the name of its category before the code, if it has one."""
        part = self.part(one.part)
        return (self.phrases.categories[one.category], part) if one.category else (f"{part[0].upper()}{part[1:]}",)

    def plan(self, one: PlanOrder) -> str:
        """Return what an order is called, and until when it is for."""
        is_named = one.category is not Category.OTHER
        what = self.phrases.categories[one.category] if is_named else clean(one.commodity.label, NAME_LENGTH)
        return f"{what} {self.phrases.until.format(ends=clean(one.ends, NAME_LENGTH))}" if one.ends else what

    def _renewed(self) -> str:
        days = [one.renewed for one in self.facts.plans if one.renewed]
        return self.phrases.renewed.format(day=max(days).isoformat()) if days else self.phrases.plan_over

    def _firsts(self) -> str:
        """Return the most telling first cost, and how many more there are. Web search is item and commodity in one."""
        firsts = self.facts.firsts
        if not firsts:
            return self.phrases.unknown
        what, *code = self.first(firsts[0])
        more = len([one for one in firsts if not one.category or one.category != firsts[0].category]) - (not code)
        named = f"{what}{''.join(f' ({each})' for each in code)} {self.money(firsts[0].spent)}"
        return self.phrases.comma.join([named, *([self.phrases.more_files.format(count=more)] if more > 0 else [])])

    def _portion(self) -> str:
        """Return the name of spend that nobody's budget counts, in the reader's language; empty for a budget."""
        facts, scope = self.facts, self.facts.scope
        if not isinstance(scope, BudgetScope) or (portion := scope.portion) is None:
            return ""
        of, tag = facts.name.removesuffix(f": {scope.budget}"), scope.budget.removeprefix(portion).strip()
        return self.phrases.portions[portion].format(name=clean(of, NAME_LENGTH), tag=clean(tag, NAME_LENGTH))

    def month_named(self, label: str) -> str:
        """Return the name of a month by its label."""
        return self._named(BillingPeriod.parse(label))

    def _digest(self) -> dict[str, str]:
        facts, phrases = self.facts, self.phrases
        due, sent = facts.held_since, facts.held_until
        count = len(facts.members) + facts.more
        messages = phrases.one_message if count == 1 else phrases.many_messages.format(count=count)
        held = phrases.held[facts.held_by or HoldReason.STORM]
        report = phrases.reports[facts.report.cadence] if facts.report else phrases.unknown
        is_provisional = facts.report and facts.report.cadence is Cadence.MONTHLY and not facts.report.is_final
        provisional = phrases.not_final if is_provisional else ""
        moments = {name: self.moment(moment) if moment else phrases.unknown for name, moment in (("due", due), ("sent", sent))}
        return {
            "messages": messages,
            "held": held,
            "gravest": phrases.unknown,
            "report": report,
            "provisional": provisional,
            **moments,
        }

    def _used_up(self) -> str:
        day = self.facts.runway.zero.likely if self.facts.runway else None
        return day.isoformat() if day else self.phrases.unknown

    def _bare(self, money: Money | None) -> str:
        """Return the amount where its currency stands nearby."""
        return money.written(self.phrases.units_of.get(money.currency, "")) if money else self.phrases.unknown

    def _shortage(self) -> Money | None:
        balance = self.facts.balance
        return Money.zero(balance.available.currency) - balance.available if balance else None

    def _settled(self) -> dict[str, str]:
        settled = self.facts.balance.settled if self.facts.balance else None
        return {
            "settled_month": self._named(settled.period) if settled else self.phrases.unknown,
            "settled_amount": self.money(settled.amount if settled else None),
            "settled_since": self.moment(settled.at) if settled else self.phrases.unknown,
        }

    def _final(self) -> str:
        facts = self.facts
        of = self.phrases.final_budget.format(used=percent(facts.used), budget=self.money(facts.budget)) if facts.used else ""
        return self.phrases.then.join(filter(None, (self.money(facts.spend), of)))

    def _spike(self) -> dict[str, str]:
        spike, phrases = self.facts.spike, self.phrases
        return {
            "spike_day": self.day(spike.day) if spike else phrases.unknown,
            "day_spend": self.money(spike.found.spend if spike else None),
            "so_far": phrases.day_so_far if spike and not spike.is_complete else "",
            "usual": self.usual(spike.found) if spike else phrases.unknown,
            "least": self.money(spike.least if spike else None),
        }

    def day(self, day: date) -> str:
        """Return a day in full, with its weekday."""
        month = self._named(BillingPeriod(day.year, day.month))
        return self.phrases.day_named.format(weekday=self.phrases.weekdays[day.weekday()], day=day.day, month=month)

    def usual(self, one: SpendOn) -> str:
        """Return what such a day usually costs."""
        return self.phrases.between.format(low=self.money(one.low), high=shown(one.high.amount))

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

    def _period(self) -> dict[str, str]:
        period = self.period or BillingPeriod.containing(self.notification.created_at, self.zone)
        phrases, kind = self.phrases, period.kind
        if isinstance(period, BillingPeriod):
            month = self._named(period)
        else:
            month = phrases.short_periods[kind].format(day=period.first_day)
        span, before = phrases.spans[kind]
        return {"month": month, "span": span, "span_before": before}

    def _named(self, period: BillingPeriod) -> str:
        return self.phrases.months[period.month - 1].format(year=period.year)

    def _silence(self) -> str:
        last = self.facts.last_bill_at
        text = duration_text(self.notification.created_at - last) if last else clean(self.facts.detail, NAME_LENGTH)
        return self._in_units(text)

    def _in_units(self, text: str) -> str:
        units = self.phrases.units
        return "".join(units.get(word, f" {word}") for word in text.split(" ")).strip() or self.phrases.unknown


def _name_of(facts: Facts) -> str:
    """Return what it is about; of a budget that each value has, what is cut is not the end, which says whose it is."""
    name, scope = clean(facts.name or facts.account_name or facts.scope.label, _LONGEST), facts.scope
    if len(name) > NAME_LENGTH and isinstance(scope, BudgetScope) and scope.value:
        kept = NAME_LENGTH * 2 // 3
        return f"{name[: NAME_LENGTH - kept - 1].rstrip()}…{name[-kept:].lstrip()}"
    return clean(name, NAME_LENGTH)
