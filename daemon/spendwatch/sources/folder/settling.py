"""Decides when a file is complete, from what each poll saw and when. No disk access."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, KeysView
from typing import NamedTuple

from spendwatch.sources.files.identity import Identity

ENOUGH_LOOKS = 2
_LONGEST_PAUSE = 3600.0
_SHORTEST_PATIENCE = 60.0
_SETTLE_TIMES = 10


class Look(NamedTuple):
    """What was seen of one file: the same identity since then, so many times; not to be offered before then."""

    identity: Identity
    since: float
    looks: int = 1
    not_before: float = -math.inf
    failures: int = 0


class Looks:
    """What was seen of every file in a folder, by our own monotonic clock."""

    def __init__(self, settle: float, monotonic: Callable[[], float]) -> None:
        """Call a file settled that did not change for that many seconds."""
        self._settle = settle
        self._monotonic = monotonic
        self._looks: dict[str, Look] = {}

    @property
    def names(self) -> KeysView[str]:
        """The files seen at the last look."""
        return self._looks.keys()

    def renew(self, seen: Iterable[tuple[str, Identity]]) -> None:
        """Take in what the folder holds now, in the order in which it is to be offered; what is gone is forgotten."""
        now = self._monotonic()
        before, self._looks = self._looks, {}
        for name, identity in seen:
            look = before.get(name)
            if look is None or look.identity != identity:
                look = Look(identity, now)
            elif look.looks < ENOUGH_LOOKS:
                look = look._replace(looks=look.looks + 1)
            self._looks[name] = look

    def settled(self) -> Iterator[tuple[str, Identity]]:
        """Yield the files that came to rest and are to be offered now."""
        for name in tuple(self._looks):
            look = self._looks.get(name)
            now = self._monotonic()
            if look and look.looks >= ENOUGH_LOOKS and now - look.since >= self._settle and now >= look.not_before:
                yield name, look.identity

    @property
    def is_unsettled(self) -> bool:
        """Whether some file has not settled yet, by the checks so far."""
        now = self._monotonic()
        resting = (look.looks >= ENOUGH_LOOKS and now - look.since >= self._settle for look in self._looks.values())
        waiting = (now >= look.not_before for look in self._looks.values())
        return any(waits and not rests for rests, waits in zip(resting, waiting, strict=True))

    def is_patience_over(self, name: str) -> bool:
        """Return whether the file is quiet for so long that whatever is missing at its end will not come."""
        look = self._looks.get(name)
        patience = max(_SHORTEST_PATIENCE, self._settle * _SETTLE_TIMES)
        return look is not None and self._monotonic() - look.since >= patience

    def is_retired(self, name: str, identity: Identity) -> bool:
        """Return whether the file was put out of the game as it is."""
        look = self._looks.get(name)
        return look is not None and look.not_before == math.inf and look.identity == identity

    def pause(self, name: str) -> None:
        """Offer the file again after a pause that doubles each time."""
        if look := self._looks.get(name):
            seconds = min(_LONGEST_PAUSE, max(1.0, self._settle) * 2.0 ** min(look.failures, 12))
            self._looks[name] = look._replace(not_before=self._monotonic() + seconds, failures=look.failures + 1)

    def retire(self, name: str, identity: Identity) -> None:
        """Offer the file never again, unless it changes."""
        look = self._looks.get(name)
        if look and look.identity == identity:
            self._looks[name] = look._replace(not_before=math.inf)

    def forget(self, name: str) -> None:
        """Look at the file as if for the first time."""
        self._looks.pop(name, None)
