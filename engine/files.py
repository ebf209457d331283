"""Files that survive a kill: written beside their place, synced, then renamed over it; hashed; locked by one writer at a time."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import xxhash

from engine.errors import StoreBusyError
from engine.refusals import naming

LOCK_NAME = "writer.lock"
_HASH_CHUNK_BYTES = 1 << 20
_READ_AHEAD_BYTES = 128 << 10  # Linux fetches no more for one hint than the read-ahead of the disk, of which this is the usual


def write_bytes_atomic(path: str | Path, data: bytes, *, is_durable: bool = True) -> None:
    """Replace a file so that a reader, or a restart after a kill, sees the old bytes or the new ones and nothing between.

    Missing parent folders are made. Raises StorageError where the disk refuses.
    is_durable : synced; else somebody syncs it later, or a crash of the machine may take it, in part or whole
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(temporary_name(path.name))
    try:
        with naming(path):
            with temporary.open("wb") as stream:
                stream.write(data)
                stream.flush()
                if is_durable:
                    os.fsync(stream.fileno())
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if is_durable:
        sync_folder(path.parent)


def temporary_name(name: str) -> str:
    """Of the file that is written before it takes this name: of one writer alone, so that of two the last rename wins.

    A process id would not do: workers in containers of one image have the same ones, on a disk that they share.
    """
    return f".{name}.{uuid.uuid4().hex[:12]}.tmp"


def write_json_atomic(path: str | Path, obj: Any) -> None:
    """`write_bytes_atomic` of readable JSON with sorted keys, so that equal objects give equal bytes; NaN raises ValueError."""
    text = json.dumps(obj, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes_atomic(path, text.encode() + b"\n")


def move_into_place(temporary: Path, path: Path) -> None:
    """Sync a finished temporary file and rename it over `path`; the caller syncs the folder once for many files."""
    with naming(path):
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)


class BackgroundSync:
    """Makes finished files durable while the work goes on; a commit waits for all of them.

        with BackgroundSync() as sync:
            sync.add(path)
            sync.wait()

    A disk answers several requests at once about as fast as one, so that 256 small files take a tenth of the time.
    """

    _NUM_THREADS = 8

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(self._NUM_THREADS, thread_name_prefix="sync")
        self._pending: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def add(self, *paths: Path) -> None:
        """Files or folders to make durable."""
        for path in paths:
            self.run(sync_folder, path)

    def run(self, function: Callable[..., None], *arguments: Any) -> None:
        """Anything else that `wait` has to wait for."""
        self._pending.append(self._threads.submit(function, *arguments))

    def wait(self) -> None:
        """Until all are durable.

        raises : StorageError where the disk refuses
        """
        for future in self._pending:
            future.result()
        self._pending.clear()


def read_ahead(path: str | Path, begin: int = 0, end: int | None = None) -> None:
    """Have the system fetch the bytes [begin, end) of a file, all of them by default, and do not wait. A hint: some take none.

    raises : OSError
    """
    if not hasattr(os, "posix_fadvise"):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        end = os.fstat(descriptor).st_size if end is None else end
        for first in range(begin, end, _READ_AHEAD_BYTES):
            os.posix_fadvise(descriptor, first, min(_READ_AHEAD_BYTES, end - first), os.POSIX_FADV_WILLNEED)
    finally:
        os.close(descriptor)


def is_utf8(text: str) -> bool:
    """Whether a name or argument is text: Linux takes any bytes, Arrow neither opens nor holds what is not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def sync_folder(folder: str | Path) -> None:
    """Make renames inside a folder durable, or the bytes of a file."""
    with naming(folder):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sha256_bytes(data: bytes | memoryview) -> str:
    """The hash as `sha256:` and 64 hex digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def sha256_file(path: str | Path) -> str:
    """The same of a file's bytes, read in pieces."""
    return sha256_files(path)


def sha256_files(*paths: str | Path) -> str:
    """The same of the bytes of several files behind one another."""
    digest = hashlib.sha256()
    for path in paths:
        with Path(path).open("rb") as stream:
            while chunk := stream.read(_HASH_CHUNK_BYTES):
                digest.update(chunk)
    return "sha256:" + digest.hexdigest()


def checksum_bytes(data: bytes | memoryview) -> str:
    """XXH3 as `xxh3:` and 32 hex digits: tells damage from wholeness as SHA-256 does, ten times as fast, but not forgery."""
    return "xxh3:" + xxhash.xxh3_128_hexdigest(data)


@contextmanager
def writer_lock(folder: str | Path) -> Iterator[None]:
    """Hold the one writer's lock of a folder; the kernel lets go of it when the process ends, however it ends.

    Missing folders are made. The holder may remove the folder, lock and all.
    raises : StoreBusyError at once, naming the process that holds it
    """
    folder = Path(folder)
    descriptor = _lock(folder)
    try:
        with naming(folder / LOCK_NAME):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)  # also releases the lock


def _lock(folder: Path) -> int:
    """A descriptor of the lock file, locked."""
    path = folder / LOCK_NAME
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            with naming(path):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _names_open_file(path, descriptor):
                    return descriptor
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise StoreBusyError(
                f"{folder} is being written by process {holder}; wait until it ends, then run this again"
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the holder before us removed the file between our opening and our locking it


def _names_open_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
