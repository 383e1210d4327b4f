"""The API: what commands print with `--json`, by the same adapters, and the document that describes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from itertools import islice
from typing import NamedTuple

from pydantic_core import PydanticSerializationError, to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from spendwatch import __version__
from spendwatch.bills.cells import guarded
from spendwatch.domain.period import DaySpan
from spendwatch.exact_json import json_value
from spendwatch.jobs import spend_report
from spendwatch.jobs.spend_report import MONTHS, SpendQuery, report_csv, report_json
from spendwatch.views.listings import ListedAlerts, ListedDeliveries, entered_json
from spendwatch.views.status import status_json
from spendwatch.web import parameters
from spendwatch.web.parameters import Parameter, Query, end_of, query_of
from spendwatch.web.reading import Reader

ROOT = "/api/v1"
_Answer = Mapping[str, object] | str
"""A document, or CSV."""


class _Endpoint(NamedTuple):
    name: str
    what: str
    parameters: Sequence[Parameter]
    answer: Callable[[Reader, Query], _Answer]
    """Called in a thread."""
    is_list: bool = False
    has_csv: bool = False


def _status(reader: Reader, query: Query) -> _Answer:
    return status_json(*reader.overview(query["month"]), reader.settings.zone)


def _report(reader: Reader, query: Query) -> _Answer:
    settings, now, month = reader.settings, reader.now(), query["month"]
    if month and (query["from"] or query["to"]):
        raise HTTPException(HTTPStatus.BAD_REQUEST, "give either month, or from and to")
    today, columns = now.astimezone(settings.zone).date(), query["by"]
    try:
        months = MONTHS if spend_report.MONTH in columns else 1
        span = DaySpan.asked(month, query["from"], query["to"], today, months=months)
    except ValueError as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"from: {error}") from None
    products = None if query["all_products"] else settings.policies.products
    with reader.store.ledger.snapshot():
        asked = SpendQuery(reader.store.ledger, settings.policies, settings.zone, products, columns, query["where"])
        found = asked.report(span)
    if query["format"] == "csv":
        return report_csv(found, guarded)
    return {"schema_version": 1, "as_of": json_value(now, settings.zone), **report_json(found)}


def _alerts(reader: Reader, query: Query) -> _Answer:
    found, zone = ListedAlerts.of(reader.store, reader.now(), everything=query["all"]), reader.settings.zone
    return _listed("alerts", [found.json(alert, zone) for alert in islice(found.alerts, query["offset"], end_of(query))])


def _statements(reader: Reader, query: Query) -> _Answer:
    found = reader.store.ledger.statements(end_of(query))[query["offset"] :]
    return _listed("statements", [entered_json(one, reader.settings.zone) for one in found])


def _deliveries(reader: Reader, query: Query) -> _Answer:
    states = (query["state"],) if query["state"] else None
    found = ListedDeliveries.of(reader.store, reader.settings, reader.now(), states, end_of(query))
    return _listed("deliveries", [found.json(one, reader.settings.zone) for one in found.deliveries[query["offset"] :]])


def _listed(name: str, found: Sequence[object]) -> _Answer:
    return {"schema_version": 1, name: found}


_PAGES = (parameters.LIMIT, parameters.OFFSET)
_SPAN = (parameters.MONTH, parameters.FIRST, parameters.LAST)
_REPORT = (*_SPAN, parameters.BY, parameters.WHERE, parameters.ALL_PRODUCTS, parameters.FORMAT)
ENDPOINTS = (
    _Endpoint("status", "Spend and budgets, balances, alerts, sources.", (parameters.MONTH,), _status),
    _Endpoint("report", "Spend by any columns, beside the period before.", _REPORT, _report, has_csv=True),
    _Endpoint("alerts", "Firing alerts, or all.", (parameters.EVERYTHING, *_PAGES), _alerts, is_list=True),
    _Endpoint("statements", "Recorded bills, the latest first.", _PAGES, _statements, is_list=True),
    _Endpoint("deliveries", "Deliveries, the latest first.", (parameters.STATE, *_PAGES), _deliveries, is_list=True),
)


def routes(reader: Reader) -> list[BaseRoute]:
    """Return the addresses of the API."""
    return [
        Route(f"{ROOT}/openapi.json", _described),
        *(Route(f"{ROOT}/{one.name}", _answering(one, reader)) for one in ENDPOINTS),
    ]


def _answering(endpoint: _Endpoint, reader: Reader) -> Callable[[Request], object]:
    async def answer(request: Request) -> Response:
        query = query_of(request.query_params, endpoint.parameters)
        found = await reader.read(lambda: endpoint.answer(reader, query))
        if isinstance(found, str):
            name = f'attachment; filename="spendwatch-{endpoint.name}.csv"'
            return Response(found, media_type="text/csv", headers={"content-disposition": name})
        headers = {}
        if endpoint.is_list:
            (items,) = (one for one in found.values() if isinstance(one, list))
            if len(items) > query["limit"]:
                del items[query["limit"] :]
                there = request.url.include_query_params(offset=query["offset"] + query["limit"])
                headers["link"] = f'<{there.path}?{there.query}>; rel="next"'
        return Response(_written(found), media_type="application/json", headers=headers)

    return answer


def _written(document: object) -> bytes:
    try:
        return to_json(document)
    except PydanticSerializationError:  # a file name that is no UTF-8
        return json.dumps(document).encode()


async def _described(_: Request) -> Response:
    """Return the OpenAPI document."""
    return JSONResponse(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "spendwatch",
                "version": __version__,
                "description": "What `spendwatch … --json` prints. Amounts are strings.",
            },
            "servers": [{"url": ROOT}],
            "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
            "security": [{"token": []}, {}],
            "paths": {f"/{one.name}": {"get": _operation(one)} for one in ENDPOINTS},
        }
    )


def _operation(endpoint: _Endpoint) -> dict[str, object]:
    document = {"type": "object", "required": ["schema_version"], "properties": {"schema_version": {"const": 1}}}
    if endpoint.is_list:
        document["required"] = ["schema_version", endpoint.name]
        document["properties"] = {"schema_version": {"const": 1}, endpoint.name: {"type": "array", "items": {"type": "object"}}}
    content: dict[str, object] = {"application/json": {"schema": document}}
    content |= {"text/csv": {"schema": {"type": "string"}}} if endpoint.has_csv else {}
    problem = {"application/problem+json": {"schema": {"type": "object", "required": ["title", "status", "detail"]}}}
    causes = {"400": "A parameter is wrong.", "401": "A token is needed.", "503": "The ledger cannot be read."}
    return {
        "operationId": endpoint.name,
        "summary": endpoint.what,
        "parameters": [one.described() for one in endpoint.parameters],
        "responses": {
            "200": {"description": "As the command prints it.", "content": content},
            **{code: {"description": what, "content": problem} for code, what in causes.items()},
        },
    }
