"""The pointer: one small file that names the snapshot that is served, and the one that was before it."""

from __future__ import annotations

import json
from typing import Any

from engine.errors import IntegrityError
from engine.files import sha256_bytes
from engine.storage import StoreLike, write_json
from serving.snapshots.manifest import MEND
from serving.snapshots.paths import current_path, manifest_path, snapshot_folder


def read_pointer(store: StoreLike) -> dict[str, Any] | None:
    """What the pointer holds; None where there is none.

    raises : IntegrityError
    """
    path = current_path(store)
    try:
        pointer = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise IntegrityError(f"{path} is not JSON ({error}); {MEND}") from error
    if not isinstance(pointer, dict):
        raise IntegrityError(f"{path} holds {type(pointer).__name__}, expected an object; {MEND}")
    return pointer


def set_current(store: StoreLike, snapshot_id: str) -> None:
    """Point at a committed snapshot; a running server takes it up within seconds.

    raises : IntegrityError, if the snapshot was removed meanwhile
    """
    try:
        before = read_pointer(store) or {}
    except IntegrityError:
        before = {}  # a damaged pointer: this is what mends it
    before_id = before.get("previous_id" if before.get("snapshot_id") == snapshot_id else "snapshot_id")
    pointer = _pointer(store, snapshot_id, previous_id=before_id)
    # The same pointer is not written again, so that a rerun that has nothing to do makes no server reload.
    if before != pointer:
        write_json(current_path(store), pointer)


def renew_pointer(store: StoreLike, snapshot_id: str, *, previous_id: str | None, has_hash: bool = True) -> None:
    """Write the pointer though it may be the same: servers then open the snapshot anew, and let go of the one before.

    has_hash : False for the moment in which its manifest is replaced; both will do then
    """
    write_json(current_path(store), _pointer(store, snapshot_id, previous_id=previous_id, has_hash=has_hash))


def _pointer(store: StoreLike, snapshot_id: str, *, previous_id: str | None, has_hash: bool = True) -> dict[str, Any]:
    pointer: dict[str, Any] = {"snapshot_id": snapshot_id}
    if has_hash:
        path = manifest_path(snapshot_folder(store, snapshot_id))
        try:
            pointer["manifest_sha256"] = sha256_bytes(path.read_bytes())
        except FileNotFoundError:
            raise IntegrityError(f"{path} is absent; {MEND}") from None
    if isinstance(previous_id, str) and previous_id != snapshot_id:
        pointer["previous_id"] = previous_id
    return pointer
