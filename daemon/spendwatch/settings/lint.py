"""Warnings: valid settings that would suppress an alert or cause a false one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from itertools import count, takewhile
from pathlib import Path

from pydantic import BaseModel

from spendwatch.channels.chat_settings import ChatSettings
from spendwatch.domain.errors import ConfigMistake
from spendwatch.domain.money import EXACT, Currency, plain
from spendwatch.domain.policy import AccountPolicy, ChannelName, FinerBudget, Policies, Threshold, WorkspacePolicy, channels_of
from spendwatch.domain.scope import Dimension, Seen, dimension_of, portion_of
from spendwatch.domain.statement import WorkspaceId
from spendwatch.domain.suggestions import did_you_mean, suggestion
from spendwatch.jobs.sample_alert import samples
from spendwatch.letters.own_words import OwnWords, template_mistakes, wording_of
from spendwatch.settings import Settings
from spendwatch.settings.layers import Layers
from spendwatch.settings.urls import split
from spendwatch.settings.value_types import threshold
from spendwatch.yaml_text import KeyPath, Place, path_text

_PLACEHOLDERS = frozenset({"0000000000000000", "llm-xxxxxxxxxxxxxxxx"})
"""The ids that `init` writes."""
UNUSED = "no budget, balance or operator uses this channel: no alert is ever sent over it"
_A_KEY = "an API key itself stands here: it is a secret; write its id, as bills show it, and replace the key"
_STILL_DRAFT = "still the placeholder of `init`: write the id that your bills show"

_ROBOTS = {
    "dingtalk.com": "dingtalk",
    "feishu.cn": "feishu",
    "larksuite.com": "feishu",
    "qyapi.weixin.qq.com": "wecom",
    "hooks.slack.com": "slack",
    "webhook.office.com": "teams",
    "outlook.office.com": "teams",
    "logic.azure.com": "teams",
    "api.powerplatform.com": "teams",
    "discord.com": "discord",
    "discordapp.com": "discord",
    "api.telegram.org": "telegram",
}
"""Types of channels by the hosts of their services."""
_NICKNAMES = {"RMB": "CNY", "CNH": "CNY", "NTD": "TWD", "YEN": "JPY"}
_USUAL = ("CNY", "USD", "EUR", "HKD", "SGD", "JPY")
_CODES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF "
    "CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL "
    "HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD "
    "MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF "
    "SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU "
    "UYW UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG"
)
_ISO_4217 = frozenset(_CODES.split())
_MOST_KNOWN = 500
"""Among more names it would take too long to find the nearest one, for each of as many mistakes."""
_ONE_PERCENT = Decimal("0.01")
_HUNDRED = Decimal(100)


def is_draft(warnings: Collection[ConfigMistake]) -> bool:
    """Return whether placeholders are among them: nothing real is watched there."""
    return any(one.what == _STILL_DRAFT for one in warnings)


@dataclass(frozen=True, slots=True)
class Examined:
    """A configuration without mistakes, and where everything in it is written."""

    settings: Settings
    main: Layers = field(repr=False)
    files: Mapping[str, Layers] = field(repr=False)
    """By the name of each workspace file."""
    said: Mapping[str, BaseModel] = field(repr=False)
    """What each file says, by its name."""

    def warnings(self, seen: Collection[Seen] = ()) -> list[ConfigMistake]:
        """Return every warning in the order of the files, given what the bills on record name."""
        found = [*self._accounts(seen), *self._channels(), *self._folder(), *self._names()]
        by_workspace: dict[str, list[Seen]] = {}
        for one in seen:
            by_workspace.setdefault(one.workspace, []).append(one)
        for file, policy in self.settings.workspace_files.items():
            found += self._workspace(policy, self.files[file], by_workspace)
        return sorted(found, key=lambda one: (one.file, one.line, one.column))

    def _accounts(self, seen: Collection[Seen]) -> Iterator[ConfigMistake]:
        for policy in self.settings.accounts:
            path: KeyPath = ("accounts", policy.name)
            mine = [one for one in seen if one.account == policy.account]
            if not mine and policy.account in _PLACEHOLDERS:
                yield _warning(self.main, (*path, "id"), _STILL_DRAFT)
            elif seen and not mine:
                known = suggestion(policy.account, {one.account for one in seen})
                yield _warning(self.main, (*path, "id"), f"no bill on record is of this account; {known}")
            if why := _about_currency(policy.currency, {one.currency for one in mine}):
                yield _warning(self.main, (*path, "currency"), why)
            yield from _policy(policy, self.main, path, mine)
        usual: KeyPath = ("defaults", "thresholds")
        for where in takewhile(self.main.has, ((*usual, number) for number in count())):
            text = self.main.look((*where, "at")) or self.main.look(where)
            if why := _about_threshold(threshold(str(text)), _HUNDRED):
                yield _warning(self.main, where, why)

    def _channels(self) -> Iterator[ConfigMistake]:
        channels, used = self.settings.channels, used_channels(self.settings.policies)
        if len(channels) == 1:
            (name,) = channels
            why = "is the only channel: if it fails, nobody is notified of that; add a second one"
            yield _warning(self.main, ("channels", name), why, at_key=True)
        if all(config.type == "console" for config in channels.values()):
            why = "only the console: alerts are only printed, nobody is notified by mail or webhook"
            yield _warning(self.main, ("channels",), why, at_key=True)
        for name, config in channels.items():
            if name not in used and not config.digest.schedules:
                yield _warning(self.main, ("channels", name), UNUSED, at_key=True)
            if config.type == "webhook" and (robot := _robot(config.url)):
                why = f"a chat robot does not accept the JSON of a webhook: write type: {robot}, and its address into a file"
                yield _warning(self.main, ("channels", name, "url"), why)
            robot = _robot(config.address) if isinstance(config, ChatSettings) else ""
            if robot and robot != config.type.replace("lark", "feishu"):
                yield _warning(self.main, ("channels", name, "type"), f"the address is one of type: {robot}")

    def _names(self) -> Iterator[ConfigMistake]:
        """Yield names that two ids share, or that their workspace's file overrides, and keys that stand where ids belong."""
        for section in ("api_keys", "workspaces"):
            path, ids = ("names", section), dict[str, str]()
            files = self.settings.workspace_files if section == "workspaces" else {}
            own = {policy.workspace: policy.name for policy in files.values() if policy.name}
            for one in self.main.names(path):
                name = str(self.main.look((*path, one)))
                if section == "api_keys" and one.startswith("sk-"):
                    # The key is a secret: no warning repeats it.
                    yield self.main.place((*path, one), of_key=True).mistake(path_text(path), _A_KEY)
                elif own.get(WorkspaceId(one), name) != name:
                    why = f"its file names this workspace {own[WorkspaceId(one)]!r}: that name is used"
                    yield _warning(self.main, (*path, one), why)
                elif (other := ids.setdefault(name, one)) != one:
                    yield _warning(self.main, (*path, one), f"{name!r} is also the name of {other}")
            for file, policy in files.items():
                if policy.name and (other := ids.setdefault(policy.name, policy.workspace)) != policy.workspace:
                    yield _warning(self.files[file], ("name",), f"{policy.name!r} is also the name of {other}")

    def _folder(self) -> Iterator[ConfigMistake]:
        main = Path(self.main.document.file)
        if self.files or all(one.thresholds or one.spike for one in self.settings.accounts):
            return
        stray = ", ".join(sorted(file.name for file in main.parent.glob("*.y*ml") if file.name != main.name))
        why = "there is no workspace file in this folder: no budget of a workspace is watched"
        hint = f"; {stray} beside {main.name} is not read" if stray else ""
        yield Place(str(main.parent / "workspaces")).mistake("", why + hint)

    def _workspace(
        self, policy: WorkspacePolicy, layers: Layers, seen: Mapping[str, Collection[Seen]]
    ) -> Iterator[ConfigMistake]:
        accounts = [one for one in self.settings.accounts if policy.account in {None, one.account}]
        mine = [one for one in seen.get(policy.workspace, ()) if policy.account in {None, one.account}]
        if not mine and policy.workspace in _PLACEHOLDERS:
            yield _warning(layers, ("workspace",), _STILL_DRAFT)
        elif seen and not mine:
            yield _warning(layers, ("workspace",), f"no bill on record {_instead(policy, accounts, seen)}")
        if not (policy.thresholds or policy.spike or any(finer.thresholds or finer.spike for finer in policy.budgets)):
            yield _warning(layers, ("workspace",), "nothing is watched: there is no budget and no threshold")
        places = {one.account for one in mine}
        payers = {one.currency: one.name for one in accounts if not mine or one.account in places}
        if len(payers) > 1:
            each = " and in ".join(f"{currency} (account {name})" for currency, name in payers.items())
            why = f"the same amounts count in {each}: pin this file with `account:`, and write one for each account"
            yield _warning(layers, ("budget",) if policy.budget else ("workspace",), why)
        yield from _policy(policy, layers, (), mine)


def failing_templates(settings: Settings, now: datetime) -> list[ConfigMistake]:
    """Fill in every template with a sample of every message, and return what is wrong with those that fail."""
    for name, config in settings.channels.items():
        if isinstance(words := wording_of(config, settings.zone), OwnWords):
            words.try_all(samples(name, settings.policies, now=now, zone=settings.zone).values())
    return template_mistakes(settings.channels.values())


def _policy(
    policy: AccountPolicy | WorkspacePolicy, layers: Layers, path: KeyPath, mine: Collection[Seen]
) -> Iterator[ConfigMistake]:
    """Yield what is odd about thresholds and finer budgets, given what bills name of this account or workspace."""
    finer_ones = {_place_of(one, policy, path): one for one in policy.budgets}
    parts = [(path, policy.budget, policy.thresholds)]
    parts += [(place, one.budget, one.thresholds) for place, one in finer_ones.items()]
    for above, budget, thresholds in parts:
        own = thresholds if budget and layers.has((*above, "thresholds")) else ()
        for number, one in enumerate(own):
            if budget and (why := _about_threshold(one, budget)):
                yield _warning(layers, (*above, "thresholds", number), why)
    seen: dict[Dimension | None, set[str]] = {
        Dimension.API_KEY: {one.api_key for one in mine},
        Dimension.WORKSPACE: {one.workspace for one in mine},
    }
    for finer in {one.name: one for one in reversed(policy.budgets) if one.name and not portion_of(one.name)}.values():
        at, each = _place_of(finer, policy, path)[: len(path) + 2], dimension_of(finer.for_each)
        named: list[tuple[KeyPath, Dimension | None, str]] = [
            ((*at, "match", which.value), which, one) for which, one in finer.match.patterns
        ]
        named += [((*at, "exceptions", pattern), each, pattern) for pattern, _ in finer.exceptions]
        for where, which, pattern in named:
            known = seen.get(which, ())
            if known and not any(fnmatchcase(one, pattern) for one in known):
                what = "key" if which is Dimension.API_KEY else "workspace"
                yield _warning(layers, where, f"no bill on record names this {what}; {suggestion(pattern, set(known) - {''})}")


def _place_of(finer: FinerBudget, policy: AccountPolicy | WorkspacePolicy, path: KeyPath) -> KeyPath:
    """Return where a finer budget, or one for days or weeks, is written."""
    names = list(dict.fromkeys(one.name for one in policy.budgets if one.name))
    above = (*path, "budgets", names.index(finer.name)) if finer.name else path
    return (*above, finer.per.adverb) if finer.per.is_short else above


def _about_threshold(one: Threshold, budget: Decimal) -> str:
    """Return why a threshold is probably not meant: a share without its sign, or next to nothing."""
    figure, at = one.label.split()[-1], one.reached_at(budget)
    if at is None:
        return ""
    is_tiny = at < EXACT.multiply(budget, _ONE_PERCENT)
    if one.amount is None:
        return f"{figure} is less than 1% of the budget" if is_tiny else ""
    # 80 is probably 80% without its sign; 80.00 is an amount.
    is_bare = one.amount.as_tuple().exponent == 0 and one.amount <= _HUNDRED != budget
    if not is_tiny and not is_bare:
        return ""
    meant = plain(EXACT.multiply(one.amount, _HUNDRED)) if one.amount <= 1 else figure
    less = ", less than 1% of the budget" if is_tiny else f"; if that is meant, write {figure}.00"
    hint = f"for a share write {meant}%" if one.amount <= _HUNDRED else "for a share write it with %"
    return f"{figure} is an amount{less}; {hint}"


def _about_currency(currency: Currency, billed: Collection[Currency]) -> str:
    if currency not in _ISO_4217:
        meant = _NICKNAMES.get(currency)
        hint = f"did you mean '{meant}'?" if meant else did_you_mean(currency, _USUAL)
        return f"{currency} is no ISO 4217 code" + (f"; {hint}" if hint else "")
    others = ", ".join(sorted(set(billed) - {currency}))
    if billed and currency not in billed:
        return f"no bill on record of this account is in {currency}; they are in {others}"
    return f"bills on record of this account are also in {others}: these charges count towards no budget" if others else ""


def used_channels(policies: Policies) -> set[ChannelName]:
    """Return the channels over which anything may be sent."""
    used = {*policies.operators, *(policies.operators_escalate.channels if policies.operators_escalate else ())}
    every: list[AccountPolicy | WorkspacePolicy] = [*policies.accounts, *policies.workspaces]
    for one in every:
        for part in (one, *one.budgets):
            usual = part.channels or one.channels
            used.update(channels_of(part.thresholds, usual), usual if part.spike else ())
            used.update(part.actions, *(each.actions for each in part.thresholds))
        used.update(one.month_closed)
        used.update(one.escalate.channels if one.escalate else ())
    for one in policies.accounts:
        used.update(one.channels if one.learns or one.balance else ())
    return used


def _instead(policy: WorkspacePolicy, accounts: Sequence[AccountPolicy], seen: Mapping[str, Collection[Seen]]) -> str:
    if others := seen.get(policy.workspace):
        return f"of account {accounts[0].name} names this workspace; bills of {min(one.account for one in others)} do"
    nearest = suggestion(policy.workspace, filter(None, seen)) if len(seen) <= _MOST_KNOWN else "see `spendwatch status`"
    return f"names this workspace; {nearest}"


def _robot(url: str) -> str:
    parts = split(url)
    host = f".{parts.hostname}" if parts else ""
    return next((robot for place, robot in _ROBOTS.items() if host.endswith(f".{place}")), "")


def _warning(layers: Layers, path: KeyPath, why: str, *, at_key: bool = False) -> ConfigMistake:
    return layers.place(path, of_key=at_key).mistake(path_text(path), why)
