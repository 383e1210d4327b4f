"""What a release is made of: equal wheels, a bill of materials, and an audit that never says more than it knows."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.lab import shipped_files

ROOT = Path(__file__).parents[2]
LOCKED = (ROOT / "deploy" / "requirements.txt").read_text()


def built(sources: Path, made: Path, **environ: str) -> bytes:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(made)]
    subprocess.run(command, cwd=sources, check=True, env={**os.environ, **environ}, stdout=subprocess.DEVNULL)
    (found,) = made.glob("spendwatch-*.whl")
    return found.read_bytes()


def test_the_same_sources_make_the_same_wheel(tmp_path: Path) -> None:
    first = shipped_files(tmp_path)
    second = tmp_path / "elsewhere" / "sources"
    shutil.copytree(first, second)
    for number, path in enumerate(sorted(second.rglob("*"))):
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
        path.chmod(path.stat().st_mode & ~0o022 | 0o400)
    one = built(first, tmp_path / "one")
    assert built(second, tmp_path / "two", LC_ALL="C", TZ="Asia/Shanghai", PYTHONHASHSEED="7") == one
    dated = built(first, tmp_path / "three", SOURCE_DATE_EPOCH="1790000000")
    assert dated != one
    assert built(second, tmp_path / "four", SOURCE_DATE_EPOCH="1790000000") == dated


def sbom(*arguments: str, **environ: str) -> str:
    command = [sys.executable, str(ROOT / "deploy" / "sbom"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **environ}).stdout


def test_the_bill_of_materials_names_what_is_locked_with_every_hash() -> None:
    text = sbom()
    assert sbom() == text
    assert "://" not in text
    document = json.loads(text)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", document["serialNumber"])
    locked = dict(re.findall(r"(?m)^([A-Za-z0-9._-]+)==(\S+)", LOCKED))
    assert {one["name"]: one["version"] for one in document["components"]} == locked
    hashes = [found["content"] for one in document["components"] for found in one["hashes"]]
    assert sorted(hashes) == sorted(re.findall("sha256:([0-9a-f]{64})", LOCKED))
    refs = {one["bom-ref"] for one in document["components"]}
    assert {one["ref"] for one in document["dependencies"]} == {*refs, "spendwatch"}
    assert len(refs) == len(locked)
    assert json.loads(sbom(SOURCE_DATE_EPOCH="1790000000"))["metadata"]["timestamp"] == "2026-09-21T14:13:20+00:00"


def test_every_package_has_a_licence_that_permits_use() -> None:
    listed = dict(line.split(": ", 1) for line in sbom("--licences").splitlines())
    only_elsewhere = {name for name in listed if name.startswith(("colorama", "tzdata", "greenlet"))}
    assert {name for name, licence in listed.items() if licence == "unknown"} <= only_elsewhere
    known = re.compile("MIT|BSD|Apache|PSF|Python|MPL|Mozilla|LGPL-3.0|ISC|unknown")
    assert [name for name, licence in listed.items() if not known.search(licence)] == []


def audited(folder: Path, answer: str | None, **environ: str) -> tuple[int, str]:
    program = folder / "pip-audit"
    if answer is not None:
        write = f"open(sys.argv[sys.argv.index('--output') + 1], 'w').write({answer!r})"
        program.write_text(f"#!{sys.executable}\nimport sys\n{write}\nsys.exit(1)\n")
        program.chmod(0o700)
    done = subprocess.run(
        [str(ROOT / "deploy" / "audit")],
        env={**os.environ, "PIP_AUDIT": str(program), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


GOOD, UNKNOWN = {"name": "a", "version": "1", "vulns": []}, {"name": "b", "version": "1", "skip_reason": "not found"}
BAD = {"name": "c", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (None, 0, "*** NOT AUDITED: pip-audit is not installed"),
        ("", 0, "*** NOT AUDITED: the advisory source cannot be reached"),
        ([GOOD, UNKNOWN], 0, "*** NOT AUDITED: the advisory source that was reached does not know all packages"),
        ([GOOD], 0, "1 of 1 packages audited, vulnerabilities: 0"),
        ([GOOD, UNKNOWN, BAD], 1, "c 1: PYSEC-1, fixed in: 2"),
    ],
)
def test_an_audit_says_loudly_what_it_did_not_do(answer: object, code: int, words: str, tmp_path: Path) -> None:
    text = json.dumps({"dependencies": answer}) if isinstance(answer, list) else answer
    assert text is None or isinstance(text, str)
    status, said = audited(tmp_path, text)
    assert (status, words in said) == (code, True), said
    if "NOT AUDITED" in words:
        assert audited(tmp_path, text, AUDIT_REQUIRED="1")[0] == 2
