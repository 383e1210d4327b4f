"""Connections to a mail server: reused, given up, replaced; every answer at every command; access tokens."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from dataclasses import replace
from typing import Any

import pytest

from notices import SAMPLES, ZONE, delivery
from servers_http import Fault, HttpSink, Reply
from servers_smtp import SmtpSink, Tls
from spendwatch.channels import relay
from spendwatch.channels.email import EmailChannel
from spendwatch.channels.email_settings import EmailConfig
from spendwatch.channels.oauth2 import AccessTokens
from spendwatch.domain.errors import PermanentDeliveryError, TemporaryDeliveryError
from spendwatch.outgoing import Outgoing

pytestmark = pytest.mark.anyio

LI, WANG = "li@example.com", "wang@example.com"
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
TEMPORARY, PERMANENT = TemporaryDeliveryError, PermanentDeliveryError


def _channel(sink: SmtpSink, client: Outgoing | None = None, /, **settings: Any) -> EmailChannel:  # noqa: ANN401 -- as in YAML
    usual = {"type": "email", "host": sink.host, "port": sink.port, "security": "none"}
    people = {"from": "alerts@example.com", "to": [LI, WANG], "timeout": "3s"}
    config = EmailConfig.model_validate({**usual, **people, **settings})
    tokens = AccessTokens(config.auth.oauth2, client) if config.auth and client else None
    return EmailChannel(config, "finance", zone=ZONE, tokens=tokens)


async def _send(channel: EmailChannel, *targets: str) -> None:
    for target in targets or (LI,):
        await channel.send(delivery(SAMPLES["threshold"], target, channel.render(SAMPLES["threshold"], target)))


# -- connections


async def test_one_connection_carries_the_mails_of_a_batch() -> None:
    with SmtpSink() as sink:
        await _send(_channel(sink), LI, WANG, LI, WANG, LI)
        assert [recipient for recipient, _ in sink.messages] == [LI, WANG, LI, WANG, LI]
        assert (sink.connections, sink.commands.count("DATA"), "RSET" in sink.commands) == (1, 5, False)


async def test_as_many_connections_as_mails_under_way_and_no_more() -> None:
    with SmtpSink() as sink:
        channel = _channel(sink)
        for _ in range(5):
            await asyncio.gather(*(_send(channel) for _ in range(3)))
        assert (sink.connections, len(sink.messages)) == (3, 15)


async def test_a_refused_recipient_costs_no_connection_and_the_next_mail_begins_anew() -> None:
    with SmtpSink(refuse={LI: "550 5.1.1 no such user"}) as sink:
        channel = _channel(sink)
        with pytest.raises(PERMANENT, match="no such user"):
            await _send(channel, LI)
        await _send(channel, WANG)
        assert [recipient for recipient, _ in sink.messages] == [WANG]
        assert (sink.connections, sink.commands.count("RSET")) == (1, 1)


async def test_a_server_that_hung_up_meanwhile_gets_a_new_connection() -> None:
    with SmtpSink() as sink:
        channel = _channel(sink)
        await _send(channel)
        sink.hang_up()
        await _send(channel)
        assert (sink.connections, len(sink.messages)) == (2, 2)


@pytest.mark.parametrize(
    ("verb", "answer"),
    [
        *((verb, f"{code} no more here") for verb in ("MAIL", "RSET") for code in (421, 451, 452, 503, 550)),
        ("RCPT", "421 no more here"),
    ],
)
async def test_what_a_used_connection_says_against_another_mail_a_new_one_decides(verb: str, answer: str) -> None:
    with SmtpSink(refuse={WANG: "550 no such user"}) as sink:
        channel = _channel(sink)
        await _send(channel)
        if verb == "RSET":
            with pytest.raises(PERMANENT):
                await _send(channel, WANG)
        sink.answers_of_used = {verb: answer}
        await _send(channel)
        assert (sink.connections, len(sink.messages)) == (2, 2)


async def test_a_connection_without_mail_for_a_while_is_ended_politely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "_IDLE", 0.05)
    with SmtpSink() as sink:
        channel = _channel(sink)
        await _send(channel)
        async with asyncio.timeout(60):
            while "QUIT" not in sink.commands:  # noqa: ASYNC110 -- another thread's
                await asyncio.sleep(0.01)
        await _send(channel)
        assert (sink.connections, len(sink.messages)) == (2, 2)


def test_a_command_that_ends_takes_its_connections_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "_IDLE", 300)
    with SmtpSink() as sink:
        channel = _channel(sink)
        for _ in range(2):
            began = time.monotonic()
            asyncio.run(_send(channel))
            assert time.monotonic() - began < 60
        assert (sink.connections, len(sink.messages)) == (2, 2)


async def test_a_connection_lost_amid_a_later_mail_leaves_open_whether_it_was_taken() -> None:
    with SmtpSink() as sink:
        channel = _channel(sink)
        await _send(channel)
        sink.drops_after_data = True
        with pytest.raises(TEMPORARY) as caught:
            await _send(channel)
        assert caught.value.maybe_taken
        assert len(sink.messages) == 2, "it was not sent once more over a new connection"


# -- every class of answers at every command


@pytest.mark.parametrize("answer", ["252 perhaps", "354 go on", "421 closing", "451 later", "452 full", "500 what", "554 no"])
@pytest.mark.parametrize("verb", ["EHLO", "MAIL", "RCPT", "RSET", "DATA", "END", "QUIT"])
async def test_every_answer_at_every_command_has_a_meaning(verb: str, answer: str) -> None:
    scripted = {"answers": {verb: answer, "HELO": answer}, "refuse_data": answer if verb == "END" else ""}
    with SmtpSink(**scripted) as sink:  # type: ignore[arg-type]  # two of its many
        channel = _channel(sink)
        if verb in {"RSET", "QUIT"} or (verb, answer[:3]) == ("DATA", "354"):
            if verb != "DATA":
                await _send(channel)
                assert len(sink.messages) == 1
            return
        by_code = PERMANENT if answer.startswith("5") else TEMPORARY
        with pytest.raises(TEMPORARY if verb == "EHLO" else by_code, match=answer[:3]) as caught:
            await _send(channel)
        assert sink.messages == []
    if isinstance(caught.value, TemporaryDeliveryError):
        assert caught.value.maybe_taken == (verb in {"DATA", "END"} and answer < "4")
        assert caught.value.of_channel == (verb in {"EHLO", "MAIL"} or answer.startswith("421"))


@pytest.mark.parametrize("answer", ["454 4.7.1 Relay access denied", "421 4.7.0 too many errors", "530 5.7.1 log in"])
async def test_a_recipient_whom_the_server_does_not_serve_holds_up_no_other(answer: str) -> None:
    with SmtpSink(refuse={LI: answer}) as sink, pytest.raises(TEMPORARY, match=answer[:3]) as caught:
        await _send(_channel(sink), LI)
    assert caught.value.is_doubtful or not caught.value.of_channel
    assert caught.value.is_login == answer.startswith("530")


@pytest.mark.parametrize("banner", ["421 busy", "450 later", "554 not you", "220"])
async def test_a_server_that_greets_with_a_refusal_is_asked_later(banner: str) -> None:
    with SmtpSink(banner=banner) as sink, pytest.raises(TEMPORARY, match=r"not ready: \d{3}|no answer in time") as caught:
        await _send(_channel(sink, timeout="1s"))
    assert caught.value.of_channel


@pytest.mark.parametrize("answer", ["421 x", "432 x", "454 x", "500 x", "534 x", "535 x", "538 x"])
async def test_a_refused_login_holds_every_mail(answer: str) -> None:
    with SmtpSink(tls=Tls.STARTTLS, login=("alerts", "pw"), answers={"AUTH": answer}) as sink:
        login = {
            "username": "alerts",
            "password": "pw",
            "security": "starttls",
            "ca_file": str(sink.ca_file),
        }
        with pytest.raises(TEMPORARY, match=f"{answer[:3]}|not connected") as caught:
            await _send(_channel(sink, **login))
        assert caught.value.of_channel
        assert caught.value.is_login == (not answer.startswith("421"))


# -- what the server can do, and who we are


async def test_a_mail_that_is_too_large_for_the_server_is_not_sent_and_both_sizes_are_told() -> None:
    with SmtpSink(most_bytes=2000) as sink:
        with pytest.raises(PERMANENT, match=r"the mail has [\d,]{5,} bytes; 127\.0\.0\.1 takes 2,000 at most"):
            await _send(_channel(sink))
        assert not any(line.startswith("MAIL") for line in sink.commands)


async def test_the_size_is_announced_where_the_server_asks_for_it() -> None:
    with SmtpSink() as sink:
        await _send(_channel(sink))
        ((_, raw),) = sink.messages
        (line,) = [line for line in sink.commands if line.startswith("MAIL")]
    assert line == f"MAIL FROM:<alerts@example.com> SIZE={len(raw)}"
    assert raw.isascii(), "neither 8BITMIME nor SMTPUTF8 is needed"


@pytest.mark.parametrize(("hello", "said"), [("", "[127.0.0.1]"), ("spend.example.com", "spend.example.com")])
async def test_we_introduce_ourselves_by_our_address_or_the_name_that_is_set(hello: str, said: str) -> None:
    with SmtpSink() as sink:
        await _send(_channel(sink, hello=hello))
        assert sink.commands[0] == f"EHLO {said}"


async def test_every_address_of_the_server_is_tried() -> None:
    with SmtpSink() as sink:
        config = EmailConfig.model_validate({
            "type": "email", "host": "relay.test", "port": sink.port, "security": "none", "from": "a@example.com", "to": [LI],
        })  # fmt: skip
        channel = EmailChannel(config, "finance", zone=ZONE, resolver=lambda _host, _port: ["::1", "127.0.0.1"])
        await _send(channel)
        assert len(sink.messages) == 1


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("letters", [11, 48, 76, 240])
def test_ids_stand_plain_however_long_the_senders_domain_is(language: str, letters: int) -> None:
    labels = "x" * 60 + "." + "y" * 60 + "." + "z" * 60 + "." + "w" * 60
    domain = labels[-letters:].strip(".") + ".example.com"
    with SmtpSink() as sink:
        sender = {"from": f"alerts@{domain}"}
        channel = _channel(sink, language=language, **sender)
    notification = replace(SAMPLES["threshold"], facts=replace(SAMPLES["threshold"].facts, name="研究"))
    head = channel.render(notification, LI).partition(b"\r\n\r\n")[0].decode("ascii").split("\r\n")
    ids = {name: value for name, _, value in (line.partition(": ") for line in head)}
    for name in ("Message-ID", "In-Reply-To", "References"):
        assert ids[name].startswith("<")
        assert ids[name].endswith(f"@spendwatch.{domain}>")
    assert ids["List-Id"] == f"<spendwatch.{domain}>"
    assert ids["References"] == ids["In-Reply-To"]


# -- OAuth 2.0

TOKEN = Reply(body=b'{"access_token": "canary-token-1", "expires_in": 3599, "token_type": "Bearer"}')
NEXT = Reply(body=b'{"access_token": "canary-token-2", "expires_in": "3599", "refresh_token": "canary-renewed"}')


def _oauth(sink: SmtpSink, endpoint: HttpSink, **settings: object) -> EmailChannel:
    oauth2 = {"token_url": endpoint.url("/token"), "client_id": "id 1", "refresh_token": "canary-refresh", **settings}
    login = {"security": "starttls", "ca_file": str(sink.ca_file), "username": "alerts@example.com"}
    return _channel(sink, Outgoing(LOOPBACK), **login, auth={"oauth2": oauth2})


async def test_a_mailbox_is_entered_with_an_access_token_that_is_kept_until_it_ends() -> None:
    with HttpSink([TOKEN]) as endpoint, SmtpSink(tls=Tls.STARTTLS, tokens=["canary-token-1"]) as sink:
        channel = _oauth(sink, endpoint, scope="https://mail.google.com/", client_secret="canary-secret")
        await asyncio.gather(_send(channel), _send(channel))
        assert sink.mechanisms == [("alerts@example.com", "canary-token-1")] * 2
        (asked,) = endpoint.requests
    form = "grant_type=refresh_token&client_id=id+1&client_secret=canary-secret&refresh_token=canary-refresh"
    assert asked.body.decode() == f"{form}&scope=https%3A%2F%2Fmail.google.com%2F"


async def test_a_token_that_is_refused_is_replaced_once() -> None:
    with HttpSink([TOKEN, NEXT, NEXT]) as endpoint, SmtpSink(tls=Tls.STARTTLS, tokens=["canary-token-2"]) as sink:
        channel = _oauth(sink, endpoint)
        await _send(channel)
        assert [token for _, token in sink.mechanisms] == ["canary-token-1", "canary-token-2"]
        sink.tokens = ["another"]
        sink.hang_up()
        with pytest.raises(TEMPORARY, match=r"rejected the user name or the access token \(535\)") as caught:
            await _send(channel)
        assert [request.body.count(b"canary-renewed") for request in endpoint.requests] == [0, 0, 1]
    assert caught.value.of_channel
    assert "canary" not in str(caught.value)


async def test_an_application_may_sign_in_itself() -> None:
    with HttpSink([TOKEN]) as endpoint, SmtpSink(tls=Tls.STARTTLS, tokens=["canary-token-1"]) as sink:
        await _send(_oauth(sink, endpoint, refresh_token=None, client_secret="canary-secret"))
        assert endpoint.requests[0].body == b"grant_type=client_credentials&client_id=id+1&client_secret=canary-secret"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(400, body=b'{"error": "invalid_grant", "x": "canary-refresh"}'), "400 invalid_grant .*sign in again"),
        (Reply(401, body=b'{"error": "invalid_client"}'), "401 invalid_client .*client_secret_file"),
        (Reply(400, body=b'{"error": "canary-refresh <b>"}'), "HTTP 400 without a token"),
        (Reply(200, body=b"<html>canary-refresh"), "HTTP 200 without a token"),
        (Reply(200, body=b'{"access_token": "a\\nb"}'), "HTTP 200 without a token"),
        (Reply(503), "HTTP 503 without a token"),
        (Reply(fault=Fault.CUT), "no access token: http://127.0.0.1:"),
    ],
)
async def test_why_there_is_no_token_is_told_without_what_was_sent(reply: Reply, said: str) -> None:
    with HttpSink([reply]) as endpoint, SmtpSink(tls=Tls.STARTTLS, tokens=["x"]) as sink:
        with pytest.raises(TEMPORARY, match=said) as caught:
            await _send(_oauth(sink, endpoint))
        assert (caught.value.of_channel, sink.mechanisms, sink.messages) == (True, [], [])
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("wrong", [{"security": "none"}, {"username": None}, {"password_file": "x"}])
def test_a_token_goes_only_over_tls_and_only_for_a_mailbox(wrong: dict[str, object]) -> None:
    oauth2 = {"token_url": "https://login.example.com/token", "client_id": "id", "refresh_token_file": "x"}
    usual = {"type": "email", "host": "mail.example.com", "from": "a@example.com", "to": [LI], "username": "a@example.com"}
    EmailConfig.model_validate({**usual, "auth": {"oauth2": oauth2}})
    with pytest.raises(ValueError, match="needs TLS and username"):
        EmailConfig.model_validate({**usual, "auth": {"oauth2": oauth2}, **wrong})
