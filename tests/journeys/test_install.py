"""Installed as a wheel, away from the checkout: templates and samples are inside, shells complete, the man page renders."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import spendwatch
from deploy.lab import shipped_files
from home import Home

_COMPLETED = {
    "bash": 'eval "$(spendwatch completion bash)"; COMP_WORDS=(spendwatch stat); COMP_CWORD=1; '
    '_spendwatch_completion spendwatch; echo "${COMPREPLY[@]}"',
    "fish": 'spendwatch completion fish | source; complete --do-complete "spendwatch stat"',
    "zsh": "autoload -U compinit && compinit -D -u; spendwatch completion zsh > $TMPDIR/s; source $TMPDIR/s; "
    'print $_comps[spendwatch]; words=(spendwatch stat); CURRENT=2; compadd() { print "$@" }; _describe() { print ${(P)3} }; '
    "_spendwatch_completion",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a release ships, built as a wheel without any network."""
    made = tmp_path_factory.mktemp("wheel")
    sources = shipped_files(tmp_path_factory.mktemp("shipped"))
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", made], cwd=sources, check=True
    )
    (found,) = made.glob("spendwatch-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program in an environment of its own, which lends the packages of this one but not spendwatch."""
    environment = tmp_path_factory.mktemp("installed") / "venv"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = Path(sys.prefix) / "lib" / version / "site-packages"
    (environment / "lib" / version / "site-packages" / "lent.pth").write_text(str(packages))
    pip: list[str | Path] = [
        environment / "bin" / "python",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
        "--no-index",
    ]
    subprocess.run([*pip, "--ignore-installed", "--no-deps", wheel], check=True)
    # What it needs is there: with its dependencies, too, there is nothing to fetch.
    subprocess.run([*pip, wheel], check=True)
    return environment / "bin" / "spendwatch"


def run(program: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run it with an environment that knows nothing of this checkout."""
    environ = {"PATH": f"{program.parent}:/usr/bin:/bin", "NO_COLOR": "1", "TMPDIR": str(folder), "HOME": str(folder)}
    return subprocess.run(
        [str(program), *arguments], cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=True
    )


def test_the_wheel_holds_the_package_with_its_templates_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"spendwatch"}
    package = Path(spendwatch.__file__).parent
    inside = {name for name in names if name.startswith("spendwatch/")}
    assert inside == {
        f"spendwatch/{path.relative_to(package)}" for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"
    }
    assert any(name.endswith("cli/templates/spendwatch.yaml") for name in inside)


def test_the_installed_wheel_runs_from_any_folder(installed: Path, tmp_path: Path) -> None:
    where: list[str | Path] = [installed.parent / "python", "-c", "import spendwatch; print(spendwatch.__file__)"]
    assert str(installed.parents[1]) in subprocess.run(where, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    version = run(installed, "--version", folder=tmp_path).stdout
    python, sqlite = sys.version.split()[0], sqlite3.sqlite_version
    assert version == f"spendwatch {spendwatch.__version__} (Python {python}, SQLite {sqlite})\n"
    assert "The month is over: " in run(installed, "demo", folder=tmp_path).stdout
    run(installed, "init", "mine", folder=tmp_path)
    assert "placeholders are left" in run(installed, "--config", "mine", "check", folder=tmp_path).stdout


@pytest.mark.parametrize("shell", sorted(shell for shell in _COMPLETED if shutil.which(shell)))
def test_the_shell_completes_commands(shell: str, installed: Path, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(_COMPLETED[shell])
    done = subprocess.run(
        [shell, str(script)],
        env={**os.environ, "PATH": f"{installed.parent}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert re.search(r"(^|\s)status\b", done.stdout)
    assert "report" not in done.stdout


def test_completing_a_command_loads_none_of_them(quiet_home: Home) -> None:
    script = "import sys; from spendwatch.cli import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    environ = {"COMP_WORDS": "spendwatch ", "COMP_CWORD": "1", "_SPENDWATCH_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-c", script], env={**quiet_home.env(), **environ}, capture_output=True, text=True, check=True
    )
    assert {"plain,run", "plain,ledger", "plain,completion"} <= set(done.stdout.split())
    assert "plain,man" not in done.stdout
    assert not {"pydantic", "sqlalchemy", "spendwatch.cli.work"} & set(done.stderr.split())


def test_the_man_page_names_every_command_and_option_and_renders_without_a_warning(quiet_home: Home, tmp_path: Path) -> None:
    page = tmp_path / "spendwatch.1"
    page.write_text(quiet_home.call("man").stdout)
    text = page.read_text().replace("\\-", "-")
    for words in (
        ".SH EXAMPLES",
        ".SS spendwatch ledger verify",
        ".SS spendwatch notify-test",
        "--exit-code",
        "130 interrupted",
    ):
        assert words in text
    assert "\b" not in text
    if shutil.which("man") is None:
        return
    environ = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"}
    done = subprocess.run(["man", "--warnings", "-l", page], env=environ, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "78 configuration, 130 interrupted." in done.stdout
