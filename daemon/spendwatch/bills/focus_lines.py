"""Writes the lines of a day in the FOCUS format, so that other programs, and spendwatch itself, can read them."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping
from typing import TextIO

import polars as pl

from spendwatch.bills.cells import guarded
from spendwatch.bills.chunk import DimensionDictionary
from spendwatch.bills.dimensions import SEPARATOR, ChargeDimensions
from spendwatch.bills.focus_columns import COLUMNS
from spendwatch.domain.commodity import MODEL_STUDIO
from spendwatch.domain.errors import InvalidAmountError
from spendwatch.domain.money import parse_amount, plain
from spendwatch.domain.statement import ChargeKind, DayKey

_PROVIDER = "Alibaba Cloud"
_MODEL_STUDIO = "Alibaba Cloud Model Studio"
_CATEGORIES: Mapping[str, tuple[str, str]] = {
    ChargeKind.USAGE: ("Usage", ""),
    ChargeKind.FREE: ("Usage", ""),
    ChargeKind.SUBSCRIPTION: ("Purchase", ""),
    ChargeKind.SUBSCRIPTION_REFUND: ("Purchase", "Correction"),
    ChargeKind.SUBSCRIPTION_ADJUSTMENT: ("Purchase", "Correction"),
    ChargeKind.REFUND: ("Usage", "Correction"),
    ChargeKind.ADJUSTMENT: ("Adjustment", ""),
    ChargeKind.ROUNDING: ("Adjustment", ""),
    ChargeKind.OTHER: ("Usage", ""),
}


def write_day(
    file: TextIO, key: DayKey, lines: pl.DataFrame, book: DimensionDictionary, products: Collection[str] | None
) -> None:
    """Write the lines of a day that are for these products (None: for all).

    What was contracted and what is effective is not known to us. Of bills of our provider both are what was billed, and so is
    the list cost where it is not told; of FOCUS files, which told it themselves, they are left empty: nothing is invented. Days
    are the provider's own, written without its offset from UTC, as it does itself.
    """
    csv.writer(file, lineterminator="\n").writerows(_rows(key, lines, book, products))


def _rows(
    key: DayKey, lines: pl.DataFrame, book: DimensionDictionary, products: Collection[str] | None
) -> Iterator[tuple[str, ...]]:
    shared = [_shared(key, traits) for traits in book.traits]
    for line_id, usage, list_cost, cost, number in lines.select(
        "line_id", "usage", "list_cost", "billed_cost", "traits"
    ).iter_rows():
        traits, told = book.traits[number], shared[number]
        if products is not None and traits.product not in products:
            continue
        billed = plain(cost)
        otherwise = "" if traits.kept else billed
        own = {
            "BilledCost": billed,
            "ContractedCost": otherwise,
            "EffectiveCost": otherwise,
            "ListCost": _amount(list_cost, otherwise),
            "PricingQuantity": _amount(usage, ""),
            "x_LineId": guarded(line_id),
        }
        yield tuple(own[column] if column in own else told[column] for column in COLUMNS)


def _shared(key: DayKey, traits: ChargeDimensions) -> dict[str, str]:
    is_ours = traits.product == MODEL_STUDIO
    service = "AI and Machine Learning" if is_ours else "Other"
    kept = traits.kept.split(SEPARATOR) if traits.kept else (*[_PROVIDER] * 3, service, *_CATEGORIES[traits.charge])
    provider, publisher, issuer, service, category, is_correction = kept
    told = dict.fromkeys(COLUMNS, "") | {
        "BillingAccountId": key.account,
        "BillingCurrency": traits.currency,
        "BillingPeriodStart": f"{key.period.first_day}T00:00:00Z",
        "BillingPeriodEnd": f"{key.period.after_last_day}T00:00:00Z",
        "ChargePeriodStart": f"{key.day}T00:00:00Z",
        "ChargePeriodEnd": f"{key.day.fromordinal(key.day.toordinal() + 1)}T00:00:00Z",
        "ChargeCategory": category,
        "ChargeClass": is_correction,
        "InvoiceIssuerName": issuer,
        "ProviderName": provider,
        "PublisherName": publisher,
        "ServiceCategory": service,
        "ServiceName": _MODEL_STUDIO if is_ours else traits.product,
        "SubAccountId": traits.owner,
        "PricingUnit": traits.unit,
        "Tags": traits.tags,
        "x_CommodityCode": traits.commodity,
        "x_BillingItemCode": traits.item,
        "x_InstanceID": traits.instance,
        "x_Workspace": traits.workspace,
        "x_ApiKeyId": traits.api_key,
        "x_Model": traits.model,
    }
    return {column: guarded(value) for column, value in told.items()}


def _amount(text: str, otherwise: str) -> str:
    try:
        return plain(parse_amount(text))
    except InvalidAmountError:
        return otherwise
