"""Bills that change what others said: late ones, filtered ones, refunds, two layouts of one month; with the real program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from bill_builder import ACCOUNT, a_bill, a_line
from home import RESEARCH, TRAINING, TimedHome
from many_layouts import Charge, detail, focus, legacy
from servers_http import HttpSink
from servers_smtp import SmtpSink
from spendwatch.domain.money import plain
from spendwatch.domain.period import BillingPeriod
from spendwatch.store.ledger import Ledger
from spendwatch.store.opening import open_database

SEPTEMBER = BillingPeriod(2026, 9)


@dataclass(slots=True)
class BillHome(TimedHome):
    """A home that gets exports of September."""

    def export(self, *lines: tuple[str, str, str], workspace: str = RESEARCH) -> None:
        """Drop an export of now with these lines of September: id, day, amount."""
        told = [
            a_line(line_id=line_id, day=f"202609{day}", amount=amount, time="00:00:00", workspace=workspace)
            for line_id, day, amount in lines
        ]
        self.put(*a_bill(told, exported=self.now.strftime("%Y%m%d%H%M%S")))

    def told(self) -> list[tuple[str, str]]:
        """Return what was said since the last time, by type and spend."""
        assert self.hook
        said = [(call["type"], call["data"]["spend"] or "") for call in self.calls()]
        self.hook.requests.clear()
        return said

    def spent(self) -> str:
        """Return what is on record for September."""
        database = open_database(str(self.state), read_only=True)
        (found,) = Ledger(database).spend(SEPTEMBER, ())
        database.close()
        return plain(found.amount)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[BillHome]:
    with SmtpSink() as mail, HttpSink() as hook:
        furnished = BillHome(tmp_path, mail, hook)
        # Bills of a month that is over end no silence, and here nothing else comes.
        furnished.furnish(stale_after="60d")
        furnished.watch(budget="100.00")
        yield furnished


FIRST, SECOND, REFUND = ("a", "10", "60"), ("b", "30", "30"), ("c", "30", "-15")


def test_a_bill_that_changes_a_final_month_is_told_as_such_and_counts_in_that_month(home: BillHome) -> None:
    home.export(FIRST)
    home.call("once")
    assert home.told() == [("spend.threshold_reached", "60")]
    home.at("2026-10-06 12:00")
    home.export(FIRST, SECOND)
    home.call("once")
    assert sorted(home.told()) == [("spend.late", "90"), ("spend.threshold_reached", "90")]
    assert home.spent() == "90"
    home.call("once")
    assert home.told() == []


def test_what_is_said_of_a_late_bill_names_both_figures_and_the_bill(home: BillHome) -> None:
    home.export(FIRST)
    home.call("once")
    home.at("2026-10-05 00:00:00")
    home.export(FIRST, ("b", "30", "1.005"))
    home.call("once")
    (call,) = [call for call in home.calls() if call["type"] == "spend.late"]
    data = call["data"]
    assert (data["month"], data["before"], data["spend"], data["currency"]) == ("2026-09", "60", "61.005", "CNY")
    assert data["bills"] == ["1000000000000001-20261005000000_consumedetailbillv2.csv"]
    assert data["data_until"].startswith("2026-09-30T00:00:00")
    assert "September 2026 of acme was final and has changed to CNY 61.0" in data["text"]
    assert b"September 2026 of acme was final" in home.mails()[-1]


def test_what_comes_in_the_last_hour_of_an_open_month_is_in_time_and_less_than_a_cent_is_no_change(home: BillHome) -> None:
    home.export(FIRST)
    home.call("once")
    assert home.told()
    # Nothing takes as long as an hour here; what is final is judged when the bill is entered.
    home.at("2026-10-04 22:59:59")
    home.export(FIRST, ("b", "30", "1"))
    home.call("once")
    assert home.told() == []
    home.at("2026-10-05 00:00:00")
    home.export(FIRST, ("b", "30", "1.0099999999"))
    home.call("once")
    # A change of less than a cent is rounding: it counts, and is not told.
    assert (home.told(), home.spent()) == ([], "61.0099999999")
    home.at("2026-10-05 00:01:00")
    home.export(FIRST, ("b", "30", "2"))
    home.call("once")
    assert home.told() == [("spend.late", "62")]


def test_a_month_that_was_never_watched_while_it_was_open_is_read_in_silence(home: BillHome) -> None:
    home.at("2026-11-20 12:00")
    home.export(FIRST)
    home.at("2026-11-21 12:00")
    home.export(FIRST, SECOND)
    home.call("once")
    assert (home.told(), home.spent()) == ([], "90")


def test_a_late_refund_gives_one_correction_beside_the_late_notice_and_arms_nothing_again(home: BillHome) -> None:
    home.at("2026-10-01 12:00")
    home.export(FIRST, SECOND)
    home.call("once")
    assert home.told() == [("spend.threshold_reached", "90")]
    home.at("2026-10-06 12:00")
    home.export(FIRST, SECOND, REFUND)
    home.at("2026-10-07 12:00")
    home.export(FIRST, SECOND, REFUND, ("d", "30", "15"))
    home.call("once")
    assert sorted(home.told()) == [("spend.corrected", "75"), ("spend.late", "75"), ("spend.late", "90")]
    assert home.spent() == "90"


def test_refunds_lower_the_total_with_one_correction_and_no_threshold_comes_twice(home: BillHome) -> None:
    """Every bill is judged before the next one is read."""
    lines: list[tuple[str, str, str]] = []
    for number, amount in enumerate(("110", "-70", "80", "-100", "85")):
        home.now += timedelta(minutes=1)
        home.export(*lines, (f"line {number}", "11", amount))
        lines.append((f"line {number}", "11", amount))
    home.call("once")
    assert home.told() == [("spend.threshold_reached", "110"), ("spend.corrected", "40")]
    assert home.spent() == "105"


def test_a_filtered_export_never_deletes(home: BillHome) -> None:
    mine = a_line(line_id="a", day="20260910", amount="60")
    theirs = a_line(line_id="x", day="20260911", amount="5", workspace=TRAINING)
    for exported, lines in (("20260919", [mine, theirs]), ("20260921", [theirs]), ("20260922", []), ("20260923", [mine])):
        home.put(*a_bill(lines, exported=f"{exported}120000"))
    home.call("once")
    assert len(list((home.inbox / "done").iterdir())) == 4
    assert home.spent() == "65"


def charges(*amounts: str) -> Sequence[Charge]:
    """Return a charge a day of September."""
    return [Charge(day, date(2026, 9, day), Decimal(amount), workspace=RESEARCH) for day, amount in enumerate(amounts, start=1)]


def test_two_layouts_that_differ_are_told_once_with_both_figures_and_never_added(home: BillHome) -> None:
    home.put(*detail(charges("10", "10.5", "1"), "20260904120000"))
    home.put(*focus(charges("10", "9.5", "1"), "20260903_focus_202609.csv"))
    home.call("once")
    (call,) = home.calls()
    assert (call["type"], call["data"]["severity"]) == ("bills.differing", "notice")
    assert call["data"]["series"] == [
        {"series": "consumedetailbillv2", "spend": "20.5", "currency": "CNY"},
        {"series": "focus", "spend": "19.5", "currency": "CNY"},
    ]
    assert "No bill is on record" not in call["data"]["text"]
    assert home.spent() == "21.5"
    assert len(home.told()) == 1
    home.call("once")
    home.put(*detail(charges("10", "10.5", "1", "2"), "20260905120000"))
    home.call("once")
    assert (home.told(), home.spent()) == ([], "23.5")


def test_two_layouts_that_agree_or_differ_by_rounding_or_in_their_last_days_say_nothing(home: BillHome) -> None:
    home.put(*detail(charges("10", "10.009", "1"), "20260904120000"))
    home.put(*focus(charges("10", "10", "7"), "20260903_focus_202609.csv"))
    home.call("once")
    assert (home.told(), home.spent()) == ([], "27")


def dated(amount: str, *days: int) -> Sequence[Charge]:
    return [Charge(day, date(2026, 9, day), Decimal(amount), workspace=RESEARCH) for day in days]


def test_days_that_only_the_bills_of_the_new_version_have_are_told_once_wherever_one_looks(home: BillHome) -> None:
    """The new version holds only what was charged from the day on which it was enabled, within the month."""
    home.put(*legacy(dated("15", *range(1, 10)), "1000000000000001-20260910093000_old.csv"))
    home.call("once")
    assert home.told() == [("spend.threshold_reached", "135")]
    name, content = detail(dated("12", *range(10, 16)), "20260916093000")
    home.put(name, content)
    rehearsed = home.call("import", str(home.inbox / name), "--dry-run").stdout
    said = "by consumedetailbillv2: 72.00, is not added; CNY 72.00 of 2026-09-10 to 2026-09-15 is in no figure"
    assert said in rehearsed
    assert "the same charges" not in rehearsed
    home.call("once")
    (call,) = home.calls()
    assert (call["type"], call["data"]["severity"]) == ("bills.differing", "warning")
    assert [one["spend"] for one in call["data"]["series"]] == ["135", "72"]
    assert (call["data"]["uncounted"], call["data"]["uncounted_on"][::5]) == ("72", ["2026-09-10", "2026-09-15"])
    assert "Not counted" in call["data"]["text"]
    shown = home.call("status").stdout
    assert "Not counted: CNY 72.00 of 2026-09-10 to 2026-09-15 by consumedetailbillv2; billingitemdetail counts" in shown
    assert home.spent() == "135"
    assert len(home.told()) == 1
    home.put(*detail(dated("12", *range(10, 17)), "20260917093000"))
    home.call("once")
    assert home.told() == []
    (account,) = home.json("status")["accounts"]
    assert (account["uncounted"][0]["spend"], len(account["uncounted"][0]["days"])) == ("84", 7)
    home.put(*legacy([*dated("15", *range(1, 10)), *dated("12", *range(10, 17))], "1000000000000001-20260918093000_old.csv"))
    home.call("once")
    (account,) = home.json("status")["accounts"]
    assert (account["uncounted"], home.spent()) == ([], "219")


def test_of_two_complete_bills_that_nothing_tells_apart_in_age_the_one_that_does_not_count_is_remarked(home: BillHome) -> None:
    name = f"{ACCOUNT}_focus_202609.csv"
    dear, cheap = (focus(charges("10", amount), name)[1] for amount in ("5", "3"))
    for folder, content in (("first", dear), ("second", cheap), ("third", cheap + b"\n")):
        path = home.folder / folder / name
        path.parent.mkdir()
        path.write_bytes(content)
    said = [home.call("import", str(home.folder / folder / name)).stdout for folder in ("second", "first", "third")]
    assert ["it counts, because it is unknown which one is newer" in one for one in said] == [False, False, True]
    assert home.spent() == "15"
