"""The layer of the secret files named in the configuration: the content of `password_file` becomes `password`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from spendwatch.settings.layers import Layers
from spendwatch.settings.secret_files import Outside, find_secret, read_text_file
from spendwatch.yaml_text import Document, Text, path_text

_FILES: Mapping[str, Mapping[str, str]] = {
    "channels": {"password_file": "password", "secret_file": "secret"},
    "sources": {"key_id_file": "key_id", "secret_file": "secret", "token_file": "token"},
    "accounts": {"key_id_file": "key_id", "secret_file": "secret", "token_file": "token"},
}


def secret_contents(layers: Layers, folder: Path, outside: Outside) -> Document:
    """Return the secrets of all channels, sources and balances, at the places of the keys that name their files.

    A secret that comes from the environment is not read from its file.
    """
    document = Document("secret files")
    found: dict[str, Text] = {}
    for holder in secret_holders(layers):
        for file_key, key in _FILES[holder[0]].items():
            path, name = (*holder, file_key), layers.look((*holder, file_key))
            if not isinstance(name, str) or layers.look((*holder, key)) is not None:
                continue
            place = layers.place(path)
            try:
                _put(found, (*holder, key), read_text_file(find_secret(name, folder, outside)))
            except ValueError as error:
                document.mistakes.append(place.mistake(path_text(path), str(error)))
            document.keys[*holder, key] = document.values[*holder, key] = place
    if found:
        document.tree = found
    return document


def secret_holders(layers: Layers) -> Iterator[tuple[str, ...]]:
    """Yield the places that may name secret files."""
    yield from ((section, name) for section in ("channels", "sources") for name in layers.names((section,)))
    yield from (("accounts", name, "balance") for name in layers.names(("accounts",)))


def _put(tree: dict[str, Text], path: tuple[str, ...], secret: str) -> None:
    *above, last = path
    here = tree
    for part in above:
        inner = here.setdefault(part, {})
        if isinstance(inner, dict):
            here = inner
    here[last] = secret
