"""A backend that cannot run is an error of ebbtide's own tree, for whoever falls back to another."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import DeviceError
from engine.indicators import compute_indicators
from engine.labels import churned
from kernels import BackendError, locate_instants, operations
from tests.reference import Event, build_partition


def test_a_backend_that_cannot_run_is_a_device_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(backend: str) -> None:
        raise BackendError(f"backend {backend!r}: found no device")

    monkeypatch.setattr(operations, "resolve", resolve)
    partition = build_partition([[Event(time_us=0)]])
    with pytest.raises(DeviceError, match="backend 'cuda': found no device"):
        compute_indicators(partition, np.array([0]), 1, backend="cuda")
    with pytest.raises(DeviceError, match="backend 'cuda': found no device"):
        churned(partition, np.array([0]), 1, 30, backend="cuda")
    with pytest.raises(BackendError):
        locate_instants(np.zeros(1, np.int64), np.array([0, 1]), np.array([0]), np.array([1]), backend="cuda")
