"""`ebbtide verify`: what is broken, how to mend it, and an exit status for programs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from serving.snapshots import current_path
from tests.serving.cli.test_cli import run
from tests.serving.conftest import WriteSnapshot


@pytest.fixture
def whole_store(trained_store: Path, tmp_path: Path, write_snapshot: WriteSnapshot) -> Path:
    """History, bundle and two snapshots."""
    store = tmp_path / "store"
    shutil.copytree(trained_store, store)
    write_snapshot(store)
    write_snapshot(store, history="3")
    return store


def verify(store: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, object]]:
    capsys.readouterr()
    status = run("verify", "--store", store, "--json")
    return status, json.loads(capsys.readouterr().out)


def test_a_sound_store(whole_store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, document = verify(whole_store, capsys)
    assert (status, document["is_sound"], document["problems"]) == (0, True, [])
    assert (document["num_parts"], document["num_snapshots"], document["num_bundles"]) == (4, 2, 1)
    assert run("verify", "--store", whole_store) == 0
    assert "everything intact" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("pattern", "remedy"),
    [
        ("history/bucket=0002/*.events.arrow", "restore the file from a backup"),
        ("history/manifest.json", "restore it from a backup"),
        ("snapshots/*/bucket=0001.arrow", "run `ebbtide rescore` again"),
        ("snapshots/*/manifest.json", "run `ebbtide rescore` again"),
        ("models/default/0001/weights.safetensors", "train again"),
        ("models/default/0001/bundle.json", "train again"),
    ],
)
def test_a_flipped_byte_anywhere_is_told_once_with_what_mends_it(
    whole_store: Path, capsys: pytest.CaptureFixture[str], pattern: str, remedy: str
) -> None:
    path = sorted(whole_store.glob(pattern))[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    status, document = verify(whole_store, capsys)
    assert status == 1
    assert not document["is_sound"]
    problems = document["problems"]
    assert isinstance(problems, list)
    assert len({problem["where"] for problem in problems}) == len(problems) <= 2
    assert remedy in problems[0]["remedy"]
    assert str(path.parent) in problems[0]["where"] or str(path).startswith(problems[0]["where"])
    assert run("verify", "--store", whole_store) == 1
    text = capsys.readouterr().out
    assert "to repair it:" in text
    assert remedy in text


def test_a_pointer_to_nowhere(whole_store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    current_path(whole_store).write_text('{"snapshot_id": "gone"}')
    status, document = verify(whole_store, capsys)
    assert status == 1
    assert "gone" in str(document["problems"])


def test_a_replica_without_a_history_is_sound(
    tmp_path: Path, write_snapshot: WriteSnapshot, capsys: pytest.CaptureFixture[str]
) -> None:
    write_snapshot(tmp_path)
    assert verify(tmp_path, capsys)[0] == 0


def test_an_empty_store_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", "--store", tmp_path) == 1
    assert "run `ebbtide ingest" in capsys.readouterr().err
