"""The JSON Schemas of the configuration files, for editors. They accept the types that other readers of YAML give to values."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import PydanticJsonSchemaWarning

from spendwatch.fields import DURATION
from spendwatch.settings.schema import DaemonFile, WorkspaceFile

MAIN_SCHEMA, WORKSPACE_SCHEMA = "spendwatch.schema.json", "workspace.schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NAMED, _LISTED, _INNER = ("properties", "$defs"), ("anyOf", "oneOf", "allOf"), ("items", "additionalProperties")


def modeline(schema: str) -> str:
    """Return the line by which an editor finds the schema of a file, relative to it."""
    return f"# yaml-language-server: $schema={schema}\n"


def json_schemas() -> Mapping[str, str]:
    """Return the text of each schema by the name of its file."""
    models: dict[str, type[BaseModel]] = {MAIN_SCHEMA: DaemonFile, WORKSPACE_SCHEMA: WorkspaceFile}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PydanticJsonSchemaWarning)  # a default that is no JSON is left out: nothing is lost
        found = {name: {"$schema": DIALECT, **_for_editors(model.model_json_schema())} for name, model in models.items()}
    return {name: json.dumps(schema, indent=1, ensure_ascii=False) + "\n" for name, schema in found.items()}


def _for_editors(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without what is never written: nothing as a value, secrets, and names that only repeat the key."""
    found = {key: value for key, value in schema.items() if key != "title" and not (key == "default" and value is None)}
    for key in _NAMED:
        if key in found:
            inner = {name: _for_editors(one) for name, one in found[key].items()}
            found[key] = {name: one for name, one in inner.items() if not one.get("writeOnly")}
    for key in _LISTED:
        if key in found:
            found[key] = [_for_editors(one) for one in found[key] if one != {"type": "null"}]
    for key in _INNER:
        if isinstance(found.get(key), dict):
            found[key] = _for_editors(found[key])
    if len(found.get("anyOf", ())) == 1:
        found |= found.pop("anyOf")[0]
    match found.get("type"):
        case "string" if not {"enum", "const"} & {*found} and found.get("pattern") != DURATION:
            found["type"] = ["string", "number", "boolean"]
        case "integer":
            found["type"] = ["integer", "string"]
        case _:
            pass
    return found
