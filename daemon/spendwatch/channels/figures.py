"""The figures of a message: spend, remaining budget, the balance term by term, growth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import Decimal

from spendwatch.channels.balance_figures import equation, lasting
from spendwatch.channels.parts import Bar, Chart, Points, Row, Section, Table, clean
from spendwatch.channels.words import NAME_LENGTH, Words
from spendwatch.domain.alert import Rule
from spendwatch.domain.causes import Cause, Part
from spendwatch.domain.commodity import Category
from spendwatch.domain.discrepancy import Disagreement, Discrepancy
from spendwatch.domain.money import EXACT, Money, percent, plain, share_of, shown
from spendwatch.domain.period import days_text
from spendwatch.domain.scope import Counts, Dimension

_MOST_LABELS = 10
_MOST_DAYS = 14
_WHO = frozenset({Dimension.API_KEY, Dimension.WORKSPACE})
_PLAYGROUND = "bmp"


def figures(words: Words) -> Iterator[Section]:
    """Yield the tables and charts that the facts give reason for, and who makes most of the spend."""
    if rows := (*_spend_rows(words), *_other_rows(words)):
        yield Table("", rows)
    if balance := words.facts.balance:
        yield Table(words.phrases.balance, tuple(equation(words, balance)))
        if words.facts.runway and words.holds and not balance.is_overdue:
            yield Table(words.phrases.runway, tuple(lasting(words, words.facts.runway, balance)))
        if words.facts.too_old and words.holds and not balance.is_overdue:
            yield Table(words.phrases.runway, (Row(words.phrases.used_up, words.phrases.too_old, is_amount=False),))
        if words.facts.subscribed.rows:
            yield Table(words.phrases.spent[Counts.SUBSCRIPTION], tuple(_ordered(words)))
    if words.facts.course.causes.rows:
        yield _causes(words)
        if most := makes_most(words)[1]:
            yield Points("", (most,))
    if any(spend.amount for _, spend in words.facts.course.daily):
        yield _daily(words)


def _spend_rows(words: Words) -> Iterator[Row]:
    facts, phrases, spend = words.facts, words.phrases, words.facts.spend
    if spend is None:
        return
    if facts.discrepancy and (before := facts.discrepancy.before):
        yield Row(phrases.now, str(spend))
        yield Row(phrases.before, str(before))
        yield _change_row(words, spend - before, "")
        return
    label = phrases.spent[facts.counts]
    if facts.budget is None:
        yield Row(label, str(spend), phrases.no_budget)
        yield from _split_rows(words)
    else:
        note = words.put(phrases.of_budget, budget=str(facts.budget)) if facts.used is not None else ""
        yield Row(label, str(spend), note)
        yield from _split_rows(words)
        left = facts.budget - spend
        yield Row(phrases.over, str(spend - facts.budget)) if left.amount < 0 else Row(phrases.left, str(left))
    if facts.reached_at is not None:
        share = words.label(facts.threshold) if facts.threshold.endswith("%") else ""
        yield Row(phrases.threshold, str(facts.reached_at), phrases.then.join(filter(None, (share, _also(words)))))
    if facts.forecast is not None:
        low, high = shown(facts.forecast.low.amount), shown(facts.forecast.high.amount)
        yield Row(phrases.expected, str(facts.forecast.likely), phrases.between.format(low=low, high=high))
    elif facts.too_old:
        yield Row(phrases.expected, phrases.too_old, is_amount=False)
    if facts.earlier is not None and facts.earlier_at:
        since = phrases.since.format(moment=words.moment(facts.earlier_at))
        yield _change_row(words, spend - facts.earlier, since)


def _split_rows(words: Words) -> Iterator[Row]:
    """Yield pay-as-you-go and subscription where there are both, or what of them the budget does not count."""
    facts, phrases, split = words.facts, words.phrases, words.facts.split
    if split is None or not split.subscription.amount:
        return
    orders = [replace(row, label=f"– {row.label}") for row in _ordered(words)]
    note = phrases.counts_not if facts.counts is not Counts.ALL else ""
    if facts.counts is Counts.SUBSCRIPTION:
        yield from orders
    if facts.counts is not Counts.PAY_AS_YOU_GO:
        yield Row(phrases.spent[Counts.PAY_AS_YOU_GO], str(split.pay_as_you_go), note)
    if facts.counts is not Counts.SUBSCRIPTION:
        yield Row(phrases.spent[Counts.SUBSCRIPTION], str(split.subscription), note)
        yield from orders


def _change_row(words: Words, change: Money, since: str) -> Row:
    sign = "+" if change.amount > 0 else ""
    label = words.phrases.since_last if since else words.phrases.change
    return Row(label, f"{change.currency} {sign}{shown(change.amount)}", since)


def _other_rows(words: Words) -> Iterator[Row]:
    facts, phrases, rule = words.facts, words.phrases, words.notification.rule
    if facts.discrepancy:
        yield from _discrepancy_rows(words, facts.discrepancy)
    for money in facts.foreign:
        yield Row(phrases.other_currencies, str(money), phrases.not_counted)
    if facts.floor is not None:
        yield Row(phrases.floor, str(facts.floor), _also(words))
    elif rule in {Rule.OVERDUE, Rule.ESCALATED} and (also := _also(words)):
        yield Row(phrases.floor, also, is_amount=False)
    if facts.top_up is not None:
        yield Row(phrases.top_up, str(facts.top_up.amount), words.moment(facts.top_up.seen_at))
    if rule in {Rule.STALE, Rule.SOURCE_FAILING}:
        last = facts.last_bill_at
        yield Row(phrases.last_bill, words.moment(last) if last else phrases.never, is_amount=False)
    if facts.owner:
        yield Row(phrases.owner, clean(facts.owner, NAME_LENGTH), is_amount=False)
    if account := facts.scope.account:
        name, number = clean(facts.account_name, NAME_LENGTH), clean(account, NAME_LENGTH)
        yield Row(phrases.account, name or number, number if name else "", is_amount=False)


def _discrepancy_rows(words: Words, found: Discrepancy) -> Iterator[Row]:
    phrases, count = words.phrases, len(found.days)
    for place, (series, money) in enumerate(found.by_series):
        # A month's total and one of its days have the same date: the text names neither.
        counts = not place and found.kind is not Disagreement.TOTAL
        yield Row(clean(series, NAME_LENGTH), str(money), phrases.counts if counts else "")
    if found.kind is Disagreement.AMOUNTS:
        days = phrases.compared_day if count == 1 else words.put(phrases.compared_days, days=str(count))
        yield Row(phrases.compared, days, is_amount=False)
    if found.lacking is not None:
        yield Row(phrases.uncounted, str(found.lacking), days_text(found.days, span=phrases.between, comma=phrases.comma))


def _also(words: Words) -> str:
    phrases = words.phrases
    named = [label for label in words.facts.also if label and not words.is_duration(label)]
    labels = phrases.comma.join(words.label(label) for label in named[:_MOST_LABELS])
    return (phrases.also if words.holds else phrases.also_ended).format(labels=labels) if labels else ""


def _ordered(words: Words) -> Iterator[Row]:
    for cause in words.facts.subscribed.all:
        label, detail = _named(words, cause)
        yield Row(label, str(cause.spent), detail)


def _causes(words: Words) -> Chart:
    phrases, causes = words.phrases, words.facts.course.causes.all
    named = [_named(words, cause) for cause in causes]
    lengths = _lengths(cause.spent for cause in causes)
    bars = (
        Bar(label, length, str(cause.spent), phrases.comma.join(filter(None, _notes(words, cause))), detail)
        for cause, (label, detail), length in zip(causes, named, lengths, strict=True)
    )
    hint = phrases.costs_hint if any(cause.before is None for cause in causes) else phrases.growth_hint
    return Chart(phrases.growth, hint, tuple(bars))


def _notes(words: Words, cause: Cause) -> Iterator[str]:
    if cause.share is not None:
        yield f"{plain(EXACT.multiply(cause.share, Decimal(100)))}%" if cause.share else "<0.1%"
    yield _change(cause.spent, cause.before, words.phrases.new)


def _named(words: Words, cause: Cause) -> tuple[str, str]:
    """Return what a cause is, and the rest of what is known of it: model or category first, then who spent it."""
    if cause.count > 1 or not (cause.parts or cause.category):
        return words.phrases.more_files.format(count=cause.count), ""
    model = [clean(part.short, NAME_LENGTH) for part in cause.parts if part.dimension is Dimension.MODEL]
    others = [part_named(words, part) for part in cause.parts if part.dimension is not Dimension.MODEL]
    tells_who = any(part.dimension in _WHO for part in cause.parts)
    # A model is for inference, unless its commodity says something else.
    is_usual = cause.category is Category.INFERENCE and model and tells_who
    is_vague = cause.category is Category.OTHER and cause.parts
    kind = [] if cause.category is None or is_usual or is_vague else [words.phrases.categories[cause.category]]
    label, *rest = [*model, *kind, *others]
    return label, words.phrases.comma.join(rest)


def part_named(words: Words, part: Part) -> str:
    """Return what kind of thing it is, its name and its id."""
    if part.dimension is Dimension.CHANNEL and part.value == _PLAYGROUND:
        return words.phrases.playground
    return words.phrases.parts[part.dimension].format(name=clean(part.label, NAME_LENGTH))


def makes_most(words: Words) -> tuple[str, str]:
    """Return the API key, workspace or model that makes most of the spend, and the sentence that says so; else nothing."""
    for cause in words.facts.course.causes.main[:1]:
        who = part_named(words, cause.parts[0])
        share = percent(cause.share or Decimal(0))
        return who, words.phrases.makes_most.format(who=f"{who[0].upper()}{who[1:]}", share=share)
    return "", ""


def _daily(words: Words) -> Chart:
    days = words.facts.course.daily[-_MOST_DAYS:]
    until = words.facts.data_until
    last = until.astimezone(words.zone).date() if until else None
    bars = (
        Bar(day.strftime("%m-%d"), length, str(spend), words.phrases.so_far if day == last else "")
        for (day, spend), length in zip(days, _lengths(spend for _, spend in days), strict=True)
    )
    return Chart(words.phrases.daily, "", tuple(bars))


def _lengths(amounts: Iterable[Money]) -> list[int]:
    found = [max(money.amount, Decimal(0)) for money in amounts]
    longest = max(found, default=Decimal(0))
    return [int((share_of(amount, longest) or 0) * 100) for amount in found]


def _change(recent: Money, before: Money | None, new: str) -> str:
    if before is None:
        return ""
    if before.amount == 0:
        return new if recent.amount > 0 else ""
    grown = share_of(EXACT.subtract(recent.amount, before.amount), before.amount)
    return "" if grown is None else f"{'+' if grown >= 0 else ''}{percent(grown)}"
