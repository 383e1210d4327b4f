"""The charts of a message: what the money went to, what is new, and each day."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

from spendwatch.domain.causes import Cause, Causes
from spendwatch.domain.commodity import Category
from spendwatch.domain.money import EXACT, Money, percent, plain, share_of, shown
from spendwatch.domain.scope import Dimension
from spendwatch.letters.parts import Bar, Chart, clean
from spendwatch.letters.reader import MOST, NAME_LENGTH, Reader
from spendwatch.letters.words import Words

_MOST_DAYS = 7
_THOUSAND, _MILLION = Decimal(1000), Decimal(1_000_000)
_WHO = frozenset({Dimension.API_KEY, Dimension.WORKSPACE})


def growth(words: Words) -> Chart:
    """Return what the money went to, compared with the days before."""
    causes = words.facts.course.causes
    lacks = any(cause.before is None for cause in causes.all)
    hint = words.text("spike_hint" if words.facts.spike else "costs_hint" if lacks else "growth_hint")
    return cause_chart(words, causes, hint)


def cause_chart(reader: Reader, causes: Causes, hint: str) -> Chart:
    """Return causes as bars."""
    bars = []
    for cause, length in zip(causes.all, _lengths(cause.spent for cause in causes.all), strict=True):
        label, detail = cause_named(reader, cause)
        note = reader.joined("comma", share_text(cause), change(cause.spent, cause.before, reader.text("new")))
        bars.append(Bar(label, length, reader.money(cause.spent), note, detail))
    return Chart(reader.text("growth"), hint, tuple(bars))


def first_costs(words: Words) -> Chart:
    """Return what costs something for the first time, each with its first day, for what and by whom."""
    firsts, more, bars = words.facts.firsts[:MOST], len(words.facts.firsts) - MOST, list[Bar]()
    for one, length in zip(firsts, _lengths(one.spent for one in firsts), strict=True):
        label, *code = words.first(one)
        detail = words.joined("comma", words.text("since", moment=one.day), *code, *map(words.part, one.by))
        bars.append(Bar(label, length, words.money(one.spent), "", detail))
    if more > 0:
        bars.append(Bar(words.text("more", count=more), 0, ""))
    return Chart(words.text("firsts"), words.text("overlapping") if len(bars) > 1 else "", tuple(bars))


def share_text(cause: Cause) -> str:
    """Return a cause's share of the whole, with a tenth of a percent, so that all add up; empty where there is no whole."""
    if cause.share is None:
        return ""
    return f"{plain(EXACT.multiply(cause.share, Decimal(100)))}%" if cause.share else "<0.1%"


def cause_named(reader: Reader, cause: Cause) -> tuple[str, str]:
    """Return what a cause is, and the rest of what is known of it: model or category first, then who spent it."""
    if cause.more or not (cause.parts or cause.category):
        return reader.text("more", count=cause.more or 1), ""
    model = [clean(part.short, NAME_LENGTH) for part in cause.parts if part.dimension is Dimension.MODEL]
    others = [reader.part(part) for part in cause.parts if part.dimension is not Dimension.MODEL]
    tells_who = any(part.dimension in _WHO for part in cause.parts)
    # A model is for inference, unless its commodity says something else.
    is_usual = cause.category is Category.INFERENCE and model and tells_who
    is_vague = cause.category is Category.OTHER and cause.parts
    kind = [] if cause.category is None or is_usual or is_vague else [reader.text("categories", cause.category)]
    label, *rest = [*model, *kind, *others]
    return label, reader.joined("comma", *rest)


def makes_most(words: Words) -> tuple[str, str]:
    """Return the API key, workspace or model that makes most of the spend, and the sentence that says so; else nothing."""
    for part, share in words.facts.course.causes.main[:1]:
        who = words.part(part)
        name = "makes_most_of_day" if words.facts.spike else "makes_most"
        return who, words.text(name, who=f"{who[0].upper()}{who[1:]}", share=percent(share))
    return "", ""


def daily(words: Words) -> Chart:
    """Return what each day cost."""
    days, until = words.facts.course.daily[-_MOST_DAYS:], words.facts.data_until
    last = until.astimezone(words.zone).date() if until else None
    most, money = max(spend.amount.copy_abs() for _, spend in days), days[0][1]
    bars = (
        Bar(day.strftime("%m-%d"), length, _short(spend.amount, most), words.text("so_far") if day == last else "")
        for (day, spend), length in zip(days, _lengths(spend for _, spend in days), strict=True)
    )
    return Chart(words.text("daily"), words.unit(money, money.currency), tuple(bars), is_upright=True)


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


def change(recent: Money, before: Money | None, new: str = "") -> str:
    """Return by how much it is more or less, or that it is new."""
    if before is None:
        return ""
    if before.amount == 0:
        return new if recent.amount > 0 else ""
    grown = share_of(EXACT.subtract(recent.amount, before.amount), before.amount)
    return "" if grown is None else f"{'+' if grown >= 0 else ''}{percent(grown)}"
