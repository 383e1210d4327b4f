"""The figures of a message: spend, remaining budget, the balance term by term, growth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal

from spendwatch.domain.alert import OF_PORTIONS, Rule
from spendwatch.domain.causes import Cause, Causes
from spendwatch.domain.commodity import Category
from spendwatch.domain.discrepancy import MONTH_TOTAL, Disagreement, Discrepancy
from spendwatch.domain.forecast import Forecast
from spendwatch.domain.money import EXACT, Money, percent, plain, share_of, shown
from spendwatch.domain.month_close import ClosedMonth, FinalFigure
from spendwatch.domain.period import days_text
from spendwatch.domain.policy import FORECAST
from spendwatch.domain.scope import Counts, Dimension
from spendwatch.letters.balance_figures import equation, lasting
from spendwatch.letters.parts import Bar, Chart, Gauge, Points, Row, Section, Table, clean
from spendwatch.letters.words import NAME_LENGTH, Words

_MOST_LABELS = 10
_MOST_DAYS = 7
_MOST_FIGURES = 50
_THOUSAND, _MILLION = Decimal(1000), Decimal(1_000_000)
_WHO = frozenset({Dimension.API_KEY, Dimension.WORKSPACE})
_WITH_AMOUNT = OF_PORTIONS | {Rule.THRESHOLD_REACHED, Rule.FORECAST, Rule.CORRECTED}


def amount(words: Words) -> Row | None:
    """Return the figure that the message is about: what is spent, or what is available."""
    facts, phrases, rule = words.facts, words.phrases, words.notification.rule
    if rule.is_about_balance and facts.balance:
        return Row(phrases.available, words.money(facts.balance.available))
    if spike := facts.spike:
        note = words.put(phrases.usual)
        return Row(words.day(spike.day), words.money(spike.found.spend), note)
    if facts.spend is None or (rule not in _WITH_AMOUNT and not facts.closed):
        return None
    label = phrases.spent_short if words.kind.is_short and facts.counts is Counts.ALL else phrases.spent[facts.counts]
    label = phrases.final_figure if facts.closed else label
    if facts.budget is None:
        return Row(label, words.money(facts.spend), phrases.no_budget)
    note = words.put(phrases.of_budget, budget=words.money(facts.budget)) if facts.used is not None else ""
    return Row(label, words.money(facts.spend), note)


def gauge(words: Words) -> Gauge | None:
    """Return the bar of spend: its end is the budget, the spend or the expected spend, whichever is the most."""
    facts, whole = words.facts, words.facts.budget or words.facts.reached_at
    if words.notification.rule not in _WITH_AMOUNT or facts.spend is None or whole is None or whole.amount <= 0:
        return None
    spent = max(facts.spend, Money.zero(whole.currency))
    expected = max(spent, facts.forecast.likely) if facts.forecast else spent
    end = max(whole, expected).amount
    spent_share, expected_share, mark = (int((share_of(one.amount, end) or 0) * 100) for one in (spent, expected, whole))
    label = words.phrases.budget if facts.budget else words.phrases.threshold.lower()
    return Gauge(label, spent_share, expected_share, mark)


def captions(words: Words) -> Iterator[str]:
    """Yield which day of the month the data reach, and what the month will probably cost."""
    facts, phrases = words.facts, words.phrases
    if words.notification.rule not in _WITH_AMOUNT or not (until := facts.data_until):
        return
    last, period = until.astimezone(words.zone).date(), words.period
    if period is not None and last in period and period.days > 1:
        yield phrases.day_of.format(day=(last - period.first_day).days + 1, days=period.days)
    if likely := facts.forecast:
        span = words.span(likely.low, likely.high)
        yield phrases.month_about.format(likely=words.money(likely.likely), range=span)


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
    if words.facts.firsts:
        yield _firsts(words)
    if words.facts.course.causes.rows:
        yield _causes(words)
        if most := makes_most(words)[1]:
            yield Points("", (most,))
    if any(spend.amount for _, spend in words.facts.course.daily):
        yield _daily(words)


def closed_month(words: Words, closed: ClosedMonth) -> Iterator[Section]:
    """Yield the final figures of each scope, how well the forecast did, and which earlier months changed."""
    phrases, final = words.phrases, closed.figures[0].spend
    shown_rows, more = closed.figures[:_MOST_FIGURES], len(closed.figures) - _MOST_FIGURES
    rows = [Row(clean(one.name, NAME_LENGTH), words.money(one.spend), _final_note(words, one)) for one in shown_rows]
    yield Table("", (*rows, *([Row(phrases.more_files.format(count=more), "")] if more > 0 else []), *_split_rows(words)))
    if closed.ends_on:
        yield Points("", (phrases.ends_early.format(day=closed.ends_on),))
    if closed.forecasts:
        yield Table(phrases.forecast_check, tuple(_checked(words, one, final) for one in closed.forecasts))
    if closed.corrections:
        changed = (
            Row(month, words.money(now), phrases.was.format(before=words.money(before)))
            for month, before, now in closed.corrections
        )
        yield Table(phrases.changed_months, tuple(changed))


def _final_note(words: Words, one: FinalFigure) -> str:
    used = share_of(one.spend.amount, one.budget.amount) if one.budget else None
    of = words.phrases.final_budget.format(used=percent(used), budget=words.money(one.budget)) if used is not None else ""
    before = ""
    if one.before is not None:
        before = words.phrases.month_before.format(before=words.money(one.before))
    return words.phrases.comma.join(filter(None, (of, before)))


def _checked(words: Words, one: Forecast, final: Money) -> Row:
    off = share_of((one.likely - final).amount.copy_abs(), final.amount)
    sign = "+" if one.likely >= final else "−"
    note = words.phrases.off_by.format(off=f"{sign}{off:.1%}", range=words.span(one.low, one.high)) if off is not None else ""
    return Row(words.phrases.by_day.format(day=one.through.day), words.money(one.likely), note)


def _spend_rows(words: Words) -> Iterator[Row]:
    facts, phrases, spend = words.facts, words.phrases, words.facts.spend
    if spend is None:
        return
    if facts.discrepancy and (before := facts.discrepancy.before):
        yield Row(phrases.now, words.money(spend))
        yield Row(phrases.before, words.money(before))
        yield _change_row(words, spend - before, "")
        return
    if words.notification.rule not in _WITH_AMOUNT:
        yield Row(phrases.spent[facts.counts], words.money(spend), "" if facts.budget else phrases.no_budget)
    yield from _split_rows(words)
    if facts.budget is not None:
        left = facts.budget - spend
        is_over = left.amount < 0
        yield Row(phrases.over, words.money(spend - facts.budget)) if is_over else Row(phrases.left, words.money(left))
    if facts.reached_at is not None:
        share = words.label(facts.threshold) if facts.threshold.endswith("%") else ""
        notes = filter(None, (share, *_also(words)))
        yield Row(phrases.threshold, words.money(facts.reached_at), phrases.then.join(notes))
    if facts.too_old:
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
        yield Row(phrases.spent[Counts.PAY_AS_YOU_GO], words.money(split.pay_as_you_go), note)
    if facts.counts is not Counts.SUBSCRIPTION:
        yield Row(phrases.spent[Counts.SUBSCRIPTION], words.money(split.subscription), note)
        yield from orders


def _change_row(words: Words, change: Money, since: str) -> Row:
    label = words.phrases.since_last if since else words.phrases.change
    return Row(label, words.money(change, "+"), since)


def _other_rows(words: Words) -> Iterator[Row]:
    facts, phrases, rule = words.facts, words.phrases, words.notification.rule
    if spike := facts.spike:
        yield Row(phrases.above_usual, words.money(spike.found.spend - spike.found.high))
        for one in spike.also:
            yield Row(clean(one.name, NAME_LENGTH), words.money(one.spend), words.put(phrases.usual, usual=words.usual(one)))
    if facts.discrepancy:
        yield from _discrepancy_rows(words, facts.discrepancy)
    for money in facts.foreign:
        yield Row(phrases.other_currencies, words.money(money), phrases.not_counted)
    also = "" if words.holds else phrases.then.join(_also(words))
    if facts.floor is not None:
        yield Row(phrases.floor, words.money(facts.floor), also)
    elif rule.is_about_balance and also:
        yield Row(phrases.floor, also, is_amount=False)
    if facts.top_up is not None:
        yield Row(phrases.top_up, words.money(facts.top_up.amount), words.moment(facts.top_up.seen_at))
    if rule in {Rule.STALE, Rule.SOURCE_FAILING}:
        last = facts.last_bill_at
        yield Row(phrases.last_bill, words.moment(last) if last else phrases.never, is_amount=False)
    if facts.owner:
        yield Row(phrases.owner, clean(facts.owner, NAME_LENGTH), is_amount=False)


def _discrepancy_rows(words: Words, found: Discrepancy) -> Iterator[Row]:
    phrases, count = words.phrases, len(found.days)
    for place, (series, money) in enumerate(found.by_series):
        # A month's total and one of its days have the same date: the text names neither.
        counts = not place and found.kind is not Disagreement.TOTAL
        label = phrases.month_total if series == MONTH_TOTAL else clean(series, NAME_LENGTH)
        yield Row(label, words.money(money), phrases.counts if counts else "")
    if found.kind is Disagreement.AMOUNTS:
        days = phrases.compared_day if count == 1 else words.put(phrases.compared_days, days=str(count))
        yield Row(phrases.compared, days, is_amount=False)
    if found.lacking is not None:
        yield Row(
            phrases.uncounted, words.money(found.lacking), days_text(found.days, span=phrases.between, comma=phrases.comma)
        )


def _also(words: Words) -> Iterator[str]:
    """Yield the thresholds or floors for which the message speaks, too: those passed, and those that are only expected."""
    phrases = words.phrases
    named = [label for label in words.facts.also if label and not words.is_duration(label)][:_MOST_LABELS]
    for form, is_wanted in ((phrases.also if words.holds else phrases.also_ended, False), (phrases.also_expected, True)):
        if labels := phrases.comma.join(words.label(one) for one in named if one.startswith(FORECAST) is is_wanted):
            yield form.format(labels=labels)


def _ordered(words: Words) -> Iterator[Row]:
    for cause in words.facts.subscribed.all:
        label, detail = cause_named(words, cause)
        yield Row(label, words.money(cause.spent), detail)


def _causes(words: Words) -> Chart:
    phrases, causes = words.phrases, words.facts.course.causes
    hint = phrases.costs_hint if any(cause.before is None for cause in causes.all) else phrases.growth_hint
    if words.facts.spike:
        hint = phrases.spike_hint
    return cause_chart(words, causes, phrases.growth, words.put(hint))


def cause_chart(words: Words, found: Causes, title: str, hint: str) -> Chart:
    """Return causes as bars."""
    phrases, causes = words.phrases, found.all
    named = [cause_named(words, cause) for cause in causes]
    lengths = _lengths(cause.spent for cause in causes)
    bars = (
        Bar(label, length, words.money(cause.spent), phrases.comma.join(filter(None, _notes(words, cause))), detail)
        for cause, (label, detail), length in zip(causes, named, lengths, strict=True)
    )
    return Chart(title, hint, tuple(bars))


def _firsts(words: Words) -> Chart:
    """Return what costs something for the first time, each with its first day, for what and by whom."""
    phrases, firsts = words.phrases, words.facts.firsts[:_MOST_LABELS]
    bars = []
    for one, length in zip(firsts, _lengths(one.spent for one in firsts), strict=True):
        label, *code = words.first(one)
        since = phrases.since.format(moment=one.day.isoformat())
        detail = phrases.comma.join((since, *code, *(words.part(part) for part in one.by)))
        bars.append(Bar(label, length, words.money(one.spent), "", detail))
    if (more := len(words.facts.firsts) - len(firsts)) > 0:
        bars.append(Bar(phrases.more_files.format(count=more), 0, "", ""))
    return Chart(phrases.firsts, phrases.overlapping if len(bars) > 1 else "", tuple(bars))


def share_text(cause: Cause) -> str:
    """Return a cause's share of the whole, with a tenth of a percent, so that all add up; empty where there is no whole."""
    if cause.share is None:
        return ""
    return f"{plain(EXACT.multiply(cause.share, Decimal(100)))}%" if cause.share else "<0.1%"


def _notes(words: Words, cause: Cause) -> Iterator[str]:
    yield share_text(cause)
    yield _change(cause.spent, cause.before, words.phrases.new)


def cause_named(words: Words, cause: Cause) -> tuple[str, str]:
    """Return what a cause is, and the rest of what is known of it: model or category first, then who spent it."""
    if cause.more or not (cause.parts or cause.category):
        return words.phrases.more_files.format(count=cause.more or 1), ""
    model = [clean(part.short, NAME_LENGTH) for part in cause.parts if part.dimension is Dimension.MODEL]
    others = [words.part(part) for part in cause.parts if part.dimension is not Dimension.MODEL]
    tells_who = any(part.dimension in _WHO for part in cause.parts)
    # A model is for inference, unless its commodity says something else.
    is_usual = cause.category is Category.INFERENCE and model and tells_who
    is_vague = cause.category is Category.OTHER and cause.parts
    kind = [] if cause.category is None or is_usual or is_vague else [words.phrases.categories[cause.category]]
    label, *rest = [*model, *kind, *others]
    return label, words.phrases.comma.join(rest)


def makes_most(words: Words) -> tuple[str, str]:
    """Return the API key, workspace or model that makes most of the spend, and the sentence that says so; else nothing."""
    for part, share in words.facts.course.causes.main[:1]:
        who = words.part(part)
        form = words.phrases.makes_most_of_day if words.facts.spike else words.phrases.makes_most
        return who, words.put(form, who=f"{who[0].upper()}{who[1:]}", share=percent(share))
    return "", ""


def _daily(words: Words) -> Chart:
    days = words.facts.course.daily[-_MOST_DAYS:]
    until = words.facts.data_until
    last = until.astimezone(words.zone).date() if until else None
    most, currency = max(spend.amount.copy_abs() for _, spend in days), days[0][1].currency
    unit = words.phrases.units_of.get(currency, currency)
    bars = (
        Bar(day.strftime("%m-%d"), length, _short(spend.amount, most), words.phrases.so_far if day == last else "")
        for (day, spend), length in zip(days, _lengths(spend for _, spend in days), strict=True)
    )
    return Chart(words.phrases.daily, unit, tuple(bars), is_upright=True)


def _short(amount: Decimal, most: Decimal) -> str:
    """Return an amount that fits above a column, as exact as the largest beside it: `22.19`, `1,021` or `1,234k`."""
    if most < _THOUSAND:
        return shown(amount).replace("-", "−")
    unit, end = (Decimal(1), "") if most < _MILLION else (_THOUSAND, "k")
    rounded = (amount / unit).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return f"{rounded:,f}{end if rounded else ''}".replace("-", "−")


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
