"""A balance asked for with the rights of a source of bills: whoever opens that source lends its API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bss_lies import KEY_ID, SECRET
from domain_builders import ACME, cny
from endpoint_watch import LOOPBACK, StopWatch
from servers_bss import BssServer
from spendwatch.app import App
from spendwatch.domain.policy import Site
from spendwatch.domain.statement import SourceName
from spendwatch.outgoing import Outgoing
from spendwatch.settings import Outside, load
from spendwatch.settings.balance_parts import ApiBalancePart
from spendwatch.sources.acs3 import Signer
from spendwatch.sources.bss import BssClient
from spendwatch.sources.credentials import OwnKey
from spendwatch.sources.pacing import Pace
from spendwatch.state import opened_store

SAMPLE = Path(__file__).parent.parent / "data" / "bills" / "api_get_fund_account_available_amount.json"
MAIN = """\
accounts:
  acme: {id: "1000000000000001", site: cn, currency: CNY, balance: {from: manual, cash: 1.00}}
sources: {}
channels: {screen: {type: console}}
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    (tmp_path / "spendwatch.yaml").write_text(MAIN)
    loaded = load(tmp_path, Outside({}, tmp_path))
    part = ApiBalancePart.model_validate({"from": "api", "source": "bills"})
    policy = replace(loaded.accounts[0], balance=replace(loaded.accounts[0].balance, cash=None))  # type: ignore[type-var]  # it has one
    settings = replace(loaded, balances={ACME: part}, policies=replace(loaded.policies, accounts=(policy,)))
    with opened_store(settings) as store:
        made = App(settings, store)
        try:
            yield made
        finally:
            made.close()


def test_a_source_that_is_not_open_lends_nothing_and_one_that_is_lends_its_api(app: App) -> None:
    (asked,) = asyncio.run(app.ask_balances())
    assert asked.why == "the source bills is not open"
    watch = StopWatch()
    with BssServer(clock=watch.clock) as server:
        server.fund_account = json.loads(SAMPLE.read_text(encoding="utf-8"))
        api = BssClient(
            Outgoing(LOOPBACK),
            OwnKey(Signer(KEY_ID, SECRET)),
            site=Site.CN,
            clock=watch.clock,
            pace=Pace(watch.monotonic, watch.sleep),
            endpoint=server.url,
        )
        app.apis[SourceName("bills")] = api
        app._furnish()
        (asked,) = asyncio.run(app.ask_balances())
        app._furnish()
        assert asyncio.run(app.ask_balances()) == []
    assert asked.why == ""
    assert app.store.balances.latest()[ACME].reading.reported == cny("9200.00")
