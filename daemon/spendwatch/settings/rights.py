"""Resolves the provider's credentials: existing keys, permitted endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, SecretStr

from spendwatch.settings.balance_parts import ApiBalancePart
from spendwatch.settings.layers import Layers
from spendwatch.settings.schema import DaemonFile
from spendwatch.settings.urls import objection
from spendwatch.sources.config import AlibabaConfig, OssConfig
from spendwatch.sources.provider.credentials_settings import CredentialsConfig, Provider
from spendwatch.sources.url.access import UrlAccess
from spendwatch.yaml_text import KeyPath

Asking = TypeVar("Asking", AlibabaConfig, OssConfig, ApiBalancePart)
"""The settings of somebody who asks the provider."""


def with_rights(
    path: KeyPath, config: Asking, said: DaemonFile, layers: Layers, *, folder: Path, environ: Mapping[str, str] | None
) -> Asking:
    """Return the settings with whole paths; endpoints that may not be called and keys that are missing are noted.

    Without the environment it is not looked whether the keys are there.
    """
    for key, url in (("endpoint", config.endpoint), ("sts_endpoint", config.sts_endpoint)):
        if url and (why := objection(url, said.allow_networks)):
            layers.tell((*path, key), why)
    token = folder / config.oidc_token_file if config.oidc_token_file else None
    if environ is not None:
        if token and not token.is_file():
            layers.tell((*path, "oidc_token_file"), f"no such file: {token}")
        if why := _missing_key(config.provider, environ):
            layers.tell((*path, "provider"), why)
    return config.model_copy(update={"oidc_token_file": str(token)}) if token else config


def _missing_key(provider: Provider, environ: Mapping[str, str]) -> str:
    """Return why the credentials that are meant cannot be there."""
    if provider is Provider.SDK and find_spec("alibabacloud_credentials") is None:
        return "needs the package alibabacloud-credentials: install spendwatch[aliyun-credentials]"
    if provider is not Provider.ENVIRONMENT:
        return ""
    from spendwatch.sources.provider.credentials import key_in  # noqa: PLC0415 -- only this way of giving a key needs it

    try:
        key_in(environ)
    except ValueError as error:
        return str(error)
    return ""


def secrets_of(configs: Iterable[BaseModel], environ: Mapping[str, str]) -> Iterator[str]:
    """Yield every text of sources and balances that must not stand in a log; an address may be its own secret."""
    for config in configs:
        yield from (value.get_secret_value() for value in vars(config).values() if isinstance(value, SecretStr))
        if isinstance(config, UrlAccess):
            yield config.url
        elif isinstance(config, CredentialsConfig) and config.provider is Provider.ENVIRONMENT:
            names = ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SECURITY_TOKEN")
            yield from filter(None, (environ.get(f"ALIBABA_CLOUD_{name}", "") for name in names))
