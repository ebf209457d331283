"""A study as a page: Optuna's plots by their names, drawn without plotly, so that the page needs no network.

Optimisation history, parameter importances, slices, intermediate values.
"""

from __future__ import annotations

import math
from html import escape

from engine.instants import format_instant
from training.baselines.boosting import Tuned
from training.report.shell import figure, whole_page
from training.report.style import MUTED, colour_of
from training.report.svg import Plot, Range, nice_ticks, percent
from training.tuning.space import SPACE, Setting
from training.tuning.study import LEAST_FOR_IMPORTANCE, Study, Trial

_OWN, _PEER, _BEST, _PALE = colour_of("ebbtide"), colour_of("lightgbm_tuned"), "#2c8f6f", "#b9c1c9"
_LEFT = 76.0  # room for losses of four digits


def draw_study(study: Study, importances: dict[str, float], peer: Tuned | None = None) -> str:
    """A whole HTML document.

    importances : share of each setting, the largest first; empty where there are too few trials to tell
    peer        : what the same budget found for LightGBM
    """
    peer_loss = None if peer is None else peer.log_loss
    title = f"Study {study.name}: settings tuned as of {format_instant(study.subject.as_of_us)}"
    parts = [f"<header><h1>{escape(title)}</h1><p>{escape(_summary(study, peer))}</p></header>", _settings(study)]
    if study.best is not None:
        caption = "Completed trials; the line is the best so far."
        if peer_loss is not None:
            caption += " Dashed: the best of LightGBM with as many trials on the same customers."
        parts.append("<h2>Optimisation history</h2>" + figure(_history(study, peer_loss), caption, is_broad=True))
        parts.append("<h2>Parameter importances</h2>" + _importances(importances))
        caption = "Completed trials; the best is green."
        slices = "".join(figure(_slice(study, setting), caption) for setting in SPACE)
        parts.append(f'<h2>Slices</h2><div class="grid">{slices}</div>')
        parts.append(
            "<h2>Intermediate values</h2>"
            + figure(_curves(study), "Validation curve of every trial; dashed if it was pruned.", is_broad=True)
        )
    parts.append("<footer>ebbtide. TPE and pruning by Optuna; importances by PED-ANOVA.</footer>")
    return whole_page(title, parts)


def _summary(study: Study, peer: Tuned | None) -> str:
    subject = study.subject
    compared = ""
    if peer is not None and peer.log_loss is not None:
        lead = study.lead_of(peer.log_loss)
        ahead = "" if lead is None else f", {lead:.5f} ahead of the best trial"
        compared = f" LightGBM with the same budget: {peer.log_loss:.5f}{ahead}."
    num_pruned = sum(trial.state != "complete" for trial in study.trials)
    return (
        f"{len(study.trials)} trials, {num_pruned} of them pruned. Judged by the cross entropy of churn within "
        f"{subject.base['horizon_days']} days on {subject.num_held_out:,} customers in the holdout window, the last horizon "
        "before the as-of. The best of many trials is partly luck: expect a smaller gain on the next window."
        f"{compared}"
    )


def _settings(study: Study) -> str:
    best = study.best
    rows = "".join(
        f"<tr><td>{escape(setting.name)}</td><td>{escape(setting.range_text)}</td><td>{study.usual[setting.name]:.4g}</td>"
        f"<td>{'' if best is None else format(best.values[setting.name], '.4g')}</td></tr>"
        for setting in SPACE
    )
    losses = "".join(f"<td>{_say(trial)}</td>" for trial in (study.first, best))
    return (
        "<h2>Settings</h2><div class='sheet'><table><tr><th>setting</th><th>searched</th><th>default</th><th>best</th></tr>"
        f"{rows}<tr class='own'><td>cross entropy</td><td></td>{losses}</tr></table></div>"
    )


def _say(trial: Trial | None) -> str:
    return "" if trial is None or trial.loss is None else f"{trial.loss:.5f}"


def _completed(study: Study) -> list[tuple[Trial, float]]:
    return [(trial, trial.loss) for trial in study.trials if trial.loss is not None]


def _reach(values: list[float]) -> Range:
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 0.01
    return low - room, high + room


def _history(study: Study, peer_loss: float | None) -> str:
    completed = _completed(study)
    reach = _reach([*(loss for _, loss in completed), *([] if peer_loss is None else [peer_loss])])
    last = max(trial.number for trial in study.trials)
    plot = Plot(
        "Optimisation history", x=("trial", (-0.5, last + 0.5)), y=("cross entropy", reach), width=1060, height=330, left=_LEFT
    )
    plot.ticks_x([tick for tick in nice_ticks(0, max(last, 1), 10) if tick == int(tick)], lambda value: f"{value:.0f}")
    plot.ticks_y(nice_ticks(*reach), lambda value: f"{value:.4g}")
    numbers: list[float] = []
    lowest: list[float] = []
    for trial, loss in completed:
        numbers.append(float(trial.number))
        lowest.append(min([loss, *lowest[-1:]]))
    if peer_loss is not None:
        plot.line([-0.5, last + 0.5], [peer_loss, peer_loss], _PEER, width=1.6, dash="6 4")
        plot.key("LightGBM, tuned", _PEER)
    plot.line(numbers, lowest, _BEST)
    for trial, loss in completed:
        plot.dot(trial.number, loss, _OWN)
    plot.key("trial", _OWN)
    plot.key("best so far", _BEST)
    return plot.render()


def _importances(importances: dict[str, float]) -> str:
    if not importances:
        return f'<div class="notice">Needs {LEAST_FOR_IMPORTANCE} completed trials.</div>'
    names, top = list(importances), 1.15 * max(importances.values())
    plot = Plot(
        "Parameter importances", x=("", (0.4, len(names) + 0.6)), y=("share", (0, top)), width=1060, height=330, left=_LEFT
    )
    plot.ticks_x(range(1, len(names) + 1), lambda at: names[round(at) - 1], grid=False)
    plot.ticks_y(nice_ticks(0, top), percent)
    for at, name in enumerate(names, start=1):
        plot.bar(at - 0.3, at + 0.3, importances[name], _OWN, text=percent(importances[name]))
    return figure(plot.render(), "Share of each setting in reaching the best tenth of the trials (PED-ANOVA).", is_broad=True)


def _slice(study: Study, setting: Setting) -> str:
    completed = _completed(study)
    reach = _reach([loss for _, loss in completed])
    scale = math.log10 if setting.is_log else float
    low, high = scale(setting.low), scale(setting.high)
    plot = Plot(
        setting.name,
        x=(f"{setting.name}, searched {setting.range_text}", (low, high)),
        y=("cross entropy", reach),
        height=320,
        left=_LEFT,
    )
    marks = [setting.low, math.sqrt(setting.low * setting.high), setting.high] if setting.is_log else nice_ticks(low, high)
    named = {scale(mark): f"{mark:.2g}" if setting.is_log and not setting.is_whole else f"{mark:.3g}" for mark in marks}
    plot.ticks_x(named, lambda at: named[at])
    plot.ticks_y(nice_ticks(*reach), lambda value: f"{value:.4g}")
    for trial, loss in completed:
        is_best = trial == study.best
        plot.dot(scale(trial.values[setting.name]), loss, _BEST if is_best else _OWN, radius=6 if is_best else 4.2)
    return plot.render()


def _curves(study: Study) -> str:
    drawn = [trial for trial in study.trials if trial.curve]
    num_epochs = max(len(trial.curve) for trial in drawn)
    # The first epochs of a slow learner would press all else together.
    ends = [trial.curve[-1] for trial in drawn]
    reach = _reach([min(min(trial.curve) for trial in drawn), max(ends)])
    plot = Plot(
        "Intermediate values",
        x=("epoch", (1, max(num_epochs, 2))),
        y=("cross entropy", reach),
        width=1060,
        height=400,
        left=_LEFT,
    )
    plot.ticks_x([tick for tick in nice_ticks(1, max(num_epochs, 2), 12) if tick == int(tick)], lambda value: f"{value:.0f}")
    plot.ticks_y(nice_ticks(*reach), lambda value: f"{value:.4g}")
    for trial in sorted(drawn, key=lambda one: (one == study.best, one == study.first)):
        colour = _BEST if trial == study.best else _OWN if trial == study.first else _PALE
        epochs = [float(epoch) for epoch in range(1, len(trial.curve) + 1)]
        plot.line(
            epochs, trial.curve, colour, width=1.2 if colour == _PALE else 2.6, dash="" if trial.loss is not None else "4 4"
        )
    for name, colour in (("best", _BEST), ("default settings", _OWN), ("others", _PALE if len(drawn) > 2 else MUTED)):
        plot.key(name, colour)
    return plot.render()
