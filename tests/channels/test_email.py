from __future__ import annotations

import asyncio
import ipaddress
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.parser import BytesHeaderParser, BytesParser
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from notices import NOW, SAMPLES, ZONE, cny, delivery, notice, some_causes
from servers_smtp import SmtpSink, Tls
from spendwatch.channels.email import EmailChannel
from spendwatch.channels.email_settings import EmailConfig
from spendwatch.domain.alert import AlertId, Rule
from spendwatch.domain.causes import Course
from spendwatch.domain.delivery import Reason
from spendwatch.domain.errors import DeliveryError, PermanentDeliveryError, TemporaryDeliveryError
from spendwatch.domain.notification import Facts, Notification
from spendwatch.domain.policy import Severity
from spendwatch.domain.scope import NamedScope, Subject
from spendwatch.domain.statement import AccountId

pytestmark = pytest.mark.anyio

LI, WANG = "li@example.com", "wang@example.com"
LOGIN = ("alerts", "canary-password")
HEADERS = [
    "Subject", "From", "To", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted", "X-Auto-Response-Suppress",
    "List-Id", "Importance", "X-Spendwatch-Alert", "X-Spendwatch-Type", "MIME-Version", "Content-Type",
]  # fmt: skip


def _config(**settings: object) -> EmailConfig:
    given_settings = {"type": "email", "host": "127.0.0.1", "from": "Spend alerts <alerts@example.com>", "to": [LI, WANG]}
    return EmailConfig.model_validate({**given_settings, **settings})


def _channel(sink: SmtpSink | None = None, **settings: object) -> EmailChannel:
    place = {"host": sink.host, "port": str(sink.port)} if sink else {}
    return EmailChannel(_config(**place, **settings), "finance", zone=ZONE)


def _secured(sink: SmtpSink, security: str = "starttls", **settings: object) -> EmailChannel:
    return _channel(
        sink, **{"security": security, "ca_file": str(sink.ca_file), "username": LOGIN[0], "password": LOGIN[1], **settings}
    )


async def _send(
    channel: EmailChannel, notification: Notification = SAMPLES["threshold"], target: str = LI, *, maybe_repeated: bool = False
) -> None:
    body = channel.render(notification, target)
    await channel.send(delivery(notification, target, body, maybe_repeated=maybe_repeated))


def _read(raw: bytes) -> EmailMessage:
    message = BytesParser(policy=policy.default).parsebytes(raw)
    assert isinstance(message, EmailMessage)
    return message


def _part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    content = body.get_content()
    assert isinstance(content, str)
    return content


@pytest.mark.parametrize(("tls", "security"), [(Tls.STARTTLS, "starttls"), (Tls.FROM_THE_START, "tls")])
async def test_a_mail_arrives_over_a_proven_connection_after_login(tls: Tls, security: str) -> None:
    login = LOGIN if tls is Tls.STARTTLS else None
    with SmtpSink(tls=tls, login=login) as sink:
        settings = {} if login else {"username": None, "password": None}
        await _send(_secured(sink, security, **settings))
        ((recipient, raw),) = sink.messages
        assert sink.logins == ([LOGIN] if login else [])
    message = _read(raw)
    assert recipient == LI
    assert sink.senders == ["alerts@example.com"]
    assert message["To"] == f"{LI}, {WANG}"
    assert message["From"] == "Spend alerts <alerts@example.com>"
    assert message["Subject"] == "[Warning] Research is at 85% of its September 2026 budget (CNY 1,021.40 of 1,200.00)"
    assert message["Auto-Submitted"] == "auto-generated"
    assert parsedate_to_datetime(str(message["Date"])) == NOW


@pytest.mark.parametrize("language", ["en", "zh"])
@given(name=st.text(st.sampled_from("ab  éü测试-_/"), min_size=1, max_size=60), spend=st.integers(1, 10**12))
def test_the_subject_begins_on_the_first_line_of_its_header(language: str, name: str, spend: int) -> None:
    notification = notice(Rule.THRESHOLD_REACHED, replace(SAMPLES["threshold"].facts, name=name, spend=cny(str(spend))))
    header = _channel(language=language).render(notification, LI).partition(b"\r\nFrom:")[0]
    first, *others = header.split(b"\r\n")
    assert first.startswith((b"Subject: [Warning] ", b"Subject: =?utf-8?"))
    assert all(line.startswith(b" ") and line.strip() for line in others)
    assert max(len(line) for line in (first, *others)) <= 160


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("sample", ["threshold", "report-monthly"])
def test_no_line_of_the_body_is_longer_than_mime_allows(language: str, sample: str) -> None:
    raw = _channel(language=language).render(SAMPLES[sample], LI)
    head, _, body = raw.partition(b"\r\n\r\n")
    assert max(len(line) for line in body.split(b"\r\n")) <= 76
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert head.isascii()
    assert [part.defects for part in _read(raw).walk() if part.defects] == []


async def test_text_comes_first_and_the_page_says_the_same() -> None:
    message = _read(_channel().render(SAMPLES["threshold"], LI))
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    for kind in ("plain", "html"):
        assert "Research has reached 80% of its September 2026 budget" in _part(message, kind)
        assert "CNY 1,021.40" in _part(message, kind)


async def test_chinese_survives_the_way() -> None:
    facts = replace(SAMPLES["threshold"].facts, name="研究与开发—图像生成模型团队（上海）第三工作空间 \U0001f600")
    with SmtpSink() as sink:
        channel = _channel(sink, security="none", language="zh", **{"from": "花费提醒 <alerts@example.com>"})
        await _send(channel, replace(SAMPLES["threshold"], facts=facts))
        ((_, raw),) = sink.messages
    message = _read(raw)
    assert raw.isascii()
    assert str(message["Subject"]).startswith(f"[警告] {facts.name} 已用2026年9月预算的 85%")
    assert str(make_header(decode_header(_older(raw)["Subject"]))) == str(message["Subject"])
    assert str(message["From"]) == "花费提醒 <alerts@example.com>"
    assert "如何停止产生费用" in _part(message, "plain")
    assert "如何停止产生费用" in _part(message, "html")


async def test_each_recipient_gets_a_transaction_of_his_own_and_all_copies_are_one_message() -> None:
    with SmtpSink() as sink:
        channel = _channel(sink, security="none")
        assert channel.targets == (LI, WANG)
        for target in channel.targets:
            await _send(channel, target=target)
        (first, second) = sink.messages
    assert [first[0], second[0]] == [LI, WANG]
    assert first[1] == second[1]


async def test_a_second_attempt_sends_the_same_bytes_with_a_mark_in_front() -> None:
    with SmtpSink() as sink:
        channel = _channel(sink, security="none")
        await _send(channel)
        await _send(channel, maybe_repeated=True)
        (_, first), (_, second) = sink.messages
    assert second == b"X-Spendwatch-Maybe-Repeated: yes\r\n" + first
    assert _read(first)["Message-ID"] == _read(second)["Message-ID"] == "<0f1e2d3c4b5a69788796a5b4@spendwatch.example.com>"


def test_rendering_twice_gives_the_same_bytes() -> None:
    for notification in SAMPLES.values():
        assert _channel().render(notification, LI) == _channel().render(notification, WANG)


def _thread(notification: Notification) -> str:
    message = _read(_channel().render(notification, LI))
    assert message["In-Reply-To"] == message["References"]
    return str(message["References"])


def test_all_mails_about_one_budget_and_month_are_one_thread() -> None:
    later = replace(SAMPLES["threshold-overspent"], alert=AlertId("another"))
    assert _thread(SAMPLES["threshold"]) == _thread(later) == _thread(SAMPLES["corrected"])
    october = replace(SAMPLES["threshold"], facts=replace(SAMPLES["threshold"].facts, period="2026-10"))
    assert _thread(SAMPLES["threshold"]) != _thread(october)


def test_mails_about_one_balance_are_one_thread_from_its_floors_and_runway_to_the_payment() -> None:
    """The alerts of a balance share messages, so each of them may be the first that a reader saw."""
    samples = ("balance-low", "runway", "overdue", "overdue-escalated", "overdue-topped-up", "balance-low-resolved")
    alerts = (replace(SAMPLES[name], alert=AlertId(name)) for name in samples)
    assert len({_thread(one) for one in alerts}) == 1
    other = replace(SAMPLES["overdue"], since=SAMPLES["overdue"].since.replace(month=10))
    assert _thread(other) != _thread(SAMPLES["overdue"])
    assert _thread(SAMPLES["forecast"]) == _thread(SAMPLES["threshold"])


def test_the_end_of_an_alert_answers_its_beginning() -> None:
    assert _thread(SAMPLES["stale"]) == _thread(SAMPLES["stale-resolved"])
    assert _thread(SAMPLES["stale"]) != _thread(replace(SAMPLES["stale"], alert=AlertId("another")))


@pytest.mark.parametrize(
    ("sample", "importance"), [("overdue", "high"), ("overdue-resolved", "normal"), ("threshold", "normal")]
)
def test_only_what_is_critical_now_is_marked_as_important(sample: str, importance: str) -> None:
    assert _read(_channel().render(SAMPLES[sample], LI))["Importance"] == importance


async def test_a_certificate_that_is_not_proven_gets_no_password_and_no_mail() -> None:
    with SmtpSink(tls=Tls.STARTTLS, login=LOGIN) as sink:
        with pytest.raises(TemporaryDeliveryError, match="certificate is not valid"):
            await _send(_secured(sink, ca_file=None))
        assert (sink.logins, sink.messages) == ([], [])


async def test_a_certificate_for_another_name_gets_no_password_and_no_mail() -> None:
    with SmtpSink(tls=Tls.STARTTLS, login=LOGIN, names=("other.example.test",)) as sink:
        with pytest.raises(TemporaryDeliveryError, match="certificate is not valid"):
            await _send(_secured(sink))
        assert (sink.logins, sink.messages) == ([], [])


async def test_a_server_without_starttls_gets_no_password_and_no_mail() -> None:
    with SmtpSink() as sink:
        with pytest.raises(TemporaryDeliveryError, match="STARTTLS"):
            await _send(_channel(sink, security="starttls", username=LOGIN[0], password=LOGIN[1]))
        assert (sink.logins, sink.messages, sink.senders) == ([], [], [])


async def test_a_plain_server_where_tls_is_wanted_gets_nothing() -> None:
    with SmtpSink() as sink:
        with pytest.raises(TemporaryDeliveryError, match="TLS"):
            await _send(_channel(sink, security="tls", timeout="2s"))
        assert sink.senders == []


async def test_a_wrong_password_holds_the_mail_and_is_not_repeated_in_the_message() -> None:
    with SmtpSink(tls=Tls.STARTTLS, login=LOGIN) as sink:
        with pytest.raises(TemporaryDeliveryError, match=r"rejected the user name or the password \(535\)") as caught:
            await _send(_secured(sink, password="canary-wrong"))
        assert sink.messages == []
    assert "canary" not in str(caught.value)


async def test_a_missing_login_holds_the_mail() -> None:
    with SmtpSink(tls=Tls.STARTTLS, login=LOGIN) as sink, pytest.raises(TemporaryDeliveryError, match="530"):
        await _send(_secured(sink, username=None, password=None))


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        ({LI: "550 5.1.1 no such user"}, PermanentDeliveryError),
        ({LI: "551 not local"}, PermanentDeliveryError),
        ({LI: "451 4.7.1 greylisted, try again"}, TemporaryDeliveryError),
        ({LI: "452 mailbox full"}, TemporaryDeliveryError),
        ({"from:alerts@example.com": "553 5.7.1 sender not allowed"}, PermanentDeliveryError),
        ({"from:alerts@example.com": "450 later"}, TemporaryDeliveryError),
        ({"from:alerts@example.com": "421 closing"}, TemporaryDeliveryError),
    ],
)
async def test_the_servers_code_tells_whether_another_attempt_is_worth_it(
    refusal: Mapping[str, str], kind: type[DeliveryError]
) -> None:
    (answer,) = refusal.values()
    with SmtpSink(refuse=refusal) as sink:
        with pytest.raises(kind, match=answer.partition(" ")[0]) as caught:
            await _send(_channel(sink, security="none"))
        assert sink.messages == []
    assert answer.rpartition(" ")[2] in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "kind"), [("554 5.6.0 looks like spam", PermanentDeliveryError), ("451 disk full", TemporaryDeliveryError)]
)
async def test_a_refusal_after_the_mail_itself_is_told_apart_too(answer: str, kind: type[DeliveryError]) -> None:
    with SmtpSink(refuse_data=answer) as sink, pytest.raises(kind, match=answer):
        await _send(_channel(sink, security="none"))


async def test_one_refused_recipient_does_not_stop_another() -> None:
    with SmtpSink(refuse={LI: "550 no such user"}) as sink:
        channel = _channel(sink, security="none")
        with suppress(PermanentDeliveryError):
            await _send(channel, target=LI)
        await _send(channel, target=WANG)
        assert [recipient for recipient, _ in sink.messages] == [WANG]


async def test_a_connection_lost_after_the_mail_is_temporary_because_nobody_knows() -> None:
    with SmtpSink(drops_after_data=True) as sink:
        with pytest.raises(TemporaryDeliveryError) as caught:
            await _send(_channel(sink, security="none"))
        assert len(sink.messages) == 1
    assert caught.value.maybe_taken


async def test_a_silent_server_is_given_up_in_time() -> None:
    with SmtpSink(is_silent=True) as sink:
        began = time.monotonic()
        with pytest.raises(TemporaryDeliveryError, match="no answer in time"):
            await _send(_channel(sink, security="none", timeout="1s"))
    assert time.monotonic() - began < 25


async def test_a_closed_port_and_an_unknown_host_are_temporary() -> None:
    with SmtpSink() as sink:
        gone = _channel(sink, security="none")
    with pytest.raises(TemporaryDeliveryError, match="connection refused"):
        await _send(gone)
    with pytest.raises(TemporaryDeliveryError, match="cannot be resolved"):
        await _send(_channel(host="no-such-host.invalid", timeout="5s"))


def _always(addresses: Sequence[str]) -> Callable[[str, int], Sequence[str]]:
    return lambda _host, _port: addresses


async def test_unencrypted_mail_goes_only_where_every_address_is_allowed() -> None:
    networks = (ipaddress.ip_network("10.1.0.0/16"),)
    with SmtpSink() as sink:
        config = _config(host="mail.example.test", port=str(sink.port), security="none")
        for addresses in (["10.2.0.1"], ["127.0.0.1", "1.1.1.1"], []):
            resolver = _always(addresses)
            channel = EmailChannel(config, "finance", zone=ZONE, allow_networks=networks, resolver=resolver)
            with pytest.raises(PermanentDeliveryError, match="allow_networks"):
                await _send(channel)
        assert sink.senders == []
        channel = EmailChannel(config, "finance", zone=ZONE, resolver=_always(["127.0.0.1"]))
        await _send(channel)
        assert len(sink.messages) == 1


def test_settings_object_to_unencrypted_mail_to_the_outside() -> None:
    inside = (ipaddress.ip_network("10.1.0.0/16"),)
    assert _config(host="localhost", security="none").objection(()) is None
    assert _config(host="::1", security="none").objection(()) is None
    assert _config(host="mail.example.com", security="starttls").objection(()) is None
    assert "allow_networks" in (_config(host="mail.example.com", security="none").objection(()) or "")
    assert "allow_networks" in (_config(host="10.2.0.1", security="none").objection(inside) or "")
    assert _config(host="10.1.0.1", security="none").objection(inside) is None


@pytest.mark.parametrize(
    ("security", "port"),
    [("tls", 465), ("starttls", 587), ("none", 25)],
)
def test_the_port_follows_the_security_unless_given(security: str, port: int) -> None:
    assert _config(security=security).connects_to == port
    assert _config(security=security, port="2525").connects_to == 2525


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": []},
        {"to": ["a@b@c.example"]},
        {"to": ["li"]},
        {"to": ["li@example.com\r\nBcc: x@example.com"]},
        {"to": ["li@example.com\n"]},
        {"to": ["Li Wei <li@example.com>"]},
        {"to": ["li@example.com,wang@example.com"]},
        {"to": ["li@exämple.com"]},
        {"to": ["@example.com"]},
        {"to": [LI, LI.upper()]},
        {"from": "alerts"},
        {"from": "alerts@example.com\r\nBcc: x@example.com"},
        {"from": "A\r\nBcc: x <alerts@example.com>"},
        {"from": "a@b <alerts@example.com>"},
        {"host": "mail example"},
        {"host": ""},
        {"port": "70000"},
        {"security": "ssl"},
        {"language": "fr"},
        {"cc": [LI]},
        {"timeout": "0s"},
        {"host": "10.0.0.1", "security": "none", "username": "alerts"},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        _config(**wrong)


def test_the_password_is_not_shown() -> None:
    assert "canary" not in repr(_config(username="alerts", password="canary"))


def _older(raw: bytes) -> Message:
    """Return the header as another, older parser of the same standard sees it."""
    return BytesHeaderParser(policy=policy.compat32).parsebytes(raw)


# Line ends, separators and marks that could break a header or a line, beside any other character.
HOSTILE_TEXT = st.text(
    st.one_of(st.characters(), st.sampled_from('\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029\0\u202e<>@,;:"\\()=?_ .')), max_size=150
)


@settings(max_examples=100)
@given(
    text=HOSTILE_TEXT,
    rule=st.sampled_from(list(Rule)),
    reason=st.sampled_from(list(Reason)),
    language=st.sampled_from(["en", "zh"]),
)
def test_no_text_out_of_a_bill_can_change_the_header_or_the_parts(text: str, rule: Rule, reason: Reason, language: str) -> None:
    said = f"x{text}"
    facts = replace(
        SAMPLES["threshold"].facts,
        scope=NamedScope(Subject.SOURCE, said, AccountId(said)),
        account_name=said, name=said, period=said, threshold=said, also=(said,), next_threshold=said,
        course=Course(some_causes(said)), files=((said, said),), detail=said,
    )  # fmt: skip
    raw = _channel(language=language).render(notice(rule, facts, reason=reason, severity=Severity.CRITICAL), LI)
    older, newer = _older(raw), _read(raw)
    assert older.keys() == newer.keys() == HEADERS
    assert newer.defects == []
    assert raw.isascii()
    subject = str(newer["Subject"])
    assert subject.isprintable()
    assert len(subject) <= 120
    assert [part.get_content_type() for part in newer.iter_parts()] == ["text/plain", "text/html"]
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")


async def test_lines_that_begin_with_a_dot_survive_the_way() -> None:
    facts = Facts(
        scope=NamedScope(Subject.DAEMON, "config"), name="config", detail=".\n..\n.hidden: not a key\nBcc: x@example.com"
    )
    notification = notice(Rule.CONFIG_REJECTED, facts)
    with SmtpSink() as sink:
        channel = _channel(sink, security="none")
        await _send(channel, notification)
        ((_, raw),) = sink.messages
    assert raw.rstrip() == channel.render(notification, LI).rstrip()
    assert ".hidden: not a key" in _part(_read(raw), "plain")
    assert _read(raw)["Bcc"] is None


async def test_relays_that_cannot_be_looked_up_hold_up_neither_others_nor_the_threads_of_the_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    let_go = threading.Event()

    def resolve(_host: str, _port: int) -> list[str]:
        let_go.wait(300)
        return ["127.0.0.1"]

    try:
        with SmtpSink() as sink, monkeypatch.context() as patch:
            patch.setattr("spendwatch.aside.LOOK_UP_LIMIT", 3600)
            slow = EmailChannel(_config(host="slow.example.test", security="starttls"), "slow", zone=ZONE, resolver=resolve)
            waiting = [asyncio.create_task(_send(slow)) for _ in range(40)]
            await asyncio.sleep(0)
            await _send(_channel(sink, security="none"))
            await asyncio.gather(*(asyncio.to_thread(int) for _ in range(100)))
            assert len(sink.messages) == 1
            assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        for failed in await asyncio.gather(_send(slow), _send(slow), return_exceptions=True):
            assert isinstance(failed, TemporaryDeliveryError)
            assert "not resolved within 5 s" in str(failed)
            assert not failed.maybe_taken
    finally:
        let_go.set()
