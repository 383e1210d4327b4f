"""Chat robots that judge what they get as the services do: signature, size and form, by code of their own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
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
    settings: Mapping[str, str] = field(default_factory=dict)
    """With `{base}` for where the robot listens."""
    path_called: str = ""
    """Where it differs from `path`."""


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


def _feishu(request: Request, *, is_signed: bool) -> Reply:
    body = json.loads(request.body)
    if not request.path.endswith(TOKEN):
        return said(code=19001, msg="param invalid: incoming webhook access token invalid")
    if is_signed and body.get("sign") != sign(f"{body.get('timestamp')}\n{SECRET}", ""):
        return said(code=19021, msg="sign match fail or timestamp is not within one hour from current time")
    if len(request.body) > 20_000:
        return said(code=9499, msg="Bad Request: body is too large")
    if body["msg_type"] != "interactive" or not all(one["content"] for one in body["card"]["elements"]):
        return said(code=19002, msg="params error, msg_type need")
    return said(StatusCode=0, StatusMessage="success", code=0, data={}, msg="success")


def _wecom(request: Request, *, is_signed: bool) -> Reply:
    del is_signed
    content = json.loads(request.body)["markdown"]["content"]
    if parse_qs(urlsplit(request.path).query).get("key") != [TOKEN]:
        return said(errcode=93000, errmsg="invalid webhook url")
    if len(content.encode()) > 4096:
        return said(errcode=40058, errmsg="markdown.content exceed max length 4096")
    return said(errcode=0, errmsg="ok")


def _slack(request: Request, *, is_signed: bool) -> Reply:
    del is_signed
    body = json.loads(request.body)
    (edge,) = body["attachments"]
    if not request.path.endswith(TOKEN):
        return Reply(403, {}, b"invalid_token")
    lengths = [len(one["text"]["text"]) for one in edge["blocks"]]
    if not body["text"] or len(edge["blocks"]) > 50 or not all(1 <= length <= 3000 for length in lengths):
        return Reply(400, {}, b"invalid_blocks")
    return Reply(200, {}, b"ok")


def _teams(request: Request, *, is_signed: bool) -> Reply:
    del is_signed
    body = json.loads(request.body)
    if f"sig={TOKEN}" not in request.path:
        return said(401, error={"code": "DirectApiAuthorizationRequired", "message": "The request must be authenticated"})
    if len(request.body) > 28_000:
        return said(413, error={"code": "RequestEntityTooLarge"})
    content = body["attachments"][0]["content"]
    if body["type"] != "message" or content["type"] != "AdaptiveCard" or not all(one.get("type") for one in content["body"]):
        return said(400, error={"code": "TriggerInputSchemaMismatch"})
    return Reply(202)


def _discord(request: Request, *, is_signed: bool) -> Reply:
    del is_signed
    body = json.loads(request.body)
    (embed,) = body["embeds"]
    if TOKEN not in request.path:
        return said(401, message="Invalid Webhook Token", code=50027)
    units = [len(embed[key].encode("utf-16-le")) // 2 for key in ("title", "description")]
    if units[0] > 256 or units[1] > 4096 or sum(units) > 6000 or body["allowed_mentions"] != {"parse": []}:
        return said(400, message="Invalid Form Body", code=50035)
    return said(id="1312") if "wait=true" in request.path else Reply(204)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text, self.open = "", list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "b" or (tag == "a" and [name for name, _ in attrs] == ["href"])
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _telegram(request: Request, *, is_signed: bool) -> Reply:
    del is_signed
    body = json.loads(request.body)
    if request.path != f"/bot123456:{TOKEN}/sendMessage":
        return said(401, ok=False, error_code=401, description="Unauthorized")
    tags = _Tags()
    try:
        tags.feed(body["text"])
    except AssertionError:
        return said(400, ok=False, error_code=400, description="Bad Request: can't parse entities")
    if tags.open or not 1 <= len(tags.text.encode("utf-16-le")) // 2 <= 4096:
        return said(400, ok=False, error_code=400, description="Bad Request: message is too long")
    return said(ok=True, result={"message_id": 7})


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
    {"url": f"{{base}}/robot/send?access_token={TOKEN}"},
)

FEISHU = Service(
    "feishu",
    f"/open-apis/bot/v2/hook/{TOKEN}",
    _feishu,
    said(StatusCode=0, StatusMessage="success", code=0, data={}, msg="success"),
    {
        "keyword": (said(code=19024, msg="Key Words Not Found"), "keyword", True),
        "signature": (said(code=19021, msg="sign match fail or timestamp is not within one hour"), "secret_file", True),
        "address": (said(code=19022, msg="Ip Not Allowed"), "IP list", True),
        "token": (said(code=19001, msg="param invalid: incoming webhook access token invalid"), "url_file", True),
        "disabled": (said(code=19007, msg="Bot Not Enabled"), "enable it", True),
        "rate": (
            said(code=11232, msg="frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]"),
            "more messages",
            True,
        ),
        "rate by another code": (said(400, code=9499, msg="too many request"), "more messages", True),
        "too long": (said(code=9499, msg="Bad Request"), "content", False),
        "card": (said(400, code=11246, msg="card contains invalid image keys"), "content", False),
    },
    {"url": f"{{base}}/open-apis/bot/v2/hook/{TOKEN}"},
)

WECOM = Service(
    "wecom",
    f"/cgi-bin/webhook/send?key={TOKEN}",
    _wecom,
    said(errcode=0, errmsg="ok"),
    {
        "token": (said(errcode=93000, errmsg="invalid webhook url, hint: [1647]"), "url_file", True),
        "rate": (said(errcode=45009, errmsg="api freq out of limit"), "20 messages", True),
        "too long": (said(errcode=40058, errmsg="markdown.content exceed max length 4096"), "too long", False),
        "type": (said(errcode=40008, errmsg="invalid message type"), "content", False),
        "busy": (said(errcode=-1, errmsg="system busy"), "busy", True),
    },
    {"url": f"{{base}}/cgi-bin/webhook/send?key={TOKEN}"},
)

SLACK = Service(
    "slack",
    f"/services/T0/B0/{TOKEN}",
    _slack,
    Reply(200, {}, b"ok"),
    {
        "token": (Reply(403, {}, b"invalid_token"), "url_file", True),
        "removed": (Reply(404, {}, b"no_service"), "url_file", True),
        "archived": (Reply(410, {}, b"channel_is_archived"), "archived", True),
        "forbidden": (Reply(403, {}, b"action_prohibited"), "administrator", True),
        "rate": (Reply(429, {}, b"rate_limited"), "more messages", True),
        "content": (Reply(400, {}, b"invalid_blocks"), "content", False),
    },
    {"url": f"{{base}}/services/T0/B0/{TOKEN}"},
)

TEAMS = Service(
    "teams",
    f"/workflows/1/triggers/manual/paths/invoke?api-version=1&sig={TOKEN}",
    _teams,
    Reply(202),
    {
        "off": (said(400, error={"code": "WorkflowTriggerIsNotEnabled"}), "switch it on", True),
        "token": (said(401, error={"code": "DirectApiAuthorizationRequired"}), "address anew", True),
        "removed": (said(404, error={"code": "WorkflowNotFound"}), "deleted", True),
        "rate": (said(429, error={"code": "TooManyRequests"}), "more messages", True),
        "too long": (
            Reply(200, {}, b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 413"),
            "content",
            False,
        ),
        "rate of an old connector": (
            Reply(200, {}, b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429"),
            "more messages",
            True,
        ),
    },
    {"url": f"{{base}}/workflows/1/triggers/manual/paths/invoke?api-version=1&sig={TOKEN}"},
)

DISCORD = Service(
    "discord",
    f"/api/webhooks/1/{TOKEN}",
    _discord,
    said(id="1312"),
    {
        "removed": (said(404, message="Unknown Webhook", code=10015), "url_file", True),
        "token": (said(401, message="Invalid Webhook Token", code=50027), "url_file", True),
        "forum": (said(400, message="Webhooks posted to forum channels must have a thread_name", code=220001), "forum", True),
        "rate": (said(429, message="You are being rate limited.", retry_after=0.3, **{"global": False}), "more messages", True),
        "too long": (said(400, message="Invalid Form Body", code=50035), "content", False),
    },
    {"url": f"{{base}}/api/webhooks/1/{TOKEN}"},
    f"/api/webhooks/1/{TOKEN}?wait=true",
)

TELEGRAM = Service(
    "telegram",
    f"/bot123456:{TOKEN}/sendMessage",
    _telegram,
    said(ok=True, result={"message_id": 7}),
    {
        "token": (said(401, ok=False, error_code=401, description="Unauthorized"), "token_file", True),
        "chat": (said(400, ok=False, error_code=400, description="Bad Request: chat not found"), "`chat`", True),
        "kicked": (
            said(403, ok=False, error_code=403, description="Forbidden: bot was kicked from the group chat"),
            "may not write",
            True,
        ),
        "rate": (
            said(429, ok=False, error_code=429, description="Too Many Requests: retry after 9", parameters={"retry_after": 9}),
            "more messages",
            True,
        ),
        "too long": (said(400, ok=False, error_code=400, description="Bad Request: message is too long"), "content", False),
    },
    {"token": f"123456:{TOKEN}", "chat": "-1001234567890", "server": "{base}"},
)

SERVICES = {one.kind: one for one in (DINGTALK, FEISHU, WECOM, SLACK, TEAMS, DISCORD, TELEGRAM)}
