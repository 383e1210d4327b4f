"""Reads all files, collects every mistake, and builds the settings from the files without any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from spendwatch.domain.errors import ConfigError, ConfigMistake
from spendwatch.domain.policy import WorkspacePolicy
from spendwatch.domain.statement import WorkspaceId
from spendwatch.settings import Outside, Retention, Settings
from spendwatch.settings.cross_checks import check_daemon, check_repeated, check_workspace
from spendwatch.settings.error_messages import tell_all
from spendwatch.settings.files import Location, read_config_file
from spendwatch.settings.layers import EMPTY_FILE, Layers, MainLayers
from spendwatch.settings.lint import Examined
from spendwatch.settings.policies import Defaults, policies, workspace_policy
from spendwatch.settings.resolve import Resolved, resolve
from spendwatch.settings.schema import DaemonFile, WorkspaceFile
from spendwatch.yaml_text import Document, Keys, Place, Scalar, parse

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class _Found:
    """What the files say, as far as it is without mistakes, and every mistake."""

    daemon: Resolved | None
    layers: Layers
    files: dict[str, Layers]
    workspaces: dict[str, WorkspaceFile]
    mistaken: frozenset[str]
    """Names of the workspace files with mistakes."""
    mistakes: tuple[ConfigMistake, ...]


def load_all(place: Path, outside: Outside, *, with_secrets: bool) -> Settings:
    """Return the settings, or raise `ConfigError` with every mistake."""
    return examine_all(place, outside, with_secrets=with_secrets).settings


def examine_all(place: Path, outside: Outside, *, with_secrets: bool) -> Examined:
    """Return the settings and where they are written, or raise `ConfigError` with every mistake."""
    found = _read(place, outside, {}, with_secrets=with_secrets)
    if found.daemon is None or found.mistakes:
        raise ConfigError(*found.mistakes)
    settings = _settings(found.daemon, _policies(found.workspaces, found.daemon), place, outside)
    return Examined(settings, Location.of(place), found.layers, found.files)


def load_what_is_usable(place: Path, outside: Outside, *, with_secrets: bool) -> tuple[Settings, tuple[ConfigMistake, ...]]:
    """Return the settings without the workspace files that have mistakes, and the mistakes."""
    found = _read(place, outside, {}, with_secrets=with_secrets)
    if found.daemon is None:
        raise ConfigError(*found.mistakes)
    return _settings(found.daemon, _policies(found.workspaces, found.daemon), place, outside), found.mistakes


def load_again(previous: Settings) -> tuple[Settings, tuple[ConfigMistake, ...]]:
    """Return the settings of now, with the last good part where there are mistakes now, and the mistakes."""
    owners = {file: policy.workspace for file, policy in previous.workspace_files.items()}
    found = _read(previous.place, previous.outside, owners, with_secrets=True)
    if found.daemon is None:
        return previous, found.mistakes
    kept = {file: policy for file, policy in previous.workspace_files.items() if file in found.mistaken}
    now = {file: _still_heard(policy, found.daemon) for file, policy in kept.items()} | _policies(
        found.workspaces, found.daemon
    )
    return _settings(found.daemon, dict(sorted(now.items())), previous.place, previous.outside), found.mistakes


def _policies(workspaces: dict[str, WorkspaceFile], daemon: Resolved) -> dict[str, WorkspacePolicy]:
    defaults = Defaults.of(daemon.said)
    return {file: workspace_policy(said, daemon.said.accounts, defaults) for file, said in workspaces.items()}


def _still_heard(policy: WorkspacePolicy, daemon: Resolved) -> WorkspacePolicy:
    """Leave out channels that are no longer there: a policy that is kept must not talk to nobody."""
    there = tuple(name for name in policy.channels if name in daemon.channels)
    return replace(policy, channels=there or Defaults.of(daemon.said).channels)


def _settings(daemon: Resolved, by_file: dict[str, WorkspacePolicy], place: Path, outside: Outside) -> Settings:
    return Settings(
        place=place,
        folder=daemon.folder,
        policies=policies(daemon.said, by_file.values()),
        zone=daemon.said.time_zone,
        sources=daemon.sources,
        channels=daemon.channels,
        balances=daemon.balances,
        state=daemon.state,
        spool=daemon.spool,
        fetched=daemon.fetched,
        heartbeat=daemon.state_folder / "heartbeat",
        state_password_file=daemon.state_password_file,
        allow_networks=tuple(daemon.said.allow_networks),
        secrets=daemon.secrets,
        retention=Retention(daemon.said.retention.originals, daemon.said.retention.lines),
        workspace_files=by_file,
        outside=outside,
    )


def _read(place: Path, outside: Outside, owners: dict[str, WorkspaceId], *, with_secrets: bool) -> _Found:
    location = Location.of(place)
    folder = location.folder.absolute()
    layers = MainLayers(_document(location.main), folder, outside, with_secrets=with_secrets)
    daemon = _daemon(layers, folder, outside, with_secrets=with_secrets)
    files, mistakes = _workspace_layers(location)
    said = {file: _validated(WorkspaceFile, one, WorkspaceFile.model_validate) for file, one in files.items()}
    for one in files.values():
        check_workspace(one, layers)
    check_repeated(files, owners)
    mistakes += [mistake for one in (layers, *files.values()) for mistake in one.mistakes]
    return _Found(
        daemon=None if layers.mistakes else daemon,
        layers=layers,
        files=files,
        workspaces={file: one for file, one in said.items() if one is not None and not files[file].mistakes},
        mistaken=frozenset(file for file, one in files.items() if one.mistakes),
        mistakes=tuple(sorted(mistakes, key=lambda mistake: (mistake.file, mistake.line, mistake.column))),
    )


def _daemon(layers: MainLayers, folder: Path, outside: Outside, *, with_secrets: bool) -> Resolved | None:
    said = _validated(DaemonFile, layers, lambda _: DaemonFile(layers))
    check_daemon(layers)
    return None if said is None else resolve(said, layers, folder, outside, with_secrets=with_secrets)


def _validated(model: type[M], layers: Layers, check: Callable[[object], M]) -> M | None:
    if not isinstance(layers.tree, dict):
        return None
    try:
        return check(layers.tree)
    except ValidationError as error:
        tell_all(error, layers, model, in_workspace=model is WorkspaceFile)
    return None


def _workspace_layers(location: Location) -> tuple[dict[str, Layers], list[ConfigMistake]]:
    try:
        files = location.workspace_files()
    except ConfigError as error:
        return {}, list(error.mistakes)
    return {file.name: Layers(_document(file)) for file in files}, []


def _document(file: Path) -> Document:
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
