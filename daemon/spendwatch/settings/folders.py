"""Folders that would get into each other's way: what lies within a folder that is looked at with its sub-folders is a bill."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from spendwatch.domain.errors import printable
from spendwatch.domain.statement import SourceName
from spendwatch.settings.layers import Layers
from spendwatch.sources.folder_settings import FolderConfig


def check_folders(sources: Mapping[SourceName, FolderConfig], ours: Mapping[str, Path], layers: Layers) -> None:
    """Note what lies within the folder of a recursive source: another source's folder, or one of ours, by what is in it."""
    places = {name: Path(config.path).resolve() for name, config in sources.items()}
    for name, config in sources.items():
        if not config.recursive:
            continue
        for other, place in places.items():
            if place != places[name] and place.is_relative_to(places[name]):
                layers.tell(("sources", other, "path"), f"lies within {_folder_of(name)}: each bill would be read for both")
        for what, place in ours.items():
            if place.resolve().is_relative_to(places[name]):
                layers.tell(("sources", name, "path"), f"the {what} in {printable(str(place))} would be taken for bills")


def _folder_of(name: str) -> str:
    return f"the folder of '{name}', which is recursive"
