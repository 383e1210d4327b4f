"""The documents say what is true of the program and of each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spendwatch.settings import Outside, load

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    path for pattern in ("*.md", "config/*.md", "daemon/*.md", "tests/benchmarks/*.md") for path in ROOT.glob(pattern)
)
PACKAGE = ROOT / "daemon" / "spendwatch"


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def headings(path: Path) -> set[str]:
    """Return the anchors of a document, as its readers' programs make them."""
    found = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```", "", text_of(path)))
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in found}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_between_documents_leads_somewhere(document: Path) -> None:
    for link in re.findall(r"(?:\]\(|src=\"|srcset=\")([^)\s\"]+)", text_of(document)):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.exists(), link
        if anchor:
            assert anchor in headings(target), link


def test_every_log_event_is_explained() -> None:
    code = "".join(text_of(path) for path in PACKAGE.rglob("*.py"))
    logged = set(re.findall(r"log\.(?:info|warning|error|exception)\(\s*\"([a-z_]+)\"", code))
    logged |= {name for pair in re.findall(r"\bevent = \"(\w+)\" if .*? else \"(\w+)\"", code) for name in pair}
    table = text_of(ROOT / "config" / "troubleshooting.md").partition("## Log events")[2]
    assert set(re.findall(r"`([a-z]+_[a-z_]+)`", table)) == logged


def test_every_mail_recipe_is_a_valid_channel(tmp_path: Path) -> None:
    recipes = re.findall(r"(?m)^mail: (\{.*\})$", text_of(ROOT / "config" / "recipes.md"))
    assert len(recipes) == 5
    channels = "".join(f"  mail{number}: {recipe}\n" for number, recipe in enumerate(recipes))
    (tmp_path / "spendwatch.yaml").write_text(
        f'accounts:\n  acme: {{id: "1", site: cn, currency: CNY}}\nsources: {{}}\nchannels:\n{channels}'
    )
    secret = tmp_path / "secrets" / "smtp"
    secret.parent.mkdir()
    secret.touch(0o600)
    secret.write_text("secret")
    assert len(load(tmp_path, Outside({})).channels) == len(recipes)


def test_both_readmes_have_the_same_sections_commands_and_links() -> None:
    english, chinese = (text_of(ROOT / name) for name in ("README.md", "README.zh.md"))
    for pattern in (r"(?m)^#+ ", r"(?m)^\| ", r"(?m)^- ", r"(?m)^\d\. "):
        assert len(re.findall(pattern, chinese)) == len(re.findall(pattern, english)), pattern

    def commands(text: str) -> list[str]:
        blocks = "".join(re.findall(r"(?ms)^```sh\n(.*?)^```", text))
        return [line.partition(" #")[0].rstrip() for line in blocks.splitlines()]

    assert commands(chinese) == commands(english)
    links = [set(re.findall(r"\]\(((?:config|daemon|tests|[A-Z]+)[^)]*)\)", text)) for text in (chinese, english)]
    assert links[0] ^ links[1] == {"README.zh.md", "README.md"}
