"""What a dry run says is what then happens, with the real program: the same messages in the same order of things."""

from __future__ import annotations

import email
import email.policy
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bill_builder import a_bill, a_line
from home import TimedHome
from servers_smtp import SmtpSink
from spendwatch.domain.count import counted


class Rehearsed(TimedHome):
    """A home whose rounds are rehearsed before they are made."""

    def export(self, line_id: str, amount: str, *, exported: str, day: str = "20260910") -> Path:
        """Drop an export with one line."""
        return self.put(*a_bill([a_line(line_id=line_id, amount=amount, day=day)], exported=exported))

    def rehearsed(self, *, expect: int = 0) -> list[str]:
        """Return the subjects that a dry run of a round shows."""
        state = self.state.read_bytes() if self.state.exists() else b""
        shown = self.call("once", "--dry-run", expect=expect).stdout
        assert state == (self.state.read_bytes() if self.state.exists() else b"")
        subjects = [line.partition(": ")[2] for line in shown.splitlines() if line.startswith("--- to ")]
        assert f"{counted(len(subjects), 'notification')} would be sent" in shown
        return sorted(subjects)

    def told(self, *, expect: int = 0) -> list[str]:
        """Make a round; return the subjects of what it says."""
        assert self.mail
        self.mail.messages.clear()
        self.call("once", expect=expect)
        return sorted(email.message_from_bytes(mail, policy=email.policy.default)["subject"] for mail in self.mails())

    def both(self, *, expect: int = 0) -> list[str]:
        """Rehearse a round and make it; return what both say."""
        rehearsed = self.rehearsed(expect=expect)
        assert rehearsed == self.told(expect=expect)
        return rehearsed


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Rehearsed]:
    with SmtpSink() as mail:
        furnished = Rehearsed(tmp_path, mail)
        furnished.furnish()
        furnished.watch(budget="100.00")
        furnished.at("2026-09-15 12:00")
        yield furnished


def test_bills_that_wait_are_judged_one_after_the_other(home: Rehearsed) -> None:
    home.export("a", "60", exported="20260914093012")
    home.export("b", "-30", exported="20260914103012")
    reached, corrected = sorted(home.both(), key=lambda subject: "back below" in subject)
    assert "60%" in reached
    assert "50%" in corrected


def test_the_order_is_that_in_which_the_files_came(home: Rehearsed) -> None:
    later = home.export("a", "60", exported="20260914093012")
    home.export("b", "-30", exported="20260914103012")
    os.utime(later, (later.stat().st_mtime + 60,) * 2)
    (below,) = home.both()
    assert "below zero" in below, "-30 and then +60 never reach half of the budget, but are below zero for a while"


def test_a_bill_that_waits_ends_a_silence_before_anybody_hears_of_it(home: Rehearsed) -> None:
    home.export("a", "10", exported="20260910093012")
    home.at("2026-09-10 12:00")
    assert home.both() == []
    home.at("2026-09-15 12:00")
    home.export("b", "10", exported="20260915093012")
    assert home.both() == []


def test_a_bill_that_waits_is_told_to_end_a_silence_that_was_told(home: Rehearsed) -> None:
    home.export("a", "10", exported="20260910093012")
    home.at("2026-09-10 12:00")
    home.told()
    home.at("2026-09-15 12:00")
    (silent,) = home.both()
    home.at("2026-09-15 13:00")
    home.export("b", "10", exported="20260815093012", day="20260810")
    assert home.both() == [], "a bill of a month that is over ends no silence"
    home.export("c", "10", exported="20260915093012")
    (ended,) = home.both()
    assert "again" in ended
    assert silent != ended


def test_a_file_that_cannot_be_understood_is_rehearsed_with_its_message(home: Rehearsed) -> None:
    home.put("broken.csv", b"neither, this\nnor, that\n")
    (refused,) = home.both(expect=65)
    assert "could not be read" in refused


def test_a_folder_that_is_not_there_is_rehearsed_as_the_trouble_it_is(home: Rehearsed) -> None:
    home.inbox.rmdir()
    done = home.call("once", "--dry-run", expect=75)
    assert "source inbox: " in done.stderr
    assert "source inbox: " in home.call("once", expect=75).stderr


def test_a_balance_in_a_file_is_read_for_a_rehearsal(home: Rehearsed) -> None:
    home.furnish(account=", balance: {from: file, path: balance.json, settle: 0s, floors: [100.00]}")
    (home.folder / "balance.json").write_text('{"available": "90.00", "as_of": "2026-09-15T11:00:00+08:00"}')
    (low,) = home.both()
    assert "90.00" in low


def test_what_waits_in_the_outbox_is_told_beside(home: Rehearsed) -> None:
    path = home.export("a", "60", exported="20260914093012")
    home.call("import", str(path))
    home.at("2026-09-15 13:00")
    assert home.rehearsed() == []
    shown = home.call("once", "--dry-run").stdout
    assert "2 deliveries of earlier rounds wait in the outbox" in shown
    assert len(home.told()) == 1


def test_an_import_makes_as_many_notifications_as_its_dry_run_says(home: Rehearsed) -> None:
    files = [
        str(home.export("a", "60", exported="20260914093012")),
        str(home.export("b", "-30", exported="20260914103012")),
    ]
    rehearsed = home.json("import", *files, "--dry-run")
    assert rehearsed["notifications"] == 2
    assert home.json("import", *files)["notifications"] == 2
    assert home.json("import", *files, "--dry-run")["notifications"] == 0
