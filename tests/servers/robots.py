"""Chat robots that judge what they get as the services do: signature, size and form, by code of their own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from servers_http import HttpSink, Reply, Request

SECRET = "SECbbb6b8bde2fa9d5ba9f0ac6f0a6fd8b6"
TOKEN = "canary0123456789abcdef"


class Judge(Protocol):
    def __call__(self, request: Request, *, is_signed: bool) -> Reply:
        """Return what the service answers."""


@dataclass(frozen=True)
class Service:
    """One service: where its robot listens, its settings, how it says yes, and every no with the word that we must say."""

    kind: str
    path: str
    judge: Judge
    accepts: Reply
    refuses: Mapping[str, tuple[Reply, str, bool]]
    """By name: the answer, a word of ours, and whether it is of the channel."""
    settings: Mapping[str, object] = field(default_factory=dict)


class Robot(HttpSink):
    """A robot of one service; `is_signed`: it verifies signatures."""

    def __init__(self, service: Service, *, is_signed: bool = False) -> None:
        super().__init__()
        self.service = service
        self.is_signed = is_signed

    def reply_to(self, request: Request) -> Reply:
        return self.service.judge(request, is_signed=self.is_signed)

    @property
    def bodies(self) -> list[Any]:
        """What came in, read as JSON."""
        return [json.loads(request.body) for request in self.requests]


def said(status: int = 200, /, **body: object) -> Reply:
    return Reply(status, {"content-type": "application/json"}, json.dumps(body).encode())


def sign(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()


def _dingtalk(request: Request, *, is_signed: bool) -> Reply:
    query = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
    body = json.loads(request.body)
    if query.get("access_token") != TOKEN:
        return said(errcode=300005, errmsg="token is not exist")
    if is_signed and query.get("sign") != sign(SECRET, f"{query.get('timestamp')}\n{SECRET}"):
        return said(errcode=310000, errmsg="sign not match")
    if len(request.body) > 20_000:
        return said(errcode=460101, errmsg="message too long, exceed 20000 bytes")
    if body["msgtype"] != "markdown" or not (body["markdown"]["title"] and body["markdown"]["text"]):
        return said(errcode=40035, errmsg="invalid parameter")
    return said(errcode=0, errmsg="ok")


DINGTALK = Service(
    "dingtalk",
    f"/robot/send?access_token={TOKEN}",
    _dingtalk,
    said(errcode=0, errmsg="ok"),
    {
        "keyword": (said(errcode=310000, errmsg="keywords not in content"), "keyword", True),
        "clock": (said(errcode=310000, errmsg="invalid timestamp"), "clock", True),
        "signature": (said(errcode=310000, errmsg="sign not match"), "secret_file", True),
        "address": (said(errcode=310000, errmsg="ip 203.0.113.9 not in whitelist"), "IP list", True),
        "token": (said(errcode=300005, errmsg="token is not exist"), "url_file", True),
        "no token": (said(errcode=400101, errmsg="access_token not found"), "url_file", True),
        "dissolved": (said(errcode=400013, errmsg="group dissolved"), "another group", True),
        "rate": (said(errcode=130101, errmsg="send too fast, exceed 20 times per minute"), "10 minutes", True),
        "rate by another code": (said(errcode=410100, errmsg="speed limit"), "10 minutes", True),
        "busy": (said(errcode=-1, errmsg="system busy"), "busy", True),
        "too long": (said(errcode=460101, errmsg="message too long, exceed 20000 bytes"), "too long", False),
        "content": (said(errcode=430104, errmsg="improper content"), "content", False),
    },
)

SERVICES = {one.kind: one for one in (DINGTALK,)}
