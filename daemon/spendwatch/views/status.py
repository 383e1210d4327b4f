"""The overview of a state by its settings, and whether the daemon runs: what `status` and the page show."""

from __future__ import annotations

from datetime import datetime, tzinfo

from spendwatch.domain.delivery import OPEN
from spendwatch.domain.health import ChannelHealth
from spendwatch.domain.period import BillingPeriod
from spendwatch.jobs.insight import Insight
from spendwatch.jobs.overview import Overview, look
from spendwatch.jobs.overview_json import overview_json
from spendwatch.jobs.running import Running
from spendwatch.settings import Settings
from spendwatch.state import Store


def looked(
    settings: Settings, store: Store, now: datetime, month: BillingPeriod | None = None, insight: Insight | None = None
) -> Overview:
    """Return the overview of a month, by default the current one."""
    return look(
        store.ledger,
        store.book,
        store.health,
        settings.policies,
        settings.stale_after,
        zone=settings.zone,
        now=now,
        period=month,
        types=settings.source_types,
        balances=store.balances,
        insight=insight,
    )


def running_of(settings: Settings, store: Store, now: datetime) -> Running:
    """Return whether the daemon runs, what waits to be sent, and how each channel is."""
    outbox, health, routes = store.outbox, store.health, settings.routes
    known = {one.name: one for one in health.channels()}
    tried = (
        routes.get(name, OPEN).next_attempt(due, loudness, known.get(name), now)
        for (name, loudness), due in outbox.due().items()
    )
    channels = [known.get(name, ChannelHealth(name)) for name in routes]
    first, counts = min(tried, default=None), {key: number for key, number in outbox.counts().items() if key[0] in routes}
    return Running(store.database.is_taken(), health.daemon(), counts, first, outbox.held(), channels)


def status_json(overview: Overview, running: Running, zone: tzinfo) -> dict[str, object]:
    """Return both as JSON values."""
    return {**overview_json(overview, zone), **running.json(overview.as_of, zone)}
