"""The baselines by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidArgumentError
from training.baselines.boosting import predict_by_lightgbm, tune_lightgbm
from training.baselines.logistic import predict_by_logistic_regression
from training.baselines.mbg_nbd import predict_by_mbg_nbd
from training.baselines.question import Question
from training.baselines.simple import predict_by_frequency, predict_by_recency, predict_constant

_PREDICT: dict[str, Callable[[Question], NDArray[np.float64]]] = {
    "lightgbm": predict_by_lightgbm,
    "logistic": predict_by_logistic_regression,
    "mbg_nbd": predict_by_mbg_nbd,
    "recency": predict_by_recency,
    "frequency": predict_by_frequency,
    "constant": predict_constant,
}
TUNED = "lightgbm_tuned"
# The strongest first, in every table.
BASELINE_NAMES: tuple[str, ...] = (TUNED, *_PREDICT)
# Those of seconds; a search takes minutes.
QUICK_BASELINES: tuple[str, ...] = tuple(_PREDICT)


@dataclass(frozen=True, kw_only=True, slots=True)
class BaselineAnswer:
    """What a baseline says of the customers of a question.

    probability : float64[n]  of no purchase within the horizon
    details     : how it was fitted, where that is not always the same
    """

    probability: NDArray[np.float64]
    details: dict[str, Any] = field(default_factory=dict)


def ask_baseline(name: str, question: Question, *, num_trials: int = 0, seed: int = 0) -> BaselineAnswer:
    """Fit a baseline on the question's past, and ask it.

    num_trials, seed : of the search of `lightgbm_tuned`; the others have none
    raises           : InvalidArgumentError for a name that is not in BASELINE_NAMES
    """
    if name == TUNED:
        tuned = tune_lightgbm(question, num_trials=num_trials, seed=seed)
        return BaselineAnswer(probability=predict_by_lightgbm(question, tuned.settings), details=asdict(tuned))
    check_baseline(name)
    return BaselineAnswer(probability=_PREDICT[name](question))


def check_baseline(name: str) -> None:
    """Raises InvalidArgumentError for a name that there is not."""
    if name not in BASELINE_NAMES:
        raise InvalidArgumentError("baselines", f"found {name!r}, expected one of {', '.join(BASELINE_NAMES)}")
