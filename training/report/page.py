"""The page: what was measured, what came of it, and how to read it."""

from __future__ import annotations

from html import escape

from engine.instants import format_instant
from training.backtest.judging import MODEL, Judgement
from training.backtest.windows import Backtest, Window
from training.report.charts import (
    draw_calibration,
    draw_differences,
    draw_gain,
    draw_lift,
    draw_origins,
    draw_precision_recall,
    draw_roc,
    draw_scores,
)
from training.report.lead_time import draw_lead_time, tabulate_lead_time
from training.report.shell import figure, whole_page
from training.report.style import label_of
from training.report.tables import say, say_change, say_interval, say_share, tabulate_grades, tabulate_metrics, tabulate_segments
from training.report.value import draw_value


def draw_report(result: Backtest) -> str:
    """A whole HTML document; everything is in it, and nothing is fetched."""
    window, judgement = result.pooled[0]
    horizons = " and ".join(str(days) for days in result.config.horizons_days)
    title = f"Back-test: churn within {horizons} days"
    parts = [
        f"<header><h1>{escape(title)}</h1><p>{escape(_summary(result))}</p></header>",
        _cards(window, judgement),
        _measured(result),
        *(_horizon(result, place) for place in range(len(result.pooled))),
        draw_value(result.value) if result.value else "",
        _lead_time(result),
        "<footer>ebbtide. Intervals: 95 %, bootstrap of customers, "
        f"{result.config.num_resamples:,} resamples, paired between models.</footer>",
    ]
    return whole_page(title, parts)


def _summary(result: Backtest) -> str:
    window, judgement = result.pooled[0]
    own = judgement.metrics[MODEL]
    origins = "one as-of" if len(window.as_of_us) == 1 else f"{len(window.as_of_us)} as-of dates"
    text = (
        f"{own['num_customers']:,} customers at {origins}, active in the last {result.config.active_within_days} days; "
        f"{say_share(own['base_rate'])} made no purchase in the next {window.horizon_days}."
    )
    best = judgement.best_baseline
    if best is None:
        return text
    value, (low, high) = judgement.estimates.difference(MODEL, best, "auc")
    verdict = "ahead of" if low > 0 else "behind" if high < 0 else "level with"
    return (
        f"{text} ebbtide is {verdict} {label_of(best)}, the best baseline: ROC-AUC {say_change(value, 4)} "
        f"(95 % interval {say_change(low, 4)} to {say_change(high, 4)})."
    )


def _cards(window: Window, judgement: Judgement) -> str:
    own = judgement.metrics[MODEL]
    shown = (
        ("auc", "ROC-AUC", 3),
        ("average_precision", "Average precision, churn", 3),
        ("brier", "Brier score", 4),
        ("calibration_slope", "Calibration slope", 2),
        ("top_decile_lift", "Top-decile lift", 2),
    )
    cards = [
        f'<div class="card"><div class="name">{escape(name)}</div><div class="value">{say(own[metric], decimals)}</div>'
        f'<div class="note">{escape(say_interval(judgement.estimates.interval(MODEL, metric), decimals))}</div></div>'
        for metric, name, decimals in shown
    ]
    return f'<div class="cards">{"".join(cards)}</div>'


def _measured(result: Backtest) -> str:
    config, data = result.config, result.data
    versions = [
        str(window.bundle["version"] or f"trained at each as-of, seed {window.bundle['seed']}") for window in result.windows
    ]
    profit = config.profit
    facts = {
        "Data": f"{data.num_orders:,} orders of {data.num_customers:,} customers, {data.first_order} to {data.last_order}",
        "History": data.history_hash,
        "As of (UTC)": ", ".join(format_instant(instant) for instant in config.as_of_us),
        "Horizon": ", ".join(f"{days} days" for days in config.horizons_days) + "; churn means no purchase within it",
        "Eligible": f"customers with a purchase in the {config.active_within_days} days before the as-of",
        "Model": ", ".join(dict.fromkeys(versions))
        + f"; for a horizon of {config.train.horizon_days} days, on events before the as-of only",
        "Baselines": ", ".join(label_of(name) for name in config.baselines) or "none",
        "Campaign (EMPC)": (
            f"customer value {profit.customer_value:g}, offer {profit.offer_cost:g}, contact {profit.contact_cost:g}, acceptance "
            f"probability Beta({profit.accept_alpha:g}, {profit.accept_beta:g}); profit per customer"
        ),
    }
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items())
    return f'<h2>What was measured</h2><div class="sheet"><dl>{rows}</dl></div>'


def _horizon(result: Backtest, place: int) -> str:
    window, judgement = result.pooled[place]
    num_origins = len(result.config.as_of_us)
    own = slice(place * num_origins, (place + 1) * num_origins)
    pooled = f", {num_origins} as-of dates pooled" if num_origins > 1 else ""
    parts = [
        f"<h2>Churn within {window.horizon_days} days{pooled}</h2>",
        '<p class="lead">AP: average precision, of finding churners and of finding stayers. ECE: expected calibration error over '
        "ten groups of equal size. Slope 1 and intercept 0 are perfect calibration. EMPC: expected maximum profit of a campaign. "
        "Best of each column in blue, 95 % interval below; that of ECE leaves out the error that chance alone causes.</p>",
        f'<div class="sheet">{tabulate_metrics(judgement)}</div>',
    ]
    if judgement.baselines:
        parts.append(
            "<h3>Difference to each baseline</h3>"
            + figure(
                draw_differences(judgement),
                "Paired differences with 95 % intervals; to the right of the line ebbtide is better. Green or red: the interval "
                "excludes 0.",
                is_broad=True,
            )
        )
    if num_origins > 1:
        parts.append(
            "<h3>Rolling origins</h3>"
            + figure(
                draw_origins(result.windows[own], result.judgements[own]), "A model was trained at each as-of.", is_broad=True
            )
        )
    pictures = (
        (
            draw_roc(window, judgement),
            "Closer to the top left is better; the dashed line is chance. Legend: area under the curve.",
        ),
        (draw_precision_recall(window, judgement), "The dashed line is the base rate. Legend: average precision."),
        (
            draw_calibration(window, judgement),
            "Ten groups of equal size with 95 % intervals; the dashed line is perfect calibration.",
        ),
        (
            draw_scores(window, result.config.grades),
            "Distribution of the scores of customers who churned and who stayed, with the grades below.",
        ),
        (
            draw_gain(window, judgement),
            "Contacting customers in order of risk. Dotted: perfect foresight; dashed: chance.",
        ),
        (draw_lift(window, judgement), "Churn rate of each decile relative to that of all customers (dashed line)."),
    )
    parts.append(f'<h3>Curves</h3><div class="grid">{"".join(figure(*picture) for picture in pictures)}</div>')
    if judgement.segments:
        parts.append(f'<h3>Segments</h3><div class="sheet">{tabulate_segments(judgement)}</div>')
    if judgement.grades:
        parts.append(
            "<h3>Grades</h3><p class='lead'>Outcomes by grade, and the confusion matrix of acting on that grade and all "
            f'worse ones.</p><div class="sheet">{tabulate_grades(judgement)}</div>'
        )
    return "".join(parts)


def _lead_time(result: Backtest) -> str:
    if result.walk is None:
        return f'<h2>Lead time</h2><div class="notice">{escape(result.no_walk or "")}</div>'
    config = result.walk.config
    rule, goal = config.rule_days, config.goal_days
    return (
        "<h2>Lead time</h2>"
        f'<p class="lead">Every {config.step_days} days from {format_instant(result.walk.instants_us[0])} on, the '
        f"{say_share(config.alarmed_share)} of eligible customers most at risk are flagged by the newest model trained by then. "
        f"A customer has left after {rule} days or more without a purchase, up to the end of the data. The naive rule notices "
        f"on day {rule}; the goal in the field is {goal} days earlier at {100 * config.goal_accuracy:.0f} % precision. An alarm "
        f"is false if the customer bought again. ebbtide is trained to predict the next {result.config.train.horizon_days} days, "
        "not for this goal; recency is also shown at ebbtide's number of false alarms.</p>"
        '<div class="grid"><div class="wide">'
        + figure(
            draw_lead_time(result.walk),
            f"Customers who left, by how early they were first flagged; left of the dashed line: {goal} days ahead or more.",
            is_broad=True,
        )
        + f'</div><div class="sheet wide">{tabulate_lead_time(result.walk)}</div></div>'
    )
