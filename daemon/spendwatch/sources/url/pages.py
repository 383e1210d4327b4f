"""A bill in several pages: every page once, until there is no next one."""

from __future__ import annotations

import hashlib
import json
import re
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit, urlunsplit

from spendwatch.domain.count import counted
from spendwatch.exact_json import parse
from spendwatch.request import HttpAnswer
from spendwatch.sources.trouble import EndpointError, Failure
from spendwatch.sources.url.answers import why_no_bill_of
from spendwatch.sources.url.settings import PagingKind, UrlConfig

MOST_PAGES = 1000
_LINK = re.compile(r'<([^<>]{1,4096})>((?:\s*;\s*[A-Za-z*]+\s*=\s*(?:"[^"]*"|[^\s;,"]+))*)')
_RELATION = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.IGNORECASE)
_NOT_CONTENT = frozenset({"RequestId", "requestId"})


class Pages:
    """Takes the pages one after the other; returns where the next one is, and at the end whether they are one bill."""

    def __init__(self, config: UrlConfig) -> None:
        """Begin with nothing taken."""
        self._config = config
        self._asked = {config.url}
        self._digests: dict[bytes, None] = {}
        self._size = 0
        self._counts: set[int | None] = set()
        self._lines = 0

    @property
    def digest(self) -> str:
        """Of what the pages say, whatever each request was called."""
        return hashlib.sha256(b"".join(self._digests)).hexdigest()

    def take(self, answer: HttpAnswer) -> str:
        """Take a page; return the address of the next one, empty after the last. `EndpointError` when they are no one bill."""
        if why := why_no_bill_of(answer.body):
            raise self._error(Failure.NOT_A_BILL, why)
        self._size += len(answer.body)
        if self._size > self._config.most_bytes:
            raise self._error(Failure.UNEXPECTED, f"its pages are larger than {self._config.most_bytes} bytes together")
        found = parse(answer.body)
        self._note(found)
        following = self._next(found, answer)
        if not following:
            self._check_counts()
        elif following in self._asked:
            raise self._error(Failure.UNEXPECTED, "it names the same next page again")
        elif len(self._digests) == MOST_PAGES:
            raise self._error(Failure.UNEXPECTED, f"more than {MOST_PAGES} pages")
        self._asked.add(following)
        return following

    def _note(self, found: object) -> None:
        content = (
            {name: value for name, value in found.items() if name not in _NOT_CONTENT} if isinstance(found, dict) else found
        )
        digest = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).digest()
        if digest in self._digests:
            raise self._error(Failure.CHANGING, "the same page came twice")
        self._digests[digest] = None
        data = found.get("Data") if isinstance(found, dict) else None
        if isinstance(data, dict) and isinstance(items := data.get("Items"), list):
            count = data.get("TotalCount")
            self._counts.add(count if isinstance(count, int) else None)
            self._lines += len(items)

    def _check_counts(self) -> None:
        """Raise unless as many lines came as every page announced, where pages announce any number."""
        if self._counts - {None} and self._counts != {self._lines}:
            raise self._error(Failure.CHANGING, f"{counted(self._lines, 'line')} arrived, not the announced number")

    def _next(self, found: object, answer: HttpAnswer) -> str:
        if self._config.paging is PagingKind.TOKEN:
            token = _at(found, self._config.token_field)
            if not isinstance(token, str | None):
                raise self._error(Failure.UNEXPECTED, f"{self._config.token_field} is not a token")
            return _with_parameter(self._config.url, self._config.token_parameter, token) if token else ""
        link = _next_link(answer.headers.get("link", ""))
        if not link:
            return ""
        target = urljoin(answer.url, link)
        if urlsplit(target)[:2] != urlsplit(self._config.url)[:2]:
            # Who we are goes with each request: only to the host that was configured.
            raise self._error(Failure.UNEXPECTED, "it names a next page on another host")
        return target

    def _error(self, trouble: Failure, what: str) -> EndpointError:
        return EndpointError(f"{self._config.host}: {what}", trouble)


def _at(found: object, path: str) -> object:
    here = found
    for name in path.split("."):
        here = here.get(name) if isinstance(here, dict) else None
    return here


def _next_link(header: str) -> str:
    for target, parameters in _LINK.findall(header):
        relation = _RELATION.search(parameters)
        if relation and "next" in (relation[1] or relation[2] or "").lower().split():
            return str(target)
    return ""


def _with_parameter(url: str, name: str, value: str) -> str:
    parts = urlsplit(url)
    query = [(known, text) for known, text in parse_qsl(parts.query, keep_blank_values=True) if known != name]
    return urlunsplit(parts._replace(query=urlencode([*query, (name, value)], quote_via=quote)))
