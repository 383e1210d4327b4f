"""The application: its routes, and what guards them."""

from __future__ import annotations

from datetime import UTC
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from spendwatch.app import App
from spendwatch.settings.web_settings import WebPart
from spendwatch.web import api
from spendwatch.web.forms import form_of
from spendwatch.web.guard import Guard
from spendwatch.web.metrics import metrics_route
from spendwatch.web.pages import Pages
from spendwatch.web.probes import probe_routes
from spendwatch.web.problems import problem
from spendwatch.web.reading import Reader
from spendwatch.web.rendering import formats_of, language_of, render, respond, static


def create_app(app: App, web: WebPart) -> Starlette:
    """Return the application that shows what this daemon knows."""
    reader = Reader(app)
    return Starlette(
        routes=[
            Route("/login", _login, methods=["GET", "POST"]),
            Route("/static/{name}", static),
            *api.routes(reader),
            *Pages(reader).routes(),
            metrics_route(reader, app.vitals),
            *probe_routes(app),
        ],
        middleware=[Middleware(Guard, web=web)],
        exception_handlers={HTTPException: _told},
    )


async def _login(request: Request) -> Response:
    """Ask for the token; whoever knows it gets a cookie."""
    guard: Guard = request.state.guard
    formats = formats_of(language_of(request), UTC)
    if request.method != "POST":
        there = _local(request.query_params.get("next", "/"))
        return respond(request, render(request, "login.html.j2", formats, next=there, is_wrong=False))
    form = await form_of(request)
    there = _local(form.get("next", "/"))
    if not guard.accepts(form.get("token", "").strip()):
        return respond(request, render(request, "login.html.j2", formats, next=there, is_wrong=True), HTTPStatus.FORBIDDEN)
    response = RedirectResponse(there, HTTPStatus.SEE_OTHER)
    guard.sign_in(response)
    return response


def _local(place: str) -> str:
    """Return an address of ours; of any other the start."""
    return place if place.startswith("/") and not place.startswith(("//", "/\\")) and place.isprintable() else "/"


async def _told(request: Request, error: Exception) -> Response:
    """Tell people on a page what went wrong, and programs as problem details."""
    assert isinstance(error, HTTPException)  # noqa: S101 -- it is registered for these
    if "text/html" not in request.headers.get("accept", "") or request.url.path.startswith(api.ROOT):
        answer = problem(error.status_code, error.detail)
        answer.headers.update(error.headers or {})
        return answer
    formats = formats_of(language_of(request), UTC)
    return respond(request, render(request, "error.html.j2", formats, detail=error.detail), error.status_code)
