"""The pages as a browser shows them, and every number on them beside what the commands say."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator
from decimal import Decimal
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import axe_core_python
import pytest

from bill_builder import ACCOUNT
from browser import PROGRAM, Browser
from home import RESEARCH
from past_month import MonthHome
from servers_web import WebHouse, web_house
from spendwatch.bills.client.process import ReadingProcess
from spendwatch.domain.money import plain
from spendwatch.letters.language import Language
from spendwatch.web.rendering import texts
from web_scene import furnish, long_lines

ARTEFACTS = Path(__file__).parents[1] / "artefacts"
AXE = Path(axe_core_python.__file__).parent / "axe.min.js"
WIDTHS = (1280, 768, 360)
HTML = "text/html"
LARGEST = 120_000
needs_chromium = pytest.mark.skipif(not PROGRAM, reason="needs Chromium")

PAGES = {
    "overview": "/",
    "overview-before": "/?month=2026-08",
    "workspace": f"/workspace?account={ACCOUNT}&id={RESEARCH}",
    "key": f"/key?account={ACCOUNT}&id=1200345",
    "alerts": "/alerts?all=true",
    "alert": "/alerts/ALERT",
    "bills": "/bills",
    "deliveries": "/deliveries",
    "settings": "/settings",
    "login": "/login",
}


class Figures(HTMLParser):
    """Collects the exact values of a page by where they stand: account, row, name."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[tuple[str, ...], str] = {}
        self.every: list[tuple[str, str]] = []
        """Each value with the text that people read."""
        self._account = self._row = self._of = self._value = ""
        self._cells = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "data-account" in given:
            self._account, self._row = given["data-account"], ""
        if tag in {"table", "dl", "section"}:
            self._row = given.get("data-by", "")
        for name in ("data-workspace", "data-day"):
            if name in given:
                self._row, self._cells = given[name] or "-", 0
        self._of = given.get("data-of", self._of)
        if tag == "data":
            self._value = given["value"]
            self._cells += 1
            self.found.setdefault((self._account, self._row, self._of or str(self._cells)), self._value)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"td", "span"}:
            self._of = ""

    def handle_data(self, data: str) -> None:
        if self._value:
            self.every.append((self._value, data))
            self._value = ""


def dig(document: Any, path: str) -> Any:  # noqa: ANN401 -- JSON
    for part in path.split("."):
        document = document[part] if document is not None else None
    return document


@pytest.mark.parametrize("month", ["2026-09", "2026-08"])
def test_every_number_of_the_overview_is_that_of_the_commands(scene: WebHouse, month: str) -> None:
    page = scene.get(f"/?month={month}", accept=HTML)
    assert page.status_code == 200
    found = Figures(page.text).found
    status = scene.home.json("status", "--month", month)
    (account,) = status["accounts"]
    checked = 0
    names = {"spend": "spend", "budget": "budget", "forecast.likely": "forecast.likely", "forecast.low": "forecast.low"}
    names |= {"forecast.high": "forecast.high", "balance.available": "balance.available", "balance.cash": "balance.cash"}
    names |= {"balance.credit": "balance.credit", "balance.unsettled_current": "balance.unsettled_current"}
    for of, path in names.items():
        if (value := dig(account, path)) is not None:
            assert found[account["account"], "", of] == value, of
            checked += 1
    for line in account["workspaces"]:
        row = line["workspace"] or "-"
        for of in ("spend", "budget", "used", "forecast.likely"):
            if (value := dig(line, of)) is not None:
                assert found[account["account"], row, of] == value, (row, of)
                checked += 1
    days = scene.home.json("report", "--month", month, "--by", "day")["rows"]
    for day in days:
        assert found[account["account"], day["day"], "1"] == day["spend"]
        checked += 1
    assert checked >= 40
    assert found[account["account"], days[-1]["day"], "2"] == account["spend"], "the last day's total is the month's"


def test_what_the_money_went_to_is_that_of_report(scene: WebHouse) -> None:
    page = scene.get("/", accept=HTML).text
    tables = dict(re.findall(r'(?s)<table data-by="([^"]+)">(.*?)</table>', page))
    assert set(tables) == {"model", "api_key", "type", "tag:team"}
    for column, table in tables.items():
        rows = scene.home.json("report", "--by", column)["details"]
        shown = [value for value, _ in Figures(table).every]
        assert shown[0::2] == [row["spend"] for row in rows]
        assert shown[1::2] == [row["share"] for row in rows]


@pytest.mark.parametrize(("name", "column", "value"), [("workspace", "workspace", RESEARCH), ("key", "api_key", "1200345")])
def test_every_number_of_a_part_is_that_of_the_commands(scene: WebHouse, name: str, column: str, value: str) -> None:
    def report(by: str) -> list[dict[str, Any]]:
        return list(scene.home.json("report", "--by", by, "--where", f"{column}={value}")["details"])

    page = scene.get(PAGES[name], accept=HTML).text
    (whole,), days = report(column), report("day")
    lines = scene.home.json("status")["accounts"][0]["workspaces"]
    budgets = [budget for line in lines for budget in line["budgets"] if value in budget["scope"].split(":")[1].split("/")]
    head = [whole["spend"]]
    if name == "workspace":
        (line,) = (one for one in lines if one["workspace"] == value)
        head = [line["spend"], line["used"], line["budget"], whole["previous"]]
        head += [line["forecast"][bound] for bound in ("likely", "low", "high")]
    else:
        head.append(whole["previous"])
    totals = [plain(sum((Decimal(day["spend"]) for day in days[: number + 1]), Decimal(0))) for number in range(len(days))]
    course = [number for day, total in zip(days, totals, strict=True) for number in (day["spend"], total)]
    finer = [budget[of] for budget in budgets for of in ("spend", "budget", "used")]
    columns = re.findall(r'<table data-by="([^"]+)">', page)
    tops = [row[of] for one in columns for row in report(one) for of in ("spend", "share")]
    assert (len(budgets), len(columns)) == ((2, 4) if name == "workspace" else (1, 4))
    assert [number for number, _ in Figures(page).every] == [*head, *course, *finer, *tops]


def numbers_in(document: object) -> set[str]:
    match document:
        case dict():
            return {one for value in document.values() for one in numbers_in(value)}
        case list():
            return {one for value in document for one in numbers_in(value)}
        case _:
            return {str(document)}


def test_every_amount_of_an_alert_is_that_of_explain(scene: WebHouse) -> None:
    seen = 0
    for alert in (one["id"] for one in scene.home.json("status")["alerts"]):
        page, document = Figures(scene.get(f"/alerts/{alert}", accept=HTML).text), scene.home.json("explain", alert)
        known, found = numbers_in(document), [value for value, _ in page.every]
        assert {*found} <= known, alert
        if (spend := document["decision"]["spend"]) is not None:
            assert found[:2] == [spend, document["now"]["spend"]]
        causes = [number for cause in document["causes"] for number in (cause["spend"], cause["share"])]
        assert found[len(found) - len(causes) :] == causes
        seen += len(found)
    assert seen > 30


def test_bills_and_deliveries_are_those_of_the_lists(scene: WebHouse) -> None:
    bills = scene.get("/bills", accept=HTML).text
    statements = scene.home.json("ledger", "list")["statements"]
    shown = re.findall(r'<td class="number">([\d,]+)</td>', bills)
    assert shown == [f"{one[of]:,}" for one in statements for of in ("lines", "new", "changed", "gone")]
    assert len(shown) == 8
    page, listed = scene.get("/deliveries", accept=HTML).text, scene.home.json("deliveries")["deliveries"]
    assert re.findall(r'href="/alerts/(\w+)">', page) == [one["alert"] for one in listed]
    settled = [one["settled_at"] or one["next_attempt_at"] or one["due_at"] for one in listed]
    assert re.findall(r'<time datetime="([^"]+)">', page) == settled


def test_the_parts_of_each_table_add_up_to_the_whole(scene: WebHouse) -> None:
    tables = dict(re.findall(r'(?s)<table data-by="([^"]+)">(.*?)</table>', scene.get("/?month=2026-08", accept=HTML).text))
    for column, table in tables.items():
        parts = [text[:-1] for _, text in Figures(table).every if text.endswith("%")]
        tenths = [0 if one == "<0.1" else round(float(one) * 10) for one in parts]
        assert 0 < len(tenths) <= 6
        assert sum(tenths) == 1000, column


def test_every_month_leads_to_the_ones_around_it_and_this_month_is_one_of_them(scene: WebHouse) -> None:
    before, now = (scene.get(f"/?month={month}", accept=HTML).text for month in ("2026-08", "2026-09"))
    assert 'href="/?month=2026-09">September 2026 →' in before
    assert 'href="/?month=2026-08">← August 2026' in now
    assert "→" not in now
    december = scene.get("/?month=2026-12", accept=HTML).text
    assert "Where it goes" not in december, "a heading of nothing"


def test_alerts_come_before_what_the_money_went_to(scene: WebHouse) -> None:
    page = scene.get("/", accept=HTML).text
    places = [
        page.index(part) for part in ('data-of="spend"', 'id="alerts"', 'class="workspaces"', "Where it goes", 'id="trust"')
    ]
    assert places == sorted(places)


def test_chinese_pages_write_amounts_as_chinese_messages_do(scene: WebHouse) -> None:
    page = scene.get("/?lang=zh", accept=HTML).text
    assert ">¥" in page
    assert not re.search(r"CNY[\s\xa0]+-?\d", page)


def test_the_page_of_an_alert_is_in_chinese_to_its_durations_and_thresholds(scene: WebHouse) -> None:
    alert = next(one["id"] for one in scene.get("/api/v1/status").json()["alerts"] if one["rule"] == "spend.threshold_reached")
    page = scene.get(f"/alerts/{alert}?lang=zh", accept=HTML).text
    assert all(one in page for one in (">4 小时</option>", ">7 天</option>", ">阈值 "))
    assert " h</option>" not in page
    assert "Threshold" not in page
    assert "<td>1 条通知，最近一条 2026-09-20 12:05</td>" in page
    assert not re.search(r"CNY[\s\xa0]+-?\d", page)


def test_what_people_read_is_the_exact_value_rounded(scene: WebHouse) -> None:
    pairs = Figures(scene.get("/", accept=HTML).text).every
    assert len(pairs) > 80
    for value, text in pairs:
        number = text.replace("CNY", "").replace("\xa0", "").replace(",", "").replace("−", "-")
        exact = float(value)
        if number.endswith("%") and "." in number:
            assert abs(float(number[:-1].removeprefix("<")) - exact * 100) < 0.11, "a tenth more or less, so that parts add up"
        elif number.endswith("%"):
            assert 0 <= abs(exact) * 100 - abs(float(number[:-1])) < 1
        elif not number.startswith("<"):
            assert abs(float(number) - exact) <= 0.005


def test_every_text_is_in_both_languages_and_every_text_is_used() -> None:
    english, chinese = texts(Language.EN), texts(Language.ZH)
    assert set(english) == set(chinese)
    for name, text in english.items():
        assert text.strip()
        assert chinese[name].strip(), name
        assert re.findall(r"{\w+}", text) == re.findall(r"{\w+}", chinese[name]) or set(re.findall(r"{\w+}", text)) == set(
            re.findall(r"{\w+}", chinese[name])
        ), name
    package = files("spendwatch.web")
    sources = [one for folder in (package, package.joinpath("templates")) for one in folder.iterdir()]
    written = "".join(one.read_text() for one in sources if one.name.endswith((".j2", ".py")))
    asked = set(re.findall(r"\bt\.(\w+)", written)) | set(re.findall(r"texts\[.(\w+).\]", written))
    assert asked - {"get"} <= set(english)


@pytest.mark.parametrize(("header", "query", "language"), [
    ("zh-CN,zh;q=0.9,en;q=0.8", "", "zh-CN"), ("en-GB", "", "en"), ("", "", "en"),
    ("en", "?lang=zh", "zh-CN"), ("zh", "?lang=en", "en"),
])  # fmt: skip
def test_the_language_is_that_of_the_browser_or_the_one_asked_for(
    scene: WebHouse, header: str, query: str, language: str
) -> None:
    page = scene.get(f"/{query}", **{"accept-language": header, "accept": HTML})
    assert f'<html lang="{language}">' in page.text
    assert ("费用去向" in page.text) == (language == "zh-CN")


def test_a_language_chosen_once_stays(scene: WebHouse) -> None:
    with scene.client(accept=HTML) as client:
        client.get("/?lang=zh")
        assert "费用去向" in client.get("/").text


def test_pages_are_small_and_files_are_kept_for_good_under_a_name_that_changes_with_them(scene: WebHouse) -> None:
    page = scene.get("/", accept=HTML)
    weight = len(page.content)
    for name in re.findall(r'"(/static/[^"]+)"', page.text):
        file = scene.get(name)
        assert "immutable" in file.headers["cache-control"]
        weight += len(file.content)
    assert weight < LARGEST
    assert page.headers["cache-control"] == "no-store"
    assert scene.get("/static/page.0123456789abcdef.css").status_code == 404


def test_every_page_of_two_hundred_workspaces_is_small_and_all_of_them_are_on_some_page(crowd: WebHouse) -> None:
    seen: list[str] = []
    place: str | None = "/"
    while place:
        page = crowd.get(place, accept=HTML)
        assert (page.status_code, len(page.content) < LARGEST) == (200, True), (place, len(page.content))
        seen += re.findall(r'data-workspace="([^"]+)"', page.text)
        following = re.search(r'href="([^"]+)">\d+ more workspaces', page.text)
        place = html.unescape(following[1]) if following else None
    assert seen == [one["workspace"] for one in crowd.home.json("status")["accounts"][0]["workspaces"]]
    assert len(seen) == len({*seen}) >= 200
    behind = re.findall(r'data-workspace="([^"]+)"', crowd.get("/?offset=100000", accept=HTML).text)
    assert behind == seen[len(seen) // 50 * 50 :], "behind the last page there is the last page"
    for path in ("/alerts", "/alerts?all=true", "/bills", "/deliveries", "/settings", PAGES["workspace"]):
        page = crowd.get(path, accept=HTML)
        assert (page.status_code, len(page.content) < LARGEST) == (200, True), (path, len(page.content))


def test_names_of_any_length_leave_the_page_small(tmp_path: Path, shared_reader: ReadingProcess) -> None:
    home = MonthHome(tmp_path)
    furnish(home)
    with web_house(home, shared_reader) as house:
        house.month.drop(list(long_lines()))
        for path in ("/", "/?offset=50", "/alerts", "/bills"):
            page = house.get(path, accept=HTML)
            assert (page.status_code, len(page.content) < LARGEST) == (200, True), (path, len(page.content))
        assert house.get("/", accept=HTML).text.count("data-workspace") == 50


@pytest.mark.parametrize("path", ["/alerts", "/bills", "/deliveries"])
def test_a_list_gives_no_more_rows_than_a_small_page_has(crowd: WebHouse, path: str) -> None:
    page = crowd.get(f"{path}?limit=50", accept=HTML)
    assert (page.status_code, page.text.count('<tr><th scope="row">') <= 50) == (200, True)
    assert len(page.content) < LARGEST
    assert crowd.get(f"{path}?limit=51", accept=HTML).status_code == 400


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


@needs_chromium
@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("name", sorted(PAGES))
def test_every_page_fits_every_width_reaches_nothing_else_and_can_be_read_by_all(
    scene: WebHouse, browser: Browser, name: str, language: Language
) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    place = PAGES[name].replace("ALERT", scene.get("/api/v1/status").json()["matters"][0]["alerts"][0])
    url = f"{scene.url}{place}{'&' if '?' in place else '?'}lang={language}"
    for is_dark in (False, True):
        for width in WIDTHS:
            browser.open(url, width=width, is_dark=is_dark)
            style = f"{width}-{'dark' if is_dark else 'light'}"
            (ARTEFACTS / f"web-{name}-{language}-{style}.png").write_bytes(browser.picture())
            root = browser.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
            assert root[0] <= root[1], f"{style}: no scrolling sideways"
            assert all(one.startswith((scene.url, "data:")) for one in browser.requests), browser.requests
        browser.evaluate(AXE.read_text())
        found = browser.evaluate("axe.run().then(found => found.violations.map(one => [one.id, one.nodes[0].html]))")
        assert found == []


@needs_chromium
def test_two_hundred_hostile_names_run_no_script_and_ask_for_nothing(hostile: WebHouse, browser: Browser) -> None:
    status = hostile.get("/api/v1/status").json()
    place = f"account={ACCOUNT}&month=2026-09"
    workspace, alert = status["accounts"][0]["workspaces"][0]["workspace"], status["alerts"][0]["id"]
    key = next(row["api_key"] for row in hostile.get("/api/v1/report?by=api_key").json()["rows"] if "<" in row["api_key"])
    parts = (f"/workspace?{place}&id={quote(workspace)}", f"/key?{place}&id={quote(key)}", f"/alerts/{alert}")
    seen = 0
    for path in (
        "/alerts",
        "/bills",
        "/deliveries",
        "/settings",
        *parts,
        *(f"/?offset={first}" for first in range(0, 250, 50)),
    ):
        assert hostile.get(path).status_code == 200, path
        browser.open(f"{hostile.url}{path}", width=1280, is_dark=False)
        assert browser.evaluate("window.hit === undefined && document.querySelectorAll('script').length") == 1
        odd = "img, iframe, object, embed, svg script, base, [onerror], [onload]"
        assert browser.evaluate(f"document.querySelectorAll('{odd}').length") == 0
        assert all(one.startswith((hostile.url, "data:")) for one in browser.requests), browser.requests
        seen += browser.evaluate("document.querySelectorAll('[data-workspace]').length")
    assert seen > 200


@pytest.mark.parametrize("language", list(Language))
def test_a_report_is_one_file_that_shows_on_its_own_with_the_same_figures(
    scene: WebHouse, tmp_path: Path, language: Language, request: pytest.FixtureRequest
) -> None:
    file = tmp_path / "september.html"
    scene.home.environment["LC_ALL"] = {Language.EN: "C.UTF-8", Language.ZH: "zh_CN.UTF-8"}[language]
    assert str(file) in scene.home.call("report", "--html", str(file)).stdout
    page = file.read_text()
    assert len(page.encode()) < LARGEST
    assert Figures(page).every == Figures(scene.get(f"/?lang={language}", accept=HTML).text).every
    assert not re.search(r"<script|<a\b|href=\"(?!data:)|src=", page)
    scene.home.call("report", "--html", str(file), "--by", "model", "--json", expect=2)
    if PROGRAM:
        browser: Browser = request.getfixturevalue("browser")
        browser.show(page, width=1280, is_dark=False)
        ARTEFACTS.mkdir(exist_ok=True)
        (ARTEFACTS / f"web-report-{language}.png").write_bytes(browser.picture())
        assert {one for one in browser.requests if not one.startswith("data:")} == {(browser._place / "page.html").as_uri()}
        assert browser.evaluate("getComputedStyle(document.querySelector('.card')).borderTopStyle") == "solid", (
            "its style holds"
        )


@needs_chromium
def test_the_overview_prints_on_one_sheet(scene: WebHouse, browser: Browser) -> None:
    browser.open(f"{scene.url}/", width=1280, is_dark=False)
    sheet = base64.b64decode(browser._ask("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=True)["data"])
    (ARTEFACTS / "web-overview.pdf").write_bytes(sheet)
    assert len(re.findall(rb"/Type\s*/Page\b", sheet)) == 1
