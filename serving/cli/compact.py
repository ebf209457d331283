"""`ebbtide compact`."""

from __future__ import annotations

import click

from engine.storage import Place
from serving.cli.bucket_advice import print_bucket_advice
from serving.cli.options import store_option
from serving.cli.output import console, count, json_option, literal, print_json, stage


@click.command()
@store_option
@click.option("--buckets", type=int, metavar="N", help="Split the history into N buckets, a multiple of the present number.")
@json_option
def compact(store: Place, buckets: int | None, as_json: bool) -> None:
    """Merge what nightly files added into one part per bucket, so that the history is read at full speed.

    The events do not change. Ingest does this by itself once a bucket has many parts. After a split, the next rescoring is a full
    one.
    """
    from engine.ingest.bucket_number import advise_num_buckets
    from engine.upkeep import compact as run

    with stage("Compacting", as_json=as_json) as progress:
        report = run(
            store, num_buckets=buckets, progress=lambda done, total: progress.update(done=done, total=total, note="buckets")
        )
    if as_json:
        print_json(
            {
                "store": str(report.store),
                "num_buckets": report.manifest.num_buckets,
                "num_buckets_before": report.num_buckets_before,
                "num_buckets_advised": advise_num_buckets(report.manifest),
                "num_buckets_folded": report.num_buckets_folded,
                "num_parts_before": report.num_parts_before,
                "num_parts": len(report.manifest.parts),
                "num_events_replaced": report.num_events_replaced,
            }
        )
        return
    out = console()
    if report.num_buckets_before < report.manifest.num_buckets:
        out.print(
            f"[bold]{literal(store)}[/]: {report.manifest.num_buckets:,} buckets now, {report.num_buckets_before:,} before."
        )
    elif not report.num_buckets_folded:
        out.print(f"[bold]{literal(store)}[/]: each bucket has one part already, nothing to do.")
    else:
        out.print(
            f"[bold]{literal(store)}[/]: {report.num_parts_before:,} parts are now {len(report.manifest.parts):,}; "
            f"{count(report.num_events_replaced, 'old version')} of events removed."
        )
    print_bucket_advice(store, report.manifest)
