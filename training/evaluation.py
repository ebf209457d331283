"""How good probabilities of churn were, once it is known who churned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from engine.errors import AsOfError

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
_NUM_BINS = 10


def metrics(churned: NDArray[np.bool_], probability: NDArray[np.float64]) -> dict[str, float]:
    """The metrics of METRIC_NAMES.

    churned, probability : bool[n], float64[n]
    raises               : AsOfError where nobody churned or everybody did, so that there is no order to judge
    """
    num_churned = int(churned.sum())
    if num_churned in (0, len(churned)):
        raise AsOfError(
            f"{num_churned} of {len(churned)} customers churned, expected some and not all; "
            "choose another as-of date, or another horizon"
        )
    return {
        "auc": float(roc_auc_score(churned, probability)),
        "average_precision": float(average_precision_score(churned, probability)),
        "brier": float(brier_score_loss(churned, probability)),
        "log_loss": float(log_loss(churned, probability)),
        "ece": expected_calibration_error(churned, probability),
        "top_decile_lift": top_decile_lift(churned, probability),
        "num_customers": len(churned),
        "base_rate": float(churned.mean()),
    }


def expected_calibration_error(churned: NDArray[np.bool_], probability: NDArray[np.float64]) -> float:
    """Mean distance between promised and happened churn, over ten groups of equal size by probability.

    source : Nixon et al. (2019), Measuring Calibration in Deep Learning, for groups of equal mass
    """
    order = np.argsort(probability, kind="stable")
    groups = np.array_split(order, min(_NUM_BINS, len(order)))
    return float(sum(abs(churned[group].sum() - probability[group].sum()) for group in groups) / len(order))


def top_decile_lift(churned: NDArray[np.bool_], probability: NDArray[np.float64]) -> float:
    """Churn among the tenth of customers most at risk, over that among all; 1 is chance.

    Customers tied at the border of the tenth count with the mean churn of their tie, so the order of rows does not matter.
    """
    size = max(1, round(len(churned) / 10))
    border = np.sort(probability)[-size]
    above, tied = probability > border, probability == border
    found = churned[above].sum() + (size - above.sum()) * churned[tied].mean()
    return float(found / size / churned.mean())
