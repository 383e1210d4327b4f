"""A month as one file of HTML that shows without anything else: no script, no request, no link."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime

from markupsafe import Markup

from spendwatch.domain.period import BillingPeriod
from spendwatch.letters.language import Language
from spendwatch.settings import Settings
from spendwatch.state import Store
from spendwatch.web.pages import Pages
from spendwatch.web.parameters import MONTH, OFFSET
from spendwatch.web.reading import Known, Reader
from spendwatch.web.rendering import fill, formats_of, static_content

_MOST = 1000
_LINK = re.compile(r"<a\b([^>]*?) href=\"[^\"]*\"([^>]*)>(.*?)</a>", re.DOTALL)


def month_page(settings: Settings, store: Store, now: datetime, month: BillingPeriod | None, language: Language) -> str:
    """Return the overview of that month, by default the current one."""
    formats = formats_of(language, settings.zone)
    query = {MONTH.name: month, OFFSET.name: 0}
    values = Pages(Reader(Known(settings, store, lambda: now))).overview(query, formats, _MOST)
    css = static_content("page.css")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:"
    html = fill("overview.html.j2", formats, **values, css=Markup(css), policy=policy)  # noqa: S704 -- a file of ours
    # Its links lead to other pages, which are not in the file.
    return _LINK.sub(r"<span\1\2>\3</span>", html)
