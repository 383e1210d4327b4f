"""The pages that people read, and what they change on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from glob import escape
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from spendwatch.domain.alert import Alert
from spendwatch.domain.delivery import DeliveryId, DeliveryState
from spendwatch.domain.period import BillingPeriod, DaySpan, open_periods, parse_duration
from spendwatch.domain.routing import is_silenced_by, tags_of
from spendwatch.domain.scope import BudgetScope, Dimension
from spendwatch.jobs.matters import MatterLine
from spendwatch.jobs.overview import AccountOverview, BudgetLine
from spendwatch.jobs.spend_report import told_by_several
from spendwatch.letters.language import Language
from spendwatch.views import changes
from spendwatch.views.explanation import explained, figures, heading, held_text, troubles, without_deliveries, words_of
from spendwatch.views.listings import ListedAlerts, ListedDeliveries
from spendwatch.views.policy import policy_json, watched_by
from spendwatch.web import parameters
from spendwatch.web.formats import Formats
from spendwatch.web.forms import form_of
from spendwatch.web.guard import Guard
from spendwatch.web.overview import TOPS, Asked, account_views, course_of
from spendwatch.web.parameters import MOST_ON_PAGE, Parameter, Query, end_of, query_of
from spendwatch.web.reading import Reader
from spendwatch.web.rendering import formats_of, language_of, render, respond

_LANG, _ACCOUNT, _ID = (Parameter(name, str, {}, "") for name in ("lang", "account", "id"))
_LATEST = 3
_REFUSED_FOR = timedelta(days=92)
_LONGEST_COMMENT = 300
_SETTLED = frozenset({DeliveryState.DELIVERED, DeliveryState.CANCELLED})
_Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pages:
    """All of them."""

    reader: Reader

    def routes(self) -> list[BaseRoute]:
        """Return their addresses."""
        listed = (parameters.PAGE_LIMIT, parameters.OFFSET)
        month = (parameters.MONTH, _ACCOUNT, _ID)
        return [
            self._shown("/", "overview", lambda _, *asked: self.overview(*asked), parameters.MONTH, parameters.OFFSET),
            self._shown("/workspace", "part", lambda *asked: self._part("workspace", *asked), *month),
            self._shown("/key", "part", lambda *asked: self._part("api_key", *asked), *month),
            self._shown("/alerts", "alerts", self._alerts, parameters.EVERYTHING, *listed),
            self._shown("/alerts/{alert}", "alert", self._alert),
            self._shown("/bills", "bills", self._bills, *listed),
            self._shown("/deliveries", "deliveries", self._deliveries, parameters.STATE, *listed),
            self._shown("/settings", "settings", self._settings),
            Route("/alerts/{alert}/{what}", self.change_alert, methods=["POST"]),
            Route("/deliveries/{delivery}/retry", self.retry, methods=["POST"]),
        ]

    def _shown(
        self, path: str, template: str, values: Callable[[Request, Query, Formats], _Values], *known: Parameter
    ) -> BaseRoute:
        async def show(request: Request) -> Response:
            query, language = query_of(request.query_params, (*known, _LANG)), language_of(request)
            formats = formats_of(language, self.reader.settings.zone)
            # One overview for all: it has no form in it.
            place = (request.url.query, language) if path == "/" else None

            def make() -> str:
                return render(request, f"{template}.html.j2", formats, query=query, **values(request, query, formats))

            html = self.reader.at_hand(place)
            if html is None:
                html = await self.reader.read(lambda: self.reader.once_a_minute(place, make))
            return respond(request, html)

        return Route(path, show)

    def overview(self, query: Query, formats: Formats, most: int = MOST_ON_PAGE) -> _Values:
        """Return how much, where it goes, whether we are about to be cut off, and whether to trust the page."""
        reader = self.reader
        overview, running = reader.overview(query["month"])
        recorded = {period for periods in reader.store.ledger.periods().values() for period in periods}
        this_month = BillingPeriod.containing(overview.as_of, reader.settings.zone)
        known = sorted(recorded | {overview.period, this_month})
        place = known.index(overview.period)
        with reader.store.ledger.snapshot():
            views = list(account_views(overview, reader, formats))
        rows = max(most // (len(views) or 1), 10)
        longest = max((len(one.workspaces) for one in overview.accounts), default=0)
        return {
            "overview": overview,
            "running": running,
            "views": views,
            "first": min(query["offset"], max(longest - 1, 0) // rows * rows),
            "rows": rows,
            "matters": [(line, self._matter_text(line, formats)) for line in overview.matters[:most]],
            "before": known[place - 1] if place else None,
            "after": known[place + 1] if place + 1 < len(known) else None,
            "latest": reader.store.ledger.statements(_LATEST),
        }

    def _matter_text(self, line: MatterLine, formats: Formats) -> str:
        """Return what there is to say now; in Chinese, what was said last: the lines of commands are in English."""
        if formats.language is Language.EN:
            return line.text
        said = [one for alert in line.alerts for one in self.reader.store.book.notifications_of(alert.id)]
        return formats.said(max(said, key=lambda one: one.created_at)) if said else line.text

    def _part(self, column: str, _: Request, query: Query, formats: Formats) -> _Values:
        """Return how a workspace or a key goes."""
        overview, _running = self.reader.overview(query["month"])
        account = next((one for one in overview.accounts if one.account == query["account"]), None)
        if account is None or query["id"] is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such account")
        is_workspace, value = column == Dimension.WORKSPACE, query["id"]
        line = next((one for one in account.workspaces if is_workspace and one.workspace == value), None)
        policy = next((one for one in self.reader.settings.policies.workspaces if line and one.workspace == value), None)
        asked = Asked(self.reader, overview.period, account, (("account", escape(account.account)), (column, escape(value))))
        with self.reader.store.ledger.snapshot():
            total = asked.query(column).report(DaySpan.of_months(overview.period)).totals.get(account.currency)
            course = course_of(asked, asked.daily(), line, policy.thresholds if policy else (), formats, name="chart")
            tops = list(asked.tops([one for one in (Dimension.WORKSPACE, *TOPS) if one != column]))
        if total is None and line is None:
            raise HTTPException(HTTPStatus.NOT_FOUND, "nothing was charged for it in that month")
        return {
            "overview": overview,
            "account": account,
            "column": column,
            "value": value,
            "name": (line.name if line else "") or self.reader.settings.policies.names.of(Dimension(column), value),
            "line": line,
            "total": total,
            "course": course,
            "tops": tops,
            "budgets": line.budgets if line else tuple(_of_key(account, value)),
            "matters": [
                (one, self._matter_text(one, formats)) for one in overview.matters if _is_about(one, account, column, value)
            ],
        }

    def _alerts(self, _: Request, query: Query, __: Formats) -> _Values:
        listed = ListedAlerts.of(self.reader.store, self.reader.now(), everything=query["all"])
        return {"listed": listed, **_paged(listed.alerts[query["offset"] :], query)}

    def _found(self, request: Request) -> Alert:
        found = self.reader.store.book.find(request.path_params["alert"])
        if len(found) != 1:
            raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such alert")
        return found[0]

    def _alert(self, request: Request, _: Query, formats: Formats) -> _Values:
        """Return what `explain` shows."""
        store, settings, alert = self.reader.store, self.reader.settings, self._found(request)
        found = explained(alert, store, settings, self.reader.now())
        tags = tags_of(settings.policies, alert.key.scope)
        silences = store.book.silences(at=self.reader.now()) if found.decision and alert.is_firing else ()
        words = words_of(alert, found.now, settings, formats.language)
        then, now = dict(figures(found.told, words)) if found.told else {}, dict(figures(found.now, words))
        return {
            "alert": alert,
            "found": found,
            "text": formats.said(found.decision) if found.decision and formats.language is Language.ZH else alert.summary,
            "silences": [one for one in silences if found.decision and is_silenced_by(found.decision, one, tags)],
            "heading": list(heading(found, settings, formats.language)),
            "figures": [(name, (then.get(name, "–"), now.get(name, "–"))) for name in dict.fromkeys((*then, *now))],
            "troubles": list(troubles(found, words)),
            "told": store.book.notifications_of(alert.id)[-MOST_ON_PAGE:],
            "held": [held_text(row, words) for row in found.held],
            "holds": changes.silence_like(alert, who="", now=alert.since, lasts=timedelta(hours=1), comment="").matchers,
            "without": "" if found.deliveries or found.held else without_deliveries(found, words),
        }

    def _bills(self, _: Request, query: Query, __: Formats) -> _Values:
        """Return statements, what was refused, the series of the open months, and what the provider's totals say."""
        reader, now = self.reader, self.reader.now()
        ledger, policies = reader.store.ledger, reader.settings.policies
        months = open_periods(now, reader.settings.zone, final_on=policies.month_final_on)
        return {
            "refusals": ledger.rejections(now - _REFUSED_FOR)[: -MOST_ON_PAGE - 1 : -1],
            "series": list(told_by_several(ledger, policies.products, months)),
            "checks": [check for month in months for check in ledger.checks(month)],
            **_paged(ledger.statements(end_of(query))[query["offset"] :], query),
        }

    def _deliveries(self, _: Request, query: Query, __: Formats) -> _Values:
        states = (query["state"],) if query["state"] else None
        found = ListedDeliveries.of(self.reader.store, self.reader.settings, self.reader.now(), states, end_of(query))
        failing = [one for one in found.channels if one.disabled or one.failing_since]
        values = {"states": list(DeliveryState), "failing": failing, "now": found.now, "next_attempt": found.next_attempt}
        return {**values, **_paged(found.deliveries[query["offset"] :], query)}

    def _settings(self, _: Request, __: Query, ___: Formats) -> _Values:
        settings = self.reader.settings
        return {"policy": policy_json(settings, watched_by(settings.policies, self.reader.store.ledger.names_seen()))}

    async def change_alert(self, request: Request) -> Response:
        """Acknowledge an alert, take that back, or hold the messages of its like for a while."""
        form, reader, who, now = await _own_form(request), self.reader, request.state.user, self.reader.now()
        text = form.get("for", "")
        comment = form.get("comment", "")[:_LONGEST_COMMENT]

        def change() -> None:
            alert, lasts = self._found(request), parse_duration(text) if text else None
            match request.path_params["what"]:
                case "ack":
                    changes.acknowledge(
                        reader.store, [alert], reader.settings.zone, who=who, now=now, lasts=lasts, comment=comment
                    )
                case "unack":
                    changes.take_back(reader.store, [alert], who, now)
                case "silence" if lasts:
                    one = changes.silence_like(alert, who=who, now=now, lasts=lasts, comment=comment)
                    changes.silence(reader.store, one, reader.settings.zone)
                case _:
                    raise HTTPException(HTTPStatus.NOT_FOUND, "nothing like that can be done with an alert")

        await reader.change(change)
        return RedirectResponse(f"/alerts/{request.path_params['alert']}", HTTPStatus.SEE_OTHER)

    async def retry(self, request: Request) -> Response:
        """Send a delivery again now."""
        await _own_form(request)
        reader, which, now = self.reader, DeliveryId(request.path_params["delivery"]), self.reader.now()

        def change() -> None:
            if (state := changes.retry(reader.store, reader.settings, which, now).state) in _SETTLED:
                msg = f"it is {state.value}: only a waiting or dead delivery can be retried"
                raise ValueError(msg)

        await reader.change(change)
        return RedirectResponse("/deliveries", HTTPStatus.SEE_OTHER)


async def _own_form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form that stood on a page of ours."""
    form, guard = await form_of(request), request.state.guard
    assert isinstance(guard, Guard)  # noqa: S101 -- nothing comes past it
    if not guard.is_own_form(request.state.user, form.get("form_token", "")):
        raise HTTPException(HTTPStatus.FORBIDDEN, "this form is too old, or none of ours: open the page again")
    return form


def _paged(found: Any, query: Query) -> _Values:  # noqa: ANN401 -- a sequence of whatever is listed
    """Return a page of a list, and where the next one begins."""
    limit, offset = query["limit"], query["offset"]
    return {"items": found[:limit], "next": offset + limit if len(found) > limit else None, "previous": max(0, offset - limit)}


def _of_key(account: AccountOverview, key: str) -> Iterator[BudgetLine]:
    lines = (*account.budgets, *(one for line in account.workspaces for one in line.budgets))
    return (one for one in lines if one.scope.value == key)


def _is_about(line: MatterLine, account: AccountOverview, column: str, value: str) -> bool:
    scope = line.alerts[0].key.scope
    if not isinstance(scope, BudgetScope) or scope.account != account.account:
        return False
    return scope.workspace == value if column == Dimension.WORKSPACE else scope.value == value
