"""`ebbtide compact`."""

from __future__ import annotations

import click

from engine.storage import Place
from serving.cli.options import store_option
from serving.cli.output import console, count, json_option, literal, print_json, stage


@click.command()
@store_option
@json_option
def compact(store: Place, as_json: bool) -> None:
    """Fold what nightly files added into one part for each bucket, so that the history is read at full speed.

    The events stay what they are. Ingest does this by itself where a bucket has got many parts.
    """
    from engine.upkeep import compact as run

    with stage("Compacting", as_json=as_json) as progress:
        report = run(store, progress=lambda done, total: progress.update(done=done, total=total, note="buckets"))
    if as_json:
        print_json(
            {
                "store": str(report.store),
                "num_buckets_folded": report.num_buckets_folded,
                "num_parts_before": report.num_parts_before,
                "num_parts": len(report.manifest.parts),
                "num_events_replaced": report.num_events_replaced,
            }
        )
        return
    if not report.num_buckets_folded:
        console().print(f"[bold]{literal(store)}[/]: each bucket has one part, nothing to do.")
        return
    console().print(
        f"[bold]{store}[/]: {report.num_parts_before:,} parts are now {len(report.manifest.parts):,}; "
        f"{count(report.num_events_replaced, 'old version')} of events gone."
    )
