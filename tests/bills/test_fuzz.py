"""Damaged bill files by the thousand: each says what the oracle says, or is refused with a reason; nothing crashes or hangs."""

from __future__ import annotations

import os

import pytest

from damaged_bills import Figures, judged, taken_together
from mischief import damaged

EVERYDAY = 20_000
MANY = 1_000_000


def _judged(first: int, count: int) -> Figures:
    figures = Figures()
    for _, some in judged(first, count, workers=os.cpu_count() or 1):
        figures.add(some)
    print(figures)
    return figures


def test_damaged_files_are_refused_or_say_what_the_oracle_says() -> None:
    figures = _judged(0, EVERYDAY)
    assert figures.equal + figures.refused == EVERYDAY
    assert min(figures.equal, figures.refused) > EVERYDAY / 4
    assert len(figures.reasons) > 80


@pytest.mark.long
@pytest.mark.parametrize("first", range(0, MANY, 50_000))
def test_a_million_damaged_files_are_refused_or_say_what_the_oracle_says(first: int) -> None:
    figures = _judged(first, 50_000)
    assert figures.equal + figures.refused == 50_000


@pytest.mark.parametrize("first", [0, 20_000])
def test_what_is_taken_of_damaged_files_makes_one_truth_in_any_order(first: int) -> None:
    assert taken_together(range(first, first + 200), orders=2) > 40


@pytest.mark.long
@pytest.mark.parametrize("first", range(100_000, 110_000, 500))
def test_what_is_taken_of_many_damaged_files_makes_one_truth_in_any_order(first: int) -> None:
    assert taken_together(range(first, first + 500), orders=3) > 100


def test_the_same_seed_does_the_same_damage() -> None:
    assert all(damaged(seed) == damaged(seed) for seed in range(50))
