"""What all channels over HTTP share: one attempt to post a message, and the judgement of the answer."""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, TypeVar

from spendwatch.channels.channel import Channel
from spendwatch.domain.errors import (
    DeliveryError,
    ForbiddenAddressError,
    PermanentDeliveryError,
    TemporaryDeliveryError,
    UnreachableError,
)
from spendwatch.domain.notification import Delivery
from spendwatch.domain.period import Clock
from spendwatch.pacing import RateLimiter, asked_pause
from spendwatch.request import HttpAnswer, HttpPoster

if TYPE_CHECKING:
    from spendwatch.channels.chat_settings import ChatSettings
    from spendwatch.channels.webhook_settings import EndpointConfig

_GONE = 410
_WORTH_RETRYING = frozenset({408, 425, 429})
_SURELY_OF_CHANNEL = frozenset({429, 502, 503, 504})
"""Too many, or nobody there. Other errors of a server may be due to what one message says."""
_paces: dict[tuple[str, int, int], RateLimiter] = {}
"""By receiver: channels that share one, and the same channel after a reload, share its rate."""


HttpConfig = TypeVar("HttpConfig", bound="ChatSettings | EndpointConfig")


@dataclass(frozen=True, slots=True)
class Post:
    """One request, made anew for each attempt."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    content: bytes


class HttpChannel(Channel[HttpConfig]):
    """A receiver that takes messages over HTTP. What it renders is stored; what it requests is made for each attempt."""

    def __init__(self, config: HttpConfig, name: str, client: HttpPoster, *, zone: tzinfo, clock: Clock) -> None:
        """Take the settings and what is needed to reach the receiver."""
        super().__init__(config, name, zone=zone)
        self._client = client
        self._clock = clock

    @property
    def at_once(self) -> int:
        """How many copies it carries at a time: none while its pace is a long wait, which holds up no stop and no reload."""
        return 0 if (pace := self._pace()) and pace.is_long else self._config.connections

    @abstractmethod
    def _request(self, delivery: Delivery, body: bytes, now: datetime) -> Post:
        """Return the request of this attempt, with its signature and time."""

    def _pace(self) -> RateLimiter | None:
        """Return the pace that the receiver allows, where it has a rule."""
        return None

    def _refusal(self, answer: HttpAnswer) -> DeliveryError | None:
        """Return the error that an answer means by this receiver's own rules; None leaves it to its status."""
        del answer
        return None

    async def send(self, delivery: Delivery) -> str:
        """Post the message once and return the answer; raise an error unless it accepts."""
        body = self._rendered(delivery)
        if pace := self._pace():
            await pace.turn()
        post = self._request(delivery, body, self._clock())
        try:
            answer = await self._client.post(
                post.url, content=post.content, headers=post.headers, deadline=self._config.timeout
            )
        except UnreachableError as error:
            raise TemporaryDeliveryError(str(error), maybe_taken=error.was_sent, of_channel=True) from error
        except ForbiddenAddressError as error:
            raise PermanentDeliveryError(str(error)) from error
        if refused := self._refusal(answer):
            raise refused
        raise_unless_taken(answer, self._clock())
        return f"HTTP {answer.status} {answer.excerpt}".rstrip()


def shared_pace(receiver: str, *, per_second: int, per_minute: int) -> RateLimiter:
    """Return the pace of a receiver, the same one for everybody who writes to it."""
    key = receiver, per_second, per_minute
    if key not in _paces:
        _paces[key] = RateLimiter(time.monotonic, per_second=per_second, per_minute=per_minute)
    return _paces[key]


def json_of(answer: HttpAnswer) -> Mapping[str, object]:
    """Return the object that the answer holds; an empty one where it holds none."""
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def raise_unless_taken(answer: HttpAnswer, now: datetime) -> None:
    """Raise what the status of an answer means."""
    status = answer.status
    if 200 <= status < 300:  # noqa: PLR2004 -- the successful ones
        return
    said = f"HTTP {status}: {answer.excerpt}" if answer.excerpt else f"HTTP {status}"
    if status == _GONE:
        msg = f"{said} (the receiver wants no further notifications)"
        raise PermanentDeliveryError(msg, gone=True)
    if status in _WORTH_RETRYING or status >= 500:  # noqa: PLR2004 -- the server's own troubles
        is_doubtful = status not in _SURELY_OF_CHANNEL
        asked = asked_pause(answer.headers, now)
        raise TemporaryDeliveryError(said, retry_after=asked, of_channel=True, is_doubtful=is_doubtful)
    if 300 <= status < 400:  # noqa: PLR2004 -- redirects
        msg = f"HTTP {status}: a redirect, which is never followed; configure the final URL"
        raise PermanentDeliveryError(msg)
    # Any other 4xx: the receiver may be in the middle of a deployment.
    raise TemporaryDeliveryError(said, is_refusal=True)
