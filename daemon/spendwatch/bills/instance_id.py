"""Reads the composite instance id of Model Studio charges: who called which model, for what, over which way."""

from __future__ import annotations

import re
from typing import NamedTuple

WORKSPACE_MARK = "llm-"
TRAINING = "training"

_KEY = re.compile(r"[0-9]*", re.ASCII)
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


def parse_instance_id(text: str) -> InstanceId | None:
    """Return the parts of the id, or None if it has a shape that we do not know.

    Known are `key;workspace;model;type;channel;flag` (the channel may be empty), the same without the flag, the same without
    the channel, a billing type in the key's place (before December 2025), `workspace!region!job`, and names of one part, as
    plans have them, which tell nothing.
    """
    if ";" not in text and "!" not in text:
        return InstanceId()
    if "!" in text and ";" not in text:
        return _training(text.split("!"))
    return _inference(text.split(";"))


def _training(parts: list[str]) -> InstanceId | None:
    if len(parts) != _THREE or not parts[0].startswith(WORKSPACE_MARK):
        return None
    return InstanceId(workspace=parts[0], type=TRAINING)


def _inference(parts: list[str]) -> InstanceId | None:
    if len(parts) == _FIVE:
        # Two shapes have five fields. Only the last one tells them apart: a flag means that the channel is missing.
        parts = [*parts[:4], "", parts[4]] if parts[4] in _FLAGS else [*parts, ""]
    if len(parts) != _SIX or parts[5] not in _FLAGS | {""}:
        return None
    key, workspace, model, kind, channel, _ = parts
    if workspace and not workspace.startswith(WORKSPACE_MARK):
        return None
    if _OLD_BILLING_TYPE.fullmatch(key):
        key = ""
    return InstanceId(key, workspace, model, kind, channel) if _KEY.fullmatch(key) else None
