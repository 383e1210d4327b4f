"""What every channel may be spared: quiet hours, and many messages at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from spendwatch.domain.delivery import Cadence, QuietHours, Route, Schedule
from spendwatch.domain.errors import printable
from spendwatch.domain.policy import Severity
from spendwatch.fields import Closed, Zone, one_text, refuse

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_CLOCK = re.compile(r"([0-5]?[0-9]) ([01]?[0-9]|2[0-3])", re.ASCII)
_CRON_FIELDS, _LEAP_YEAR = 5, 2028
_MIDNIGHT = "24:00"
_UNLIMITED, _MOST = "unlimited", 1000
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAYS: Mapping[str, frozenset[int]] = {
    "weekdays": frozenset(range(5)),
    "weekends": frozenset({5, 6}),
    **{name: frozenset({number}) for number, name in enumerate(_WEEKDAYS)},
}


def _time_of_day(value: object) -> str:
    text = one_text(value)
    if text != _MIDNIGHT and not _TIME.fullmatch(text):
        refuse(f"not a time of day: {printable(text)}; write it like 08:00")
    return text


def _most(value: object) -> int:
    text = one_text(value)
    if text == _UNLIMITED:
        return 0
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= _MOST):
        refuse(f"must be a whole number from 1 to {_MOST}, or {_UNLIMITED}, not {printable(text)}")
    return int(text)


def _a_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


TimeOfDay = Annotated[str, PlainValidator(_time_of_day, json_schema_input_type=str)]
_Day = Literal["weekdays", "weekends", "mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Days = Annotated[list[_Day], BeforeValidator(_a_list, json_schema_input_type=list[_Day] | _Day), Field(min_length=1)]


class QuietHoursPart(Closed):
    """A time of day in which a channel keeps quiet."""

    from_: TimeOfDay = Field(alias="from")
    to: TimeOfDay
    zone: Zone | None = None
    """Left out: the billing time zone."""
    days: Days | None = None
    """The days on which it begins; left out: every day."""
    except_: list[Severity] = Field(alias="except", default=[])
    hold_overdue: bool = False

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.from_ == _MIDNIGHT:
            refuse("from: the day begins at 00:00")
        if self.from_ == self.to:
            refuse(f"from and to are both {self.to}: for the whole day write from 00:00 to {_MIDNIGHT}")
        return self

    def hours(self, zone: ZoneInfo) -> QuietHours:
        """What it means."""
        days = frozenset().union(*(_DAYS[day] for day in self.days)) if self.days else frozenset(range(len(_WEEKDAYS)))
        end = None if self.to == _MIDNIGHT else time.fromisoformat(self.to)
        return QuietHours(
            time.fromisoformat(self.from_), end, self.zone or zone, days, frozenset(self.except_), self.hold_overdue
        )

    def line(self, zone: ZoneInfo) -> str:
        """What it means, in one sentence."""
        days = f" on {', '.join(self.days)}" if self.days else ""
        passing = [*(one.value for one in self.except_), *([] if self.hold_overdue else ["overdue"])]
        besides = f", except {' and '.join(passing)}" if passing else ""
        return f"quiet from {self.from_} to {self.to} ({(self.zone or zone).key}){days}{besides}"


@dataclass(frozen=True, slots=True)
class CronDays:
    """The days on which something is due by cron's five fields."""

    text: str

    def __call__(self, day: date) -> bool:
        """Return whether it is due on that day."""
        return self.next(day) == day

    def next(self, day: date) -> date | None:
        """Return the first day from that one on."""
        due: datetime | None = _trigger(self.text).get_next_fire_time(None, datetime.combine(day, time(), UTC))
        return due.date() if due else None


@lru_cache(maxsize=64)
def _trigger(text: str) -> Any:  # noqa: ANN401 -- APScheduler has no types
    from apscheduler.triggers.cron import CronTrigger  # noqa: PLC0415 -- few configurations need it

    return CronTrigger.from_crontab(text, timezone=UTC)


def _by_cron(cadence: Cadence, fields: Sequence[str]) -> Schedule:
    minute, hour, day, _, weekday = fields
    if not _CLOCK.fullmatch(f"{minute} {hour}"):
        msg = f"a report comes once a day: write one minute and one hour, like 0 9, not {printable(f'{minute} {hour}')}"
    elif any(map(str.isdigit, weekday)):
        msg = f"crons differ in what {printable(weekday)} is as a day of the week: write mon to sun"
    elif day != "*" and weekday != "*":
        msg = "crons differ in what a day of the month and a day of the week mean together: write * for one of them"
    else:
        days, first = CronDays(" ".join(fields)), date(_LEAP_YEAR, 1, 1)
        if days.next(first):  # one that never comes is looked for until the year 9999
            found = [one.day for count in range(366) if days(one := first + timedelta(days=count))]
            return Schedule(cadence, time(int(hour), int(minute)), min(found) if weekday == "*" else 1, days)
        msg = f"never comes: {printable(days.text)}"
    raise ValueError(msg)


def _schedule(cadence: Cadence, days: Mapping[str, int], wanted: str) -> PlainValidator:
    """Return what reads a day and a time, or the five fields of cron; `wanted` says which days there are."""

    def read(value: object) -> Schedule:
        if len(fields := one_text(value).split()) == _CRON_FIELDS:
            return _by_cron(cadence, fields)
        day, _, at = one_text(value).rpartition(" ")
        if not _TIME.fullmatch(at):
            refuse(f"not a time of day: {printable(at)}; write it like 09:00")
        if day.strip() not in days:
            refuse(f"must be {wanted}, not {printable(one_text(value))}")
        return Schedule(cadence, time.fromisoformat(at), days[day.strip()])

    return PlainValidator(read, json_schema_input_type=str)


_Daily = Annotated[Schedule, _schedule(Cadence.DAILY, {"": 0}, "a time of day alone, like 09:00")]
_Weekly = Annotated[
    Schedule,
    _schedule(
        Cadence.WEEKLY, {day: number for number, day in enumerate(_WEEKDAYS)}, "a day of the week and a time, like mon 09:00"
    ),
]
_Monthly = Annotated[
    Schedule, _schedule(Cadence.MONTHLY, {str(day): day for day in range(1, 29)}, "a day from 1 to 28 and a time, like 5 09:00")
]


class DigestPart(Closed):
    """When a channel gets reports."""

    daily: _Daily | None = None
    weekly: _Weekly | None = None
    monthly: _Monthly | None = None

    @property
    def schedules(self) -> tuple[Schedule, ...]:
        """What it means."""
        return tuple(filter(None, (self.daily, self.weekly, self.monthly)))

    @property
    def lines(self) -> tuple[str, ...]:
        """The same, in sentences for `check`."""
        return tuple(map(_line, self.schedules))


def _line(one: Schedule) -> str:
    what = f"{one.cadence} report{' of the month before' if one.cadence is Cadence.MONTHLY else ''}"
    if isinstance(one.days, CronDays):
        return f"{what} by cron ({one.days.text})"
    day = {Cadence.DAILY: "", Cadence.WEEKLY: f" on {_WEEKDAYS[one.day % 7]}", Cadence.MONTHLY: f" on day {one.day}"}
    return f"{what}{day[one.cadence]} at {one.at:%H:%M}"


QuietHoursParts = Annotated[
    list[QuietHoursPart], BeforeValidator(_a_list, json_schema_input_type=list[QuietHoursPart] | QuietHoursPart)
]


class TemplatesPart(Closed):
    """Files with an operator's own words, in the configuration's folder."""

    subject: str | None = None
    text: str | None = None


class Routed(Closed):
    """What a channel of any type is spared, and in which words it speaks."""

    usual_max: ClassVar[int] = 0
    needs: ClassVar[tuple[str, ...]] = ()
    """The secrets that it cannot do without: never written in the file, they come from files or the environment."""
    templates: TemplatesPart = Field(default_factory=TemplatesPart)
    max_messages: Annotated[int, PlainValidator(_most, json_schema_input_type=str)] | None = None
    """More messages in one round become one digest; 0: no limit; left out: as is usual for the type."""
    quiet_hours: QuietHoursParts = Field(default=[])
    digest: DigestPart = Field(default_factory=DigestPart)
    """When it gets reports, in the billing time zone."""
    on_ambiguous: Literal["resend", "hold"] = "resend"
    """What becomes of a message that may have arrived: it is sent again, or a person decides."""

    @model_validator(mode="after")
    def _has_its_secrets(self) -> Self:
        for name in self.needs:
            if getattr(self, name) is None and getattr(self, f"{name}_file") is None:
                refuse(f"{name}_file is missing: copy what the service shows into a file, and write the file's name here")
        return self

    def route(self, zone: ZoneInfo) -> Route:
        """What it means."""
        most = self.usual_max if self.max_messages is None else self.max_messages
        return Route(most or None, tuple(part.hours(zone) for part in self.quiet_hours), self.digest.schedules)

    def route_lines(self, zone: ZoneInfo) -> tuple[str, ...]:
        """What it means, in sentences for `check`."""
        most = self.route(zone).max_messages
        storm = (f"more than {most} messages in one round come as one",) if most else ()
        return (*storm, *(part.line(zone) for part in self.quiet_hours), *self.digest.lines)

    def route_json(self, zone: ZoneInfo) -> dict[str, object]:
        """The same for programs."""
        parts = ((part.model_dump(mode="json", by_alias=True), part.zone or zone) for part in self.quiet_hours)
        quiet = [part | {"zone": own.key} for part, own in parts]
        return {"max_messages": self.route(zone).max_messages, "quiet_hours": quiet, "reports": list(self.digest.lines)}
