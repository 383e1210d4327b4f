from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle import tags_in, workspace_in
from spendwatch.bills.instance_id import InstanceId, parse_instance_id
from spendwatch.bills.tags import canonical_tags

KEY, SPACE = "1200345", "llm-demo0a1b2c3d4e"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{KEY};{SPACE};qwen-max;output_token;app;0", InstanceId(KEY, SPACE, "qwen-max", "output_token", "app", "0")),
        ("12xxx;llm-xxx;qwen-max;output_token;app;0", InstanceId("12xxx", "llm-xxx", "qwen-max", "output_token", "app", "0")),
        (f" {KEY} ; {SPACE}\t;qwen-max; output_token;app ;0 ", InstanceId(KEY, SPACE, "qwen-max", "output_token", "app", "0")),
        (f"{KEY};{SPACE};qwen3.6-plus;input_token;;0", InstanceId(KEY, SPACE, "qwen3.6-plus", "input_token", "", "0")),
        (f";{SPACE};happyhorse-1.0-i2v;1080P;bmp;1", InstanceId("", SPACE, "happyhorse-1.0-i2v", "1080P", "bmp", "1")),
        (f"{KEY};{SPACE};qwen-max;output_token;app", InstanceId(KEY, SPACE, "qwen-max", "output_token", "app")),
        (f";{SPACE};qwen-max;output_token;app", InstanceId("", SPACE, "qwen-max", "output_token", "app")),
        (f"text_token;{SPACE};qwen-max;output_token;app", InstanceId("", SPACE, "qwen-max", "output_token", "app")),
        (f";{SPACE};qwen-audio-3.1-tts-flash;tts;0", InstanceId("", SPACE, "qwen-audio-3.1-tts-flash", "tts", "", "0")),
        (f"{KEY};;qwen-max;output_token;;0", InstanceId(KEY, "", "qwen-max", "output_token", "", "0")),
        (f"{SPACE}!cn-beijing!job-7", InstanceId("", SPACE, "", "training", "")),
        (f"sk-1;{SPACE};qwen-max;output_token;;0", InstanceId("sk-1", SPACE, "qwen-max", "output_token", "", "0")),
        (f"{KEY};{SPACE};llm-x;output_token;app;0", InstanceId(KEY, SPACE, "llm-x", "output_token", "app", "0")),
        ("", InstanceId()),
        ("spn-demo0001", InstanceId()),
    ],
)
def test_every_known_shape_gives_its_parts(text: str, expected: InstanceId) -> None:
    assert parse_instance_id(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        f"{KEY};{SPACE};qwen;max;output_token;app;0",
        f"{KEY};{SPACE};qwen-max;output_token;app;0;new",
        f"{KEY};{SPACE};qwen-max;output_token",
        f"cn-beijing;{KEY}; {SPACE} ;qwen-max",
        f"{SPACE};;qwen-max;output_token;app;0",
        f"{SPACE}!cn-beijing",
        f"a!b!{SPACE}",
        f"{SPACE}!job;x",
        SPACE,
    ],
)
def test_in_an_unknown_shape_the_field_that_begins_as_workspaces_do_is_the_workspace(text: str) -> None:
    assert parse_instance_id(text) == InstanceId(workspace=SPACE)


@pytest.mark.parametrize(
    "text",
    [
        "cn-shanghai;standard",
        f"{KEY};workspace;qwen-max;output_token;;0",
        f"{SPACE};llm-other",
        "a!b!c",
    ],
)
def test_an_unknown_shape_is_not_guessed_at(text: str) -> None:
    assert parse_instance_id(text) is None


@given(st.lists(st.sampled_from([*";!01a ", "llm-", "llm-b"]), max_size=12).map("".join))
def test_any_text_has_the_workspace_that_the_oracle_sees(text: str) -> None:
    parsed = parse_instance_id(text)
    assert (parsed.workspace if parsed else "") == workspace_in(text)
    assert parsed is None or parsed.workspace == "" or parsed.workspace.startswith("llm-")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("", ""),
        ("key:dept value:search; key:env value:prod", '{"dept":"search","env":"prod"}'),
        ("key:env value:prod; key:dept value:search;", '{"dept":"search","env":"prod"}'),
        ("key:note value:a; b", '{"note":"a; b"}'),
        ("key:empty value:", '{"empty":""}'),
        ("dept:search", '{"dept":"search"}'),
        ("env:prod;dept:search", '{"dept":"search","env":"prod"}'),
        (" dept: search ; env:prod ;", '{"dept":"search","env":"prod"}'),
        ("link:acs:oss:b;at:12:30", '{"at":"12:30","link":"acs:oss:b"}'),
        ("dept:search;billable", '{"billable":"","dept":"search"}'),
        ('{"team": "search", "env": "prod"}', '{"env":"prod","team":"search"}'),
        ('{"team": null, "n": 5, "on": true, "of": ["a"]}', '{"n":5,"of":["a"],"on":true,"team":null}'),
        ("{}", ""),
        ("search", '{"":"search"}'),
        (":search", '{"":":search"}'),
        ("key:dept value:search; key:env", '{"":"key:dept value:search; key:env"}'),
        ('["a"]', '{"":"[\\"a\\"]"}'),
        ('{"n": 1e999}', '{"":"{\\"n\\": 1e999}"}'),
        ('{"a": "\\ud800"}', '{"":"{\\"a\\": \\"\\\\ud800\\"}"}'),
    ],
)
def test_equal_tags_are_equal_texts_and_strange_ones_are_kept_whole(cell: str, expected: str) -> None:
    assert canonical_tags(cell) == expected
    assert canonical_tags(expected) == expected


@given(st.lists(st.sampled_from([*':;{}"[],1 ', "key:", " value:", "; key:", "a", "null"]), max_size=12).map("".join))
def test_any_cell_of_tags_is_read_as_the_oracle_reads_it(cell: str) -> None:
    tags = canonical_tags(cell)
    assert tags == tags_in(cell)
    assert tags == "" or all(isinstance(key, str) for key in json.loads(tags))
