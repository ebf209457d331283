"""Bundles come back as they were saved, or not at all."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.errors import IntegrityError, NoBundleError
from engine.history import History
from tests.training.conftest import AS_OF_US
from training.bundles import bundle as bundle_module
from training.bundles.bundle import DESCRIPTION_FILE, WEIGHTS_FILE, describe, load, save
from training.inference import survival_curves
from training.trained import TrainedModel


@pytest.fixture(scope="module")
def saved(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("models") / "default" / "0007"
    save(trained, folder)
    return folder


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def test_a_bundle_scores_to_the_bit_as_what_was_saved(trained: TrainedModel, saved: Path, history: History) -> None:
    bundle = load(saved)
    assert (bundle.name, bundle.version) == ("default", "0007")
    assert (bundle.as_of_us, bundle.horizon_days, bundle.active_within_days) == (AS_OF_US, 14, 60)
    assert bundle.config == trained.model.config
    assert bundle.trained.validation == trained.validation
    assert {7.0, 14.0, 30.0, 60.0, 90.0} <= set(bundle.edges_days)
    partition = history.partition(0)
    customers = np.flatnonzero(partition.timestamp_us[partition.offsets[:-1]] < AS_OF_US)
    instants = np.full(len(customers), AS_OF_US)
    curves = [
        survival_curves(model, partition, history.activity(), customers, instants) for model in (trained.model, bundle.model)
    ]
    assert (curves[0] == curves[1]).all()


def test_the_hash_names_the_content_wherever_it_lies(trained: TrainedModel, saved: Path, tmp_path: Path) -> None:
    assert save(trained, tmp_path / "elsewhere") == load(saved).content_hash == describe(saved).content_hash
    assert (tmp_path / "elsewhere" / WEIGHTS_FILE).read_bytes() == (saved / WEIGHTS_FILE).read_bytes()
    assert (tmp_path / "elsewhere" / DESCRIPTION_FILE).read_bytes() == (saved / DESCRIPTION_FILE).read_bytes()


@pytest.mark.parametrize("file", [WEIGHTS_FILE, DESCRIPTION_FILE])
def test_a_flipped_byte_is_refused_before_tensors_are_read(copy: Path, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: bytes) -> dict[str, torch.Tensor]:
        raise AssertionError("tensors were read from damaged bytes")

    monkeypatch.setattr(bundle_module, "load_tensors", never)
    original = (copy / file).read_bytes()
    places = np.unique(np.concatenate([np.arange(40), np.linspace(0, len(original) - 1, 120).astype(int)]))
    for place in places:
        damaged = bytearray(original)
        damaged[place] ^= 1
        (copy / file).write_bytes(damaged)
        with pytest.raises(IntegrityError):
            load(copy)


@pytest.mark.parametrize("file", [WEIGHTS_FILE, DESCRIPTION_FILE])
def test_files_cut_short_or_too_long_are_refused(copy: Path, file: str) -> None:
    original = (copy / file).read_bytes()
    for damaged in (b"", original[:-1], original + b"\n"):
        (copy / file).write_bytes(damaged)
        with pytest.raises(IntegrityError):
            load(copy)


def test_weights_of_another_bundle_are_refused(copy: Path) -> None:
    (copy / WEIGHTS_FILE).write_bytes(pickle.dumps({"network.gru": 1}))
    with pytest.raises(IntegrityError, match="expected sha256:"):
        load(copy)


def test_a_missing_file_is_told(copy: Path, tmp_path: Path) -> None:
    (copy / WEIGHTS_FILE).unlink()
    with pytest.raises(IntegrityError, match=WEIGHTS_FILE):
        load(copy)
    with pytest.raises(NoBundleError, match="ebbtide train"):
        load(tmp_path / "nothing")


def test_a_bundle_of_another_catalogue_is_refused(trained: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_module, "SITUATION_NAMES", ("an_older_indicator",))
    save(trained, tmp_path / "older")
    monkeypatch.undo()
    with pytest.raises(IntegrityError, match="an_older_indicator"):
        load(tmp_path / "older")


def test_the_description_is_json_that_a_person_can_read(saved: Path) -> None:
    content = json.loads((saved / DESCRIPTION_FILE).read_text())["content"]
    assert content["config"]["horizon_days"] == 14
    assert "recency_days" in content["situation_names"]
