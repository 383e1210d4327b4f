"""Notifies a Slack channel through an incoming webhook: blocks with a coloured edge."""

from __future__ import annotations

from collections.abc import Sequence

from spendwatch.channels.chat import COLOURS, CONTENT, Body, ChatChannel, Dialect, Trouble, by_status, without_emphasis
from spendwatch.channels.chat_settings import SlackConfig
from spendwatch.letters.parts import Letter
from spendwatch.request import HttpAnswer

_LONGEST = 3000  # characters of one block
_SIGNS = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "*": "＊", "`": "｀", "~": "～", "|": "｜", "@": "＠"})


def _escape(text: str) -> str:
    return without_emphasis(text.translate(_SIGNS).replace("://", "：//"))


class SlackChannel(ChatChannel[SlackConfig]):
    """An incoming webhook of Slack."""

    service = "Slack"
    most = 40_000
    dialect = Dialect(_escape, bold="*{}*", link="<{url}|{label}>", bullet="• ", ampersand="&amp;")
    troubles = (
        Trouble("channel_is_archived|channel_not_found", "the channel was archived or deleted: make a webhook for another one"),
        Trouble("action_prohibited|posting_to_general|team_disabled", "an administrator forbids it to post"),
        Trouble("no_service|no_active|no_team|_token|user_not_found", "the webhook was removed: write a new one into url_file"),
        Trouble("invalid_|no_text|too_many_attachments|too_long", CONTENT, of_channel=False),
    )

    def _body(self, letter: Letter, texts: Sequence[str]) -> Body:
        sections = [{"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}} for text in texts[1:]]
        edge = [{"color": COLOURS[letter.tone], "blocks": sections}]
        return {"text": f"*{texts[0]}*", "attachments": edge, "unfurl_links": False, "unfurl_media": False}

    def _fits(self, body: Body) -> bool:
        sections = body["attachments"][0]["blocks"]
        return super()._fits(body) and all(len(one["text"]["text"]) <= _LONGEST for one in sections)

    def _verdict(self, answer: HttpAnswer) -> str | None:
        if answer.status // 100 == 2:  # noqa: PLR2004 -- the successful ones
            return "" if answer.body.strip() == b"ok" else None
        return by_status(answer)
