"""One writer at a time in an object store, by leases that lapse."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from engine.errors import StoreBusyError
from engine.storage import RemotePath
from engine.storage.lease import Holder, Lease, LeaseTimes, leased
from engine.storage.scratch import Scratch, scratch_of

QUICK = LeaseTimes(settle_s=0.3, duration_s=30.0, renew_s=0.05, num_attempts=20)
OTHER = Holder(token="t", scratch="of another machine", machine="till-3", process=77, lapses_at=0.0)


def put(folder: RemotePath, holder: Holder) -> None:
    (folder / "writer.lock").write(json.dumps(asdict(holder)).encode())


def lapses_at(folder: RemotePath) -> float | None:
    """None where the endpoint shows a write that is not whole yet, as that of the tests does."""
    try:
        return float(json.loads((folder / "writer.lock").read_bytes())["lapses_at"])
    except ValueError:
        return None


def test_a_lease_of_another_machine_keeps_out_until_it_lapses(remote_store: RemotePath) -> None:
    put(remote_store, replace(OTHER, lapses_at=time.time() + 30))
    with pytest.raises(StoreBusyError, match=r"process 77 on till-3; .* its lock lapses in"), leased(remote_store, QUICK):
        pass
    put(remote_store, replace(OTHER, lapses_at=time.time() - 1))
    with leased(remote_store, QUICK) as lease:
        lease.check()
    assert not (remote_store / "writer.lock").exists()


def test_a_second_writer_of_this_machine_is_kept_out_by_the_kernel(remote_store: RemotePath) -> None:
    with leased(remote_store, QUICK), pytest.raises(StoreBusyError, match="s3://"), leased(remote_store, QUICK):
        pass


def test_a_machine_that_was_killed_as_it_took_its_id_takes_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch_of("s3://bucket/store") as first:
        assert first.scratch_id
    (first.folder.parent / "id").write_bytes(b"")
    with scratch_of("s3://bucket/store") as second:
        assert second.scratch_id not in ("", first.scratch_id)
    with scratch_of("s3://bucket/store") as third:
        assert third.scratch_id == second.scratch_id


def test_of_writers_that_begin_at_once_one_at_most_goes_on(remote_store: RemotePath, tmp_path: Path) -> None:
    """Each with a scratch folder of its own, as on machines of their own."""
    leases = [Lease(remote_store, Scratch(scratch_id=str(number), folder=tmp_path), QUICK) for number in range(4)]
    gone_on: list[Lease] = []

    def begin(lease: Lease) -> None:
        try:
            lease.acquire()
        except StoreBusyError:
            return
        gone_on.append(lease)

    threads = [threading.Thread(target=begin, args=(lease,)) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(gone_on) == 1
    gone_on[0].check()
    gone_on[0].release()


def test_a_lease_is_renewed_and_the_one_that_lost_it_is_told(remote_store: RemotePath) -> None:
    with leased(remote_store, QUICK) as lease:
        first = lapses_at(remote_store)
        deadline_s = time.monotonic() + 20
        while lapses_at(remote_store) in (first, None):
            assert time.monotonic() < deadline_s
        lease.check()
        put(remote_store, replace(OTHER, lapses_at=time.time() + 30))
        with pytest.raises(StoreBusyError, match="the lock was lost"):
            lease.check()
    # What is another's is left to it.
    assert json.loads((remote_store / "writer.lock").read_bytes())["process"] == 77


def test_an_endpoint_that_is_too_slow_for_a_lease_is_told(remote_store: RemotePath) -> None:
    with (
        pytest.raises(StoreBusyError, match="cannot be locked: the endpoint takes more than 0 s"),
        leased(remote_store, replace(QUICK, settle_s=0.0, num_attempts=2)),
    ):
        pass
    assert not (remote_store / "writer.lock").exists()
