"""The sources once they have met the machine: absolute paths, account ids, endpoints that may be called, keys there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from pydantic import SecretStr

from spendwatch.domain.errors import printable
from spendwatch.domain.statement import AccountId, SourceName
from spendwatch.settings.layers import Layers
from spendwatch.settings.schema import DaemonFile
from spendwatch.settings.urls import objection
from spendwatch.settings.yaml_text import KeyPath
from spendwatch.sources.config import AlibabaConfig, FolderConfig, OssConfig, SourceConfig, UrlConfig
from spendwatch.sources.credentials_settings import CredentialsConfig, Provider


def furnished_sources(
    said: DaemonFile, layers: Layers, folder: Path, environ: Mapping[str, str] | None
) -> Mapping[SourceName, SourceConfig]:
    """Return the furnished settings of every source; what is wrong is noted in the layers.

    Without the environment, what only fetching needs is not looked for.
    """
    taken: dict[Path, str] = {}
    found: dict[SourceName, SourceConfig] = {}
    for name, config in said.sources.items():
        path: KeyPath = ("sources", name)
        match config:
            case FolderConfig():
                config = _folder(name, config, layers, folder, taken)  # noqa: PLW2901 -- the same, furnished
            case UrlConfig():
                if why := objection(config.url, said.allow_networks):
                    layers.tell((*path, "url"), why)
            case AlibabaConfig() | OssConfig():
                _check_endpoints(path, config, said, layers)
                config = _with_keys(path, config, layers, folder, environ)  # noqa: PLW2901 -- the same, furnished
        found[SourceName(name)] = config.model_copy(update={"account": _account(config, said)})
    return found


def _account(config: SourceConfig, said: DaemonFile) -> AccountId | None:
    # A name that no account has was noted before.
    account = said.accounts.get(config.account) if config.account else None
    return AccountId(account.id) if account else None


def _folder(name: str, config: FolderConfig, layers: Layers, folder: Path, taken: dict[Path, str]) -> FolderConfig:
    path = folder / config.path
    if other := taken.get(path):
        layers.tell(("sources", name, "path"), f"{printable(config.path)} is the folder of '{other}' already")
    taken.setdefault(path, name)
    return config.model_copy(update={"path": str(path)})


def _check_endpoints(path: KeyPath, config: AlibabaConfig | OssConfig, said: DaemonFile, layers: Layers) -> None:
    for key, url in (("endpoint", config.endpoint), ("sts_endpoint", config.sts_endpoint)):
        if url and (why := objection(url, said.allow_networks)):
            layers.tell((*path, key), why)


def _with_keys(
    path: KeyPath, config: AlibabaConfig | OssConfig, layers: Layers, folder: Path, environ: Mapping[str, str] | None
) -> AlibabaConfig | OssConfig:
    """Look whether the credentials that are meant are there."""
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
    from spendwatch.sources.credentials import key_in  # noqa: PLC0415 -- only this way of giving a key needs it

    try:
        key_in(environ)
    except ValueError as error:
        return str(error)
    return ""


def secrets_of_sources(sources: Iterable[SourceConfig], environ: Mapping[str, str]) -> Iterator[str]:
    """Yield every text of the sources that must not stand in a log; an address may be its own secret."""
    for config in sources:
        yield from (value.get_secret_value() for value in vars(config).values() if isinstance(value, SecretStr))
        if isinstance(config, UrlConfig):
            yield config.url
        elif isinstance(config, CredentialsConfig) and config.provider is Provider.ENVIRONMENT:
            names = ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SECURITY_TOKEN")
            yield from filter(None, (environ.get(f"ALIBABA_CLOUD_{name}", "") for name in names))
