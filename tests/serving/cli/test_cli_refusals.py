"""A full disk and a part that cannot be read: one line that names the file and the way out, and a store that still opens."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from engine.history import History
from engine.ingest import ingest
from serving.cli import main
from serving.snapshots import open_current
from tests.engine.reference_history import Row, write_rows

_ROOT = Path(__file__).resolve().parents[3]
AS_OF = "2024-01-01"

# RLIMIT_FSIZE makes every write past the limit fail in the kernel, as that of a full disk does, on any machine.
_LIMITED = """
import resource, sys
from serving.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def store(trained_store: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "store"
    shutil.copytree(trained_store, copy, ignore=shutil.ignore_patterns("snapshots"))
    return copy


@pytest.fixture
def nightly(tmp_path: Path) -> Path:
    rows = [Row(customer_id=f"customer {number % 150}", timestamp_us=10**15 + number, amount=number) for number in range(20_000)]
    return write_rows(tmp_path / "nightly.parquet", rows)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 3 MB, where the machine lets us have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def run_limited(limit_bytes: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", _LIMITED, str(limit_bytes), *map(str, arguments)]
    return subprocess.run(program, cwd=_ROOT, check=False, capture_output=True, text=True, timeout=120)


def assert_refused(stderr: str, *words: str) -> None:
    """One line for a person behind the lines of progress, with these words."""
    line = stderr.splitlines()[-1]
    assert line.startswith("ebbtide: ")
    assert "Traceback" not in stderr
    assert "Exception ignored" not in stderr
    for word in words:
        assert word in line


def test_an_ingest_that_may_not_write_more_names_the_file(store: Path, nightly: Path) -> None:
    before = (store / "history" / "manifest.json").read_bytes()
    run = run_limited(30_000, "ingest", "--store", store, nightly)
    assert run.returncode == 1
    assert_refused(run.stderr, str(store / "history"), ".lines.arrows: File too large", "then run the same command again")
    assert (store / "history" / "manifest.json").read_bytes() == before
    assert History.open(store).verify() == []
    assert sorted(path.name for path in (store / "history").glob("*.tmp")) == []


def test_a_folder_in_the_place_of_a_file_is_told_of_in_one_line(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (store / "snapshots" / "current.json").mkdir(parents=True)
    for command in ("status", "verify"):
        assert main([command, "--store", str(store)]) == 1
        assert_refused(capsys.readouterr().err, "current.json: Is a directory", "move that folder away")


def test_a_store_that_is_removed_under_a_command_is_told_of_in_one_line(
    store: Path, nightly: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from engine.ingest import job

    own = job.read_source

    def remove_and_read(*arguments: Any, **settings: Any) -> Any:
        shutil.rmtree(store)
        return own(*arguments, **settings)

    monkeypatch.setattr(job, "read_source", remove_and_read)
    assert main(["ingest", "--store", str(store), str(nightly)]) == 1
    assert_refused(capsys.readouterr().err, str(store), "not found; if the store was moved or removed meanwhile")


def test_a_rescoring_that_may_not_write_more_names_the_file(store: Path) -> None:
    run = run_limited(500, "rescore", "--store", store, "--as-of", AS_OF, "--device", "cpu")
    assert run.returncode == 1
    assert_refused(run.stderr, str(store / "snapshots"), ".arrow: File too large", "then run the same command again")
    assert main(["rescore", "--store", str(store), "--as-of", AS_OF, "--device", "cpu"]) == 0
    assert open_current(store).num_customers > 0


def test_a_full_disk_is_named_and_the_old_state_stays(
    small_disk: Path, nightly: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = small_disk / "store"
    first = write_rows(
        tmp_path / "first.parquet", [Row(customer_id=f"c{number}", timestamp_us=number, amount=1) for number in range(100)]
    )
    ingest(store, [first])
    before = History.open(store).manifest
    filler = small_disk / "filler"
    _fill(filler, left_bytes=400_000)
    assert main(["ingest", "--store", str(store), str(nightly)]) == 1
    assert_refused(capsys.readouterr().err, str(store / "history"), "No space left on device; free space on that disk")
    assert History.open(store).manifest == before
    assert History.open(store).verify() == []

    filler.unlink()
    assert main(["ingest", "--store", str(store), str(nightly)]) == 0
    assert History.open(store).verify() == []
    assert History.open(store).manifest.num_events == before.num_events + 20_000


def test_a_rescoring_on_a_full_disk_keeps_the_snapshot_that_was_there(
    small_disk: Path, trained_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = small_disk / "store"
    shutil.copytree(trained_store, store, ignore=shutil.ignore_patterns("snapshots", "*.csv"))
    assert main(["rescore", "--store", str(store), "--as-of", AS_OF, "--device", "cpu"]) == 0
    first = open_current(store).snapshot_id
    _fill(small_disk / "filler", left_bytes=8_192)
    assert main(["rescore", "--store", str(store), "--as-of", "2023-12-01", "--device", "cpu"]) == 1
    assert_refused(capsys.readouterr().err, str(store / "snapshots"), "No space left on device; free space on that disk")
    assert open_current(store).snapshot_id == first
    (small_disk / "filler").unlink()
    assert main(["rescore", "--store", str(store), "--as-of", "2023-12-01", "--device", "cpu"]) == 0
    assert open_current(store).snapshot_id != first


def _fill(filler: Path, *, left_bytes: int) -> None:
    free = os.statvfs(filler.parent)
    filler.write_bytes(b"x" * (free.f_bavail * free.f_frsize - left_bytes))


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _corrupt(path: Path) -> None:
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(255 - byte for byte in data[middle : middle + 64])
    path.write_bytes(data)


@pytest.mark.parametrize("kind", ["customers", "events"])
@pytest.mark.parametrize("damage", [_truncate, _corrupt, Path.unlink])
def test_an_unreadable_part_is_named(
    damage: object, kind: str, store: Path, nightly: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = sorted((store / "history").glob(f"bucket=*/*.{kind}.arrow"))[0]
    damage(part)  # type: ignore[operator]
    before = (store / "history" / "manifest.json").read_bytes()
    assert main(["rescore", "--store", str(store), "--as-of", AS_OF, "--device", "cpu"]) == 1
    name = str(part).removesuffix(f".{kind}.arrow")
    assert_refused(capsys.readouterr().err, name, "restore the file from a backup, or ingest the sources again into a new store")
    assert not (store / "snapshots" / "current.json").exists()
    if damage is not _corrupt:  # a nightly file reads keys, not every byte; `ebbtide verify` does
        assert main(["ingest", "--store", str(store), str(nightly)]) == 1
        assert_refused(capsys.readouterr().err, str(part), "restore the file from a backup")
        assert (store / "history" / "manifest.json").read_bytes() == before


def test_a_cut_source_is_named_and_nothing_changes(store: Path, nightly: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _truncate(nightly)
    assert main(["ingest", "--store", str(store), str(nightly)]) == 2
    assert_refused(capsys.readouterr().err, str(nightly), "export or copy it again")
    assert History.open(store).verify() == []


def test_customers_that_point_nowhere_are_refused_by_a_nightly_ingest(
    store: Path, nightly: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = sorted((store / "history").glob("bucket=*/*.customers.arrow"))[0]
    with pa.memory_map(str(part)) as source:
        customers = pa.ipc.open_file(source).get_batch(0)
    shuffled = customers.set_column(1, customers.schema.field(1), pa.array(customers.column(1).to_numpy()[::-1].copy()))
    with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_file(sink, customers.schema) as writer:
        writer.write_batch(shuffled)
    assert main(["ingest", "--store", str(store), str(nightly)]) == 1
    assert_refused(capsys.readouterr().err, f"{part} is damaged (the customers' first events do not ascend", "restore the file")
