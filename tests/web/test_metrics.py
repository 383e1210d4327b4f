"""`/metrics` as Prometheus reads it, the rules and the dashboard made of it, the probes and the reload."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from home import RESEARCH, TRAINING, Home, lines_worth
from servers_postgres import free_port, missing
from servers_web import WebHouse
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.scope import Counts
from spendwatch.domain.standing import Split
from spendwatch.domain.statement import WorkspaceId
from spendwatch.jobs.overview import BudgetState, WorkspaceLine
from spendwatch.web import metrics

DEPLOY = Path(__file__).parents[2] / "deploy"


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Return each value by its name and its labels, these in the order of their names."""
    found: Iterator[Sample] = (one for family in text_string_to_metric_families(text) for one in family.samples)
    return {(one.name, *one.labels.values()): one.value for one in found}


def promtool(*arguments: str, given: str = "") -> str:
    if not shutil.which("promtool"):
        missing("no promtool here: install it (Debian: prometheus)")
    done = subprocess.run(["promtool", *arguments], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_figures_are_those_of_status(scene: WebHouse) -> None:
    status = scene.get("/api/v1/status").json()
    found = samples(scene.get("/metrics").text)
    for account in status["accounts"]:
        name, currency = account["name"], account["currency"]
        assert found["spendwatch_account_month_to_date_spend", name, currency] == float(account["spend"])
        assert found["spendwatch_account_budget", name, currency] == float(account["budget"])
        assert found["spendwatch_account_budget_used_ratio", name] == float(account["used"])
        assert found["spendwatch_account_available_balance", name, currency] == float(account["balance"]["available"])
        assert found["spendwatch_account_runway_seconds", name] == account["balance"]["runway"]["zero"]["in_days"] * 86400
        forecast = account["forecast"]
        for bound in ("low", "likely", "high"):
            assert found["spendwatch_account_forecast_month_end_spend", name, bound, currency] == float(forecast[bound])
        for workspace in account["workspaces"]:
            label = workspace["workspace"] or "unassigned"
            assert found["spendwatch_workspace_month_to_date_spend", name, currency, label] == float(workspace["spend"])
        assert found["spendwatch_account_data_age_seconds", name] > 0
    rows = [key for key in found if key[0] == "spendwatch_workspace_budget_used_ratio"]
    assert {key[2] for key in rows} == {RESEARCH, TRAINING}
    assert found["spendwatch_bills_total", "rejected"] == 1
    assert found["spendwatch_bills_total", "recorded"] == 2
    assert found["spendwatch_bill_lines_total",] > 200
    assert found["spendwatch_ledger_up",] == 1
    assert found["spendwatch_deliveries", "screen", "delivered"] >= 1
    assert found["process_open_fds",] > 0


def test_names_follow_the_rules_and_no_key_or_path_is_a_label(scene: WebHouse) -> None:
    answer = scene.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert promtool("check", "metrics", given=answer.text) == ""
    labels = set(re.findall(r'([a-z_]+)="', answer.text))
    assert labels <= {
        *("account", "workspace", "currency", "bound", "source", "channel", "state", "severity", "result", "task"),
        *("version", "python"),
    }
    assert not {"1200345", "1200346", "chatbot", str(scene.home.folder)} & set(re.findall(r'"([^"]*)"', answer.text))
    helps = re.findall(r"# HELP (\S+) (.*)", answer.text)
    money = [text for name, text in helps if re.search(r"_(?:spend|budget|balance)$", name)]
    assert len(money) >= 7
    assert all("For graphs" in text and "never across" in text for text in money)


def test_beyond_the_limit_workspaces_are_one_row(monkeypatch: pytest.MonkeyPatch, scene: WebHouse) -> None:
    monkeypatch.setattr(metrics, "MOST_WORKSPACES", 2)
    found = samples(scene.get("/metrics").text)
    rows = {key[3]: value for key, value in found.items() if key[0] == "spendwatch_workspace_month_to_date_spend"}
    assert set(rows) == {RESEARCH, TRAINING, "other"}
    whole = next(value for key, value in found.items() if key[0] == "spendwatch_account_month_to_date_spend")
    assert round(Decimal(sum(rows.values())), 6) == round(Decimal(whole), 6)


def test_a_ledger_that_cannot_be_read_is_a_metric(scene: WebHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    from spendwatch.domain.errors import LedgerUnavailableError  # noqa: PLC0415

    def broken(*_: object) -> object:
        raise LedgerUnavailableError("gone")  # noqa: EM101

    monkeypatch.setattr("spendwatch.web.reading.Reader.overview", broken)
    found = samples(scene.get("/metrics").text)
    assert found["spendwatch_ledger_up",] == 0
    assert ("process_open_fds",) in found


def test_rules_are_valid_and_tested() -> None:
    folder = DEPLOY / "prometheus"
    assert "SUCCESS" in promtool("check", "rules", str(folder / "rules.yml"))
    assert "SUCCESS" in promtool("test", "rules", str(folder / "rules_test.yml"))
    rules = yaml.safe_load((folder / "rules.yml").read_text())["groups"][0]["rules"]
    alerts = {rule["alert"] for rule in rules if "alert" in rule}
    tested = yaml.safe_load((folder / "rules_test.yml").read_text())["tests"]
    assert {one["alertname"] for test in tested for one in test["alert_rule_test"] if one["exp_alerts"]} == alerts


def known_names(text: str) -> set[str]:
    declared = set(re.findall(r"# TYPE (\S+)", text))
    return declared | {f"{name}{end}" for name in declared for end in ("_sum", "_count")}


def test_rules_and_dashboard_use_metrics_that_exist(scene: WebHouse) -> None:
    known = known_names(scene.get("/metrics").text)
    dashboard = json.loads((DEPLOY / "grafana" / "spendwatch.json").read_text())
    texts = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    texts += [variable.get("definition", "") for variable in dashboard["templating"]["list"]]
    assert len(texts) > 20
    rules = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())["groups"][0]["rules"]
    used = set(re.findall(r"\b(?:spendwatch|process)_[a-z_]+", " ".join([*texts, *(rule["expr"] for rule in rules)])))
    assert used <= known, used - known
    boxes = [panel["gridPos"] for panel in dashboard["panels"]]
    assert all(box["x"] + box["w"] <= 24 for box in boxes)
    places = [
        (x, y) for box in boxes for x in range(box["x"], box["x"] + box["w"]) for y in range(box["y"], box["y"] + box["h"])
    ]
    assert len(places) == len(set(places)), "panels overlap"
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {"${datasource}"}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(boxes)


def test_a_cap_keeps_budgets_first() -> None:
    def line(workspace: str, amount: str, budget: str | None) -> WorkspaceLine:
        money = Money(Decimal(amount), Currency("CNY"))
        return WorkspaceLine(
            workspace=WorkspaceId(workspace),
            name=workspace,
            split=Split(money, Money.zero(Currency("CNY"))),
            budget=Money(Decimal(budget), Currency("CNY")) if budget else None,
            counts=Counts.ALL,
            used=None,
            mark=BudgetState.NONE,
            own=BudgetState.NONE,
            lines=1,
        )

    class Account:
        currency = Currency("CNY")
        workspaces = (*(line(f"llm-{number}", "5", None) for number in range(600)), line("llm-watched", "1", "10"))

    account: Any = Account()
    rows = list(metrics._rows(account))
    assert len(rows) == metrics.MOST_WORKSPACES + 1
    assert rows[0][0] == "llm-watched"
    assert (rows[-1][0], str(rows[-1][1].amount)) == ("other", "505")


# --- a running daemon, and a real Prometheus


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home that can only print and call."""
    return Home(tmp_path)


def test_prometheus_scrapes_a_daemon_that_is_probed_and_reloaded(home: Home, tmp_path: Path) -> None:  # noqa: PLR0915 -- one story
    if not shutil.which("prometheus"):
        missing("no Prometheus here: install one (Debian: prometheus)")
    port, own = free_port(), free_port()
    token = home.folder / "web-token"
    token.write_text("0123456789abcdef-sesame\n")
    token.chmod(0o600)
    home.furnish(extra=f"web: {{listen: 127.0.0.1:{port}, token_file: web-token}}")
    home.watch()
    home.drop(lines_worth("85"))

    def ask(path: str, method: str = "GET", *, says_who: bool = False) -> tuple[int, str]:
        headers = {"authorization": "Bearer 0123456789abcdef-sesame"} if says_who else {}
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 -- our own address
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\n"
        f"rule_files: [{DEPLOY / 'prometheus' / 'rules.yml'}]\n"
        "scrape_configs:\n"
        f"  - {{job_name: spendwatch, authorization: {{credentials_file: {token}}},"
        f" static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n"
    )
    options = (
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{own}",
    )
    running = home.start()
    prometheus = subprocess.Popen(["prometheus", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        home.until(lambda: ask("/readyz") == (200, '{"status":"ok","reasons":[]}'))
        assert ask("/healthz")[0] == 200
        assert ask("/metrics")[0] == ask("/-/reload", "POST")[0] == 401
        assert ask("/-/reload", says_who=True)[0] == 405
        assert ask("/-/reload", "POST", says_who=True) == (200, '{"status":"reloaded"}')
        home.watch(budget="-5")
        status, said = ask("/-/reload", "POST", says_who=True)
        assert (status, "research.yaml:3:9: budget: must be above zero" in said) == (422, True)
        found = samples(ask("/metrics", says_who=True)[1])
        assert found["spendwatch_config_last_reload_successful",] == 0
        assert found["spendwatch_task_duration_seconds_count", "assess"] >= 1
        assert time.time() - found["spendwatch_task_last_success_timestamp_seconds", "assess"] < 600

        def scraped(query: str) -> list[Any]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{own}/api/v1/query?query={query}", timeout=5) as answer:
                    found: list[Any] = json.load(answer)["data"]["result"]
                    return found
            except OSError:
                return []

        home.until(lambda: [one["value"][1] for one in scraped("spendwatch_workspace_month_to_date_spend")] == ["85"])
        assert [one["value"][1] for one in scraped("up")] == ["1"]
        away = home.state.with_name("away.db")
        home.state.rename(away)
        home.until(lambda: ask("/readyz") == (503, '{"status":"unavailable","reasons":["the ledger cannot be used"]}'))
        assert ask("/healthz")[0] == 200
        away.rename(home.state)
        home.until(lambda: ask("/readyz")[0] == 200)
    finally:
        prometheus.kill()
        prometheus.wait(30)
        assert running.stop() == 0
