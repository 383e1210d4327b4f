"""The policy as spendwatch understands it: what is watched, at which amounts, over which channels."""

from __future__ import annotations

import os
import pwd
import shlex
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from spendwatch.channels.config import ChannelConfig
from spendwatch.domain.money import shown
from spendwatch.domain.period import duration_text
from spendwatch.domain.policy import AccountPolicy, Policies, Watch, watches
from spendwatch.domain.scope import Seen
from spendwatch.exact_json import json_fields, json_value
from spendwatch.settings import Settings


def watched_by(policies: Policies, seen: Iterable[Seen]) -> Sequence[Watch]:
    """Return what is watched; a workspace that no bill names yet may turn up in any account."""
    on_record = {(one.account, one.workspace) for one in seen}
    known = {workspace for _, workspace in on_record}
    unknown = (policy.workspace for policy in policies.workspaces if policy.workspace not in known)
    anywhere = {(account.account, workspace) for workspace in unknown for account in policies.accounts}
    # An empty value stands for all that have no budget of their own.
    return watches(policies, frozenset(on_record | anywhere), lambda _, finer: ("", *dict(finer.exceptions)))


def persistence_of(policies: Policies) -> dict[str, list[str]]:
    """Return how often alerts are repeated, and where they are escalated to, each with whose alerts these are."""
    every = [(one.name or one.account, one.remind, one.escalate) for one in policies.accounts]
    every += [(one.name or one.workspace, one.remind, one.escalate) for one in policies.workspaces]
    every.append(("operators", policies.operators_remind, policies.operators_escalate))
    found: dict[str, list[str]] = {}
    for name, remind, escalate in every:
        if remind:
            found.setdefault(f"Reminders every {duration_text(remind)}", []).append(name)
        if escalate:
            after = f"Escalation after {duration_text(escalate.after)} from {escalate.severity.value} on"
            found.setdefault(f"{after} to {', '.join(escalate.channels)}", []).append(name)
    return found


def balance_points(account: AccountPolicy) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield when the balance is notified about, and over which channels."""
    if balance := account.balance:
        points = [f"below {shown(floor)}" for floor in reversed(balance.floors)]
        points += [f"{one.days} days before it is used up" for one in reversed(balance.runway)]
        yield ", ".join((*points, "below zero")), account.channels


def news_points(account: AccountPolicy) -> Iterator[tuple[str, str]]:
    """Yield which news are notified of."""
    if first := account.first:
        least = f", from {shown(first.least)}" if first.least else ""
        kinds = ", ".join(first.of).replace("_", " ").replace("api", "API")
        yield "first cost", f"of each new {kinds}{least}"
    if account.plans:
        yield "plans", f"each order, and {account.plans.days} days before its end"
    if account.free_quota:
        yield "free quota", "its end, for each model"


def reached_over(config: ChannelConfig) -> Sequence[str]:
    """Return who is reached; of an address that may be a secret only the host."""
    match config.type:
        case "email":
            return config.to
        case "webhook":
            return (urlsplit(config.url).hostname or "",)
        case "exec":
            return (f"{shlex.join(config.command)}, run as user {user_name()}",)
        case "sms":
            return tuple(config.by_target)
        case "console" | "apprise":
            return ("the daemon's own output" if config.type == "console" else "a service that apprise knows",)
        case _:
            return (urlsplit(config.address).hostname or "",)


def user_name() -> str:
    """Return as whom we run."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # containers often run as a user without a name
        return str(os.geteuid())


def policy_json(settings: Settings, watched: Sequence[Watch]) -> dict[str, object]:
    """Return the policy as it is understood."""
    channels = [
        {"name": name, "type": one.type, "reaches": list(reached_over(one)), **one.route_json(settings.zone)}
        for name, one in settings.channels.items()
    ]
    balances = [
        {"account": account.account, "notifies_at": points, "channels": list(names)}
        for account in settings.accounts
        for points, names in balance_points(account)
    ]
    operators, persistence = list(settings.policies.operators), persistence_of(settings.policies)
    news = [
        {"account": account.account, "what": what, "notifies_at": points, "channels": list(account.channels)}
        for account in settings.accounts
        for what, points in news_points(account)
    ]
    every = [_json(one) for one in watched]
    return {"watched": every, "balances": balances, "news": news, "channels": channels, "operators": operators} | {
        "persistence": [{"what": what, "of": names} for what, names in persistence.items()]
    }


def _json(one: Watch) -> dict[str, object]:
    budget = one.budget.amount if one.budget else None
    return {
        **json_fields(one, account="scope.account", scope="scope.label", name="name", currency="currency"),
        **json_fields(one, period_kind="scope.per", counts="scope.counts", budget="budget"),
        **json_fields(one, "owner", for_each="column", value="scope.value"),
        "notifies_at": [
            {"threshold": each.label, "amount": json_value(each.reached_at(budget)), "channels": each.channels or one.channels}
            | {"actions": list(one.asked({each.label}))}
            for each in one.thresholds
        ],
        "spike": {"min": json_value(one.spike)} if one.spike else None,
        "channels": list(one.channels),
    }
