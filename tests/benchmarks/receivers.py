"""What becomes of messages that chat services refuse, by Apprise and by spendwatch: the same robots, the same faults.

    python tests/benchmarks/receivers.py

Each fault is one message to a robot on the loopback that answers as the service does. A message is *lost* if its sender says
that it is delivered though the robot refused it: nobody sends it again. Faults that a sender reports cost it nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import requests
from apprise import Apprise, NotifyFormat

sys.path.extend(str(Path(__file__).parents[1] / room) for room in (".", "builders", "fakes", "servers", "fuzz"))

from chat_messages import channel
from notices import SAMPLES, delivery
from robots import SECRET, SERVICES, TOKEN, said, sign
from servers_http import Fault, HttpSink, Reply, Request
from spendwatch.domain.errors import DeliveryError
from spendwatch.domain.notification import Notification

_LONG_TOKEN = (TOKEN * 4)[:68]
APPRISE: Mapping[str, str] = {
    "dingtalk": f"dingtalk://{SECRET}@{TOKEN}",
    "feishu": f"feishu://{TOKEN}",
    "wecom": f"wecombot://{TOKEN}",
    "slack": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/",
    "teams": "workflows://example.com/aaaaaaaaaaaa/bbbbbbbbbbbbbbbb",
    "discord": f"discord://123456789012345678/{_LONG_TOKEN}",
    "telegram": "tgram://123456789:abcdefg_hijklmnop0123456789abcdefghi/1234567",
}
_OF_ANY: Mapping[str, Reply] = {
    "login page of a proxy": Reply(200, {"content-type": "text/html"}, b"<html>log in</html>"),
    "429": Reply(429, {"retry-after": "1"}),
    "503": Reply(503),
    "reset": Reply(fault=Fault.CUT),
    "no answer": Reply(fault=Fault.SILENT),
}


class _Judge(HttpSink):
    """A robot that judges each message; `refused`: how many it did not take."""

    def __init__(self, judge: Callable[[Request], Reply], accepts: Reply) -> None:
        super().__init__()
        self._judge, self._accepts = judge, accepts
        self.refused = 0

    def reply_to(self, request: Request) -> Reply:
        reply = self._judge(request)
        self.refused += reply != self._accepts
        return reply


def by_apprise(kind: str, sink: HttpSink, text: str) -> bool:
    """Return whether Apprise says that the message is delivered."""
    send = requests.Session.request

    def to_robot(session: requests.Session, method: str, url: str, **kwargs: Any) -> requests.Response:  # noqa: ANN401
        return send(session, method, f"http://127.0.0.1:{sink.port}{urlsplit(url).path}?{urlsplit(url).query}", **kwargs)

    one = Apprise()
    assert one.add(f"{APPRISE[kind]}{'&' if '?' in APPRISE[kind] else '?'}rto=2&cto=2")
    with patch.object(requests.Session, "request", to_robot), patch("time.sleep"):
        return bool(one.notify(body=text, title="spendwatch", body_format=NotifyFormat.MARKDOWN))


def by_us(kind: str, sink: HttpSink, notification: Notification, **settings: object) -> bool:
    """Return whether spendwatch says that the message is delivered; else it stays in the outbox."""
    to = channel(kind, sink.url(""), **{"timeout": "2s", **settings})
    try:
        asyncio.run(to.send(delivery(notification, "", to.render(notification, ""))))
    except DeliveryError:
        return False
    return True


def faults(kind: str) -> tuple[int, list[str], list[str]]:
    """Return how many faults there were, and those at which Apprise and we took a refused message for delivered."""
    replies = {name: reply for name, (reply, _, _) in SERVICES[kind].refuses.items()} | dict(_OF_ANY)
    lost: tuple[list[str], list[str]] = ([], [])
    for name, reply in replies.items():
        with HttpSink([reply]) as sink:
            if by_apprise(kind, sink, "Research is at 116% of its budget"):
                lost[0].append(name)
        with HttpSink([reply]) as sink:
            if by_us(kind, sink, SAMPLES["threshold"]):
                lost[1].append(name)
    return len(replies), *lost


def _signed(request: Request) -> Reply:
    body = json.loads(request.body)
    is_right = body.get("sign") == sign(f"{body.get('timestamp')}\n{SECRET}", "")
    return SERVICES["feishu"].accepts if is_right else said(code=19021, msg="sign match fail")


def _short(request: Request) -> Reply:
    body = json.loads(request.body)
    kind = body["msgtype"]
    most = {"text": 2048, "markdown": 4096}[kind]
    is_short = len(body[kind]["content"].encode()) <= most
    return SERVICES["wecom"].accepts if is_short else said(errcode=40058, errmsg=f"{kind}.content exceed max length {most}")


def judged(kind: str, judge: Callable[[Request], Reply], text: str, notification: Notification, **settings: str) -> list[str]:
    """Return what becomes of one message at a robot that judges it, by Apprise and by us."""

    def apprise_does(sink: HttpSink) -> bool:
        return by_apprise(kind, sink, text)

    def we_do(sink: HttpSink) -> bool:
        return by_us(kind, sink, notification, **settings)

    found = []
    for send in (apprise_does, we_do):
        with _Judge(judge, SERVICES[kind].accepts) as sink:
            says = send(sink)
            found.append("lost" if says and sink.refused else "delivered" if says else "reported as failed")
    return found


def main() -> None:
    """Print the table."""
    logging.disable(logging.CRITICAL)
    print("| service | faults | lost by Apprise | lost by spendwatch |\n|---|---|---|---|")
    for kind in SERVICES:
        count, apprise, ours = faults(kind)
        print(f"| {kind} | {count} | {len(apprise)}{': ' if apprise else ''}{', '.join(apprise)} | {len(ours)} |", flush=True)
    digest, one = SAMPLES["digest"], SAMPLES["threshold"]
    members = tuple(replace(one, facts=replace(one.facts, name=f"搜索团队{number}")) for number in range(100))
    long = "\n".join(f"- 搜索团队{number} 已用2026年9月预算的 85%：¥1,021.40" for number in range(100))
    several = replace(digest, facts=replace(digest.facts, members=members))
    rows = {
        "feishu, a robot that verifies signatures": judged("feishu", _signed, "x", one, secret=SECRET),
        "wecom, a digest of 100 messages in Chinese": judged("wecom", _short, long, several, language="zh"),
    }
    for name, (apprise_does, we_do) in rows.items():
        print(f"| {name} | | {apprise_does} | {we_do} |")


if __name__ == "__main__":
    main()
