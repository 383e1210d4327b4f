"""The API says what the commands say, to the digit; whatever else it is asked, it never breaks."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from past_month import MonthHome
from servers_web import WebHouse, web_house
from spendwatch.bills.client.process import ReadingProcess


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("status", ("status",)),
        ("status?month=2026-08", ("status", "--month", "2026-08")),
        ("report", ("report",)),
        ("report?by=model,api_key&month=2026-08", ("report", "--by", "model,api_key", "--month", "2026-08")),
        (
            "report?from=2026-09-03&to=2026-09-07&by=day",
            ("report", "--from", "2026-09-03", "--to", "2026-09-07", "--by", "day"),
        ),
        ("report?by=month", ("report", "--by", "month")),
        ("report?by=tag:team&where=model%3Dqwen*", ("report", "--by", "tag:team", "--where", "model=qwen*")),
        ("report?all_products=true&by=category", ("report", "--all-products", "--by", "category")),
        ("alerts", ("alerts",)),
        ("alerts?all=true", ("alerts", "--all")),
        ("statements", ("ledger", "list")),
        ("statements?limit=1", ("ledger", "list", "--limit", "1")),
        ("deliveries", ("deliveries", "list")),
        ("deliveries?state=delivered&limit=2", ("deliveries", "list", "--state", "delivered", "--limit", "2")),
    ],
)
def test_each_answer_is_that_of_the_command(scene: WebHouse, path: str, command: tuple[str, ...]) -> None:
    answer = scene.get(f"/api/v1/{path}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    said = scene.home.json(*command)
    assert answer.json() == said
    assert any(said[key] for key in ("accounts", "rows", "alerts", "statements", "deliveries") if key in said)


def test_the_table_for_spreadsheets_is_that_of_the_command_with_numbers_and_harmless_texts(scene: WebHouse) -> None:
    answer = scene.get("/api/v1/report?by=workspace,model&format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    assert answer.text == scene.home.call("report", "--by", "workspace,model", "--csv").stdout
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert sum(Decimal(row["spend"]) for row in rows) == Decimal(scene.home.json("report")["totals"][0]["spend"])


def test_lists_come_page_by_page_and_together_are_the_whole(scene: WebHouse) -> None:
    found: list[dict[str, Any]] = []
    path, pages = "/api/v1/deliveries?limit=2", 0
    while path:
        answer = scene.get(path)
        assert len(answer.json()["deliveries"]) <= 2
        found += answer.json()["deliveries"]
        path, pages = answer.links.get("next", {}).get("url", ""), pages + 1
    assert pages > 1
    assert found == scene.get("/api/v1/deliveries?limit=500").json()["deliveries"]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("status?month=2026-13", "month"),
        ("status?mnth=2026-09", "there is no parameter"),
        ("status?month=2026-09&month=2026-08", "given twice"),
        ("report?by=nothing", "use any of"),
        ("report?by=", "use any of"),
        ("report?where=model", "write KEY=PATTERN"),
        ("report?where=modell%3Dx", "use any of"),
        ("report?from=2026-09-07&to=2026-09-03", "is after"),
        ("report?from=2026-09-31", "not a day"),
        ("report?month=2026-09&from=2026-09-01", "either month"),
        ("deliveries?state=lost", "one of"),
        ("deliveries?limit=0", "from 1 to 500"),
        ("deliveries?limit=1e9", "from 1 to 500"),
        ("statements?offset=-1", "from 0"),
        (f"report?by={'x' * 400}", "longer than"),
    ],
)
def test_a_wrong_question_is_answered_with_what_is_wrong(scene: WebHouse, query: str, why: str) -> None:
    answer = scene.get(f"/api/v1/{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["title"], problem["status"]) == ("Bad Request", 400)
    assert why in problem["detail"]


def test_what_is_not_there_and_what_is_not_allowed_are_problems_too(scene: WebHouse) -> None:
    assert scene.get("/api/v1/nothing").status_code == 404
    assert scene.get("/api/v1/nothing").headers["content-type"] == "application/problem+json"
    with scene.client() as client:
        assert client.post("/api/v1/status").status_code == 405
    for path, status in (("/nothing-here", 404), ("/alerts/zzzz", 404), ("/?month=2026-13", 400), ("/?lang=zh&mnth=1", 400)):
        page = scene.get(path, accept="text/html")
        assert (page.status_code, page.headers["content-type"]) == (status, "text/html; charset=utf-8"), path
        assert 'role="alert"' in page.text
    assert scene.get("/api/v1/nothing", accept="text/html").headers["content-type"] == "application/problem+json"


def test_a_ledger_that_cannot_be_read_is_said(tmp_path: Path, shared_reader: ReadingProcess) -> None:
    home = MonthHome(tmp_path)
    home.furnish()
    with web_house(home, shared_reader) as house:
        assert house.get("/api/v1/status").status_code == 200
        home.state.rename(tmp_path / "elsewhere")
        house.month.app.store.database._storage._reader.dispose()  # type: ignore[attr-defined]  # what is open is the old file
        answer = house.get("/api/v1/status")
        assert answer.status_code == 503
        assert "ledger" in answer.json()["detail"]


def test_whatever_is_asked_by_the_document_the_server_never_breaks(scene: WebHouse) -> None:
    document = scene.get("/api/v1/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=f"{scene.url}/api/v1")
    asked = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)

        @settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        def look(case: Any) -> None:  # noqa: ANN401 -- theirs
            nonlocal asked
            asked += 1
            # Not every text that is a text names a column, and not every two days are a span.
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

        for mode in schemathesis.GenerationMode:
            strategy = found.ok().as_strategy(generation_mode=mode)
            given(case=strategy)(look)()
    assert asked > 50
