"""What a budget watches (an account, a workspace, or the charges that a `match` selects), and what else an alert is about."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase, translate
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote

from spendwatch.domain.money import Currency
from spendwatch.domain.period import PeriodKind
from spendwatch.domain.statement import AccountId, WorkspaceId


class Dimension(StrEnum):
    """What spend can be grouped by. Configuration, reports and tables use the same names."""

    ACCOUNT = "account"
    DAY = "day"
    WORKSPACE = "workspace"
    API_KEY = "api_key"
    MODEL = "model"
    TYPE = "type"
    CHANNEL = "channel"
    SAFE_MODE = "safe_mode"
    """Whether calls stop once the free quota is used up, the sixth field of an instance id."""
    REGION = "region"
    ENDS = "ends"
    """When what was ordered ends."""
    ITEM = "item"
    COMMODITY = "commodity"
    PRODUCT = "product"
    OWNER = "owner"
    TAGS = "tags"
    CHARGE = "charge"

    # Enum hashes its name in Python, at every look-up; sums are looked up by dimension a million times a round.
    __hash__ = str.__hash__


class Counts(StrEnum):
    """Which charges a budget counts, by how they are paid for."""

    ALL = "all"
    PAY_AS_YOU_GO = "pay_as_you_go"
    SUBSCRIPTION = "subscription"

    __hash__ = str.__hash__

    @property
    def note(self) -> str:
        """What stands in lists behind the name of a budget that does not count everything."""
        return "" if self is Counts.ALL else f" ({self.value.replace('_', '-')} only)"


PLAYGROUND = "bmp"
"""The channel of calls from the console's Playground; they name no API key."""


class Portion(StrEnum):
    """Spend that nobody's budget counts; the values are the names of what watches it."""

    CONSOLE = "console spend"
    UNASSIGNED = "spend without workspace"
    UNTAGGED = "spend without tag"
    """The tag follows."""

    __hash__ = str.__hash__


@lru_cache(maxsize=4096)
def portion_of(name: str) -> Portion | None:
    """Return which portion what has this name watches; None for every budget that people name."""
    return next((one for one in Portion if name == one or name.startswith(f"{one} ")), None)


MATCHABLE = (Dimension.API_KEY, Dimension.MODEL, Dimension.CHANNEL, Dimension.TYPE, Dimension.ITEM, Dimension.OWNER)
"""What a finer budget may match on, beside tags."""

TAG = "tag:"
"""Stands before the key of a tag by whose values spend is grouped."""
EACH = (Dimension.API_KEY, Dimension.MODEL, Dimension.WORKSPACE)
"""Each value of these may have a budget of its own, beside each value of a tag."""


_DIMENSIONS = {one.value: one for one in Dimension}


def dimension_of(column: str) -> Dimension | None:
    """Return the dimension of a column; None for that of a tag."""
    return None if not column or column.startswith(TAG) else Dimension(column)


def value_of(column: str, values: Mapping[Dimension, str]) -> str:
    """Return the value of a roll-up row in a column: a dimension's, or that of one tag as in `tag:team`."""
    if column.startswith(TAG):
        # Alerts are about values: without NUL, which no database takes, so that they are found again.
        return parse_tags(values.get(Dimension.TAGS, "")).get(column.removeprefix(TAG), "").replace("\0", "\\x00")
    return values.get(_DIMENSIONS[column], "")


class Match(NamedTuple):
    """Picks roll-up rows: every pattern must fit. Patterns know `*`, `?` and `[…]`; an empty pattern fits the empty value.

    The empty pattern of a tag fits rows without that tag, too; `*` wants it to be there.
    """

    patterns: tuple[tuple[Dimension, str], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()

    def fits(self, values: Mapping[Dimension, str]) -> bool:
        """Return whether a row with these values is picked. Missing values count as empty."""
        if not all(fnmatchcase(values.get(dimension, ""), pattern) for dimension, pattern in self.patterns):
            return False
        if not self.tags:
            return True
        tags = parse_tags(values.get(Dimension.TAGS, ""))
        return all(fnmatchcase(tags[key], pattern) if key in tags else not pattern for key, pattern in self.tags)


def can_fit(pattern: str) -> bool:
    """Return whether any value fits the pattern: none does where a set runs backwards, like `[9-0]`."""
    return "(?!)" not in translate(pattern)


class Seen(NamedTuple):
    """What bills on record name together."""

    account: AccountId
    workspace: WorkspaceId
    api_key: str
    currency: Currency


@lru_cache(maxsize=4096)
def parse_tags(text: str) -> Mapping[str, str]:
    """Return the tags of a roll-up row, written as a canonical JSON object; what is no text is returned as JSON writes it."""
    if not text:
        return {}
    found = json.loads(text)
    return {str(key): value if isinstance(value, str) else _as_json(value) for key, value in found.items()}


def _as_json(value: object) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True, order=True)
class BudgetScope:
    """Whose spend, of which account. Without a workspace: the whole account. `budget` names a finer budget.

    Of a finer budget that each key, model, workspace or tag has for itself, `value` says whose it is.

    A budget that counts something else, or is for another kind of period, has alerts of its own: the two amounts do not
    compare.
    """

    account: AccountId
    workspace: WorkspaceId | None = None
    budget: str = ""
    counts: Counts = Counts.ALL
    value: str = ""
    per: PeriodKind = PeriodKind.MONTH

    @property
    def of_all(self) -> BudgetScope:
        """The same with everything that is charged, by the month."""
        is_it = self.counts is Counts.ALL and not self.per.is_short
        return self if is_it else replace(self, counts=Counts.ALL, per=PeriodKind.MONTH)

    @property
    def rule(self) -> BudgetScope:
        """The same without the value: all values of a finer budget together."""
        return replace(self, value="") if self.value else self

    @property
    def note(self) -> str:
        """What it counts, behind its name in lists, where that is not what such a budget counts unless told otherwise."""
        usual = Counts.PAY_AS_YOU_GO if self.per.is_short or self.portion else Counts.ALL
        return "" if self.counts is usual else self.counts.note or " (subscriptions, too)"

    @property
    def portion(self) -> Portion | None:
        """Which spend it watches that nobody's budget counts."""
        return portion_of(self.budget) if self.budget else None

    @property
    def is_whole_account(self) -> bool:
        """Whether nothing is left out of the account."""
        return self.workspace is None and not self.budget

    @property
    def label(self) -> str:
        """The scope as one text, as JSON shows it."""
        return _written(self, self.workspace, "/".join(filter(None, (self.budget, self.value))))

    @property
    def text(self) -> str:
        """The same so that it can be parsed: no slash of an id or a name passes for the one that ends it."""
        return _text_of(self)


@lru_cache(maxsize=16384)
def _text_of(scope: BudgetScope) -> str:
    workspace, budget = scope.workspace, scope.budget
    if workspace and ("/" in workspace or "%" in workspace):
        workspace = WorkspaceId(quote(workspace, safe=""))
    if scope.value or budget.startswith(_EACH):
        budget = f"{_EACH}{quote(budget, safe=' ')}/{scope.value}"
    return _written(scope, workspace, budget)


def _written(scope: BudgetScope, workspace: WorkspaceId | None, budget: str) -> str:
    whole = "account" if workspace is None else f"workspace:{workspace}"
    if budget:
        whole = f"{whole}/{budget}"
    if scope.per is not PeriodKind.MONTH:
        whole = f"{scope.per}:{whole}"
    return whole if scope.counts is Counts.ALL else f"{scope.counts}:{whole}"


class Subject(StrEnum):
    """What an alert is about that is no budget."""

    SOURCE = "source"
    CHANNEL = "channel"
    FILE = "file"
    SERIES = "series"
    MONTH = "month"
    LAYOUT = "layout"
    DAEMON = "daemon"
    """A part of the program itself: its configuration, clock or ledger."""

    __hash__ = str.__hash__


NO_ACCOUNT = AccountId("")


@dataclass(frozen=True, slots=True, order=True)
class NamedScope:
    """A source, channel, bill file, series, final month, layout or part of the daemon."""

    subject: Subject
    name: str
    account: AccountId = NO_ACCOUNT
    """Empty where it is the matter of no account."""

    @property
    def label(self) -> str:
        """The scope as one text, as JSON shows it."""
        return self.name if self.subject is Subject.DAEMON else self.text

    @property
    def text(self) -> str:
        """The same so that it can be parsed."""
        return f"{self.subject}:{self.name}"


AlertScope = BudgetScope | NamedScope

NOTHING = NamedScope(Subject.DAEMON, "")
"""The scope of what is about nothing in particular."""

_EACH = "each:"
"""Stands before the name of a finer budget that a value follows."""
_BUDGET = re.compile(r"(?:(pay_as_you_go|subscription):)?(?:(day|week):)?(?:account|workspace:([^/]*))(?:/(.*))?", re.DOTALL)


@lru_cache(maxsize=32768)
def parse_scope(account: AccountId, text: str) -> AlertScope:
    """Return the scope of that account which has this text."""
    if found := _BUDGET.fullmatch(text):
        counts, per, workspace, budget = found.groups()
        place = None if workspace is None else WorkspaceId(unquote(workspace))
        name, value = budget or "", ""
        if name.startswith(_EACH):
            name, _, value = name.removeprefix(_EACH).partition("/")
            name = unquote(name)
        return BudgetScope(account, place, name, Counts(counts or Counts.ALL), value, PeriodKind(per or PeriodKind.MONTH))
    subject, _, name = text.partition(":")
    return NamedScope(Subject(subject), name, account)
