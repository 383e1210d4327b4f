"""Who may read the page and change something: host names, origins, tokens, proxies; and what browsers may do with it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from http import HTTPStatus
from urllib.parse import quote, urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spendwatch.addresses import Reach, address_in
from spendwatch.settings.web_settings import WebPart
from spendwatch.web.problems import problem

log = structlog.get_logger("spendwatch")

USER = "web"
"""Who changes something where nobody has a name."""

COOKIE = "spendwatch_session"
SESSION_LASTS = 12 * 3600
PROBES = frozenset({"/healthz", "/readyz"})
"""They tell nothing but that we live, and are called by address."""

_READING = frozenset({"GET", "HEAD"})
_OPEN = ("/login", "/static/")
_MOST_FAILURES, _PAUSE = 10, 60.0
"""After so many wrong tokens none is looked at for so many seconds."""
_MOST_USER = 100

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "interest-cohort=()",
}


class Guard:
    """Lets through what may pass, and marks each answer. The user's name is put into the request's state."""

    def __init__(self, app: ASGIApp, *, web: WebPart, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Guard that application by these settings."""
        self._app = app
        self._web = web
        self._monotonic = monotonic
        self._token = web.token.get_secret_value().strip() if web.token else ""
        self._key = secrets.token_bytes(32)
        self._failures: list[float] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            return
        request = Request(scope)
        scope.setdefault("state", {})["guard"] = self
        refusal, is_begun = self._refusal(request), False

        async def marked(message: Message) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                is_begun = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            await (refusal or self._app)(scope, receive, marked)
        except Exception:
            log.exception("web_failed", path=request.url.path)
            if is_begun:
                raise
            await problem(HTTPStatus.INTERNAL_SERVER_ERROR, "see the log of the daemon")(scope, receive, marked)

    def _refusal(self, request: Request) -> Response | None:
        headers, path = request.headers, request.url.path
        if path not in PROBES and _host_of(headers) not in self._web.hosts:
            detail = "this name is not ours; add it to web.allow_hosts, or set web.public_url"
            return problem(HTTPStatus.MISDIRECTED_REQUEST, detail)
        if request.method not in _READING and not self._is_own_origin(headers):
            return problem(HTTPStatus.FORBIDDEN, "the request comes from another page")
        user = self._user(request)
        request.scope["state"]["user"] = user or USER
        if user is not None or path in PROBES or path.startswith(_OPEN):
            return None
        wants_page = request.method in _READING and "text/html" in headers.get("accept", "")
        if wants_page and self._token:
            here = path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/login?next={quote(here, safe='')}", HTTPStatus.SEE_OTHER)
        refused = problem(HTTPStatus.UNAUTHORIZED, "send the token as `Authorization: Bearer …`, or sign in at /login")
        refused.headers["www-authenticate"] = "Bearer"
        return refused

    def _is_own_origin(self, headers: Headers) -> bool:
        """Return whether a change comes from our own page, or from a program: browsers always say from where."""
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}
        own = {f"http://{headers['host']}", f"https://{headers['host']}", self._web.public_url}
        return origin in own

    def _user(self, request: Request) -> str | None:
        """Return who asks; None where nobody may know."""
        if self._web.is_open:
            return USER
        headers = request.headers
        peer = address_in(request.client.host) if request.client else None
        if peer is not None and Reach(tuple(self._web.trusted_proxies)).is_listed(peer):
            named = headers.get(self._web.user_header or "", "").strip()
            if named and named.isprintable():
                return named[:_MOST_USER]
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.accepts(given.strip()):
            return USER
        return USER if self._token and self._is_session(request.cookies.get(COOKIE, "")) else None

    def accepts(self, token: str) -> bool:
        """Return whether it is the token, in a time that tells nothing of it; after too many wrong ones none is."""
        now = self._monotonic()
        self._failures = [at for at in self._failures if now - at < _PAUSE]
        if not self._token or len(self._failures) >= _MOST_FAILURES:
            return False
        if hmac.compare_digest(token.encode(errors="replace"), self._token.encode()):
            return True
        self._failures.append(now)
        return False

    def sign_in(self, response: Response) -> None:
        """Let the browser be known from now on. The cookie is none of other pages, nor of scripts."""
        until = str(int(self._monotonic()) + SESSION_LASTS)  # by the clock that nobody sets; the key lives no longer than we do
        is_secure = (self._web.public_url or "").startswith("https://")
        response.set_cookie(
            COOKIE,
            f"{until}.{self._signed('session', until)}",
            max_age=SESSION_LASTS,
            httponly=True,
            samesite="strict",
            secure=is_secure,
        )

    def _is_session(self, cookie: str) -> bool:
        until, _, signature = cookie.partition(".")
        if not (until.isascii() and until.isdigit()) or int(until) < self._monotonic():
            return False
        return hmac.compare_digest(signature.encode(errors="replace"), self._signed("session", until).encode())

    def form_token(self, user: str) -> str:
        """Return what a form of that user must bring along: another page cannot know it."""
        return self._signed("form", user)

    def is_own_form(self, user: str, token: str) -> bool:
        """Return whether a form was on a page of ours."""
        return hmac.compare_digest(token.encode(errors="replace"), self.form_token(user).encode())

    def _signed(self, purpose: str, text: str) -> str:
        message = f"{purpose}\0{text}\0{self._token}"
        return hmac.new(self._key, message.encode(), hashlib.sha256).hexdigest()


def _host_of(headers: Headers) -> str:
    """Return the name by which we are called, without the port."""
    host = headers.get("host", "").lower()
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
    return f"[{name}]" if ":" in name else name
