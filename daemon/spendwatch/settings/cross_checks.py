"""Checks across keys and files: references must exist, and nothing may be defined twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from spendwatch.channels.config import is_robot
from spendwatch.domain.errors import printable
from spendwatch.domain.statement import WorkspaceId
from spendwatch.domain.suggestions import suggestion
from spendwatch.settings.layers import SECRET_FILES, SECRET_KEYS, Layers, folded, secret_holders
from spendwatch.yaml_text import KeyPath

_NAMED = ("accounts", "sources", "channels")
_ACTING = ("exec", "webhook")
"""Types of channels that may be asked to act: those that hand the whole document to a program."""


def check_daemon(daemon: Layers) -> None:
    """Note what does not fit together in the daemon's settings."""
    _check_inline_secrets(daemon)
    for section in _NAMED:
        _check_alike(daemon, section)
    _check_account_ids(daemon)
    for path in (("operators",), *_channel_lists(daemon.tree)):
        _check_channels(daemon, path, daemon)
    for name in daemon.names(("sources",)):
        _check_account(daemon, ("sources", name, "account"), daemon)


def check_workspace(workspace: Layers, daemon: Layers) -> None:
    """Note channels and accounts that a workspace file names and that are not there."""
    for path in _channel_lists(workspace.tree):
        _check_channels(workspace, path, daemon)
    _check_account(workspace, ("account",), daemon)


def check_repeated(workspaces: Mapping[str, Layers], owners: Mapping[str, WorkspaceId]) -> None:
    """Note files that speak for a workspace for which another file speaks already.

    Where both may hold in one account, the file that had the workspace before keeps it, so that a new file cannot take it over.
    """
    speakers: dict[str, list[str]] = {}
    for file in sorted(workspaces, key=lambda file: (owners.get(file) != workspaces[file].look(("workspace",)), file)):
        workspace = workspaces[file].look(("workspace",))
        if isinstance(workspace, str):
            earlier = speakers.setdefault(workspace, [])
            if other := next((one for one in earlier if _overlap(workspaces[one], workspaces[file])), None):
                place = workspaces[other].place(("workspace",))
                already = f"{printable(workspace)} has a policy in {place.file}:{place.line} already"
                workspaces[file].tell(("workspace",), f"{already}: keep one, or pin each to an account of its own")
            else:
                earlier.append(file)


def _overlap(one: Layers, other: Layers) -> bool:
    accounts = one.look(("account",)), other.look(("account",))
    return None in accounts or accounts[0] == accounts[1]


def _channel_lists(tree: object, above: KeyPath = ()) -> Iterator[KeyPath]:
    """Yield the places that list channels: of accounts, workspaces, finer budgets, thresholds, escalations, defaults."""
    if isinstance(tree, dict | list):
        for part, below in tree.items() if isinstance(tree, dict) else enumerate(tree):
            if part in {"channels", "month_closed", "actions"} and isinstance(below, list):
                yield (*above, part)
            yield from _channel_lists(below, (*above, part))


def _check_channels(speaker: Layers, path: KeyPath, daemon: Layers) -> None:
    known = daemon.names(("channels",))
    for where, name in speaker.texts(path):
        if known and name not in known:
            speaker.tell(where, f"no channel is named {printable(name)}; {suggestion(name, known)}")
        elif "actions" in path and (kind := daemon.look(("channels", name, "type"))) not in {None, *_ACTING}:
            speaker.tell(where, f"{printable(name)} is of type {printable(str(kind))}: only {' and '.join(_ACTING)} can act")


def _check_account(speaker: Layers, path: KeyPath, daemon: Layers) -> None:
    account, names = speaker.look(path), daemon.names(("accounts",))
    if isinstance(account, str) and names and account not in names:
        speaker.tell(path, f"no account is named {printable(account)}; {suggestion(account, names)}")


def _check_inline_secrets(daemon: Layers) -> None:
    file = Layers(daemon.document)
    for holder in secret_holders(daemon.names):
        is_url = "url" in [daemon.look((*holder, tag)) for tag in ("type", "from")]
        robot = {"url"} if is_robot(str(daemon.look((*holder, "type")))) else set()
        for file_key, key in sorted(SECRET_FILES.items()):
            path = (*holder, key)
            if key in SECRET_KEYS | robot and file.has(path):
                instead = "auth_file" if is_url and key == "secret" else file_key
                daemon.tell(path, f"secrets do not belong in the configuration: use {instead}", at_key=True)


def _check_alike(daemon: Layers, section: str) -> None:
    seen: dict[str, str] = {}
    for name in daemon.names((section,)):
        if (other := seen.setdefault(folded(name), name)) != name:
            daemon.tell((section, name), f"too similar to '{other}': capitals, - and _ are not compared", at_key=True)


def _check_account_ids(daemon: Layers) -> None:
    seen: dict[str, str] = {}
    for name in daemon.names(("accounts",)):
        account = daemon.look(("accounts", name, "id"))
        if isinstance(account, str) and (other := seen.setdefault(account, name)) != name:
            daemon.tell(("accounts", name, "id"), f"{printable(account)} is the id of '{other}' already")
