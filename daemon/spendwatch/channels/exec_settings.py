"""The settings of a command that is run for each notification."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from spendwatch.channels.route_settings import Routed
from spendwatch.fields import PositiveDuration, must

_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_Argument = Annotated[str, must(lambda text: "\0" not in text, lambda _: "an argument cannot contain a NUL character")]


class ExecConfig(Routed):
    """A command, run without a shell."""

    type: Literal["exec"] = "exec"
    command: tuple[_Argument, ...] = Field(min_length=1)
    """Its path, and its arguments as they are."""
    timeout: PositiveDuration = timedelta(seconds=30)
    """Then it is killed, with all that it started."""
    at_once: int = Field(default=1, ge=1, le=16)
    """How many of it run at a time."""

    def objection(self) -> str | None:
        """Return why the command must not be run by us, as far as its file shows; None where it may."""
        file = Path(self.command[0])
        try:
            is_file, mode = file.is_file(), file.stat().st_mode
        except OSError as error:
            return f"cannot be run: {file}: {error.strerror}"
        if not is_file:
            return f"not a file: {file}"
        if not os.access(file, os.X_OK):
            return f"we may not run it: {file} is {stat.S_IMODE(mode):04o}; chmod +x, or let its owner be who runs spendwatch"
        for place, why in _shared(file.resolve()):
            return f"{place} {why}: whoever may change it would run commands as us"
        return None


def _shared(file: Path) -> Iterator[tuple[Path, str]]:
    """Yield what others could replace: the file, or a folder on its way."""
    for place in (file, *file.parents):
        found = place.stat()
        # Of a folder with the sticky bit, as /tmp, only the owner of a file may replace it.
        is_open = found.st_mode & (_OTHERS if place == file else stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX
        if is_open:
            yield place, f"is {stat.S_IMODE(found.st_mode):04o}, writable by others (chmod go-w)"
        if found.st_uid not in {0, os.geteuid()}:
            yield place, f"belongs to user {found.st_uid}, neither us nor root"
