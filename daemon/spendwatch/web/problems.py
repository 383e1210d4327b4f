"""Errors as programs want them: problem details of RFC 9457."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import JSONResponse, Response


class _ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


def problem(status: int, detail: str) -> Response:
    """Return what went wrong."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": int(status), "detail": detail}
    return _ProblemResponse(body, status)
