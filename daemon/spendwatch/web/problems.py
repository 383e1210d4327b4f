"""Errors as programs want them: problem details of RFC 9457."""

from __future__ import annotations

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class _ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


def problem(status: int, detail: str) -> Response:
    """Return what went wrong."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": int(status), "detail": detail}
    return _ProblemResponse(body, status)


async def on_problem(_: Request, error: Exception) -> Response:
    """Answer an error that the application raises."""
    assert isinstance(error, HTTPException)  # noqa: S101 -- it is registered for these
    found = problem(error.status_code, error.detail)
    found.headers.update(error.headers or {})
    return found
