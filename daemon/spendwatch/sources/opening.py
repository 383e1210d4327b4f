"""Which source, and which credentials, belong to which settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from spendwatch.domain.period import Clock
from spendwatch.domain.policy import Site
from spendwatch.domain.statement import AccountId, SourceName
from spendwatch.sources.acs3 import Signer
from spendwatch.sources.alibaba import AlibabaSource
from spendwatch.sources.alibaba_settings import AlibabaAccess, AlibabaConfig, Provider
from spendwatch.sources.bss import BssClient
from spendwatch.sources.credentials import Credentials, LentKey, OwnKey, key_in
from spendwatch.sources.fetching import HttpClient
from spendwatch.sources.official_chain import OfficialChain
from spendwatch.sources.pacing import Pace
from spendwatch.sources.roles import STS_URL, MachineRole, ServiceAccountRole

_LONGEST_SILENCE = timedelta(seconds=20)


def open_credentials(
    config: AlibabaAccess, *, client: HttpClient, metadata: HttpClient, clock: Clock, environ: Mapping[str, str]
) -> Credentials:
    """Return by what right is asked; `ValueError` where the settings or the environment hold too little.

    `metadata` is a client that may call the metadata service; it is used for the machine's role alone. Nothing is asked yet.
    """
    match config.provider:
        case Provider.KEY:
            return OwnKey(Signer(_told(config.key_id), _told(config.secret), _told(config.token)))
        case Provider.ENVIRONMENT:
            return OwnKey(key_in(environ))
        case Provider.MACHINE_ROLE:
            return LentKey(MachineRole(metadata, config.role), clock)
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


def open_alibaba(
    name: SourceName,
    place: Path,
    config: AlibabaConfig,
    api: BssClient,
    *,
    account: AccountId,
    final_on: int,
    monotonic: Callable[[], float],
) -> AlibabaSource:
    """Return the source that the settings describe; it keeps its files below `place`."""
    return AlibabaSource(name, place, api, account=account, final_on=final_on, monotonic=monotonic, product=config.product)


def _told(secret: SecretStr | None) -> str:
    return secret.get_secret_value().strip() if secret else ""
