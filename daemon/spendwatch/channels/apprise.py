"""Notifies through the package apprise, which says whether it worked, and nothing else."""

from __future__ import annotations

import asyncio
import logging

from spendwatch.aside import aside
from spendwatch.channels.apprise_settings import AppriseConfig
from spendwatch.channels.channel import Channel
from spendwatch.domain.errors import TemporaryDeliveryError
from spendwatch.domain.notification import Delivery, Notification

_LOOKALIKES = str.maketrans("<>@*`", "＜＞＠＊｀")
"""Nobody knows which marks its services read: what stands in bills is to mention nobody and change nothing."""


class AppriseChannel(Channel[AppriseConfig]):
    """One service of those that apprise knows."""

    def render(self, notification: Notification, target: str) -> bytes:  # noqa: ARG002 -- a service is one receiver
        """Return subject and text."""
        text = f"{self._wording.subject(notification)}\n{self._wording.text(notification)}"
        return text.translate(_LOOKALIKES).encode()

    async def send(self, delivery: Delivery) -> str:
        """Hand it over in a thread, and raise an error if apprise reports a failure."""
        body = self._rendered(delivery)
        try:
            async with asyncio.timeout(self._config.timeout.total_seconds()):
                is_taken = await aside(lambda: self._notify(body.decode()))
        except TimeoutError as error:
            msg = f"apprise did not come to an end within {self._config.timeout.total_seconds():g} s"
            raise TemporaryDeliveryError(msg, maybe_taken=True, of_channel=True) from error
        if not is_taken:
            msg = "apprise reports a failure, and no reason"
            raise TemporaryDeliveryError(msg, maybe_taken=True, of_channel=True)
        return "apprise reports success; it does not say what the service answered"

    def _notify(self, text: str) -> bool:
        from apprise import Apprise, NotifyFormat  # noqa: PLC0415 -- an extra, and it takes its time to load

        for library in ("apprise", "urllib3"):  # they log whole addresses, which hold secrets
            logging.getLogger(library).setLevel(logging.CRITICAL)
        service = Apprise()
        if not (self._config.url and service.add(self._config.url.get_secret_value().strip())):
            msg = "apprise does not know this form of address: compare url_file with its list of services"
            raise TemporaryDeliveryError(msg, of_channel=True)
        subject, _, rest = text.partition("\n")
        return bool(service.notify(body=rest, title=subject, body_format=NotifyFormat.TEXT))
