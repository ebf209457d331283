"""`ebbtide rescore`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from engine.instants import format_instant
from engine.storage import Place
from serving.cli.options import (
    as_of_option,
    device_option,
    executor_option,
    ray_address_option,
    ray_config,
    ray_gpu_share_option,
    ray_workers_option,
    store_option,
)
from serving.cli.output import console, count, json_option, literal, print_json, stage

if TYPE_CHECKING:
    from engine.executors import RayConfig
    from serving.rescore import RescoreReport


@click.command()
@store_option
@as_of_option
@click.option("--name", help='The bundle whose champion scores; "default", or the only one that there is.')
@device_option
@executor_option
@ray_address_option
@ray_workers_option
@ray_gpu_share_option
@json_option
def rescore(
    store: Place,
    as_of_us: int,
    name: str | None,
    device: str,
    executor: str,
    ray_address: str | None,
    ray_workers: int | None,
    ray_gpu_share: float | None,
    as_json: bool,
) -> None:
    """Score every eligible customer as of an instant with the champion, into a new snapshot.

    The snapshot appears whole or not at all; a job that was killed goes on where it was. Running servers pick it up.
    """
    ray = ray_config(executor, address=ray_address, num_workers=ray_workers, gpu_share=ray_gpu_share)
    report = run_rescore(store, as_of_us=as_of_us, name=name, device=device, executor=executor, ray=ray, as_json=as_json)
    if as_json:
        print_json(describe_rescore(report))
        return
    print_rescore(report)
    console().print(f"Next: ebbtide serve --store {literal(store)}")


def run_rescore(
    store: Place,
    *,
    as_of_us: int,
    name: str | None,
    device: str,
    executor: str,
    ray: RayConfig | None = None,
    as_json: bool = False,
) -> RescoreReport:
    """Rescore with a progress bar over the buckets."""
    from engine.executors import make_executor
    from serving.rescore import rescore as run
    from training.registry import champion

    with stage("Rescoring", as_json=as_json) as progress, make_executor(executor, ray=ray) as workers:
        return run(
            store,
            as_of_us=as_of_us,
            bundle=champion(store, name) if name else None,
            executor=workers,
            device=device,
            progress=lambda at: progress.update(
                done=at.num_buckets_done, total=at.num_buckets, note=f"buckets, {at.num_customers:,} customers"
            ),
        )


def describe_rescore(report: RescoreReport) -> dict[str, Any]:
    """The report as the document that --json prints."""
    return {
        "snapshot_id": report.snapshot_id,
        "path": str(report.folder),
        "model_version": report.model_version,
        "model_as_of": format_instant(report.model_as_of_us),
        "as_of": format_instant(report.as_of_us),
        "num_customers": report.num_customers,
        "num_buckets": report.num_buckets,
        "num_buckets_scored": report.num_buckets_scored,
        "num_buckets_resumed": report.num_buckets_resumed,
        "device": report.device,
        "executor": report.executor,
        "seconds": {
            "prepare": round(report.prepare_s, 3),
            "score": round(report.score_s, 3),
            "commit": round(report.commit_s, 3),
        },
    }


def print_rescore(report: RescoreReport) -> None:
    """The report for a person."""
    out = console()
    if report.num_buckets_scored:
        seconds = report.prepare_s + report.score_s + report.commit_s
        out.print(
            f"Scored [bold]{report.num_customers:,}[/] customers as of {format_instant(report.as_of_us)} with "
            f"{report.model_version} in {seconds:.1f} s ({report.executor}, {report.device})."
        )
        if report.num_buckets_resumed:
            out.print(f"{report.num_buckets_resumed:,} of {count(report.num_buckets, 'bucket')} had been finished before.")
    else:
        out.print(f"The snapshot of these inputs was there already: {report.num_customers:,} customers, nothing to do.")
    if report.model_as_of_us > report.as_of_us:
        seen_until = format_instant(report.model_as_of_us)
        out.print(f"[yellow]Mind[/]: {report.model_version} learnt from events up to {seen_until}, later than this as-of.")
    out.print(f"Snapshot: {literal(report.folder)}")
