"""The three strongest reasons of each customer: contributions picked, with the customer's value and the usual one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.activity import DailyActivity
from engine.indicators import NUM_COLUMNS
from kernels import SUMMARY_COLUMNS
from training.inference import FittedModel
from training.network.situation import situation_of
from training.reasons.attribution import IntegratedGradients
from training.reasons.risk import HorizonRisk, head_inputs
from training.reasons.segments import CHAIN, Usual
from training.reasons.subjects import LINES_PER_ORDER, NUM_SUBJECTS, RECENT_EVENTS, SEGMENT, subject_of_inputs

NUM_REASONS = 3
_GAP, _LINES = SUMMARY_COLUMNS.index("gap_mean_days"), SUMMARY_COLUMNS.index("lines_per_order_90d")


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanations:
    """Why customers score as they do. Points are percentage points of the churn probability at the bundle's horizon.

    baseline + sum of points + other = 100 * probability, to 0.1

    baseline    : percent, of the usual customer of the chain
    usual_risk  : float32[num_segments], percent, of the usual customer of each segment
    segment     : int64[n]
    probability : float32[n]
    subject     : int64[n, NUM_REASONS], places in SUBJECTS, the strongest first; what raises the risk comes before what lowers
                  it where the risk is above the baseline, and after it where it is below
    points      : float32[n, NUM_REASONS]
    value       : float32[n, NUM_REASONS], the customer's; NaN where not known
    usual       : float32[n, NUM_REASONS], in the segment (of a SEGMENT reason: in the chain); NaN where not known
    other       : float32[n], points of all other subjects together
    """

    baseline: float
    usual_risk: NDArray[np.float32]
    segment: NDArray[np.int64]
    probability: NDArray[np.float32]
    subject: NDArray[np.int64]
    points: NDArray[np.float32]
    value: NDArray[np.float32]
    usual: NDArray[np.float32]
    other: NDArray[np.float32]


class Explainer:
    """Reasons for customers as of one instant, by one model.

    The path goes from the usual customer of the chain to that of the segment, a difference that needs no integral and is the
    contribution of being in the segment, and from there straight to the customer, by integrated gradients. A value that is
    usual in the segment so contributes nothing.

    usual    : of the same instant, so that season and the chain's activity are the same on both ends
    activity : of the chain's days before the instant
    """

    def __init__(self, model: FittedModel, *, horizon_days: float, usual: Usual, as_of_us: int, activity: DailyActivity) -> None:
        self.usual = usual
        self._model = model
        self._as_of_us = as_of_us
        self._activity = activity
        self._gradients = IntegratedGradients(
            HorizonRisk(model, horizon_days),
            head_inputs(model, usual.states, usual.situation(as_of_us, activity)),
            subject_of_inputs(model.state_size),
        )
        self.usual_risk = self._gradients.start_probability  # float32[num_segments]

    def contributions(
        self, states: NDArray[np.float32], summary: NDArray[np.float32], last_event_us: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
        """Of every subject: float32[n, NUM_SUBJECTS] in probability; and int64[n] segments, float32[n] churn probabilities.

        A row adds up to the probability less that of the chain's usual customer, to 1e-3.
        """
        instants_us = np.full(len(states), self._as_of_us, np.int64)
        inputs = head_inputs(self._model, states, situation_of(summary, last_event_us, instants_us, self._activity))
        segment = self.usual.segment_of(summary)
        found = self._gradients.attribute(inputs, segment)
        by_subject = np.zeros((len(states), NUM_SUBJECTS), np.float32)
        by_subject[:, : found.contributions.shape[1]] = found.contributions
        by_subject[:, SEGMENT] = self.usual_risk[segment] - self.usual_risk[CHAIN]
        return by_subject, segment, found.probability

    def explain(
        self,
        states: NDArray[np.float32],
        summary: NDArray[np.float32],
        last_event_us: NDArray[np.int64],
        num_events: NDArray[np.int32],
    ) -> Explanations:
        """The strongest reasons of customers, from what a snapshot keeps of them.

        states        : float32[n, state_size]
        summary       : float32[n, len(SUMMARY_COLUMNS)], at the instant
        last_event_us : int64[n], before the instant
        num_events    : int32[n], before the instant
        """
        by_subject, segment, probability = self.contributions(states, summary, last_event_us)
        baseline = self.usual_risk[CHAIN]
        direction = np.where(probability >= baseline, 1.0, -1.0)[:, None]
        # A probability is at most 1: two more put all that goes the customer's way before all that goes against it.
        strength = np.abs(by_subject) + 2.0 * (direction * by_subject > 0)
        subject = np.argsort(-strength, axis=1, kind="stable")[:, :NUM_REASONS]
        chosen = np.take_along_axis(by_subject, subject, axis=1)
        own = _by_subject(summary, num_events.astype(np.float32), summary[:, _GAP])
        usual = _by_subject(self.usual.summary, self.usual.num_events, np.full(len(self.usual.summary), self._chain_gap))[segment]
        return Explanations(
            baseline=100.0 * float(baseline),
            usual_risk=100.0 * self.usual_risk,
            segment=segment,
            probability=probability,
            subject=subject,
            points=100.0 * chosen,
            value=np.take_along_axis(own, subject, axis=1),
            usual=np.take_along_axis(usual, subject, axis=1),
            other=100.0 * (by_subject.sum(axis=1) - chosen.sum(axis=1)),
        )

    @property
    def _chain_gap(self) -> np.float32:
        gap: np.float32 = self.usual.summary[CHAIN, _GAP]
        return gap


def _by_subject(
    summary: NDArray[np.float32], num_events: NDArray[np.float32], gap_days: NDArray[np.float32]
) -> NDArray[np.float32]:
    """What is told of each subject: float32[n, NUM_SUBJECTS]."""
    values = np.empty((len(summary), NUM_SUBJECTS), np.float32)
    values[:, :NUM_COLUMNS] = summary[:, :NUM_COLUMNS]
    values[:, LINES_PER_ORDER] = summary[:, _LINES]
    values[:, RECENT_EVENTS] = num_events
    values[:, SEGMENT] = gap_days
    return values
