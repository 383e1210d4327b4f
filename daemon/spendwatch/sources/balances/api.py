"""The provider's billing API as a balance source: every term, or the fewer terms of the older operation."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime

import structlog
from structlog.typing import FilteringBoundLogger

from spendwatch.domain.balance_reading import BalanceReading
from spendwatch.domain.errors import BalanceUnavailableError
from spendwatch.domain.money import Currency
from spendwatch.domain.statement import AccountId
from spendwatch.sources.alibaba.balance_answers import BalanceOperation
from spendwatch.sources.alibaba.client import BssClient
from spendwatch.sources.trouble import EndpointError, Failure, unavailable

_log: FilteringBoundLogger = structlog.get_logger()

_NOT_OFFERED = frozenset({Failure.PERMISSION, Failure.WRONG_SITE, Failure.REFUSED, Failure.UNEXPECTED})
"""Of the newer operation: no right to it, not for this kind of account, not known at this site, or no longer what it was."""


@dataclass(slots=True, eq=False)
class ApiBalance:
    """Asks the provider how the account stands."""

    api: BssClient
    _: KW_ONLY
    account: AccountId
    currency: Currency
    owner: AccountId | None = None
    """Whose fund account it is, where another account pays for it."""
    fund_account: str = ""
    _told: str = ""

    async def read(self, now: datetime) -> BalanceReading:
        """Return what the provider says, or raise `BalanceUnavailableError`."""
        try:
            answer = await self._asked()
        except EndpointError as error:
            raise unavailable(error) from error
        return replace(answer, account=self.account, read_at=now)

    async def _asked(self) -> BalanceReading:
        try:
            return self._checked(await self.api.fund_account(self.fund_account), BalanceOperation.FUND_ACCOUNT)
        except EndpointError as error:
            if error.trouble not in _NOT_OFFERED:
                raise
            first = error
        try:
            answer = self._checked(await self.api.account_balance(), BalanceOperation.ACCOUNT)
        except EndpointError as error:
            if error.trouble not in _NOT_OFFERED:
                raise
            msg = f"{first}; {error}"
            raise EndpointError(msg, error.trouble, retry_after=error.retry_after) from error
        if self._told != str(first):
            self._told = str(first)
            _log.warning("balance_without_terms", account=self.account, reason=str(first))
        return answer

    def _checked(self, answer: BalanceReading, operation: BalanceOperation) -> BalanceReading:
        """Refuse what is no balance of this account: nothing is converted, and no other account's money is shown."""
        if answer.currency != self.currency:
            msg = f"{operation}: the balance is in {answer.currency}, the account is configured in {self.currency}"
            raise BalanceUnavailableError(msg, is_lasting=True)
        owner = self.owner or self.account
        if answer.owner not in {None, owner}:
            msg = (
                f"{operation}: this is the balance of {answer.owner}, not of {owner}: is it the key of another "
                f'account? If that account pays for this one, write owner: "{answer.owner}" beside from: api'
            )
            raise BalanceUnavailableError(msg, is_lasting=True, trouble=Failure.OTHER_ACCOUNT)
        return answer
