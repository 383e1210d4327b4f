"""An https endpoint: the settings that are the same for bills and balances."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, model_validator

from spendwatch.connection import Auth, AuthorizedConnection

_SAME = {"secret_file": "auth_file", "secret": "auth_secret"}
__all__ = ["Auth", "UrlAccess"]


class UrlAccess(AuthorizedConnection):
    """An https endpoint, and how we say to it who we are."""

    url: str = Field(repr=False, min_length=1, description="https only; it may itself be a secret, so nothing shows it")

    @model_validator(mode="before")
    @classmethod
    def _has_but_one_secret(cls, said: object) -> object:
        """Take `secret_file` for `auth_file`: nothing else is secret here."""
        return {_SAME.get(name, name): value for name, value in said.items()} if isinstance(said, dict) else said

    @property
    def host(self) -> str:
        """For messages: the rest of the address may be a secret."""
        return urlsplit(self.url).hostname or ""

    def secrets(self) -> tuple[str, ...]:
        """Return what must not be repeated to anybody; the address itself may be a secret."""
        return tuple(filter(None, (self.proof, *self.credentials().values(), self.url)))
