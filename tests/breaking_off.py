"""Break a job off at a chosen step of the file system, as a kill there would."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


class _BrokenOffError(Exception):
    pass


def break_off_at(patch: pytest.MonkeyPatch, moment: int, job: Callable[[], object]) -> bool:
    """Run a job up to its step `moment`, counted from 1; whether it ended before that."""
    num_steps = 0

    def breaking(step: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal num_steps
            num_steps += 1
            if num_steps == moment:
                raise _BrokenOffError
            return step(*args, **kwargs)

        return wrapper

    patch.setattr(Path, "replace", breaking(Path.replace))
    patch.setattr(Path, "unlink", breaking(Path.unlink))
    patch.setattr("engine.storage.operations.shutil.rmtree", breaking(shutil.rmtree))
    try:
        job()
    except _BrokenOffError:
        return False
    return True
