"""What `init` needs to know beyond the bills: from options, and on a terminal from a few questions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from spendwatch.channels.email_settings import EmailConfig, Security
from spendwatch.cli.discovery import MODEL_STUDIO, Discovery, FoundAccount, workspace_table
from spendwatch.cli.drafting import AccountDraft, Draft, Suggestion, WorkspaceDraft, security_of, suggest
from spendwatch.cli.mail_servers import guess, is_public
from spendwatch.cli.screen import console, print_whole
from spendwatch.domain.money import Currency, plain
from spendwatch.domain.policy import Site
from spendwatch.settings.value_types import AccountIdText, Budget, Name, WorkspaceText

CURRENCIES = {Site.CN: Currency("CNY"), Site.INTL: Currency("USD")}
"""What a site charges in, as far as nothing else is said."""
_NO_USER = "-"
_YES, _NO, _ONLY_WRITE = frozenset({"y", "yes"}), frozenset({"n", "no"}), frozenset({"w", "write"})


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
    """Return the value as the configuration would take it, or raise `click.BadParameter` with its words."""
    try:
        return TypeAdapter[Any](kind).validate_python(value)
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise click.BadParameter(why, param_hint=option or None) from None


def workspace_budget(text: str, option: str = "") -> tuple[str, Decimal]:
    """Return the workspace and the budget written as `ID=BUDGET`."""
    workspace, sign, budget = text.partition("=")
    if not sign:
        msg = f"not a workspace and its budget: {text!r}; write it like llm-demo0a1b2c3d4e=500"
        raise click.BadParameter(msg, param_hint=option or None)
    return valid(WorkspaceText, workspace.strip(), option), valid(Budget, budget.strip(), option)


class Interview:
    """Completes what the options and the bills say; without a terminal, it collects what is missing instead of asking."""

    def __init__(self, given: Given, found: Discovery | None, *, asks: bool) -> None:
        """Ask nothing yet."""
        self._given = given
        self._found = found
        self._asks = asks
        self.missing: list[str] = []
        """The options that are needed, each with what it is for."""

    def draft(self) -> Draft:
        """Return what is to be written; if `missing` is not empty, it is not complete."""
        given = self._given
        accounts, workspaces = self._from_bills(self._found) if self._found else self._from_options()
        to = self._recipients()
        named = self._named(accounts, to[0] if to else "")
        mail, password = self._mail(to)
        if not to and not given.webhook and not self._asks:
            self.missing.insert(0, "--email ADDRESS with --smtp HOST:PORT, or --webhook URL: where alerts are sent")
        products = self._found.products if self._found else (MODEL_STUDIO,)
        nameless = given.account or "" if len(accounts) > 1 else ""
        return Draft(named, workspaces, products, nameless, mail, password, given.webhook or "")

    def confirmed(self, draft: Draft, folder: str) -> tuple[Draft | None, bool]:
        """Ask whether to write it; return it, perhaps with other budgets, or None, and whether to send a test message."""
        reached = ", ".join([*(draft.mail.to if draft.mail else ()), *(["the webhook"] if draft.webhook else [])])
        if not reached:
            click.echo("Without a mail address alerts are only printed by the daemon.")
        test = f" and send a test message to {reached}" if reached else ""
        only = "; w: only write" if reached else ""
        while True:
            text = f"Write {folder}{test}? [Y/n{only}; or WORKSPACE=BUDGET to change a budget]"
            answer = str(click.prompt(text, default="y", show_default=False)).strip()
            if answer.lower() in _YES | _ONLY_WRITE:
                return draft, bool(reached) and answer.lower() in _YES
            if answer.lower() in _NO:
                return None, False
            try:
                workspace, budget = workspace_budget(answer)
            except click.BadParameter as error:
                click.echo(f"Error: {error.message}")
                continue
            others = [one for one in draft.workspaces if one.workspace != workspace]
            before = [one for one in draft.workspaces if one.workspace == workspace] or [WorkspaceDraft(workspace, budget)]
            draft = replace(draft, workspaces=[*others, *(replace(one, budget=budget, why="") for one in before)])
            click.echo(f"{workspace}: {plain(budget)}")

    def _ask(self, option: str, text: str, suggestion: str, parse: Callable[[str], Any]) -> Any:  # noqa: ANN401 -- as parsed
        """Return the answer, or the suggestion where nothing is asked; without either, the option is missing."""
        if self._asks:
            return click.prompt(text, default=suggestion or None, value_proc=parse)
        if suggestion:
            return parse(suggestion)
        self.missing.append(option)
        return None

    # --- accounts and workspaces

    def _from_bills(self, found: Discovery) -> tuple[list[AccountDraft], list[WorkspaceDraft]]:
        """Show what the bills contain, and return it with budgets."""
        given, accounts, workspaces = self._given, list[AccountDraft](), list[WorkspaceDraft]()
        single = next((one.account for one in found.accounts if given.account in {None, one.account}), "")
        if len(found.accounts) > 1 and not given.account and (given.site or given.currency or given.name):
            msg = "the bills are of several accounts: name with --account the one that --site, --currency and --name are for"
            raise click.UsageError(msg)
        for account in found.accounts:
            is_meant = account.account == single and (given.account or len(found.accounts) == 1)
            site = given.site if is_meant else None
            if is_meant and given.currency and given.currency != account.currency:
                msg = f"the bills of account {account.account} are in {account.currency}: leave --currency out"
                raise click.UsageError(msg)
            suggested = dict(_suggestions(account, given.budgets))
            overall = suggest(account, account.workspaces) if _needs_overall(account, suggested) else None
            _show(account, suggested, overall)
            if not site and account.is_site_guessed:
                text = f"Site of account {account.account} (cn: China, intl: international)"
                site = self._ask("--site cn|intl", text, account.site, lambda answer: valid(Site, answer))
            accounts.append(AccountDraft(account.account, site or account.site, account.currency, budget=overall))
            workspaces += suggested.values()
        named = {one.workspace for one in workspaces}
        workspaces += [WorkspaceDraft(one, budget) for one, budget in given.budgets.items() if one not in named]
        return accounts, workspaces

    def _from_options(self) -> tuple[list[AccountDraft], list[WorkspaceDraft]]:
        """Return the account and the workspaces that the options name."""
        given = self._given
        account = given.account or self._ask(
            "--account ID, or --from FILE...: the account that pays", "Account id", "", lambda text: valid(AccountIdText, text)
        )
        by_currency = {currency: site for site, currency in CURRENCIES.items()}
        suggested = by_currency.get(Currency(given.currency or ""), Site.INTL if given.currency else "")
        site = given.site or self._ask(
            "--site cn|intl", "Site (cn: China, intl: international)", suggested, lambda answer: valid(Site, answer)
        )
        budgets = dict(given.budgets)
        if not budgets and (
            first := self._ask("--workspace ID=BUDGET", "A workspace and its budget a month (ID=BUDGET)", "", workspace_budget)
        ):
            budgets = dict([first])
        currency = Currency(given.currency) if given.currency else CURRENCIES[site or Site.CN]
        drafts = [WorkspaceDraft(workspace, budget) for workspace, budget in budgets.items()]
        return [AccountDraft(account or "", site or Site.CN, currency)], drafts

    def _named(self, accounts: Sequence[AccountDraft], address: str) -> list[AccountDraft]:
        """Return the accounts with names: given, answered or suggested."""
        named: list[AccountDraft] = []
        domain, is_only = address.rpartition("@")[2], len(accounts) == 1
        for one in accounts:
            company = domain.partition(".")[0] if is_only and domain and not is_public(domain) else ""
            name = self._given.name if is_only or one.account == self._given.account else None
            if name is None and (self._asks or not self.missing):
                taken = {other.name.lower() for other in named}
                text = f"A name for account {one.account}"
                name = self._ask("--name NAME", text, _name(company, one.account, taken), lambda text: valid(Name, text))
            named.append(replace(one, name=name or ""))
        return named

    # --- mail

    def _recipients(self) -> Sequence[str]:
        given = self._given
        if not given.emails and self._asks and not given.webhook:
            text = "\nMail addresses for alerts (empty: none)"
            found: Sequence[str] = click.prompt(text, default="", show_default=False, value_proc=_addresses)
            return found
        if not given.emails and (given.smtp or given.user or given.password is not None):
            self.missing.append("--email ADDRESS: who is notified by mail")
        return given.emails

    def _mail(self, to: Sequence[str]) -> tuple[EmailConfig | None, str]:
        """Return how mail is sent to them, and the password."""
        given = self._given
        if not to:
            return None, ""
        domain = to[0].rpartition("@")[2]
        server = _server(given.smtp) if given.smtp else self._ask("--smtp HOST:PORT", "Mail server", guess(domain), _server)
        if not server:
            return None, ""
        host, port = server
        user, password = given.user, given.password
        if user is None and self._asks:
            usual = _NO_USER if security_of(host, port) is Security.NONE else to[0]
            user = str(click.prompt(f"User of {host} ({_NO_USER}: none)", default=usual)).strip()
        elif user is None and (password is not None or not given.smtp):
            user = to[0]
        if user in {None, _NO_USER}:
            return _mail_config(host, port, None, to), ""
        if password is None and self._asks:
            text = "Password (of Gmail, QQ Mail, 163 and others: an app password or authorization code)"
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
    """Return a mail address as the configuration takes it, or raise `click.BadParameter`."""
    valid(EmailConfig, {"host": "localhost", "from": "a@b", "to": [address]}, option)
    return address


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(mailbox(one) for one in re.split(r"[,;\s]+", text) if one))


def _server(text: str) -> tuple[str, int]:
    """Return the host and the port of `HOST:PORT`; without a port, the one of submission with TLS."""
    host, colon, port = text.strip().rpartition(":")
    host, port = (host, port) if colon and not text.endswith("]") else (text.strip(), "465")
    if not host or not port.isascii() or not port.isdecimal():
        msg = f"not a mail server: {text!r}; write it like smtp.example.com:465"
        raise click.BadParameter(msg, param_hint="--smtp")
    found: EmailConfig = valid(EmailConfig, {"host": host.strip("[]"), "port": port, "from": "a@b", "to": ["a@b"]}, "--smtp")
    return found.host, found.connects_to


def _suggestions(account: FoundAccount, budgets: Mapping[str, Decimal]) -> Iterator[tuple[str, WorkspaceDraft]]:
    """Yield a budget for each workspace that was charged for in the months that count."""
    for workspace in account.workspaces:
        is_recent = any((month, workspace) in account.spent for month in (account.whole, max(account.months)) if month)
        if not workspace or not (is_recent or workspace in budgets):
            continue
        try:
            valid(WorkspaceText, workspace)
        except click.BadParameter as error:
            click.echo(f"No budget for a workspace with this id: {error.message}", err=True)
            continue
        if workspace in budgets:
            yield workspace, WorkspaceDraft(workspace, budgets[workspace], account=account.account)
        else:
            found = suggest(account, [workspace])
            yield workspace, WorkspaceDraft(workspace, found.budget, found.why, account.account)


def _needs_overall(account: FoundAccount, suggested: Mapping[str, object]) -> bool:
    """Return whether money is spent that no budget of a workspace counts."""
    unassigned = (split.total.amount for (_, workspace), split in account.spent.items() if not workspace)
    return not suggested or any(amount > 0 for amount in unassigned)


def _show(account: FoundAccount, suggested: Mapping[str, WorkspaceDraft], overall: Suggestion | None) -> None:
    click.echo(f"\n{account.title}\n")
    whole, newest = account.whole, max(account.months)
    months = {month.label if month == whole else f"{month.label} SO FAR": month for month in (whole, newest) if month}
    budgets = {workspace: plain(one.budget) for workspace, one in suggested.items()}
    print_whole(console(), workspace_table(account, months, budgets, "BUDGET"))
    click.echo("\nBudgets: the last whole month + 20%, rounded. Where it has no spend, or this month")
    click.echo("has used that up: this month, projected to its end, + 20%. Each file says which.")
    if overall:
        click.echo(f"A budget of the account, {plain(overall.budget)}, covers charges without a workspace as well.")


def _name(company: str, account: str, taken: set[str]) -> str:
    """Return a name for an account that no other one has."""
    ending = re.sub("[^A-Za-z0-9]+", "", account)[-4:] or "1"
    for name in (company, f"account-{ending}", *(f"account-{ending}-{number}" for number in range(2, len(taken) + 3))):
        with suppress(click.BadParameter):
            if name and name.lower() not in taken:
                return str(valid(Name, name))
    return ""
