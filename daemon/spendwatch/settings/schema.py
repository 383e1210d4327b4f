"""The schema of the configuration files: closed, so that a misspelt key is a mistake."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from spendwatch.channels.config import ChannelConfig
from spendwatch.domain.commodity import MODEL_STUDIO
from spendwatch.domain.errors import printable
from spendwatch.domain.period import PeriodKind
from spendwatch.domain.policy import ChannelName, Page, Severity, Site, Threshold
from spendwatch.domain.scope import Counts, Dimension, portion_of
from spendwatch.fields import Brief, ByKey, Closed, Later, Zone, one_text, refuse
from spendwatch.settings.layers import MainLayers
from spendwatch.settings.value_types import (
    NO_LINK,
    AccountIdText,
    Budget,
    ChannelNames,
    CurrencyCode,
    DayOfMonth,
    EscalateAfter,
    Exceptional,
    ForEach,
    KeepDeliveries,
    KeepLines,
    KeepOriginals,
    Link,
    Name,
    Networks,
    Novelties,
    PartPattern,
    Pattern,
    PlaceText,
    Products,
    Remind,
    TagPattern,
    ThresholdText,
    Title,
    WholeDays,
    WorkspaceText,
    refuse_at,
    repeated,
)
from spendwatch.sources.config import SourceConfig
from spendwatch.sources.shared_settings import Switch

USUAL_THRESHOLDS = ("50%", "80%", "100%")


class MatchPart(Closed):
    """What a finer budget picks: every pattern must fit."""

    api_key: PartPattern | None = None
    model: Pattern | None = None
    channel: PartPattern | None = None
    type: Pattern | None = None
    item: Pattern | None = None
    owner: Pattern | None = None
    tag: dict[Title, TagPattern] = Field(default={})

    @model_validator(mode="after")
    def _picks_something(self) -> Self:
        if not self.model_fields_set - {"tag"} and not self.tag:
            refuse("matches nothing: give at least one of api_key, model, channel, type, item, owner, tag")
        return self


class ThresholdPart(Brief):
    """A threshold with channels of its own, like `{at: 80%, channels: [ops]}`; without any it is written as `80%` alone."""

    alone = "at"
    at: ThresholdText
    channels: ChannelNames | None = None
    actions: ChannelNames | None = None

    @property
    def threshold(self) -> Threshold:
        """The threshold that it means."""
        channels, actions = (tuple(map(ChannelName, names or ())) for names in (self.channels, self.actions))
        return replace(self.at, channels=channels, actions=actions)


def _once_each(parts: list[ThresholdPart]) -> list[ThresholdPart]:
    if twice := repeated(part.at.label for part in parts):
        refuse(f"{twice} is listed twice")
    return parts


def _share(part: ThresholdPart) -> ThresholdPart:
    if part.at.share is None:
        refuse(f"must be a share like 80%, not the amount {part.at.label}: amounts stand beside the budget they belong to")
    return part


Thresholds = Annotated[list[ThresholdPart], AfterValidator(_once_each)]
ShareThresholds = Annotated[list[Annotated[ThresholdPart, AfterValidator(_share)]], AfterValidator(_once_each)]


class SpikePart(Brief):
    """A day that costs far more than usual: `{min: 50.00}`, or `50.00` alone."""

    alone = "min"
    min: Budget


class ShortBudgetPart(Brief):
    """A budget for each day or each week; without any other key it is written as the amount alone."""

    alone = "budget"
    budget: Budget | None = None
    thresholds: Thresholds | None = None
    counts: Counts | None = None
    channels: ChannelNames | None = None
    actions: ChannelNames | None = None

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        _require_budget(self.budget, self.thresholds)
        for one in (part.at for part in self.thresholds or () if part.at.is_forecast):
            refuse_at("thresholds", f"{one.label} can never be reached: there are forecasts of months only")
        if self.budget is None and not self.thresholds:
            refuse("watches nothing: add a budget, or thresholds that are amounts")
        return self


class AmountPart(Brief):
    """An amount that some spend is reported above: `{over: 50.00}`, or `50.00` alone."""

    alone = "over"
    over: Budget
    channels: ChannelNames | None = None


class PeriodAmountPart(AmountPart):
    """The same for each month, or for each day or week."""

    per: PeriodKind = PeriodKind.MONTH


class _Budgeted(Closed):
    budget: Budget | None = None
    thresholds: Thresholds | None = None
    counts: Counts = Counts.ALL
    actions: ChannelNames | None = None
    spike: Annotated[SpikePart, Later()] | None = None
    daily: Annotated[ShortBudgetPart, Later()] | None = None
    weekly: Annotated[ShortBudgetPart, Later()] | None = None

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        _require_budget(self.budget, self.thresholds)
        for one in (part.at for part in self.thresholds or ()):
            if one.is_forecast and self.counts is Counts.SUBSCRIPTION:
                refuse_at("thresholds", f"{one.label} can never be reached: there is no forecast of subscriptions")
        if self.spike is not None and self.counts is Counts.SUBSCRIPTION:
            refuse_at("spike", "no day can be reported: an order of a subscription is no spike")
        return self


def _require_budget(budget: Decimal | None, thresholds: list[ThresholdPart] | None) -> None:
    for one in (part.at for part in thresholds or ()):
        if one.share is not None and budget is None:
            refuse_at("thresholds", f"{one.label} is a share of a budget, and there is no budget")


class BudgetPart(_Budgeted):
    """A finer budget within an account or a workspace."""

    name: Title
    match: Annotated[MatchPart, Later()] | None = None
    channels: ChannelNames | None = None
    for_each: ForEach | None = None
    exceptions: dict[Pattern, Exceptional] = Field(default={})

    @model_validator(mode="after")
    def _watches_something(self) -> Self:
        if self.match is None and self.for_each is None:
            refuse_at("match", "is missing")
        if self.exceptions and self.for_each is None:
            refuse_at("exceptions", "there are exceptions only with for_each")
        others = (self.thresholds, self.spike, self.daily, self.weekly)
        if self.budget is None and not any(others):
            refuse("watches nothing: add a budget, or thresholds that are amounts")
        return self


_PARTS = "spendwatch.settings.optional_parts"
if TYPE_CHECKING:
    from spendwatch.settings.optional_parts import BalancePart, HeartbeatPart
    from spendwatch.settings.web_settings import WebPart
else:
    kinds = {"manual": "ManualBalancePart", "file": "FileBalancePart", "url": "UrlBalancePart", "api": "ApiBalancePart"}
    BalancePart = Annotated[object, ByKey("from", {kind: f"{_PARTS}:{name}" for kind, name in kinds.items()})]
    HeartbeatPart = Annotated[object, Later(f"{_PARTS}:HeartbeatPart")]
    WebPart = Annotated[object, Later("spendwatch.settings.web_settings:WebPart")]


class MonthClosedPart(Closed):
    """The final figures of each month: `true`, or a list of channels."""

    channels: ChannelNames | None = None


def _switched(value: object) -> object:
    if isinstance(value, list):
        return {"channels": value}
    if isinstance(value, dict):
        return value
    if (text := one_text(value)) not in {"true", "false"}:
        refuse(f"must be true, false or a list of channels, not {printable(text)}")
    return {} if text == "true" else None


MonthClosed = Annotated[
    MonthClosedPart | None, BeforeValidator(_switched, json_schema_input_type=bool | list[Name] | MonthClosedPart)
]


class EscalationPart(Closed):
    """Additional channels if an alert fires for that long and nobody acknowledges it."""

    after: EscalateAfter
    channels: ChannelNames
    severity: Severity = Severity.WARNING


class _Persistent(Closed):
    """What follows while an alert goes on."""

    remind: Remind | None = None
    escalate: Annotated[EscalationPart, Later()] | None = None


class _Watched(_Budgeted, _Persistent):
    budgets: list[Annotated[BudgetPart, Later()]] = Field(default=[])
    console_spend: Annotated[PeriodAmountPart, Later()] | None = None
    untagged_spend: dict[Title, Annotated[AmountPart, Later()]] = Field(default={})
    channels: ChannelNames | None = None
    month_closed: MonthClosed | None = None

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        if twice := repeated(part.name for part in self.budgets):
            refuse_at("budgets", f"two of them are named {printable(twice)}: their alerts would have the same name")
        if taken := next((part.name for part in self.budgets if portion_of(part.name)), None):
            refuse_at(
                "budgets",
                f"{printable(taken)} is reserved for console_spend, unassigned_spend or untagged_spend: choose another name",
            )
        return self


class FirstPart(Brief):
    """Which first costs are reported: `{of: [item, model], min: 1.00}`; without `min` the list alone is enough."""

    alone = "of"
    of: Novelties
    least: Budget | None = Field(default=None, alias="min")


class AccountPart(_Watched):
    """Who pays."""

    id: AccountIdText
    site: Site
    currency: CurrencyCode
    balance: BalancePart | None = None
    first: Annotated[FirstPart, Later()] | None = None
    unassigned_spend: Annotated[PeriodAmountPart, Later()] | None = None
    free_quota: Switch = False
    plans: WholeDays | None = None


class OperatorsPart(_Persistent, Brief):
    """Who is notified of failures, like `{channels: [ops], remind: 12h}`; without more it is written as `[ops]` alone."""

    alone = "channels"
    channels: ChannelNames | None = None


class DefaultsPart(_Persistent):
    """What holds where an account, a workspace or the operators say nothing themselves."""

    thresholds: ShareThresholds = Field(default_factory=lambda: list(USUAL_THRESHOLDS), validate_default=True)
    channels: ChannelNames | None = None


class RetentionPart(Closed):
    """How long things are kept; without a value, bills without limit."""

    originals: KeepOriginals | None = None
    lines: KeepLines | None = None
    deliveries: KeepDeliveries = timedelta(days=400)


class NamesPart(Closed):
    """What people call the ids of bills."""

    api_keys: dict[Title, Title] = Field(default={})
    workspaces: dict[WorkspaceText, Title] = Field(default={})


class ChinaLinks(Closed):
    """Pages of the China site's console, as the provider's help pages link to them."""

    bill_details: Link = "https://usercenter2.aliyun.com/finance/expense-report/expense-detail"
    recharge: Link = "https://billing-cost.console.aliyun.com/fortune/fund-management/recharge"
    api_keys: Link = "https://bailian.console.aliyun.com/?tab=model#/api-key"


class InternationalLinks(Closed):
    """Pages of the international site's console, as the provider's help pages link to them."""

    bill_details: Link = "https://billing-cost.console.alibabacloud.com/finance/expense-report/expense-detail-by-instance"
    recharge: Link = "https://billing-cost.console.alibabacloud.com/fortune/billing-account"
    api_keys: Link = "https://modelstudio.console.alibabacloud.com/?tab=dashboard#/api-key"


class LinksPart(Closed):
    """What messages link to, by the site of the account; `off` in place of all or of one means no link."""

    cn: ChinaLinks = Field(default_factory=ChinaLinks)
    intl: InternationalLinks = Field(default_factory=InternationalLinks)


def _links(value: object) -> object:
    return (
        {site.value: {page.value: NO_LINK for page in Page if page is not Page.ALERT} for site in Site}
        if value == NO_LINK
        else value
    )


class WorkspaceFile(_Watched):
    """`workspaces/*.yaml`: what one workspace may spend."""

    workspace: WorkspaceText
    name: Title | None = None
    owner: Title | None = None
    account: Name | None = None

    @model_validator(mode="after")
    def _is_one_workspace(self) -> Self:
        for number, part in enumerate(self.budgets):
            if part.for_each == Dimension.WORKSPACE:
                refuse_at("budgets", number, "for_each", "a workspace's file watches one: for_each: workspace is for accounts")
        return self


class DaemonFile(BaseSettings):
    """`spendwatch.yaml`, and what the environment and secret files lay over it."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, defer_build=True)

    accounts: Annotated[dict[Name, AccountPart], Field(min_length=1)]
    time_zone: Zone = Field(default="Asia/Shanghai", validate_default=True)
    month_final_on: DayOfMonth = Field(default="4", validate_default=True)
    products: Products = [MODEL_STUDIO]
    state: PlaceText | None = None
    state_password_file: PlaceText | None = None
    spool: PlaceText | None = None
    allow_networks: Networks = []
    sources: dict[Name, SourceConfig]
    retention: Annotated[RetentionPart, Later()] = Field(default_factory=RetentionPart)
    defaults: DefaultsPart = Field(default_factory=DefaultsPart)
    names: Annotated[NamesPart, Later()] = Field(default_factory=NamesPart)
    links: Annotated[LinksPart, BeforeValidator(_links, json_schema_input_type=LinksPart | Literal["off"])] = Field(
        default_factory=LinksPart
    )
    channels: Annotated[dict[Name, ChannelConfig], Field(min_length=1)]
    operators: Annotated[OperatorsPart, Later()] = Field(default_factory=OperatorsPart)
    actions_on_late_figures: Switch = False
    web: WebPart | None = None
    heartbeat: HeartbeatPart | None = None

    def __init__(self, layers: MainLayers) -> None:
        """Validate what the layers say together."""
        values: dict[str, Any] = {"layers": layers}
        super().__init__(**values)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take our own layers, whose values know where they are written."""
        del env_settings, dotenv_settings, file_secret_settings
        layers: MainLayers = init_settings()["layers"]
        return layers.sources(settings_cls)
