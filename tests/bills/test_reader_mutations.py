"""Damaged files: whatever is done to the bytes, the reader refuses or says what the oracle says."""

from __future__ import annotations

import csv
import io
from random import Random

import pytest

from bill_builder import COLUMNS, TAGS, a_bill, a_line
from oracle import month_to_date
from small_ledger import SmallLedger, Sums
from spendwatch.bills import reader
from spendwatch.domain.errors import UnreadableBillError

NAME, CONTENT = a_bill(
    [
        a_line(
            line_id=f"id-{number}", amount=f"{number}.{number}5", day=f"2026090{number % 3 + 1}", workspace=f"llm-{number % 2}"
        )
        for number in range(1, 8)
    ]
    + [a_line(line_id="id-8", amount="-3", cells={"产品信息/规格": 'a, "b"', "优惠信息/优惠详情": '[{"x":"y"}]'})]
    + [a_line(line_id="id-9", amount="0.0000000001", product="oss", instance="cn-shanghai;standard", currency="USD")]
)
OTHER_ORDER = a_bill([a_line(line_id=f"id-{n}", amount=f"{n}") for n in range(9)], columns=[*COLUMNS[60:], *COLUMNS[:60]])[1]
QUOTED = a_bill(
    [a_line(line_id=f"id-{n}", amount=f"{n}.5", cells={TAGS: f'{{"team":"t{n}","more, or less":"a\\"b"}}'}) for n in range(9)]
)[1]
BODY = CONTENT.index(b"\n") + 1


def dice_of(seed: bytes | int) -> Random:
    """Return dice that fall the same way every time."""
    return Random(seed)  # noqa: S311 -- no secret


def damaged(content: bytes, dice: Random) -> bytes:
    """Return the file with one to three mishaps behind its header."""
    for _ in range(dice.choice([1, 1, 1, 2, 2, 3])):
        at = dice.randrange(content.index(b"\n") + 1, len(content))
        byte = bytes([dice.choice(b'",\n\r"",,\n0159.-eE \t\0\xff\xe4;') if dice.random() < 0.8 else dice.randrange(256)])
        lines = content.splitlines(keepends=True)
        line = dice.randrange(1, len(lines))
        cells = lines[line].split(b",")
        cell = dice.randrange(len(cells))
        match dice.randrange(10):
            case 0 | 1 | 2:
                content = content[:at] + byte + content[at:]
            case 3 | 4:
                content = content[:at] + byte + content[at + 1 :]
            case 5:
                content = content[:at] + content[at + dice.randrange(1, 4) :]
            case 6:
                content = content[:at]
            case 7:
                several = cells[cell : cell + dice.randrange(1, 5)]
                content = b"".join([*lines[:line], b",".join([*cells[:cell], *several, *cells[cell:]]), *lines[line + 1 :]])
            case 8:
                content = b"".join([*lines[:line], b",".join(cells[:cell] + cells[cell + 1 :]), *lines[line + 1 :]])
            case _:
                content = b"".join([*lines[:line], lines[line][: dice.randrange(len(lines[line]))], *lines[line + 1 :]])
    return content


def truth(content: bytes) -> Sums | None:
    """Return what the oracle says, or None if it refuses."""
    try:
        return month_to_date([(NAME, content)])
    except (ValueError, csv.Error):
        return None


def verdict(content: bytes) -> Sums | None:
    """Return what the reader says, or None if it refuses."""
    ledger = SmallLedger()
    try:
        ledger.enter_here(NAME, content)
    except UnreadableBillError:
        return None
    return ledger.sums()


def requoted(content: bytes) -> bytes:
    """Return the file with every cell quoted properly; a comma counts where the quotes before it in its line are even."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for line in content.decode("utf-8-sig").split("\n")[:-1]:
        cells = [""]
        for char in line:
            if char == "," and cells[-1].count('"') % 2 == 0:
                cells.append("")
            else:
                cells[-1] += char
        writer.writerow([cell[1:-1].replace('""', '"') if cell.startswith('"') else cell for cell in cells])
    return text.getvalue().encode()


def check(content: bytes, dice: Random, count: int, *, is_strict: bool = True) -> int:
    """Damage the file so many times; return how often it was accepted."""
    accepted = 0
    for _ in range(count):
        broken = damaged(content, dice)
        said = verdict(broken)
        if said is not None:
            accepted += 1
            expected = truth(broken)
            if expected is None and not is_strict:
                expected = truth(requoted(broken))
            assert said == expected, broken
    return accepted


@pytest.mark.parametrize("content", [CONTENT, OTHER_ORDER])
def test_a_damaged_file_is_refused_or_says_what_the_oracle_says(content: bytes) -> None:
    assert 20 < check(content, dice_of(content[-40:]), 400) < 300


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
def test_ten_thousand_damaged_files_are_refused_or_say_what_the_oracle_says(seed: int) -> None:
    for content in (CONTENT, OTHER_ORDER):
        assert check(content, dice_of(seed), 250)


@pytest.mark.parametrize("content", [CONTENT, OTHER_ORDER, QUOTED])
def test_behind_the_head_of_a_long_file_stray_quotes_in_unread_cells_change_nothing(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "HEAD", content.index(b"\n") + 100)
    assert check(content, dice_of(content[-30:]), 400, is_strict=False)


def test_a_small_file_that_is_sound_is_read_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "StrictReader", None)
    for content in (CONTENT, OTHER_ORDER, QUOTED):
        assert verdict(content) == truth(content)


def test_both_ways_of_reading_agree_on_the_digest_of_every_day() -> None:
    fast = SmallLedger().enter_here(NAME, CONTENT)
    careful = SmallLedger().enter_here(NAME, CONTENT.replace(b"\n", b"\r\n"))
    assert fast.days == careful.days
