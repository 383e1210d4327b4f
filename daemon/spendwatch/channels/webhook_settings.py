"""The settings of a webhook: its address and its signing keys."""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import Field, SecretStr, field_validator

from spendwatch.channels.route_settings import Routed
from spendwatch.connection import AuthorizedConnection
from spendwatch.fields import PositiveDuration, refuse

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PREFIX, _PRIVATE = "whsec_", "whsk_"


class EndpointConfig(Routed, AuthorizedConnection):
    """A program with an address."""

    url: str = Field(repr=False, min_length=1)
    """https only; the URL may itself be a secret, so nothing shows it."""
    timeout: PositiveDuration = timedelta(seconds=20)
    connections: int = Field(default=4, ge=1, le=64)
    """How many requests are under way at a time."""

    @property
    def address(self) -> str:
        """Where it answers."""
        return self.url


class WebhookConfig(EndpointConfig):
    """A receiver of signed JSON."""

    type: Literal["webhook"] = "webhook"
    secret_file: str | None = None
    """Holds the signing secret; several, separated by blanks or lines, while one replaces another."""
    secret: SecretStr | None = None
    """Never written in the file: comes from `secret_file` or the environment."""
    private_key_file: str | None = None
    """Holds an ed25519 key to sign with besides, or several likewise."""
    private_key: SecretStr | None = None
    """Never written in the file."""
    format: Literal["standard", "cloudevents"] = "standard"
    """Of the body: as `webhook.md` describes it, or within an event of CloudEvents 1.0."""
    connections: int = Field(default=16, ge=1, le=64)

    @field_validator("secret")
    @classmethod
    def _is_usable(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            signing_keys(secret)
        return secret

    @field_validator("private_key")
    @classmethod
    def _is_a_key(cls, secret: SecretStr | None) -> SecretStr | None:
        private_keys(secret)
        return secret


def signing_keys(secret: SecretStr | None) -> tuple[bytes, ...]:
    """Return the keys to sign with; `whsec_` marks base64, anything else is taken as it stands."""
    texts = secret.get_secret_value().split() if secret else ()
    keys = tuple(_decoded(text, _PREFIX) if text.startswith(_PREFIX) else text.encode() for text in texts)
    if secret and not (keys and all(keys)):
        refuse("the secret is empty")
    return keys


def private_keys(secret: SecretStr | None) -> tuple[Ed25519PrivateKey, ...]:
    """Return the ed25519 keys written as `whsk_` and base64: of 32 bytes, or of 64 with the public key behind."""
    if secret is None:
        return ()
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 -- an extra
    except ImportError:
        refuse("needs the package cryptography: pip install 'spendwatch[ed25519]'")
    found = []
    for text in secret.get_secret_value().split():
        key = _decoded(text, _PRIVATE) if text.startswith(_PRIVATE) else b""
        if len(key) not in {32, 64}:
            refuse("must be an ed25519 key: whsk_ and 32 or 64 bytes in base64")
        found.append(Ed25519PrivateKey.from_private_bytes(key[:32]))
    return tuple(found)


def public_key_text(key: Ed25519PrivateKey) -> str:
    """Return what receivers verify with."""
    return f"whpk_{base64.b64encode(key.public_key().public_bytes_raw()).decode()}"


def _decoded(text: str, prefix: str) -> bytes:
    encoded = text.removeprefix(prefix)
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        refuse(f"a secret that begins with {prefix} must go on in base64")
