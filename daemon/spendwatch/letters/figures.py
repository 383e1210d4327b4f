"""The tables of a message: spend, remaining budget, the balance, the figures of a month that is final."""

from __future__ import annotations

from collections.abc import Iterator

from spendwatch.domain.alert import OF_PORTIONS, Rule
from spendwatch.domain.discrepancy import MONTH_TOTAL, Disagreement, Discrepancy
from spendwatch.domain.forecast import Forecast
from spendwatch.domain.money import Money, percent, share_of
from spendwatch.domain.month_close import ClosedMonth, FinalFigure
from spendwatch.domain.period import days_text
from spendwatch.domain.policy import FORECAST
from spendwatch.domain.scope import Counts
from spendwatch.letters.balance_figures import equation, lasting
from spendwatch.letters.charts import cause_named, daily, first_costs, growth, makes_most
from spendwatch.letters.parts import Gauge, Points, Row, Section, Table, clean
from spendwatch.letters.reader import MOST, NAME_LENGTH
from spendwatch.letters.words import Words

_MOST_FIGURES = 50
_WITH_AMOUNT = OF_PORTIONS | {Rule.THRESHOLD_REACHED, Rule.FORECAST, Rule.CORRECTED}


def amount(words: Words) -> Row | None:
    """Return the figure that the message is about: what is spent, or what is available."""
    facts, text, rule = words.facts, words.text, words.notification.rule
    if rule.is_about_balance and facts.balance:
        return Row(text("available"), words.money(facts.balance.available))
    if spike := facts.spike:
        return Row(words.day(spike.day), words.money(spike.found.spend), text("usual"))
    if facts.spend is None or (rule not in _WITH_AMOUNT and not facts.closed):
        return None
    is_short = words.kind.is_short and facts.counts is Counts.ALL
    label = text("final_figure" if facts.closed else "spent_short") if facts.closed or is_short else text("spent", facts.counts)
    if facts.budget is None:
        return Row(label, words.money(facts.spend), text("no_budget"))
    note = text("of_budget", budget=words.money(facts.budget)) if facts.used is not None else ""
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
    label = words.text("budget") if facts.budget else words.text("threshold").lower()
    return Gauge(label, spent_share, expected_share, mark)


def captions(words: Words) -> Iterator[str]:
    """Yield which day of the month the data reach, and what the month will probably cost."""
    facts, text = words.facts, words.text
    if words.notification.rule not in _WITH_AMOUNT or not (until := facts.data_until):
        return
    last, period = until.astimezone(words.zone).date(), words.period
    if period is not None and last in period and period.days > 1:
        yield text("day_of", day=(last - period.first_day).days + 1, days=period.days)
    if likely := facts.forecast:
        span = words.span(likely.low, likely.high)
        yield text("month_about", likely=words.money(likely.likely), range=span)


def figures(words: Words) -> Iterator[Section]:
    """Yield the tables and charts that the facts give reason for, and who makes most of the spend."""
    if rows := (*_spend_rows(words), *_other_rows(words)):
        yield Table("", rows)
    if balance := words.facts.balance:
        yield Table(words.text("balance"), tuple(equation(words, balance)))
        if words.facts.runway and words.holds and not balance.is_overdue:
            yield Table(words.text("runway"), tuple(lasting(words, words.facts.runway, balance)))
        if words.facts.too_old and words.holds and not balance.is_overdue:
            yield Table(words.text("runway"), (Row(words.text("used_up"), words.text("too_old"), is_amount=False),))
        if words.facts.subscribed.rows:
            yield Table(words.text("spent", Counts.SUBSCRIPTION), tuple(_ordered(words)))
    if words.facts.firsts:
        yield first_costs(words)
    if words.facts.course.causes.rows:
        yield growth(words)
        if most := makes_most(words)[1]:
            yield Points("", (most,))
    if any(spend.amount for _, spend in words.facts.course.daily):
        yield daily(words)


def closed_month(words: Words, closed: ClosedMonth) -> Iterator[Section]:
    """Yield the final figures of each scope, how well the forecast did, and which earlier months changed."""
    text, final = words.text, closed.figures[0].spend
    shown_rows, more = closed.figures[:_MOST_FIGURES], len(closed.figures) - _MOST_FIGURES
    rows = [Row(clean(one.name, NAME_LENGTH), words.money(one.spend), _final_note(words, one)) for one in shown_rows]
    yield Table("", (*rows, *([Row(text("more", count=more), "")] if more > 0 else []), *_split_rows(words)))
    if closed.ends_on:
        yield Points("", (text("ends_early", day=closed.ends_on),))
    if closed.forecasts:
        yield Table(text("forecast_check"), tuple(_checked(words, one, final) for one in closed.forecasts))
    if closed.corrections:
        changed = (
            Row(month, words.money(now), text("was", before=words.money(before))) for month, before, now in closed.corrections
        )
        yield Table(text("changed_months"), tuple(changed))


def _final_note(words: Words, one: FinalFigure) -> str:
    used = share_of(one.spend.amount, one.budget.amount) if one.budget else None
    of = words.text("final_budget", used=percent(used), budget=words.money(one.budget)) if used is not None else ""
    before = words.text("month_before", before=words.money(one.before)) if one.before is not None else ""
    return words.joined("comma", of, before)


def _checked(words: Words, one: Forecast, final: Money) -> Row:
    off = share_of((one.likely - final).amount.copy_abs(), final.amount)
    sign = "+" if one.likely >= final else "−"
    note = words.text("off_by", off=f"{sign}{off:.1%}", range=words.span(one.low, one.high)) if off is not None else ""
    return Row(words.text("by_day", day=one.through.day), words.money(one.likely), note)


def _spend_rows(words: Words) -> Iterator[Row]:
    facts, text, row, spend = words.facts, words.text, words.row, words.facts.spend
    if spend is None:
        return
    if facts.discrepancy and (before := facts.discrepancy.before):
        yield from row("now", spend)
        yield from row("before", before)
        yield from row("change", spend - before, plus="+")
        return
    if words.notification.rule not in _WITH_AMOUNT:
        yield Row(text("spent", facts.counts), words.money(spend), "" if facts.budget else text("no_budget"))
    yield from _split_rows(words)
    if facts.budget is not None:
        yield from row("over", spend - facts.budget) if spend > facts.budget else row("left", facts.budget - spend)
    share = words.label(facts.threshold) if facts.threshold.endswith("%") else ""
    yield from row("threshold", facts.reached_at, words.joined("then", share, *_also(words)))
    if facts.too_old:
        yield Row(text("expected"), text("too_old"), is_amount=False)
    if facts.earlier is not None and facts.earlier_at:
        since = text("since", moment=words.moment(facts.earlier_at))
        yield from row("since_last", spend - facts.earlier, since, plus="+")


def _split_rows(words: Words) -> Iterator[Row]:
    """Yield pay-as-you-go and subscription where there are both, or what of them the budget does not count."""
    facts, text, split = words.facts, words.text, words.facts.split
    if split is None or not split.subscription.amount:
        return
    orders = [row._replace(label=f"– {row.label}") for row in _ordered(words)]
    note = text("counts_not") if facts.counts is not Counts.ALL else ""
    if facts.counts is Counts.SUBSCRIPTION:
        yield from orders
    if facts.counts is not Counts.PAY_AS_YOU_GO:
        yield Row(text("spent", Counts.PAY_AS_YOU_GO), words.money(split.pay_as_you_go), note)
    if facts.counts is not Counts.SUBSCRIPTION:
        yield Row(text("spent", Counts.SUBSCRIPTION), words.money(split.subscription), note)
        yield from orders


def _other_rows(words: Words) -> Iterator[Row]:
    facts, text, row, rule = words.facts, words.text, words.row, words.notification.rule
    if spike := facts.spike:
        yield from row("above_usual", spike.found.spend - spike.found.high)
        for one in spike.also:
            yield Row(clean(one.name, NAME_LENGTH), words.money(one.spend), text("usual", usual=words.usual(one)))
    if facts.discrepancy:
        yield from _discrepancy_rows(words, facts.discrepancy)
    for money in facts.foreign:
        yield from row("other_currencies", money, text("not_counted"))
    also = "" if words.holds else words.joined("then", *_also(words))
    yield from row("floor", facts.floor, also)
    if facts.floor is None and rule.is_about_balance and also:
        yield Row(text("floor"), also, is_amount=False)
    if facts.top_up is not None:
        yield from row("top_up", facts.top_up.amount, words.moment(facts.top_up.seen_at))
    if rule in {Rule.STALE, Rule.SOURCE_FAILING}:
        last = facts.last_bill_at
        yield Row(text("last_bill"), words.moment(last) if last else text("never"), is_amount=False)
    if facts.owner:
        yield Row(text("owner"), clean(facts.owner, NAME_LENGTH), is_amount=False)


def _discrepancy_rows(words: Words, found: Discrepancy) -> Iterator[Row]:
    text, count = words.text, len(found.days)
    for place, (series, money) in enumerate(found.by_series):
        # A month's total and one of its days have the same date: the text names neither.
        counts = not place and found.kind is not Disagreement.TOTAL
        label = text("month_total") if series == MONTH_TOTAL else clean(series, NAME_LENGTH)
        yield Row(label, words.money(money), text("counts") if counts else "")
    if found.kind is Disagreement.AMOUNTS:
        compared = text("compared_day" if count == 1 else "compared_days", days=count)
        yield Row(text("compared"), compared, is_amount=False)
    days = days_text(found.days, span=text("between", low="{low}", high="{high}"), comma=text("comma"))
    yield from words.row("uncounted", found.lacking, days)


def _also(words: Words) -> Iterator[str]:
    """Yield the thresholds or floors for which the message speaks, too: those passed, and those that are only expected."""
    named = [label for label in words.facts.also if label and not words.is_duration(label)][:MOST]
    for name, is_wanted in (("also" if words.holds else "also_ended", False), ("also_expected", True)):
        if labels := words.joined("comma", *(words.label(one) for one in named if one.startswith(FORECAST) is is_wanted)):
            yield words.text(name, labels=labels)


def _ordered(words: Words) -> Iterator[Row]:
    for cause in words.facts.subscribed.all:
        label, detail = cause_named(words, cause)
        yield Row(label, words.money(cause.spent), detail)
