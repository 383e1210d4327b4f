"""What may be spent, and who is notified. One policy per workspace, one per account."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import NamedTuple, NewType, Protocol

from spendwatch.domain.digest import text_digest
from spendwatch.domain.money import EXACT, Currency, Money, plain
from spendwatch.domain.period import PeriodKind
from spendwatch.domain.scope import BudgetScope, Counts, Dimension, Match, dimension_of, value_of
from spendwatch.domain.statement import AccountId, WorkspaceId

ChannelName = NewType("ChannelName", str)

FORECAST = "forecast"
"""Stands before the share or amount of a threshold that a forecast has to reach."""

FREE_QUOTA = "free_quota"
PLANS = "plans"
"""What has to be learnt before the end of a free quota, or an order, is reported."""

_WARNING_SHARE = Decimal("0.75")


class Site(StrEnum):
    """Which console and API an account belongs to."""

    CN = "cn"
    INTL = "intl"


class Page(StrEnum):
    """A page that messages link to: of the provider's console, and our own of the alert."""

    ALERT = "alert"
    BILL_DETAILS = "bill_details"
    RECHARGE = "recharge"
    API_KEYS = "api_keys"


class Severity(StrEnum):
    """How bad it is, the mildest first."""

    NOTICE = "notice"
    WARNING = "warning"
    CRITICAL = "critical"

    __hash__ = str.__hash__

    @property
    def rank(self) -> int:
        """0 for the mildest."""
        return _RANKS[self]


_RANKS: Mapping[str, int] = {severity.value: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Threshold:
    """A share of the budget, or an absolute amount in the account's currency. Reaching it exactly counts."""

    share: Decimal | None = None
    amount: Decimal | None = None
    is_forecast: bool = False
    """It is reached when the whole period will probably cost so much."""
    channels: tuple[ChannelName, ...] = ()
    """Its own channels; empty: those of its budget."""
    actions: tuple[ChannelName, ...] = ()
    """The channels that are asked to act on it; empty: those of its budget, unless it is a forecast."""

    def __post_init__(self) -> None:
        """Hold exactly one of the two, above zero."""
        value = self.share if self.amount is None else self.amount
        if (self.share is None) == (self.amount is None) or value is None or value <= 0:
            msg = "a threshold is either a share or an amount, and above zero"
            raise ValueError(msg)

    @property
    def label(self) -> str:
        """The threshold as people write it: `80%`, `900` or `forecast 100%`. Part of an alert's identity."""
        value = (
            plain(self.amount or Decimal(0)) if self.share is None else f"{plain(EXACT.multiply(self.share, Decimal(100)))}%"
        )
        return f"{FORECAST} {value}" if self.is_forecast else value

    def reached_at(self, budget: Decimal | None) -> Decimal | None:
        """Return the amount at which the threshold is reached; a share of no budget is never reached."""
        if self.amount is not None:
            return self.amount
        return None if budget is None or self.share is None else EXACT.multiply(budget, self.share)

    def severity(self, budget: Decimal | None) -> Severity:
        """Return critical from the whole budget on, warning from three quarters on, else notice. No budget: warning.

        A forecast is never worse than a warning: it may still prove wrong.
        """
        at = self.reached_at(budget)
        if budget is None or at is None:
            return Severity.WARNING
        if at >= budget:
            return Severity.WARNING if self.is_forecast else Severity.CRITICAL
        return Severity.WARNING if at >= EXACT.multiply(budget, _WARNING_SHARE) else Severity.NOTICE


NEARLY, WHOLE = Threshold(share=_WARNING_SHARE), Threshold(share=Decimal(1))
"""From where on a budget is nearly, and wholly, used up, whatever thresholds it has."""


@lru_cache(maxsize=1024)
def threshold_text(label: str, at: Money, budget: Money | None) -> str:
    """Return a threshold for people, by its label: `80% of CNY 100.00`, or `CNY 90.00 (of its CNY 100.00 budget)`."""
    share = label.removeprefix(f"{FORECAST} ")
    if not share.endswith("%"):
        return f"{at} (of its {budget} budget)" if budget else str(at)
    return f"{share} of {budget}" if budget else share


class FinerBudget(NamedTuple):
    """A budget for what `match` picks out of a workspace or an account, or for each value that bills name in a column.

    One for a day or a week without a name is for all of the workspace or account.
    """

    name: str
    match: Match
    budget: Decimal | None
    thresholds: tuple[Threshold, ...]
    counts: Counts = Counts.ALL
    channels: tuple[ChannelName, ...] = ()
    """Its own channels; empty: those of its policy."""
    for_each: str = ""
    """`api_key`, `model`, `workspace` or `tag:KEY`: each value has this budget for itself. Empty: there is one budget."""
    exceptions: tuple[tuple[str, Decimal | None], ...] = ()
    """Patterns of values with another budget, or with None: these are not watched."""
    spike: Decimal | None = None
    """By how much a day has to cost more than usual to be reported; None: no day is."""
    per: PeriodKind = PeriodKind.MONTH
    actions: tuple[ChannelName, ...] = ()

    @property
    def needs_detail(self) -> bool:
        """Whether it is told apart by more than account and workspace."""
        return bool(self.for_each or self.match.patterns or self.match.tags)

    @property
    def version(self) -> str:
        """What changes when it begins to watch for something else."""
        amounts = f"{self.budget}: {' '.join(str(one.share or one.amount) for one in self.thresholds)}"
        if not self.needs_detail:
            return amounts
        picked = text_digest(repr((self.match, self.for_each, self.exceptions)))
        return f"{amounts} {picked[:16]}"

    def each(self, values: Iterable[str]) -> Iterator[tuple[str, Decimal | None]]:
        """Yield each watched value with its budget. Of the exceptions the exact value counts, else the first that fits."""
        exact = dict(self.exceptions)
        patterns = [(pattern, own) for pattern, own in self.exceptions if not set("*?[").isdisjoint(pattern)]
        for value in sorted(values):
            fitting = (pattern for pattern, _ in patterns if fnmatchcase(value, pattern))
            pattern = value if value in exact else next(fitting, None)
            if pattern is None or exact[pattern] is not None:
                yield value, self.budget if pattern is None else exact[pattern]


@dataclass(frozen=True, slots=True, kw_only=True)
class _SpendPolicy:
    """What may be spent in a billing period, in the account's currency, and who is notified."""

    budget: Decimal | None = None
    thresholds: tuple[Threshold, ...] = ()
    budgets: tuple[FinerBudget, ...] = ()
    channels: tuple[ChannelName, ...] = ()
    remind: timedelta | None = None
    escalate: Escalation | None = None
    counts: Counts = Counts.ALL
    spike: Decimal | None = None
    month_closed: tuple[ChannelName, ...] = ()
    """The channels for the final figures of each month."""
    actions: tuple[ChannelName, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkspacePolicy(_SpendPolicy):
    """What one workspace may spend."""

    workspace: WorkspaceId
    name: str = ""
    owner: str = ""
    account: AccountId | None = None
    """Pins the policy to one account; else it holds in whichever account the workspace turns up."""


class Escalation(NamedTuple):
    """Additional channels for an alert that fires for so long while nobody acknowledges it."""

    after: timedelta
    channels: tuple[ChannelName, ...]
    severity: Severity = Severity.WARNING
    """Milder alerts are not escalated."""


class BalancePolicy(NamedTuple):
    """Where the balance comes from, and when to notify about it."""

    cash: Decimal | None = None
    """As the configuration says; None where the balance is read from elsewhere."""
    credit: Decimal = Decimal(0)
    floors: tuple[Decimal, ...] = ()
    runway: tuple[timedelta, ...] = ()
    """How long before the balance is probably used up."""
    stale_after: timedelta | None = None
    """Older readings are shown as stale; None: it never gets old by itself."""


class FirstCosts(NamedTuple):
    """Which first costs of an account are reported."""

    of: tuple[Dimension, ...]
    least: Decimal = Decimal(0)
    """What costs less so far is not reported yet."""


@dataclass(frozen=True, slots=True)
class AccountPolicy(_SpendPolicy):
    """What a paying account may spend, and its balance."""

    account: AccountId
    name: str
    site: Site
    currency: Currency
    balance: BalancePolicy | None = None
    first: FirstCosts | None = None
    free_quota: bool = False
    """Whether it is reported that the free quota of a model has ended."""
    plans: timedelta | None = None
    """How long before its end a plan is reported, if plans are reported at all."""

    @property
    def learns(self) -> tuple[str, ...]:
        """The conditions that report what is new, and have to learn what is not."""
        others = {FREE_QUOTA: self.free_quota, PLANS: self.plans}
        return (*(self.first.of if self.first else ()), *(what for what, wanted in others.items() if wanted))


def with_name(value: str, name: str) -> str:
    """Return name and id, `chatbot (1200345)`; the id alone where it has no name."""
    return f"{name} ({value})" if name else value


class Names(NamedTuple):
    """What people call the ids of bills: `chatbot` for the API key 1200345."""

    known: Mapping[tuple[Dimension, str], str] = {}

    def of(self, dimension: Dimension, value: str) -> str:
        """Return the configured name of a value; empty where it has none."""
        return self.known.get((dimension, value), "")

    def label(self, dimension: Dimension | None, value: str) -> str:
        """Return the value with its name, if it has one."""
        return with_name(value, self.of(dimension, value) if dimension else "")


NO_NAMES = Names()


class Policies(NamedTuple):
    """Everything that the judgement needs to know about what is wanted."""

    accounts: tuple[AccountPolicy, ...]
    workspaces: tuple[WorkspacePolicy, ...]
    operators: tuple[ChannelName, ...]
    """The channels for failures of sources, files, channels and the configuration."""
    products: tuple[str, ...]
    """Product codes that count as spend."""
    month_final_on: int
    names: Names = NO_NAMES
    links: Mapping[Site, Mapping[Page, str]] = {}
    public_url: str = ""
    """Where people reach our own page; empty where they do not."""
    """The addresses of the console's pages; what is left out is not linked to."""
    operators_remind: timedelta | None = None
    """How often operators are reminded; None: of what is failing daily, of the rest never."""
    operators_escalate: Escalation | None = None
    actions_on_late_figures: bool = False
    """Whether actions are requested on figures that only the billing API tells."""

    @property
    def every(self) -> tuple[AccountPolicy | WorkspacePolicy, ...]:
        """The policies of accounts, then those of workspaces."""
        return (*self.accounts, *self.workspaces)

    def account(self, account: AccountId) -> AccountPolicy | None:
        """Return the policy of that account."""
        return next((policy for policy in self.accounts if policy.account == account), None)

    def finer(self, scope: BudgetScope) -> FinerBudget | None:
        """Return the finer budget that the scope is of, or one of its values."""
        owners = (one for one in self.workspaces if one.workspace == scope.workspace and one.account in {None, scope.account})
        owner = next(owners, None) if scope.workspace else self.account(scope.account)
        return next((one for one in owner.budgets if (one.name, one.per) == (scope.budget, scope.per)), None) if owner else None


class _HasChannels(Protocol):
    @property
    def channels(self) -> tuple[ChannelName, ...]: ...


def channels_of(reached: Iterable[_HasChannels], usual: Iterable[ChannelName]) -> tuple[ChannelName, ...]:
    """Return the channels of a message that speaks for these thresholds: every channel of every one of them."""
    return tuple(dict.fromkeys(name for one in reached for name in one.channels or usual))


def asked(thresholds: Iterable[Threshold], usual: tuple[ChannelName, ...], labels: Collection[str]) -> tuple[ChannelName, ...]:
    """Return the channels that are asked to act where the thresholds with these labels are reached."""
    reached = (one for one in thresholds if (one.actions or usual) and one.label in labels)
    wanted = (one.actions or (() if one.is_forecast else usual) for one in reached)
    return tuple(dict.fromkeys(name for names in wanted for name in names))


class Watch(NamedTuple):
    """One watched budget: scope, selection, amount, thresholds, channels."""

    scope: BudgetScope
    name: str
    currency: Currency
    budget: Money | None
    thresholds: tuple[Threshold, ...]
    channels: tuple[ChannelName, ...]
    match: Match | None = None
    """None: everything in the scope."""
    remind: timedelta | None = None
    column: str = ""
    """Where the value of the scope stands in roll-up rows."""
    owner: str = ""
    spike: Decimal | None = None
    """By how much a day has to cost more than usual to be reported; None: no day is."""
    version: str = ""
    """Of a budget for a day or a week: what changes when it begins to watch for something else."""
    month_closed: tuple[ChannelName, ...] = ()
    """The channels for the final figures of each month."""
    escalate: Escalation | None = None
    actions: tuple[ChannelName, ...] = ()
    account_name: str = ""
    """What people call its account."""

    def asked(self, labels: Collection[str]) -> tuple[ChannelName, ...]:
        """Return the channels that are asked to act where these thresholds are reached."""
        return asked(self.thresholds, self.actions, labels)

    @property
    def dimension(self) -> Dimension | None:
        """That of the column; None for a tag."""
        return dimension_of(self.column)

    def fits_place(self, values: Mapping[Dimension, str]) -> bool:
        """Return whether a roll-up row is of its account and workspace."""
        scope = self.scope
        return values[Dimension.ACCOUNT] == scope.account and scope.workspace in {None, values[Dimension.WORKSPACE]}

    def fits(self, values: Mapping[Dimension, str]) -> bool:
        """Return whether it counts a roll-up row of its account and workspace."""
        is_picked = self.match is None or self.match.fits(values)
        return is_picked and (not self.column or value_of(self.column, values) == self.scope.value)


Values = Callable[[BudgetScope, FinerBudget], Iterable[str]]
"""Returns the values that bills of this scope name in the column of a finer budget that each has for itself."""


def watches(
    policies: Policies,
    seen: frozenset[tuple[AccountId, WorkspaceId]],
    values: Values = lambda *_: (),
    per: PeriodKind | None = None,
) -> tuple[Watch, ...]:
    """Return every budget to be watched, given in which accounts which workspaces have turned up, and which values.

    `per`: only those for that kind of period.
    """
    found: list[Watch] = []
    accounts_of: dict[WorkspaceId, list[AccountId]] = {}
    for account, workspace in sorted(seen):
        accounts_of.setdefault(workspace, []).append(account)
    by_id = {policy.account: policy for policy in policies.accounts}
    for policy in policies.accounts:
        scope = BudgetScope(policy.account, counts=policy.counts)
        found.extend(_watches_of(policy, scope, policy, policies.names, values, per=per))
    for workspace_policy in policies.workspaces:
        pinned = workspace_policy.account
        places = (pinned,) if pinned else tuple(accounts_of.get(workspace_policy.workspace, ()))
        if not places and len(policies.accounts) == 1:
            places = (policies.accounts[0].account,)
        for account in places:
            if payer := by_id.get(account):
                scope = BudgetScope(account, workspace_policy.workspace, counts=workspace_policy.counts)
                found.extend(_watches_of(payer, scope, workspace_policy, policies.names, values, per=per))
    return tuple(found)


def _watches_of(
    payer: AccountPolicy,
    scope: BudgetScope,
    policy: AccountPolicy | WorkspacePolicy,
    names: Names,
    values: Values,
    *,
    per: PeriodKind | None,
) -> Iterator[Watch]:
    wanted = [finer for finer in policy.budgets if per is None or finer.per is per]
    if not wanted and per and per.is_short:
        return
    title = policy.name or names.of(Dimension.WORKSPACE, scope.workspace or "") or (scope.workspace or scope.account)
    owner = policy.owner if isinstance(policy, WorkspacePolicy) else ""

    def watch(scope: BudgetScope, name: str, budget: Decimal | None, finer: FinerBudget | None = None) -> Watch:
        money = None if budget is None else Money(budget, payer.currency)
        thresholds, channels = (finer or policy).thresholds, (finer and finer.channels) or policy.channels
        match, column = (finer.match if finer.name else None, finer.for_each) if finer else (None, "")
        common = (payer.currency, money, thresholds, channels, match, policy.remind, column, owner, (finer or policy).spike)
        version = finer.version if finer and finer.per.is_short else ""
        closed = () if finer else policy.month_closed
        return Watch(scope, name, *common, version, closed, policy.escalate, (finer or policy).actions, payer.name)

    if per is None or not per.is_short:
        yield watch(scope, title, policy.budget)
    for finer in wanted:
        inner = BudgetScope(scope.account, scope.workspace, finer.name, finer.counts, per=finer.per)
        name = f"{title}: {finer.name}" if finer.name else title
        if not finer.for_each:
            yield watch(inner, name, finer.budget, finer)
            continue
        for value, budget in finer.each(values(inner, finer)):
            own = replace(inner, value=value)
            label = names.label(dimension_of(finer.for_each), value)
            yield watch(own, f"{name} {label}".rstrip(), budget, finer)


class Part(NamedTuple):
    """A value that bills name, and what people call it."""

    dimension: Dimension
    value: str
    name: str = ""

    @property
    def short(self) -> str:
        """Its name, or the value where it has none."""
        return self.name or self.value

    @property
    def label(self) -> str:
        """Name and id, `chatbot (1200345)`."""
        return with_name(self.value, self.name)
