"""A duration as a configuration writes it: `30s`, `26h`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, PlainSerializer, WithJsonSchema

from spendwatch.domain.period import parse_duration


def _read(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    msg = "not a duration like 30s, 10m, 26h or 3d"
    raise ValueError(msg)


def _written(duration: timedelta) -> str:
    seconds = int(duration.total_seconds())
    unit, size = next((unit, size) for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)) if seconds % size == 0)
    return f"{seconds // size}{unit}" if seconds else "0s"


def _lasting(duration: timedelta) -> timedelta:
    if duration < _SECOND:
        msg = "must be a second at least"
        raise ValueError(msg)
    return duration


_SECOND = timedelta(seconds=1)
_AS_TEXT = PlainSerializer(_written, return_type=str)
_SCHEMA = WithJsonSchema({"type": "string", "pattern": "^([0-9]{1,6}[dhms]){1,4}$", "examples": ["30s", "10m", "26h", "3d"]})

Duration = Annotated[timedelta, BeforeValidator(_read), _AS_TEXT, _SCHEMA]
"""Arrives as text; a `timedelta` is taken as it is."""
PositiveDuration = Annotated[timedelta, BeforeValidator(_read), AfterValidator(_lasting), _AS_TEXT, _SCHEMA]
"""The same, a second at least."""


def show_defaults_as_written(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """For `json_schema_extra`: let a model's JSON Schema show `30s`, where pydantic would put `PT30S`, which we do not read."""
    for name, field in model.model_fields.items():
        if isinstance(field.default, timedelta):
            schema["properties"][field.alias or name]["default"] = _written(field.default)
