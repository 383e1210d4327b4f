"""What ends because the configuration no longer watches it: whoever heard of it hears of that."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import replace

from spendwatch.domain.alert import AlertsKnown
from spendwatch.domain.notification import Facts
from spendwatch.domain.review import Condition
from spendwatch.domain.scope import AlertScope, BudgetScope, Counts
from spendwatch.jobs.ports import AlertBook


def closing_conditions(
    book: AlertBook,
    known: AlertsKnown,
    conditions: Sequence[Condition],
    watched: Container[AlertScope],
    months: Container[str],
) -> Iterator[Condition]:
    """Yield what fires and is not watched any more, with the figures and the channels of what was said of it.

    Budgets are those of these months; of all else is no longer watched what no condition speaks of.
    """
    judged = {condition.key for condition in conditions}
    for alert in known.firing():
        key = alert.key
        if key.rule.is_about_spend:
            if key.period not in months or _is_watched(key.scope, watched):
                continue
        elif not key.rule.is_episodic or key in judged:
            continue
        said = book.notifications_of(alert.id)
        facts = said[-1].facts if said else Facts(key.scope)
        yield Condition(
            key=key,
            holds=False,
            severity=alert.severity,
            summary=alert.summary,
            facts=replace(facts, threshold=key.threshold, also=(), is_unwatched=True, escalated_after=None),
            channels=tuple(dict.fromkeys(name for one in said for name in one.channels)),
            group="\x1f".join(("unwatched", *key.matter)),
            grave=alert.severity.rank if said else -1,
            amount=alert.told_amount,
            lapses=True,
            is_news=bool(said),
        )


def _is_watched(scope: AlertScope, watched: Container[AlertScope]) -> bool:
    """Return whether it has a budget, which may count something else now."""
    if not isinstance(scope, BudgetScope):
        return scope in watched
    return any(replace(scope, counts=counts) in watched for counts in Counts)
