"""What is remembered of a balance: money that came in, recoveries that are sure, runways that do not flap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain_builders import ACME, CNY, NOW, USD, cny
from spendwatch.domain.balance import Billed, Position
from spendwatch.domain.balance_reading import BalanceReading, Origin
from spendwatch.domain.balance_watch import BalanceWatch, TopUp, is_clear, watch_balance, with_runway
from spendwatch.domain.forecast import Crossing, Runway, RunwayReached
from spendwatch.domain.money import Money
from spendwatch.domain.run_rate import TooEarly

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SEVEN, THREE = timedelta(days=7), timedelta(days=3)


def configured(cash: str | int | Decimal, spent: str | int) -> Position:
    """Return a balance of which the bills tell what is unsettled."""
    reading = BalanceReading(ACME, CNY, Origin.MANUAL, NOW, NOW, cash=cny(cash), credit=cny(0))
    return Position(reading, Billed(cny(spent), cny(0), cny(0), NOW))


def reported(available: str | int, *, cash: str | int | None = None, origin: Origin = Origin.API) -> Position:
    """Return a balance as the provider tells it."""
    told = None if cash is None else cny(cash)
    reading = BalanceReading(ACME, CNY, origin, NOW, NOW, cash=told, reported=cny(available))
    return Position(reading, Billed(cny(0), cny(0), cny(0), NOW))


def runway(days: int | None, through: date = date(2026, 9, 13)) -> Runway:
    """Return a runway of so many days."""
    today = date(2026, 9, 16)
    day = None if days is None else today + days * DAY
    return Runway(Crossing(cny(0), today, day, day, day), (), through, 30)


def looked(*balances: Position, step: timedelta = MINUTE) -> BalanceWatch:
    """Return what is remembered after these looks, one a step."""
    watch: BalanceWatch | None = None
    for number, balance in enumerate(balances):
        watch = watch_balance(watch, balance, now=NOW + number * step)
    assert watch
    return watch


def test_more_cash_is_money_that_came_in_and_less_spend_is_not() -> None:
    assert looked(configured(100, 120), configured(600, 120)).top_up == TopUp(cny(500), NOW + MINUTE)
    assert looked(configured(100, 120), configured(100, 20)).top_up is None


def test_money_that_came_in_while_as_much_was_settled_is_seen_where_the_provider_tells_the_result() -> None:
    before, after = reported(-50, cash=1000), reported(150, cash=500)
    assert looked(before, after).top_up == TopUp(cny(200), NOW + MINUTE)


def test_a_settlement_alone_is_no_money_that_came_in() -> None:
    assert looked(reported(150, cash=1000), reported(150, cash=300)).top_up is None


def test_another_source_that_tells_more_is_no_money_that_came_in() -> None:
    assert looked(reported(10, origin=Origin.FILE), reported(900)).top_up is None
    assert looked(configured(10, 0), reported(900, cash=900)).top_up is None


def test_cents_are_no_money_that_came_in() -> None:
    assert looked(reported("10.00"), reported("10.06")).top_up is None
    assert looked(reported("10.00"), reported("10.07")).top_up is not None


def test_several_payments_that_only_together_end_a_debt_are_told_as_one() -> None:
    watch = looked(reported(10), reported(-100), reported(-60), reported(-20), reported(30))
    assert watch.top_up == TopUp(cny(130), NOW + 4 * MINUTE)


def test_money_that_came_in_before_the_account_fell_below_zero_is_not_what_brought_it_out() -> None:
    watch = looked(reported(10), reported(500), reported(-5), reported(20))
    assert watch.top_up == TopUp(cny(25), NOW + 3 * MINUTE)
    assert looked(reported(10), reported(500), reported(-5)).top_up is None


def test_an_account_recovers_at_once_with_money_and_after_an_hour_without() -> None:
    since = NOW + MINUTE
    paid = looked(configured(100, 50), configured(100, 120), configured(300, 120))
    assert is_clear(paid, since, now=NOW + 2 * MINUTE)
    corrected = looked(configured(100, 50), configured(100, 120), configured(100, 90))
    assert not is_clear(corrected, since, now=NOW + 2 * MINUTE)
    assert not is_clear(corrected, since, now=NOW + HOUR + MINUTE)
    assert is_clear(corrected, since, now=NOW + HOUR + 2 * MINUTE)
    assert not is_clear(looked(configured(100, 120)), since, now=NOW + DAY)


def test_a_top_up_lets_go_of_every_runway() -> None:
    watch = with_runway(looked(reported(50)), runway(3), (SEVEN, THREE))
    assert {one.threshold for one in watch.runway} == {SEVEN, THREE}
    # Eight days would be too few to be clearly longer than seven.
    still = with_runway(watch_balance(watch, reported(50), now=NOW), runway(8), (SEVEN, THREE))
    assert {one.threshold for one in still.runway} == {SEVEN, THREE}
    paid = with_runway(watch_balance(watch, reported(80), now=NOW), runway(8), (SEVEN, THREE))
    assert paid.runway == ()


def test_what_is_remembered_of_runways_goes_on_while_it_is_too_early_to_tell() -> None:
    watch = replace(looked(reported(50)), runway=(RunwayReached(SEVEN, date(2026, 9, 12)),))
    again = with_runway(watch_balance(watch, reported(40), now=NOW), TooEarly(2), (SEVEN,))
    assert again.runway == watch.runway


def test_a_balance_in_another_currency_is_another_balance() -> None:
    usd = Money(Decimal(900), USD)
    reading = BalanceReading(ACME, USD, Origin.API, NOW, NOW, reported=usd)
    zero = Money.zero(USD)
    other = Position(reading, Billed(zero, zero, zero, NOW))
    assert looked(reported(10), other).top_up is None


AVAILABLE = st.lists(st.integers(-50, 50), min_size=1, max_size=200)


@given(AVAILABLE)
def test_without_money_coming_in_an_account_is_in_debt_at_most_once_an_hour(spends: Sequence[int]) -> None:
    """Bills are corrected up and down: whoever looks each minute counts few episodes."""
    watch: BalanceWatch | None = None
    since, episodes = None, 0
    for number, spent in enumerate(spends):
        now = NOW + number * MINUTE
        balance = configured(100, 100 + spent)
        watch = watch_balance(watch, balance, now=now)
        if since is None and balance.is_overdue:
            since, episodes = now, episodes + 1
        elif since is not None and not balance.is_overdue and is_clear(watch, since, now=now):
            since = None
    assert episodes <= 1 + len(spends) // 60


@given(st.lists(st.integers(0, 12), min_size=1, max_size=80), st.integers(1, 9))
@example([0, 12, 12, 12, 0, 12, 12], 3)
def test_a_runway_that_wavers_within_a_day_is_one_condition(days: Sequence[int], step: int) -> None:
    """However often a runway is looked at, its condition ends at most once for two days of data."""
    watch, ends = looked(reported(50)), 0
    for number, lasts in enumerate(days):
        before = watch.runway
        watch = with_runway(
            watch_balance(watch, reported(50), now=NOW), runway(lasts, date(2026, 1, 1) + number // step * DAY), (SEVEN,)
        )
        ends += bool(before) and not watch.runway
    assert ends <= (1 + (len(days) - 1) // step) // 2


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=30), st.integers(1, 10**6))
def test_a_top_up_always_resets(cash: Sequence[int], came_in: int) -> None:
    watch: BalanceWatch | None = None
    for amount in cash:
        watch = with_runway(watch_balance(watch, configured(amount, 500), now=NOW), runway(2), (SEVEN, THREE))
    assert watch
    assert watch.runway
    paid = watch_balance(watch, configured(cash[-1] + came_in, 500), now=NOW + HOUR)
    assert paid.runway == ()
    assert paid.top_up
    assert paid.top_up.seen_at == NOW + HOUR
    assert paid.top_up.amount >= cny(came_in)


@pytest.mark.parametrize("came_in", ["0.07", "0.1", "1000000"])
def test_however_small_it_is_told_by_how_much(came_in: str) -> None:
    watch = looked(configured(5, 5), configured(Decimal(5) + Decimal(came_in), 5))
    assert watch.top_up
    assert watch.top_up.amount == cny(came_in)
