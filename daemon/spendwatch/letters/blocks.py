"""A letter as the short blocks of a chat message, and what of them fits into one. Knows no dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeAlias, TypeVar

from spendwatch.letters.parts import Chart, Gauge, Letter, Points, Row, Section, Table

_CELLS = 20
_SHADES = {"spent": "▇", "expected": "▒", "free": "░"}
_COLUMNS = "▁▂▃▄▅▆▇█"
_Body = TypeVar("_Body")
Line: TypeAlias = tuple[str, str]
"""A label, or nothing, and a text."""


class Kind(StrEnum):
    """How a block is laid out."""

    TEXT = "text"
    LIST = "list"
    LINKS = "links"
    """Each line is the label of a page and its address."""


class Rank(StrEnum):
    """What is left out first where there is little room."""

    CORE = "core"
    """Never: the headline, the amount, and how to see more."""
    VITAL = "vital"
    EXTRA = "extra"


class Block(NamedTuple):
    """Lines under each other; `left_out`: how many more there were."""

    kind: Kind
    lines: tuple[Line, ...]
    title: str = ""
    rank: Rank = Rank.VITAL
    left_out: int = 0


def blocks_of(letter: Letter) -> list[Block]:
    """Return the message as blocks, in the order of reading."""
    return [block for block in _blocks(letter) if any(text for _, text in block.lines)]


def _blocks(letter: Letter) -> Iterator[Block]:
    yield Block(Kind.TEXT, (("", letter.subject),), rank=Rank.CORE)
    state = "" if letter.state == letter.tag else letter.state
    yield Block(Kind.TEXT, (("", _joined(state, letter.account)),))
    if letter.amount:
        yield Block(Kind.LIST, (_fact(letter.amount),), rank=Rank.CORE)
    bar = (gauge_text(letter.gauge),) if letter.gauge else ()
    yield Block(Kind.TEXT, _lines((*bar, _joined(*letter.captions))))
    yield Block(Kind.TEXT, _lines((letter.lead,)))
    yield from map(_of_section, letter.sections)
    yield Block(Kind.LINKS, tuple((link.label, link.url) for link in letter.links))
    yield Block(Kind.TEXT, _lines(letter.closing))
    yield Block(Kind.TEXT, _lines(letter.footer[:1]), rank=Rank.CORE)


def _of_section(section: Section) -> Block:
    match section:
        case Table(kind="messages"):
            rows = tuple((row.label, _joined(row.value, row.note)) for row in section.rows)
            return Block(Kind.LIST, rows, section.title)
        case Table():
            return Block(Kind.LIST, tuple(map(_fact, section.rows)), section.title)
        case Points():
            rank = Rank.VITAL if section.is_vital else Rank.EXTRA
            return Block(Kind.LIST, _lines(section.points), section.title, rank)
        case Chart(is_upright=True, bars=(first, *_) as days):
            columns = "".join(_COLUMNS[day.length * (len(_COLUMNS) - 1) // 100] for day in days)
            course = f"{first.label} {columns} {_joined(days[-1].label, days[-1].value, days[-1].note)}"
            return Block(Kind.TEXT, _lines((course,)), _joined(section.title, section.hint), Rank.EXTRA)
        case Chart():
            drawn = ((one, f"{_SHADES['spent'] * max(1, one.length // 10)} {one.value}") for one in section.bars)
            bars = tuple((one.label, _joined(drawing, one.note, one.detail)) for one, drawing in drawn)
            return Block(Kind.LIST, bars, _joined(section.title, section.hint), Rank.EXTRA)


def _fact(row: Row) -> Line:
    return row.label, _joined(f"{row.sign} {row.value}".strip(), row.note)


def _lines(texts: Iterable[str]) -> tuple[Line, ...]:
    return tuple(("", text) for text in texts)


def _joined(*texts: str) -> str:
    return " · ".join(filter(None, texts))


def gauge_text(gauge: Gauge) -> str:
    """Return the bar of spend in characters, with the budget's mark where it is."""
    shown, so_far = "", 0
    for kind, length, mark in gauge.pieces:
        cells = (so_far + length) * _CELLS // 100 - so_far * _CELLS // 100
        piece = _SHADES[kind] * cells
        shown += f"│{piece}" if mark == "left" else f"{piece}│" if mark else piece
        so_far += length
    return f"{shown}  │ {gauge.mark_label}"


def fitted(blocks: Sequence[Block], make: Callable[[Sequence[Block]], _Body], fits: Callable[[_Body], bool]) -> _Body:
    """Return the message made of as much as fits: extras go first, then the ends of long lists, then ends of texts."""
    body, shorter = make(blocks), list(blocks)
    while not fits(body) and (shorter := _shorter(shorter)):
        body = make(shorter)
    return body


def _shorter(blocks: Sequence[Block]) -> list[Block]:
    """Return a little less of it; nothing where only the core is left."""
    ranks, less = [block.rank for block in blocks], list[Block]()
    if Rank.EXTRA in ranks:
        which = len(ranks) - 1 - ranks[::-1].index(Rank.EXTRA)
    elif Rank.VITAL in ranks:
        vital = (number for number, rank in enumerate(ranks) if rank is Rank.VITAL)
        which = max(vital, key=lambda number: sum(map(len, sum(blocks[number].lines, ()))))
        block = blocks[which]
        if len(block.lines) > 1:
            less = [block._replace(lines=block.lines[:-1], left_out=block.left_out + 1)]
    else:
        return []
    return [*blocks[:which], *less, *blocks[which + 1 :]]
