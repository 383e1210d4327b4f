"""Choices in the configuration: `true` or `false`, one word of several, or `auto`. Errors list all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, NoReturn

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticKnownError

from spendwatch.domain.layouts import LAYOUTS
from spendwatch.domain.statement import Kind

AUTO = "auto"
"""How a choice is written that is left to us."""


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value not in _SWITCH:
        _refuse(_SWITCH)
    return value == "true"


def _kind(value: object) -> Kind | None:
    if value is None or value == AUTO:
        return None
    if value not in _KINDS:
        _refuse((AUTO, *_KINDS))
    return Kind(str(value))


def _layout(value: object) -> str | None:
    if value is None or value == AUTO:
        return None
    if value not in LAYOUTS:
        _refuse((AUTO, *LAYOUTS))
    return str(value)


def _refuse(known: Sequence[str]) -> NoReturn:
    *others, last = (f"'{word}'" for word in known)
    kind: Literal["literal_error"] = "literal_error"
    raise PydanticKnownError(kind, {"expected": f"{', '.join(others)} or {last}"})


_SWITCH = ("true", "false")
_KINDS = tuple(kind.value for kind in Kind)

Switch = Annotated[bool, PlainValidator(_switch), WithJsonSchema({"type": "boolean"})]
KindChoice = Annotated[Kind | None, PlainValidator(_kind), WithJsonSchema({"enum": [AUTO, *_KINDS]})]
"""None for `auto`."""
LayoutChoice = Annotated[str | None, PlainValidator(_layout), WithJsonSchema({"enum": [AUTO, *LAYOUTS]})]
"""None for `auto`."""
