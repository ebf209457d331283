"""A store with a snapshot whose history goes on after it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engine.executors import InlineExecutor
from serving.rescoring.rescore import rescore
from tests.serving.conftest import TRAINED_AS_OF_US


@pytest.fixture(scope="module")
def scored_store(trained_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained store with a snapshot as of the day it was trained for, while its history reaches two months further."""
    store = tmp_path_factory.mktemp("scored") / "store"
    shutil.copytree(trained_store, store, ignore=shutil.ignore_patterns("snapshots"))
    with InlineExecutor() as executor:
        rescore(store, as_of_us=TRAINED_AS_OF_US, executor=executor, device="cpu")
    return store
