"""The one writer's place of work in a history folder: locked, swept before and after, gone where nothing came of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.files import writer_lock
from engine.history.manifest import MANIFEST_NAME, Manifest

_STAGING_FOLDER = "staging"


@contextmanager
def writing(history: Path) -> Iterator[Path]:
    """Hold the lock of a history folder and give an empty staging folder in it.

    What a killed writer left is removed first; folders made for a history that did not come about are removed at the end.
    raises : StoreBusyError
    """
    made = [folder for folder in (history, history.parent) if not folder.exists()]
    staging = history / _STAGING_FOLDER
    with writer_lock(history):
        try:
            shutil.rmtree(staging, ignore_errors=True)
            for temporary in history.rglob(".*.tmp"):
                temporary.unlink()
            staging.mkdir()
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            if made and not (history / MANIFEST_NAME).exists():
                shutil.rmtree(history)
                for folder in made[1:]:
                    folder.rmdir()


def collect_garbage(history: Path, manifest: Manifest, previous: Manifest | None) -> None:
    """Remove the parts that neither state names; a reader of the previous manifest may be about to open its own."""
    kept = {
        history / name for state in (manifest, previous) if state is not None for part in state.parts for name, _ in part.files
    }
    for path in history.glob("bucket=*/*.arrow"):
        if path not in kept:
            path.unlink()
