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
from serving.cli.output import console, count, json_option, literal, print_json, print_prose, stage

if TYPE_CHECKING:
    from engine.executors import RayConfig
    from serving.rescoring.rescore import RescoreReport


@click.command()
@store_option
@as_of_option
@click.option("--name", help='The model whose champion scores; by default "default", or the only one there is.')
@click.option(
    "--full",
    is_flag=True,
    help="Read every customer from the first event, instead of continuing from the states of the last snapshot.",
)
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
    full: bool,
    device: str,
    executor: str,
    ray_address: str | None,
    ray_workers: int | None,
    ray_gpu_share: float | None,
    as_json: bool,
) -> None:
    """Score every eligible customer as of an instant, into a new snapshot.

    Only events since the newest snapshot of the same champion go through the model; the scores equal those of --full. The
    snapshot appears once it is complete, and running servers pick it up. A killed job resumes when it is run again.
    """
    ray = ray_config(executor, address=ray_address, num_workers=ray_workers, gpu_share=ray_gpu_share)
    report = run_rescore(
        store, as_of_us=as_of_us, name=name, full=full, device=device, executor=executor, ray=ray, as_json=as_json
    )
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
    full: bool = False,
    ray: RayConfig | None = None,
    as_json: bool = False,
) -> RescoreReport:
    """Rescore with a progress bar over the buckets."""
    from engine.bucket_walk import available_cores
    from engine.executors import make_executor
    from serving.rescoring.rescore import rescore as run
    from training.registry import champion

    made = make_executor(executor, ray=ray, num_threads=available_cores())
    with stage("Rescoring", as_json=as_json) as progress, made as workers:
        return run(
            store,
            as_of_us=as_of_us,
            bundle=champion(store, name) if name else None,
            executor=workers,
            device=device,
            full=full,
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
        "begun_from": report.begun_from or None,
        "num_customers": report.num_customers,
        "num_rolled_on": report.num_rolled_on,
        "num_unchanged": report.num_unchanged,
        "num_begun_anew": report.num_begun_anew,
        "num_events_read": report.num_events_read,
        "num_buckets": report.num_buckets,
        "num_buckets_scored": report.num_buckets_scored,
        "num_buckets_resumed": report.num_buckets_resumed,
        "num_buckets_fallen_back": report.num_buckets_fallen_back,
        "device": report.device,
        "executor": report.executor,
        "seconds": {
            "prepare": round(report.prepare_s, 3),
            "score": round(report.score_s, 3),
            "commit": round(report.commit_s, 3),
        },
        "seconds_by_stage": {name: round(seconds, 3) for name, seconds in report.stage_s.items()},
        "peak_memory_bytes": report.peak_bytes,
    }


def print_rescore(report: RescoreReport, *, is_whole_process: bool = True) -> None:
    """The report for a person.

    is_whole_process : whether the process did nothing else, so that its peak memory says something of the rescoring
    """
    out = console()
    if report.num_buckets_scored:
        seconds = report.prepare_s + report.score_s + report.commit_s
        out.print(
            f"Scored [bold]{count(report.num_customers, 'customer')}[/] as of {format_instant(report.as_of_us)} with "
            f"{report.model_version} in {seconds:.1f} s ({report.executor}, {report.device})."
        )
        _print_beginnings(report, is_whole_process=is_whole_process)
        if report.num_buckets_resumed:
            out.print(
                f"{report.num_buckets_resumed:,} of {count(report.num_buckets, 'bucket')} had been finished by an earlier run."
            )
    else:
        out.print(
            f"This snapshot exists already, from the same inputs: {count(report.num_customers, 'customer')}, nothing to do."
        )
    if report.model_as_of_us > report.as_of_us:
        seen_until = format_instant(report.model_as_of_us)
        print_prose(f"[yellow]Note[/]: {report.model_version} was trained on events up to {seen_until}, later than this as-of.")
    out.print(f"Snapshot: {literal(report.folder)}")


def _print_beginnings(report: RescoreReport, *, is_whole_process: bool) -> None:
    """What was read for it, and where the time went."""
    out = console()
    if report.begun_from:
        out.print(
            f"Continued from {literal(report.begun_from)}: {count(report.num_unchanged, 'customer')} unchanged, "
            f"{report.num_rolled_on:,} with new events, {report.num_begun_anew:,} from scratch; "
            f"the model read {count(report.num_events_read, 'event')}."
        )
    else:
        print_prose(f"Read every customer from the first event; the model read {count(report.num_events_read, 'event')}.")
    stages = ", ".join(f"{name} {seconds:.1f}" for name, seconds in report.stage_s.items())
    memory = f" Peak memory {report.peak_bytes / 2**20:,.0f} MiB." if is_whole_process else ""
    print_prose(f"Seconds by stage, summed over tasks: {stages}; commit {report.commit_s:.1f}.{memory}")
    if report.num_buckets_fallen_back:
        print_prose(
            f"[yellow]Note[/]: the GPU failed in {count(report.num_buckets_fallen_back, 'bucket')}, which the CPU scored."
        )
