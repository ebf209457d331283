"""The bundle that scored a snapshot, where the server can reach it."""

from __future__ import annotations

import logging

from engine.errors import EbbtideError, NoBundleError
from engine.storage import StoreLike
from serving.snapshots import SnapshotInputs
from training.bundle import Bundle, load
from training.registry import find_version

_logger = logging.getLogger(__name__)


def served_bundle(store: StoreLike, inputs: SnapshotInputs) -> Bundle | None:
    """The very bundle of a snapshot; None where the store holds it no longer, or holds another one of its name.

    A snapshot answers without its bundle, less what needs the model: a replica may have the snapshots alone. Why there is none
    is logged.
    """
    name, _, version = inputs.model_version.partition("/")
    try:
        bundle = load(find_version(store, version, name))
    except NoBundleError as error:
        _logger.warning("serving without the model %s: %s", inputs.model_version, error)
        return None
    except (EbbtideError, OSError) as error:
        # In one line, as the other refusals: the message says all that there is to know.
        _logger.warning("serving without the model %s, which cannot be read: %s", inputs.model_version, error)
        return None
    if bundle.content_hash != inputs.model_hash:
        _logger.warning(
            "serving without the model %s: found %s, the snapshot was scored by %s",
            inputs.model_version,
            bundle.content_hash,
            inputs.model_hash,
        )
        return None
    return bundle
