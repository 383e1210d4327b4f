"""The settings of a mail channel: server, security, recipients."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from spendwatch.addresses import Network, Reach, is_loopback
from spendwatch.channels.route_settings import Routed, TemplatesPart
from spendwatch.connection import Connection
from spendwatch.fields import Closed, PositiveDuration, refuse
from spendwatch.letters.language import Language

if TYPE_CHECKING:
    from email.headerregistry import Address

_MAILBOX = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*",
    re.ASCII,
)
_NAMED = re.compile(r"(?P<name>[^<>@]*?)\s*<(?P<mailbox>[^<>\s]+)>")


class Security(StrEnum):
    """How the connection is secured."""

    TLS = "tls"
    """From the first byte; usually port 465."""
    STARTTLS = "starttls"
    """From the first command; usually port 587. A server that does not offer it gets nothing."""
    NONE = "none"
    """Not at all: only to this machine or a network listed in `allow_networks`."""


_PORTS = {Security.TLS: 465, Security.STARTTLS: 587, Security.NONE: 25}


class MailTemplatesPart(TemplatesPart):
    """A mail has a page, too."""

    html: str | None = None


class OAuth2(Connection):
    """Where a mailbox's access tokens come from."""

    token_url: str = Field(pattern=r"^https?://[!-~]{1,500}$")
    client_id: str = Field(min_length=1)
    client_secret_file: str | None = None
    client_secret: SecretStr | None = None
    """Never written in the file: comes from `client_secret_file` or the environment. So does `refresh_token`."""
    refresh_token_file: str | None = None
    """Left out: the application itself signs in, where the mailbox's owner allows that."""
    refresh_token: SecretStr | None = None
    scope: str = ""

    @model_validator(mode="after")
    def _has_some_secret(self) -> Self:
        if not any((self.client_secret_file, self.client_secret, self.refresh_token_file, self.refresh_token)):
            refuse("needs client_secret_file, refresh_token_file or both")
        return self


class MailAuth(Closed):
    """How we log in, if not with a password."""

    oauth2: OAuth2


class EmailConfig(Routed):
    """A mail relay, and who is written to through it."""

    templates: MailTemplatesPart = Field(default_factory=MailTemplatesPart)
    usual_max: ClassVar[int] = 2
    type: Literal["email"] = "email"
    host: str = Field(pattern=r"^[A-Za-z0-9.:_-]{1,253}$")
    port: int = Field(default=0, ge=0, le=65535)
    """Left out: 465, 587 or 25, by `security`."""
    security: Security = Security.STARTTLS
    username: str | None = None
    password_file: str | None = None
    password: SecretStr | None = None
    """Never written in the file: comes from `password_file` or the environment."""
    from_: str = Field(alias="from")
    to: tuple[str, ...] = Field(min_length=1)
    language: Language = Language.EN
    auth: MailAuth | None = None
    """Left out: user name and password, if there is a user name."""
    hello: str = Field(default="", pattern=r"^(?:[A-Za-z0-9][A-Za-z0-9.-]{0,252})?$")
    """The name by which we introduce ourselves; left out: our address in brackets."""
    ca_file: str | None = None
    """An additional CA certificate for the mail server."""
    timeout: PositiveDuration = timedelta(seconds=60)
    """Of each step up to the mail itself."""
    connections: int = Field(default=4, ge=1, le=64)
    """How many connections to the server are open at a time."""
    data_timeout: PositiveDuration = timedelta(minutes=10)
    """Of the mail itself: relays may answer late, and closing early delivers twice (RFC 5321, 4.5.3.2)."""

    @field_validator("from_")
    @classmethod
    def _is_sender(cls, text: str) -> str:
        parse_sender(text)
        return text

    @field_validator("to")
    @classmethod
    def _are_mailboxes(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            if not _MAILBOX.fullmatch(text):
                refuse("not a plain mail address like finops@example.com")
        if len({text.lower() for text in texts}) < len(texts):
            refuse("an address stands there twice")
        return texts

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> EmailConfig:
        if self.auth and (self.security is Security.NONE or not self.username or self.password_file or self.password):
            refuse("auth: oauth2 needs TLS and username, the mailbox, and no password_file")
        if self.security is Security.NONE and self.username and not is_loopback(self.host):
            refuse("a password is never sent without TLS, except to this machine; set security: starttls or tls")
        if self.username and not (self.username.isprintable() and self.username.strip()):
            refuse("username holds characters that cannot be sent")
        return self

    @property
    def connects_to(self) -> int:
        """The port in effect."""
        return self.port or _PORTS[self.security]

    def objection(self, allow_networks: Sequence[Network]) -> str | None:
        """Return why mail may not go there unencrypted, as far as the settings alone show; None when it may."""
        is_encrypted = self.security is not Security.NONE
        if is_encrypted or is_loopback(self.host) or Reach(tuple(allow_networks)).may_be_plain(self.host):
            return None
        return "security: none is only for this machine or a network listed in allow_networks; set security: starttls or tls"


def parse_sender(text: str) -> Address:
    """Return the address written as `alerts@example.com` or `Spend alerts <alerts@example.com>`."""
    from email.headerregistry import Address  # noqa: PLC0415 -- only where mail is configured

    named = _NAMED.fullmatch(text.strip())
    mailbox = named["mailbox"] if named else text
    name = named["name"].strip().strip('"') if named else ""
    if not _MAILBOX.fullmatch(mailbox) or not name.isprintable():
        refuse("not a mail address like alerts@example.com or Spend alerts <alerts@example.com>")
    return Address(name, addr_spec=mailbox)
