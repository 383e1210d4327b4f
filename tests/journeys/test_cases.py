"""Cases of a configuration: what is said when, to whom, as a file expects it; and what is wrong with such a file."""

from __future__ import annotations

import shutil
from pathlib import Path
from textwrap import dedent

import pytest

from home import RESEARCH, Home

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.furnish(account=", balance: {from: manual, cash: 900.00, floors: [500.00]}", stale_after="30h")
    home.watch(more="thresholds: [50%, 80%, {at: 100%, channels: [screen]}, forecast 120%]\nremind: 2d")
    return home


def cases(home: Home, text: str) -> str:
    path = home.folder / "cases.yaml"
    path.write_text(dedent(text))
    return str(path)


def test_the_example_fits_the_example_configuration(tmp_path: Path) -> None:
    home = Home(Path(shutil.copytree(CONFIG, tmp_path / "config")))
    shown = home.call("check", "--cases", str(home.folder / "cases.example.yaml")).stdout
    assert shown.endswith("5 cases, all as expected\n")
    assert not home.state.exists()


def test_forecasts_silence_and_reminders_are_a_matter_of_time(home: Home) -> None:
    file = cases(
        home,
        f"""\
        cases:
          - name: a forecast is told by the data of two days
            moments:
              - at: 2026-09-11 10:00
                spend: [{{workspace: {RESEARCH}, amount: 4.20, day: 2026-09-01, until: 2026-09-10}}]
                expect: []
              - at: 2026-09-12 10:00
                spend: [{{workspace: {RESEARCH}, amount: 4.20, day: 2026-09-11}}]
                expect:
                  - {{alert: spend.forecast, about: {RESEARCH}, threshold: forecast 120%}}
              - at: 2026-09-13T18:00:00+08:00
                expect:
                  - {{alert: bills.stale, channels: [screen], reason: fired}}
              - at: 2026-09-15 09:00
                expect:
                  - {{alert: bills.stale, reason: repeated}}
        """,
    )
    home.call("check", "--cases", file)


def test_what_differs_is_shown_with_its_line(home: Home) -> None:
    file = cases(
        home,
        f"""\
        cases:
          - name: as it is
            moments:
              - {{at: 2026-09-02 10:00, spend: [{{workspace: {RESEARCH}, amount: 40.00}}], expect: []}}
          - name: otherwise
            moments:
              - at: 2026-09-02 10:00
                spend: [{{workspace: {RESEARCH}, amount: 85.00}}]
                expect:
                  - {{alert: spend.threshold_reached, about: Research, threshold: 100%, channels: [screen]}}
        """,
    )
    shown = home.call("check", "--cases", file, expect=1).stdout
    assert f"{file}:5: otherwise" in shown
    assert "line 7, until 2026-09-02 10:00:" in shown
    assert "- expected, not sent: alert: spend.threshold_reached, about: Research, threshold: 100%, channels: [screen]" in shown
    assert "+ sent, not expected: alert: spend.threshold_reached, about: Research, threshold: 80%, reason: fired" in shown
    assert shown.endswith("2 cases, 1 otherwise than expected\n")
    assert "as it is" not in shown
    document = home.json("check", "--cases", file, expect=1)
    assert [(one["name"], one["line"], one["ok"]) for one in document["cases"]] == [
        ("as it is", 2, True),
        ("otherwise", 5, False),
    ]
    ((moment,),) = (one["moments"] for one in document["cases"] if not one["ok"])
    assert moment["missing"] == [
        {"alert": "spend.threshold_reached", "about": "Research", "threshold": "100%", "channels": ["screen"]}
    ]
    assert [one["threshold"] for one in moment["unexpected"]] == ["80%"]


def test_every_mistake_is_named_with_its_place(home: Home) -> None:
    file = cases(
        home,
        """\
        cases:
          - name: many
            moments:
              - at: yesterday
                spend: [{amount: 1e3, day: 2026-13-01}, {amont: 5}]
                balance: {available: 300.00, cash: 1}
                expect: [{alert: spend.treshold_reached}, {alert: balance.low, reason: fird}]
          - {name: none, moments: []}
        """,
    )
    said = home.call("check", "--cases", file, expect=78).stderr
    for line in (
        ":4:13: cases[0].moments[0].at: not a time: 'yesterday'; write it like 2026-09-12 10:00",
        ":5:26: cases[0].moments[0].spend[0].amount: not a plain amount: '1e3'",
        ":5:36: cases[0].moments[0].spend[0].day: not a day: '2026-13-01'; write it like 2026-09-12",
        ":5:50: cases[0].moments[0].spend[1].amont: unknown key; did you mean 'amount'?",
        ":6:18: cases[0].moments[0].balance: write either cash (and credit), or available",
        "expect[0].alert: there is no alert 'spend.treshold_reached'; did you mean 'spend.threshold_reached'?",
        "expect[1].reason: not known: 'fird'; one of: fired, repeated, ",
        ":8:27: cases[1].moments: is empty: at least one is needed",
    ):
        assert line in said, said


def test_what_the_configuration_does_not_know_is_a_mistake(home: Home) -> None:
    file = cases(
        home,
        """\
        cases:
          - name: unknown
            moments:
              - at: 2026-09-02 10:00
                spend: [{amount: 5, account: acne}, {amount: 5, until: 2026-09-03}]
                balance: {available: 300.00}
                expect: [{alert: balance.low, channels: [screan]}]
              - at: 2026-09-01 10:00
        """,
    )
    said = home.call("check", "--cases", file, expect=78).stderr
    for line in (
        "no account is called 'acne'; there are acme",
        "needs a `day` before it",
        "this balance is `from: manual`: write cash and credit",
        "no channel is called screan; did you mean 'screen'?",
        ":8:13: cases[0].moments[1].at: is before the moment above it",
    ):
        assert line in said, said


def test_a_file_that_is_not_there_is_named(home: Home) -> None:
    said = home.call("check", "--cases", str(home.folder / "none.yaml"), expect=78).stderr
    assert "none.yaml" in said
