"""A notification as JSON, for programs: the body of a webhook, and what a command reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import tzinfo
from pathlib import Path
from urllib.parse import quote

from spendwatch.domain.delivery import Reason
from spendwatch.domain.forecast import Crossing, Runway
from spendwatch.domain.month_close import ClosedMonth
from spendwatch.domain.notification import Facts, Notification
from spendwatch.domain.policy import Part
from spendwatch.domain.report import Report
from spendwatch.domain.scope import Dimension
from spendwatch.exact_json import cause_json, json_fields, json_value, period_json, position_json
from spendwatch.letters.language import Language
from spendwatch.letters.parts import clean
from spendwatch.letters.wording import Wording

SCHEMA_VERSION = 1
"""Grows when a field of the body changes its meaning; new fields do not count."""

BODY_SCHEMA = Path(__file__).with_name("body.schema.json")
"""The JSON Schema of the documents. Tests find it out anew by making them."""

_IN_SHORT = ("account", "account_name", "scope", "name", "month", "currency", "spend", "budget", "used", "threshold", "floor")


class JsonBody:
    """Makes the document of a notification."""

    def __init__(self, zone: tzinfo, *, cloudevents: bool = False, wording: Wording | None = None) -> None:
        """Write moments in that zone; with `cloudevents`, as an event of CloudEvents 1.0 in structured mode."""
        self._wording = wording or Wording(Language.EN, zone)
        self._zone = zone
        self._cloudevents = cloudevents

    def of(self, notification: Notification) -> dict[str, object]:
        """Return the whole document."""
        kind, data = notification.type, self._data(notification)
        moment = json_value(notification.created_at, self._zone)
        if not self._cloudevents:
            return {"type": kind, "timestamp": moment, "schema_version": SCHEMA_VERSION, "data": data}
        account = quote(notification.facts.scope.account, safe="")
        return {
            "specversion": "1.0",
            "id": notification.id,
            "source": f"/spendwatch/accounts/{account}" if account else "/spendwatch",
            "type": kind,
            "subject": data["scope"] or kind,
            "time": moment,
            "datacontenttype": "application/json",
            "data": {"schema_version": SCHEMA_VERSION, **data},
        }

    def rendered(self, notification: Notification) -> bytes:
        """Return the document as it is sent."""
        return as_sent(self.of(notification))

    def _data(self, one: Notification) -> dict[str, object]:
        facts, said = one.facts, one.facts.acknowledged
        return {
            **_identity(one, self._zone),
            **facts_json(facts, self._zone),
            "escalated": one.reason is Reason.ESCALATED,
            "action": self._action(one),
            "acknowledged": said and _cleaned(json_fields(said, "by", "at", "until", "comment", zone=self._zone)),
            "report": _report(facts.report, self._zone) if facts.report else None,
            "members": [self._member(each) for each in facts.members],
            "more": str(facts.more or ""),
            "summary": self._wording.subject(one),
            "text": self._wording.text(one),
        }

    def _action(self, one: Notification) -> dict[str, object] | None:
        """Return what a program needs to act on the spend."""
        drill, found = one.facts.drill, one.facts.course.spenders
        if Reason.ACTION not in {one.reason, drill and drill.reason}:
            return None
        kinds = {"api_keys": Dimension.API_KEY, "workspaces": Dimension.WORKSPACE, "models": Dimension.MODEL}
        spenders = {
            key: [
                json_fields(each, id="part.value", name="part.name", spend="spent", currency="spent.currency")
                for each in found
                if each.part.dimension is kind
            ]
            for key, kind in kinds.items()
        }
        return {**_cleaned(spenders), "steps": self._wording.steps(one)}

    def _member(self, one: Notification) -> dict[str, object]:
        """Return one message of a digest in short."""
        return {
            "type": one.type,
            **_identity(one, self._zone),
            **json_fields(one, "created_at", zone=self._zone),
            **{key: value for key, value in _cleaned(_figures(one.facts, self._zone)).items() if key in _IN_SHORT},
            **json_fields(one, available="facts.balance.available"),
            "summary": self._wording.subject(one),
        }


def as_sent(document: object) -> bytes:
    """Return a document without blanks that it does not need."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _identity(one: Notification, zone: tzinfo) -> dict[str, object]:
    return {
        **json_fields(one, alert_id="alert", notification_id="id", rule="rule.type"),
        **json_fields(one, "reason", "severity", "state", "since", zone=zone),
    }


def facts_json(facts: Facts, zone: tzinfo) -> dict[str, object]:
    """Return all figures of a message."""
    top_up, likely, balance, runway = facts.top_up, facts.forecast, facts.balance, facts.runway
    found = {
        **_figures(facts, zone),
        "balance": position_json(balance, zone) | {"stale": balance.is_stale} if balance else None,
        "runway": runway and {**json_fields(runway, "through"), "zero": _crossing(runway.zero), "floors": _floors(runway)},
        "runway_reason": "too_old" if facts.too_old and balance else None,
        "forecast": likely and json_fields(likely, "low", "likely", "high", currency="spent.currency", through="through"),
        "forecast_reason": "too_old" if facts.too_old and facts.spend else None,
        "top_up": top_up and json_fields(top_up, zone=zone, amount="amount", currency="amount.currency", seen_at="seen_at"),
        **json_fields(facts, zone=zone, by_settlement="by_settlement", unwatched="is_unwatched"),
        **json_fields(facts, zone=zone, data_until="data_until", data_lags="lags"),
        "used_on": {category.value: day.isoformat() for category, day in facts.used_on},
        **json_fields(facts, "last_bill_at", "held_since", "held_until", "held_by", zone=zone),
        "files": [{"name": name, "why": why} for name, why in facts.files],
        **json_fields(facts, "detail", "cause"),
    }
    return {**_cleaned(found), "links": {page.value: address for page, address in facts.links}}


def _cleaned(found: Mapping[str, object]) -> dict[str, object]:
    """Return the same with every text cleaned: bills may say anything."""

    def cleaned(value: object) -> object:
        match value:
            case str():
                return clean(value)
            case dict():
                return {key: cleaned(each) for key, each in value.items()}
            case list() | tuple():
                return [cleaned(each) for each in value]
            case _:
                return value

    return {key: cleaned(value) for key, value in found.items()}


def _figures(facts: Facts, zone: tzinfo) -> dict[str, object]:
    causes, spike, two = facts.course.causes, facts.spike, facts.discrepancy
    return {
        **json_fields(facts, account="scope.account", account_name="account_name", scope="scope.label", name="name"),
        **json_fields(facts, "owner"),
        **period_json(facts.period),
        "currency": _currency(facts),
        **json_fields(facts, "spend", "counts", pay_as_you_go="split.pay_as_you_go", subscription="split.subscription"),
        "subscribed": [cause_json(cause, "spend") for cause in facts.subscribed.all],
        **json_fields(facts, "budget", "budget_before", "used"),
        "threshold": facts.threshold or None,
        **json_fields(facts, "reached_at", "also"),
        "next_threshold": facts.next_threshold or None,
        **json_fields(facts, "next_at", "earlier", "earlier_at", "floor", zone=zone),
        "foreign": [json_fields(money, "amount", "currency") for money in facts.foreign],
        "closed": _closed(facts.closed) if facts.closed else None,
        "spike": spike
        and {
            **json_fields(spike, day="day", spend="found.spend", currency="found.spend.currency", complete="is_complete"),
            **json_fields(spike, usual_low="found.low", usual_high="found.high", min="least"),
            "also": [json_fields(one, "name", "scope", "spend", usual_low="low", usual_high="high") for one in spike.also],
        },
        **json_fields(facts, before="discrepancy.before"),
        "series": [
            {"series": series, "spend": json_value(money), "currency": money.currency}
            for series, money in (two.by_series if two else ())
        ],
        **json_fields(facts, uncounted="discrepancy.lacking"),
        "uncounted_on": json_value(two.days) if two and two.lacking else [],
        "bills": [two.file] if two and two.file else [],
        "plan_orders": [
            {
                **json_fields(one, commodity="commodity.value", category="category", ordered_on="day"),
                "ends": one.ends or None,
                **json_fields(one, spend="spent", currency="spent.currency", ordered_before="before", renewed_on="renewed"),
            }
            for one in facts.plans
        ],
        "first_costs": [
            {
                **_part(one.part),
                **json_fields(one, category="category", since="day", spend="spent", currency="spent.currency"),
                "by": list(map(_part, one.by)),
            }
            for one in facts.firsts
        ],
        "growth": [cause_json(cause, "recent") for cause in causes.all],
        "makes_most": [{**_part(part), "share": json_value(share)} for part, share in causes.main],
        "daily": [
            {"day": day.isoformat(), "spend": json_value(spend), "currency": spend.currency}
            for day, spend in facts.course.daily
        ],
        **json_fields(facts, covers="exposure.covers", plans="exposure.plans", stops="exposure.stops"),
    }


def _closed(closed: ClosedMonth) -> dict[str, object]:
    return {
        "figures": [json_fields(one, "name", "scope", "spend", "budget", "before") for one in closed.figures],
        "forecasts": [json_fields(one, "through", "low", "likely", "high") for one in closed.forecasts],
        "corrections": [
            {"month": month, "before": json_value(before), "spend": json_value(now)}
            for month, before, now in closed.corrections
        ],
        **json_fields(closed, "ends_on"),
    }


def _part(part: Part) -> dict[str, object]:
    return json_fields(part, "dimension", "value", "name")


def _report(report: Report, zone: tzinfo) -> dict[str, object]:
    """Return the figures of a scheduled report."""
    line = ("name", "spend", "before", "budget", "used", "expected")
    accounts = [
        {
            **json_fields(one, account="account", currency="whole.spend.currency"),
            **json_fields(one.whole, *line),
            **json_fields(one, "available", "data_until", stale="is_stale", zone=zone),
            "workspaces": [json_fields(each, *line) for each in one.workspaces],
            "more": str(one.more or ""),
            "causes": [cause_json(cause, "spend") for cause in one.causes.all],
        }
        for one in report.accounts
    ]
    fields = json_fields(report, "cadence", "due", "before", "csv", final="is_final", zone=zone)
    return {**fields, **_cleaned({"accounts": accounts})}


def _crossing(one: Crossing) -> dict[str, object]:
    return json_fields(one, "soonest", "likely", "latest")


def _floors(runway: Runway) -> list[dict[str, object]]:
    return [json_fields(floor, floor="level") | _crossing(floor) for floor in runway.floors]


def _currency(facts: Facts) -> str | None:
    day, two = facts.spike.found if facts.spike else None, facts.discrepancy
    money = facts.spend or facts.floor or facts.budget or (day.spend if day else two.counted if two else None)
    money = money or next((one.spent for one in facts.firsts), None)
    return money.currency if money else facts.balance.currency if facts.balance else None
