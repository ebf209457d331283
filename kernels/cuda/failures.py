"""What the CUDA driver and its compiler raise, told apart: device memory that is too small, and everything else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from numba.cuda.cudadrv.driver import CudaAPIError, LinkerError
from numba.cuda.cudadrv.error import CudaSupportError

from kernels.registry import BackendError


def is_out_of_memory(error: Exception) -> bool:
    """Whether the driver had no device memory left. The bindings differ in the type of its codes, and agree on the name."""
    return _is_of_driver(error) and "OUT_OF_MEMORY" in str(error)


@contextmanager
def driver_errors() -> Iterator[None]:
    """raises : BackendError, in place of what the driver or its linker raised inside."""
    try:
        yield
    except Exception as error:
        if not _is_of_driver(error):
            raise
        raise BackendError(
            f"backend 'cuda': the device failed: {error}; expected it to work: see nvidia-smi, or use backend 'cpu'"
        ) from error


def _is_of_driver(error: Exception) -> bool:
    # what NVIDIA's own packages (cuda.core, cuda.bindings) raise has no public name to catch it by
    return isinstance(error, CudaAPIError | LinkerError | CudaSupportError) or type(error).__module__.startswith("cuda.")
