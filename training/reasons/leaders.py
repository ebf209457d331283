"""Which number tells a theme: the one that carries most of it, of those that a person would call a reason."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.catalogue_entry import Worry
from kernels import SUMMARY_COLUMNS
from training.reasons.subjects import RECENT_EVENTS, SUBJECTS
from training.reasons.themes import CANDIDATES, REMEMBERED, RHYTHM, SILENCE

# Of a number and what is usual, as a share of the larger: less is not seen in a sentence.
_LEAST_DIFFERENCE = 0.05
_RECENCY, _GAP = SUMMARY_COLUMNS.index("recency_days"), SUMMARY_COLUMNS.index("gap_mean_days")
_TELLS_BY_LACKING = np.array([subject.name in ("gap_mean_days", "gap_spread_days") for subject in SUBJECTS])
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
    leaders = np.empty(theme.shape, np.int64)
    leaders[theme == SILENCE] = _RECENCY
    leaders[theme == REMEMBERED] = RECENT_EVENTS
    for which in np.unique(theme):
        if which in (SILENCE, REMEMBERED):
            continue
        row, place = np.nonzero(theme == which)
        at = row[:, None], CANDIDATES[which]
        rank = _rank(by_subject[at], points[row, place, None], own[at], usual[at], CANDIDATES[which])
        leaders[row, place] = CANDIDATES[which][np.where(themes[at] == which, rank, -np.inf).argmax(axis=1)]
    leaders[(theme == RHYTHM) & np.isnan(own[:, _GAP, None])] = _GAP
    return leaders


def _rank(
    contributions: NDArray[np.float32],
    points: NDArray[np.float32],
    own: NDArray[np.float32],
    usual: NDArray[np.float32],
    subjects: NDArray[np.int64],
) -> NDArray[np.float32]:
    """How well each of a few subjects tells the points of one theme, all of them float32[m, len(subjects)]: the highest does."""
    difference = own - usual
    is_known, is_lacking = ~np.isnan(difference), np.isnan(own)
    seen = np.abs(difference) > _LEAST_DIFFERENCE * np.maximum(np.abs(own), np.abs(usual))
    differs = np.where(is_known, seen, is_lacking != np.isnan(usual))
    # What is not known of the customer is told where nothing else is, unless it says itself that they hardly bought at all.
    is_mute = is_lacking & ~_TELLS_BY_LACKING[subjects]
    way = np.where(points >= 0, np.float32(1), np.float32(-1))
    along = contributions * way
    fits = differs & (along > 0) & ~is_mute
    is_expected = fits & ~(is_known & (difference * _WORRY_SIGN[subjects] * way < 0))
    # A contribution is at most 1: two more for each step.
    rank: NDArray[np.float32] = along + 2.0 * fits + 2.0 * is_expected - 2.0 * is_mute - 4.0 * ~differs
    return rank
