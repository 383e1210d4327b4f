"""Settings that several types of source have, with their choices: one word of several, or `auto`. Errors list all of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticKnownError

from spendwatch.domain.layouts import LAYOUTS
from spendwatch.domain.statement import AccountId, Kind
from spendwatch.fields import PositiveDuration

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


class HintedConfig(BaseModel):
    """A source whose files may leave something open."""

    model_config = ConfigDict(defer_build=True)

    account: AccountId | None = Field(
        default=None, description="the account of files that name none; its name here, its id once the settings are complete"
    )
    kind: KindChoice = Field(
        default=None,
        description="how a file relates to earlier ones, if its layout does not define it",
        json_schema_extra={"default": AUTO},
    )
    layout: LayoutChoice = Field(
        default=None,
        description="the layout of the files, if it cannot be detected",
        json_schema_extra={"default": AUTO},
    )


class DownloadedConfig(HintedConfig):
    """A source whose files are downloaded over https."""

    max_megabytes: int = Field(default=2048, ge=1, le=1_000_000, description="a larger bill is not read")
    poll: PositiveDuration = Field(default=timedelta(minutes=15), description="how often to look")
    timeout: PositiveDuration = Field(default=timedelta(minutes=10), description="how long one answer may take")

    @property
    def longest_step(self) -> timedelta:
        """How long a fetch may take to get a step further: one answer."""
        return self.timeout

    @property
    def most_bytes(self) -> int:
        """How large a bill may be."""
        return self.max_megabytes * 1_000_000
