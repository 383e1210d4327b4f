"""Opens, acknowledges and resolves alerts in PagerDuty."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from spendwatch.channels.http_channel import Post
from spendwatch.channels.program_settings import PagerDutyConfig
from spendwatch.channels.programs import ProgramChannel, alert_name, is_over
from spendwatch.connection import text_of
from spendwatch.domain.errors import DeliveryError, PermanentDeliveryError, TemporaryDeliveryError
from spendwatch.domain.notification import Delivery, Notification
from spendwatch.domain.policy import Severity
from spendwatch.pacing import asked_pause
from spendwatch.request import HttpAnswer

_SEVERITY: Mapping[Severity, str] = {Severity.NOTICE: "info", Severity.WARNING: "warning", Severity.CRITICAL: "critical"}
_LONGEST_SUMMARY = 1024
_INVALID, _TOO_MANY = 400, 429
_BACK_OFF = timedelta(minutes=2)


class PagerDutyChannel(ProgramChannel[PagerDutyConfig]):
    """An integration of a service."""

    repeats = False

    def _document(self, told: Sequence[Notification]) -> object:
        one = told[0]
        if is_over(one) or one.facts.acknowledged:
            return {"event_action": "resolve" if is_over(one) else "acknowledge", "dedup_key": one.alert}
        details = self._details(one)
        also = {"also": [str(self._details(other)["summary"]) for other in told[1:]]} if told[1:] else {}
        return {
            "event_action": "trigger",
            "dedup_key": one.alert,
            "payload": {
                "summary": details["summary"][:_LONGEST_SUMMARY],
                "timestamp": details["since"],
                "severity": _SEVERITY[one.severity],
                "source": details.get("account_name") or details.get("account") or "spendwatch",
                "component": details.get("scope", ""),
                "class": alert_name(one),
                "custom_details": {**details, **also},
            },
            "client": "spendwatch",
            "links": [{"href": address, "text": page.value.replace("_", " ")} for page, address in one.facts.links],
        }

    def _request(self, delivery: Delivery, body: bytes, now: datetime) -> Post:  # noqa: ARG002 -- it knows events by their key
        event = {"routing_key": text_of(self._config.routing_key).strip(), **json.loads(body)}
        return Post(self._config.url, {"content-type": "application/json"}, json.dumps(event).encode())

    def _refusal(self, answer: HttpAnswer) -> DeliveryError | None:
        if answer.status == _INVALID:
            return PermanentDeliveryError(f"PagerDuty refuses the event: {answer.excerpt}")
        if answer.status == _TOO_MANY:
            pause = asked_pause(answer.headers, self._clock()) or _BACK_OFF
            return TemporaryDeliveryError("PagerDuty takes no more events for now", retry_after=pause, of_channel=True)
        return None
