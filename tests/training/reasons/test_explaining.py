"""The strongest reasons: they add up, go the customer's way first, and speak of what differs from what is usual."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.indicators import INDICATOR_COLUMNS
from kernels import SUMMARY_COLUMNS
from tests.training.conftest import AS_OF_US
from tests.training.reasons.conftest import Customers
from training.network.situation import NUM_SITUATION_FEATURES, SITUATION_NAMES
from training.reasons import NUM_REASONS, RECENT_EVENTS, SUBJECTS, Explainer, Explanations, Kept
from training.reasons.last_order import FACT_NAMES, NUM_FEATURES, TIME, facts_of
from training.reasons.segments import CHAIN
from training.reasons.subjects import FIRST_FACT, subject_of_coordinates
from training.reasons.themes import NUM_THEMES, SILENCE, sum_by_theme, themes_of

GAP, RECENCY, LATENESS = (SUMMARY_COLUMNS.index(name) for name in ("gap_mean_days", "recency_days", "lateness"))


def _explain(explainer: Explainer, customers: Customers) -> Explanations:
    return explainer.explain(customers.kept)


def _by_theme(explainer: Explainer, customers: Customers) -> np.ndarray:
    by_subject, segment, _ = explainer.contributions(customers.kept)
    return sum_by_theme(by_subject, themes_of(customers.kept.summary, explainer.usual.summary[segment, GAP]))


def test_baseline_reasons_and_the_rest_add_up_to_the_risk(explainer: Explainer, customers: Customers) -> None:
    found = _explain(explainer, customers)
    assert np.ptp(found.probability) > 0.1
    total = found.baseline + found.points.sum(axis=1) + found.other
    assert np.abs(total - 100 * found.probability).max() <= 0.1
    by_subject, _, probability = explainer.contributions(customers.kept)
    assert np.abs(by_subject.sum(axis=1) - (probability - found.baseline / 100)).max() <= 1e-3


def test_counting_begins_at_the_usual_customer_of_the_segment(explainer: Explainer, customers: Customers) -> None:
    found = _explain(explainer, customers)
    assert found.chain == 100 * explainer.usual_risk[CHAIN]
    np.testing.assert_allclose(found.baseline, 100 * explainer.usual_risk[explainer.usual.segment_of(customers.kept.summary)])
    assert (found.baseline != np.float32(found.chain)).all()


def test_the_themes_with_the_most_points_are_told_and_one_that_goes_the_customers_way(
    explainer: Explainer, customers: Customers
) -> None:
    found, by_theme = _explain(explainer, customers), 100 * _by_theme(explainer, customers)
    way = np.where(100 * found.probability >= found.baseline, 1, -1)
    for row, themes in enumerate(found.theme):
        np.testing.assert_allclose(found.points[row], by_theme[row, themes], rtol=1e-5)
        along = found.points[row] * way[row]
        strongest = np.sort(np.abs(by_theme[row]))[::-1][:NUM_REASONS]
        assert len(set(themes)) == NUM_REASONS
        assert (along[0] > 0) == (by_theme[row] * way[row] > 0).any()
        np.testing.assert_allclose(np.sort(np.abs(along))[::-1][: NUM_REASONS - 1], strongest[: NUM_REASONS - 1], rtol=1e-5)
        # What goes the customer's way comes first, and the strongest of it.
        assert list(along) == sorted(along, key=lambda points: (points <= 0, -abs(points)))


def test_what_is_usual_in_the_segment_contributes_nothing(explainer: Explainer) -> None:
    usual = explainer.usual
    place = usual.segment_of(usual.summary)
    kept = Kept(
        states=usual.states[place],
        summary=usual.summary[place],
        last_order=np.nan_to_num(usual.last_order[place, :-1]),
        last_event_us=usual.last_event_us[place],
        last_purchase_us=usual.last_event_us[place],
        num_events=usual.num_events[place].astype(np.int32),
        num_orders=usual.num_events[place].astype(np.int32),
    )
    by_subject, segment, _ = explainer.contributions(kept)
    own = segment == place
    assert own.any()
    # No single time is the usual one, and nobody's contribution: what it adds, the state that is usual all the same takes off.
    of_time = [FIRST_FACT + TIME, RECENT_EVENTS]
    assert not np.delete(by_subject[own], of_time, axis=1).any()
    np.testing.assert_allclose(by_subject[own][:, of_time].sum(axis=1), 0, atol=1e-4)


def test_values_are_the_customers_and_the_segments(explainer: Explainer, customers: Customers) -> None:
    found = _explain(explainer, customers)
    of_orders = customers.kept.last_order, customers.kept.last_purchase_us
    for row, place in np.ndindex(found.subject.shape):
        subject = found.subject[row, place]
        if subject == RECENT_EVENTS:
            assert found.value[row, place] == customers.kept.num_events[row]
            continue
        if subject >= FIRST_FACT:
            facts, usual = facts_of(*of_orders, explainer.usual.is_told), explainer.usual.last_order
            np.testing.assert_equal(found.value[row, place], facts[row, subject - FIRST_FACT])
            np.testing.assert_equal(found.usual[row, place], usual[found.segment[row], subject - FIRST_FACT])
            continue
        column = SUMMARY_COLUMNS.index(SUBJECTS[subject].name)
        np.testing.assert_equal(found.value[row, place], customers.kept.summary[row, column])
        np.testing.assert_equal(found.usual[row, place], explainer.usual.summary[found.segment[row], column])


def test_a_silence_is_told_by_the_rhythm_that_it_breaks(explainer: Explainer, customers: Customers) -> None:
    found, by_theme = _explain(explainer, customers), _by_theme(explainer, customers)
    assert by_theme.shape == (len(customers.kept.states), NUM_THEMES)
    usual = explainer.usual.summary[found.segment]
    seen = set()
    for row, place in zip(*np.nonzero(found.theme == SILENCE), strict=True):
        points, gap = found.points[row, place], customers.kept.summary[row, GAP]
        later = customers.kept.summary[row, LATENESS] - usual[row, LATENESS]
        longer = customers.kept.summary[row, RECENCY] - usual[row, RECENCY]
        timely = not np.isnan(gap) and not later * points > 0 and not longer * points > 0
        assert found.is_timely[row, place] == timely
        np.testing.assert_equal(found.aside[row, place], gap if timely or later * points > 0 else np.float32(np.nan))
        seen.add(timely)
    assert seen == {False, True}
    assert not found.is_timely[found.theme != SILENCE].any()


def test_every_input_but_what_all_customers_share_belongs_to_a_reason() -> None:
    subjects = subject_of_coordinates(5)
    assert len(subjects) == 5 + NUM_SITUATION_FEATURES + NUM_FEATURES
    of_last_order = [SUBJECTS[subject].name for subject in subjects[-NUM_FEATURES:]]
    assert set(of_last_order) == set(FACT_NAMES)
    shared = {SITUATION_NAMES[place - 5].removesuffix("_missing") for place in np.flatnonzero(subjects < 0)}
    assert shared == {
        "weekday_sin",
        "weekday_cos",
        "half_week_sin",
        "half_week_cos",
        "third_week_sin",
        "third_week_cos",
        "log_chain_week_over_month",
        "log_chain_month_over_quarter",
        "log_season_month",
        "log_season_quarter",
    }
    for name in INDICATOR_COLUMNS:
        assert SUBJECTS[subjects[5 + SITUATION_NAMES.index(name)]].name == name


def test_subjects_are_the_columns_of_the_summary_the_last_order_and_the_recent_events() -> None:
    assert tuple(subject.name for subject in SUBJECTS) == (*SUMMARY_COLUMNS, *FACT_NAMES, "recent_events")


def test_a_last_order_that_made_a_state_is_told_and_the_risk_stays(explainer: Explainer, customers: Customers) -> None:
    """What the last order was moves points between the state and itself, and nothing else."""
    by_subject, segment, probability = explainer.contributions(customers.kept)
    bare = replace(explainer.usual, state_by_known=explainer.usual.state_by_known.copy())
    bare.state_by_known[NUM_SITUATION_FEATURES:] = 0
    without = Explainer(explainer._model, horizon_days=14, usual=bare, as_of_us=AS_OF_US, activity=customers.activity)
    before, segment_before, probability_before = without.contributions(customers.kept)
    np.testing.assert_array_equal(segment, segment_before)
    np.testing.assert_allclose(probability, probability_before, atol=1e-6)
    facts = slice(FIRST_FACT, RECENT_EVENTS)
    assert not before[:, facts].any()
    assert np.abs(by_subject[:, facts]).mean() > 0.002
    assert np.abs(by_subject[:, RECENT_EVENTS]).mean() < np.abs(before[:, RECENT_EVENTS]).mean()
    np.testing.assert_allclose(by_subject[:, :FIRST_FACT], before[:, :FIRST_FACT], atol=2e-4)
