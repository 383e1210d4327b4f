"""From the ledger to the outbox."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from spendwatch.domain.alert import AlertsKnown
from spendwatch.domain.balance_watch import BalanceWatch
from spendwatch.domain.delivery import Reason
from spendwatch.domain.forecast_alerts import Foretold
from spendwatch.domain.health import Freshness
from spendwatch.domain.notification import Message, Notification
from spendwatch.domain.period import BillingPeriod, open_periods
from spendwatch.domain.policy import ChannelName, Policies, Watch
from spendwatch.domain.review import NO_VERDICT, Condition, Verdict, expire, one_message_per_matter, review_conditions
from spendwatch.domain.routing import FOLLOW_UP, Routing, request_actions, route, tags_of
from spendwatch.domain.scope import AlertScope
from spendwatch.domain.standing import Standing
from spendwatch.domain.thresholds import threshold_conditions
from spendwatch.jobs.balance_conditions import judge_balances
from spendwatch.jobs.balances import survey
from spendwatch.jobs.bill_conditions import LATE_WATCHED, bill_conditions, late_periods
from spendwatch.jobs.closings import closing_conditions
from spendwatch.jobs.conditions import Surroundings, foreign_conditions, health_conditions, ways_now
from spendwatch.jobs.days_and_weeks import ShortStandings, kinds_of, open_labels, stand_short
from spendwatch.jobs.enrichment import Watched, enriched
from spendwatch.jobs.forecasts import foresee, watched_for_forecasts
from spendwatch.jobs.insight import Insight
from spendwatch.jobs.ledger_view import LedgerView
from spendwatch.jobs.month_close import month_close_conditions
from spendwatch.jobs.novelty_conditions import Learning, learning, novelty_conditions
from spendwatch.jobs.ports import AlertBook, Balances, Health, Ledger
from spendwatch.jobs.spikes import spike_conditions, watched_for_spikes
from spendwatch.jobs.standings import stand
from spendwatch.lean import without_collecting

_FEW = 500
"""For so many budgets the run rate is computed before notifications, so that each message can show a forecast."""


@without_collecting()
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

    All is judged by one state of the ledger. Where there are very many budgets, what holds now is committed first, then what
    is only foreseen. Without `balances` no balance is known but what is configured, and nothing is foreseen; `insight` spares
    reading again what did not change since the last round.
    """
    insight = insight or Insight()
    with LedgerView.opened(ledger, insight.kept) as view:
        periods = open_periods(now, around.zone, final_on=around.policies.month_final_on)
        fresh = Freshness(now, around.stale_after, health.account_bills())
        here = _Round(view, around, fresh, balances, insight, insight.alerts(book), periods)
        judged = _judge(here, health, book)
    # What is to be remembered is written down before what follows from it: after a crash between, it follows again.
    if judged.looks and balances:
        balances.remember(judged.looks)
    if judged.short.begun and balances:
        balances.watch_since(judged.short.begun)
    if judged.learning.new or judged.learning.given_up:
        ledger.learn(judged.learning.new, judged.learning.given_up)
    routed = _routed(here, judged.verdict, book, book.waiting(due=now))
    if judged.foreseen is None:
        new = book.commit(routed, around.targets, now=now) + _foresee_many(here, judged, ledger, book)
    else:
        new = _commit_foreseen(here, routed, judged.foreseen, book)
    insight.judged_days = judged.short.judged
    insight.closed_by, insight.closed_in = around.policies, periods
    return new


@dataclass(frozen=True, slots=True)
class _Round:
    """What one round is about."""

    view: LedgerView
    around: Surroundings
    fresh: Freshness
    balances: Balances | None
    insight: Insight
    known: AlertsKnown
    periods: Sequence[BillingPeriod]

    @property
    def now(self) -> datetime:
        """When it began."""
        return self.fresh.now

    @property
    def policies(self) -> Policies:
        """What is wanted."""
        return self.around.policies

    @property
    def ground(self) -> tuple[int, BillingPeriod, Policies]:
        """What forecasts rest on."""
        return self.view.revision, self.periods[-1], self.policies

    def short_standings(self) -> ShortStandings:
        """Return how budgets for days and weeks stand that are to be judged."""
        if not kinds_of(self.policies):
            return ShortStandings()
        since = self.balances.watched_since() if self.balances else {}
        last = self.insight.judged_days
        return stand_short(self.view, self.policies, self.periods, self.known, since=since, last=last, now=self.now)

    def compares(self, standings: Sequence[Standing], watched: Watched) -> bool:
        """Return whether forecasts and spikes are to be judged: not where nothing has changed since that was done last."""
        if self.insight.foreseen == self.ground:
            return False
        foresees = self.balances is not None and bool(watched_for_forecasts(standings))
        return foresees or bool(watched_for_spikes(watched.values()))

    def compare(
        self, view: LedgerView, standings: Sequence[Standing], watched: Watched
    ) -> tuple[Sequence[Condition], Foretold]:
        """Return what is foreseen of this month, and the spikes of the last days, by the run rates at hand."""
        held = self.balances.foretold() if self.balances else {}
        paces, zone, known = self.insight.paces, self.around.zone, self.known
        month = self.periods[-1]
        ahead, foretold = foresee(standings, paces, known, held, self.fresh, month=month, zone=zone)
        of_spikes = watched_for_spikes(watched.values())
        spikes = spike_conditions(view, self.policies, of_spikes, paces, known, periods=self.periods, zone=zone, now=self.now)
        return (*ahead, *spikes), foretold


@dataclass(frozen=True, slots=True)
class _Judged:
    """What follows from one round, apart from what is only foreseen."""

    verdict: Verdict
    looks: Sequence[BalanceWatch]
    """What is to be remembered of the balances."""
    learning: Learning
    standings: Sequence[Standing]
    """Those of the current month, and before them those of months that may still change."""
    watched: Watched
    foreseen: Foretold | None
    """What forecasts reach, to be remembered; None where they were not judged."""
    short: ShortStandings
    """Those of days and weeks that may be new."""


def _judge(here: _Round, health: Health, book: AlertBook) -> _Judged:
    view, around, policies, now = here.view, here.around, here.policies, here.now
    conditions: list[Condition] = []
    late = view.ledger.late(now - LATE_WATCHED)
    judged = (*(period for period in late_periods(late) if period not in here.periods), *here.periods)
    watched: dict[AlertScope, Watch] = {}
    standings: list[Standing] = []
    for period in judged:
        of_period = stand(view, policies, period, here.known.scopes(period.label))
        watched |= {standing.watch.scope: standing.watch for standing in of_period}
        for standing in of_period:
            conditions += threshold_conditions(standing, here.known)
        conditions += foreign_conditions(of_period)
        standings += of_period
    short = here.short_standings()
    for standing in short.standings:
        conditions += threshold_conditions(standing, here.known)
    told = watched | {standing.watch.scope: standing.watch for standing in short.standings}
    conditions += health_conditions(health, view, around, here.known, here.fresh)
    conditions += bill_conditions(view, late, policies, here.periods, sources=around.stale_after, now=now)
    conditions += novelty_conditions(view, policies, here.known, here.periods, now=now)
    # While bills are being entered, more of the same import may follow: all of it is learnt together.
    learns = Learning() if around.is_amid else learning(view, policies, around.zone)
    conditions += month_close_conditions(view, policies, here.known, zone=around.zone, now=now)
    surveyed = survey(policies, view, here.balances, here.insight.paces, here.periods, zone=around.zone, now=now)
    found, looks = judge_balances(surveyed, policies, here.insight.paces, here.known, here.fresh, zone=around.zone)
    conditions += found
    foreseen: Foretold | None = None
    if len(watched) <= _FEW:
        here.insight.paces.look(view, policies, watched.values(), around.zone)
        if here.compares(standings, watched):
            compared, foreseen = here.compare(view, standings, watched)
            conditions += compared
    months = frozenset(period.label for period in judged)
    was_closed = here.insight.closed_by is policies and here.insight.closed_in == here.periods
    if around.is_complete and not was_closed:
        conditions += closing_conditions(book, here.known, conditions, watched, months)
    labels = open_labels(now) | months
    over = expire(here.known, conditions, labels, now=now)
    return _Judged(_in_full(here, view, conditions, told, over), looks, learns, standings, watched, foreseen, short)


def _foresee_many(here: _Round, judged: _Judged, ledger: Ledger, book: AlertBook) -> int:
    """Judge the forecasts of very many budgets behind everything else, unless that was done just now."""
    insight = here.insight
    if len(judged.watched) <= _FEW or not insight.is_rested(here.now):
        return 0
    with LedgerView.opened(ledger, insight.kept) as view:
        if view.revision != here.view.revision:
            return 0  # who recorded a bill meanwhile starts a round of its own
        insight.paces.look(view, here.policies, judged.watched.values(), here.around.zone)
        if not here.compares(judged.standings, judged.watched):
            return 0
        compared, foreseen = here.compare(view, judged.standings, judged.watched)
        verdict = _in_full(here, view, compared, judged.watched)
    return _commit_foreseen(here, _routed(here, verdict, book), foreseen, book)


def _commit_foreseen(here: _Round, verdict: Verdict, foreseen: Foretold, book: AlertBook) -> int:
    if here.balances and foreseen != here.balances.foretold():
        here.balances.foretell(foreseen)
    new = book.commit(verdict, here.around.targets, now=here.now)
    here.insight.foreseen = here.ground
    return new


def _in_full(
    here: _Round, view: LedgerView, conditions: Sequence[Condition], watched: Watched, over: Verdict = NO_VERDICT
) -> Verdict:
    """Judge the conditions; return what follows, with all figures, and `over`, what ends without a word."""
    merged = one_message_per_matter(review_conditions(conditions, here.known, now=here.now))
    zone, paces = here.around.zone, here.insight.paces
    in_full = enriched(merged.notifications, view, here.policies, watched, paces, fresh=here.fresh, zone=zone)
    return Verdict(merged.alerts, in_full) + over


def _routed(here: _Round, verdict: Verdict, book: AlertBook, waiting: Sequence[Message] = ()) -> Verdict:
    """Return the verdict with what waits, and with what comes as digests instead; `waiting`: what has waited so far."""
    around, now = here.around, here.now
    if not verdict.notifications and not waiting:
        return verdict
    # The word about an end is for all who heard of the alert, if they would not hear of it now, too.
    said_now = (*verdict.notifications, *(said for said, _ in waiting))
    found = book.heard({said.alert for said in said_now if said.reason is Reason.RESOLVED})
    heard = {alert: sorted(names.intersection(around.targets)) for alert, names in found.items()}

    def with_all_who_heard(said: Notification, names: Sequence[ChannelName]) -> tuple[ChannelName, ...]:
        return tuple(dict.fromkeys((*names, *(heard.get(said.alert, ()) if said.reason is Reason.RESOLVED else ()))))

    def ways(said: Notification) -> Collection[ChannelName]:
        return with_all_who_heard(said, ways_now(said, around) if around.is_complete else said.channels)

    told = (replace(said, channels=with_all_who_heard(said, said.channels)) for said in verdict.notifications)
    verdict = replace(verdict, notifications=tuple(told))
    routing = Routing(
        routes=around.routes,
        silences=book.silences(at=now),
        waiting=waiting,
        digested=book.digested(now - 2 * FOLLOW_UP),
        follow_up=around.follow_up,
        gathering=around.gathering,
        tags=partial(tags_of, here.policies),
        ways=ways,
    )
    firing = {alert.id for alert in here.known.firing()} - {alert.id for alert in verdict.alerts}
    actions = request_actions(verdict, here.policies, routing, here.known, now=now)
    return route(verdict, routing, firing | {alert.id for alert in verdict.alerts if alert.is_firing}, now=now) + actions
