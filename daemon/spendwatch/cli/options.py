"""Options that several commands have."""

from __future__ import annotations

import os
from datetime import date, datetime, timedelta
from typing import NoReturn

import click

from spendwatch.domain.errors import printable
from spendwatch.domain.period import BillingPeriod, DaySpan, parse_duration


class _Month(click.ParamType[BillingPeriod]):
    name = "YYYY-MM"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> BillingPeriod:
        if isinstance(value, BillingPeriod):
            return value
        try:
            return BillingPeriod.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Day(click.ParamType[date]):
    name = "YYYY-MM-DD"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        if isinstance(value, date):
            return value
        try:
            day = datetime.strptime(str(value), "%Y-%m-%d").date()  # noqa: DTZ007 -- a day has no zone
        except ValueError:
            self.fail(f"not a day: {printable(str(value))}; write it like 2026-09-14", param, ctx)
        if not _EARLIEST <= day <= _LATEST:
            self.fail(f"must be from {_EARLIEST} to {_LATEST}, not {day}", param, ctx)
        return day


class _Duration(click.ParamType[timedelta]):
    name = "DURATION"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            found = parse_duration(str(value))
        except (ValueError, OverflowError):
            found = None
        if not found or found > _LONGEST:
            self.fail(f"not a duration: {printable(str(value))}; write it like 30m, 4h, 2d or 1h30m", param, ctx)
        return found


def refuse(what: str, option: str = "") -> NoReturn:
    """Refuse what was asked for, because of the whole, or of this option or argument."""
    raise (click.BadParameter(what, param_hint=option) if option else click.UsageError(what)) from None


def actor() -> str:
    """Return who is doing this, behind sudo, too."""
    import getpass  # noqa: PLC0415 -- only for what is put on record

    return os.environ.get("SUDO_USER") or getpass.getuser()


_LONGEST = timedelta(days=366)
DURATION = _Duration()
_EARLIEST, _LATEST = date(2000, 1, 1), date(2199, 12, 31)
first_option = click.option(
    "--from", "first", type=_Day(), help="First day, instead of a month. Default: the first of the month of --to."
)
last_option = click.option("--to", "last", type=_Day(), help="Last day, included. Default: today.")
month_option = click.option("--month", type=_Month(), help="Default: the current month.")
only_month_option = click.option("--month", type=_Month(), help="Only this month. Default: all months.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document; amounts are strings.")


def list_unless_told(ctx: click.Context, listing: click.Command, *, as_json: bool) -> None:
    """List where a group is called without a command of its own."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(listing, as_json=as_json)
    elif as_json:
        ctx.fail(f"write --json behind {ctx.invoked_subcommand!r}")


def span_of(month: BillingPeriod | None, first: date | None, last: date | None, today: date, *, months: int = 1) -> DaySpan:
    """Return the days that are asked for; where nothing is, so many months up to this one."""
    if month and (first or last):
        refuse("give either --month, or --from and --to")
    try:
        return DaySpan.asked(month, first, last, today, months=months)
    except ValueError as error:
        refuse(str(error), "--from")
