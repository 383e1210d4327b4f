"""Our signatures are those of the provider: its own example, what its SDK sent, and a second implementation agree."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_gateway import signature_of, signed_names
from spendwatch.acs3 import AccessKey, ApiRequest, canonical, signed

CAPTURE = Path(__file__).parents[2] / "data" / "endpoint" / "sdk_capture.jsonl"
CAPTURED_SECRET = "test-secret/+="

VENDOR = (
    ApiRequest(
        host="ecs.cn-shanghai.aliyuncs.com",
        action="RunInstances",
        version="2014-05-26",
        query={"ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd", "RegionId": "cn-shanghai"},
    ),
    AccessKey("YourAccessKeyId", "YourAccessKeySecret"),
    datetime(2023, 10, 26, 10, 22, 32, tzinfo=UTC),
    "3156853299f313e23d1673dc12e1703d",
    "7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259",
    "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0",
)
BILL = (
    ApiRequest(
        host="business.aliyuncs.com",
        action="DescribeInstanceBill",
        version="2017-12-14",
        query={
            "MaxResults": "300",
            "BillingCycle": "2026-09",
            "BillingDate": "2026-09-12",
            "ProductCode": "sfm",
            "Granularity": "DAILY",
        },
    ),
    AccessKey("ExampleAccessKeyId", "ExampleAccessKeySecret"),
    datetime(2026, 9, 13, 2, 0, 0, tzinfo=UTC),
    "0123456789abcdef0123456789abcdef",
    "84bd36911edd1abaf63fd434797f0d50f462ebb33628a6fe047200f00144e3ee",
    "b5897256719f3dd83e79849d7e86f6c34324cbd95bd7a7276c8d38787026088f",
)


@pytest.mark.parametrize(("request_", "signer", "at", "nonce", "hashed", "signature"), [VENDOR, BILL])
def test_the_published_examples_come_out(
    *, request_: ApiRequest, signer: AccessKey, at: datetime, nonce: str, hashed: str, signature: str
) -> None:
    headers = signed(request_, signer, at=at, nonce=nonce)
    unsigned = {name: value for name, value in headers.items() if name != "authorization"}
    assert hashlib.sha256(canonical(request_, unsigned).encode()).hexdigest() == hashed
    assert headers["authorization"].endswith(f",Signature={signature}")
    assert headers["authorization"].startswith(f"ACS3-HMAC-SHA256 Credential={signer.key_id},SignedHeaders=host;x-acs-action;")


def _captured() -> Iterator[tuple[str, Mapping[str, str], bytes]]:
    for line in CAPTURE.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        headers = {name.lower(): value for name, value in record["headers"]}
        yield record["target"], headers, base64.b64decode(record["body_b64"])


def test_what_the_official_sdk_sent_is_signed_as_we_sign() -> None:
    seen = 0
    for target, headers, body in _captured():
        query = dict(parse_qsl(urlsplit(target).query, keep_blank_values=True))
        request = ApiRequest(headers["host"], headers["x-acs-action"], headers["x-acs-version"], query, body)
        # The SDK signs a few headers more; the canonical form of those that it chose must come out the same.
        chosen = {name: headers[name] for name in signed_names(headers)}
        digest = hashlib.sha256(canonical(request, chosen).encode()).hexdigest()
        ours = hmac.new(CAPTURED_SECRET.encode(), f"ACS3-HMAC-SHA256\n{digest}".encode(), hashlib.sha256).hexdigest()
        assert headers["authorization"].endswith(f",Signature={ours}")
        assert ours == signature_of(target, headers, body, CAPTURED_SECRET)
        seen += 1
    assert seen == 5


def test_the_headers_that_the_sdk_adds_for_a_token_are_those_that_we_add() -> None:
    (with_token,) = (headers for _, headers, _ in _captured() if "x-acs-security-token" in headers)
    signer = AccessKey(with_token["x-acs-accesskey-id"], CAPTURED_SECRET, with_token["x-acs-security-token"])
    request = ApiRequest(with_token["host"], with_token["x-acs-action"], with_token["x-acs-version"])
    at = datetime.strptime(with_token["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    ours = signed(request, signer, at=at, nonce=with_token["x-acs-signature-nonce"])
    assert {name: ours[name] for name in ours if name != "authorization"}.items() <= with_token.items()
    assert {"x-acs-accesskey-id", "x-acs-security-token"} <= set(signed_names(ours))


TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
WORDS = st.text("abcXYZ019-_.~", min_size=1, max_size=20)


@given(
    query=st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=6),
    body=st.binary(max_size=50),
    content_type=st.sampled_from(["", "application/x-www-form-urlencoded"]),
    secret=TEXTS.filter(bool),
    token=st.sampled_from(["", "STS.token/+="]),
    nonce=WORDS,
    at=st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2090, 1, 1)),  # noqa: DTZ001 -- the zone follows
)
def test_a_second_implementation_agrees_on_everything(
    *, query: Mapping[str, str], body: bytes, content_type: str, secret: str, token: str, nonce: str, at: datetime
) -> None:
    request = ApiRequest("business.aliyuncs.com:8443", "DoIt", "2017-12-14", query, body, content_type)
    moment = at.replace(tzinfo=timezone(timedelta(hours=8)))
    headers = signed(request, AccessKey("LTAItestid", secret, token), at=moment, nonce=nonce)
    expected = signature_of(f"/?{request.canonical_query}", headers, body, secret)
    assert headers["authorization"].endswith(f",Signature={expected}")
    assert headers["x-acs-date"] == moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert ("content-type" in signed_names(headers)) == bool(content_type)


def test_nothing_of_a_key_shows_in_its_text() -> None:
    signer = AccessKey("canary-id", "canary-secret", "canary-token")
    assert "canary" not in f"{signer} {signer!r}"
