"""What became of one bill file that was named on the command line, as text and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spendwatch.app import App
from spendwatch.cli.exits import Exit
from spendwatch.domain.count import counted
from spendwatch.domain.errors import ReaderFailedError, UnreadableBillError
from spendwatch.domain.statement import BillFile, Receipt, SourceName
from spendwatch.jobs.collect import enter, refusal_text


@dataclass(frozen=True, slots=True)
class Outcome:
    """A receipt, or the reason why there is none."""

    file: BillFile
    receipt: Receipt | None = None
    refused: UnreadableBillError | None = None
    failed: str = ""

    @property
    def code(self) -> Exit:
        """How a command ends for which this was all."""
        if self.refused:
            return Exit.BILL
        return Exit.TRY_AGAIN if self.failed else Exit.DONE

    @property
    def text(self) -> str:
        """What happened: on one line, with the refusals or remarks below it."""
        if self.refused:
            return refusal_text(self.file, self.refused)
        if not self.receipt:
            return f"{self.file.name}: {self.failed}" if self.failed else f"{self.file.name}: empty, left alone"
        return "\n".join((_summary(self.file.name, self.receipt), *(f"  note: {one}" for one in self.receipt.remarks)))

    def json(self) -> dict[str, object]:
        """Return all that is known of it."""
        if self.receipt:
            return _receipt_json(self.file.name, self.receipt)
        if not self.refused:
            return {"file": self.file.name, "state": "failed" if self.failed else "empty", "why": self.failed}
        refusals = [
            {"line": one.line, "column": one.column, "value": one.value, "reason": one.reason, "accepts": one.accepts}
            for one in self.refused.refusals
        ]
        return {"file": self.file.name, "state": "refused", "sha256": self.refused.digest or None, "refusals": refusals}


IMPORTED = SourceName("import")
"""The source of files that were named on the command line."""


def attempted(app: App, path: Path, *, source: SourceName = IMPORTED) -> Outcome:
    """Enter one file as that source's; it stays where it is."""
    file = BillFile(path.name, path, path.stat().st_size, source, app.clock())
    if not file.size:
        return Outcome(file)
    try:
        return Outcome(file, receipt=enter(file, app.desk(source)))
    except UnreadableBillError as error:
        return Outcome(file, refused=error)
    except ReaderFailedError as error:
        return Outcome(file, failed=str(error))


def waiting_text(count: int) -> str:
    """Return what is said of notifications that were just put into the outbox."""
    wait = "waits" if count == 1 else "wait"
    return f"{counted(count, 'notification')} {wait} in the outbox: the daemon sends what is there, or `spendwatch once`."


def _summary(name: str, receipt: Receipt) -> str:
    statement = receipt.statement
    if receipt.repeated:
        return f"{name}: entered before, nothing to do"
    months = ", ".join(period.label for period in statement.periods) or "no month"
    accounts = ", ".join(statement.accounts) or "no account"
    gone = f", {receipt.gone} gone" if receipt.gone else ""
    lines = counted(statement.lines, "line")
    return (
        f"{name}: {statement.layout} ({statement.kind.value}), account {accounts}, {months}, {lines}: "
        f"{receipt.new} new, {receipt.changed} changed, {receipt.same} same{gone}"
    )


def _receipt_json(name: str, receipt: Receipt) -> dict[str, object]:
    statement = receipt.statement
    return {
        "file": name,
        "state": "repeated" if receipt.repeated else "entered",
        "statement": statement.identity,
        "sha256": statement.digest,
        "layout": statement.layout,
        "series": statement.series,
        "kind": statement.kind.value,
        "tax_basis": statement.tax_basis.value,
        "accounts": list(statement.accounts),
        "months": [period.label for period in statement.periods],
        "data_until": statement.data_until.isoformat() if statement.data_until else None,
        "exported_at": statement.exported_at.isoformat() if statement.exported_at else None,
        "lines": statement.lines,
        "new": receipt.new,
        "changed": receipt.changed,
        "same": receipt.same,
        "gone": receipt.gone,
        "remarks": list(receipt.remarks),
    }
