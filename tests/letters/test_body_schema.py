"""The published schema of the bodies: true to every body that is made, and of use to whoever reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema_rs import Draft202012Validator, meta

from body_schemas import NoWords, as_lines, body_schema, notifications
from notices import SAMPLES, ZONE
from spendwatch.cli.manual import schema
from spendwatch.domain.alert import Rule
from spendwatch.domain.scope import Dimension
from spendwatch.letters.json_body import BODY_SCHEMA, JsonBody

SCHEMA: Any = json.loads(BODY_SCHEMA.read_bytes())
BODIES = {
    (name, form): json.loads(JsonBody(ZONE, cloudevents=form == "cloudevents").rendered(one))
    for name, one in SAMPLES.items()
    for form in ("webhook", "cloudevents")
}


def _closed(schema: Any) -> Any:  # noqa: ANN401 -- any part of it
    """Return the schema without room for keys that it does not name."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _closed(value) for key, value in schema.items()}
    is_shape = found.get("type") == "object" and "properties" in found
    return found | ({"additionalProperties": False} if is_shape else {})


def _of(form: str) -> Any:  # noqa: ANN401 -- a schema
    """Return the schema of one form, which says where it does not fit."""
    return {key: value for key, value in SCHEMA.items() if key != "oneOf"} | {"$ref": f"#/$defs/{form.removesuffix('s')}"}


VALIDATOR = Draft202012Validator(SCHEMA)
WEBHOOK = Draft202012Validator(_of("webhook"))
STRICT = {form: Draft202012Validator(_closed(_of(form))) for form in ("webhook", "cloudevents")}


def test_it_is_what_making_bodies_of_every_kind_finds() -> None:
    assert BODY_SCHEMA.read_text(encoding="utf-8") == f"{as_lines(body_schema())}\n"


def test_it_is_a_schema_of_draft_2020_12() -> None:
    meta.validate(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize(("name", "form"), BODIES)
def test_every_sample_fits_it_with_no_key_that_it_does_not_name(name: str, form: str) -> None:
    body = BODIES[name, form]
    assert VALIDATOR.is_valid(body)
    assert [f"{'/'.join(map(str, one.instance_path))}: {one.message}" for one in STRICT[form].iter_errors(body)] == []


def test_a_command_prints_it() -> None:
    assert json.loads(CliRunner().invoke(schema, ["webhook"]).stdout) == SCHEMA


def test_the_samples_are_of_every_rule() -> None:
    assert {one.rule for one in SAMPLES.values()} == set(Rule)


def test_whatever_else_can_be_said_fits_it() -> None:
    body = JsonBody(ZONE, wording=NoWords())
    made = (json.loads(body.rendered(one)) for one in notifications(2))
    assert [error.message for one in made for error in WEBHOOK.iter_errors(one)] == []


def _places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:  # noqa: ANN401 -- parsed JSON
    yield path
    for key, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _places(one, (*path, key))


def _changed(body: Any, path: tuple[str | int, ...], value: object) -> Any:  # noqa: ANN401 -- parsed JSON
    found = deepcopy(body)
    place = found
    for part in path[:-1]:
        place = place[part]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return found


@pytest.mark.parametrize("form", ["webhook", "cloudevents"])
def test_it_bites_wherever_a_value_is_of_another_type_or_missing(form: str) -> None:
    body = BODIES["threshold", form]
    places = [path for path in _places(body) if path]
    wrong = dict.fromkeys(places, 3.5)
    assert [path for path, value in wrong.items() if VALIDATOR.is_valid(_changed(body, path, value))] == []
    # What bills name of a cause differs from one to the next.
    optional = {*Dimension, *(f"{one}_name" for one in Dimension)}
    named = [
        path
        for path in places
        if isinstance(path[-1], str)
        and not {"links", "used_on"} & set(path)
        and not (path[-1] in optional and len(path) > 2)
        and path != ("data", "schema_version")
    ]
    assert [path for path in named if VALIDATOR.is_valid(_changed(body, path, ...))] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("type",), "spend.invented"),
        (("timestamp",), "yesterday"),
        (("schema_version",), 2),
        (("data", "spend"), "1,234.00"),
        (("data", "spend"), 12),
        (("data", "month"), "2026-9"),
        (("data", "severity"), "fatal"),
        (("data", "state"), "on fire"),
        (("data", "growth", 0, "recent"), None),
        (("data", "counts"), "everything"),
    ],
)
def test_it_refuses(path: tuple[str | int, ...], value: object) -> None:
    assert VALIDATOR.is_valid(BODIES["threshold", "webhook"])
    assert not VALIDATOR.is_valid(_changed(BODIES["threshold", "webhook"], path, value))
