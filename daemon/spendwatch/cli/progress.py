"""A progress bar for long work."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Self


class Progress:
    """A bar on a terminal for work that takes long; nothing elsewhere."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self._advance: Callable[[str, float], None] = lambda *_: None
        self._stop: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away."""
        self._stop()

    def begin(self, name: str) -> None:
        """Show a bar for the file."""
        from spendwatch.cli.screen import clean, console  # noqa: PLC0415 -- rich is needed only when there is a bar

        screen = console(err=True)
        if not screen.is_terminal or os.environ.get("TERM") == "dumb":
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 -- only for a terminal

        bar = Progress(
            TextColumn("{task.fields[file]}"),
            BarColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=screen,
            transient=True,
        )
        task = bar.add_task("reading", total=1.0, file=clean(name))
        bar.start()
        self._advance = lambda phase, share: bar.update(task, description=phase, completed=share)
        self._stop = bar.stop

    def tell(self, phase: str, share: float) -> None:
        """Move the bar: what is being done, and how far it has come (0 to 1)."""
        self._advance(phase, share)

    def end(self) -> None:
        """Take the bar away."""
        self._stop()
        self._advance, self._stop = (lambda *_: None), (lambda: None)
