"""The parts of a message before any layout: the same for mail, webhook and console."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: what it is, how much, a remark, and its sign in an equation."""

    label: str
    value: str
    note: str = ""
    sign: str = ""
    is_amount: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """Figures under each other."""

    kind: ClassVar[str] = "table"
    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its length in whole percent of the longest."""

    label: str
    length: int
    value: str
    note: str = ""
    detail: str = ""
    """What else is known of it, below the label."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars under each other."""

    kind: ClassVar[str] = "chart"
    title: str
    hint: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Points:
    """Sentences under each other."""

    kind: ClassVar[str] = "points"
    title: str
    points: tuple[str, ...]
    is_vital: bool = True
    """Whether even the briefest telling must have them."""


@dataclass(frozen=True, slots=True)
class Link:
    """A page where the reader can see more or act."""

    label: str
    url: str


Section: TypeAlias = Table | Chart | Points


@dataclass(frozen=True, slots=True)
class Letter:
    """All parts of the message."""

    tone: str
    """`notice`, `warning`, `critical`, or `calm` for endings and tests."""
    tag: str
    subject: str
    headline: str
    lead: str
    sections: tuple[Section, ...]
    closing: tuple[str, ...]
    footer: tuple[str, ...]
    links: tuple[Link, ...] = ()


def clean(text: str, limit: int = 400) -> str:
    """Return hostile text on one line without control, invisible and bidirectional characters, cut at `limit`."""
    shown = " ".join("".join(char for char in text if char.isprintable() or char.isspace()).split())
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"
