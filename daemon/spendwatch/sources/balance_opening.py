"""Which balance source belongs to which settings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from spendwatch.domain.balance_reading import BalanceReading
from spendwatch.domain.errors import BalanceUnavailableError
from spendwatch.domain.money import Currency
from spendwatch.domain.statement import AccountId
from spendwatch.sources.balance_api import ApiBalance, BalanceApi
from spendwatch.sources.balance_file import FileBalance
from spendwatch.sources.balance_settings import ApiBalanceConfig, BalanceConfig, FileBalanceConfig, UrlBalanceConfig
from spendwatch.sources.balance_url import UrlBalance
from spendwatch.sources.fetching import HttpClient


class UnopenedBalance:
    """A balance that nobody can be asked for, and why."""

    def __init__(self, why: str) -> None:
        """Say so whenever it is asked for."""
        self._why = why

    async def read(self, now: datetime) -> BalanceReading:
        """Raise `BalanceUnavailableError`."""
        del now
        raise BalanceUnavailableError(self._why, is_lasting=True)


OpenedBalance: TypeAlias = FileBalance | UrlBalance | ApiBalance | UnopenedBalance


def open_balance(
    config: BalanceConfig,
    *,
    account: AccountId,
    currency: Currency,
    client: Callable[[], HttpClient],
    api: Callable[[ApiBalanceConfig], BalanceApi],
) -> OpenedBalance:
    """Return the balance source that the settings describe.

    `client` makes the one that may call what the operator allows; `api` gives the opened API, or raises `ValueError` where the
    settings or the environment hold too little. Neither is asked for what needs none.
    """
    match config:
        case FileBalanceConfig():
            return FileBalance(Path(config.path), config.settle, account=account, currency=currency)
        case UrlBalanceConfig():
            return UrlBalance(config, client(), config.timeout, account=account, currency=currency)
        case ApiBalanceConfig():
            owner = AccountId(config.owner) if config.owner else None
            try:
                opened = api(config)
            except ValueError as error:
                return UnopenedBalance(str(error))
            return ApiBalance(opened, account=account, currency=currency, owner=owner, fund_account=config.fund_account)
