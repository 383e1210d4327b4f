"""Whether a response can be a bill at all: a login page cannot. Does not parse bills."""

from __future__ import annotations

from collections.abc import Mapping

from spendwatch.exact_json import NoJsonError, parse
from spendwatch.sources.download_store import Incoming
from spendwatch.sources.trouble import quoted

_HEAD = 4096
_LARGEST_JSON = 8 << 20
"""A larger document is not inspected here."""
_BLANK = b" \t\r\n\xef\xbb\xbf\x00"
_PAGES = ("text/html", "application/xhtml+xml")
_SAYS_WHY = ("Message", "message", "error_description", "error", "Code", "code")


def why_no_bill(file: Incoming, content_type: str) -> str:
    """Return why the file can be no bill, or an empty text."""
    head = file.read(_HEAD).lstrip(_BLANK)
    if not head:
        return "an empty answer"
    if head.startswith(b"<"):
        return "an HTML or XML page, perhaps of a login"
    if content_type.partition(";")[0].strip().lower() in _PAGES:
        return "it claims to be HTML"
    if head[:1] in {b"{", b"["} and file.size <= _LARGEST_JSON:
        return why_no_bill_of(file.read(file.size))
    return ""


def why_no_bill_of(document: bytes) -> str:
    """Return why a JSON document can be no bill, or an empty text."""
    try:
        found = parse(document)
    except NoJsonError as error:
        return str(error)
    if not found:
        return "an empty answer"
    return _envelope(found) if isinstance(found, dict) else ""


def _envelope(found: Mapping[str, object]) -> str:
    """Return what an error says that comes in place of a bill."""
    has_failed = found.get("Success") is False or found.get("success") is False
    has_data = any(isinstance(value, dict | list) for name, value in found.items() if name not in {"error", "errors"})
    if not has_failed and has_data:
        return ""
    said = next((found[name] for name in _SAYS_WHY if found.get(name)), "")
    return f"an error instead of a bill: {quoted(str(said))}"
