"""The layer that the secret files named in the configuration make: what `password_file` holds becomes `password`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from spendwatch.settings.layers import Layers
from spendwatch.settings.secret_files import Outside, find_secret, read_text_file
from spendwatch.settings.yaml_text import Document, Text, path_text

_FILES: Mapping[str, Mapping[str, str]] = {
    "channels": {"password_file": "password", "secret_file": "secret"},
    "sources": {"key_id_file": "key_id", "secret_file": "secret", "token_file": "token"},
}


def secret_contents(layers: Layers, folder: Path, outside: Outside) -> Document:
    """Return the secrets of all channels and sources, at the places of the keys that name their files.

    A secret that comes from the environment is not read from its file.
    """
    found: dict[str, Text] = {}
    document = Document("secret files")
    for section, files in _FILES.items():
        if of_section := _secrets_of(section, files, layers, document, lambda name: find_secret(name, folder, outside)):
            found[section] = of_section
    if found:
        document.tree = found
    return document


def _secrets_of(
    section: str, files: Mapping[str, str], layers: Layers, document: Document, find: Callable[[str], Path]
) -> dict[str, Text]:
    found: dict[str, Text] = {}
    for owner in layers.names((section,)):
        contents: dict[str, Text] = {}
        for file_key, key in files.items():
            path, name = (section, owner, file_key), layers.look((section, owner, file_key))
            if not isinstance(name, str) or layers.look((section, owner, key)) is not None:
                continue
            place = layers.place(path)
            try:
                contents[key] = read_text_file(find(name))
            except ValueError as error:
                document.mistakes.append(place.mistake(path_text(path), str(error)))
            document.keys[section, owner, key] = document.values[section, owner, key] = place
        if contents:
            found[owner] = contents
    return found
