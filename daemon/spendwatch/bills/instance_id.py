"""Parses the composite instance id of Model Studio charges: API key, workspace, model, type and channel."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from spendwatch.bills.cells import cleaned

WORKSPACE_MARK = "llm-"
TRAINING = "training"

_BETWEEN = re.compile("[;!]")
_OLD_BILLING_TYPE = re.compile(r"[A-Za-z][A-Za-z_]*", re.ASCII)
_FLAGS = frozenset({"0", "1"})
_SIX, _FIVE, _THREE = 6, 5, 3


class InstanceId(NamedTuple):
    """The parts of an instance id; empty where it names none."""

    api_key: str = ""
    workspace: str = ""
    model: str = ""
    type: str = ""
    channel: str = ""
    safe_mode: str = ""
    """Whether calls stop once the free quota is used up: `1` or `0`. It does not say that the charge was free."""


def parse_instance_id(text: str) -> InstanceId | None:
    """Return the parts of the id, or None if it has a shape that we do not know and no workspace.

    Known are `key;workspace;model;type;channel;safe mode` (the channel may be empty), the same without the safe mode, the same
    without the channel, a billing type in the key's place (before December 2025), `workspace!region!job`, and names of one
    part, as plans have them, which tell nothing. Of any other shape the field that begins with `llm-` is the workspace.
    """
    parts = [cleaned(part) for part in _BETWEEN.split(text)]
    found = _training(parts) if ";" not in text else _inference(parts) if "!" not in text else None
    if found:
        return found
    named = {part for part in parts if part.startswith(WORKSPACE_MARK)}
    if len(named) == 1:
        return InstanceId(workspace=named.pop())
    return InstanceId() if len(parts) == 1 else None


def _training(parts: Sequence[str]) -> InstanceId | None:
    if len(parts) != _THREE or not parts[0].startswith(WORKSPACE_MARK):
        return None
    return InstanceId(workspace=parts[0], type=TRAINING)


def _inference(parts: Sequence[str]) -> InstanceId | None:
    if len(parts) == _FIVE:
        # Two shapes have five fields. Only the last one distinguishes them: a flag means that the channel is missing.
        parts = [*parts[:4], "", parts[4]] if parts[4] in _FLAGS else [*parts, ""]
    if len(parts) != _SIX:
        return None
    key, workspace, model, kind, channel, safe_mode = parts
    if not workspace.startswith(WORKSPACE_MARK):
        is_unnamed = not workspace and safe_mode in _FLAGS | {""}
        if not is_unnamed or any(part.startswith(WORKSPACE_MARK) for part in parts):
            return None
    return InstanceId("" if _OLD_BILLING_TYPE.fullmatch(key) else key, workspace, model, kind, channel, safe_mode)
