"""Creates the balance source for given settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from spendwatch.domain.money import Currency
from spendwatch.domain.statement import AccountId
from spendwatch.sources.balances.api import ApiBalance, BalanceApi
from spendwatch.sources.balances.file import FileBalance
from spendwatch.sources.balances.settings import ApiBalanceConfig, BalanceConfig, FileBalanceConfig, UrlBalanceConfig
from spendwatch.sources.balances.url import UrlBalance
from spendwatch.sources.fetching import HttpClient

OpenedBalance: TypeAlias = FileBalance | UrlBalance | ApiBalance


def open_balance(
    config: BalanceConfig,
    *,
    account: AccountId,
    currency: Currency,
    client: Callable[[], HttpClient],
    api: Callable[[ApiBalanceConfig], BalanceApi],
) -> OpenedBalance:
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
