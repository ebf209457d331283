"""Fixtures of the engine's tests: small sources, and stores to put them in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

WriteSource = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def write_parquet(tmp_path: Path) -> WriteSource:
    """write_parquet(name, **columns): lists or Arrow arrays into one Parquet file."""

    def write(name: str, **columns: Any) -> Path:
        path = tmp_path / name
        pq.write_table(pa.table(columns), path)
        return path

    return write


@pytest.fixture
def write_text(tmp_path: Path) -> WriteSource:
    """write_text(name, *lines): a text file, each line ended."""

    def write(name: str, *lines: str) -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    return write


def list_files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes, but the lock: what a refused ingest must leave as it was."""
    if not folder.exists():
        return {}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "writer.lock"
    }
