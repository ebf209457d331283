"""Which number tells a theme: the one that carries most of it, of those that a person would call a reason."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.catalogue_entry import Worry
from kernels import SUMMARY_COLUMNS
from training.reasons.subjects import RECENT_EVENTS, SUBJECTS
from training.reasons.themes import REMEMBERED, RHYTHM, SILENCE

# Of a number and what is usual, as a share of the larger: less is not seen in a sentence.
_LEAST_DIFFERENCE = 0.05
_RECENCY, _GAP = SUMMARY_COLUMNS.index("recency_days"), SUMMARY_COLUMNS.index("gap_mean_days")
_TELLS_BY_MISSING = np.array([subject.name in ("gap_mean_days", "gap_spread_days") for subject in SUBJECTS])
_WORRY_SIGN = np.array([1 if subject.worry is Worry.ABOVE else -1 for subject in SUBJECTS], np.float32)


def find_leaders(
    by_subject: NDArray[np.float32],
    themes: NDArray[np.int8],
    theme: NDArray[np.int64],
    points: NDArray[np.float32],
    own: NDArray[np.float32],
    usual: NDArray[np.float32],
) -> NDArray[np.int64]:
    """Place in SUBJECTS of what tells each reason: int64[n, num_reasons].

    First come the numbers of the theme whose difference from what is usual goes the way that one expects of its points (fewer
    orders raise the risk), then those that go its way for the model alone, then the rest, the unknown and the usual behind; of
    each, the one with the largest contribution. A silence is told by the time since the last purchase, whatever it has emptied
    meanwhile, and no rhythm by there being none.

    by_subject    : float32[n, num_subjects]
    themes        : int8[n, num_subjects], as `themes_of` gives them
    theme, points : int64, float32[n, num_reasons], the themes to tell and what they contribute
    own, usual    : float32[n, num_subjects], the customer's values and what is usual
    """
    difference = own - usual
    known = ~np.isnan(difference)
    differs = np.where(
        known, np.abs(difference) > _LEAST_DIFFERENCE * np.maximum(np.abs(own), np.abs(usual)), np.isnan(own) != np.isnan(usual)
    )
    expected = np.where(known, np.sign(difference) * _WORRY_SIGN, np.float32(0))
    # What is not known of the customer is told where nothing else is, unless it says itself that they hardly bought at all.
    silent = np.isnan(own) & ~_TELLS_BY_MISSING
    leaders = np.empty(theme.shape, np.int64)
    for place in range(theme.shape[1]):
        way = np.where(points[:, place] >= 0, np.float32(1), np.float32(-1))[:, None]
        along = by_subject * way
        fits = differs & (along > 0) & ~silent
        # A contribution is at most 1: two more for each step.
        rank = along + 2.0 * fits + 2.0 * (fits & (expected * way >= 0)) - 2.0 * silent - 4.0 * ~differs
        leaders[:, place] = np.where(themes == theme[:, place, None], rank, -np.inf).argmax(axis=1)
    leaders[(theme == RHYTHM) & np.isnan(own[:, _GAP, None])] = _GAP
    leaders[theme == SILENCE] = _RECENCY
    leaders[theme == REMEMBERED] = RECENT_EVENTS
    return leaders
