"""`config show`: the settings in effect, and where each comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
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
from spendwatch.yaml_text import KeyPath, Scalar

_HIDDEN = "***"
_INHERITED = ("thresholds", "channels", "remind", "escalate")
"""What `defaults` says for accounts, workspaces and operators."""
_DERIVED = {"port": ("connects_to", 0), "max_messages": ("usual_max", "unlimited")}
"""Keys whose default depends on others: the attribute that knows it, and what stands for none."""
_AS_IT_IS = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_./%@+-]*(?: [A-Za-z0-9%:.]+)*")
_WORDS = frozenset({"null", "yes", "no", "on", "off", "y", "n"})
_ID = re.compile("[0-9]{7,}")
_ORIGIN_AT = 48


@click.group()
def config() -> None:
    """Show the settings in effect."""


@config.command(short_help="Show every setting with its value, defaults included.")
@click.option("--origin", is_flag=True, help="Show behind each value where it comes from.")
@json_option
@click.pass_obj
def show(place: Place, *, origin: bool, as_json: bool) -> None:
    """Show the settings in effect, in the form of the files: what is written, what the environment says, and defaults.

    Secrets are not read: they are shown as ***, and of an address only the host. A key without a value and a default is left
    out. The origin of a value is file:line:column, $VARIABLE, a secret file, or `default`.
    """
    examined = examine(place.path(), with_secrets=False)
    main = _Shown(examined.main)
    tree = main.tree(examined.said[MAIN])
    for key in ("state", "spool"):
        main.add(tree, key, str(getattr(examined.settings, key)))
    main.add(tree["defaults"], "channels", list(tree["channels"]), ("defaults",))
    for name, account in tree["accounts"].items():
        main.inherit(account, ("accounts", name), main, tree["defaults"])
    main.inherit(tree.setdefault("operators", {}), ("operators",), main, tree["defaults"])
    shown = [(main, tree)]
    for name, layers in examined.files.items():
        one = _Shown(layers)
        shown.append((one, one.tree(examined.said[name])))
        one.inherit(shown[-1][1], (), main, tree["defaults"])
    if as_json:
        files = [{"file": one.layers.document.file, "settings": tree} for one, tree in shown]
        origins = [{"origins": one.origins} if origin else {} for one, _ in shown]
        print_json({"schema_version": 1, "files": [one | more for one, more in zip(files, origins, strict=True)]})
        return
    for one, tree in shown:
        click.echo(f"# {one.layers.document.file}")
        for text, path in _lines(tree, ()):
            where = one.origins.get(_key(path)) if origin else None
            click.echo(f"{text:<{_ORIGIN_AT}}  # {where}" if where else text)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What one file says, with what is laid over it, and the origin of each value by its key."""

    layers: Layers
    origins: dict[str, str] = field(default_factory=dict)

    def tree(self, said: BaseModel) -> dict[str, Any]:
        return dict(self._fields(said, self.layers.tree, ()))

    def add(self, tree: dict[str, Any], key: str, value: object, above: KeyPath = (), origin: str = "default") -> None:
        """Add what follows from other settings, unless it is there."""
        if key not in tree:
            tree[key] = value
            self.origins[_key((*above, key))] = origin

    def inherit(self, tree: dict[str, Any], path: KeyPath, main: _Shown, defaults: Mapping[str, Any]) -> None:
        """Add what `defaults` says for this account, this workspace or the operators."""
        for key in _INHERITED:
            if key in defaults and (key != "thresholds" or "budget" in tree):
                inner = next((one for one in main.origins if one.startswith(f"defaults.{key}")), "")
                self.add(tree, key, defaults[key], path, main.origins[inner])

    def _value(self, said: object, written: object, path: KeyPath) -> object:
        """Return a value as its file would say it."""
        if isinstance(said, Brief):
            found = dict(self._fields(said, {said.alone: written} if isinstance(written, str | list) else written, path))
            if [*found] == [said.alone] and path != ("operators",):
                self.origins[_key(path)] = self.origins.pop(_key((*path, said.alone)))
                return found[said.alone]
            return found
        if isinstance(said, BaseModel) and not isinstance(written, str | list):
            return dict(self._fields(said, written, path))
        if isinstance(said, dict) and not isinstance(written, str | list):
            return {str(key): self._value(value, _at(written, key), (*path, key)) for key, value in said.items()}
        if isinstance(written, list) and any(isinstance(one, dict) for one in written) and isinstance(said, list | tuple):
            return [self._value(one, node, (*path, at)) for at, (one, node) in enumerate(zip(said, written, strict=True))]
        self.origins[_key(path)] = self._origin(path) if written is not None else "default"
        return _leaf(said, written)

    def _fields(self, model: BaseModel, written: object, path: KeyPath) -> Iterator[tuple[str, object]]:
        names = {one.alias or name: name for name, one in type(model).model_fields.items()}
        order = [key for key in written if key in names] if isinstance(written, dict) else []
        for key in dict.fromkeys([*order, *names]):
            value = getattr(model, names[key])
            node = _at(written, key)
            if node is None and not isinstance(value, BaseModel):
                if not value and key in _DERIVED:
                    value = getattr(model, _DERIVED[key][0]) or _DERIVED[key][1]
                if file := next(
                    (_at(written, file) for file, of in SECRET_FILES.items() if of == key and _at(written, file)), None
                ):
                    value, self.origins[_key((*path, key))] = _HIDDEN, f"secret file {file}"
                    yield key, value
                    continue
            if key == "headers" and isinstance(value, dict):
                value, node = dict.fromkeys(value, _HIDDEN), node and dict.fromkeys(value, _HIDDEN)
            if isinstance(value, SecretStr):
                value, node = _HIDDEN, Scalar(_HIDDEN, self.layers.place((*path, key)))
            if key == "url" and isinstance(value, str):
                host = f"{urlsplit(value).scheme}://{urlsplit(value).netloc}/{_HIDDEN}"
                value, node = host, node and Scalar(host, self.layers.place((*path, key)))
            if node is not None or (value is not None and value not in ([], (), {})):
                found = self._value(value, node, (*path, key))
                if node is not None or found != {}:
                    yield key, found

    def _origin(self, path: KeyPath) -> str:
        while not self.layers.has(path):  # the value of one key that stands alone
            path = path[:-1]
        place = self.layers.place(path)
        if place.file == self.layers.document.file:
            return f"{place.file}:{place.line}:{place.column}"
        return place.file if place.file.startswith("$") else f"secret file {place.file}"


def _at(tree: object, key: str) -> object:
    return tree.get(key) if isinstance(tree, dict) else None


def _leaf(said: object, written: object = None) -> object:
    """Return a value as JSON: as it is written, or as a default would be written."""
    if isinstance(said, bool | int) and (written is None or str(said).lower() == written):
        return said
    if isinstance(written, list):
        return [_leaf(None, one) for one in written]
    if isinstance(written, dict):
        return {str(key): _leaf(None, one) for key, one in written.items()}
    if written is None and isinstance(said, list | tuple):
        return [_leaf(one) for one in said]
    if written is None and isinstance(said, Brief):
        return _leaf(getattr(said, said.alone))
    return str(_WRITTEN.get(type(said), str)(said) if written is None else written)


_WRITTEN: Mapping[type, Callable[[Any], object]] = {
    Decimal: plain,
    timedelta: duration_label,
    Threshold: attrgetter("label"),
    ZoneInfo: attrgetter("key"),
}
"""How a default of a type is written."""


def _key(path: KeyPath) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def _lines(tree: Mapping[str, Any], path: KeyPath, indent: str = "") -> Iterator[tuple[str, KeyPath]]:
    """Yield the lines of a YAML document, each with the path of what it says."""
    for key, value in tree.items():
        here = (*path, key)
        if isinstance(value, dict) and value:
            yield f"{indent}{_text(key)}:", here
            yield from _lines(value, here, f"{indent}  ")
        elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
            yield f"{indent}{_text(key)}:", here
            for at, one in enumerate(value):
                own = (*here, at)
                (first, of), *more = _lines(one, own, f"{indent}    ") if isinstance(one, dict) else [(_text(one), own)]
                yield f"{indent}  - {first.strip()}", of
                yield from more
        else:
            yield f"{indent}{_text(key)}: {_text(value)}", here


def _text(value: object) -> str:
    """Return a value in one line of YAML, in quotes wherever any reader might take it for something else."""
    match value:
        case bool():
            return str(value).lower()
        case list():
            return f"[{', '.join(map(_text, value))}]"
        case str() if not _AS_IT_IS.fullmatch(value) or value.lower() in _WORDS or _ID.fullmatch(value):
            return json.dumps(value, ensure_ascii=False)
        case dict():
            return "{}"
        case _:
            return str(value)
