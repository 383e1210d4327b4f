"""What goes on and what stops when the balance is gone, as far as bills tell."""

from __future__ import annotations

import pytest

from spendwatch.domain.commodity import Cover, Exposure, covers_seen, exposure_of
from spendwatch.domain.statement import ChargeKind


@pytest.mark.parametrize(
    ("commodities", "has_free_lines", "expected"),
    [
        ([], False, ()),
        (["sfm_inference_public_cn"], False, ()),
        ([], True, (Cover.FREE_QUOTA,)),
        (["sfm_GenAI_spn_cn"], False, (Cover.SAVINGS_PLAN,)),
        (["sfm_codingplan_public_cn", "SFM_TokenPlan_x"], True, (Cover.FREE_QUOTA, Cover.CODING_PLAN, Cover.TOKEN_PLAN)),
    ],
)
def test_covers_are_expected_where_the_bills_give_reason(
    commodities: list[str], expected: tuple[Cover, ...], *, has_free_lines: bool
) -> None:
    assert covers_seen(commodities, has_free_lines=has_free_lines) == expected


def test_what_is_used_without_a_plan_stops_and_what_is_subscribed_cannot_be_renewed() -> None:
    charges = {
        ("sfm_inference_public_cn", ChargeKind.USAGE),
        ("sfm_inference_public_cn", ChargeKind.FREE),
        ("sfm_training_public_cn", ChargeKind.OTHER),
        ("sfm_codingplan_public_cn", ChargeKind.SUBSCRIPTION),
        ("sfm_tokenplanteams_dp_cn", ChargeKind.REFUND),
        ("sfm_GenAI_spn_cn", ChargeKind.USAGE),
        ("sfm_ptu_public_cn", ChargeKind.SUBSCRIPTION),
        ("", ChargeKind.USAGE),
    }
    assert exposure_of(charges) == Exposure(
        covers=(Cover.FREE_QUOTA, Cover.SAVINGS_PLAN, Cover.CODING_PLAN, Cover.TOKEN_PLAN),
        plans=("sfm_codingplan_public_cn", "sfm_ptu_public_cn", "sfm_tokenplanteams_dp_cn"),
        stops=("sfm_inference_public_cn", "sfm_training_public_cn"),
    )


def test_without_bills_nothing_is_known() -> None:
    assert exposure_of(frozenset()) == Exposure()
