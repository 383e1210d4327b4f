"""The text of a notification in one language: subject, one line, plain text and HTML."""

from __future__ import annotations

import re
from datetime import tzinfo
from functools import cache
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

from spendwatch.domain.notification import Notification
from spendwatch.letters.advice import how_to_stop
from spendwatch.letters.head import SUBJECT_LENGTH
from spendwatch.letters.language import Language
from spendwatch.letters.letter import compose
from spendwatch.letters.parts import Letter, clean
from spendwatch.letters.words import Words

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_LINE = 76
_BAR = 16
_WHOLE = re.compile(r"\b(?:[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])|[0-9]+ (?:d|h|min|s)\b|[A-Z]{3} [0-9,]+\.[0-9]{2}\b)", re.ASCII)
_WORD = r"(?:[^\s\u1100-\uffef]+|[\u1100-\uffef])[，。；：、！？）”」·]*\s*|\s+"


class Wording:
    """Puts notifications into words of one language; moments are shown as clocks in `zone` show them."""

    def __init__(self, language: Language, zone: tzinfo) -> None:
        """Choose language and zone."""
        self._language = language
        self._zone = zone
        self._composed: tuple[Notification, Letter] | None = None
        """The last one: its subject, text and page are asked for one after the other."""

    def subject(self, notification: Notification) -> str:
        """Return the whole matter in one line: at most 120 characters, nothing in it that could end a header."""
        return clean(self._own("subject", notification), SUBJECT_LENGTH) or self._built_in(notification).subject

    def text(self, notification: Notification) -> str:
        """Return the plain text."""
        return self._own("text", notification) or self._fill("letter.txt.j2", notification)

    def html(self, notification: Notification) -> str:
        """Return the same as an HTML page that shows without pictures, scripts or anything from outside."""
        return self._own("html", notification) or self._fill("letter.html.j2", notification)

    def brief(self, notification: Notification) -> str:
        """Return a short block for a screen."""
        return self._own("text", notification) or self._fill("brief.txt.j2", notification)

    def letter(self, notification: Notification) -> Letter:
        """Return its parts, for layouts of their own."""
        return self._built_in(notification)

    def steps(self, notification: Notification) -> list[str]:
        """Return the provider's steps to stop what was charged."""
        return list(how_to_stop(Words(notification, self._language, self._zone)))

    def _own(self, what: str, notification: Notification) -> str:
        """Return what an operator's own template makes of it; empty where there is none."""
        del what, notification
        return ""

    def _built_in(self, notification: Notification) -> Letter:
        if (last := self._composed) is None or last[0] is not notification:
            self._composed = last = notification, compose(notification, self._language, self._zone)
        return last[1]

    def _fill(self, template: str, notification: Notification) -> str:
        letter = self._built_in(notification)
        filled = _environment().get_template(template).render(letter=letter, language=self._language.value)
        return filled.strip("\n") + "\n"


@cache
def _environment() -> Environment:
    # Only those who write need the template engine; importing it costs every other command 50 ms.
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape  # noqa: PLC0415

    # These templates are ours. A sandbox, as operators' have it, would take a third of the time of each mail.
    environment = Environment(
        loader=PackageLoader("spendwatch.letters"),
        autoescape=select_autoescape(("html.j2",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(pad=pad, hashes=_hashes, lines=_lines, width=width, whole=_whole)
    return environment


def _whole(text: str) -> Markup:
    """Return the text for a page on which lines end neither within a date or a duration nor within an amount."""
    from markupsafe import Markup, escape  # noqa: PLC0415 -- as above

    return Markup(_WHOLE.sub(r'<span style="white-space:nowrap">\g<0></span>', str(escape(text))))  # noqa: S704 -- it is escaped


def width(text: str) -> int:
    """Return how many columns the text takes on a screen: Chinese characters take two."""
    return len(text) if text.isascii() else sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def pad(text: str, columns: int, *, before: bool = False) -> str:
    """Return the text filled up with blanks to that many columns."""
    blanks = " " * (columns - width(text))
    return blanks + text if before else text + blanks


def _hashes(length: int) -> str:
    return "#" * max(1 if length else 0, length * _BAR // 100)


def _lines(text: str, columns: int = _LINE) -> list[str]:
    """Return the text broken into lines, between words, and anywhere between Chinese characters."""
    lines = [""]
    for word in re.findall(_WORD, text):
        if lines[-1] and width(lines[-1]) + width(word.rstrip()) > columns:
            lines.append("")
        lines[-1] += word
    return [line.rstrip() for line in lines]
