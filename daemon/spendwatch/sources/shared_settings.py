"""Settings that several types of source have, with their choices: one word of several, or `auto`. Errors list all of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticKnownError

from spendwatch.domain.layouts import LAYOUTS
from spendwatch.domain.statement import AccountId, Kind
from spendwatch.fields import PositiveDuration

AUTO = "auto"
"""How a choice is written that is left to us."""


T = TypeVar("T")


def _chosen(meanings: Mapping[str, T], value: object) -> T:
    """Return what the word means; errors list all words."""
    for word, meaning in meanings.items():
        if value == word or value is meaning:
            return meaning
    *others, last = (f"'{word}'" for word in meanings)
    kind: Literal["literal_error"] = "literal_error"
    raise PydanticKnownError(kind, {"expected": f"{', '.join(others)} or {last}"})


_KINDS: Mapping[str, Kind | None] = {AUTO: None, **{kind.value: kind for kind in Kind}}
_LAYOUTS: Mapping[str, str | None] = {AUTO: None, **{name: name for name in LAYOUTS}}

Switch = Annotated[bool, PlainValidator(partial(_chosen, {"true": True, "false": False})), WithJsonSchema({"type": "boolean"})]
KindChoice = Annotated[Kind | None, PlainValidator(partial(_chosen, _KINDS)), WithJsonSchema({"enum": list(_KINDS)})]
"""None for `auto`."""
LayoutChoice = Annotated[str | None, PlainValidator(partial(_chosen, _LAYOUTS)), WithJsonSchema({"enum": list(_LAYOUTS)})]
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
