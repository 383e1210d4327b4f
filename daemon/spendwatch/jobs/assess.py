"""From the ledger to the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from spendwatch.domain.period import BillingPeriod, open_periods
from spendwatch.domain.policy import Policies, Watch
from spendwatch.domain.review import AlertsKnown, Finding, Verdict, expire, review_findings
from spendwatch.domain.standing import Standing
from spendwatch.domain.thresholds import review_standing
from spendwatch.jobs.balance_round import judge_balances, survey
from spendwatch.jobs.bill_conditions import LATE_WATCHED, check_findings, difference_findings, late_findings, late_periods
from spendwatch.jobs.conditions import Surroundings, foreign_findings, health_findings
from spendwatch.jobs.forecasts import foresee, watched_for_forecasts
from spendwatch.jobs.insight import Insight
from spendwatch.jobs.lagging import Lagging
from spendwatch.jobs.ports import AlertBook, Balances, Health, Ledger
from spendwatch.jobs.standings import stand
from spendwatch.jobs.telling import Watched, told_in_full

_FEW = 500
"""So many budgets have their paces reckoned before anybody is told of them, so that each message can say what to expect."""


def assess(
    ledger: Ledger,
    book: AlertBook,
    health: Health,
    around: Surroundings,
    *,
    now: datetime,
    balances: Balances | None = None,
    insight: Insight | None = None,
) -> int:
    """Judge everything that is watched and commit alerts with their deliveries; return how many deliveries are new.

    What holds now is committed first, then what is only foreseen. Without `balances` no balance is known but what is
    configured, and nothing is foreseen; `insight` spares reading again what did not change since the last round.
    """
    known = AlertsKnown(book.known())
    periods = open_periods(now, around.zone, final_on=around.policies.month_final_on)
    here = _Round(ledger, book, around, now, balances, insight or Insight(), known, periods)
    verdicts: list[Verdict] = []
    findings = health_findings(health, ledger, around, known, now)
    late = ledger.late(now - LATE_WATCHED)
    until = ledger.data_until(around.policies.products)
    findings += late_findings(late, around.policies, until, now) + difference_findings(ledger, around.policies, periods, until)
    findings += check_findings(ledger, around.policies, periods, around.stale_after, until)
    judged = (*(period for period in late_periods(late) if period not in periods), *periods)
    watched: dict[tuple[str, str], Watch] = {}
    standings: Sequence[Standing] = ()
    names = here.names
    for period in judged:
        standings = stand(ledger, around.policies, period)
        watched |= {(standing.watch.scope.account, standing.watch.scope.key): standing.watch for standing in standings}
        for standing in standings:
            name = names.get(standing.watch.scope.account, "")
            verdicts.append(review_standing(standing, known, account_name=name, now=now))
        findings += foreign_findings(standings, names)
    findings += _balance_findings(here)
    verdicts.append(review_findings(findings, known, now=now))
    verdicts.append(expire(known, findings, frozenset(period.label for period in judged), now=now))
    if len(watched) <= _FEW:
        here.insight.paces.look(ledger, around.policies, watched.values(), around.zone)
    return _commit(here, verdicts, watched) + _foresee(here, standings, watched)


@dataclass(frozen=True, slots=True)
class _Round:
    """What one round is about."""

    ledger: Ledger
    book: AlertBook
    around: Surroundings
    now: datetime
    balances: Balances | None
    insight: Insight
    known: AlertsKnown
    periods: Sequence[BillingPeriod]

    @property
    def policies(self) -> Policies:
        """What is wanted."""
        return self.around.policies

    @property
    def names(self) -> dict[str, str]:
        """What people call each account."""
        return {policy.account: policy.name for policy in self.policies.accounts}


def _balance_findings(here: _Round) -> list[Finding]:
    """What is to be remembered is written down before what follows from it: after a crash between, it follows again."""
    zone, now, insight = here.around.zone, here.now, here.insight
    surveyed = survey(here.policies, here.ledger, here.balances, insight, here.periods, zone=zone, now=now)
    found, fresh = judge_balances(surveyed, here.policies, insight, here.known, zone=zone, now=now)
    if fresh and here.balances:
        here.balances.remember(fresh)
    return found


def _foresee(here: _Round, standings: Sequence[Standing], watched: Watched) -> int:
    """Judge the forecasts of this month, unless nothing has changed since that was done last, or just now."""
    if len(watched) > _FEW and not here.insight.is_rested(here.now):
        return 0
    ledger, insight, zone, month = here.ledger, here.insight, here.around.zone, here.periods[-1]
    insight.paces.look(ledger, here.policies, watched.values(), zone)
    ground = (ledger.revision(), month)
    if here.balances is None or not watched_for_forecasts(standings) or insight.has_foreseen(ground, here.policies):
        return 0
    held = here.balances.foretold([month])
    foreseen = foresee(standings, insight.paces, here.known, held, names=here.names, zone=zone, now=here.now)
    if foreseen.reached or foreseen.gone:
        here.balances.foretell(foreseen.reached, foreseen.gone, [month])
    new = _commit(here, [foreseen.verdict], watched)
    insight.foresaw(ground, here.policies)
    return new


def _commit(here: _Round, verdicts: Sequence[Verdict], watched: Watched) -> int:
    alerts = tuple(alert for verdict in verdicts for alert in verdict.alerts)
    said = tuple(notification for verdict in verdicts for notification in verdict.notifications)
    if not alerts and not said:
        return 0
    zone, now = here.around.zone, here.now
    in_full = told_in_full(said, here.ledger, here.policies, watched, here.insight, zone=zone, now=now)
    noted = Lagging(here.ledger, here.policies, here.periods[-1]).noted_in(in_full)
    return here.book.commit(Verdict(alerts, noted), here.around.targets, now=now)
