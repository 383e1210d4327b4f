"""What both ways to install are tried with: a configuration, bills of this month, and who is told."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from standardwebhooks import Webhook

from bill_builder import ACCOUNT, a_bill, a_line
from deploy.lab import wait_until

WORKSPACE = "llm-demo0a1b2c3d4e"
PORT = 18080
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
REACHED = "spend.threshold_reached"

CONFIG = f"""\
accounts:
  acme: {{id: "{ACCOUNT}", site: cn, currency: CNY}}
defaults: {{channels: [ops]}}
allow_networks: [127.0.0.0/8]
sources:
  inbox: {{type: folder, path: INBOX, poll: 1s, settle: 1s}}
channels:
  ops: {{type: webhook, url: "http://127.0.0.1:{PORT}/spend", secret_file: hook}}
"""

POLICY = f"""\
workspace: {WORKSPACE}
name: Research
budget: 100.00
thresholds: [50%]
"""


def a_bill_of(*amounts: str) -> tuple[str, bytes]:
    """Return a bill of today with a line for each amount; the first lines of two bills are the same lines."""
    now = datetime.fromtimestamp(time.time(), ZoneInfo("Asia/Shanghai"))
    day = f"{now:%Y%m%d}"
    numbered = enumerate(amounts)
    lines = [a_line(line_id=f"{day}_{number}", day=day, time="00:00:00", amount=amount) for number, amount in numbered]
    return a_bill(lines, exported=f"{now:%Y%m%d%H%M%S}")


@dataclass(frozen=True, slots=True)
class Calls:
    """What a receiver wrote down."""

    file: Path

    def all(self) -> list[dict[str, Any]]:
        """Return every call, its signature checked: the headers, and the body as `told`."""
        lines = self.file.read_text(encoding="utf-8").splitlines() if self.file.exists() else []
        calls = [json.loads(line) for line in lines]
        return [{"headers": call["headers"], "told": Webhook(SECRET).verify(call["body"], call["headers"])} for call in calls]

    def of(self, kind: str) -> Sequence[dict[str, Any]]:
        """Return what was told of one kind."""
        return [call["told"] for call in self.all() if call["told"]["type"] == kind]

    def wait_for(self, kind: str, count: int = 1) -> Sequence[dict[str, Any]]:
        """Wait until as many were told, and return them."""
        wait_until(lambda: len(self.of(kind)) >= count, within=30)
        return self.of(kind)


@contextmanager
def a_receiver(start: Callable[..., subprocess.Popen[bytes]], folder: Path) -> Iterator[Calls]:
    """Run a receiver where `start` starts programs."""
    file = folder / "calls.jsonl"
    receiver = start(sys.executable, Path(__file__).with_name("receiver.py"), str(PORT), file)
    try:
        yield Calls(file)
    finally:
        receiver.terminate()
        receiver.wait(10)
