"""How many of something there are, in English words."""

from __future__ import annotations

from spendwatch.domain.count import counted


def test_one_is_told_in_the_singular_and_everything_else_in_the_plural() -> None:
    assert [counted(number, "bill") for number in (0, 1, 2, 21)] == ["0 bills", "1 bill", "2 bills", "21 bills"]


def test_nouns_whose_plural_is_not_made_by_an_s_name_it() -> None:
    assert [counted(number, "delivery", "deliveries") for number in (1, 2)] == ["1 delivery", "2 deliveries"]
