"""The CUDA kernels where there is no GPU: the tests of every backend once more, in Numba's simulator.

It has to be asked for before Numba is imported, hence the other process. Compilation is off in it: the simulator runs the loops
as plain Python, and compiled parts could not take its arrays.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_TESTS = Path(__file__).parents[1]
_OF_EVERY_BACKEND = (
    "kernels/test_registry.py",
    "kernels/test_operations.py",
    "kernels/test_forward_operations.py",
    "kernels/test_fingerprint_events.py",
    "kernels/test_hash_strings.py",
    "kernels/test_cuda_memory.py",
    "engine/test_indicators.py",
)


def test_the_simulator_passes_the_tests_of_every_backend() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "pytest", "-p", "no:cacheprovider", "--hypothesis-profile", "simulator"]
    # it is no use for many threads at once: it keeps the running kernel in a global
    chosen = ["-k", "cuda and not threads", *(str(_TESTS / name) for name in _OF_EVERY_BACKEND)]
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    finished = subprocess.run(
        [*command, *chosen], cwd=_TESTS.parent, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert " passed" in finished.stdout
    assert " skipped" not in finished.stdout
