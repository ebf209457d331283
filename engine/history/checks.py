"""Checks of parts that are made once: what was hashed is remembered with what the file system says of the file since.

    store/checks/bucket=0000.json   part's hash -> of each of its files: bytes, mtime, ctime, inode, device

A part is never written over, so that a file whose inode and times are those of the moment before it was hashed is the one that
was hashed: every write, and every replacement, moves its ctime, which no program can set. What that does not see is a disk that
changes bytes by itself; `ebbtide verify` hashes everything. Remote files have no such times and are hashed each time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from engine.history.manifest import PartRecord
from engine.history.parts import check_part
from engine.storage import Place, RemotePath, local_path, write_json

CHECKS_FOLDER = "checks"


def check_parts(history: Place, bucket: int, parts: Sequence[PartRecord], *, again: bool = False) -> int:
    """Hash every byte of those parts of a bucket that were not hashed before, and remember them.

    again   : hash all of them
    returns : how many were hashed
    raises  : as `check_part`
    """
    if isinstance(history, RemotePath):
        for part in parts:
            check_part(history, part)
        return len(parts)
    path = history.parent / CHECKS_FOLDER / f"bucket={bucket:04d}.json"
    remembered = {} if again else _read(path)
    found = {part.sha256: _identities(history, part) for part in parts}
    fresh = [part for part in parts if remembered.get(part.sha256) != found[part.sha256]]
    for part in fresh:
        check_part(history, part)
    if fresh:
        # Not durable on purpose: what is lost is hashed again, and 256 syncs would cost more than that.
        write_json(path, found, is_durable=False)
    return len(fresh)


def _read(path: Place) -> dict[str, Any]:
    try:
        remembered = json.loads(path.read_bytes())
    except (OSError, ValueError):  # there is none, or a crash left half of it
        return {}
    return remembered if isinstance(remembered, dict) else {}


def _identities(history: Place, part: PartRecord) -> list[list[int]]:
    """Taken before the bytes are hashed, so that a change meanwhile shows next time. A file that is missing has none."""
    identities = []
    for name, _ in part.files:
        path = local_path(history / name)
        if path.is_file():
            stat = path.stat()
            identities.append([stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev])
    return identities
