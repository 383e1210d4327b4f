"""What programs are asked to do: once for each alert of a budget that names them, and not on figures of the API alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time, timedelta
from decimal import Decimal

import pytest

from rounds_builder import FINANCE, TARGETS, ZONE, Rounds, cny
from spendwatch.domain.alert import Acknowledgement, AlertsKnown
from spendwatch.domain.causes import Spender
from spendwatch.domain.delivery import HoldReason, QuietHours, Reason, Route, Silence
from spendwatch.domain.layouts import API_LAYOUT
from spendwatch.domain.notification import Notification
from spendwatch.domain.period import PeriodKind
from spendwatch.domain.policy import ChannelName, Escalation, FinerBudget, Names, Part, Severity, Threshold, watches
from spendwatch.domain.review import Verdict
from spendwatch.domain.routing import Routing, request_actions
from spendwatch.domain.scope import Dimension, Match
from spendwatch.letters.json_body import JsonBody
from spendwatch.letters.language import Language
from spendwatch.letters.wording import Wording
from spendwatch.store.database import Database
from spendwatch.store.outbox import Outbox
from store_builders import row

STOP, THROTTLE = ChannelName("stop"), ChannelName("throttle")
HALF, MOST = Threshold(share=Decimal("0.5")), Threshold(share=Decimal("0.8"))
ALL = Threshold(share=Decimal(1), actions=(STOP,))
DAY = timedelta(days=1)
Asked = list[tuple[str, tuple[ChannelName, ...]]]


def acting(database: Database, **account: object) -> Rounds:
    """Return rounds of an account of which a program is asked to act on the whole budget."""
    plain = {"budget": Decimal(100), "thresholds": (HALF, MOST, ALL)}
    return Rounds(database, account=plain | account, targets={**TARGETS, STOP: ("",), THROTTLE: ("",)})


def actions(said: list[Notification]) -> list[Notification]:
    return [one for one in said if one.reason is Reason.ACTION]


def asked(said: list[Notification]) -> Asked:
    return [(one.facts.threshold, one.channels) for one in actions(said)]


def withheld(rounds: Rounds) -> list[tuple[ChannelName, HoldReason, str]]:
    alerts = [alert.id for alert in rounds.book.known()]
    return [(row.channel, row.why, row.dropped) for alert in alerts for row in rounds.book.held_of(alert)]


def test_an_action_is_requested_once_when_its_threshold_is_reached_and_never_again(database: Database) -> None:
    rounds = acting(database, remind=DAY, escalate=Escalation(DAY, (FINANCE,)))
    rounds.bill(date(2026, 9, 1), "60")
    assert asked(rounds.round()) == []
    rounds.bill(date(2026, 9, 2), "45")
    said = rounds.round()
    assert [(one.type, one.channels) for one in said] == [
        ("spend.threshold_reached", (FINANCE,)),
        ("action.requested", (STOP,)),
    ]
    assert len({one.id for one in said}) == 2
    assert len({one.alert for one in said}) == 1
    later = [one for _ in range(3) for one in rounds.round(after=DAY)]
    assert {one.reason for one in later} == {Reason.ESCALATED, Reason.REPEATED}
    assert all(STOP not in one.channels for one in later)


def test_its_delivery_has_an_id_of_its_own_and_no_message_stands_for_it(database: Database) -> None:
    rounds = acting(database)
    rounds.bill(date(2026, 9, 2), "105")
    rounds.round()
    deliveries = Outbox(database).listing()
    assert sorted((one.channel, one.notification.reason) for one in deliveries) == [(FINANCE, "fired"), (STOP, "action")]
    (alert,) = {one.notification.alert for one in deliveries}
    assert [one.reason for one in rounds.book.notifications_of(alert)] == [Reason.FIRED]
    outbox = Outbox(database)
    (failed,) = outbox.claim(STOP, rounds.now, 5)
    outbox.settle(failed.id, at=rounds.now, why="refused")
    outbox.write_down()
    assert rounds.book.undelivered() == ()


def test_thresholds_reached_together_are_one_request_to_all_their_channels(database: Database) -> None:
    rounds = acting(database, thresholds=(HALF, replace(MOST, actions=(THROTTLE,)), ALL))
    rounds.bill(date(2026, 9, 2), "105")
    ((threshold, channels),) = asked(rounds.round())
    assert (threshold, set(channels)) == ("100%", {STOP, THROTTLE})


def test_the_channels_of_a_budget_count_for_its_thresholds_without_any_but_no_forecast(database: Database) -> None:
    foreseen = Threshold(share=Decimal(1), is_forecast=True)
    rounds = acting(database, thresholds=(HALF, ALL, foreseen, replace(foreseen, share=Decimal(2), actions=(STOP,))))
    rounds.policies = rounds.policies._replace(accounts=(replace(rounds.policies.accounts[0], actions=(THROTTLE,)),))
    (watch,) = watches(rounds.policies, frozenset())
    wanted = {one.label: watch.asked({one.label}) for one in watch.thresholds}
    assert wanted == {"50%": (THROTTLE,), "100%": (STOP,), "forecast 100%": (), "forecast 200%": (STOP,)}
    rounds.bill(date(2026, 9, 1), "60")
    assert asked(rounds.round()) == [("50%", (THROTTLE,))]


def test_a_finer_budget_names_its_own_also_for_each_value_and_each_day(database: Database) -> None:
    each = FinerBudget("key", Match(), Decimal(10), (replace(ALL, actions=()),), for_each="api_key", actions=(STOP,))
    daily = FinerBudget("", Match(), Decimal(20), (ALL,), per=PeriodKind.DAY)
    rounds = acting(database, budgets=(each, daily), thresholds=(), actions=(THROTTLE,))
    rounds.bill(date(2026, 9, 1), row("12", api_key="7"), row("9", api_key="8"))
    said = actions(rounds.round())
    assert {(one.facts.scope.label, one.channels) for one in said} == {
        ("account/key/7", (STOP,)),
        ("day:account", (STOP,)),
    }


def test_it_names_every_key_workspace_and_model_with_its_spend_and_the_providers_steps(database: Database) -> None:
    rounds = acting(database)
    rounds.policies = rounds.policies._replace(names=Names({(Dimension.API_KEY, "3"): "chatbot"}))
    # So many keys that the causes of a message do not name them.
    rounds.bill(date(2026, 9, 2), *(row(str(10 + number), api_key=str(number), model="qwen-max") for number in range(9)))
    (one,) = actions(rounds.round())
    assert one.facts.course.spenders[0] == Spender(Part(Dimension.API_KEY, "8"), cny(18))
    document = JsonBody(ZONE).of(one)
    data = document["data"]
    assert isinstance(data, dict)
    assert (document["type"], data["reason"], data["state"]) == ("action.requested", "action", "firing")
    action = data["action"]
    assert [each["id"] for each in action["api_keys"]] == [str(number) for number in range(8, -1, -1)]
    assert action["api_keys"][5] == {"id": "3", "name": "chatbot", "spend": "13", "currency": "CNY"}
    assert action["workspaces"] == [{"id": "llm-a", "name": "", "spend": "126", "currency": "CNY"}]
    assert action["models"] == [{"id": "qwen-max", "name": "", "spend": "126", "currency": "CNY"}]
    assert any("delete API keys that are no longer needed" in step for step in action["steps"])
    chinese = JsonBody(ZONE, wording=Wording(Language.ZH, ZONE)).of(one)["data"]
    assert isinstance(chinese, dict)
    assert "请求处置" in chinese["summary"]
    assert len(chinese["action"]["steps"]) == len(action["steps"])
    assert JsonBody(ZONE).of(replace(one, reason=Reason.FIRED))["data"]["action"] is None  # type: ignore[index]


@pytest.mark.parametrize("allowed", [False, True])
def test_on_figures_of_the_api_alone_nothing_is_requested_unless_that_is_allowed(database: Database, *, allowed: bool) -> None:
    rounds = acting(database)
    rounds.policies = rounds.policies._replace(actions_on_late_figures=allowed)
    rounds.bill(date(2026, 9, 2), "105", series=API_LAYOUT)
    (said,) = actions(rounds.round())
    assert said.facts.lags
    stopped = [one for one in Outbox(database).listing() if one.channel == STOP]
    assert len(stopped) == allowed
    why = "the figures are those of the billing API alone, and actions_on_late_figures is not true"
    assert withheld(rounds) == ([] if allowed else [(STOP, HoldReason.WITHHELD, why)])
    assert asked(rounds.round(after=DAY)) == []


def test_a_silenced_alert_requests_nothing_later_either_and_quiet_hours_hold_nothing(database: Database) -> None:
    rounds = acting(database, thresholds=(replace(MOST, actions=(THROTTLE,)), ALL))
    night = QuietHours(time(0), None, ZONE)
    rounds.routes = {name: Route(quiet=(night,)) for name in (FINANCE, STOP, THROTTLE)}
    silence = Silence("s1", rounds.now, rounds.now + DAY, "li", rule="spend.threshold_reached")
    rounds.book.add_silence(silence)
    rounds.bill(date(2026, 9, 1), "85")
    rounds.round()
    assert Outbox(database).listing() == ()
    assert (THROTTLE, HoldReason.WITHHELD, "silence s1 by li") in withheld(rounds)
    rounds.bill(date(2026, 9, 2), "20")
    rounds.round(after=2 * DAY)
    assert [(one.channel, one.notification.facts.threshold) for one in Outbox(database).listing()] == [(STOP, "100%")]


def test_who_takes_care_of_a_matter_is_left_alone_until_it_gets_as_grave_again(database: Database) -> None:
    rounds = acting(database, thresholds=(replace(MOST, actions=(THROTTLE,)), ALL))
    rounds.bill(date(2026, 9, 1), "85")
    (first, *_) = rounds.round()
    rounds.book.acknowledge((Acknowledgement(first.alert, "wei", rounds.now),), ())
    known = AlertsKnown(rounds.book.known(), rounds.book.acknowledgements())
    (warning,) = rounds.book.known()
    assert known.still_acknowledged(warning, rounds.now) is None
    notice = warning._replace(severity=Severity.NOTICE)
    found = known.still_acknowledged(notice, rounds.now)
    assert found is not None
    assert found.by == "wei"
    milder = request_actions(Verdict((notice,), (first,)), rounds.policies, Routing(), known, now=rounds.now)
    assert [(row.channel, row.dropped) for row in milder.held] == [(THROTTLE, "wei takes care of it")]
    assert milder.sent == ()
    rounds.bill(date(2026, 9, 2), "20")
    assert asked(rounds.round(after=DAY)) == [("100%", (STOP,))]
