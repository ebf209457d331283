"""What local and remote places do differently: map or fetch, rename or put, sync or trust the endpoint."""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine import files
from engine.storage.place import Place
from engine.storage.remote import RemotePath


def is_remote(place: Place) -> bool:
    """Whether files of the place are read into memory, instead of being mapped."""
    return isinstance(place, RemotePath)


def open_input(place: Place) -> pa.NativeFile:
    """A file for Arrow to read without a copy: a memory map, or what was fetched into memory.

    raises : OSError; of a remote place FileNotFoundError, RemoteError
    """
    if isinstance(place, RemotePath):
        return pa.BufferReader(place.read_buffer())
    return pa.memory_map(str(place))


def read_ahead(place: Place, begin: int = 0, end: int | None = None) -> None:
    """Have the system fetch bytes of a local file, without waiting for them; of a remote one nothing is fetched ahead.

    raises : OSError
    """
    if not isinstance(place, RemotePath):
        files.read_ahead(local_path(place), begin, end)


def write_bytes(place: Place, data: bytes | pa.Buffer, *, is_durable: bool = True) -> None:
    """Replace a file so that a reader sees the old bytes or the new ones and nothing between.

    is_durable : on return, whatever becomes of the machine; else a crash of it may lose the file, or leave a part of it
    """
    if isinstance(place, RemotePath):
        place.write(data)
    else:
        files.write_bytes_atomic(local_path(place), data, is_durable=is_durable)


def write_json(place: Place, obj: Any, *, is_durable: bool = True) -> None:
    """`write_bytes` of readable JSON with sorted keys, so that equal objects give equal bytes; NaN raises ValueError."""
    text = json.dumps(obj, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes(place, text.encode() + b"\n", is_durable=is_durable)


def deliver(temporary: Path, place: Place) -> None:
    """Move a finished file from the staging folder to where it belongs, durable on return but for the folder's entry."""
    if isinstance(place, RemotePath):
        with pa.memory_map(str(temporary)) as source:
            place.write(source.read_buffer())
        temporary.unlink()
    else:
        files.move_into_place(temporary, local_path(place))


def remove_tree(place: Place) -> None:
    """Remove a folder with all below it; harmless where there is none."""
    if isinstance(place, RemotePath):
        place.remove_tree()
    elif place.exists():
        shutil.rmtree(local_path(place))


def sync(folder: Place) -> None:
    """Make renames and removals in a folder durable; an endpoint's are when it has answered."""
    if not isinstance(folder, RemotePath):
        files.sync_folder(local_path(folder))


def sha256_of(*places: Place) -> str:
    """ "sha256:…" of the bytes of files behind one another.

    raises : OSError
    """
    if not isinstance(places[0], RemotePath):
        return files.sha256_files(*map(local_path, places))
    digest = hashlib.sha256()
    for place in places:
        with open_input(place) as source:
            digest.update(memoryview(source.read_buffer()))
    return "sha256:" + digest.hexdigest()


def size_of(place: Place) -> int | None:
    """Bytes of a file; None where there is none."""
    if isinstance(place, RemotePath):
        info = place.info()
        return int(info.size) if info.is_file else None
    path = local_path(place)
    return path.stat().st_size if path.is_file() else None


def sizes_below(folder: RemotePath) -> dict[str, int]:
    """Path below a folder -> bytes, of every file: a request for each thousand, not one for each file."""
    return {name: size for name, size in folder.entries(is_recursive=True) if size is not None}


def usage_of(folder: Place) -> tuple[int, float]:
    """What lies below a folder: bytes, and when the last of it was written, in seconds since the epoch."""
    if isinstance(folder, RemotePath):
        return folder.usage()
    path = local_path(folder)
    num_bytes, last_s = 0, path.stat().st_mtime
    for below in path.rglob("*"):
        with suppress(FileNotFoundError):  # somebody may work here
            stat = below.stat()
            num_bytes += stat.st_size if below.is_file() else 0
            last_s = max(last_s, stat.st_mtime)
    return num_bytes, last_s


def written_at_s(place: Place) -> float:
    """When a file was written, in seconds since the epoch.

    raises : FileNotFoundError
    """
    if not isinstance(place, RemotePath):
        return local_path(place).stat().st_mtime
    info = place.info()
    if not info.is_file:
        raise FileNotFoundError(str(place))
    return float(info.mtime_ns) / 1e9


def signature_of(place: Place) -> tuple[Any, ...] | None:
    """What changes when a file is replaced; None where there is none. Remotely one request."""
    if isinstance(place, RemotePath):
        return place.signature()
    try:
        stat = local_path(place).stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def local_path(place: Place) -> Path:
    """A place that is local, as a path."""
    if not isinstance(place, Path):
        raise TypeError(f"{type(place).__name__} is no place, expected pathlib.Path or RemotePath")
    return place
