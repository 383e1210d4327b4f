"""Chat services: each dialect, its signature, its limits, its refusals."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chat_messages import GOLDEN, channel, golden
from notices import SAMPLES, ZONE, cny, delivery, some_causes
from robots import SECRET, SERVICES, TOKEN, Robot
from servers_http import Fault, HttpSink, Reply, Request
from spendwatch.channels import http_channel
from spendwatch.domain.delivery import Reason
from spendwatch.domain.errors import PermanentDeliveryError, TemporaryDeliveryError
from spendwatch.domain.notification import Drill, Notification
from spendwatch.letters.blocks import blocks_of
from spendwatch.letters.language import Language
from spendwatch.letters.parts import Bar, Chart
from spendwatch.letters.wording import Wording
from spendwatch.pacing import RateLimiter

pytestmark = pytest.mark.anyio

EACH = pytest.mark.parametrize("kind", sorted(SERVICES))
_GOLDEN = Path(__file__).parents[1] / "data" / "chat"
_FAILS = (TemporaryDeliveryError, PermanentDeliveryError)


async def send(kind: str, url: str, **settings: Any) -> str:  # noqa: ANN401 -- settings
    notification = SAMPLES["threshold"]
    to = channel(kind, url, **settings)
    return await to.send(delivery(notification, "", to.render(notification, "")))


def body(kind: str, sample: str, **settings: Any) -> Any:  # noqa: ANN401 -- JSON
    return json.loads(channel(kind, **settings).render(SAMPLES[sample], ""))


def texts(found: object) -> Iterator[str]:
    """Yield every text of a body."""
    match found:
        case str():
            yield found
        case dict():
            for value in found.values():
                yield from texts(value)
        case list():
            for value in found:
                yield from texts(value)
        case _:
            pass


def shown(found: object) -> str:
    """Return all that a reader may see, without marks of escape."""
    return re.sub(r"\\(.)", r"\1", "\n".join(texts(found)))


@EACH
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_message_is_one_that_the_service_takes(kind: str, language: str) -> None:
    service, opened = SERVICES[kind], channel(kind, language=language)
    path = service.path_called or service.path
    for name, sample in SAMPLES.items():
        content = opened.render(sample, "")
        assert service.judge(Request("POST", path, {}, content), is_signed=False) == service.accepts, name


@EACH
async def test_a_message_that_the_service_takes_is_delivered(kind: str) -> None:
    with Robot(SERVICES[kind]) as robot:
        assert (await send(kind, robot.url(""))).startswith("HTTP 20")
        (request,) = robot.requests
    assert request.path == (SERVICES[kind].path_called or SERVICES[kind].path)
    assert request.headers["content-type"].startswith("application/json")


@EACH
def test_a_reader_sees_amount_bar_causes_advice_links_and_where_more_is(kind: str) -> None:
    seen = shown(body(kind, "threshold-overspent")).replace("&amp;", "&")
    for part in (
        "[Critical] Research is at 116%",
        "CNY 1,402.10",
        "▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇│▇▇▇",
        "CNY 391.20",
        "Begin with API key chatbot",
        "https://bailian.console.aliyun.com/?tab=model#/api-key",
        "spendwatch explain 3f9c1e07b2d84a6655d1",
    ):
        assert part in seen, part
    assert "已用预算" in shown(body(kind, "threshold", language="zh"))


@EACH
@pytest.mark.parametrize(
    ("sample", "tag"), [("test", "[TEST]"), ("overdue-resolved", "[Resolved]"), ("overdue-repeated", "[Critical, reminder]")]
)
def test_tests_endings_and_reminders_are_marked(kind: str, sample: str, tag: str) -> None:
    assert tag in shown(body(kind, sample))


@EACH
def test_a_digest_lists_each_message_and_how_many_more_there_are(kind: str) -> None:
    seen = shown(body(kind, "digest"))
    for part in ("19 messages", "acme is overdue by CNY 110.83", "搜索团队 has reached CNY 900.00", "305566a4", "and 12 more"):
        assert part in seen, part
    assert all(part in shown(body(kind, "report-daily")) for part in ("Report", "CNY 1,621.40", "搜索团队", "August 2026"))


@pytest.mark.parametrize(("kind", "sample", "language"), GOLDEN)
def test_messages_are_as_they_were(kind: str, sample: str, language: str) -> None:
    assert golden(kind, sample, language) == (_GOLDEN / f"{kind}.{sample}.{language}.txt").read_text(encoding="utf-8")


# --- answers

_REFUSALS = [(kind, name) for kind, service in sorted(SERVICES.items()) for name in service.refuses]


@pytest.mark.parametrize(("kind", "name"), _REFUSALS)
async def test_a_refusal_in_the_answer_is_told_with_what_to_do(kind: str, name: str) -> None:
    reply, word, is_of_channel = SERVICES[kind].refuses[name]
    with HttpSink([reply]) as sink, pytest.raises(_FAILS) as caught:
        await send(kind, sink.url(""))
    assert word in str(caught.value)
    assert isinstance(caught.value, TemporaryDeliveryError) is is_of_channel
    if isinstance(caught.value, TemporaryDeliveryError):
        assert caught.value.of_channel
        assert caught.value.is_doubtful == (name == "keyword"), "another message may have it: this one must not hold up all"


@EACH
@pytest.mark.parametrize("content", [b"<html>proxy login</html>", b"[1]", b'{"errcode": '])
async def test_an_answer_that_is_not_of_the_service_is_no_success(kind: str, content: bytes) -> None:
    with HttpSink([Reply(200, {}, content)]) as sink, pytest.raises(TemporaryDeliveryError, match="answers") as caught:
        await send(kind, sink.url(""))
    assert (caught.value.of_channel, caught.value.maybe_taken) == (True, True)


@pytest.mark.parametrize("kind", sorted(SERVICES.keys() - {"teams"}))
async def test_no_word_is_no_success_except_at_teams_which_says_none(kind: str) -> None:
    with HttpSink([Reply(200)]) as sink, pytest.raises(TemporaryDeliveryError, match="answers"):
        await send(kind, sink.url(""))


@EACH
@pytest.mark.parametrize("reply", [Reply(429, {"retry-after": "77"}), Reply(503, {"retry-after": "77"}, b"busy")])
async def test_a_throttled_or_failing_service_is_given_the_time_it_asks_for(kind: str, reply: Reply) -> None:
    with HttpSink([reply]) as sink, pytest.raises(TemporaryDeliveryError) as caught:
        await send(kind, sink.url(""))
    assert (caught.value.of_channel, caught.value.retry_after) == (True, timedelta(seconds=77))


@pytest.mark.parametrize(
    ("kind", "seconds"), [("telegram", 9), ("discord", 1), ("dingtalk", 600), ("wecom", 60), ("feishu", 60)]
)
async def test_after_too_many_messages_the_service_has_the_pause_that_it_asks_for_or_is_known_to_need(
    kind: str, seconds: int
) -> None:
    with HttpSink([SERVICES[kind].refuses["rate"][0]]) as sink, pytest.raises(TemporaryDeliveryError) as caught:
        await send(kind, sink.url(""))
    assert caught.value.retry_after == timedelta(seconds=seconds)


@pytest.mark.parametrize(("kind", "fault"), [("wecom", Fault.SILENT), *((kind, Fault.CUT) for kind in SERVICES)])
async def test_after_a_lost_answer_the_service_may_have_the_message(kind: str, fault: Fault) -> None:
    with HttpSink([Reply(fault=fault)]) as sink, pytest.raises(TemporaryDeliveryError) as caught:
        await send(kind, sink.url(""), timeout="3s" if fault is Fault.SILENT else "20s")
    assert (caught.value.of_channel, caught.value.maybe_taken) == (True, True)


async def test_a_refusal_without_a_known_code_may_pass() -> None:
    with HttpSink([Reply(200, {}, b'{"errcode":999,"errmsg":"new"}')]) as sink, pytest.raises(TemporaryDeliveryError) as caught:
        await send("dingtalk", sink.url(""))
    assert (caught.value.is_refusal, caught.value.of_channel) == (True, False)
    assert '"errcode":999' in str(caught.value)


@EACH
async def test_no_secret_is_told_whatever_goes_wrong(kind: str) -> None:
    echo = f"no robot at {SERVICES[kind].path} with {TOKEN}".encode()
    for reply in (Reply(200, {}, echo), Reply(404, {}, echo), Reply(500, {}, echo), Reply(302, {"location": echo.decode()})):
        with HttpSink([reply]) as sink, pytest.raises(_FAILS) as caught:
            await send(kind, sink.url(""), **({"secret": SECRET} if kind in {"dingtalk", "feishu"} else {}))
        told = f"{caught.value!r}{caught.value}"
        assert TOKEN not in told
        assert SECRET not in told
    opened = channel(kind)
    assert TOKEN not in f"{opened!r}{opened._config!r}{opened._config}"
    assert TOKEN not in repr(opened._request(delivery(SAMPLES["stale"], "", b"{}"), b"{}", SAMPLES["stale"].since))


# --- signatures: hand-computed by openssl, as the commands beside them show


@pytest.mark.parametrize(
    ("secret", "moment", "expected"),
    [
        # printf '%s\n%s' $moment $secret | openssl dgst -sha256 -hmac $secret -binary | base64
        ("SEC0123456789abcdef", "1789437900000", "I95MgeNjZt+4isiESeMXsefSEK4WUDsvOrXTBx05GSA="),
        (SECRET, "1577262236757", "lBKzMNuoSdfSkXzfzK02odai3J/TRvJlm4eouJNb3Fw="),
    ],
)
def test_dingtalk_signs_time_and_secret_by_the_secret(secret: str, moment: str, expected: str) -> None:
    now = datetime.fromtimestamp(int(moment) / 1000, UTC)
    post = channel("dingtalk", secret=secret)._request(delivery(SAMPLES["stale"], "", None), b"{}", now)
    query = parse_qs(urlsplit(post.url).query)
    assert (query["timestamp"], query["sign"]) == ([moment], [expected])


@pytest.mark.parametrize(
    ("secret", "moment", "expected"),
    [
        # key=$(printf '%s\n%s' $moment $secret | xxd -p -c 256)
        # openssl dgst -sha256 -mac hmac -macopt hexkey:$key -binary </dev/null | base64
        ("0123456789abcdef", "1789437900", "fse0GbIenyA3tS1o1HQIkMykQnVIGNJDkBhaTKsJio8="),
        (SECRET, "1599360473", "rulq8pdxuTEeulrO8hnN0bO1bXz3ziTxAz/hrQWFYV0="),
    ],
)
def test_feishu_signs_nothing_by_time_and_secret(secret: str, moment: str, expected: str) -> None:
    now = datetime.fromtimestamp(int(moment), UTC)
    post = channel("feishu", secret=secret)._request(delivery(SAMPLES["stale"], "", None), b'{"msg_type":"x"}', now)
    assert json.loads(post.content) == {"timestamp": moment, "sign": expected, "msg_type": "x"}


@pytest.mark.parametrize("kind", ["dingtalk", "feishu"])
async def test_each_attempt_is_signed_over_its_own_time(kind: str) -> None:
    with Robot(SERVICES[kind], is_signed=True) as robot:
        await send(kind, robot.url(""), secret=SECRET)
        with pytest.raises(TemporaryDeliveryError, match="signature is wrong"):
            await send(kind, robot.url(""), secret=SECRET[:-1])
        with pytest.raises(TemporaryDeliveryError, match="signature is wrong"):
            await send(kind, robot.url(""))


# --- mentions and keywords


def test_a_drill_of_a_critical_alert_mentions_nobody() -> None:
    overdue = SAMPLES["overdue"]
    drill = replace(overdue, facts=replace(overdue.facts, drill=Drill(Reason.FIRED, "li", ())), reason=Reason.TEST)
    found = json.loads(channel("dingtalk", at_all=True, at=["manager7"]).render(drill, ""))
    assert found["at"] == {"atMobiles": [], "atUserIds": [], "isAtAll": False}
    assert "TEST" in found["markdown"]["title"]


def test_people_are_mentioned_only_where_wanted_and_only_when_it_is_critical_and_fires() -> None:
    wanted: dict[str, Any] = {"at": ["13800000000", "manager7"], "at_all": True}
    critical = body("dingtalk", "overdue", **wanted)
    assert critical["at"] == {"atMobiles": ["13800000000"], "atUserIds": ["manager7"], "isAtAll": True}
    assert "@13800000000 @manager7" in critical["markdown"]["text"]
    assert "<at id=manager7></at> <at id=all></at>" in shown(body("feishu", "overdue", at=["manager7"], at_all=True))
    assert "<@manager7>" in shown(body("wecom", "overdue", at=["manager7"]))
    for kind, sample in product(("dingtalk", "feishu", "wecom"), ("threshold", "overdue-resolved", "test", "report-daily")):
        quiet = body(kind, sample, at=["manager7"], **({} if kind == "wecom" else {"at_all": True}))
        assert "manager7" not in shown(quiet)
        assert "id=all" not in shown(quiet)
        assert not quiet.get("at", {}).get("isAtAll")
    for kind in ("dingtalk", "feishu", "wecom"):
        assert not re.search(r"<at|<@|@\w", shown(body(kind, "overdue")))
        assert not body(kind, "overdue").get("at", {}).get("isAtAll")


@pytest.mark.parametrize("kind", ["dingtalk", "feishu"])
def test_a_keyword_is_in_every_message(kind: str) -> None:
    assert " · 账单" in shown(body(kind, "threshold", keyword="账单"))
    assert " · Research" not in shown(body(kind, "threshold", keyword="Research"))


# --- limits


def _long(size: int) -> Notification:
    """Return a digest of very many messages with Chinese names, a little longer for each size."""
    digest = SAMPLES["digest"]
    one = SAMPLES["threshold"]
    name = "搜索团队" * 8 + "好" * (size % 23)
    members = [replace(one, facts=replace(one.facts, name=name[: 3 + number % 37])) for number in range(40 + size)]
    return replace(digest, facts=replace(digest.facts, members=tuple(members)))


@EACH
@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_too_long_is_cut_to_the_byte_and_keeps_headline_and_where_more_is(kind: str, language: str) -> None:
    service = SERVICES[kind]
    path, seen = service.path_called or service.path, ""
    for size in (3, 200):
        content = channel(kind, language=language).render(_long(size), "")
        assert service.judge(Request("POST", path, {}, content), is_signed=False) == service.accepts
        seen = shown(json.loads(content))
        assert "spendwatch explain" in seen
        assert Wording(Language(language), ZONE).subject(_long(size)) in seen
    assert "… +" in seen


@EACH
def test_the_advice_goes_first_and_the_amount_never(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = channel(kind)
    whole = opened._size(json.loads(opened.render(SAMPLES["threshold-overspent"], "")))
    monkeypatch.setattr(type(opened), "most", whole - 1)
    seen = shown(json.loads(opened.render(SAMPLES["threshold-overspent"], "")))
    assert "How to stop the cost" not in seen
    assert "CNY 391.20" in seen
    for most in range(whole, 1100, -97):
        monkeypatch.setattr(type(opened), "most", most)
        found = json.loads(opened.render(SAMPLES["threshold-overspent"], ""))
        seen = shown(found)
        assert opened._size(found) <= most
        for core in ("Research is at 116%", "CNY 1,402.10", "spendwatch explain 3f9c1e07b2d84a6655d1"):
            assert core in seen


@pytest.mark.parametrize("count", [0, 1, 7])
def test_a_course_of_any_number_of_days_is_one_line(count: int) -> None:
    days = tuple(Bar(f"09-{number:02d}", 100 * (number % 2), f"{number}.00") for number in range(1, count + 1))
    letter = Wording(Language.EN, ZONE).letter(SAMPLES["stale"])
    found = blocks_of(letter._replace(sections=(Chart("Daily", "CNY", days, is_upright=True),)))
    course = [block for block in found if block.title == "Daily · CNY"]
    assert [text for block in course for _, text in block.lines] == {
        0: [],
        1: ["09-01 █ 09-01 · 1.00"],
        7: ["09-01 █▁█▁█▁█ 09-07 · 7.00"],
    }[count]


# --- rates


@pytest.mark.parametrize(
    ("kind", "pace"), [("dingtalk", (5, 20)), ("wecom", (5, 20)), ("feishu", (5, 100)), ("slack", (1, 60))]
)
async def test_the_rate_of_the_robot_is_kept_and_shared_by_its_address(
    kind: str, pace: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    now, sleeps = [0.0], list[float]()

    async def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        now[0] += seconds

    per_second, per_minute = pace
    with Robot(SERVICES[kind]) as robot:
        address = channel(kind, robot.url(""))._config.address
        limiter = RateLimiter(lambda: now[0], sleep, per_second=per_second, per_minute=per_minute)
        monkeypatch.setitem(http_channel._paces, (address, per_second, per_minute), limiter)
        for _ in range(20):
            await send(kind, robot.url(""))
        # While the wait is long nothing is taken up, so that a stop or a reload need not wait for it.
        assert channel(kind, robot.url("")).at_once == (0 if per_minute == 20 else 1)
        await send(kind, robot.url(""))
        assert len(robot.requests) == 21
    took = {(5, 20): 60.0, (5, 100): 4.0, (1, 60): 20.0}[pace]
    assert now[0] == took
    assert channel(kind, per_minute=7)._pace() is channel(kind, per_minute=7)._pace()
    assert channel(kind, per_minute=7)._pace() is not channel(kind, per_minute=8)._pace()


@EACH
def test_many_messages_in_one_round_come_as_one_unless_more_are_wanted(kind: str) -> None:
    assert channel(kind)._config.route(ZONE).max_messages == 2
    assert channel(kind, max_messages="unlimited")._config.route(ZONE).max_messages is None


# --- hostile names

_SEEDS = (
    "@all",
    "@everyone",
    "@13800000000",
    "<!channel>",
    "<@U123>",
    "<at id=all></at>",
    "[x](javascript:alert(1))",
    "[x](https://evil.example)",
    "![x](https://evil.example/p.png)",
    "<https://evil.example|x>",
    "<b>x</b>",
    '<a href="https://evil.example">x</a>',
    "<font color='red'>",
    "&lt;at id=all&gt;",
    "`x`",
    "**x**",
    "x\n# y\n- z",
    "\u202egnp.exe\u200b",
    "](https://evil.example)",
    "(evil.example)",
    "\\[x\\](https://evil.example)",
)
HOSTILE = [f"{first}{second}" for first, second in product(_SEEDS, ("", *_SEEDS))]
_OURS = ("https://usercenter2.aliyun.com/", "https://bailian.console.aliyun.com/")
_MARKDOWN_LINK = re.compile(r"\]\s?\(([^)]*)\)")


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags, self.links = set[str](), list[str]()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]


def _marked_up(kind: str, found: Any) -> list[str]:  # noqa: ANN401 -- JSON
    """Return the texts in which the service reads markup."""
    match kind:
        case "dingtalk" | "wecom":
            markdown = found["markdown"]
            return [str(markdown.get("text") or markdown["content"])]
        case "feishu":
            return [one["content"] for one in found["card"]["elements"]]
        case "teams":
            return [text for text in texts(found["attachments"][0]["content"]["body"]) if len(text) > 12]
        case "discord":
            return [found["embeds"][0]["title"], found["embeds"][0]["description"]]
        case "slack":
            return [found["text"], *(one["text"]["text"] for one in found["attachments"][0]["blocks"])]
        case _:
            return [found["text"]]


def _links_and_tags(kind: str, text: str) -> tuple[list[str], set[str]]:
    """Return where the text leads, and its tags and mentions, as the service would read them."""
    if kind == "telegram":
        parser = _Links()
        parser.feed(text)
        return parser.links, parser.tags - {"a", "b"} | set(re.findall(r"@\w+", text))
    if kind == "slack":
        inner = re.findall(r"<([^>]*)>", text)
        return [one for one in inner if "://" in one], {one for one in inner if "://" not in one} | set(re.findall("@", text))
    if kind == "discord":
        text = re.sub(r"\\.", "", text)
    text = re.sub(r'<font color="[#a-z0-9]+">|</font>', "", text)
    return _MARKDOWN_LINK.findall(text), set(re.findall(r"[<>@]", text))


@EACH
def test_no_name_mentions_anybody_leads_anywhere_or_is_markup(kind: str) -> None:
    sample, opened = SAMPLES["threshold-overspent"], channel(kind)
    for hostile in HOSTILE:
        named = replace(sample.facts, name=hostile, account_name=hostile, threshold=hostile, owner=hostile)
        course = replace(named.course, causes=some_causes(hostile))
        found = json.loads(opened.render(replace(sample, facts=replace(named, course=course, spend=cny("3"))), ""))
        for text in _marked_up(kind, found):
            links, others = _links_and_tags(kind, text)
            assert all(link.startswith(_OURS) for link in links), (hostile, text)
            assert not others, (hostile, text)
            assert not re.search(r"[\u202a-\u202e\u2066-\u2069\u200b]", text)
            assert not re.search(r"(?<!\]\()(?<!href=\")(?<!<)https?://", text), (hostile, text)
