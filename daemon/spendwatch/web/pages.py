"""The pages that people read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from spendwatch.channels.language import Language
from spendwatch.domain.period import BillingPeriod
from spendwatch.jobs.matters import MatterLine
from spendwatch.web import parameters
from spendwatch.web.charts import meter, share_bar
from spendwatch.web.formats import Formats
from spendwatch.web.overview import account_views
from spendwatch.web.parameters import query_of
from spendwatch.web.reading import Reader
from spendwatch.web.rendering import language_of, page, texts

_LANG = parameters.Parameter("lang", str, {}, "")
_LATEST = 3
_ROWS = (30, 1000)
"""So many workspaces are shown at first, and so many at all."""


@dataclass(frozen=True, slots=True)
class Pages:
    """All of them."""

    reader: Reader

    def routes(self) -> list[BaseRoute]:
        """Return their addresses."""
        return [Route("/", self.overview)]

    async def overview(self, request: Request) -> Response:
        """Show how much, where it goes, whether we are about to be cut off, and whether to trust the page."""
        query = query_of(request.query_params, (parameters.MONTH, parameters.EVERYTHING, _LANG))
        month, rows = query["month"], _ROWS[query["all"]]
        return await self._page(request, "overview.html.j2", lambda formats: self._overview(month, formats, rows))

    def _overview(self, month: BillingPeriod | None, formats: Formats, rows: int) -> Mapping[str, Any]:
        reader = self.reader
        overview, running = reader.overview(month)
        known = sorted({period for periods in reader.store.ledger.periods().values() for period in periods} | {overview.period})
        place = known.index(overview.period)
        with reader.store.ledger.snapshot():
            views = list(account_views(overview, reader, formats))
        return {
            "overview": overview,
            "running": running,
            "views": views,
            "rows": rows,
            "matters": [(line, self._matter_text(line, formats)) for line in overview.matters],
            "before": known[place - 1] if place else None,
            "after": known[place + 1] if place + 1 < len(known) else None,
            "latest": reader.store.ledger.statements(_LATEST),
            "held": len(overview.held),
        }

    def _matter_text(self, line: MatterLine, formats: Formats) -> str:
        """Return what there is to say now; in Chinese, what was said last: the lines of commands are in English."""
        if formats.language is Language.EN:
            return line.text
        said = [one for alert in line.alerts for one in self.reader.store.book.notifications_of(alert.id)]
        return formats.said(max(said, key=lambda one: one.created_at)) if said else line.text

    async def _page(self, request: Request, template: str, values: Any) -> Response:  # noqa: ANN401 -- a function of the formats
        language = language_of(request)
        formats = Formats(language, self.reader.settings.zone, texts(language))
        found = await self.reader.read(lambda: values(formats))
        return page(request, template, f=formats, meter=meter, share_bar=share_bar, **found)
