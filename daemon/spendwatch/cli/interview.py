"""What `init` needs to know beyond the bills: from options, and on a terminal from a few questions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from spendwatch.channels.email_settings import EmailConfig, Security
from spendwatch.cli.discovery import CURRENCIES, Discovery, FoundAccount, site_of, workspace_table
from spendwatch.cli.drafting import Draft, WorkspaceDraft, security_of, suggest
from spendwatch.cli.mail_servers import PUBLIC_DOMAINS, guess
from spendwatch.cli.options import refuse
from spendwatch.cli.screen import console, print_whole
from spendwatch.domain.commodity import MODEL_STUDIO
from spendwatch.domain.money import Currency, plain
from spendwatch.domain.policy import Site
from spendwatch.domain.statement import AccountId
from spendwatch.settings.value_types import AccountIdText, Budget, Name, WorkspaceText

_NO_USER = "-"
_SITE = "cn: China, intl: international"
_COMPANY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?", re.ASCII)
_BASIS = """
Budgets: the last whole month + 20%, rounded. Where it has no spend, or this
month has used that up: this month, projected to its end, + 20%."""


@dataclass(frozen=True, slots=True)
class Given:
    """What the options say."""

    account: str | None = None
    site: Site | None = None
    currency: str | None = None
    name: str | None = None
    emails: Sequence[str] = ()
    smtp: str | None = None
    user: str | None = None
    password: str | None = None
    webhook: str | None = None
    budgets: Mapping[str, Decimal] = field(default_factory=dict)


def valid(kind: Any, value: object, option: str = "") -> Any:  # noqa: ANN401 -- any type, and what it holds
    """Return the value as the configuration would take it, or raise `click.UsageError` with its words."""
    try:
        return TypeAdapter[Any](kind).validate_python(value)
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ")
        refuse(why, option)


def workspace_budget(text: str, option: str = "") -> tuple[str, Decimal]:
    """Return the workspace and the budget written as `ID=BUDGET`."""
    workspace, sign, budget = text.partition("=")
    if not sign:
        refuse(f"not a workspace and its budget: {text!r}; write it like llm-demo0a1b2c3d4e=500", option)
    return valid(WorkspaceText, workspace.strip(), option), valid(Budget, budget.strip(), option)


@dataclass(slots=True, eq=False)
class Interview:
    """Completes what the options and the bills say; without a terminal, it collects what is missing instead of asking."""

    given: Given
    found: Discovery | None
    asks: bool = field(kw_only=True)
    missing: list[str] = field(default_factory=list, init=False)
    """The options that are needed."""
    _budgets: dict[str, Decimal] = field(default_factory=dict, init=False)
    """Of accounts as a whole, by id."""

    def draft(self) -> Draft:
        """Return what is to be written; if `missing` is not empty, it is not complete."""
        given, found = self.given, self.found
        accounts, workspaces = self._from_bills(found) if found else self._from_options()
        to = self._recipients()
        named = dict(self._named(accounts, to[0] if to else ""))
        mail, password = self._mail(to) if to else (None, "")
        if not to and not given.webhook and not self.asks:
            self.missing.insert(0, "--email ADDRESS with --smtp HOST:PORT, or --webhook URL")
        nameless = given.account or "" if len(accounts) > 1 else ""
        products = found.products if found else (MODEL_STUDIO,)
        return Draft(named, self._budgets, workspaces, products, nameless, mail, password, given.webhook or "")

    def confirmed(self, draft: Draft, folder: str) -> tuple[Draft | None, bool]:
        """Ask whether to write it; return it, perhaps with other budgets, or None, and whether to send a test message."""
        reached = ", ".join([*(draft.mail.to if draft.mail else ()), *(["the webhook"] if draft.webhook else [])])
        test = f" and send a test message to {reached}; w: only write" if reached else "; alerts will only be printed"
        click.echo(f"\ny: write {folder}{test}\nn: write nothing; or WORKSPACE=BUDGET to change a budget")
        while True:
            answer = str(click.prompt(f"Write it? [Y/n{'/w' if reached else ''}]", default="y", show_default=False)).strip()
            if answer.lower() in {"y", "yes", "w", "n", "no"}:
                begins = answer[0].lower()
                return None if begins == "n" else draft, bool(reached) and begins == "y"
            try:
                workspace, budget = workspace_budget(answer)
            except click.UsageError as error:
                click.echo(f"Error: {error.message}")
                continue
            changed = [one._replace(budget=budget, why="") for one in draft.workspaces if one.workspace == workspace]
            others = [one for one in draft.workspaces if one.workspace != workspace]
            draft = draft._replace(workspaces=[*others, *(changed or [WorkspaceDraft(workspace, budget)])])
            click.echo(f"{workspace}: {plain(budget)}")

    def _ask(self, option: str, text: str, suggestion: str, parse: Callable[[str], Any]) -> Any:  # noqa: ANN401 -- as parsed
        """Return the answer, or the suggestion where nothing is asked; without either, the option is missing."""
        if self.asks:
            return click.prompt(text, default=suggestion or None, value_proc=parse)
        if suggestion:
            return parse(suggestion)
        self.missing.append(option)
        return None

    # --- accounts and workspaces

    def _from_bills(self, found: Discovery) -> tuple[Sequence[FoundAccount], Sequence[WorkspaceDraft]]:
        """Show what the bills contain, and return it with budgets."""
        given, workspaces = self.given, list[WorkspaceDraft]()
        meant = [one for one in found.accounts if given.account in {None, one.account}]
        if (given.site or given.currency or given.name) and len(meant) != 1:
            refuse("name with --account the account of these bills that --site, --currency and --name are for")
        if given.currency and given.currency != meant[0].currency:
            refuse(f"the bills of account {meant[0].account} are in {meant[0].currency}: leave --currency out")
        for account in found.accounts:
            drafts = {one.workspace: one for one in _workspaces(account, given.budgets)}
            _show(account, drafts)
            if not drafts or any(not workspace and split.total.amount > 0 for (_, workspace), split in account.spent.items()):
                self._budgets[account.account], why = suggest(account, account.workspaces)
                budget = plain(self._budgets[account.account])
                click.echo(f"\nCharges without a workspace count only for the account.\nIts budget: {budget} ({why})")
            workspaces += drafts.values()
        if MODEL_STUDIO not in found.products:
            click.echo(f"\nNo charges of Model Studio ({MODEL_STUDIO}): all products of the bills are watched.")
        click.echo(_BASIS)
        named = {one.workspace for one in workspaces}
        workspaces += [WorkspaceDraft(one, budget) for one, budget in given.budgets.items() if one not in named]
        return [self._located(one, given.site if one in meant else None) for one in found.accounts], workspaces

    def _located(self, account: FoundAccount, site: Site | None) -> FoundAccount:
        """Return the account with its site: given, certain, or answered."""
        if not site and account.is_site_guessed:
            text = f"Site of account {account.account} ({_SITE})"
            site = self._ask("--site cn|intl", text, account.site, lambda answer: valid(Site, answer))
        return replace(account, site=site or account.site)

    def _from_options(self) -> tuple[Sequence[FoundAccount], Sequence[WorkspaceDraft]]:
        """Return the account and the workspaces that the options name."""
        given = self.given
        account = given.account or self._ask(
            "--account ID, or --from FILE...", "Account id", "", lambda text: valid(AccountIdText, text)
        )
        suggested = site_of(Currency(given.currency)) if given.currency else ""
        site = (
            given.site or self._ask("--site cn|intl", f"Site ({_SITE})", suggested, lambda text: valid(Site, text)) or Site.CN
        )
        text = "A workspace and its budget a month (ID=BUDGET)"
        budgets = given.budgets or dict(filter(None, [self._ask("--workspace ID=BUDGET", text, "", workspace_budget)]))
        currency = Currency(given.currency) if given.currency else CURRENCIES[site]
        found = FoundAccount(AccountId(account or ""), currency, site)
        return [found], [WorkspaceDraft(*one) for one in budgets.items()]

    def _named(self, accounts: Sequence[FoundAccount], address: str) -> Iterator[tuple[str, FoundAccount]]:
        """Yield the accounts with their names: given, answered or suggested; each has its own."""
        domain, is_only = address.rpartition("@")[2], len(accounts) == 1
        company = domain.partition(".")[0] if is_only and domain not in PUBLIC_DOMAINS else ""
        taken = {(self.given.name or "").lower()}

        def new(text: str) -> str:
            if text.lower() in taken:
                refuse(f"{text} is the name of another account")
            return str(valid(Name, text))

        for one in accounts:
            ending = re.sub("[^A-Za-z0-9]+", "", one.account)[-4:] or "1"
            is_name = _COMPANY.fullmatch(one.account) and not one.account.isdecimal()
            usual = str(one.account) if is_name else f"account-{ending}"
            names = (company if _COMPANY.fullmatch(company) else usual, usual, f"{usual}-{len(taken) + 1}")
            name = self.given.name if is_only or one.account == self.given.account else None
            suggestion = next(name for name in names if name.lower() not in taken)
            text = f"A name for account {one.account}"
            name = name or str(self._ask("--name NAME", text, suggestion, new))
            taken.add(name.lower())
            yield name, one

    # --- mail

    def _recipients(self) -> Sequence[str]:
        given = self.given
        if not given.emails and self.asks and not given.webhook:
            text = "\nMail addresses for alerts (empty: none)"
            found: Sequence[str] = click.prompt(text, default="", show_default=False, value_proc=_addresses)
            return found
        if not given.emails and (given.smtp or given.user or given.password is not None):
            self.missing.append("--email ADDRESS")
        return given.emails

    def _mail(self, to: Sequence[str]) -> tuple[EmailConfig | None, str]:
        """Return how mail is sent to them, and the password."""
        given, suggestion = self.given, "" if self.given.smtp else guess(to[0].rpartition("@")[2])
        server = _server(given.smtp) if given.smtp else self._ask("--smtp HOST:PORT", "Mail server", suggestion, _server)
        if not server:
            return None, ""
        host, port = server
        user, password = given.user, given.password
        if user is None and self.asks:
            usual = _NO_USER if security_of(host, port) is Security.NONE else to[0]
            user = str(click.prompt(f"User of {host} ({_NO_USER}: none)", default=usual)).strip()
        elif user is None and (password is not None or not given.smtp):
            user = to[0]
        if user in {None, _NO_USER}:
            return _mail_config(host, port, None, to), ""
        if password is None and self.asks:
            text = "Password (Gmail, QQ Mail, 163, ...: an app password or authorization code)"
            password = str(click.prompt(text, hide_input=True))
        elif password is None:
            self.missing.append(f"--smtp-password-file FILE: the password of {user}")
        return _mail_config(host, port, user, to), password or ""


def _mail_config(host: str, port: int, user: str | None, to: Sequence[str]) -> EmailConfig:
    sender = user if user and "@" in user else to[0]
    values = {"host": host, "port": port, "security": security_of(host, port), "username": user, "from": sender, "to": to}
    found: EmailConfig = valid(EmailConfig, values, "mail")
    return found


def mailbox(address: str, option: str = "") -> str:
    """Return a mail address as the configuration takes it, or raise `click.UsageError`."""
    valid(EmailConfig, {"host": "localhost", "from": "a@b", "to": [address]}, option)
    return address


def _addresses(text: str) -> Sequence[str]:
    return tuple(dict.fromkeys(mailbox(one) for one in re.split(r"[,;\s]+", text) if one))


def _server(text: str) -> tuple[str, int]:
    """Return the host and the port of `HOST:PORT`; without a port, the one of submission with TLS."""
    host, colon, port = text.strip().rpartition(":")
    host, port = (host, port) if colon and not text.endswith("]") else (text.strip(), "465")
    if not host or not port.isascii() or not port.isdecimal():
        refuse(f"not a mail server: {text!r}; write it like smtp.example.com:465", "--smtp")
    found: EmailConfig = valid(EmailConfig, {"host": host.strip("[]"), "port": port, "from": "a@b", "to": ["a@b"]}, "--smtp")
    return found.host, found.connects_to


def _workspaces(account: FoundAccount, budgets: Mapping[str, Decimal]) -> Iterator[WorkspaceDraft]:
    """Yield a budget for each workspace that was charged for in the months that count."""
    months = (account.whole, max(account.months))
    for workspace in filter(None, account.workspaces):
        if workspace not in budgets and not any((month, workspace) in account.spent for month in months):
            continue
        try:
            valid(WorkspaceText, workspace)
        except click.UsageError as error:
            click.echo(f"No budget for a workspace with this id: {error.message}", err=True)
            continue
        budget, why = (budgets[workspace], "") if workspace in budgets else suggest(account, [workspace])
        yield WorkspaceDraft(workspace, budget, why, account.account)


def _show(account: FoundAccount, drafts: Mapping[str, WorkspaceDraft]) -> None:
    click.echo(f"\n{account.title}\n")
    whole, newest = account.whole, max(account.months)
    months = {month.label if month == whole else f"{month.label} SO FAR": month for month in (whole, newest) if month}
    budgets = {workspace: plain(one.budget) for workspace, one in drafts.items()}
    print_whole(console(), workspace_table(account, months, budgets, "BUDGET"))
