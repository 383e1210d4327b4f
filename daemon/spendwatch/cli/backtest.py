"""`backtest`: which notifications past bills would have caused, by the configuration or by another one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import date, datetime, timedelta, tzinfo
from typing import NamedTuple

import click
from rich.console import Console

from spendwatch.cli import Place
from spendwatch.cli.dry_run import wording_in
from spendwatch.cli.exits import Exit
from spendwatch.cli.options import first_option, json_option, last_option, month_option, span_of
from spendwatch.cli.replaying import Past, Replay, first_month
from spendwatch.cli.screen import clean, console, marked, print_json, table, when
from spendwatch.domain.alert import Rule
from spendwatch.domain.count import counted
from spendwatch.domain.delivery import NotificationId, Reason
from spendwatch.domain.notification import Delivery, Notification
from spendwatch.domain.period import BillingPeriod, DaySpan
from spendwatch.domain.policy import ChannelName
from spendwatch.exact_json import json_fields, json_value
from spendwatch.logs import configure
from spendwatch.settings import Settings
from spendwatch.state import Store, opened_store, system_clock
from spendwatch.store.audit import REMOVED

_NOT_REPLAYED = frozenset(
    {
        Rule.SOURCE_FAILING,
        Rule.CHANNEL_FAILING,
        Rule.CONFIG_REJECTED,
        Rule.CLOCK_WRONG,
        Rule.LEDGER_FAILING,
        Rule.REPORT,
        Rule.BALANCE_FAILING,
    }
)
"""What they rest on is not kept."""

_LATER = timedelta(minutes=5)
"""The daemon is not always at work: by less, two times are the same."""


class Message(NamedTuple):
    """A notification, when it was written down, and for whom."""

    at: datetime
    said: Notification
    copies: Mapping[ChannelName, Sequence[str]]
    """Channels, each with its recipients."""


def messages_of(created: Iterable[tuple[datetime, Delivery]]) -> dict[NotificationId, Message]:
    """Return the notifications of these deliveries, in their order."""
    found: dict[NotificationId, Message] = {}
    for at, one in created:
        said = one.notification
        if said.reason is not Reason.TEST:
            before = found.get(said.id)
            copies = dict(before.copies) if before else {}
            copies[one.channel] = (*copies.get(one.channel, ()), one.target)
            found[said.id] = Message(before.at if before else at, said, copies)
    return found


class _Result(NamedTuple):
    """What would have been sent, beside what was."""

    span: DaySpan
    would: Mapping[NotificationId, Message]
    was: Mapping[NotificationId, Message]
    notes: Sequence[str]

    @property
    def added(self) -> list[Message]:
        """What was not sent and would have been."""
        return [one for which, one in self.would.items() if which not in self.was]

    @property
    def dropped(self) -> list[Message]:
        """What was sent and would not have been."""
        return [one for which, one in self.was.items() if which not in self.would and one.said.rule not in _NOT_REPLAYED]

    @property
    def otherwise(self) -> list[tuple[Message, Message]]:
        """What was sent at another time or to others, with what it would have been."""
        both = ((one, self.would[which]) for which, one in self.was.items() if which in self.would)
        return [(was, would) for was, would in both if abs(would.at - was.at) > _LATER or would.copies != was.copies]

    @property
    def left_aside(self) -> int:
        """How many notifications were sent about what is not replayed."""
        return sum(one.said.rule in _NOT_REPLAYED for which, one in self.was.items() if which not in self.would)


@click.command()
@month_option
@first_option
@last_option
@click.option("--policy", metavar="PATH", help="Judge by this configuration: a folder, as for --config.")
@json_option
@click.pass_obj
def backtest(
    place: Place, *, month: BillingPeriod | None, first: date | None, last: date | None, policy: str | None, as_json: bool
) -> int:
    """Show which notifications past bills would have caused, to whom and when: by this configuration, or by that of --policy.

    The bills on record are replayed as they arrived, with the readings of balances, through the code of the daemon, on a
    scratch ledger. Then they are compared with what was sent. Nothing is sent, and nothing on record changes.
    """
    configure("auto", level="warning")
    settings = place.settings()
    wanted = Place(policy).settings() if policy else settings
    now = system_clock()
    span = span_of(month, first, last, now.astimezone(wanted.zone).date())
    with opened_store(settings, read_only=True) as store:
        found = _replayed(store, settings, wanted, span, now)
    if as_json:
        print_json(_json(found, wanted.zone))
    else:
        _print(found, wanted.zone)
    return Exit.DONE


def _replayed(store: Store, settings: Settings, wanted: Settings, span: DaySpan, now: datetime) -> _Result:
    since, end = (datetime(day.year, day.month, day.day, tzinfo=wanted.zone) for day in (span.first, span.end))
    until = min(end, now)
    with ExitStack() as stack:
        replay = Replay(Past.of(store, first_month(since, wanted)), store, settings, wanted, stack)
        replay.play(until)
        would = messages_of(replay.timeline.store.outbox.created(since, until))
    was = messages_of(store.outbox.created(since, until))
    return _Result(span, would, was, tuple(_notes(replay, store, wanted, since, until)))


def _notes(replay: Replay, store: Store, wanted: Settings, since: datetime, until: datetime) -> Iterator[str]:
    """Yield what a reader must know of what the result rests on."""
    arrivals, zone = replay.past.arrivals, wanted.zone
    if not arrivals:
        yield "no bill is on record"
    elif arrivals[0].at > since:
        yield f"the first bill on record came on {when(arrivals[0].at, zone)}: nothing is known of the time before"
    why = "bills before were replaced by newer ones or gave up their lines (`retention`), and no archived file has them"
    if replay.unknown:
        yield f"not exact: {counted(len(replay.unknown), 'day')} cannot be known; {why}"
    elif replay.unknown_until and replay.unknown_until >= since:
        yield f"exact only after {when(replay.unknown_until, zone)}: {why}"
    removed = [one for one in store.ledger.audit_entries(1000) if one.action == REMOVED and since <= one.at < until]
    if removed:
        yield f"removed by hand and not replayed: {counted(len(removed), 'statement')}"
    others = sorted({one.source for one in arrivals} - set(wanted.sources) - {"import"})
    if others:
        yield f"silence of {', '.join(others)} is not judged: this configuration has no such source"


def _print(found: _Result, zone: tzinfo) -> None:
    screen, would = console(), list(found.would.values())
    screen.print(f"[bold]{found.span.label}[/]: {counted(len(would), 'notification')} would have been sent")
    for note in found.notes:
        screen.print(f"note: {clean(note)}", soft_wrap=False)
    _print_messages(screen, "", would, zone)
    _print_totals(screen, would, zone)
    if found.was or found.added:
        _print_difference(screen, found, zone)


def _print_messages(screen: Console, title: str, messages: Sequence[Message], zone: tzinfo) -> None:
    wording = wording_in(zone)
    rows = [
        (
            when(one.at, zone),
            marked(one.said.severity.value, screen),
            ", ".join(sorted(one.copies)),
            clean(wording.subject(one.said)),
        )
        for one in messages
    ]
    if rows:
        screen.print(
            f"\n{title}" if title else "", table(("TIME", "SEVERITY", "CHANNELS", "MESSAGE"), rows, wraps="MESSAGE"), sep="\n"
        )


def _print_totals(screen: Console, messages: Sequence[Message], zone: tzinfo) -> None:
    weeks, totals = _totals(messages, zone)
    names = ("CHANNEL", *(f"{week:%m-%d}" for week in weeks), "TOTAL")
    rows = [
        (channel, *(str(totals[channel, week] or "-") for week in weeks), str(sum(totals[channel, week] for week in weeks)))
        for channel in sorted({channel for channel, _ in totals})
    ]
    if rows:
        screen.print(
            "\nNotifications by channel, and by week from its Monday on:", table(names, rows, right=names[1:]), sep="\n"
        )


def _print_difference(screen: Console, found: _Result, zone: tzinfo) -> None:
    _print_messages(screen, "Would have been sent, and was not:", found.added, zone)
    _print_messages(screen, "Was sent, and would not have been:", found.dropped, zone)
    if found.otherwise:
        screen.print("\nSent at another time, or to others:")
    for was, would in found.otherwise:
        ways = (f"{when(one.at, zone)} to {', '.join(sorted(one.copies))}" for one in (was, would))
        screen.print(f"  {', would be '.join(ways)}: {clean(wording_in(zone).subject(would.said))}", soft_wrap=False)
    if not (found.added or found.dropped or found.otherwise):
        screen.print("\nJust this was sent.")
    if found.left_aside:
        aside = counted(found.left_aside, "notification")
        screen.print(f"\nNot compared: {aside}: reports, and failures of sources, channels and settings.")


def _totals(messages: Iterable[Message], zone: tzinfo) -> tuple[Sequence[date], Counter[tuple[ChannelName, date]]]:
    """Return the weeks, by their Mondays, and how many notifications each channel would have had in each."""
    found: Counter[tuple[ChannelName, date]] = Counter()
    for one in messages:
        on = one.at.astimezone(zone).date()
        found.update((channel, on - timedelta(days=on.weekday())) for channel in one.copies)
    weeks = sorted({week for _, week in found})
    span = range(((weeks[-1] - weeks[0]).days // 7) + 1) if weeks else ()
    return [weeks[0] + timedelta(weeks=number) for number in span], found


def _json(found: _Result, zone: tzinfo) -> dict[str, object]:
    weeks, totals = _totals(found.would.values(), zone)
    return {
        "schema_version": 1,
        **json_fields(found.span, "first", "last"),
        "notes": list(found.notes),
        "notifications": [_message_json(one, zone) for one in found.would.values()],
        "totals": [
            {"channel": channel, "week": week.isoformat(), "notifications": totals[channel, week]}
            for channel in sorted({channel for channel, _ in totals})
            for week in weeks
        ],
        "added": [one.said.id for one in found.added],
        "dropped": [_message_json(one, zone) for one in found.dropped],
        "changed": [
            {"id": was.said.id, "sent_at": json_value(was.at, zone), "sent_to": sorted(was.copies)}
            for was, _ in found.otherwise
        ],
        "left_aside": found.left_aside,
    }


def _message_json(one: Message, zone: tzinfo) -> dict[str, object]:
    return {
        "at": json_value(one.at, zone),
        **json_fields(one.said, "id", "alert", "type", "reason", "severity"),
        **json_fields(one.said, account="facts.scope.account", scope="facts.scope.label", threshold="facts.threshold"),
        "channels": sorted(one.copies),
        "copies": sum(map(len, one.copies.values())),
        "subject": wording_in(zone).subject(one.said),
    }
