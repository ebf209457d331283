"""The pictures of how good one window, or several pooled, was predicted."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from engine.instants import format_instant
from training.backtest.judging import MODEL, Judgement
from training.backtest.windows import Window
from training.evaluation.curves import calibration_groups, decile_lift, gain_points, precision_recall_points, roc_points
from training.report.style import BAD, GOOD, INK, MUTED, TIER_COLOURS, colour_of, label_of
from training.report.svg import Plot, nice_ticks, percent

_SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_GREY = "#b9c1c9"


def shown_models(judgement: Judgement) -> list[str]:
    """Whose curves are drawn: ebbtide, its reference, the best of the others and recency; more would hide each other."""
    wanted = [MODEL, judgement.reference, judgement.best_baseline, "recency"]
    return [name for name in dict.fromkeys(wanted) if name is not None and name in judgement.metrics]


def draw_roc(window: Window, judgement: Judgement) -> str:
    plot = Plot(
        "ROC curve", x=("false positive rate (stayers flagged)", (0, 1)), y=("true positive rate (churners found)", (0, 1))
    )
    plot.ticks_x(_SHARES, percent)
    plot.ticks_y(_SHARES, percent)
    plot.line((0, 1), (0, 1), _GREY, width=1.4, dash="4 4")
    for name in reversed(shown_models(judgement)):
        xs, ys = roc_points(window.churned, window.probability[name])
        plot.line(xs, ys, colour_of(name), width=2.6 if name == MODEL else 1.7)
    for name in shown_models(judgement):
        plot.key(f"{label_of(name)} {judgement.metrics[name]['auc']:.3f}", colour_of(name))
    return plot.render()


def draw_precision_recall(window: Window, judgement: Judgement) -> str:
    plot = Plot("Precision and recall", x=("recall (churners found)", (0, 1)), y=("precision (flagged who churned)", (0, 1)))
    plot.ticks_x(_SHARES, percent)
    plot.ticks_y(_SHARES, percent)
    base_rate = float(window.churned.mean())
    plot.line((0, 1), (base_rate, base_rate), _GREY, width=1.4, dash="4 4")
    for name in reversed(shown_models(judgement)):
        xs, ys = precision_recall_points(window.churned, window.probability[name])
        plot.line(xs, ys, colour_of(name), width=2.6 if name == MODEL else 1.7)
    for name in shown_models(judgement):
        plot.key(f"{label_of(name)} {judgement.metrics[name]['average_precision']:.3f}", colour_of(name))
    return plot.render()


def draw_calibration(window: Window, judgement: Judgement) -> str:
    models = [name for name in (MODEL, judgement.reference) if name is not None]
    groups = {name: calibration_groups(window.churned, window.probability[name]) for name in models}
    own = groups[MODEL]
    top = max(float(own.high.max()), *(float(max(found.promised.max(), found.happened.max())) for found in groups.values()))
    top = min(1.0, math.ceil(top * 10 + 1e-9) / 10)
    plot = Plot("Calibration", x=("predicted churn probability", (0, top)), y=("observed churn rate", (0, top)))
    ticks = nice_ticks(0, top)
    plot.ticks_x(ticks, percent)
    plot.ticks_y(ticks, percent)
    plot.line((0, top), (0, top), _GREY, width=1.4, dash="4 4")
    for name in reversed(models):
        found = groups[name]
        plot.line(found.promised, found.happened, colour_of(name), width=2.2 if name == MODEL else 1.4)
        for place in range(len(found.promised)):
            if name == MODEL:
                plot.reach_y(found.promised[place], found.low[place], found.high[place], colour_of(name))
            plot.dot(found.promised[place], found.happened[place], colour_of(name), radius=4.2 if name == MODEL else 3.0)
    for name in models:
        plot.key(f"{label_of(name)}, ECE {judgement.metrics[name]['ece']:.3f}", colour_of(name))
    return plot.render()


def draw_gain(window: Window, judgement: Judgement) -> str:
    plot = Plot("Gain", x=("customers contacted, most at risk first", (0, 1)), y=("churners found", (0, 1)))
    plot.ticks_x(_SHARES, percent)
    plot.ticks_y(_SHARES, percent)
    base_rate = float(window.churned.mean())
    plot.line((0, 1), (0, 1), _GREY, width=1.4, dash="4 4")
    plot.line((0, base_rate, 1), (0, 1, 1), _GREY, width=1.4, dash="1 4")
    for name in reversed(shown_models(judgement)):
        xs, ys = gain_points(window.churned, window.probability[name])
        plot.line(xs, ys, colour_of(name), width=2.6 if name == MODEL else 1.7)
    xs, ys = gain_points(window.churned, window.probability[MODEL])
    found = float(np.interp(0.1, xs, ys))
    plot.dot(0.1, found, colour_of(MODEL), radius=5)
    plot.note(0.1, found, f"top decile finds {percent(found)}", dx=10, dy=14)
    for name in shown_models(judgement):
        plot.key(label_of(name), colour_of(name))
    return plot.render()


def draw_lift(window: Window, judgement: Judgement) -> str:
    models = [name for name in (MODEL, judgement.reference) if name is not None]
    lifts = {name: decile_lift(window.churned, window.probability[name]) for name in models}
    num = len(lifts[MODEL])
    top = 1.15 * max(float(found.max()) for found in lifts.values())
    plot = Plot(
        "Lift by decile",
        x=("decile of the customers, most at risk first", (0.4, num + 0.6)),
        y=("times the mean churn rate", (0, top)),
    )
    plot.ticks_x(range(1, num + 1), lambda value: f"{value:.0f}", grid=False)
    plot.ticks_y(nice_ticks(0, top), lambda value: f"{value:g}")
    width = 0.8 / len(models)
    for place, name in enumerate(models):
        for tenth, value in enumerate(lifts[name], start=1):
            start = tenth - 0.4 + place * width
            text = f"{value:.1f}" if name == MODEL else ""
            plot.bar(start, start + width * 0.94, float(value), colour_of(name), text=text)
        plot.key(label_of(name), colour_of(name))
    plot.rule_y(1.0, INK, dash="4 3")
    return plot.render()


def draw_scores(window: Window, grades: Sequence[tuple[str, float]]) -> str:
    edges = np.linspace(0.0, 1.0, 26)
    scores = window.probability[MODEL]
    shares = {
        outcome: np.histogram(scores[window.churned == outcome], edges)[0] / max(int((window.churned == outcome).sum()), 1)
        for outcome in (False, True)
    }
    top = 1.08 * max(float(found.max()) for found in shares.values())
    # Room at the foot for the grades.
    plot = Plot("Scores of ebbtide", x=("predicted churn probability", (0, 1)), y=("share of customers", (-0.07 * top, top)))
    plot.ticks_x(_SHARES, percent)
    plot.ticks_y([tick for tick in nice_ticks(0, top) if tick >= 0], percent)
    plot.steps(list(edges), list(shares[False]), "#5b8fb9", label="stayed")
    plot.steps(list(edges), list(shares[True]), "#d1495b", label="churned")
    upper = 1.0
    for name, lowest in grades:
        plot.band(lowest / 100, upper, TIER_COLOURS.get(name[:1], MUTED), name)
        upper = lowest / 100
    return plot.render()


def draw_differences(judgement: Judgement) -> str:
    """Paired differences to every baseline in three metrics, each so that right of the line is better."""
    baselines = [name for name in judgement.baselines if name != "constant"] or judgement.baselines
    metrics = (
        ("auc", "ROC-AUC gained", 1.0),
        ("average_precision", "avg. precision gained", 1.0),
        ("brier", "Brier score saved", -1.0),
    )
    height = 92 + 30 * len(baselines)
    panels = []
    for number, (metric, title, sign) in enumerate(metrics):
        rows = []
        for name in baselines:
            value, (low, high) = judgement.estimates.difference(MODEL, name, metric)
            low, high = sorted((sign * low, sign * high))
            rows.append((name, sign * value, low, high))
        lowest, highest = min(0.0, *(low for _, _, low, _ in rows)), max(0.0, *(high for _, _, _, high in rows))
        room = 0.06 * (highest - lowest) or 1.0
        left = 138.0 if number == 0 else 22.0
        plot = Plot(
            title,
            x=("", (lowest - room, highest + room)),
            y=("", (0.4, len(rows) + 0.6)),
            width=(354.0 if number == 0 else 238.0) + 22,
            height=height,
            left=left,
            top=40,  # no legend
        )
        ticks = nice_ticks(lowest - room, highest + room, 3)
        plot.ticks_x(ticks, lambda value: f"{value:+.2g}" if abs(value) > 1e-12 else "0")
        for place, (_, value, low, high) in enumerate(rows):
            at = len(rows) - place
            colour = GOOD if low > 0 else BAD if high < 0 else MUTED
            plot.reach_x(at, low, high, colour)
            plot.dot(value, at, colour, radius=4.6)
        if number == 0:
            plot.ticks_y(
                [len(rows) - place for place in range(len(rows))],
                lambda at: label_of(baselines[len(baselines) - round(at)]),
                grid=False,
            )
        plot.rule_x(0.0, INK)
        panels.append(plot.render())
    widths = "1.45fr 1fr 1fr"
    return f'<div style="display:grid;grid-template-columns:{widths};gap:6px">{"".join(panels)}</div>'


def draw_origins(windows: Sequence[Window], judgements: Sequence[Judgement]) -> str:
    """ROC-AUC of each origin beside that of the reference, with intervals."""
    models = [name for name in (MODEL, judgements[0].reference) if name is not None]
    reaches = {
        name: [(judgement.metrics[name]["auc"], *judgement.estimates.interval(name, "auc")) for judgement in judgements]
        for name in models
    }
    values = [value for found in reaches.values() for reach in found for value in reach if math.isfinite(value)]
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 0.01
    num = len(windows)
    plot = Plot(
        "ROC-AUC by as-of", x=("as of", (0.4, num + 0.6)), y=("ROC-AUC", (low - room, high + room)), width=1060, height=330
    )
    dates = [format_instant(window.as_of_us[0]) for window in windows]
    plot.ticks_x(range(1, num + 1), lambda at: dates[round(at) - 1], grid=False)
    plot.ticks_y(nice_ticks(low - room, high + room), lambda value: f"{value:.3g}")
    for place, name in enumerate(models):
        for at, (value, from_, to) in enumerate(reaches[name], start=1):
            x = at + (place - (len(models) - 1) / 2) * 0.09
            plot.reach_y(x, from_, to, colour_of(name))
            plot.dot(x, value, colour_of(name), radius=5)
        plot.key(label_of(name), colour_of(name))
    return plot.render()
