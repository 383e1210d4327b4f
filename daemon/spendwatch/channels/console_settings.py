"""The settings of the console channel."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from spendwatch.channels.route_settings import Routed
from spendwatch.letters.language import Language


class Colour(StrEnum):
    """Whether to paint."""

    AUTO = "auto"
    """On a terminal, unless `NO_COLOR` is set."""
    ALWAYS = "always"
    NEVER = "never"


class ConsoleConfig(Routed):
    """The daemon's own standard output."""

    type: Literal["console"] = "console"
    language: Language = Language.EN
    colour: Colour = Colour.AUTO
