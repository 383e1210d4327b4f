"""The languages of messages: all that settings need to know of their words."""

from __future__ import annotations

from enum import StrEnum


class Language(StrEnum):
    """Which language people are written to in."""

    EN = "en"
    ZH = "zh"
