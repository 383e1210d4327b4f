"""The settings: read from YAML, environment and secret files, and checked as a whole before anything starts.

Nothing heavy is imported until something is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from spendwatch.addresses import Network
from spendwatch.domain.delivery import Route
from spendwatch.domain.policy import AccountPolicy, ChannelName, Policies, WorkspacePolicy
from spendwatch.domain.statement import AccountId, SourceName
from spendwatch.lean import on_demand
from spendwatch.settings.files import Outside, find_config

if TYPE_CHECKING:
    from spendwatch.channels.config import ChannelConfig
    from spendwatch.settings.loading import examine, load, load_usable, reload
    from spendwatch.settings.optional_parts import HeartbeatPart
    from spendwatch.settings.resolve import BalanceSettings
    from spendwatch.settings.schema import RetentionPart
    from spendwatch.settings.web_settings import WebPart
    from spendwatch.sources.config import SourceConfig

__all__ = ["Outside", "Settings", "examine", "find_config", "load", "load_usable", "reload"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that was configured, checked and complete. Paths are absolute; secrets have been read."""

    place: Path
    """The folder or file as it was given."""
    folder: Path
    policies: Policies
    zone: ZoneInfo
    """The billing time zone."""
    sources: Mapping[SourceName, SourceConfig]
    channels: Mapping[ChannelName, ChannelConfig]
    balances: Mapping[AccountId, BalanceSettings]
    """Where balances are read that do not stand in the configuration."""
    state: str
    """The path of the SQLite file, or a `postgresql://` URL without a password."""
    spool: Path
    """Where the reading process works."""
    fetched: Path
    """Where sources that fetch keep what they fetched."""
    heartbeat: Path
    """The file by which a container's health check sees that we live."""
    retention: RetentionPart
    state_password_file: Path | None = None
    """Holds the password of the PostgreSQL server."""
    allow_networks: tuple[Network, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What must not stand in any log."""
    web: WebPart | None = None
    """Where the page is, and who may read it; None where there is none."""
    pings: HeartbeatPart | None = None
    """Who is pinged while the daemon gets on."""
    workspace_files: Mapping[str, WorkspacePolicy] = field(default_factory=dict)
    """The policies by the name of their file; a reload falls back on these."""
    outside: Outside = field(default_factory=Outside, repr=False)

    @property
    def stale_after(self) -> Mapping[SourceName, timedelta]:
        """How long each source may give no new bill."""
        return {name: config.stale_after for name, config in self.sources.items()}

    @property
    def routes(self) -> Mapping[ChannelName, Route]:
        """What each channel is spared."""
        return {name: config.route(self.zone) for name, config in self.channels.items()}

    @property
    def rejected_in(self) -> Mapping[SourceName, str]:
        """Where the rejected files of each source are; nowhere if they stay in their folder."""
        folders = {name: Path(config.path) for name, config in self.sources.items() if config.type == "folder" and config.move}
        fetched = {name: self.fetched / name / "originals" for name, config in self.sources.items() if config.type != "folder"}
        return {name: str(place / "rejected") for name, place in (folders | fetched).items()}

    @property
    def source_types(self) -> Mapping[SourceName, str]:
        """What kind each source is of."""
        return {name: config.type for name, config in self.sources.items()}

    @property
    def balance_files(self) -> tuple[Path, ...]:
        """Files that contain a balance: they may lie in a drop folder and are not read as bills."""
        return tuple(Path(config.path) for config in self.balances.values() if config.from_ == "file")

    @property
    def not_bills(self) -> tuple[Path, ...]:
        """Files and folders that may lie in a drop folder and are read by others than its source, or are ours."""
        folders = [Path(config.path) for config in self.sources.values() if config.type == "folder"]
        return (*self.balance_files, *folders, self.folder, Path(self.state), self.spool, self.fetched)

    @property
    def accounts(self) -> tuple[AccountPolicy, ...]:
        """The accounts, in the order of the file."""
        return self.policies.accounts


def __getattr__(name: str) -> object:
    """Import what loads only when it is asked for: a fifth of a second, not to be paid for `--help`."""
    if name not in __all__:
        raise AttributeError(name)
    # The libraries import them for what is not done here.
    with (
        on_demand("asyncio"),
        on_demand("importlib.metadata", "entry_points"),
        on_demand("dotenv", "dotenv_values"),
        on_demand("tempfile"),
        on_demand("secrets"),
    ):
        from spendwatch.settings import loading, schema  # noqa: PLC0415 -- as said

        schema.DaemonFile.model_rebuild()
    return getattr(loading, name)
