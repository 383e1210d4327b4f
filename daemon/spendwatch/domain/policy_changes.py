"""What a changed configuration means, in words for the log. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from decimal import Decimal

from spendwatch.domain.money import shown
from spendwatch.domain.period import duration_text
from spendwatch.domain.policy import (
    AccountPolicy,
    BalancePolicy,
    Escalation,
    FinerBudget,
    FirstCosts,
    Policies,
    Threshold,
    WorkspacePolicy,
)
from spendwatch.domain.scope import Match

_OF_ALL = ("operators", "operators_remind", "operators_escalate", "products", "month_final_on")


def policy_changes(before: Policies, after: Policies) -> Iterator[str]:
    """Yield each difference, like `budget of Research 100.00 → 150.00`."""
    for name in _OF_ALL:
        yield from _changed(name.replace("_", " "), getattr(before, name), getattr(after, name))
    old, new = _by_key(before), _by_key(after)
    for key, (title, policy) in old.items():
        if key not in new:
            yield f"{title} is no longer watched"
            continue
        changed = new[key][1]
        for field in (name for name in _fields_of(policy) if name not in {"account", "workspace", "budgets"}):
            label = f"{field.replace('_', ' ')} of {title}"
            yield from _changed(label, getattr(policy, field), getattr(changed, field))
    for title, policy in (new[key] for key in new if key not in old):
        budget = f", budget {shown(policy.budget)}" if policy.budget is not None else ""
        yield f"{title} is watched now{budget}"


_Policy = AccountPolicy | WorkspacePolicy | FinerBudget


def _fields_of(policy: _Policy) -> Sequence[str]:
    return policy._fields if isinstance(policy, FinerBudget) else [one.name for one in fields(policy)]


def _by_key(policies: Policies) -> Mapping[object, tuple[str, _Policy]]:
    """Return every policy and finer budget by what makes it the same one, each with what people call it."""
    found: dict[object, tuple[str, _Policy]] = {}
    for policy in policies.every:
        workspace = policy.workspace if isinstance(policy, WorkspacePolicy) else ""
        title = policy.name or workspace or str(policy.account)
        found[policy.account, workspace] = title, policy
        for finer in policy.budgets:
            name = f"{title}: {finer.name}" if finer.name else title
            per = f" ({finer.per.value})" if finer.per.is_short else ""
            found[policy.account, workspace, finer.name, finer.per] = f"{name}{per}", finer
    return found


def _changed(label: str, before: object, after: object) -> Iterator[str]:
    if before != after:
        yield f"{label} {_text(before)} → {_text(after)}"


def _text(value: object) -> str:
    match value:
        case Decimal():
            text = shown(value)
        case timedelta():
            text = duration_text(value)
        case Threshold():
            text = value.label + (f" to {_text(value.channels)}" if value.channels else "")
        case Escalation():
            text = f"after {_text(value.after)} to {_text(value.channels)} from {value.severity.value} on"
        case BalancePolicy() | FirstCosts() | Match():
            text = ", ".join(f"{name} {_text(part)}" for name, part in value._asdict().items() if part)
        case tuple():
            text = ", ".join(map(_text, value))
        case _:
            text = "" if value is None else str(value)
    return text or "none"
