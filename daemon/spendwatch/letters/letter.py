"""A notification as a letter in one language: head, figures, advice, reason, age of the data, next message."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo

from spendwatch.domain.alert import OF_PORTIONS, Rule
from spendwatch.domain.commodity import Category
from spendwatch.domain.notification import Notification
from spendwatch.letters import head
from spendwatch.letters.advice import advice, consequences, ending
from spendwatch.letters.balance_figures import remarks
from spendwatch.letters.figures import amount, captions, closed_month, figures, gauge
from spendwatch.letters.language import Language
from spendwatch.letters.parts import Letter, Link, Points, Row, Section, Table, clean
from spendwatch.letters.reader import MOST, NAME_LENGTH
from spendwatch.letters.report_figures import report_sections
from spendwatch.letters.words import Words

_WITH_THRESHOLDS = OF_PORTIONS | {Rule.THRESHOLD_REACHED}
_LASTING = _WITH_THRESHOLDS | {Rule.DIGEST, Rule.REPORT}
"""Rules whose alerts last, beside those with episodes. All others are reported once."""
_NEXT = {
    Rule.BALANCE_LOW: "next_floor",
    Rule.RUNWAY: "next_floor",
    Rule.BALANCE_DIFFERING: "next_end",
    Rule.PLAN_ENDS: "next_end",
}


def compose(notification: Notification, language: Language, zone: tzinfo) -> Letter:
    """Return what the notification says in that language; moments are shown as clocks in `zone` show them."""
    words = Words(notification, language, zone)
    facts, headline = notification.facts, head.headline(words)
    return Letter(
        tone=notification.severity.value if words.holds and not words.is_test else "calm",
        tag=head.tag(words),
        state=head.state(words),
        account=head.account(words),
        subject=head.subject(words),
        headline=words.text("test_headline", headline=headline) if words.is_test else headline,
        lead=head.lead(words),
        amount=amount(words),
        gauge=gauge(words),
        captions=tuple(captions(words)),
        sections=tuple(_of_several(words) if facts.members or facts.report else _sections(words)),
        closing=tuple(_closing(words)),
        footer=tuple(_footer(words)),
        links=tuple(Link(words.text("links", page), clean(address)) for page, address in facts.links),
    )


def _sections(words: Words) -> Iterator[Section]:
    text, facts, rule = words.text, words.facts, words.notification.rule
    yield from closed_month(words, facts.closed) if facts.closed else figures(words)
    if points := tuple(remarks(words, facts.balance) if facts.balance else _plans(words)):
        yield Points("", points)
    if facts.files:
        named = [text("refused", file=clean(name, NAME_LENGTH), why=clean(why)) for name, why in facts.files]
        yield Points(text("files"), words.first_of(named))
    if facts.discrepancy and (file := facts.discrepancy.file):
        yield Points(text("bills"), (clean(file, NAME_LENGTH),))
    if not words.holds:
        if rule.is_about_balance and not facts.is_unwatched and (points := tuple(ending(words))):
            yield Points("", points)
        return
    if facts.detail and rule is not Rule.STALE:
        lines = [clean(line) for line in facts.detail.split("\n") if line.strip()]
        yield Points(text("details"), tuple(lines[:MOST]))
    if rule.is_about_balance:
        yield consequences(words)
    yield from advice(words)


def _plans(words: Words) -> Iterator[str]:
    """Tell what was ordered, by its code, for how much and when; and when before that."""
    text = words.text
    for one in words.facts.plans[:MOST]:
        code = "" if one.category is Category.OTHER else clean(one.commodity.label, NAME_LENGTH)
        cost = words.money(one.spent) if one.spent else ""
        before = text("ordered_before", day=one.before) if one.before else ""
        ordered = text("ordered_on", day=one.day)
        yield words.joined("comma", words.plan(one), code, cost, ordered, before, "" if one.ends else text("no_end"))


def _of_several(words: Words) -> Iterator[Section]:
    """Yield the figures of a report with what fires, or the messages of a digest; and how many more of them there are."""
    text, facts, members = words.text, words.facts, [words.of(one) for one in words.facts.members]
    if facts.report:
        yield from report_sections(words, facts.report)
        firing = tuple(
            Row(head.headline(one), "", f"{text('severities', one.notification.severity)} · {one.notification.alert[:8]}")
            for one in members
        )
        yield Table(text("firing"), firing, "messages") if firing else Points(text("firing"), (text("nothing_fires"),))
    else:
        entries = dict[str, list[Row]]()
        for one in members:
            title = text("severities", one.notification.severity) if one.holds else text("ended")
            figure = amount(one)
            note = " · ".join(filter(None, (figure.note if figure else "", one.notification.alert[:8])))
            entries.setdefault(title, []).append(Row(head.headline(one), figure.value if figure else "", note))
        yield from (Table(title, tuple(found), "messages") for title, found in entries.items())
    if facts.more:
        yield Points("", (text("more_messages", count=facts.more),))


def _closing(words: Words) -> Iterator[str]:
    text, facts = words.text, words.facts
    is_one = not (facts.members or facts.report)
    if words.is_test:
        who = clean(facts.drill.who, NAME_LENGTH) if facts.drill else ""
        yield text("test_why", who=who or text("somebody"))
        return
    if is_one:
        lasts = words.notification.rule in _LASTING or words.notification.rule.is_episodic
        yield text("why_ended" if not words.holds else "why" if lasts else "why_once")
    if words.notification.rule is Rule.LEDGER_FAILING:
        yield _next(words)
        return
    if until := facts.data_until or (facts.balance.billed.until if facts.balance else None):
        yield text("based_on_api" if facts.lags else "based_on", until=words.moment(until), zone=words.zone)
    else:
        yield text("based_on_nothing")
    if len({day for _, day in facts.used_on}) > 1:
        yield text("used_on", days=words.joined("comma", *(f"{text('categories', one)} {day}" for one, day in facts.used_on)))
    if is_one:
        yield _next(words)
    if words.is_again:
        yield text("acknowledge")


def _next(words: Words) -> str:
    """Return when the reader hears of it again."""
    text, facts, rule = words.text, words.facts, words.notification.rule
    if not words.holds:
        return text("over_now")
    if rule in _WITH_THRESHOLDS or rule is Rule.FORECAST:
        if facts.next_at is None:
            return text("no_next_threshold")
        label, at = clean(facts.next_threshold, NAME_LENGTH), words.money(facts.next_at)
        return text("next_threshold", next=f"{label} ({at})" if label.endswith("%") else at)
    if rule.is_episodic:
        return text(_NEXT.get(rule, "next_episode"))
    return text("next_spike" if facts.spike else "next_closed" if facts.closed else "once")


def _footer(words: Words) -> Iterator[str]:
    if words.is_test or words.facts.report:
        return
    if words.facts.members:
        yield words.text("explain_each")
    else:
        yield words.text("explain")
        yield words.text("footer")
