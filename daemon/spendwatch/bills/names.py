"""What a bill file's name states: account, export time, relation to other files. The names follow the provider's habit."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import NamedTuple

from spendwatch.domain.period import PROVIDER_ZONE, STAMP
from spendwatch.domain.statement import AccountId, Kind

_ACCOUNT = re.compile(r"(?!20[0-9]{12}(?![0-9]))(?P<account>[0-9]{12,32})(?![0-9])", re.ASCII)
_EXPORTED = re.compile(r"(?<![0-9])(20[0-9]{12})(?![0-9])", re.ASCII)
_MILLISECONDS = re.compile(r"(?<![0-9])(1[0-9]{12})(?![0-9])", re.ASCII)
_DAY = re.compile(r"(?<![0-9])(20[0-9]{2})-?([0-9]{2})-?([0-9]{2})(?![0-9])", re.ASCII)
_DATES = re.compile(r"20[0-9]{2}(?:-?[0-9]{2}){1,5}", re.ASCII)
_PUSHED_PART = re.compile(r"(?:_|[_-]part[_-]?)([0-9]{1,5})(?:\.[a-z0-9]+)*$", re.ASCII)
_PART = re.compile(r"[_-](?:part[_-]?)?([0-9]{1,5})(?:\.[a-z0-9]+)*$", re.ASCII)
_CHUNK = re.compile(r"^part_([0-9]{1,3})_([0-9]{4})(?:\.[a-z0-9]+)*$|-(0[0-9]{4})(?:\.[a-z0-9]+)*$", re.ASCII)
"""How Azure (`part_0_0001.csv`) and AWS (`NAME-00001.csv.gz`) number the parts of an export."""
_RUN = re.compile(r"(?<![0-9])(20[0-9]{10})(?![0-9])", re.ASCII)
"""The folder of one run of an Azure export: its minute."""
_RANGE = re.compile(r"20[0-9]{2}-?[0-9]{2}-?[0-9]{2}[-_]20[0-9]{2}-?[0-9]{2}-?[0-9]{2}(?![0-9])", re.ASCII)
"""A range of days, say the month that Azure exports into a folder: it does not show when a file was written."""

_PUSHED = re.compile(r"^[0-9]+_(?:[0-9]+_)?[a-z0-9]+_(20[0-9]{4})([0-9]{2})?(?![0-9-])", re.ASCII)
_DAILY = re.compile(r"(?:billingitemdetail|instancedetail)_20[0-9]{6}(?![0-9])", re.ASCII)
_MONTHLY = re.compile(r"(?:detailmonthly|splititemdetaildaily|(?:billingitem|instance)detail)_20[0-9]{4}(?![0-9])", re.ASCII)
_COMPLETE = re.compile(r"^[0-9]+_[0-9]+_(?:[a-z]+billv2|focus)_20[0-9]{4}|(?:^|[_-])focus[_.-]", re.ASCII)
_ASKED = re.compile(r"_describeinstancebill_(20[0-9]{6})_20[0-9]{12}\.json$", re.ASCII)
_OTHER_BILLS = ("splitdetailbillv2", "costdetailbillv2", "splititemdetail")


class Told(NamedTuple):
    """The facts in a name; empty where there are none."""

    account: AccountId | None = None
    exported_at: datetime | None = None
    """When the provider wrote the file, as far as the name of the file or of a folder around it shows."""
    kind: Kind | None = None
    selection: str = ""
    """What else than the usual bill it is: each charge split over its users, say, which is the whole money once more."""
    part: int = 0
    """Which of several files of one statement; 0 where it is the only one. Inferred: the names of parts are not documented.

    Only names of the provider, which begin with an account id, those of the exports of Azure and AWS, and those in one archive
    count: exports that people number are no parts, nor are those to which a browser adds `-1`.
    """
    has_whole_month: bool = False
    """Whether the provider pushes the month so far: complete from its first day."""
    day: date | None = None
    """Which day answers of the API are about that we have asked ourselves."""


def told_by_part(name: str, part: str) -> Told:
    """Return the facts in the names of a file and of one of its parts; the part's name counts first."""
    outer = told_by(name)
    if part == name:
        return outer
    own = told_by(part, is_in_archive=True)
    return Told(**{fact: getattr(own, fact) or getattr(outer, fact) for fact in Told._fields})


def without_part(name: str) -> str:
    """Return the name without the number of the part: what the parts of one statement have in common."""
    folder, slash, own = name.casefold().rpartition("/")
    part = _CHUNK.search(own) or _PART.search(_behind_dates(own))
    start = len(own) - len(part[0]) if part else len(own)
    return f"{folder}{slash}{own[:start]}"


def told_by(name: str, *, is_in_archive: bool = False) -> Told:
    """Return the facts in the name of a file; its folders stand before it, separated by `/`."""
    *folders, own = name.casefold().split("/")
    found = _ACCOUNT.match(own)
    kind = _kind(own)
    return Told(
        account=AccountId(found["account"]) if found else None,
        exported_at=_exported(own, kind) or next(filter(None, map(_of_folder, reversed(folders))), None),
        kind=kind,
        selection=next((word for word in _OTHER_BILLS if word in own), ""),
        part=_part(own, is_in_archive=is_in_archive),
        has_whole_month=kind is Kind.SNAPSHOT and bool(_PUSHED.match(own)),
        day=_asked_day(own),
    )


def _part(name: str, *, is_in_archive: bool) -> int:
    if chunk := _CHUNK.search(name):
        return int("".join(filter(None, chunk.groups())))
    if not is_in_archive and not _ACCOUNT.match(name):
        return 0
    part = (_PART if is_in_archive else _PUSHED_PART).search(_behind_dates(name))
    return int(part[1]) if part else 0


def _asked_day(name: str) -> date | None:
    found = _ASKED.search(name)
    day = _parsed(found[1], "%Y%m%d") if found else None
    return day.date() if day else None


def _kind(name: str) -> Kind | None:
    if "daysummary" in name:
        return Kind.AGGREGATE
    if _DAILY.search(name):
        return Kind.DELTA
    return Kind.SNAPSHOT if _MONTHLY.search(name) or _COMPLETE.search(name) else None


def _exported(name: str, kind: Kind | None) -> datetime | None:
    """Return when the file was written. Pushes are named by the day of their charges, and are written on the next."""
    if found := _EXPORTED.search(name):
        return _parsed(found[1], STAMP)
    if pushed := _PUSHED.match(name):
        return _after(pushed[1] + pushed[2]) if pushed[2] else None
    if (found := _MILLISECONDS.search(name)) and kind is None:
        return datetime.fromtimestamp(int(found[1]) // 1000, PROVIDER_ZONE)
    return None


def _of_folder(name: str) -> datetime | None:
    """Return when a push into a folder of that name was written (inferred: a new folder for each push, named by its day)."""
    if found := _EXPORTED.search(name):
        return _parsed(found[1], STAMP)
    if found := _RUN.search(name):
        return _parsed(found[1], "%Y%m%d%H%M")
    found = _DAY.search(_RANGE.sub("", name))
    return _after("".join(found.groups())) if found else None


def _after(day: str) -> datetime | None:
    moment = _parsed(day, "%Y%m%d")
    return moment + timedelta(days=1) if moment else None


def _parsed(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=PROVIDER_ZONE)
    except ValueError:
        return None


def _behind_dates(name: str) -> str:
    """Return the name from behind its last date: only there can the number of a part stand."""
    return name[max((found.end() for found in _DATES.finditer(name)), default=0) :]
