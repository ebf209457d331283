"""A GPU that fails while a chain is rescored, now and then or for good: the CPU's scores, a line and a count for each bucket."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.errors import DeviceError
from engine.executors import InlineExecutor
from serving.rescoring import bucket_task, scorer
from serving.rescoring.rescore import RescoreReport, rescore
from serving.snapshots import open_snapshot, survival
from tests.serving.conftest import TRAINED_AS_OF_US

_LOST = "CUDA error: device-side assert triggered"


class Elsewhere(InlineExecutor):
    """Tasks in this process that are dealt with as a cluster's: whoever does the work looks for the device."""

    is_remote = True


class FakeGpu:
    """Computes as the CPU does, until it is made to fail; every pass over a bucket is two calls, for the states and the head."""

    def __init__(self, fails: Callable[[int], Exception | None]) -> None:
        self._fails = fails
        self.num_calls = 0
        self.problem = ""

    def look(self) -> str:
        """In place of training.device._cuda_problem."""
        return self.problem

    def wrap(self, function: Callable[..., object]) -> Callable[..., object]:
        def on_device(*arguments: object, device: str, **options: object) -> object:
            if device == "cuda":
                self.num_calls += 1
                if error := self._fails(self.num_calls):
                    raise error
            return function(*arguments, device="cpu", **options)

        return on_device


@pytest.fixture
def store(trained_store: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "store"
    shutil.copytree(trained_store, copy, ignore=shutil.ignore_patterns("snapshots"))
    return copy


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[FakeGpu], FakeGpu]]:
    def plug_in(gpu: FakeGpu) -> FakeGpu:
        monkeypatch.setattr("training.device._cuda_problem", gpu.look)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        for name in ("encode_states", "look_ahead_from_summary"):
            monkeypatch.setattr(scorer, name, gpu.wrap(getattr(scorer, name)))
        return gpu

    bucket_task._find_device.cache_clear()
    yield plug_in
    bucket_task._find_device.cache_clear()


def run(store: Path, *, device: str, executor: type[InlineExecutor] = InlineExecutor, **options: Any) -> RescoreReport:
    with executor() as made:
        return rescore(store, as_of_us=TRAINED_AS_OF_US, executor=made, device=device, full=True, **options)


def lines_on_the_gpu(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [line for line in caplog.messages if "GPU" in line]


def assert_scores_of_the_cpu(store: Path, report: RescoreReport, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(store, other, ignore=shutil.ignore_patterns("snapshots"))
    ours, theirs = (open_snapshot(at, one.snapshot_id) for at, one in ((store, report), (other, run(other, device="cpu"))))
    for one, expected in zip(ours.files, theirs.files, strict=True):
        assert one.column("customer_id").equals(expected.column("customer_id"))
        assert np.abs(survival(one) - survival(expected)).max(initial=0.0) <= 1e-4


@pytest.mark.parametrize("executor", [InlineExecutor, Elsewhere])
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_gpu_that_is_lost_in_the_middle_costs_its_buckets_and_no_score(
    store: Path,
    tmp_path: Path,
    plug_in: Callable[[FakeGpu], FakeGpu],
    caplog: pytest.LogCaptureFixture,
    device: str,
    executor: type[InlineExecutor],
) -> None:
    def fails(call: int) -> Exception | None:
        if call <= 2:
            return None
        gpu.problem = _LOST  # an error that stays: whoever looks for the device meets it, too
        return torch.AcceleratorError(_LOST)

    gpu = plug_in(FakeGpu(fails))
    with caplog.at_level(logging.WARNING):
        report = run(store, device=device, executor=executor)
    num_lost = report.num_buckets - 1
    assert (report.num_buckets_fallen_back, report.device) == (num_lost, "cpu+cuda")
    lines = lines_on_the_gpu(caplog)
    assert [line.partition(":")[0] for line in lines] == [f"bucket {bucket}" for bucket in range(1, report.num_buckets)]
    assert all(f"the GPU failed ({_LOST}); its " in line and line.endswith("customers were scored on the CPU") for line in lines)
    assert_scores_of_the_cpu(store, report, tmp_path)


def test_memory_that_is_full_when_a_bucket_begins_costs_that_bucket_alone(
    store: Path, tmp_path: Path, plug_in: Callable[[FakeGpu], FakeGpu], caplog: pytest.LogCaptureFixture
) -> None:
    def fails(call: int) -> Exception | None:
        gpu.problem = "CUDA out of memory" if call in (2, 3) else ""  # looked for after the first bucket, it would be full
        return torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB") if call == 3 else None

    gpu = plug_in(FakeGpu(fails))
    with caplog.at_level(logging.WARNING):
        report = run(store, device="auto")
    assert (report.num_buckets_fallen_back, report.device) == (1, "cpu+cuda")
    assert len(lines_on_the_gpu(caplog)) == 1
    assert lines_on_the_gpu(caplog)[0].startswith("bucket 1: the GPU failed (CUDA out of memory")
    assert_scores_of_the_cpu(store, report, tmp_path)


def test_a_worker_whose_gpu_never_works_scores_on_the_cpu_and_its_buckets_are_counted(
    store: Path, plug_in: Callable[[FakeGpu], FakeGpu]
) -> None:
    gpu = plug_in(FakeGpu(lambda _: None))
    gpu.problem = _LOST
    report = run(store, device="auto", executor=Elsewhere)
    assert (report.num_buckets_fallen_back, report.device, gpu.num_calls) == (report.num_buckets, "cpu", 0)


@pytest.mark.parametrize("executor", [InlineExecutor, Elsewhere])
def test_a_gpu_that_was_asked_for_and_never_worked_is_refused(
    store: Path, plug_in: Callable[[FakeGpu], FakeGpu], executor: type[InlineExecutor]
) -> None:
    plug_in(FakeGpu(lambda _: None)).problem = _LOST
    with pytest.raises(DeviceError, match="device cuda cannot be used: CUDA error"):
        run(store, device="cuda", executor=executor)
