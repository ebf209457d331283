"""Where the kernels' failures become ebbtide's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import DeviceError
from kernels import BackendError


@contextmanager
def device_errors() -> Iterator[None]:
    """Around what runs on a backend; also a decorator, `@device_errors()`.

    raises : DeviceError, in place of kernels.BackendError
    """
    try:
        yield
    except BackendError as error:
        raise DeviceError(str(error)) from error
