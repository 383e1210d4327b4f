"""Notifications as the daemon makes them, for tests of how they are worded and sent.

`python -m notices FOLDER` writes the golden texts anew; read every difference before keeping it.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from spendwatch.domain.alert import AlertId, AlertState, Rule
from spendwatch.domain.balance import Billed, Position
from spendwatch.domain.balance_reading import BalanceReading, Origin
from spendwatch.domain.balance_watch import TopUp
from spendwatch.domain.causes import NO_COURSE, Cause, Causes, Course, Main
from spendwatch.domain.commodity import NOTHING_TO_FEAR, Category, Cover, Exposure
from spendwatch.domain.delivery import Cadence, DeliveryId, DeliveryState, Held, HoldReason, NotificationId, Reason
from spendwatch.domain.discrepancy import Disagreement, Discrepancy
from spendwatch.domain.failure import Failure
from spendwatch.domain.forecast import Crossing, Forecast, Runway
from spendwatch.domain.money import Currency, Money
from spendwatch.domain.month_close import ClosedMonth, FinalFigure
from spendwatch.domain.notification import Delivery, Drill, Facts, Message, Notification
from spendwatch.domain.novelty import FirstCost
from spendwatch.domain.outstanding import SettledPeriod
from spendwatch.domain.period import BillingPeriod, PeriodKind
from spendwatch.domain.plans import PlanOrder
from spendwatch.domain.policy import AccountPolicy, ChannelName, Page, Part, Policies, Severity, Site, WorkspacePolicy
from spendwatch.domain.report import Report, ReportAccount, ReportLine
from spendwatch.domain.routing import digest_of
from spendwatch.domain.scope import BudgetScope, Counts, Dimension, NamedScope, Subject
from spendwatch.domain.spike import SpendOn, Spike
from spendwatch.domain.standing import Split
from spendwatch.domain.statement import AccountId, WorkspaceId
from spendwatch.jobs.sample_alert import samples
from spendwatch.letters.language import Language
from spendwatch.letters.wording import Wording

ZONE = ZoneInfo("Asia/Shanghai")
SINCE = datetime(2026, 9, 15, 2, 0, tzinfo=UTC)
NOW = datetime(2026, 9, 15, 2, 5, tzinfo=UTC)
UNTIL = datetime(2026, 9, 15, 1, 41, tzinfo=UTC)


def cny(amount: str) -> Money:
    return Money(Decimal(amount), Currency("CNY"))


def notice(
    rule: Rule,
    facts: Facts,
    *,
    reason: Reason = Reason.FIRED,
    severity: Severity = Severity.WARNING,
    since: datetime = SINCE,
) -> Notification:
    """Return a notification of that rule."""
    return Notification(
        id=NotificationId("0f1e2d3c4b5a69788796a5b4"),
        alert=AlertId("3f9c1e07b2d84a6655d1"),
        rule=rule,
        reason=reason,
        severity=severity,
        state=AlertState.RESOLVED if reason is Reason.RESOLVED else AlertState.FIRING,
        since=since,
        created_at=NOW,
        channels=(ChannelName("finance"),),
        facts=facts,
    )


def delivery(notification: Notification, target: str, rendered: bytes | None, *, maybe_repeated: bool = False) -> Delivery:
    """Return a copy on its way."""
    return Delivery(
        id=DeliveryId("d1"),
        notification=notification,
        channel=ChannelName("finance"),
        target=target,
        state=DeliveryState.ATTEMPTING,
        attempts=1,
        due_at=NOW,
        maybe_repeated=maybe_repeated,
        rendered=rendered,
    )


def model(name: str) -> Part:
    """Return a model as bills name it."""
    return Part(Dimension.MODEL, name)


def key(number: str, name: str = "") -> Part:
    """Return an API key as bills name it."""
    return Part(Dimension.API_KEY, number, name)


def charge(commodity: str, item: str = "") -> tuple[Part, ...]:
    """Return what names a charge that is of no model."""
    return (Part(Dimension.COMMODITY, commodity), *([Part(Dimension.ITEM, item)] if item else []))


def orders(*ordered: tuple[Category, str, str, str]) -> Causes:
    """Return subscriptions: category, commodity, amount, share."""
    rows = tuple(Cause(cny(amount), Decimal(share), charge(code), category) for category, code, amount, share in ordered)
    return Causes(rows, None, (), tuple(category for category, *_ in ordered))


def some_causes(text: str) -> Causes:
    """Return causes whose every name is that text."""
    parts = tuple(Part(dimension, text, text) for dimension in (Dimension.MODEL, Dimension.API_KEY, Dimension.WORKSPACE))
    return Causes((Cause(cny("5"), Decimal(1), parts, Category.INFERENCE, cny("1")),), main=(Main(parts[1], Decimal(1)),))


_CONSOLE = {
    Page.BILL_DETAILS: "https://usercenter2.aliyun.com/finance/expense-report/expense-detail",
    Page.RECHARGE: "https://billing-cost.console.aliyun.com/fortune/fund-management/recharge",
    Page.API_KEYS: "https://bailian.console.aliyun.com/?tab=model#/api-key",
}
OF_SPEND = tuple((page, _CONSOLE[page]) for page in (Page.BILL_DETAILS, Page.API_KEYS))
OF_BALANCE = tuple((page, _CONSOLE[page]) for page in (Page.RECHARGE, Page.BILL_DETAILS))
CHATBOT, PLAYGROUND = key("1200345", "chatbot"), Part(Dimension.CHANNEL, "bmp")
_ACME = AccountId("1000000000000001")
_LIKELY = Forecast(BillingPeriod(2026, 9), cny("1021.4"), cny("1180.1"), cny("1344.25"), cny("1502"), date(2026, 9, 13), 38)
_SPENT = Facts(
    scope=BudgetScope(_ACME, WorkspaceId("llm-demo0a1b2c3d4e")),
    account_name="acme",
    name="Research",
    period="2026-09",
    spend=cny("1021.4"),
    budget=cny("1200"),
    used=Decimal("0.8511"),
    threshold="80%",
    reached_at=cny("960"),
    next_threshold="100%",
    next_at=cny("1200"),
    earlier=cny("612.3"),
    earlier_at=datetime(2026, 9, 9, 1, 0, tzinfo=UTC),
    course=Course(
        Causes(
            (
                Cause(cny("391.2"), Decimal("0.693"), (model("qwen-max"), CHATBOT), Category.INFERENCE, cny("125")),
                Cause(cny("124"), Decimal("0.22"), (model("qwen-vl-输入"), key("1200777")), Category.INFERENCE, cny("105.1")),
                Cause(cny("40.2"), Decimal("0.071"), (CHATBOT, *charge("sfm_search_public_cn")), Category.WEB_SEARCH, cny("0")),
                Cause(cny("5"), Decimal("0.009"), (model("qwen3.6-plus"), PLAYGROUND), Category.INFERENCE, cny("3")),
            ),
            Cause(cny("4.004"), Decimal("0.007"), before=cny("2.5"), more=17),
            (Main(CHATBOT, Decimal("0.7643")), Main(model("qwen-max"), Decimal("0.6931"))),
            (Category.INFERENCE, Category.WEB_SEARCH),
        ),
        tuple(
            (date(2026, 9, 9 + day), cny(spent))
            for day, spent in enumerate(("41.3", "38", "0", "-2.5", "61.75", "120.1", "96.45"))
        ),
    ),
    data_until=UNTIL,
)
_BALANCE = Position(
    BalanceReading(_ACME, Currency("CNY"), Origin.MANUAL, UNTIL, UNTIL, cash=cny("1000"), credit=cny("500")),
    Billed(cny("590.332385"), cny("120.5"), cny("0"), UNTIL),
    is_dated=False,
)


def _but(balance: Position, **terms: object) -> Position:
    """Return the balance with other terms of its reading."""
    return replace(balance, reading=replace(balance.reading, **terms))  # type: ignore[arg-type]  # a builder takes any field


_ACCOUNT = Facts(scope=BudgetScope(_ACME), account_name="acme", name="acme", balance=_BALANCE, data_until=UNTIL)
_SPENDS = Course(
    Causes(
        (
            Cause(
                cny("350.4"),
                Decimal("0.72"),
                (model("qwen-max"), CHATBOT, Part(Dimension.WORKSPACE, "llm-demo0a1b2c3d4e", "Research")),
                Category.INFERENCE,
                cny("125"),
            ),
            Cause(cny("96"), Decimal("0.197"), charge("sfm_training_public_cn", "training_unit"), Category.TRAINING, cny("0")),
            Cause(cny("40"), Decimal("0.083"), charge("oss", "storage"), None, cny("40")),
        ),
        None,
        (Main(CHATBOT, Decimal("0.7203")),),
        (Category.INFERENCE, Category.TRAINING),
    )
)
_LOW = replace(
    _ACCOUNT,
    course=_SPENDS,
    floor=cny("1000"),
    threshold="1000",
    also=("2000",),
    used_on=((Category.INFERENCE, date(2026, 9, 15)), (Category.TRAINING, date(2026, 9, 13))),
)
_OVERDUE = replace(
    _ACCOUNT,
    balance=_but(
        _BALANCE,
        cash=cny("100"),
        unsettled_current=cny("590.332385"),
        unsettled_previous=cny("120.5"),
        reported=cny("-110.83"),
    ),
    exposure=Exposure((Cover.FREE_QUOTA, Cover.CODING_PLAN)),
)
_BEFORE_SETTLEMENT = Position(
    replace(_BALANCE.reading, cash=cny("300"), credit=cny("0"), as_of=datetime(2026, 9, 1, 2, 0, tzinfo=UTC)),
    replace(
        _BALANCE.billed,
        current=cny("60"),
        previous=cny("0"),
        settled=SettledPeriod(BillingPeriod(2026, 8), cny("290"), datetime(2026, 9, 4, 16, 0, tzinfo=UTC)),
    ),
)
_LATE_BILL = Discrepancy(
    Disagreement.FINAL_MONTH,
    _ACME,
    BillingPeriod(2026, 8),
    counted=cny("3312.04"),
    other=cny("3300"),
    file="1000000000000001_BillingItemDetail_202608.csv",
)
_LATE = Facts(
    scope=NamedScope(Subject.MONTH, "2026-08", _ACME),
    account_name="acme",
    name="acme",
    period="2026-08",
    spend=cny("3312.04"),
    discrepancy=_LATE_BILL,
    data_until=UNTIL,
)
_TWO_SERIES = Discrepancy(
    Disagreement.AMOUNTS,
    _ACME,
    BillingPeriod(2026, 9),
    counted=cny("170.332385"),
    other=cny("163.739476"),
    counts="consumedetailbillv2",
    series="focus",
    days=tuple(date(2026, 9, day) for day in range(1, 14)),
)
_DIFFERING = Facts(
    scope=NamedScope(Subject.SERIES, "focus", _ACME),
    account_name="acme",
    name="acme",
    period="2026-09",
    discrepancy=_TWO_SERIES,
    data_until=UNTIL,
)
_LACKING = replace(
    _DIFFERING,
    scope=NamedScope(Subject.SERIES, "consumedetailbillv2", _ACME),
    discrepancy=Discrepancy(
        Disagreement.DAYS,
        _ACME,
        BillingPeriod(2026, 9),
        counted=cny("135"),
        other=cny("72.05"),
        counts="billingitemdetail",
        series="consumedetailbillv2",
        days=tuple(date(2026, 9, day) for day in (10, 11, 12, 14)),
        lacking=cny("72.05"),
    ),
)
_RUNWAY = Runway(
    zero=Crossing(cny("0"), date(2026, 9, 15), soonest=date(2026, 9, 19), likely=date(2026, 9, 21), latest=date(2026, 9, 26)),
    floors=(
        Crossing(cny("1000"), date(2026, 9, 15), date(2026, 9, 15), date(2026, 9, 15), date(2026, 9, 15)),
        Crossing(cny("200"), date(2026, 9, 15), soonest=date(2026, 9, 18), likely=date(2026, 9, 19), latest=None),
    ),
    through=date(2026, 9, 13),
    days=38,
)
_LASTING = replace(
    _ACCOUNT,
    course=_SPENDS,
    threshold="7d",
    also=("14d",),
    runway=_RUNWAY,
    exposure=Exposure(
        (Cover.FREE_QUOTA, Cover.SAVINGS_PLAN),
        plans=("sfm_codingplan_public_cn",),
        stops=("sfm_inference_public_cn", "sfm_training_public_cn"),
    ),
)
_BY_API = Position(
    BalanceReading(
        _ACME,
        Currency("CNY"),
        Origin.API,
        as_of=datetime(2026, 9, 15, 1, 0, tzinfo=UTC),
        read_at=UNTIL,
        cash=cny("10000"),
        credit=cny("5000"),
        unsettled_current=cny("3000"),
        unsettled_previous=cny("3000"),
        reported=cny("9200"),
        credit_refund=cny("200"),
    ),
    Billed(cny("0"), cny("0"), cny("0"), UNTIL),
)
_REPORTED = replace(
    _but(
        _BY_API,
        as_of=datetime(2026, 9, 13, 1, 0, tzinfo=UTC),
        cash=cny("1245.65"),
        credit=cny("0"),
        unsettled_current=None,
        unsettled_previous=None,
        reported=cny("645.65"),
        credit_refund=None,
    ),
    billed=replace(_BY_API.billed, since=cny("40.5")),
    is_stale=True,
)
_TOP_UP = TopUp(cny("5000"), datetime(2026, 9, 15, 2, 4, tzinfo=UTC))
_INBOX = Facts(
    scope=NamedScope(Subject.SOURCE, "inbox"),
    name="inbox",
    detail="1 d 2 h",
    last_bill_at=datetime(2026, 9, 14, 0, 5, tzinfo=UTC),
    data_until=UNTIL,
)

_SEARCH = FirstCost(
    Part(Dimension.ITEM, "enable_search"),
    date(2026, 9, 14),
    cny("3.2"),
    (CHATBOT, Part(Dimension.WORKSPACE, "llm-demo0a1b2c3d4e", "Research")),
    Category.WEB_SEARCH,
)
_MANY_NEW = (
    _SEARCH,
    replace(_SEARCH, part=Part(Dimension.COMMODITY, "sfm_websearch_public_cn")),
    FirstCost(model("wan2.5-t2v"), date(2026, 9, 14), cny("41.07"), (key("1200777"),)),
    FirstCost(key("1200777"), date(2026, 9, 14), cny("41.07"), (model("wan2.5-t2v"),)),
    *(FirstCost(key(f"12007{number:02d}"), date(2026, 9, 13), cny("0.06")) for number in range(80, 90)),
)
_NEW = Facts(scope=BudgetScope(_ACME), account_name="acme", name="acme", firsts=(_SEARCH,), data_until=UNTIL, links=OF_SPEND)

_FINAL = (
    FinalFigure("acme", "account", cny("4812.3"), cny("5000"), cny("4020.11")),
    FinalFigure("Research", "workspace:llm-demo0a1b2c3d4e", cny("1021.40"), cny("1200"), cny("911.40")),
    FinalFigure("Training", "workspace:llm-demo5f6a7b8c9d", cny("3.1"), None, None),
)
_AUGUST = BillingPeriod(2026, 8)
_CLOSED = Facts(
    scope=BudgetScope(_ACME),
    account_name="acme",
    name="acme",
    period="2026-08",
    spend=cny("4812.3"),
    budget=cny("5000"),
    used=Decimal("0.9624"),
    closed=ClosedMonth(
        _FINAL,
        (
            Forecast(_AUGUST, cny("1500"), cny("4100"), cny("4955.2"), cny("5600"), date(2026, 8, 10), 41),
            Forecast(_AUGUST, cny("3000"), cny("4500"), cny("4700"), cny("5000"), date(2026, 8, 20), 42),
        ),
        (("2026-07", cny("4020.11"), cny("4023.50")),),
    ),
    data_until=UNTIL,
)
_UNUSUAL = Spike(
    date(2026, 9, 15),
    SpendOn("Research", "workspace:llm-demo0a1b2c3d4e", cny("412.80"), cny("90"), cny("130")),
    cny("50"),
    is_complete=True,
    also=(SpendOn("acme", "account", cny("612.80"), cny("240.5"), cny("350")),),
)
_SPIKE = Facts(
    scope=BudgetScope(_ACME, WorkspaceId("llm-demo0a1b2c3d4e")),
    account_name="acme",
    name="Research",
    owner="Li Wei",
    period="2026-09",
    spike=_UNUSUAL,
    course=replace(
        _SPENT.course,
        causes=Causes(
            (
                Cause(
                    cny("300"), Decimal("0.727"), (model("qwen-max"), key("1200345", "chatbot")), Category.INFERENCE, cny("20")
                ),
                Cause(cny("112.80"), Decimal("0.273"), (model("qwen-plus"), key("1200346")), Category.INFERENCE, cny("90")),
            ),
            main=(Main(key("1200345", "chatbot"), Decimal("0.727")),),
            categories=(Category.INFERENCE,),
        ),
    ),
    links=_SPENT.links,
    data_until=UNTIL,
)

_CODING = PlanOrder(
    Part(Dimension.COMMODITY, "sfm_codingplan_public_cn"), Category.CODING_PLAN, date(2026, 8, 18), "2026-09-18 00:00"
)
_ORDERS = (
    replace(_CODING, day=date(2026, 9, 15), ends="2026-10-18 00:00", spent=cny("200"), before=date(2026, 8, 18)),
    PlanOrder(Part(Dimension.COMMODITY, "sfm_GenAI_spn_cn"), Category.SAVINGS_PLAN, date(2026, 9, 15), "", cny("1000")),
    PlanOrder(Part(Dimension.COMMODITY, "sfm_new_public_cn"), Category.OTHER, date(2026, 9, 15), ""),
)
_ORDERED = replace(_NEW, firsts=(), plans=(_CODING,))


SAMPLES: dict[str, Notification] = {
    "threshold": notice(Rule.THRESHOLD_REACHED, replace(_SPENT, also=("50%", "600"))),
    "threshold-notice": notice(
        Rule.THRESHOLD_REACHED,
        replace(_SPENT, spend=cny("600"), used=Decimal("0.5"), threshold="50%", reached_at=cny("600"), earlier=None),
        severity=Severity.NOTICE,
    ),
    "threshold-first-days": notice(
        Rule.THRESHOLD_REACHED,
        replace(
            _SPENT,
            course=Course(
                Causes(
                    (Cause(cny("391.2"), Decimal(1), (model("qwen-max"),), Category.INFERENCE),),
                    None,
                    (),
                    (Category.INFERENCE,),
                ),
                _SPENT.course.daily[-2:],
            ),
            earlier=None,
        ),
    ),
    "day": notice(
        Rule.THRESHOLD_REACHED,
        replace(
            _SPENT,
            scope=BudgetScope(_ACME, WorkspaceId("llm-demo0a1b2c3d4e"), counts=Counts.PAY_AS_YOU_GO, per=PeriodKind.DAY),
            period="2026-09-14",
            spend=cny("220.5"),
            counts=Counts.PAY_AS_YOU_GO,
            budget=cny("200"),
            used=Decimal("1.1025"),
            threshold="100%",
            reached_at=cny("200"),
            next_threshold="",
            next_at=None,
            earlier=None,
        ),
        severity=Severity.CRITICAL,
    ),
    "day-corrected": notice(
        Rule.CORRECTED,
        replace(
            _SPENT,
            scope=BudgetScope(_ACME, WorkspaceId("llm-demo0a1b2c3d4e"), per=PeriodKind.DAY),
            period="2026-09-14",
            spend=cny("120.5"),
            budget=None,
            used=None,
            threshold="150",
            reached_at=cny("150"),
            earlier=cny("160"),
        ),
        severity=Severity.NOTICE,
    ),
    "threshold-overspent": notice(
        Rule.THRESHOLD_REACHED,
        replace(
            _SPENT,
            spend=cny("1402.1"),
            used=Decimal("1.1684"),
            threshold="100%",
            reached_at=cny("1200"),
            next_threshold="",
            next_at=None,
            foreign=(Money(Decimal("5.5"), Currency("USD")),),
            links=OF_SPEND,
        ),
        severity=Severity.CRITICAL,
    ),
    "threshold-subscribed": notice(
        Rule.THRESHOLD_REACHED,
        replace(
            _SPENT,
            split=Split(cny("521.4"), cny("500")),
            subscribed=orders(
                (Category.TOKEN_PLAN, "sfm_tokenplanteams_dp_cn", "320", "0.64"),
                (Category.PROVISIONED_THROUGHPUT, "sfm_ptu_public_cn", "180", "0.36"),
            ),
        ),
    ),
    "threshold-pay-as-you-go": notice(
        Rule.THRESHOLD_REACHED,
        replace(_SPENT, counts=Counts.PAY_AS_YOU_GO, split=Split(cny("1021.4"), cny("500"))),
    ),
    "threshold-subscription": notice(
        Rule.THRESHOLD_REACHED,
        replace(
            _SPENT,
            counts=Counts.SUBSCRIPTION,
            split=Split(cny("170.332385"), cny("1021.4")),
            subscribed=Causes(
                orders((Category.MODEL_UNITS, "sfm_modelunit_public_cn", "1100", "1.077")).rows,
                Cause(cny("-78.6"), Decimal("-0.077"), more=1),
                (),
                (Category.MODEL_UNITS,),
            ),
            budget=None,
            used=None,
            threshold="960",
            next_threshold="1200",
            course=NO_COURSE,
        ),
    ),
    "threshold-amount": notice(
        Rule.THRESHOLD_REACHED,
        replace(
            _SPENT, budget=None, used=None, threshold="900", reached_at=cny("900"), next_threshold="1500", next_at=cny("1500")
        ),
    ),
    "threshold-repeated": notice(
        Rule.THRESHOLD_REACHED, _SPENT, reason=Reason.REPEATED, since=datetime(2026, 9, 13, 2, tzinfo=UTC)
    ),
    "corrected": notice(
        Rule.CORRECTED,
        replace(_SPENT, spend=cny("912.06"), used=Decimal("0.76"), earlier=cny("1021.4"), earlier_at=SINCE),
        severity=Severity.NOTICE,
    ),
    "below-zero": notice(
        Rule.CORRECTED,
        replace(
            _SPENT,
            threshold="0",
            reached_at=cny("0"),
            also=(),
            spend=cny("-999960"),
            used=Decimal("-833.3"),
            earlier=None,
            earlier_at=None,
            course=Course(daily=_SPENT.course.daily),
        ),
        severity=Severity.NOTICE,
    ),
    "month-closed": notice(Rule.MONTH_CLOSED, _CLOSED, severity=Severity.NOTICE),
    "month-closed-early": notice(
        Rule.MONTH_CLOSED,
        replace(_CLOSED, budget=None, used=None, closed=ClosedMonth(_FINAL[:1], (), (), date(2026, 8, 29))),
        severity=Severity.NOTICE,
    ),
    "spike": notice(Rule.SPIKE, _SPIKE),
    "spike-so-far": notice(Rule.SPIKE, replace(_SPIKE, spike=replace(_UNUSUAL, is_complete=False, also=()))),
    "late": notice(Rule.LATE, _LATE),
    "late-refund": notice(
        Rule.LATE,
        replace(
            _LATE,
            spend=cny("-12.5"),
            discrepancy=replace(_LATE_BILL, counted=cny("-12.5"), other=cny("0"), file="账单 2026-08（退款）.csv"),
        ),
    ),
    "first-cost": notice(Rule.FIRST_COST, _NEW, severity=Severity.NOTICE),
    "first-costs": notice(Rule.FIRST_COST, replace(_NEW, firsts=_MANY_NEW), severity=Severity.NOTICE),
    "plan-ordered": notice(Rule.PLAN_ORDERED, replace(_ORDERED, plans=_ORDERS), severity=Severity.NOTICE),
    "plan-renewed": notice(
        Rule.PLAN_ENDS, replace(_ORDERED, plans=(replace(_CODING, renewed=date(2026, 9, 15)),)), reason=Reason.RESOLVED
    ),
    "plan-over": notice(Rule.PLAN_ENDS, _ORDERED, reason=Reason.RESOLVED),
    "lacking-days": notice(Rule.DIFFERING, _LACKING),
    "differing": notice(Rule.DIFFERING, _DIFFERING, severity=Severity.NOTICE),
    "differing-on-one-day": notice(
        Rule.DIFFERING,
        replace(_DIFFERING, discrepancy=replace(_TWO_SERIES, days=(date(2026, 9, 1),))),
        severity=Severity.NOTICE,
    ),
    "balance-low": notice(Rule.BALANCE_LOW, replace(_LOW, links=OF_BALANCE)),
    "balance-low-lasting": notice(
        Rule.BALANCE_LOW, replace(_LOW, also=("2000", "7d"), runway=_RUNWAY), severity=Severity.CRITICAL
    ),
    "threshold-used-up": notice(
        Rule.THRESHOLD_REACHED,
        replace(
            _SPENT, spend=cny("1200"), used=Decimal(1), threshold="100%", reached_at=cny("1200"), also=("80%", "forecast 100%")
        ),
        severity=Severity.CRITICAL,
    ),
    "foreign-only": notice(
        Rule.FOREIGN_CURRENCY,
        Facts(
            scope=BudgetScope(_ACME),
            account_name="acme",
            name="acme",
            period="2026-09",
            spend=cny("0"),
            foreign=(Money(Decimal("170.33"), Currency("USD")),),
            data_until=UNTIL,
        ),
    ),
    "balance-low-resolved": notice(
        Rule.BALANCE_LOW, replace(_LOW, balance=_but(_BALANCE, cash=cny("5000"))), reason=Reason.RESOLVED
    ),
    "overdue": notice(
        Rule.OVERDUE, replace(_OVERDUE, also=("1000",), course=_SPENDS, links=OF_BALANCE), severity=Severity.CRITICAL
    ),
    "overdue-repeated": notice(
        Rule.OVERDUE, replace(_OVERDUE, exposure=NOTHING_TO_FEAR), severity=Severity.CRITICAL, reason=Reason.REPEATED
    ),
    "overdue-resolved": notice(
        Rule.OVERDUE, replace(_OVERDUE, balance=_BALANCE), severity=Severity.CRITICAL, reason=Reason.RESOLVED
    ),
    "overdue-topped-up": notice(
        Rule.OVERDUE,
        replace(_OVERDUE, balance=_but(_BALANCE, cash=cny("5100")), top_up=_TOP_UP, also=("1000",)),
        severity=Severity.CRITICAL,
        reason=Reason.RESOLVED,
    ),
    "overdue-by-settlement": notice(
        Rule.OVERDUE,
        replace(_OVERDUE, balance=_BEFORE_SETTLEMENT, also=("100",), by_settlement=True),
        severity=Severity.CRITICAL,
        reason=Reason.RESOLVED,
    ),
    "balance-low-by-settlement": notice(
        Rule.BALANCE_LOW,
        replace(
            _LOW,
            balance=replace(_BEFORE_SETTLEMENT, billed=replace(_BEFORE_SETTLEMENT.billed, unseen=("oss", "ecs"))),
            floor=cny("100"),
            threshold="100",
            also=(),
            by_settlement=True,
        ),
        reason=Reason.RESOLVED,
    ),
    "overdue-plans": notice(
        Rule.OVERDUE,
        replace(
            _OVERDUE,
            subscribed=orders(
                (Category.TOKEN_PLAN, "sfm_tokenplanteams_dp_cn", "100", "0.667"),
                (Category.CODING_PLAN, "sfm_codingplan_public_cn", "50", "0.333"),
            ),
            balance=replace(
                _but(_BY_API, cash=cny("0"), credit=cny("5900"), reported=cny("100")),
                billed=replace(_BY_API.billed, ordered=cny("150")),
            ),
            exposure=Exposure(
                plans=("sfm_codingplan_public_cn", "sfm_tokenplanteams_dp_cn"), stops=("sfm_inference_public_cn",)
            ),
        ),
        severity=Severity.CRITICAL,
    ),
    "overdue-escalated": notice(
        Rule.OVERDUE,
        replace(_OVERDUE, escalated_after=timedelta(hours=4)),
        reason=Reason.ESCALATED,
        severity=Severity.CRITICAL,
    ),
    "balance-low-api": notice(Rule.BALANCE_LOW, replace(_LOW, balance=_BY_API, floor=cny("9100"), threshold="9100", also=())),
    "balance-low-old": notice(
        Rule.BALANCE_LOW, replace(_LOW, balance=_REPORTED, floor=cny("700"), threshold="700", also=(), runway=_RUNWAY)
    ),
    "runway": notice(Rule.RUNWAY, _LASTING),
    "runway-resolved": notice(
        Rule.RUNWAY, replace(_LASTING, balance=_but(_BALANCE, cash=cny("6000")), top_up=_TOP_UP), reason=Reason.RESOLVED
    ),
    "forecast": notice(
        Rule.FORECAST,
        replace(
            _SPENT,
            threshold="forecast 100%",
            reached_at=cny("1200"),
            also=("forecast 80%",),
            earlier=None,
            forecast=_LIKELY,
        ),
    ),
    "threshold-forecast": notice(
        Rule.THRESHOLD_REACHED,
        replace(
            _SPENT,
            forecast=_LIKELY,
        ),
    ),
    "balance-failing": notice(
        Rule.BALANCE_FAILING,
        replace(_ACCOUNT, balance=_REPORTED, detail="inbox/balance.json: line 3, cash: not a plain amount: '1e3'"),
    ),
    "balance-failing-never": notice(
        Rule.BALANCE_FAILING,
        replace(_ACCOUNT, balance=None, data_until=None, detail="the access key is not accepted (InvalidAccessKeyId.NotFound)"),
    ),
    "balance-failing-resolved": notice(Rule.BALANCE_FAILING, replace(_ACCOUNT, balance=_BY_API), reason=Reason.RESOLVED),
    "balance-differing": notice(
        Rule.BALANCE_DIFFERING, replace(_ACCOUNT, balance=_but(_BY_API, credit_refund=None, reported=cny("8700")))
    ),
    "balance-differing-resolved": notice(Rule.BALANCE_DIFFERING, replace(_ACCOUNT, balance=_BY_API), reason=Reason.RESOLVED),
    "balance-reseller": notice(
        Rule.BALANCE_LOW,
        replace(
            _LOW,
            also=(),
            balance=_but(
                _BY_API,
                cash=cny("0"),
                credit=cny("0"),
                reported=cny("640"),
                credit_refund=None,
                is_reseller_quota=True,
                quota=cny("5000"),
                quota_consumed=cny("4200"),
            ),
        ),
    ),
    "stale": notice(Rule.STALE, _INBOX),
    "stale-never": notice(Rule.STALE, replace(_INBOX, last_bill_at=None, data_until=None)),
    "stale-account": notice(
        Rule.STALE,
        replace(_INBOX, scope=BudgetScope(AccountId("5000000000000003")), account_name="global", name="global"),
    ),
    "stale-resolved": notice(Rule.STALE, _INBOX, reason=Reason.RESOLVED),
    "rejected": notice(
        Rule.REJECTED,
        replace(
            _INBOX,
            files=(
                ("2026-09 明细.csv", "line 12, column PretaxAmount: not a plain decimal with at most 10 decimals: '1e9'"),
                ("notes.pdf", "no bill layout fits"),
            ),
            folder="/etc/spendwatch/inbox/rejected",
            detail="",
        ),
    ),
    "endpoint-refuses-us": notice(
        Rule.SOURCE_FAILING,
        replace(
            _INBOX,
            scope=NamedScope(Subject.SOURCE, "api"),
            name="api",
            detail="DescribeInstanceBill: not permitted (NotAuthorized): it needs the RAM action bssapi:DescribeInstanceBill, "
            "or the policy AliyunBSSReadOnlyAccess",
            cause=Failure.PERMISSION,
            lags=True,
        ),
    ),
    "month-total": notice(
        Rule.DIFFERING,
        Facts(
            scope=NamedScope(Subject.SOURCE, "api", _ACME),
            account_name="acme",
            name="acme",
            period="2026-09",
            discrepancy=Discrepancy(
                Disagreement.TOTAL,
                _ACME,
                BillingPeriod(2026, 9),
                counted=cny("170.332385"),
                other=cny("190.25"),
                counts="describeinstancebill",
                series="month_total",
                source="api",
            ),
            data_until=UNTIL,
            lags=True,
        ),
        severity=Severity.NOTICE,
    ),
    "channel-gone": notice(
        Rule.CHANNEL_FAILING,
        Facts(
            scope=NamedScope(Subject.CHANNEL, "ops"),
            name="ops",
            detail="HTTP 410 (the receiver wants no further notifications)",
            gone=True,
            data_until=UNTIL,
        ),
    ),
    "test-of-nobody": notice(
        Rule.THRESHOLD_REACHED,
        replace(_SPENT, course=NO_COURSE, earlier=None, earlier_at=None, drill=Drill(Reason.REPEATED, "li on finance-1", ())),
        reason=Reason.TEST,
        severity=Severity.NOTICE,
    ),
}

_TABLE = samples(
    ChannelName("finance"),
    Policies(
        accounts=(AccountPolicy(_ACME, "acme", Site.CN, Currency("CNY"), budget=Decimal(5000)),),
        workspaces=(
            WorkspacePolicy(
                WorkspaceId("llm-demo0a1b2c3d4e"), "Research", budget=Decimal(1200), channels=(ChannelName("finance"),)
            ),
        ),
        operators=(ChannelName("finance"),),
        products=("sfm",),
        month_final_on=4,
        links={Site.CN: dict(OF_SPEND)},
    ),
    now=NOW,
    zone=ZONE,
)


def _of_table(name: str, *, is_test: bool = False) -> Notification:
    """Return one of the samples of `notify-test`, under the ids of those here."""
    one = replace(_TABLE[name], id=SAMPLES["threshold"].id, alert=SAMPLES["threshold"].alert)
    drill = Drill(one.reason, "li on finance-1", ("acme", "Research", "operators"))
    members = tuple(replace(member, alert=one.alert) for member in one.facts.members)
    one = replace(one, facts=replace(one.facts, members=members))
    return replace(one, reason=Reason.TEST, facts=replace(one.facts, drill=drill)) if is_test else one


SAMPLES |= {
    name: _of_table(of)
    for name, of in {
        "week": "weekly",
        "console": "console_spend",
        "unassigned-spend": "unassigned_spend",
        "untagged": "untagged_spend",
        "foreign": "foreign_currency",
        "free-quota-ended": "free_quota",
        "plan-ends": "plan_ends",
        "unassigned": "unassigned",
        "source-failing": "source_failing",
        "channel-failing": "channel_failing",
        "config-rejected": "config_rejected",
        "clock-wrong": "clock_wrong",
        "ledger-failing": "ledger_failing",
    }.items()
}
SAMPLES |= {f"test-{name}": _of_table(name, is_test=True) for name in ("overdue", "resolved", "digest", "report")}
SAMPLES["test"] = _of_table("threshold", is_test=True)


def _one_of_many(sample: str, number: int, **facts: Any) -> Message:  # noqa: ANN401 -- a builder takes any field
    """Return a sample as one of several messages for a channel."""
    one = SAMPLES[sample]
    return Message(
        replace(
            one,
            id=NotificationId(f"0f1e2d3c4b5a69788796a5{number:02}"),
            alert=AlertId(f"3f9c1e07b2d84a6655{number:02}"[::-1]),
            facts=replace(one.facts, **facts),
        )
    )


def _of_the_night(one: Message) -> Message:
    row = Held(one.said.id, ChannelName("finance"), SINCE, NOW, HoldReason.QUIET_HOURS)
    return Message(one.said, row)


_STORM = (
    _one_of_many("threshold", 1),
    _one_of_many("threshold-amount", 2, name="搜索团队"),
    _one_of_many("threshold-overspent", 3, name="Training"),
    _one_of_many("overdue", 4),
    _one_of_many("rejected", 5),
    _one_of_many("balance-low-resolved", 6),
    _one_of_many("corrected", 7, name="Evaluation of very many models against very many prompts, by the second team"),
)
_DIGEST = digest_of(ChannelName("finance"), _STORM, NOW)
_NIGHT = digest_of(ChannelName("finance"), [_of_the_night(one) for one in (_STORM[0], _STORM[4])], NOW)
_REPORT = Report(
    Cadence.MONTHLY,
    due=datetime(2026, 9, 5, 1, tzinfo=UTC),
    before="2026-07",
    is_final=True,
    accounts=(
        ReportAccount(
            _ACME,
            ReportLine("acme", cny("1621.4"), cny("1480"), cny("2000"), Decimal("0.8107")),
            (
                ReportLine("Research", cny("1021.4"), cny("980"), cny("1200"), Decimal("0.8511")),
                ReportLine("搜索团队", cny("512.3"), cny("500")),
                ReportLine("", cny("87.7")),
            ),
            more=2,
            available=cny("4789.17"),
            data_until=UNTIL,
            causes=_SPENT.course.causes,
        ),
        ReportAccount(
            AccountId("5000000000000003"),
            ReportLine("global", Money(Decimal("12.5"), Currency("USD")), Money(Decimal(0), Currency("USD"))),
            available=Money(Decimal("-3.2"), Currency("USD")),
            is_stale=True,
        ),
    ),
    csv="account,spend\r\n1000000000000001,1621.4\r\n",
)
_OF_REPORT = notice(
    Rule.REPORT,
    Facts(
        name="acme, global",
        period="2026-08",
        report=_REPORT,
        data_until=UNTIL,
        members=tuple(one.said for one in _STORM[:2]),
        more=3,
    ),
    reason=Reason.DIGEST,
    severity=Severity.NOTICE,
)
_DAILY_REPORT = replace(
    _REPORT,
    cadence=Cadence.DAILY,
    before="2026-08",
    is_final=False,
    accounts=tuple(replace(one, whole=replace(one.whole, expected=cny("3101"))) for one in _REPORT.accounts[:1]),
    csv="",
)
SAMPLES |= {
    "report-monthly": _OF_REPORT,
    "report-not-final": replace(
        _OF_REPORT, facts=replace(_OF_REPORT.facts, report=replace(_REPORT, is_final=False, accounts=_REPORT.accounts[1:]))
    ),
    "report-daily": replace(_OF_REPORT, facts=Facts(name="acme", period="2026-09", report=_DAILY_REPORT, data_until=UNTIL)),
    "digest": replace(_DIGEST, facts=replace(_DIGEST.facts, more=12)),
    "digest-of-the-night": _NIGHT,
    "held": replace(
        SAMPLES["threshold"],
        facts=replace(SAMPLES["threshold"].facts, held_since=SINCE, held_until=NOW, held_by=HoldReason.SILENCE),
    ),
}


def golden(notification: Notification, language: Language) -> str:
    """Return what a golden file holds: the subject and the plain text."""
    wording = Wording(language, ZONE)
    return f"Subject: {wording.subject(notification)}\n\n{wording.text(notification)}"


def main(folder: Path) -> None:
    """Write every golden text."""
    for name, notification in SAMPLES.items():
        for language in Language:
            (folder / f"{name}.{language.value}.txt").write_text(golden(notification, language), encoding="utf-8")
    html = Wording(Language.EN, ZONE).html(SAMPLES["threshold"])
    (folder / "threshold.en.html").write_text(html, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
