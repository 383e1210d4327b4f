"""`export`: the ledger's lines for other programs."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from spendwatch.bills.client.process import ReadingProcess
from spendwatch.bills.focus_columns import COLUMNS
from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.options import month_option
from spendwatch.domain.authority import authorities
from spendwatch.domain.count import counted
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.statement import DayKey
from spendwatch.state import Store, opened_store, system_clock


@click.group()
def export() -> None:
    """Export the ledger's lines in another format."""


@export.command()
@month_option
@click.option("--all-products", is_flag=True, help="Include products that are not watched.")
@click.pass_obj
def focus(place: Place, month: BillingPeriod | None, *, all_products: bool) -> int:
    """Write the lines of one month to standard output in the format of FOCUS 1.2, as UTF-8 CSV.

    If several series of bills cover the month, the counted one is written. Exits with 75 and writes nothing if lines were
    removed by `retention.lines`.
    """
    settings = place.settings()
    period = month or BillingPeriod.containing(system_clock(), settings.zone)
    products = None if all_products else settings.policies.products
    with (
        opened_store(settings, read_only=True) as store,
        tempfile.TemporaryDirectory(prefix="spendwatch-") as folder,
        ReadingProcess(Path(folder)) as reader,
    ):
        days = list(_days(store, period, products))
        given_up = [day for day in days if not store.ledger.chunk(day)]
        if given_up:
            more = f" and {counted(len(given_up) - 1, 'more day')}" if len(given_up) > 1 else ""
            click.echo(f"The lines of {given_up[0].day}{more} were removed by `retention`.", err=True)
            return Exit.TRY_AGAIN
        output = sys.stdout.buffer
        output.write(f"{','.join(COLUMNS)}\n".encode())
        for day in days:
            for piece in reader.focus_lines(day, store.ledger.chunk(day) or b"", products):
                output.write(piece)
    return Exit.DONE


def _days(store: Store, period: BillingPeriod, products: tuple[str, ...] | None) -> Iterator[DayKey]:
    """Yield the days of the series that counts, of each account."""
    totals = store.ledger.totals(period)
    counting = set(authorities(totals, products).values())
    series = ((one.series, one.day) for one in totals if one.series in counting)
    yield from sorted({DayKey(one.account, one.period, one.series, day) for one, day in series})
