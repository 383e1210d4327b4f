"""Notifies a DingTalk group through its custom robot: markdown, signed over the time of the attempt."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import quote_plus

from spendwatch.channels.chat import COLOURS, CONTENT, JSON, TOO_LONG, Body, ChatChannel, Dialect, Trouble, sign
from spendwatch.channels.chat_settings import DingTalkConfig
from spendwatch.channels.http_channel import Post
from spendwatch.domain.notification import Delivery
from spendwatch.letters.parts import Letter


class DingTalkChannel(ChatChannel[DingTalkConfig]):
    """A custom robot of DingTalk."""

    service = "DingTalk"
    most = 20_000
    dialect = Dialect(line="  \n")
    codes = (("errcode", "errmsg"),)
    troubles = (
        Trouble("310000 .*keyword", "it takes only messages with its keyword: write it as `keyword`", is_doubtful=True),
        Trouble("310000 .*timestamp", "the time of the request is wrong: set this machine's clock"),
        Trouble(
            "310000 .*sign", "the signature is wrong: write the robot's secret (SEC…) into secret_file, and check the clock"
        ),
        Trouble(
            "310000 .*(ip|whitelist)", "the robot does not accept this machine's public address: add it to the robot's IP list"
        ),
        Trouble("310000", "the robot's security settings refuse it: compare them with secret_file and `keyword`"),
        Trouble(
            "130101|410100|too fast",
            "more than 20 messages in a minute: it blocks the robot for 10 minutes",
            pause=timedelta(minutes=10),
        ),
        Trouble(
            "^(300001|300005|40014|400101|400102|400106|88) ",
            "the robot or its token is unknown: copy its address anew into url_file",
        ),
        Trouble("^400013 ", "the group was dissolved: add a robot to another group, and write its address into url_file"),
        Trouble("^460101 |too long", TOO_LONG, of_channel=False),
        Trouble("^(43010[1-4]|40035|43004|400105) ", CONTENT, of_channel=False),
        Trouble("^-1 ", "it is busy"),
    )

    def _body(self, letter: Letter, texts: Sequence[str]) -> Body:
        head = f'### <font color="{COLOURS[letter.tone]}">{texts[0]}</font>'
        people = self._config.at if letter.tone == "critical" else ()
        mobiles = [one for one in people if one.lstrip("+").replace("-", "").isdigit()]
        at = {"atMobiles": mobiles, "atUserIds": [one for one in people if one not in mobiles]}
        mentions = [" ".join(f"@{one}" for one in people)] if people else []
        return {
            "msgtype": "markdown",
            "markdown": {"title": letter.subject, "text": "\n\n".join((head, *texts[1:], *mentions))},
            "at": {**at, "isAtAll": letter.tone == "critical" and self._config.at_all},
        }

    def _request(self, delivery: Delivery, body: bytes, now: datetime) -> Post:  # noqa: ARG002 -- the robot takes no id
        url = self._config.address
        if secret := self._config.key:
            moment = str(int(now.timestamp() * 1000))
            signed = quote_plus(sign(secret, f"{moment}\n{secret}"))
            url += f"{'&' if '?' in url else '?'}timestamp={moment}&sign={signed}"
        return Post(url, JSON, body)
