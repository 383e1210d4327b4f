"""The configuration that `init` writes: suggested budgets, texts, and files of which all appear or none."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from spendwatch.addresses import is_loopback
from spendwatch.channels.email_settings import EmailConfig, Security
from spendwatch.cli.discovery import FoundAccount
from spendwatch.domain.commodity import MODEL_STUDIO
from spendwatch.domain.money import Money, plain
from spendwatch.domain.period import BillingPeriod
from spendwatch.domain.standing import Split
from spendwatch.settings.files import MAIN
from spendwatch.settings.json_schema import MAIN_SCHEMA, WORKSPACE_SCHEMA, json_schemas, modeline

MAIL, HOOK = "mail", "hook"
PASSWORD, SIGNING_KEY = "secrets/smtp", "secrets/hook"
_SECRET, _ORDINARY = 0o600, 0o644
_KEY_BYTES = 32
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._@-]*")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_NEWS = "  # With `first: [item, commodity, model, api_key, workspace]` an account reports the first charge of anything new."
_MORE, _LEAST = Decimal("1.2"), Decimal(1)
_ROUND = tuple(map(Decimal, ("1", "1.2", "1.5", "2", "2.5", "3", "4", "5", "6", "8", "10")))
_TLS_PORT, _STARTTLS_PORT = 465, 587


def suggest(account: FoundAccount, workspaces: Sequence[str]) -> tuple[Decimal, str]:
    """Suggest a budget for these workspaces together, and say why: the last whole month and a fifth, rounded.

    Where that month has no spend, or this one has used up such a budget already, this month counts, projected to its end.
    """

    def spent(month: BillingPeriod) -> Split:
        return sum((account.split(workspace, month) for workspace in workspaces), start=Split.of((), account.currency))

    whole, newest = account.whole, max(account.months)
    if whole:
        spend = spent(whole).total
        budget = _rounded(spend.amount * _MORE)
        if newest == whole or (spend.amount > 0 and spent(newest).total.amount < budget):
            return budget, f"{whole.label}: {spend}"
    until, split = account.months[newest], spent(newest)
    days = Decimal(newest.days) / (until.day if until else newest.days)
    spend = Money(round(split.pay_as_you_go.amount * days, 2), account.currency) + split.subscription
    return _rounded(spend.amount * _MORE), f"{newest.label}{' projected to its end' if until else ''}: {spend}"


def _rounded(amount: Decimal) -> Decimal:
    """Return the nearest round number, one at least."""
    power = Decimal(1).scaleb(max(amount, _LEAST).adjusted())
    return min((figure * power for figure in _ROUND), key=lambda one: abs(one - amount))


class WorkspaceDraft(NamedTuple):
    """A workspace to be written."""

    workspace: str
    budget: Decimal
    why: str = ""
    account: str = ""
    """The id of the only account that it is of; empty: any."""


class Draft(NamedTuple):
    """Everything that is to be written."""

    accounts: Mapping[str, FoundAccount]
    """By name."""
    budgets: Mapping[str, Decimal]
    """Of accounts as a whole, by id."""
    workspaces: Sequence[WorkspaceDraft]
    products: Sequence[str]
    nameless: str = ""
    """The id of the account of bills that name none, where there are several accounts."""
    mail: EmailConfig | None = None
    password: str = ""
    webhook: str = ""

    def files(self) -> Mapping[str, tuple[str, int]]:
        """Return the text and the mode of each file by its name; what the main file names comes before it."""
        found = {PASSWORD: (f"{self.password}\n", _SECRET)} if self.password else {}
        if self.webhook:
            found[SIGNING_KEY] = f"whsec_{base64.b64encode(os.urandom(_KEY_BYTES)).decode()}\n", _SECRET
        names: dict[str, str] = {one.account: name for name, one in self.accounts.items()} if len(self.accounts) > 1 else {}
        taken: set[str] = set()
        for one in self.workspaces:
            why = f"   # {one.why}" if one.why else ""
            pinned = f"account: {_text(names[one.account])}\n" if one.account in names else ""
            text = f"workspace: {_text(one.workspace)}\nbudget: {plain(one.budget)}{why}\n{pinned}"
            found[f"workspaces/{_file_name(one.workspace, taken)}.yaml"] = modeline(f"../{WORKSPACE_SCHEMA}") + text, _ORDINARY
        schemas = {name: (text, _ORDINARY) for name, text in json_schemas().items()}
        return {**found, **schemas, MAIN: (modeline(MAIN_SCHEMA) + self._main(), _ORDINARY)}

    def _main(self) -> str:
        lines = ["# Written by `spendwatch init`. Without options it writes a commented example with more keys.", "accounts:"]
        whose = ""
        for name, one in self.accounts.items():
            budget = f", budget: {plain(self.budgets[one.account])}" if one.account in self.budgets else ""
            values = f"id: {_text(one.account)}, site: {one.site}, currency: {one.currency}{budget}"
            lines.append(f"  {_text(name)}: {{{values}}}")
            whose = f", account: {_text(name)}" if one.account == self.nameless else whose
        lines.append(_NEWS)
        if tuple(self.products) != (MODEL_STUDIO,):
            lines.append(f"products: [{', '.join(map(_text, self.products))}]")
        lines += ["sources:", f"  inbox: {{type: folder, path: inbox{whose}}}", "channels:"]
        if self.mail:
            lines += [f"  {MAIL}:", "    type: email", *_mail_lines(self.mail)]
        if self.webhook:
            lines += [f"  {HOOK}: {{type: webhook, url: {_text(self.webhook)}, secret_file: {SIGNING_KEY}}}"]
        return "\n".join([*lines, "  screen: {type: console}", ""])


def _mail_lines(mail: EmailConfig) -> Iterator[str]:
    yield from (f"    host: {_text(mail.host)}", f"    port: {mail.connects_to}", f"    security: {mail.security}")
    if mail.username:
        yield from (f"    username: {_text(mail.username)}", f"    password_file: {PASSWORD}")
    yield from (f"    from: {_text(mail.from_)}", f"    to: [{', '.join(map(_text, mail.to))}]")


def security_of(host: str, port: int) -> Security:
    """Return how a server on that port is usually reached; one on this machine without encryption."""
    if port == _TLS_PORT:
        return Security.TLS
    return Security.NONE if is_loopback(host) and port != _STARTTLS_PORT else Security.STARTTLS


def _text(value: str) -> str:
    """Return a text as YAML: in quotes wherever any reader might take it for something else."""
    is_plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return value if is_plain else json.dumps(value, ensure_ascii=False)


def _file_name(workspace: str, taken: set[str]) -> str:
    """Return a file's name that no other one has, also where capitals do not count."""
    base = re.sub(r"[^A-Za-z0-9_-]", "_", workspace)
    names = (f"{base}_{number}" if number else base for number in (0, *range(2, len(taken) + 3)))
    name = next(name for name in names if name.lower() not in taken)
    taken.add(name.lower())
    return name


@contextmanager
def written(folder: Path, files: Mapping[str, tuple[str, int]]) -> Iterator[None]:
    """Write the files, and an inbox; if anything fails, here or in the body, none of them stays."""
    made: list[Path] = []
    try:
        for name, (text, mode) in files.items():
            _make_folder((folder / name).parent, made, private=mode == _SECRET)
            handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            made.append(folder / name)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
        _make_folder(folder / "inbox", made)
        yield
    except BaseException:
        for path in reversed(made):
            path.rmdir() if path.is_dir() else path.unlink()
        raise


def _make_folder(folder: Path, made: list[Path], *, private: bool = False) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent, made)
        folder.mkdir(mode=0o700 if private else 0o777)
        made.append(folder)
