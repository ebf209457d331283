"""Judging a window: metrics of every model with intervals, differences to the baselines, segments and grades."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.backtest.config import BacktestConfig
from training.evaluation.bootstrap import Estimates, estimate
from training.evaluation.confusion import GradeOutcome, count_grades
from training.evaluation.metrics import all_metrics
from training.evaluation.segments import Segment, Traits, judge_segments

MODEL = "ebbtide"
# What ebbtide is held against where there is a choice: the first of these that was asked.
REFERENCE = ("lightgbm_tuned", "lightgbm")


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What is known of the models' quality.

    metrics       : by model and name, NaN where one is not defined
    estimates     : the same with their bootstrap
    best_baseline : the one with the highest ROC-AUC; None where none was asked
    reference     : what the segments are compared with; None where no baseline was asked
    """

    metrics: dict[str, dict[str, float]]
    estimates: Estimates
    best_baseline: str | None
    reference: str | None
    segments: list[Segment]
    grades: list[GradeOutcome]

    @property
    def baselines(self) -> list[str]:
        return [name for name in self.metrics if name != MODEL]


def judge(
    churned: NDArray[np.bool_],
    probability: Mapping[str, NDArray[np.float64]],
    customer: NDArray[np.int64],
    traits: Traits | None,
    config: BacktestConfig,
) -> Judgement:
    """Judge the models on the rows of a window, or of several.

    customer : which rows speak of the same one
    traits   : to judge segments by; none are without
    """
    metrics = {name: all_metrics(churned, scores, config.profit) for name, scores in probability.items()}
    baselines = [name for name in metrics if name != MODEL]
    best = max(baselines, key=lambda name: metrics[name]["auc"]) if baselines else None
    reference = next((name for name in REFERENCE if name in baselines), best)
    compared = {name: probability[name] for name in (MODEL, reference) if name is not None}
    return Judgement(
        metrics=metrics,
        estimates=estimate(
            churned,
            probability,
            customer,
            profit=config.profit,
            num_resamples=config.num_resamples,
            seed=config.train.seed,
        ),
        best_baseline=best,
        reference=reference,
        segments=[]
        if traits is None
        else judge_segments(
            churned,
            compared,
            customer,
            traits,
            profit=config.profit,
            num_resamples=config.num_resamples,
            seed=config.train.seed,
        ),
        grades=count_grades(churned, probability[MODEL], config.grades),
    )
