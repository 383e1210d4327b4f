"""Field types that all settings share: closed models, and durations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from importlib import import_module
from typing import Annotated, Any, ClassVar, NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import core_schema

from spendwatch.domain.errors import printable
from spendwatch.domain.period import duration_label, parse_duration
from spendwatch.domain.suggestions import did_you_mean


class Later:
    """Marks a value whose schema is built, and whose model is imported, with its first value: few configurations use each."""

    def __init__(self, model: str = "") -> None:
        """Take the model as `module:Model`; left out, it is the one that is marked."""
        self._model: str | type[BaseModel] = model

    @property
    def models(self) -> tuple[type[BaseModel], ...]:
        """Every model that the value may have."""
        return (_model(self._model),)

    def __get_pydantic_core_schema__(self, marked: type[BaseModel], _: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Return the schema of the value."""
        self._model = self._model or marked
        return _validated_by(self._model)

    def __get_pydantic_json_schema__(self, _: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the JSON Schema of the model."""
        return handler(_built(*self.models))


class ByKey(Later):
    """The same for a value whose model is told by one of its keys."""

    def __init__(self, key: str, kinds: Mapping[str, str]) -> None:
        """Take the model, as `module:Model`, by the value of the key."""
        self._key = key
        self._kinds = kinds

    @property
    def models(self) -> tuple[type[BaseModel], ...]:
        """Every model that the value may have."""
        return tuple(map(_model, dict.fromkeys(self._kinds.values())))

    def of(self, kind: str) -> type[BaseModel] | None:
        """Return the model of a kind, if there is such a kind."""
        return _model(self._kinds[kind]) if kind in self._kinds else None

    def __get_pydantic_core_schema__(self, marked: type[BaseModel], _: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Return the schema of the value."""
        del marked
        kinds: dict[Any, core_schema.CoreSchema] = {kind: _validated_by(place) for kind, place in self._kinds.items()}
        return core_schema.tagged_union_schema(kinds, discriminator=self._key)

    def __get_pydantic_json_schema__(self, _: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the JSON Schema of the union; the key that tells its members apart is never left out."""
        found = []
        for kind in self.models:
            found.append(handler(_built(kind)))
            schema = handler.resolve_ref_schema(found[-1])
            schema["required"] = sorted({self._key, *schema.get("required", ())})
        return {"anyOf": found}


def imported(place: str) -> Any:  # noqa: ANN401 -- whatever stands there
    """Return what is called `module:Name`."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def _model(model: str | type[BaseModel]) -> type[BaseModel]:
    found: type[BaseModel] = imported(model) if isinstance(model, str) else model
    return found


def _validated_by(model: str | type[BaseModel]) -> core_schema.CoreSchema:
    return core_schema.no_info_plain_validator_function(lambda value: _model(model).model_validate(value))


def _built(model: type[BaseModel]) -> core_schema.CoreSchema:
    """Return the schema of the model in a frame: handlers of JSON Schemas look at names and extras of what is in one."""
    model.model_rebuild()
    named: Any = {"ref": f"{model.__module__}.{model.__qualname__}:{id(model)}", **model.__pydantic_core_schema__}
    return core_schema.definitions_schema(named, [])


LONGEST_DURATION = timedelta(days=366)


def refuse(why: str) -> NoReturn:
    """Refuse a value, with the reason in words."""
    raise ValueError(why) from None


class Closed(BaseModel):
    """Settings that know all their keys. Values may arrive as text."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


class Brief(Closed):
    """Settings of which one key may stand alone: its value, in place of keys with values."""

    alone: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _from_value(cls, value: object) -> object:
        return value if isinstance(value, dict) else {cls.alone: value}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the JSON Schema of both forms."""
        schema = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [schema, schema["properties"][cls.alone]]}


def one_text(value: object) -> str:
    """Return the value if it is one text, without the place that it may know."""
    if isinstance(value, str):
        return str(value)
    kind = "a list" if isinstance(value, list) else "keys with values" if isinstance(value, dict) else "nothing"
    refuse(f"must be one value, not {kind}")


def duration(value: object) -> timedelta:
    """Return the duration written as `30s`, `10m`, `26h`, `3d` or a chain of these; a `timedelta` is taken as it is."""
    if isinstance(value, timedelta):
        return value
    found = parse_duration(one_text(value))
    if found > LONGEST_DURATION:
        refuse(f"longer than a year: {printable(one_text(value))}")
    return found


def _time_zone(value: object) -> ZoneInfo:
    text = one_text(value)
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = did_you_mean(text, available_timezones())
        refuse(f"not a time zone: {printable(text)}; {hint or 'write an IANA name like Asia/Shanghai'}")


Zone = Annotated[ZoneInfo, PlainValidator(_time_zone, json_schema_input_type=str)]


def must(holds: Callable[[Any], object], words: Callable[[Any], str]) -> AfterValidator:
    """Return the rule for a value, and the message about a value that breaks it."""

    def check(value: object) -> object:
        if not holds(value):
            raise ValueError(words(value))
        return value

    return AfterValidator(check)


_SECOND = timedelta(seconds=1)
_AS_TEXT = PlainSerializer(duration_label, return_type=str)
DURATION = "^([0-9]{1,6}[dhms]){1,4}$"
_SCHEMA = WithJsonSchema({"type": "string", "pattern": DURATION, "examples": ["30s", "10m", "26h", "3d"]})

Duration = Annotated[timedelta, BeforeValidator(duration), _AS_TEXT, _SCHEMA]
"""A year at most."""
PositiveDuration = Annotated[
    timedelta,
    BeforeValidator(duration),
    must(lambda lasts: lasts >= _SECOND, lambda _: "must be a second at least"),
    _AS_TEXT,
    _SCHEMA,
]
"""The same, a second at least."""


def show_defaults_as_written(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """For `json_schema_extra`: let a model's JSON Schema show `30s`, where pydantic would put `PT30S`, which we do not read."""
    for name, field in model.model_fields.items():
        if isinstance(field.default, timedelta):
            schema["properties"][field.alias or name]["default"] = duration_label(field.default)
