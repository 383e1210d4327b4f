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


def test_each_value_is_shown_with_its_origin(quiet_home: Home) -> None:
    home = quiet_home
    furnish(home)
    home.environment |= {"SPENDWATCH_SOURCES__INBOX__POLL": "5s", "SPENDWATCH_ALLOW_NETWORKS": "[10.0.0.0/8]"}
    main, workspace = home.json("config", "show", "--origin")["files"]
    here, there = main["origins"], workspace["origins"]
    assert main["settings"]["sources"]["inbox"]["poll"] == "5s"
    assert here["sources.inbox.poll"] == "$SPENDWATCH_SOURCES__INBOX__POLL"
    assert here["allow_networks"] == "$SPENDWATCH_ALLOW_NETWORKS"
    assert here["accounts.acme.budget"] == f"{home.folder}/spendwatch.yaml:6:13"
    assert main["settings"]["accounts"]["acme"]["budget"] == "5000.00"
    assert here["accounts.acme.spike"] == f"{home.folder}/spendwatch.yaml:8:12"
    assert here["sources.inbox.settle"] == "default"
    assert main["settings"]["sources"]["inbox"]["settle"] == "10s"
    assert main["settings"]["channels"]["post"]["port"] == 587
    assert main["settings"]["state"] == str(home.state)
    assert (main["settings"]["accounts"]["acme"]["remind"], here["accounts.acme.remind"]) == (
        "1d",
        f"{home.folder}/spendwatch.yaml:16:39",
    )
    assert workspace["settings"]["channels"] == ["screen", "post"]
    assert there["channels"] == "default"
    assert workspace["settings"]["thresholds"] == ["4", {"at": "90%", "channels": ["post"]}]
    assert there["budgets[0].match.model"] == f"{home.folder}/workspaces/a.yaml:4:52"
    shown = home.call("config", "show", "--origin").stdout
    assert "    poll: 5s                                      # $SPENDWATCH_SOURCES__INBOX__POLL\n" in shown
    assert " # " not in home.call("config", "show").stdout.replace("\n# ", "\n")


def test_what_is_shown_means_the_same(quiet_home: Home) -> None:
    furnish(quiet_home)
    first = quiet_home.call("config", "show").stdout
    _, main, workspace = first.split(f"# {quiet_home.folder}/")
    furnish(quiet_home, main.partition("\n")[2])
    (quiet_home.folder / "workspaces" / "a.yaml").write_text(workspace.partition("\n")[2])
    second = quiet_home.call("config", "show").stdout
    assert sorted(second.splitlines()) == sorted(first.splitlines())
    assert quiet_home.json("check")["mistakes"] == []


def test_secrets_are_never_read_or_shown(quiet_home: Home) -> None:
    home = quiet_home
    hook = 'hook: {type: webhook, url: "https://hooks.example.com/sesame-1?key=sesame-2", secret_file: secrets/hook}'
    furnish(home, MAIN.replace("screen: {type: console}", f"screen: {{type: console}}\n  {hook}"))
    (home.folder / "secrets").mkdir()
    (home.folder / "secrets" / "hook").write_text("sesame-3")
    home.environment |= {"SPENDWATCH_CHANNELS__POST__PASSWORD": "sesame-4", "SPENDWATCH_CHANNELS__POST__USERNAME": "alerts"}
    shown = home.call("config", "show", "--origin").stdout + home.call("config", "show", "--origin", "--json").stdout
    assert "sesame" not in shown
    assert 'url: "https://hooks.example.com/***"' in shown
    main, _ = home.json("config", "show", "--origin")["files"]
    assert main["settings"]["channels"]["hook"]["secret"] == main["settings"]["channels"]["post"]["password"] == "***"
    assert main["origins"]["channels.hook.secret"] == "secret file secrets/hook"
    assert main["origins"]["channels.post.password"] == "$SPENDWATCH_CHANNELS__POST__PASSWORD"


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
