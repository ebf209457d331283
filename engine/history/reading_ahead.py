"""Reading ahead: the system fetches what will be read of a part's files, while others are worked on.

Where a file is mapped, the disk is asked at the first touch of a page, and who touches it waits. A night that has not been in
memory since the last one spends more time so than on everything else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from engine.history.manifest import PartRecord
from engine.schema import EVENT_SCHEMA
from engine.storage import Place, is_remote, local_path, read_ahead

_FOOTER_BYTES = 64 << 10  # at the end of a file, with the schema and its names


def read_parts_ahead(history: Place, parts: Sequence[PartRecord], columns: Collection[str]) -> None:
    """Ask for the parts of a bucket, and do not wait for them.

    columns : of the events of the first part, the large one, that will be read; of the others all will be

    What cannot be opened is passed over: whoever reads it says what is wrong with it.
    """
    if is_remote(history):
        return
    for place, part in enumerate(parts):
        (customers, _), (events, events_bytes) = part.files
        with suppress(OSError, pa.ArrowException):
            read_ahead(history / customers)
            if place > 0 or set(columns) >= set(EVENT_SCHEMA.names):
                read_ahead(history / events)
                continue
            # Else the first look at it would fetch megabytes around its end.
            read_ahead(history / events, max(0, events_bytes - _FOOTER_BYTES), events_bytes)
            for begin, end in _ranges(local_path(history / events), columns):
                read_ahead(history / events, begin, end)


def _ranges(path: Path, columns: Collection[str]) -> Iterator[tuple[int, int]]:
    """Where the values of columns lie in a file."""
    with pa.memory_map(str(path)) as file:
        whole = file.read_buffer()
        batch = pa.ipc.open_file(whole).get_batch(0)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            values = column.buffers()[1]
            if name in columns and values is not None:
                begin = values.address - whole.address
                yield begin, begin + values.size
