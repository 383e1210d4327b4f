from __future__ import annotations

import pytest

from spendwatch.domain.commodity import Category, category_of


@pytest.mark.parametrize(
    ("commodity", "item", "category"),
    [
        ("sfm_inference_public_cn", "token_number", Category.INFERENCE),
        ("sfm_inferenceHH_public_cn", "video_duration", Category.INFERENCE),
        ("sfm_inference_public_intl", "image_number", Category.INFERENCE),
        ("sfm_training_public_cn", "token_number", Category.TRAINING),
        ("sfm_deployment_public_cn", "", Category.DEPLOYMENT),
        ("sfm_GenAI_spn_cn", "sfm_spn_fee", Category.SAVINGS_PLAN),
        ("sfm_codingplan_public_cn", "", Category.CODING_PLAN),
        ("sfm_codingplan_public_intl", "", Category.CODING_PLAN),
        ("sfm_tokenplanteams_dp_cn", "plan_fee", Category.TOKEN_PLAN),
        ("sfm_tokenplanteams_dp_intl", "", Category.TOKEN_PLAN),
        ("sfm_tokenplanteamsaddon_dp_cn", "", Category.TOKEN_PLAN),
        ("sfm_tokenplanteamsaddon_dp_intl", "", Category.TOKEN_PLAN),
        ("sfm_tokenplanpersonal_dp_cn", "", Category.TOKEN_PLAN),
        ("sfm_tokenplanpersonal_dp_intl", "", Category.TOKEN_PLAN),
        ("sfm_tokenplansolo_public_cn", "", Category.TOKEN_PLAN),
        ("sfm_tokenplansoloaddon_public_cn", "web_search_seats", Category.TOKEN_PLAN),
        ("sfm_ptu_public_cn", "", Category.PROVISIONED_THROUGHPUT),
        ("sfm_modelunit_public_cn", "", Category.MODEL_UNITS),
        ("sfm_training_public_intl", "", Category.TRAINING),
        ("sfm_inference_public_cn", "web_search_count", Category.WEB_SEARCH),
        ("sfm_knowledge_public_cn", "", Category.KNOWLEDGE_BASE),
        ("oss", "Storage", Category.OTHER),
        ("", "", Category.OTHER),
    ],
)
def test_the_codes_of_a_charge_tell_its_category(commodity: str, item: str, category: Category) -> None:
    assert category_of(commodity, item) is category
