"""A month as one page of HTML, for those who must not load what makes it."""

from __future__ import annotations

import os
import subprocess
import sys

import structlog

from spendwatch.domain.errors import printable
from spendwatch.domain.period import BillingPeriod
from spendwatch.letters.language import Language
from spendwatch.settings import Settings

log = structlog.get_logger("spendwatch")

_WITHIN = 60.0
"""So many seconds it may take."""
_REASON = 300


def month_page_apart(settings: Settings, month: BillingPeriod, language: Language) -> str:
    """Return what `report --html` writes; empty where it cannot be made, which is logged and holds up nobody.

    Another process makes it, because what that loads would stay in this one for good. It is of the ledger in use, whatever the
    files say by now.
    """
    place, locale = str(settings.place), "zh_CN.UTF-8" if language is Language.ZH else "C.UTF-8"
    command = (sys.executable, "-P", "-m", "spendwatch", "--config", place, "report", "--month", month.label, "--html", "-")
    try:
        made = subprocess.run(  # noqa: S603 -- our own program
            command,
            env={**os.environ, "LC_ALL": locale, "PYTHONUTF8": "1", "SPENDWATCH_STATE": settings.state},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_WITHIN,
        )
    except subprocess.CalledProcessError as error:
        why = error.stderr.decode(errors="replace").strip() or f"it ended with {error.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    else:
        return made.stdout.decode()
    log.warning("report_page_failed", month=month.label, why=printable(why, _REASON))
    return ""
