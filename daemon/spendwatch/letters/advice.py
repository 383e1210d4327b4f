"""What being overdue does, what ended it, and what the reader can do."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from spendwatch.domain.alert import Rule
from spendwatch.domain.commodity import Category, Cover
from spendwatch.domain.delivery import Reason
from spendwatch.domain.policy import Severity
from spendwatch.letters.charts import makes_most
from spendwatch.letters.parts import Points, clean
from spendwatch.letters.reader import NAME_LENGTH
from spendwatch.letters.words import Words

_CHARGED = (Category.INFERENCE, Category.WEB_SEARCH, Category.TRAINING, Category.DEPLOYMENT)
_ORDERED = (
    Category.CODING_PLAN,
    Category.TOKEN_PLAN,
    Category.DEPLOYMENT,
    Category.PROVISIONED_THROUGHPUT,
    Category.MODEL_UNITS,
)


_COSTLY = frozenset(
    {Rule.THRESHOLD_REACHED, Rule.FORECAST, Rule.BALANCE_LOW, Rule.OVERDUE, Rule.RUNWAY, Rule.SPIKE, Rule.CONSOLE}
)
_HINTS = {
    Rule.BALANCE_FAILING: "advice_balance",
    Rule.BALANCE_DIFFERING: "advice_adding_up",
    Rule.CHANNEL_FAILING: "advice_channel",
    Rule.UNASSIGNED_SPEND: "advice_unallocated",
    Rule.UNTAGGED: "advice_unallocated",
    Rule.FIRST_COST: "advice_news",
    Rule.FREE_QUOTA_ENDED: "advice_free_quota",
    Rule.PLAN_ORDERED: "advice_plan",
    Rule.PLAN_ENDS: "advice_plan",
    Rule.REJECTED: "advice_rejected",
}


def consequences(words: Words) -> Points:
    """Tell what being overdue does: to what the bills show the account to have, else to everything it might have."""
    text, found, rule = words.text, words.facts.exposure, words.notification.rule
    title = {Rule.OVERDUE: text("overdue_now"), Rule.RUNWAY: text("overdue_on_that_day")}.get(rule, text("overdue_then"))
    seen = [cover for cover in found.covers if cover is not Cover.NONE]
    covers = [*(seen or (cover for cover in Cover if cover is not Cover.NONE)), Cover.NONE]
    points = [text("covers", cover) for cover in covers]
    if found.stops:
        points.append(text("stops", codes=_codes(words, found.stops)))
    if found.plans:
        points.append(text("plans_at_risk", codes=_codes(words, found.plans)))
    return Points(title, (*points, text("settle")), is_vital=rule is not Rule.BALANCE_LOW)


def _codes(words: Words, codes: tuple[str, ...]) -> str:
    return words.joined("comma", *words.first_of([clean(code, NAME_LENGTH) for code in codes]))


def ending(words: Words) -> Iterator[str]:
    """Tell what brought the balance back; that a debt is settled only where money was seen or is reported."""
    text, facts, balance = words.text, words.facts, words.facts.balance
    is_overdue = words.notification.rule is Rule.OVERDUE
    is_seen = facts.top_up is not None or (balance is not None and not balance.is_by_bills)
    if is_seen and not facts.by_settlement:
        if is_overdue:
            yield text("overdue_restored")
        return
    if facts.top_up is None and (facts.by_settlement or is_overdue):
        yield text("nothing_came_in")
    if facts.by_settlement:
        yield text("no_longer_subtracted")
    elif is_overdue:
        yield text("less_unsettled")
    if is_overdue:
        yield text("seen_there")


def advice(words: Words) -> Iterator[Points]:
    """Tell what the reader of such a message can do."""
    is_costly = words.notification.rule in _COSTLY
    if points := tuple(_steps(words) if is_costly else _hints(words)):
        yield Points(words.text("advice" if is_costly else "what_to_do"), points, is_vital=False)


def _steps(words: Words) -> Iterator[str]:
    if words.notification.severity is not Severity.NOTICE or words.reason is Reason.ACTION:
        yield from how_to_stop(words)


def _hints(words: Words) -> Iterator[str]:
    text, facts, rule = words.text, words.facts, words.notification.rule
    if rule in {Rule.STALE, Rule.SOURCE_FAILING}:
        yield text("advice_endpoint", facts.cause) if facts.cause else text("advice_source")
    elif rule is Rule.DIFFERING:
        yield text("advice_uncounted" if facts.discrepancy and facts.discrepancy.lacking else "advice_differing")
    elif rule is Rule.FOREIGN_CURRENCY:
        yield text("advice_all_foreign" if facts.spend and not facts.spend.amount else "advice_foreign")
    elif rule in _HINTS:
        yield text(_HINTS[rule])
    if rule is Rule.REJECTED and facts.folder:
        yield text("advice_rejected_in")
    if rule.is_about_news:
        charged = {one.category for one in facts.firsts if one.category}
        yield from _by_category(words, charged, {one.category for one in facts.plans})


def how_to_stop(words: Words) -> Iterator[str]:
    """Tell how to end what was charged, whatever is not in the bills left aside."""
    text, facts = words.text, words.facts
    charged = set(facts.course.causes.categories)
    who, _ = makes_most(words)
    if who:
        yield text("advice_first", who=who)
    yield from _by_category(words, charged, facts.subscribed.categories)
    if words.notification.rule.is_about_balance:
        yield text("advice_prevent")
    elif Category.INFERENCE in charged:
        yield text("advice_late")
    if charged & {Category.TRAINING, Category.KNOWLEDGE_BASE}:
        yield text("advice_hourly")


def _by_category(words: Words, charged: Collection[Category], ordered: Collection[Category]) -> Iterator[str]:
    """Tell how to end what is paid as it is used, then what was ordered: several categories may say the same."""
    yield from (words.text("charged", one) for one in _CHARGED if one in charged)
    yield from dict.fromkeys(words.text("ordered", one) for one in _ORDERED if one in ordered)
