"""Devices by name, and coarse products on those where they are fast."""

from __future__ import annotations

import pytest
import torch

from engine.errors import DeviceError
from training.device import CPU, Compute, compute_on, resolve_device


def test_a_device_that_is_none_is_refused() -> None:
    with pytest.raises(DeviceError, match="device 'tpu' is none, expected one of auto, cpu, cuda"):
        resolve_device("tpu")


def test_without_cuda_auto_is_the_cpu_and_cuda_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == "cpu"
    assert resolve_device("cpu") == "cpu"
    with pytest.raises(DeviceError, match="torch finds no CUDA device; use --device cpu or auto"):
        resolve_device("cuda")


def test_a_cuda_that_is_there_and_cannot_work_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("CUDA error: no kernel image is available\nmore lines")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", fail)
    assert resolve_device("auto") == "cpu"
    with pytest.raises(DeviceError, match=r"no kernel image is available; use --device"):
        resolve_device("cuda")


def test_a_gpu_computes_in_bfloat16_and_the_cpu_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compute_on("cpu") == CPU
    monkeypatch.setattr("training.device.resolve_device", lambda _: "cuda")
    assert compute_on("auto") == Compute(device="cuda", bfloat16=True)


@pytest.mark.parametrize(("compute", "dtype"), [(CPU, torch.float32), (Compute(bfloat16=True), torch.bfloat16)])
def test_products_are_as_fine_as_was_said(compute: Compute, dtype: torch.dtype) -> None:
    with compute.autocast():
        assert torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype == dtype
