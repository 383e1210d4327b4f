"""How pages write amounts, moments, durations and names, in the language of the reader and the billing time zone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal

from markupsafe import Markup

from spendwatch.domain.money import EXACT, Money, percent, plain, shown
from spendwatch.domain.notification import Notification
from spendwatch.domain.period import duration_text
from spendwatch.letters.language import Language
from spendwatch.letters.reader import Reader
from spendwatch.letters.wording import Wording

_TAG = re.compile(r"^\[[^\]]*\]\s*")
"""How grave a message is, which pages show beside it."""


@dataclass(frozen=True, slots=True)
class Formats:
    """One reader's way of reading."""

    language: Language
    zone: tzinfo
    texts: Mapping[str, str]

    @property
    def reader(self) -> Reader:
        """Who reads messages, too."""
        return Reader(self.language, self.zone)

    def money(self, money: Money | None, unit: bool = True) -> Markup:  # noqa: FBT001, FBT002 -- for templates
        """Return an amount as people read it; programs find it exactly."""
        if money is None:
            return Markup("?")
        return self.number(money.amount, self.reader.money(money) if unit else "")

    def number(self, amount: Decimal, written: str = "") -> Markup:
        """Return an amount that stands beside its currency, or as it is written; programs find it exactly."""
        return Markup('<data value="{}">{}</data>').format(plain(amount), (written or shown(amount)).replace(" ", "\xa0"))

    def share(self, share: Decimal | None) -> Markup:
        """Return a share in percent, rounded down."""
        return Markup("–") if share is None else Markup('<data value="{}">{}</data>').format(plain(share), percent(share))

    def part(self, share: Decimal | None, exact: Decimal | None) -> Markup:
        """Return a part of a whole in tenths of a percent, so that all add up; programs find it exactly."""
        if share is None:
            return Markup("–")
        text = f"{EXACT.multiply(share, Decimal(100)):.1f}%" if share or not exact else "<0.1%"
        return Markup('<data value="{}">{}</data>').format(plain(share if exact is None else exact), text)

    def when(self, moment: datetime | None) -> Markup | str:
        """Return a moment in the billing zone."""
        if moment is None:
            return self.texts["never"]
        local = moment.astimezone(self.zone)
        return Markup('<time datetime="{}">{}</time>').format(local.isoformat(timespec="seconds"), f"{local:%Y-%m-%d %H:%M}")

    def day(self, day: date) -> Markup:
        """Return a day, which no line breaks."""
        return Markup("<time>{}</time>").format(day)

    def age(self, age: timedelta) -> str:
        """Return a duration in its two largest units."""
        return self.reader.in_units(" ".join(duration_text(max(age, timedelta())).split()[:2]))

    def said(self, notification: Notification) -> str:
        """Return what a message says, in one line."""
        return _TAG.sub("", Wording(self.language, self.zone).subject(notification))
