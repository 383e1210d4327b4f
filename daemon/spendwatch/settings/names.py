"""Rules for names in the configuration: ids, titles, patterns, paths."""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

from pydantic import AfterValidator

from spendwatch.domain.errors import printable
from spendwatch.domain.scope import can_fit
from spendwatch.domain.statement import ACCOUNT_ID
from spendwatch.fields import one_text
from spendwatch.settings.values import from_text, once_each, refusal

T = TypeVar("T")

LONGEST_NAME = 100
LONGEST_PATTERN = 256
_NAME = re.compile(r"(?!.*(?:__|_\Z))[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_WORKSPACE = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_ACCOUNT_ID = re.compile(ACCOUNT_ID, re.ASCII)


def name(value: object) -> str:
    """Return the name of an account, a source or a channel; environment variables must be able to spell it."""
    return _fitting(value, _NAME, "a name", "1 to 64 letters, digits, - and, between them, single _")


def title(value: object) -> str:
    """Return a text that people read: printable, on one line."""
    text = one_text(value)
    if not text.strip() or text != text.strip() or not text.isprintable() or len(text) > LONGEST_NAME:
        msg = f"must be 1 to {LONGEST_NAME} printable characters without spaces around them, not {printable(text)}"
        raise refusal(msg)
    return text


def tag_pattern(value: object) -> str:
    """Return a pattern with `*`, `?` and `[…]`; `""` fits charges that name none."""
    text = one_text(value)
    if not text.isprintable() or len(text) > LONGEST_PATTERN:
        msg = f"must be at most {LONGEST_PATTERN} printable characters, not {printable(text)}"
        raise refusal(msg)
    if not can_fit(text):
        msg = f"can never match: {printable(text)} has a set that runs backwards; write [0-9], not [9-0]"
        raise refusal(msg)
    return text


def pattern(value: object) -> str:
    """Return a pattern for a cell; bills are read without the spaces around a cell."""
    text = tag_pattern(value)
    if text != text.strip():
        msg = f"can never match: {printable(text)} has spaces around it, and bills are read without them"
        raise refusal(msg)
    return text


def part_pattern(value: object) -> str:
    """Return a pattern for one field of an instance id."""
    text = pattern(value)
    if ";" in text:
        msg = f"can never match: {printable(text)} has a semicolon, which separates fields of an instance id: write one"
        raise refusal(msg)
    return text


def place(value: object) -> str:
    """Return the text of a path or an address."""
    text = one_text(value)
    if not text.strip() or not text.isprintable():
        msg = "must be one line of printable characters"
        raise refusal(msg)
    return text


def _fitting(value: object, form: re.Pattern[str], what: str, accepts: str) -> str:
    text = one_text(value)
    if not form.fullmatch(text):
        msg = f"not {what}: {printable(text)}; accepted: {accepts}"
        raise refusal(msg)
    return text


def _workspace(value: object) -> str:
    return _fitting(value, _WORKSPACE, "a workspace id", "1 to 64 letters, digits, '.', '_' and '-'")


def _product(value: object) -> str:
    text = one_text(value)
    if not text or text != text.strip() or not text.isprintable() or len(text) > LONGEST_NAME:
        msg = f"not a product: {printable(text)}; accepted: its code as in the bills, like sfm, or the name of a FOCUS service"
        raise refusal(msg)
    return text


def _account_id(value: object) -> str:
    return _fitting(
        value, _ACCOUNT_ID, "an account id", "1 to 256 characters without blanks, as the bills write it, like 1000000000000001"
    )


def _some(items: list[T]) -> list[T]:
    if not items:
        msg = "an empty list: nobody would be notified; leave the key out to use the default"
        raise refusal(msg)
    return items


def _products_some(items: list[T]) -> list[T]:
    if not items:
        msg = "an empty list: nothing would count as spend"
        raise refusal(msg)
    return items


Name = Annotated[str, from_text(name)]
Title = Annotated[str, from_text(title)]
Pattern = Annotated[str, from_text(pattern)]
PartPattern = Annotated[str, from_text(part_pattern)]
TagPattern = Annotated[str, from_text(tag_pattern)]
PlaceText = Annotated[str, from_text(place)]
WorkspaceText = Annotated[str, from_text(_workspace)]
AccountIdText = Annotated[str, from_text(_account_id)]
ChannelNames = Annotated[list[Name], AfterValidator(once_each), AfterValidator(_some)]
Products = Annotated[list[Annotated[str, from_text(_product)]], AfterValidator(once_each), AfterValidator(_products_some)]
