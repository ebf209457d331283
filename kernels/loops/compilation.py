"""How the functions are compiled that loops call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Part = TypeVar("_Part", bound=Callable[..., Any])


def compile_part(part: _Part) -> _Part:
    """Decorator: a function that loops call, here or on a GPU; compiled with each loop, and kept in its cache.

    It belongs into the loop's own file: the cache on disk notices a change of that one file only.
    """
    return cast(_Part, numba.njit(part, error_model="numpy"))
