"""The metrics, one number each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from engine.errors import AsOfError
from training.evaluation.profit import ProfitConfig
from training.evaluation.weighted import Ranking

METRIC_NAMES: tuple[str, ...] = (
    "auc",
    "average_precision",
    "brier",
    "log_loss",
    "ece",
    "top_decile_lift",
    "num_customers",
    "base_rate",
)
FURTHER_METRIC_NAMES: tuple[str, ...] = (
    "average_precision_retained",
    "calibration_slope",
    "calibration_intercept",
    "expected_maximum_profit",
)
# Of these a bootstrap gives intervals.
JUDGED_NAMES: tuple[str, ...] = (*METRIC_NAMES[:6], *FURTHER_METRIC_NAMES)


def metrics(churned: NDArray[np.bool_], probability: NDArray[np.float64]) -> dict[str, float]:
    """The metrics of METRIC_NAMES.

    churned, probability : bool[n], float64[n]
    raises               : AsOfError where nobody churned or everybody did, so that there is no order to judge

    `ece` is the mean distance between promised and happened churn over ten groups of equal size by probability (Nixon et al.
    2019, Measuring Calibration in Deep Learning). `top_decile_lift` is churn among the tenth of customers most at risk over that
    among all: 1 is chance, and who is tied at the border of the tenth counts with the mean churn of the tie.
    """
    num_churned = int(churned.sum())
    if num_churned in (0, len(churned)):
        raise AsOfError(
            f"{num_churned} of {len(churned)} customers churned, expected some and not all; "
            "choose another as-of date, or another horizon"
        )
    own = measure_everybody(Ranking(churned, probability))
    return {
        "auc": float(roc_auc_score(churned, probability)),
        "average_precision": float(average_precision_score(churned, probability)),
        "brier": float(brier_score_loss(churned, probability)),
        "log_loss": float(log_loss(churned, probability)),
        "ece": own["ece"],
        "top_decile_lift": own["top_decile_lift"],
        "num_customers": len(churned),
        "base_rate": float(churned.mean()),
    }


def all_metrics(
    churned: NDArray[np.bool_], probability: NDArray[np.float64], profit: ProfitConfig | None = None
) -> dict[str, float]:
    """The metrics of METRIC_NAMES and FURTHER_METRIC_NAMES; NaN where one is not defined.

    raises : as `metrics`

    `average_precision_retained` is that of finding who stays. `calibration_slope` and `calibration_intercept` are those of the
    logistic regression of the outcome on the logit of the promise (Cox 1958): 1 and 0 where promises are kept, a slope below 1
    where they are too bold; a model that tells everybody the same has none. For the profit see `training.evaluation.profit`.
    """
    own = measure_everybody(Ranking(churned, probability, profit))
    return metrics(churned, probability) | {name: own[name] for name in FURTHER_METRIC_NAMES}


def measure_everybody(ranking: Ranking) -> dict[str, float]:
    """What `Ranking.measure` gives where everybody counts once."""
    return {name: float(values[0]) for name, values in ranking.measure(np.ones((1, ranking.num_customers))).items()}
