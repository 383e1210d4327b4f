"""Options that several commands have."""

from __future__ import annotations

import click

from spendwatch.domain.period import BillingPeriod


class _Month(click.ParamType[BillingPeriod]):
    name = "YYYY-MM"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> BillingPeriod:
        if isinstance(value, BillingPeriod):
            return value
        try:
            return BillingPeriod.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


month_option = click.option("--month", type=_Month(), help="Default: the current month; for `ledger verify` all.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document; amounts are strings.")


def list_unless_told(ctx: click.Context, listing: click.Command, *, as_json: bool) -> None:
    """List where a group is called without a command of its own."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(listing, as_json=as_json)
    elif as_json:
        ctx.fail(f"write --json behind {ctx.invoked_subcommand!r}")
