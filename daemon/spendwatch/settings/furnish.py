"""Resolves the settings on this machine: absolute paths, the place of the state, permitted receivers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs

from pydantic import SecretStr

from spendwatch.channels.config import ChannelConfig
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.statement import AccountId, SourceName
from spendwatch.settings.balances import BalanceSettings, furnish_balances
from spendwatch.settings.folders import check_folders
from spendwatch.settings.layers import Layers
from spendwatch.settings.rights import secrets_of
from spendwatch.settings.schema import DaemonFile
from spendwatch.settings.secret_files import Outside, find_secret
from spendwatch.settings.sources import furnished_sources
from spendwatch.settings.urls import objection, split
from spendwatch.sources.config import SourceConfig
from spendwatch.yaml_text import KeyPath

_POSTGRES = ("postgresql://", "postgres://", "postgresql+psycopg://")
_SQLITE = "sqlite:///"
_STATE_FILE = "spendwatch.db"
_STATE_FOLDER = "var"


@dataclass(frozen=True, slots=True)
class Furnished:
    """The daemon's settings with everything that the machine adds."""

    said: DaemonFile
    folder: Path
    sources: Mapping[SourceName, SourceConfig]
    channels: Mapping[ChannelName, ChannelConfig]
    balances: Mapping[AccountId, BalanceSettings]
    state: str
    state_folder: Path
    state_password_file: Path | None
    environ: Mapping[str, str] = field(repr=False)

    @property
    def fetched(self) -> Path:
        """Where sources that fetch keep their files: beside the state."""
        return self.state_folder / "sources"

    @property
    def spool(self) -> Path:
        """Where private copies lie: as configured, else beside the state."""
        return self.state_folder / "spool" if self.said.spool is None else self.folder / self.said.spool

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that must not stand in a log; the address of a webhook may be its secret."""
        found = [value for config in self.channels.values() for value in vars(config).values() if isinstance(value, SecretStr)]
        urls = [config.url for config in self.channels.values() if config.type == "webhook"]
        mine = secrets_of((*self.sources.values(), *self.balances.values()), self.environ)
        return tuple(dict.fromkeys((*(secret.get_secret_value() for secret in found), *urls, *mine)))


def furnish(said: DaemonFile, layers: Layers, folder: Path, outside: Outside, *, with_secrets: bool) -> Furnished:
    """Return the furnished settings; what the machine or the network rules refuse is noted in the layers.

    Without secrets nothing is fetched or sent, and what only that needs may be missing.
    """
    is_server = said.state is not None and said.state.startswith(_POSTGRES)
    state = said.state or "" if is_server else str(_state_file(said, layers, folder, outside))
    if is_server:
        _check_server(state, layers)
    environ = outside.environ if with_secrets else None
    furnished = Furnished(
        said=said,
        folder=folder,
        sources=furnished_sources(said, layers, folder, environ),
        channels={ChannelName(name): _channel(name, config, said, layers, folder) for name, config in said.channels.items()},
        balances=furnish_balances(said, layers, folder, environ),
        state=state,
        state_folder=(outside.state_folder or folder / _STATE_FOLDER) if is_server else Path(state).parent,
        state_password_file=_state_password_file(said, layers, folder, outside, is_server=is_server),
        environ=outside.environ,
    )
    ours = {"configuration": folder, "state": furnished.state_folder, "spool": furnished.spool}
    check_folders(furnished.sources, ours, layers)
    return furnished


def _state_file(said: DaemonFile, layers: Layers, folder: Path, outside: Outside) -> Path:
    if said.state is None:
        return (outside.state_folder or folder / _STATE_FOLDER) / _STATE_FILE
    text = said.state.removeprefix(_SQLITE)
    path = folder / text
    if "://" in text:
        layers.tell(("state",), "must be the path of a file, or postgresql://user@host/database")
    elif text.endswith("/") or path.is_dir():
        layers.tell(("state",), f"is a folder: name the file in it, like {text.rstrip('/')}/{_STATE_FILE}")
    return path


def _check_server(url: str, layers: Layers) -> None:
    parts = split(url)
    if parts is None or not (parts.hostname or "host" in parse_qs(parts.query)):
        layers.tell(("state",), "not an address: write postgresql://user@host:port/database")
    elif parts.password or "password" in parse_qs(parts.query):
        layers.tell(("state",), "secrets do not belong in the configuration: use state_password_file")


def _state_password_file(said: DaemonFile, layers: Layers, folder: Path, outside: Outside, *, is_server: bool) -> Path | None:
    name, path = said.state_password_file, ("state_password_file",)
    if name is None:
        return None
    if not is_server:
        layers.tell(path, "is for a state on a PostgreSQL server; this state is a file", at_key=True)
        return None
    try:
        return find_secret(name, folder, outside)
    except ValueError as error:
        layers.tell(path, str(error))
        return None


def _channel(name: str, config: ChannelConfig, said: DaemonFile, layers: Layers, folder: Path) -> ChannelConfig:
    path: KeyPath = ("channels", name)
    if config.type == "webhook" and (why := objection(config.url, said.allow_networks)):
        layers.tell((*path, "url"), why)
    if config.type != "email":
        return config
    if why := config.objection(said.allow_networks):
        layers.tell((*path, "security"), why)
    if config.ca_file is None:
        return config
    file = folder / config.ca_file
    if not file.is_file():
        layers.tell((*path, "ca_file"), f"no such file: {file}")
    return config.model_copy(update={"ca_file": str(file)})
