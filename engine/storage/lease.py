"""Leases: who may write to a remote folder, by an object that names the writer and lapses when nobody renews it.

pyarrow's filesystems cannot write on condition, so that a lease is written, and read again after a pause: of several that
write within the pause all but the last see another name and give way. This holds while an endpoint shows a write to every
later read, as S3 does, and while a writer that took longer than the pause begins again, as it does here. Clocks of machines
that share a store must agree to a few seconds.

What is left is a writer that stops for longer than its lease between its last look and its last request. It can replace
one whole state by another whole one, and lose what the other wrote; it cannot mix them, because parts are named by their
content and are removed only by a writer that has found its own manifest still in place.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.errors import EbbtideError, RemoteError, StoreBusyError
from engine.files import LOCK_NAME
from engine.storage.remote import RemotePath
from engine.storage.scratch import Scratch, scratch_of

_NUM_READS, _TORN_S = 3, 0.05

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaseTimes:
    """How long a lease waits and lasts."""

    settle_s: float = 2.0
    """Between writing a lease and believing it; a writer whose request takes longer begins again."""

    duration_s: float = 60.0
    """How long a dead writer keeps others out."""

    renew_s: float = 15.0
    """How often a living one renews."""

    num_attempts: int = 3
    """How often a writer begins again."""


DEFAULT_TIMES = LeaseTimes()


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """Who holds a lease, as its object says.

    token     : of one hold
    scratch   : engine.storage.scratch.Scratch.scratch_id of the holder's machine
    lapses_at : seconds since the epoch
    """

    token: str
    scratch: str
    machine: str
    process: int
    lapses_at: float


class Lease:
    """A lease that is held and renewed in the background, until `release`."""

    def __init__(self, folder: RemotePath, scratch: Scratch, times: LeaseTimes) -> None:
        self._path = folder / LOCK_NAME
        self._folder = folder
        self._own_scratch = scratch
        self._times = times
        self._token = uuid.uuid4().hex
        self._lapses_at = 0.0
        self._is_lost = False
        self._released = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name="lease", daemon=True)

    @property
    def scratch(self) -> Path | None:
        return self._own_scratch.folder

    def acquire(self) -> None:
        """raises : StoreBusyError, RemoteError"""
        for _ in range(self._times.num_attempts):
            started_s = time.monotonic()
            self._give_way(self._read())
            self._write()
            if time.monotonic() - started_s >= self._times.settle_s:
                continue  # another may have looked before this was written, and be past its pause already
            time.sleep(self._times.settle_s)
            holder = self._read()
            if holder is None or holder.token != self._token:
                self._give_way(holder)
                raise StoreBusyError(f"{self._folder} was taken by another process at the same time; run this again")
            self._renewing.start()
            return
        self._remove_own()
        raise StoreBusyError(
            f"{self._folder} cannot be locked: the endpoint takes more than {self._times.settle_s:g} s for a small file, "
            f"{self._times.num_attempts} times over; run this again when it is less busy"
        )

    def check(self) -> None:
        """raises : StoreBusyError where another writer has taken over, or may have; RemoteError"""
        holder = None if self._is_lost else self._read()
        if holder is None or holder.token != self._token or time.time() >= self._lapses_at:
            raise StoreBusyError(
                f"{self._folder}: the lock was lost (the endpoint, or this process, stood still for too long); run this again"
            )

    def release(self) -> None:
        """Let the next one in; of a lease that was lost, nothing."""
        self._released.set()
        if self._renewing.is_alive():
            self._renewing.join()
        try:
            self._remove_own()
        except RemoteError as error:
            _logger.warning("the lock was not taken off and lapses by itself: %s", error)

    def _remove_own(self) -> None:
        holder = self._read()
        if holder is not None and holder.token == self._token:
            self._path.unlink(missing_ok=True)

    def _renew(self) -> None:
        while not self._released.wait(self._times.renew_s):
            try:
                holder = self._read()
                if holder is None or holder.token != self._token:
                    self._is_lost = True
                    return
                self._write()
            except EbbtideError:
                continue  # the lease lapses by itself if this goes on, and `check` tells

    def _give_way(self, holder: Holder | None) -> None:
        if holder is None or holder.token == self._token:
            return
        if holder.scratch == self._own_scratch.scratch_id:
            return  # of this machine, where the kernel says that its holder is dead
        left_s = holder.lapses_at - time.time()
        if left_s > 0:
            raise StoreBusyError(
                f"{self._folder} is being written by process {holder.process} on {holder.machine}; wait until it ends, then run "
                f"this again (if that process is dead, its lock lapses in {left_s:.0f} s)"
            )

    def _write(self) -> None:
        lapses_at = time.time() + self._times.duration_s
        holder = Holder(
            token=self._token,
            scratch=self._own_scratch.scratch_id,
            machine=socket.gethostname(),
            process=os.getpid(),
            lapses_at=lapses_at,
        )
        self._path.write(json.dumps(asdict(holder), sort_keys=True).encode())
        self._lapses_at = lapses_at

    def _read(self) -> Holder | None:
        for _ in range(_NUM_READS):
            try:
                return Holder(**json.loads(self._path.read_bytes()))
            except FileNotFoundError:
                return None
            except (ValueError, TypeError):
                time.sleep(_TORN_S)  # some endpoints show a write before it is whole
        return None  # no lease of ours: whoever wrote it is not going to keep to the rules of one


@contextmanager
def leased(folder: RemotePath, times: LeaseTimes | None = None) -> Iterator[Lease]:
    """Hold the lease of a remote folder; in this machine the kernel keeps its other processes out besides.

    raises : StoreBusyError, RemoteError
    """
    with scratch_of(str(folder)) as scratch:
        lease = Lease(folder, scratch, times or DEFAULT_TIMES)
        lease.acquire()
        try:
            yield lease
        finally:
            lease.release()
