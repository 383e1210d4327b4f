"""Mail into a real server: Postfix with STARTTLS and AUTH, its certificate from an authority of our own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from email import policy
from email.parser import BytesParser

import pytest

from notices import SAMPLES, ZONE, delivery
from servers_postfix import LOGIN, MOST_BYTES, Postfix, running_postfix
from spendwatch.channels import relay
from spendwatch.channels.email import EmailChannel
from spendwatch.channels.email_settings import EmailConfig
from spendwatch.channels.relay import Relay
from spendwatch.domain.errors import PermanentDeliveryError, TemporaryDeliveryError

pytestmark = pytest.mark.anyio

SENDER, LI, WANG, NOBODY = "alerts@example.com", "li@example.com", "wang@example.com", "nobody@example.com"


@pytest.fixture(scope="module")
def postfix() -> Iterator[Postfix]:
    with running_postfix() as server:
        yield server


def _config(server: Postfix, **settings: object) -> EmailConfig:
    place = {"type": "email", "host": "127.0.0.1", "port": server.port, "ca_file": str(server.ca_file)}
    people = {"from": SENDER, "to": [LI, WANG, NOBODY], "username": LOGIN[0], "password": LOGIN[1]}
    return EmailConfig.model_validate({**place, **people, **settings})


async def _send(channel: EmailChannel, target: str) -> str:
    return await channel.send(delivery(SAMPLES["threshold"], target, channel.render(SAMPLES["threshold"], target)))


async def _eventually(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 -- another process's
            await asyncio.sleep(0.02)


async def test_a_batch_arrives_over_one_connection_and_an_unknown_recipient_stops_no_other(
    postfix: Postfix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "_IDLE", 0.5)
    before = len(postfix.mails("li")), len(postfix.mails("wang"))
    channel = EmailChannel(_config(postfix), "finance", zone=ZONE)
    took = await _send(channel, LI)
    with pytest.raises(PermanentDeliveryError, match=r"rejected nobody@example\.com: 550 5\.1\.1 .*User unknown"):
        await _send(channel, NOBODY)
    await _send(channel, WANG)
    await _send(channel, LI)
    await _eventually(lambda: (len(postfix.mails("li")), len(postfix.mails("wang"))) == (before[0] + 2, before[1] + 1))
    assert took.startswith("250 2.0.0 Ok: queued as ")
    assert postfix.log.count("sasl_username=alerts") >= 3
    message = BytesParser(policy=policy.default).parsebytes(postfix.mails("wang")[-1])
    assert "with ESMTPSA" in message["Received"]
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Subject"] == "[Warning] Research is at 85% of its September 2026 budget (CNY 1,021.40 of 1,200.00)"
    assert message["Message-ID"] == f"<{SAMPLES['threshold'].id}@spendwatch.example.com>"
    quit_line = "ehlo=2 starttls=1 auth=1 mail=4 rcpt=3/4 data=3 rset=1 quit=1 commands=16/17"
    await _eventually(lambda: quit_line in postfix.log)


async def test_a_wrong_password_holds_the_mail(postfix: Postfix) -> None:
    channel = EmailChannel(_config(postfix, password="canary"), "finance", zone=ZONE)
    with pytest.raises(TemporaryDeliveryError, match=r"rejected the user name or the password \(535\)") as caught:
        await _send(channel, LI)
    assert caught.value.is_login
    assert "canary" not in str(caught.value)


async def test_a_mail_that_is_larger_than_the_server_takes_is_not_sent(postfix: Postfix) -> None:
    mail = b"Subject: large\r\n\r\n" + (b"x" * 70 + b"\r\n") * 1000
    with pytest.raises(PermanentDeliveryError, match=f"has {len(mail):,} bytes; 127.0.0.1 takes {MOST_BYTES:,} at most"):
        await Relay(_config(postfix)).hand_over(mail, sender=SENDER, recipient=LI)


async def test_without_a_login_nothing_is_relayed(postfix: Postfix) -> None:
    channel = EmailChannel(_config(postfix, username=None, password=None), "finance", zone=ZONE)
    with pytest.raises(PermanentDeliveryError, match=r"rejected li@example\.com: 554 5\.7\.1 .*ccess denied"):
        await _send(channel, LI)


async def test_a_server_without_our_authority_gets_no_password(postfix: Postfix) -> None:
    channel = EmailChannel(_config(postfix, ca_file=None), "finance", zone=ZONE)
    with pytest.raises(TemporaryDeliveryError, match="the TLS certificate is not valid"):
        await _send(channel, LI)
