"""The tables of the report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from training.backtest.judging import MODEL, Judgement
from training.evaluation.bootstrap import Interval
from training.report.style import colour_of, label_of

_METRICS: tuple[tuple[str, str, int], ...] = (
    # key, heading, decimals
    ("auc", "ROC-AUC", 4),
    ("average_precision", "AP, churners", 4),
    ("average_precision_retained", "AP, stayers", 4),
    ("brier", "Brier", 4),
    ("log_loss", "log loss", 4),
    ("ece", "ECE", 4),
    ("calibration_slope", "calib. slope", 2),
    ("calibration_intercept", "intercept", 2),
    ("top_decile_lift", "top-decile lift", 2),
    ("expected_maximum_profit", "EMPC", 2),
)
_LOWER_IS_BETTER = ("brier", "log_loss", "ece")
# Best is nearest to this.
_BEST_NEAR = {"calibration_slope": 1.0, "calibration_intercept": 0.0}


@dataclass(frozen=True, kw_only=False, slots=True)
class Row:
    """A row of text cells; a cell may hold a second, small line after a newline, and a star in front sets it in bold."""

    cells: Sequence[str]
    kind: str = ""
    swatch: str = ""


def draw_table(headings: Sequence[str], rows: Sequence[Row]) -> str:
    """HTML of a table; every cell is escaped here."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = []
    for row in rows:
        cells = [_cell(cell) for cell in row.cells]
        if row.swatch:
            cells[0] = f'<span class="swatch" style="background:{row.swatch}"></span>{cells[0]}'
        drawn = "".join(f"<td>{cell}</td>" for cell in cells)
        if len(cells) == 1:
            drawn = f'<td colspan="{len(headings)}">{cells[0]}</td>'
        body.append(f'<tr class="{row.kind}">{drawn}</tr>' if row.kind else f"<tr>{drawn}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def say(value: float, decimals: int = 0) -> str:
    """A number with thousands apart; a dash where there is none."""
    return _minus(f"{value:,.{decimals}f}") if math.isfinite(value) else "–"


def say_change(value: float, decimals: int) -> str:
    """A number with its sign."""
    return _minus(f"{value:+.{decimals}f}")


def say_share(value: float) -> str:
    """A share in percent; a dash where there is none."""
    return f"{100 * value:.1f} %" if math.isfinite(value) else "–"


def say_interval(interval: Interval, decimals: int) -> str:
    """low…high; nothing where it is not defined."""
    low, high = interval
    return _minus(f"{low:.{decimals}f}…{high:.{decimals}f}") if math.isfinite(low) else ""


def tabulate_metrics(judgement: Judgement) -> str:
    """Every model with every metric and its interval, the best of each in bold."""
    best = {metric: _best(judgement, metric) for metric, _, _ in _METRICS}
    rows = []
    for model, values in judgement.metrics.items():
        cells = [label_of(model)]
        for metric, _, decimals in _METRICS:
            star = "*" if values[metric] == best[metric] else ""
            interval = say_interval(judgement.estimates.interval(model, metric), min(decimals, 3))
            cells.append(f"{star}{say(values[metric], decimals)}\n{interval}")
        rows.append(Row(cells, kind="own" if model == MODEL else "", swatch=colour_of(model)))
    return draw_table(["", *(heading for _, heading, _ in _METRICS)], rows)


def tabulate_segments(judgement: Judgement) -> str:
    """ebbtide in each segment, and how far it is ahead of the reference there."""
    reference = judgement.reference
    ahead = f"ROC-AUC vs {label_of(reference)}" if reference else "ROC-AUC difference"
    headings = ["", "customers", "churned", "ROC-AUC", "AP, churners", "Brier", "ECE", "calib. slope", ahead]
    rows: list[Row] = []
    for dimension, members in groupby(judgement.segments, key=lambda segment: segment.dimension):
        rows.append(Row([{"orders": "Number of orders"}.get(dimension, dimension.capitalize())], kind="head"))
        for segment in members:
            cells = [segment.name, say(segment.num_customers), say_share(segment.base_rate)]
            estimates = segment.estimates
            if estimates is None:
                rows.append(Row([*cells, "too few\nof one outcome", "", "", "", "", ""]))
                continue
            for metric, decimals in (("auc", 3), ("average_precision", 3), ("brier", 4), ("ece", 3), ("calibration_slope", 2)):
                interval = say_interval(estimates.interval(MODEL, metric), decimals)
                cells.append(f"{say(estimates.values[MODEL][metric], decimals)}\n{interval}")
            if reference:
                value, (low, high) = estimates.difference(MODEL, reference, "auc")
                cells.append(f"{say_change(value, 3)}\n{say_change(low, 3)}…{say_change(high, 3)}")
            else:
                cells.append("–")
            rows.append(Row(cells))
    return draw_table(headings, rows)


def tabulate_grades(judgement: Judgement) -> str:
    """Outcomes by grade, and the confusion matrix where a grade and all worse ones count as called."""
    headings = [
        "grade",
        "risk score",
        "customers",
        "churned",
        "churn rate",
        "flagged: this grade and worse",
        "churned (TP)",
        "stayed (FP)",
        "missed (FN)",
        "not flagged (TN)",
        "precision",
        "recall",
    ]
    rows, upper = [], 100.0
    for grade in judgement.grades:
        size = grade.num_churned + grade.num_retained
        rows.append(
            Row(
                [
                    grade.grade,
                    f"{grade.lowest_score:g} to {upper:g}",
                    say(size),
                    say(grade.num_churned),
                    say_share(grade.num_churned / size) if size else "–",
                    say(grade.true_positives + grade.false_positives),
                    say(grade.true_positives),
                    say(grade.false_positives),
                    say(grade.false_negatives),
                    say(grade.true_negatives),
                    say_share(grade.precision),
                    say_share(grade.recall),
                ]
            )
        )
        upper = grade.lowest_score
    return draw_table(headings, rows)


def _best(judgement: Judgement, metric: str) -> float:
    values = [found[metric] for found in judgement.metrics.values() if math.isfinite(found[metric])]
    if not values:
        return math.nan
    if metric in _BEST_NEAR:
        return min(values, key=lambda value: abs(value - _BEST_NEAR[metric]))
    return min(values) if metric in _LOWER_IS_BETTER else max(values)


def _minus(text: str) -> str:
    """With the sign that is as wide as a digit, and not a hyphen."""
    return text.replace("-", "−")


def _cell(text: str) -> str:
    main, _, small = text.partition("\n")
    shown = f"<b>{escape(main[1:])}</b>" if main.startswith("*") else escape(main)
    return f"{shown}<small>{escape(small)}</small>" if small else shown
