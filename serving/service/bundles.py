"""The bundle that scored a snapshot, where the server can reach it."""

from __future__ import annotations

import logging

from engine.errors import EbbtideError, IntegrityError, NoBundleError
from engine.storage import StoreLike, resolve
from serving.snapshots import SnapshotInputs
from training.bundles.bundle import Bundle, describe, load
from training.registry import version_folders

_logger = logging.getLogger(__name__)


def served_bundle(store: StoreLike, inputs: SnapshotInputs) -> Bundle | None:
    """The very bundle of a snapshot, or None.

    A snapshot answers without its bundle, less what needs the model: a replica may have the snapshots alone. Why there is none
    is logged.
    """
    try:
        return find_bundle(store, inputs)
    except (EbbtideError, OSError) as error:
        # In one line, as the other refusals: the message says all that there is to know.
        _logger.warning("serving without the model %s: %s", inputs.model_version, error)
        return None


def find_bundle(store: StoreLike, inputs: SnapshotInputs) -> Bundle:
    """The bundle that made a snapshot, wherever in the store it lies.

    raises : NoBundleError, IntegrityError
    """
    store = resolve(store)
    folders = version_folders(store)
    folders.sort(key=lambda folder: f"{folder.parent.name}/{folder.name}" != inputs.model_version)  # its own place first
    for folder in folders:
        try:
            if describe(folder).content_hash == inputs.model_hash:
                return load(folder)
        except (IntegrityError, NoBundleError) as error:
            _logger.warning("looking for bundle %s, passed over %s: %s", inputs.model_version, folder, error)
    raise NoBundleError(
        f"{store} holds no bundle {inputs.model_version} with hash {inputs.model_hash}, which made the snapshot: reasons, "
        "as_of, recent_events and ScoreHistory need it; copy it into the store's folder models, or ask without them"
    )
