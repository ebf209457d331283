"""The part of the page that speaks of expected spend."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.instants import format_instant
from training.backtest.judging import MODEL
from training.backtest.value import ValueJudgement
from training.report.style import colour_of, label_of
from training.report.tables import Row, draw_table, say

_METRICS: tuple[tuple[str, str, int], ...] = (
    # key, heading, decimals
    ("mean_absolute_error", "mean absolute error", 2),
    ("root_mean_square_error", "root mean square error", 2),
    ("spearman", "rank correlation", 3),
    ("total_ratio", "predicted / actual total", 3),
)


def draw_value(judgements: Sequence[ValueJudgement]) -> str:
    """HTML of the section."""
    parts = [
        "<h2>Spend</h2>",
        '<p class="lead">Expected spend in the days after the as-of, compared with actual spend. A predicted / actual total of 1 '
        "is right. Expected spend is a mean, so judge it by the root mean square error; the mean absolute error favours models "
        "that predict too little. Best of each column in blue.</p>",
    ]
    for judgement in judgements:
        dates = ", ".join(format_instant(instant) for instant in judgement.as_of_us)
        mean = say(judgement.mean_spent, 2)
        spent = (
            f"spent {mean}" if judgement.unit == "currency" else f"made {mean} orders (counted because the log has no amounts)"
        )
        parts.append(
            f"<h3>Within {judgement.days} days</h3>"
            f'<p class="lead">As of {dates}: {judgement.num_customers:,} customers, who {spent} on average.</p>'
            f'<div class="sheet">{_tabulate(judgement)}</div>'
        )
    return "".join(parts)


def best_of(judgement: ValueJudgement, metric: str) -> float:
    """The best value that a model has; NaN where none has one."""
    values = [found[metric] for found in judgement.metrics.values() if math.isfinite(found[metric])]
    if not values:
        return math.nan
    if metric == "total_ratio":
        return min(values, key=lambda value: abs(value - 1.0))
    return max(values) if metric == "spearman" else min(values)


def _tabulate(judgement: ValueJudgement) -> str:
    rows = []
    for model, found in judgement.metrics.items():
        cells = [label_of(model)]
        for metric, _, decimals in _METRICS:
            star = "*" if found[metric] == best_of(judgement, metric) else ""
            cells.append(f"{star}{say(found[metric], decimals)}")
        rows.append(Row(cells, kind="own" if model == MODEL else "", swatch=colour_of(model)))
    return draw_table(["", *(heading for _, heading, _ in _METRICS)], rows)
