"""`config show`: the settings in effect, and where each comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import click
from pydantic import BaseModel, SecretStr

from spendwatch.cli import Place
from spendwatch.cli.options import json_option
from spendwatch.cli.screen import print_json
from spendwatch.domain.money import plain
from spendwatch.domain.period import duration_label
from spendwatch.domain.policy import Threshold
from spendwatch.fields import Brief
from spendwatch.settings import examine
from spendwatch.settings.files import MAIN
from spendwatch.settings.layers import SECRET_FILES, Layers
from spendwatch.yaml_text import KeyPath, path_text

_HIDDEN, _DEFAULT = "***", "default"
_INHERITED = ("thresholds", "channels", "remind", "escalate")
"""What `defaults` says for accounts, workspaces and operators."""
_DERIVED = {"port": ("connects_to", 0), "max_messages": ("usual_max", "unlimited")}
"""Keys whose default depends on others: the attribute that knows it, and what stands for none."""
_AS_IT_IS = re.compile(r"[A-Za-z0-9/*][A-Za-z0-9_./%@+*-]*(?: [A-Za-z0-9%:.]+)*")
_ORIGIN_AT = 48
_Shown = dict[str, tuple[object, str]]
"""The value and the origin of each setting, by its key."""


@click.group()
def config() -> None:
    """Show the settings in effect."""


@config.command(short_help="Show every setting with its value, defaults included.")
@click.option("--origin", is_flag=True, help="Show behind each value where it comes from.")
@json_option
@click.pass_obj
def show(place: Place, *, origin: bool, as_json: bool) -> None:
    """Show the settings in effect, one a line: what is written, what the environment says, and defaults.

    Secrets are not read: they are shown as ***, and of an address only the host. A key without a value and a default is left
    out. The origin of a value is file:line:column, $VARIABLE, a secret file, or `default`.
    """
    examined = examine(place.path(), with_secrets=False)
    main: _Shown = dict(_settings(examined.main, examined.said[MAIN], examined.main.tree, ()))
    for key in ("state", "spool"):
        main.setdefault(key, (str(getattr(examined.settings, key)), _DEFAULT))
    main.setdefault("defaults.channels", (examined.main.names(("channels",)), _DEFAULT))
    for prefix in ("operators.", *(f"accounts.{name}." for name in examined.main.names(("accounts",)))):
        _inherit(main, prefix, main)
    found = [(examined.main.document.file, main)]
    for name, layers in examined.files.items():
        own: _Shown = dict(_settings(layers, examined.said[name], layers.tree, ()))
        _inherit(own, "", main)
        found.append((layers.document.file, own))
    if as_json:
        files = [
            {"file": file, "settings": [{"key": key, "value": value, "origin": where} for key, (value, where) in shown.items()]}
            for file, shown in found
        ]
        print_json({"schema_version": 1, "files": files})
        return
    for file, shown in found:
        click.echo(f"# {file}")
        rank: dict[tuple[str, ...], int] = {}
        for key in shown:
            rank.setdefault(tuple(key.split(".")[:2]), len(rank))
        for key in sorted(shown, key=lambda key: rank[tuple(key.split(".")[:2])]):
            value, where = shown[key]
            text = f"{key}: {_text(value)}"
            click.echo(f"{text:<{_ORIGIN_AT}}  # {where}" if origin else text)


def _inherit(shown: _Shown, prefix: str, main: _Shown) -> None:
    """Add what `defaults` says for this account, this workspace or the operators."""
    for key in _INHERITED:
        own = f"{prefix}{key}"
        is_said = any(one == own or one.startswith((f"{own}.", f"{own}[")) for one in shown)
        if not is_said and (key != "thresholds" or f"{prefix}budget" in shown):
            usual = {one: value for one, value in main.items() if one.startswith(f"defaults.{key}")}
            shown |= {prefix + one.removeprefix("defaults."): value for one, value in usual.items()}


def _settings(layers: Layers, said: object, written: object, path: KeyPath) -> Iterator[tuple[str, tuple[object, str]]]:
    """Yield each setting with its value, as its file would say it, and its origin."""
    if isinstance(said, Brief) and isinstance(written, str | list):
        written = {said.alone: written}
    if isinstance(said, BaseModel) and not isinstance(written, str | list):
        yield from _of_model(layers, said, written, path)
    elif isinstance(said, dict) and not isinstance(written, str | list):
        for key, value in said.items():
            yield from _settings(layers, value, _at(written, key), (*path, key))
    elif isinstance(written, list) and any(isinstance(one, dict) for one in written) and isinstance(said, list | tuple):
        for at, (one, node) in enumerate(zip(said, written, strict=True)):
            yield from _settings(layers, one, node, (*path, at))
    else:
        yield path_text(path), (_leaf(said, written), _DEFAULT if written is None else _origin(layers, path))


def _of_model(layers: Layers, model: BaseModel, written: object, path: KeyPath) -> Iterator[tuple[str, tuple[object, str]]]:
    names = {one.alias or name: name for name, one in type(model).model_fields.items()}
    order = [key for key in written if key in names] if isinstance(written, dict) else []
    for key in dict.fromkeys([*order, *names]):
        here, value, node = (*path, key), getattr(model, names[key]), _at(written, key)
        file = next((name for file, of in SECRET_FILES.items() if of == key and (name := _at(written, file))), None)
        if node is None and file:
            yield path_text(here), (_HIDDEN, f"secret file {file}")
            continue
        if node is None and not value and key in _DERIVED:
            value = getattr(model, _DERIVED[key][0]) or _DERIVED[key][1]
        if key == "headers" and isinstance(value, dict):
            value, node = dict.fromkeys(value, _HIDDEN), node and dict.fromkeys(value, _HIDDEN)
        if isinstance(value, SecretStr):
            value = node = _HIDDEN
        elif key == "url" and isinstance(value, str):
            value = f"{urlsplit(value).scheme}://{urlsplit(value).netloc}/{_HIDDEN}"
            node = node and value
        if node is not None or (value is not None and value not in ([], (), {})):
            yield from _settings(layers, value, node, here)


def _origin(layers: Layers, path: KeyPath) -> str:
    while not layers.has(path):  # the value of one key that stands alone
        path = path[:-1]
    place = layers.place(path)
    if place.file == layers.document.file:
        return f"{place.file}:{place.line}:{place.column}"
    return place.file if place.file.startswith("$") else f"secret file {place.file}"


def _at(tree: object, key: str) -> object:
    return tree.get(key) if isinstance(tree, dict) else None


def _leaf(said: object, written: object = None) -> object:
    """Return a value as JSON: as it is written, or as a default would be written."""
    if isinstance(said, bool | int) and (written is None or str(said).lower() == written):
        return said
    if written is not None:
        return written
    if isinstance(said, list | tuple):
        return [_leaf(one) for one in said]
    if isinstance(said, Brief):
        return _leaf(getattr(said, said.alone))
    return str(_WRITTEN.get(type(said), str)(said))


_WRITTEN: Mapping[type, Callable[[Any], object]] = {
    Decimal: plain,
    timedelta: duration_label,
    Threshold: attrgetter("label"),
    ZoneInfo: attrgetter("key"),
}
"""How a default of a type is written."""


def _text(value: object) -> str:
    """Return a value on one line, in quotes wherever it might be taken for something else."""
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return value if isinstance(value, str) and _AS_IT_IS.fullmatch(value) else json.dumps(value, ensure_ascii=False)
