"""How `status` shows a balance, its runway, and the forecast of a month."""

from __future__ import annotations

from datetime import datetime, tzinfo
from decimal import Decimal

from rich.text import Text

from spendwatch.cli.screen import clean, when
from spendwatch.domain.balance import Explanation, Position
from spendwatch.domain.balance_reading import Origin
from spendwatch.domain.count import counted
from spendwatch.domain.forecast import Crossing, Forecast, Runway
from spendwatch.domain.money import Money, shown
from spendwatch.domain.period import duration_text
from spendwatch.domain.run_rate import TooEarly, TooOld
from spendwatch.jobs.overview import AccountOverview

_ORIGINS = {
    Origin.MANUAL: "as configured",
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
_ROUND_FROM = Decimal(100)


def balance_lines(account: AccountOverview, now: datetime, zone: tzinfo) -> list[Text]:
    """Return the balance as an equation, its age, and how long it lasts; why it is unknown or old, if it is."""
    balance, trouble = account.balance, account.balance_trouble
    what = "STALE  the balance" if account.is_balance_stale else "The balance could not be read"
    found = [Text(f"\n{what}: {clean(trouble)}", style="yellow")] if trouble else []
    if balance is None:
        return found
    style = "bold red" if balance.is_overdue else ""
    found.append(Text(f"{'' if found else chr(10)}{_equation(balance)}", style=style))
    if balance.paid_at_order is not None:
        found.append(Text(f"Not subtracted: {shown(balance.paid_at_order.amount)} for subscriptions, paid when ordered"))
    if balance.unseen:
        others = clean(", ".join(balance.unseen))
        line = f"Recent bills have no {others}, billed within 62 days. If they are filtered, available is too high"
        found.append(Text(line, style="yellow"))
    if remark := _difference(balance):
        found.append(Text(remark))
    if balance.as_of is not None:
        age = duration_text(now - balance.as_of)
        line = f"Balance as of {when(balance.as_of, zone)} ({age} old, {_ORIGINS[balance.reading.origin]})"
        found.append(Text(line, style="yellow" if balance.is_stale else ""))
    if balance.is_before_settlement and (settled := balance.settled):
        since = f"{settled.period.label} ({shown(settled.amount.amount)}) counts as settled since {when(settled.at, zone)}"
        found.append(Text(f"{since}, and the cash is from before: if that payment is not deducted yet, available is too high"))
    if account.runway is not None and not balance.is_overdue:
        found += _lasting(account.runway, balance)
    return found


def forecast_cell(forecast: Forecast | None) -> str:
    """Return a forecast with its band; empty while there are too few days for a forecast."""
    if forecast is None:
        return ""
    return f"{_rough(forecast.likely)} ({_rough(forecast.low)}-{_rough(forecast.high)})"


def _rough(money: Money) -> str:
    text = shown(money.amount)
    return text[: -len(".00")] if money.amount.copy_abs() >= _ROUND_FROM else text


def _equation(balance: Position) -> str:
    parts = [f"Available balance {shown(balance.available.amount)} ="]
    if balance.reading.cash is None:
        parts.append(f"reported {_shown(balance.reading.reported)}")
    else:
        parts.append(f"cash {shown(balance.reading.cash.amount)}")
        parts.append(f"+ credit {shown(balance.reading.credit.amount) if balance.reading.credit else '0.00'}")
        parts += _unsettled(balance)
    if balance.spent_since is not None:
        parts.append(f"- {shown(balance.spent_since.amount)} (billed since then)")
    return " ".join(parts) + ("   OVERDUE" if balance.is_overdue else "")


def _unsettled(balance: Position) -> list[str]:
    current, previous, unsettled = balance.unsettled_current, balance.unsettled_previous, balance.unsettled
    if current is not None and previous is not None:
        return [f"- unsettled {shown(current.amount)} (this month) - {shown(previous.amount)} (earlier)"]
    return [f"- unsettled {shown(unsettled.amount)}{' (derived)' if balance.is_derived else ''}"] if unsettled else []


def _difference(balance: Position) -> str:
    if balance.reading.reported is None or balance.reading.cash is None:
        return ""
    difference = balance.difference
    if difference is None:
        return "" if balance.is_derived else f"Reported {shown(balance.reading.reported.amount)}"
    why = ", ".join(_EXPLAINED[explanation] for explanation in difference.explained_by) or "no known explanation"
    return f"Reported {shown(balance.reading.reported.amount)}: it differs by {shown(difference.amount.amount)} ({why})"


def _lasting(runway: Runway | TooEarly | TooOld, balance: Position) -> list[Text]:
    if isinstance(runway, TooOld):
        return [Text("How long it lasts: not available, the data are too old.")]
    if isinstance(runway, TooEarly):
        return [Text(f"How long it lasts: not available yet, {runway.days} of {runway.needed} complete days known.")]
    ahead = [floor for floor in runway.floors if floor.level < balance.available]
    lines = [f"At the daily rate of {counted(runway.days, 'complete day')} up to {runway.through} it reaches:"]
    lines += [f"  {_shown(floor.level)}  {_day(floor)}" for floor in ahead]
    return [Text(line) for line in (*lines, f"  zero  {_day(runway.zero)}")]


def _day(crossing: Crossing) -> str:
    if crossing.likely is None:
        return "not in sight"
    latest = str(crossing.latest) if crossing.latest else "not expected soon"
    return f"about {crossing.likely}, in {crossing.days} d ({crossing.soonest} to {latest})"


def _shown(money: Money | None) -> str:
    return "?" if money is None else shown(money.amount)
