"""Words the errors of the schema for the operator. Values of secrets and addresses never appear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from spendwatch.domain.errors import printable
from spendwatch.domain.period import duration_text
from spendwatch.domain.suggestions import did_you_mean, suggestion
from spendwatch.fields import Later
from spendwatch.settings.layers import EMPTY, SECRET_KEYS, Layers
from spendwatch.settings.schema import DaemonFile
from spendwatch.settings.value_types import MEANING
from spendwatch.yaml_text import KeyPath

_MOST_LOOKED_AT = 1000
_TAGS = ("type", "from")
"""Keys whose value decides which other keys are allowed."""
_PRIVATE = SECRET_KEYS | {"url", "state"}
_ELSEWHERE = frozenset(DaemonFile.model_fields)
_NOT_HERE = "belongs in spendwatch.yaml, not in a workspace file"
_NO_CHANNELS_HERE = "a workspace file names channels, like [finance]; it cannot define one: channels belong in spendwatch.yaml"
_LIST = "must be a list, like [a, b]"
_KEYS = "must hold keys with values, like `name: value`"
_PLAIN_WORDS = {
    "missing": "is missing",
    "too_short": "is empty: at least one is needed",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "dict_type": _KEYS,
    "model_type": _KEYS,
    "model_attributes_type": _KEYS,
    "union_tag_not_found": _KEYS,
}


def tell_all(error: ValidationError, layers: Layers, model: type[BaseModel], *, in_workspace: bool) -> None:
    """Note every mistake of a validation, each where it was made."""
    for detail in error.errors(include_url=False)[:_MOST_LOOKED_AT]:
        loc, kind = detail["loc"], detail["type"]
        path = _real_path(loc, layers, model, is_missing=kind == "missing")
        if kind == "extra_forbidden":
            known = known_keys(model, loc[:-1])
            layers.tell(path, _unknown_key(str(path[-1]), known, in_workspace=in_workspace and len(path) == 1), at_key=True)
        elif kind in {"union_tag_invalid", "union_tag_not_found"} and isinstance(layers.look(path), dict):
            tag = next(tag for tag in _TAGS if tag in known_keys(model, loc))
            layers.tell((*path, tag), _wrong_type(layers.look((*path, tag)), known_types(model, loc)))
        elif in_workspace and path == ("channels",) and isinstance(layers.look(path), dict):
            layers.tell(path, _NO_CHANNELS_HERE)
        else:
            at = detail.get("ctx", {}).get("at", ())
            layers.tell((*path, *at), _words(detail, path, layers.look(path)), at_key=loc[-1:] == ("[key]",))


def known_keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the schema knows there; secrets are not offered, for they do not stand in the configuration."""
    names = {field.alias or name for kind in _models(model, loc) for name, field in kind.model_fields.items()}
    return sorted(names - SECRET_KEYS)


def known_types(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """Return the allowed values of `type`, or of `from`, at that place."""
    every = (one for kind in _models(model, loc) for one in kind.model_fields.items())
    fields = (field for name, field in every if (field.alias or name) in _TAGS)
    return sorted({str(word) for field in fields for word in get_args(field.annotation)})


def _models(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[type[BaseModel]]:
    here: list[object] = [model]
    for part in loc:
        here = [inner for kind in here for inner in _step(kind, part)]
    return [kind for kind in here if _is_model(kind)]


def _step(kind: object, part: int | str) -> Iterator[object]:
    if _is_model(kind):
        for name, field in kind.model_fields.items():
            if (field.alias or name) == part:
                yield from _choices(field.annotation)
            elif (field.alias or name) in _TAGS and part in get_args(field.annotation):
                yield kind  # the path names the member of a union by its type
    elif get_origin(kind) in {dict, list, tuple}:
        yield from _choices(get_args(kind)[-1 if get_origin(kind) is dict else 0])


def _choices(annotation: object) -> Iterator[object]:
    if get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        later = next((mark for mark in marks if isinstance(mark, Later)), None)
        yield from later.models if later else _choices(inner)
    elif get_origin(annotation) is Union or type(annotation).__name__ == "UnionType":
        for choice in get_args(annotation):
            yield from _choices(choice)
    else:
        yield annotation


def _is_model(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _real_path(loc: tuple[int | str, ...], layers: Layers, model: type[BaseModel], *, is_missing: bool) -> KeyPath:
    """Leave out what only the schema knows: the member of a union, even where it is called like a key; the mark of a key."""
    path: KeyPath = ()
    for number, part in enumerate(loc):
        if len(_models(model, loc[:number])) > 1:
            continue
        if layers.has((*path, part)) or (is_missing and number == len(loc) - 1):
            path = (*path, part)
    return path


def _wrong_type(value: object, known: list[str]) -> str:
    if not isinstance(value, str):
        return f"is missing; one of: {', '.join(known)}"
    return _one_of(value, f": {printable(value)}", ", ".join(known))


def _unknown_key(key: str, known: list[str], *, in_workspace: bool) -> str:
    if in_workspace and key in _ELSEWHERE:
        return _NOT_HERE
    if in_workspace and key == "currency":
        return "amounts are in the currency of the account: set it there, in spendwatch.yaml"
    return f"unknown key; {suggestion(key, known)}"


def _words(detail: ErrorDetails, path: KeyPath, value: object) -> str:
    context: Mapping[str, Any] = detail.get("ctx", {})
    kind = detail["type"]
    if kind == "value_error":
        return str(context["error"])
    if kind == MEANING:
        return detail["msg"]
    if words := _PLAIN_WORDS.get(kind):
        return words
    if value is None:
        return EMPTY
    if not isinstance(value, str):
        return f"must be one value, not {'a list' if isinstance(value, list) else 'keys with values'}"
    return _words_for_text(detail, context, "" if set(path) & _PRIVATE else f": {printable(value)}")


def _words_for_text(detail: ErrorDetails, context: Mapping[str, Any], shown: str) -> str:
    match detail["type"]:
        case "literal_error" | "enum":
            return _one_of(str(detail["input"]), shown, context["expected"])
        case "int_parsing" | "int_from_float" | "int_parsing_size" | "int_type":
            return f"not a whole number{shown}"
        case "string_pattern_mismatch":
            return f"has characters that are not allowed here{shown}"
        case "greater_than_equal":
            return f"must be {_bound(context['ge'])} or more{shown}"
        case "less_than_equal":
            return f"must be {_bound(context['le'])} or less{shown}"
        case _:
            message = detail["msg"]
            return message[:1].lower() + message[1:] + shown


def _bound(limit: object) -> str:
    return duration_text(limit) if isinstance(limit, timedelta) else str(limit)


def _one_of(word: str, shown: str, expected: str) -> str:
    known = expected.replace("'", "").replace(" or ", ", ")
    hint = did_you_mean(word, known.split(", "))
    return f"not known{shown}; one of: {known}" + (f"; {hint}" if hint else "")
