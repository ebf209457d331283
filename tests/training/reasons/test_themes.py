"""Themes: numbers that say the same are told together, and what silence has emptied is silence."""

from __future__ import annotations

from math import factorial

import numpy as np
import torch

from kernels import SUMMARY_COLUMNS
from tests.training.conftest import AS_OF_US
from tests.training.reasons.conftest import Customers
from training.inference import FittedModel
from training.reasons import RECENT_EVENTS, THEMES, Explainer, Usual
from training.reasons.last_order import FACT_NAMES
from training.reasons.risk import HorizonRisk, coordinates
from training.reasons.subjects import NUM_SUBJECTS, subject_of_coordinates
from training.reasons.themes import NUM_THEMES, sum_by_theme, themes_of

GAP = SUMMARY_COLUMNS.index("gap_mean_days")


def _summary(**values: float) -> np.ndarray:
    """Of a customer who buys every ten days and did so three days ago, but for what is given."""
    summary = np.full((1, len(SUMMARY_COLUMNS)), 1, np.float32)
    for name, value in ({"recency_days": 3, "gap_mean_days": 10, "orders_90d": 9} | values).items():
        summary[0, SUMMARY_COLUMNS.index(name)] = value
    return summary


def _themes(summary: np.ndarray, usual_gap_days: float = 10.0) -> dict[str, str]:
    (themes,) = themes_of(summary, np.full(1, usual_gap_days, np.float32))
    return {name: THEMES[theme] for name, theme in zip((*SUMMARY_COLUMNS, *FACT_NAMES, "recent_events"), themes, strict=True)}


def test_every_number_has_a_theme_of_its_own_while_a_customer_keeps_coming() -> None:
    themes = _themes(_summary())
    assert {name for name, theme in themes.items() if theme == "silence"} == {"recency_days", "lateness"}
    assert set(themes.values()) == set(THEMES)
    assert [name for name, theme in themes.items() if theme == "recent_events"] == ["recent_events"]


def test_a_window_that_silence_has_taken_is_silence() -> None:
    after_a_month = _themes(_summary(recency_days=31))
    silent = {name for name, theme in after_a_month.items() if theme == "silence"}
    assert silent == {
        "recency_days",
        "lateness",
        *(f"{what}_{days}d" for what in ("orders", "spend") for days in (7, 14, 30, 60)),
        "orders_change_30d",
        "spend_change_30d",
    }
    # A mean over the orders of a window says something as long as there is one.
    after_two_months = _themes(_summary(recency_days=61))
    assert after_two_months["orders_90d"] == after_two_months["shopping_weeks_13w"] == "silence"
    assert after_two_months["basket_90d"] == "basket"
    after_a_quarter = _themes(_summary(recency_days=91))
    assert after_a_quarter["basket_90d"] == after_a_quarter["store_share_90d"] == "silence"
    assert after_a_quarter["orders_365d"] == "frequency"


def test_the_rhythm_that_an_overdue_customer_has_left_is_silence() -> None:
    on_time, overdue = (_themes(_summary(lateness=late)) for late in (1.9, 2.1))
    assert on_time["gap_mean_days"] == on_time["gap_latest_days"] == "rhythm"
    assert overdue["gap_mean_days"] == overdue["gap_latest_days"] == overdue["gap_longest_90d_days"] == "silence"
    assert overdue["weekday_regularity"] == "rhythm"


def test_contacts_visits_and_opinions_do_not_wait_for_purchases() -> None:
    themes = _themes(_summary(recency_days=400))
    assert (themes["contacts_90d"], themes["visits_30d"], themes["complaints_90d"]) == ("contacts", "visits", "opinion")


def test_what_cannot_be_told_for_want_of_orders_is_their_frequency() -> None:
    themes = _themes(_summary(store_switch_rate_90d=np.nan, basket_change_90d=np.nan))
    assert themes["store_switch_rate_90d"] == themes["basket_change_90d"] == "frequency"
    assert themes["store_share_90d"] == "places"


def test_of_who_bought_on_one_day_the_same_fact_is_told_once() -> None:
    once = _summary(gap_mean_days=np.nan, lateness=np.nan)
    among_others = _themes(once)
    same = ("lateness", "tenure_days", "gap_mean_days", "orders_365d")
    assert {among_others[name] for name in same} == {"rhythm"}
    among_their_like = _themes(once, usual_gap_days=np.nan)
    assert among_their_like["tenure_days"] == "silence"
    assert among_their_like["orders_365d"] == "frequency"


def test_the_average_order_of_who_bought_once_in_a_quarter_is_the_last_one() -> None:
    themes = _themes(_summary(orders_90d=1))
    of_an_order = ("basket_90d", "lines_per_order_90d", "categories_per_order_90d", "discount_share_90d")
    assert {themes[name] for name in of_an_order} == {"last_order"}
    assert themes["spend_90d"] == "spend"
    only = _themes(_summary(orders_90d=1, gap_mean_days=np.nan, recency_days=20))
    assert only["spend_90d"] == only["spend_60d"] == "last_order"
    assert only["spend_30d"] == "silence"


def test_no_point_is_lost_or_counted_twice(explainer: Explainer, customers: Customers) -> None:
    by_subject, segment, _ = explainer.contributions(customers.kept)
    themes = themes_of(customers.kept.summary, explainer.usual.summary[segment, GAP])
    by_theme = sum_by_theme(by_subject, themes)
    expected = np.zeros_like(by_theme)
    for row, subject in np.ndindex(by_subject.shape):
        expected[row, themes[row, subject]] += by_subject[row, subject]
    np.testing.assert_allclose(by_theme, expected, atol=1e-6)
    assert (themes[:, RECENT_EVENTS] == THEMES.index("recent_events")).all()


def test_themes_tell_the_story_of_their_exact_shapley_values(
    explainer: Explainer, model: FittedModel, customers: Customers, usual: Usual
) -> None:
    """Every coalition of the themes that move, enumerated; a theme joins with all its numbers and its share of the state."""
    rows = np.arange(0, len(customers.kept), max(1, len(customers.kept) // 25))
    by_subject, segment, _ = explainer.contributions(customers.kept)
    themes = themes_of(customers.kept.summary, usual.summary[segment, GAP])
    found = sum_by_theme(by_subject, themes)[rows]

    risk = HorizonRisk(model, 14, usual.state_by_known)
    inputs = customers.coordinates(model, usual)[rows]
    situation = usual.situation(AS_OF_US, customers.activity)
    baselines = coordinates(model, usual.states, situation, usual.usual_orders(), usual.state_by_known)
    start = baselines[torch.from_numpy(segment[rows])]
    subject = subject_of_coordinates(model.state_size)
    theme_of_input = np.where(subject >= 0, themes[rows][:, np.maximum(subject, 0)], -1)
    moves = [theme for theme in range(NUM_THEMES) if np.abs((inputs - start).numpy()[theme_of_input == theme]).sum() > 0]
    assert len(moves) >= 6
    assert subject.max() < NUM_SUBJECTS

    worth = []
    for coalition in range(2 ** len(moves)):
        joined = [theme for number, theme in enumerate(moves) if coalition >> number & 1]
        gone = torch.from_numpy(np.isin(theme_of_input, joined))
        worth.append(risk.probability(risk.first_layer(torch.where(gone, inputs, start))).double().numpy())
    exact = np.zeros((len(rows), NUM_THEMES))
    for coalition in range(2 ** len(moves)):
        size = coalition.bit_count()
        for number, theme in enumerate(moves):
            if not coalition >> number & 1:
                chance = factorial(size) * factorial(len(moves) - size - 1) / factorial(len(moves))
                exact[:, theme] += chance * (worth[coalition | 1 << number] - worth[coalition])
    assert np.abs(exact).max() > 0.05
    assert np.corrcoef(found.ravel(), exact.ravel())[0, 1] > 0.95
    np.testing.assert_allclose(found.sum(axis=1), exact.sum(axis=1), atol=1e-3)
