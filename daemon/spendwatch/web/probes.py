"""Probes of orchestrators, and a reload over HTTP. Probes need no token, so they name no account, source or path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from spendwatch.app import App
from spendwatch.web.problems import problem


def probe_routes(app: App) -> list[Route]:
    """Return the addresses of the probes and of the reload."""

    def stuck() -> Sequence[str]:
        return sorted({task.partition(":")[0] for task in app.vitals.late()})

    def unready() -> Sequence[str]:
        reasons = [f"no progress: {task}" for task in stuck()]
        reasons += ["the ledger cannot be used"] if app.alarm.trouble else []
        done = app.vitals.jobs.get("assess")
        return [*reasons, *([] if done and done.succeeded_at else ["nothing was evaluated yet"])]

    async def reload(_: Request) -> Response:
        await app.vitals.reload()
        if mistakes := [str(mistake) for mistake in app.config_mistakes]:
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(mistakes))
        return JSONResponse({"status": "reloaded"})

    return [
        Route("/healthz", _probe(lambda: [f"no progress: {task}" for task in stuck()])),
        Route("/readyz", _probe(unready)),
        Route("/-/reload", reload, methods=["POST"]),
    ]


def _probe(reasons: Callable[[], Sequence[str]]) -> Callable[[Request], object]:
    async def probe(_: Request) -> Response:
        found = list(reasons())
        status = HTTPStatus.SERVICE_UNAVAILABLE if found else HTTPStatus.OK
        return JSONResponse({"status": "unavailable" if found else "ok", "reasons": found}, status)

    return probe
