"""The one writer's lock of a folder: the kernel's where the folder is local, a lease where it is remote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from engine import files
from engine.storage.lease import leased
from engine.storage.operations import local_path
from engine.storage.place import Place
from engine.storage.remote import RemotePath


class WriterLock(Protocol):
    """A lock that is held."""

    @property
    def scratch(self) -> Path | None:
        """A local folder of this writer alone; None where the locked folder is local and may have one itself."""

    def check(self) -> None:
        """To be asked right before a commit.

        raises : StoreBusyError where the lock was lost, which only a remote one can be
        """


class _KernelLock:
    """Lost only with the process."""

    scratch: Path | None = None

    def check(self) -> None:
        pass


@contextmanager
def writer_lock(folder: Place) -> Iterator[WriterLock]:
    """Hold the one writer's lock of a folder.

    raises : StoreBusyError at once, naming who holds it; of a remote place RemoteError
    """
    if isinstance(folder, RemotePath):
        with leased(folder) as lease:
            yield lease
        return
    with files.writer_lock(local_path(folder)):
        yield _KernelLock()
