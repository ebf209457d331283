"""Two models over several windows, of one log or of several: the mean of their differences, and how far to trust it.

Windows are judged each by itself and count the same, so that a window of another level, or of another log, does not mix its ranks
with theirs. Customers are resampled per log, each with every window that speaks of them.

source : Efron & Tibshirani (1993), An Introduction to the Bootstrap, for the stratified bootstrap and the percentile interval
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.evaluation.bootstrap import NUM_RESAMPLES, Interval, draw_weights, percentiles
from training.evaluation.metrics import measure_everybody
from training.evaluation.weighted import Ranking


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedWindow:
    """What two models said of the customers of one window, and what came of them.

    log          : whose customers these are; the same id in two windows of one log is the same customer
    customer_ids : string[n], each once
    churned      : bool[n]
    ours, theirs : float64[n], churn probabilities
    """

    log: str
    customer_ids: pa.Array
    churned: NDArray[np.bool_]
    ours: NDArray[np.float64]
    theirs: NDArray[np.float64]


def mean_differences(
    windows: Sequence[JudgedWindow], metrics: Sequence[str], *, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> dict[str, tuple[float, Interval]]:
    """By metric: ours less theirs, the mean over the windows, with its 95 % interval."""
    found = dict.fromkeys(metrics, 0.0)
    resampled = {metric: np.zeros(num_resamples) for metric in metrics}
    random = np.random.default_rng(seed)
    for log in dict.fromkeys(window.log for window in windows):
        own = [window for window in windows if window.log == log]
        customers = np.asarray(
            pa.chunked_array([window.customer_ids for window in own]).combine_chunks().dictionary_encode().indices
        )
        weights = draw_weights(np.arange(int(customers.max()) + 1), num_resamples, random)
        starts = np.cumsum([0, *(len(window.churned) for window in own)])
        for window, start, stop in zip(own, starts[:-1], starts[1:], strict=True):
            drawn = weights[:, customers[start:stop]]
            sides = [Ranking(window.churned, scores) for scores in (window.ours, window.theirs)]
            (ours, our_resamples), (theirs, their_resamples) = [(measure_everybody(side), side.measure(drawn)) for side in sides]
            for metric in metrics:
                found[metric] += (ours[metric] - theirs[metric]) / len(windows)
                resampled[metric] += (our_resamples[metric] - their_resamples[metric]) / len(windows)
    return {metric: (found[metric], percentiles(resampled[metric])) for metric in metrics}
