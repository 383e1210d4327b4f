"""What is said survives the database word for word, and keeps one identity on all its ways."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from domain_builders import CNY, NOW
from spendwatch.domain.alert import AlertId, AlertState, Rule
from spendwatch.domain.balance import Billed, Position
from spendwatch.domain.balance_reading import TERMS, BalanceReading, Origin
from spendwatch.domain.balance_watch import TopUp
from spendwatch.domain.causes import Cause, Causes, Course, Main
from spendwatch.domain.commodity import Category, Cover, Exposure
from spendwatch.domain.delivery import PAUSES, NotificationId, Reason, channel_pause, delivery_id, pause_after
from spendwatch.domain.discrepancy import Disagreement, Discrepancy
from spendwatch.domain.forecast import Crossing, Forecast, Runway
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.notification import Facts, Notification, notification_id
from spendwatch.domain.outstanding import SettledPeriod
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import ChannelName, Part, Severity
from spendwatch.domain.scope import BudgetScope, Counts, Dimension, NamedScope, Subject
from spendwatch.domain.standing import Split
from spendwatch.domain.statement import AccountId, WorkspaceId
from spendwatch.store.columns import document

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-3, minutes=-30))])
MOMENTS = st.datetimes(timezones=ZONES)
AMOUNTS = st.decimals(min_value=-(10**27), max_value=10**27, places=10)
MONEY = st.builds(Money, AMOUNTS, st.sampled_from([Currency("CNY"), Currency("USD")]))
TEXTS = st.text()


def _tuples(items: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(items, max_size=4).map(tuple)


PERIODS = st.builds(BillingPeriod, st.integers(1, 9998), st.integers(1, 12))
DATES = st.none() | st.dates()
BILLED = st.builds(
    Billed,
    MONEY,
    MONEY,
    MONEY,
    st.none() | MOMENTS,
    st.none() | st.builds(SettledPeriod, PERIODS, MONEY, MOMENTS),
    st.none() | MONEY,
    _tuples(TEXTS),
)
CNY_TERMS = st.fixed_dictionaries({}, optional={name: MONEY.map(lambda money: replace(money, currency=CNY)) for name in TERMS})
READINGS = st.builds(
    lambda account, origin, as_of, read_at, terms, *rest: BalanceReading(
        account,
        CNY,
        origin,
        as_of,
        read_at,
        **{"cash": Money(Decimal(1), CNY), "reported": Money(Decimal(1), CNY), **terms},
        other_cash=rest[0],
        is_reseller_quota=rest[1],
    ),
    TEXTS.map(AccountId),
    st.sampled_from(Origin),
    MOMENTS,
    MOMENTS,
    CNY_TERMS,
    _tuples(MONEY),
    st.booleans(),
)
BALANCES = st.builds(Position, READINGS, BILLED, st.booleans(), st.booleans())
FORECASTS = st.builds(Forecast, PERIODS, MONEY, MONEY, MONEY, MONEY, st.dates(), st.integers(0, 99))
CROSSINGS = st.builds(Crossing, MONEY, st.dates(), DATES, DATES, DATES)
RUNWAYS = st.builds(Runway, CROSSINGS, _tuples(CROSSINGS), st.dates(), st.integers(0, 99))
CAUSE = st.builds(
    Cause,
    MONEY,
    st.none() | st.decimals(min_value=-1, max_value=1, places=3),
    _tuples(st.builds(Part, st.sampled_from(Dimension), TEXTS, TEXTS)),
    st.none() | st.sampled_from(Category),
    st.none() | MONEY,
    st.integers(1, 99),
)
PARTS = st.builds(Part, st.sampled_from(Dimension), TEXTS, TEXTS)
MAIN = st.builds(Main, PARTS, st.decimals(min_value=0, max_value=1, places=4))
CAUSES = st.builds(Causes, _tuples(CAUSE), st.none() | CAUSE, _tuples(MAIN), _tuples(st.sampled_from(Category)))
FACTS = st.builds(
    Facts,
    scope=st.builds(BudgetScope, TEXTS.map(AccountId), st.none() | TEXTS.map(WorkspaceId), TEXTS, st.sampled_from(Counts))
    | st.builds(NamedScope, st.sampled_from(Subject), TEXTS, TEXTS.map(AccountId)),
    account_name=TEXTS,
    name=TEXTS,
    period=TEXTS,
    spend=st.none() | MONEY,
    counts=st.sampled_from(Counts),
    split=st.none() | st.builds(Split, MONEY, MONEY),
    subscribed=CAUSES,
    budget=st.none() | MONEY,
    used=st.none() | st.decimals(min_value=-1000, max_value=1000, places=4),
    threshold=TEXTS,
    reached_at=st.none() | MONEY,
    also=_tuples(TEXTS),
    next_threshold=TEXTS,
    next_at=st.none() | MONEY,
    earlier=st.none() | MONEY,
    earlier_at=st.none() | MOMENTS,
    course=st.builds(Course, CAUSES, _tuples(st.tuples(st.dates(), MONEY))),
    foreign=_tuples(MONEY),
    balance=st.none() | BALANCES,
    floor=st.none() | MONEY,
    exposure=st.builds(Exposure, _tuples(st.sampled_from(Cover)), _tuples(TEXTS), _tuples(TEXTS)),
    discrepancy=st.none()
    | st.builds(
        Discrepancy,
        st.sampled_from(Disagreement),
        TEXTS.map(AccountId),
        PERIODS,
        MONEY,
        MONEY,
        TEXTS,
        TEXTS,
        _tuples(st.dates()),
        st.none() | MONEY,
        source=TEXTS,
        digest=TEXTS,
        file=TEXTS,
        at=st.none() | MOMENTS,
    ),
    runway=st.none() | RUNWAYS,
    forecast=st.none() | FORECASTS,
    top_up=st.none() | st.builds(TopUp, MONEY, MOMENTS),
    data_until=st.none() | MOMENTS,
    last_bill_at=st.none() | MOMENTS,
    files=_tuples(st.tuples(TEXTS, TEXTS)),
    detail=TEXTS,
)
NOTIFICATIONS = st.builds(
    Notification,
    id=TEXTS.map(NotificationId),
    alert=TEXTS.map(AlertId),
    rule=st.sampled_from(Rule),
    reason=st.sampled_from(Reason),
    severity=st.sampled_from(Severity),
    state=st.sampled_from(AlertState),
    since=MOMENTS,
    created_at=MOMENTS,
    channels=_tuples(TEXTS.map(ChannelName)),
    facts=FACTS,
)


DOCUMENT, DIALECT = document("notification:Notification"), sqlite.dialect()


def encode(notification: Notification) -> str:
    """Return what stands in the database."""
    return DOCUMENT.process_bind_param(notification, DIALECT) or ""


def decode(text: str) -> Any:  # noqa: ANN401 -- a notification
    """Return what was read from it."""
    return DOCUMENT.result_processor(DIALECT, None)(text)


def _plain(rule: Rule = Rule.THRESHOLD_REACHED) -> Notification:
    return Notification(
        id=NotificationId("n"),
        alert=AlertId("a"),
        rule=rule,
        reason=Reason.FIRED,
        severity=Severity.WARNING,
        state=AlertState.FIRING,
        since=NOW,
        created_at=NOW,
        channels=(),
        facts=Facts(),
    )


@given(NOTIFICATIONS)
def test_every_notification_reads_back_as_it_was(notification: Notification) -> None:
    text = encode(notification)
    assert decode(text) == notification
    assert "\n" not in text


@given(NOTIFICATIONS)
def test_no_amount_is_ever_a_number_in_json(notification: Notification) -> None:
    def no_number(text: str) -> object:
        pytest.fail(f"a number: {text}")

    def money(found: dict[str, object]) -> dict[str, object]:
        assert not isinstance(found.get("amount"), int), found
        return found

    json.loads(encode(notification), parse_float=no_number, object_hook=money)


def test_facts_without_use_take_no_room() -> None:
    assert json.loads(encode(_plain()))["facts"] == {}


def test_types_say_what_happened() -> None:
    for rule in Rule:
        fired = _plain(rule)
        assert fired.type == rule.type
        assert replace(fired, reason=Reason.REPEATED).type == rule.type
        assert replace(fired, reason=Reason.TEST).type == "test"
        resolved = replace(fired, reason=Reason.RESOLVED, state=AlertState.RESOLVED)
        assert resolved.type == ("balance.recovered" if rule.value.startswith("balance.") else "alert.resolved")


def test_identities_are_those_of_every_earlier_version() -> None:
    """They stand as Message-ID and webhook-id at the receivers: a change would deliver everything twice."""
    said = notification_id(AlertId("0123456789abcdef0123"), Reason.FIRED, 1)
    assert said == "e506304ba053654b0e947590"
    assert delivery_id(said, ChannelName("finance"), "finops@example.com") == "b188efefab77733b4b16b4c9"


def test_each_word_about_an_alert_has_an_identity_of_its_own() -> None:
    said = {notification_id(AlertId(alert), reason, times) for alert in "ab" for reason in Reason for times in range(20)}
    assert len(said) == 2 * len(Reason) * 20


def test_each_copy_has_an_identity_of_its_own() -> None:
    copies = {
        delivery_id(NotificationId(said), ChannelName(channel), target)
        for said in "ab"
        for channel in ("x", "y")
        for target in ("", "p@example.com", "q@example.com")
    }
    assert len(copies) == 12


def test_ten_attempts_reach_three_days_and_the_pauses_grow() -> None:
    pauses = [pause_after(attempts) for attempts in range(1, 11)]
    assert pauses[:3] == [timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30)]
    assert pauses[9] is None
    assert pause_after(11) is None
    assert list(PAUSES) == sorted(PAUSES)
    assert sum(PAUSES, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)


def test_a_moment_keeps_its_zone() -> None:
    eight = datetime(2026, 9, 16, 12, tzinfo=timezone(timedelta(hours=8)))
    assert decode(encode(replace(_plain(), since=eight))).since.utcoffset() == timedelta(hours=8)


def test_a_channel_is_tried_every_half_hour_and_after_a_refused_password_no_sooner() -> None:
    assert [channel_pause(pauses)[0].total_seconds() for pauses in range(12)] == [5, 300, *[1800] * 10]
    assert [channel_pause(pauses, is_login=True)[0] for pauses in range(12)] == [timedelta(minutes=30)] * 12
