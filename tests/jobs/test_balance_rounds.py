"""Round by round: floors, debts, escalations, recoveries, and sources that fall silent."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from rich.console import Console

from bill_builder import ACCOUNT
from many_layouts import a_month, every_file
from oracle import Hints, unsettled
from real_ledger import RealLedger
from rounds_builder import BOSS, FINANCE, OPS, ZONE, Rounds, cny, told
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.cli.outlook import balance_lines
from spendwatch.domain.alert import Rule
from spendwatch.domain.balance import Position
from spendwatch.domain.balance_watch import TopUp
from spendwatch.domain.commodity import Category, Cover
from spendwatch.domain.delivery import Reason
from spendwatch.domain.money import EXACT, Currency, Money
from spendwatch.domain.notification import Notification
from spendwatch.domain.outstanding import SettledPeriod
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.policy import AccountPolicy, BalancePolicy, Escalation, Policies, Severity, Site
from spendwatch.domain.statement import AccountId, ChargeKind, ReadingHints
from spendwatch.jobs.overview import look
from spendwatch.letters.language import Language
from spendwatch.letters.wording import Wording
from spendwatch.store.alert_book import AlertBook
from spendwatch.store.database import Database
from spendwatch.store.health_book import HealthBook
from spendwatch.store.ledger import Ledger
from store_builders import ACME, row

SAMPLES = Path(__file__).parent.parent / "data" / "bills"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TODAY = date(2026, 9, 1)
FLOORS = (Decimal(200), Decimal(1000))
MANUAL = BalancePolicy(cash=Decimal(1500), floors=FLOORS)
BY_API = BalancePolicy(floors=FLOORS, stale_after=timedelta(hours=6))

SCREEN = Console(width=400)


@pytest.fixture
def rounds(database: Database) -> Rounds:
    return Rounds(database, MANUAL)


def test_floors_debt_reminders_and_what_brought_it_out(rounds: Rounds) -> None:
    rounds.bill(TODAY, "100")
    assert rounds.round() == []
    rounds.bill(TODAY, "600")
    assert told(rounds.round()) == [("balance.low", "fired", "1000", (FINANCE,))]
    rounds.bill(TODAY, "1600", row("7", commodity="sfm_codingplan_public_cn", charge=ChargeKind.SUBSCRIPTION))
    (overdue,) = rounds.round(after=MINUTE)
    assert told([overdue]) == [("balance.overdue", "fired", "", (FINANCE,))]
    assert overdue.facts.also == ("200",)
    assert overdue.facts.exposure.plans == ("sfm_codingplan_public_cn",)
    assert overdue.facts.exposure.stops == ("sfm_inference_public_cn",)
    assert overdue.facts.exposure.covers == (Cover.CODING_PLAN,)
    assert rounds.round(after=DAY - MINUTE) == []
    for _ in range(3):
        assert told(rounds.round(after=DAY)) == [("balance.overdue", "repeated", "", (FINANCE,))]
    rounds.wanted(MANUAL._replace(cash=Decimal(5000)))
    (recovered,) = rounds.round(after=MINUTE)
    assert (recovered.type, recovered.rule, recovered.reason) == ("balance.recovered", Rule.OVERDUE, Reason.RESOLVED)
    assert recovered.facts.also == ("200", "1000")
    assert recovered.facts.top_up == TopUp(cny(3500), rounds.now)
    assert rounds.round(after=DAY) == []
    assert not any(alert.is_firing for alert in rounds.book.known())


def test_a_debt_that_lasts_is_told_to_others_too_until_it_is_settled(rounds: Rounds) -> None:
    rounds.account = {"escalate": Escalation(4 * HOUR, (BOSS,), Severity.CRITICAL)}
    rounds.wanted(MANUAL)
    rounds.bill(TODAY, "1600")
    rounds.round()
    assert rounds.round(after=4 * HOUR - MINUTE) == []
    (escalated,) = rounds.round(after=MINUTE)
    assert told([escalated]) == [("balance.overdue", "escalated", "", (BOSS,))]
    assert (escalated.facts.escalated_after, escalated.since) == (4 * HOUR, rounds.now - 4 * HOUR)
    assert rounds.round(after=MINUTE) == []
    daily = rounds.round(after=DAY - 4 * HOUR - MINUTE) + rounds.round(after=4 * HOUR)
    assert told(daily) == [("balance.overdue", "repeated", "", (FINANCE,))], "the other heard of it less than a day ago"
    assert told(rounds.round(after=DAY)) == [("balance.overdue", "repeated", "", (FINANCE, BOSS))]
    rounds.wanted(MANUAL._replace(cash=Decimal(9000)))
    ended = rounds.round(after=MINUTE)
    assert [(one.type, one.channels) for one in ended] == [("balance.recovered", (FINANCE, BOSS))]
    assert all(one.facts.top_up == TopUp(cny(7500), rounds.now) for one in ended)


def test_a_debt_that_is_settled_in_time_escalates_to_nobody(rounds: Rounds) -> None:
    rounds.account = {"escalate": Escalation(4 * HOUR, (BOSS,), Severity.CRITICAL)}
    rounds.wanted(MANUAL)
    rounds.bill(TODAY, "1600")
    rounds.round()
    rounds.wanted(MANUAL._replace(cash=Decimal(9000)))
    rounds.round(after=HOUR)
    assert rounds.round(after=4 * HOUR) == []
    assert not [one for one in rounds.book.said if BOSS in one.channels]


def test_nobody_new_is_called_for_a_debt_while_the_balance_is_above_zero(rounds: Rounds) -> None:
    rounds.account = {"escalate": Escalation(HOUR, (BOSS,))}
    rounds.wanted(MANUAL._replace(floors=()))
    rounds.bill(TODAY, "1500.02")
    rounds.round()
    rounds.bill(TODAY, "1499.98")
    assert rounds.round(after=20 * MINUTE) == []
    assert rounds.round(after=50 * MINUTE) == []
    # Below zero again, by then for 20 minutes; the time between is left out.
    rounds.bill(TODAY, "1500.02")
    assert rounds.round() == []
    assert rounds.round(after=40 * MINUTE - MINUTE) == []
    (escalated,) = rounds.round(after=MINUTE)
    assert told([escalated]) == [("balance.overdue", "escalated", "", (BOSS,))]
    assert escalated.facts.balance
    assert escalated.facts.balance.is_overdue
    # Above zero and not clear yet it is no news for anybody; then it is over for both.
    rounds.bill(TODAY, "1499.98")
    assert rounds.round(after=MINUTE) == []
    assert rounds.round(after=HOUR - MINUTE) == []
    assert [one.channels for one in rounds.round(after=MINUTE)] == [(FINANCE, BOSS)]
    # Another debt counts from its own beginning.
    rounds.bill(TODAY, "1500.02")
    assert told(rounds.round(after=MINUTE)) == [("balance.overdue", "fired", "", (FINANCE,))]
    assert rounds.round(after=HOUR - MINUTE) == []
    assert told(rounds.round(after=MINUTE)) == [("balance.overdue", "escalated", "", (BOSS,))]


def test_bills_that_are_corrected_up_and_down_about_zero_make_one_debt(rounds: Rounds) -> None:
    rounds.wanted(MANUAL._replace(floors=()))
    for number in range(20):
        rounds.bill(TODAY, "1500.01" if number % 2 == 0 else "1499.99")
        rounds.round(after=MINUTE)
    assert told(rounds.book.said) == [("balance.overdue", "fired", "", (FINANCE,))]
    assert rounds.overview().accounts[0].balance.is_overdue is False  # type: ignore[union-attr]  # it is known
    assert told(rounds.round(after=HOUR)) == [("balance.recovered", "resolved", "", (FINANCE,))]


def test_a_top_up_to_just_above_a_floor_ends_it_at_once(rounds: Rounds) -> None:
    rounds.bill(TODAY, "600")
    rounds.round()
    rounds.wanted(MANUAL._replace(cash=Decimal(1605)))
    assert told(rounds.round(after=MINUTE)) == [("balance.recovered", "resolved", "1000", (FINANCE,))]


def test_what_bills_of_a_month_show_as_not_paid_counts_and_only_that(database: Database) -> None:
    rounds = Rounds(database, MANUAL._replace(floors=()), now=datetime(2026, 9, 3, 2, tzinfo=UTC))
    owing = row("50", outstanding=Decimal(30))
    rounds.bill(date(2026, 7, 5), owing, told="20260731120000")
    rounds.bill(date(2026, 8, 5), row("100", outstanding=Decimal(20)), told="20260902000000")
    rounds.bill(TODAY, "7", row("9", outstanding=Decimal(0)))
    balance = rounds.overview().accounts[0].balance
    assert balance
    # July's word is older than its end: then everything was unpaid in the normal course of things.
    assert (balance.unsettled_current, balance.unsettled_previous) == (cny(7), cny(20))
    rounds.bill(date(2026, 7, 5), owing, told="20260815000000")
    balance = rounds.overview().accounts[0].balance
    assert balance
    assert balance.unsettled_previous == cny(50)
    rounds.now += 2 * DAY
    balance = rounds.overview().accounts[0].balance
    assert balance
    assert balance.unsettled_previous == cny(30)


# --- what is paid when it is ordered


ORDER = row("150", commodity="sfm_tokenplanteams_dp_cn", charge=ChargeKind.SUBSCRIPTION)


def test_a_prepaid_order_is_paid_when_it_is_ordered_and_its_refund_gives_nothing_back_to_what_is_unsettled(
    database: Database,
) -> None:
    rounds = Rounds(database, MANUAL._replace(cash=Decimal(100), floors=(Decimal(98),)))
    rounds.bill(TODAY, "3", ORDER)
    (low,) = rounds.round()
    seen = rounds.overview().accounts[0]
    assert low.facts.balance
    assert seen.balance == low.facts.balance
    assert (low.rule, low.facts.balance.available, low.facts.balance.paid_at_order) == (Rule.BALANCE_LOW, cny(97), cny(150))
    assert "Not subtracted: CNY 150.00 for subscriptions" in Wording(Language.EN, ZONE).text(low)
    assert "订阅费用 ¥150.00，下单时已支付" in Wording(Language.ZH, ZONE).text(low)
    lines = "\n".join(map(str, balance_lines(seen, rounds.now, ZONE, SCREEN)))
    assert "Not subtracted: 150.00 for subscriptions, paid when ordered" in lines
    back = row("-25", charge=ChargeKind.SUBSCRIPTION_REFUND)
    owing = row("9", outstanding=Decimal("4.5")), row("-0.01", charge=ChargeKind.ADJUSTMENT), row("7", outstanding=Decimal(0))
    rounds.bill(TODAY, "3", ORDER, back, *owing)
    balance = rounds.overview().accounts[0].balance
    assert balance
    assert (balance.available, balance.paid_at_order) == (cny("92.51"), cny(125))


def test_what_is_ordered_after_a_reading_is_not_subtracted_either(database: Database) -> None:
    rounds = Rounds(database, BY_API)
    rounds.read(100)
    rounds.bill(TODAY, "8", ORDER)
    rounds.now += DAY
    rounds.bill(date(2026, 9, 2), "3", row("5", outstanding=Decimal(1)), ORDER, ORDER)
    balance = rounds.overview().accounts[0].balance
    assert balance
    assert (balance.available, balance.spent_since, balance.paid_at_order) == (cny(96), cny(4), cny(300))


def test_a_month_that_becomes_final_settles_nothing_that_was_paid_when_it_was_ordered(database: Database) -> None:
    rounds = Rounds(database, MANUAL._replace(floors=()))
    rounds.bill(date(2026, 7, 5), ORDER, row("5", outstanding=Decimal(0)))
    rounds.bill(TODAY, "1")
    seen = rounds.overview().accounts[0].balance
    assert seen
    assert (seen.settled, seen.unsettled_previous) == (None, cny(0))


def test_bills_that_lack_what_was_billed_before_are_said_to_be_filtered_beside_the_balance(database: Database) -> None:
    rounds = Rounds(database, MANUAL._replace(floors=(Decimal(2000),)))
    oss = row("40", product="oss", commodity="oss")
    rounds.bill(date(2026, 8, 20), "1", oss)
    rounds.bill(TODAY, "1")
    # A new month begins with what is billed by the minute.
    rounds.now += 2 * DAY
    assert _unseen(rounds) == ()
    rounds.now += DAY
    (low,) = rounds.round()
    assert low.facts.balance
    assert low.facts.balance.unseen == ("oss",)
    assert "no charges for oss, billed within the last 62 days" in Wording(Language.EN, ZONE).text(low)
    assert "近期账单中没有 oss" in Wording(Language.ZH, ZONE).text(low)
    seen = rounds.overview().accounts[0]
    assert "bills have no oss" in "\n".join(map(str, balance_lines(seen, rounds.now, ZONE, SCREEN)))
    rounds.bill(TODAY, "1", oss)
    assert _unseen(rounds) == ()
    rounds.bill(TODAY, "1")
    rounds.now = datetime(2026, 10, 21, 2, tzinfo=UTC)
    rounds.bill(date(2026, 10, 20), "1")
    assert _unseen(rounds) == ("oss",)
    rounds.now += DAY
    assert _unseen(rounds) == ()


def test_a_filter_of_the_bills_touches_no_balance_that_is_told_elsewhere(database: Database) -> None:
    rounds = Rounds(database, BY_API)
    rounds.read(100)
    rounds.bill(date(2026, 8, 20), row("40", product="oss", commodity="oss"))
    rounds.bill(TODAY, "1")
    rounds.now += 4 * DAY
    assert _unseen(rounds) == ()


def _unseen(rounds: Rounds) -> tuple[str, ...]:
    balance = rounds.overview().accounts[0].balance
    assert balance
    return balance.unseen


def test_the_latest_usage_of_each_category_is_told(database: Database) -> None:
    rounds = Rounds(database, MANUAL._replace(floors=(Decimal(2000),)))
    rounds.bill(date(2026, 8, 30), row("1", commodity="sfm_training_public_cn"), row("2", commodity="sfm_training_public_cn"))
    rounds.bill(TODAY, "1", ORDER, row("-3", commodity="sfm_training_public_cn", charge=ChargeKind.REFUND))
    expected = (Category.INFERENCE, TODAY), (Category.TRAINING, date(2026, 8, 30))
    (low,) = rounds.round()
    assert low.facts.used_on == rounds.overview().accounts[0].used_on == expected
    assert "Latest billed usage: Inference 2026-09-01, Training 2026-08-30." in Wording(Language.EN, ZONE).text(low)
    assert "各类别最近一次出账的用量日期：模型推理 2026-09-01、模型训练 2026-08-30。" in Wording(Language.ZH, ZONE).text(low)


USD_ACCOUNT = AccountId("5000000000000003")


@pytest.mark.parametrize(("cash", "available"), [("10", "5.9582733"), ("4", "-0.0417267")])
def test_a_pushed_bill_with_a_plan_leaves_what_it_shows_as_outstanding(
    database: Database, shared_reader: ReadingProcess, tmp_path: Path, cash: str, available: str
) -> None:
    name = f"{USD_ACCOUNT}_InstanceDetail_20260914.csv"
    hints = ReadingHints({USD_ACCOUNT: Currency("USD")})
    RealLedger(database, shared_reader, tmp_path, hints).enter(name, (SAMPLES / name).read_bytes())
    balance = _by_bills(database, USD_ACCOUNT, Currency("USD"), cash, now=datetime(2026, 9, 15, tzinfo=UTC))
    assert (balance.available.amount, balance.is_overdue) == (Decimal(available), cash == "4")
    assert balance.paid_at_order == Money(Decimal(25), Currency("USD"))


@pytest.mark.parametrize("seed", range(3))
def test_the_balance_is_that_of_the_oracle_for_bills_of_all_layouts(
    database: Database, shared_reader: ReadingProcess, tmp_path: Path, seed: int
) -> None:
    dice = Random(seed)  # noqa: S311 -- the same months every time
    files = dice.sample(every_file(a_month(dice, days=5), dice), 12)
    real = RealLedger(database, shared_reader, tmp_path, ReadingHints({AccountId(ACCOUNT): Currency("CNY")}))
    for name, content in files:
        real.enter(name, content)
    owed = unsettled(files, Hints({ACCOUNT: "CNY"}))[ACCOUNT, "2026-09", "CNY"]
    balance = _by_bills(database, AccountId(ACCOUNT), Currency("CNY"), "1000", now=datetime(2026, 9, 15, tzinfo=UTC))
    assert balance.unsettled == Money(owed, Currency("CNY"))
    assert balance.available == Money(EXACT.subtract(Decimal(1000), owed), Currency("CNY"))


def _by_bills(database: Database, account: AccountId, currency: Currency, cash: str, *, now: datetime) -> Position:
    """Return the balance of an account of which nothing but the cash is known elsewhere."""
    policy = AccountPolicy(account, "acme", Site.CN, currency, balance=BalancePolicy(cash=Decimal(cash)))
    policies = Policies(accounts=(policy,), workspaces=(), operators=(), products=("sfm",), month_final_on=4)
    seen = look(Ledger(database), AlertBook(database), HealthBook(database), policies, {}, zone=ZONE, now=now)
    balance = seen.accounts[0].balance
    assert balance
    return balance


# --- a month that becomes final


BROKE = MANUAL._replace(cash=Decimal(300), floors=(Decimal(100),))
"""Less than September and the first of October cost together."""


@pytest.fixture
def broke(database: Database) -> Rounds:
    """Return an account that is overdue by 50 since 1 October, with the cash that was configured that day."""
    rounds = Rounds(database, BROKE, now=datetime(2026, 10, 1, 2, tzinfo=UTC))
    rounds.configured()
    rounds.bill(date(2026, 9, 20), "290")
    rounds.bill(date(2026, 10, 1), "60")
    rounds.round()
    return rounds


def _recovery(rounds: Rounds) -> Notification:
    """Return what is said in the first hour of 5 October, when September has become final."""
    rounds.now = datetime(2026, 10, 4, 16, 10, tzinfo=UTC)
    (recovered,) = rounds.round() + rounds.round(after=HOUR)
    return recovered


def test_a_debt_that_only_ends_because_a_month_is_final_is_never_told_as_settled(broke: Rounds) -> None:
    recovered = _recovery(broke)
    assert (recovered.type, recovered.facts.by_settlement, recovered.facts.top_up) == ("balance.recovered", True, None)
    balance = recovered.facts.balance
    assert balance
    assert balance.settled == SettledPeriod(BillingPeriod(2026, 9), cny(290), datetime(2026, 10, 4, 16, tzinfo=UTC))
    assert balance.is_before_settlement
    told_in_english = " ".join(Wording(Language.EN, ZONE).text(recovered).split())
    for said in (
        "acme is no longer overdue, by these figures",
        "because September 2026 is final and counts as settled.",
        "The cash is from before September 2026 counted as settled (CNY 290.00, since 2026-10-05 00:00).",
        "No incoming payment was seen.",
        "September 2026 is final and counts as settled: its CNY 290.00 are no longer subtracted.",
    ):
        assert said in told_in_english
    assert "The debt is settled" not in told_in_english
    told_in_chinese = "".join(Wording(Language.ZH, ZONE).text(recovered).split())
    assert "未看到任何款项到账" in told_in_chinese
    assert "欠款已结清" not in told_in_chinese


def test_a_little_money_beside_a_month_that_becomes_final_settles_no_debt_either(broke: Rounds) -> None:
    broke.wanted(BROKE._replace(cash=Decimal(310)))
    broke.round(after=HOUR)
    recovered = _recovery(broke)
    assert recovered.facts.by_settlement
    assert recovered.facts.top_up
    said = Wording(Language.EN, ZONE).text(recovered)
    assert "No incoming payment was seen" not in said
    assert "The debt is settled" not in said


def test_money_that_covers_the_debt_by_itself_settles_it(broke: Rounds) -> None:
    broke.wanted(BROKE._replace(cash=Decimal(900)))
    (recovered,) = broke.round(after=MINUTE)
    assert not recovered.facts.by_settlement
    assert "The debt is settled" in " ".join(Wording(Language.EN, ZONE).text(recovered).split())


def test_a_debt_that_ends_by_a_corrected_bill_is_told_without_a_settlement(broke: Rounds) -> None:
    broke.bill(date(2026, 10, 1), "-60")
    broke.round(after=MINUTE)
    (recovered,) = broke.round(after=HOUR)
    assert not recovered.facts.by_settlement
    said = " ".join(Wording(Language.EN, ZONE).text(recovered).split())
    assert "No incoming payment was seen. " in said
    assert "The unsettled amount in the bills is lower than before." in said
    assert "The debt is settled" not in said


def test_a_floor_that_is_left_behind_because_a_month_is_final_is_told_so(broke: Rounds) -> None:
    broke.bill(date(2026, 10, 1), "-20")
    broke.round(after=MINUTE)
    broke.round(after=HOUR)
    recovered = _recovery(broke)
    assert (recovered.rule, recovered.facts.by_settlement) == (Rule.BALANCE_LOW, True)
    subject = Wording(Language.EN, ZONE).subject(recovered)
    assert subject.endswith("above CNY 100.00 again, by these figures: September 2026 counts as settled")


def test_status_says_that_the_cash_is_from_before_a_month_counted_as_settled(broke: Rounds) -> None:
    def shown() -> str:
        return "\n".join(line.plain for line in balance_lines(broke.overview().accounts[0], broke.now, ZONE, SCREEN))

    assert "counts as settled" not in shown()
    _recovery(broke)
    assert "2026-09 (290.00) counts as settled since 2026-10-05 00:00, and the cash is from before" in shown()


def test_cash_that_was_configured_after_a_month_was_final_is_not_called_old(broke: Rounds) -> None:
    broke.now = datetime(2026, 10, 4, 16, 10, tzinfo=UTC)
    broke.wanted(BROKE._replace(cash=Decimal(10)))
    broke.configured()
    balance = broke.overview().accounts[0].balance
    assert balance
    assert balance.settled
    assert not balance.is_before_settlement


# --- what the provider says, and when it says nothing


@pytest.fixture
def by_api(database: Database) -> Rounds:
    return Rounds(database, BY_API)


def test_what_the_provider_reports_is_judged_and_bills_take_nothing_off_it(by_api: Rounds) -> None:
    by_api.bill(TODAY, "900")
    by_api.read(1200, cash=2000)
    assert by_api.round() == []
    by_api.read(900, cash=2000, at=by_api.now + MINUTE)
    (low,) = by_api.round(after=MINUTE)
    assert told([low]) == [("balance.low", "fired", "1000", (FINANCE,))]
    assert low.facts.balance
    assert (low.facts.balance.available, low.facts.balance.unsettled) == (cny(900), cny(1100))


def test_later_bills_count_while_the_provider_is_silent_and_nothing_ends_by_an_old_reading(by_api: Rounds) -> None:
    by_api.read(1100)
    assert by_api.round() == []
    by_api.now += DAY
    by_api.bill(TODAY + DAY, "150", until=by_api.now)
    (low, failing) = sorted(by_api.round(), key=lambda one: one.type)
    assert told([low, failing]) == [
        ("balance.low", "fired", "1000", (FINANCE,)),
        ("balance_source.failing", "fired", "", (OPS,)),
    ]
    assert low.facts.balance
    assert (low.facts.balance.available, low.facts.balance.is_stale, low.facts.balance.as_of) == (
        cny(950),
        True,
        by_api.now - DAY,
    )
    assert "the latest reading is 1 d old" in failing.facts.detail
    by_api.bill(TODAY + DAY, "1", until=by_api.now)
    assert by_api.round(after=MINUTE) == []
    by_api.read(1099)
    ended = by_api.round(after=MINUTE)
    assert {one.type for one in ended} == {"balance.recovered", "alert.resolved"}


def test_an_older_reading_that_comes_late_changes_nothing(by_api: Rounds) -> None:
    by_api.read(1200)
    by_api.round()
    by_api.read(100, at=by_api.now - HOUR)
    assert by_api.round(after=MINUTE) == []


def test_a_source_that_somebody_has_to_mend_is_told_at_once_and_one_that_may_pass_after_three_tries(by_api: Rounds) -> None:
    by_api.read(5000)
    by_api.balances.failed(ACME, "rejected with status 503", at=by_api.now, is_lasting=False)
    by_api.balances.failed(ACME, "rejected with status 503", at=by_api.now, is_lasting=False)
    assert by_api.round() == []
    by_api.balances.failed(ACME, "rejected with status 503", at=by_api.now, is_lasting=False)
    (failing,) = by_api.round(after=MINUTE)
    assert told([failing]) == [("balance_source.failing", "fired", "", (OPS,))]
    assert failing.facts.detail == "rejected with status 503"
    assert told(by_api.round(after=DAY)) == [("balance_source.failing", "repeated", "", (OPS,))]
    by_api.read(5000)
    assert told(by_api.round(after=MINUTE)) == [("alert.resolved", "resolved", "", (OPS,))]
    by_api.balances.failed(ACME, "the access key is not accepted", at=by_api.now, is_lasting=True)
    assert told(by_api.round(after=MINUTE)) == [("balance_source.failing", "fired", "", (OPS,))]


def test_a_balance_that_was_never_read_is_told_when_a_reading_should_have_come(by_api: Rounds) -> None:
    by_api.balances.failed(ACME, "no answer", at=by_api.now, is_lasting=False)
    assert by_api.round(after=6 * HOUR) == []
    assert told(by_api.round(after=MINUTE)) == [("balance_source.failing", "fired", "", (OPS,))]
    account = by_api.overview().accounts[0]
    assert (account.balance, account.balance_trouble, by_api.overview().is_stale) == (None, "no answer", True)


def test_what_was_told_does_not_end_because_nothing_is_known_any_more(rounds: Rounds) -> None:
    rounds.bill(TODAY, "1600")
    rounds.round()
    rounds.wanted(BY_API._replace(floors=FLOORS))
    assert rounds.round(after=DAY) == []
    assert {alert.key.rule for alert in rounds.book.known() if alert.is_firing} == {Rule.BALANCE_LOW, Rule.OVERDUE}
    rounds.read(5000)
    assert [one.type for one in rounds.round(after=HOUR)] == []
    assert [one.type for one in rounds.round(after=HOUR)] == ["balance.recovered"]


def test_terms_that_do_not_add_up_are_told_once_with_both_figures(by_api: Rounds) -> None:
    terms = {"unsettled_current": cny(100), "unsettled_previous": cny(0)}
    by_api.read(4800, cash=5000, at=None, **terms)
    (differing,) = by_api.round()
    assert told([differing]) == [("balance_source.differing", "fired", "", (OPS,))]
    assert differing.facts.balance
    assert (differing.facts.balance.computed, differing.facts.balance.reading.reported) == (cny(4900), cny(4800))
    by_api.read(4700, cash=5000, at=by_api.now + MINUTE, **terms)
    assert by_api.round(after=HOUR) == []
    by_api.read(5100, cash=5000, at=by_api.now, credit_refund=cny(200), **terms)
    assert told(by_api.round()) == [("alert.resolved", "resolved", "", (OPS,))]


def test_a_reading_in_another_currency_is_no_balance_of_this_account(by_api: Rounds) -> None:
    by_api.read(5000)
    by_api.account = {"currency": "USD"}
    by_api.wanted(BY_API)
    account = by_api.overview().accounts[0]
    assert (account.balance, account.balance_trouble) == (None, "no reading in the account's currency yet")


def test_a_crash_between_what_is_remembered_and_what_is_said_loses_neither(rounds: Rounds) -> None:
    rounds.bill(TODAY, "1600")
    rounds.round()
    rounds.wanted(MANUAL._replace(cash=Decimal(9000)))
    rounds.book.is_broken = True
    with pytest.raises(RuntimeError):
        rounds.round(after=MINUTE)
    rounds.book.is_broken = False
    (recovered,) = rounds.round(after=MINUTE)
    assert recovered.facts.top_up == TopUp(cny(7500), rounds.now - MINUTE)
