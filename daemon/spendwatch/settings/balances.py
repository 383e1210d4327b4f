"""Resolves balance sources: absolute paths, permitted addresses, credentials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from spendwatch.domain.errors import printable
from spendwatch.domain.statement import AccountId
from spendwatch.settings.balance_parts import ApiBalancePart, FileBalancePart, UrlBalancePart
from spendwatch.settings.layers import Layers
from spendwatch.settings.rights import with_rights
from spendwatch.settings.schema import DaemonFile
from spendwatch.settings.suggestions import suggestion
from spendwatch.settings.urls import objection

BalanceSettings: TypeAlias = FileBalancePart | UrlBalancePart | ApiBalancePart


def furnish_balances(
    said: DaemonFile, layers: Layers, folder: Path, environ: Mapping[str, str] | None
) -> Mapping[AccountId, BalanceSettings]:
    """Return where the balances are read that stand elsewhere than in the configuration; what cannot be is noted.

    Without the environment, what only asking needs is not looked for.
    """
    house = _House(said, layers, folder, environ)
    found: dict[AccountId, BalanceSettings] = {}
    for name, account in said.accounts.items():
        match account.balance:
            case FileBalancePart() as part:
                found[AccountId(account.id)] = house.file(part, name)
            case UrlBalancePart() as part:
                house.tell(name, "url", objection(part.url, said.allow_networks))
                found[AccountId(account.id)] = part
            case ApiBalancePart() as part:
                found[AccountId(account.id)] = house.api(part, name)
            case _:
                pass
    return found


_RIGHTS = "write key_id_file and secret_file here, or another provider, or have a source of type alibaba for this account"


@dataclass(slots=True)
class _House:
    """What was said, where mistakes are noted, where relative paths begin, and which files are a balance already."""

    said: DaemonFile
    layers: Layers
    folder: Path
    environ: Mapping[str, str] | None
    taken: dict[Path, str] = field(default_factory=dict)

    def tell(self, account: str, key: str, why: str | None) -> None:
        """Note a mistake in the balance of that account, if there is one."""
        if why:
            self.layers.tell(("accounts", account, "balance", key), why)

    def file(self, part: FileBalancePart, account: str) -> FileBalancePart:
        """Return the file with its whole path."""
        path = self.folder / part.path
        if path.is_dir():
            self.tell(account, "path", f"is a folder: name the file in it, like {part.path.rstrip('/')}/balance.json")
        if other := self.taken.get(path):
            self.tell(account, "path", f"{printable(part.path)} is the balance of '{other}' already")
        self.taken.setdefault(path, account)
        return part.model_copy(update={"path": str(path)})

    def api(self, part: ApiBalancePart, account: str) -> ApiBalancePart:
        """Return the API with rights of its own, or with the name of the source whose rights are used."""
        if part.has_own_access:
            path = ("accounts", account, "balance")
            return with_rights(path, part, self.said, self.layers, folder=self.folder, environ=self.environ)
        usable = self._api_sources(account)
        if part.source and part.source not in usable:
            instead = suggestion(part.source, usable) if usable else _RIGHTS
            what = f"no source of type alibaba for account {account} is named {printable(part.source)}; {instead}"
            self.tell(account, "source", what)
        elif not part.source and len(usable) != 1:
            what = f"several sources match: write source: {' or '.join(usable)}" if usable else f"no credentials: {_RIGHTS}"
            self.tell(account, "from", what)
        return part.model_copy(update={"source": part.source or next(iter(usable), None)})

    def _api_sources(self, account: str) -> Sequence[str]:
        """Return the sources that ask the billing API for this account."""
        sources = self.said.sources.items()
        return sorted(name for name, config in sources if str(config.type) == "alibaba" and config.account == account)
