"""The operator's own https endpoint as a balance source; it returns the same document as a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from spendwatch.domain.balance_reading import BalanceReading, Origin
from spendwatch.domain.errors import BalanceUnavailableError
from spendwatch.domain.money import Currency
from spendwatch.domain.statement import AccountId
from spendwatch.request import HttpClient, Request
from spendwatch.sources.balances.document import MOST_BYTES, NoBalanceError, balance_in
from spendwatch.sources.trouble import EndpointError, Failure, fetched, refused, unavailable, without
from spendwatch.sources.url.settings import UrlAccess

_OK = 200
_LONGEST_SILENCE = timedelta(seconds=20)


@dataclass(slots=True, eq=False)
class UrlBalance:
    """Asks one address; no redirect is followed, and no more is read than a balance takes."""

    access: UrlAccess
    """Its secret has been read already."""
    client: HttpClient
    timeout: timedelta
    account: AccountId
    currency: Currency

    async def read(self, now: datetime) -> BalanceReading:
        """Return what the endpoint says, or raise `BalanceUnavailableError`."""
        host, secrets = self.access.host, self.access.secrets()
        request = Request(
            url=self.access.url,
            most_bytes=MOST_BYTES,
            deadline=self.timeout,
            silence=min(_LONGEST_SILENCE, self.timeout),
            headers={"accept": "application/json"},
            credentials=self.access.credentials(),
        )
        try:
            answer = await fetched(self.client, host, request)
        except EndpointError as error:
            is_forbidden = error.trouble is Failure.FORBIDDEN
            raise unavailable(error, "list its network in allow_networks if intended" if is_forbidden else "") from error
        if answer.status != _OK:
            raise unavailable(refused(host, answer, now, secrets))
        try:
            return balance_in(answer.body, account=self.account, currency=self.currency, origin=Origin.URL, now=now)
        except NoBalanceError as error:
            msg = f"{host}: {without(secrets, str(error))}"
            raise BalanceUnavailableError(msg, is_lasting=True) from error
