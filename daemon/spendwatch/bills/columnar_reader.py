"""Converts the text of bill lines to exact columns with Polars. The careful reader takes over where a cell is not plain."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from spendwatch.bills.cells import BLANKS, QUOTES, SHORTENED
from spendwatch.bills.checksum_scan import ScanResult
from spendwatch.bills.dimensions import DATE_LENGTH, SEPARATOR
from spendwatch.bills.header import Header
from spendwatch.bills.layouts.layout import PAYMENTS, Field
from spendwatch.domain.money import SCALE, WHOLE_DIGITS
from spendwatch.domain.statement import Identity

MONEY = pl.Decimal(38, SCALE)

Categories = Mapping[str, tuple[Sequence[Field], pl.Categories]]
"""Columns that hold the cells of these fields as one text, and the codes of these texts."""

BATCH = 100_000
"""How many lines are handed on at once. The parser goes on meanwhile, and waits when they are not fetched."""

BETWEEN = "|"
"""Stands between the parts of a key that is no id."""

SURPLUS = 16
"""How many columns beyond the header's are looked at for cells that should not be there."""

_LONG = pl.Decimal(38, 18)
_LONG_AMOUNT = r"^-?[0-9]{1,20}(\.[0-9]{1,18})?$"
_LONG_IN_HEAD = re.compile(rb"[0-9]\.[0-9]{11}")
_PLAIN_AMOUNT = rf"^-?[0-9]{{1,{WHOLE_DIGITS}}}(\.[0-9]{{1,{SCALE}}})?$"
_PLAIN_OR_EMPTY = f"^$|{_PLAIN_AMOUNT}"
_SOME = "^[^1-9eE]*[1-9]"
"""An amount that is not zero."""
_CELL = r'(?:[^",]*|"(?:[^"]|"")*")'
_WELL_QUOTED = f"^{_CELL}(?:,{_CELL})*$"
_WATCHED = "watched "
_MONTH_LENGTH, _TO_THE_MINUTE = len("2026-10"), len("2026-10-11 00:00")


class DoubtError(Exception):
    """The fast way cannot vouch for the file; the careful way must decide."""


def exact_columns(
    raw: pl.LazyFrame,
    columns: Mapping[Field, pl.Expr],
    categories: Categories,
    identity: Identity,
    *,
    watched: Sequence[pl.Expr] = (),
    surplus: Sequence[str] = (),
    rounds: bool = False,
) -> Iterator[pl.DataFrame]:
    """Yield of each line its key, time, usage, list cost, billed cost, end, and the cells of some fields as one category each.

    The key is the line's id, or what else it is known by beside its traits. The amount's text is checked before it becomes a
    number: Polars would round surplus decimals without a word. Where we do it, what that adds is yielded, too.
    """
    cell = {field: columns.get(field, pl.lit("")) for field in Field}
    time = cell[Field.TIME] if Field.TIME in columns else cell[Field.STARTS]
    if Field.DAY not in columns:
        starts = cell[Field.STARTS] if Field.STARTS in columns else time
        # One character more than a date has: what stands there must not be a digit.
        cell[Field.DAY] = starts.str.head(DATE_LENGTH + 1).str.strip_chars_end(" T")
    cell[Field.TERM] = _term(cell[Field.STARTS] if Field.STARTS in columns else time, cell[Field.ENDS])
    amount = cell[Field.BILLED_COST]
    has_surplus = pl.any_horizontal(pl.col(surplus).is_not_null()) if surplus else pl.lit(value=False)
    owed = [cell[Field.OUTSTANDING]] if Field.OUTSTANDING in columns else []
    paid = [cell[field].str.contains(_SOME) for field in PAYMENTS if field in columns]
    pattern, exact = (_LONG_AMOUNT if rounds else _PLAIN_AMOUNT), amount.cast(_LONG, strict=False)
    billed = (exact.round(SCALE, "half_to_even") if rounds else amount).cast(MONEY, strict=False)
    key = _key(cell, billed, identity)
    lines = raw.select(
        key.alias("line_id"),
        time.alias("time"),
        cell[Field.USAGE].alias("usage"),
        cell[Field.LIST_COST].alias("list_cost"),
        billed.alias("billed_cost"),
        *([(billed.cast(_LONG) - exact).alias("rounding")] if rounds else []),
        *(pl.when(_is_told(cost, amount, paid)).then(cost.cast(MONEY, strict=False)).alias("outstanding") for cost in owed),
        cell[Field.ENDS].alias("ends"),
        *(
            pl.concat_str([cell[field] for field in fields], separator=SEPARATOR).cast(pl.Categorical(known)).alias(name)
            for name, (fields, known) in categories.items()
        ),
        (
            pl.all_horizontal(amount.str.contains(pattern), *(cost.str.contains(_PLAIN_OR_EMPTY) for cost in owed))
            & (_is_id(key) if identity is Identity.ID else pl.lit(value=True))
            & ~has_surplus
        ).alias("is_plain"),
        *(column.str.len_bytes().alias(f"{_WATCHED}{number}") for number, column in enumerate(watched)),
    )
    for frame in lines.collect_batches(chunk_size=BATCH, engine="streaming"):
        if not frame["is_plain"].all() or frame["billed_cost"].has_nulls():
            raise DoubtError
        yield frame.drop("is_plain", pl.selectors.starts_with(_WATCHED))


def _term(starts: pl.Expr, ends: pl.Expr) -> pl.Expr:
    """Return the end of what lasts into another month, as an order does: of minutes there would be as many ends as lines."""
    is_later = ends.str.head(_MONTH_LENGTH) > starts.str.head(_MONTH_LENGTH)
    return pl.when(is_later).then(ends.str.head(_TO_THE_MINUTE)).otherwise(pl.lit(""))


def _key(cell: Mapping[Field, pl.Expr], billed: pl.Expr, identity: Identity) -> pl.Expr:
    match identity:
        case Identity.ID:
            return _cleaned(cell[Field.LINE_ID])
        case Identity.GROUP:
            return pl.concat_str(_cleaned(cell[Field.RECORD]), cell[Field.STARTS], separator=BETWEEN)
        case Identity.CONTENT:
            told = (cell[field] for field in (Field.STARTS, Field.ENDS, Field.USAGE, Field.LIST_COST))
            return pl.concat_str(_cleaned(cell[Field.RECORD]), *told, billed.cast(pl.String), separator=BETWEEN)


def _is_told(outstanding: pl.Expr, amount: pl.Expr, paid: Sequence[pl.Expr]) -> pl.Expr:
    """Return whether a line says what is outstanding: nothing is, though nothing was paid of an amount, is no answer."""
    return (
        ~amount.str.contains(_SOME)
        | outstanding.str.contains(_SOME)
        | (pl.any_horizontal(paid) if paid else pl.lit(value=True))
    )


def _is_id(key: pl.Expr) -> pl.Expr:
    """Return whether a line's id can be one: not empty, and not a number that a spreadsheet has shortened."""
    return (key != "") & ~key.str.contains(SHORTENED)


def _cleaned(cell: pl.Expr) -> pl.Expr:
    return cell.str.strip_chars(BLANKS).str.strip_chars_start(QUOTES)


def columnar_frames(
    path: Path, head: bytes, header: Header, categories: Categories, identity: Identity
) -> Iterator[pl.DataFrame]:
    """Yield the file's lines as exact columns, or raise `DoubtError`. Believe them only if `vouch` agrees in the end.

    The head, for most files the whole, is checked as strictly as CSV can be. Behind it, stray quotes in cells that are not
    reads are not looked for, as long as they leave lines and cells in their places.
    """
    _check_strictly(head, header)
    rounds = header.layout.is_of_others and _LONG_IN_HEAD.search(head) is not None
    names = [str(place) for place in range(len(header.cells))]
    columns = {field: pl.col(names[place]) for field, place in header.places.items()}
    # The last cell of a line may be empty if it is not the amount. Then every column is parsed, even those that nobody reads,
    # as only the parser's own complaint tells that a line has too many cells.
    watched = [] if header.ends_with_amount else [pl.col(name) for name in names]
    surplus = [f"surplus {number}" for number in range(SURPLUS)] if header.ends_with_amount else []
    try:
        raw = pl.scan_csv(
            path,
            has_header=False,
            skip_lines=header.lines,
            schema=dict.fromkeys(names, pl.String) | dict.fromkeys(surplus, pl.Boolean),
            missing_columns="insert",
            empty_string_is_null=False,
            glob=False,
        )
        yield from exact_columns(raw, columns, categories, identity, watched=watched, surplus=surplus, rounds=rounds)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DoubtError from error


def vouch(path: Path, survey: ScanResult, header: Header, lines: int) -> None:
    """Raise `DoubtError` unless every line break ends a line, and every line has as many cells as the header.

    Where the amount comes last, it is never empty, so no line has fewer cells; with up to `SURPLUS` more, a cell would stand in
    a surplus column, and empty cells behind it would not let the line end with a digit. Elsewhere the parser has complained of
    lines with more cells, and the sum of all commas shows that none has fewer.
    """
    is_whole = survey.is_plain and survey.ends_with_newline and survey.newlines == lines + header.lines
    if header.ends_with_amount:
        is_even = survey.ends_otherwise == header.lines
    else:
        is_even = _commas(path) == (lines + 1) * (len(header.cells) - 1)
    if not (is_whole and is_even):
        raise DoubtError


def has_quotes_in_place(path: Path, header: Header) -> bool:
    """Return whether each quote in the file encloses a cell, or is doubled inside of one. The parser does not mind others."""
    lines = pl.scan_csv(
        path,
        has_header=False,
        skip_lines=header.lines,
        schema={"line": pl.String},
        separator="\x01",
        quote_char=None,
        empty_string_is_null=False,
        glob=False,
    )
    try:
        return bool(lines.select(pl.col("line").str.contains(_WELL_QUOTED).all()).collect(engine="streaming").item())
    except pl.exceptions.PolarsError:
        return False


def _commas(path: Path) -> int:
    # The parser's own counting of rows, told that a comma ends a row: several times faster than anything else.
    pieces = pl.scan_csv(path, has_header=False, schema={"cell": pl.String}, separator="\x01", eol_char=",", glob=False)
    return int(pieces.select(pl.len()).collect().item()) - 1


def _check_strictly(head: bytes, header: Header) -> None:
    lines = head[header.size : head.rfind(b"\n") + 1].decode("utf-8", "replace").split("\n")[:-1]
    try:
        widths = {len(cells) for cells in csv.reader(lines, strict=True)}
    except csv.Error as error:
        raise DoubtError from error
    if widths - {len(header.cells)}:
        raise DoubtError
