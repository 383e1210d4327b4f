"""Sends notifications by mail: the same mail for all recipients, one delivery for each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, tzinfo
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING

from spendwatch.addresses import Network
from spendwatch.aside import LookUps, Resolver
from spendwatch.channels.email_settings import EmailConfig, parse_sender
from spendwatch.channels.oauth2 import AccessTokens
from spendwatch.domain.alert import OF_PORTIONS, AlertState, Rule
from spendwatch.domain.notification import Delivery, Notification
from spendwatch.domain.policy import Severity
from spendwatch.letters.language import Language
from spendwatch.letters.own_words import wording_of
from spendwatch.letters.parts import clean

if TYPE_CHECKING:
    from spendwatch.channels.relay import Relay

MAYBE_REPEATED = b"X-Spendwatch-Maybe-Repeated: yes\r\n"
"""Put in front of a mail that an earlier attempt may have delivered already."""

_IDS = frozenset({"Message-ID", "In-Reply-To", "References", "List-Id"})


class _Policy(EmailPolicy):
    """Leaves ids as they are: the library folds a long one into encoded words, which are no ids to any reader (RFC 2047, 5)."""

    def fold_binary(self, name: str, value: str) -> bytes:
        """Return the header as it is sent."""
        return f"{name}: {value}\r\n".encode("ascii") if name in _IDS else super().fold_binary(name, value)


class _Headers(HeaderRegistry):
    """Makes the class of a header once; the library makes one for each header of each mail, a tenth of all its work."""

    __getitem__ = cache(HeaderRegistry.__getitem__)


_FOLDED = _Policy(linesep="\r\n", header_factory=_Headers())
_UNFOLDED = _FOLDED.clone(max_line_length=160)
"""A subject of a little more than 70 letters would begin on the header's second line, where filters do not find its tag."""

_ONE_THREAD = OF_PORTIONS | {Rule.THRESHOLD_REACHED, Rule.FORECAST, Rule.CORRECTED, Rule.FOREIGN_CURRENCY}


class EmailChannel:
    """People who are reached through one relay."""

    def __init__(
        self,
        config: EmailConfig,
        name: str,
        *,
        zone: tzinfo,
        allow_networks: Sequence[Network] = (),
        resolver: Resolver | None = None,
        tokens: AccessTokens | None = None,
    ) -> None:
        """Take the settings; `allow_networks` may be reached without encryption if they say so."""
        self.name = name
        self._config = config
        self._allow = allow_networks
        self._look_ups = LookUps(resolver)
        self._tokens = tokens
        self._sender = parse_sender(config.from_)
        self._wording = wording_of(config, zone)
        self._zone = zone

    @property
    def targets(self) -> Sequence[str]:
        """Every address gets a copy of its own, so that one refused address never stops another."""
        return self._config.to

    @property
    def at_once(self) -> int:
        """How many copies it carries at a time."""
        return self._config.connections

    def render(self, notification: Notification, target: str) -> bytes:  # noqa: ARG002 -- all recipients get the same bytes
        """Return the whole mail."""
        subject = self._wording.subject(notification)
        mail = EmailMessage(policy=_UNFOLDED if subject.isascii() else _FOLDED)
        domain = self._sender.domain
        # Everything but the subject and the names comes from the settings or is a hash of ours.
        mail["Subject"] = subject
        mail["From"] = self._sender
        mail["To"] = tuple(Address(addr_spec=address) for address in self._config.to)
        mail["Date"] = format_datetime(notification.created_at.astimezone(self._zone))
        mail["Message-ID"] = f"<{notification.id}@spendwatch.{domain}>"
        thread = f"<{_thread(notification)}@spendwatch.{domain}>"
        mail["In-Reply-To"] = thread
        mail["References"] = thread
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Auto-Response-Suppress"] = "All"
        mail["List-Id"] = f"<spendwatch.{domain}>"
        mail["Importance"] = "high" if _is_urgent(notification) else "normal"
        mail["X-Spendwatch-Alert"] = clean(notification.alert, 64)
        mail["X-Spendwatch-Type"] = notification.type
        # Chinese takes half the room in base64; English stays readable in quoted-printable.
        encoding = "base64" if self._config.language is Language.ZH else "quoted-printable"
        mail.set_content(self._wording.text(notification), cte=encoding)
        mail.add_alternative(self._wording.html(notification), subtype="html", cte=encoding)
        report = notification.facts.report
        if report and report.csv:
            name = f"spendwatch-{notification.facts.period}.csv"
            mail.add_attachment(report.csv, subtype="csv", cte="base64", filename=name)
        for part in mail.walk():
            if part is mail:
                continue
            # The library says it once for each part; it belongs to the mail as a whole.
            del part["MIME-Version"]
        for number, part in enumerate(part for part in mail.walk() if part.is_multipart()):
            part.set_boundary(f"=_{notification.id}{f'-{number}' if number else ''}")
        return mail.as_bytes()

    async def send(self, delivery: Delivery) -> str:
        """Hand the mail over to the relay for one recipient."""
        body = delivery.rendered if delivery.rendered is not None else self.render(delivery.notification, delivery.target)
        mail = MAYBE_REPEATED + body if delivery.maybe_repeated else body
        return await self._relay.hand_over(mail, sender=self._sender.addr_spec, recipient=delivery.target)

    async def probe(self) -> datetime | None:
        """Log in at the relay and send nothing; return when its certificate ends. Raises as `send` does."""
        return await self._relay.probe()

    @cached_property
    def _relay(self) -> Relay:
        from spendwatch.channels.relay import Relay  # noqa: PLC0415 -- brings the SMTP library, 70 ms that only senders need

        return Relay(self._config, allow_networks=self._allow, look_ups=self._look_ups, tokens=self._tokens)


def _is_urgent(notification: Notification) -> bool:
    return notification.severity is Severity.CRITICAL and notification.state is AlertState.FIRING


def _thread(notification: Notification) -> str:
    """Return the id that all mails of one matter refer to: one budget's month, a balance since some month, or one episode."""
    facts = notification.facts
    if notification.rule.is_about_balance:
        root = f"{facts.scope.account}\x1fbalance\x1f{notification.since:%Y-%m}"
    elif notification.rule in _ONE_THREAD:
        root = f"{facts.scope.account}\x1f{facts.scope.label}\x1f{facts.period}"
    else:
        root = str(notification.alert)
    return hashlib.sha256(f"thread\x1f{root}".encode("utf-8", "replace")).hexdigest()[:24]
