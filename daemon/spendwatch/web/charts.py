"""Charts as SVG: pure functions of figures. Geometry is in floats; every figure that is read stands as text beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import accumulate, pairwise
from math import floor, log10
from typing import NamedTuple

from markupsafe import Markup

_WIDTH, _LEFT, _RIGHT = 640.0, 46.0, 8.0
_TOP, _MIDDLE, _SPLIT, _BOTTOM, _HEIGHT = 14.0, 176.0, 194.0, 262.0, 280.0
_FARTHEST = 3
"""A threshold that is more than so many times what is spent would flatten everything else."""
_GAP = 0.22
_SPARK_STEP, _SPARK_HEIGHT = 3, 22
_OVER = Decimal("1.25")
"""How much more than the budget a meter shows."""


class MonthChart(NamedTuple):
    """What a chart of a month shows."""

    title: str
    description: str
    days: int
    """Of the month."""
    daily: Sequence[Sequence[Decimal]]
    """What each known day cost, by category, from the first on."""
    levels: Sequence[tuple[str, Decimal]]
    """Lines at amounts: name, amount."""
    band: tuple[Decimal, Decimal, Decimal] | None
    """The forecast of the end: low, likely, high."""

    def svg(self, name: str) -> Markup:
        """Return the cumulative spend with levels and forecast over the bars of the days; `name` tells it from others."""
        totals = list(accumulate(sum(map(float, parts)) for parts in self.daily))
        spent = totals[-1] if totals else 0.0
        most = max(spent, *(map(float, self.band) if self.band else ()), *totals, 0.01)
        levels = [(label, float(amount)) for label, amount in self.levels if float(amount) <= most * _FARTHEST]
        upper = _Scale.of(max(most, *(amount for _, amount in levels), 0.0), _TOP, _MIDDLE)
        parts = [*self._axes(upper), *self._levels(levels, upper), *self._bars()]
        if self.band and totals and len(totals) < self.days:
            parts += self._forecast(spent, upper)
        if totals:
            begin = (self._x(0), upper.y(0))
            points = [begin, *((self._x(day), upper.y(total)) for day, total in enumerate(totals, 1))]
            parts.append(_tag("polyline", "line", points=_points(points)))
        form = Markup(
            '<svg class="chart" viewBox="0 0 {:.0f} {:.0f}" role="img" aria-labelledby="{name}-title {name}-text">'
            '<title id="{name}-title">{title}</title><desc id="{name}-text">{text}</desc>{parts}</svg>'
        )
        inner = Markup("").join(parts)
        return form.format(_WIDTH, _HEIGHT, name=name, title=self.title, text=self.description, parts=inner)

    def _x(self, day: float) -> float:
        return _LEFT + day * (_WIDTH - _LEFT - _RIGHT) / self.days

    def _axes(self, upper: _Scale) -> Iterable[Markup]:
        for tick in upper.ticks():
            y = upper.y(tick)
            yield _tag("line", "grid", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y)
            yield _text(short(tick), _LEFT - 6, y + 4, "end")
        for day in (1, 5, 10, 15, 20, 25, self.days):
            yield _text(str(day), self._x(day - 0.5), _HEIGHT - 4, "middle")

    def _levels(self, levels: Iterable[tuple[str, float]], upper: _Scale) -> Iterable[Markup]:
        for label, amount in levels:
            y = upper.y(amount)
            yield _tag("line", "level", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y)
            yield _text(label, _LEFT + 4, y - 3, "start")

    def _bars(self) -> Iterable[Markup]:
        sums = (sum(float(part) for part in parts if part > 0) for parts in self.daily)
        lower = _Scale.of(max(sums, default=0.0), _SPLIT, _BOTTOM)
        yield _text(short(lower.end), _LEFT - 6, _SPLIT + 4, "end")
        width = self._x(1) - self._x(0)
        for day, parts in enumerate(self.daily):
            base = 0.0
            for number, part in enumerate(parts):
                if part > 0:
                    y, end = lower.y(base + float(part)), lower.y(base)
                    place = {"x": self._x(day) + width * _GAP / 2, "y": y, "width": width * (1 - _GAP), "height": end - y}
                    yield _tag("rect", f"category c{number}", **place)
                    base += float(part)

    def _forecast(self, spent: float, upper: _Scale) -> Iterable[Markup]:
        low, likely, high = map(float, self.band or ())
        start, end = (self._x(len(self.daily)), upper.y(spent)), self._x(self.days)
        yield _tag("polygon", "band", points=_points([start, (end, upper.y(high)), (end, upper.y(low))]))
        yield _tag("polyline", "likely", points=_points([start, (end, upper.y(likely))]))


class _Scale(NamedTuple):
    """Where amounts are on the page."""

    end: float
    step: float
    top: float
    bottom: float

    @classmethod
    def of(cls, most: float, top: float, bottom: float) -> _Scale:
        """Return a scale with a few round ticks that ends above that."""
        most = max(most, 0.01)
        power = 10.0 ** floor(log10(most))
        step = next(power * part for part in (0.2, 0.5, 1.0, 2.0, 5.0, 10.0) if most / (power * part) <= 4)  # noqa: PLR2004 -- as said
        return cls(step * (floor(most / step) + 1), step, top, bottom)

    def ticks(self) -> Iterable[float]:
        """Yield what stands at the axis."""
        return (self.step * number for number in range(round(self.end / self.step) + 1))

    def y(self, amount: float) -> float:
        """Return how far down an amount is."""
        return self.bottom - min(max(amount, 0.0), self.end) / self.end * (self.bottom - self.top)


def sparkline(daily: Sequence[Decimal]) -> Markup:
    """Return the last days as a small line without any text, in whole steps: the figures stand beside it."""
    most = max(map(float, daily), default=0.0) or 1.0
    heights = [round((1 - max(float(one), 0.0) / most) * _SPARK_HEIGHT) for one in daily] or [0]
    steps = " ".join(f"{_SPARK_STEP} {after - before}" for before, after in pairwise(heights))
    form = Markup('<svg class="spark" viewBox="-1 -1 98 24" aria-hidden="true"><path d="m0 {} {}"/></svg>')
    return form.format(heights[0], steps)


def meter(share: Decimal | None, state: str) -> Markup:
    """Return a share as a bar that shows a quarter more than the whole; the style has a mark where the whole is."""
    return Markup("") if share is None else share_bar(share / _OVER, f"meter {state}")


def share_bar(share: Decimal | None, kind: str = "share") -> Markup:
    """Return a part of a whole as a bar."""
    form = Markup(
        '<svg class="{}" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"><path d="M0 0h{:.4g}v8H0"/></svg>'
    )
    return form.format(kind, min(max(float(share or 0), 0.0), 1.0) * 100)


def short(amount: float) -> str:
    """Return a round amount for an axis: 60k, 1.5M."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if amount >= unit:
            return f"{amount / unit:g}{name}"
    return f"{amount:g}"


def _tag(tag: str, kind: str, **attributes: float | str) -> Markup:
    written = Markup("").join(
        Markup(' {}="{}"').format(name, one if isinstance(one, str) else f"{one:.1f}".removesuffix(".0"))
        for name, one in attributes.items()
    )
    return Markup('<{} class="{}"{}/>').format(Markup(tag), kind, written)  # noqa: S704 -- a name of ours


def _text(text: str, x: float, y: float, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, text)


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
