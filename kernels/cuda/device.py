"""Is there a device that these kernels can run on, and if not, why not."""

from __future__ import annotations

from numba import config, cuda


def find_obstacle() -> str | None:
    """None where the kernels can run, on a GPU or in Numba's simulator; else what was found and what would help.

    The first call initialises the CUDA driver.
    """
    if config.ENABLE_CUDASIM:  # type: ignore[attr-defined]  # numba sets it when it is imported
        return None
    is_complete = cuda.is_available()
    driver_error = cuda.cuda_error()
    if driver_error:
        return f"found no usable NVIDIA driver ({' '.join(str(driver_error).split())}); expected one, and a GPU"
    if cuda.implementation == "Built-in":
        # it cannot compile the loops: max() of two integers fails in Numba 0.68
        return "found Numba's own CUDA target, expected NVIDIA's: pip install 'ebbtide[gpu]'"
    if not is_complete:
        return "found an NVIDIA driver, but no GPU or no compiler for it (NVVM): see nvidia-smi, and pip install 'ebbtide[gpu]'"
    return None
