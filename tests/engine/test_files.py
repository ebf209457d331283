"""Files that survive a kill, and the lock of the one writer."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import xxhash

from engine import files
from engine.errors import StorageError, StoreBusyError
from engine.files import checksum_bytes, sha256_bytes, sha256_file, write_bytes_atomic, write_json_atomic, writer_lock


def test_a_written_file_holds_the_bytes_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.bin"
    write_bytes_atomic(path, b"one")
    write_bytes_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.bin"
    write_bytes_atomic(path, b"old")

    def refuse(descriptor: int) -> None:
        raise OSError("no space")

    monkeypatch.setattr(files.os, "fsync", refuse)
    with pytest.raises(OSError, match="no space"):
        write_bytes_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_writer_with_the_same_process_id_does_not_get_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on another machine, in a container of the same image: the one that renames last wins, and neither fails."""
    path = tmp_path / "file.bin"
    others = [b"other"]

    def write_another(descriptor: int) -> None:
        if others:
            write_bytes_atomic(path, others.pop())
            assert path.read_bytes() == b"other"

    monkeypatch.setattr(files.os, "fsync", write_another)
    write_bytes_atomic(path, b"own")
    assert path.read_bytes() == b"own"
    assert list(tmp_path.iterdir()) == [path]


def test_equal_objects_give_equal_json_bytes(tmp_path: Path) -> None:
    write_json_atomic(tmp_path / "a.json", {"b": 1, "a": ["é"]})
    write_json_atomic(tmp_path / "b.json", {"a": ["é"], "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        write_json_atomic(tmp_path / "c.json", float("nan"))


def test_the_hash_is_that_of_hashlib(tmp_path: Path) -> None:
    data = bytes(range(256)) * 9000
    (tmp_path / "file").write_bytes(data)
    assert checksum_bytes(data) == checksum_bytes(memoryview(data)) == "xxh3:" + xxhash.xxh3_128(data).hexdigest()
    assert sha256_file(tmp_path / "file") == sha256_bytes(data) == "sha256:" + hashlib.sha256(data).hexdigest()


def test_a_second_writer_is_told_the_process_of_the_first(tmp_path: Path) -> None:
    program = (
        "import sys; from engine.files import writer_lock\n"
        "with writer_lock(sys.argv[1]): print('locked', flush=True); sys.stdin.readline()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "locked\n"
        with pytest.raises(StoreBusyError, match=f"process {first.pid};"), writer_lock(tmp_path):
            pass
        first.kill()
    with writer_lock(tmp_path):
        pass


def test_a_file_system_without_locks_is_told_and_leaves_no_file_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", refuse)
    num_open = len(os.listdir("/proc/self/fd"))
    with pytest.raises(StorageError, match=rf"{files.LOCK_NAME}: .*has no locks.*name a store"), writer_lock(tmp_path):
        pass
    assert len(os.listdir("/proc/self/fd")) == num_open


def test_a_holder_may_remove_the_folder_that_it_has_locked(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    with writer_lock(folder):
        (folder / files.LOCK_NAME).unlink()
        with writer_lock(folder):  # another file now: the first one's lock no longer guards this path
            assert (folder / files.LOCK_NAME).exists()
