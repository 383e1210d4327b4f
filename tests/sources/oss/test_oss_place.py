"""Where a bucket is, and by what right it is read: what the settings say, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from bucket_watch import Stage
from endpoint_watch import LOOPBACK
from oss_lies import BUCKET, KEY_ID, REGION, SECRET, TOKEN
from spendwatch.acs3 import AccessKey
from spendwatch.outgoing import Outgoing
from spendwatch.sources.oss.settings import OssConfig, Signature
from spendwatch.sources.provider.credentials import RefreshedCredentials, StaticCredentials, TemporaryCredentials, key_in
from spendwatch.sources.provider.credentials_settings import Provider
from spendwatch.sources.trouble import Failure

pytestmark = pytest.mark.anyio

BILL = b"a,b\n1,2\n"
KEY = {"key_id": KEY_ID, "secret": SECRET}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage.opened(tmp_path) as opened:
        yield opened


async def test_credentials_that_are_refused_are_lent_anew_once(stage: Stage) -> None:
    class Lender:
        def __init__(self) -> None:
            self.lent = 0

        async def provide(self) -> TemporaryCredentials:
            self.lent += 1
            token = TOKEN if self.lent > 1 else "worn out"
            return TemporaryCredentials(AccessKey(KEY_ID, SECRET, token), stage.bucket.watch.now + timedelta(hours=1))

    stage.server.put("a.csv", BILL)
    stage.server.session_token = TOKEN
    lender = Lender()
    stage.bucket.restarted(credentials=RefreshedCredentials(lender.provide, stage.bucket.watch.clock))
    assert await stage.bucket.enter() == [("a.csv", BILL)]
    assert (lender.lent, stage.server.refused) == (2, ["InvalidSecurityToken"])


async def test_the_bucket_stands_in_the_name_of_the_host_unless_it_is_to_stand_in_the_path(stage: Stage) -> None:
    stage.server.put("d/账 单.csv", BILL)
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    name = f"oss-{REGION}-internal.aliyuncs.com"
    stage.bucket.said |= {"endpoint": f"http://{name}:{stage.server.port}", "path_style": False}
    stage.bucket.restarted(client=Outgoing(LOOPBACK, resolver=resolve))
    assert await stage.bucket.enter() == [("d/账 单.csv", BILL)]
    assert set(asked) == {f"{BUCKET}.{name}"}


async def test_an_internal_endpoint_is_called_only_where_its_network_is_allowed(stage: Stage) -> None:
    stage.bucket.said |= {"endpoint": f"https://oss-{REGION}-internal.aliyuncs.com", "path_style": False}
    stage.bucket.restarted(client=Outgoing((), resolver=lambda _host, _port: ["100.118.28.1"]))
    assert await stage.bucket.round() == []
    assert stage.bucket.trouble is Failure.FORBIDDEN
    assert "list its network in allow_networks if intended" in str(stage.bucket.source.trouble)


async def test_the_environment_may_hold_the_key(stage: Stage) -> None:
    stage.server.put("a.csv", BILL)
    stage.server.session_token = TOKEN
    environ = {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET,
        "ALIBABA_CLOUD_SECURITY_TOKEN": TOKEN,
    }
    stage.bucket.restarted(credentials=StaticCredentials(lambda: key_in(environ)))
    assert await stage.bucket.enter() == [("a.csv", BILL)]


# --- settings


def _config(**said: object) -> OssConfig:
    return OssConfig.model_validate({"type": "oss", "bucket": "acme-bills", "region": "cn-hangzhou", **said})


def test_a_bucket_of_the_provider_needs_its_name_its_region_and_a_key() -> None:
    config = _config(**KEY)
    assert config.address == "https://oss-cn-hangzhou.aliyuncs.com"
    assert (config.provider, config.signature, config.path_style) == (Provider.KEY, Signature.OSS, False)
    assert (config.poll, config.stale_after, config.most_bytes) == (timedelta(minutes=15), timedelta(hours=36), 2_048_000_000)
    assert _config(key_id_file="id", secret_file="secret").secret is None, "what stands in files is read later"


def test_hints_stand_beside_the_rest() -> None:
    config = _config(**KEY, account="acme", kind="snapshot", layout="auto", path_style="false")
    assert (config.account, config.kind, config.layout, config.path_style) == ("acme", "snapshot", None, False)


WRONG: Mapping[str, tuple[Mapping[str, object], str]] = {
    "no key": ({}, "provider: key needs also key_id_file, secret_file"),
    "capitals": ({**KEY, "bucket": "Acme"}, "bucket"),
    "way up": ({**KEY, "bucket": "../bills"}, "bucket"),
    "service in the region": ({**KEY, "region": "oss-cn-hangzhou"}, "write cn-hangzhou: the region without the name"),
    "host as region": ({**KEY, "region": "cn-hangzhou.aliyuncs.com"}, "region"),
    "leading slash": ({**KEY, "prefix": "/bills"}, "no key begins with / or \\"),
    "line end": ({**KEY, "prefix": "bills\n"}, "not the beginning of a key"),
    "long prefix": ({**KEY, "prefix": "账" * 342}, "1023 bytes at most"),
    "no scheme": ({**KEY, "endpoint": "oss-cn-hangzhou.aliyuncs.com"}, "endpoint"),
    "with a path": ({**KEY, "endpoint": "https://oss.example.com/acme-bills"}, "endpoint"),
    "bucket in the host": ({**KEY, "endpoint": "https://acme-bills.oss-cn-hangzhou.aliyuncs.com"}, "without the bucket"),
    "s3 without endpoint": ({**KEY, "signature": "s3"}, "signature: s3 needs also endpoint"),
    "path without endpoint": ({**KEY, "path_style": "true"}, "path_style needs also endpoint"),
    "an address": ({**KEY, "endpoint": "https://10.1.2.3:9000"}, "an address as endpoint needs also path_style: true"),
    "an address of six": ({**KEY, "endpoint": "https://[fd00::1]:9000"}, "an address as endpoint needs also path_style"),
    "points": ({**KEY, "bucket": "acme.bills"}, "a bucket with points in its name needs also path_style: true"),
    "unknown signature": ({**KEY, "signature": "v1"}, "'oss' or 's3'"),
    "unknown key": ({**KEY, "access_key": "x"}, "access_key"),
    "no size": ({**KEY, "max_megabytes": 0}, "greater than or equal to 1"),
    "no time": ({**KEY, "poll": "0s"}, "a second at least"),
    "unsendable": ({**KEY, "key_id": "LTAI\nx: y"}, "characters that are not allowed in a header"),
    "maybe": ({**KEY, "path_style": "maybe"}, "'true' or 'false'"),
}


@pytest.mark.parametrize(("said", "says"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_named_and_no_secret_with_it(said: Mapping[str, object], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _config(**said)
    assert says in str(caught.value)
    assert SECRET not in str(caught.value)


def test_nothing_of_a_secret_shows_in_the_settings_or_the_source(stage: Stage) -> None:
    config = _config(**KEY, token=TOKEN)
    shown = f"{config!r} {config.model_dump_json()} {stage.bucket.source!r} {vars(stage.bucket.source)!r}"
    assert not any(secret in shown for secret in (KEY_ID, SECRET, TOKEN))


def test_every_key_is_explained() -> None:
    told = (Path(__file__).parents[3] / "config" / "README.md").read_text(encoding="utf-8")
    section = told[told.index("#### A bucket") : told.index("### `retention`")]
    assert {key for key in OssConfig.model_fields if f"`{key}`" not in section} == set()


def test_the_schema_shows_durations_and_switches_as_they_are_written() -> None:
    properties = OssConfig.model_json_schema()["properties"]
    assert (properties["poll"]["default"], properties["stale_after"]["default"]) == ("15m", "36h")
    assert (properties["path_style"]["type"], properties["kind"]["default"]) == ("boolean", "auto")


def test_nothing_that_speaks_to_a_bucket_is_loaded_before_there_is_one() -> None:
    program = """
import json, sys
import spendwatch.app, spendwatch.sources.opening, spendwatch.sources.oss.settings
print(json.dumps(sorted(sys.modules)))
"""
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded = set(json.loads(found.stdout))
    ours = {name for name in loaded if name.startswith("spendwatch.sources.oss.")}
    assert ours == {"spendwatch.sources.oss.settings"}
    assert not {name for name in loaded if name.startswith(("alibabacloud", "botocore", "pyexpat", "spendwatch.xml_stream"))}
