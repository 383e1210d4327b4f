"""The table of `status`: workspaces and their budgets, those that need a person first, on every width of screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from rich.console import Console

from spendwatch.cli.outlook import forecast_cell
from spendwatch.cli.screen import COLOURS, Rows, bar, clean, coloured, marked, table
from spendwatch.domain.count import counted
from spendwatch.domain.money import Money, percent, share_of, shown
from spendwatch.domain.statement import UNASSIGNED
from spendwatch.jobs.overview import AccountOverview, BudgetLine, BudgetState, WorkspaceLine

_URGENCY = {BudgetState.CRITICAL: 0, BudgetState.WARNING: 1}
_FEW = 10
"""So many workspaces are shown where fewer need a person."""
_FEW_FINER = 5
_SHORTEST_BAR, _LONGEST_BAR = 6, 30
_LONGEST_NAME = 24

_HEADINGS = {
    "state": "STATE",
    "who": "WORKSPACE",
    "workspace": "WORKSPACE",
    "name": "NAME",
    "spent": "SPENT",
    "pay_as_you_go": "PAY-AS-YOU-GO",
    "subscription": "SUBSCRIPTION",
    "budget": "BUDGET",
    "bar": "",
    "used": "USED",
    "forecast": "MONTH ABOUT",
    "about": "ABOUT",
}
_NUMBERS = ("SPENT", "PAY-AS-YOU-GO", "SUBSCRIPTION", "BUDGET", "USED", "MONTH ABOUT", "ABOUT")
_ALWAYS = {"state", "spent", "budget", "used"}
_WIDE_TO_NARROW = (
    {"workspace", "name", "pay_as_you_go", "subscription", "bar", "forecast"},
    {"who", "pay_as_you_go", "subscription", "bar", "forecast"},
    {"who", "subscription", "bar", "forecast"},
    {"who", "subscription", "bar", "about"},
    {"who", "subscription", "about"},
    {"who", "subscription"},
    {"who", "about"},
    {"who"},
)
"""What is shown on ever narrower screens: ids, what can be subtracted, the band of the forecast and the bar go first."""
_NO_BUDGET = "[dim]no budget[/]"

_Line = AccountOverview | WorkspaceLine | BudgetLine


_Cells = dict[str, str]


class _Row(NamedTuple):
    """One row: what stands in each column, and of what its bar is."""

    cells: _Cells
    line: _Line | None = None


def budgets_of(account: AccountOverview) -> Iterator[tuple[str, BudgetState, bool]]:
    """Yield each budget of an account by its name, how it stands, and whether it has an amount of its own to be used up."""
    lines: Sequence[AccountOverview | WorkspaceLine] = (account, *account.workspaces)
    for line in lines:
        name = line.name or (line.workspace if isinstance(line, WorkspaceLine) else line.account)
        yield name, line.own, line.budget is not None
        for finer in line.budgets:
            yield f"{name}: {finer.name}", finer.mark, finer.budget is not None


def spending_table(account: AccountOverview, screen: Console, room: int | None) -> Rows:
    """Return the table, in about as many rows as there is room for; fewer columns rather than figures that are cut."""
    rows = [*_picked(account, screen, room), _row(f"all of {account.name or account.account}", "", account, screen)]
    if account.data_until is None:
        rows = [row._replace(cells=row.cells | {"spent": "?", "used": ""}, line=None) for row in rows]
    rows += _finer_rows(account, screen, room is None or len(rows) + len(account.budgets) <= room)
    for money in account.foreign:
        other = f"also in {money.currency}"
        rows.append(_Row({"who": other, "workspace": other, "spent": shown(money.amount)}))
    lines: Sequence[AccountOverview | WorkspaceLine] = (account, *account.workspaces)
    absent = set() if any(line.forecast for line in lines) else {"forecast", "about"}
    if not any(line.split.subscription.amount for line in lines):
        absent |= {"pay_as_you_go", "subscription"}
    if not any(line.used is not None or line.budgets for line in lines):
        absent |= {"bar", "used"}
    wanted = _WIDE_TO_NARROW if any(line.name for line in account.workspaces) else _WIDE_TO_NARROW[1:]
    choices = [[key for key in _HEADINGS if key in (_ALWAYS | some) - absent] for some in wanted]
    fitting = (found for keys in choices if (found := _fitting(keys, rows, screen)))
    return next(fitting, None) or _table(choices[-1], [row.cells for row in rows])


def _fitting(keys: Sequence[str], rows: Sequence[_Row], screen: Console) -> Rows | None:
    """Return the table of these columns, its bars as long as there is room; None where there is too little."""
    plain = _table([key for key in keys if key != "bar"], [row.cells for row in rows])
    room = screen.width - plain.width
    if "bar" not in keys:
        return plain if plain.least <= screen.width else None
    length = min(_LONGEST_BAR, room - len("  "))
    shortest = _SHORTEST_BAR if "who" in keys else _SHORTEST_BAR * 2
    return _table(keys, [row.cells | {"bar": _bar(row.line, length, screen)} for row in rows]) if length >= shortest else None


def _table(keys: Sequence[str], cells: Sequence[_Cells]) -> Rows:
    names = "NAME" if "name" in keys else "WORKSPACE"
    rows = [tuple(row.get(key, "") for key in keys) for row in cells]
    return table([_HEADINGS[key] for key in keys], rows, right=_NUMBERS, wraps=names, wraps_at=_LONGEST_NAME)


def _picked(account: AccountOverview, screen: Console, room: int | None) -> Iterator[_Row]:
    """Yield workspaces with their finer budgets, those that need a person first; if there is no room for all, few others."""
    lines = sorted(account.workspaces, key=lambda line: (_URGENCY.get(line.mark, 2), line.workspace == UNASSIGNED))
    is_whole = room is None or len(lines) + sum(len(line.budgets) for line in lines) + len(account.budgets) < room
    left, taken = room or 0, 0
    for line in lines:
        if not is_whole and (left < 1 or (line.mark not in _URGENCY and taken >= _FEW)):
            break
        finer = list(_finer_rows(line, screen, is_whole))
        yield _row(line.workspace or "(no workspace)", line.name, line, screen)
        yield from finer
        taken, left = taken + 1, left - 1 - len(finer)
    folded = sorted(lines[taken:], key=lambda line: (_URGENCY.get(line.own, 2), line.own))
    for mark, group in groupby(folded, key=lambda line: line.own):
        some = list(group)
        more = f"{len(some)} more (--all)"
        spent = Money.total((line.spend.amount for line in some), account.currency)
        cells = {"state": _state(mark, screen), "who": more, "workspace": more, "spent": shown(spent.amount)}
        yield _Row(cells | ({"budget": _NO_BUDGET} if mark is BudgetState.NONE else {}))


def _finer_rows(line: AccountOverview | WorkspaceLine, screen: Console, is_whole: bool) -> Iterator[_Row]:  # noqa: FBT001 -- its callers are above
    finer = sorted(line.budgets, key=lambda one: _URGENCY.get(one.mark, 2))
    shown = finer if is_whole else [one for one in finer if one.mark in _URGENCY][:_FEW_FINER]
    for one in shown:
        yield _row("", f"  {one.name}{one.scope.note}", one, screen)
    if hidden := len(finer) - len(shown):
        more = f"  and {counted(hidden, 'more finer budget')}"
        yield _Row({"who": more, "name": more})


def _row(workspace: str, name: str, one: _Line, screen: Console) -> _Row:
    mark = one.mark if isinstance(one, BudgetLine) else one.own
    weight = "[bold]{}[/]" if isinstance(one, AccountOverview) else "{}"
    cells = {
        "state": "" if isinstance(one, BudgetLine) and one.is_so_far else _state(mark, screen),
        "who": weight.format(clean(name or workspace)),
        "workspace": weight.format(clean(workspace)),
        "name": clean(name),
        "spent": shown(one.spend.amount),
        "budget": shown(one.budget.amount) if one.budget else _NO_BUDGET,
        "used": coloured(mark, percent(one.used)) if one.used is not None else "",
        "forecast": forecast_cell(one.forecast),
        "about": forecast_cell(one.forecast).partition(" ")[0],
    }
    if not isinstance(one, BudgetLine):
        cells["pay_as_you_go"] = shown(one.split.pay_as_you_go.amount)
        cells["subscription"] = shown(one.split.subscription.amount)
    return _Row(cells, one)


def _state(mark: BudgetState, screen: Console) -> str:
    return "" if mark is BudgetState.NONE else marked(mark.value, screen)


def _bar(one: _Line | None, length: int, screen: Console) -> str:
    if one is None or one.used is None or one.budget is None:
        return ""
    likely = share_of(one.forecast.likely.amount, one.budget.amount) if one.forecast else None
    mark = one.mark if isinstance(one, BudgetLine) else one.own
    return bar(one.used, likely, length, screen, COLOURS.get(mark.value, ""))
