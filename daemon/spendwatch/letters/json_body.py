"""A notification as JSON, for programs: the body of a webhook, and what a command reads."""

from __future__ import annotations

import json
from datetime import tzinfo
from pathlib import Path
from urllib.parse import quote

from spendwatch.domain.alert import Acknowledgement
from spendwatch.domain.causes import Part
from spendwatch.domain.discrepancy import Discrepancy
from spendwatch.domain.forecast import Crossing, Runway
from spendwatch.domain.month_close import ClosedMonth
from spendwatch.domain.notification import Facts, Notification, Reason
from spendwatch.domain.novelty import FirstCost
from spendwatch.domain.plans import PlanOrder
from spendwatch.domain.report import Report, ReportLine
from spendwatch.domain.scope import Dimension
from spendwatch.domain.spike import Spike
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
        return json.dumps(self.of(notification), ensure_ascii=False, separators=(",", ":")).encode()

    def _acknowledged(self, said: Acknowledgement | None) -> dict[str, object] | None:
        if said is None:
            return None
        return {"by": clean(said.by), **json_fields(said, "at", "until", zone=self._zone), "comment": clean(said.comment)}

    def _data(self, notification: Notification) -> dict[str, object]:
        return {
            **json_fields(notification, alert_id="alert", notification_id="id", rule="rule.type"),
            **json_fields(notification, "reason", "severity", "state", "since", zone=self._zone),
            **facts_json(notification.facts, self._zone),
            "escalated": notification.reason is Reason.ESCALATED,
            "action": self._action(notification),
            "acknowledged": self._acknowledged(notification.facts.acknowledged),
            "report": _report(notification.facts.report, self._zone),
            "members": [self._member(one) for one in notification.facts.members],
            "more": str(notification.facts.more or ""),
            "summary": self._wording.summary(notification),
            "text": self._wording.text(notification),
        }

    def _action(self, one: Notification) -> dict[str, object] | None:
        """Return what a program needs to act on the spend."""
        drill, found = one.facts.drill, one.facts.course.spenders
        if Reason.ACTION not in {one.reason, drill and drill.reason}:
            return None

        def of(dimension: Dimension) -> list[dict[str, object]]:
            mine = (each for each in found if each.part.dimension is dimension)
            return [
                {"id": clean(each.part.value), "name": clean(each.part.name)}
                | json_fields(each, spend="spent", currency="spent.currency")
                for each in mine
            ]

        kinds = {"api_keys": Dimension.API_KEY, "workspaces": Dimension.WORKSPACE, "models": Dimension.MODEL}
        return {**{key: of(kind) for key, kind in kinds.items()}, "steps": self._wording.steps(one)}

    def _member(self, one: Notification) -> dict[str, object]:
        """Return one message of a digest in short."""
        facts = one.facts
        return {
            "type": one.type,
            **json_fields(one, alert_id="alert", notification_id="id", rule="rule.type"),
            **json_fields(one, "reason", "severity", "state", "since", "created_at", zone=self._zone),
            **{key: value for key, value in _figures(facts, self._zone).items() if key in _IN_SHORT},
            "available": json_value(facts.balance and facts.balance.available),
            "summary": self._wording.summary(one),
        }


def facts_json(facts: Facts, zone: tzinfo) -> dict[str, object]:
    """Return all figures of a message."""
    top_up, likely, balance = facts.top_up, facts.forecast, facts.balance
    return {
        **_figures(facts, zone),
        "balance": position_json(balance, zone) | {"stale": balance.is_stale} if balance else None,
        "runway": _runway(facts.runway) if facts.runway else None,
        "runway_reason": "too_old" if facts.too_old and balance else None,
        "forecast": likely and json_fields(likely, "low", "likely", "high", currency="spent.currency", through="through"),
        "forecast_reason": "too_old" if facts.too_old and facts.spend else None,
        "top_up": top_up and json_fields(top_up, zone=zone, amount="amount", currency="amount.currency", seen_at="seen_at"),
        "by_settlement": facts.by_settlement,
        "unwatched": facts.is_unwatched,
        **json_fields(facts, zone=zone, data_until="data_until", data_lags="lags"),
        "used_on": {category.value: day.isoformat() for category, day in facts.used_on},
        **json_fields(facts, "last_bill_at", "held_since", "held_until", "held_by", zone=zone),
        "files": [{"name": clean(name), "why": clean(why)} for name, why in facts.files],
        "detail": clean(facts.detail),
        "cause": facts.cause,
        "links": {page.value: address for page, address in facts.links},
    }


def _figures(facts: Facts, zone: tzinfo) -> dict[str, object]:
    exposure = facts.exposure
    return {
        "account": clean(facts.scope.account),
        "account_name": clean(facts.account_name),
        "scope": clean(facts.scope.label),
        "name": clean(facts.name),
        "owner": clean(facts.owner),
        **period_json(facts.period),
        "currency": _currency(facts),
        **json_fields(facts, "spend", "counts"),
        "pay_as_you_go": json_value(facts.split and facts.split.pay_as_you_go),
        "subscription": json_value(facts.split and facts.split.subscription),
        "subscribed": [cause_json(cause, "spend", clean) for cause in facts.subscribed.all],
        **json_fields(facts, "budget", "budget_before", "used"),
        "threshold": clean(facts.threshold) or None,
        **json_fields(facts, "reached_at"),
        "also": [clean(label) for label in facts.also],
        "next_threshold": clean(facts.next_threshold) or None,
        **json_fields(facts, "next_at", "earlier", "earlier_at", "floor", zone=zone),
        "foreign": [json_fields(money, "amount", "currency") for money in facts.foreign],
        "closed": _closed(facts.closed) if facts.closed else None,
        "spike": _spike(facts.spike) if facts.spike else None,
        **_discrepancy(facts.discrepancy),
        "plan_orders": [_plan(one) for one in facts.plans],
        "first_costs": [_first(one) for one in facts.firsts],
        "growth": [cause_json(cause, "recent", clean) for cause in facts.course.causes.all],
        "makes_most": [{**_part(part), "share": json_value(share)} for part, share in facts.course.causes.main],
        "daily": [
            {"day": day.isoformat(), "spend": json_value(spend), "currency": spend.currency}
            for day, spend in facts.course.daily
        ],
        "covers": exposure.covers,
        "plans": [clean(code) for code in exposure.plans],
        "stops": [clean(code) for code in exposure.stops],
    }


def _closed(closed: ClosedMonth) -> dict[str, object]:
    return {
        "figures": [
            {"name": clean(one.name), "scope": clean(one.scope)} | json_fields(one, "spend", "budget", "before")
            for one in closed.figures
        ],
        "forecasts": [json_fields(one, "through", "low", "likely", "high") for one in closed.forecasts],
        "corrections": [
            {"month": month, "before": json_value(before), "spend": json_value(now)}
            for month, before, now in closed.corrections
        ],
        "ends_on": json_value(closed.ends_on),
    }


def _spike(spike: Spike) -> dict[str, object]:
    return {
        **json_fields(spike, day="day", spend="found.spend", currency="found.spend.currency", complete="is_complete"),
        **json_fields(spike, usual_low="found.low", usual_high="found.high", min="least"),
        "also": [
            {"name": clean(one.name), "scope": clean(one.scope)}
            | json_fields(one, spend="spend", usual_low="low", usual_high="high")
            for one in spike.also
        ],
    }


def _discrepancy(found: Discrepancy | None) -> dict[str, object]:
    lacking = found.lacking if found else None
    return {
        "before": json_value(found.before if found else None),
        "series": [
            {"series": clean(series), "spend": json_value(money), "currency": money.currency}
            for series, money in (found.by_series if found else ())
        ],
        "uncounted": json_value(lacking),
        "uncounted_on": [day.isoformat() for day in found.days] if found and lacking else [],
        "bills": [clean(found.file)] if found and found.file else [],
    }


def _first(one: FirstCost) -> dict[str, object]:
    return {
        **_part(one.part),
        "category": one.category,
        "since": one.day.isoformat(),
        "spend": json_value(one.spent),
        "currency": one.spent.currency,
        "by": [_part(part) for part in one.by],
    }


def _plan(one: PlanOrder) -> dict[str, object]:
    return {
        "commodity": clean(one.commodity.value),
        "category": one.category,
        "ordered_on": one.day.isoformat(),
        "ends": clean(one.ends) or None,
        "spend": json_value(one.spent),
        "currency": one.spent.currency if one.spent else None,
        "ordered_before": json_value(one.before and one.before.isoformat()),
        "renewed_on": json_value(one.renewed and one.renewed.isoformat()),
    }


def _part(part: Part) -> dict[str, object]:
    return {"dimension": part.dimension, "value": clean(part.value), "name": clean(part.name)}


def _report(report: Report | None, zone: tzinfo) -> dict[str, object] | None:
    """Return the figures of a scheduled report."""
    if report is None:
        return None

    def line(one: ReportLine) -> dict[str, object]:
        return {"name": clean(one.name), **json_fields(one, "spend", "before", "budget", "used", "expected")}

    accounts = [
        {
            "account": one.account,
            "currency": one.whole.spend.currency,
            **line(one.whole),
            **json_fields(one, "available", "data_until", stale="is_stale", zone=zone),
            "workspaces": [line(each) for each in one.workspaces],
            "more": str(one.more or ""),
            "causes": [cause_json(cause, "spend", clean) for cause in one.causes.all],
        }
        for one in report.accounts
    ]
    fields = json_fields(report, "cadence", "due", "before", "csv", final="is_final", zone=zone)
    return {**fields, "accounts": accounts}


def _runway(runway: Runway) -> dict[str, object]:
    def crossing(one: Crossing) -> dict[str, object]:
        return json_fields(one, "soonest", "likely", "latest")

    floors = [json_fields(floor, floor="level") | crossing(floor) for floor in runway.floors]
    return {**json_fields(runway, "through"), "zero": crossing(runway.zero), "floors": floors}


def _currency(facts: Facts) -> str | None:
    day, two = facts.spike.found if facts.spike else None, facts.discrepancy
    money = facts.spend or facts.floor or facts.budget or (day.spend if day else two.counted if two else None)
    money = money or next((one.spent for one in facts.firsts), None)
    return money.currency if money else facts.balance.currency if facts.balance else None
