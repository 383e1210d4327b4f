"""Mails as a browser shows them: at two widths, in both styles and languages. The pictures are left in `tests/artefacts/`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from browser import PROGRAM, Browser
from notices import SAMPLES, ZONE, cny
from spendwatch.letters.language import Language
from spendwatch.letters.wording import Wording

pytestmark = pytest.mark.skipif(not PROGRAM, reason="needs Chromium")

ARTEFACTS = Path(__file__).parent.parent / "artefacts"
WIDTHS = (900, 390)
SHOWN = (
    *("overdue", "balance-low-lasting", "threshold-overspent", "forecast", "balance-low-resolved", "rejected", "test"),
    *("digest", "report-monthly", "spike", "first-costs", "month-closed"),
)

# Every visible text with its colour and what is behind it; words and dates that a line break cuts.
LOOK = """
(() => {
  const clear = "rgba(0, 0, 0, 0)";
  const behind = node => {
    while (getComputedStyle(node).backgroundColor === clear && node.parentElement) node = node.parentElement;
    return getComputedStyle(node).backgroundColor;
  };
  const texts = [], broken = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement;
    if (!node.data.replace(/\\u00a0/g, " ").trim() || !parent.getClientRects().length) continue;
    texts.push([node.data.trim(), getComputedStyle(parent).color, behind(parent)]);
    for (const found of node.data.matchAll(/\\d{4}-\\d\\d-\\d\\d|[A-Za-z0-9_.]+/g)) {
      const range = document.createRange();
      range.setStart(node, found.index);
      range.setEnd(node, found.index + found[0].length);
      const lines = new Set([...range.getClientRects()].map(box => Math.round(box.top)));
      if (lines.size > 1) broken.push(found[0]);
    }
  }
  const root = document.documentElement;
  const wide = [...document.querySelectorAll("td,p,h1,h2,span,a")].filter(one => one.scrollWidth > one.clientWidth + 1 &&
    getComputedStyle(one).display !== "inline").map(one => one.textContent.trim().slice(0, 40));
  return {texts, broken, wide, scroll: root.scrollWidth - root.clientWidth};
})()
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


class Seen(NamedTuple):
    """How one mail looks."""

    texts: list[tuple[str, str, str]]
    broken: list[str]
    wide: list[str]
    scroll: int


def _luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(", ")]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG defines it."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _look(browser: Browser, width: int, *, is_dark: bool) -> Seen:
    browser.turn(width=width, is_dark=is_dark)
    return Seen(**browser.evaluate(LOOK))


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("rgb(118, 118, 118)", "rgb(255, 255, 255)") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_every_mail_fits_breaks_no_word_and_can_be_read(browser: Browser, name: str, language: Language) -> None:
    browser.show(Wording(language, ZONE).html(SAMPLES[name]), width=WIDTHS[0], is_dark=False)
    ARTEFACTS.mkdir(exist_ok=True)
    backgrounds = set()
    for width in WIDTHS:
        for is_dark in (False, True):
            seen = _look(browser, width, is_dark=is_dark)
            style = "dark" if is_dark else "light"
            if name in SHOWN:
                (ARTEFACTS / f"mail-{name}-{language.value}-{width}-{style}.png").write_bytes(browser.picture())
            where = f"{name}, {language.value}, {width} px, {style}"
            assert (seen.scroll, seen.wide) == (0, []), f"{where}: no scrolling sideways, nothing cut"
            assert seen.broken == [], f"{where}: words are broken"
            unreadable = [text for text, ink, paper in seen.texts if contrast(ink, paper) < 4.5]
            assert unreadable == [], f"{where}: contrast"
            assert len(seen.texts) > 5
            backgrounds.add((is_dark, seen.texts[-1][2]))
    assert len(backgrounds) == 2, "the dark style is another one"


def test_a_mail_with_very_large_amounts_and_long_names_still_fits_a_phone(browser: Browser) -> None:
    facts = SAMPLES["threshold"].facts
    daily = tuple((day, cny(str(1_234_567 * number))) for number, (day, _) in enumerate(facts.course.daily))
    large = replace(
        facts,
        name="Forschung und Entwicklung, Sprachmodelle, Standort Shanghai",
        account_name="Beispielgesellschaft für angewandte Forschung mbH & Co. KG",
        spend=cny("123456789.01"),
        budget=cny("145000000"),
        course=replace(facts.course, daily=daily),
    )
    for language in Language:
        html = Wording(language, ZONE).html(replace(SAMPLES["threshold"], facts=large))
        browser.show(html, width=390, is_dark=False)
        seen = _look(browser, 390, is_dark=False)
        assert (seen.scroll, seen.wide, seen.broken) == (0, [], [])
