"""Balances in the real program: below a floor, overdue, escalated, recovered; from a file, an endpoint and the billing API."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bill_builder import ACCOUNT, a_line
from bss_lies import KEY_ID, SECRET, Lie
from home import RESEARCH, Home, lines_worth, today
from servers_bss import BssServer
from servers_http import HttpSink, Reply

SAMPLES = Path(__file__).parent.parent / "data" / "bills"


def written(home: Home, name: str = "balance.json", *, at: datetime | None = None, **terms: str) -> Path:
    """Write a balance beside the bills as one should: elsewhere, then renamed."""
    part = home.inbox / ".balance.part"
    part.write_text(json.dumps({"as_of": (at or today()).isoformat(timespec="seconds"), **terms}))
    return part.rename(home.inbox / name)


def kinds(home: Home) -> list[str]:
    return [call["type"] for call in home.calls()]


def data_of(home: Home, kind: str) -> list[dict[str, Any]]:
    return [call["data"] for call in home.calls() if call["type"] == kind]


def balance(home: Home) -> dict[str, Any]:
    (account,) = home.json("status")["accounts"]
    found = account["balance"]
    assert isinstance(found, dict)
    return found


def test_a_balance_in_a_file_falls_below_a_floor_runs_into_debt_escalates_and_recovers(home: Home) -> None:
    home.furnish(
        account=", balance: {from: file, path: inbox/balance.json, poll: 1s, settle: 0s, floors: [50.00]}, "
        "escalate: {after: 2s, channels: [hook], severity: critical}"
    )
    written(home, cash="100.00")
    home.drop(lines_worth("60"))
    running = home.start()
    try:
        home.until(lambda: "balance.low" in kinds(home))
        (low,) = data_of(home, "balance.low")
        assert (low["balance"]["available"], low["balance"]["from"], low["balance"]["stale"]) == ("40", "file", False)
        home.drop(lines_worth("60", count=2), exported=today() + timedelta(seconds=1))
        home.until(lambda: len(data_of(home, "balance.overdue")) == 1)
        subprocess.run(["sleep", "2"], check=True)
        running.process.send_signal(signal.SIGUSR1)
        home.until(lambda: len(data_of(home, "balance.overdue")) == 2)
        first, escalated = data_of(home, "balance.overdue")
        assert (first["severity"], first["balance"]["available"], first["escalated"]) == ("critical", "-20", False)
        assert (escalated["reason"], escalated["escalated"]) == ("escalated", True)
        assert first["stops"] == ["sfm_inference_public_cn"]
        written(home, cash="1000.00", at=today() + timedelta(seconds=1))
        home.until(lambda: "balance.recovered" in kinds(home))
        for recovered in data_of(home, "balance.recovered"):
            assert (recovered["top_up"]["amount"], recovered["balance"]["available"]) == ("900", "880")
    finally:
        assert running.stop() == 0
    assert sorted(path.name for path in home.inbox.iterdir() if not path.name.startswith(".")) == ["balance.json", "done"]
    assert kinds(home) == ["balance.low", "balance.overdue", "balance.overdue", "balance.recovered"]
    shown = home.call("status").stdout
    assert "Available balance 880.00 = cash 1,000.00 + credit 0.00 - unsettled 120.00 (this month)" in shown
    assert "Balance as of" in shown
    assert "from its file" in shown


def test_what_was_said_of_a_balance_is_kept_and_shown_term_by_term(home: Home) -> None:
    home.furnish(account=", balance: {from: file, path: balance.json, settle: 0s}")
    document = home.folder / "balance.json"
    now = today()
    said = [
        {"cash": "100.00"},
        {"cash": "100.00"},
        {"cash": "90.00", "credit": "5.00", "unsettled": "7.50", "available": "87.50"},
    ]
    for number, terms in enumerate(said):
        at = now - timedelta(hours=3 - number)
        document.write_text(json.dumps({"as_of": at.isoformat(timespec="seconds"), **terms}))
        home.call("once")
    latest, first = home.json("balance")["readings"]
    assert (latest["cash"], latest["credit"], latest["unsettled_both"], latest["reported"]) == ("90", "5", "7.5", "87.5")
    assert (first["cash"], first["reported"], first["from"], first["name"]) == ("100", None, "file", "acme")
    assert datetime.fromisoformat(first["as_of"]) - datetime.fromisoformat(first["since"]) == timedelta(hours=1)
    shown = home.call("balance", "acme").stdout
    assert [word for word in ("90.00", "7.50", "by bills") if word not in shown] == []
    assert "did you mean 'acme'?" in home.call("balance", "acne", expect=2).stderr


def test_a_broken_balance_file_is_told_with_line_and_key_and_the_last_good_reading_stays(home: Home) -> None:
    home.furnish(account=", balance: {from: file, path: balance.yaml, settle: 0s, floors: [50.00], stale_after: 1h}")
    path = home.folder / "balance.yaml"
    past = today() - timedelta(hours=3)
    path.write_text(f"as_of: {past.isoformat(timespec='seconds')}\navailable: 40.00\n")
    home.call("once")
    assert sorted(kinds(home)) == ["balance.low", "balance_source.failing"]
    path.write_text("as_of: yesterday\navailable: 4o.00\ncash: 1\n")
    broken = home.call("once", expect=75)
    assert f"balance of {ACCOUNT}: {path}: line 1, as_of: not a moment: 'yesterday'" in broken.stderr
    assert "line 2, available: not a plain amount: '4o.00'" in broken.stderr
    known = balance(home)
    assert (known["available"], known["stale"]) == ("40", True)
    assert known["age_seconds"] >= 3 * 3600
    shown = home.call("status", "--exit-code", expect=4).stdout
    assert "STALE  the balance" in shown
    assert "3 h" in shown
    path.write_text(f"as_of: {today().isoformat(timespec='seconds')}\navailable: 90.00\n")
    home.call("once")
    assert sorted(kinds(home)[2:]) == ["alert.resolved", "balance.recovered"]
    assert data_of(home, "balance.recovered")[0]["top_up"]["amount"] == "50"


def test_a_rehearsal_takes_a_balance_for_no_bill(quiet_home: Home) -> None:
    quiet_home.furnish(account=", balance: {from: file, path: inbox/balance.json, settle: 0s}")
    written(quiet_home, cash="100.00")
    quiet_home.drop(lines_worth("60"), name="bill.csv")
    shown = quiet_home.call("once", "--dry-run").stdout
    assert "inbox: 1 file in" in shown
    assert "balance.json" not in shown


@pytest.fixture
def provider(home: Home) -> Iterator[BssServer]:
    """The stand-in of the billing API, and an account that asks it."""
    with BssServer() as server:
        for name, text in (("ram-id", KEY_ID), ("ram-secret", SECRET)):
            (home.folder / name).write_text(text)
            (home.folder / name).chmod(0o600)
        rights = f'key_id_file: ram-id, secret_file: ram-secret, endpoint: "{server.url}"'
        home.furnish(account=f", balance: {{from: api, {rights}, floors: [9100.00]}}")
        yield server


def sample(name: str) -> dict[str, Any]:
    found = json.loads((SAMPLES / f"api_{name}.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def test_the_billing_api_tells_every_term_and_what_it_reports_beside_the_formula_is_explained(
    home: Home, provider: BssServer
) -> None:
    provider.fund_account = sample("get_fund_account_available_amount")
    home.drop(lines_worth("60"))
    home.call("once")
    known = balance(home)
    assert (known["available"], known["computed"], known["reported"], known["overdue"]) == ("9000", "9000", "9200", False)
    assert (known["difference"], known["explained_by"], known["unsettled"]) == ("200", ["credit_refund"], "6000")
    assert (known["from"], known["stale"], known["unsettled_is_derived"]) == ("api", False, False)
    assert kinds(home) == ["balance.low"]
    shown = home.call("status").stdout
    assert "Reported 9,200.00: it differs by 200.00 (credit refunds)" in shown
    assert "from the billing API" in shown


def test_where_only_the_older_operation_is_to_be_had_an_overdue_account_is_known_as_such(
    home: Home, provider: BssServer
) -> None:
    provider.balance = sample("query_account_balance_negative_cn")["Data"]
    provider.lie, provider.lies_to = Lie.NOT_AUTHORIZED, lambda call: call.action == "GetFundAccountAvailableAmount"
    home.call("once")
    known = balance(home)
    assert (known["available"], known["overdue"], known["unsettled"], known["unsettled_is_derived"]) == (
        "-11.19",
        True,
        "11.19",
        True,
    )
    assert kinds(home) == ["balance.overdue"]


def test_a_key_that_is_not_accepted_is_told_at_once_and_shows_no_secret(home: Home, provider: BssServer) -> None:
    provider.keys.clear()
    refused = home.call("once", expect=77)
    assert "the access key is not accepted" in refused.stderr
    assert kinds(home) == ["balance_source.failing"]
    assert home.json("status")["accounts"][0]["balance_cause"] == "credentials"
    assert [call["data"]["cause"] for call in home.calls()] == ["credentials"]
    assert SECRET not in refused.stderr + json.dumps(home.calls())
    assert "STALE  the balance: GetFundAccountAvailableAmount: the access key is not accepted" in home.call("status").stdout


def test_an_endpoint_of_ones_own_tells_the_balance(home: Home) -> None:
    with HttpSink([Reply(503), Reply(200, {}, b'{"as_of": "%s", "available": "4.00"}' % today().isoformat().encode())]) as sink:
        secret = home.folder / "token"
        secret.write_text("hunter2")
        secret.chmod(0o600)
        home.furnish(
            account=f', balance: {{from: url, url: "{sink.url("/balance")}", auth: bearer, secret_file: token, floors: [5.00]}}'
        )
        assert "127.0.0.1: status 503" in home.call("once", expect=75).stderr
        home.call("once")
        assert [request.headers["authorization"] for request in sink.requests] == ["Bearer hunter2"] * 2
    assert kinds(home) == ["balance.low"]
    assert balance(home)["from"] == "url"


def test_three_weeks_of_bills_tell_how_long_a_balance_lasts_and_what_the_month_will_cost(home: Home) -> None:
    home.furnish(account=", balance: {from: file, path: balance.json, settle: 0s, floors: [5.00], runway: [7d, 3d]}")
    home.watch(budget="100000.00", more="thresholds: [forecast 100%]")
    now = today()
    days = [(now - timedelta(days=back)).strftime("%Y%m%d") for back in range(21, 0, -1)]
    home.drop([a_line(day=day, time="12:00:00", amount="10.00", workspace=RESEARCH) for day in days])
    document = {"as_of": now.isoformat(timespec="seconds"), "available": "65.00"}
    (home.folder / "balance.json").write_text(json.dumps(document))
    home.call("once")
    (lasting,) = data_of(home, "balance.runway")
    assert (lasting["threshold"], lasting["severity"], lasting["account_name"]) == ("7d", "warning", "acme")
    used_up = datetime.fromisoformat(lasting["runway"]["zero"]["likely"]).date()
    assert (used_up - now.date()).days in {6, 7}
    assert lasting["runway"]["zero"]["soonest"] <= lasting["runway"]["zero"]["likely"] <= lasting["runway"]["zero"]["latest"]
    (account,) = home.json("status")["accounts"]
    assert account["balance"]["runway"]["zero"]["in_days"] == (used_up - now.date()).days
    assert account["forecast"]["days"] == 19
    assert float(account["forecast"]["low"]) <= float(account["forecast"]["likely"]) <= float(account["forecast"]["high"])
    shown = home.call("status").stdout
    assert "At the daily rate of 19 complete days" in shown
    assert f"zero  about {used_up}" in shown
    assert "MONTH ABOUT" in shown
    home.call("once")
    assert kinds(home) == ["balance.runway"]
