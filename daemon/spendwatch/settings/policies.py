"""Converts the files to the domain's policies, with defaults."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from spendwatch.domain.period import PeriodKind
from spendwatch.domain.policy import (
    WHOLE,
    AccountPolicy,
    BalancePolicy,
    ChannelName,
    Escalation,
    FinerBudget,
    FirstCosts,
    Names,
    Page,
    Policies,
    Site,
    Threshold,
    WorkspacePolicy,
)
from spendwatch.domain.scope import MATCHABLE, PLAYGROUND, Counts, Dimension, Match, Portion
from spendwatch.domain.statement import AccountId, WorkspaceId
from spendwatch.settings.schema import (
    AccountPart,
    AmountPart,
    BudgetPart,
    ChinaLinks,
    DaemonFile,
    EscalationPart,
    InternationalLinks,
    MatchPart,
    WorkspaceFile,
)
from spendwatch.settings.value_types import NO_LINK

if TYPE_CHECKING:
    from spendwatch.settings.optional_parts import BalancePart


class Defaults(NamedTuple):
    """The defaults of a workspace file."""

    thresholds: tuple[Threshold, ...]
    channels: tuple[ChannelName, ...]
    remind: timedelta | None = None
    escalate: Escalation | None = None

    @classmethod
    def of(cls, daemon: DaemonFile) -> Defaults:
        """Return the defaults; without configured ones every channel is notified, so that no alert is lost."""
        return cls(
            tuple(part.threshold for part in daemon.defaults.thresholds),
            _channels(daemon.defaults.channels, tuple(daemon.channels)),
            daemon.defaults.remind,
            _escalation(daemon.defaults.escalate, None),
        )


def policies(daemon: DaemonFile, workspaces: Iterable[WorkspacePolicy]) -> Policies:
    """Return everything that the judgement needs to know."""
    defaults, workspaces = Defaults.of(daemon), tuple(workspaces)
    names = {(Dimension.API_KEY, key): name for key, name in daemon.names.api_keys.items()}
    names |= {(Dimension.WORKSPACE, workspace): name for workspace, name in daemon.names.workspaces.items()}
    names |= {(Dimension.WORKSPACE, policy.workspace): policy.name for policy in reversed(workspaces) if policy.name}
    names |= {(Dimension.ACCOUNT, part.id): name for name, part in daemon.accounts.items()}
    return Policies(
        accounts=tuple(_account_policy(name, part, defaults) for name, part in daemon.accounts.items()),
        workspaces=workspaces,
        operators=_channels(daemon.operators.channels, defaults.channels),
        products=tuple(daemon.products),
        month_final_on=daemon.month_final_on,
        names=Names(names),
        links={site: _links(getattr(daemon.links, site.value)) for site in Site},
        public_url=(daemon.web.public_url or "") if daemon.web else "",
        operators_remind=daemon.operators.remind or defaults.remind,
        operators_escalate=_escalation(daemon.operators.escalate, defaults.escalate),
        actions_on_late_figures=daemon.actions_on_late_figures,
    )


def _links(part: ChinaLinks | InternationalLinks) -> Mapping[Page, str]:
    said = ((page, getattr(part, page.value)) for page in Page if page is not Page.ALERT)
    return {page: address for page, address in said if address != NO_LINK}


def workspace_policy(said: WorkspaceFile, accounts: Mapping[str, AccountPart], defaults: Defaults) -> WorkspacePolicy:
    """Return the policy of one workspace's file."""
    return WorkspacePolicy(
        workspace=WorkspaceId(said.workspace),
        name=said.name or "",
        owner=said.owner or "",
        account=None if said.account is None else AccountId(accounts[said.account].id),
        budget=said.budget,
        thresholds=_thresholds(said, defaults),
        budgets=_finer_budgets(said, defaults),
        channels=_channels(said.channels, defaults.channels),
        remind=said.remind or defaults.remind,
        escalate=_escalation(said.escalate, defaults.escalate),
        counts=said.counts,
        spike=_spike(said),
        actions=_channels(said.actions, ()),
        month_closed=_month_closed(said, defaults),
    )


def _account_policy(name: str, part: AccountPart, defaults: Defaults) -> AccountPolicy:
    return AccountPolicy(
        account=AccountId(part.id),
        name=name,
        site=part.site,
        currency=part.currency,
        budget=part.budget,
        thresholds=_thresholds(part, defaults),
        budgets=_finer_budgets(part, defaults),
        channels=_channels(part.channels, defaults.channels),
        balance=None if part.balance is None else _balance_policy(part.balance),
        remind=part.remind or defaults.remind,
        escalate=_escalation(part.escalate, defaults.escalate),
        counts=part.counts,
        free_quota=part.free_quota,
        plans=part.plans,
        first=None if part.first is None else FirstCosts(tuple(part.first.of), part.first.least or Decimal(0)),
        month_closed=_month_closed(part, defaults),
        spike=_spike(part),
        actions=_channels(part.actions, ()),
    )


def _month_closed(part: AccountPart | WorkspaceFile, defaults: Defaults) -> tuple[ChannelName, ...]:
    if part.month_closed is None:
        return ()
    return _channels(part.month_closed.channels, _channels(part.channels, defaults.channels))


def _spike(part: AccountPart | WorkspaceFile | BudgetPart) -> Decimal | None:
    return None if part.spike is None else part.spike.min


def _balance_policy(part: BalancePart) -> BalancePolicy:
    return BalancePolicy(
        cash=part.cash if part.from_ == "manual" else None,
        credit=part.credit if part.from_ == "manual" else Decimal(0),
        floors=tuple(sorted(part.floors)),
        runway=tuple(sorted(part.runway)),
        stale_after=None if part.from_ == "manual" else part.stale_after,
    )


def _escalation(part: EscalationPart | None, default: Escalation | None) -> Escalation | None:
    return Escalation(part.after, _channels(part.channels, ()), part.severity) if part else default


def _thresholds(part: AccountPart | WorkspaceFile | BudgetPart, defaults: Defaults) -> tuple[Threshold, ...]:
    if part.thresholds is not None:
        return tuple(one.threshold for one in part.thresholds)
    # A share of a budget that counts subscriptions alone has no forecast: it is left out of the defaults.
    usual = (one for one in defaults.thresholds if not (one.is_forecast and part.counts is Counts.SUBSCRIPTION))
    return () if part.budget is None else tuple(usual)


def _finer_budgets(part: AccountPart | WorkspaceFile, defaults: Defaults) -> tuple[FinerBudget, ...]:
    """Return the finer budgets, each with those for its days and weeks, and those for the days and weeks of all."""
    found: list[FinerBudget] = []
    for finer in part.budgets:
        plain = FinerBudget(
            name=finer.name,
            match=_match(finer.match) if finer.match else Match(),
            budget=finer.budget,
            thresholds=_thresholds(finer, defaults),
            counts=finer.counts,
            channels=_channels(finer.channels, ()),
            for_each=finer.for_each or "",
            exceptions=tuple(finer.exceptions.items()),
            spike=_spike(finer),
            actions=_channels(finer.actions, ()),
        )
        short = tuple(_short_budgets(finer, plain))
        is_short = short and plain.budget is None and not plain.thresholds and plain.spike is None
        found += short if is_short else (plain, *short)
    return (*_short_budgets(part, FinerBudget("", Match(), None, ())), *found, *_portions(part))


def _portions(part: AccountPart | WorkspaceFile) -> Iterator[FinerBudget]:
    """Yield the amounts of spend that nobody's budget counts. Orders of plans have neither key nor workspace: they are none."""

    def over(name: str, match: Match, amount: AmountPart, per: PeriodKind = PeriodKind.MONTH) -> FinerBudget:
        at, channels = (Threshold(amount=amount.over),), _channels(amount.channels, ())
        return FinerBudget(name, match, None, at, Counts.PAY_AS_YOU_GO, channels, per=per)

    if one := part.console_spend:
        yield over(Portion.CONSOLE, Match(((Dimension.API_KEY, ""), (Dimension.CHANNEL, PLAYGROUND))), one, one.per)
    if isinstance(part, AccountPart) and (one := part.unassigned_spend):
        yield over(Portion.UNASSIGNED, Match(((Dimension.WORKSPACE, ""),)), one, one.per)
    for tag, amount in part.untagged_spend.items():
        yield over(f"{Portion.UNTAGGED.value} {tag}", Match(tags=((tag, ""),)), amount)


def _short_budgets(part: AccountPart | WorkspaceFile | BudgetPart, of: FinerBudget) -> Iterator[FinerBudget]:
    """Yield the budgets for days and weeks of what that budget watches.

    They count pay-as-you-go unless something else is written: one order of a plan is no unusual day. The budget of a month has
    thresholds on the way to it; each ordinary day would reach these.
    """
    usual = part.counts if "counts" in part.model_fields_set else Counts.PAY_AS_YOU_GO
    for kind, short in ((PeriodKind.DAY, part.daily), (PeriodKind.WEEK, part.weekly)):
        if short:
            said = None if short.thresholds is None else tuple(one.threshold for one in short.thresholds)
            yield of._replace(
                budget=short.budget,
                spike=None,
                thresholds=(WHOLE,) if said is None else said,
                counts=short.counts or usual,
                channels=_channels(short.channels, of.channels),
                actions=_channels(short.actions, ()),
                exceptions=tuple((value, budget) for value, budget in of.exceptions if budget is None),
                per=kind,
            )


def _match(part: MatchPart) -> Match:
    said = ((dimension, getattr(part, dimension.value)) for dimension in MATCHABLE)
    return Match(
        patterns=tuple((dimension, pattern) for dimension, pattern in said if pattern is not None),
        tags=tuple(sorted(part.tag.items())),
    )


def _channels(names: Sequence[str] | None, default: Sequence[str]) -> tuple[ChannelName, ...]:
    return tuple(ChannelName(name) for name in (default if names is None else names))
