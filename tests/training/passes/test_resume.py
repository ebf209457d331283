"""A training that was cut off goes on to the bits it would have come to. A real kill: tests/serving/cli/test_cli_train.py."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import EbbtideError, IntegrityError, InvalidArgumentError
from engine.history import History
from engine.instants import DAY_US
from engine.sealed import seal
from engine.storage import Place
from tests.training.conftest import AS_OF_US, QUICK
from tests.training.test_train import assert_same_bits
from training.config import TrainConfig
from training.passes.checkpoint import CHECKPOINT_FILE, find_unfinished
from training.passes.window import Window
from training.train import train
from training.trained import TrainedModel, TrainProgress


class _Broken(Exception):  # noqa: N818  # no error: it stands for whatever ends a process
    pass


def break_off(history: History, folder: Place, epoch: int, config: TrainConfig = QUICK) -> None:
    """Train up to an epoch, counted over both passes."""

    def progress(at: TrainProgress) -> None:
        if at.epoch == epoch:
            raise _Broken

    with pytest.raises(_Broken):
        train(history, as_of_us=AS_OF_US, config=config, progress=progress, checkpoint_folder=folder)


def assert_same(one: TrainedModel, other: TrainedModel) -> None:
    assert_same_bits(one, other)
    assert one.held_out is not None
    assert other.held_out is not None
    assert one.held_out.probability.tobytes() == other.held_out.probability.tobytes()


@pytest.mark.parametrize("epoch", [1, 2, 3, 4])
def test_every_epoch_of_both_passes_can_be_the_last(history: History, trained: TrainedModel, tmp_path: Path, epoch: int) -> None:
    told: list[TrainProgress] = []
    break_off(history, tmp_path, epoch)
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    resumed = train(history, as_of_us=AS_OF_US, config=QUICK, progress=told.append, checkpoint_folder=tmp_path, resume=True)
    assert_same(resumed, trained)
    assert [at.epoch for at in told] == list(range(epoch + 1, 5))


@pytest.mark.parametrize("faster", [0.3, 0.499, 0.6])
def test_every_epoch_of_three_passes_can_be_the_last(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faster: float
) -> None:
    config = replace(QUICK, adapt_rate=True)
    # By the rate alone, so that either pass can be the one that is followed, before a break and after it.
    monkeypatch.setattr(Window, "loss", lambda _, model: faster if model.config.learning_rate > QUICK.learning_rate else 0.5)
    whole = train(history, as_of_us=AS_OF_US, config=config)
    for epoch in range(1, 7):
        told: list[TrainProgress] = []
        break_off(history, tmp_path, epoch, config)
        resumed = train(history, as_of_us=AS_OF_US, config=config, progress=told.append, checkpoint_folder=tmp_path, resume=True)
        assert_same(resumed, whole)
        assert [at.epoch for at in told] == list(range(epoch + 1, 7))


def test_with_nothing_to_resume_it_begins_and_without_resume_it_begins_anew(history: History, tmp_path: Path) -> None:
    config = replace(QUICK, num_epochs=1)
    assert find_unfinished(tmp_path) is None
    for resume in (True, False):
        told: list[TrainProgress] = []
        train(history, as_of_us=AS_OF_US, config=config, progress=told.append, checkpoint_folder=tmp_path, resume=resume)
        assert [at.epoch for at in told] == [1, 2]
    assert str(find_unfinished(tmp_path)) == "final pass, 1 epoch done"


@pytest.mark.parametrize(
    ("as_of_us", "changes", "words"),
    [
        (AS_OF_US - DAY_US, {}, "as_of_us 2024-07-01 there, 2024-06-30 here"),
        (AS_OF_US, {"learning_rate": 0.01}, r"learning_rate 0\.002 there, 0\.01 here"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(
    history: History, tmp_path: Path, as_of_us: int, changes: dict[str, Any], words: str
) -> None:
    break_off(history, tmp_path, 1)
    with pytest.raises(
        InvalidArgumentError, match=f"resume: the unfinished training in .* is a different one.*{words}.*omit --res"
    ):
        train(history, as_of_us=as_of_us, config=replace(QUICK, **changes), checkpoint_folder=tmp_path, resume=True)


def test_a_checkpoint_of_another_history_or_schema_or_with_a_byte_changed_is_refused(history: History, tmp_path: Path) -> None:
    break_off(history, tmp_path, 1)
    path, tensors = tmp_path / CHECKPOINT_FILE, next(tmp_path.glob("*.safetensors"))
    document, data = path.read_bytes(), tensors.read_bytes()
    content = json.loads(document)["content"]
    subject = content["subject"]
    changed = bytearray(data)
    changed[-1] ^= 1

    def refused(error: type[EbbtideError], words: str, new_document: bytes = document, new_data: bytes = data) -> None:
        path.write_bytes(new_document)
        tensors.write_bytes(new_data)
        with pytest.raises(error, match=f"{words}.*omit --resume to start over"):
            train(history, as_of_us=AS_OF_US, config=QUICK, checkpoint_folder=tmp_path, resume=True)

    refused(
        InvalidArgumentError,
        "history_hash sha256:other there",
        seal({**content, "subject": {**subject, "history_hash": "sha256:other"}}),
    )
    refused(InvalidArgumentError, "device cuda there, cpu here", seal({**content, "subject": {**subject, "device": "cuda"}}))
    refused(InvalidArgumentError, "schema 99, expected 4", seal({**content, "schema_version": 99}))
    refused(IntegrityError, "damaged", document[:-30])
    refused(IntegrityError, "damaged", document.replace(b"trial", b"triai"))
    refused(IntegrityError, "damaged", seal({**content, "standing": {}}))
    refused(IntegrityError, "not as it was written", new_data=bytes(changed))
    refused(IntegrityError, "damaged", new_data=b"")
    tensors.unlink()
    with pytest.raises(IntegrityError, match="damaged"):
        train(history, as_of_us=AS_OF_US, config=QUICK, checkpoint_folder=tmp_path, resume=True)


def test_a_checkpoint_names_no_customer(history: History, tmp_path: Path) -> None:
    break_off(history, tmp_path, 2)
    content = json.loads((tmp_path / CHECKPOINT_FILE).read_bytes())["content"]
    assert set(content) == {
        *("schema_version", "subject", "phase", "standing", "num_before", "trial", "rival", "tensors_file", "tensors_hash")
    }
    from safetensors.numpy import load_file

    tensors = load_file(next(tmp_path.glob("*.safetensors")))
    num_customers = sum(partition.num_customers for partition in history.partitions())
    assert all(num_customers not in np.shape(value) for value in tensors.values())


def test_a_checkpoint_lies_in_any_store(history: History, trained: TrainedModel, any_store: Place) -> None:
    folder = any_store / "models" / "default" / ".training"
    break_off(history, folder, 3)
    assert str(find_unfinished(folder)) == "final pass, 1 epoch done"
    assert_same(train(history, as_of_us=AS_OF_US, config=QUICK, checkpoint_folder=folder, resume=True), trained)
