"""Resolves the sources: absolute paths, account ids, permitted endpoints, existing keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from spendwatch.domain.errors import printable
from spendwatch.domain.statement import AccountId, SourceName
from spendwatch.settings.layers import Layers
from spendwatch.settings.rights import with_rights
from spendwatch.settings.schema import DaemonFile
from spendwatch.settings.urls import objection
from spendwatch.sources.config import AlibabaConfig, FolderConfig, OssConfig, SourceConfig, UrlConfig
from spendwatch.yaml_text import KeyPath


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
            case AlibabaConfig():
                config = with_rights(path, config, said, layers, folder=folder, environ=environ)  # noqa: PLW2901 -- the same, furnished
            case OssConfig():
                config = with_rights(path, config, said, layers, folder=folder, environ=environ)  # noqa: PLW2901 -- the same, furnished
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
