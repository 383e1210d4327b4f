"""Creates sources of bills and balances, and credentials, for given settings: a new type of source is added here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from pydantic import SecretStr

from spendwatch.acs3 import AccessKey
from spendwatch.domain.money import Currency
from spendwatch.domain.period import Clock
from spendwatch.domain.policy import Site
from spendwatch.domain.statement import AccountId, SourceName
from spendwatch.pacing import RateLimiter
from spendwatch.request import HttpAnswer, HttpClient, Request
from spendwatch.sources.alibaba.client import BssClient
from spendwatch.sources.alibaba.settings import AlibabaAccess, AlibabaConfig
from spendwatch.sources.alibaba.source import AlibabaSource
from spendwatch.sources.balances.api import ApiBalance
from spendwatch.sources.balances.file import FileBalance
from spendwatch.sources.balances.settings import ApiBalanceConfig, BalanceConfig, FileBalanceConfig, UrlBalanceConfig
from spendwatch.sources.balances.url import UrlBalance
from spendwatch.sources.config import SourceConfig
from spendwatch.sources.download_store import DownloadStore
from spendwatch.sources.folder.settings import FolderConfig
from spendwatch.sources.folder.source import FolderSource
from spendwatch.sources.memory import SourceMemory
from spendwatch.sources.oss.settings import OssConfig
from spendwatch.sources.provider.credentials import (
    Credentials,
    OfficialChain,
    RefreshedCredentials,
    StaticCredentials,
    key_in,
)
from spendwatch.sources.provider.credentials_settings import CredentialsConfig, Provider
from spendwatch.sources.provider.roles import STS_URL, MachineRole, ServiceAccountRole
from spendwatch.sources.url.settings import UrlConfig
from spendwatch.sources.url.source import UrlSource

if TYPE_CHECKING:
    from spendwatch.sources.oss.source import OssSource

_LONGEST_SILENCE = timedelta(seconds=20)

Source: TypeAlias = "FolderSource | UrlSource | AlibabaSource | OssSource"
"""Whatever bills come from."""


@dataclass(frozen=True, slots=True)
class ApiContext:
    """What a call of the provider's API needs."""

    environ: Mapping[str, str]
    metadata: Callable[[], HttpClient]
    """Makes a client that may call the metadata service; it is used for the machine's role alone."""
    clock: Clock


@dataclass(frozen=True, slots=True)
class SourceContext(ApiContext):
    """What all sources work with as long as the process lives."""

    fetched: Path
    """Where what is fetched is kept."""
    memory: SourceMemory
    """What they know across restarts."""
    others: Callable[[], Collection[Path]]
    """Tells which files in a folder are no bills, though they may lie there."""
    hints: Callable[[SourceName], str]
    """Tells what decides, beside the program's version, whether the files of a source can be understood."""
    got_on: Callable[[SourceName], None]
    """Called for each response that a source receives: a long download is alive."""
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Attended:
    """A client that says of each answer that the work gets on: who waits for a long fetch must see that it lives."""

    client: HttpClient
    got_on: Callable[[], None]

    async def fetch(self, request: Request) -> HttpAnswer:
        """Return the whole answer, whatever its status."""
        try:
            return await self.client.fetch(request)
        finally:
            self.got_on()


class Recipe(NamedTuple):
    """All that a source is made of; as long as this stays the same, so does the source."""

    config: SourceConfig
    client: HttpClient
    site: Site | None = None
    """Of the account, for those who need to know."""
    final_on: int = 0
    """The same."""


def open_source(name: SourceName, recipe: Recipe, context: SourceContext, pace: Callable[[AccountId], RateLimiter]) -> Source:
    """Return the source that the settings describe; nothing is asked yet. `pace` is what all who call for an account share."""
    client = Attended(recipe.client, partial(context.got_on, name))
    downloads = partial(DownloadStore, context.fetched / name, name, context.memory, context.monotonic)
    match recipe.config:
        case FolderConfig() as config:
            return FolderSource(
                name,
                Path(config.path),
                config.settle,
                context.monotonic,
                memory=context.memory,
                recursive=config.recursive,
                move=config.move,
                hints=partial(context.hints, name),
                others=context.others,
            )
        case UrlConfig() as config:
            return UrlSource(downloads(), client, config)
        case AlibabaConfig() as config:
            assert recipe.site  # noqa: S101 -- every account has one
            api = open_api(config, recipe.site, client, context, pace=pace(config.account))
            return AlibabaSource(downloads(), api, account=config.account, final_on=recipe.final_on, product=config.product)
        case OssConfig() as config:
            from spendwatch.sources.oss.client import OssClient  # noqa: PLC0415 -- few have a bucket
            from spendwatch.sources.oss.source import OssSource  # noqa: PLC0415 -- the same

            store = OssClient(client, open_credentials(config, client, context), config, clock=context.clock)
            return OssSource(downloads(), store, config)


def open_api(config: AlibabaAccess, site: Site, client: HttpClient, context: ApiContext, *, pace: RateLimiter) -> BssClient:
    """Return the API that the settings describe. `pace` is shared by all who call in the name of one account."""
    return BssClient(
        client,
        open_credentials(config, client, context),
        site=site,
        clock=context.clock,
        pace=pace,
        endpoint=config.endpoint or "",
        timeout=config.timeout,
        silence=min(config.timeout, _LONGEST_SILENCE),
    )


def open_credentials(config: CredentialsConfig, client: HttpClient, context: ApiContext) -> Credentials:
    """Return the credentials. They are looked up with the first call, which raises an error if any are missing."""
    match config.provider:
        case Provider.KEY:
            return StaticCredentials(lambda: AccessKey(_told(config.key_id), _told(config.secret), _told(config.token)))
        case Provider.ENVIRONMENT:
            return StaticCredentials(partial(key_in, context.environ))
        case Provider.MACHINE_ROLE:
            return RefreshedCredentials(MachineRole(context.metadata(), config.role).provide, context.clock)
        case Provider.OIDC_ROLE:
            role = ServiceAccountRole(
                client,
                context.clock,
                role_arn=config.role_arn or "",
                provider_arn=config.oidc_provider_arn or "",
                read_token=partial(Path(config.oidc_token_file or "").read_text, encoding="utf-8"),
                url=config.sts_endpoint or STS_URL,
            )
            return RefreshedCredentials(role.provide, context.clock)
        case Provider.SDK:
            return OfficialChain()


def open_balance(
    config: BalanceConfig,
    *,
    account: AccountId,
    currency: Currency,
    client: Callable[[], HttpClient],
    api: Callable[[ApiBalanceConfig], BssClient],
) -> FileBalance | UrlBalance | ApiBalance:
    """Return the balance source that the settings describe.

    `client` makes the one that may call what the operator allows; `api` gives the opened API. Neither is asked for what needs
    none.
    """
    match config:
        case FileBalanceConfig():
            return FileBalance(Path(config.path), config.settle, account=account, currency=currency)
        case UrlBalanceConfig():
            return UrlBalance(config, client(), config.timeout, account=account, currency=currency)
        case ApiBalanceConfig():
            owner = AccountId(config.owner) if config.owner else None
            return ApiBalance(api(config), account=account, currency=currency, owner=owner, fund_account=config.fund_account)


def _told(secret: SecretStr | None) -> str:
    return secret.get_secret_value().strip() if secret else ""
