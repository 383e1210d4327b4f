"""Kinds of values that several channels' settings share."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from spendwatch.domain.period import parse_duration


class Closed(BaseModel):
    """Settings that know all their keys. Values may arrive as text."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    duration = parse_duration(value)
    if not duration:
        msg = "longer than nothing, please"
        raise ValueError(msg)
    return duration


Duration = Annotated[timedelta, BeforeValidator(_duration)]
"""Written as `20s`, `10m`, `26h` or `3d`."""
