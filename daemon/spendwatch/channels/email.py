"""Sends notifications by mail: the same mail for all recipients, one delivery for each."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from datetime import datetime, tzinfo
from email.headerregistry import Address, HeaderRegistry
from email.policy import SMTP
from email.utils import format_datetime
from functools import cached_property
from typing import TYPE_CHECKING

from spendwatch.addresses import Network
from spendwatch.aside import LookUps, Resolver
from spendwatch.channels.channel import Channel
from spendwatch.channels.email_settings import EmailConfig, parse_sender
from spendwatch.channels.oauth2 import AccessTokens
from spendwatch.domain.alert import OF_PORTIONS, AlertState, Rule
from spendwatch.domain.notification import Delivery, Notification
from spendwatch.domain.policy import Severity
from spendwatch.letters.language import Language
from spendwatch.letters.parts import clean

if TYPE_CHECKING:
    from spendwatch.channels.relay import Relay

MAYBE_REPEATED = b"X-Spendwatch-Maybe-Repeated: yes\r\n"
"""Put in front of a mail that an earlier attempt may have delivered already."""

_UNFOLDED = SMTP.clone(max_line_length=160)
"""A subject of a little more than 70 letters would begin on the header's second line, where filters do not find its tag."""

_SUBJECT = HeaderRegistry()["Subject"]
"""The class of the header: the registry would make it anew for each mail."""

_ONE_THREAD = OF_PORTIONS | {Rule.THRESHOLD_REACHED, Rule.FORECAST, Rule.CORRECTED, Rule.FOREIGN_CURRENCY}


class EmailChannel(Channel[EmailConfig]):
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
        super().__init__(config, name, zone=zone)
        self._allow = allow_networks
        self._look_ups = LookUps(resolver)
        self._tokens = tokens
        self._sender = parse_sender(config.from_)

    @property
    def targets(self) -> Sequence[str]:
        """Every address gets a copy of its own, so that one refused address never stops another."""
        return self._config.to

    @property
    def at_once(self) -> int:
        """How many copies it carries at a time."""
        return self._config.connections

    def render(self, notification: Notification, target: str) -> bytes:  # noqa: ARG002 -- all recipients get the same bytes
        """Return the whole mail.

        The library folds the headers that hold words; for the rest it would take half the time of a mail, and fold long ids
        into encoded words, which are no ids to any reader (RFC 2047, 5).
        """
        subject, domain = self._wording.subject(notification), self._sender.domain
        thread = f"<{_thread(notification)}@spendwatch.{domain}>"
        is_urgent = notification.severity is Severity.CRITICAL and notification.state is AlertState.FIRING
        # All of this comes from the settings or is a hash of ours.
        headers = {
            "Date": format_datetime(notification.created_at.astimezone(self._zone)),
            "Message-ID": f"<{notification.id}@spendwatch.{domain}>",
            "In-Reply-To": thread,
            "References": thread,
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
            "List-Id": f"<spendwatch.{domain}>",
            "Importance": "high" if is_urgent else "normal",
            "X-Spendwatch-Alert": clean(notification.alert, 64),
            "X-Spendwatch-Type": notification.type,
            "MIME-Version": "1.0",
        }
        folded = _SUBJECT("Subject", subject).fold(policy=_UNFOLDED if subject.isascii() else SMTP)
        head = "".join((folded, self._people, *(f"{name}: {value}\r\n" for name, value in headers.items())))
        # Chinese takes half the room in base64; English stays readable in quoted-printable.
        is_dense, report = self._config.language is Language.ZH, notification.facts.report
        texts = {"plain": self._wording.text(notification), "html": self._wording.html(notification)}
        parts = [_part(kind, text, is_dense=is_dense) for kind, text in texts.items()]
        boundary = f"=_{notification.id}"
        body = _together("alternative", boundary, parts)
        files = {"csv": report.csv, "html": report.html} if report else {}
        if attached := [_file(kind, text, notification.facts.period) for kind, text in files.items() if text]:
            body = _together("mixed", boundary, [_together("alternative", f"{boundary}-1", parts), *attached])
        return (head + body).encode("ascii", "backslashreplace")

    async def send(self, delivery: Delivery) -> str:
        """Hand the mail over to the relay for one recipient."""
        body = self._rendered(delivery)
        mail = MAYBE_REPEATED + body if delivery.maybe_repeated else body
        return await self._relay.hand_over(mail, sender=self._sender.addr_spec, recipient=delivery.target)

    async def probe(self) -> datetime | None:
        """Log in at the relay and send nothing; return when its certificate ends. Raises as `send` does."""
        return await self._relay.probe()

    @cached_property
    def _people(self) -> str:
        people = {"From": self._sender, "To": tuple(Address(addr_spec=address) for address in self._config.to)}
        return "".join(HeaderRegistry()(name, who).fold(policy=SMTP) for name, who in people.items())

    @cached_property
    def _relay(self) -> Relay:
        from spendwatch.channels.relay import Relay  # noqa: PLC0415 -- brings the SMTP library, 70 ms that only senders need

        return Relay(self._config, allow_networks=self._allow, look_ups=self._look_ups, tokens=self._tokens)


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


def _part(kind: str, text: str, *, is_dense: bool, more: str = "") -> str:
    """Return one part of a mail, in lines of 76 characters at most (RFC 2045, 6.7 and 6.8)."""
    content = b"\r\n".join((*text.encode("utf-8", "replace").splitlines(), b""))
    lines = base64.encodebytes(content).replace(b"\n", b"\r\n") if is_dense else binascii.b2a_qp(content)
    encoding = f"Content-Transfer-Encoding: {'base64' if is_dense else 'quoted-printable'}"
    return f'Content-Type: text/{kind}; charset="utf-8"\r\n{encoding}\r\n{more}\r\n{lines.decode()}'


def _file(kind: str, text: str, period: str) -> str:
    disposition = f'Content-Disposition: attachment; filename="spendwatch-{period}.{kind}"\r\n'
    return _part(kind, text, is_dense=True, more=disposition)


def _together(kind: str, boundary: str, parts: Sequence[str]) -> str:
    inner = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts)
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n{inner}--{boundary}--\r\n'
