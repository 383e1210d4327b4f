"""Keeps the daemon small and commands quick: libraries load only what is needed."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, cast

_DRAWING = ("rich", "pygments")


@contextmanager
def without_rich() -> Iterator[None]:
    """Let libraries be imported as if rich were not installed; who imports it later gets it.

    structlog would load it for tracebacks that we never print, httpx for its own command line: 6 MB, and 50 ms of each start.
    """
    hidden = [name for name in _DRAWING if name not in sys.modules]
    # None makes the import system treat the module as missing.
    sys.modules.update(dict.fromkeys(hidden, cast("ModuleType", None)))
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def on_demand(name: str, *functions: str) -> Iterator[None]:
    """Let libraries import a module that is loaded with its first use; functions of it may be looked up before."""
    if name in sys.modules:
        yield
        return
    later = sys.modules[name] = _Later(name)
    for function in functions:
        setattr(later, function, later.forwarded(function))
    try:
        yield
    finally:
        later.leave()


@contextmanager
def without_collecting() -> Iterator[None]:
    """Let the collector of garbage wait: what makes very many objects that stay would be looked through again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Later(ModuleType):
    def leave(self) -> None:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]

    def forwarded(self, function: str) -> Callable[..., object]:
        def call(*args: object, **named: object) -> object:
            return self.__getattr__(function)(*args, **named)

        return call

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- whatever there is
        if name.startswith("__"):
            raise AttributeError(name)
        self.leave()
        return getattr(importlib.import_module(self.__name__), name)
