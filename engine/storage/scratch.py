"""Scratch folders: local disk of the one writer of a remote folder, for what is spilled and staged; below TMPDIR."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InvalidArgumentError, StoreBusyError
from engine.files import sha256_bytes, write_bytes_atomic, writer_lock

_ID_FILE = "id"
_WORK_FOLDER = "work"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scratch:
    """A folder that is ours as long as we live.

    scratch_id : of this folder on this machine; whoever held a lock under the same id before us is dead
    folder     : empty at first
    """

    scratch_id: str
    folder: Path


@contextmanager
def scratch_of(uri: str) -> Iterator[Scratch]:
    """The scratch folder of a remote one, locked by the kernel; what a killed writer left is removed first.

    raises : StoreBusyError where another process of this machine holds it; InvalidArgumentError where TMPDIR is not to be trusted
    """
    root = Path(tempfile.gettempdir()) / f"ebbtide-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    status = root.lstat()
    if status.st_uid != os.getuid() or not root.is_dir() or root.is_symlink() or status.st_mode & 0o022:
        raise InvalidArgumentError(
            "TMPDIR", f"found {root}, which others may write to; remove it, or set TMPDIR to a folder of yours"
        )
    place = root / sha256_bytes(uri.encode()).removeprefix("sha256:")[:24]
    try:
        with writer_lock(place):
            work = place / _WORK_FOLDER
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            try:
                yield Scratch(scratch_id=_read_id(place), folder=work)
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except StoreBusyError as error:
        raise StoreBusyError(str(error).replace(str(place), uri)) from None


def _read_id(place: Path) -> str:
    path = place / _ID_FILE
    found = path.read_text() if path.exists() else ""
    if not found:  # or empty, after a kill at the wrong moment: then it would be the id of any machine where that happened
        found = uuid.uuid4().hex
        write_bytes_atomic(path, found.encode())
    return found
