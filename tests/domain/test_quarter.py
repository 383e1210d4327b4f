"""The goals of alerts that people trust, over a simulated quarter: nothing twice, nothing missed, next to nothing false."""

from __future__ import annotations

import pytest

from simulated_quarter import CHARACTERS, Score, replay_all, total

SEEDS = range(2000, 2003)


@pytest.fixture(scope="module")
def scores() -> dict[str, tuple[Score, Score]]:
    return dict(replay_all(SEEDS))


@pytest.fixture(scope="module")
def ours(scores: dict[str, tuple[Score, Score]]) -> Score:
    return total(one for one, _ in scores.values())


def test_nothing_is_reported_twice_and_no_threshold_is_missed(ours: Score) -> None:
    assert (ours.workspaces, ours.duplicates, ours.missed) == (len(CHARACTERS) * len(SEEDS), 0, 0)
    assert ours.thresholds > 100


def test_forecast_alarms_are_rarely_false_and_come_in_time(ours: Score, scores: dict[str, tuple[Score, Score]]) -> None:
    naive = total(one for _, one in scores.values())
    assert ours.false_forecasts <= ours.workspaces
    assert ours.false_forecasts < naive.false_forecasts
    assert ours.foreseen >= 0.8 * ours.overspent


def test_spikes_are_found_and_other_days_are_not_called_so(ours: Score, scores: dict[str, tuple[Score, Score]]) -> None:
    naive = total(one for _, one in scores.values())
    assert ours.spikes > 40
    assert ours.found >= 0.95 * ours.spikes
    assert ours.false_days <= 0.02 * ours.days
    assert (ours.found > naive.found, ours.false_days <= naive.false_days) == (True, True)


def test_nobody_gets_more_than_two_messages_a_week(scores: dict[str, tuple[Score, Score]]) -> None:
    assert all(one.messages <= 2 * 13 * one.workspaces for one, _ in scores.values())
