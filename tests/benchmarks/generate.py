"""Writes bill files of the real width (61 columns, about 1.5 kB a line) and any length, quickly and always the same.

    python tests/benchmarks/generate.py 1000000        makes the files unless they are there, and prints their paths

Ids, minutes, usage and amounts differ from line to line; keys, workspaces and models repeat, as they do in real bills. The one
file is sorted by time, the other is not and has twice as many combinations: less easy for whoever reads it.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

sys.path.extend(str(Path(__file__).parents[1] / room) for room in (".", "builders", "fakes", "servers", "fuzz"))

from bill_builder import (
    ACCOUNT,
    AMOUNT,
    COLUMNS,
    DAY,
    ENDS,
    LINE_ID,
    LIST_COST,
    MONTH,
    STARTS,
    TIME,
    USAGE,
    a_bill_name,
    a_line,
)

DAYS = 30
MINUTES = DAYS * 24 * 60
WORKSPACES = 12
MODELS = ("qwen3.6-plus", "qwen3-max", "qwen-flash", "deepseek-v4", "qwen3-vl-plus", "text-embedding-v4", "wan2.7-t2i", "glm-5")
TYPES = ("context_0-256k_input_token", "context_0-256k_output_token", "input_token_cache")
FORM = 3
"""Grows when the content changes, so that a kept file of the old content is not used."""

_SCATTER = 0x9E3779B97F4A7C15
_BATCH = 20_000


def generated_bill(
    lines: int, *, exported: str = "20261001093012", is_shuffled: bool = False, workspaces: int = WORKSPACES
) -> Path:
    """Return the path of a bill with that many lines; it is written only once."""
    form = f"{'shuffled' if is_shuffled else 'form'}{FORM}-{lines}" + (f"-{workspaces}" if workspaces != WORKSPACES else "")
    folder = Path(tempfile.gettempdir()) / f"spendwatch-benchmarks-{os.getuid()}" / form
    path = folder / a_bill_name(ACCOUNT, exported)
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as file:
            write_bill(file, lines, is_shuffled=is_shuffled, workspaces=workspaces)
        unfinished.rename(path)
    return path


def write_bill(file: BinaryIO, lines: int, *, is_shuffled: bool = False, workspaces: int = WORKSPACES) -> None:
    """Write a bill with that many lines, spread over 30 days."""
    file.write(b"\xef\xbb\xbf" + _csv(COLUMNS).encode() + b"\n")
    written = 0
    for batch in _batches(_lines(lines, is_shuffled=is_shuffled, workspaces=workspaces)):
        file.write("".join(batch).encode())
        written += len(batch)
    if written != lines:
        msg = f"wrote {written} lines instead of {lines}"
        raise AssertionError(msg)


def _lines(lines: int, *, is_shuffled: bool, workspaces: int) -> Iterator[str]:
    templates = [_template(*parts) for parts in _instances(workspaces * 2 if is_shuffled else workspaces)]
    ids = random.Random(lines)  # noqa: S311 -- the same file every time
    for number in range(lines):
        minute = ids.randrange(MINUTES) if is_shuffled else number * MINUTES // lines
        day, hour, start = 1 + minute // 1440, minute // 60 % 24, minute % 60
        scattered = number * _SCATTER & 0xFFFFFFFFFFFFFFFF
        template = ids.choice(templates) if is_shuffled else templates[number * 7919 % len(templates)]
        yield template % {
            "id": f"202609_0700v1_019_{ids.getrandbits(128):032x}_01_{ids.getrandbits(64):020d}",
            "day": f"202609{day:02d}",
            "time": f"2026-09-{day:02d} {hour:02d}:{start:02d}:00",
            "usage": f"{1 + scattered % 99991}.{scattered % 997:03d}",
            "cost": f"0.{1 + scattered % 9999991:07d}",
        }


def _template(key: str, workspace: str, model: str, kind: str) -> str:
    line = a_line(api_key=key, workspace=workspace, model=model, type=kind, channel="" if key else "bmp", usage="<usage>")
    marks = {LINE_ID: "<id>", MONTH: "202609", DAY: "<day>", TIME: "<time>", STARTS: "<time>", ENDS: "<time>"}
    cells = line | marks | {AMOUNT: "<cost>", LIST_COST: "<cost>", USAGE: "<usage>", "优惠信息/优惠后金额": "<cost>"}
    text = _csv([cells[name] for name in COLUMNS]) + "\n"
    return text.replace("%", "%%").replace("<", "%(").replace(">", ")s")


def _instances(workspaces: int) -> Iterator[tuple[str, str, str, str]]:
    names = [f"llm-bench{number:07d}" for number in range(workspaces)]
    for at, (workspace, model, kind) in enumerate(itertools.product(names, MODELS, TYPES)):
        yield "" if at % 5 == 0 else str(1_200_000 + at // 3), workspace, model, kind


def _csv(cells: tuple[str, ...] | list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()


def _batches(lines: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(itertools.islice(lines, _BATCH)):
        yield batch


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print(generated_bill(wanted), generated_bill(wanted, is_shuffled=True), sep="\n")
