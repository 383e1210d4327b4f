"""`config show` and `schema config`, as an operator uses them."""

from __future__ import annotations

import json

import jsonschema_rs

from home import Home

MAIN = """\
accounts:
  acme:
    id: "1000000000000001"
    site: cn
    currency: CNY
    budget: 5000.00
    month_closed: true
    spike: 50.00
    balance: {from: manual, cash: 10.00, floors: [5]}
sources:
  inbox: {type: folder, path: inbox}
channels:
  screen: {type: console}
  post: {type: email, host: mail.example.com, from: a@example.com, to: [b@example.com, "c@example.com"]}
operators: [screen]
defaults: {thresholds: [80%], remind: 1d}
"""
WORKSPACE = """\
workspace: llm-a
budget: 5
thresholds: [4, {at: 90%, channels: [post]}]
budgets: [{name: "a: b", budget: 2, match: {model: "x*"}}]
"""


def furnish(home: Home, main: str = MAIN) -> None:
    (home.folder / "workspaces").mkdir(exist_ok=True)
    (home.folder / "spendwatch.yaml").write_text(main)
    (home.folder / "workspaces" / "a.yaml").write_text(WORKSPACE)


def shown(home: Home) -> list[dict[str, tuple[object, str]]]:
    """Return value and origin of each setting by its key, for each file."""
    files = home.json("config", "show")["files"]
    return [{one["key"]: (one["value"], one["origin"]) for one in file["settings"]} for file in files]


def test_each_value_is_shown_with_its_origin(quiet_home: Home) -> None:
    home = quiet_home
    furnish(home)
    home.environment |= {"SPENDWATCH_SOURCES__INBOX__POLL": "5s", "SPENDWATCH_ALLOW_NETWORKS": "[10.0.0.0/8]"}
    main, workspace = shown(home)
    here, there = home.folder / "spendwatch.yaml", home.folder / "workspaces" / "a.yaml"
    assert main["sources.inbox.poll"] == ("5s", "$SPENDWATCH_SOURCES__INBOX__POLL")
    assert main["allow_networks"] == (["10.0.0.0/8"], "$SPENDWATCH_ALLOW_NETWORKS")
    assert main["accounts.acme.budget"] == ("5000.00", f"{here}:6:13")
    assert main["accounts.acme.spike.min"] == ("50.00", f"{here}:8:12")
    assert main["sources.inbox.settle"] == ("10s", "default")
    assert main["channels.post.port"] == (587, "default")
    assert main["channels.screen.max_messages"] == ("unlimited", "default")
    assert main["state"] == (str(home.state), "default")
    assert main["accounts.acme.remind"] == main["operators.remind"] == ("1d", f"{here}:16:39")
    assert main["accounts.acme.thresholds"] == (["80%"], f"{here}:16:24")
    assert main["operators.channels"] == (["screen"], f"{here}:15:12")
    assert workspace["channels"] == (["screen", "post"], "default")
    assert workspace["thresholds[0].at"] == ("4", f"{there}:3:14")
    assert workspace["thresholds[1].channels"] == (["post"], f"{there}:3:37")
    assert workspace["budgets[0].match.model"] == ("x*", f"{there}:4:52")
    text = home.call("config", "show", "--origin").stdout
    assert "sources.inbox.poll: 5s                            # $SPENDWATCH_SOURCES__INBOX__POLL\n" in text
    plain = home.call("config", "show").stdout
    assert 'budgets[0].name: "a: b"\n' in plain
    assert " # " not in plain.replace("\n# ", "\n")


def test_what_is_shown_is_what_counts(quiet_home: Home) -> None:
    furnish(quiet_home)
    before = shown(quiet_home)
    main = MAIN.replace("thresholds: [80%], ", "").replace("screen: {type: console}", "screen: {type: console, language: zh}")
    furnish(quiet_home, main)
    after = shown(quiet_home)
    assert after[0]["accounts.acme.thresholds"] == (["50%", "80%", "100%"], "default")
    changed = {key for key in before[0] if before[0][key][0] != after[0][key][0]}
    assert changed == {"accounts.acme.thresholds", "defaults.thresholds", "channels.screen.language"}


def test_secrets_are_never_read_or_shown(quiet_home: Home) -> None:
    home = quiet_home
    hook = (
        'hook: {type: webhook, url: "https://hooks.example.com/sesame-1?key=sesame-2", secret_file: secrets/hook,'
        " headers: {x-tenant: sesame-5}}"
    )
    furnish(home, MAIN.replace("screen: {type: console}", f"screen: {{type: console}}\n  {hook}"))
    (home.folder / "secrets").mkdir()
    (home.folder / "secrets" / "hook").write_text("sesame-3")
    home.environment |= {"SPENDWATCH_CHANNELS__POST__PASSWORD": "sesame-4", "SPENDWATCH_CHANNELS__POST__USERNAME": "alerts"}
    text = home.call("config", "show", "--origin").stdout + home.call("config", "show", "--json").stdout
    assert "sesame" not in text
    assert 'channels.hook.url: "https://hooks.example.com/***"' in text
    main, _ = shown(home)
    assert main["channels.hook.secret"] == ("***", "secret file secrets/hook")
    assert main["channels.post.password"] == ("***", "$SPENDWATCH_CHANNELS__POST__PASSWORD")
    assert main["channels.hook.headers.x-tenant"][0] == "***"


def test_mistakes_are_named_as_by_check(quiet_home: Home) -> None:
    furnish(quiet_home, MAIN.replace("budget: 5000.00", "budgte: 5"))
    assert "did you mean 'budget'?" in quiet_home.call("config", "show", expect=78).stderr


def test_init_writes_schemas_beside_and_its_files_name_them(quiet_home: Home) -> None:
    folder = quiet_home.folder / "new"
    quiet_home.call("init", str(folder))
    for file, option in (("spendwatch.yaml", ()), ("workspaces/research.yaml", ("--workspace",))):
        first = (folder / file).read_text().partition("\n")[0]
        schema = ((folder / file).parent / first.partition("$schema=")[2]).read_text()
        assert schema == quiet_home.call("schema", "config", *option).stdout
        jsonschema_rs.validator_for(json.loads(schema))
