"""An answer before it is taken: whether it can be a bill at all, as a login page cannot, and what its file is called.

Does not parse bills. The name is the endpoint's, in plain characters, because some layouts depend on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.message import Message
from urllib.parse import unquote, urlsplit

from spendwatch.domain.statement import SourceName
from spendwatch.exact_json import NoJsonError, parse
from spendwatch.sources.download_store import Incoming
from spendwatch.sources.trouble import quoted

_HEAD = 4096
_LARGEST_JSON = 8 << 20
"""A larger document is not inspected here."""
_BLANK = b" \t\r\n\xef\xbb\xbf\x00"
_PAGES = ("text/html", "application/xhtml+xml")
_SAYS_WHY = ("Message", "message", "error_description", "error", "Code", "code")
_SUFFIXES = (".csv", ".zip", ".json", ".xlsx", ".gz")
_LONGEST = 150
"""Bytes of a name that a file system can hold with everything that is added to it later."""
_LONGEST_SUFFIX = 8
_PLAIN = frozenset("._-()")


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


def file_name(headers: Mapping[str, str], url: str, source: SourceName, head: bytes, stamp: str) -> str:
    """Return a name for the file; it holds no separator, whatever the endpoint says. `stamp` is the time in a name of ours."""
    said = _disposition(headers.get("content-disposition", ""))
    # The end of a path may be a secret; one that looks like a file is a file.
    last = unquote(urlsplit(url).path).rpartition("/")[2]
    for name in (said, last if last.lower().endswith(_SUFFIXES) else ""):
        if plain := _plainly(name):
            return plain if plain.lower().endswith(_SUFFIXES) else f"{plain}{_suffix(head)}"
    return f"{_plainly(source)}_{stamp}{_suffix(head)}"


def _disposition(text: str) -> str:
    message = Message()
    message["content-disposition"] = text.replace("\r", "").replace("\n", "")
    try:
        return message.get_filename() or ""
    except (LookupError, ValueError, UnicodeError):  # an unknown charset
        return ""


def _plainly(name: str) -> str:
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(char if char.isalnum() or char in _PLAIN else "_" for char in last).lstrip(".")
    stem, dot, suffix = shown.rpartition(".")
    if not dot or len(suffix) > _LONGEST_SUFFIX:
        stem, suffix = shown, ""
    begin = stem.encode()[:_LONGEST].decode(errors="ignore")
    return f"{begin}{dot if suffix else ''}{suffix}"


def _suffix(head: bytes) -> str:
    if head.startswith(b"PK"):
        return ".zip"
    return ".json" if head.lstrip()[:1] in {b"{", b"["} else ".csv"
