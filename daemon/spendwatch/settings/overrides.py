"""Environment variables and secret files over `spendwatch.yaml`: `SPENDWATCH_CHANNELS__FINANCE__PASSWORD` and so on.

Values stay text, as in the file: a password of digits is no number and an amount no float. Only a value that begins with
`[` or `{` is read as YAML, and never one of a secret.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spendwatch.domain.errors import ConfigError, ConfigMistake
from spendwatch.settings.secret_files import read_text_file
from spendwatch.settings.suggestions import suggestion
from spendwatch.yaml_text import Document, Place, Text, parse, path_text

PREFIX = "SPENDWATCH_"
_BETWEEN = "__"
SECRET_KEYS = frozenset({"password", "secret", "token", "key_id"})


@dataclass(frozen=True, slots=True)
class Override:
    """One value from outside the file."""

    origin: str
    """`$NAME` or a file's path, for mistakes."""
    path: tuple[str, ...]
    text: str = field(repr=False)


def from_environment(environ: Mapping[str, str], known: Collection[str], below: Text) -> Document:
    """Return the layer that the environment makes.

    A name without `__` that is no setting belongs to somebody else (Kubernetes sets `SPENDWATCH_SERVICE_HOST` and the like).
    """
    named = [(f"${name}", name, text) for name, text in environ.items() if name.startswith(PREFIX) and text]
    return _layer("the environment", named, known, below)


def from_files(folders: Collection[Path], known: Collection[str], below: Text) -> Document:
    """Return the layer that files named like the variables make, as container secrets and systemd credentials are."""
    document = Document("secret files")
    named = []
    for folder in reversed(list(folders)):
        for file in _listed(folder):
            if file.name.upper().startswith(PREFIX) and _BETWEEN in file.name:
                try:
                    named.append((str(file), file.name.upper(), read_text_file(file)))
                except ValueError as error:
                    document.mistakes.append(Place(str(file)).mistake("", str(error)))
    layer = _layer("secret files", named, known, below)
    layer.mistakes[:0] = document.mistakes
    return layer


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []  # not every process is given secrets


def _layer(title: str, named: Collection[tuple[str, str, str]], known: Collection[str], below: Text) -> Document:
    root: dict[str, Text] = {}
    document = Document(title, root)
    for origin, name, text in sorted(named, key=lambda item: item[1].count(_BETWEEN)):
        parts = name.removeprefix(PREFIX).lower().split(_BETWEEN)
        if len(parts) == 1 and parts[0] not in known:
            continue
        if parts[0] not in known:
            _note(document, origin, "", f"'{parts[0]}' is not a setting; {suggestion(parts[0], known)}")
        elif not all(parts):
            _note(document, origin, "", "there is no name between two __")
        else:
            _put(document, root, Override(origin, _as_spelled(parts, below), text))
    return document


def _put(document: Document, root: dict[str, Text], override: Override) -> None:
    value: Text = override.text
    place = Place(override.origin)
    if override.text[0] in "[{" and override.path[-1] not in SECRET_KEYS:
        value = _structure(document, override)
    *above, last = override.path
    here: dict[str, Text] = root
    for number, part in enumerate(above, start=1):
        document.keys.setdefault(override.path[:number], place)
        inner = here.get(part)
        if not isinstance(inner, dict):
            inner = here[part] = {}
        here = inner
    here[last] = value
    document.keys[override.path] = document.values[override.path] = place


def _structure(document: Document, override: Override) -> Text:
    try:
        inner = parse(override.text.encode(errors="replace"), override.origin)
    except ConfigError as error:
        document.mistakes.extend(_renamed(mistake, override) for mistake in error.mistakes)
        document.unreadable.add(override.path)
        return None
    document.mistakes.extend(_renamed(mistake, override) for mistake in inner.mistakes)
    for path in inner.keys:
        document.keys[*override.path, *path] = inner.keys[path]
    for path in inner.values:
        document.values[*override.path, *path] = inner.values[path]
    return inner.tree


def _renamed(mistake: ConfigMistake, override: Override) -> ConfigMistake:
    key = ".".join(part for part in (path_text(override.path), mistake.key) if part)
    return ConfigMistake(mistake.file, mistake.line, mistake.column, key, mistake.what)


def _note(document: Document, origin: str, key: str, what: str) -> None:
    document.mistakes.append(Place(origin).mistake(key, what))


def _as_spelled(parts: list[str], below: Text) -> tuple[str, ...]:
    """Return the path as the file spells it: variables cannot write capitals, and not every shell takes a dash."""
    path: list[str] = []
    for part in parts:
        names = below if isinstance(below, dict) else {}
        name = next((name for name in names if folded(name) == folded(part)), part)
        below = names.get(name)
        path.append(name)
    return tuple(path)


def folded(name: str) -> str:
    """Return a name as a variable spells it."""
    return name.lower().replace("-", "_")
