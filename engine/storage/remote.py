"""Remote paths: files and folders of an object store or HDFS, asked like `pathlib.Path`.

A folder is there as soon as there is something below it. A file appears whole: one PUT, or one completed multipart upload.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import total_ordering
from typing import Any, Self

import pyarrow as pa
import pyarrow.fs as pafs

from engine.files import temporary_name
from engine.storage.address import Address
from engine.storage.connection import connect, told_in_words

# Where a file that is being written can be seen, it is written under another name and renamed.
_HAS_RENAME = ("hdfs",)


@total_ordering
@dataclass(frozen=True, slots=True)
class RemotePath:
    """A place in an object store; the text of it is a URI, which names it in another process, too.

    Every method that asks the endpoint raises RemoteError where it does not answer, or refuses.
    """

    address: Address

    def __str__(self) -> str:
        return self.address.uri

    def __lt__(self, other: RemotePath) -> bool:
        return self.address.uri < other.address.uri

    def __truediv__(self, name: str) -> Self:
        return replace(self, address=replace(self.address, key=f"{self.address.key}/{name.strip('/')}".strip("/")))

    @property
    def name(self) -> str:
        return self.address.key.rpartition("/")[2]

    @property
    def stem(self) -> str:
        return self.name[: -len(self.suffix)] if self.suffix else self.name

    @property
    def suffix(self) -> str:
        start, dot, end = self.name.rpartition(".")
        return dot + end if start and end else ""

    @property
    def parent(self) -> Self:
        """The folder above; that of a bucket is the bucket."""
        above = self.address.key.rpartition("/")[0]
        return replace(self, address=replace(self.address, key=above)) if above or not self.address.bucket else self

    def with_name(self, name: str) -> Self:
        return self.parent / name

    def with_suffix(self, suffix: str) -> Self:
        return self.with_name(self.stem + suffix)

    def resolve(self) -> Self:
        """Itself: it says where it is, wherever it is asked."""
        return self

    def info(self) -> pafs.FileInfo:
        """Type and size: one request for a file, two for a folder or nothing."""
        with told_in_words(self.address, "cannot look at"):
            return connect(self.address).get_file_info(self.address.path)

    def exists(self) -> bool:
        return bool(self.info().type != pafs.FileType.NotFound)

    def is_file(self) -> bool:
        return bool(self.info().type == pafs.FileType.File)

    def is_dir(self) -> bool:
        return bool(self.info().type == pafs.FileType.Directory)

    def iterdir(self) -> Iterator[Self]:
        """What lies in a folder; nothing where there is no such folder."""
        return (self / name for name, _ in self.entries())

    def glob(self, pattern: str) -> Iterator[Self]:
        """Files and folders below, as many levels deep as the pattern has; a thousand of them are one request."""
        parts = pattern.split("/")
        for name, _ in self.entries(is_recursive=len(parts) > 1):
            found = name.split("/")
            if len(found) == len(parts) and all(map(fnmatchcase, found, parts)):
                yield self / name

    def entries(self, *, is_recursive: bool = False) -> list[tuple[str, int | None]]:
        """(path below this folder, bytes or None for a folder), ascending."""
        begin = len(self.address.path) + 1
        infos = self._infos(is_recursive=is_recursive)
        return sorted((info.path[begin:], info.size if info.is_file else None) for info in infos)

    def usage(self) -> tuple[int, float]:
        """Bytes of all files below, and when the last of them was written, in seconds since the epoch; 0 of nothing."""
        files = [info for info in self._infos(is_recursive=True) if info.is_file]
        return sum(info.size for info in files), max((info.mtime_ns / 1e9 for info in files), default=0.0)

    def _infos(self, *, is_recursive: bool) -> list[pafs.FileInfo]:
        selector = pafs.FileSelector(self.address.path, recursive=is_recursive, allow_not_found=True)
        with told_in_words(self.address, "cannot list"):
            infos: list[pafs.FileInfo] = connect(self.address).get_file_info(selector)
        return infos

    def read_buffer(self) -> pa.Buffer:
        """All bytes, in memory.

        raises : FileNotFoundError
        """
        with told_in_words(self.address, "cannot read"), connect(self.address).open_input_file(self.address.path) as stream:
            return stream.read_buffer(stream.size())

    def read_bytes(self) -> bytes:
        """raises : FileNotFoundError"""
        data: bytes = self.read_buffer().to_pybytes()
        return data

    def write(self, data: bytes | pa.Buffer) -> None:
        """Put or replace the file; whoever reads meanwhile has the old bytes or the new ones."""
        with told_in_words(self.address, "cannot write"):
            filesystem = connect(self.address)
            if filesystem.type_name not in _HAS_RENAME:
                _put(filesystem, self.address.path, data)
                return
            temporary = f"{self.parent.address.path}/{temporary_name(self.name)}"
            filesystem.create_dir(self.parent.address.path)
            _put(filesystem, temporary, data)
            filesystem.move(temporary, self.address.path)

    def unlink(self, missing_ok: bool = False) -> None:
        """raises : FileNotFoundError, unless missing_ok"""
        try:
            with told_in_words(self.address, "cannot remove"):
                connect(self.address).delete_file(self.address.path)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def remove_tree(self) -> None:
        """Remove the folder with all below it; harmless where there is none."""
        try:
            with told_in_words(self.address, "cannot remove"):
                connect(self.address).delete_dir(self.address.path)
        except FileNotFoundError:
            return

    def rename(self, target: Self) -> Self:
        """A copy, then a removal: killed in between, both are there."""
        with told_in_words(self.address, "cannot rename"):
            connect(self.address).move(self.address.path, target.address.path)
        return target

    def mkdir(self, *, exist_ok: bool = False) -> None:
        """Nothing: a folder is there as soon as something is below it."""

    def signature(self) -> tuple[Any, ...] | None:
        """What changes when the file is replaced, in one request: its tag and time; None where there is none."""
        try:
            with (
                told_in_words(self.address, "cannot look at"),
                connect(self.address).open_input_file(self.address.path) as stream,
            ):
                told = stream.metadata() or {}
                size = stream.size()
        except FileNotFoundError:
            return None
        known = {str(name): bytes(value) for name, value in told.items()}
        if "ETag" in known:
            return known["ETag"], known.get("Last-Modified"), size
        return self.info().mtime_ns, size


def _put(filesystem: pafs.FileSystem, path: str, data: bytes | pa.Buffer) -> None:
    # All of it in one call: a stream that is closed early would leave a file that is cut short.
    with filesystem.open_output_stream(path) as stream:
        stream.write(data)
