"""Reads all files, collects every mistake, and builds the settings from the files without any."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from spendwatch.domain.errors import ConfigError, ConfigMistake
from spendwatch.domain.policy import ChannelName, Threshold, WorkspacePolicy
from spendwatch.domain.statement import WorkspaceId
from spendwatch.settings import Outside, Settings
from spendwatch.settings.cross_checks import check_daemon, check_repeated, check_workspace
from spendwatch.settings.files import MAIN, Location, read_config_file
from spendwatch.settings.layers import EMPTY_FILE, Layers, MainLayers
from spendwatch.settings.policies import Defaults, policies, workspace_policy
from spendwatch.settings.resolve import resolve
from spendwatch.settings.schema import DaemonFile, WorkspaceFile
from spendwatch.yaml_text import Document, Keys, Place, Scalar, parse

if TYPE_CHECKING:
    from spendwatch.settings.lint import Examined

M = TypeVar("M", bound=BaseModel)


class _Found(NamedTuple):
    """What the files say, as far as it is without mistakes, and every mistake."""

    said: DaemonFile | None
    settings: Settings | None
    """Without the policies of workspaces."""
    layers: Layers
    files: dict[str, Layers]
    workspaces: dict[str, WorkspaceFile]
    mistaken: frozenset[str]
    """Names of the workspace files with mistakes."""
    mistakes: tuple[ConfigMistake, ...]

    def complete(self, kept: Mapping[str, WorkspacePolicy] | None = None) -> Settings:
        """Return the settings with the policies of workspaces, or raise `ConfigError` where there are none."""
        if self.said is None or self.settings is None:
            raise ConfigError(*self.mistakes)
        defaults, accounts = Defaults.of(self.said), self.said.accounts
        by_file = {file: _still_heard(policy, self.settings, defaults) for file, policy in (kept or {}).items()}
        by_file |= {file: workspace_policy(said, accounts, defaults) for file, said in self.workspaces.items()}
        by_file = dict(sorted(by_file.items()))
        return replace(self.settings, policies=policies(self.said, by_file.values()), workspace_files=by_file)


def load(place: Path, outside: Outside | None = None, *, with_secrets: bool = True) -> Settings:
    """Read the configuration that lies there; `ConfigError` names every mistake of every file.

    Without secrets nothing can be sent; it is for commands that only look, run by people who may not read them.
    """
    return examine(place, outside, with_secrets=with_secrets).settings


def examine(place: Path, outside: Outside | None = None, *, with_secrets: bool = True) -> Examined:
    """Read it as `load` does, and keep where everything is written: for warnings."""
    from spendwatch.settings.lint import Examined  # noqa: PLC0415 -- commands that only look give no warnings

    found = _read(place, outside or Outside(), {}, with_secrets=with_secrets)
    if found.mistakes or found.said is None:
        raise ConfigError(*found.mistakes)
    said = {MAIN: found.said, **found.workspaces}
    return Examined(found.complete(), found.layers, found.files, said)


def load_usable(place: Path, *, with_secrets: bool = False) -> tuple[Settings, tuple[ConfigMistake, ...]]:
    """Read it for a command that only looks: workspace files with mistakes are left out, and the mistakes returned.

    A mistake in `spendwatch.yaml` still raises `ConfigError`.
    """
    found = _read(place, Outside(), {}, with_secrets=with_secrets)
    return found.complete(), found.mistakes


def reload(previous: Settings) -> tuple[Settings, tuple[ConfigMistake, ...]]:
    """Read it again; whatever has mistakes stays as it was, and the mistakes are reported.

    A mistake in `spendwatch.yaml` keeps everything; one in a workspace's file keeps that workspace's last good policy.
    """
    owners = {file: policy.workspace for file, policy in previous.workspace_files.items()}
    found = _read(previous.place, previous.outside, owners, with_secrets=True)
    if found.settings is None:
        return previous, found.mistakes
    kept = {file: policy for file, policy in previous.workspace_files.items() if file in found.mistaken}
    return found.complete(kept), found.mistakes


def _still_heard(policy: WorkspacePolicy, settings: Settings, defaults: Defaults) -> WorkspacePolicy:
    """Leave out channels that no longer exist; if none is left, use the default channels."""

    def there(names: tuple[ChannelName, ...]) -> tuple[ChannelName, ...]:
        return tuple(name for name in names if name in settings.channels)

    def points(thresholds: tuple[Threshold, ...]) -> tuple[Threshold, ...]:
        return tuple(replace(one, channels=there(one.channels)) for one in thresholds)

    escalate = policy.escalate
    if escalate and (left := there(escalate.channels)):
        escalate = escalate._replace(channels=left)
    return replace(
        policy,
        escalate=escalate,
        channels=there(policy.channels) or defaults.channels,
        thresholds=points(policy.thresholds),
        budgets=tuple(one._replace(channels=there(one.channels), thresholds=points(one.thresholds)) for one in policy.budgets),
    )


def _read(place: Path, outside: Outside, owners: dict[str, WorkspaceId], *, with_secrets: bool) -> _Found:
    location = Location.of(place)
    layers = MainLayers(read_document(location.main), location.folder.absolute(), outside, with_secrets=with_secrets)
    said = validated(DaemonFile, layers, lambda _: DaemonFile(layers))
    check_daemon(layers)
    settings = None if said is None else resolve(said, layers, place, outside, with_secrets=with_secrets)
    files, mistakes = _workspace_layers(location)
    workspaces = {file: validated(WorkspaceFile, one, WorkspaceFile.model_validate) for file, one in files.items()}
    for one in files.values():
        check_workspace(one, layers)
    check_repeated(files, owners)
    mistakes += [mistake for one in (layers, *files.values()) for mistake in one.mistakes]
    return _Found(
        said=said,
        settings=None if layers.mistakes else settings,
        layers=layers,
        files=files,
        workspaces={file: one for file, one in workspaces.items() if one is not None and not files[file].mistakes},
        mistaken=frozenset(file for file, one in files.items() if one.mistakes),
        mistakes=tuple(sorted(mistakes, key=lambda mistake: (mistake.file, mistake.line, mistake.column))),
    )


def validated(model: type[M], layers: Layers, check: Callable[[object], M]) -> M | None:
    """Return what the file says by its schema; its mistakes are noted in the layers."""
    if not isinstance(layers.tree, dict):
        return None
    try:
        return check(layers.tree)
    except ValidationError as error:
        from spendwatch.settings.error_messages import tell_all  # noqa: PLC0415 -- only for mistakes

        tell_all(error, layers, model, in_workspace=model is WorkspaceFile)
    return None


def _workspace_layers(location: Location) -> tuple[dict[str, Layers], list[ConfigMistake]]:
    try:
        files = location.workspace_files()
    except ConfigError as error:
        return {}, list(error.mistakes)
    return {file.name: Layers(read_document(file)) for file in files}, []


def read_document(file: Path) -> Document:
    """Return what a file says; when that is not keys with values, a document with nothing but mistakes."""
    name = str(file)
    try:
        document = parse(read_config_file(file), name)
    except ConfigError as error:
        return Document(name, mistakes=list(error.mistakes))
    if not isinstance(document.tree, Keys):
        nothing = document.tree is None or (isinstance(document.tree, Scalar) and document.tree.is_nothing)
        what = EMPTY_FILE if nothing else "must hold keys with values, like `name: value`"
        place = document.tree.place if document.tree is not None else Place(name)
        return Document(name, mistakes=[*document.mistakes, place.mistake("", what)])
    return document
