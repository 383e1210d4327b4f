"""The head of a letter: its tag, how things stand, its subject and headline, and what they mean."""

from __future__ import annotations

from collections.abc import Iterator

from spendwatch.domain.alert import Rule
from spendwatch.domain.delivery import HoldReason, Reason
from spendwatch.domain.period import ShortPeriod
from spendwatch.domain.usage import is_complete
from spendwatch.letters.parts import clean
from spendwatch.letters.reader import MOST, NAME_LENGTH
from spendwatch.letters.texts import text_in
from spendwatch.letters.words import Words

SUBJECT_LENGTH = 120
_OPERATORS = "operators"
"""Among the destinations of a test message: failures are reported over the channel, too."""


_STATES = {
    Rule.SPIKE: "state_spike",
    Rule.CORRECTED: "state_corrected",
    Rule.BALANCE_LOW: "state_low_balance",
    Rule.RUNWAY: "state_short_runway",
    Rule.OVERDUE: "state_overdue",
}


def tag(words: Words) -> str:
    """Return what stands before the subject."""
    reason = words.notification.reason
    if reason is Reason.DIGEST and words.facts.report:
        return words.text("tag_report")
    is_over = reason in {Reason.FIRED, Reason.DIGEST} and not words.holds
    return words.text("tags", Reason.RESOLVED if is_over else reason)


def state(words: Words) -> str:
    """Return how things stand, in a few words; the tag where nothing says more."""
    if words.is_test or not words.holds or words.facts.report:
        return tag(words)
    said = _standing(words) or words.text("severities", words.notification.severity)
    return words.joined("then", said, words.text("again", words.reason) if words.is_again else "")


def _standing(words: Words) -> str:
    """Return how things stand where that says more than the severity; else nothing."""
    facts, text, rule = words.facts, words.text, words.notification.rule
    if rule in _STATES:
        return text(_STATES[rule])
    if rule is Rule.FORECAST:
        is_over = facts.budget and facts.forecast and facts.forecast.likely >= facts.budget
        return text("state_forecast_over_budget" if is_over else "state_forecast")
    if rule is not Rule.THRESHOLD_REACHED:
        return ""
    if facts.budget is None or facts.spend is None or facts.used is None:
        return text("state_threshold_reached")
    if facts.spend < facts.budget:
        return text("state_share_of_budget")
    return text("state_over_budget" if facts.budget < facts.spend else "state_budget_used_up")


def account(words: Words) -> str:
    """Return name and number of the account."""
    name, number = (clean(one, NAME_LENGTH) for one in (words.facts.account_name, words.facts.scope.account))
    if name and number:
        return f"{name} · {number}"
    return f"{words.text('account')} {number}" if number else ""


def headline(words: Words) -> str:
    """Return what happened, in a sentence."""
    if words.reason is not Reason.RESOLVED:
        return words.of_rule("repeated" if words.is_again else "fired")
    if words.facts.is_unwatched:
        return words.text("unwatched")
    ending = words.of_rule("resolved")
    return words.text("by_figures", ending=ending) if words.facts.by_settlement else ending


def subject(words: Words) -> str:
    """Return the same with the most telling figure, for the subject line."""
    members, said = words.facts.members, ""
    if members and not words.facts.report:
        said = words.of_rule("subject", gravest=headline(words.of(members[0])))
    elif words.holds:
        said = words.of_rule("subject")
    elif words.facts.by_settlement:
        said = words.text("by_settlement", ending=words.of_rule("resolved"))
    return clean(f"[{tag(words)}] {said or headline(words)}", SUBJECT_LENGTH)


def lead(words: Words) -> str:
    """Return what it means: of a late message that it is late, of a test that it is one."""
    facts, said = words.facts, list[str]()
    if facts.held_since and not facts.members:
        said.append(words.text("late"))
    if words.is_test:
        said += [words.text("test_lead"), _destinations(words)]
    if facts.members and not facts.report:
        said.append(words.text("digest_leads", facts.held_by or HoldReason.STORM))
    else:
        said += [_before(words), *_meaning(words)]
    return words.joined("between_sentences", *said)


def _before(words: Words) -> str:
    """Return why the reader hears of it now, or who took care of it."""
    if words.reason is Reason.ESCALATED:
        return words.text("escalated_lead")
    if words.reason is Reason.ACTION:
        return words.text("action_lead")
    if (said := words.facts.acknowledged) is None:
        return ""
    who, comment = clean(said.by, NAME_LENGTH), clean(said.comment, SUBJECT_LENGTH)
    name = "acknowledged_with" if comment else "acknowledged"
    return words.text(name, who=who, when=words.moment(said.at), comment=comment)


def _meaning(words: Words) -> Iterator[str]:
    facts = words.facts
    if facts.is_unwatched:
        yield words.text("unwatched_lead")
    elif (
        words.holds and facts.discrepancy and (said := text_in(words.language, "discrepancy_leads", facts.discrepancy.kind, ""))
    ):
        yield said
    elif words.holds:
        yield words.of_rule("lead")
        yield from _also_low(words)
        if isinstance(words.period, ShortPeriod) and facts.data_until and not is_complete(words.period, facts.data_until):
            yield words.text("not_complete")
    elif facts.by_settlement:
        yield words.text("ended_by_settlement")
    elif facts.budget_before:
        yield words.text("budget_raised", before=words.money(facts.budget_before), now=words.money(facts.budget))
    else:
        yield words.text("ended_lead")


def _destinations(words: Words) -> str:
    """Tell which accounts, workspaces and troubles are reported over the channel that is tested."""
    places = words.facts.drill.places if words.facts.drill else ()
    named = [words.text("operators") if one == _OPERATORS else clean(one, NAME_LENGTH) for one in places]
    if not named:
        return words.text("test_nobody")
    return words.text("test_where", places=words.joined("comma", *words.first_of(named)))


def _also_low(words: Words) -> Iterator[str]:
    """Tell what else is true of a balance that is about to end, where the message is about something graver."""
    facts, rule = words.facts, words.notification.rule
    if not rule.is_about_balance:
        return
    if floors := [words.label(label) for label in facts.also if label and not words.is_duration(label)]:
        yield words.text("also_below", labels=words.joined("comma", *floors[:MOST]))
    if rule is Rule.BALANCE_LOW and any(map(words.is_duration, facts.also)):
        yield words.text("enough_until")
