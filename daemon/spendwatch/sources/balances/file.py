"""A file as a balance source: written by a program or a person, read once it is unchanged."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from spendwatch.domain.balance_reading import BalanceReading, Origin
from spendwatch.domain.errors import BalanceUnavailableError, SourceUnavailableError, printable
from spendwatch.domain.money import Currency
from spendwatch.domain.statement import AccountId
from spendwatch.sources.balances.document import MOST_BYTES, NoBalanceError, balance_in
from spendwatch.sources.files.identity import Identity
from spendwatch.sources.files.originals import OddFileError, folder_at, plain_file


@dataclass(slots=True, eq=False)
class FileBalance:
    """Reads one file, whole and only when it does not change meanwhile. Links are not followed: it may lie in a drop folder."""

    path: Path
    settle: timedelta
    """It has come to rest when it does not change for so long."""
    account: AccountId
    currency: Currency
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    _known: tuple[Identity, BalanceReading] | None = None

    async def read(self, now: datetime) -> BalanceReading:
        """Return what the file says, or raise `BalanceUnavailableError`."""
        seen, _ = await asyncio.to_thread(self._content)
        if self._known and self._known[0] == seen:
            return replace(self._known[1], read_at=now)
        await self.sleep(self.settle.total_seconds())
        identity, data = await asyncio.to_thread(self._content)
        if identity != seen:
            msg = "is still being written"
            raise self._trouble(msg, is_lasting=False)
        try:
            reading = balance_in(data, account=self.account, currency=self.currency, origin=Origin.FILE, now=now)
        except NoBalanceError as error:
            raise self._trouble(str(error)) from error
        self._known = identity, reading
        return reading

    def _content(self) -> tuple[Identity, bytes]:
        """Return who the file is and what is in it, of which the beginning is enough to see that it is too long."""
        try:
            with folder_at(self.path.parent) as folder, plain_file(folder, self.path.name) as opened:
                identity = Identity.of(os.fstat(opened))
                return identity, os.pread(opened, MOST_BYTES + 1, 0)
        except SourceUnavailableError as error:
            raise self._trouble(str(error)) from error
        except OddFileError as error:
            msg = f"is not read: {error}"
            raise self._trouble(msg) from error
        except OSError as error:
            msg = f"cannot be read: {error.strerror}"
            raise self._trouble(msg) from error

    def _trouble(self, what: str, *, is_lasting: bool = True) -> BalanceUnavailableError:
        return BalanceUnavailableError(f"{printable(str(self.path), 300)[1:-1]}: {what}", is_lasting=is_lasting)
