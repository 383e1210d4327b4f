"""How long it takes to make UTF-8 text of a bill in another form, beside what else could have done it.

    python tests/benchmarks/forms.py [--rows 1000000] [--runs 3]

The bill is converted once into each form, beside the generated one. `codec` is Python's decoder alone, in one process and in
two; `iconv` the program of that name, where there is one.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / room) for room in (".", "builders", "fakes", "servers", "fuzz"))

from benchmarks.generate import generated_bill
from spendwatch.bills.unpacking.containers import opened
from spendwatch.bills.unpacking.encodings import made_utf_8

PIECE = 1024 * 1024


def forms(bill: Path) -> Iterator[tuple[str, Path]]:
    """Yield the bill in each form."""
    yield "UTF-8", bill
    for name, encoding in (("GB18030", "gb18030"), ("UTF-16", "utf-16")):
        path = bill.with_suffix(f".{encoding}")
        if not path.exists():
            with bill.open(encoding="utf-8-sig", newline="") as source, path.open("w", encoding=encoding, newline="") as target:
                shutil.copyfileobj(source, target, PIECE)
        yield name, path
    packed = bill.with_suffix(".csv.gz")
    if not packed.exists():
        with bill.open("rb") as source, gzip.open(packed, "wb", compresslevel=6) as target:
            shutil.copyfileobj(source, target, PIECE)
    yield "gzip", packed
    archive = bill.with_suffix(".zip")
    if not archive.exists():
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packing:
            packing.write(bill, f"bills/{bill.name}")
    yield "zip", archive


def made_text(path: Path) -> None:
    """Do what the reader does before it reads."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for part in opened(path, name=path.name, folder=folder).parts:
            made_utf_8(part.path, folder, lambda line: line.startswith("标识信息/账单明细ID"))


def decoded(path: Path, processes: int) -> None:
    """Decode GB18030 with Python's codec alone."""
    size = path.stat().st_size
    cuts = [size * number // processes for number in range(processes + 1)]
    with ProcessPoolExecutor(processes) as pool:
        list(pool.map(_decoded, [path] * processes, cuts, cuts[1:]))


def _decoded(path: Path, start: int, end: int) -> None:
    with path.open("rb") as source, tempfile.TemporaryFile() as target:
        source.seek(start)
        while start < end and (piece := source.read(PIECE)):
            start += len(piece)
            target.write(piece.decode("gb18030", "replace").encode())


def by_program(path: Path) -> None:
    """Convert with the program."""
    with tempfile.TemporaryFile() as target:
        subprocess.run(["iconv", "-f", "GB18030", "-t", "UTF-8", str(path)], stdout=target, check=True)


def seconds(work: Callable[[], None], runs: int) -> float:
    """Return the best of some runs."""
    best = float("inf")
    for _ in range(runs):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    found = dict(forms(generated_bill(options.rows)))
    for name, path in found.items():
        print(
            f"{name:12} {path.stat().st_size >> 20:6d} MB {seconds(partial(made_text, path), options.runs):6.2f} s", flush=True
        )
    path = found["GB18030"]
    for processes in (1, os.cpu_count() or 1):
        print(f"codec in {processes:<3} {'':9} {seconds(partial(decoded, path, processes), options.runs):6.2f} s", flush=True)
    if shutil.which("iconv"):
        print(f"{'iconv':12} {'':9} {seconds(partial(by_program, path), options.runs):6.2f} s")


if __name__ == "__main__":
    main()
