"""Scores to grades and tiers."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import InvalidArgumentError
from serving.pb.ebbtide.v1 import scoring_pb2 as pb
from serving.risk import DEFAULT_THRESHOLDS, Grade, GradeThresholds, Tier, risk_scores, tiers


@pytest.mark.parametrize(
    ("score", "grade"),
    [
        (100, "R1"),
        (90, "R1"),
        (89.99, "R2"),
        (70, "R3"),
        (69.99, "Y1"),
        (50, "Y2"),
        (40, "Y3"),
        (30, "Y4"),
        (15, "B1"),
        (0, "B2"),
    ],
)
def test_a_score_has_the_grade_whose_threshold_it_reaches(score: float, grade: str) -> None:
    assert Grade(int(DEFAULT_THRESHOLDS.grades(np.asarray(score, np.float32)))).name == grade


def test_every_grade_has_the_tier_of_its_colour() -> None:
    numbers = np.asarray(list(Grade), np.int8)
    assert [Tier(int(tier)).name[0] for tier in tiers(numbers)] == [grade.name[0] for grade in Grade]


def test_grades_and_tiers_have_the_numbers_of_the_wire() -> None:
    assert {f"RISK_GRADE_{grade.name}": int(grade) for grade in Grade} == {k: v for k, v in pb.RiskGrade.items() if v}
    assert {f"RISK_TIER_{tier.name}": int(tier) for tier in Tier} == {k: v for k, v in pb.RiskTier.items() if v}


def test_a_grade_never_improves_as_the_probability_rises() -> None:
    grades = DEFAULT_THRESHOLDS.grades(risk_scores(np.linspace(0, 1, 1001, dtype=np.float32)))
    assert (np.diff(grades) <= 0).all()
    assert set(grades) == set(Grade)


def test_one_score_is_graded_as_many_are() -> None:
    scores = np.append(
        risk_scores(np.linspace(0, 1, 1001, dtype=np.float32)), np.float32([90, 80, 70, 60, 50, 40, 30, 15, 14.999])
    )
    assert [DEFAULT_THRESHOLDS.grade(float(score)) for score in scores] == DEFAULT_THRESHOLDS.grades(scores).tolist()


@pytest.mark.parametrize("thresholds", [{"r1": 101.0}, {"b1": 0.0}, {"r2": 95.0}, {"y1": float("nan")}])
def test_thresholds_that_do_not_fall_are_refused_by_name(thresholds: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError, match="found"):
        GradeThresholds(**thresholds)
