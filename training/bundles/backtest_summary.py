"""What a bundle keeps of a back-test: its own metrics with their intervals, and the windows they speak of."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from engine.errors import InvalidArgumentError
from engine.files import sha256_bytes

_OPTION = "--backtest"


def read_backtest(path: Path, *, horizon_days: int, active_within_days: int) -> dict[str, Any]:
    """The summary of a metrics.json that `ebbtide backtest` wrote.

    returns : {"as_of": one or several dates, "metrics": {name: number or None}, "intervals": {name: [low, high]}, "hash": file's}
    raises  : InvalidArgumentError for another file, or for a back-test of another question than the model's
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidArgumentError(_OPTION, f"{path}: {error.strerror}; expected the metrics.json of a back-test") from error
    try:
        document = json.loads(data)
        found = {name: int(document[name]) for name in ("horizon_days", "active_within_days")}
        summary = {
            "as_of": _dates(document["as_of"]),
            "metrics": {name: _number(value) for name, value in document["models"]["ebbtide"].items()},
            "intervals": {
                name: [_number(low), _number(high)]
                for name, (low, high) in document.get("intervals", {}).get("ebbtide", {}).items()
            },
            "hash": sha256_bytes(data),
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidArgumentError(
            _OPTION, f"{path} is not the metrics.json of a back-test ({type(error).__name__}: {error}); run `ebbtide backtest`"
        ) from error
    expected = {"horizon_days": horizon_days, "active_within_days": active_within_days}
    if found != expected:
        raise InvalidArgumentError(_OPTION, f"{path} speaks of {_words(found)}, expected {_words(expected)}, as the model will")
    return summary


def _words(question: dict[str, int]) -> str:
    return f"churn within {question['horizon_days']} days of customers active within {question['active_within_days']}"


def _dates(found: object) -> str | list[str]:
    if isinstance(found, list):
        return [str(date) for date in found]
    return str(found)


def _number(found: Any) -> float | None:
    if found is None:
        return None
    number = float(found)
    if not math.isfinite(number):
        raise ValueError(f"found {found}, expected a finite number")
    return number
