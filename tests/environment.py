"""The environment of processes that tests start."""

from __future__ import annotations

import os


def environment_with(**variables: str) -> dict[str, str]:
    """This process's environment without what it says about its own Ray cluster."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | variables
