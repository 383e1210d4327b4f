from __future__ import annotations

import os
import shlex
import subprocess
from datetime import timedelta

import pytest

from home import RESEARCH, Home, lines_worth, today
from servers_postgres import PASSWORD, PostgresServer, programs, running_server

pytestmark = pytest.mark.postgres


def test_the_whole_journey_on_postgres(home: Home) -> None:
    with running_server() as server:
        server.execute("CREATE DATABASE ledger")
        secret = home.folder / "postgres-password"
        secret.write_text(PASSWORD)
        secret.chmod(0o600)
        state = f"state: {server.tcp_url('ledger')}\nstate_password_file: postgres-password"
        home.furnish(extra=f"{state}\nspool: spool")
        home.watch(budget="100.00")
        home.drop(lines_worth("60.0000000001"))
        home.call("once")
        home.drop(lines_worth("60.0000000001") + lines_worth("25", first=2), exported=today() + timedelta(seconds=1))
        home.call("once")
        assert [call["data"]["threshold"] for call in home.calls()] == ["50%", "80%"]
        assert len(home.mails()) == 2
        (row,) = home.json("report")["rows"]
        assert (row["workspace"], row["spend"]) == (RESEARCH, "85.0000000001")
        _is_backed_up_by_the_servers_own_program(home)
        running = home.start()
        try:
            _is_told_while_it_is_away(home, server)
            server.kill()
            server.start()
            home.drop(lines_worth("60.0000000001") + lines_worth("45", first=2), exported=today() + timedelta(seconds=2))
            assert home.hook
            home.until(lambda: len(home.calls()) == 5)
        finally:
            assert running.stop() == 0
        assert home.calls()[4]["data"]["threshold"] == "100%"


def _is_backed_up_by_the_servers_own_program(home: Home) -> None:
    file = home.folder / "backup.pgdump"
    said = home.call("ledger", "backup", str(file), expect=2).stderr
    (command,) = (line for line in said.splitlines() if line.startswith("pg_dump "))
    assert PASSWORD not in said
    environ = {**os.environ, "PGPASSWORD": PASSWORD, "PATH": f"{programs()}:{os.environ['PATH']}"}
    subprocess.run(shlex.split(command), env=environ, check=True)
    assert file.read_bytes().startswith(b"PGDMP")


def _is_told_while_it_is_away(home: Home, server: PostgresServer) -> None:
    """Take the database away until that is told, over every channel; give it back until it is told that it is there again."""
    home.until(lambda: home.json("status")["daemon"]["state"] == "running")
    server.kill()
    home.until(lambda: len(home.calls()) == 3)
    assert home.calls()[2]["type"] == "ledger.failing"
    home.until(lambda: any(b"ledger of spendwatch cannot be used" in mail for mail in home.mails()))
    home.call("status", expect=75)
    server.start()
    home.until(lambda: len(home.calls()) == 4)
    assert (home.calls()[3]["type"], home.calls()[3]["data"]["rule"]) == ("alert.resolved", "ledger.failing")
    failed = [line for line in (home.folder / "daemon.log").read_text().splitlines() if "job_failed" in line]
    assert len(failed) < 30, "each job tells its trouble once, not at each try"
