"""A progress bar for long work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Progress:
    """A bar on a terminal for work that takes long; nothing elsewhere."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self._advance: Callable[[str, float], None] = lambda *_: None

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Show a bar for the file."""
        from spendwatch.cli.screen import clean, console  # noqa: PLC0415 -- rich is needed only when there is a bar

        screen = console(err=True)
        if not screen.is_terminal or os.environ.get("TERM") == "dumb":
            yield
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 -- only for a terminal

        columns = (TextColumn("{task.fields[file]}"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=screen, transient=True) as bar:
            task = bar.add_task("reading", total=1.0, file=clean(name))
            self._advance = lambda phase, share: bar.update(task, description=phase, completed=share)
            yield
        self._advance = lambda *_: None

    def tell(self, phase: str, share: float) -> None:
        """Move the bar: what is being done, and how far it has come (0 to 1)."""
        self._advance(phase, share)
