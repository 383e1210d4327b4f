"""The JSON Schemas for editors: they accept what spendwatch accepts, as other readers of YAML understand it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from spendwatch.domain.errors import ConfigError
from spendwatch.settings import load
from spendwatch.settings.json_schema import MAIN_SCHEMA, WORKSPACE_SCHEMA, json_schemas

REPOSITORY = Path(__file__).parents[2]
SCHEMAS = {name: jsonschema_rs.validator_for(json.loads(text)) for name, text in json_schemas().items()}
MAIN = """\
accounts:
  acme: {id: "1000000000000001", site: cn, currency: CNY, budget: 5000.00}
sources: {inbox: {type: folder, path: inbox}}
channels: {screen: {type: console}}
"""


class _Yaml12(yaml.SafeLoader):
    """YAML 1.2, as editors read it: `22:30`, `on` and dates are texts."""


_Yaml12.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("bool", r"true|false", "tf"),
    ("null", r"~|null|", "~n"),
    ("int", r"-?[0-9]+", "-0123456789"),
    ("float", r"-?[0-9]+\.[0-9]*", "-0123456789"),
):
    _Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), list(first))


def read(text: str) -> Any:  # noqa: ANN401 -- whatever stands there
    return yaml.load(text, Loader=_Yaml12)  # noqa: S506 -- derived from the safe one


def samples() -> Iterator[Path]:
    for folder in (REPOSITORY / "config", REPOSITORY / "daemon" / "spendwatch" / "cli" / "templates", REPOSITORY / "deploy"):
        yield from (path for path in sorted(folder.rglob("*.yaml")) if path.stem == "spendwatch" or "workspace" in str(path))


@pytest.mark.parametrize("path", list(samples()), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_the_samples_are_valid(path: Path) -> None:
    schema = SCHEMAS[MAIN_SCHEMA if path.stem == "spendwatch" else WORKSPACE_SCHEMA]
    assert [(list(error.instance_path), error.message) for error in schema.iter_errors(read(path.read_text()))] == []


def test_there_are_samples() -> None:
    assert len(list(samples())) >= 5


def test_a_file_of_both_forms_is_valid_for_both(tmp_path: Path) -> None:
    text = MAIN.replace(
        "budget: 5000.00",
        "budget: 5000, thresholds: [50%, 900, {at: 80%, channels: [screen]}, forecast 100%], daily: 100, spike: {min: 5},"
        "weekly: {budget: 5.50}, month_closed: true, first: [item], console_spend: 7, remind: 1d, plans: 7d,"
        "balance: {from: manual, cash: 10, floors: [5], runway: [7d]}, free_quota: true,"
        "budgets: [{name: a, for_each: model, budget: 5, match: {tag: {project: p1}}, exceptions: {qwen: none, '12': 7}}]",
    ).replace("type: console", "type: console, max_messages: unlimited, quiet_hours: {from: 22:00, to: 07:00, days: mon}")
    text += (
        "links: off\noperators: {channels: [screen], remind: 2h}\ntime_zone: UTC\nmonth_final_on: 6\nproducts: [sfm, 4711]\n"
    )
    (tmp_path / "spendwatch.yaml").write_text(text)
    load(tmp_path)
    assert [error.message for error in SCHEMAS[MAIN_SCHEMA].iter_errors(read(text))] == []


@pytest.mark.parametrize(
    ("good", "wrong"),
    [
        ("currency", "curency"),
        ("channels:", "channel:"),
        ("budget: 5000.00", "budgt: 5000.00"),
        ("budget: 5000.00", "budget: CNY 5000"),
        ("budget: 5000.00", "budget: [5]"),
        ("budget: 5000.00", "thresholds: 50%"),
        ("budget: 5000.00", "spike: {max: 5}"),
        ("budget: 5000.00", "remind: daily"),
        ("site: cn", "site: de"),
        ("type: folder", "type: floder"),
        ("type: console", "type: console, langage: en"),
        ("type: console", "type: webhook, url: https://a.example, secret: abc"),
        ("path: inbox", "path: inbox, poll: 30"),
        ("path: inbox", "pth: inbox"),
        ('id: "1000000000000001", ', ""),
        ("budget: 5000.00", "budget: null"),
    ],
)
def test_what_spendwatch_refuses_the_editor_marks(good: str, wrong: str, tmp_path: Path) -> None:
    text = MAIN.replace(good, wrong)
    assert text != MAIN
    (tmp_path / "spendwatch.yaml").write_text(text)
    with pytest.raises(ConfigError):
        load(tmp_path)
    assert not SCHEMAS[MAIN_SCHEMA].is_valid(read(text))
    assert SCHEMAS[MAIN_SCHEMA].is_valid(read(MAIN))


def test_no_secret_is_offered_and_every_key_is_closed() -> None:
    text = json_schemas()[MAIN_SCHEMA]
    assert "writeOnly" not in text
    assert "***" not in text
    open_ones = [
        name
        for name, one in json.loads(text)["$defs"].items()
        if one.get("type") == "object" and one.get("additionalProperties") is not False
    ]
    assert open_ones == []
