"""Grades beside what happened: how many churned in each, and what acting on a grade and all worse ones would have found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class GradeOutcome:
    """One grade, from the worst on.

    lowest_score                 : of the grade, 0 to 100
    num_churned, num_retained    : of the customers of this grade
    true_ and false_positives, … : of the confusion matrix where this grade and all worse ones count as "will churn"
    """

    grade: str
    lowest_score: float
    num_churned: int
    num_retained: int
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int

    @property
    def precision(self) -> float:
        """Share of those called churners who churned; NaN where nobody is called so."""
        called = self.true_positives + self.false_positives
        return self.true_positives / called if called else float("nan")

    @property
    def recall(self) -> float:
        """Share of the churners who are called so; NaN where nobody churned."""
        churned = self.true_positives + self.false_negatives
        return self.true_positives / churned if churned else float("nan")


def count_grades(
    churned: NDArray[np.bool_], probability: NDArray[np.float64], grades: Sequence[tuple[str, float]]
) -> list[GradeOutcome]:
    """Outcomes by grade.

    grades : name and lowest risk score, scores falling; the last begins at 0
    """
    # As serving does it, so that a customer at a border is in one grade here and there.
    score = probability.astype(np.float32) * np.float32(100.0)
    num_churned, num_all = int(churned.sum()), len(churned)
    found = []
    above = np.zeros(num_all, np.bool_)
    for name, lowest in grades:
        called = score >= lowest
        own = called & ~above
        above = called
        true_positives, num_called = int((called & churned).sum()), int(called.sum())
        found.append(
            GradeOutcome(
                grade=name,
                lowest_score=lowest,
                num_churned=int((own & churned).sum()),
                num_retained=int((own & ~churned).sum()),
                true_positives=true_positives,
                false_positives=num_called - true_positives,
                true_negatives=num_all - num_churned - (num_called - true_positives),
                false_negatives=num_churned - true_positives,
            )
        )
    return found
