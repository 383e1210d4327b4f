"""Credentials through the provider's own package: environment, profiles, roles, in its order."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from spendwatch.acs3 import AccessKey
from spendwatch.sources.trouble import EndpointError, Failure


class OfficialChain:
    """The package's default chain, which keeps and renews what it finds."""

    def __init__(self) -> None:
        """Load nothing yet: it takes its time, and is an extra that few install."""
        self._chain: Any = None

    async def current(self) -> AccessKey:
        """Return what the chain finds now."""
        try:
            found = await asyncio.to_thread(self._find)
            return AccessKey(found.access_key_id, found.access_key_secret, found.security_token or "")
        except ImportError as error:
            msg = "provider: sdk needs the package alibabacloud-credentials: install spendwatch[aliyun-credentials]"
            raise EndpointError(msg, Failure.CREDENTIALS) from error
        except Exception as error:  # noqa: BLE001 -- whatever it raises may quote an answer with credentials in it
            msg = f"the package alibabacloud-credentials finds no credentials ({type(error).__name__})"
            raise EndpointError(msg, Failure.CREDENTIALS) from None

    def forget(self) -> bool:
        """Leave that to the package."""
        return False

    def _find(self) -> Any:  # noqa: ANN401 -- the package has no types
        if self._chain is None:
            from alibabacloud_credentials.client import Client  # noqa: PLC0415 -- as said above

            # It prints on a handler of its own what it does, and with it, when it fails, the answers that it got.
            log = logging.getLogger("credentials")
            log.handlers.clear()
            log.propagate = False
            log.setLevel(logging.CRITICAL)
            self._chain = Client()
        return self._chain.get_credential()
