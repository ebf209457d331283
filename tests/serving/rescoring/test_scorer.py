"""Devices, and what happens when one is lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.history import History
from engine.labels import eligible
from serving.rescoring import scorer
from serving.rescoring.scorer import PartitionScores, score_partition
from tests.serving.conftest import TRAINED_AS_OF_US
from training.registry import champion


def score_anew(store: Path, *, device: str) -> PartitionScores:
    """The first bucket, everybody from the first event."""
    history, bundle = History.open(store), champion(store)
    partition = history.partition(0)
    customers = eligible(partition, TRAINED_AS_OF_US, bundle.active_within_days)
    return score_partition(bundle, partition, history.activity(), customers, TRAINED_AS_OF_US, device=device)


def test_a_lost_gpu_gives_the_scores_of_the_cpu_and_says_what_was_wrong_with_it(
    trained_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = score_anew(trained_store, device="cpu")
    encode_states = scorer.encode_states

    def lose_the_gpu(*arguments: object, device: str, **options: object) -> object:
        if device == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return encode_states(*arguments, device=device, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(scorer, "encode_states", lose_the_gpu)
    scores = score_anew(trained_store, device="cuda")
    assert (scores.device, scores.gpu_fault) == ("cpu", "CUDA out of memory. Tried to allocate 2 GiB")
    assert expected.gpu_fault == ""
    assert np.array_equal(scores.survival, expected.survival)


def test_a_fault_of_the_model_itself_is_not_hidden(trained_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(scorer, "encode_states", fail)
    for device in ("cpu", "cuda"):
        with pytest.raises(RuntimeError, match="shapes"):
            score_anew(trained_store, device=device)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cpu_and_cuda_agree(trained_store: Path) -> None:
    cpu, cuda = (score_anew(trained_store, device=device) for device in ("cpu", "cuda"))
    assert cuda.device == "cuda"
    assert np.abs(cpu.survival - cuda.survival).max() < 1e-5
