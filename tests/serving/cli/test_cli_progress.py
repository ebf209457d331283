"""Progress for programs: with --json, lines of JSON on standard error and one document on standard output."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from serving.cli import main
from serving.cli.output import Stage
from tests.engine.reference_history import Row, write_rows

AS_OF = "2024-01-01"


@pytest.fixture
def store(trained_store: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "store"
    shutil.copytree(trained_store, copy, ignore=shutil.ignore_patterns("snapshots"))
    return copy


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The events and the result of a command."""
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == 0
    out, err = capsys.readouterr()
    return [json.loads(line) for line in err.splitlines()], json.loads(out)


def test_each_long_command_tells_a_program_how_far_it_is(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [Row(customer_id=f"customer {number}", timestamp_us=10**15 + number, amount=1) for number in range(100)]
    nightly = write_rows(tmp_path / "nightly.parquet", rows)
    commands: dict[str, tuple[str | Path, ...]] = {
        "ingesting": ("ingest", nightly),
        "compacting": ("compact",),
        "training": ("train", "--as-of", AS_OF),
        "rescoring": ("rescore", "--as-of", AS_OF, "--device", "cpu"),
    }
    for stage, (verb, *options) in commands.items():
        events, document = run(capsys, verb, "--store", store, *options)
        assert {event["event"] for event in events} == {"progress"}
        assert {event["stage"] for event in events} == {stage}
        assert events[-1]["done"] == events[-1]["total"] > 0
        assert document
    assert document["num_buckets_scored"] == events[-1]["total"]


def test_steps_in_quick_succession_are_told_at_intervals_and_the_last_one_always(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now_s = 100.0
    monkeypatch.setattr("serving.cli.output.time.monotonic", lambda: now_s)
    progress = Stage("Rescoring", None, as_json=True)
    for done in range(1, 21):
        progress.update(done=done, total=20, note="buckets")
        now_s += 0.1
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [event["done"] for event in events][-1] == 20
    assert len(events) == 5
    assert events[0] == {"event": "progress", "stage": "rescoring", "done": 1, "total": 20, "note": "buckets"}


def test_a_ray_option_without_ray_is_refused(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rescore", "--store", str(store), "--as-of", AS_OF, "--ray-address", "auto", "--ray-workers", "2"]) == 2
    assert "--ray-address, --ray-workers: only with --executor ray, found --executor inline" in capsys.readouterr().err


def test_a_ray_address_without_a_port_is_refused_by_its_option(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rescore", "--store", str(store), "--as-of", AS_OF, "--executor", "ray", "--ray-address", "head"]) == 2
    assert "address: found 'head', expected HOST:PORT" in capsys.readouterr().err
