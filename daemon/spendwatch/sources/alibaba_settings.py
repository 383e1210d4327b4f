"""The settings of the billing API as a source: whose bills, by what right, how often."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from spendwatch.sources.credentials import is_sendable
from spendwatch.sources.duration import PositiveDuration, show_defaults_as_written

_ENDPOINT = r"^https?://[A-Za-z0-9.:\[\]-]{1,253}/?$"
_ARN = r"^acs:ram::[0-9]{5,32}:[A-Za-z0-9_./-]{1,255}$"


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


class AlibabaAccess(BaseModel):
    """By what right, and at which endpoint, the billing API is asked."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, json_schema_extra=show_defaults_as_written
    )

    provider: Provider = Field(default=Provider.KEY, description="where the credentials come from")
    key_id_file: str | None = Field(default=None, description="holds the AccessKey ID")
    secret_file: str | None = Field(default=None, description="holds the AccessKey secret")
    token_file: str | None = Field(default=None, description="holds the security token of a temporary key pair")
    key_id: SecretStr | None = None
    """Never written in the file: comes from `key_id_file` or the environment. So do `secret` and `token`."""
    secret: SecretStr | None = None
    token: SecretStr | None = None
    role: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,64}$", description="the machine's role; left out: the one it has")
    role_arn: str | None = Field(default=None, pattern=_ARN, description="the role to assume")
    oidc_provider_arn: str | None = Field(default=None, pattern=_ARN, description="who vouches for the token")
    oidc_token_file: str | None = Field(default=None, min_length=1, description="the token, read anew each time")
    sts_endpoint: str | None = Field(
        default=None, pattern=_ENDPOINT, description="another endpoint for assuming a role, in a VPC, say"
    )
    endpoint: str | None = Field(
        default=None, pattern=_ENDPOINT, description="another endpoint than the site's own, in a VPC, say"
    )
    timeout: PositiveDuration = Field(default=timedelta(seconds=30), description="how long one answer may take")

    @field_validator("key_id", "token")
    @classmethod
    def _is_sendable(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not is_sendable(secret.get_secret_value().strip()):
            msg = "holds characters that no header can carry"
            raise ValueError(msg)
        return secret

    def missing(self) -> str:
        """Return what the provider needs and what is not there, in words; empty where nothing is missing."""
        needed: dict[Provider, tuple[str, ...]] = {
            Provider.KEY: ("key_id", "secret"),
            Provider.OIDC_ROLE: ("role_arn", "oidc_provider_arn", "oidc_token_file"),
        }
        missing = [name for name in needed.get(self.provider, ()) if not self._is_given(name)]
        return f"provider: {self.provider} needs also {', '.join(missing)}" if missing else ""

    def _is_given(self, name: str) -> bool:
        # A secret is read out of its file after this model was made from the text of the configuration.
        values: dict[str, Any] = {key: getattr(self, key) for key in (name, f"{name}_file") if key in type(self).model_fields}
        return any(values.values())


class AlibabaConfig(AlibabaAccess):
    """The billing API, asked for the bills of one account."""

    type: Literal["alibaba"]
    account: str = Field(min_length=1, description="the account under `accounts` whose bills these are; it also tells the site")
    product: str = Field(
        default="sfm", pattern=r"^[A-Za-z0-9_-]{0,64}$", description="the product code; empty for all products"
    )
    poll: PositiveDuration = Field(default=timedelta(hours=1), description="how often to ask")
    stale_after: PositiveDuration = Field(
        default=timedelta(hours=50),
        description="without a new bill for that long, somebody is told; the API is a day late itself",
    )

    @model_validator(mode="after")
    def _has_what_its_provider_needs(self) -> Self:
        if missing := self.missing():
            raise ValueError(missing)
        return self
