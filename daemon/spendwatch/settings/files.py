"""Finds and reads files: the configuration (a folder with `spendwatch.yaml` and `workspaces/`), and secrets.

A secret is a service credential, a container secret, or a file that only its owner can read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from spendwatch.domain.errors import ConfigError, printable
from spendwatch.yaml_text import MAX_BYTES, Place

MAIN = "spendwatch.yaml"
VARIABLE = "SPENDWATCH_CONFIG"
SYSTEM = Path("/etc/spendwatch")
RUN_SECRETS = Path("/run/secrets")
_LOCAL = Path("config")
_WORKSPACES = "workspaces"
_ENDINGS = frozenset({".yaml", ".yml"})
_MOST_BYTES = 64 * 1024
_OTHERS = 0o077
_OTHERS_BUT_READING_GROUP = 0o037


@dataclass(frozen=True, slots=True)
class Outside:
    """What lies outside of us: the environment, and where container secrets lie."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    run_secrets: Path = RUN_SECRETS

    @property
    def secret_folders(self) -> tuple[Path, ...]:
        """The folders that a service manager or a container fills with secrets, the first to be asked first."""
        credentials = self.environ.get("CREDENTIALS_DIRECTORY")
        return (*((Path(credentials),) if credentials else ()), self.run_secrets)

    @property
    def state_folder(self) -> Path | None:
        """The state directory that a service manager gave us."""
        given = self.environ.get("STATE_DIRECTORY", "").split(":")[0]
        return Path(given) if given else None


class Location(NamedTuple):
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
        return _read(file, MAX_BYTES)
    except ValueError as error:
        raise ConfigError(Place(str(file)).mistake("", str(error))) from None


def find_secret(name: str, folder: Path, outside: Outside) -> Path:
    """Return the file that holds a secret, or raise `ValueError` with the reason in words.

    A relative name is looked for among the credentials, then the container secrets, then in the configuration's folder.
    Those two hold no folders: of `secrets/smtp` they know `smtp`, so that one configuration serves all three.
    """
    kept = (place / Path(name).name for place in outside.secret_folders)
    places = [Path(name)] if Path(name).is_absolute() else [*kept, folder / name]
    found = next((place for place in places if _is_there(place)), None)
    if found is None:
        msg = f"no such file; searched {', '.join(map(_shown, places))}"
        raise ValueError(msg)
    if not any(found.is_relative_to(place) for place in outside.secret_folders):
        _refuse_if_shared(found)
    return found


def read_text_file(file: Path) -> str:
    """Return the text of a small file without its last newline, or raise `ValueError` with the reason in words."""
    try:
        data = _read(file, _MOST_BYTES)
        if len(data) <= _MOST_BYTES and (text := data.decode().removesuffix("\n").removesuffix("\r")):
            return text
        why = "is empty" if len(data) <= _MOST_BYTES else f"larger than {_MOST_BYTES // 1024} KiB"
    except UnicodeDecodeError:
        why = "not UTF-8 text"
    except ValueError as error:
        why = str(error)
    msg = f"{why}: {_shown(file)}"
    raise ValueError(msg)


def _read(file: Path, most_bytes: int) -> bytes:
    """Return a file's bytes, one more than these at most, or raise `ValueError` with the reason in words."""
    try:
        # Not blocking, so that a pipe in the place of a file cannot hold us up.
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as opened:
            if stat.S_ISREG(os.fstat(handle).st_mode):
                return opened.read(most_bytes + 1)
    except OSError as error:
        msg = f"cannot be read: {error.strerror}"
        raise ValueError(msg) from None
    msg = "not a file"
    raise ValueError(msg)


def _shown(file: Path) -> str:
    text = str(file)
    return text if text.isprintable() else printable(text, 300)


def _is_there(place: Path) -> bool:
    try:
        return place.exists()
    except OSError:
        return True  # reading it will say why it cannot be seen


def _refuse_if_shared(file: Path) -> None:
    try:
        found = file.stat()
    except OSError as error:
        msg = f"cannot be read: {_shown(file)}: {error.strerror}"
        raise ValueError(msg) from None
    mode = stat.S_IMODE(found.st_mode)
    is_roots = found.st_uid == 0
    # What root gives to a group of ours is meant for us: so are secrets mounted in Kubernetes.
    is_given = is_roots and found.st_gid in {os.getegid(), *os.getgroups()} - {0}
    if mode & (_OTHERS_BUT_READING_GROUP if is_given else _OTHERS):
        mounted = "; in Kubernetes set defaultMode: 0440 and fsGroup" if is_roots and os.geteuid() else ""
        msg = f"must be 0600, so that only its owner can read it; {_shown(file)} is {mode:04o}{mounted}"
        raise ValueError(msg)


def _is_config(place: Path) -> bool:
    try:
        return place.is_file() or (place / MAIN).is_file()
    except OSError:
        return True  # reading it will say why it cannot be seen
