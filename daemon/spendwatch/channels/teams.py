"""Notifies a channel of Microsoft Teams through a workflow: an Adaptive Card."""

from __future__ import annotations

from collections.abc import Sequence

from spendwatch.channels.chat import CONTENT, Body, ChatChannel, Dialect, Trouble, by_status
from spendwatch.channels.chat_settings import TeamsConfig
from spendwatch.channels.http_channel import json_of
from spendwatch.letters.parts import Letter
from spendwatch.request import HttpAnswer

_STYLES = {"notice": "accent", "warning": "warning", "critical": "attention", "calm": "good"}
_CARD = "application/vnd.microsoft.card.adaptive"


class TeamsChannel(ChatChannel[TeamsConfig]):
    """A workflow that posts cards."""

    service = "Microsoft Teams"
    most = 28_000
    dialect = Dialect(line="\n\n")
    troubles = (
        Trouble("TriggerIsNotEnabled|WorkflowDisabled", "the workflow is off: switch it on in the Workflows app"),
        Trouble("AuthorizationRequired|Signature|Unauthorized", "copy the address anew; anyone must be able to trigger it"),
        Trouble("NotFound", "the workflow was deleted: make a new one, and write its address into url_file"),
        Trouble(r"\b429\b|throttl|TooManyRequests", "more messages than the workflow takes"),
        Trouble(r"\b413\b|too large|InputSchemaMismatch", CONTENT, of_channel=False),
    )

    def _body(self, letter: Letter, texts: Sequence[str]) -> Body:
        head = {"type": "TextBlock", "text": texts[0], "weight": "bolder", "size": "medium", "wrap": True}
        top = {"type": "Container", "style": _STYLES[letter.tone], "bleed": True, "items": [head]}
        content = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "msteams": {"width": "Full"},
            "body": [top, *({"type": "TextBlock", "text": text, "wrap": True} for text in texts[1:])],
        }
        return {"type": "message", "summary": letter.subject, "attachments": [{"contentType": _CARD, "content": content}]}

    def _verdict(self, answer: HttpAnswer) -> str | None:
        if answer.status // 100 != 2:  # noqa: PLR2004 -- the successful ones
            return by_status(answer)
        said, found = answer.body.strip(), json_of(answer)
        if b"failed" in said or "error" in found:
            return f"{answer.status} {answer.excerpt}"
        return "" if found or said in {b"", b"1"} else None
