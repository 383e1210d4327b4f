"""Pings a monitoring service in the manner of healthchecks.io, so that somebody else notices when we are dead or stuck."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

import structlog

from spendwatch.domain.errors import ForbiddenAddressError, UnreachableError
from spendwatch.request import HttpPoster

log = structlog.get_logger("spendwatch")

EVERY = timedelta(seconds=2)
"""How often to look whether a ping is due; a change from good to bad, or back, does not wait."""
_DEADLINE = timedelta(seconds=10)
_RETRY = 15.0
"""Seconds between attempts while a ping does not arrive."""
_REASON = 1000
_GOOD = range(200, 300)


class Pings:
    """What was pinged last, and why that failed. A ping that fails is logged and repeated; nothing depends on it."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Nothing was pinged yet."""
        self._monotonic = monotonic
        self._last = ("", -math.inf)
        self._not_before = -math.inf
        self._is_started = False
        self.trouble = ""
        """Why the last ping failed; empty when it arrived."""

    async def ping(self, client: HttpPoster, url: str, every: timedelta, *, failing: str, is_proven: bool) -> None:
        """Say `start` once, then `fail` with the reason, or success as soon as all jobs have done a round."""
        now = self._monotonic()
        if now < self._not_before:
            return
        if not self._is_started:
            self._is_started = await self._send(client, url, "/start", "")
        kind = "/fail" if failing else ""
        if not self._is_started or not (failing or is_proven):
            return
        before, at = self._last
        is_due = (at == -math.inf) or kind != before or now - at >= every.total_seconds()
        if is_due and await self._send(client, url, kind, failing):
            self._last = kind, now

    async def _send(self, client: HttpPoster, url: str, kind: str, reason: str) -> bool:
        parts = urlsplit(url)
        place = parts._replace(path=parts.path.rstrip("/") + kind).geturl()
        headers = {"content-type": "text/plain; charset=utf-8"}
        try:
            answer = await client.post(place, content=reason[:_REASON].encode(), headers=headers, deadline=_DEADLINE)
            why = "" if answer.status in _GOOD else f"{parts.hostname}: HTTP {answer.status}"
        except (UnreachableError, ForbiddenAddressError) as error:
            why = str(error)
        if why and why != self.trouble:
            log.warning("heartbeat_ping_failed", why=why)
        elif self.trouble and not why:
            log.info("heartbeat_ping_works_again")
        self.trouble = why
        self._not_before = self._monotonic() + _RETRY if why else -math.inf
        return not why
