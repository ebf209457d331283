"""Standardisation of columns, fitted on the past and kept in the bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels import resolve, standardise

# A value further out than this says "very large" and no more; unseen extremes must not throw the model.
HIGHEST_STANDARD = 6.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Normaliser:
    """Column-wise (x - mean) * scale; NaN becomes 0, which is the mean.

    mean, scale : float32[num_columns]; scale is 0 for a column that never varied, which so is ignored
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]

    def apply(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32[n, num_columns], standardised and clipped."""
        return standardise(values, self.mean, self.scale, HIGHEST_STANDARD)

    def apply_to_one(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same of the rows of one customer, whose shape nobody need check."""
        return resolve("cpu").standardise(values, self.mean, self.scale, HIGHEST_STANDARD)


def fit_normaliser(values: NDArray[np.float32], *, ignore: Sequence[int] = ()) -> Normaliser:
    """Mean and reciprocal deviation of each column of float32[n, num_columns], NaN left out.

    ignore : columns to be silenced
    """
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    # Float64 sums: a float32 mean over millions of rows depends on how it was split.
    mean = np.where(known, values, 0).sum(axis=0, dtype=np.float64) / count
    deviation = np.sqrt((np.where(known, values - mean, 0.0) ** 2).sum(axis=0) / count)
    scale = np.where(deviation > 1e-4, 1.0 / np.maximum(deviation, 1e-4), 0.0)
    scale[list(ignore)] = 0.0
    return Normaliser(mean=mean.astype(np.float32), scale=scale.astype(np.float32))
