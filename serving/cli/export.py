"""`ebbtide export`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from engine.storage import Place
from serving.cli.options import store_option
from serving.cli.output import console, count, json_option, literal, print_json, print_marked, size, stage


@click.command(
    epilog="""\b
Examples:
  ebbtide export --store ./store --out scores.parquet
  ebbtide export --store ./store --out week.csv --horizon-days 7 --columns customer_id,churn_probability_7d,grade
  ebbtide export --store ./store --out crm.csv --with-reasons
  ebbtide export --store ./store --out before.arrow --snapshot previous --horizon-days 30 --horizon-days 90
"""
)
@store_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="The output file; it appears once it is complete.",
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["parquet", "csv", "arrow"]),
    help="Output format; by default taken from the suffix. arrow is an Arrow IPC file (Feather V2).",
)
@click.option(
    "--snapshot",
    default="current",
    show_default=True,
    metavar="ID",
    help="current, previous, an as-of date, or a snapshot id or prefix of one.",
)
@click.option(
    "--horizon-days",
    type=click.IntRange(min=1),
    multiple=True,
    metavar="H",
    help="Add a column churn_probability_<H>d; repeatable. By default the horizon that the model was trained for.",
)
@click.option("--columns", metavar="NAME,...", help="Only these, in this order.")
@click.option("--with-states", is_flag=True, help="Also the survival curve and the model's state per customer; not in csv.")
@click.option(
    "--with-reasons",
    is_flag=True,
    help="Also why: the three strongest reasons of each customer, in columns reason_<N>_<what>. Needs the model.",
)
@click.option("--verbatim", is_flag=True, help="csv: add no leading ' to texts that a spreadsheet would run as a formula.")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@json_option
def export(
    store: Place,
    out: Path,
    file_format: str | None,
    snapshot: str,
    horizon_days: tuple[int, ...],
    columns: str | None,
    with_states: bool,
    with_reasons: bool,
    verbatim: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Write the scores of every customer to one file, for a warehouse, a notebook or a spreadsheet.

    Columns: customer_id, store_id (of the last purchase; null if unknown), last_purchase (UTC timestamp), num_orders,
    churn_probability_<H>d, risk_score, grade and tier (at the model's own horizon), expected_days_to_purchase, and the other
    scores of the snapshot. Parquet and Arrow files carry as-of, model and snapshot in their metadata (ebbtide.as_of, ...).

    --with-reasons adds reason_1_sentence, reason_1_points, reason_1_theme and so on for the three strongest reasons. The
    baseline, 100 * baseline_churn_probability, plus all points, other_points included, adds up to the risk in percent.

    In csv, a text that begins with = + - @ ', a tab or a line break gets a leading ', so that no spreadsheet runs an id as a
    formula. Remove that one ' to get the text back, or use --verbatim, parquet or arrow.
    """
    from serving.snapshots import export_snapshot, find_snapshot

    manifest = find_snapshot(store, snapshot)
    find_reasons = None
    if with_reasons:
        from serving.service.reasoning import stored_reasons  # takes torch along, which the usual export does not need

        find_reasons = partial(stored_reasons, store, manifest)
    with stage("Exporting", as_json=as_json) as progress:
        report = export_snapshot(
            store,
            manifest,
            out,
            file_format=file_format,
            horizon_days=horizon_days,
            columns=[name.strip() for name in columns.split(",")] if columns is not None else (),
            with_states=with_states,
            find_reasons=find_reasons,
            marks_formulas=not verbatim,
            may_replace=force,
            progress=lambda done, total: progress.update(done=done, total=total, note="buckets"),
        )
    if as_json:
        print_json(
            {
                "path": str(report.out),
                "format": report.file_format,
                "snapshot_id": report.snapshot_id,
                "columns": report.columns,
                "num_customers": report.num_customers,
                "num_bytes": report.num_bytes,
                "num_marked": report.num_marked,
            }
        )
        return
    console().print(
        f"Wrote [bold]{count(report.num_customers, 'customer')}[/], {count(len(report.columns), 'column')}, "
        f"to {literal(report.out)} ({report.file_format}, {size(report.num_bytes)}; {report.num_bytes:,} bytes)."
    )
    print_marked(report.num_marked, "--verbatim leaves them as they are")
    console().print(f"[dim]Snapshot {report.snapshot_id}[/]")
