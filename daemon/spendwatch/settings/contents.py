"""The layer that the secret files named in the configuration make: what `password_file` holds becomes `password`."""

from __future__ import annotations

from pathlib import Path

from spendwatch.settings.layers import Layers
from spendwatch.settings.secret_files import Outside, find_secret, read_text_file
from spendwatch.settings.yaml_text import Document, Text, path_text

_FILES = {"password_file": "password", "secret_file": "secret"}


def secret_contents(layers: Layers, folder: Path, outside: Outside) -> Document:
    """Return the secrets of all channels, at the places of the keys that name their files.

    A secret that comes from the environment is not read from its file.
    """
    found: dict[str, Text] = {}
    document = Document("secret files")
    for channel in layers.names(("channels",)):
        for file_key, key in _FILES.items():
            path, name = ("channels", channel, file_key), layers.look(("channels", channel, file_key))
            if not isinstance(name, str) or layers.look(("channels", channel, key)) is not None:
                continue
            place = layers.place(path)
            try:
                found[channel] = {key: read_text_file(find_secret(name, folder, outside))}
            except ValueError as error:
                document.mistakes.append(place.mistake(path_text(path), str(error)))
            document.keys["channels", channel, key] = document.values["channels", channel, key] = place
    if found:
        document.tree = {"channels": found}
    return document
