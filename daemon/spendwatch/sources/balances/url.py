"""The operator's own https endpoint as a balance source; it returns the same document as a file."""

from __future__ import annotations

from datetime import datetime, timedelta

from spendwatch.domain.balance_reading import BalanceReading, Origin
from spendwatch.domain.errors import BalanceUnavailableError, ForbiddenAddressError, UnreachableError
from spendwatch.domain.money import Currency
from spendwatch.domain.statement import AccountId
from spendwatch.pacing import asked_pause
from spendwatch.request import Request
from spendwatch.sources.balances.document import NoBalanceError, balance_in
from spendwatch.sources.balances.flat_text import MOST_BYTES
from spendwatch.sources.fetching import HttpAnswer, HttpClient
from spendwatch.sources.trouble import Failure, quoted, trouble_of_status
from spendwatch.sources.url.access import UrlAccess

_OK = 200
_LONGEST_SILENCE = timedelta(seconds=20)
_PASSING = frozenset({Failure.UNAVAILABLE, Failure.THROTTLED})


class UrlBalance:
    """Asks one address; no redirect is followed, and no more is read than a balance takes."""

    def __init__(
        self, access: UrlAccess, client: HttpClient, timeout: timedelta, *, account: AccountId, currency: Currency
    ) -> None:
        """Ask with the rights that `access` gives. Its secret has been read already."""
        self._access = access
        self._client = client
        self._timeout = timeout
        self._account = account
        self._currency = currency

    async def read(self, now: datetime) -> BalanceReading:
        """Return what the endpoint says, or raise `BalanceUnavailableError`."""
        try:
            answer = await self._client.fetch(
                Request(
                    url=self._access.url,
                    most_bytes=MOST_BYTES,
                    deadline=self._timeout,
                    silence=min(_LONGEST_SILENCE, self._timeout),
                    headers={"accept": "application/json"},
                    credentials=self._access.credentials(),
                )
            )
        except UnreachableError as error:
            raise self._trouble(str(error), Failure.UNREACHABLE, is_lasting=False) from error
        except ForbiddenAddressError as error:
            msg = f"{error}; list its network in allow_networks if intended"
            raise self._trouble(msg, Failure.FORBIDDEN) from error
        if answer.status != _OK:
            raise self._refused(answer, now)
        try:
            return balance_in(answer.body, account=self._account, currency=self._currency, origin=Origin.URL, now=now)
        except NoBalanceError as error:
            raise self._trouble(self._clean(str(error)), None) from error

    def _refused(self, answer: HttpAnswer, now: datetime) -> BalanceUnavailableError:
        text = answer.body.decode("utf-8", errors="replace").strip()
        said = "" if not text or text.startswith("<") else f": {quoted(self._clean(text))}"
        trouble = trouble_of_status(answer.status)
        error = self._trouble(f"status {answer.status}{said}", trouble, is_lasting=trouble not in _PASSING)
        error.retry_after = asked_pause(answer.headers, now)
        return error

    def _trouble(self, what: str, trouble: Failure | None, *, is_lasting: bool = True) -> BalanceUnavailableError:
        return BalanceUnavailableError(f"{self._access.host}: {what}", is_lasting=is_lasting, trouble=trouble)

    def _clean(self, text: str) -> str:
        """Return what the endpoint says without our own secrets: some repeat what they were sent."""
        for secret in self._access.secrets():
            text = text.replace(secret, "***")
        return text
