"""Delivery: finished files to their places in the background, while the next ones are made; a commit waits for all."""

from __future__ import annotations

from pathlib import Path

from engine.files import BackgroundSync
from engine.storage.operations import deliver, local_path
from engine.storage.place import Place
from engine.storage.remote import RemotePath


class Delivery(BackgroundSync):
    """A `BackgroundSync` that knows remote places, too: there the upload itself runs in the background.

    with Delivery() as delivery:
        delivery.put(temporary, place)
        delivery.wait()
    """

    # Uploads behind which the next part has to wait, so that they do not fill the scratch disk.
    _MAX_PENDING = 32

    def put(self, temporary: Path, place: Place) -> None:
        """Take a finished file of a staging folder; its name there is free again at once."""
        if not isinstance(place, RemotePath):
            self.add(temporary.replace(local_path(place)))
            return
        on_its_way = temporary.replace(temporary.with_name(f"{place.parent.name}-{place.name}"))
        self.run(deliver, on_its_way, place)
        if len(self._pending) > self._MAX_PENDING:
            self._pending.pop(0).result()

    def sync(self, folder: Place) -> None:
        """Make the names in a folder durable, where the folder is local."""
        if not isinstance(folder, RemotePath):
            self.add(local_path(folder))
