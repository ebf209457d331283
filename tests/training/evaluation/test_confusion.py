"""Grades and their confusion matrices, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.evaluation.confusion import count_grades


def test_each_grade_and_all_worse_ones_make_a_confusion_matrix() -> None:
    probability = np.array([0.95, 0.8, 0.6, 0.59, 0.2, 0.1])
    churned = np.array([True, True, False, True, False, False])
    worst, middle, best = count_grades(churned, probability, [("R", 90.0), ("Y", 60.0), ("B", 0.0)])
    assert (worst.num_churned, worst.num_retained) == (1, 0)
    assert (middle.num_churned, middle.num_retained) == (1, 1)  # 60 is its lowest score, and belongs to it
    assert (best.num_churned, best.num_retained) == (1, 2)
    counts = (middle.true_positives, middle.false_positives, middle.true_negatives, middle.false_negatives)
    assert counts == (2, 1, 2, 1)
    assert (middle.precision, middle.recall) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert (best.true_negatives, best.false_negatives) == (0, 0)


def test_a_grade_that_nobody_has_has_no_precision() -> None:
    (grade, _) = count_grades(np.array([True, False]), np.array([0.2, 0.1]), [("R1", 90.0), ("B2", 0.0)])
    assert math.isnan(grade.precision)
    assert grade.recall == 0.0


def test_without_grades_there_is_nothing_to_count() -> None:
    assert count_grades(np.array([True]), np.array([0.2]), []) == []
