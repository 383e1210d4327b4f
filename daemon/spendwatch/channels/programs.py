"""What programs that keep a list of alerts share: they show an alert until they hear that it is over."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from spendwatch.channels.http_channel import HttpChannel
from spendwatch.channels.program_settings import ProgramConfig
from spendwatch.domain.alert import AlertState
from spendwatch.domain.delivery import Reason
from spendwatch.domain.notification import Notification
from spendwatch.letters.json_body import as_sent

_Config = TypeVar("_Config", bound=ProgramConfig)


class ProgramChannel(HttpChannel[_Config]):
    """A program with a list of alerts. One of ours is one of theirs, whatever is said of it: `Notification.alert` names it."""

    repeats: ClassVar[bool]
    """Whether it forgets an alert of which it does not hear."""

    def render(self, notification: Notification, target: str) -> bytes:  # noqa: ARG002 -- a program is one receiver
        """Return what it is told, without what is secret or differs from one attempt to the next."""
        return as_sent(self._document(notification.facts.members or (notification,)))

    @abstractmethod
    def _document(self, told: Sequence[Notification]) -> object:
        """Return what these messages are for the program, the gravest first: several only where they have waited."""

    def _details(self, one: Notification) -> Mapping[str, str]:
        """Return what is known in short, by the names of a webhook's body, and all of it in words."""
        data: Mapping[str, Any] = self._json.of(one)["data"]  # type: ignore[assignment]  # as every body has it
        return {name: value for name, value in data.items() if isinstance(value, str) and value}


def alert_name(one: Notification) -> str:
    """Return what kind of alert it is, when it is over, too."""
    return "test" if one.reason is Reason.TEST else one.rule.type


def is_over(one: Notification) -> bool:
    """Return whether the alert has ended."""
    return one.state is AlertState.RESOLVED and one.reason is not Reason.TEST
