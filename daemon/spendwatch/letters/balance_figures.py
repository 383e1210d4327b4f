"""The figures of a balance: its equation term by term, their age, the explanation of a difference, and the runway."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from spendwatch.domain.balance import Position
from spendwatch.domain.balance_reading import Origin
from spendwatch.domain.forecast import Crossing, Runway
from spendwatch.letters.parts import Row, clean
from spendwatch.letters.words import NAME_LENGTH, Words

_JUST_NOW = timedelta(minutes=1)


def equation(words: Words, balance: Position) -> Iterator[Row]:
    """Yield the terms that are known, what they make, what is reported, and what counts in the end."""
    phrases = words.phrases
    yield from _quota(words, balance) if balance.reading.is_reseller_quota else _terms(words, balance)
    if balance.computed == balance.available:
        yield Row(phrases.available, words.money(balance.available), sign="=")
        yield from _reported(words, balance)
    else:
        if balance.computed is not None:
            yield Row(phrases.by_formula, words.money(balance.computed), sign="=")
        yield from _reported(words, balance)
        if balance.spent_since is not None:
            yield Row(phrases.spent_since, words.money(balance.spent_since), sign="−")
        yield Row(phrases.available, words.money(balance.available), sign="=")


def _quota(words: Words, balance: Position) -> Iterator[Row]:
    for label, money in (
        (words.phrases.quota, balance.reading.quota),
        (words.phrases.quota_consumed, balance.reading.quota_consumed),
    ):
        if money is not None:
            yield Row(label, words.money(money))


def _terms(words: Words, balance: Position) -> Iterator[Row]:
    phrases = words.phrases
    if balance.reading.cash is not None:
        yield Row(phrases.cash, words.money(balance.reading.cash))
    if balance.reading.credit is not None:
        yield Row(phrases.credit, words.money(balance.reading.credit), sign="+" if balance.reading.cash else "")
    if balance.unsettled_current is not None and balance.unsettled_previous is not None:
        yield Row(phrases.unsettled_current, words.money(balance.unsettled_current), sign="−")
        yield Row(phrases.unsettled_previous, words.money(balance.unsettled_previous), sign="−")
    elif (unsettled := balance.unsettled) is not None:
        yield Row(phrases.unsettled, words.money(unsettled), phrases.unsettled_derived if balance.is_derived else "", sign="−")


def _reported(words: Words, balance: Position) -> Iterator[Row]:
    if balance.reading.reported is None:
        return
    is_own = balance.reading.origin in {Origin.FILE, Origin.URL}
    yield Row(
        words.phrases.reported,
        words.money(balance.reading.reported),
        words.phrases.reported_elsewhere if is_own else words.phrases.reported_note,
    )


def remarks(words: Words, balance: Position) -> Iterator[str]:
    """Yield how old the figures are, why what is reported is not what the formula gives, and what that means."""
    phrases, difference = words.phrases, balance.difference
    if balance.as_of is not None:
        yield _as_of(words, balance.as_of, balance)
    if balance.paid_at_order is not None:
        yield phrases.paid_at_order.format(amount=words.money(balance.paid_at_order))
    if balance.unseen:
        yield phrases.unseen.format(products=phrases.comma.join(clean(product, NAME_LENGTH) for product in balance.unseen))
    if balance.is_before_settlement:
        yield words.put(phrases.before_settlement)
    if difference is None:
        return
    for explanation in difference.explained_by:
        amount = balance.explaining(explanation)
        others = phrases.comma.join(words.money(money) for money in balance.reading.other_cash)
        yield phrases.explained[explanation].format(amount=words.money(amount) if amount else others)
    if not difference.explained_by:
        yield phrases.unexplained.format(amount=words.money(difference.amount))
    if (
        balance.is_overdue
        and balance.reading.reported is not None
        and balance.reading.reported.amount >= 0
        and balance.spent_since is None
    ):
        yield phrases.not_overdue_there.format(reported=words.money(balance.reading.reported))


def _as_of(words: Words, as_of: datetime, balance: Position) -> str:
    phrases, age = words.phrases, words.notification.created_at - as_of
    form = phrases.as_of_now if age < _JUST_NOW else phrases.as_of
    if balance.is_stale:
        form = phrases.as_of_stale
    if balance.reading.origin is Origin.MANUAL:
        form = phrases.as_of_configured
    origin = phrases.origins[balance.reading.origin]
    return form.format(moment=words.moment(as_of), age=words.duration(age).strip(), origin=origin)


def lasting(words: Words, runway: Runway, balance: Position) -> Iterator[Row]:
    """Yield when each floor that lies ahead, and zero, will probably be reached, and on which days that rests."""
    phrases = words.phrases
    ahead = [floor for floor in runway.floors if floor.level < balance.available]
    for floor in ahead:
        yield _crossing(words, phrases.below.format(level=words.money(floor.level)), floor)
    yield _crossing(words, phrases.used_up, runway.zero)
    days = phrases.pace_days.format(days=runway.days, through=runway.through.isoformat())
    yield Row(phrases.pace, days, is_amount=False)


def _crossing(words: Words, label: str, crossing: Crossing) -> Row:
    phrases = words.phrases
    if crossing.likely is None:
        return Row(label, phrases.not_in_sight, is_amount=False)
    days = words.days(crossing.days or 0)
    soonest = crossing.soonest.isoformat() if crossing.soonest else "?"
    latest = crossing.latest.isoformat() if crossing.latest else "…"
    note = phrases.between.format(low=soonest, high=latest)
    return Row(label, phrases.about_day.format(day=crossing.likely.isoformat(), days=days), note, is_amount=False)
