"""The three strongest reasons of each customer: themes, each told by the number that says most of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.activity import DailyActivity
from kernels import SUMMARY_COLUMNS
from training.inference import FittedModel
from training.network.situation import situation_of
from training.reasons.attribution import IntegratedGradients
from training.reasons.kept import Kept
from training.reasons.last_order import AMOUNT, LINES, QUANTITY, facts_of
from training.reasons.leaders import find_leaders
from training.reasons.risk import HorizonRisk, coordinates
from training.reasons.segments import CHAIN, Usual
from training.reasons.subjects import FIRST_FACT, subject_of_coordinates
from training.reasons.themes import SILENCE, sum_by_theme, themes_of

NUM_REASONS = 3
_RECENCY, _GAP, _LATENESS = (SUMMARY_COLUMNS.index(name) for name in ("recency_days", "gap_mean_days", "lateness"))
# Of the last order, what stands beside what.
_TOLD_BESIDE = tuple(
    (FIRST_FACT + told, FIRST_FACT + beside) for told, beside in ((AMOUNT, LINES), (LINES, AMOUNT), (QUANTITY, AMOUNT))
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanations:
    """Why customers score as they do. Points are percentage points of the churn probability at the bundle's horizon.

    baseline + sum of points + other = 100 * probability, to 0.1

    chain       : percent, of the usual customer of the chain
    baseline    : float32[n], percent, of the usual customer of the segment
    segment     : int64[n]
    probability : float32[n]
    theme       : int64[n, NUM_REASONS], places in THEMES, those with the most points; what raises the risk comes before what
                  lowers it where the risk is above the baseline, and after it where it is below; the strongest first
    subject     : int64[n, NUM_REASONS], places in SUBJECTS, what tells the theme
    points      : float32[n, NUM_REASONS], of the theme
    value       : float32[n, NUM_REASONS], the customer's, of the subject; NaN where not known
    usual       : float32[n, NUM_REASONS], in the segment; NaN where not known
    aside       : float32[n, NUM_REASONS], what a sentence says beside its value: of a silence the customer's mean gap, where that
                  goes with the points, of who bought on one day only how many days ago that was, of what was spent in the last
                  order its lines, and of how much was in it what was spent; NaN elsewhere
    is_timely   : bool[n, NUM_REASONS], of a silence: it is short and raises the risk, as the next purchase is not due yet, or
                  long and lowers it, as it is
    other       : float32[n], points of all other themes together
    """

    chain: float
    baseline: NDArray[np.float32]
    segment: NDArray[np.int64]
    probability: NDArray[np.float32]
    theme: NDArray[np.int64]
    subject: NDArray[np.int64]
    points: NDArray[np.float32]
    value: NDArray[np.float32]
    usual: NDArray[np.float32]
    aside: NDArray[np.float32]
    is_timely: NDArray[np.bool_]
    other: NDArray[np.float32]


class Explainer:
    """Reasons for customers as of one instant, by one model.

    The path goes straight from the usual customer of the segment to the customer. Along it the state moves with the numbers and
    the last order as it usually does, and what is left of it by itself. A value that is usual so contributes nothing.

    usual    : of the same instant, so that season and the chain's activity are the same on both ends
    activity : of the chain's days before the instant
    """

    def __init__(self, model: FittedModel, *, horizon_days: float, usual: Usual, as_of_us: int, activity: DailyActivity) -> None:
        self.usual = usual
        self._model = model
        self._as_of_us = as_of_us
        self._activity = activity
        usual_situation = usual.situation(as_of_us, activity)
        season_level = float(model.season_level(usual_situation)[0])  # the same for every customer
        self._gradients = IntegratedGradients(
            HorizonRisk(model, horizon_days, usual.state_by_known, season_level=season_level),
            coordinates(model, usual.states, usual_situation, usual.usual_orders(), usual.state_by_known),
            subject_of_coordinates(model.state_size),
        )
        self.usual_risk = self._gradients.start_probability  # float32[num_segments]

    def contributions(self, kept: Kept) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
        """Of every subject: float32[n, NUM_SUBJECTS] in probability; and int64[n] segments, float32[n] churn probabilities.

        A row adds up to the probability less that of the segment's usual customer, to 1e-3.
        """
        return self._contributions(kept, self._facts(kept))

    def _facts(self, kept: Kept) -> NDArray[np.float32]:
        return facts_of(kept.last_order, kept.last_purchase_us, self.usual.is_told)

    def _contributions(
        self, kept: Kept, facts: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
        instants_us = np.full(len(kept), self._as_of_us, np.int64)
        situation = situation_of(kept.summary, kept.last_event_us, instants_us, self._activity)
        segment = self.usual.segment_of(kept.summary)
        orders = self.usual.describe_orders(facts, kept.summary)
        place = coordinates(self._model, kept.states, situation, orders, self.usual.state_by_known)
        found = self._gradients.attribute(place, segment)
        return found.contributions, segment, found.probability

    def explain(self, kept: Kept) -> Explanations:
        """The strongest reasons of customers, from what a snapshot keeps of them; all of it at the instant."""
        facts = self._facts(kept)
        by_subject, segment, probability = self._contributions(kept, facts)
        themes = themes_of(kept.summary, self.usual.summary[segment, _GAP])
        by_theme = sum_by_theme(by_subject, themes)
        theme = _strongest(by_theme, probability - self.usual_risk[segment])
        chosen = np.take_along_axis(by_theme, theme, axis=1)
        own = np.column_stack([kept.summary, facts, kept.num_events.astype(np.float32)])
        usual = np.column_stack([self.usual.summary, self.usual.last_order, self.usual.num_events])[segment]
        subject = find_leaders(by_subject, themes, theme, chosen, own, usual)
        rhythm_days, is_timely = _silences(theme, chosen, own, usual)
        return Explanations(
            chain=100.0 * float(self.usual_risk[CHAIN]),
            baseline=100.0 * self.usual_risk[segment],
            segment=segment,
            probability=probability,
            theme=theme,
            subject=subject,
            points=100.0 * chosen,
            value=np.take_along_axis(own, subject, axis=1),
            usual=np.take_along_axis(usual, subject, axis=1),
            aside=_asides(subject, own, rhythm_days),
            is_timely=is_timely,
            other=100.0 * (by_theme.sum(axis=1) - chosen.sum(axis=1)),
        )


def _strongest(by_theme: NDArray[np.float32], difference: NDArray[np.float32]) -> NDArray[np.int64]:
    """The themes with the most points, what goes the customer's way first: int64[n, NUM_REASONS]."""
    along = by_theme * np.where(difference >= 0, np.float32(1), np.float32(-1))[:, None]
    strongest = np.argsort(-np.abs(along), axis=1, kind="stable")[:, :NUM_REASONS]
    # Many small themes may outweigh three large ones: one of those that made the difference is always told.
    against = (np.take_along_axis(along, strongest, axis=1) <= 0).all(axis=1)
    strongest[against, -1] = along[against].argmax(axis=1)
    # A probability is at most 1: two more put all that goes the customer's way before all that goes against it.
    chosen = np.take_along_axis(along, strongest, axis=1)
    order = np.argsort(-(np.abs(chosen) + 2.0 * (chosen > 0)), axis=1, kind="stable")
    return np.take_along_axis(strongest, order, axis=1)


def _asides(subject: NDArray[np.int64], own: NDArray[np.float32], rhythm_days: NDArray[np.float32]) -> NDArray[np.float32]:
    """`aside` of Explanations, given that of silences."""
    for told, beside in _TOLD_BESIDE:
        rhythm_days = np.where(subject == told, own[:, beside, None], rhythm_days)
    return np.where((subject == _GAP) & np.isnan(own[:, _GAP, None]), own[:, _RECENCY, None], rhythm_days)


def _silences(
    theme: NDArray[np.int64], points: NDArray[np.float32], own: NDArray[np.float32], usual: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Of silences, `aside` and `is_timely` of Explanations: NaN and False elsewhere."""
    is_silence = theme == SILENCE
    longer = own[:, [_RECENCY, _LATENESS]] - usual[:, [_RECENCY, _LATENESS]]
    agrees = longer[:, None, :] * points[:, :, None] > 0  # NaN agrees with nothing
    is_timely = is_silence & ~agrees.any(axis=2) & ~np.isnan(own[:, _GAP, None])
    tells_rhythm = is_timely | (is_silence & agrees[:, :, 1])
    return np.where(tells_rhythm, own[:, _GAP, None], np.float32(np.nan)), is_timely
