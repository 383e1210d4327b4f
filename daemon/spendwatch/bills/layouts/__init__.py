"""One declarative table a layout: which header names mean which field. A new layout is one more file and one more entry."""

from __future__ import annotations

from spendwatch.bills.layouts.consumedetailbillv2 import CONSUME_DETAIL_V2
from spendwatch.bills.layouts.layout import Layout

LAYOUTS: tuple[Layout, ...] = (CONSUME_DETAIL_V2,)
"""Every layout we can read. A header must fit exactly one of them."""
