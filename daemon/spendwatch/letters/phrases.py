"""The phrases that every language must define. They are in english.py and chinese.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from spendwatch.domain.alert import Rule
from spendwatch.domain.balance import Explanation
from spendwatch.domain.balance_reading import Origin
from spendwatch.domain.commodity import Category, Cover
from spendwatch.domain.discrepancy import Disagreement
from spendwatch.domain.failure import Failure
from spendwatch.domain.notification import HoldReason
from spendwatch.domain.period import PeriodKind
from spendwatch.domain.policy import Page, Severity
from spendwatch.domain.report import Cadence
from spendwatch.domain.scope import Counts, Dimension, Portion


class State(StrEnum):
    """How things stand, where it says more than the severity."""

    OVER_BUDGET = "over_budget"
    BUDGET_USED_UP = "budget_used_up"
    SHARE_OF_BUDGET = "share_of_budget"
    THRESHOLD_REACHED = "threshold_reached"
    FORECAST = "forecast"
    FORECAST_OVER_BUDGET = "forecast_over_budget"
    CORRECTED = "corrected"
    LOW_BALANCE = "low_balance"
    SHORT_RUNWAY = "short_runway"
    OVERDUE = "overdue"
    SPIKE = "spike"


@dataclass(frozen=True, slots=True)
class RuleTexts:
    """The texts of one rule. The fields are formats; their placeholders are the properties of `words.Words`."""

    fired: str
    repeated: str
    resolved: str
    subject: str
    """Of a message that it holds; empty: the same as its headline."""
    lead: str
    """What it means, while it holds."""
    rule: str
    """The rule as the reader knows it, for "why you got this"."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """Every phrase of one language. Names in braces are filled in."""

    rule_texts: Mapping[Rule, RuleTexts]
    severities: Mapping[Severity, str]
    states: Mapping[State, str]
    units_of: Mapping[str, str]
    """What stands before amounts of a currency instead of its code and a blank."""
    covers: Mapping[Cover, str]
    categories: Mapping[Category, str]
    explained: Mapping[Explanation, str]
    """Why what is reported is not what the formula gives, with {amount}."""
    origins: Mapping[Origin, str]
    """Where a balance is known from."""
    months: tuple[str, ...]
    """Twelve formats of a month, with {year}."""
    short_periods: Mapping[PeriodKind, str]
    """Formats of a day and of a week, with their first {day}."""
    within: Mapping[PeriodKind, str]
    """Behind what is spent: that it is in this {month}, on this day."""
    budgets: Mapping[PeriodKind, str]
    """Formats of a budget by its period, which is {month} for days and weeks, too."""
    spans: Mapping[PeriodKind, tuple[str, str]]
    """Which days causes are of, and with which they are compared."""
    portions: Mapping[Portion, str]
    """Of a {name}, the spend that nobody's budget counts; with its {tag}."""
    advice_unallocated: str
    spent_short: str
    """What is spent, of a day or a week."""
    not_complete: str
    """That more bills of this day or week may come."""
    units: Mapping[str, str]
    """Of durations: d, h, min, s."""
    below_zero: RuleTexts
    """A total that fell below zero, whether or not anything was reported before."""
    silent_account: RuleTexts
    """An account whose bills have stopped while those of others still come."""
    final_figure: str
    final_budget: str
    """What share of a budget was used, with {used} and {budget}."""
    month_before: str
    forecast_check: str
    by_day: str
    """By the data of a day of the month, with {day}."""
    off_by: str
    """By how much a forecast was off, with {off} and {range}."""
    changed_months: str
    was: str
    """What a month was before it changed, with {before}."""
    ends_early: str
    """Where bills do not reach the end of the month, with {day}."""
    weekdays: tuple[str, ...]
    """Monday first."""
    day_named: str
    """A day in full, with {weekday}, {day} and {month}."""
    day_so_far: str
    """Behind what an incomplete day cost."""
    usual: str
    """What a day usually costs, with {usual}."""
    above_usual: str
    spike_hint: str
    """In place of the hint of what the money went to, where it is about one day."""
    makes_most_of_day: str
    next_spike: str
    next_closed: str
    reminder: str
    escalated: str
    between_sentences: str
    tag: str
    tag_repeated: str
    tag_escalated: str
    tag_action: str
    tag_resolved: str
    tag_test: str
    gone: str
    """In place of the rule of a failing channel: its receiver wants nothing more."""
    test_headline: str
    """What stands before the {headline} of such a message."""
    test_lead: str
    test_where: str
    test_nobody: str
    test_why: str
    somebody: str
    operators: str
    """What operators are told of."""
    ended_lead: str
    budget_raised: str
    unwatched: str
    """What a message says that something is no longer watched."""
    unwatched_lead: str
    escalated_lead: str
    action_lead: str
    acknowledged: str
    acknowledged_with: str
    acknowledge: str
    """How to stop reminders."""
    share_limit: str
    amount_limit: str
    is_at: str
    has_spent: str
    unknown: str
    comma: str
    """Between the names of a list."""
    then: str
    """Between two items."""
    spent: Mapping[Counts, str]
    """Before what is spent of it."""
    budget_of: Mapping[Counts, str]
    """Before a budget that counts only that."""
    amount_of: Mapping[Counts, str]
    """Behind an amount of it."""
    counts_not: str
    of_budget: str
    no_budget: str
    left: str
    over: str
    threshold: str
    also: str
    also_expected: str
    also_ended: str
    also_below: str
    enough_until: str
    """How long a balance lasts, where the message is about something graver."""
    since_last: str
    since: str
    now: str
    before: str
    change: str
    discrepancy_leads: Mapping[Disagreement, str]
    """In place of the rule's lead, of bills that disagree in such a way."""
    counts: str
    uncounted: str
    month_total: str
    """A month's own total, beside the sum of its days."""
    compared: str
    compared_day: str
    compared_days: str
    bills: str
    other_currencies: str
    not_counted: str
    account: str
    owner: str
    ordered_on: str
    ordered_before: str
    no_end: str
    """Where no bill tells when an order ends."""
    until: str
    renewed: str
    """How the end of a plan was over."""
    plan_over: str
    advice_plan: str
    firsts: str
    """The heading of what costs something for the first time."""
    growth: str
    """The heading of what the money went to."""
    growth_hint: str
    costs_hint: str
    """In its place where bills lack some of the days before."""
    parts: Mapping[Dimension, str]
    """What kind of thing a {name} is that bills name."""
    playground: str
    """In place of the channel of calls without an API key from there."""
    makes_most: str
    """That {who} makes {share} of what was spent in the last days."""
    new: str
    overlapping: str
    """Beside first costs, whose lines do not add up: a model and its key are two of them."""
    day_of: str
    month_about: str
    budget: str
    """Under the mark of the budget."""
    daily: str
    so_far: str
    expected: str
    too_old: str
    """Instead of a forecast or a runway where the data are too old."""
    between: str
    balance: str
    as_of_now: str
    """Of a balance that was read just before the message."""
    as_of: str
    as_of_stale: str
    as_of_configured: str
    cash: str
    credit: str
    unsettled_current: str
    unsettled_previous: str
    unsettled: str
    unsettled_derived: str
    quota: str
    quota_consumed: str
    by_formula: str
    spent_since: str
    paid_at_order: str
    unseen: str
    used_on: str
    available: str
    reported: str
    reported_note: str
    reported_elsewhere: str
    unexplained: str
    not_overdue_there: str
    top_up: str
    runway: str
    below: str
    used_up: str
    not_in_sight: str
    about_day: str
    pace: str
    pace_days: str
    floor: str
    overdue_now: str
    overdue_then: str
    overdue_on_that_day: str
    plans_at_risk: str
    stops: str
    overdue_restored: str
    by_figures: str
    """Of what ended, with {ending}, by our figures alone."""
    by_settlement: str
    """The same in the subject, with the month that counts as settled."""
    ended_by_settlement: str
    nothing_came_in: str
    no_longer_subtracted: str
    less_unsettled: str
    seen_there: str
    """Where it shows whether a debt is settled that is no longer there by our figures alone."""
    before_settlement: str
    """Of cash that is known from before a month counted as settled."""
    settle: str
    links: Mapping[Page, str]
    advice: str
    what_to_do: str
    advice_first: str
    """About {who} makes most of the spend."""
    charged: Mapping[Category, str]
    """How to stop what is paid as it is used, by what was charged."""
    ordered: Mapping[Category, str]
    """How to end subscriptions, by what was ordered."""
    advice_hourly: str
    advice_late: str
    advice_prevent: str
    advice_source: str
    advice_endpoint: Mapping[Failure, str]
    """By what is wrong with an endpoint."""
    advice_differing: str
    advice_uncounted: str
    advice_news: str
    """About charges that are new."""
    advice_free_quota: str
    advice_foreign: str
    advice_all_foreign: str
    """Where the account has charges in no other currency."""
    advice_rejected: str
    advice_rejected_in: str
    advice_channel: str
    advice_balance: str
    advice_adding_up: str
    files: str
    one_file: str
    many_files: str
    more_files: str
    refused: str
    """A rejected file with {file} and {why}: the reason is in English, as it quotes the file."""
    details: str
    last_bill: str
    never: str
    why: str
    why_once: str
    why_ended: str
    based_on: str
    based_on_nothing: str
    based_on_api: str
    """Of figures from the billing API, which is late."""
    next_threshold: str
    no_next_threshold: str
    next_episode: str
    next_floor: str
    next_end: str
    once: str
    over_now: str
    template_failed: str
    """That the text is the built-in one, because of {files}."""
    footer: str
    explain: str
    held: Mapping[HoldReason, str]
    """Why messages were held."""
    late: str
    """Of a message that was {held}."""
    digest_leads: Mapping[HoldReason, str]
    ended: str
    """The heading of what is over, in a digest."""
    one_message: str
    many_messages: str
    more_messages: str
    explain_each: str
    tag_report: str
    reports: Mapping[Cadence, str]
    not_final: str
    """Of a month that may still change."""
    workspaces: str
    no_workspace: str
    firing: str
    nothing_fires: str
    is_overdue: str
    bills_until: str
    out_of_date: str
