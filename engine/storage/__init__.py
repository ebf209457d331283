"""Where a store lies: a local folder, or a prefix of an object store. The rooms above ask for the same either way.

Place       what `pathlib.Path` and `RemotePath` have in common; a local place is a plain `Path`
resolve     text to a place
operations  what the two do differently: reading, writing, delivering, removing, telling whether something changed
writer_lock the one writer's lock of a folder
"""

from engine.storage.delivery import Delivery
from engine.storage.locks import WriterLock, writer_lock
from engine.storage.operations import (
    deliver,
    is_remote,
    local_path,
    open_input,
    read_ahead,
    remove_tree,
    sha256_of,
    signature_of,
    size_of,
    sizes_below,
    sync,
    usage_of,
    write_bytes,
    write_json,
    written_at_s,
)
from engine.storage.place import Place, StoreLike, resolve
from engine.storage.remote import RemotePath

__all__ = [
    "Delivery",
    "Place",
    "RemotePath",
    "StoreLike",
    "WriterLock",
    "deliver",
    "is_remote",
    "local_path",
    "open_input",
    "read_ahead",
    "remove_tree",
    "resolve",
    "sha256_of",
    "signature_of",
    "size_of",
    "sizes_below",
    "sync",
    "usage_of",
    "write_bytes",
    "write_json",
    "writer_lock",
    "written_at_s",
]
