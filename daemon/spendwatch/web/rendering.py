"""Templates, their texts in two languages, and the files that pages refer to by the hash of their content."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from datetime import tzinfo
from functools import cache
from http import HTTPStatus
from importlib.resources import files

from jinja2 import PackageLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from spendwatch.letters.language import Language
from spendwatch.web.charts import meter, share_bar
from spendwatch.web.formats import Formats
from spendwatch.web.guard import Guard

_LANGUAGE_COOKIE = "spendwatch_language"
_OTHER = {Language.EN: "zh", Language.ZH: "en"}
_TYPES = {"css": "text/css", "js": "text/javascript"}


@cache
def texts(language: Language) -> Mapping[str, str]:
    """Return every text of the pages in a language, by its name."""
    both = tomllib.loads(files("spendwatch.web").joinpath("texts.toml").read_text(encoding="utf-8"))
    return {name: pair[list(Language).index(language)] for name, pair in both.items()}


def language_of(request: Request) -> Language:
    """Return the language that was asked for: by `?lang`, else the one chosen before, else that of the browser."""
    for asked in (request.query_params.get("lang"), request.cookies.get(_LANGUAGE_COOKIE)):
        if asked in set(Language):
            return Language(asked)
    wished = request.headers.get("accept-language", "").lower().lstrip()
    return Language.ZH if wished.startswith("zh") else Language.EN


def formats_of(language: Language, zone: tzinfo) -> Formats:
    """Return how a reader of that language reads."""
    return Formats(language, zone, texts(language))


def fill(template: str, formats: Formats, **values: object) -> str:
    """Return a page; `css`: its style is within it, and it is to be read on its own."""
    known = {"f": formats, "t": formats.texts, "language": formats.language.value, "static": static_names()}
    charts = {"meter": meter, "share_bar": share_bar}
    return _environment().get_template(template).render({"css": "", **known, **charts, **values})


def render(request: Request, template: str, formats: Formats, **values: object) -> str:
    """Return a page that answers a request."""
    guard: Guard = request.state.guard
    switch = request.url.include_query_params(lang=_OTHER[formats.language]).query
    token = guard.form_token(request.state.user)
    return fill(template, formats, form_token=token, path=request.url.path, switch=switch, **values)


def respond(request: Request, html: str, status: int = 200) -> Response:
    """Return the answer with a page; a language that was asked for is remembered."""
    response = HTMLResponse(html, status)
    if request.query_params.get("lang") in set(Language):
        response.set_cookie(_LANGUAGE_COOKIE, language_of(request).value, max_age=31_536_000, httponly=True, samesite="strict")
    return response


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=PackageLoader("spendwatch.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


@cache
def _static() -> Mapping[str, tuple[str, bytes]]:
    """Return the content of each file by the name under which it is served, behind the name by which templates know it."""
    found = {}
    for file in sorted(files("spendwatch.web").joinpath("static").iterdir(), key=lambda one: one.name):
        stem, _, ending = file.name.rpartition(".")
        content = file.read_bytes()
        found[f"{stem}.{hashlib.sha256(content).hexdigest()[:16]}.{ending}"] = (file.name, content)
    return found


def static_names() -> Mapping[str, str]:
    """Return under which address each file is served."""
    return {name: f"/static/{served}" for served, (name, _) in _static().items()}


def static_content(name: str) -> str:
    """Return the text of a file."""
    return next(content.decode() for known, content in _static().values() if known == name)


async def static(request: Request) -> Response:
    """Serve a file; its name changes with its content, so that browsers may keep it."""
    name = request.path_params["name"]
    found = _static().get(name)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such file")
    kind = _TYPES[name.rpartition(".")[2]]
    return Response(found[1], media_type=kind, headers={"cache-control": "public, max-age=31536000, immutable"})
