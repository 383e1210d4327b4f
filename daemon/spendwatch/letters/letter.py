"""The parts of a notification in one language: what happened, figures, advice, reason, age of the data, next message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo

from spendwatch.domain.alert import OF_PORTIONS, Rule
from spendwatch.domain.commodity import Category, Cover
from spendwatch.domain.notification import Facts, HoldReason, Notification, Reason
from spendwatch.domain.period import ShortPeriod
from spendwatch.domain.policy import Severity
from spendwatch.domain.usage import is_complete
from spendwatch.letters.balance_figures import remarks
from spendwatch.letters.figures import amount, captions, closed_month, figures, gauge, makes_most
from spendwatch.letters.parts import Entries, Entry, Letter, Link, Points, Section, clean
from spendwatch.letters.phrases import Phrases, State
from spendwatch.letters.report_figures import report_sections
from spendwatch.letters.words import NAME_LENGTH, Words

SUBJECT_LENGTH = 120
_MOST_POINTS = 10
_OPERATORS = "operators"
"""Among the destinations of a test message: failures are reported over the channel, too."""
_ONCE = frozenset(
    {Rule.FORECAST, Rule.CORRECTED, Rule.LATE, Rule.DIFFERING, Rule.FOREIGN_CURRENCY, Rule.REJECTED, Rule.UNASSIGNED}
    | {Rule.FIRST_COST, Rule.FREE_QUOTA_ENDED, Rule.SPIKE, Rule.MONTH_CLOSED, Rule.PLAN_ORDERED}
)
_COSTLY = frozenset(
    {Rule.THRESHOLD_REACHED, Rule.FORECAST, Rule.BALANCE_LOW, Rule.OVERDUE, Rule.RUNWAY, Rule.SPIKE, Rule.CONSOLE}
)


def compose(notification: Notification, phrases: Phrases, zone: tzinfo) -> Letter:
    """Return what the notification says in the language of `phrases`; moments are shown as clocks in `zone` show them."""
    words = Words(notification, phrases, zone)
    facts, tag, headline = notification.facts, _tag(words), _headline(words)
    speaks = words.holds and not words.is_test
    return Letter(
        tone=notification.severity.value if speaks else "calm",
        tag=tag,
        state=_state(words, tag),
        account=_account(words),
        subject=clean(f"[{tag}] {_subject(words) or _headline(words)}", SUBJECT_LENGTH),
        headline=phrases.test_headline.format(headline=headline) if words.is_test else headline,
        lead=phrases.between_sentences.join(filter(None, (_late(words), _lead(words)))),
        amount=amount(words),
        gauge=gauge(words),
        captions=tuple(captions(words)),
        sections=tuple(_of_several(words) if facts.members or facts.report else _sections(words)),
        closing=tuple(_closing(words)),
        footer=_footer(words),
        links=tuple(Link(phrases.links[page], clean(address)) for page, address in notification.facts.links),
    )


def _tag(words: Words) -> str:
    match words.notification.reason:
        case Reason.TEST:
            return words.put(words.phrases.tag_test)
        case Reason.DIGEST if words.facts.report:
            return words.put(words.phrases.tag_report)
        case Reason.FIRED | Reason.DIGEST:
            return words.put(words.phrases.tag if words.holds else words.phrases.tag_resolved)
        case Reason.REPEATED:
            return words.put(words.phrases.tag_repeated)
        case Reason.ESCALATED | Reason.ACTION as reason:
            return words.put(words.phrases.tag_action if reason is Reason.ACTION else words.phrases.tag_escalated)
        case Reason.RESOLVED:
            return words.put(words.phrases.tag_resolved)


_OF_BALANCE = {Rule.BALANCE_LOW: State.LOW_BALANCE, Rule.RUNWAY: State.SHORT_RUNWAY}


def _state(words: Words, tag: str) -> str:
    """Return how things stand, in a few words; the tag where nothing says more."""
    facts, phrases, rule = words.facts, words.phrases, words.notification.rule
    if words.is_test or not words.holds or facts.report:
        return tag
    found: State | None = None
    if rule.is_about_balance:
        found = _OF_BALANCE.get(rule, State.OVERDUE)
    elif rule is Rule.SPIKE:
        found = State.SPIKE
    elif rule is Rule.CORRECTED:
        found = State.CORRECTED
    elif rule is Rule.FORECAST:
        is_over = facts.budget and facts.forecast and facts.forecast.likely >= facts.budget
        found = State.FORECAST_OVER_BUDGET if is_over else State.FORECAST
    elif rule is Rule.THRESHOLD_REACHED:
        found = _state_of_budget(facts)
    state = words.put(phrases.states[found]) if found else phrases.severities[words.notification.severity]
    again = {Reason.REPEATED: phrases.reminder, Reason.ESCALATED: phrases.escalated}.get(words.reason, "")
    return phrases.then.join(filter(None, (state, again)))


def _state_of_budget(facts: Facts) -> State:
    if facts.budget is None or facts.spend is None or facts.used is None:
        return State.THRESHOLD_REACHED
    if facts.spend < facts.budget:
        return State.SHARE_OF_BUDGET
    return State.OVER_BUDGET if facts.budget < facts.spend else State.BUDGET_USED_UP


def _account(words: Words) -> str:
    facts = words.facts
    name, number = clean(facts.account_name, NAME_LENGTH), clean(facts.scope.account, NAME_LENGTH)
    return f"{name} · {number}" if name and number else f"{words.phrases.account} {number}" if number else ""


def _headline(words: Words) -> str:
    match words.reason:
        case Reason.FIRED | Reason.DIGEST | Reason.TEST | Reason.ACTION:
            return words.put(words.texts.fired)
        case Reason.REPEATED | Reason.ESCALATED:
            return words.put(words.texts.repeated)
        case Reason.RESOLVED if words.facts.is_unwatched:
            return words.put(words.phrases.unwatched)
        case Reason.RESOLVED:
            ending = words.put(words.texts.resolved)
            return words.put(words.phrases.by_figures, ending=ending) if words.facts.by_settlement else ending


def _subject(words: Words) -> str:
    """Return what the subject says; empty where it is the headline."""
    if words.facts.members and not words.facts.report:
        return words.put(words.texts.subject, gravest=_headline(_member(words, words.facts.members[0])))
    if words.holds:
        return words.put(words.texts.subject)
    ending = words.put(words.texts.resolved)
    return words.put(words.phrases.by_settlement, ending=ending) if words.facts.by_settlement else ""


def _lead(words: Words) -> str:
    phrases, facts = words.phrases, words.facts
    leads = {Reason.ESCALATED: phrases.escalated_lead, Reason.ACTION: phrases.action_lead}
    before = words.put(leads[words.reason]) if words.reason in leads else _acknowledged(words)
    found = [before, _what_it_is(words)]
    if facts.members and not facts.report:
        found = [words.put(phrases.digest_leads[facts.held_by or HoldReason.STORM])]
    test = (phrases.test_lead, _destinations(words)) if words.is_test else ()
    return phrases.between_sentences.join(filter(None, (*test, *found)))


def _acknowledged(words: Words) -> str:
    if (said := words.facts.acknowledged) is None:
        return ""
    form = words.phrases.acknowledged_with if said.comment else words.phrases.acknowledged
    who, comment = clean(said.by, NAME_LENGTH), clean(said.comment, SUBJECT_LENGTH)
    return form.format(who=who, when=words.moment(said.at), comment=comment)


def _what_it_is(words: Words) -> str:
    if words.facts.is_unwatched:
        return words.put(words.phrases.unwatched_lead)
    if not words.holds and words.facts.by_settlement:
        return words.put(words.phrases.ended_by_settlement)
    if words.holds and (found := words.facts.discrepancy) and found.kind in words.phrases.discrepancy_leads:
        return words.phrases.discrepancy_leads[found.kind]
    if not words.holds and (before := words.facts.budget_before):
        return words.put(words.phrases.budget_raised, before=words.money(before), now=words.money(words.facts.budget))
    if not words.holds:
        return words.put(words.phrases.ended_lead)
    sentences = (words.put(words.texts.lead), *_also_low(words), *_not_complete(words))
    return words.phrases.between_sentences.join(filter(None, sentences))


def _late(words: Words) -> str:
    facts = words.facts
    return words.put(words.phrases.late) if facts.held_since and not facts.members else ""


def _destinations(words: Words) -> str:
    """Tell which accounts, workspaces and troubles are reported over the channel that is tested."""
    phrases, drill = words.phrases, words.facts.drill
    places = [phrases.operators if one == _OPERATORS else clean(one, NAME_LENGTH) for one in (drill.places if drill else ())]
    more = len(places) - _MOST_POINTS
    named = [*places[:_MOST_POINTS], *([phrases.more_files.format(count=more)] if more > 0 else [])]
    return phrases.test_where.format(places=phrases.comma.join(named)) if places else phrases.test_nobody


def _also_low(words: Words) -> Iterator[str]:
    """Tell what else is true of a balance that is about to end, where the message is about something graver."""
    facts, phrases, rule = words.facts, words.phrases, words.notification.rule
    if not rule.is_about_balance:
        return
    floors = [words.label(label) for label in facts.also if label and not words.is_duration(label)]
    if floors:
        yield phrases.also_below.format(labels=phrases.comma.join(floors[:_MOST_POINTS]))
    if rule is Rule.BALANCE_LOW and any(words.is_duration(label) for label in facts.also):
        yield words.put(phrases.enough_until)


def _not_complete(words: Words) -> Iterator[str]:
    """Tell that bills of the day or the week may still be missing."""
    period, until = words.period, words.facts.data_until
    if isinstance(period, ShortPeriod) and until and not is_complete(period, until):
        yield words.phrases.not_complete


def _sections(words: Words) -> Iterator[Section]:
    phrases, facts, rule = words.phrases, words.facts, words.notification.rule
    yield from closed_month(words, facts.closed) if facts.closed else figures(words)
    if points := tuple(remarks(words, facts.balance) if facts.balance else _plans(words)):
        yield Points("", points)
    if facts.files:
        yield Points(phrases.files, tuple(_files(words)))
    if facts.discrepancy and (file := facts.discrepancy.file):
        yield Points(phrases.bills, (clean(file, NAME_LENGTH),))
    if not words.holds:
        if rule.is_about_balance and not facts.is_unwatched and (points := tuple(_ending(words))):
            yield Points("", points)
        return
    if facts.detail and rule is not Rule.STALE:
        yield Points(phrases.details, tuple(_details(words)))
    if rule.is_about_balance:
        yield _consequences(words)
    if advice := tuple(_advice(words)):
        yield Points(phrases.advice if rule in _COSTLY else phrases.what_to_do, advice, is_vital=False)


def _plans(words: Words) -> Iterator[str]:
    """Tell what was ordered, by its code, for how much and when; and when before that."""
    phrases = words.phrases
    for one in words.facts.plans[:_MOST_POINTS]:
        code = clean(one.commodity.label, NAME_LENGTH)
        what = (words.plan(one), *([code] if one.category is not Category.OTHER else []))
        cost = words.money(one.spent) if one.spent else ""
        before = phrases.ordered_before.format(day=one.before.isoformat()) if one.before else ""
        ordered = phrases.ordered_on.format(day=one.day.isoformat())
        yield phrases.comma.join(filter(None, (*what, cost, ordered, before, "" if one.ends else phrases.no_end)))


def _of_several(words: Words) -> Iterator[Section]:
    """Yield the figures of a report with what fires, or the messages of a digest; and how many more of them there are."""
    phrases, members = words.phrases, [_member(words, one) for one in words.facts.members]
    if words.facts.report is None:
        yield from _entries(words, members)
    else:
        yield from report_sections(words, words.facts.report)
        firing = tuple(
            Entry(_headline(one), "", f"{phrases.severities[one.notification.severity]} · {one.notification.alert[:8]}")
            for one in members
        )
        yield Entries(phrases.firing, firing) if firing else Points(phrases.firing, (phrases.nothing_fires,))
    if more := words.facts.more:
        yield Points("", (phrases.more_messages.format(count=more),))


def _member(words: Words, one: Notification) -> Words:
    return Words(one, words.phrases, words.zone)


def _entries(words: Words, members: Sequence[Words]) -> Iterator[Section]:
    """Yield the messages of a digest, the gravest first."""
    phrases, found = words.phrases, dict[str, list[Entry]]()
    for one in members:
        title = phrases.severities[one.notification.severity] if one.holds else phrases.ended
        figure = amount(one)
        note = " · ".join(filter(None, (figure.note if figure else "", one.notification.alert[:8])))
        found.setdefault(title, []).append(Entry(_headline(one), figure.value if figure else "", note))
    yield from (Entries(title, tuple(entries)) for title, entries in found.items())


def _footer(words: Words) -> tuple[str, ...]:
    phrases = words.phrases
    if words.is_test or words.facts.report:
        return ()
    return (phrases.explain_each,) if words.facts.members else (words.put(phrases.explain), words.put(phrases.footer))


def _files(words: Words) -> Iterator[str]:
    files = words.facts.files
    for name, why in files[:_MOST_POINTS]:
        yield words.phrases.refused.format(file=clean(name, NAME_LENGTH), why=clean(why))
    if len(files) > _MOST_POINTS:
        yield words.phrases.more_files.format(count=len(files) - _MOST_POINTS)


def _details(words: Words) -> list[str]:
    lines = [line for line in words.facts.detail.split("\n") if line.strip()]
    return [clean(line) for line in lines[:_MOST_POINTS]]


def _consequences(words: Words) -> Points:
    """Tell what being overdue does: to what the bills show the account to have, else to everything it might have."""
    phrases, facts, rule = words.phrases, words.facts, words.notification.rule
    seen = [cover for cover in facts.exposure.covers if cover is not Cover.NONE]
    covers = [*(seen or (cover for cover in Cover if cover is not Cover.NONE)), Cover.NONE]
    titles = {Rule.OVERDUE: phrases.overdue_now, Rule.RUNWAY: phrases.overdue_on_that_day}
    named = [form.format(codes=_codes(words, codes)) for form, codes in _named(words) if codes]
    points = (*(phrases.covers[cover] for cover in covers), *named, phrases.settle)
    return Points(titles.get(rule, phrases.overdue_then), points, is_vital=rule is not Rule.BALANCE_LOW)


def _ending(words: Words) -> Iterator[str]:
    """Tell what brought the balance back; that a debt is settled only where money was seen or is reported."""
    phrases, facts, balance = words.phrases, words.facts, words.facts.balance
    is_overdue = words.notification.rule is Rule.OVERDUE
    is_seen = facts.top_up is not None or (balance is not None and not balance.is_by_bills)
    if is_seen and not facts.by_settlement:
        if is_overdue:
            yield phrases.overdue_restored
        return
    if facts.top_up is None and (facts.by_settlement or is_overdue):
        yield phrases.nothing_came_in
    if facts.by_settlement:
        yield words.put(phrases.no_longer_subtracted)
    elif is_overdue:
        yield phrases.less_unsettled
    if is_overdue:
        yield phrases.seen_there


def _named(words: Words) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return (words.phrases.stops, words.facts.exposure.stops), (words.phrases.plans_at_risk, words.facts.exposure.plans)


def _codes(words: Words, codes: tuple[str, ...]) -> str:
    shown = [clean(code, NAME_LENGTH) for code in codes[:_MOST_POINTS]]
    more = len(codes) - len(shown)
    return words.phrases.comma.join([*shown, *([words.phrases.more_files.format(count=more)] if more > 0 else [])])


def _advice(words: Words) -> Iterator[str]:
    phrases, rule = words.phrases, words.notification.rule
    match rule:
        case Rule.THRESHOLD_REACHED | Rule.CONSOLE | Rule.FORECAST | Rule.SPIKE | Rule.BALANCE_LOW | Rule.OVERDUE | Rule.RUNWAY:
            if words.notification.severity is not Severity.NOTICE or words.reason is Reason.ACTION:
                yield from how_to_stop(words)
        case Rule.STALE | Rule.SOURCE_FAILING:
            cause = words.facts.cause
            yield phrases.advice_endpoint[cause] if cause else phrases.advice_source
        case Rule.BALANCE_FAILING:
            yield phrases.advice_balance
        case Rule.BALANCE_DIFFERING:
            yield phrases.advice_adding_up
        case Rule.CHANNEL_FAILING:
            yield phrases.advice_channel
        case Rule.DIFFERING:
            lacks = words.facts.discrepancy is not None and words.facts.discrepancy.lacking is not None
            yield phrases.advice_uncounted if lacks else phrases.advice_differing
        case (
            Rule.FOREIGN_CURRENCY
            | Rule.REJECTED
            | Rule.FIRST_COST
            | Rule.FREE_QUOTA_ENDED
            | Rule.UNASSIGNED_SPEND
            | Rule.UNTAGGED
            | Rule.PLAN_ORDERED
            | Rule.PLAN_ENDS
        ):
            yield from _advice_on_bills(words)
        case (
            Rule.CORRECTED
            | Rule.MONTH_CLOSED
            | Rule.LATE
            | Rule.UNASSIGNED
            | Rule.CONFIG_REJECTED
            | Rule.CLOCK_WRONG
            | Rule.LEDGER_FAILING
            | Rule.DIGEST
            | Rule.REPORT
        ):
            return


def _advice_on_bills(words: Words) -> Iterator[str]:
    phrases, facts = words.phrases, words.facts
    if words.notification.rule in OF_PORTIONS:
        yield phrases.advice_unallocated
        return
    if words.notification.rule is Rule.FOREIGN_CURRENCY:
        is_all = facts.spend is not None and not facts.spend.amount
        yield words.put(phrases.advice_all_foreign if is_all else phrases.advice_foreign)
        return
    if words.notification.rule.is_about_news:
        found = {one.category for one in facts.firsts}
        ordered = {one.category for one in facts.plans}
        yield {Rule.FIRST_COST: phrases.advice_news, Rule.FREE_QUOTA_ENDED: phrases.advice_free_quota}.get(
            words.notification.rule, phrases.advice_plan
        )
        yield from dict.fromkeys(advice for category, advice in phrases.ordered.items() if category in ordered)
        yield from (advice for category, advice in phrases.charged.items() if category in found)
        return
    yield phrases.advice_rejected
    if facts.folder:
        yield words.put(phrases.advice_rejected_in)


def how_to_stop(words: Words) -> Iterator[str]:
    """Tell how to end what was charged, whatever is not in the bills left aside."""
    phrases, facts, rule = words.phrases, words.facts, words.notification.rule
    charged = set(facts.course.causes.categories)
    who, _ = makes_most(words)
    if who:
        yield phrases.advice_first.format(who=who)
    yield from (advice for category, advice in phrases.charged.items() if category in charged)
    yield from dict.fromkeys(advice for category, advice in phrases.ordered.items() if category in facts.subscribed.categories)
    if rule.is_about_balance:
        yield phrases.advice_prevent
    elif Category.INFERENCE in charged:
        yield phrases.advice_late
    if charged & {Category.TRAINING, Category.KNOWLEDGE_BASE}:
        yield phrases.advice_hourly


def _closing(words: Words) -> Iterator[str]:
    phrases, facts = words.phrases, words.facts
    if words.is_test:
        who = (clean(facts.drill.who, NAME_LENGTH) if facts.drill else "") or phrases.somebody
        yield words.put(phrases.test_why, who=who)
        return
    if not (facts.members or facts.report):
        yield words.put(_why(words))
    if words.notification.rule is Rule.LEDGER_FAILING:
        yield _next(words) if words.holds else phrases.over_now
        return
    until = facts.data_until or (facts.balance.billed.until if facts.balance else None)
    based_on = phrases.based_on_api if facts.lags else phrases.based_on
    yield based_on.format(until=words.moment(until), zone=words.zone) if until else phrases.based_on_nothing
    if len({day for _, day in facts.used_on}) > 1:
        days = phrases.comma.join(f"{phrases.categories[category]} {day.isoformat()}" for category, day in facts.used_on)
        yield phrases.used_on.format(days=days)
    if not (facts.members or facts.report):
        yield _next(words) if words.holds else phrases.over_now
    if words.reason in {Reason.REPEATED, Reason.ESCALATED}:
        yield words.put(phrases.acknowledge)


def _why(words: Words) -> str:
    if not words.holds:
        return words.phrases.why_ended
    return words.phrases.why_once if words.notification.rule in _ONCE else words.phrases.why


def _next(words: Words) -> str:
    phrases, facts = words.phrases, words.facts
    match words.notification.rule:
        case Rule.THRESHOLD_REACHED | Rule.FORECAST | Rule.CONSOLE | Rule.UNASSIGNED_SPEND | Rule.UNTAGGED:
            if facts.next_at is None:
                return words.put(phrases.no_next_threshold)
            label = clean(facts.next_threshold, NAME_LENGTH)
            at = words.money(facts.next_at)
            following = f"{label} ({at})" if label.endswith("%") else at
            return words.put(phrases.next_threshold, next=following)
        case Rule.BALANCE_LOW | Rule.RUNWAY:
            return phrases.next_floor
        case Rule.BALANCE_DIFFERING | Rule.PLAN_ENDS:
            return phrases.next_end
        case (
            Rule.BALANCE_FAILING
            | Rule.OVERDUE
            | Rule.STALE
            | Rule.SOURCE_FAILING
            | Rule.CHANNEL_FAILING
            | Rule.CONFIG_REJECTED
            | Rule.CLOCK_WRONG
            | Rule.LEDGER_FAILING
        ):
            return phrases.next_episode
        case (
            Rule.FIRST_COST
            | Rule.SPIKE
            | Rule.MONTH_CLOSED
            | Rule.FREE_QUOTA_ENDED
            | Rule.PLAN_ORDERED
            | Rule.CORRECTED
            | Rule.LATE
            | Rule.DIFFERING
            | Rule.FOREIGN_CURRENCY
            | Rule.REJECTED
            | Rule.UNASSIGNED
            | Rule.DIGEST
            | Rule.REPORT
        ):
            return phrases.next_spike if facts.spike else phrases.next_closed if facts.closed else phrases.once
