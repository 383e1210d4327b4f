"""The catalogue of texts: what the code asks for is there, in both languages, and nothing else is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path

import pytest

import spendwatch
from spendwatch.letters import words
from spendwatch.letters.language import Language
from spendwatch.letters.texts import placeholders, read_texts

CONTENT = files("spendwatch.letters").joinpath("texts.toml").read_text(encoding="utf-8")
TEXTS = read_texts(CONTENT)
PACKAGE = Path(spendwatch.__file__).parent
LETTERS = ("head", "letter", "advice", "figures", "charts", "words", "reader", "balance_figures", "report_figures", "own_words")
OTHERS = ("cli/doctor", "cli/explain", "views/explanation", "web/formats")
NAME_AT = {"text": 0, "joined": 0, "row": 0, "of_rule": 0, "text_in": 1}
"""Which argument names the text, by what is called."""
SAME = {"Token Plan", "Coding Plan", "API Key {name}"}
"""What Chinese readers call so, too."""


PASSED_ON = {
    "reader: text_in(self.language, name, of)",
    "reader: self.text(name)",
    "own_words: super().text(notification)",
    "own_words: Wording.text(self, notification)",
}
"""Calls that name no text themselves: whoever calls their function does. Or they want a whole letter."""


OTHER_ROWS = {("row", file) for file in OTHERS}
"""Lines of tables on a screen."""


@dataclass(frozen=True, slots=True)
class Use:
    """A call that asks for one of these texts, and fills in these names itself."""

    source: str
    names: tuple[str, ...]
    own: frozenset[str]
    known: frozenset[str]
    """What is filled in besides."""


def _strings(node: ast.AST) -> Iterator[str]:
    yield from (one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str))


def _given(name: str, scope: ast.AST) -> Iterator[ast.expr]:
    """Yield what a variable may be."""
    for one in ast.walk(scope):
        if isinstance(one, ast.Assign | ast.For):
            targets = one.targets if isinstance(one, ast.Assign) else [one.target]
            if name in {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}:
                yield one.value if isinstance(one, ast.Assign) else one.iter


def _names(node: ast.expr, *scopes: ast.AST) -> Iterator[str]:
    """Yield every text that may be asked for: what the expression may be, whatever is decided."""
    match node:
        case ast.Name(id=name):
            yield from (text for scope in scopes for given in _given(name, scope) for text in _strings(given))
        case ast.IfExp(body=body, orelse=other):
            yield from (*_names(body, *scopes), *_names(other, *scopes))
        case ast.Call(func=ast.Attribute(value=table, attr="get"), args=[_, other]):
            yield from (*_names(table, *scopes), *_names(other, *scopes))
        case ast.Subscript(value=table):
            yield from _names(table, *scopes)
        case _:
            yield from _strings(node)


def _uses(file: str) -> Iterator[Use]:
    module = ast.parse((PACKAGE / f"{file}.py").read_text(encoding="utf-8"))
    for part in module.body:
        functions: list[ast.AST] = [one for one in ast.walk(part) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
        for scope in functions or [part]:
            for call in ast.walk(scope):
                called = ast.unparse(call.func) if isinstance(call, ast.Call) else ""
                receiver, _, method = called.rpartition(".")
                source = f"{file.removeprefix('letters/')}: {ast.unparse(call)}"
                if (
                    not isinstance(call, ast.Call)
                    or method not in NAME_AT
                    or source in PASSED_ON
                    or (method, file) in OTHER_ROWS
                ):
                    continue
                name, *of = call.args[NAME_AT[method] :]
                form = "rules.*.{}" if method == "of_rule" else "{}.*" if of and method in {"text", "text_in"} else "{}"
                own = frozenset(keyword.arg or "**" for keyword in call.keywords if method != "row")
                fills = method != "text_in" and (receiver in {"", "words"} or file == "letters/words")
                known = frozenset(words.KNOWN) if fills else frozenset[str]()
                yield Use(source, tuple(map(form.format, _names(name, scope, module))), own, known)


USES = [use for file in (*(f"letters/{name}" for name in LETTERS), *OTHERS) for use in _uses(file)]


def _asked(use: Use, language: Language) -> dict[str, str]:
    return {one: text for one, text in TEXTS[language].items() if any(fnmatchcase(one, name) for name in use.names)}


@pytest.mark.parametrize("use", USES, ids=lambda use: use.source[:80])
def test_every_text_that_the_code_asks_for_is_there_and_every_placeholder_of_it_is_filled(use: Use) -> None:
    assert use.names
    for name in use.names:
        assert any(fnmatchcase(one, name) for one in TEXTS[Language.EN]), name
    for language in Language:
        wanted = frozenset[str]().union(*map(placeholders, _asked(use, language).values()))
        assert wanted - use.own <= use.known
        assert use.own - {"**"} <= wanted


def test_no_text_and_no_value_is_superfluous() -> None:
    asked = {one for use in USES for one in _asked(use, Language.EN)} | {"template_failed"}
    assert set(TEXTS[Language.EN]) - asked - {one for one in TEXTS[Language.EN] if one.startswith("units_of.")} == set()
    wanted = frozenset[str]().union(*map(placeholders, TEXTS[Language.EN].values()))
    assert set(words.KNOWN) - wanted == set()


def test_no_chinese_text_was_forgotten_in_english() -> None:
    texts = TEXTS[Language.ZH].values()
    forgotten = {one for one in texts if re.search(r"[A-Za-z]{2}", re.sub(r"\{\w+\}", "", one)) and one.isascii()}
    assert forgotten == SAME


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('comma = [", ", "、"]', 'comma = [", "]', "comma"),
        ('links.recharge = ["Recharge", "充值"]', "", "links.recharge"),
        ("links.recharge =", "links.rechagre =", "links.rechagre, links.recharge"),
        ('origins.file = ["from its file",', 'origins.file = ["from {file}",', "origins.file"),
        ('between = ["{low} to {high}",', 'between = ["{low} to {hihg}",', "between"),
        ('[rules."bills.stale"]', '[rules."bills.stael"]', "rules.bills.stael, rules.bills.stale"),
        ('repeated = ["The configuration still has mistakes", "配置仍有错误"]', "", "rules.config.rejected.repeated"),
    ],
)
def test_a_catalogue_that_lacks_something_or_has_too_much_is_refused(before: str, after: str, said: str) -> None:
    assert before in CONTENT
    with pytest.raises(ValueError, match=rf": {re.escape(said)}$"):
        read_texts(CONTENT.replace(before, after))
