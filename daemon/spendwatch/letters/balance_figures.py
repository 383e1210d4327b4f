"""The figures of a balance: its equation term by term, their age, the explanation of a difference, and the runway."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from spendwatch.domain.balance import Position
from spendwatch.domain.balance_reading import Origin
from spendwatch.domain.forecast import Crossing, Runway
from spendwatch.letters.parts import Row, clean
from spendwatch.letters.reader import NAME_LENGTH
from spendwatch.letters.words import Words

_JUST_NOW = timedelta(minutes=1)


def equation(words: Words, balance: Position) -> Iterator[Row]:
    """Yield the terms that are known, what they make, what is reported, and what counts in the end."""
    text, row, reading = words.text, words.row, balance.reading
    is_sum = balance.computed == balance.available
    if reading.is_reseller_quota:
        yield from row("quota", reading.quota)
        yield from row("quota_consumed", reading.quota_consumed)
    else:
        yield from row("cash", reading.cash)
        yield from row("credit", reading.credit, sign="+" if reading.cash else "")
        if balance.unsettled_current is not None and balance.unsettled_previous is not None:
            yield from row("unsettled_current", balance.unsettled_current, sign="−")
            yield from row("unsettled_previous", balance.unsettled_previous, sign="−")
        else:
            yield from row("unsettled", balance.unsettled, text("unsettled_derived") if balance.is_derived else "", sign="−")
    yield from row("available" if is_sum else "by_formula", balance.computed, sign="=")
    note = text("reported_elsewhere" if reading.origin in {Origin.FILE, Origin.URL} else "reported_note")
    yield from row("reported", reading.reported, note)
    if not is_sum:
        yield from row("spent_since", balance.spent_since, sign="−")
        yield from row("available", balance.available, sign="=")


def remarks(words: Words, balance: Position) -> Iterator[str]:
    """Yield how old the figures are, why what is reported is not what the formula gives, and what that means."""
    text, difference = words.text, balance.difference
    if balance.as_of is not None:
        yield _as_of(words, balance.as_of, balance)
    if balance.paid_at_order is not None:
        yield text("paid_at_order", amount=words.money(balance.paid_at_order))
    if balance.unseen:
        yield text("unseen", products=words.joined("comma", *(clean(one, NAME_LENGTH) for one in balance.unseen)))
    if balance.is_before_settlement:
        yield text("before_settlement")
    if difference is None:
        return
    for explanation in difference.explained_by:
        amount = balance.explaining(explanation)
        others = words.joined("comma", *map(words.money, balance.reading.other_cash))
        yield text("explained", explanation, amount=words.money(amount) if amount else others)
    if not difference.explained_by:
        yield text("unexplained", amount=words.money(difference.amount))
    if (
        balance.is_overdue
        and balance.reading.reported is not None
        and balance.reading.reported.amount >= 0
        and balance.spent_since is None
    ):
        yield text("not_overdue_there", reported=words.money(balance.reading.reported))


def _as_of(words: Words, as_of: datetime, balance: Position) -> str:
    age, name = words.notification.created_at - as_of, "as_of"
    if balance.reading.origin is Origin.MANUAL:
        name = "as_of_configured"
    elif balance.is_stale:
        name = "as_of_stale"
    elif age < _JUST_NOW:
        name = "as_of_now"
    origin = words.text("origins", balance.reading.origin)
    return words.text(name, moment=words.moment(as_of), age=words.duration(age), origin=origin)


def lasting(words: Words, runway: Runway, balance: Position) -> Iterator[Row]:
    """Yield when each floor that lies ahead, and zero, will probably be reached, and on which days that rests."""
    text = words.text
    ahead = [floor for floor in runway.floors if floor.level < balance.available]
    for floor in ahead:
        yield _crossing(words, text("below", level=words.money(floor.level)), floor)
    yield _crossing(words, text("used_up"), runway.zero)
    days = text("pace_days", days=runway.days, through=runway.through.isoformat())
    yield Row(text("pace"), days, is_amount=False)


def _crossing(words: Words, label: str, crossing: Crossing) -> Row:
    text = words.text
    if crossing.likely is None:
        return Row(label, text("not_in_sight"), is_amount=False)
    days = words.in_units(f"{crossing.days or 0} d")
    soonest = crossing.soonest.isoformat() if crossing.soonest else "?"
    latest = crossing.latest.isoformat() if crossing.latest else "…"
    note = text("between", low=soonest, high=latest)
    return Row(label, text("about_day", day=crossing.likely.isoformat(), days=days), note, is_amount=False)
