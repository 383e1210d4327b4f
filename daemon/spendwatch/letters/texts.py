"""The texts of messages in every language: `texts.toml` has them side by side."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from spendwatch.domain.alert import Rule
from spendwatch.domain.balance import Explanation
from spendwatch.domain.balance_reading import Origin
from spendwatch.domain.commodity import Category, Cover
from spendwatch.domain.delivery import Cadence, HoldReason, Reason
from spendwatch.domain.failure import Failure
from spendwatch.domain.period import PeriodKind
from spendwatch.domain.policy import Page, Severity
from spendwatch.domain.scope import Counts, Portion
from spendwatch.letters.language import Language

FOR_EACH: Mapping[str, type[StrEnum]] = {
    "severities": Severity,
    "tags": Reason,
    "covers": Cover,
    "categories": Category,
    "explained": Explanation,
    "origins": Origin,
    "within": PeriodKind,
    "budgets": PeriodKind,
    "spans": PeriodKind,
    "spans_before": PeriodKind,
    "portions": Portion,
    "spent": Counts,
    "budget_of": Counts,
    "amount_of": Counts,
    "links": Page,
    "advice_endpoint": Failure,
    "held": HoldReason,
    "digest_leads": HoldReason,
    "reports": Cadence,
}
"""The tables that have a text for each member of an enumeration."""
OF_RULES = {"fired", "repeated", "resolved", "subject", "lead", "rule"}
"""What is said of each rule, and of two in special cases."""
_OPTIONAL = {"subject": ["", ""], "lead": ["", ""]}
_SPECIAL = {"below_zero", "silent_account"}
_PLACEHOLDER = re.compile(r"\{(\w+)")


def text_in(language: Language, name: str, of: str = "", missing: str | None = None) -> str:
    """Return a text with its placeholders; `of`: for which member of its table; `missing`: where there is none."""
    texts, key = _texts()[language], f"{name}.{of}" if of else name
    return texts[key] if missing is None else texts.get(key, missing)


@cache
def placeholders(form: str) -> frozenset[str]:
    """Return the names that a text wants filled in."""
    return frozenset(_PLACEHOLDER.findall(form))


@cache
def _texts() -> Mapping[Language, Mapping[str, str]]:
    # Read when the first message is put into words: no command pays for it that says nothing.
    return read_texts(files("spendwatch.letters").joinpath("texts.toml").read_text(encoding="utf-8"))


def read_texts(content: str) -> Mapping[Language, Mapping[str, str]]:
    """Return the texts of each language by name, or raise `ValueError` with all that is missing, superfluous or unlike."""
    found = tomllib.loads(content)
    wanted = {table: set(kind) for table, kind in FOR_EACH.items()} | {"rules": set(Rule) | _SPECIAL}
    wrong = [f"{table}.{one}" for table, members in wanted.items() for one in members ^ set(found.get(table, ()))]
    for rule, texts in found.get("rules", {}).items():
        found["rules"][rule] = _OPTIONAL | texts
        wrong += [f"rules.{rule}.{one}" for one in OF_RULES ^ set(_OPTIONAL | texts)]
    pairs = dict(_flat(found))
    wrong += [name for name, pair in pairs.items() if len(pair) != len(Language) or len(set(map(placeholders, pair))) > 1]
    if wrong:
        msg = f"texts.toml: missing, superfluous or with other placeholders: {', '.join(sorted(wrong))}"
        raise ValueError(msg)
    return {language: {name: pair[place] for name, pair in pairs.items()} for place, language in enumerate(Language)}


def _flat(found: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, list[str]]]:
    for name, value in found.items():
        if isinstance(value, list):
            yield f"{before}{name}", value
        else:
            yield from _flat(value, f"{before}{name}.")
