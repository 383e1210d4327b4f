"""The settings of the billing API: each way to say who we are has what it needs, and opens what it names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from bss_lies import KEY_ID, SECRET, TOKEN
from endpoint_watch import LOOPBACK, StopWatch
from scratch_memory import ScratchMemory
from servers_bss import ACCOUNT, BssServer, an_item
from servers_http import HttpSink, Reply
from spendwatch.acs3 import AccessKey
from spendwatch.domain.policy import Site
from spendwatch.domain.statement import SourceName
from spendwatch.outgoing import Outgoing
from spendwatch.pacing import RateLimiter
from spendwatch.sources.alibaba.settings import AlibabaConfig
from spendwatch.sources.opening import Recipe, SourceContext, open_credentials, open_source
from spendwatch.sources.provider.credentials import Credentials
from spendwatch.sources.provider.credentials_settings import Provider
from spendwatch.sources.trouble import EndpointError, Failure

pytestmark = pytest.mark.anyio

KEY = {"key_id": KEY_ID, "secret": SECRET}
ROLE = {"role_arn": "acs:ram::1000000000000001:role/spend-reader"}
OIDC = {**ROLE, "oidc_provider_arn": "acs:ram::1000000000000001:oidc-provider/ack-c1"}


def _config(**said: object) -> AlibabaConfig:
    return AlibabaConfig.model_validate({"type": "alibaba", "account": ACCOUNT, **said})


def _context(watch: StopWatch, place: Path, environ: Mapping[str, str] | None = None) -> SourceContext:
    return SourceContext(
        fetched=place,
        environ=environ or {},
        metadata=Outgoing.to_metadata_service,
        memory=ScratchMemory(place / "ledger.db"),
        others=tuple,
        hints=str,
        got_on=lambda _: None,
        clock=watch.clock,
        monotonic=watch.monotonic,
        sleep=watch.sleep,
    )


def _open(config: AlibabaConfig, watch: StopWatch, place: Path, environ: Mapping[str, str] | None = None) -> Credentials:
    return open_credentials(config, Outgoing(LOOPBACK), _context(watch, place, environ))


def test_a_key_in_files_is_the_usual_way() -> None:
    config = _config(**KEY)
    assert (config.provider, config.product, config.poll) == (Provider.KEY, "sfm", timedelta(hours=1))
    assert _config(key_id_file="id", secret_file="secret").key_id is None, "what stands in files is read later"


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({}, "provider: key needs also key_id_file, secret_file"),
        ({"key_id": KEY_ID}, "provider: key needs also secret_file"),
        ({"provider": "environment", "secret_file": "x"}, "provider: environment does not use secret_file"),
        ({**KEY, "role": "reader"}, "provider: key does not use role: that is for provider: machine_role"),
        ({**KEY, "sts_endpoint": "https://sts.example.com"}, "that is for provider: oidc_role"),
        ({"provider": "oidc_role"}, "provider: oidc_role needs also role_arn, oidc_provider_arn, oidc_token_file"),
        ({"provider": "oidc_role", **OIDC}, "needs also oidc_token_file"),
        ({"provider": "oidc_role", **OIDC, "oidc_token_file": ""}, "oidc_token_file"),
        ({"provider": "oidc_role", "role_arn": "arn:aws:iam::1:role/x"}, "role_arn"),
        ({"provider": "root"}, "'key', 'environment', 'machine_role', 'oidc_role' or 'sdk'"),
        ({"provider": "machine_role", "role": "../x"}, "role"),
        ({**KEY, "access_key": "x"}, "access_key"),
        ({**KEY, "account": ""}, "account"),
        ({**KEY, "product": "a b"}, "product"),
        ({**KEY, "poll": "0s"}, "a second at least"),
        ({**KEY, "endpoint": "https://business.example.com/path"}, "endpoint"),
        ({**KEY, "endpoint": "business.example.com"}, "endpoint"),
        ({**KEY, "key_id": "LTAI\nx: y"}, "characters that are not allowed in a header"),
        ({**KEY, "token": "ä"}, "characters that are not allowed in a header"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_with_it(said: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _config(**said)
    assert says in str(caught.value)
    assert SECRET not in str(caught.value)


def test_nothing_of_a_secret_shows_in_the_settings() -> None:
    config = _config(**KEY, token=TOKEN)
    assert not any(secret in f"{config!r} {config.model_dump_json()}" for secret in (KEY_ID, SECRET, TOKEN))


def test_the_schema_shows_durations_as_they_are_written() -> None:
    properties = AlibabaConfig.model_json_schema()["properties"]
    assert (properties["poll"]["default"], properties["stale_after"]["default"]) == ("1h", "50h")


@pytest.mark.parametrize(
    ("said", "environ"),
    [
        (KEY, {}),
        ({"key_id": f"{KEY_ID}\n", "secret": f" {SECRET}"}, {}),
        (
            {"provider": "environment"},
            {"ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET},
        ),
    ],
)
async def test_what_the_settings_describe_fetches_a_bill(
    said: dict[str, object], environ: Mapping[str, str], tmp_path: Path
) -> None:
    watch = StopWatch()
    day = watch.now.date()
    with BssServer({day: [an_item(day)]}, clock=watch.clock) as server:
        config = _config(**said, endpoint=server.url)
        context, client = _context(watch, tmp_path, environ), Outgoing(LOOPBACK)
        pace = RateLimiter(watch.monotonic, watch.sleep)
        source = open_source(SourceName("api"), Recipe(config, client, Site.CN, 4), context, lambda _: pace)
        await source.fetch(watch.now)
        assert [file.source for file in source.arrivals(watch.now)] == ["api"]


async def test_an_environment_without_a_key_is_told_to_whoever_asks_first_and_to_nobody_who_only_looks(tmp_path: Path) -> None:
    credentials = _open(_config(provider="environment"), StopWatch(), tmp_path)
    assert not credentials.forget()
    with pytest.raises(EndpointError, match="the environment does not hold ALIBABA_CLOUD_ACCESS_KEY_ID") as caught:
        await credentials.current()
    assert caught.value.trouble is Failure.CREDENTIALS


async def test_a_service_account_reads_its_token_from_the_file_each_time(tmp_path: Path) -> None:
    token, watch = tmp_path / "token", StopWatch()
    lent = {"AccessKeyId": "i", "AccessKeySecret": "s", "SecurityToken": "t", "Expiration": "2026-09-05T05:00:00Z"}
    body = json.dumps({"Credentials": lent}).encode()
    with HttpSink([Reply(200, {"content-type": "application/json"}, body)]) as sink:
        config = _config(provider="oidc_role", **OIDC, oidc_token_file=str(token), sts_endpoint=sink.url(""))
        credentials = _open(config, watch, tmp_path)
        for content in ("first", "second"):
            token.write_text(content, encoding="utf-8")
            assert await credentials.current() == AccessKey("i", "s", "t")
            credentials.forget()
        assert [b"OIDCToken=first" in sink.requests[0].body, b"OIDCToken=second" in sink.requests[1].body] == [True, True]


async def test_the_machine_s_role_goes_over_the_client_made_for_it(tmp_path: Path) -> None:
    watch = StopWatch()
    config = _config(provider="machine_role")
    client = Outgoing(LOOPBACK)
    wrong = open_credentials(config, client, replace(_context(watch, tmp_path), metadata=lambda: client))
    with pytest.raises(EndpointError) as caught:
        await wrong.current()
    assert caught.value.trouble is Failure.FORBIDDEN


async def test_the_provider_s_package_is_asked_for_by_name_and_not_there(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match="aliyun-credentials"):
        await _open(_config(provider="sdk"), StopWatch(), tmp_path).current()
