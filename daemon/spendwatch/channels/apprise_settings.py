"""The settings of the many services that the package apprise knows. Imports nothing that sends."""

from __future__ import annotations

from datetime import timedelta
from importlib.util import find_spec
from typing import ClassVar, Literal, Self

from pydantic import SecretStr, model_validator

from spendwatch.channels.route_settings import Routed
from spendwatch.fields import PositiveDuration, refuse
from spendwatch.letters.language import Language


class AppriseConfig(Routed):
    """One service, by the address that apprise has for it."""

    usual_max: ClassVar[int] = 2
    needs: ClassVar[tuple[str, ...]] = ("url",)
    type: Literal["apprise"] = "apprise"
    url_file: str | None = None
    """Holds one address in apprise's own form."""
    url: SecretStr | None = None
    """Never written in the file: comes from `url_file` or the environment."""
    language: Language = Language.EN
    timeout: PositiveDuration = timedelta(seconds=60)

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        if find_spec("apprise") is None:
            refuse("needs the package apprise: pip install 'spendwatch[apprise]'")
        return self
