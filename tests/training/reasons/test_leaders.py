"""Leaders: of a theme's numbers the one that a person would give as the reason."""

from __future__ import annotations

import numpy as np

from training.reasons import RECENT_EVENTS, SUBJECTS, THEMES
from training.reasons.leaders import find_leaders
from training.reasons.subjects import NUM_SUBJECTS
from training.reasons.themes import themes_of

NAMES = [subject.name for subject in SUBJECTS]


def _leader(
    theme: str,
    contributions: dict[str, float],
    values: dict[str, tuple[float, float]],
    *,
    recency_days: float = 3.0,
    gap_days: float = 10.0,
) -> str:
    """Who tells a theme, given contributions and (own, usual) values; all other numbers are 1, as usual."""
    by_subject, own, usual = np.zeros((1, NUM_SUBJECTS), np.float32), *(np.ones((1, NUM_SUBJECTS), np.float32) for _ in range(2))
    for name, contribution in contributions.items():
        by_subject[0, NAMES.index(name)] = contribution
    own[0, [NAMES.index(name) for name in ("recency_days", "gap_mean_days", "orders_90d")]] = recency_days, gap_days, 2
    for name, pair in values.items():
        own[0, NAMES.index(name)], usual[0, NAMES.index(name)] = pair
    themes = themes_of(own[:, :-1], np.full(1, 10, np.float32))
    points = np.full((1, 1), sum(contributions.values()), np.float32)
    (leader,) = find_leaders(by_subject, themes, np.array([[THEMES.index(theme)]]), points, own, usual).ravel()
    return NAMES[leader]


def test_the_number_that_carries_most_of_a_theme_tells_it() -> None:
    contributions = {"orders_90d": 0.02, "orders_365d": 0.05}
    fewer = {"orders_90d": (2.0, 5.0), "orders_365d": (9.0, 20.0)}
    assert _leader("frequency", contributions, fewer) == "orders_365d"


def test_a_number_that_speaks_against_the_points_does_not_tell_them() -> None:
    contributions = {"orders_90d": 0.02, "orders_365d": 0.05}
    fewer_and_more = {"orders_90d": (2.0, 5.0), "orders_365d": (30.0, 20.0)}
    assert _leader("frequency", contributions, fewer_and_more) == "orders_90d"


def test_a_number_that_is_as_usual_or_not_known_tells_nothing_while_another_does() -> None:
    contributions = {"basket_90d": 0.01, "basket_change_90d": 0.05, "lines_per_order_90d": 0.04}
    values = {"basket_90d": (5.0, 9.0), "basket_change_90d": (0.1, 0.1), "lines_per_order_90d": (np.nan, 4.0)}
    assert _leader("basket", contributions, values) == "basket_90d"


def test_a_silence_is_told_by_its_length() -> None:
    contributions = {"orders_30d": 0.2, "lateness": 0.1, "recency_days": 0.01}
    assert _leader("silence", contributions, {"orders_30d": (0.0, 4.0)}, recency_days=40.0) == "recency_days"


def test_no_rhythm_is_told_by_there_being_none() -> None:
    contributions = {"gap_spread_days": 0.2, "gap_mean_days": 0.01}
    values = {"gap_spread_days": (np.nan, 9.0)}
    assert _leader("rhythm", contributions, values, gap_days=np.nan) == "gap_mean_days"
    assert _leader("rhythm", contributions, values) == "gap_spread_days"


def test_the_state_tells_itself() -> None:
    assert _leader("recent_events", {"recent_events": 0.1}, {}) == NAMES[RECENT_EVENTS]
