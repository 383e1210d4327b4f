"""Which messages go out over a channel now, which wait, and which become one digest. Pure; evaluation is never held."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from operator import attrgetter
from typing import TypeAlias

from spendwatch.domain.alert import AlertId, AlertsKnown, AlertState, Rule
from spendwatch.domain.causes import NO_CAUSES, NO_COURSE
from spendwatch.domain.commodity import NOTHING_TO_FEAR
from spendwatch.domain.delivery import LONGEST_QUIET, OPEN, Held, HoldReason, NotificationId, Reason, Route, Silence
from spendwatch.domain.digest import text_digest
from spendwatch.domain.notification import Facts, Message, Notification, notification_id
from spendwatch.domain.policy import ChannelName, Policies
from spendwatch.domain.review import Verdict
from spendwatch.domain.scope import NO_ACCOUNT, NOTHING, TAG, AlertScope, BudgetScope

FOLLOW_UP = timedelta(minutes=5)
"""After a digest, further messages of its channel wait that long for each other."""
GATHERING, FIRST_GATHERING = timedelta(seconds=10), timedelta(minutes=10)
"""So long, at most, messages wait for further bills of the same look at a source, and of a first import."""
MOST_MEMBERS = 100
"""Of a digest; it tells how many more there are."""
GOES_ELSEWHERE = "the configuration no longer sends it over this channel"
ENDED_SILENCED = "it began and ended during a silence"

_NOTHING_SENT = NotificationId("")
_NEVER_QUIET = frozenset({Rule.OVERDUE})


Tags: TypeAlias = Sequence[tuple[str, str]]


def is_silenced_by(one: Notification, silence: Silence, tags: Tags) -> bool:
    """Return whether a silence is about such a message. Rule, workspace and the values of tags are patterns."""
    scope = one.facts.scope
    place = (scope.workspace or "", one.facts.name.partition(":")[0]) if isinstance(scope, BudgetScope) else ()
    return (
        (not silence.rule or any(fnmatchcase(name, silence.rule) for name in (one.rule.value, one.rule.type)))
        and silence.account in {"", scope.account}
        and (not silence.workspace or any(fnmatchcase(name, silence.workspace) for name in place if name))
        and silence.severity in {"", one.severity.value}
        and (silence.scope in {"", scope.label} or fnmatchcase(scope.label, silence.scope))
        and all(_has_tag(said, tags) for said in silence.tags)
    )


def _has_tag(said: str, tags: Tags) -> bool:
    key, _, value = said.partition("=")
    return any(key == name and (fnmatchcase(value, found) or fnmatchcase(found, value)) for name, found in tags)


def tags_of(policies: Policies, scope: AlertScope) -> Tags:
    """Return the tags by which the budget of that scope picks what it counts, whether or not it is judged just now."""
    finer = policies.finer(scope) if isinstance(scope, BudgetScope) and scope.budget else None
    if finer is None or not isinstance(scope, BudgetScope):
        return ()
    own = [(finer.for_each.removeprefix(TAG), scope.value)] if finer.for_each.startswith(TAG) else []
    return (*own, *finer.match.tags)


def no_tags(_: AlertScope) -> Tags:
    """Return no tags."""
    return ()


@dataclass(frozen=True, slots=True)
class Routing:
    """What decides about messages, apart from the messages."""

    routes: Mapping[ChannelName, Route] = field(default_factory=dict)
    silences: Sequence[Silence] = ()
    waiting: Sequence[Message] = ()
    digested: Mapping[ChannelName, datetime] = field(default_factory=dict)
    """When each channel lately had a digest: what comes after it comes together, too."""
    follow_up: timedelta = FOLLOW_UP
    gathering: timedelta = timedelta()
    """How long messages wait for further bills."""
    tags: Callable[[AlertScope], Tags] = no_tags
    ways: Callable[[Notification], Collection[ChannelName]] = attrgetter("channels")
    """The channels that a message is for now, by the configuration."""

    def silenced(self, said: Notification, now: datetime) -> Iterator[Silence]:
        """Yield the silences that such a message falls under now."""
        for silence in self.silences:
            if silence.created_at <= now < silence.ends_at and is_silenced_by(said, silence, self.tags(said.facts.scope)):
                yield silence

    def hold(self, channel: ChannelName, one: Message, now: datetime) -> tuple[datetime, HoldReason, str] | None:
        """Return until when a message waits, and why."""
        if not self.silences and not self.routes.get(channel, OPEN).quiet:
            return None
        said, found = one.said, list[tuple[datetime, HoldReason, str]]()
        found += ((silence.ends_at, HoldReason.SILENCE, silence.id) for silence in self.silenced(said, now))
        is_recent = said.created_at > now - LONGEST_QUIET
        if is_recent and (end := self.routes.get(channel, OPEN).quiet_until(said.loudness, now)):
            found.append((end, HoldReason.QUIET_HOURS, ""))
        return max(found, default=None)


def route(verdict: Verdict, routing: Routing, firing: Collection[AlertId], *, now: datetime) -> Verdict:
    """Return the verdict with what each channel is told now: messages, digests, and what waits for how long.

    `firing`: the alerts that fire after this verdict.
    """
    by_channel: dict[ChannelName, list[Message]] = {}
    told, held = list(verdict.notifications), list[Held]()
    for said, row in routing.waiting:
        ways = routing.ways(said)
        if row and row.channel in ways:
            by_channel.setdefault(row.channel, []).append(Message(said, row))
        elif row:
            held.append(row._replace(ended_at=now, dropped=GOES_ELSEWHERE))
            for channel in set(ways).difference(said.channels):
                by_channel.setdefault(channel, []).append(Message(said))
    for said in verdict.notifications:
        for channel in said.channels:
            by_channel.setdefault(channel, []).append(Message(said))
    for channel, messages in by_channel.items():
        sent, rows = _route_channel(channel, messages, routing, firing, now)
        told += sent
        held += rows
    return replace(verdict, notifications=tuple(told), held=tuple(held))


_Routed: TypeAlias = tuple[list[Notification], list[Held]]


def request_actions(verdict: Verdict, policies: Policies, routing: Routing, known: AlertsKnown, *, now: datetime) -> Verdict:
    """Return what programs are asked to do about the budgets whose alerts begin. Nothing gathers or postpones it.

    An action that is withheld is on record with the reason, and is not requested later.
    """
    begun, said, held = {alert.id: alert for alert in verdict.alerts}, list[Notification](), list[Held]()
    for one in verdict.notifications:
        channels = one.facts.actions
        if not channels or one.reason is not Reason.FIRED or one.rule not in {Rule.THRESHOLD_REACHED, Rule.FORECAST}:
            continue
        name = notification_id(one.alert, Reason.ACTION, 1)
        said.append(replace(one, id=name, reason=Reason.ACTION, channels=channels))
        why, silence = "", next(routing.silenced(one, now), None)
        if one.facts.lags and not policies.actions_on_late_figures:
            why = "the figures are those of the billing API alone, and actions_on_late_figures is not true"
        elif silence:
            why = f"silence {silence.id} by {silence.author}"
        elif acknowledged := known.still_acknowledged(begun[one.alert], now):
            why = f"{acknowledged.by} takes care of it"
        reason = HoldReason.WITHHELD
        held += (Held(name, channel, now, now, reason, ended_at=now, dropped=why) for channel in channels if why)
    return Verdict((), tuple(said), tuple(held))


def _route_channel(
    channel: ChannelName, messages: Sequence[Message], routing: Routing, firing: Collection[AlertId], now: datetime
) -> _Routed:
    rows: list[Held] = []
    ready: dict[AlertId, list[Message]] = {}
    for one in messages:
        if hold := routing.hold(channel, one, now):
            rows += _wait(one, channel, *hold, now=now)
        else:
            ready.setdefault(one.said.alert, []).append(one)
    for alert in [alert for alert, mine in ready.items() if alert not in firing and _was_silenced(mine)]:
        rows += [_ended(one, channel, now, dropped=ENDED_SILENCED) for one in ready.pop(alert)]
    # Of several messages about one alert the end, else the latest tells how it stands; what did not wait comes in any case.
    news = [max(mine, key=lambda one: (one.said.reason is Reason.RESOLVED, one.said.created_at)) for mine in ready.values()]
    limit = routing.routes.get(channel, OPEN).max_messages
    if limit is not None and (until := _together_until(channel, news, routing, now)) > now:
        for one in [one for one in news if one.said.rule not in _NEVER_QUIET]:
            news.remove(one)
            for each in ready.pop(one.said.alert):
                rows += _wait(each, channel, until, HoldReason.STORM, now=now)
    late = sum(one.row is not None and one.row.why is not HoldReason.STORM for one in news)
    if limit is not None and (len(news) > (1 if channel in routing.digested else limit) or late > 1):
        digest = digest_of(channel, news, now)
        return [digest], [*rows, *(_ended(one, channel, now, digest.id) for mine in ready.values() for one in mine)]
    sent: list[Notification] = []
    for one in news:
        told = _late(one, channel, now) if one.row or channel not in one.said.channels else one.said
        sent += [] if told is one.said else [told]
        others = (other for other in ready[one.said.alert] if other.row or other is not one)
        rows += [_ended(other, channel, now, told.id) for other in others]
    return sent, rows


def _together_until(channel: ChannelName, news: Sequence[Message], routing: Routing, now: datetime) -> datetime:
    """Return until when messages wait for more of their kind."""
    digested, begun = routing.digested.get(channel), (one.row.held_at if one.row else now for one in news)
    gathered = min(begun, default=now) + routing.gathering
    return max(gathered, digested + routing.follow_up) if digested else gathered


def _was_silenced(mine: Sequence[Message]) -> bool:
    """Return whether what began and has ended was never told because of a silence. What merely happened is told later."""
    is_silenced = any(one.row and one.row.why is HoldReason.SILENCE for one in mine)
    return is_silenced and any(one.said.reason is Reason.FIRED and one.said.rule.is_episodic for one in mine)


def _wait(
    one: Message, channel: ChannelName, until: datetime, why: HoldReason, silence: str = "", *, now: datetime
) -> Iterable[Held]:
    row = Held(one.said.id, channel, one.row.held_at if one.row else now, until, why, silence)
    return () if row == one.row else (row,)


def _ended(
    one: Message, channel: ChannelName, now: datetime, digest: NotificationId = _NOTHING_SENT, *, dropped: str = ""
) -> Held:
    row = one.row or Held(one.said.id, channel, now, now, HoldReason.STORM)
    return row._replace(digest=digest, ended_at=now, dropped=dropped)


def _late(one: Message, channel: ChannelName, now: datetime) -> Notification:
    """Return the message as it is sent after it has waited: marked, but for a few minutes of a storm."""
    said, row = one.said, one.row
    if row is None or row.why is HoldReason.STORM:
        return replace(said, channels=(channel,))
    name = _identity("late", said.id, channel)
    facts = replace(said.facts, held_since=said.created_at, held_until=now, held_by=row.why)
    return replace(said, id=name, channels=(channel,), facts=facts)


def digest_of(channel: ChannelName, news: Sequence[Message], now: datetime) -> Notification:
    """Return one message for all of these. It is the same one whenever it is made of the same."""
    ordered = sorted((one.said for one in news), key=_gravity)
    first = {one.rule: one for one in reversed(ordered)}
    # The first message of each rule has its place, however many graver ones there are.
    named = set(list(dict.fromkeys(one.id for one in (*first.values(), *ordered)))[:MOST_MEMBERS])
    members = [one for one in ordered if one.id in named]
    name = _identity("digest", channel, *sorted(one.said.id for one in news))
    accounts = {(one.facts.scope.account, one.facts.account_name) for one in ordered}
    account, account_name = accounts.pop() if len(accounts) == 1 else (NO_ACCOUNT, "")
    waits = {one.row.why for one in news if one.row} - {HoldReason.STORM}
    until = [one.facts.data_until for one in ordered if one.facts.data_until]
    is_firing = any(one.state is AlertState.FIRING for one in ordered)
    return Notification(
        id=name,
        alert=AlertId(f"digest-{name}"),
        rule=Rule.DIGEST,
        reason=Reason.DIGEST,
        severity=ordered[0].severity,
        state=AlertState.FIRING if is_firing else AlertState.RESOLVED,
        since=min(one.created_at for one in ordered),
        created_at=now,
        channels=(channel,),
        facts=Facts(
            scope=BudgetScope(account) if account else NOTHING,
            account_name=account_name,
            data_until=min(until, default=None),
            held_since=min(one.created_at for one in ordered) if waits else None,
            held_until=now if waits else None,
            held_by=max(waits, default=None),
            members=tuple(replace(one, facts=in_short(one.facts)) for one in members),
            more=len(ordered) - len(members),
        ),
    )


def _gravity(one: Notification) -> tuple[bool, int, bool, str, str]:
    is_over = one.state is not AlertState.FIRING
    return is_over, -one.severity.rank, not one.rule.is_about_balance, one.rule.value, one.facts.name


def in_short(facts: Facts) -> Facts:
    """Return the figures that one row has room for."""
    plain = replace(facts, course=NO_COURSE, subscribed=NO_CAUSES, exposure=NOTHING_TO_FEAR, split=None)
    return replace(plain, links=(), used_on=(), detail=facts.detail[:200])


def _identity(*parts: str) -> NotificationId:
    return NotificationId(text_digest("\x1f".join(parts))[:24])
