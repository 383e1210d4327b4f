"""What the settings of every source may say about its files, where these leave it open."""

from __future__ import annotations

from pydantic import BaseModel, Field

from spendwatch.domain.statement import AccountId
from spendwatch.sources.choices import AUTO, KindChoice, LayoutChoice


class HintedConfig(BaseModel):
    """A source whose files may leave something open."""

    account: AccountId | None = Field(
        default=None, description="whom files are of that name no account; its name here, its id once the settings are complete"
    )
    kind: KindChoice = Field(
        default=None,
        description="how a file relates to earlier ones, where its layout leaves it open",
        json_schema_extra={"default": AUTO},
    )
    layout: LayoutChoice = Field(
        default=None,
        description="how the files are written, where that cannot be told from them",
        json_schema_extra={"default": AUTO},
    )
