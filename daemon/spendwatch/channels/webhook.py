"""Notifies a program: JSON over HTTPS, signed by Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import datetime, tzinfo

from spendwatch.channels.http_channel import HttpChannel, Post, json_of
from spendwatch.channels.webhook_settings import WebhookConfig, private_keys, signing_keys
from spendwatch.domain.errors import DeliveryError, PermanentDeliveryError
from spendwatch.domain.notification import Delivery, Notification
from spendwatch.domain.period import Clock
from spendwatch.letters.json_body import JsonBody
from spendwatch.request import HttpAnswer, HttpPoster

_WHOLE = re.compile(r"-?[0-9]{1,9}", re.ASCII)
_TEAMS_FAILED = b"Webhook message delivery failed"


class WebhookChannel(HttpChannel[WebhookConfig]):
    """One endpoint that takes notifications as JSON."""

    def __init__(self, config: WebhookConfig, name: str, client: HttpPoster, *, zone: tzinfo, clock: Clock) -> None:
        """Take the endpoint's settings and what is needed to reach it."""
        super().__init__(config, name, client, zone=zone, clock=clock)
        self._keys = signing_keys(config.secret)
        self._private_keys = private_keys(config.private_key)
        is_event = config.format == "cloudevents"
        self._type = "application/cloudevents+json; charset=utf-8" if is_event else "application/json"
        self._body = JsonBody(zone, cloudevents=is_event, wording=self._wording)

    def render(self, notification: Notification, target: str) -> bytes:  # noqa: ARG002 -- a webhook has one receiver
        """Return the body; its signature is made for each attempt, over the time of the attempt."""
        return self._body.rendered(notification)

    def _request(self, delivery: Delivery, body: bytes, now: datetime) -> Post:
        number, moment = str(delivery.notification.id), str(int(now.timestamp()))
        headers = {"content-type": self._type, "webhook-id": number, "webhook-timestamp": moment}
        signed = b".".join((number.encode(), moment.encode(), body))
        signatures = [("v1", hmac.digest(key, signed, hashlib.sha256)) for key in self._keys]
        signatures += [("v1a", key.sign(signed)) for key in self._private_keys]
        if signatures:
            headers["webhook-signature"] = " ".join(f"{kind},{base64.b64encode(one).decode()}" for kind, one in signatures)
        if delivery.maybe_repeated:
            headers["x-spendwatch-maybe-repeated"] = "yes"
        return Post(self._config.url, headers, body)

    def _refusal(self, answer: HttpAnswer) -> DeliveryError | None:
        """Return the error if an address takes the request and refuses in its body, as chat robots do."""
        if answer.status // 100 != 2 or not _refuses(answer):  # noqa: PLR2004 -- the successful ones
            return None
        return PermanentDeliveryError(f"HTTP {answer.status}, but the response reports an error: {answer.excerpt}")


def _refuses(answer: HttpAnswer) -> bool:
    """Return whether a body refuses what its status took: it has an `errcode` or `code` other than zero.

    A `code` from 200 to 299, or beside `"success": true`, is the way in which other gateways say that all is well.
    """
    said = json_of(answer)
    if said.get("success") is True or said.get("ok") is True:
        return False
    texts = (str(said.get(key)) for key in ("errcode", "code"))
    errcode, code = (int(text) if _WHOLE.fullmatch(text) else 0 for text in texts)
    is_ill = errcode or (code and code // 100 != 2)  # noqa: PLR2004 -- the successful ones
    return bool(is_ill) or answer.body.startswith(_TEAMS_FAILED)
