"""How many mails a mailbox gets in a morning: three accounts, 40 workspaces and 200 keys, and the exports of eight mornings.

    python tests/benchmarks/mornings.py [--workspaces 40] [--keys 5] [--mornings 8]

Every morning the exports of all accounts arrive together, and the real program reads and sends over a real mail server. Each
workspace has a budget with three thresholds, and each of its keys one of its own. Printed are the mails of each morning, as it
is without `max_messages` and as it is by default, and how many alerts that were to be told are in no mail: none may be.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / room) for room in (".", "builders", "servers", "programs"))

from bill_builder import a_bill, a_line
from home import ZONE, TimedHome
from servers_smtp import SmtpSink

ACCOUNTS = ("1000000000000001", "2000000000000002", "3000000000000003")
_MORE = re.compile("and ([0-9]+) more: spendwatch alerts")
_FIRST = datetime(2026, 9, 15, 9, tzinfo=ZONE)


@dataclass(frozen=True)
class Morning:
    """What came of one morning's exports."""

    mails: int
    begun: int
    """Alerts that began and are told by themselves, not by a graver one."""
    missed: int
    """Of them those that no mail names or counts, and those that nobody got."""


def _furnish(home: TimedHome, workspaces: int, more: str) -> None:
    home.inbox.mkdir(parents=True)
    (home.folder / "workspaces").mkdir()
    accounts = "".join(f'  a{number}: {{id: "{name}", site: cn, currency: CNY}}\n' for number, name in enumerate(ACCOUNTS))
    assert home.mail
    mail = f"host: 127.0.0.1, port: {home.mail.port}, security: none, from: a@example.com, to: [finops@example.com]{more}"
    (home.folder / "spendwatch.yaml").write_text(
        f"accounts:\n{accounts}sources:\n  inbox: {{type: folder, path: inbox, settle: 0s}}\n"
        f"allow_networks: [127.0.0.0/8]\nchannels:\n  post: {{type: email, {mail}}}\n"
    )
    for number in range(workspaces):
        keys = 'budgets: [{name: key, for_each: api_key, budget: "25.00"}]'
        home.watch(f"llm-{number:012d}", budget="100.00", name=f"Team{number:02d}", more=keys)


def _exports(home: TimedHome, morning: int, workspaces: int, keys: int) -> None:
    """Drop what each account has spent so far this month: teams spend at paces of their own."""
    for place, account in enumerate(ACCOUNTS):
        lines = [
            a_line(
                account=account,
                line_id=f"{account}-{workspace}-{key}-{day}",
                day=(_FIRST + timedelta(days=day - 1)).strftime("%Y%m%d"),
                time="00:00:00",
                workspace=f"llm-{workspace:012d}",
                api_key=f"{1200000 + workspace * keys + key}",
                amount=str(Decimal(2 + (workspace * 7 + key * 3) % 5) / Decimal(keys) * Decimal(5)),
            )
            for workspace in range(place, workspaces, len(ACCOUNTS))
            for key in range(keys)
            for day in range(morning + 1)
        ]
        name, content = a_bill(lines, exported=home.now.strftime("%Y%m%d%H%M%S"))
        home.put(f"{place}-{name}", content)


def _named(mails: Sequence[bytes]) -> str:
    """Return all that mails name alerts by."""
    found = [message_from_bytes(content, policy=policy.default) for content in mails]
    bodies = (one.get_body(("plain",)) for one in found)
    return "\n".join((*(str(body.get_content()) for body in bodies if isinstance(body, EmailMessage)), *map(_about, found)))


def _about(mail: EmailMessage) -> str:
    return str(mail["X-Spendwatch-Alert"])


def mornings(place: Path, *, workspaces: int, keys: int, days: int, more: str = "") -> list[Morning]:
    """Return what came of each morning."""
    found: list[Morning] = []
    with SmtpSink() as sink:
        home = TimedHome(place, sink)
        _furnish(home, workspaces, more)
        known: set[str] = set()
        for day in range(days):
            home.now, before = _FIRST + timedelta(days=day), len(home.mails())
            _exports(home, day, workspaces, keys)
            home.call("once")
            named = _named(home.mails()[before:])
            alerts = home.json("alerts", "--all")["alerts"]
            begun = [one["id"] for one in alerts if one["id"] not in known and one["notified"]]
            silent = [one["id"] for one in alerts if one["undelivered"]]
            unnamed, counted = sum(name[:8] not in named for name in begun), sum(map(int, _MORE.findall(named)))
            known |= {one["id"] for one in alerts}
            found.append(Morning(len(home.mails()) - before, len(begun), len(silent) + max(0, unnamed - counted)))
    return found


def main() -> None:
    """Print the mails of each morning."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, usual in (("workspaces", 40), ("keys", 5), ("mornings", 8)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    asked = parser.parse_args()
    for title, more in (("max_messages: unlimited", ", max_messages: unlimited"), ("as by default", "")):
        with tempfile.TemporaryDirectory() as folder:
            found = mornings(Path(folder), workspaces=asked.workspaces, keys=asked.keys, days=asked.mornings, more=more)
        told, missed = sum(one.begun for one in found), sum(one.missed for one in found)
        print(f"{title}: mails {[one.mails for one in found]}, {told} alerts told, {missed} missed")


if __name__ == "__main__":
    main()
