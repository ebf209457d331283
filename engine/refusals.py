"""What a machine refuses - a full disk, a missing right, a broken sector - as an error that names the file and the way out."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import StorageError

_AGAIN = "then run the same command again: what was finished is kept"
_ADVICE = {
    errno.ENOSPC: f"free space on that disk, {_AGAIN}",
    errno.EDQUOT: f"free space in that quota, {_AGAIN}",
    errno.EFBIG: f"raise the limit on the size of files (ulimit -f), {_AGAIN}",
    errno.EROFS: f"mount it for writing, or name a store elsewhere, {_AGAIN}",
    errno.EACCES: f"give this user the right to it, {_AGAIN}",
    errno.EPERM: f"give this user the right to it, {_AGAIN}",
    errno.EIO: "look at the health of that disk; `ebbtide verify` tells what is still whole",
    errno.EMFILE: f"raise the limit on open files (ulimit -n), {_AGAIN}",
    errno.ENAMETOOLONG: "name a store with a shorter path",
    errno.ENOLCK: "that file system has no locks, as NFS without a lock service; name a store on one that has them",
    errno.EOPNOTSUPP: "that file system has no locks; name a store on one that has them",
    errno.EISDIR: "a file is expected there; move that folder away",
    errno.ENOTDIR: "name a place whose path leads through folders only",
}


def refusal_of(error: OSError, path: str | Path) -> StorageError | None:
    """The error for what a machine refuses through no fault of the code; None for anything else, which is a defect.

    path : what was being read or written, where the error itself names nothing
    """
    advice = _ADVICE.get(error.errno or 0)
    if advice is None:
        return None
    # pyarrow knows no file and puts a sentence of its own in the place of the reason.
    return StorageError(f"{error.filename or path}: {os.strerror(error.errno or 0)}; {advice}")


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Make what the machine refuses inside the block a StorageError that names the file."""
    try:
        yield
    except OSError as error:
        refusal = refusal_of(error, path)
        if refusal is None:
            raise
        raise refusal from error
