"""An operator's own words: templates that replace subject, text or page of a channel's messages."""

from __future__ import annotations

import atexit
from collections.abc import Iterable, Mapping
from datetime import tzinfo
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel

from spendwatch.domain.errors import ConfigMistake
from spendwatch.domain.notification import Notification
from spendwatch.letters.json_body import JsonBody
from spendwatch.letters.language import Language
from spendwatch.letters.parts import Letter, Points, clean
from spendwatch.letters.reader import Reader
from spendwatch.letters.template_process import TemplateError, TemplateProcess
from spendwatch.letters.wording import Wording

_failures: dict[Path, ConfigMistake] = {}
"""What is wrong with the templates that failed since they were opened, by file."""
_process = TemplateProcess()
atexit.register(_process.close)


class Spoken(Protocol):
    """The settings of a channel that speaks in words of its own, in the `language` that it has, if it has one."""

    @property
    def templates(self) -> BaseModel:
        """The files, by what each replaces."""


def wording_of(config: Spoken, zone: tzinfo) -> Wording:
    """Return the words of a channel: its own where it has templates."""
    language, files = getattr(config, "language", Language.EN), _files(config)
    return OwnWords(language, zone, files) if files else Wording(language, zone)


def template_mistakes(configs: Iterable[Spoken]) -> list[ConfigMistake]:
    """Return what is wrong with the templates of these channels, as far as they failed."""
    files = dict.fromkeys(file for config in configs for file in _files(config).values())
    return [_failures[file] for file in files if file in _failures]


def _files(config: Spoken) -> Mapping[str, Path]:
    return {what: Path(file) for what, file in config.templates.model_dump().items() if file}


class OwnWords(Wording):
    """Templates where there are any. Where one fails, the built-in text is sent: no alert is lost for a template."""

    def __init__(self, language: Language, zone: tzinfo, files: Mapping[str, Path]) -> None:
        """Read the templates, each by what it replaces; a file that cannot be read fails like any other mistake."""
        super().__init__(language, zone)
        self._json = JsonBody(zone, wording=Wording(language, zone))
        self._files = files
        self._sources: dict[str, str] = {}
        for what, file in files.items():
            _failures.pop(file, None)
            try:
                self._sources[what] = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                _failures[file] = ConfigMistake(str(file), 1, 1, "", f"cannot be read: {error}")

    def try_all(self, notifications: Iterable[Notification]) -> None:
        """Fill in each template for these until it fails: `template_mistakes` knows of it."""
        every = list(notifications)
        for what, file in self._files.items():
            for one in every:
                if file not in _failures:
                    self._own(what, one)

    def letter(self, notification: Notification) -> Letter:
        """Return the parts for chats: each line of an own text is one line of the message."""
        letter, own = self._built_in(notification), self._own("text", notification)
        if own:
            lines = Points("", tuple(filter(None, map(clean, own.splitlines()))))
            plain = letter._replace(state=letter.tag, account="", amount=None, gauge=None, captions=(), lead="", closing=())
            letter = plain._replace(sections=(lines,))
        return letter._replace(subject=self.subject(notification))

    def _built_in(self, notification: Notification) -> Letter:
        """Return the built-in parts, with a note where a template of the text or the page failed."""
        letter = super()._built_in(notification)
        failed = [file.name for what, file in self._files.items() if what != "subject" and file in _failures]
        if not failed:
            return letter
        note = Reader(self._language, self._zone).text("template_failed", files=", ".join(failed))
        return letter._replace(closing=(*letter.closing, note))

    def _own(self, what: str, notification: Notification) -> str:
        """Return what the template makes, marked if it is a test; empty where there is none, or it fails."""
        if what not in self._sources:
            return ""
        file, letter = self._files[what], super()._built_in(notification)
        try:
            own = _process.fill(self._sources[what], self._variables(notification, letter), is_html=what == "html")
        except TemplateError as error:
            why = f"{error.what} (in a message of {notification.rule.type})"
            _failures.setdefault(file, ConfigMistake(str(file), error.line or 1, 1, "", why))
            return ""
        is_marked = notification.facts.drill is None or letter.tag in own or letter.headline in own
        return own if is_marked else f"[{letter.tag}] {own}" if what == "subject" else f"{letter.headline}\n\n{own}"

    def _variables(self, notification: Notification, letter: Letter) -> Mapping[str, object]:
        """Return what a template may ask for."""
        amount = letter.amount
        return {
            "headline": letter.headline,
            "lead": letter.lead,
            "amount": f"{amount.label} {amount.value} {amount.note}".strip() if amount else "",
            "summary": letter.subject,
            "tag": letter.tag,
            "account": letter.account,
            "links": [{"label": link.label, "url": link.url} for link in letter.links],
            "closing": list(letter.closing),
            "text": self._fill("letter.txt.j2", notification),
            "facts": self._json.of(notification)["data"],
        }
