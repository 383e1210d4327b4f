from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notices import SAMPLES, UNTIL, ZONE, cny, golden, notice, some_causes
from spendwatch.domain.alert import Rule
from spendwatch.domain.causes import Course
from spendwatch.domain.commodity import Cover, Exposure
from spendwatch.domain.delivery import Reason
from spendwatch.domain.notification import Facts, Notification
from spendwatch.domain.period import parse_duration
from spendwatch.domain.policy import Severity
from spendwatch.domain.scope import BudgetScope, NamedScope, Subject
from spendwatch.domain.statement import AccountId
from spendwatch.letters.language import Language
from spendwatch.letters.parts import clean
from spendwatch.letters.texts import text_in
from spendwatch.letters.wording import Wording, width

GOLDEN = Path(__file__).parent.parent / "data" / "wording"
ENGLISH_WORDS, CHINESE_WORDS = Wording(Language.EN, ZONE), Wording(Language.ZH, ZONE)
_VOID = {"meta", "br"}


class Page(HTMLParser):
    """What a browser would see: tags that fit, and text, addresses of links included."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.look = ""
        """What its one style sheet says."""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # Around what is shaped like an amount, a date or a duration, as a name may be; it changes nothing but line ends.
        if (tag, attrs) != ("span", [("style", "white-space:nowrap")]):
            self.tags.append(tag)
            self.attributes += [(name, value or "") for name, value in attrs]
        self.text += "".join(f" {value} " for name, value in attrs if name == "href")
        if tag in _VOID:
            self.text += " "
        else:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["style"]:
            self.look += data
        else:
            self.text += data


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_words_are_those_of_the_golden_file(name: str, language: Language) -> None:
    expected = (GOLDEN / f"{name}.{language.value}.txt").read_text(encoding="utf-8")
    assert golden(SAMPLES[name], language) == expected


def test_the_page_is_that_of_the_golden_file() -> None:
    assert ENGLISH_WORDS.html(SAMPLES["threshold"]) == (GOLDEN / "threshold.en.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("label", "words"), [("4h", "4 h"), ("90m", "1 h 30 min"), ("45s", "45 s")])
def test_an_escalation_says_its_duration_in_words_whatever_its_unit(label: str, words: str) -> None:
    escalated = replace(
        SAMPLES["overdue-escalated"], facts=replace(SAMPLES["overdue-escalated"].facts, escalated_after=parse_duration(label))
    )
    assert f"has not ended after {words}" in " ".join(ENGLISH_WORDS.text(escalated).split())


@pytest.mark.parametrize("reason", list(Reason))
@pytest.mark.parametrize("rule", list(Rule))
@pytest.mark.parametrize("facts", [Facts(), SAMPLES["threshold"].facts, SAMPLES["overdue"].facts, SAMPLES["rejected"].facts])
def test_every_rule_and_reason_can_be_told_in_every_language(rule: Rule, reason: Reason, facts: Facts) -> None:
    notification = notice(rule, facts, reason=reason)
    for wording in (ENGLISH_WORDS, CHINESE_WORDS):
        subject = wording.subject(notification)
        assert 0 < len(subject) <= 120
        assert "{" not in subject + wording.text(notification)
        Page(wording.html(notification))


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\s#•·\-]+", text))


@pytest.mark.parametrize("wording", [ENGLISH_WORDS, CHINESE_WORDS])
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_plain_text_and_page_say_the_same(name: str, wording: Wording) -> None:
    text = wording.text(SAMPLES[name])
    page = Page(wording.html(SAMPLES[name])).text
    if wording is ENGLISH_WORDS:
        assert _words(text) <= _words(page)
    # Chinese lines are broken anywhere, so words do not compare.
    assert set(re.sub(r"[\s#-]", "", text)) <= set(page)


def test_a_message_names_every_figure_a_reader_needs() -> None:
    text = ENGLISH_WORDS.text(SAMPLES["threshold"])
    for said in (
        "Research has reached 80% of its September 2026 budget",
        "CNY 1,021.40",
        "of CNY 1,200.00 · 85%",
        "CNY 178.60",
        "also passed: 50%, CNY 600.00",
        "+CNY 409.10",
        "Next message: when 100% (CNY 1,200.00) is reached.",
        "Based on bills up to 2026-09-15 09:41 (Asia/Shanghai)",
        "spendwatch explain 3f9c1e07b2d84a6655d1",
    ):
        assert said in text


@pytest.mark.parametrize(
    ("name", "labels"),
    [("threshold-overspent", ("Bill details", "API keys")), ("balance-low", ("Recharge", "Bill details"))],
)
def test_mail_and_screen_link_to_the_two_pages_where_something_can_be_done(name: str, labels: Sequence[str]) -> None:
    told = SAMPLES[name]
    for label, (_, address) in zip(labels, told.facts.links, strict=True):
        assert f"{label}: {address}" in ENGLISH_WORDS.brief(told)
        assert f"{label}\n  {address}\n" in ENGLISH_WORDS.text(told)
        assert label in Page(ENGLISH_WORDS.html(told)).text


@pytest.mark.parametrize(("language", "label"), [(Language.EN, "Owner"), (Language.ZH, "负责人")])
def test_a_message_names_the_owner_of_a_workspace(language: Language, label: str) -> None:
    said = SAMPLES["threshold"]
    owned = replace(said, facts=replace(said.facts, owner="Li Wei"))
    wording = Wording(language, ZONE)
    for text in (wording.text(owned), wording.html(owned)):
        assert label in text
        assert "Li Wei" in text
    assert label not in wording.text(said)


def test_99_99_percent_never_reads_100() -> None:
    facts = replace(SAMPLES["threshold"].facts, spend=cny("1199.99"), used=Decimal("0.9999"))
    assert "is at 99% of" in ENGLISH_WORDS.subject(notice(Rule.THRESHOLD_REACHED, facts))


@pytest.mark.parametrize(
    ("cover", "said"),
    [
        (Cover.FREE_QUOTA, "works until it is used up, then stops"),
        (Cover.SAVINGS_PLAN, "works while its quota lasts"),
        (Cover.CODING_PLAN, "stays usable, but automatic renewal fails"),
        (Cover.TOKEN_PLAN, "stays usable, but automatic renewal fails"),
    ],
)
def test_an_overdue_account_is_told_what_stops_and_what_goes_on(cover: Cover, said: str) -> None:
    notification = notice(
        Rule.OVERDUE, replace(SAMPLES["overdue"].facts, exposure=Exposure((cover,))), severity=Severity.CRITICAL
    )
    text = " ".join(ENGLISH_WORDS.text(notification).split())
    assert said in text
    assert "Everything else is suspended until the debt is settled" in text
    others = [text_in(Language.EN, "covers", other) for other in Cover if other not in {cover, Cover.NONE}]
    assert not any(other in text for other in others)


def test_the_balance_is_shown_as_an_equation_that_adds_up() -> None:
    text = ENGLISH_WORDS.text(SAMPLES["overdue"])
    amounts = {
        sign: [
            Decimal(minus.replace("−", "-") + digits.replace(",", ""))
            for minus, digits in re.findall(rf"^  \{sign} .* (−?)CNY ([\d,.]+)$", text, re.MULTILINE)
        ]
        for sign in "+−="
    }
    (cash,) = re.findall(r"^    Cash +CNY ([\d,.]+)$", text, re.MULTILINE)
    assert amounts["="] == [Decimal(cash) + sum(amounts["+"]) - sum(amounts["−"])]


def test_without_bills_the_message_says_so() -> None:
    notification = notice(Rule.STALE, Facts(scope=NamedScope(Subject.SOURCE, "inbox"), name="inbox", detail="2 d"))
    assert "No bill is on record" in ENGLISH_WORDS.text(notification)
    assert "没有在案的账单" in CHINESE_WORDS.text(notification)


def test_a_silence_is_told_in_the_readers_language() -> None:
    assert "inbox 已有 1 天 2 小时没有新账单" in CHINESE_WORDS.subject(SAMPLES["stale"])


def _with_text_everywhere(text: str, rule: Rule, reason: Reason) -> Notification:
    facts = replace(
        SAMPLES["threshold"].facts,
        scope=NamedScope(Subject.SOURCE, text, AccountId(text)),
        account_name=text,
        name=text,
        period=text,
        threshold=text,
        also=(text, text),
        next_threshold=text,
        course=Course(some_causes(text), ((date(2026, 9, 1), cny("1")),)),
        subscribed=some_causes(text),
        files=((text, text),),
        detail=text.replace("\n", " "),
        data_until=UNTIL,
    )
    return notice(rule, facts, reason=reason)


# Characters that matter to markup and headers, beside any others.
HOSTILE_TEXT = st.text(st.one_of(st.characters(), st.sampled_from("<>&\"'`=\r\n\0\u2028\u202e\u200b{}%")), max_size=60)


@settings(max_examples=60)
@given(text=HOSTILE_TEXT, rule=st.sampled_from(list(Rule)), reason=st.sampled_from(list(Reason)))
def test_no_text_out_of_a_bill_can_change_the_page(text: str, rule: Rule, reason: Reason) -> None:
    harmless, hostile = (Page(ENGLISH_WORDS.html(_with_text_everywhere(said, rule, reason))) for said in ("a", f"a{text}"))
    assert (hostile.tags, hostile.look) == (harmless.tags, harmless.look)
    assert [name for name, _ in hostile.attributes] == [name for name, _ in harmless.attributes]


PAYLOADS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "</title><script>1</script>",
    "</td></tr></table><h1>paid</h1>",
    "<!-- ",
    "]]>",
    "{{7*7}}",
    "{% raw %}",
    "{name.__class__}",
    "javascript:alert(1)",
    "&lt;b&gt;",
    "<a href=https://evil.example>click</a>",
    "<style>*{display:none}</style>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0>",
)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_markup_and_templates_in_names_are_shown_and_not_obeyed(payload: str) -> None:
    notification = _with_text_everywhere(payload, Rule.THRESHOLD_REACHED, Reason.FIRED)
    html = ENGLISH_WORDS.html(notification)
    page = Page(html)
    assert not {"script", "img", "svg", "a", "base", "link", "iframe"} & set(page.tags)
    assert (page.tags.count("style"), page.look) == (1, Page(ENGLISH_WORDS.html(SAMPLES["threshold"])).look)
    assert clean(payload, 48) in page.text
    assert "49" not in ENGLISH_WORDS.subject(notification)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_page_asks_nothing_of_the_outside_and_links_only_to_the_console(name: str) -> None:
    page = Page(ENGLISH_WORDS.html(SAMPLES[name]))
    assert not {"img", "script", "link", "iframe", "form", "object", "svg"} & set(page.tags)
    assert not [value for attribute, value in page.attributes if attribute == "src" or "url(" in value]
    assert not re.findall(r"url\(|@import|//", page.look)
    links = [value for attribute, value in page.attributes if attribute == "href"]
    assert links == [address for _, address in SAMPLES[name].facts.links]
    assert page.tags.count("a") == len(links)
    assert not [attribute for attribute, _ in page.attributes if attribute.startswith("on")]


@given(text=st.text())
def test_clean_text_is_one_printable_line_within_its_limit(text: str) -> None:
    cleaned = clean(text, 40)
    assert cleaned.isprintable()
    assert len(cleaned) <= 40
    cleaned.encode("utf-8")


@pytest.mark.parametrize("wording", [ENGLISH_WORDS, CHINESE_WORDS])
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_lines_of_plain_text_fit_a_narrow_window(name: str, wording: Wording) -> None:
    lines = wording.text(SAMPLES[name]).splitlines()
    assert max(width(line) for line in lines) <= 80
    assert not [line for line in lines if line != line.rstrip()]


def test_the_age_of_a_balance_that_was_just_read_is_not_told() -> None:
    said = SAMPLES["balance-low-api"]
    assert said.facts.balance
    assert said.facts.balance.as_of
    assert "1 h 5 min before this message" in " ".join(ENGLISH_WORDS.text(said).split())
    fresh = replace(said, created_at=said.facts.balance.as_of)
    assert "The balance is as of 2026-09-15 09:00, from the billing API." in " ".join(ENGLISH_WORDS.text(fresh).split())


@pytest.mark.parametrize("wording", [ENGLISH_WORDS, CHINESE_WORDS])
def test_of_a_long_name_the_value_that_has_the_budget_is_never_cut(wording: Wording) -> None:
    sample = SAMPLES["threshold"]
    for key, letters in (("1200345", 40), ("1200346", 400)):
        name = f"Research and development: budget of each API key {'x' * letters} ({key})"
        scope = BudgetScope(AccountId("1"), budget="budget of each API key", value=key)
        said = replace(sample, facts=replace(sample.facts, name=name, scope=scope))
        assert f"({key})" in wording.subject(said)
        assert f"({key})" in wording.text(said)
        assert "Research and dev" in wording.subject(said)
