"""What `balance` in the configuration means once it is loaded: where it is read, by what right, who hears of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from spendwatch.connection import Auth
from spendwatch.domain.errors import ConfigError
from spendwatch.domain.policy import BalancePolicy, Threshold
from spendwatch.settings import Outside, Settings, load, reload
from spendwatch.settings.optional_parts import ApiBalancePart, FileBalancePart, UrlBalancePart
from spendwatch.settings.resolve import BalanceSettings
from spendwatch.sources.provider.credentials_settings import Provider

MAIN = """\
accounts:
  acme: {{id: "1000000000000001", site: cn, currency: CNY, balance: {balance}}}
sources:
  inbox: {{type: folder, path: inbox}}
allow_networks: [10.0.0.0/8]
channels:
  screen: {{type: console}}
  boss: {{type: console}}
"""
FILE = "{from: file, path: inbox/balance.json, floors: [1000.00, 200.00], runway: [7d, 3d]}"


@dataclass(frozen=True, slots=True)
class House:
    """A configuration folder of its own."""

    folder: Path

    def say(self, balance: str) -> None:
        (self.folder / "spendwatch.yaml").write_text(MAIN.format(balance=balance), encoding="utf-8")

    def secret(self, name: str, text: str = "hunter2\n") -> None:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)

    def load(self, balance: str, environ: Mapping[str, str] | None = None, *, with_secrets: bool = True) -> Settings:
        self.say(balance)
        return load(self.folder, Outside(environ or {}, self.folder / "run"), with_secrets=with_secrets)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def only(settings: Settings) -> BalanceSettings:
    (config,) = settings.balances.values()
    return config


def test_a_file_has_its_whole_path_and_is_known_to_be_no_bill(house: House) -> None:
    loaded = house.load(FILE)
    config = only(loaded)
    assert isinstance(config, FileBalancePart)
    assert config.path == str(house.folder / "inbox/balance.json")
    assert loaded.balance_files == (house.folder / "inbox/balance.json",)
    assert (config.poll, config.settle, config.stale_after) == (
        timedelta(minutes=1),
        timedelta(seconds=2),
        timedelta(hours=26),
    )
    assert loaded.accounts[0].balance == BalancePolicy(
        floors=(Decimal(200), Decimal(1000)),
        runway=(timedelta(days=3), timedelta(days=7)),
        stale_after=timedelta(hours=26),
    )


def test_an_endpoint_takes_its_secret_from_its_file_and_nothing_shows_it(house: House) -> None:
    house.secret("token")
    loaded = house.load('{from: url, url: "http://10.0.0.9/balance?key=hunter3", auth: bearer, secret_file: token, poll: 5m}')
    config = only(loaded)
    assert isinstance(config, UrlBalancePart)
    assert (config.auth, config.credentials(), config.poll) == (
        Auth.BEARER,
        {"authorization": "Bearer hunter2"},
        timedelta(minutes=5),
    )
    assert {"hunter2", "http://10.0.0.9/balance?key=hunter3"} <= set(loaded.secrets)
    assert "hunter" not in repr(loaded)


def test_an_endpoint_may_stand_in_the_environment_alone(house: House) -> None:
    place = "SPENDWATCH_ACCOUNTS__ACME__BALANCE__"
    environ = {f"{place}URL": "https://b.example.com/x", f"{place}SECRET": "hunter2"}
    config = only(house.load("{from: url, auth: header, header: X-Key}", environ))
    assert isinstance(config, UrlBalancePart)
    assert config.credentials() == {"x-key": "hunter2"}


def test_the_api_may_have_rights_of_its_own(house: House) -> None:
    house.secret("ram-id", "LTAIexample\n")
    house.secret("ram-secret")
    loaded = house.load("{from: api, key_id_file: ram-id, secret_file: ram-secret}")
    config = only(loaded)
    assert isinstance(config, ApiBalancePart)
    assert (config.provider, config.has_own_access, config.source) == (Provider.KEY, True, None)
    assert config.secret
    assert config.secret.get_secret_value() == "hunter2"
    assert (config.poll, config.stale_after) == (timedelta(hours=1), timedelta(hours=6))
    assert {"hunter2", "LTAIexample"} <= set(loaded.secrets)


def test_what_is_asked_of_a_role_needs_no_secret_and_its_token_has_its_whole_path(house: House) -> None:
    arn = "acs:ram::1000000000000001:role/reader"
    role = f'provider: oidc_role, role_arn: "{arn}", oidc_provider_arn: "{arn}", oidc_token_file: token'
    (house.folder / "token").write_text("a token")
    config = only(house.load(f'{{from: api, {role}, owner: "9"}}'))
    assert isinstance(config, ApiBalancePart)
    assert (config.oidc_token_file, config.owner) == (str(house.folder / "token"), "9")


def test_commands_that_only_look_need_no_secret(house: House) -> None:
    loaded = house.load("{from: api, key_id_file: gone, secret_file: gone}", with_secrets=False)
    assert isinstance(only(loaded), ApiBalancePart)


def test_what_is_configured_by_hand_is_read_from_nowhere_else(house: House) -> None:
    loaded = house.load("{from: manual, cash: 400.00}")
    assert loaded.balances == {}
    assert loaded.accounts[0].balance == BalancePolicy(cash=Decimal("400.00"))


def test_a_reload_with_a_mistake_keeps_the_balance_as_it_was(house: House) -> None:
    first = house.load(FILE)
    house.say(FILE.replace("7d", "7h"))
    second, mistakes = reload(first)
    assert second == first
    assert [mistake.key for mistake in mistakes] == ["accounts.acme.balance.runway[0]"]


@pytest.mark.parametrize(
    ("written", "threshold"),
    [
        ("forecast 100%", Threshold(share=Decimal(1), is_forecast=True)),
        ("forecast 80.5%", Threshold(share=Decimal("0.805"), is_forecast=True)),
        ("forecast 900.00", Threshold(amount=Decimal("900.00"), is_forecast=True)),
    ],
)
def test_thresholds_of_forecasts_are_shares_or_amounts(house: House, written: str, threshold: Threshold) -> None:
    (house.folder / "workspaces").mkdir()
    (house.folder / "workspaces" / "a.yaml").write_text(f"workspace: llm-a\nbudget: 100.00\nthresholds: [50%, {written}]\n")
    loaded = house.load("{from: manual, cash: 1}")
    assert loaded.policies.workspaces[0].thresholds == (Threshold(share=Decimal("0.5")), threshold)


def test_forecasts_may_be_a_default(house: House) -> None:
    house.say("{from: manual, cash: 1}")
    main = house.folder / "spendwatch.yaml"
    main.write_text(
        main.read_text().replace("currency: CNY,", "currency: CNY, budget: 5.00,") + "defaults: {thresholds: [forecast 100%]}\n"
    )
    loaded = load(house.folder, Outside({}, house.folder))
    assert [threshold.label for threshold in loaded.accounts[0].thresholds] == ["forecast 100%"]
    main.write_text(main.read_text().replace("forecast 100%", "forecast 100.00"))
    with pytest.raises(ConfigError, match="must be a share like 80%"):
        load(house.folder, Outside({}, house.folder))
