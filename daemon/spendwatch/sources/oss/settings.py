"""The settings of a bucket: its place, its prefix, and the poll interval."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator

from spendwatch.addresses import address_in
from spendwatch.fields import PositiveDuration, refuse, show_defaults_as_written
from spendwatch.sources.provider.credentials_settings import CredentialsConfig, Endpoint
from spendwatch.sources.shared_settings import DownloadedConfig, Switch

_LONGEST_KEY = 1023
_PROVIDERS_PREFIX = "oss-"


class Signature(StrEnum):
    """How requests are signed."""

    OSS = "oss"
    """As the provider's object store wants it."""
    S3 = "s3"
    """As S3-compatible servers want it."""


class OssConfig(DownloadedConfig, CredentialsConfig):
    """A bucket of the provider's object store, or of a server that speaks like one. It is only ever read."""

    model_config = ConfigDict(defer_build=True, json_schema_extra=show_defaults_as_written)

    type: Literal["oss"]
    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", description="the bucket")
    prefix: str = Field(default="", description="only objects whose keys begin with it; it ends with / to mean a folder")
    region: str = Field(pattern=r"^[a-z0-9-]{1,64}$", description="where the bucket is: `cn-hangzhou`, say")
    endpoint: Endpoint | None = Field(default=None, description="another endpoint than the region's public one, in a VPC, say")
    signature: Signature = Field(default=Signature.OSS, description="how requests are signed")
    path_style: Switch = Field(default=False, description="whether the bucket is in the path, not in the host name")
    stale_after: PositiveDuration = Field(
        default=timedelta(hours=36),
        description="the operators are notified after this time without a new bill; pushes come once a day, at varying times",
    )

    @field_validator("prefix")
    @classmethod
    def _begins_a_key(cls, prefix: str) -> str:
        if prefix.startswith(("/", "\\")):
            refuse("no key begins with / or \\")
        if not prefix.isprintable() or len(prefix.encode()) > _LONGEST_KEY:
            refuse(f"not the beginning of a key: printable, {_LONGEST_KEY} bytes at most")
        return prefix

    @field_validator("region")
    @classmethod
    def _is_no_host(cls, region: str) -> str:
        if region.startswith(_PROVIDERS_PREFIX):
            refuse(f"write {region.removeprefix(_PROVIDERS_PREFIX)}: the region without the name of the service")
        return region

    @model_validator(mode="after")
    def _can_be_addressed(self) -> Self:
        host = urlsplit(self.endpoint or "").hostname or ""
        if not host and (self.path_style or self.signature is Signature.S3):
            refuse(f"{'path_style' if self.path_style else 'signature: s3'} needs also endpoint")
        if host.startswith(f"{self.bucket}."):
            refuse("the endpoint is meant without the bucket")
        if not self.path_style and (address_in(host) or "." in self.bucket):
            what = "a bucket with points in its name" if "." in self.bucket else "an address as endpoint"
            refuse(f"{what} needs also path_style: true")
        return self

    @property
    def address(self) -> str:
        """The endpoint that is called."""
        return (self.endpoint or f"https://oss-{self.region}.aliyuncs.com").rstrip("/")
