"""Environment over secret files over `spendwatch.yaml`, merged by pydantic-settings; each value knows where it is written.

Values stay text, as in the file: a password of digits is no number and an amount no float. Only a value that begins with
`[` or `{` is read as YAML, and never one of a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from spendwatch.domain.errors import ConfigError, ConfigMistake
from spendwatch.domain.suggestions import suggestion
from spendwatch.settings.files import Outside, find_secret, read_text_file
from spendwatch.yaml_text import MAX_MISTAKES, NOT_LISTED, Document, KeyPath, Keys, Node, Place, Scalar, parse, path_text

EMPTY = "is empty: give it a value, or leave the key out"
EMPTY_FILE = "is empty"
PREFIX = "SPENDWATCH_"
SECRET_FILES: Mapping[str, str] = {
    **{f"{key}_file": key for key in ("password", "secret", "token", "key_id", "proxy_auth", "client_secret", "refresh_token")},
    **{f"{key}_file": key for key in ("private_key", "routing_key")},
    "auth_file": "auth_secret",
    "url_file": "url",
}
"""Where a key names a file, the key that has the secret."""
SECRET_KEYS = frozenset(SECRET_FILES.values()) - {"url"}
_BETWEEN = "__"


class Layers:
    """What a file says, with what is laid over it, and the mistakes found in it."""

    def __init__(self, document: Document) -> None:
        """Begin with the file's own mistakes; values that are nothing at all are noted at once."""
        self.document = document
        self.tree: object = document.tree
        self.mistakes: list[ConfigMistake] = list(document.mistakes)
        self._told = {Place(mistake.file, mistake.line, mistake.column) for mistake in self.mistakes}
        self._told_paths: set[KeyPath] = set()
        for path in _nothings(document.tree, ()):
            self.tell(path, EMPTY)

    def look(self, path: KeyPath) -> object:
        """Return what stands there; None where nothing does."""
        found = _at(self.tree, path)
        return None if isinstance(found, Scalar) and found.is_nothing else found

    def has(self, path: KeyPath) -> bool:
        """Return whether there is such a key or list item, even with nothing in it."""
        return _at(self.tree, path) is not None

    def names(self, path: KeyPath) -> list[str]:
        """Return the keys that stand there."""
        found = self.look(path)
        return list(map(str, found)) if isinstance(found, dict) else []

    def texts(self, path: KeyPath) -> list[tuple[KeyPath, str]]:
        """Return the texts of the list that stands there, each with its path."""
        found = self.look(path)
        items = found if isinstance(found, list) else []
        return [((*path, number), item) for number, item in enumerate(items) if isinstance(item, str)]

    def place(self, path: KeyPath, *, of_key: bool = False) -> Place:
        """Return where the value stands, or its key; for what is missing, where that begins in which it is missing."""
        while not self.has(path) and path:
            path, of_key = path[:-1], True
        value, above = _at(self.tree, path), _at(self.tree, path[:-1])
        key = above.key_place(str(path[-1])) if path and isinstance(above, Keys) else None
        return (key if of_key else None) or _place_of(value) or key or Place(self.document.file)

    def tell(self, path: KeyPath, what: str, *, at_key: bool = False) -> None:
        """Record a mistake, unless one is recorded for the same place."""
        place = self.place(path, of_key=at_key or self.look(path) is None)
        if path not in self._told_paths and place not in self._told:
            self._told_paths.add(path)
            self._add(place, place.mistake(path_text(path), what))

    def _note(self, place: Place, mistake: ConfigMistake) -> None:
        """Record a mistake; later ones at the same place are left out."""
        self._told.add(place)
        self._add(place, mistake)

    def _add(self, place: Place, mistake: ConfigMistake) -> None:
        if len(self.mistakes) < MAX_MISTAKES:
            self.mistakes.append(mistake)
            if len(self.mistakes) == MAX_MISTAKES:
                self.mistakes.append(place.mistake("", NOT_LISTED))


class MainLayers(Layers):
    """The daemon's settings: what the environment and secret files lay over `spendwatch.yaml`."""

    def __init__(self, document: Document, folder: Path, outside: Outside, *, with_secrets: bool) -> None:
        """Merge them when the sources are called; without secrets, files that the configuration names are not read."""
        super().__init__(document)
        self._folder = folder
        self._outside = outside
        self._with_secrets = with_secrets
        self._named: list[tuple[KeyPath, Place]] = []

    def sources(self, model: type[BaseSettings]) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the layers as pydantic-settings takes them, the strongest first."""
        environ = ((f"${name}", name, text) for name, text in self._outside.environ.items() if text)
        return (
            _Step(model, lambda _: self._by_name(environ, model)),
            _Step(model, lambda _: self._by_name(self._files(), model)),
            _Step(model, self._contents if self._with_secrets else lambda _: {}),
            _Step(model, lambda _: self.tree if isinstance(self.tree, dict) else {}),
            _Step(model, self._merged),
        )

    def _by_name(self, named: Iterable[tuple[str, str, str]], model: type[BaseSettings]) -> dict[str, Any]:
        """Return a tree of values, spelled like the file's; shorter paths come first, so that longer ones refine them.

        A name without `__` that is no setting belongs to somebody else: Kubernetes sets `SPENDWATCH_SERVICE_HOST` and the like.
        """
        known, found = model.model_fields, dict[str, Any]()
        ours = [one for one in named if one[1].startswith(PREFIX)]
        for origin, name, text in sorted(ours, key=lambda one: one[1].count(_BETWEEN)):
            parts = name.removeprefix(PREFIX).lower().split(_BETWEEN)
            place = Place(origin)
            if parts[0] not in known:
                if len(parts) > 1:
                    self._note(place, place.mistake("", f"'{parts[0]}' is not a setting; {suggestion(parts[0], known)}"))
            elif not all(parts):
                self._note(place, place.mistake("", "there is no name between two __"))
            else:
                path = _as_spelled(parts, self.tree)
                _put(found, path, self._value(path, Scalar(text, place)))
                self._named.append((path, place))
        return found

    def _value(self, path: tuple[str, ...], text: Scalar) -> Node:
        if text[0] not in "[{" or path[-1] in SECRET_KEYS:
            return text
        try:
            document = parse(text.encode(errors="replace"), text.place.file)
        except ConfigError as error:
            self._told_paths.add(path)
            document = Document(text.place.file, text, list(error.mistakes))
        for one in document.mistakes:
            key = ".".join(part for part in (path_text(path), one.key) if part)
            self._note(Place(one.file, one.line, one.column), one._replace(key=key))
        return text if document.tree is None else document.tree

    def _files(self) -> Iterator[tuple[str, str, str]]:
        """Yield what stands in files that are named like variables, as container secrets and systemd credentials are.

        The library's NestedSecretsSettingsSource strips the blanks of a password, and ends at the first unreadable file.
        """
        for folder in reversed(self._outside.secret_folders):
            try:
                files = sorted(folder.iterdir())
            except OSError:
                continue  # not every process is given secrets
            for file in files:
                if file.name.upper().startswith(PREFIX) and _BETWEEN in file.name:
                    try:
                        yield str(file), file.name.upper(), read_text_file(file)
                    except ValueError as error:
                        place = Place(str(file))
                        self._note(place, place.mistake("", str(error)))

    def _contents(self, stronger: Mapping[str, Any]) -> dict[str, Any]:
        """Return the content of `password_file` as `password`, and so on, unless the environment gives that itself."""
        contents: dict[str, Any] = {}
        for holder in secret_holders(lambda path: {**_keys(self.tree, path), **_keys(stronger, path)}):
            for file_key, key in SECRET_FILES.items():
                name = _at(stronger, (*holder, file_key)) or _at(self.tree, (*holder, file_key))
                if not isinstance(name, Scalar) or name.is_nothing or _at(stronger, (*holder, key)) or self.has((*holder, key)):
                    continue
                try:
                    secret = read_text_file(find_secret(name, self._folder, self._outside))
                except ValueError as error:
                    self._note(name.place, name.place.mistake(path_text((*holder, file_key)), str(error)))
                    continue
                _put(contents, (*holder, key), Scalar(secret, name.place))
        return contents

    def _merged(self, tree: dict[str, Any]) -> dict[str, Any]:
        self.tree = tree
        for path in _nothings(tree, ()):
            self.tell(path, EMPTY)
        for path, place in self._named:
            if _at(tree, path) is None:
                self._note(place, place.mistake(path_text(path), f"is not used: {path_text(path[:-1])} is one value"))
        return {}


class _Step(PydanticBaseSettingsSource):
    """A layer that depends on what the stronger ones say."""

    def __init__(self, model: type[BaseSettings], make: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        super().__init__(model)
        self._make = make

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return nothing: what counts is the call."""
        del field
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return what this layer says."""
        return self._make(self.current_state)


def secret_holders(names: Callable[[KeyPath], Iterable[str]]) -> Iterator[tuple[str, ...]]:
    """Yield the places that may name secret files, given the names that stand at a path."""
    yield from ((section, name) for section in ("channels", "sources") for name in names((section,)))
    yield from (("channels", name, "auth", "oauth2") for name in names(("channels",)))
    yield from (("accounts", name, "balance") for name in names(("accounts",)))
    yield from (("web",), ("heartbeat",))


def folded(name: str) -> str:
    """Return a name as a variable spells it."""
    return name.lower().replace("-", "_")


def _as_spelled(parts: list[str], below: object) -> tuple[str, ...]:
    """Return the path as the file spells it: variables cannot write capitals, and not every shell takes a dash."""
    path: list[str] = []
    for part in parts:
        names = below if isinstance(below, dict) else {}
        path.append(next((str(name) for name in names if folded(name) == folded(part)), part))
        below = names.get(path[-1])
    return tuple(path)


def _at(tree: object, path: KeyPath) -> Any:  # noqa: ANN401 -- part of a tree that the library merged
    for part in path:
        if isinstance(tree, dict) and isinstance(part, str):
            tree = tree.get(part)
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return None
    return tree


def _put(tree: dict[str, Any], path: tuple[str, ...], value: Node) -> None:
    """Put a value there, unless one value stands on the way."""
    below: Any = tree
    for part in path[:-1]:
        below = below.setdefault(part, {})
        if not isinstance(below, dict):
            return
    below[path[-1]] = value


def _keys(tree: object, path: KeyPath) -> dict[str, object]:
    found = _at(tree, path)
    return found if isinstance(found, dict) else {}


def _place_of(node: object) -> Place | None:
    """Return where it is written; for keys that only variables made, where the first value is."""
    if isinstance(node, dict) and not isinstance(node, Keys):
        return next(filter(None, map(_place_of, node.values())), None)
    return getattr(node, "place", None)


def _nothings(tree: object, path: KeyPath) -> Iterator[KeyPath]:
    if isinstance(tree, Scalar) and tree.is_nothing:
        yield path
    elif isinstance(tree, dict | list):
        for part, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _nothings(value, (*path, part))
