"""A real Alertmanager for tests, which posts to a webhook at once what begins and ends."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from threading import Event
from typing import Any

from servers_postgres import free_port, missing

_CONFIG = """\
global: {{resolve_timeout: 1h}}
route: {{receiver: hook, group_by: [alert_id], group_wait: 0s, group_interval: 1s, repeat_interval: 24h}}
receivers: [{{name: hook, webhook_configs: [{{url: "{hook}", send_resolved: true}}]}}]
"""


class Alertmanager:
    """The server and `amtool`, which asks it."""

    def __init__(self, folder: Path, hook: str) -> None:
        if not (shutil.which("prometheus-alertmanager") and shutil.which("amtool")):
            missing("no Alertmanager here: install one (Debian: prometheus-alertmanager)")
        self._folder = folder
        (folder / "alertmanager.yml").write_text(_CONFIG.format(hook=hook))
        self._listen = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self._listen}"

    def start(self) -> None:
        """Start it and wait until it answers. It keeps no alert from before."""
        options = {
            "config.file": str(self._folder / "alertmanager.yml"),
            "storage.path": str(self._folder / "data"),
            "web.listen-address": self._listen,
            "cluster.listen-address": "",
        }
        self._process = subprocess.Popen(
            ["prometheus-alertmanager", *(f"--{name}={value}" for name, value in options.items())],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        pause = Event()
        for _ in range(1200):
            try:
                with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):  # noqa: S310 -- our own address
                    return
            except (urllib.error.URLError, OSError):
                pause.wait(0.05)
        raise TimeoutError

    def stop(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait(60)

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that it shows as firing."""
        command = ["amtool", f"--alertmanager.url={self.url}", "alert", "query", "-o", "json"]
        found = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)
        assert isinstance(found, list)
        return found
