"""Several workers learn what one would: the same losses, and every worker the same weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.history import History
from tests.training.conftest import AS_OF_US, QUICK
from training.train import train
from training.trained import TrainProgress

pytestmark = pytest.mark.ray

CONFIG = replace(QUICK, model=replace(QUICK.model, dropout=0.2))


@pytest.mark.usefixtures("ray_cluster")
def test_two_workers_have_the_losses_of_one(history: History, tmp_path: Path) -> None:
    from training.ray_learning import LearnOnRay

    alone: list[TrainProgress] = []
    together: list[TrainProgress] = []
    one = train(history, as_of_us=AS_OF_US, config=CONFIG, progress=alone.append)
    learning = LearnOnRay(history=history, num_workers=2)
    two = train(
        history,
        as_of_us=AS_OF_US,
        config=CONFIG,
        progress=together.append,
        learning=learning,
        checkpoint_folder=tmp_path / "kept",
    )
    assert [(at.epoch, at.num_epochs) for at in together] == [(at.epoch, at.num_epochs) for at in alone]
    assert np.allclose([at.loss for at in together], [at.loss for at in alone], rtol=0, atol=1e-4)
    assert [at.validation for at in together] == pytest.approx([at.validation for at in alone], abs=1e-4)
