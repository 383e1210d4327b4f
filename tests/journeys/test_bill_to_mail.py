from __future__ import annotations

import shutil
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import permutations
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from bill_builder import a_line, a_line_id
from home import RESEARCH, SECRET, TRAINING, Home, TimedHome, lines_worth, this_month, today
from oracle import spend_by_workspace
from servers_smtp import SmtpSink


def _parsed(content: bytes) -> EmailMessage:
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_a_bill_that_reaches_80_percent_is_told_once_by_mail_and_by_webhook(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    home.drop(lines_worth("42.5", count=2))
    home.call("once")
    home.call("once")
    (mail,) = home.mails()
    (call,) = home.calls()
    assert "Research" in str(_parsed(mail)["Subject"])
    data = call["data"]
    assert call["type"] == "spend.threshold_reached"
    assert (data["spend"], data["budget"], data["used"], data["threshold"]) == ("85", "100", "0.85", "80%")
    assert (data["scope"], data["month"], data["currency"]) == (f"workspace:{RESEARCH}", this_month(), "CNY")


def test_thresholds_reached_together_make_one_message_that_names_the_highest_and_lists_the_others(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    home.drop(lines_worth("130"))
    home.call("once")
    (call,) = home.calls()
    assert call["data"]["threshold"] == "100%"
    assert call["data"]["also"] == ["80%", "50%"]
    assert len(home.json("alerts")["alerts"]) == 3


def test_a_day_that_reaches_its_budget_is_told_once_and_shown_everywhere(home: Home) -> None:
    home.furnish(account=", daily: {budget: 200.00, thresholds: [80%, 100%]}")
    home.watch(budget="1000.00", more="weekly: 1000.00")
    home.drop(lines_worth("170"))
    home.call("once")
    home.drop([*lines_worth("170"), *lines_worth("50", first=2)])
    home.call("once")
    home.call("once")
    first, second = home.calls()
    day, data = f"{today():%Y-%m-%d}", second["data"]
    assert (first["data"]["threshold"], first["data"]["severity"]) == ("80%", "warning")
    assert (second["type"], data["threshold"], data["spend"], data["budget"]) == (
        "spend.threshold_reached",
        "100%",
        "220",
        "200",
    )
    assert (data["period"], data["period_kind"], data["month"]) == (day, "day", this_month())
    assert (data["scope"], data["name"], data["counts"]) == ("pay_as_you_go:day:account", "acme", "pay_as_you_go")
    assert f"acme is at 110% of its daily pay-as-you-go budget for {day}" in str(_parsed(home.mails()[1])["Subject"])
    found = home.json("status")
    (daily,), (weekly,) = found["accounts"][0]["budgets"], found["accounts"][0]["workspaces"][0]["budgets"]
    assert (daily["name"], daily["state"], daily["period_kind"]) == (f"daily {day}", "critical", "day")
    assert (weekly["name"], weekly["state"], weekly["used"]) == (f"weekly {today():%G-W%V}", "unknown", "0.22")
    alert = next(one for one in home.json("alerts")["alerts"] if one["threshold"] == "100%")
    assert (alert["period"], alert["period_kind"], alert["month"]) == (day, "day", this_month())
    explained = home.json("explain", alert["id"])
    assert (explained["decision"]["spend"], explained["now"]["spend"], explained["bills"] != []) == ("220", "220", True)
    shown = home.call("explain", alert["id"]).stdout
    assert f"Pay-as-you-go of {day} before the decision: CNY 220.00" in shown
    watched = {one["scope"]: one["period_kind"] for one in home.json("check")["policy"]["watched"]}
    assert watched["pay_as_you_go:day:account"] == "day"
    assert watched[f"pay_as_you_go:week:workspace:{RESEARCH}"] == "week"
    shown = home.call("check").stdout
    assert "  daily (pay-as-you-go" in shown
    assert "  weekly (pay-as-you-go" in shown


def test_spend_without_a_key_or_a_workspace_is_told_over_an_amount(home: Home) -> None:
    home.furnish(account=", unassigned_spend: 20.00")
    home.watch(budget="1000.00", more="console_spend: {over: 50.00, per: day}")
    console, unassigned = lines_worth("61", api_key="", channel="bmp"), lines_worth("25", first=2, workspace="")
    home.drop([*console, *unassigned, *lines_worth("70", first=3)])
    home.call("once")
    home.call("once")
    told = {call["type"]: call["data"] for call in home.calls()}
    assert set(told) - {"bills.unassigned"} == {"spend.console", "spend.unassigned"}
    data = told["spend.console"]
    assert (data["name"], data["spend"], data["threshold"], data["period_kind"]) == (
        "Research: console spend",
        "61",
        "50",
        "day",
    )
    assert (told["spend.unassigned"]["scope"], told["spend.unassigned"]["spend"]) == (
        "pay_as_you_go:account/spend without workspace",
        "25",
    )
    subjects = " | ".join(sorted(str(_parsed(mail)["Subject"]) for mail in home.mails()))
    assert "Research: console spend has reached CNY 61.00 on" in subjects
    assert "acme: spend without workspace has reached CNY 25.00 in" in subjects
    alerts = {alert["rule"]: alert["id"] for alert in home.json("alerts")["alerts"]}
    shown = home.call("explain", alerts["spend.console"]).stdout
    assert "spend.console: the amount CNY 50.00 for Research: console spend" in shown
    assert f"explain {alerts['spend.console'][:8]}" in home.call("explain", "--why-not", RESEARCH).stdout
    now = home.json("explain", alerts["spend.unassigned"])["now"]
    assert (now["spend"], now["counts"]) == ("25", "pay_as_you_go")
    assert "spend without workspace" in home.call("status").stdout


def _days(*amounts: str) -> list[dict[str, str]]:
    """Return a line of each of these days of September 2026."""
    return [
        a_line(line_id=a_line_id(number), day=f"202609{number:02d}", amount=amount) for number, amount in enumerate(amounts, 1)
    ]


def test_one_bill_makes_one_mail_for_each_matter_and_an_alert_for_each_threshold(tmp_path: Path) -> None:
    """A balance below two floors that lasts few days; a budget half spent that the month will probably exceed."""
    with SmtpSink() as mail:
        home = TimedHome(tmp_path, mail)
        home.furnish(account=", balance: {from: manual, cash: 400.00, floors: [150.00, 120.00], runway: [7d, 3d]}")
        home.watch(budget="550.00", more="thresholds: [50%, forecast 80%]\nremind: 1d")
        home.at("2026-09-17T10:00")
        home.drop(_days(*["15"] * 16), exported=home.now)
        home.call("once")
        home.at("2026-09-18T10:00")
        home.drop(_days(*["15"] * 16, "60"), exported=home.now)
        running = home.start()
        try:
            home.until(lambda: len(home.mails()) >= 2)
        finally:
            assert running.stop() == 0
        balance, budget = sorted((_parsed(one) for one in home.mails()), key=lambda one: "Research" in str(one["Subject"]))
        alerts = {one["rule"] + " " + one["threshold"]: one["id"] for one in home.json("alerts")["alerts"]}
        half, ahead = alerts["spend.threshold_reached 50%"], alerts["spend.forecast forecast 80%"]
        shown = home.call("explain", half).stdout
        home.at("2026-09-19T11:00")
        home.call("once")
        reminded = home.json("explain", half)
    assert f"together with alert {ahead[:8]}" in shown
    assert f"none of its own: sent with {ahead[:8]}" in shown
    # A reminder is no decision.
    assert {one["reason"] for one in reminded["deliveries"]} == {"repeated"}
    assert reminded["decision"]["told_by"] == ahead
    assert sorted(alerts) == [
        "balance.low 120",
        "balance.low 150",
        "balance.runway 7d",
        "spend.forecast forecast 80%",
        "spend.threshold_reached 50%",
    ]
    assert "less than CNY 120.00" in str(balance["Subject"])
    assert "will probably reach 80%" in str(budget["Subject"])


def test_the_same_bill_under_another_name_and_an_overlapping_export_say_nothing_new(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    first = home.drop(lines_worth("60"))
    content = first.read_bytes()
    home.call("once")
    home.put("again.csv", content)
    home.drop(lines_worth("60") + lines_worth("1", first=2), exported=today() + timedelta(seconds=1))
    home.call("once")
    assert len(home.mails()) == 1
    assert home.json("report")["rows"][0]["spend"] == "61"


def test_a_webhook_carries_a_signature_that_others_can_verify_and_the_id_of_its_notification(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    home.drop(lines_worth("60"))
    home.call("once")
    assert home.hook
    (request,) = home.hook.requests
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert Webhook(SECRET).verify(request.body, headers)
    delivered = [one for one in home.json("deliveries", "list")["deliveries"] if one["channel"] == "hook"]
    assert headers["webhook-id"] == delivered[0]["notification"]
    (mail,) = home.mails()
    assert delivered[0]["notification"] in str(_parsed(mail)["Message-ID"])


def test_a_mail_shows_figures_growth_reach_and_what_comes_next(home: Home) -> None:
    home.furnish()
    home.watch(budget="100.00")
    home.drop(lines_worth("60", model="qwen3.8-max", type="output_token"))
    home.call("once")
    message = _parsed(home.mails()[0])
    text = message.get_body(("plain",))
    assert text
    words = text.get_content()
    for expected in ("CNY 60.00", "CNY 100.00", "60%", "qwen3.8-max", "80%", "Asia/Shanghai", "spendwatch explain"):
        assert expected in words, f"{expected!r} is missing in\n{words}"
    assert message.get_body(("html",))


def test_lines_without_a_workspace_count_for_the_account_and_stand_in_a_row_of_their_own(home: Home) -> None:
    home.furnish(account=", budget: 100.00")
    home.watch(budget="1000.00")
    home.drop(lines_worth("30") + lines_worth("60", workspace="", first=2, instance="spn-demo0001"))
    home.call("once")
    (account,) = home.json("status")["accounts"]
    assert (account["spend"], account["used"]) == ("90", "0.9")
    assert {line["workspace"]: line["spend"] for line in account["workspaces"]} == {RESEARCH: "30", "": "60"}
    assert home.calls()[0]["data"]["scope"] == "account"


def test_finer_budgets_watch_a_key_and_a_model(home: Home) -> None:
    home.furnish()
    home.watch(
        budget="1000.00",
        more="budgets:\n"
        '  - {name: chatbot key, match: {api_key: "777"}, budget: 50.00}\n'
        '  - {name: images, match: {model: "wan*"}, budget: 10.00, thresholds: [80%]}\n',
    )
    home.drop(lines_worth("40", api_key="777") + lines_worth("9", first=2, api_key="888", model="wan2.7-t2i"))
    home.call("once")
    told = {call["data"]["scope"]: call["data"]["threshold"] for call in home.calls()}
    assert told == {f"workspace:{RESEARCH}/chatbot key": "80%", f"workspace:{RESEARCH}/images": "80%"}


def test_lines_in_another_currency_are_never_added_and_told_as_such(home: Home) -> None:
    home.furnish(account=", budget: 100.00")
    home.watch(budget="100.00")
    home.drop(lines_worth("40") + lines_worth("99", first=2, currency="USD"))
    home.call("once")
    (account,) = home.json("status")["accounts"]
    assert account["spend"] == "40"
    assert account["other_currencies"] == [{"currency": "USD", "spend": "99"}]
    assert [call["type"] for call in home.calls()] == ["spend.foreign_currency"]


def test_an_overdue_account_is_told_what_stops_and_a_top_up_ends_it(home: Home) -> None:
    balance = ", balance: {from: manual, cash: CASH, credit: 0, floors: [50.00, 20.00]}"
    home.furnish(account=balance.replace("CASH", "100.00"))
    home.drop(lines_worth("60"))
    home.call("once")
    assert [call["type"] for call in home.calls()] == ["balance.low"]
    home.drop(lines_worth("60", count=2), exported=today() + timedelta(seconds=1))
    home.call("once")
    overdue = home.calls()[-1]
    assert (overdue["type"], overdue["data"]["severity"]) == ("balance.overdue", "critical")
    assert overdue["data"]["balance"]["available"] == "-20"
    text = _parsed(home.mails()[-1]).get_body(("plain",))
    assert text
    assert "suspended" in text.get_content()
    (account,) = home.json("status")["accounts"]
    assert account["balance"]["overdue"] is True
    home.furnish(account=balance.replace("CASH", "1000.00"))
    home.call("once")
    assert home.calls()[-1]["type"] == "balance.recovered"
    assert len(home.calls()) == 3


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 0), (1, 0, 1, 0)])
def test_the_two_sample_exports_make_one_truth_in_any_order_and_repetition(quiet_home: Home, order: tuple[int, ...]) -> None:
    quiet_home.furnish()
    samples = sorted((Path(__file__).parent.parent / "data" / "bills").glob("1000000000000001-*_consumedetailbillv2.csv"))
    for number, at in enumerate(order):
        renamed = samples[at] if number < 2 else quiet_home.folder / f"copy{number}-{samples[at].name}"
        if number >= 2:
            shutil.copy(samples[at], renamed)
        quiet_home.call("import", str(renamed))
    mine = quiet_home.json("report", "--month", "2026-09", "--by", "account")["rows"]
    everything = quiet_home.json("report", "--month", "2026-09", "--by", "product", "--all-products")["rows"]
    assert [(row["spend"], row["lines"]) for row in mine] == [("170.332385", 18)]
    assert sum(row["lines"] for row in everything) == 19
    assert {row["product"]: row["spend"] for row in everything} == {"sfm": "170.332385", "oss": "0.3100062"}


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_line_corrected_and_corrected_back_has_its_last_value_whatever_came_first(
    quiet_home: Home, order: tuple[int, ...]
) -> None:
    quiet_home.furnish()
    bills = [
        quiet_home.drop(lines_worth(amount) + lines_worth("1", first=2), exported=today() + timedelta(seconds=number))
        for number, amount in enumerate(["10", "12", "10"])
    ]
    quiet_home.call("import", *(str(bills[at]) for at in order))
    assert quiet_home.json("report")["rows"][0]["spend"] == "11"


def test_what_status_says_equals_the_oracle(quiet_home: Home) -> None:
    quiet_home.furnish()
    first = quiet_home.drop(lines_worth("0.000069", count=7) + lines_worth("12.3456789012", first=50), exported=today())
    later = lines_worth("-3.1", workspace=TRAINING) + lines_worth("0.0000000001", count=3, workspace=TRAINING, first=9)
    second = quiet_home.drop(later, exported=today() + timedelta(seconds=1))
    expected = spend_by_workspace([first, second], month=this_month(), product="sfm")
    quiet_home.call("once")
    (account,) = quiet_home.json("status")["accounts"]
    assert {line["workspace"]: line["spend"] for line in account["workspaces"]} == {
        workspace: format(amount.normalize(), "f") for (workspace, _), amount in expected.items()
    }
