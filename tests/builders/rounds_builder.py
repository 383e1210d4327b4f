"""Rounds over a real ledger, day by day: bills, readings of a balance, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from spendwatch.domain.balance_reading import BalanceReading, Origin
from spendwatch.domain.delivery import Reason, Route
from spendwatch.domain.money import Money
from spendwatch.domain.notification import Notification
from spendwatch.domain.period import BillingPeriod, PeriodClose
from spendwatch.domain.policy import (
    AccountPolicy,
    BalancePolicy,
    ChannelName,
    Policies,
    Site,
    WorkspacePolicy,
)
from spendwatch.domain.review import Verdict
from spendwatch.domain.statement import AccountId, DayKey, SourceName, SpendRow, Version
from spendwatch.jobs.assess import assess
from spendwatch.jobs.balances import manual_reading
from spendwatch.jobs.conditions import Surroundings, ways_now
from spendwatch.jobs.deliver import find_ways
from spendwatch.jobs.insight import Insight
from spendwatch.jobs.overview import Overview, look
from spendwatch.store.alert_book import AlertBook
from spendwatch.store.balance_book import BalanceBook
from spendwatch.store.database import Database
from spendwatch.store.health_book import HealthBook
from spendwatch.store.ledger import Ledger
from spendwatch.store.outbox import Outbox
from store_builders import ACME, CNY, Day, resolution, row, statement

ZONE = ZoneInfo("Asia/Shanghai")
FINANCE, OPS, BOSS = ChannelName("finance"), ChannelName("ops"), ChannelName("boss")
TARGETS = {FINANCE: ("finops@example.com",), OPS: ("",), BOSS: ("boss@example.com",)}
FIRST = date(2026, 9, 1)


def cny(amount: str | int) -> Money:
    """Return an amount."""
    return Money(Decimal(amount), CNY)


class Listening(AlertBook):
    """The alert book; keeps what is said, and breaks down when told to."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.said: list[Notification] = []
        self.is_broken = False

    def commit(self, verdict: Verdict, targets: Mapping[ChannelName, Sequence[str]], *, now: datetime) -> int:
        if self.is_broken:
            msg = "the power is gone"
            raise RuntimeError(msg)
        self.said += verdict.notifications
        return super().commit(verdict, targets, now=now)


class Counting(Ledger):
    """The ledger; counts how often it was asked for the use of days."""

    usages = 0

    def usage(self, *arguments, **named):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN003, ANN201 -- hands everything through
        self.usages += 1
        return super().usage(*arguments, **named)


@dataclass
class Rounds:
    """An account, its bills and its balance, as one round after the other sees them."""

    database: Database
    balance: BalancePolicy | None = None
    workspaces: tuple[WorkspacePolicy, ...] = ()
    account: dict[str, object] = field(default_factory=dict)
    now: datetime = datetime(2026, 9, 1, 2, 0, tzinfo=UTC)
    targets: Mapping[ChannelName, Sequence[str]] = field(default_factory=lambda: TARGETS)
    routes: Mapping[ChannelName, Route] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ledger, self.book = Counting(self.database), Listening(self.database)
        self.balances, self.health = BalanceBook(self.database), HealthBook(self.database)
        self.insight = Insight()
        self._numbers = 0
        self.wanted(self.balance, *self.workspaces)

    def wanted(self, balance: BalancePolicy | None, *workspaces: WorkspacePolicy) -> None:
        """Change the configuration."""
        account = AccountPolicy(ACME, "acme", Site.CN, CNY, channels=(FINANCE,), balance=balance)
        self.policies = Policies(
            accounts=(replace(account, **self.account),),  # type: ignore[arg-type]  # a builder takes any field
            workspaces=workspaces,
            operators=(OPS,),
            products=("sfm",),
            month_final_on=4,
        )

    def bill(
        self,
        day: date,
        *rows: SpendRow | str,
        until: datetime | None = None,
        told: str = "",
        account: AccountId = ACME,
        closing: PeriodClose | None = None,
        series: str = "v2",
    ) -> None:
        """Put the bill of a day on record: rows, or amounts of one workspace; `told`: how new it is."""
        lines = tuple(row(one) if isinstance(one, str) else one for one in rows)
        key = DayKey(account, BillingPeriod(day.year, day.month), series, day)
        self._numbers += 1
        end = until or datetime(day.year, day.month, day.day, tzinfo=ZONE) + timedelta(days=1)
        held = self.ledger.held([key.month])
        resolved = Day(key, lines, salt=f"{self._numbers} of {self.now}")
        version = Version(datetime.strptime(told, "%Y%m%d%H%M%S").replace(tzinfo=ZONE) if told else end)
        said = statement(f"bill {self._numbers} of {self.now}", [resolved], version, data_until=end)
        name, source = f"{day}.csv", SourceName("inbox")
        self.ledger.record(said, resolution([resolved]), name=name, source=source, held=held, now=self.now, closing=closing)

    def bills(self, days: Sequence[tuple[date, str]]) -> None:
        """Put one bill of several days of a month on record, an amount of one workspace for each."""
        month = BillingPeriod(days[0][0].year, days[0][0].month)
        keys = [DayKey(ACME, month, "v2", day) for day, _ in days]
        held, (last, _) = self.ledger.held([keys[0].month]), days[-1]
        self._numbers += 1
        contents = [Day(key, (row(amount),), salt=f"{key.day}") for key, (_, amount) in zip(keys, days, strict=True)]
        end = datetime(last.year, last.month, last.day, tzinfo=ZONE) + timedelta(days=1)
        said = statement(f"bill {self._numbers} of {self.now}", contents, Version(end), data_until=end)
        name = f"{month.label}.csv"
        self.ledger.record(said, resolution(contents), name=name, source=SourceName("inbox"), held=held, now=self.now)

    def read(self, available: str | int, *, cash: str | int | None = None, at: datetime | None = None, **terms: Money) -> None:
        """Put a reading of the provider's on record."""
        plain = BalanceReading(ACME, CNY, Origin.API, at or self.now, self.now, reported=cny(available))
        told: dict[str, Any] = {} if cash is None else {"cash": cny(cash), "credit": cny(0)}
        self.balances.record(replace(plain, **(told | terms)))

    def configured(self) -> None:
        """Note what is configured of the balance, as the daemon does."""
        policy = self.policies.accounts[0]
        reading = manual_reading(policy, policy.balance, self.now) if policy.balance else None
        assert reading
        self.balances.record(reading)

    def round(self, *, after: timedelta = timedelta()) -> list[Notification]:
        """Let time pass, assess once, and return what was said."""
        self.now += after
        before = len(self.book.said)
        around = self.around()
        assess(self.ledger, self.book, self.health, around, now=self.now, balances=self.balances, insight=self.insight)
        said = self.book.said[before:]
        for one in said:  # who gets a message is who would get it if it was sent once more
            assert one.reason is Reason.RESOLVED or set(one.channels) <= set(ways_now(one, around)), one
        return said

    def around(self) -> Surroundings:
        """Return what is judged beside the ledger."""
        undelivered = tuple(self.book.undelivered())
        return Surroundings(
            self.policies, ZONE, self.targets, {}, undelivered=undelivered, is_complete=True, routes=self.routes
        )

    def reload(self) -> int:
        """Let what waits go where the configuration says now; return how many deliveries are due that were not."""
        outbox = Outbox(self.database)
        return find_ways(outbox, self.book, self.health, self.around(), is_new=True, now=self.now)

    def deliver(self, *names: ChannelName) -> list[tuple[ChannelName, Reason, str]]:
        """Let what is due on these channels arrive; return what did."""
        outbox = Outbox(self.database)
        claimed = [one for name in names for one in outbox.claim(name, self.now, 100)]
        for one in claimed:
            outbox.settle(one.id, at=self.now)
        outbox.write_down()
        return [(one.channel, one.notification.reason, one.notification.id) for one in claimed]

    def overview(self) -> Overview:
        """Return what `status` shows."""
        return look(self.ledger, self.book, self.health, self.policies, {}, zone=ZONE, now=self.now, balances=self.balances)


def told(said: Sequence[Notification]) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """What was said, in short: the type, why, about which threshold, to whom."""
    return [(one.type, one.reason.value, one.facts.threshold, one.channels) for one in said]
