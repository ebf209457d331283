"""The one writer's place of work in a history folder: locked, swept before and after, gone where nothing came of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.errors import NoHistoryError, StoreBusyError
from engine.history.manifest import MANIFEST_NAME, Manifest, read_manifest
from engine.storage import Place, RemotePath, WriterLock, local_path, writer_lock

_STAGING_FOLDER = "staging"


@dataclass(frozen=True, kw_only=True, slots=True)
class Desk:
    """What the one writer works with.

    staging : an empty local folder, on the file system of the history where that is local
    """

    history: Place
    staging: Path
    lock: WriterLock

    def check(self, expected: Manifest | None) -> None:
        """To be asked right before a manifest is replaced, and before parts are removed that it no longer names.

        A remote lock can be lost; then the manifest tells whether somebody else has written meanwhile.
        raises : StoreBusyError where the lock is lost, or the manifest is another one than expected
        """
        self.lock.check()
        if not isinstance(self.history, RemotePath):
            return
        try:
            found = read_manifest(self.history)[0]
        except NoHistoryError:
            found = None
        if found != expected:
            raise StoreBusyError(f"{self.history} was written by another process meanwhile; run this again")


@contextmanager
def writing(history: Place) -> Iterator[Desk]:
    """Hold the lock of a history folder and give an empty staging folder.

    What a killed writer left is removed first; folders made for a history that did not come about are removed at the end.
    raises : StoreBusyError; of a remote history RemoteError
    """
    if isinstance(history, RemotePath):
        with writer_lock(history) as lock:
            if lock.scratch is None:
                raise TypeError("the lock of a remote folder has no scratch folder")
            yield Desk(history=history, staging=lock.scratch, lock=lock)
        return
    with _writing_locally(local_path(history)) as desk:
        yield desk


@contextmanager
def _writing_locally(history: Path) -> Iterator[Desk]:
    made = [folder for folder in (history, history.parent) if not folder.exists()]
    staging = history / _STAGING_FOLDER
    with writer_lock(history) as lock:
        try:
            shutil.rmtree(staging, ignore_errors=True)
            for temporary in history.rglob(".*.tmp"):
                temporary.unlink()
            staging.mkdir()
            yield Desk(history=history, staging=staging, lock=lock)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            if made and not (history / MANIFEST_NAME).exists():
                shutil.rmtree(history)
                for folder in made[1:]:
                    folder.rmdir()


def collect_garbage(history: Place, manifest: Manifest, previous: Manifest | None) -> None:
    """Remove the parts that neither state names; a reader of the previous manifest may be about to open its own."""
    kept = {
        history / name for state in (manifest, previous) if state is not None for part in state.parts for name, _ in part.files
    }
    for path in history.glob("bucket=*/*.arrow"):
        if path not in kept:
            path.unlink()
