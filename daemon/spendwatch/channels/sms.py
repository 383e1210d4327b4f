"""Notifies by text message through Alibaba Cloud SMS (SendSms of Dysmsapi): a template with a few short facts in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar
from urllib.parse import urlsplit
from uuid import uuid4

from spendwatch.acs3 import AccessKey, ApiRequest, signed
from spendwatch.channels.chat import CONTENT, ServiceChannel, Trouble, by_status
from spendwatch.channels.http_channel import Post, json_of
from spendwatch.channels.sms_settings import SmsConfig
from spendwatch.connection import text_of
from spendwatch.domain.errors import DeliveryError, TemporaryDeliveryError
from spendwatch.domain.notification import Delivery, Notification
from spendwatch.letters.json_body import as_sent
from spendwatch.request import HttpAnswer

_VERSION = "2017-05-25"
_LONGEST = 35
"""Characters of a variable in a notice; longer ones are refused, and so are empty ones."""
_IN_MONEY = ("spend", "budget", "available")
_LONG = timedelta(hours=1)
_ONE_NUMBER = "isv.BUSINESS_LIMIT_CONTROL"
_KEY_REFUSED = "it does not accept the AccessKey: compare key_id_file and secret_file, and allow the RAM action dysms:SendSms"


class SmsChannel(ServiceChannel[SmsConfig]):
    """Text messages, one request for each number: the provider would not say which of several it refuses."""

    service = "Alibaba Cloud SMS"
    troubles: ClassVar[Sequence[Trouble]] = (
        Trouble(_ONE_NUMBER, "this number got as many messages as are allowed in a day", pause=_LONG),
        Trouble("^(isv.DAY_LIMIT|isv.MONTH_LIMIT)", "the limit set for a day or month is reached", pause=_LONG),
        Trouble("^(isv.AMOUNT_NOT_ENOUGH|isv.OUT_OF_SERVICE)", "the account that pays for messages has no money left"),
        Trouble("^isv.(PRODUCT_UN|ACCOUNT_)", "the service is not enabled for this account, or it is blocked"),
        Trouble("^isv.(SMS_SIGNATURE|SIGN_)", "sign_name is unknown or not approved"),
        Trouble(
            "^isv.(SMS_TEMPLATE|TEMPLATE_MISSING)",
            "template is unknown or not approved, or it has other variables",
        ),
        Trouble("^(isp.RAM_PERMISSION_DENY|InvalidAccessKeyId|SignatureDoesNotMatch|Forbidden|NoPermission)", _KEY_REFUSED),
        Trouble("^InvalidTimeStamp", "the time of the request is wrong: set this machine's clock"),
        Trouble("^isv.MOBILE_NUMBER_ILLEGAL", "it does not accept this number", of_channel=False),
        Trouble("^isv.(PARAM_|TEMPLATE_PARAMS|BLACK_KEY|INVALID_)", CONTENT, of_channel=False),
        Trouble("^(isp.|Throttling|ServiceUnavailable)", "it is busy"),
    )

    @property
    def targets(self) -> Sequence[str]:
        """Each number, with its middle masked."""
        return tuple(self._config.by_target)

    def render(self, notification: Notification, target: str) -> bytes:  # noqa: ARG002 -- all get the same
        """Return the variables of the template."""
        data = self._json.of(notification)["data"]
        assert isinstance(data, dict)  # noqa: S101 -- as every body has it
        available = (data["balance"] or {}).get("available")
        return as_sent({name: _short({**data, "available": available}, fact) for name, fact in self._config.parameters.items()})

    def _request(self, delivery: Delivery, body: bytes, now: datetime) -> Post:
        query = {
            "PhoneNumbers": self._config.by_target[delivery.target].removeprefix("+"),
            "SignName": self._config.sign_name,
            "TemplateCode": self._config.template,
            "TemplateParam": body.decode(),
        }
        request = ApiRequest(urlsplit(self._config.endpoint).netloc, "SendSms", _VERSION, query)
        key = AccessKey(text_of(self._config.key_id).strip(), text_of(self._config.secret).strip())
        headers = signed(request, key, at=now, nonce=uuid4().hex)
        return Post(f"{self._config.endpoint.rstrip('/')}/?{request.canonical_query}", headers, b"")

    def _verdict(self, answer: HttpAnswer) -> str | None:
        found = json_of(answer)
        if isinstance(code := found.get("Code"), str):
            return "" if code == "OK" else f"{code} {found.get('Message', '')}"
        return None if answer.status // 100 == 2 else by_status(answer)  # noqa: PLR2004 -- the successful ones

    def _refusal(self, answer: HttpAnswer) -> DeliveryError | None:
        error = super()._refusal(answer)
        if isinstance(error, TemporaryDeliveryError) and json_of(answer).get("Code") == _ONE_NUMBER:
            error.of_channel = False
        return error


def _short(data: dict[str, object], fact: str) -> str:
    value = str(data.get(fact) or "")
    if fact == "used" and value:
        value = f"{Decimal(value):.0%}"
    if fact in _IN_MONEY and value:
        value = f"{data['currency']} {Decimal(value):,.2f}"
    return (value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…") or "-"
