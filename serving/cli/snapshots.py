"""`ebbtide snapshots`: list, prune, diff."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from engine.instants import format_instant
from engine.storage import Place
from serving.cli.diff import diff
from serving.cli.groups import OrderedGroup
from serving.cli.options import check_is_there, store_option
from serving.cli.output import console, count, json_option, literal, print_json, size, table

if TYPE_CHECKING:
    from serving.snapshots import Pruning, SnapshotInfo, UnfinishedSnapshot


# Columns of a terminal from which a table has room for the model and its horizon.
_WIDE = 104


@click.group(cls=OrderedGroup)
def snapshots() -> None:
    """The scored snapshots of a store: list them, compare two, remove old ones."""


@snapshots.command("list")
@store_option
@json_option
def list_command(store: Place, as_json: bool) -> None:
    """Every snapshot, oldest as-of first, with its size; servers answer from the current one.

    Unfinished ones are listed separately: a job is writing them, or was killed and resumes when it is run again.
    """
    from serving.snapshots import list_snapshots, list_unfinished

    check_is_there(store)
    infos, unfinished = list_snapshots(store), list_unfinished(store)
    if as_json:
        print_json(
            {
                "store": str(store),
                "snapshots": [describe_snapshot(info) for info in infos],
                "unfinished": [describe_unfinished(entry) for entry in unfinished],
            }
        )
        return
    print_snapshots([describe_snapshot(info) for info in infos], next_step=f"ebbtide rescore --store {store} --as-of DATE")
    for entry in unfinished:
        console().print(f"Unfinished: {literal(entry.snapshot_id)}, {size(entry.num_bytes)}, last written {_ago(entry)}.")


@snapshots.command()
@store_option
@click.option("--keep", type=click.IntRange(min=1), required=True, metavar="N", help="How many of the newest, by as-of, to keep.")
@click.option(
    "--abandoned-after-hours",
    type=click.FloatRange(min=0),
    default=24.0,
    show_default=True,
    metavar="H",
    help="Also remove unfinished snapshots not written to for this long; set it longer than a job takes for one bucket.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be removed, and remove nothing.")
@json_option
def prune(store: Place, keep: int, abandoned_after_hours: float, dry_run: bool, as_json: bool) -> None:
    """Remove old snapshots, and what killed jobs left behind.

    The current and the previous snapshot always stay: servers answer from the one, and finish paging through the other. A
    snapshot that cannot be read does not count, and is removed unless it is one of these two.
    """
    from serving.snapshots import prune_snapshots

    pruning = prune_snapshots(store, keep=keep, abandoned_after_hours=abandoned_after_hours, is_rehearsal=dry_run)
    if as_json:
        print_json(
            {
                "store": str(store),
                "is_dry_run": dry_run,
                "kept": [info.snapshot_id for info in pruning.kept],
                "removed": [info.snapshot_id for info in pruning.removed],
                "unfinished_removed": [entry.snapshot_id for entry in pruning.cleared],
                "unfinished_kept": [entry.snapshot_id for entry in pruning.working],
                "num_bytes_freed": pruning.num_bytes,
            }
        )
        return
    _print_pruning(pruning, dry_run=dry_run)


snapshots.add_command(diff)


def describe_snapshot(info: SnapshotInfo) -> dict[str, Any]:
    """A snapshot as the document that --json prints; null what an unreadable one does not tell."""
    inputs = info.manifest.inputs if info.manifest else None
    return {
        "snapshot_id": info.snapshot_id,
        "is_current": info.is_current,
        "is_previous": info.is_previous,
        "as_of": format_instant(inputs.as_of_us) if inputs else None,
        "model_version": inputs.model_version if inputs else None,
        "horizon_days": inputs.horizon_days if inputs else None,
        "active_within_days": inputs.active_within_days if inputs else None,
        "num_customers": info.manifest.num_customers if info.manifest else None,
        "num_bytes": info.num_bytes,
        "problem": info.problem or None,
    }


def describe_unfinished(entry: UnfinishedSnapshot) -> dict[str, Any]:
    """A folder that no manifest commits, as the document that --json prints."""
    hours = max(0.0, time.time() - entry.written_at_s) / 3600
    return {"snapshot_id": entry.snapshot_id, "num_bytes": entry.num_bytes, "hours_since_written": round(hours, 3)}


def print_snapshots(described: Sequence[dict[str, Any]], *, next_step: str = "") -> None:
    """Described snapshots as a table, and a line for each that cannot be read.

    next_step : the command to run where there is none, if it can be run by now
    """
    if not described:
        console().print("No snapshot yet." + (f" Next: {literal(next_step)}" if next_step else ""))
        return
    out = console()
    is_wide = out.width >= _WIDE
    rows = [
        (
            literal(told["snapshot_id"]),
            *_about(told, is_wide=is_wide),
            "?" if told["num_customers"] is None else f"{told['num_customers']:,}",
            "?" if told["num_bytes"] is None else size(told["num_bytes"]),
            "[bold]current[/]" if told["is_current"] else "previous" if told["is_previous"] else "",
        )
        for told in described
    ]
    about = (("as of", "left"), ("model", "left"), "horizon") if is_wide else (("as of", "left"),)
    out.print(table((("snapshot", "left"), *about, "customers", "size", ("", "left")), rows))
    for told in described:
        if told["problem"]:
            console().print(f"[red]{literal(told['snapshot_id'])}[/]: {literal(told['problem'])}")
        if told["problem"] and told["is_current"]:
            has_previous = any(other["is_previous"] and not other["problem"] for other in described)
            answers = "serve the previous one meanwhile" if has_previous else "have nothing to serve"
            console().print(f"[red]The current snapshot cannot be read[/]: servers started now {answers}.")


def _about(told: dict[str, Any], *, is_wide: bool) -> tuple[str, ...]:
    """What fits of a described snapshot; its id names the model, too."""
    as_of = told["as_of"] or "[red]unreadable[/]"
    horizon = f"{told['horizon_days']} days" if told["horizon_days"] else "?"
    return (as_of, told["model_version"] or "?", horizon) if is_wide else (as_of,)


def _print_pruning(pruning: Pruning, *, dry_run: bool) -> None:
    out = console()
    for info in pruning.removed:
        why = " (it could not be read)" if info.problem else ""
        out.print(f"{'Would remove' if dry_run else 'Removed'} {literal(info.snapshot_id)}{why}")
    for entry in pruning.cleared:
        done = "Would remove" if dry_run else "Removed"
        out.print(f"{done} {literal(entry.snapshot_id)}, which was never finished; last written {_ago(entry)}")
    for entry in pruning.working:
        out.print(f"Left alone {literal(entry.snapshot_id)}, unfinished: last written {_ago(entry)}, a job may be working there")
    if pruning.removed or pruning.cleared:
        out.print(f"{'It would free' if dry_run else 'Freed'} {size(pruning.num_bytes)}.")
    else:
        out.print("Nothing to remove.")
    named = ", ".join(f"{literal(info.snapshot_id)}{_mark(info)}" for info in pruning.kept)
    out.print(f"{count(len(pruning.kept), 'snapshot')} {'would stay' if dry_run else 'stay'}: {named}")


def _mark(info: SnapshotInfo) -> str:
    return " (current)" if info.is_current else " (previous)" if info.is_previous else ""


def _ago(entry: UnfinishedSnapshot) -> str:
    minutes = max(0.0, time.time() - entry.written_at_s) / 60
    if minutes < 1:
        return "just now"
    if minutes < 120:
        return f"{count(round(minutes), 'minute')} ago"
    return f"{count(round(minutes / 60), 'hour')} ago"
