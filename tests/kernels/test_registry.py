"""A backend is resolved once per name, and an unknown one is named."""

from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pytest

from kernels import Backend, BackendError, backend_names, locate_instants, resolve, why_unavailable

OPERATIONS = [name for name, _ in inspect.getmembers(Backend, inspect.isfunction) if not name.startswith("_")]


def test_a_backend_is_resolved_once() -> None:
    assert resolve("cpu") is resolve("cpu")


def test_an_unknown_backend_is_named_with_the_known_ones() -> None:
    nothing = np.zeros(0, np.int64)
    with pytest.raises(ValueError, match=r"backend: found 'abacus', expected one of 'cpu'"):
        locate_instants(nothing, np.zeros(1, np.int64), nothing, nothing, backend="abacus")


@pytest.mark.parametrize("backend", backend_names())
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_backend_has_every_operation_with_the_same_arguments(backend: str, operation: str) -> None:
    expected = [name for name in inspect.signature(getattr(Backend, operation)).parameters if name != "self"]
    assert list(inspect.signature(getattr(resolve(backend), operation)).parameters) == expected


def test_a_backend_that_cannot_run_here_says_why_and_is_not_among_the_names() -> None:
    reason = why_unavailable("cuda")
    if reason is None:
        pytest.skip("CUDA can be used here")
    assert backend_names() == ("cpu",)
    assert reason.startswith("backend 'cuda': found ")
    assert reason.endswith("or use backend 'cpu'")
    with pytest.raises(BackendError) as raised:
        resolve("cuda")
    assert str(raised.value) == reason


def test_importing_kernels_does_not_wait_for_the_compiler() -> None:
    code = "import sys, kernels; print('numba' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "False"
