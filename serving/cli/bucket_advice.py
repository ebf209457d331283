"""What a person is told of a history that has outgrown its buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.storage import Place
from serving.cli.output import console, count, literal

if TYPE_CHECKING:
    from engine.history.manifest import Manifest


def print_bucket_advice(store: Place, manifest: Manifest) -> None:
    """A line where the history had better be split, and how; else nothing."""
    from engine.ingest.bucket_number import advise_num_buckets

    advised = advise_num_buckets(manifest)
    if advised is None:
        return
    console().print(
        f"[yellow]Note[/]: {manifest.num_events:,} events in {count(manifest.num_buckets, 'bucket')} take more memory to process "
        f"than they need to. Split them: ebbtide compact --store {literal(store)} --buckets {advised}"
    )
