"""One declarative table per layout: it maps header names to fields. A new layout is one more table and one more entry."""

from __future__ import annotations

from spendwatch.bills.layouts.billingitemdetail import BILLING_ITEM_DETAIL
from spendwatch.bills.layouts.consumedetailbillv2 import (
    CONSUME_DETAIL_V2,
    CONSUME_DETAIL_V2_DAY_SUMMARY,
    CONSUME_DETAIL_V2_ENGLISH,
)
from spendwatch.bills.layouts.describeinstancebill import DESCRIBE_INSTANCE_BILL
from spendwatch.bills.layouts.focus import FOCUS
from spendwatch.bills.layouts.instancedetail import INSTANCE_DETAIL, INSTANCE_DETAIL_ENGLISH
from spendwatch.bills.layouts.layout import Layout

LAYOUTS: tuple[Layout, ...] = (
    CONSUME_DETAIL_V2,
    CONSUME_DETAIL_V2_DAY_SUMMARY,
    CONSUME_DETAIL_V2_ENGLISH,
    BILLING_ITEM_DETAIL,
    INSTANCE_DETAIL,
    INSTANCE_DETAIL_ENGLISH,
    FOCUS,
)
"""Every layout of tables that we can read. A header must fit exactly one of them."""

ALL_LAYOUTS = (*LAYOUTS, DESCRIBE_INSTANCE_BILL)
