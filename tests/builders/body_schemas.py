"""The JSON Schema of webhook bodies, found by making bodies of notifications in which now this and now that is missing.

`python -m body_schemas` writes the file that `spendwatch schema webhook` prints; read every difference before keeping it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from itertools import product
from random import Random
from types import NoneType, UnionType
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

from spendwatch.domain.alert import AlertState, Rule
from spendwatch.domain.delivery import Reason
from spendwatch.domain.money import Currency
from spendwatch.domain.notification import Notification
from spendwatch.domain.report import Report
from spendwatch.letters.json_body import BODY_SCHEMA, SCHEMA_VERSION, JsonBody
from spendwatch.letters.language import Language
from spendwatch.letters.wording import Wording

_FEW = 10
_SIMPLE: Mapping[object, Callable[[Random], object]] = {
    str: lambda random: random.choice(("", "text")),
    bool: lambda random: random.choice((False, True)),
    int: lambda random: random.randrange(4),
    Decimal: lambda random: Decimal(random.randrange(-1000, 1000)) / 8,
    Currency: lambda _: "CNY",
    datetime: lambda _: datetime(2026, 9, 15, 2, 5, tzinfo=UTC),
    date: lambda _: date(2026, 9, 15),
    timedelta: lambda _: timedelta(days=1),
}
_NAMED: Mapping[tuple[str, object], Callable[[Random], object]] = {
    ("period", str): lambda random: random.choice(("", "2026-09", "2026-09-16", "2026-W38")),
    ("report", Report | None): lambda _: None,
}
_TEXTS = {
    "amount": (r"^-?[0-9]+(\.[0-9]+)?$", "Exact, with all its decimals; its currency stands beside it."),
    "moment": (r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[+-][0-9]{2}:[0-9]{2}$", "A moment, with its offset."),
    "day": (r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "A day in the billing time zone."),
    "month": (r"^[0-9]{4}-[0-9]{2}$", "A billing month."),
}
"""Texts of one form. None that we make for the purpose has one by chance."""


def body_schema() -> dict[str, object]:
    """Return the schema of what a webhook is posted and what a command reads, with and without CloudEvents."""
    made = list(notifications(1))
    plain, events = JsonBody(UTC, wording=NoWords()), JsonBody(UTC, cloudevents=True, wording=NoWords())
    types = {"enum": sorted({one.type for one in made})}
    rules = {"enum": sorted(rule.type for rule in Rule)}
    webhook, event = _schema([plain.of(one) for one in made]), _schema([events.of(one) for one in made[:_FEW]])
    data = webhook["properties"]["data"]
    version = {"const": SCHEMA_VERSION}
    data["properties"] |= {"rule": rules, "schema_version": version}
    data["properties"]["members"]["items"]["properties"] |= {"type": types, "rule": rules}
    webhook["properties"] |= {"type": types, "data": {"$ref": "#/$defs/data"}, "schema_version": version}
    event["properties"] |= {"type": types, "data": {"$ref": "#/$defs/data"}, "specversion": {"const": "1.0"}}
    texts = {name: {"type": "string", "pattern": form, "description": what} for name, (form, what) in _TEXTS.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Notification of spendwatch",
        "description": "New keys may be added at any time; schema_version grows if one changes its meaning.",
        "oneOf": [{"$ref": "#/$defs/webhook"}, {"$ref": "#/$defs/cloudevent"}],
        "$defs": {"webhook": webhook, "cloudevent": event, "data": data, **texts},
    }


class NoWords(Wording):
    """Has no words: none fit figures that make no sense."""

    def __init__(self) -> None:
        super().__init__(Language.EN, UTC)

    def subject(self, notification: Notification) -> str:
        """Return any text."""
        del notification
        return "text"

    def text(self, notification: Notification) -> str:
        """Return any text."""
        del notification
        return "text"

    def steps(self, notification: Notification) -> list[str]:
        """Return any texts."""
        del notification
        return ["text"]


def notifications(seed: int) -> Iterator[Notification]:
    """Yield some of every type, in which now this and now that is missing; the same for the same seed."""
    maker = _Maker(Random(seed))  # noqa: S311 -- nothing is secret about it
    for rule, reason, maker.filling in product((*Rule, *[Rule.REPORT] * 3 * _FEW), Reason, (0.1, 0.5, 0.9)):
        one = maker.made(Notification)
        report = maker.made(Report) if rule is Rule.REPORT else None
        state = AlertState.RESOLVED if reason is Reason.RESOLVED else AlertState.FIRING
        yield replace(one, rule=rule, reason=reason, state=state, facts=replace(one.facts, report=report))


@cache
def _members(kind: type[Enum]) -> list[Enum]:
    return [one for one in kind if one is not Rule.REPORT]  # whose report it would have to have


@cache
def _parts(kind: Any) -> tuple[Any, tuple[Any, ...]]:  # noqa: ANN401 -- as above
    return get_origin(kind), get_args(kind)


@cache
def _fields(kind: type) -> Mapping[str, Any]:
    return get_type_hints(kind)


class _Maker:
    """Makes a value of any type that facts are made of."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.filling = 0.5
        """How likely what may be missing is there."""
        self._is_within_digest = False

    def made(self, kind: Any, name: str = "") -> Any:  # noqa: ANN401 -- any type there is
        """Return a value for the field of that name."""
        if simple := _NAMED.get((name, kind)) or _SIMPLE.get(kind):
            return simple(self._random)
        if isinstance(kind, NewType):
            return self.made(kind.__supertype__)
        origin, args = _parts(kind)
        if origin in {Union, UnionType}:
            some = [one for one in args if one is not NoneType]
            is_there = len(some) == len(args) or self._is_there()
            return self.made(self._random.choice(some), name) if is_there else None
        if origin is tuple:
            return self._some(args[0], name) if args[-1] is ... else tuple(map(self.made, args))
        return self._random.choice(_members(kind)) if issubclass(kind, Enum) else self._whole(kind)

    def _is_there(self) -> bool:
        return self._random.random() < self.filling

    def _whole(self, kind: Any) -> object:  # noqa: ANN401 -- as above
        while True:
            with suppress(ValueError):  # it would say nothing, and cannot be made
                return kind(**{field: self.made(one, field) for field, one in _fields(kind).items()})

    def _some(self, kind: Any, name: str) -> tuple[object, ...]:  # noqa: ANN401 -- as above
        if not self._is_there() or (name == "members" and self._is_within_digest):
            return ()  # the messages of a digest are no digests themselves
        self._is_within_digest |= name == "members"
        found = (self.made(kind),)
        self._is_within_digest &= name != "members"
        return found


def _schema(values: Sequence[object]) -> dict[str, Any]:
    """Return the narrowest schema that all these values fit."""
    found: list[dict[str, Any]] = []
    if any(value is None for value in values):
        found.append({"type": "null"})
    for kind, name in ((bool, "boolean"), (int, "integer")):
        if any(type(value) is kind for value in values):
            found.append({"type": name})
    if words := [value for value in values if isinstance(value, str)]:
        found.append(_text_schema(words))
    if lists := [value for value in values if isinstance(value, list | tuple)]:
        found.append({"type": "array", "items": _schema([one for value in lists for one in value])})
    if objects := [value for value in values if isinstance(value, dict)]:
        keys = dict.fromkeys(key for one in objects for key in one)
        found.append(
            {
                "type": "object",
                "properties": {key: _schema([one[key] for one in objects if key in one]) for key in keys},
                "required": [key for key in keys if all(key in one for one in objects)],
            }
        )
    return found[0] if len(found) == 1 else {"anyOf": found}


def _text_schema(words: Sequence[str]) -> dict[str, Any]:
    kinds = {type(word) for word in words}
    if len(kinds) == 1 and issubclass(kind := next(iter(kinds)), Enum):
        return {"enum": [str(member) for member in kind]}
    forms = {next((name for name, (form, _) in _TEXTS.items() if re.match(form, word)), "") for word in set(words)}
    form = forms.pop() if len(forms) == 1 else ""
    return {"$ref": f"#/$defs/{form}"} if form else {"type": "string"}


def as_lines(schema: object, depth: int = 4) -> str:
    """Return it as JSON in which what lies deeper has a line of its own each."""
    if not isinstance(schema, dict) or not depth or not any(isinstance(one, dict) for one in schema.values()):
        return json.dumps(schema, ensure_ascii=False)
    rows = (f"{json.dumps(key)}: {as_lines(value, depth - 1)}" for key, value in schema.items())
    return "{\n" + ",\n".join(rows) + "\n}"


if __name__ == "__main__":
    BODY_SCHEMA.write_text(as_lines(body_schema()) + "\n", encoding="utf-8")
