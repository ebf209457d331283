"""`ebbtide ingest`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.errors import InvalidArgumentError
from engine.fields import SOURCE_FIELDS
from engine.instants import format_instant, next_midnight
from engine.schema import KIND_NAMES, EventKind
from engine.storage import Place
from serving.cli.bucket_advice import print_bucket_advice
from serving.cli.options import store_option
from serving.cli.output import console, count, json_option, literal, print_json, stage
from serving.cli.status import count_kinds, describe_history

if TYPE_CHECKING:
    from engine.ingest.report import IngestReport

_FIELD_HELP = "\n".join(
    f"      {field.name:<12} {field.description}{' (required)' if field.required else ''}" for field in SOURCE_FIELDS
)


def parse_columns(assignments: tuple[str, ...]) -> dict[str, str]:
    """`FIELD=NAME` pairs of --column.

    raises : InvalidArgumentError for a pair without both sides, or a field named twice
    """
    columns: dict[str, str] = {}
    for assignment in assignments:
        field, equals, name = assignment.partition("=")
        if not (field and equals and name):
            raise InvalidArgumentError("--column", f"found {assignment!r}, expected FIELD=NAME, such as customer_id=household_id")
        if field in columns:
            raise InvalidArgumentError("--column", f"found {field} twice, as {columns[field]!r} and {name!r}, expected it once")
        columns[field] = name
    return columns


@click.command(epilog="\b\nFields of a row, read from the column of the same name unless --column names another:\n" + _FIELD_HELP)
@store_option
@click.option(
    "--column", "assignments", multiple=True, metavar="FIELD=NAME", help="Read FIELD from the file's column NAME; repeatable."
)
@click.option(
    "--kind",
    type=click.Choice(KIND_NAMES),
    default="purchase",
    show_default=True,
    help="What the rows are, unless there is a column `kind`. Purchases include returns: is_return, or a negative amount.",
)
@click.option("--dataset", metavar="NAME", help="A data set installed as a package, in place of FILE: complete-journey.")
@click.option(
    "--timestamp-format", metavar="FORMAT", help="Format of text timestamps that are not ISO 8601, such as '%d/%m/%Y %H:%M'."
)
@click.option(
    "--buckets", type=int, metavar="N", help="How many buckets to split a new history into; by default chosen from the data."
)
@click.argument("files", nargs=-1, metavar="[FILE ...]", type=click.Path(path_type=Path))
@json_option
def ingest(
    store: Place,
    assignments: tuple[str, ...],
    kind: str,
    dataset: str | None,
    timestamp_format: str | None,
    buckets: int | None,
    files: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Add purchases and other customer events to the history of a store.

    FILE is Parquet, CSV (also .gz) or Arrow, or a folder of such files. The lines of an order become one event. Ingesting the
    same file or order again changes nothing; a corrected order replaces the old one, so pass all lines of an order in one
    command. Rows that cannot be used are kept, with the reason, in DIR/history/quarantine.
    """
    from engine.datasets import locate
    from engine.ingest import ingest as run

    columns = parse_columns(assignments)
    if bool(files) == bool(dataset):
        raise InvalidArgumentError("FILE", "expected one or more files, or --dataset NAME, and not both")
    if dataset:
        found = locate(dataset)
        files, columns = tuple(found.files), {**found.columns, **columns}
    with stage("Ingesting", as_json=as_json) as progress:
        report = run(
            store,
            files,
            columns=columns,
            timestamp_format=timestamp_format,
            num_buckets=buckets,
            kind=EventKind[kind.upper()],
            progress=lambda at: progress.update(
                done=at.rows_done, total=at.rows_total, note=f"rows, {at.stage} {at.file}".rstrip()
            ),
        )
    if as_json:
        print_json(describe_ingest(report))
        return
    print_ingest(report)
    _print_next(report)


def describe_ingest(report: IngestReport) -> dict[str, Any]:
    """The report as the document that --json prints."""
    from engine.ingest.bucket_number import advise_num_buckets

    manifest = report.manifest
    return {
        "store": str(report.store),
        "num_rows": report.num_rows,
        "num_bad_rows": report.num_bad_rows,
        "bad_rows": report.bad_rows,
        "num_events_new": report.num_events_new,
        "num_events_replaced": report.num_events_replaced,
        "num_events_unchanged": report.num_events_unchanged,
        "num_sub_cent": report.num_sub_cent,
        "rounding_major": report.rounding_major,
        "files": [
            {
                "path": str(file.path),
                "status": str(file.status),
                "num_rows": file.num_rows,
                "bad_rows": dict(file.bad_rows),
                "quarantine": str(file.quarantine) if file.quarantine else None,
            }
            for file in report.files
        ],
        "num_buckets_advised": advise_num_buckets(manifest),
        "history": describe_history(manifest),
    }


def _print_next(report: IngestReport) -> None:
    """What to run after it: nothing is told where there are no orders to learn from yet."""
    last_us = report.manifest.last_order_us
    if last_us is None:
        return
    verb = "rescore" if (report.store / "models").is_dir() else "train"
    as_of = format_instant(next_midnight(last_us))
    console().print(f"Next: ebbtide {verb} --store {literal(report.store)} --as-of {as_of}")


def print_ingest(report: IngestReport) -> None:
    """The report for a person: what came in, what was kept out and where it is, what is there now."""
    from engine.ingest import FileStatus

    out = console()
    for file in report.files:
        if file.status == FileStatus.SKIPPED:
            out.print(f"{literal(file.path)}: already ingested, nothing to do.")
        elif file.status == FileStatus.REPEATED:
            out.print(f"{literal(file.path)}: identical to another file of this command, read once.")
    if report.num_rows:
        changes = [
            f"{number:,} {what}"
            for number, what in (
                (report.num_events_new, "new"),
                (report.num_events_replaced, "replaced"),
                (report.num_events_unchanged, "unchanged"),
            )
            if number
        ]
        out.print(f"Read {count(report.num_rows, 'row')}; events: {', '.join(changes) or 'none'}.")
    if report.num_sub_cent:
        out.print(
            f"{count(report.num_sub_cent, 'amount')} had fractions of a cent; rounding each order to the cent changed "
            f"the total by {report.rounding_major:+.4f}."
        )
    for file in report.files:
        if file.status == FileStatus.INGESTED and file.bad_rows:
            reasons = ", ".join(f"{number:,} {reason}" for reason, number in file.bad_rows.items())
            out.print(f"[yellow]Rejected from {literal(file.path.name)}[/]: {reasons}; kept in {literal(file.quarantine)}")
    manifest = report.manifest
    out.print(
        f"[bold]{literal(report.store)}[/] holds {count_kinds(manifest.num_by_kind)} of "
        f"{count(manifest.num_customers, 'customer')}, {format_instant(manifest.first_event_us)[:10]} to "
        f"{format_instant(manifest.last_event_us)[:10]}, worth {manifest.amount_minor_total / 100:,.2f}."
    )
    print_bucket_advice(report.store, manifest)
