"""Finds folders that conflict: everything inside a recursive folder would be read as a bill."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from spendwatch.domain.statement import SourceName
from spendwatch.settings.layers import Layers
from spendwatch.sources.config import FolderConfig, SourceConfig


def check_folders(sources: Mapping[SourceName, SourceConfig], ours: Mapping[str, Path], layers: Layers) -> None:
    """Note what lies within the folder of a recursive source: another source's folder, or one of ours, by what is in it."""
    folders = {name: config for name, config in sources.items() if isinstance(config, FolderConfig)}
    places = {name: _real(Path(config.path)) for name, config in folders.items()}
    for name, config in folders.items():
        if not config.recursive:
            continue
        for other, place in places.items():
            if other != name and place.is_relative_to(places[name]):
                what = f"is inside the folder of '{name}', which is recursive: its bills would be read twice"
                layers.tell(("sources", other, "path"), what)
        for title, place in ours.items():
            if _real(place).is_relative_to(places[name]):
                layers.tell(("sources", name, "path"), f"the {title} is inside this folder and would be read as bills")


def _real(place: Path) -> Path:
    return Path(os.path.realpath(place))  # pathlib's own way fails on links that lead in a circle
