"""What all chat services share: one layout, their dialects, and the reading of their answers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeAlias, TypeVar

from spendwatch.channels.chat_settings import ChatSettings, SignedSettings
from spendwatch.channels.http_channel import HttpChannel, Post, json_of, shared_pace
from spendwatch.domain.errors import DeliveryError, PermanentDeliveryError, TemporaryDeliveryError
from spendwatch.domain.notification import Delivery, Notification
from spendwatch.letters.blocks import Block, Kind, blocks_of, fitted
from spendwatch.letters.json_body import as_sent
from spendwatch.letters.parts import Letter
from spendwatch.pacing import RateLimiter, asked_pause
from spendwatch.request import HttpAnswer

Body: TypeAlias = dict[str, Any]
_Config = TypeVar("_Config", bound=ChatSettings)
_IN_URL = str.maketrans({sign: f"%{ord(sign):02X}" for sign in " \"'()<>[]|"})
_LOOKALIKES = str.maketrans("<>@*`#~|\\", "＜＞＠＊｀＃～｜＼")
_EMPHASIS = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""Underscores at the ends of words: those within a word, as in codes of commodities, are no markup."""
_LONGEST_WISH = 3600
JSON = {"content-type": "application/json; charset=utf-8"}
COLOURS = {"notice": "#1d4ed8", "warning": "#a44a04", "critical": "#b91c1c", "calm": "#15703a"}
"""By the tone of a letter."""


def plain(text: str) -> str:
    """Return the text without mentions, links and markup, for a dialect that knows no escapes."""
    return without_emphasis(text.translate(_LOOKALIKES).replace("](", "］(").replace("] (", "］ (").replace("://", "：//"))


def without_emphasis(text: str) -> str:
    """Return the text with lookalikes of the underscores that would be markup."""
    return _EMPHASIS.sub("＿", text)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a service marks text up. `escape` leaves nothing in a foreign text that is markup, a link or a mention."""

    escape: Callable[[str], str] = plain
    bold: str = "**{}**"
    link: str = "[{label}]({url})"
    bullet: str = "- "
    line: str = "\n"
    """Between the lines of a paragraph that is no list."""
    ampersand: str = "&"
    """How it is written in an address."""

    def text(self, block: Block) -> str:
        """Return the block as a paragraph."""
        if block.kind is Kind.LINKS:
            named = ((self.escape(label), url.translate(_IN_URL).replace("&", self.ampersand)) for label, url in block.lines)
            return " · ".join(self.link.format(label=label, url=url) for label, url in named)
        begins = self.bullet if block.kind is Kind.LIST else ""
        lines = [f"{begins}{self._line(*line)}" for line in block.lines]
        title = [self.bold.format(self.escape(block.title))] if block.title else []
        more = [f"{begins}… +{block.left_out}"] if block.left_out else []
        return ("\n" if begins else self.line).join([*title, *lines, *more])

    def _line(self, label: str, text: str) -> str:
        return " ".join(filter(None, (label and self.bold.format(self.escape(label)), self.escape(text))))


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a refusal means, in words that say what to do. `mark` is searched in the code and the words of the answer."""

    mark: str
    words: str
    of_channel: bool = True
    """Whether no other message would fare better."""
    pause: timedelta | None = None
    is_doubtful: bool = False
    """Whether another message may fare better after all."""


CONTENT, TOO_LONG = "it does not accept the content of this message", "the message is too long"
_USUAL = (
    Trouble("^(401|403|404|410) ", "the robot or its token is unknown: copy its address anew into url_file"),
    Trouble("^(408|425) ", "it is busy"),
    Trouble("^413 ", TOO_LONG, of_channel=False),
    Trouble("^429 ", "more messages than it takes, perhaps from other programs too: lower per_minute"),
)
"""What a status says where the service has no words of its own for it."""


class ServiceChannel(HttpChannel[_Config]):
    """A service with a pace of its own, and with codes for what it refuses."""

    service: ClassVar[str]
    troubles: ClassVar[Sequence[Trouble]]
    codes: ClassVar[Sequence[tuple[str, str]]] = ()
    """Where an answer has its code, zero for success, and its words."""

    def _verdict(self, answer: HttpAnswer) -> str | None:
        """Return code and words of a refusal; empty leaves it to the status; None: no answer of this service."""
        found = json_of(answer)
        for code, words in self.codes:
            if code in found:
                return "" if found[code] == 0 else f"{found[code]} {found.get(words, '')}"
        return None if answer.status // 100 == 2 else by_status(answer)  # noqa: PLR2004 -- the successful ones

    def _pace(self) -> RateLimiter:
        return shared_pace(self._config.address, per_second=self._config.per_second, per_minute=self._config.per_minute)

    def _asked(self, answer: HttpAnswer) -> timedelta | None:
        """Return the pause that the answer asks for, in a header or in its body."""
        found = json_of(answer)
        inner = found.get("parameters")
        wish = found.get("retry_after") or (inner.get("retry_after") if isinstance(inner, dict) else None)
        if isinstance(wish, int | float) and 0 < wish <= _LONGEST_WISH:
            return timedelta(seconds=math.ceil(wish))
        return asked_pause(answer.headers, self._clock())

    def _refusal(self, answer: HttpAnswer) -> DeliveryError | None:
        verdict = self._verdict(answer)
        said = f"HTTP {answer.status}: {answer.excerpt}"
        if verdict is None:
            msg = f"this is not how {self.service} answers, so the message may not have arrived: check the address ({said})"
            return TemporaryDeliveryError(msg, maybe_taken=True, of_channel=True)
        if not verdict:
            return None
        trouble = next((one for one in (*self.troubles, *_USUAL) if re.search(one.mark, verdict, re.IGNORECASE)), None)
        if trouble is None:
            return TemporaryDeliveryError(f"{self.service} refuses the message ({said})", is_refusal=True)
        msg = f"{self.service}: {trouble.words} ({said})"
        if not trouble.of_channel:
            return PermanentDeliveryError(msg)
        pause, is_doubtful = self._asked(answer) or trouble.pause, trouble.is_doubtful
        return TemporaryDeliveryError(msg, retry_after=pause, of_channel=True, is_doubtful=is_doubtful)


class ChatChannel(ServiceChannel[_Config]):
    """A robot in a group of people."""

    most: ClassVar[int]
    """The size of a message that the service takes."""
    dialect: ClassVar[Dialect]

    def render(self, notification: Notification, target: str) -> bytes:  # noqa: ARG002 -- a group is one receiver
        """Return the message as JSON: as much as the service takes."""
        letter = self._wording.letter(notification)
        if isinstance(self._config, SignedSettings) and self._config.keyword not in letter.subject:
            letter = letter._replace(subject=f"{letter.subject} · {self._config.keyword}")
        body = fitted(blocks_of(letter), lambda blocks: self._body(letter, [*map(self.dialect.text, blocks)]), self._fits)
        return as_sent(body)

    @abstractmethod
    def _body(self, letter: Letter, texts: Sequence[str]) -> Body:
        """Return the message in the service's own form, from its headline and paragraphs."""

    def _request(self, delivery: Delivery, body: bytes, now: datetime) -> Post:
        del delivery, now
        return Post(self._config.address, JSON, body)

    def _fits(self, body: Body) -> bool:
        return self._size(body) <= self.most

    def _size(self, body: Body) -> int:
        """Return the size as the service counts it."""
        return len(as_sent(body))


def by_status(answer: HttpAnswer) -> str:
    """Return the verdict of a status that refuses, with the words beside it; empty for all others."""
    return f"{answer.status} {answer.excerpt}" if answer.status // 100 == 4 else ""  # noqa: PLR2004 -- the client's fault


def sign(key: str, text: str) -> str:
    """Return the HMAC-SHA256 in base64."""
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()


def utf_16_units(text: str) -> int:
    """Return the length as services count it whose clients are written in JavaScript; never less than the characters."""
    return len(text.encode("utf-16-le")) // 2
