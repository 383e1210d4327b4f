"""Damaged bill files by the thousand: each says what the oracle says, or is refused with a reason; nothing crashes or hangs."""

from __future__ import annotations

import os

import pytest

from fuzz import Figures, judged, taken, taken_together
from mischief import damaged

EVERYDAY = 20_000
MANY = 1_000_000


@pytest.mark.parametrize("first", range(0, EVERYDAY, 2_000))
def test_a_damaged_file_is_refused_or_says_what_the_oracle_says(first: int) -> None:
    figures = taken(range(first, first + 2_000))
    print(figures)
    assert figures.equal > 500
    assert figures.refused > 500
    assert len(figures.reasons) > 40


@pytest.mark.long
@pytest.mark.parametrize("first", range(0, MANY, 50_000))
def test_a_million_damaged_files_are_refused_or_say_what_the_oracle_says(first: int) -> None:
    figures = Figures()
    for _, some in judged(first, 50_000, workers=os.cpu_count() or 1):
        figures.add(some)
    print(figures)
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
