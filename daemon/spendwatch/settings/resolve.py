"""Resolves the settings on this machine: absolute paths, credentials, permitted addresses, the place of the state."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from urllib.parse import parse_qs

from pydantic import BaseModel, SecretStr

from spendwatch.domain.errors import printable
from spendwatch.domain.policy import ChannelName
from spendwatch.domain.statement import AccountId, SourceName
from spendwatch.domain.suggestions import suggestion
from spendwatch.settings import Settings
from spendwatch.settings.files import Location, Outside, find_secret
from spendwatch.settings.layers import Layers
from spendwatch.settings.policies import policies
from spendwatch.settings.urls import objection, split
from spendwatch.yaml_text import KeyPath

if TYPE_CHECKING:
    # Only those that are configured are imported, by the schema.
    from spendwatch.channels.config import ChannelConfig
    from spendwatch.settings.optional_parts import ApiBalancePart, FileBalancePart, HeartbeatPart, UrlBalancePart
    from spendwatch.settings.schema import DaemonFile
    from spendwatch.sources.alibaba.settings import AlibabaConfig
    from spendwatch.sources.config import SourceConfig
    from spendwatch.sources.folder.settings import FolderConfig
    from spendwatch.sources.oss.settings import OssConfig

BalanceSettings: TypeAlias = "FileBalancePart | UrlBalancePart | ApiBalancePart"
_Local = TypeVar("_Local", "FolderConfig", "FileBalancePart")
_Asking = TypeVar("_Asking", "AlibabaConfig", "OssConfig", "ApiBalancePart")
"""Settings of a client of the provider's API."""
_Calling = TypeVar("_Calling", bound=BaseModel)
"""Settings of whatever goes out."""

_ADDRESS_KEYS = {"telegram": "server", "sms": "endpoint", **dict.fromkeys(("webhook", "alertmanager", "pagerduty"), "url")}
"""The key that says where a channel sends to; with the others it is the file that holds the address."""

_POSTGRES = ("postgresql://", "postgres://", "postgresql+psycopg://")
_SQLITE = "sqlite:///"
_STATE_FILE = "spendwatch.db"
_STATE_FOLDER = "var"
_ENVIRONMENT = "environment"
"""The proxy, or the provider of credentials, that the environment names."""
_OWN_ACCESS = "write key_id_file and secret_file here, or another provider, or have a source of type alibaba for this account"


def resolve(said: DaemonFile, layers: Layers, place: Path, outside: Outside, *, with_secrets: bool) -> Settings:
    """Return the settings without the policies of workspaces; what the machine or the network rules reject is noted.

    Without secrets nothing is fetched or sent, and what only that needs may be missing.
    """
    folder = Location.of(place).folder.absolute()
    resolver = _Resolver(said, layers, folder, outside, with_secrets=with_secrets)
    state, is_server = resolver.state()
    state_folder = (outside.state_folder or folder / _STATE_FOLDER) if is_server else Path(state).parent
    channels = {ChannelName(name): resolver.channel(("channels", name), config) for name, config in said.channels.items()}
    sources, balances = resolver.sources(), resolver.balances()
    configs = (*channels.values(), *sources.values(), *balances.values(), *filter(None, (said.web, said.heartbeat)))
    spool = state_folder / "spool" if said.spool is None else folder / said.spool
    pings = said.heartbeat and resolver.pings(said.heartbeat)
    resolver.check_folders(sources, {"configuration": folder, "state": state_folder, "spool": spool})
    return Settings(
        place=place,
        folder=folder,
        policies=policies(said, ()),
        zone=said.time_zone,
        sources=sources,
        channels=channels,
        balances=balances,
        state=state,
        spool=spool,
        fetched=state_folder / "sources",
        heartbeat=state_folder / "heartbeat",
        state_password_file=resolver.state_password_file(is_server=is_server),
        allow_networks=tuple(said.allow_networks),
        secrets=tuple(dict.fromkeys(_secrets(configs, outside.environ))),
        retention=said.retention,
        web=said.web,
        pings=pings,
        outside=outside,
    )


def _secrets(configs: Iterable[BaseModel], environ: Mapping[str, str]) -> Iterator[str]:
    """Yield every text that must not stand in a log."""
    for config in configs:
        yield from (value.get_secret_value() for value in vars(config).values() if isinstance(value, SecretStr))
        yield from _secrets((value for value in vars(config).values() if isinstance(value, BaseModel)), environ)
        if isinstance(url := getattr(config, "url", None), str):
            yield url  # an address may be its own secret
        elif getattr(config, "provider", None) == _ENVIRONMENT:
            names = ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SECURITY_TOKEN")
            yield from filter(None, (environ.get(f"ALIBABA_CLOUD_{name}", "") for name in names))


@dataclass(slots=True)
class _Resolver:
    said: DaemonFile
    layers: Layers
    folder: Path
    outside: Outside
    with_secrets: bool = field(kw_only=True)
    taken: dict[Path, str] = field(default_factory=dict)
    """Who reads which folder or file."""

    def note(self, path: KeyPath, why: str | None) -> None:
        """Note a mistake, if there is a reason for one."""
        if why:
            self.layers.tell(path, why)

    # --- the state

    def state(self) -> tuple[str, bool]:
        """Return the path of the file or the URL of the server, and whether it is a server."""
        said, path = self.said.state, ("state",)
        if said is None:
            return str((self.outside.state_folder or self.folder / _STATE_FOLDER) / _STATE_FILE), False
        if said.startswith(_POSTGRES):
            parts = split(said)
            if parts is None or not (parts.hostname or "host" in parse_qs(parts.query)):
                self.note(path, "not an address: write postgresql://user@host:port/database")
            elif parts.password or "password" in parse_qs(parts.query):
                self.note(path, "secrets do not belong in the configuration: use state_password_file")
            return said, True
        text = said.removeprefix(_SQLITE)
        file = self.folder / text
        if "://" in text:
            self.note(path, "must be the path of a file, or postgresql://user@host/database")
        elif text.endswith("/") or file.is_dir():
            self.note(path, f"is a folder: name the file in it, like {text.rstrip('/')}/{_STATE_FILE}")
        return str(file), False

    def state_password_file(self, *, is_server: bool) -> Path | None:
        """Return the file with the password of the server."""
        name, path = self.said.state_password_file, ("state_password_file",)
        if name is not None and is_server:
            try:
                return find_secret(name, self.folder, self.outside)
            except ValueError as error:
                self.note(path, str(error))
        elif name is not None:
            self.layers.tell(path, "is for a state on a PostgreSQL server; this state is a file", at_key=True)
        return None

    # --- channels, sources, balances

    def channel(self, path: KeyPath, config: ChannelConfig) -> ChannelConfig:
        """Return the channel with whole paths."""
        files = {what: str(self.folder / file) for what, file in config.templates if file}
        config = config.model_copy(update={"templates": config.templates.model_copy(update=files)})
        monthly, final_on = config.digest.monthly, self.said.month_final_on
        if monthly and monthly.day <= final_on:
            what = f"the month before is final after day {final_on} (month_final_on): write day {final_on + 1} or later"
            self.note((*path, "digest", "monthly"), what)
        if address := getattr(config, "address", None):
            key = _ADDRESS_KEYS.get(config.type, "url_file")
            self.note((*path, key), objection(address, self.said.allow_networks))
        if config.type == "exec":
            config = config.model_copy(update={"command": (str(self.folder / config.command[0]), *config.command[1:])})
            self.note((*path, "command"), config.objection())
        if config.type == "email":
            self.note((*path, "security"), config.objection(self.said.allow_networks))
            if config.auth:
                where, oauth2 = (*path, "auth", "oauth2"), config.auth.oauth2
                self.note((*where, "token_url"), objection(oauth2.token_url, self.said.allow_networks))
                auth = config.auth.model_copy(update={"oauth2": self._connected(where, oauth2)})
                config = config.model_copy(update={"auth": auth})
        return self._connected(path, config)

    def _connected(self, path: KeyPath, config: _Calling) -> _Calling:
        """Return the settings with the whole path of their authority; a proxy that may not be called is noted."""
        if (proxy := getattr(config, "proxy", None)) and proxy != _ENVIRONMENT:
            refused = objection(proxy, self.said.allow_networks)
            self.note((*path, "proxy"), refused and "its network must be listed in allow_networks")
        if ca_file := getattr(config, "ca_file", None):
            return config.model_copy(update={"ca_file": self._file(path, "ca_file", ca_file)})
        return config

    def pings(self, config: HeartbeatPart) -> HeartbeatPart:
        """Return the pings with whole paths."""
        if config.url:
            self.note(("heartbeat", "url"), objection(config.url, self.said.allow_networks))
        return self._connected(("heartbeat",), config)

    def sources(self) -> Mapping[SourceName, SourceConfig]:
        """Return the sources with whole paths and the ids of their accounts."""
        found: dict[SourceName, SourceConfig] = {}
        for name, config in self.said.sources.items():
            # A name that no account has was noted before.
            account = self.said.accounts.get(config.account or "")
            account_id = AccountId(account.id) if account else None
            found[SourceName(name)] = self._source(("sources", name), config).model_copy(update={"account": account_id})
        return found

    def _source(self, path: KeyPath, config: SourceConfig) -> SourceConfig:
        match config.type:
            case "folder":
                return self._local(path, config, str(path[-1]), "folder")
            case "url":
                self.note((*path, "url"), objection(config.url, self.said.allow_networks))
                return self._connected(path, config)
            case "alibaba":
                return self._access(path, config)
            case "oss":
                return self._access(path, config)

    def balances(self) -> Mapping[AccountId, BalanceSettings]:
        """Return where the balances are read that do not stand in the configuration."""
        found: dict[AccountId, BalanceSettings] = {}
        for name, account in self.said.accounts.items():
            path = ("accounts", name, "balance")
            part = account.balance
            if part is None or part.from_ == "manual":
                continue
            if part.from_ == "file":
                if (self.folder / part.path).is_dir():
                    self.note((*path, "path"), f"is a folder: name the file in it, like {part.path.rstrip('/')}/balance.json")
                found[AccountId(account.id)] = self._local(path, part, name, "balance")
            elif part.from_ == "url":
                self.note((*path, "url"), objection(part.url, self.said.allow_networks))
                found[AccountId(account.id)] = self._connected(path, part)
            else:
                is_own = part.has_own_access
                found[AccountId(account.id)] = self._access(path, part) if is_own else self._shared(path, part, name)
        return found

    def _shared(self, path: KeyPath, part: ApiBalancePart, account: str) -> ApiBalancePart:
        """Return the balance with the name of the source whose credentials it uses."""
        sources = self.said.sources.items()
        usable = sorted(name for name, config in sources if str(config.type) == "alibaba" and config.account == account)
        if part.source and part.source not in usable:
            instead = suggestion(part.source, usable) if usable else _OWN_ACCESS
            what = f"no source of type alibaba for account {account} is named {printable(part.source)}; {instead}"
            self.note((*path, "source"), what)
        elif not part.source and len(usable) != 1:
            what = f"several sources match: write source: {' or '.join(usable)}" if usable else f"no credentials: {_OWN_ACCESS}"
            self.note((*path, "from"), what)
        return part.model_copy(update={"source": part.source or next(iter(usable), None)})

    def _local(self, path: KeyPath, config: _Local, name: str, what: str) -> _Local:
        place = self.folder / config.path
        if (other := self.taken.setdefault(place, name)) != name:
            self.note((*path, "path"), f"{printable(config.path)} is the {what} of '{other}' already")
        return config.model_copy(update={"path": str(place)})

    def _access(self, path: KeyPath, config: _Asking) -> _Asking:
        """Return the settings with whole paths; endpoints that may not be called and keys that are missing are noted."""
        for key, url in (("endpoint", config.endpoint), ("sts_endpoint", config.sts_endpoint)):
            self.note((*path, key), objection(url, self.said.allow_networks) if url else None)
        if self.with_secrets:
            self.note((*path, "provider"), _missing_key(config.provider, self.outside.environ))
        token_file = self._file(path, "oidc_token_file", config.oidc_token_file)
        return self._connected(path, config).model_copy(update={"oidc_token_file": token_file})

    def _file(self, path: KeyPath, key: str, name: str | None) -> str | None:
        if name is None:
            return None
        file = self.folder / name
        if self.with_secrets and not file.is_file():
            self.note((*path, key), f"no such file: {file}")
        return str(file)

    def check_folders(self, sources: Mapping[SourceName, SourceConfig], ours: Mapping[str, Path]) -> None:
        """Note what lies within the folder of a recursive source: everything in there would be read as a bill."""
        folders = {name: config for name, config in sources.items() if config.type == "folder"}
        places = {name: _real(Path(config.path)) for name, config in folders.items()}
        for name in (name for name, config in folders.items() if config.recursive):
            for other, place in places.items():
                if other != name and place.is_relative_to(places[name]):
                    what = f"is inside the folder of '{name}', which is recursive: its bills would be read twice"
                    self.note(("sources", other, "path"), what)
            for title, place in ours.items():
                if _real(place).is_relative_to(places[name]):
                    self.note(("sources", name, "path"), f"the {title} is inside this folder and would be read as bills")


def _real(place: Path) -> Path:
    return Path(os.path.realpath(place))  # pathlib's own way fails on links that lead in a circle


def _missing_key(provider: str, environ: Mapping[str, str]) -> str:
    """Return why the credentials that are meant cannot be there."""
    if provider == "sdk" and find_spec("alibabacloud_credentials") is None:
        return "needs the package alibabacloud-credentials: install spendwatch[aliyun-credentials]"
    if provider != _ENVIRONMENT:
        return ""
    from spendwatch.sources.provider.credentials import key_in  # noqa: PLC0415 -- only this way of giving a key needs it

    try:
        key_in(environ)
    except ValueError as error:
        return str(error)
    return ""
