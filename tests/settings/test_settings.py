"""What the configuration means once it is loaded: defaults, the environment over the file, secrets, reloading."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spendwatch.bills.layouts import LAYOUTS as READABLE_LAYOUTS
from spendwatch.channels.channel import Channel
from spendwatch.channels.chat_settings import ChatSettings
from spendwatch.channels.config import CHANNELS, KINDS
from spendwatch.channels.console_settings import ConsoleConfig
from spendwatch.channels.email_settings import EmailConfig
from spendwatch.channels.webhook_settings import WebhookConfig
from spendwatch.connection import Connection
from spendwatch.domain.errors import ConfigError
from spendwatch.domain.layouts import LAYOUTS as NAMES_OF_LAYOUTS
from spendwatch.domain.period import PeriodKind
from spendwatch.domain.policy import ChannelName, Page, Site, Threshold
from spendwatch.domain.scope import Counts, Dimension, Match
from spendwatch.domain.statement import AccountId, Kind, WorkspaceId
from spendwatch.fields import ByKey, imported
from spendwatch.settings import Outside, Settings, find_config, load, reload
from spendwatch.settings.files import find_secret, read_text_file
from spendwatch.sources.alibaba.settings import AlibabaConfig
from spendwatch.sources.config import SOURCES
from spendwatch.sources.folder.settings import FolderConfig
from spendwatch.sources.url.settings import UrlConfig

SCREEN, OPS = ChannelName("screen"), ChannelName("ops")
REPOSITORY = Path(__file__).parents[2]
MAIN = """\
accounts:
  acme: {id: "1000000000000001", site: cn, currency: CNY, budget: 5000.00}
sources:
  inbox: {type: folder, path: inbox}
defaults: {thresholds: [50%, 80%], channels: [screen]}
channels:
  screen: {type: console}
"""
RESEARCH = "workspace: llm-demo0a1b2c3d4e\nbudget: 400.00\n"
MAIL = """\
  Finance:
    type: email
    host: mail.example.com
    username: alerts
    from: alerts@example.com
    to: [finops@example.com]
"""


@dataclass(frozen=True, slots=True)
class House:
    """A configuration folder of its own, and what surrounds the process."""

    folder: Path

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def secret(self, name: str, text: str = "hunter2\n", mode: int = 0o600) -> Path:
        path = self.write(name, text)
        path.chmod(mode)
        return path

    @property
    def credentials(self) -> Path:
        return self.folder.parent / "credentials"

    @property
    def run_secrets(self) -> Path:
        return self.folder.parent / "run-secrets"

    def load(self, **environ: str) -> Settings:
        return load(self.folder, Outside(environ, self.run_secrets))

    def mistakes(self, **environ: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            self.load(**environ)
        return [str(mistake).replace(f"{self.folder.parent}/", "") for mistake in caught.value.mistakes]


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path / "config")
    made.write("spendwatch.yaml", MAIN)
    made.write("workspaces/research.yaml", RESEARCH)
    return made


def folders_of(loaded: Settings) -> list[FolderConfig]:
    return [config for config in loaded.sources.values() if isinstance(config, FolderConfig)]


def policy_of(settings: Settings, workspace: str = "llm-demo0a1b2c3d4e") -> object:
    return next((policy for policy in settings.policies.workspaces if policy.workspace == workspace), None)


def password(settings: Settings, name: str = "Finance") -> str | None:
    config = settings.channels[ChannelName(name)]
    assert isinstance(config, EmailConfig)
    return None if config.password is None else config.password.get_secret_value()


# -- the shipped example and what `init` writes


def test_the_shipped_example_loads() -> None:
    shipped = load(REPOSITORY / "config", Outside({}))
    assert [(account.name, account.budget) for account in shipped.accounts] == [("acme", Decimal("5000.00"))]
    assert {policy.name for policy in shipped.policies.workspaces} == {"Research", "Training"}
    assert [type(config) for config in shipped.channels.values()] == [ConsoleConfig]
    assert shipped.state == str(REPOSITORY / "config/var/spendwatch.db")
    assert folders_of(shipped)[0].path == str(REPOSITORY / "config/inbox")


def test_the_commented_channels_of_the_shipped_example_load_too(tmp_path: Path) -> None:
    text = (REPOSITORY / "config/spendwatch.yaml").read_text(encoding="utf-8")
    opened = "\n".join(line.replace("  # ", "  ", 1) if line.startswith("  # ") else line for line in text.splitlines())
    house = House(tmp_path / "config")
    for key in ("operators:", "allow_networks:", "retention:"):
        opened = opened.replace(f"# {key}", key)
    house.write("spendwatch.yaml", opened)
    for name in ("smtp", "feed", "ram-id", "ram"):
        house.secret(f"secrets/{name}")
    house.secret("secrets/hook", "whsec_c2VjcmV0\n")
    loaded = house.load()
    assert [config.type for config in loaded.sources.values()] == ["folder", "folder", "url", "alibaba", "oss", "folder"]
    assert [type(config) for config in loaded.channels.values()] == [ConsoleConfig, EmailConfig, WebhookConfig]
    assert loaded.policies.operators == ("ops",)
    assert loaded.allow_networks == (ip_network("10.1.0.0/16"),)
    assert (loaded.retention.originals, loaded.retention.lines) == (timedelta(days=400), timedelta(days=800))
    assert [(config.recursive, config.move) for config in folders_of(loaded)] == [
        (False, True),
        (True, True),
        (True, False),
    ]


def test_every_key_is_explained_beside_the_example() -> None:
    from spendwatch.settings.optional_parts import (  # noqa: PLC0415 -- only this test looks at the schema itself
        ApiBalancePart,
        FileBalancePart,
        ManualBalancePart,
        UrlBalancePart,
    )
    from spendwatch.settings.schema import (  # noqa: PLC0415 -- the same
        AccountPart,
        BudgetPart,
        DaemonFile,
        DefaultsPart,
        EscalationPart,
        MatchPart,
        RetentionPart,
        WorkspaceFile,
    )

    parts = (
        DaemonFile,
        AccountPart,
        ManualBalancePart,
        FileBalancePart,
        UrlBalancePart,
        ApiBalancePart,
        EscalationPart,
        DefaultsPart,
        WorkspaceFile,
        BudgetPart,
        MatchPart,
        RetentionPart,
        FolderConfig,
        UrlConfig,
        AlibabaConfig,
        EmailConfig,
        WebhookConfig,
    )
    told = (REPOSITORY / "config/README.md").read_text(encoding="utf-8")
    keys = {field.alias or name for part in (*parts, ConsoleConfig) for name, field in part.model_fields.items()}
    secrets = {"key_id", "token"}  # never written; what holds them is explained
    assert {key for key in keys - secrets if f"`{key}`" not in told} == set()


# -- what is meant where nothing is said


def test_whoever_says_nothing_gets_the_defaults(house: House) -> None:
    loaded = house.load()
    [research] = loaded.policies.workspaces
    assert research.thresholds == (Threshold(share=Decimal("0.5")), Threshold(share=Decimal("0.8")))
    assert research.channels == loaded.policies.operators == ("screen",)
    assert (loaded.zone.key, loaded.policies.month_final_on, loaded.policies.products) == ("Asia/Shanghai", 4, ("sfm",))
    [source] = folders_of(loaded)
    assert (source.poll, source.settle, source.stale_after) == (
        timedelta(seconds=30),
        timedelta(seconds=10),
        timedelta(hours=26),
    )


def test_without_defaults_every_channel_hears_at_half_and_four_fifths_and_the_whole(house: House) -> None:
    house.write("spendwatch.yaml", MAIN.replace("defaults:", "#") + "  other: {type: console}\n")
    [research] = house.load().policies.workspaces
    assert [threshold.label for threshold in research.thresholds] == ["50%", "80%", "100%"]
    assert research.channels == ("screen", "other")
    assert house.load().policies.operators == ("screen", "other")


def test_without_a_budget_no_default_threshold_is_watched(house: House) -> None:
    house.write("workspaces/research.yaml", "workspace: llm-demo0a1b2c3d4e\nname: Research\n")
    [research] = house.load().policies.workspaces
    assert (research.budget, research.thresholds) == (None, ())


def test_no_thresholds_at_all_can_be_asked_for(house: House) -> None:
    house.write("workspaces/research.yaml", RESEARCH + "thresholds: []\n")
    [research] = house.load().policies.workspaces
    assert research.thresholds == ()


def test_a_policy_says_all_that_its_file_says(house: House) -> None:
    finer = "budgets:\n  - {name: video, match: {tag: {team: a*, env: prod}, model: 'wan*', api_key: ''}, budget: 9}\n"
    rest = "name: Research\nowner: 李伟\naccount: acme\nthresholds: [80.5%, 900.00]\nchannels: [screen]\nremind: 1d12h\n"
    house.write("workspaces/research.yaml", RESEARCH + rest + finer)
    [research] = house.load().policies.workspaces
    assert (research.name, research.owner, research.account) == ("Research", "李伟", "1000000000000001")
    assert research.thresholds == (Threshold(share=Decimal("0.805")), Threshold(amount=Decimal("900.00")))
    assert [threshold.label for threshold in research.thresholds] == ["80.5%", "900"]
    assert research.remind == timedelta(hours=36)
    [video] = research.budgets
    assert video.match == Match(((Dimension.API_KEY, ""), (Dimension.MODEL, "wan*")), (("env", "prod"), ("team", "a*")))
    assert [threshold.label for threshold in video.thresholds] == ["50%", "80%"]


def test_ids_have_the_names_of_the_configuration_and_of_their_own_files(house: House) -> None:
    names = 'names: {api_keys: {"1200345": chatbot}, workspaces: {llm-demo0a1b2c3d4e: Lab, llm-b: Archive}}\n'
    house.write("spendwatch.yaml", MAIN + names)
    house.write("workspaces/research.yaml", RESEARCH + "name: Research\n")
    found = house.load().policies.names
    assert found.of(Dimension.API_KEY, "1200345") == "chatbot"
    assert found.of(Dimension.WORKSPACE, "llm-demo0a1b2c3d4e") == "Research"
    assert found.label(Dimension.WORKSPACE, "llm-b") == "Archive (llm-b)"
    assert found.of(Dimension.ACCOUNT, "1000000000000001") == "acme"


def test_messages_link_to_the_console_of_the_site_unless_told_otherwise(house: House) -> None:
    usual = house.load().policies.links
    assert {site: set(links) for site, links in usual.items()} == {site: {*Page} - {Page.ALERT} for site in Site}
    assert all(address.startswith("https://") for links in usual.values() for address in links.values())
    assert {urlsplit(address).hostname for address in usual[Site.CN].values()}.isdisjoint(
        urlsplit(address).hostname for address in usual[Site.INTL].values()
    )
    house.write("spendwatch.yaml", MAIN + "links: {cn: {recharge: https://example.com/pay, api_keys: off}}\n")
    changed = house.load().policies.links
    assert changed[Site.CN] == {
        Page.BILL_DETAILS: usual[Site.CN][Page.BILL_DETAILS],
        Page.RECHARGE: "https://example.com/pay",
    }
    assert changed[Site.INTL] == usual[Site.INTL]


def test_links_may_be_off(house: House) -> None:
    house.write("spendwatch.yaml", MAIN + "links: off\n")
    assert house.load().policies.links == {site: {} for site in Site}


def test_finer_budgets_and_thresholds_may_have_channels_of_their_own(house: House) -> None:
    text = MAIN.replace("[50%, 80%]", "[50%, {at: 80%, channels: [sms]}]") + "  sms: {type: console}\n  ops: {type: console}\n"
    house.write("spendwatch.yaml", text)
    finer = (
        "budgets:\n  - {name: a, match: {model: a}, budget: 9, channels: [ops]}\n  - {name: b, match: {model: b}, budget: 9}\n"
    )
    house.write("workspaces/research.yaml", RESEARCH + finer + "thresholds: [{at: forecast 900.00, channels: [ops, screen]}]\n")
    settings = house.load()
    [research] = settings.policies.workspaces
    assert research.thresholds == (Threshold(amount=Decimal("900.00"), is_forecast=True, channels=(OPS, SCREEN)),)
    assert [finer.channels for finer in research.budgets] == [(OPS,), ()]
    usual = (Threshold(share=Decimal("0.5")), Threshold(share=Decimal("0.8"), channels=(ChannelName("sms"),)))
    assert [finer.thresholds for finer in research.budgets] == [usual, usual]


def test_channels_that_are_gone_leave_a_kept_policy_its_others(house: House) -> None:
    house.write("spendwatch.yaml", MAIN + "  ops: {type: console}\n")
    finer = "budgets:\n  - {name: a, match: {model: a}, budget: 9, channels: [ops], thresholds: [{at: 80%, channels: [ops]}]}\n"
    house.write("workspaces/research.yaml", RESEARCH + finer)
    before = house.load()
    house.write("spendwatch.yaml", MAIN)
    house.write("workspaces/research.yaml", RESEARCH + finer + "budgte: 1\n")
    after, mistakes = reload(before)
    [research] = after.policies.workspaces
    assert mistakes
    assert (research.budgets[0].channels, research.budgets[0].thresholds[0].channels) == ((), ())


def test_one_rule_gives_each_value_a_budget_with_exceptions(house: House) -> None:
    each = "budgets: [{name: key, for_each: api_key, budget: 50, exceptions: {1200345: 200.50, '17*': none}}, TEAM]"
    team = "{name: team, for_each: 'tag:team', match: {model: 'qwen*'}, budget: 9}"
    house.write("spendwatch.yaml", MAIN.replace("budget: 5000.00", each.replace("TEAM", team)))
    [key, team_of] = house.load().policies.accounts[0].budgets
    assert (key.for_each, key.budget, key.match) == ("api_key", Decimal(50), Match())
    assert key.exceptions == (("1200345", Decimal("200.50")), ("17*", None))
    assert (team_of.for_each, team_of.match) == ("tag:team", Match(((Dimension.MODEL, "qwen*"),)))


def test_each_budget_says_what_it_counts(house: House) -> None:
    finer = "budgets:\n  - {name: plans, match: {api_key: ''}, budget: 9, counts: subscription}\n"
    house.write("workspaces/research.yaml", RESEARCH + "counts: pay_as_you_go\n" + finer)
    policies = house.load().policies
    [research] = policies.workspaces
    assert (research.counts, research.budgets[0].counts) == (Counts.PAY_AS_YOU_GO, Counts.SUBSCRIPTION)
    assert policies.accounts[0].counts is Counts.ALL


def test_amounts_keep_every_digit(house: House) -> None:
    house.write("workspaces/research.yaml", "workspace: w\nbudget: 1234567890123456789012345678.0123456789\n")
    [research] = house.load().policies.workspaces
    assert research.budget == Decimal("1234567890123456789012345678.0123456789")


def test_one_workspace_may_have_a_policy_in_each_of_two_accounts(house: House) -> None:
    more = '  other: {id: "1000000000000002", site: intl, currency: USD}\nsources:'
    house.write("spendwatch.yaml", MAIN.replace("sources:", more))
    house.write("workspaces/research.yaml", RESEARCH + "account: acme\n")
    house.write("workspaces/abroad.yaml", RESEARCH + "account: other\n")
    assert {policy.account for policy in house.load().policies.workspaces} == {"1000000000000001", "1000000000000002"}


@pytest.mark.parametrize(
    "name",
    [".research.yaml", "research.yaml~", "#research.yaml#", ".#research.yaml", ".research.yaml.swp", "research.txt", "README"],
)
def test_what_editors_leave_behind_is_no_policy(house: House, name: str) -> None:
    house.write(f"workspaces/{name}", "not: [closed")
    assert len(house.load().policies.workspaces) == 1


def test_a_workspace_file_may_end_in_yml_and_there_may_be_none(house: House) -> None:
    (house.folder / "workspaces/research.yaml").rename(house.folder / "workspaces/research.yml")
    assert len(house.load().policies.workspaces) == 1
    (house.folder / "workspaces/research.yml").unlink()
    assert house.load().policies.workspaces == ()
    (house.folder / "workspaces").rmdir()
    assert house.load().policies.workspaces == ()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_does_not_hold_us_up(house: House, make: object) -> None:
    assert callable(make)
    make(house.folder / "workspaces/odd.yaml")
    assert house.mistakes() in (
        ["config/workspaces/odd.yaml:1:1: not a file"],
        ["config/workspaces/odd.yaml:1:1: cannot be read: Is a directory"],
    )


def test_whoever_makes_mistakes_by_the_thousand_floods_nobody(house: House) -> None:
    house.write("workspaces/training.yaml", "workspace: llm-demo5f6a7b8c9d\n" + "".join(f"k{n}: 1\n" for n in range(4000)))
    house.write("workspaces/other.yaml", "workspace: other\nbudget: lots\n")
    told = house.mistakes()
    assert len(told) == 52
    assert told[0].startswith("config/workspaces/other.yaml:2:9: budget: not a plain amount")
    assert told[-1] == "config/workspaces/training.yaml:51:1: further mistakes of this file are not listed"


def test_a_source_says_of_its_files_what_these_leave_open(house: House) -> None:
    said = "path: inbox, recursive: true, move: false, account: acme, kind: delta, layout: consumedetailbillv2}"
    house.write("spendwatch.yaml", MAIN.replace("path: inbox}", said))
    settings = house.load()
    [source] = folders_of(settings)
    assert (source.recursive, source.move) == (True, False)
    assert settings.rejected_in == {}, "rejected files stay where they are"
    assert (source.account, source.kind, source.layout) == (AccountId("1000000000000001"), Kind.DELTA, "consumedetailbillv2")


@pytest.mark.parametrize("said", ["", ", recursive: false, move: true, kind: auto, layout: auto"])
def test_a_source_that_leaves_it_open_leaves_it_to_us(house: House, said: str) -> None:
    house.write("spendwatch.yaml", MAIN.replace("path: inbox}", f"path: inbox{said}}}"))
    settings = house.load()
    [source] = folders_of(settings)
    assert (source.recursive, source.move, source.account, source.kind, source.layout) == (False, True, None, None, None)
    assert settings.rejected_in == {"inbox": str(Path(source.path) / "rejected")}


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_of_statement_can_be_named(house: House, kind: Kind) -> None:
    [source] = folders_of(house.load(SPENDWATCH_SOURCES__INBOX__KIND=kind.value))
    assert source.kind is kind


def test_every_layout_that_can_be_read_can_be_named_and_no_other() -> None:
    assert sorted(NAMES_OF_LAYOUTS) == sorted(layout.name for layout in READABLE_LAYOUTS)


def test_the_schema_shows_choices_as_they_are_written() -> None:
    properties = FolderConfig.model_json_schema()["properties"]
    assert (properties["recursive"]["type"], properties["recursive"]["default"]) == ("boolean", False)
    assert (properties["kind"]["enum"], properties["kind"]["default"]) == (["auto", *Kind], "auto")
    assert (properties["layout"]["enum"], properties["layout"]["default"]) == (["auto", *NAMES_OF_LAYOUTS], "auto")


def test_what_is_not_limited_is_kept_for_ever(house: House) -> None:
    kept = house.load().retention
    assert (kept.originals, kept.lines, kept.deliveries) == (None, None, timedelta(days=400))
    house.write("spendwatch.yaml", MAIN + "retention: {lines: 92d}\n")
    kept = house.load().retention
    assert (kept.originals, kept.lines) == (None, timedelta(days=92))


@pytest.mark.parametrize(("said", "days"), [("62d", 62), ("400d", 400), ("1488h", 62), ("36525d", 36525)])
def test_originals_may_be_kept_for_years(house: House, said: str, days: int) -> None:
    house.write("spendwatch.yaml", MAIN + f"retention: {{originals: {said}, lines: 800d}}\n")
    kept = house.load().retention
    assert (kept.originals, kept.lines) == (timedelta(days=days), timedelta(days=800))
    assert house.load(SPENDWATCH_RETENTION__LINES="100d").retention.lines == timedelta(days=100)


def test_a_changed_retention_is_taken_over_on_reload(house: House) -> None:
    first = house.load()
    house.write("spendwatch.yaml", MAIN + "retention: {originals: 400d}\n")
    second, mistakes = reload(first)
    assert (second.retention.originals, mistakes) == (timedelta(days=400), ())


# -- where things lie


def test_a_recursive_folder_may_lie_beside_others(house: House) -> None:
    more = "path: inbox, recursive: true}\n  other: {type: folder, path: inbox-2}\n  third: {type: folder, path: inbox-3/inbox}"
    house.write("spendwatch.yaml", MAIN.replace("path: inbox}", more))
    assert len(house.load().sources) == 3


def test_folders_within_each_other_are_found_behind_links(house: House) -> None:
    (house.folder / "real" / "sub").mkdir(parents=True)
    (house.folder / "inbox").symlink_to("real")
    (house.folder / "other").symlink_to("real/sub")
    (house.folder / "circle").symlink_to("circle")
    more = "path: inbox, recursive: true}\n  other: {type: folder, path: other}\n  circle: {type: folder, path: circle}"
    house.write("spendwatch.yaml", MAIN.replace("path: inbox}", more) + "spool: real/spool\n")
    twice = "is inside the folder of 'inbox', which is recursive: its bills would be read twice"
    assert house.mistakes() == [
        "config/spendwatch.yaml:4:31: sources.inbox.path: the spool is inside this folder and would be read as bills",
        f"config/spendwatch.yaml:5:31: sources.other.path: {twice}",
    ]


def test_relative_paths_start_at_the_configuration(house: House) -> None:
    loaded = house.load()
    assert loaded.state == str(house.folder / "var/spendwatch.db")
    assert loaded.spool == house.folder / "var/spool"
    assert loaded.heartbeat == house.folder / "var/heartbeat"
    assert load(house.folder / "spendwatch.yaml", Outside({})).state == loaded.state


def test_a_service_manager_may_give_the_state_a_place(house: House) -> None:
    loaded = house.load(STATE_DIRECTORY="/var/lib/spendwatch:/var/lib/other")
    assert (loaded.state, loaded.spool) == ("/var/lib/spendwatch/spendwatch.db", Path("/var/lib/spendwatch/spool"))


def test_what_the_file_says_about_the_state_wins_over_the_service_manager(house: House) -> None:
    house.write("spendwatch.yaml", MAIN + "state: /srv/ledger.db\nspool: copies\n")
    loaded = house.load(STATE_DIRECTORY="/var/lib/spendwatch")
    assert (loaded.state, loaded.spool) == ("/srv/ledger.db", house.folder / "copies")


def test_a_state_on_a_server_keeps_its_copies_here(house: House) -> None:
    house.write("spendwatch.yaml", MAIN + "state: postgresql://spendwatch@db.example.com/spendwatch\nstate_password_file: db\n")
    house.secret("db")
    loaded = house.load()
    assert loaded.state == "postgresql://spendwatch@db.example.com/spendwatch"
    assert (loaded.spool, loaded.state_password_file) == (house.folder / "var/spool", house.folder / "db")
    assert house.load(STATE_DIRECTORY="/var/lib/spendwatch").spool == Path("/var/lib/spendwatch/spool")


def test_the_configuration_is_looked_for_where_it_was_asked_for(tmp_path: Path) -> None:
    for name in ("asked", "variable", "here/config", "system"):
        House(tmp_path / name).write("spendwatch.yaml", MAIN)
    here, system, asked = tmp_path / "here", tmp_path / "system", str(tmp_path / "asked")
    variable = {"SPENDWATCH_CONFIG": str(tmp_path / "variable")}
    assert find_config(asked, variable, here, system=system) == Path(asked)
    assert find_config(f"{asked}/spendwatch.yaml", {}, here, system=system) == Path(asked) / "spendwatch.yaml"
    assert find_config(None, variable, here, system=system) == tmp_path / "variable"
    assert find_config(None, {}, here, system=system) == Path("config")
    assert find_config(None, {}, tmp_path, system=system) == system


def test_a_configuration_that_is_not_there_is_a_clear_mistake(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^nowhere:1:1: named by --config: no spendwatch.yaml is there; `spendwatch init nowhere`"
    ):
        find_config("nowhere", {}, tmp_path)
    with pytest.raises(ConfigError, match=r"^nowhere:1:1: named by \$SPENDWATCH_CONFIG: no spendwatch.yaml is there; "):
        find_config(None, {"SPENDWATCH_CONFIG": "nowhere"}, tmp_path)
    with pytest.raises(
        ConfigError, match=r"no configuration found in \$SPENDWATCH_CONFIG, \./config or .*; name its folder with --config"
    ):
        find_config(None, {}, tmp_path, system=tmp_path / "nowhere")


def test_a_workspace_file_named_as_the_configuration_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "mine" / "workspaces").mkdir(parents=True)
    (tmp_path / "mine" / "workspaces" / "r.yaml").write_text(RESEARCH)
    with pytest.raises(ConfigError, match=r"r\.yaml:1:1: named by --config: a workspace file; name the folder .*: mine$"):
        find_config("mine/workspaces/r.yaml", {}, tmp_path)


def test_a_currency_in_a_workspace_file_is_answered_with_where_it_stands(house: House) -> None:
    house.write("workspaces/research.yaml", RESEARCH + "currency: USD\n")
    with pytest.raises(ConfigError, match="currency: amounts are in the currency of the account: set it there"):
        house.load()


# -- the environment over the file


def test_the_environment_wins_over_the_file(house: House) -> None:
    loaded = house.load(
        SPENDWATCH_ACCOUNTS__ACME__BUDGET="900.10",
        SPENDWATCH_STATE="/srv/ledger.db",
        SPENDWATCH_SOURCES__INBOX__PATH="/srv/inbox",
        SPENDWATCH_DEFAULTS__THRESHOLDS="[75%]",
        SPENDWATCH_ALLOW_NETWORKS="[10.1.0.0/16]",
        SPENDWATCH_CHANNELS__PAGER__TYPE="console",
    )
    assert loaded.accounts[0].budget == Decimal("900.10")
    assert (loaded.state, folders_of(loaded)[0].path) == ("/srv/ledger.db", "/srv/inbox")
    assert [threshold.label for threshold in loaded.accounts[0].thresholds] == ["75%"]
    assert loaded.allow_networks == (ip_network("10.1.0.0/16"),)
    assert list(loaded.channels) == ["screen", "pager"]


def test_an_empty_variable_says_nothing(house: House) -> None:
    assert house.load(SPENDWATCH_ACCOUNTS__ACME__BUDGET="", SPENDWATCH_STATE="").accounts[0].budget == Decimal("5000.00")


def test_variables_of_others_are_left_alone(house: House) -> None:
    theirs = {"SPENDWATCH_SERVICE_HOST": "10.0.0.1", "SPENDWATCH_PORT": "tcp://10.0.0.1:80", "SPENDWATCH_CONFIG": "x"}
    assert replace(house.load(**theirs), outside=Outside({})) == replace(house.load(), outside=Outside({}))


def test_a_mistake_in_the_environment_names_the_variable(house: House) -> None:
    assert house.mistakes(
        SPENDWATCH_ACCOUNTS__ACME__BUDGET="0",
        SPENDWATCH_ACCOUNTS__ACME__CURENCY="CNY",
        SPENDWATCH_ACCOUNT__ACME__BUDGET="1",
        SPENDWATCH_DEFAULTS__CHANNELS="[&x ops]",
        SPENDWATCH_PRODUCTS="[a] b",
        SPENDWATCH_CHANNELS____TYPE="console",
    ) == [
        "$SPENDWATCH_ACCOUNTS__ACME__BUDGET:1:1: accounts.acme.budget: must be above zero, not 0",
        "$SPENDWATCH_ACCOUNTS__ACME__CURENCY:1:1: accounts.acme.curency: unknown key; did you mean 'currency'?",
        "$SPENDWATCH_ACCOUNT__ACME__BUDGET:1:1: 'account' is not a setting; did you mean 'accounts'?",
        "$SPENDWATCH_CHANNELS____TYPE:1:1: there is no name between two __",
        "$SPENDWATCH_DEFAULTS__CHANNELS:1:2: defaults.channels: anchors (&x) are not supported: write the value there",
        "$SPENDWATCH_PRODUCTS:1:5: products: not readable as YAML: did not find expected <document start>",
    ]


@pytest.mark.parametrize("amount", ["900.0000000001", "1234567890123456789012345678.0123456789"])
def test_an_amount_keeps_every_digit_from_any_layer(house: House, amount: str) -> None:
    house.secret("../run-secrets/spendwatch_accounts__acme__budget", amount)
    assert house.load().accounts[0].budget == Decimal(amount)
    assert house.load(SPENDWATCH_ACCOUNTS__ACME__BUDGET="1").accounts[0].budget == Decimal(1)
    (house.run_secrets / "spendwatch_accounts__acme__budget").unlink()
    assert house.load(SPENDWATCH_ACCOUNTS__ACME__BUDGET=amount).accounts[0].budget == Decimal(amount)
    in_brackets = f"{{id: '1000000000000001', site: cn, currency: CNY, budget: {amount}}}"
    assert house.load(SPENDWATCH_ACCOUNTS__OTHER=in_brackets.replace("1'", "2'")).accounts[1].budget == Decimal(amount)


def test_a_variable_below_a_single_value_is_not_ignored(house: House) -> None:
    assert house.mistakes(SPENDWATCH_STATE__PATH="/srv", SPENDWATCH_SOURCES__INBOX__PATH__X="1") == [
        "$SPENDWATCH_SOURCES__INBOX__PATH__X:1:1: sources.inbox.path: must be one value, not keys with values",
        "$SPENDWATCH_STATE__PATH:1:1: state: must be one value, not keys with values",
    ]
    assert house.mistakes(SPENDWATCH_STATE="var/x.db", SPENDWATCH_STATE__PATH="/srv") == [
        "$SPENDWATCH_STATE__PATH:1:1: state.path: is not used: state is one value",
    ]


def test_a_longer_variable_refines_a_shorter_one(house: House) -> None:
    account = "{id: '1000000000000009', site: cn, currency: CNY, budget: 5}"
    loaded = house.load(SPENDWATCH_ACCOUNTS__ZED__BUDGET="7.5", SPENDWATCH_ACCOUNTS__ZED=account)
    assert loaded.accounts[1].budget == Decimal("7.5")


def test_what_is_missing_is_missing_in_the_file(house: House) -> None:
    house.write("spendwatch.yaml", MAIN.replace("site: cn, ", ""))
    told = house.mistakes(SPENDWATCH_ACCOUNTS__ACME__BUDGET="900")
    assert told == ["config/spendwatch.yaml:2:3: accounts.acme.site: is missing"]


# -- secrets


@pytest.mark.parametrize("text", ["12345", "[x", "null", "a: b", "1e5", "  spaced ", "päss wörd", "{}"])
def test_a_password_comes_from_the_environment_as_it_is(house: House, text: str) -> None:
    house.write("spendwatch.yaml", MAIN + MAIL)
    assert password(house.load(SPENDWATCH_CHANNELS__FINANCE__PASSWORD=text)) == text


@pytest.mark.parametrize("text", ["12345\n", "12345", "12345\r\n"])
def test_a_password_file_loses_one_line_end(house: House, text: str) -> None:
    house.write("spendwatch.yaml", MAIN + MAIL + "    password_file: secrets/smtp\n")
    house.secret("secrets/smtp", text)
    assert password(house.load()) == "12345"


def test_a_secret_is_looked_for_among_credentials_then_container_secrets_then_here(house: House) -> None:
    house.write("spendwatch.yaml", MAIN + MAIL + "    password_file: smtp\n")
    credentials = {"CREDENTIALS_DIRECTORY": str(house.credentials)}
    [mistake] = house.mistakes(**credentials)
    assert mistake.startswith("config/spendwatch.yaml:14:20: channels.Finance.password_file: no such file; searched ")
    assert mistake.endswith("searched credentials/smtp, run-secrets/smtp, config/smtp")
    house.secret("smtp", "here")
    assert password(house.load(**credentials)) == "here"
    house.secret("../run-secrets/smtp", "container", 0o444)
    assert password(house.load(**credentials)) == "container"
    house.secret("../credentials/smtp", "credential", 0o440)
    assert password(house.load(**credentials)) == "credential"
    assert password(house.load(**credentials, SPENDWATCH_CHANNELS__FINANCE__PASSWORD="environment")) == "environment"


def test_a_secret_from_the_environment_needs_no_file(house: House) -> None:
    house.write("spendwatch.yaml", MAIN + MAIL + "    password_file: nowhere\n")
    assert password(house.load(SPENDWATCH_CHANNELS__FINANCE__PASSWORD="x")) == "x"


def test_an_address_that_is_a_secret_may_come_from_the_environment_alone(house: House) -> None:
    house.write("spendwatch.yaml", MAIN + "  ops: {type: webhook}\n")
    config = house.load(SPENDWATCH_CHANNELS__OPS__URL="https://hooks.example.com/t0ken").channels[ChannelName("ops")]
    assert isinstance(config, WebhookConfig)
    assert config.url == "https://hooks.example.com/t0ken"


def test_the_keys_of_connections_are_the_same_for_whatever_is_called(house: House) -> None:
    ways = 'ca_file: ca.pem, proxy: "http://10.0.0.9:3128", no_proxy: [example.com], proxy_auth_file: proxy'
    ways += ", headers: {X-Team: finops}"
    oauth2 = "token_url: 'https://login.example.com/t', client_id: i, client_secret_file: cs, refresh_token_file: rt"
    login = f"username: a@example.com\n    auth: {{oauth2: {{{oauth2}, {ways}}}}}\n    hello: spend.example.com"
    mail = MAIL.replace("username: alerts", login)
    hook = "  ops: {type: webhook, url: 'https://hooks.example.com/', secret_file: sign, auth: bearer, auth_file: token"
    hook += f", {ways}}}\n"
    robot = f"  team: {{type: dingtalk, url_file: robot, {ways}}}\n"
    feed = f"  feed: {{type: url, url: 'https://b.example.com/x', auth: basic, username: u, secret_file: token, {ways}}}\n"
    feed += f"  api: {{type: alibaba, account: acme, key_id_file: id, secret_file: key, {ways}}}\n"
    whole = MAIN.replace("sources:\n", f"sources:\n{feed}") + mail + hook + robot + "allow_networks: [10.0.0.9/32]\n"
    house.write("spendwatch.yaml", whole)
    (house.folder / "ca.pem").write_text("x")
    kept = {"proxy": "us:pw-9", "cs": "cs-9", "rt": "rt-9", "token": "token-9", "sign": "sign-9", "id": "id-9", "key": "key-9"}
    for name, text in (kept | {"robot": "https://oapi.dingtalk.com/robot/send?access_token=r-9"}).items():
        house.secret(name, text)
    loaded = house.load()
    assert set(kept.values()) <= set(loaded.secrets)
    assert not any(text in repr(loaded) for text in kept.values())
    finance = loaded.channels[ChannelName("Finance")]
    assert isinstance(finance, EmailConfig)
    assert finance.auth
    called = [*loaded.channels.values(), *loaded.sources.values(), finance.auth.oauth2]
    ways_of_all = [one.way for one in called if isinstance(one, Connection)]
    assert len(ways_of_all) == 5
    for way in ways_of_all:
        assert (way.ca_file, way.proxy, way.no_proxy) == (
            str(house.folder / "ca.pem"),
            "http://10.0.0.9:3128",
            ("example.com",),
        )
        assert (way.proxy_auth, dict(way.headers)["x-team"]) == ("us:pw-9", "finops")
    house.write("spendwatch.yaml", whole.replace("10.0.0.9/32", "10.0.0.8/32"))
    callers = ("channels.Finance.auth.oauth2", "channels.ops", "channels.team", "sources.feed", "sources.api")
    told = {mistake.split(": ")[1] for mistake in house.mistakes()}
    assert told == {f"{caller}.proxy" for caller in callers}


def test_the_address_of_a_robot_is_a_secret(house: House) -> None:
    robot = "  team: {type: dingtalk, url_file: robot, secret_file: key}\n"
    house.write("spendwatch.yaml", MAIN + robot)
    house.secret("robot", "https://oapi.dingtalk.com/robot/send?access_token=t0ken")
    house.secret("key", "SECx")
    loaded = house.load()
    assert set(loaded.secrets) == {"https://oapi.dingtalk.com/robot/send?access_token=t0ken", "SECx"}
    assert "t0ken" not in repr(loaded)
    looked_at = load(house.folder, Outside({}), with_secrets=False).channels[ChannelName("team")]
    assert isinstance(looked_at, ChatSettings)
    assert looked_at.address == ""
    house.secret("robot", "http://203.0.113.5/robot")
    [mistake] = house.mistakes()
    assert mistake.startswith("config/spendwatch.yaml:8:36: channels.team.url_file: plain http is only for networks")
    house.secret("robot", "https://oapi.dingtalk.com/robot/send?access_token=t0ken\nsecond line")
    [mistake] = house.mistakes()
    assert mistake.endswith("channels.team.url_file: not an address that can be called: write https://host/path")
    house.write(
        "spendwatch.yaml", MAIN + "  team: {type: dingtalk, url: 'https://oapi.dingtalk.com/robot/send?access_token=t0ken'}\n"
    )
    [mistake] = house.mistakes()
    assert mistake.endswith("channels.team.url: secrets do not belong in the configuration: use url_file")
    house.write("spendwatch.yaml", MAIN + "  team: {type: dingtalk}\n")
    [mistake] = house.mistakes()
    assert "url_file is missing" in mistake


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_secret_that_others_can_read_is_refused(house: House, mode: int) -> None:
    house.write("spendwatch.yaml", MAIN + MAIL + "    password_file: smtp\n")
    path = house.secret("smtp", mode=mode)
    [mistake] = house.mistakes()
    place = "config/spendwatch.yaml:14:20: channels.Finance.password_file: must be 0600, so that only its owner can read it; "
    assert mistake == f"{place}config/smtp is {mode:04o}"
    path.chmod(0o400)
    assert password(house.load()) == "hunter2"


@contextmanager
def _another_user(group: int) -> Iterator[Path]:
    """Be a service's user in that group for a while, as root can; yield a folder that it can see."""
    ours, gid = os.getgroups(), os.getegid()
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        os.setgroups([group])
        os.setegid(65532)
        os.seteuid(65532)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)
            os.setegid(gid)
            os.setgroups(ours)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to others")
@pytest.mark.parametrize(
    ("mode", "owner", "group", "why"),
    [
        (0o440, 0, 4242, ""),  # Kubernetes with fsGroup
        (0o640, 0, 65532, ""),  # runAsGroup and fsGroup are one
        (0o440, 0, 4243, "is 0440; in Kubernetes set defaultMode: 0440 and fsGroup"),
        (0o460, 0, 4242, "is 0460; in Kubernetes"),
        (0o444, 0, 4242, "is 0444; in Kubernetes"),  # what is mounted if nothing is said
        (0o440, 65532, 4242, "is 0440$"),  # we gave it to the group, perhaps by accident
    ],
)
def test_a_secret_that_root_gave_to_a_group_of_ours_is_meant_for_us(mode: int, owner: int, group: int, why: str) -> None:
    with _another_user(4242) as folder:
        os.seteuid(0)
        (folder / "smtp").write_text("hunter2")
        (folder / "smtp").chmod(mode)
        os.chown(folder / "smtp", owner, group)
        os.seteuid(65532)
        with pytest.raises(ValueError, match=why) if why else nullcontext():
            assert read_text_file(find_secret("smtp", folder, Outside({}))) == "hunter2"


@pytest.mark.parametrize(
    ("content", "why"), [(b"\n", "is empty"), (b"\xff\n", "not UTF-8 text"), (b"x" * 65537, "larger than 64 KiB")]
)
def test_a_file_that_holds_no_secret_is_refused(house: House, content: bytes, why: str) -> None:
    house.write("spendwatch.yaml", MAIN + MAIL + "    password_file: smtp\n")
    house.secret("smtp").write_bytes(content)
    assert house.mistakes() == [f"config/spendwatch.yaml:14:20: channels.Finance.password_file: {why}: config/smtp"]


@pytest.mark.parametrize("folder", ["credentials", "run-secrets"])
def test_secret_files_may_be_named_like_variables(house: House, folder: str) -> None:
    house.write("spendwatch.yaml", MAIN + MAIL)
    house.secret(f"../{folder}/spendwatch_channels__finance__password", "12345\n")
    environ = {"CREDENTIALS_DIRECTORY": str(house.credentials)}
    assert password(house.load(**environ)) == "12345"
    assert password(house.load(**environ, SPENDWATCH_CHANNELS__FINANCE__PASSWORD="x")) == "x"


def test_an_unreadable_signing_secret_is_told_where_its_file_is_named(house: House) -> None:
    hook = "  hook: {type: webhook, url: 'https://hooks.example.com/', secret_file: hook}\n"
    house.write("spendwatch.yaml", MAIN + hook)
    house.secret("hook", "whsec_!!!")
    [mistake] = house.mistakes()
    assert mistake.startswith(
        "config/spendwatch.yaml:8:73: channels.hook.secret: a secret that begins with whsec_ must go on in"
    )


def test_secrets_are_known_to_the_log_and_shown_nowhere(house: House) -> None:
    hook = "  hook: {type: webhook, url: 'https://hooks.example.com/t0ken', secret_file: hook}\n"
    house.write("spendwatch.yaml", MAIN + MAIL + "    password_file: smtp\n" + hook)
    house.secret("smtp")
    house.secret("hook", "whsec_aHVudGVyMg==")
    loaded = house.load(SPENDWATCH_CHANNELS__FINANCE__PASSWORD="hunter3")
    assert set(loaded.secrets) == {"hunter3", "whsec_aHVudGVyMg==", "https://hooks.example.com/t0ken"}
    assert not [secret for secret in loaded.secrets if secret in repr(loaded)]


def test_whoever_only_looks_needs_no_secrets(house: House) -> None:
    house.write("spendwatch.yaml", MAIN + MAIL + "    password_file: smtp\n")
    loaded = load(house.folder, Outside({}), with_secrets=False)
    assert (password(loaded), loaded.secrets) == (None, ())


def test_an_address_in_the_configuration_need_not_be_called_to_be_refused(house: House) -> None:
    hook = "  hook: {type: webhook, url: 'http://10.1.2.3/'}\n"
    house.write("spendwatch.yaml", MAIN + hook + "allow_networks: [10.2.0.0/16]\n")
    assert len(house.mistakes()) == 1
    house.write("spendwatch.yaml", MAIN + hook + "allow_networks: [10.1.0.0/16]\n")
    assert "hook" in house.load().channels


@pytest.mark.parametrize(
    ("host", "mistakes"), [("10.1.2.3", 0), ("[::ffff:10.1.2.3]", 0), ("[64:ff9b::a01:203]", 0), ("100.100.100.200", 1)]
)
def test_plain_http_is_judged_as_it_will_be_when_it_is_called(house: House, host: str, mistakes: int) -> None:
    allowed = "allow_networks: [10.1.0.0/16, 100.64.0.0/10]\n"
    hook = f"  hook: {{type: webhook, url: 'http://{host}/'}}\n"
    mail = MAIL.replace("host: mail.example.com\n    username: alerts", f"security: none\n    host: '{host.strip('[]')}'")
    for channel in (hook, mail):
        house.write("spendwatch.yaml", MAIN + channel + allowed)
        assert len(house.mistakes() if mistakes else []) == mistakes
        if not mistakes:
            house.load()


# -- reloading


def test_a_reload_takes_over_what_changed(house: House) -> None:
    first = house.load()
    house.write("workspaces/research.yaml", RESEARCH.replace("400", "500"))
    house.write("workspaces/training.yaml", "workspace: llm-demo5f6a7b8c9d\nbudget: 90\n")
    second, mistakes = reload(first)
    assert mistakes == ()
    assert {policy.workspace: policy.budget for policy in second.policies.workspaces} == {
        "llm-demo0a1b2c3d4e": Decimal("500.00"),
        "llm-demo5f6a7b8c9d": Decimal(90),
    }
    (house.folder / "workspaces/training.yaml").unlink()
    assert reload(second)[0].policies == reload(reload(second)[0])[0].policies
    assert len(reload(second)[0].policies.workspaces) == 1


def test_nothing_changed_gives_equal_settings(house: House) -> None:
    first = house.load()
    assert reload(first) == (first, ())


@pytest.mark.parametrize("broken", ["", "workspace: llm-demo0a1b2c3d4e\nbudget: 4", "workspace: [", "budget: 1\n", "\x00"])
def test_a_broken_workspace_file_keeps_its_last_good_policy_and_no_other(house: House, broken: str) -> None:
    first = house.load()
    house.write("workspaces/research.yaml", broken.replace("budget: 4", "budget: 4e"))
    house.write("workspaces/training.yaml", "workspace: llm-demo5f6a7b8c9d\nbudget: 90\n")
    second, mistakes = reload(first)
    assert len(mistakes) == 1
    assert mistakes[0].file.endswith("workspaces/research.yaml")
    assert policy_of(second) == policy_of(first)
    assert policy_of(second, "llm-demo5f6a7b8c9d") is not None
    third, again = reload(second)
    assert (policy_of(third), again) == (policy_of(first), mistakes)


def test_a_mended_workspace_file_is_taken_over(house: House) -> None:
    first = house.load()
    house.write("workspaces/research.yaml", "oops")
    second, _ = reload(first)
    house.write("workspaces/research.yaml", RESEARCH.replace("400", "300"))
    third, mistakes = reload(second)
    assert ([policy.budget for policy in third.policies.workspaces], mistakes) == ([Decimal("300.00")], ())


def test_a_new_workspace_file_with_mistakes_is_told_and_left_out(house: House) -> None:
    first = house.load()
    house.write("workspaces/training.yaml", "workspace: llm-demo5f6a7b8c9d\nbudget: lots\n")
    second, mistakes = reload(first)
    assert (second.policies, len(mistakes)) == (first.policies, 1)


def test_a_mistake_in_the_main_file_keeps_everything(house: House) -> None:
    first = house.load()
    house.write("spendwatch.yaml", MAIN + "time_zone: Nowhere\n")
    house.write("workspaces/research.yaml", RESEARCH.replace("400", "500"))
    second, mistakes = reload(first)
    assert second == first
    assert [mistake.key for mistake in mistakes] == ["time_zone"]


def test_a_new_file_cannot_take_over_a_workspace(house: House) -> None:
    first = house.load()
    house.write("workspaces/a-first-by-name.yaml", RESEARCH.replace("400", "999999"))
    second, mistakes = reload(first)
    assert second.policies == first.policies
    assert [Path(mistake.file).name for mistake in mistakes] == ["a-first-by-name.yaml"]


def test_a_kept_policy_does_not_talk_to_a_channel_that_is_gone(house: House) -> None:
    house.write("spendwatch.yaml", MAIN + "  other: {type: console}\n")
    house.write("workspaces/research.yaml", RESEARCH + "channels: [other]\n")
    first = house.load()
    house.write("spendwatch.yaml", MAIN)
    second, mistakes = reload(first)
    assert [mistake.key for mistake in mistakes] == ["channels[0]"]
    assert [policy.channels for policy in second.policies.workspaces] == [("screen",)]


def test_a_secret_that_is_gone_keeps_everything(house: House) -> None:
    house.write("spendwatch.yaml", MAIN + MAIL + "    password_file: smtp\n")
    house.secret("smtp")
    first = house.load()
    (house.folder / "smtp").unlink()
    second, mistakes = reload(first)
    assert (second, len(mistakes)) == (first, 1)


def test_a_configuration_that_is_gone_keeps_everything(house: House) -> None:
    first = house.load()
    house.folder.rename(house.folder.with_name("moved"))
    second, mistakes = reload(first)
    assert (second, [mistake.what for mistake in mistakes]) == (first, ["cannot be read: No such file or directory"])


def test_policies_are_keyed_by_workspace_and_not_by_name(house: House) -> None:
    first = house.load()
    house.write("workspaces/research.yaml", "name: Renamed\n" + RESEARCH)
    second, _ = reload(first)
    assert [(policy.workspace, policy.name) for policy in second.policies.workspaces] == [
        (WorkspaceId("llm-demo0a1b2c3d4e"), "Renamed")
    ]


# -- whatever is written


_KEYS = (
    "accounts sources channels defaults workspace budget thresholds budgets match tag name id type path poll cash from balance"
)
_MORE = (
    "floors state time_zone to host port url secret password_file console email webhook folder 80% 900.00 1e3 30s acme CNY cn "
    "recursive move account kind layout auto true false retention originals lines 400d"
)
_WORDS = st.sampled_from(f"{_KEYS} {_MORE}".split())
_MARKS = st.sampled_from(
    [": ", "\n", "\n  ", "\n    ", "- ", "[", "]", "{", "}", ", ", '"', "'", "#", "&a ", "*a", "!t ", "|\n", "~", "\t"]
)
_TEXT = st.one_of(st.text(), st.lists(st.one_of(_WORDS, _MARKS), max_size=60).map("".join))


@pytest.fixture(scope="module")
def one_house(tmp_path_factory: pytest.TempPathFactory) -> House:
    made = House(tmp_path_factory.mktemp("any") / "config")
    made.write("workspaces/research.yaml", RESEARCH)
    return made


@settings(max_examples=300)
@given(main=_TEXT, workspace=_TEXT, appended=st.booleans())
def test_any_text_is_a_configuration_or_a_list_of_mistakes(
    one_house: House, main: str, workspace: str, *, appended: bool
) -> None:
    text = (MAIN + main) if appended else main
    (one_house.folder / "spendwatch.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    (one_house.folder / "workspaces/research.yaml").write_bytes((RESEARCH + workspace).encode("utf-8", "surrogatepass"))
    assert_taken_or_told(one_house, {})


@settings(max_examples=200)
@given(
    st.dictionaries(st.lists(_WORDS, min_size=1, max_size=4).map(lambda parts: "SPENDWATCH_" + "__".join(parts).upper()), _TEXT)
)
def test_any_environment_is_taken_or_a_list_of_mistakes(one_house: House, environ: dict[str, str]) -> None:
    one_house.write("spendwatch.yaml", MAIN)
    one_house.write("workspaces/research.yaml", RESEARCH)
    assert_taken_or_told(one_house, environ)


def assert_taken_or_told(house: House, environ: dict[str, str]) -> None:
    try:
        house.load(**environ)
    except ConfigError as error:
        mistakes = error.mistakes
    else:
        return
    assert mistakes
    assert all(str(mistake).isprintable() and mistake.line > 0 and mistake.column > 0 for mistake in mistakes)


# -- what it costs


@pytest.mark.parametrize("kinds", [CHANNELS, SOURCES], ids=["channels", "sources"])
def test_every_type_leads_to_the_settings_that_name_it(kinds: ByKey) -> None:
    named = {kind: model for model in kinds.models for kind in get_args(model.model_fields["type"].annotation)}
    assert {kind: kinds.of(kind) for kind in named} == named
    assert kinds.of("floder") is None


def test_every_type_of_channel_leads_to_what_sends_by_its_settings() -> None:
    for kind, (_, place) in KINDS.items():
        channel = imported(f"spendwatch.channels.{place}")
        assert issubclass(channel, Channel)
        assert get_args(channel.__orig_bases__[0]) == (CHANNELS.of(kind),)


def test_asking_for_the_settings_room_imports_nothing_heavy() -> None:
    heavy = "'pydantic', 'pydantic_settings', 'httpx', 'aiosmtplib', 'jinja2', 'sqlalchemy', 'polars'"
    asked = f"import sys, spendwatch.settings; print(*sorted({{{heavy}}} & sys.modules.keys()))"
    assert _printed(asked) == ""


def test_loading_imports_nothing_that_sends_reads_bills_or_stores() -> None:
    heavy = "'httpx', 'aiosmtplib', 'jinja2', 'sqlalchemy', 'polars', 'apscheduler'"
    asked = (
        "import sys; from pathlib import Path; from spendwatch.settings import load, Outside; "
        f"load(Path({str(REPOSITORY / 'config')!r}), Outside({{}})); print(*sorted({{{heavy}}} & sys.modules.keys()))"
    )
    assert _printed(asked) == ""


def _printed(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ.copy(), timeout=60
    )
    return done.stdout.strip()


def test_a_postgresql_server_may_be_reached_over_its_socket(house: House) -> None:
    state = "postgresql://postgres@/ledger?host=/run/postgresql"
    house.write("spendwatch.yaml", f"{MAIN}\nstate: {state}\n")
    assert house.load().state == state


def test_loading_twice_by_name_is_loading_twice(house: House) -> None:
    settings_room = importlib.import_module("spendwatch.settings")
    first = house.load()
    assert callable(settings_room.load)
    assert house.load() == first


@pytest.mark.parametrize("account", ["acme-cloud", "/providers/Microsoft.Billing/" + "b" * 227])
def test_an_account_id_may_be_any_256_characters(tmp_path: Path, account: str) -> None:
    (tmp_path / "spendwatch.yaml").write_text(MAIN.replace("1000000000000001", account), encoding="utf-8")
    assert [policy.account for policy in load(tmp_path, Outside(environ={})).policies.accounts] == [account]


def test_a_budget_for_each_day_is_an_amount_or_keys(house: House) -> None:
    """It counts pay-as-you-go and has one threshold, the whole of it, unless something else is written."""
    finer = "budgets:\n  - {name: key, for_each: api_key, exceptions: {'17*': none, 18: 90}, budget: 50, daily: 9}\n"
    weekly = "weekly: {budget: 400, thresholds: [80%, {at: 500.00, channels: [screen]}], counts: all, channels: [screen]}\n"
    house.write("workspaces/research.yaml", RESEARCH + "daily: 60.50\n" + weekly + finer)
    [research] = house.load().policies.workspaces
    daily, week, key, daily_key = research.budgets
    assert (key.name, key.per, len(key.exceptions)) == ("key", PeriodKind.MONTH, 2)
    assert (daily_key.name, daily_key.per, daily_key.for_each) == ("key", PeriodKind.DAY, "api_key")
    assert (daily_key.budget, daily_key.exceptions) == (Decimal(9), (("17*", None),))
    assert (daily.name, daily.per, daily.budget, daily.match) == ("", PeriodKind.DAY, Decimal("60.50"), Match())
    assert (daily.counts, [one.label for one in daily.thresholds]) == (Counts.PAY_AS_YOU_GO, ["100%"])
    assert (week.per, week.counts, week.channels) == (PeriodKind.WEEK, Counts.ALL, ("screen",))
    assert [(one.label, one.channels) for one in week.thresholds] == [("80%", ()), ("500", ("screen",))]


def test_a_budget_for_each_day_counts_what_is_written_beside_it(house: House) -> None:
    finer = "budgets: [{name: plans, match: {api_key: ''}, counts: subscription, daily: 9}]\n"
    house.write("workspaces/research.yaml", RESEARCH + "counts: all\ndaily: 60\n" + finer)
    [research] = house.load().policies.workspaces
    assert [(one.name, one.per.value, one.counts.value) for one in research.budgets] == [
        ("", "day", "all"),
        ("plans", "day", "subscription"),
    ]


def test_spend_that_nobody_counts_is_watched_over_an_amount(house: House) -> None:
    account = (
        "console_spend: {over: 50, per: day, channels: [screen]}, unassigned_spend: 20, untagged_spend: {team: 100, env: 9}"
    )
    house.write("spendwatch.yaml", MAIN.replace("budget: 5000.00", account))
    house.write("workspaces/research.yaml", RESEARCH + "console_spend: 7.50\n")
    policies = house.load().policies
    found = [(one.name, one.per.value, one.thresholds[0].label) for one in policies.accounts[0].budgets]
    assert found == [
        ("console spend", "day", "50"),
        ("spend without workspace", "month", "20"),
        ("spend without tag team", "month", "100"),
        ("spend without tag env", "month", "9"),
    ]
    assert {one.counts for one in policies.accounts[0].budgets} == {Counts.PAY_AS_YOU_GO}
    assert policies.accounts[0].budgets[0].channels == ("screen",)
    [console] = policies.workspaces[0].budgets
    assert (console.name, console.match.fits({Dimension.CHANNEL: "bmp"}), console.match.fits({})) == (
        "console spend",
        True,
        False,
    )
