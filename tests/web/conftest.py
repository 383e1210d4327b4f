"""Pages that are served once for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from past_month import MonthHome
from servers_web import WebHouse, web_house
from spendwatch.bills.client.process import ReadingProcess
from web_scene import crowd_lines, furnish, hostile_lines, play


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    """The month, served."""
    home = MonthHome(tmp_path_factory.mktemp("scene"))
    furnish(home)
    with ReadingProcess(tmp_path_factory.mktemp("reading")) as reader, web_house(home, reader) as house:
        play(house)
        yield house


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    """A month of hostile names, served."""
    home = MonthHome(tmp_path_factory.mktemp("hostile"))
    furnish(home)
    with ReadingProcess(tmp_path_factory.mktemp("reading")) as reader, web_house(home, reader) as house:
        house.month.drop(list(hostile_lines()))
        home.put("<script>window.hit=1<img src=x>.csv", b"no bill")
        house.month.collect()
        yield house


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebHouse]:
    """Two hundred workspaces with names and budgets, most of them overspent, served."""
    home = MonthHome(tmp_path_factory.mktemp("crowd"))
    furnish(home)
    for number in range(200):
        home.watch(f"llm-crowd{number:05d}", budget="2.00", name=f"Department {number:03d} of the company")
    with ReadingProcess(tmp_path_factory.mktemp("reading")) as reader, web_house(home, reader) as house:
        house.month.drop(list(crowd_lines()))
        yield house
