"""Options that several commands have."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import date, timedelta
from typing import NoReturn, TypeVar

import click

from spendwatch.domain.errors import printable
from spendwatch.domain.period import BillingPeriod, DaySpan, parse_day, parse_duration
from spendwatch.domain.policy import AccountPolicy
from spendwatch.domain.suggestions import suggestion

T = TypeVar("T")


class Parsed(click.ParamType[T]):
    """A value that is written as text; `parse` raises `ValueError` in words for people."""

    def __init__(self, name: str, kind: type[T], parse: Callable[[str], T]) -> None:
        """Take its name in help texts, the type of the value, and what reads it."""
        self.name = name
        self._kind = kind
        self._parse = parse

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> T:
        """Return the value, or fail with the reason."""
        if isinstance(value, self._kind):
            return value
        try:
            return self._parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _duration(text: str) -> timedelta:
    with suppress(ValueError, OverflowError):
        if timedelta() < (found := parse_duration(text)) <= _LONGEST:
            return found
    msg = f"not a duration: {printable(text)}; write it like 30m, 4h, 2d or 1h30m"
    raise ValueError(msg)


def refuse(what: str, option: str = "") -> NoReturn:
    """Refuse what was asked for, because of the whole, or of this option or argument."""
    raise (click.BadParameter(what, param_hint=option) if option else click.UsageError(what)) from None


def account_named(text: str, accounts: Iterable[AccountPolicy], option: str) -> AccountPolicy:
    """Return the account with this name or id; refuse what none has."""
    known = {one.name or one.account: one for one in accounts}
    if found := next((one for one in known.values() if text in {one.account, one.name}), None):
        return found
    refuse(f"there is no account {text!r}; {suggestion(text, known)}", option)


def actor() -> str:
    """Return who is doing this, behind sudo, too."""
    import getpass  # noqa: PLC0415 -- only for what is put on record

    return os.environ.get("SUDO_USER") or getpass.getuser()


_LONGEST = timedelta(days=366)
DURATION = Parsed("DURATION", timedelta, _duration)
_MONTH, _DAY = Parsed("YYYY-MM", BillingPeriod, BillingPeriod.parse), Parsed("YYYY-MM-DD", date, parse_day)
first_option = click.option(
    "--from", "first", type=_DAY, help="First day, instead of a month. Default: the first of the month of --to."
)
last_option = click.option("--to", "last", type=_DAY, help="Last day, included. Default: today.")
month_option = click.option("--month", type=_MONTH, help="Default: the current month.")
only_month_option = click.option("--month", type=_MONTH, help="Only this month. Default: all months.")
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
