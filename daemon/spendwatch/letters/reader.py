"""How the reader of one language in one time zone reads texts, amounts, moments and durations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta, tzinfo

from spendwatch.domain.commodity import Category
from spendwatch.domain.money import Money, shown
from spendwatch.domain.novelty import FirstCost
from spendwatch.domain.period import BillingPeriod, duration_text
from spendwatch.domain.plans import PlanOrder
from spendwatch.domain.policy import Part
from spendwatch.domain.scope import PLAYGROUND, Dimension
from spendwatch.domain.spike import SpendOn
from spendwatch.letters.language import Language
from spendwatch.letters.parts import Row, clean
from spendwatch.letters.texts import placeholders, text_in

NAME_LENGTH = 60
MOST = 10
"""So many of a list are named."""
_DURATION = re.compile(r"[0-9]{1,6}[dhms]", re.ASCII)


class Reader:
    """Whoever reads that language there."""

    def __init__(self, language: Language, zone: tzinfo) -> None:
        """Know the language, and by which clocks moments are shown."""
        self.language = language
        self.zone = zone

    def text(self, name: str, of: str = "", /, **own: object) -> str:
        """Return a text, filled in with `own` and what else is known."""
        form = text_in(self.language, name, of)
        filled = {each: self.known(each) for each in placeholders(form) - own.keys()} | own
        return form.format_map(filled) if filled else form

    def known(self, name: str) -> object:
        """Return what a placeholder stands for that the caller does not fill in."""
        raise KeyError(name)

    def row(self, name: str, money: Money | None, note: str = "", *, sign: str = "", plus: str = "") -> Iterator[Row]:
        """Yield the figure with the text of that name, where it is known."""
        if money is not None:
            yield Row(self.text(name), self.money(money, plus), note, sign)

    def joined(self, name: str, *texts: str) -> str:
        """Return the texts that are not empty, with the text of that name between them."""
        return self.text(name).join(filter(None, texts))

    def first_of(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Return the first of many texts, and how many more there are."""
        return (*texts[:MOST], *([self.text("more", count=len(texts) - MOST)] if len(texts) > MOST else []))

    def moment(self, moment: datetime) -> str:
        """Return the moment as clocks in the reader's zone show it."""
        return moment.astimezone(self.zone).strftime("%Y-%m-%d %H:%M")

    def money(self, money: Money | None, plus: str = "") -> str:
        """Return the amount as readers of the language write it; `plus` stands before what is above zero."""
        return money.written(self.unit(money, f"{money.currency} "), plus) if money else self.text("unknown")

    def unit(self, money: Money, usual: str) -> str:
        """Return what readers of the language write in place of the currency's code, else what is usual."""
        return text_in(self.language, "units_of", money.currency, "") or usual

    def span(self, low: Money, high: Money) -> str:
        """Return from how much to how much."""
        return self.text("between", low=shown(low.amount), high=shown(high.amount))

    def usual(self, one: SpendOn) -> str:
        """Return what such a day usually costs."""
        return self.text("between", low=self.money(one.low), high=shown(one.high.amount))

    def is_duration(self, label: str) -> bool:
        """Return whether the label is that of a runway."""
        return _DURATION.fullmatch(label) is not None

    def duration(self, duration: timedelta) -> str:
        """Return how long something is, or was."""
        return self.in_units(duration_text(duration))

    def in_units(self, duration: str) -> str:
        """Return a duration of numbers and units in the language's own."""
        words = (text_in(self.language, "units", word, f" {word}") for word in duration.split(" "))
        return "".join(words).strip() or self.text("unknown")

    def part(self, part: Part) -> str:
        """Return what kind of thing a part of the spend is, its name and its id."""
        if part.dimension is Dimension.CHANNEL and part.value == PLAYGROUND:
            return self.text("playground")
        return self.text("parts", part.dimension, name=clean(part.label, NAME_LENGTH))

    def first(self, one: FirstCost) -> tuple[str, ...]:
        """Return what costs something for the first time: the name of its category before the code, if it has one."""
        part = self.part(one.part)
        return (self.text("categories", one.category), part) if one.category else (f"{part[0].upper()}{part[1:]}",)

    def plan(self, one: PlanOrder) -> str:
        """Return what an order is called, and until when it is for."""
        is_named = one.category is not Category.OTHER
        what = self.text("categories", one.category) if is_named else clean(one.commodity.label, NAME_LENGTH)
        return f"{what} {self.text('until', ends=clean(one.ends, NAME_LENGTH))}" if one.ends else what

    def month(self, period: BillingPeriod) -> str:
        """Return the name of a month."""
        return self.text("months", str(period.month), year=period.year)

    def day(self, day: date) -> str:
        """Return a day in full, with its weekday."""
        month = self.month(BillingPeriod(day.year, day.month))
        return self.text("day_named", weekday=self.text("weekdays", str(day.isoweekday())), day=day.day, month=month)
