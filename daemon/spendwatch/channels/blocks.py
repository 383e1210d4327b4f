"""A letter as the short blocks of a chat message, and what of them fits into one. Knows no dialect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from spendwatch.channels.parts import Chart, Entries, Gauge, Letter, Points, Row, Section, Table

_CELLS = 20
_SHADES = {"spent": "▇", "expected": "▒", "free": "░"}
_COLUMNS = "▁▂▃▄▅▆▇█"
_SHORTEST = 16
_Body = TypeVar("_Body")


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


@dataclass(frozen=True, slots=True)
class Line:
    """A text, and perhaps what it is about."""

    text: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """Lines under each other; `left_out`: how many more there were."""

    kind: Kind
    lines: tuple[Line, ...]
    title: str = ""
    rank: Rank = Rank.VITAL
    left_out: int = 0


def blocks_of(letter: Letter) -> list[Block]:
    """Return the message as blocks, in the order of reading."""
    return [block for block in _blocks(letter) if any(line.text for line in block.lines)]


def _blocks(letter: Letter) -> Iterator[Block]:
    yield Block(Kind.TEXT, (Line(letter.subject),), rank=Rank.CORE)
    state = "" if letter.state == letter.tag else letter.state
    yield Block(Kind.TEXT, (Line(_joined(state, letter.account)),))
    if letter.amount:
        yield Block(Kind.LIST, (_fact(letter.amount),), rank=Rank.CORE)
    bar = (Line(gauge_text(letter.gauge)),) if letter.gauge else ()
    yield Block(Kind.TEXT, (*bar, Line(_joined(*letter.captions))))
    yield Block(Kind.TEXT, (Line(letter.lead),))
    yield from map(_of_section, letter.sections)
    yield Block(Kind.LINKS, tuple(Line(link.url, link.label) for link in letter.links))
    yield Block(Kind.TEXT, tuple(map(Line, letter.closing)))
    yield Block(Kind.TEXT, tuple(map(Line, letter.footer[:1])), rank=Rank.CORE)


def _of_section(section: Section) -> Block:
    match section:
        case Table():
            return Block(Kind.LIST, tuple(map(_fact, section.rows)), section.title)
        case Points():
            rank = Rank.VITAL if section.is_vital else Rank.EXTRA
            return Block(Kind.LIST, tuple(map(Line, section.points)), section.title, rank)
        case Entries():
            entries = tuple(Line(_joined(one.value, one.note), one.text) for one in section.entries)
            return Block(Kind.LIST, entries, section.title)
        case Chart(is_upright=True):
            first, *_, last = section.bars
            columns = "".join(_COLUMNS[bar.length * (len(_COLUMNS) - 1) // 100] for bar in section.bars)
            course = Line(f"{first.label} {columns} {_joined(last.label, last.value, last.note)}")
            return Block(Kind.TEXT, (course,), _joined(section.title, section.hint), Rank.EXTRA)
        case Chart():
            bars = tuple(
                Line(_joined(_SHADES["spent"] * max(1, bar.length // 10) + f" {bar.value}", bar.note, bar.detail), bar.label)
                for bar in section.bars
            )
            return Block(Kind.LIST, bars, _joined(section.title, section.hint), Rank.EXTRA)


def _fact(row: Row) -> Line:
    return Line(_joined(f"{row.sign} {row.value}".strip(), row.note), row.label)


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


def _shorter(blocks: list[Block]) -> list[Block]:
    """Return a little less of it; nothing where it cannot be said in less."""
    sizes = [sum(len(line.text) + len(line.label) for line in block.lines) for block in blocks]
    ranks = [block.rank for block in blocks]
    if Rank.EXTRA in ranks:
        which = len(ranks) - 1 - ranks[::-1].index(Rank.EXTRA)
        less = []
    elif Rank.VITAL in ranks:
        which = max((number for number, rank in enumerate(ranks) if rank is Rank.VITAL), key=sizes.__getitem__)
        block = blocks[which]
        less = [replace(block, lines=block.lines[:-1], left_out=block.left_out + 1)] if len(block.lines) > 1 else []
    else:
        which = max(range(len(blocks)), key=sizes.__getitem__)
        if sizes[which] <= _SHORTEST:
            return []
        cut = (replace(line, text=f"{line.text[: len(line.text) * 3 // 4]}…") for line in blocks[which].lines)
        less = [replace(blocks[which], lines=tuple(cut))]
    return [*blocks[:which], *less, *blocks[which + 1 :]]
