"""A month with everything in it that the page shows, and one of hostile names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

from bill_builder import a_line
from home import RESEARCH, TRAINING
from past_month import MonthHome
from servers_web import WebHouse
from spendwatch.domain.policy import ChannelName

ACCOUNT_KEYS = (
    ", budget: 900.00, unassigned_spend: 10.00"
    ", balance: {from: manual, cash: 600.00, floors: [400.00, 100.00], runway: [7d, 3d]}"
)
NAMES = "names: {api_keys: {'1200345': chatbot}, workspaces: {llm-other: Other team}}"


def lines_of(day: date) -> Iterator[dict[str, str]]:
    """Yield what one day costs: two models that grow, one without a workspace, images now and then."""
    spent = [
        (RESEARCH, "qwen3.8-max", "1200345", Decimal("9.2") + day.day * Decimal("0.617"), "team:search"),
        (RESEARCH, "qwen3.6-plus", "1200346", Decimal("2.75"), "team:ads"),
        (TRAINING, "qwen3.6-plus", "1200347", Decimal("3.1") + day.day * Decimal("0.05"), ""),
        ("llm-other", "qwen3.6-flash", "1200348", Decimal("0.004"), ""),
        ("", "qwen3.6-flash", "", Decimal("1.1"), ""),
    ]
    for number, (workspace, model, key, amount, tags) in enumerate(spent):
        yield a_line(
            line_id=f"{day:%Y%m}_0700v1_019_{number}_{day:%d}",
            day=f"{day:%Y%m%d}",
            month=f"{day:%Y%m}",
            amount=str(amount),
            workspace=workspace,
            model=model,
            api_key=key,
            tags=f"key:{tags.partition(':')[0]} value:{tags.partition(':')[2]}" if tags else None,
        )


def furnish(home: MonthHome) -> None:
    """Write its configuration."""
    home.at("2026-09-20T12:00")
    home.furnish(account=ACCOUNT_KEYS, extra=NAMES)
    keys = "\nbudgets: [{name: each key, for_each: api_key, budget: 150.00}]\nowner: Li Wei"
    home.watch(RESEARCH, budget="400.00", name="Research", more=f"thresholds: [50%, 80%, 100%, forecast 100%]{keys}")
    home.watch(TRAINING, budget="150.00", name="Training")


def play(house: WebHouse) -> None:
    """Let the month come in, with a file that is no bill and a round of deliveries."""
    begin = date(2026, 8, 1)
    days = [begin + timedelta(days=number) for number in range((date(2026, 9, 20) - begin).days)]
    for month in (8, 9):
        house.month.drop([line for day in days if day.month == month for line in lines_of(day)])
        house.home.now += timedelta(minutes=5)
    house.home.put("bank.csv", b"date,amount\n2026-09-01,12.00\n")
    house.month.collect()
    house.home.now += timedelta(minutes=5)
    asyncio.run(house.month.app.deliver(ChannelName("screen")))
    house.month.app.store.database.lock_for_life()
    house.month.app.beat()


PAYLOADS = (
    "<script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    '"><svg onload=window.hit=1>',
    "'-window.hit=1-'",
    "javascript:window.hit=1",
    "</title><script>window.hit=1</script>",
    "<iframe src=//evil.example>",
    "{{ 7 * 7 }}",
    "{% for x in y %}",
    "<style>@import url(//evil.example/x.css)</style>",
    "<link rel=stylesheet href=//evil.example>",
    "&lt;script&gt;window.hit=1",
    "<base href=//evil.example>",
    "<form action=//evil.example>",
    "<a href=javascript:window.hit=1>x",
    "\u202e<script>window.hit=1",
    "<!--",
    "]]><script>window.hit=1</script>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<object data=//evil.example>",
)
"""What an attacker may call a model, a key, a tag or a workspace."""


def hostile_lines() -> Iterator[dict[str, str]]:
    """Yield two hundred lines, each with a hostile name in each place where a bill has names."""
    for number in range(200):
        name = f"{PAYLOADS[number % len(PAYLOADS)]}{number}"
        model, kind = name.replace(";", ","), name.replace(";", ",")
        yield a_line(
            line_id=f"hostile_{number}",
            day=f"202609{number % 19 + 1:02d}",
            amount=f"{number + 1}.5",
            workspace=f"llm-{number:04d}{model}",
            model=model,
            type=kind,
            channel=model,
            api_key=f"{number}{model}",
            tags=f"key:team value:{model}",
        )


def crowd_lines() -> Iterator[dict[str, str]]:
    """Yield what two hundred workspaces cost on each of some days."""
    for number in range(200):
        for day in range(1, 16):
            yield a_line(
                line_id=f"crowd_{number}_{day}",
                day=f"202609{day:02d}",
                amount=str(Decimal(number * day % 17 + 1) / 7000 + Decimal("0.1234567")).partition("E")[0][:12],
                workspace=f"llm-crowd{number:05d}",
                api_key=f"{1000000 + number}",
            )


def long_lines() -> Iterator[dict[str, str]]:
    """Yield what workspaces cost whose ids, keys and models are as long as an attacker likes, and grow when escaped."""
    for number in range(60):
        name = f"{number:04d}{'<' * 3000}"
        yield a_line(
            line_id=f"long_{number}",
            day=f"202609{number % 19 + 1:02d}",
            amount=f"{number + 1}.5",
            workspace=f"llm-{name}",
            model=name,
            type=name,
            channel=name,
            api_key=name,
        )
