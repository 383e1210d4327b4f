"""The settings of the provider's credentials, shared by every source that calls it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    WithJsonSchema,
    model_validator,
)

from spendwatch.connection import Connection
from spendwatch.fields import must
from spendwatch.request import is_sendable

_ENDPOINT = r"^https?://[A-Za-z0-9.:\[\]-]{1,253}/?$"
_ARN = r"^acs:ram::[0-9]{5,32}:[A-Za-z0-9_./-]{1,255}$"


def _fitting(form: str, what: str) -> tuple[AfterValidator, WithJsonSchema]:
    fits = re.compile(form, re.ASCII).search
    return must(fits, lambda _: what), WithJsonSchema({"type": "string", "pattern": form})


Endpoint = Annotated[str, *_fitting(_ENDPOINT, "must be an address without a path, like https://business.example.com")]
Arn = Annotated[str, *_fitting(_ARN, "must be an ARN, like acs:ram::1000000000000001:role/spend-reader")]


_Sendable = Annotated[
    SecretStr,
    must(
        lambda secret: is_sendable(secret.get_secret_value().strip()),
        lambda _: "contains characters that are not allowed in a header",
    ),
]


class Provider(StrEnum):
    """Where the credentials come from."""

    KEY = "key"
    """A key pair in files."""
    ENVIRONMENT = "environment"
    """A key pair in the environment, under the names that the provider's own tools use."""
    MACHINE_ROLE = "machine_role"
    """The RAM role of the instance that we run on."""
    OIDC_ROLE = "oidc_role"
    """A RAM role that is assumed with a token, as Kubernetes mounts one."""
    SDK = "sdk"
    """The provider's own package with all its ways; an extra of ours."""


class CredentialsConfig(Connection):
    """A source that calls the provider with credentials."""

    provider: Provider = Field(default=Provider.KEY, description="where the credentials come from")
    key_id_file: str | None = Field(default=None, description="holds the AccessKey ID")
    secret_file: str | None = Field(default=None, description="holds the AccessKey secret")
    token_file: str | None = Field(default=None, description="holds the security token of a temporary key pair")
    key_id: _Sendable | None = None
    """Never written in the file: comes from `key_id_file` or the environment. So do `secret` and `token`."""
    secret: SecretStr | None = None
    token: _Sendable | None = None
    role: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,64}$", description="the machine's role; left out: the one it has")
    role_arn: Arn | None = Field(default=None, description="the role to assume")
    oidc_provider_arn: Arn | None = Field(default=None, description="the identity provider of the token")
    oidc_token_file: str | None = Field(default=None, min_length=1, description="the token, re-read each time")
    sts_endpoint: Endpoint | None = Field(default=None, description="another endpoint for assuming a role, in a VPC, say")

    @model_validator(mode="after")
    def _has_what_its_provider_needs_and_nothing_else(self) -> Self:
        if why := self.misfit():
            raise ValueError(why)
        return self

    def misfit(self) -> str:
        """Return which credential settings contradict each other; empty if none do."""
        missing = [shown for shown, name in _NEEDED.get(self.provider, {}).items() if not self._is_given(name)]
        if missing:
            return f"provider: {self.provider} needs also {', '.join(missing)}"
        surplus = [name for name, provider in _ONLY_FOR.items() if name in self.model_fields_set and provider != self.provider]
        if surplus:
            other = _ONLY_FOR[surplus[0]]
            return f"provider: {self.provider} does not use {', '.join(surplus)}: that is for provider: {other}"
        return ""

    def _is_given(self, name: str) -> bool:
        # A secret is read out of its file after this model was made from the text of the configuration.
        values: dict[str, Any] = {key: getattr(self, key) for key in (name, f"{name}_file") if key in type(self).model_fields}
        return any(values.values())


_NEEDED: Mapping[Provider, Mapping[str, str]] = {
    Provider.KEY: {"key_id_file": "key_id", "secret_file": "secret"},
    Provider.OIDC_ROLE: {name: name for name in ("role_arn", "oidc_provider_arn", "oidc_token_file")},
}
"""What each provider cannot do without, as it stands in the configuration, and where it is kept."""
_ONLY_FOR: Mapping[str, Provider] = {
    **dict.fromkeys(("key_id_file", "key_id", "secret_file", "secret", "token_file", "token"), Provider.KEY),
    "role": Provider.MACHINE_ROLE,
    **dict.fromkeys(("role_arn", "oidc_provider_arn", "oidc_token_file", "sts_endpoint"), Provider.OIDC_ROLE),
}
"""What only one provider has a use for: with another it would silently mean nothing."""
