"""Forecasts are told once, when it is sure enough, and only while the spend itself has not got there."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain_builders import SEPTEMBER, Book, a_watch, cny, review_forecast, share, standing, told
from spendwatch.domain.alert import Rule
from spendwatch.domain.forecast import Forecast
from spendwatch.domain.forecast_alerts import Foretold, false_before, not_reached
from spendwatch.domain.notification import Notification
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import Severity, Threshold, Watch

FIRST = date(2026, 9, 10)
DAY = timedelta(days=1)


def of_forecast(percent: int) -> Threshold:
    return Threshold(share=Decimal(percent) / 100, is_forecast=True)


WATCH = a_watch(share(80), of_forecast(100), of_forecast(150))


class Foreseer:
    """Looks at forecasts as rounds do, and remembers between them."""

    def __init__(self, watch: Watch = WATCH) -> None:
        self.book = Book()
        self.held: Foretold = {}
        self._watch = watch

    def look(
        self,
        spent: str | int,
        likely: str | int | None,
        day: int = 0,
        *,
        low: str | int | None = None,
        month: BillingPeriod = SEPTEMBER,
    ) -> tuple[Notification, ...]:
        """Look at a forecast that rests on the data of so many days later; its range begins at what is spent."""
        through = FIRST + day * DAY
        expected = None
        if likely is not None:
            least = spent if low is None else low
            expected = Forecast(month, cny(spent), cny(least), cny(likely), cny(likely), through, 30)
        now = standing(spent, self._watch, month)
        verdict, self.held = review_forecast(now, expected, self.book.known(), self.held, now=self.book.now)
        return self.book.enter(verdict)


def test_a_list_names_a_forecast_threshold_that_is_an_amount_as_money() -> None:
    foreseer = Foreseer(a_watch(Threshold(amount=Decimal(900), is_forecast=True)))
    foreseer.look(100, 1100)
    foreseer.look(140, 1200, day=1)
    (alert,) = foreseer.book.known().firing()
    assert alert.summary.endswith("reach CNY 900.00 (of its CNY 1,000.00 budget) in 2026-09: about CNY 1,200.00")


def test_one_day_tells_nobody_anything_and_the_second_does_once() -> None:
    foreseer = Foreseer()
    assert foreseer.look(100, 1100) == ()
    assert foreseer.look(120, 1150) == ()
    (said,) = foreseer.look(140, 1200, day=1)
    assert told([said]) == [("fired", "forecast 100%", ())]
    assert (said.rule, said.type, said.severity) == (Rule.FORECAST, "spend.forecast", Severity.WARNING)
    assert (said.facts.reached_at, said.facts.spend, said.facts.next_threshold) == (cny(1000), cny(140), "80%")
    assert said.facts.forecast
    assert said.facts.forecast.likely == cny(1200)
    assert [foreseer.look(150, 1200, day=day) for day in (1, 2, 3)] == [(), (), ()]


def test_the_data_of_one_day_are_enough_where_the_whole_range_reaches_the_threshold() -> None:
    foreseer = Foreseer()
    assert foreseer.look(100, 1100, low=999) == ()
    (said,) = foreseer.look(100, 1100, low=1000)
    assert told([said]) == [("fired", "forecast 100%", ())]


OCTOBER, NOVEMBER, DECEMBER = (BillingPeriod(2026, month) for month in (10, 11, 12))


def after_september(spent: int) -> Foreseer:
    """An alert in September, whose spend came to so much."""
    foreseer = Foreseer(a_watch(of_forecast(100)))
    assert len(foreseer.look(100, 1100, low=1000)) == 1
    assert foreseer.look(spent, spent, day=19) == ()
    return foreseer


def test_after_an_alert_that_came_to_nothing_half_of_the_least_to_come_has_to_be_enough() -> None:
    foreseer = after_september(999)
    for day in range(30, 40):
        assert foreseer.look(200, 1900, day=day, low=1799, month=OCTOBER) == ()
    (said,) = foreseer.look(200, 1900, day=40, low=1800, month=OCTOBER)
    assert told([said]) == [("fired", "forecast 100%", ())]


def test_after_an_alert_that_came_true_all_is_as_before() -> None:
    foreseer = after_september(1000)
    assert len(foreseer.look(200, 1000, day=30, low=1000, month=OCTOBER)) == 1


def test_what_was_reached_and_fell_back_below_came_true() -> None:
    foreseer = after_september(1000)
    foreseer.look(900, 1100, day=20)
    assert len(foreseer.look(200, 1000, day=30, low=1000, month=OCTOBER)) == 1


def test_an_alert_that_came_to_nothing_counts_for_two_months() -> None:
    assert after_september(999).look(200, 1000, day=60, low=1000, month=NOVEMBER) == ()
    assert len(after_september(999).look(200, 1000, day=90, low=1000, month=DECEMBER)) == 1


def test_a_forecast_that_was_not_reported_was_not_false() -> None:
    foreseer = Foreseer(a_watch(of_forecast(100)))
    foreseer.look(100, 1100)
    assert len(foreseer.look(200, 1000, day=30, low=1000, month=OCTOBER)) == 1


def test_late_charges_of_the_month_before_may_prove_its_alert_right() -> None:
    foreseer = after_september(999)
    known = foreseer.book.known()
    for spent, is_false in ((999, True), (1000, False)):
        held = not_reached(foreseer.held, [standing(spent, WATCH)], known, OCTOBER)
        assert (WATCH.scope in false_before(held, OCTOBER)) is is_false


def test_a_forecast_that_falls_back_in_between_begins_anew() -> None:
    foreseer = Foreseer()
    foreseer.look(100, 1100)
    foreseer.look(100, 900, day=1)
    assert foreseer.look(100, 1100, day=2) == ()
    assert len(foreseer.look(100, 1100, day=3)) == 1


def test_of_several_one_message_names_the_highest() -> None:
    foreseer = Foreseer()
    foreseer.look(100, 1600)
    assert told(foreseer.look(100, 1600, day=1)) == [("fired", "forecast 150%", ("forecast 100%",))]
    assert len(foreseer.book.alerts) == 2


def test_a_higher_one_is_told_after_a_lower_one() -> None:
    foreseer = Foreseer()
    for day, likely in enumerate((1100, 1100, 1600)):
        foreseer.look(100, likely, day=day)
    assert told(foreseer.look(100, 1600, day=3)) == [("fired", "forecast 150%", ())]


def test_what_the_spend_has_reached_need_not_be_foretold() -> None:
    foreseer = Foreseer()
    foreseer.look(900, 1100)
    assert foreseer.look(1000, 1100, day=1) == ()
    assert foreseer.held == {}


def test_reaching_it_exactly_counts() -> None:
    foreseer = Foreseer()
    foreseer.look(100, 1000)
    assert len(foreseer.look(100, 1000, day=1)) == 1


def test_without_a_forecast_everything_stays_as_it_was() -> None:
    foreseer = Foreseer()
    foreseer.look(100, 1100)
    assert foreseer.look(100, None, day=1) == ()
    assert len(foreseer.look(100, 1100, day=1)) == 1


def test_the_spend_reaches_no_threshold_of_a_forecast() -> None:
    book = Book()
    assert told(book.spend(1600, WATCH)) == [("fired", "80%", ())]
    assert {alert.key.rule for alert in book.alerts.values()} == {Rule.THRESHOLD_REACHED}


def test_a_raised_budget_is_foretold_anew() -> None:
    foreseer = Foreseer()
    foreseer.look(100, 1100)
    foreseer.look(100, 1100, day=1)
    foreseer._watch = a_watch(of_forecast(100), budget=2000)
    foreseer.look(100, 2100, day=2)
    assert told(foreseer.look(100, 2100, day=3)) == [("fired", "forecast 100%", ())]


def test_a_lowered_budget_is_foretold_to_be_used_up_though_a_higher_amount_was_foretold() -> None:
    foreseer = Foreseer(a_watch(of_forecast(80), of_forecast(100), budget=1000))
    for day in (0, 1):
        foreseer.look(100, 850, day=day)
    foreseer._watch = a_watch(of_forecast(80), of_forecast(100), budget=700)
    assert foreseer.look(100, 850, day=2) == ()
    assert told(foreseer.look(100, 850, day=3)) == [("fired", "forecast 100%", ("forecast 80%",))]
    foreseer._watch = a_watch(of_forecast(80), of_forecast(100), budget=600)
    assert [foreseer.look(100, 850, day=day) for day in (4, 5)] == [(), ()]


def test_an_amount_foretold_of_a_larger_budget_does_not_speak_for_a_lowered_one() -> None:
    amount = Threshold(amount=Decimal(900), is_forecast=True)
    foreseer = Foreseer(a_watch(amount, budget=1000))
    for day in (0, 1):
        foreseer.look(100, 950, day=day)
    foreseer._watch = a_watch(amount, of_forecast(100), budget=850)
    foreseer.look(100, 950, day=2)
    assert told(foreseer.look(100, 950, day=3)) == [("fired", "forecast 100%", ())]


def test_a_forecast_is_a_word_on_the_budget_as_a_threshold_is() -> None:
    foreseer = Foreseer()
    foreseer.look(100, 1100)
    foreseer.look(120, 1100, day=1)
    (said,) = foreseer.book.spend(810, WATCH)
    assert (said.facts.earlier, said.facts.earlier_at) == (cny(120), foreseer.book.now)


ROUNDS = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 6)), max_size=40)


@given(ROUNDS)
def test_each_threshold_is_told_at_most_once_whatever_happens(rounds: Sequence[tuple[int, int, int]]) -> None:
    foreseer = Foreseer()
    day = 0
    for spent, more, step in rounds:
        day += step
        foreseer.look(spent, spent + more, day=day)
    labels = [one.facts.threshold for one in foreseer.book.said]
    assert len(labels) == len(set(labels)) <= 2
