"""Shows alerts in a Prometheus Alertmanager: it routes, groups and silences them by its own rules."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from spendwatch.channels.http_channel import Post
from spendwatch.channels.program_settings import AlertmanagerConfig
from spendwatch.channels.programs import ProgramChannel, alert_name, is_over
from spendwatch.domain.notification import Delivery, Notification

_GOOD_FOR = timedelta(minutes=5)
"""An alert that is not posted again for so long is over: nobody tells it so if we are gone."""


class AlertmanagerChannel(ProgramChannel[AlertmanagerConfig]):
    """An Alertmanager. It keeps no alert across a restart, and none that is not posted again and again."""

    repeats = True

    def _document(self, told: Sequence[Notification]) -> object:
        return list(map(self._alert, told))

    def _alert(self, one: Notification) -> dict[str, object]:
        details = dict(self._details(one))
        # Labels are the alert's identity: nothing may be among them that changes while it fires.
        labels = dict(self._config.labels) | {name: details[name] for name in ("account", "scope") if name in details}
        labels |= {"alertname": alert_name(one), "alert_id": one.alert, "severity": one.severity.value}
        alert: dict[str, object] = {
            "labels": labels,
            "annotations": {"description": details.pop("text", ""), **details},
            "startsAt": one.since.astimezone(UTC).isoformat(),
        }
        return alert | ({"endsAt": one.created_at.astimezone(UTC).isoformat()} if is_over(one) else {})

    def _request(self, delivery: Delivery, body: bytes, now: datetime) -> Post:  # noqa: ARG002 -- it knows no ids of messages
        ends = (now + _GOOD_FOR).astimezone(UTC).isoformat()
        alerts = [{"endsAt": ends, **alert} for alert in json.loads(body)]
        return Post(
            f"{self._config.url.rstrip('/')}/api/v2/alerts", {"content-type": "application/json"}, json.dumps(alerts).encode()
        )
