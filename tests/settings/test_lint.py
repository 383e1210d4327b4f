"""Each warning of `check`: where it stands, what it says, and how the configuration without it looks."""

from __future__ import annotations

from pathlib import Path

import pytest

from spendwatch.domain.money import Currency
from spendwatch.domain.scope import Seen
from spendwatch.domain.statement import AccountId, WorkspaceId
from spendwatch.settings import Outside, examine

MAIN = """\
accounts:
  acme: {id: "2000000000000002", site: cn, currency: CNY}
sources:
  inbox: {type: folder, path: inbox}
channels:
  screen: {type: console}
  finance: {type: email, host: mail.example.com, from: alerts@example.com, to: [finops@example.com]}
"""
RESEARCH = "workspace: llm-research\nbudget: 400.00\n"
BILLED = Seen(AccountId("2000000000000002"), WorkspaceId("llm-research"), "1200345", Currency("CNY"))


def warned(folder: Path, main: str = MAIN, *seen: Seen, **workspaces: str) -> list[str]:
    """Return the warnings on that configuration, as lines without the folder."""
    (folder / "workspaces").mkdir(exist_ok=True)
    (folder / "spendwatch.yaml").write_text(main)
    for name, text in (workspaces or {"research": RESEARCH}).items():
        (folder / "workspaces" / f"{name}.yaml").write_text(text)
    found = examine(folder, Outside(environ={})).warnings(frozenset(seen))
    return [str(one).removeprefix(f"{folder}/") for one in found]


def test_a_plain_configuration_whose_ids_are_in_the_bills_gives_no_warning(tmp_path: Path) -> None:
    assert warned(tmp_path) == []
    assert warned(tmp_path, MAIN, BILLED) == []


def test_the_ids_of_init_are_placeholders_until_a_bill_names_them(tmp_path: Path) -> None:
    main, research = (
        MAIN.replace("2000000000000002", "0000000000000000"),
        RESEARCH.replace("llm-research", "llm-xxxxxxxxxxxxxxxx"),
    )
    told = "still the placeholder of `init`: write the id that your bills show"
    assert warned(tmp_path, main, research=research) == [
        f"spendwatch.yaml:2:14: accounts.acme.id: {told}",
        f"workspaces/research.yaml:1:12: workspace: {told}",
    ]
    billed = BILLED._replace(account=AccountId("0000000000000000"), workspace=WorkspaceId("llm-xxxxxxxxxxxxxxxx"))
    assert warned(tmp_path, main, billed, research=research) == []


@pytest.mark.parametrize(
    "use",
    [
        "defaults: {channels: [screen]}\n",
        "defaults: {channels: [screen]}\noperators: [screen]\n",
    ],
)
def test_a_channel_that_nothing_uses_is_named(tmp_path: Path, use: str) -> None:
    why = "no budget, balance or operator uses this channel: no alert is ever sent over it"
    assert warned(tmp_path, MAIN + use) == [f"spendwatch.yaml:7:3: channels.finance: {why}"]
    assert warned(tmp_path, MAIN + use + "operators: [finance]\n" if "operators" not in use else MAIN) == []


def test_a_channel_of_an_account_that_watches_nothing_is_not_used(tmp_path: Path) -> None:
    main = MAIN.replace("currency: CNY", "currency: CNY, channels: [finance]") + "defaults: {channels: [screen]}\n"
    assert [line.split(": ")[1] for line in warned(tmp_path, main)] == ["channels.finance"]
    assert warned(tmp_path, main.replace("currency: CNY", "currency: CNY, budget: 9")) == []
    assert warned(tmp_path, main.replace("currency: CNY", "currency: CNY, balance: {from: manual, cash: 9}")) == []


def test_a_channel_of_a_workspace_that_watches_nothing_is_not_used(tmp_path: Path) -> None:
    main = MAIN + "defaults: {channels: [screen]}\n"
    assert [line.split(": ")[1] for line in warned(tmp_path, main, research="workspace: llm-r\nchannels: [finance]\n")] == [
        "channels.finance",
        "workspace",
    ]
    assert warned(tmp_path, main, research="workspace: llm-r\nbudget: 9\nchannels: [finance]\n") == []
    escalated = main.replace("currency: CNY", "currency: CNY, escalate: {after: 4h, channels: [finance]}")
    assert warned(tmp_path, escalated) == []


def test_a_configuration_without_any_workspace_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "spendwatch.yaml").write_text(MAIN)
    (tmp_path / "research.yaml").write_text(RESEARCH)
    (said,) = examine(tmp_path, Outside(environ={})).warnings()
    assert str(said) == (
        f"{tmp_path}/workspaces:1:1: there is no workspace file in this folder: no budget of a workspace is watched; "
        "research.yaml beside spendwatch.yaml is not read"
    )


def test_ids_that_no_bill_on_record_names_are_told_with_the_nearest_one(tmp_path: Path) -> None:
    finer = (
        "budgets:\n  - {name: a, match: {api_key: '1200346'}, budget: 5}\n  - {name: b, match: {api_key: '12*'}, budget: 6}\n"
    )
    wrong = RESEARCH.replace("llm-research", "llm-reserch")
    assert warned(tmp_path, MAIN, BILLED, research=RESEARCH + finer, other=wrong) == [
        "workspaces/other.yaml:1:12: workspace: no bill on record names this workspace; did you mean 'llm-research'?",
        "workspaces/research.yaml:4:32: budgets[0].match.api_key: no bill on record names this key; did you mean '1200345'?",
    ]
    pinned = wrong.replace("llm-reserch", "llm-research") + "account: acme\n"
    elsewhere = BILLED._replace(account=AccountId("3000000000000007"))
    assert warned(tmp_path, MAIN, elsewhere, research=pinned)[-1].endswith(
        "workspace: no bill on record of account acme names this workspace; bills of 3000000000000007 do"
    )
    other_account = BILLED._replace(account=AccountId("3000000000000007"))
    assert warned(tmp_path, MAIN, other_account, research=RESEARCH, other=RESEARCH.replace("research", "other"))[0] == (
        "spendwatch.yaml:2:14: accounts.acme.id: no bill on record is of this account; did you mean '3000000000000007'?"
    )


@pytest.mark.parametrize(
    ("thresholds", "said"),
    [
        ("[0.8]", "0.8 is an amount, less than 1% of the budget; for a share write 80%"),
        ("[80]", "80 is an amount; if that is meant, write 80.00; for a share write 80%"),
        ("[forecast 80]", "80 is an amount; if that is meant, write 80.00; for a share write 80%"),
        ("[0.8%]", "0.8% is less than 1% of the budget"),
        ("[3.99]", "3.99 is an amount, less than 1% of the budget; for a share write 3.99%"),
    ],
)
def test_a_threshold_that_was_probably_meant_as_a_share_is_told(tmp_path: Path, thresholds: str, said: str) -> None:
    (line,) = warned(tmp_path, research=f"{RESEARCH}thresholds: {thresholds}\n")
    assert line == f"workspaces/research.yaml:3:14: thresholds[0]: {said}"
    finer = f"budgets:\n  - {{name: a, match: {{model: q}}, budget: 400, thresholds: {thresholds}}}\n"
    (line,) = warned(tmp_path, research=RESEARCH + finer)
    assert line == f"workspaces/research.yaml:4:60: budgets[0].thresholds[0]: {said}"


@pytest.mark.parametrize("thresholds", ["[80.00]", "[4.00]", "[80%]", "[1%]", "[120]", "[forecast 100%]"])
def test_a_threshold_that_is_meant_is_not_doubted(tmp_path: Path, thresholds: str) -> None:
    assert warned(tmp_path, research=f"{RESEARCH}thresholds: {thresholds}\n") == []


def test_a_tiny_share_in_the_defaults_is_told_once_and_there(tmp_path: Path) -> None:
    (said,) = warned(tmp_path, MAIN + "defaults: {thresholds: [0.8%, 100%]}\n")
    assert said == "spendwatch.yaml:8:25: defaults.thresholds[0]: 0.8% is less than 1% of the budget"


@pytest.mark.parametrize(
    ("currency", "why"),
    [("RMB", "RMB is no ISO 4217 code; did you mean 'CNY'?"), ("USS", "USS is no ISO 4217 code; did you mean 'USD'?")],
)
def test_a_currency_that_is_none_is_told(tmp_path: Path, currency: str, why: str) -> None:
    (said,) = warned(tmp_path, MAIN.replace("CNY", currency))
    assert said == f"spendwatch.yaml:2:54: accounts.acme.currency: {why}"


def test_a_currency_that_no_bill_of_the_account_has_is_told(tmp_path: Path) -> None:
    (said,) = warned(tmp_path, MAIN.replace("CNY", "USD"), BILLED)
    assert said.endswith("accounts.acme.currency: no bill on record of this account is in USD; they are in CNY")
    (said,) = warned(tmp_path, MAIN, BILLED, BILLED._replace(currency=Currency("USD")))
    assert said.endswith("currency: bills on record of this account are also in USD: these charges count towards no budget")


def test_the_only_channel_is_told_as_such(tmp_path: Path) -> None:
    alone = MAIN.replace("  screen: {type: console}\n", "")
    assert warned(tmp_path, alone) == [
        "spendwatch.yaml:6:3: channels.finance: is the only channel: if it fails, nobody is notified of that; add a second one"
    ]
    printed = warned(tmp_path, alone.replace(alone[alone.index("  finance") :], "  screen: {type: console}\n"))
    assert [line.split(": ", 2)[1] for line in printed] == ["channels", "channels.screen"]
    assert "alerts are only printed, nobody is notified by mail or webhook" in printed[0]


def test_a_policy_that_counts_in_two_currencies_is_told(tmp_path: Path) -> None:
    both = MAIN.replace("sources:", '  world: {id: "5000000000000005", site: intl, currency: USD}\nsources:')
    (said,) = warned(tmp_path, both)
    assert said == (
        "workspaces/research.yaml:2:9: budget: the same amounts count in CNY (account acme) and in USD (account world): "
        "pin this file with `account:`, and write one for each account"
    )
    assert warned(tmp_path, both, research=RESEARCH + "account: acme\n") == []
    elsewhere = Seen(AccountId("5000000000000005"), WorkspaceId("llm-other"), "", Currency("USD"))
    assert warned(tmp_path, both, BILLED, elsewhere, research=RESEARCH) == []


@pytest.mark.parametrize(
    ("url", "robot"),
    [
        ("https://oapi.dingtalk.com/robot/send?access_token=hunter2", "dingtalk"),
        ("https://open.feishu.cn/open-apis/bot/v2/hook/hunter2", "feishu"),
        ("https://open.larksuite.com/open-apis/bot/v2/hook/hunter2", "feishu"),
        ("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=hunter2", "wecom"),
        ("https://hooks.slack.com/services/hunter2", "slack"),
        ("https://acme.webhook.office.com/webhookb2/hunter2", "teams"),
        ("https://discord.com/api/webhooks/1/hunter2", "discord"),
        ("https://api.telegram.org/bothunter2/sendMessage", "telegram"),
        ("https://hooks.example.com/dingtalk.com", ""),
        ("https://notdingtalk.com/x", ""),
    ],
)
def test_the_address_of_a_chat_robot_is_told_without_its_secret(tmp_path: Path, url: str, robot: str) -> None:
    found = warned(tmp_path, f"{MAIN}  ops: {{type: webhook, url: '{url}'}}\n")
    why = f"a chat robot does not accept the JSON of a webhook: write type: {robot}, and its address into a file"
    expected = f"spendwatch.yaml:8:29: channels.ops.url: {why}"
    assert found == ([expected] if robot else [])


@pytest.mark.parametrize(("kind", "warns"), [("feishu", False), ("lark", False), ("wecom", True)])
def test_an_address_of_another_chat_service_is_told_without_its_secret(tmp_path: Path, kind: str, *, warns: bool) -> None:
    (tmp_path / "robot").touch(0o600)
    (tmp_path / "robot").write_text("https://open.feishu.cn/open-apis/bot/v2/hook/hunter2")
    found = warned(tmp_path, f"{MAIN}  ops: {{type: {kind}, url_file: robot}}\n")
    assert found == (["spendwatch.yaml:8:15: channels.ops.type: the address is one of type: feishu"] if warns else [])


def test_two_ids_of_one_name_are_named(tmp_path: Path) -> None:
    main = MAIN + "names:\n  api_keys: {1200345: chatbot, 1200346: chatbot}\n  workspaces: {llm-old: Research}\n"
    assert warned(tmp_path, main, research=f"{RESEARCH}name: Research\n", other="workspace: llm-b\nbudget: 1\n") == [
        "spendwatch.yaml:9:41: names.api_keys.1200346: 'chatbot' is also the name of 1200345",
        "workspaces/research.yaml:3:7: name: 'Research' is also the name of llm-old",
    ]


def test_a_name_that_the_file_of_the_workspace_overrides_is_named(tmp_path: Path) -> None:
    main = MAIN + "names:\n  workspaces: {llm-research: Lab, llm-unseen: Attic}\n"
    assert warned(tmp_path, main, BILLED, research=f"{RESEARCH}name: Research\n") == [
        "spendwatch.yaml:9:30: names.workspaces.llm-research: its file names this workspace 'Research': that name is used"
    ]
    assert warned(tmp_path, main, BILLED, research=f"{RESEARCH}name: Lab\n") == []


def test_a_key_that_stands_where_its_id_belongs_is_reported_and_not_repeated(tmp_path: Path) -> None:
    [line] = warned(tmp_path, MAIN + "names:\n  api_keys: {sk-0123456789abcdef: chatbot}\n")
    assert line.startswith("spendwatch.yaml:9:14: names.api_keys: an API key itself stands here")
    assert "0123" not in line


def test_an_exception_for_a_key_that_no_bill_names_is_named(tmp_path: Path) -> None:
    each = "budgets:\n  - {name: key, for_each: api_key, budget: 9, exceptions: {1200345: 20, '12*': 30, 1200346: none}}\n"
    [line] = warned(tmp_path, MAIN, BILLED, research=RESEARCH + each)
    assert line.startswith("workspaces/research.yaml:4:")
    assert "budgets[0].exceptions.1200346: no bill on record names this key" in line


def test_an_exception_for_a_workspace_that_no_bill_names_is_named(tmp_path: Path) -> None:
    each = "budgets: [{name: all, for_each: workspace, budget: 9, exceptions: {llm-reserach: 20, llm-research: 30}}]"
    main = MAIN.replace("currency: CNY}", f"currency: CNY, {each}}}")
    [line] = warned(tmp_path, main, BILLED)
    assert "exceptions.llm-reserach: no bill on record names this workspace; did you mean 'llm-research'?" in line


def test_channels_of_finer_budgets_and_thresholds_are_used(tmp_path: Path) -> None:
    main = MAIN + "defaults: {channels: [screen]}\n"
    finer = "budgets:\n  - {name: a, match: {model: a}, budget: 9.00, "
    assert warned(tmp_path, main, research=RESEARCH + finer + "channels: [finance]}\n") == []
    assert warned(tmp_path, main, research=RESEARCH + "thresholds: [{at: 80%, channels: [finance]}]\n") == []
    # Where every threshold has channels of its own, those of the budget are used by none.
    own = finer + "channels: [finance], thresholds: [{at: 80%, channels: [screen]}]}\n"
    assert [line.split(": ")[1] for line in warned(tmp_path, main, research=RESEARCH + own)] == ["channels.finance"]


def test_a_bare_number_among_the_default_thresholds_is_named_with_channels_too(tmp_path: Path) -> None:
    main = MAIN + "defaults: {thresholds: [{at: 0.5%, channels: [screen]}]}\n"
    assert warned(tmp_path, main) == ["spendwatch.yaml:8:25: defaults.thresholds[0]: 0.5% is less than 1% of the budget"]


def test_a_threshold_of_a_day_that_is_probably_a_share_is_named_where_it_stands(tmp_path: Path) -> None:
    finer = "budgets:\n  - {name: a, match: {model: a}, daily: {budget: 500.00, thresholds: [80]}}\n"
    daily = "daily: {budget: 200.00, thresholds: [80]}\n"
    lines = warned(tmp_path, MAIN, research=RESEARCH + finer + daily)
    assert [line.split(": 80 is")[0] for line in lines] == [
        "workspaces/research.yaml:4:71: budgets[0].daily.thresholds[0]",
        "workspaces/research.yaml:5:38: daily.thresholds[0]",
    ]
