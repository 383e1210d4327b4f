"""The YAML reader converts nothing, forgets no place, and cannot be blown up."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spendwatch.domain.errors import ConfigError
from spendwatch.yaml_text import MAX_BYTES, MAX_DEPTH, MAX_VALUES, Document, Items, Keys, Node, Place, Scalar, parse


def read(text: str) -> Document:
    return parse(text.encode(), "x.yaml")


def tree(text: str) -> Node | None:
    document = read(text)
    assert document.mistakes == []
    return document.tree


def refusals(text: str | bytes) -> list[str]:
    try:
        document = parse(text.encode() if isinstance(text, str) else text, "x.yaml")
    except ConfigError as error:
        return [str(mistake) for mistake in error.mistakes]
    return [str(mistake) for mistake in document.mistakes]


@pytest.mark.parametrize(
    "written",
    [
        "010",
        "12:30",
        "1_000",
        "no",
        "on",
        "yes",
        "true",
        ".inf",
        ".nan",
        "1e3",
        "0x1F",
        "0o17",
        "2026-09-16",
        "900.00",
        "80%",
        "12345678901234567.89",
        "+1",
        "-0",
        "=",
        "Null",
        "NULL",
        "None",
    ],
)
def test_a_value_stays_as_it_is_written(written: str) -> None:
    assert tree(f"value: {written}\n") == {"value": written}


def test_keys_stay_as_they_are_written() -> None:
    assert tree("on: 1\n010: 2\n1.0: 3\n~: 4\n") == {"on": "1", "010": "2", "1.0": "3", "~": "4"}


@pytest.mark.parametrize("written", ["", "~", "null"])
def test_only_empty_and_null_are_nothing(written: str) -> None:
    match tree(f"value: {written}\n"):
        case {"value": Scalar(is_nothing=is_nothing)}:
            assert is_nothing
        case _:
            pytest.fail("no value")


@pytest.mark.parametrize("written", ['""', "'~'", '"null"'])
def test_quoted_nothing_is_a_text(written: str) -> None:
    match tree(f"value: {written}\n"):
        case {"value": Scalar(is_nothing=is_nothing) as text}:
            assert (text, is_nothing) == (written[1:-1], False)
        case _:
            pytest.fail("no value")


@pytest.mark.parametrize(
    "file", [b"\xef\xbb\xbfa: 1\nb: [x, y]\n", b"a: 1\r\nb: [x, y]\r\n", b"---\na: 1\nb:\n- x\n- y\n...\n"]
)
def test_byte_order_marks_windows_lines_and_document_marks_do_no_harm(file: bytes) -> None:
    assert parse(file, "x.yaml").tree == {"a": "1", "b": ["x", "y"]}


def test_every_key_and_value_knows_its_place() -> None:
    root = read("a: 1\nb:\n  - name: x\n    match: {model: 万相}\n  - y\n").tree
    assert isinstance(root, Keys)
    assert (root.place, root["a"].place, root.key_place("b")) == (
        Place("x.yaml", 1, 1),
        Place("x.yaml", 1, 4),
        Place("x.yaml", 2, 1),
    )
    assert isinstance(root["b"], Items)
    first, second = root["b"]
    assert (first.place, second.place) == (Place("x.yaml", 3, 5), Place("x.yaml", 5, 5))
    assert isinstance(first, Keys)
    assert (first.key_place("match"), first["match"].place) == (Place("x.yaml", 4, 5), Place("x.yaml", 4, 12))
    assert isinstance(first["match"], Keys)
    assert first["match"]["model"].place == Place("x.yaml", 4, 20)


def test_equal_keys_are_refused_with_both_places() -> None:
    text = "a: {x: 1, x: 2}\nb: 1\na: {x: 3}\n'a': 4\n"
    assert refusals(text) == [
        "x.yaml:1:11: a.x: is here and on line 1, column 5: keep one of them",
        "x.yaml:3:1: a: is here and on line 1, column 1: keep one of them",
        "x.yaml:4:1: a: is here and on line 1, column 1: keep one of them",
    ]
    assert read(text).tree == {"a": {"x": "1"}, "b": "1"}


TWO_KEYS = "each key needs a line of its own, and a blank after its colon"


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("a: &x 1\n", "x.yaml:1:4: a: anchors (&x) are not supported: write the value there"),
        ("a: *x\n", "x.yaml:1:4: a: aliases (*x) are not supported: write the value"),
        ("*x : 1\n", "x.yaml:1:1: aliases (*x) are not supported: write the value"),
        ("a: !!int 1\n", "x.yaml:1:4: a: tags (!!int) are not supported: every value is a string"),
        ("a: !x {b: 1}\n", "x.yaml:1:4: a: tags (!x) are not supported: every value is a string"),
        ("a: ! b\n", "x.yaml:1:4: a: tags (!) are not supported: every value is a string"),
        ("<<: {b: 1}\n", "x.yaml:1:1: merge keys (<<) are not supported: write the keys themselves"),
        ("a: 1\n---\nb: 1\n", "x.yaml:2:1: a second document begins: one file, one document"),
        ("a: {{}: 1}\n", "x.yaml:1:5: a: a key must be a text, not a list or a mapping"),
        ("a: b: c\n", f"x.yaml:1:5: not readable as YAML: mapping values are not allowed in this context; {TWO_KEYS}"),
        ("a: \x07\n", "x.yaml:1:4: an invisible character: U+0007"),
        ("a: b\u2028c: d\n", "x.yaml:1:5: an invisible character: U+2028"),
    ],
)
def test_what_is_more_than_text_is_refused(text: str, refusal: str) -> None:
    assert refusals(text)[0] == refusal


def test_bytes_that_are_no_text_are_refused_with_their_line() -> None:
    assert refusals(b"a: 1\nb: \xff\n") == ["x.yaml:2:1: not UTF-8 text: save the file as UTF-8"]


def test_a_file_may_hold_one_mebibyte() -> None:
    fits = b"# " + b"x" * (MAX_BYTES - 8) + b"\na: 1\n"
    assert parse(fits, "x.yaml").tree == {"a": "1"}
    assert refusals(fits + b"#") == [f"x.yaml:1:1: larger than 1 MiB ({MAX_BYTES + 1} bytes)"]


def test_lists_may_lie_in_each_other_up_to_the_cap() -> None:
    assert not refusals("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert "nested deeper than 32 levels" in refusals("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))[0]


def _aliases(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


_BOMBS = {
    "aliases": _aliases(9),
    "many aliases": _aliases(3000),
    "brackets": "[" * 1_000_000,
    "braces": "{" * 1_000_000,
    "pairs of braces": "{a: " * 250_000,
    "dashes": "- " * 500_000,
    "question marks": "? " * 500_000,
    "deep blocks": "\n".join(" " * n + "a:" for n in range(1400)),
    "values": "- a\n" * 250_000,
    "keys": "".join(f"{n}: \n" for n in range(120_000)),
    "equal keys": "a: 1\n" * 200_000,
    "tags": "- !x a\n" * 140_000,
    "one long key": "a" * 1_000_000 + ": b",
    "escapes": '"' + "\\n" * 500_000 + '"',
    "colons": ":" * 1_000_000,
    "comments": "#\n" * 500_000,
    "folded": "a: >\n" + " b\n" * 300_000,
    "documents": "---\n" * 250_000,
    "anchors": "&a " * 300_000,
    "quotes": "'" * 1_000_000,
    "percents": "%" * 1_000_000,
}


@pytest.mark.parametrize("bomb", _BOMBS)
def test_no_file_takes_a_tenth_of_a_second(bomb: str) -> None:
    data = _BOMBS[bomb].encode()
    spent = []
    for _ in range(3):  # the quickest of three: other work on this machine is not our matter
        started = time.process_time()
        with suppress(ConfigError):
            parse(data, "x.yaml")
        spent.append(time.process_time() - started)
    assert min(spent) < 0.1


def test_more_values_than_anybody_writes_are_refused() -> None:
    assert refusals("- a\n" * (MAX_VALUES + 1))[-1].endswith(f"more than {MAX_VALUES} values")


_PIECES = st.sampled_from(
    [
        "a",
        "b: ",
        ": ",
        "- ",
        "\n",
        "  ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "&x ",
        "*x",
        "!t ",
        "<<",
        "? ",
        "'",
        '"',
        "|",
        ">",
        "#",
        "%",
        "\t",
        "~",
    ]
)


@given(st.one_of(st.text(), st.lists(_PIECES, max_size=40).map("".join)))
def test_any_text_is_read_or_refused(text: str) -> None:
    for refusal in refusals(text.encode("utf-8", "surrogatepass")):
        assert refusal.startswith("x.yaml:")


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    assert all(refusal.startswith("x.yaml:") for refusal in refusals(data))


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1))
def test_any_quoted_text_comes_back_as_it_was(text: str) -> None:
    quoted = text.replace("'", "''")
    assert tree(f"value: '{quoted}'\n") == {"value": text}
