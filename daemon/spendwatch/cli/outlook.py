"""How `status` shows a balance, its runway, and the forecast of a month."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from decimal import ROUND_HALF_UP, Decimal

from rich.console import Console
from rich.text import Text

from spendwatch.cli.screen import age_text, clean, flow, marked, when
from spendwatch.domain.balance import Explanation, Position
from spendwatch.domain.balance_reading import Origin
from spendwatch.domain.count import counted
from spendwatch.domain.forecast import Crossing, Forecast, Runway
from spendwatch.domain.money import Money, shown
from spendwatch.domain.run_rate import TooEarly, TooOld
from spendwatch.jobs.overview import AccountOverview

_ORIGINS = {
    Origin.FILE: "from its file",
    Origin.URL: "from its endpoint",
    Origin.API: "from the billing API",
}
_EXPLAINED = {
    Explanation.CREDIT_REFUND: "credit refunds",
    Explanation.BANK_ACCEPTANCE: "bank acceptances",
    Explanation.NEGATIVE_BILL: "negative bills",
    Explanation.OTHER_CURRENCIES: "cash in other currencies",
    Explanation.RESELLER_QUOTA: "a reseller's quota, to which the formula does not apply",
}
_ROUND_FROM = Decimal(10)


def balance_lines(account: AccountOverview, now: datetime, zone: tzinfo, screen: Console) -> list[Text]:
    """Return the balance as an equation, its age, and how long it lasts; why it is unknown or old, if it is."""
    return [flow(screen, parts, gap=" ", indent="    ") for parts in _balance_parts(account, now, zone, screen)]


def _balance_parts(account: AccountOverview, now: datetime, zone: tzinfo, screen: Console) -> Iterator[Sequence[str]]:
    """Yield lines, each in parts that stay whole."""
    balance, trouble = account.balance, account.balance_trouble
    what = "STALE  the balance" if account.is_balance_stale else "The balance could not be read"
    if trouble:
        yield [marked("warning", screen, f"{what}: {clean(trouble)}")]
    if balance is None:
        return
    yield _equation(balance, screen)
    if balance.paid_at_order is not None:
        yield [f"Not subtracted: {shown(balance.paid_at_order.amount)} for subscriptions, paid when ordered"]
    if balance.unseen:
        others = clean(", ".join(balance.unseen))
        line = f"Recent bills have no {others}, billed within 62 days. If they are filtered, available is too high"
        yield [marked("warning", screen, line)]
    if remark := _difference(balance):
        yield [remark]
    if balance.as_of is not None:
        line = _source(balance, balance.as_of, now, zone)
        yield [marked("warning", screen, line) if balance.is_stale else f"[dim]{line}[/]"]
    if balance.is_before_settlement and (settled := balance.settled):
        since = f"{settled.period.label} ({shown(settled.amount.amount)}) counts as settled since {when(settled.at, zone)}"
        yield [f"{since}, and the cash is from before: if that payment is not deducted yet, available is too high"]
    if account.runway is not None and not balance.is_overdue:
        for line in _lasting(account.runway, balance):
            yield [line]


def _source(balance: Position, as_of: datetime, now: datetime, zone: tzinfo) -> str:
    origin, age = balance.reading.origin, age_text(now - as_of)
    if origin is Origin.MANUAL:
        return f"Cash as configured since {when(as_of, zone)} ({age}): update it after top-ups"
    return f"Balance as of {when(as_of, zone)} ({age} old, {_ORIGINS[origin]})"


def forecast_cell(forecast: Forecast | None) -> str:
    """Return a forecast with its band; empty while there are too few days for a forecast."""
    if forecast is None:
        return ""
    return f"{_rough(forecast.likely)} ({_rough(forecast.low)}-{_rough(forecast.high)})"


def _rough(money: Money) -> str:
    if money.amount.copy_abs() < _ROUND_FROM:
        return shown(money.amount)
    return format(money.amount.quantize(Decimal(1), rounding=ROUND_HALF_UP), ",f")


def _equation(balance: Position, screen: Console) -> Sequence[str]:
    parts = [f"Available balance {shown(balance.available.amount)} ="]
    if balance.reading.cash is None:
        parts.append(f"reported {_shown(balance.reading.reported)}")
    else:
        parts.append(f"cash {shown(balance.reading.cash.amount)}")
        parts.append(f"+ credit {shown(balance.reading.credit.amount) if balance.reading.credit else '0.00'}")
        parts += _unsettled(balance)
    if balance.spent_since is not None:
        parts.append(f"- {shown(balance.spent_since.amount)} (billed since then)")
    if balance.is_overdue:
        parts[0] = marked("critical", screen, f"OVERDUE  {parts[0]}")
    return parts


def _unsettled(balance: Position) -> list[str]:
    current, previous, unsettled = balance.unsettled_current, balance.unsettled_previous, balance.unsettled
    if current is not None and previous is not None:
        return [f"- unsettled {shown(current.amount)} (this month)", f"- {shown(previous.amount)} (earlier)"]
    return [f"- unsettled {shown(unsettled.amount)}{' (derived)' if balance.is_derived else ''}"] if unsettled else []


def _difference(balance: Position) -> str:
    if balance.reading.reported is None or balance.reading.cash is None:
        return ""
    difference = balance.difference
    if difference is None:
        return "" if balance.is_derived else f"Reported {shown(balance.reading.reported.amount)}"
    why = ", ".join(_EXPLAINED[explanation] for explanation in difference.explained_by) or "no known explanation"
    return f"Reported {shown(balance.reading.reported.amount)}: it differs by {shown(difference.amount.amount)} ({why})"


def _lasting(runway: Runway | TooEarly | TooOld, balance: Position) -> list[str]:
    if isinstance(runway, TooOld):
        return ["How long it lasts: not available, the data are too old."]
    if isinstance(runway, TooEarly):
        return [f"How long it lasts: not available yet, {runway.days} of {runway.needed} complete days known."]
    ahead = [floor for floor in runway.floors if floor.level < balance.available]
    lines = [f"At the daily rate of {counted(runway.days, 'complete day')} up to {runway.through} it reaches:"]
    lines += [f"  {_shown(floor.level)}  {_day(floor)}" for floor in ahead]
    return [*lines, f"  zero  {_day(runway.zero)}"]


def _day(crossing: Crossing) -> str:
    if crossing.likely is None:
        return "not in sight"
    latest = str(crossing.latest) if crossing.latest else "not expected soon"
    return f"about {crossing.likely}, in {crossing.days} d ({crossing.soonest} to {latest})"


def _shown(money: Money | None) -> str:
    return "?" if money is None else shown(money.amount)
