"""Templates: an operator's own words. Whatever a template does, a message goes out, and the daemon goes on."""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterator, Mapping
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from notices import SAMPLES, UNTIL, ZONE, notice
from spendwatch.channels.console import ConsoleChannel
from spendwatch.channels.console_settings import ConsoleConfig
from spendwatch.channels.email import EmailChannel
from spendwatch.channels.email_settings import EmailConfig
from spendwatch.channels.webhook_settings import WebhookConfig
from spendwatch.domain.alert import Rule
from spendwatch.domain.notification import Facts
from spendwatch.domain.scope import NamedScope, Subject
from spendwatch.letters.json_body import JsonBody
from spendwatch.letters.language import Language
from spendwatch.letters.own_words import OwnWords, template_mistakes, wording_of
from spendwatch.letters.template_process import LONGEST, TemplateError, TemplateProcess
from spendwatch.letters.wording import Wording

SAID = SAMPLES["threshold-overspent"]
HEADLINE = "Research has reached 100% of its September 2026 budget"


def _mail(folder: Path, templates: Mapping[str, str], language: Language = Language.EN) -> EmailConfig:
    for name, text in templates.items():
        (folder / f"{name}.j2").write_text(text, encoding="utf-8")
    return EmailConfig.model_validate(
        {
            "type": "email",
            "host": "127.0.0.1",
            "from": "alerts@example.com",
            "to": ["finops@example.com"],
            "language": language,
            "templates": {name: str(folder / f"{name}.j2") for name in templates},
        }
    )


def _parts(config: EmailConfig) -> tuple[str, str, str]:
    """Return subject, text and page of the mail."""
    mail = message_from_bytes(EmailChannel(config, "post", zone=ZONE).render(SAID, "finops@example.com"), policy=default)
    text, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    return str(mail["subject"]), text.get_content(), html.get_content()


def test_subject_text_and_page_of_a_mail_can_be_the_operators_own(tmp_path: Path) -> None:
    own = {
        "subject": "{{ tag }} | {{ facts.name }}: {{ facts.currency }} {{ facts.spend }}",
        "text": "{{ headline }}\n{{ amount }}\n{% for link in links %}\n{{ link.label }}: {{ link.url }}\n{% endfor %}\n",
        "html": "<h1>{{ headline }}</h1>",
    }
    subject, text, html = _parts(_mail(tmp_path, own))
    assert subject == "Critical | Research: CNY 1402.1"
    assert text.splitlines() == [
        HEADLINE,
        "Spent so far CNY 1,402.10 of CNY 1,200.00 · 116%",
        *(f"{label}: {address}" for label, (_, address) in zip(("Bill details", "API keys"), SAID.facts.links, strict=True)),
    ]
    assert html.strip() == f"<h1>{HEADLINE}</h1>"


def test_what_has_no_template_stays_as_it_is(tmp_path: Path) -> None:
    _, text, html = _parts(_mail(tmp_path, {"subject": "Spend"}))
    _, plain_text, plain_html = _parts(_mail(tmp_path, {}))
    assert (text, html) == (plain_text, plain_html)


def test_every_variable_that_is_documented_is_there_and_no_other(tmp_path: Path) -> None:
    documented = ["headline", "lead", "amount", "summary", "tag", "account", "links", "closing", "text", "facts"]
    own = "{{ [" + ", ".join(documented) + "] | length }} {{ facts.keys() | list | length }}"
    words = wording_of(_mail(tmp_path, {"text": own}), ZONE)
    data = JsonBody(ZONE).of(SAID)["data"]
    assert isinstance(data, dict)
    assert words.text(SAID) == f"{len(documented)} {len(data)}"
    manual = (Path(__file__).parents[2] / "config" / "channels.md").read_text(encoding="utf-8")
    assert [name for name in documented if f"`{name}`" not in manual] == []


def test_a_page_shows_markup_in_names_and_a_subject_stays_one_line(tmp_path: Path) -> None:
    evil = notice(Rule.STALE, Facts(scope=NamedScope(Subject.SOURCE, "x"), name="<b>\r\nBcc: a@b</b>", data_until=UNTIL))
    config = _mail(tmp_path, {"subject": "{{ facts.name }}\nX: y", "html": "<p>{{ facts.name }}</p>{{ headline }}"})
    words = wording_of(config, ZONE)
    assert words.html(evil).startswith("<p>&lt;b&gt;")
    assert "<b>" not in words.html(evil)
    assert words.subject(evil) == "<b> Bcc: a@b</b> X: y"


def test_a_screen_and_a_program_get_the_own_words_too(tmp_path: Path) -> None:
    (tmp_path / "t.j2").write_text("Please look: {{ facts.name }}", encoding="utf-8")
    templates = {"text": str(tmp_path / "t.j2"), "subject": str(tmp_path / "t.j2")}
    screen = ConsoleConfig.model_validate({"type": "console", "colour": "never", "templates": templates})
    assert b"Please look: Research" in ConsoleChannel(screen, "screen", zone=ZONE).render(SAID, "")
    hook = WebhookConfig.model_validate({"type": "webhook", "url": "https://hooks.example.com/", "templates": templates})
    data = json.loads(JsonBody(ZONE, wording=wording_of(hook, ZONE)).rendered(SAID))["data"]
    assert (data["summary"], data["text"]) == ("Please look: Research",) * 2


def test_a_chat_gets_each_line_of_an_own_text_and_no_other_part(tmp_path: Path) -> None:
    letter = wording_of(_mail(tmp_path, {"text": "one\n\ntwo {{ facts.name }}", "subject": "S"}), ZONE).letter(SAID)
    assert letter.subject == "S"
    assert [getattr(one, "points", ()) for one in letter.sections] == [("one", "two Research")]
    assert (letter.amount, letter.lead, letter.closing) == (None, "", ())
    assert letter.links == Wording(Language.EN, ZONE).letter(SAID).links


@pytest.mark.parametrize("own", ["nothing that says so", "{{ tag }}", "{{ headline }}"])
def test_a_test_is_marked_whatever_the_template_says(tmp_path: Path, own: str) -> None:
    words = wording_of(_mail(tmp_path, {"subject": own, "text": own, "html": own}), ZONE)
    for shown in (words.subject, words.text, words.html):
        assert "test" in shown(SAMPLES["test"]).lower()


@pytest.mark.parametrize(("language", "note"), [(Language.EN, "This is the built-in text"), (Language.ZH, "此为内置文本")])
def test_a_failing_template_sends_the_built_in_text_with_a_note(tmp_path: Path, language: Language, note: str) -> None:
    config = _mail(
        tmp_path, {"text": "fine\n{{ headlin }}", "html": "{{ facts.forecast.likely }}", "subject": "{{ 1/0 }}"}, language
    )
    subject, text, html = _parts(config)
    built_in = Wording(language, ZONE)
    assert subject == built_in.subject(SAID)
    assert note in text.replace("\n", "")
    assert text.splitlines()[:5] == built_in.text(SAID).splitlines()[:5]
    assert note in html
    told = sorted(str(one) for one in template_mistakes([config]))
    assert told == [
        f"{tmp_path}/html.j2:1:1: 'None' has no attribute 'likely' (in a message of spend.threshold_reached)",
        f"{tmp_path}/subject.j2:1:1: division by zero (in a message of spend.threshold_reached)",
        f"{tmp_path}/text.j2:2:1: 'headlin' is undefined (in a message of spend.threshold_reached)",
    ]
    (tmp_path / "text.j2").write_text("fixed", encoding="utf-8")
    wording_of(config, ZONE)
    assert [one.file for one in template_mistakes([config]) if "text.j2" in one.file] == [], "opened anew, nothing failed yet"


def test_a_template_that_is_gone_costs_no_message(tmp_path: Path) -> None:
    config = _mail(tmp_path, {"text": "x"})
    (tmp_path / "text.j2").unlink()
    assert "This is the built-in text" in _parts(config)[1]
    assert "cannot be read" in str(template_mistakes([config])[0])


BOMBS = {
    "two loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "a long text": "{{ 'a' * 10**10 }}",
    "a wide text": "{{ 'a' | center(10**10) }}",
    "a formatted number": "{{ '%1000000000d' % 1 }}",
    "a format": "{{ '{:1000000000}'.format(1) }}",
    "doubling": "{% set n = namespace(x='a' * 99) %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "a power": "{% set n = namespace(x=9) %}{% for i in range(60) %}{% set n.x = n.x ** 9 %}{% endfor %}",
    "recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "much output": "{% for a in range(99999) %}" + "a" * 50 + "{% endfor %}",
    "lorem ipsum": "{{ lipsum(100000) }}",
    "a list of lists": "{{ range(99999) | list | batch(1) | list | tojson | length }}{{ range(99999) | list * 999 }}",
    "brackets": "{{ " + "(" * 50000 + "1" + ")" * 50000 + " }}",
}
ESCAPES = (
    "{{ ''.__class__.__mro__ }}",
    "{{ self.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.environ }}",
    "{{ facts.__class__ }}",
    "{{ (headline | attr('__class__')).__bases__ }}",
    "{% set x = facts.update({'a': 1}) %}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
)


@pytest.fixture(scope="module")
def process() -> Iterator[TemplateProcess]:
    found = TemplateProcess()
    yield found
    found.close()


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_template_that_takes_too_much_ends_and_harms_nothing(process: TemplateProcess, bomb: str) -> None:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with pytest.raises(TemplateError):
        process.fill(BOMBS[bomb], {"facts": {}}, is_html=False)
    took = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before.ru_utime
    assert took < 1
    assert time.monotonic() - began < 10, "also on a machine with much else to do"
    assert process.fill("{{ a }}", {"a": "as before"}, is_html=False) == "as before"


@pytest.mark.parametrize("escape", ESCAPES)
def test_a_template_reaches_nothing_but_its_variables(process: TemplateProcess, escape: str) -> None:
    with pytest.raises(TemplateError) as caught:
        process.fill(escape, {"facts": {"a": "1"}, "headline": "x"}, is_html=False)
    assert caught.value.line <= 1


def test_the_longest_result_is_taken_whole(process: TemplateProcess) -> None:
    assert len(process.fill("{{ 'é' * n }}", {"n": LONGEST}, is_html=False)) == LONGEST


def test_many_messages_do_not_wait_long(process: TemplateProcess) -> None:
    process.fill("x", {}, is_html=False)
    began = time.monotonic()
    for number in range(200):
        assert process.fill("{{ facts.name }}", {"facts": {"name": str(number)}}, is_html=True) == str(number)
    assert time.monotonic() - began < 5


def test_a_process_that_died_is_replaced(process: TemplateProcess) -> None:
    process.fill("x", {}, is_html=False)
    assert process._process
    process._process.kill()
    process._process.wait()
    assert process.fill("again", {}, is_html=False) == "again"


def test_no_secret_of_the_daemon_is_in_the_process(process: TemplateProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPENDWATCH_CHANNELS__POST__PASSWORD", "canary")
    process.close()
    process.fill("x", {}, is_html=False)
    assert process._process
    environment = Path(f"/proc/{process._process.pid}/environ").read_bytes()
    assert b"canary" not in environment
    assert {one.partition(b"=")[0] for one in environment.split(b"\0") if one} <= {b"PYTHONPATH", b"LANG", b"LC_CTYPE"}


def test_only_channels_with_templates_start_a_process() -> None:
    assert type(wording_of(ConsoleConfig(), ZONE)) is Wording
    assert not isinstance(wording_of(ConsoleConfig(), ZONE), OwnWords)
