"""Creates the source and credentials for given settings: a new type of source is added here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pydantic import SecretStr

from spendwatch.domain.period import Clock
from spendwatch.domain.policy import Site
from spendwatch.domain.statement import SourceName
from spendwatch.pacing import Pace
from spendwatch.sources.alibaba.client import BssClient
from spendwatch.sources.alibaba.settings import AlibabaAccess
from spendwatch.sources.alibaba.source import AlibabaSource
from spendwatch.sources.config import AlibabaConfig, FolderConfig, OssConfig, SourceConfig, UrlConfig
from spendwatch.sources.fetching import HttpClient
from spendwatch.sources.files.kept import History
from spendwatch.sources.folder.source import FolderSource
from spendwatch.sources.memory import SourceMemory
from spendwatch.sources.provider.acs3 import Signer
from spendwatch.sources.provider.credentials import Awaited, Credentials, LentKey, OwnKey, key_in
from spendwatch.sources.provider.credentials_settings import CredentialsConfig, Provider
from spendwatch.sources.provider.official_chain import OfficialChain
from spendwatch.sources.provider.roles import STS_URL, MachineRole, ServiceAccountRole
from spendwatch.sources.url.source import UrlSource

if TYPE_CHECKING:
    from spendwatch.sources.oss.source import OssSource

_LONGEST_SILENCE = timedelta(seconds=20)

Source: TypeAlias = "FolderSource | UrlSource | AlibabaSource | OssSource"
"""Whatever bills come from."""


@dataclass(frozen=True, slots=True)
class Equipment:
    """What a source is given to work with, of whatever kind it is."""

    spool: Path
    """Where a folder's files are copied to."""
    place: Path
    """Where a source that fetches keeps its files."""
    client: HttpClient
    credentials: Credentials | None
    """By what right the provider is asked, for those who ask it."""
    api: BssClient | None
    """The billing API, for those who ask that."""
    final_on: int
    clock: Clock
    monotonic: Callable[[], float]
    history: History
    """The ledger's."""
    memory: SourceMemory
    others: Callable[[], Collection[Path]]
    """Tells which files in a folder are no bills, though they may lie there."""
    hints: Callable[[], str]
    """Tells what decides, beside the program's version, whether a file can be understood."""


def open_source(name: SourceName, config: SourceConfig, equipment: Equipment) -> Source:
    """Return the source that the settings describe; nothing is asked yet."""
    match config:
        case FolderConfig():
            return FolderSource(
                name,
                Path(config.path),
                equipment.spool,
                config.settle,
                monotonic=equipment.monotonic,
                recursive=config.recursive,
                move=config.move,
                memory=equipment.memory,
                hints=equipment.hints,
                others=equipment.others,
            )
        case UrlConfig():
            return UrlSource(
                name,
                equipment.place,
                equipment.client,
                config,
                monotonic=equipment.monotonic,
                history=equipment.history,
            )
        case AlibabaConfig():
            assert equipment.api  # noqa: S101 -- it was opened from the same settings
            return AlibabaSource(
                name,
                equipment.place,
                equipment.api,
                account=config.account,
                final_on=equipment.final_on,
                monotonic=equipment.monotonic,
                product=config.product,
                history=equipment.history,
            )
        case OssConfig():
            return _open_oss(name, config, equipment)


def _open_oss(name: SourceName, config: OssConfig, equipment: Equipment) -> OssSource:
    from spendwatch.sources.oss.client import OssClient  # noqa: PLC0415 -- the same
    from spendwatch.sources.oss.source import OssSource  # noqa: PLC0415 -- few have a bucket

    assert equipment.credentials  # noqa: S101 -- they were opened from the same settings
    store = OssClient(equipment.client, equipment.credentials, config, clock=equipment.clock)
    return OssSource(name, equipment.place, store, config, monotonic=equipment.monotonic, history=equipment.history)


def open_credentials(
    config: CredentialsConfig,
    *,
    client: HttpClient,
    metadata: Callable[[], HttpClient],
    clock: Clock,
    environ: Mapping[str, str],
) -> Credentials:
    """Return by what right is asked. Nothing is asked yet, nor looked for: who calls first hears what is missing.

    `metadata` makes a client that may call the metadata service; it is used for the machine's role alone.
    """
    return Awaited(partial(_credentials, config, client, metadata, clock, environ))


def _credentials(
    config: CredentialsConfig,
    client: HttpClient,
    metadata: Callable[[], HttpClient],
    clock: Clock,
    environ: Mapping[str, str],
) -> Credentials:
    """Return by what right is asked; `ValueError` where the settings or the environment hold too little."""
    match config.provider:
        case Provider.KEY:
            return OwnKey(Signer(_told(config.key_id), _told(config.secret), _told(config.token)))
        case Provider.ENVIRONMENT:
            return OwnKey(key_in(environ))
        case Provider.MACHINE_ROLE:
            return LentKey(MachineRole(metadata(), config.role), clock)
        case Provider.OIDC_ROLE:
            role = ServiceAccountRole(
                client,
                clock,
                role_arn=config.role_arn or "",
                provider_arn=config.oidc_provider_arn or "",
                read_token=partial(Path(config.oidc_token_file or "").read_text, encoding="utf-8"),
                url=config.sts_endpoint or STS_URL,
            )
            return LentKey(role, clock)
        case Provider.SDK:
            return OfficialChain()


def open_api(
    config: AlibabaAccess, site: Site, credentials: Credentials, *, client: HttpClient, clock: Clock, pace: Pace
) -> BssClient:
    """Return the API that the settings describe. `pace` is shared by all who call in the name of one account."""
    return BssClient(
        client,
        credentials,
        site=site,
        clock=clock,
        pace=pace,
        endpoint=config.endpoint or "",
        timeout=config.timeout,
        silence=min(config.timeout, _LONGEST_SILENCE),
    )


def _told(secret: SecretStr | None) -> str:
    return secret.get_secret_value().strip() if secret else ""
