"""Makes the pictures of the README, a mail and `status`, from what the program really writes. Needs Chromium.

In `tests/`, `PYTHONPATH=builders:servers:programs python -m pictures [FOLDER]` writes `mail-light.webp`, `mail-dark.webp` and
`status.webp`, each at most 60 kB, to `tests/data/pictures`.
"""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

from bill_builder import a_line
from browser import Browser
from home import RESEARCH, TRAINING, TimedHome
from notices import SAMPLES, ZONE, cny
from spendwatch.domain.forecast import Forecast
from spendwatch.domain.period import BillingPeriod
from spendwatch.letters.language import Language
from spendwatch.letters.wording import Wording

FOLDER = Path(__file__).parent / "data" / "pictures"
LARGEST = 60_000
_COLUMNS = 80
_MAIL_HEIGHT = 860
_ROW, _EDGE = 20, 18
_PAGE = """<!DOCTYPE html><meta charset="utf-8"><style>
body {{ margin: 0; padding: 18px 22px; background: {background}; color: {foreground}; width: max-content }}
pre {{ margin: 0; font: 15px/20px "DejaVu Sans Mono", monospace }}
</style><pre>{code}</pre>"""


_SAMPLE = SAMPLES["threshold-overspent"]
_OVER_BUDGET = replace(
    _SAMPLE,
    facts=replace(
        _SAMPLE.facts,
        foreign=(),
        forecast=Forecast(BillingPeriod(2026, 9), cny("1402.1"), cny("1540"), cny("1655"), cny("1790"), date(2026, 9, 13), 38),
    ),
)


def _bill() -> list[dict[str, str]]:
    """Return a month of two workspaces that grow, with one busy key."""
    spent = {RESEARCH: ("qwen3.8-max", "11.20", "0.35"), TRAINING: ("qwen3.6-plus", "3.10", "0.05")}
    return [
        a_line(
            line_id=f"202611_0700v1_019_{workspace}_{day:02d}",
            day=f"202611{day:02d}",
            month="202611",
            amount=str(Decimal(first) + day * Decimal(more)),
            workspace=workspace,
            model=model,
        )
        for workspace, (model, first, more) in spent.items()
        for day in range(1, 28)
    ]


def status_page(place: Path) -> str:
    """Return what `status` shows near the end of a month in a terminal of 80 columns, as a page in the same colours."""
    home = TimedHome(place)
    home.at("2026-11-28T10:00")
    home.furnish(account=", budget: 900.00, balance: {from: manual, cash: 600.00, floors: [200.00, 100.00], runway: [7d, 3d]}")
    home.watch(RESEARCH, budget="400.00", name="Research", more="thresholds: [50%, 80%, 100%]")
    home.watch(TRAINING, budget="150.00", name="Training", more="thresholds: [50%, 80%, forecast 100%]")
    home.drop(_bill(), exported=home.now)
    running = home.start()
    try:
        home.until(lambda: bool(home.json("status")["alerts"]))
        home.at("2026-11-28T10:00:20")
        shown = _on_terminal(home.command("status"), home.env())
    finally:
        running.stop()
    screen = Console(record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True)
    screen.print(Text.from_ansi(shown))
    return screen.export_html(theme=DIMMED_MONOKAI, inline_styles=True, code_format=_PAGE)


def _on_terminal(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return what a command shows on a terminal in colours."""
    ours, theirs = pty.openpty()
    environ = {name: value for name, value in environment.items() if name != "NO_COLOR"}
    environ |= {"COLUMNS": str(_COLUMNS), "TERM": "xterm-256color"}
    with subprocess.Popen(command, env=environ, stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # so ends a terminal that nobody writes to any more
            while part := os.read(ours, 65536):
                shown += part
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def _smallish(browser: Browser, page: str, width: int, height: int | None, *, is_dark: bool) -> bytes:
    """Return the sharpest picture that is small enough."""
    for scale in (2, 1.5, 1):
        browser.show(page, width=width, is_dark=is_dark, scale=scale)
        for quality in (85, 70, 55, 40):
            picture = browser.picture(kind="webp", quality=quality, height=height)
            if len(picture) <= LARGEST:
                return picture
    msg = "no picture is small enough"
    raise ValueError(msg)


def main(folder: Path) -> None:
    """Write the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    mail = Wording(Language.EN, ZONE).html(_OVER_BUDGET)
    with tempfile.TemporaryDirectory() as name, Browser(Path(name)) as browser:
        status = status_page(Path(name))
        for title, page, width, is_dark, height in (
            ("mail-light", mail, 620, False, _MAIL_HEIGHT),
            ("mail-dark", mail, 620, True, _MAIL_HEIGHT),
            ("status", status, 100, True, _ROW * status.partition("<pre>")[2].count("\n") + 2 * _EDGE),
        ):
            picture = _smallish(browser, page, width, height, is_dark=is_dark)
            (folder / f"{title}.webp").write_bytes(picture)
            print(f"{title}.webp: {len(picture)} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
