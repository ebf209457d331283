"""`ebbtide snapshots diff`."""

from __future__ import annotations

from pathlib import Path

import click

from engine.storage import Place
from serving.cli.options import store_option
from serving.cli.output import console, count, json_option, literal, print_json, print_marked, size, stage


@click.command(
    epilog="""\b
Examples:
  ebbtide snapshots diff --store ./store                     the previous against the current one
  ebbtide snapshots diff --store ./store 2025-11-01 2025-12-01 --out moves.parquet
"""
)
@click.argument("before", default="previous", metavar="[BEFORE]")
@click.argument("after", default="current", metavar="[AFTER]")
@store_option
@click.option(
    "--limit",
    type=click.IntRange(0, 100_000),
    default=10,
    show_default=True,
    metavar="N",
    help="How many to list of those whose risk rose most, and fell most.",
)
@click.option("--grades", "by_grade", is_flag=True, help="Count moves between the nine grades instead of the three tiers.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write every customer of either snapshot; the suffix (.parquet, .csv, .arrow) sets the format.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@json_option
def diff(before: str, after: str, store: Place, limit: int, by_grade: bool, out: Path | None, force: bool, as_json: bool) -> None:
    """Whose risk moved between two snapshots, and by how much.

    BEFORE and AFTER are snapshot ids or prefixes of one, as-of dates, `current` (now served) or `previous` (served before it). By
    default previous is compared with current. Both are read at AFTER's horizon. FILE has a row for each customer of either:
    customer_id, store_id, presence (both, new, left), churn_probability_before and _after, change, grade_before and _after; CSV
    is written as in `ebbtide export`.
    """
    from serving.cli.moves import describe_comparison, print_comparison
    from serving.snapshots import compare_snapshots, find_snapshot

    then, now = find_snapshot(store, before), find_snapshot(store, after)
    with stage("Comparing", as_json=as_json) as progress:
        comparison = compare_snapshots(
            store,
            then,
            now,
            limit=limit,
            out=out,
            may_replace=force,
            progress=lambda done, total: progress.update(done=done, total=total, note="buckets"),
        )
    if as_json:
        document = describe_comparison(comparison)
        if out:
            document |= {"path": str(out), "num_bytes": out.stat().st_size, "num_marked": comparison.num_marked}
        print_json(document)
        return
    print_comparison(comparison, by_grade=by_grade)
    if out:
        rows = count(comparison.num_both + int(comparison.came.sum() + comparison.left.sum()), "row")
        console().print(f"\nWrote {rows} to {literal(out)} ({size(out.stat().st_size)}).")
        print_marked(comparison.num_marked)
