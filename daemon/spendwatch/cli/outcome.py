"""The result of one bill file, as text and as JSON, and of a whole round."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import tzinfo
from pathlib import Path

import click

from spendwatch.cli.exits import Exit
from spendwatch.domain.count import counted
from spendwatch.domain.delivery import DeliveryState
from spendwatch.domain.errors import ReaderFailedError, UnreadableBillError
from spendwatch.domain.health import BalanceHealth, SourceHealth
from spendwatch.domain.statement import BillFile, Receipt, SourceName
from spendwatch.exact_json import json_fields
from spendwatch.jobs.collect import IngestContext, IngestResult, enter, refusal_text
from spendwatch.jobs.deliver import Settled
from spendwatch.settings import Settings
from spendwatch.state import Store
from spendwatch.views.listings import statement_json

IMPORTED = SourceName("import")
"""The source of files that were named on the command line."""


def result_text(one: IngestResult) -> str:
    """Return what became of a file: on one line, with the refusals or remarks below it."""
    if one.refused:
        return refusal_text(one.file, one.refused)
    if not one.receipt:
        return f"{one.file.name}: {one.failed}" if one.failed else f"{one.file.name}: empty, ignored"
    return "\n".join((_summary(one.file.name, one.receipt), *(f"  note: {remark}" for remark in one.receipt.remarks)))


def result_json(one: IngestResult, zone: tzinfo) -> dict[str, object]:
    """Return all that is known of it, times in that zone."""
    if one.receipt:
        return _receipt_json(one.file.name, one.receipt, zone)
    if not one.refused:
        return {"file": one.file.name, "state": "failed" if one.failed else "empty", "why": one.failed}
    refusals = [json_fields(each, "line", "column", "value", "reason", "accepts") for each in one.refused.refusals]
    found = {"file": one.file.name, "state": "refused", "why": str(one.refused)}
    return found | {"sha256": one.refused.digest or None, "refusals": refusals}


def code_of(results: Sequence[IngestResult]) -> Exit:
    """Return how a command ends for which these were all."""
    if any(one.refused for one in results):
        return Exit.BILL
    return Exit.TRY_AGAIN if any(one.failed for one in results) else Exit.DONE


def attempted(desk: IngestContext, path: Path, *, source: SourceName = IMPORTED) -> IngestResult:
    """Enter one file as that source's; it stays where it is."""
    file = BillFile(path.name, path, path.stat().st_size, source, desk.clock())
    if not file.size:
        return IngestResult(file)
    try:
        return IngestResult(file, receipt=enter(file, desk))
    except UnreadableBillError as error:
        return IngestResult(file, refused=error)
    except ReaderFailedError as error:
        return IngestResult(file, failed=str(error))


def waiting_text(count: int) -> str:
    """Return a line about notifications that were just put into the outbox."""
    wait = "waits" if count == 1 else "wait"
    return f"{counted(count, 'notification')} {wait} in the outbox: the daemon or `spendwatch once` sends them."


def say_outside(settings: Settings, store: Store, taken: list[IngestResult]) -> None:
    """Say what the bills of this round charge for products that are not watched."""
    from spendwatch.cli.totals import outside_of, outside_text  # noqa: PLC0415 -- tables cost the daemon memory

    receipts = (one.receipt for one in taken if one.receipt and not one.receipt.repeated)
    months = {period for receipt in receipts for period in receipt.statement.periods}
    if outside := outside_of(store.ledger, settings.policies.products, months):
        click.echo(outside_text(settings.policies.products, outside), file=sys.stderr)


def exit_code(
    taken: list[IngestResult], settled: list[Settled], failing: list[SourceHealth], unread: list[BalanceHealth]
) -> Exit:
    """Return how a round ended; `failing`: the sources that could not be looked at; `unread`: the balances."""
    if any(one.refused for one in taken):
        return Exit.BILL
    settled = [one for one in settled if one.delivery.state is not DeliveryState.CANCELLED]  # a later message speaks for it
    if any(one.why and one.final for one in settled):
        return Exit.REFUSED
    causes = [*(source.cause for source in failing), *(balance.cause for balance in unread)]
    if any(cause and cause.is_about_credentials for cause in causes):
        return Exit.CREDENTIALS
    if any(cause and cause.is_refusal for cause in causes):
        return Exit.REFUSED
    if any(one.failed for one in taken) or any(one.why for one in settled) or failing or unread:
        return Exit.TRY_AGAIN
    return Exit.DONE


def _summary(name: str, receipt: Receipt) -> str:
    statement = receipt.statement
    if receipt.repeated:
        return f"{name}: recorded before, nothing to do"
    months = ", ".join(period.label for period in statement.periods) or "no month"
    accounts = ", ".join(statement.accounts) or "no account"
    gone = f", {receipt.gone} gone" if receipt.gone else ""
    lines = counted(statement.lines, "line")
    return (
        f"{name}: {statement.layout} ({statement.kind.value}), account {accounts}, {months}, {lines}: "
        f"{receipt.new} new, {receipt.changed} changed, {receipt.same} same{gone}"
    )


def _receipt_json(name: str, receipt: Receipt, zone: tzinfo) -> dict[str, object]:
    return {
        "file": name,
        "state": "repeated" if receipt.repeated else "entered",
        **json_fields(receipt.statement, statement="identity", sha256="digest"),
        **statement_json(receipt.statement, zone),
        **json_fields(receipt, "new", "changed", "same", "gone", "remarks"),
    }
