"""Signatures for object stores: byte for byte those of the families' own documents, tests and programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoint_watch import LOOPBACK, StopWatch
from oss_lies import BUCKET, KEY_ID, REGION, SECRET, TOKEN, Call
from servers_oss import signature_of
from spendwatch.acs3 import AccessKey
from spendwatch.outgoing import Outgoing
from spendwatch.sources.oss.client import OssClient
from spendwatch.sources.oss.settings import OssConfig
from spendwatch.sources.oss.signing import AWS4, OSS4, StoreRequest, signed
from spendwatch.sources.provider.credentials import StaticCredentials

RECORDED = Path(__file__).parents[2] / "data" / "buckets" / "signed_requests.json"
"""What the provider's own package (alibabacloud-oss-v2 1.4.1) sent to the stand-in: listings, pages, objects, with and without
a token."""


@pytest.mark.parametrize(
    ("token", "moment", "signature"),
    [
        ("", 1702743657, "e21d18daa82167720f9b1047ae7e7f1ce7cb77a31e8203a7d5f4624fa0284afe"),
        ("token", 1702784856, "b94a3f999cf85bcdc00d332fbd3734ba03e48382c36fa4d5af5df817395bd9ea"),
    ],
)
def test_the_provider_s_own_test_values_come_out(token: str, moment: int, signature: str) -> None:
    query = {"param1": "value1", "+param1": "value3", "|param1": "value4", "+param2": "", "|param2": "", "param2": ""}
    headers = {"x-oss-head1": "value", "abc": "value", "zabc": "value", "xyz": "value", "content-type": "text/plain"}
    request = StoreRequest("/bucket/1234+-/123/1.txt", query, headers, method="PUT")
    at = datetime.fromtimestamp(moment, UTC)
    proven = signed(request, AccessKey("ak", "sk", token), OSS4, region="cn-hangzhou", at=at)
    scope = f"{at:%Y%m%d}/cn-hangzhou/oss/aliyun_v4_request"
    assert proven["authorization"] == f"OSS4-HMAC-SHA256 Credential=ak/{scope},Signature={signature}"


@pytest.mark.parametrize(
    ("path", "query", "headers", "signature"),
    [
        (
            "/test.txt",
            {},
            {"range": "bytes=0-9"},
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        ("/", {"max-keys": "2", "prefix": "J"}, {}, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        ("/", {"lifecycle": ""}, {}, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
    ],
)
def test_the_examples_of_the_s3_documents_come_out(
    path: str, query: Mapping[str, str], headers: Mapping[str, str], signature: str
) -> None:
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    told = {"host": "examplebucket.s3.amazonaws.com", "x-amz-content-sha256": empty, **headers}
    signer = AccessKey("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    at = datetime(2013, 5, 24, tzinfo=UTC)
    proven = signed(StoreRequest(path, query, told), signer, AWS4, region="us-east-1", at=at)
    assert proven["authorization"].endswith(f",Signature={signature}")


@pytest.mark.parametrize("recorded", json.loads(RECORDED.read_text(encoding="utf-8")), ids=lambda one: unquote(one["target"]))
def test_what_the_provider_s_own_package_sends_is_what_we_send(recorded: Mapping[str, Any]) -> None:
    theirs: dict[str, str] = dict(recorded["headers"])
    url = urlsplit(recorded["target"])
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    key = unquote(url.path).removeprefix(f"/{BUCKET}/")
    request = StoreRequest(
        f"/{BUCKET}/{key}", query, {name: theirs[name] for name in ("content-type", "content-md5") if name in theirs}
    )
    signer = AccessKey(KEY_ID, SECRET, theirs.get("x-oss-security-token", ""))
    at = datetime.strptime(theirs["x-oss-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert signed(request, signer, OSS4, region=REGION, at=at) == theirs
    sent = urlsplit(_client()._url(key, request))
    assert sent.path == url.path
    assert sorted(sent.query.split("&")) == sorted(url.query.split("&"))


KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)


@given(key=KEYS, query=st.dictionaries(KEYS, KEYS, max_size=4), token=st.sampled_from(["", TOKEN]))
def test_whatever_a_key_is_the_other_side_reads_the_same_out_of_the_wire(key: str, query: dict[str, str], token: str) -> None:
    client = _client()
    request = StoreRequest(f"/{BUCKET}/{key}", query)
    proven = signed(request, AccessKey(KEY_ID, SECRET, token), OSS4, region=REGION, at=StopWatch().now)
    url = urlsplit(client._url(key, request))
    assert unquote(url.path) == f"/{BUCKET}/{key}"
    assert dict(parse_qsl(url.query, keep_blank_values=True)) == query
    call = Call("GET", unquote(url.path).removeprefix(f"/{BUCKET}/"), {}, url.query, proven)
    scope = f"{proven['x-oss-date'][:8]}/{REGION}/oss/aliyun_v4_request"
    assert proven["authorization"].endswith(signature_of(call, SECRET, scope))


def _client() -> OssClient:
    said = {"type": "oss", "bucket": BUCKET, "region": REGION, "endpoint": "http://127.0.0.1:9", "path_style": True}
    config = OssConfig.model_validate({**said, "key_id": KEY_ID, "secret": SECRET})
    return OssClient(Outgoing(LOOPBACK), StaticCredentials(lambda: AccessKey(KEY_ID, SECRET)), config, clock=StopWatch().clock)
