"""What all channels share: who is reached, in which words, and the same bytes for every attempt."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import tzinfo
from functools import cached_property
from typing import Generic, TypeVar

from spendwatch.domain.notification import Delivery, Notification
from spendwatch.letters.json_body import JsonBody
from spendwatch.letters.own_words import Spoken, wording_of

Config = TypeVar("Config", bound=Spoken)


class Channel(ABC, Generic[Config]):
    """One way to reach people or programs, with its settings."""

    def __init__(self, config: Config, name: str, *, zone: tzinfo) -> None:
        """Take the settings; moments are shown as clocks in `zone` show them."""
        self.name = name
        self._config = config
        self._zone = zone
        self._wording = wording_of(config, zone)

    @property
    def targets(self) -> Sequence[str]:
        """Each gets a copy of its own: one empty text where there is but one receiver."""
        return ("",)

    @property
    def at_once(self) -> int:
        """How many copies it carries at a time."""
        return 1

    @abstractmethod
    def render(self, notification: Notification, target: str) -> bytes:
        """Return what is stored, and the same for every attempt."""

    @abstractmethod
    async def send(self, delivery: Delivery) -> str | None:
        """Hand it over once and return what the receiver answers; raise an error unless it accepts."""

    @cached_property
    def _json(self) -> JsonBody:
        """What programs get."""
        return JsonBody(self._zone, wording=self._wording)

    def _rendered(self, delivery: Delivery) -> bytes:
        return delivery.rendered if delivery.rendered is not None else self.render(delivery.notification, delivery.target)
