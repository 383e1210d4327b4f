"""Reads secrets from files: a service credential, a container secret, or a file that only its owner can read."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from spendwatch.domain.errors import printable

_MOST_BYTES = 64 * 1024
_OTHERS = 0o077
RUN_SECRETS = Path("/run/secrets")


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
        if not stat.S_ISREG(file.stat().st_mode):
            msg = f"not a file: {_shown(file)}"
            raise ValueError(msg)
        with file.open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        msg = f"cannot be read: {_shown(file)}: {error.strerror}"
        raise ValueError(msg) from None
    if len(data) > _MOST_BYTES:
        msg = f"larger than {_MOST_BYTES // 1024} KiB: {_shown(file)}"
        raise ValueError(msg)
    return _as_text(data, file)


def _shown(file: Path) -> str:
    text = str(file)
    return text if text.isprintable() else printable(text, 300)


def _is_there(place: Path) -> bool:
    try:
        return place.exists()
    except OSError:
        return True  # reading it will say why it cannot be seen


def _as_text(data: bytes, file: Path) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        msg = f"not UTF-8 text: {_shown(file)}"
        raise ValueError(msg) from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        msg = f"is empty: {_shown(file)}"
        raise ValueError(msg)
    return text


def _refuse_if_shared(file: Path) -> None:
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except OSError as error:
        msg = f"cannot be read: {_shown(file)}: {error.strerror}"
        raise ValueError(msg) from None
    if mode & _OTHERS:
        msg = f"must be 0600, so that only its owner can read it; {_shown(file)} is {mode:04o}"
        raise ValueError(msg)
