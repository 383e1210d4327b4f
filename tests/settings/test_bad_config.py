"""Every folder of `tests/data/bad_config` holds one mistake, and in `expected.txt` the words that the operator reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from spendwatch.domain.errors import ConfigError
from spendwatch.settings import Outside, load

_FOLDERS = sorted(path for path in (Path(__file__).parents[1] / "data" / "bad_config").iterdir() if path.is_dir())


def told(folder: Path) -> str:
    """Return what an operator in that folder reads; absolute paths are shortened to `{folder}`."""
    with pytest.raises(ConfigError) as caught:
        load(Path(), Outside(environ={}))
    return str(caught.value).replace(str(folder), "{folder}")


@pytest.mark.parametrize("folder", _FOLDERS, ids=lambda folder: folder.name)
def test_each_mistake_is_told_where_it_was_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert told(folder).splitlines() == (folder / "expected.txt").read_text(encoding="utf-8").splitlines()


def test_there_are_mistakes_enough() -> None:
    assert len(_FOLDERS) >= 40


@pytest.mark.parametrize("folder", _FOLDERS, ids=lambda folder: folder.name)
def test_no_mistake_repeats_a_secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert "hunter2" not in told(folder)


@pytest.mark.parametrize("folder", _FOLDERS, ids=lambda folder: folder.name)
def test_a_mistake_is_one_line_of_plain_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(ConfigError) as caught:
        load(Path(), Outside(environ={}))
    assert all(str(mistake).isprintable() for mistake in caught.value.mistakes)
