"""Several workers learn what one would: the same losses, and every worker the same weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ray.train.v2._internal.exceptions import UserExceptionWithTraceback
from ray.train.v2.api.exceptions import ControllerError, WorkerGroupError

from engine.errors import ExecutionError, StoreBusyError
from engine.history import History
from tests.training.conftest import AS_OF_US, QUICK
from training.passes.checkpoint import find_unfinished
from training.passes.ray_learning import LearnOnRay, explain
from training.train import train
from training.trained import TrainProgress

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

# With dropout, of which two workers have to draw the same masks as one.
CONFIG = replace(QUICK, model=replace(QUICK.model, dropout=0.2))


def test_two_workers_have_the_losses_of_one(history: History, tmp_path: Path) -> None:
    alone: list[TrainProgress] = []
    together: list[TrainProgress] = []
    one = train(history, as_of_us=AS_OF_US, config=CONFIG, progress=alone.append)
    learning = LearnOnRay(history=history)
    two = train(
        history, as_of_us=AS_OF_US, config=CONFIG, progress=together.append, learning=learning, checkpoint_folder=tmp_path
    )
    assert [(at.epoch, at.num_epochs) for at in together] == [(at.epoch, at.num_epochs) for at in alone]
    assert np.allclose([at.loss for at in together], [at.loss for at in alone], rtol=0, atol=1e-4)
    held_out = [[at.validation for at in told if at.validation] for told in (together, alone)]
    assert held_out[0] == pytest.approx(held_out[1], abs=1e-4)
    assert two.validation["log_loss"] == pytest.approx(one.validation["log_loss"], abs=1e-4)
    assert str(find_unfinished(tmp_path)) == "final pass, 2 epochs done"
    # Nothing is left to learn: the end is read, and no worker begins.
    again = train(history, as_of_us=AS_OF_US, config=CONFIG, learning=learning, checkpoint_folder=tmp_path, resume=True)
    assert again.validation == two.validation


def test_what_a_worker_refuses_is_said_as_if_it_had_been_here() -> None:
    refusal = StoreBusyError("the history changed")
    assert explain(WorkerGroupError("trace", {0: refusal})) is refusal
    assert explain(WorkerGroupError("trace", {1: UserExceptionWithTraceback(refusal, "trace")})) is refusal
    lost = explain(WorkerGroupError("trace", {1: RuntimeError("died\nmore")}))
    assert isinstance(lost, ExecutionError)
    assert "(worker 1: RuntimeError" in str(lost)
    assert "run the same with --resume" in str(lost)
    assert "no room" in str(explain(ControllerError(RuntimeError("no room"))))


def test_more_workers_than_the_cluster_has_room_for_are_refused(history: History) -> None:
    with pytest.raises(ExecutionError, match=r"found 2 CPUs in the Ray cluster, expected one for each of 50 workers; ask for"):
        train(history, as_of_us=AS_OF_US, config=CONFIG, learning=LearnOnRay(history=history, num_workers=50))
