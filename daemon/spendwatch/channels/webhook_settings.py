"""The settings of a webhook: its address and its signing keys."""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from spendwatch.channels.route_settings import Routed
from spendwatch.connection import AuthorizedConnection
from spendwatch.fields import PositiveDuration

_PREFIX = "whsec_"


class WebhookConfig(Routed, AuthorizedConnection):
    """A receiver of signed JSON."""

    type: Literal["webhook"] = "webhook"
    url: str = Field(repr=False, min_length=1)
    """https only; the URL may itself be a secret, so nothing shows it."""
    secret_file: str | None = None
    """Holds the signing secret; several, separated by blanks or lines, while one replaces another."""
    secret: SecretStr | None = None
    """Never written in the file: comes from `secret_file` or the environment."""
    timeout: PositiveDuration = timedelta(seconds=20)
    connections: int = Field(default=16, ge=1, le=64)
    """How many requests are under way at a time."""

    @field_validator("secret")
    @classmethod
    def _is_usable(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            signing_keys(secret)
        return secret


def signing_keys(secret: SecretStr | None) -> tuple[bytes, ...]:
    """Return the keys to sign with; `whsec_` marks base64, anything else is taken as it stands."""
    keys = []
    for text in secret.get_secret_value().split() if secret else ():
        if not text.startswith(_PREFIX):
            keys.append(text.encode())
            continue
        encoded = text.removeprefix(_PREFIX)
        try:
            keys.append(base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True))
        except (binascii.Error, ValueError):
            msg = "a secret that begins with whsec_ must go on in base64"
            raise ValueError(msg) from None
    if secret and not (keys and all(keys)):
        msg = "the secret is empty"
        raise ValueError(msg)
    return tuple(keys)
