"""Finds the configuration: a folder with `spendwatch.yaml` and `workspaces/`."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spendwatch.domain.errors import ConfigError
from spendwatch.yaml_text import MAX_BYTES, Place

MAIN = "spendwatch.yaml"
VARIABLE = "SPENDWATCH_CONFIG"
SYSTEM = Path("/etc/spendwatch")
_LOCAL = Path("config")
_WORKSPACES = "workspaces"
_ENDINGS = frozenset({".yaml", ".yml"})


@dataclass(frozen=True, slots=True)
class Location:
    """The main file and its folder, as they were given, so that mistakes name them as people do."""

    main: Path
    folder: Path

    @classmethod
    def of(cls, place: Path) -> Location:
        """Return where the configuration lies, given its folder or its main file."""
        return cls(place / MAIN, place) if place.is_dir() else cls(place, place.parent)

    def workspace_files(self) -> list[Path]:
        """Return the files of `workspaces/` by name; what editors leave beside them is none."""
        try:
            files = sorted((self.folder / _WORKSPACES).iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ConfigError(Place(str(self.folder / _WORKSPACES)).mistake("", f"cannot be read: {error.strerror}")) from None
        return [file for file in files if file.suffix in _ENDINGS and file.name[0] not in ".#"]


def find_config(option: str | None, environ: Mapping[str, str], cwd: Path, *, system: Path = SYSTEM) -> Path:
    """Return where the configuration is: as asked for, else `$SPENDWATCH_CONFIG`, `./config`, `/etc/spendwatch`.

    A relative answer counts from `cwd`. `ConfigError` when nothing is there.
    """
    asked = ((option, "--config"), (environ.get(VARIABLE), f"${VARIABLE}"))
    for text, by in asked:
        if text:
            if not _is_config(cwd / text):
                what = f"named by {by}: no {MAIN} is there; `spendwatch init {text}` writes one"
                raise ConfigError(Place(text).mistake("", what))
            if (cwd / text).is_file() and Path(text).parent.name == _WORKSPACES:
                what = f"named by {by}: a workspace file; name the folder with {MAIN}: {Path(text).parent.parent}"
                raise ConfigError(Place(text).mistake("", what))
            return Path(text)
    for place in (_LOCAL, system):
        if _is_config(cwd / place):
            return place
    looked = f"no configuration found in ${VARIABLE}, ./{_LOCAL} or {system}"
    advice = "name its folder with --config, or write one with `spendwatch init`"
    raise ConfigError(Place(f"{_LOCAL}/{MAIN}").mistake("", f"{looked}; {advice}"))


def read_config_file(file: Path) -> bytes:
    """Return the bytes of a file, read at once, or raise `ConfigError`."""
    try:
        # Not blocking, so that a pipe in the place of a file cannot hold us up.
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as opened:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ConfigError(Place(str(file)).mistake("", "not a file"))
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(Place(str(file)).mistake("", f"cannot be read: {error.strerror}")) from None


def _is_config(place: Path) -> bool:
    try:
        return place.is_file() or (place / MAIN).is_file()
    except OSError:
        return True  # reading it will say why it cannot be seen
