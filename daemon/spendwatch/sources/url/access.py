"""An https endpoint: the settings that are the same for bills and balances."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field

from spendwatch.connection import Auth, AuthorizedConnection, Sendable

__all__ = ["Auth", "UrlAccess"]


class UrlAccess(AuthorizedConnection):
    """An https endpoint, and how we say to it who we are."""

    proofs: ClassVar[tuple[str, ...]] = ("auth_secret", "secret")

    url: str = Field(repr=False, min_length=1, description="https only; it may itself be a secret, so nothing shows it")
    secret_file: str | None = Field(default=None, description="the same as `auth_file`")
    secret: Sendable | None = None

    @property
    def host(self) -> str:
        """For messages: the rest of the address may be a secret."""
        return urlsplit(self.url).hostname or ""

    def secrets(self) -> tuple[str, ...]:
        """Return what must not be repeated to anybody; the address itself may be a secret."""
        return tuple(filter(None, (self.proof, *self.credentials().values(), self.url)))
