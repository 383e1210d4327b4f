from __future__ import annotations

import pytest

from spendwatch.domain.category import Category, category_of


@pytest.mark.parametrize(
    ("commodity", "item", "category"),
    [
        ("sfm_inference_public_cn", "token_number", Category.INFERENCE),
        ("sfm_inferenceHH_public_cn", "video_duration", Category.INFERENCE),
        ("sfm_inference_public_intl", "image_number", Category.INFERENCE),
        ("sfm_training_public_cn", "token_number", Category.TRAINING),
        ("sfm_deployment_public_cn", "", Category.DEPLOYMENT),
        ("sfm_GenAI_spn_cn", "sfm_spn_fee", Category.PLAN),
        ("sfm_codingplan_public_intl", "", Category.PLAN),
        ("sfm_tokenplanteams_dp_cn", "plan_fee", Category.PLAN),
        ("sfm_inference_public_cn", "web_search_count", Category.WEB_SEARCH),
        ("sfm_knowledge_public_cn", "", Category.KNOWLEDGE_BASE),
        ("oss", "Storage", Category.OTHER),
        ("", "", Category.OTHER),
    ],
)
def test_the_codes_of_a_charge_tell_its_category(commodity: str, item: str, category: Category) -> None:
    assert category_of(commodity, item) is category
