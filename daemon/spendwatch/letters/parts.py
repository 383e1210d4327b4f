"""The parts of a message before any layout: the same for mail, webhook and console."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, NamedTuple, TypeAlias


class Row(NamedTuple):
    """One figure: what it is, how much, a remark, and its sign in an equation."""

    label: str
    value: str
    note: str = ""
    sign: str = ""
    is_amount: bool = True


class Table(NamedTuple):
    """Figures under each other, or the messages of a digest: each a sentence with its figure and its id."""

    title: str
    rows: tuple[Row, ...]
    kind: Literal["table", "messages"] = "table"


class Gauge(NamedTuple):
    """A bar of spend: how far it is filled, where it will probably end and where the budget stands, in percent of it."""

    mark_label: str
    spent: int
    expected: int
    mark: int

    @property
    def pieces(self) -> tuple[tuple[str, int, str], ...]:
        """What the bar is made of, from the left: `spent`, `expected` or `free`, its length, and at which end the mark is."""
        cuts = sorted({0, self.spent, self.expected, self.mark, 100})
        return tuple(
            (
                "spent" if end <= self.spent else "expected" if end <= self.expected else "free",
                end - start,
                "left" if start == self.mark else "right" if end == self.mark == cuts[-1] else "",
            )
            for start, end in pairwise(cuts)
        )


class Bar(NamedTuple):
    """One bar: its length in whole percent of the longest."""

    label: str
    length: int
    value: str
    note: str = ""
    detail: str = ""
    """What else is known of it, below the label."""


class Chart(NamedTuple):
    """Bars under each other, or columns beside each other."""

    title: str
    hint: str
    bars: tuple[Bar, ...]
    is_upright: bool = False
    kind: Literal["chart"] = "chart"


class Points(NamedTuple):
    """Sentences under each other."""

    title: str
    points: tuple[str, ...]
    is_vital: bool = True
    """Whether even the briefest telling must have them."""
    kind: Literal["points"] = "points"


class Link(NamedTuple):
    """A page where the reader can see more or act."""

    label: str
    url: str


Section: TypeAlias = Table | Chart | Points


class Letter(NamedTuple):
    """All parts of the message."""

    tone: str
    """`notice`, `warning`, `critical`, or `calm` for endings and tests."""
    tag: str
    state: str
    """How things stand, in one to three words."""
    account: str
    """Name and number of the account it is about; empty where it is about none."""
    subject: str
    headline: str
    lead: str
    amount: Row | None
    """The one figure that everybody looks for."""
    gauge: Gauge | None
    captions: tuple[str, ...]
    """Where the month stands."""
    sections: tuple[Section, ...]
    closing: tuple[str, ...]
    footer: tuple[str, ...]
    links: tuple[Link, ...] = ()

    @property
    def preheader(self) -> str:
        """What a list of messages shows beside the subject: figures instead of the subject once more."""
        figure = f"{self.amount.label} {self.amount.value} {self.amount.note}".strip() if self.amount else ""
        return " · ".join(filter(None, (figure, *self.captions, self.lead))) or self.headline

    @property
    def listed(self) -> tuple[Section, ...]:
        """The sections for layouts without large type: the amount is the first row."""
        rows = (self.amount,) if self.amount else ()
        match self.sections:
            case (Table(title="") as first, *others):
                return (Table("", (*rows, *first.rows)), *others)
            case others:
                return (*((Table("", rows),) if rows else ()), *others)


def clean(text: str, limit: int = 400) -> str:
    """Return hostile text on one line without control, invisible and bidirectional characters, cut at `limit`."""
    is_clean = text.isprintable() and "  " not in text and text == text.strip()
    shown = text if is_clean else " ".join("".join(char for char in text if char.isprintable() or char.isspace()).split())
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"
