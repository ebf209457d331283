"""What differs between two descriptions of settings, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.instants import format_instant


def differences(found: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """ "name X there, Y here" of every setting that differs, nested ones too."""
    return [f"{name} {_say(name, there)} there, {_say(name, here)} here" for name, there, here in _differing(found, asked)]


def _differing(found: Mapping[str, Any], asked: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    differing = []
    for name in dict.fromkeys([*found, *asked]):
        there, here = found.get(name), asked.get(name)
        if isinstance(there, dict) and isinstance(here, dict):
            differing += _differing(there, here)
        elif there != here:
            differing.append((name, there, here))
    return differing


def _say(name: str, value: Any) -> str:
    return format_instant(value) if name == "as_of_us" and isinstance(value, int) else str(value)
