"""The model card: what a bundle is, for a person who did not train it. Markdown, and nothing in it speaks of a customer.

source : Mitchell et al. (2019), Model Cards for Model Reporting
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from engine.instants import DAY_US, format_instant
from training.bundles.bundle import BundleDescription
from training.config import TrainConfig

CARD_FILE = "card.md"

_METRICS = (
    ("auc", "ROC-AUC", 4),
    ("average_precision", "average precision", 4),
    ("brier", "Brier score", 4),
    ("log_loss", "log loss, nats", 4),
    ("ece", "expected calibration error", 4),
    ("calibration_slope", "calibration slope", 2),
    ("top_decile_lift", "top-decile lift", 2),
    ("base_rate", "share that churned", 3),
    ("num_customers", "customers judged", 0),
)


def render_card(name: str, version: str, about: BundleDescription) -> str:
    """The card of a version."""
    sections = (
        _predicts(about),
        ("Trained on", _learnt_from(about)),
        ("Quality", _how_good(about)),
        ("Limits", _limits(about)),
        ("Reproducing it", _how_to_repeat(name, about)),
        ("Identity", _identity(about)),
    )
    first, *rest = sections
    body = "\n\n".join(f"## {heading}\n{text}" for heading, text in rest)
    return f"# {name}/{version}\n\n{first}\n\n{body}\n"


def _predicts(about: BundleDescription) -> str:
    edges = about.config["model"]["edges_days"]
    return (
        f"The probability that a customer makes no purchase within **{about.horizon_days} days** of an instant, for customers "
        f"with a purchase in the **{about.active_within_days} days** before it. The same hazard curve answers for any other "
        f"horizon up to {edges[-1]:g} days, but was trained for this one."
    )


def _learnt_from(about: BundleDescription) -> str:
    num_days = (about.as_of_us - about.first_event_us) / DAY_US
    return "\n".join(
        (
            f"- events from {format_instant(about.first_event_us // DAY_US * DAY_US)} until just before "
            f"{format_instant(about.as_of_us)} ({num_days:,.0f} days); nothing later was used",
            f"- {about.num_events:,} events of {about.num_customers:,} customers (from a history of more than "
            f"{about.config['max_events']:,} events, a random sample of customers)",
            "- the model files hold no name, id or event of any customer, only weights, means, deciles and shares",
        )
    )


def _how_good(about: BundleDescription) -> str:
    parts = []
    if about.validation:
        begin = format_instant(about.as_of_us - about.horizon_days * DAY_US)
        parts.append(
            f"On the holdout window from {begin} to {format_instant(about.as_of_us)}, by a first pass that had not seen it. "
            f"Epochs and calibration were chosen on it, so the figures are slightly optimistic.\n\n{_table(about.validation, {})}"
        )
    else:
        parts.append("Unknown: the last horizon before the as-of had too few customers, or too few of one outcome, to measure.")
    if about.backtest is not None:
        instants = about.backtest["as_of"]
        origins = instants if isinstance(instants, str) else ", ".join(instants)
        parts.append(
            f"Back-tests as of {origins}, by models trained the same way at that time, without what followed "
            f"(95 % intervals):\n\n{_table(about.backtest['metrics'], about.backtest['intervals'])}"
        )
    slope, shift = about.calibration["slope"], about.calibration["shift"]
    parts.append(
        f"Calibration: the cumulative hazard H becomes exp({shift:+.3f}) H^{slope:.3f}"
        + (", fitted on that window and shrunk towards the identity." if about.validation else "; that is the identity.")
    )
    return "\n\n".join(parts)


def _table(metrics: Mapping[str, float | None], intervals: Mapping[str, Any]) -> str:
    rows = ["| metric | value |", "|---|---|"]
    for key, heading, decimals in _METRICS:
        value = metrics.get(key)
        if value is None:
            continue
        low, high = intervals.get(key) or (None, None)
        reach = "" if low is None or high is None else f" ({low:,.{decimals}f} to {high:,.{decimals}f})"
        rows.append(f"| {heading} | {value:,.{decimals}f}{reach} |")
    return "\n".join(rows)


def _limits(about: BundleDescription) -> str:
    return "\n".join(
        (
            f"- It says nothing of customers without a purchase in the last {about.active_within_days} days, or why any leaves.",
            "- It knows only the log of this chain. Moves, deaths and purchases elsewhere look like churn.",
            "- It cannot foresee a season that the log has never covered. From a year and a half of log on, seasonality comes "
            "from the chain's orders of the year before; with less, it is ignored.",
            "- It ages: `ebbtide drift` compares the chain with the training data and says when to retrain.",
            "- Use the probabilities to decide whom to contact. They are no reason to refuse a customer anything.",
        )
    )


def _how_to_repeat(name: str, about: BundleDescription) -> str:
    config = about.config
    command = (
        f"ebbtide train --store DIR --as-of {format_instant(about.as_of_us)} --name {name} --horizon-days {about.horizon_days} "
        f"--active-within-days {about.active_within_days} --seed {config['seed']}"
    )
    versions = ", ".join(f"{library} {version}" for library, version in about.libraries.items())
    lines = [
        f"    {command}",
        "",
        f"On the history whose manifest has the hash below, with {versions} on the same kind of "
        "processor, this gives a bit-identical model.",
    ]
    changed = _changed(config)
    if changed:
        lines += ["", f"Settings other than the defaults: {', '.join(changed)}."]
    return "\n".join(lines)


def _changed(config: Mapping[str, Any]) -> list[str]:
    """Settings that the command does not tell."""
    told = ("horizon_days", "active_within_days", "seed")
    found, default = _flat(config), _flat(asdict(TrainConfig()))
    return [f"{key} = {value}" for key, value in sorted(found.items()) if key not in told and default.get(key) != value]


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    model = {f"model.{key}": list(value) if isinstance(value, tuple) else value for key, value in config["model"].items()}
    return {key: value for key, value in config.items() if key != "model"} | model


def _identity(about: BundleDescription) -> str:
    rows = (
        ("model", about.content_hash),
        ("weights", about.weights_hash),
        ("catalogue of inputs", about.catalogue_hash),
        ("history's manifest", about.history_hash),
    )
    return "\n".join(("| hash of | |", "|---|---|", *(f"| {what} | `{found}` |" for what, found in rows)))
