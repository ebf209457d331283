"""`ebbtide drift`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from engine.instants import format_instant
from engine.storage import Place
from serving.cli.options import Instant, store_option
from serving.cli.output import console, count, json_option, literal, print_json, print_prose, table

if TYPE_CHECKING:
    from training.drift.measuring import DriftReport

EXIT_TRAIN_AGAIN = 3
_NUM_SHOWN = 8


@click.command()
@store_option
@click.option("--name", help='The model whose champion is checked; by default "default", or the only one there is.')
@click.option(
    "--as-of", "as_of_us", type=Instant(), help="The instant to look from, UTC; by default the midnight before the last order."
)
@click.option(
    "--psi-limit",
    type=click.FloatRange(0, min_open=True),
    metavar="INDEX",
    default=0.25,
    show_default=True,
    help="Highest accepted population stability index (PSI) of an indicator or of the score.",
)
@click.option(
    "--repurchase-fall-limit",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="SHARE",
    default=0.15,
    show_default=True,
    help="Largest accepted relative fall of the repurchase rate against the reference.",
)
@click.option(
    "--months-limit",
    type=click.IntRange(1, 24),
    metavar="N",
    default=3,
    show_default=True,
    help="Months in a row with a churn rate significantly above the reference that call for retraining.",
)
@click.option(
    "--ignore", multiple=True, metavar="INDICATOR", help="Show its PSI, but do not let it call for retraining. Repeatable."
)
@json_option
def drift(
    store: Place,
    name: str | None,
    as_of_us: int | None,
    psi_limit: float,
    repurchase_fall_limit: float,
    months_limit: int,
    ignore: tuple[str, ...],
    as_json: bool,
) -> int:
    """How far the chain has drifted from the data that the champion was trained on.

    The exit status is 0 if the champion is still fit, or if there was too little data to judge (it says so; `is_judged` in
    --json); 3 if a limit is crossed and it is time to retrain; 1 and 2 are errors, as everywhere.
    """
    from engine.errors import AsOfError
    from engine.history import History
    from training.data.panel import last_whole_day_us
    from training.drift.measuring import DriftConfig, measure_drift
    from training.registry import champion

    config = DriftConfig(psi=psi_limit, repurchase_fall=repurchase_fall_limit, months_over=months_limit, ignored=ignore)
    history, bundle = History.open(store), champion(store, name)
    if as_of_us is None:
        last_us = last_whole_day_us(history)
        if last_us is None:
            raise AsOfError(f"the history of {store} holds no orders; ingest purchases first")
        # A nightly training may be as of the midnight after.
        as_of_us = max(last_us, bundle.as_of_us)
    report = measure_drift(history, bundle, as_of_us=as_of_us, config=config)
    if as_json:
        print_json(describe_drift(report))
    else:
        print_drift(report)
    return EXIT_TRAIN_AGAIN if report.calls_for_training else 0


def describe_drift(report: DriftReport) -> dict[str, Any]:
    """The report as the document that --json prints; what is not known is null."""
    return {
        "model_version": f"{report.name}/{report.version}",
        "as_of": format_instant(report.as_of_us),
        "model_as_of": format_instant(report.model_as_of_us),
        "horizon_days": report.horizon_days,
        "num_customers": report.num_customers,
        "num_customers_before": report.num_customers_before,
        "train_again": report.calls_for_training,
        "is_judged": report.is_judged,
        "reasons": list(report.reasons),
        "not_judged": list(report.not_judged),
        "stability": [
            {
                "name": shift.name,
                "psi": shift.psi,
                "unknown_before": shift.unknown_before,
                "unknown_now": shift.unknown_now,
                "is_over": shift.is_over,
            }
            for shift in report.shifts
        ],
        "reference_churn_rate": report.reference_churn_rate,
        "repurchase_fall": _known(report.repurchase_fall),
        "num_months_over": report.num_months_over,
        "calibration_slope": _known(report.calibration_slope),
        "calibration_error": _known(report.calibration_error),
        "windows": [
            {
                "as_of": format_instant(window.as_of_us),
                "num_customers": window.num_customers,
                "promised": window.promised,
                "churn_rate": window.churn_rate,
                "is_seen": window.is_seen,
                "is_over": window.is_over,
            }
            for window in report.windows
        ],
    }


def print_drift(report: DriftReport) -> None:
    """The report for a person."""
    out = console()
    print_prose(
        f"[bold]{report.name}/{report.version}[/], trained as of {format_instant(report.model_as_of_us)}, checked as of "
        f"{format_instant(report.as_of_us)}: {count(report.num_customers, 'customer')} "
        f"(at training {report.num_customers_before:,})."
    )
    if report.shifts:
        shown = [shift for place, shift in enumerate(report.shifts) if place <= _NUM_SHOWN or shift.is_over]
        rows = [
            (
                shift.name,
                f"{shift.psi:.3f}",
                f"{100 * shift.unknown_before:.1f} %",
                f"{100 * shift.unknown_now:.1f} %",
                "[red]over[/]" if shift.is_over else "",
            )
            for shift in shown
        ]
        out.print()
        out.print(table((("", "left"), "PSI", "unknown at training", "unknown now", ("", "left")), rows))
        if len(shown) < len(report.shifts):
            out.print(
                f"[dim]PSI: population stability index. {len(report.shifts) - len(shown)} more indicators have moved less.[/]"
            )
    if report.windows:
        rows = [
            (
                f"{format_instant(window.as_of_us)}, {report.horizon_days} days",
                f"{window.num_customers:,}",
                f"{100 * window.promised:.1f} %",
                f"{100 * window.churn_rate:.1f} %",
                ("[red]above the reference[/]" if window.is_over else "") + (" (in the training data)" if window.is_seen else ""),
            )
            for window in report.windows
        ]
        rows.append(("reference", "", "", f"{100 * report.reference_churn_rate:.1f} %", ""))
        out.print()
        out.print(table((("window", "left"), "customers", "predicted", "churned", ("", "left")), rows))
        print_prose(
            f"Newest window: calibration slope {_told(report.calibration_slope, '.2f')}, expected calibration error "
            f"{_told(report.calibration_error, '.3f')}, "
            f"repurchase rate {_told(-100 * report.repurchase_fall, '+.1f', ' %')} against the reference."
        )
    out.print()
    for line in report.not_judged:
        print_prose(f"[yellow]Not judged[/]: {literal(line)}.")
    for line in report.reasons:
        print_prose(f"[red]Crossed[/]: {literal(line)}.")
    if report.calls_for_training:
        out.print("It is time to retrain.")
    elif not report.is_judged:
        print_prose("[yellow]Nothing could be judged[/]: too little data to say whether it is time to retrain.")
    else:
        out.print("No limit is crossed.")


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _told(value: float, form: str, unit: str = "") -> str:
    return format(value, form) + unit if math.isfinite(value) else "unknown"
