"""A balance asked for with the rights of a source of bills: one key, one pace, one account."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bss_lies import KEY_ID, SECRET
from domain_builders import ACME, cny
from servers_bss import BssServer
from spendwatch.app import App
from spendwatch.settings import Outside, load
from spendwatch.state import opened_store

SAMPLE = Path(__file__).parents[2] / "data" / "bills" / "api_get_fund_account_available_amount.json"
MAIN = """\
accounts:
  acme: {{id: "1000000000000001", site: cn, currency: CNY, balance: {{from: api{balance}}}}}
sources:
  bills: {{type: alibaba, account: acme, key_id_file: id, secret_file: key, endpoint: "{url}"{source}}}
allow_networks: [127.0.0.0/8]
channels: {{screen: {{type: console}}}}
"""


@dataclass
class Stage:
    """A stand-in of the billing API, and a folder for the configuration of an app that asks it."""

    folder: Path
    server: BssServer
    opened: ExitStack = field(default_factory=ExitStack)

    def configure(self, *, balance: str = "", source: str = "") -> None:
        text = MAIN.format(url=self.server.url, balance=balance, source=source)
        (self.folder / "spendwatch.yaml").write_text(text)

    def start(self) -> App:
        settings = load(self.folder, Outside({}))
        app = App(settings, self.opened.enter_context(opened_store(settings)))
        self.opened.callback(app.close)
        return app


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    for name, secret in (("id", KEY_ID), ("key", SECRET)):
        (tmp_path / name).write_text(secret)
        (tmp_path / name).chmod(0o600)
    with BssServer() as server:
        server.fund_account = json.loads(SAMPLE.read_text(encoding="utf-8"))
        stage = Stage(tmp_path, server)
        with stage.opened:
            yield stage


def test_the_source_of_the_account_lends_its_rights(stage: Stage) -> None:
    stage.configure()
    app = stage.start()
    (asked,) = asyncio.run(app.ask_balances())
    assert (asked.why, app.store.balances.latest()[ACME].reading.reported) == ("", cny("9200.00"))
    assert asyncio.run(app.ask_balances()) == [], "it is not time yet"
    assert {call.action for call in stage.server.calls} == {"GetFundAccountAvailableAmount"}


def test_after_a_reload_that_changes_the_source_the_balance_is_asked_for_with_its_new_rights(stage: Stage) -> None:
    stage.configure(source=", poll: 2h")
    app = stage.start()
    stage.server.keys.clear()
    (asked,) = asyncio.run(app.ask_balances())
    assert "the access key is not accepted" in asked.why
    stage.server.keys["AnotherKeyId"] = "another secret"
    (stage.folder / "id").write_text("AnotherKeyId")
    (stage.folder / "key").write_text("another secret")
    app.reload()
    (asked,) = asyncio.run(app.ask_balances())
    assert asked.why == ""


def test_a_balance_with_rights_of_its_own_asks_at_the_pace_of_the_account(stage: Stage) -> None:
    stage.configure(balance=f', key_id_file: id, secret_file: key, endpoint: "{stage.server.url}"')
    app = stage.start()
    (asked,) = asyncio.run(app.ask_balances())
    assert asked.why == ""
    assert list(app._feeds._paces) == [ACME]
