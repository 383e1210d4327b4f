"""`export`: the ledger's lines for other programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import click

from spendwatch.bills.client.process import ReadingProcess
from spendwatch.bills.focus_columns import COLUMNS
from spendwatch.cli import Place
from spendwatch.cli.exits import Exit
from spendwatch.cli.options import month_option
from spendwatch.domain.count import counted
from spendwatch.domain.merging import Plan, plans_of_days
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.series_selection import authorities
from spendwatch.domain.statement import DayKey
from spendwatch.state import Store, opened_store, system_clock


@click.group()
def export() -> None:
    """Export the ledger's lines in another format."""


@export.command(short_help="Write the lines of one month in the FOCUS format.")
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
        ReadingProcess.apart() as reader,
    ):
        plans = dict(counted_days(store, period, products))
        lost = store.ledger.given_up(frozenset(digest for plan in plans.values() for digest in plan.contents))
        if given_up := [day for day, plan in plans.items() if plan.contents & lost]:
            more = f" and {counted(len(given_up) - 1, 'more day')}" if len(given_up) > 1 else ""
            click.echo(f"The lines of {given_up[0].day}{more} were removed by `retention`.", err=True)
            return Exit.TRY_AGAIN
        output = sys.stdout.buffer
        output.write(f"{','.join(COLUMNS)}\n".encode())
        for day, plan in plans.items():
            for piece in reader.focus_lines(day, plan, lambda digest: store.ledger.content(digest) or b"", products):
                output.write(piece)
    return Exit.DONE


def counted_days(store: Store, period: BillingPeriod, products: Sequence[str] | None) -> Iterator[tuple[DayKey, Plan]]:
    """Yield the days of the series that counts, of each account, with what decides about them."""
    for series in sorted(set(authorities(store.ledger.totals(period), products).values())):
        yield from plans_of_days(store.ledger.held([series])).items()
