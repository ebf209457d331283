"""Both passes of a training, on trial and in full, and how they go on from where they were cut off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from training.config import TrainConfig
from training.device import CPU, Compute
from training.fitting import ALONE, Epoch, Standing, Workers, fit_weights
from training.passes.trial_pass import Prepared, TrialPass, run_trial_pass
from training.threads import one_torch_thread
from training.trained import TrainProgress

TRIAL, FINAL = "trial", "final"

Tell = Callable[[TrainProgress], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """How far a training has come: an epoch of a pass.

    phase : TRIAL or FINAL, the pass that `standing` is of
    trial : the trial pass so far; without epochs where the held-out window tells nothing
    """

    phase: str
    standing: Standing
    trial: TrialPass

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to learn."""
        return self.phase == FINAL and self.standing.num_epochs >= self.standing.model.config.num_epochs


class Keeper(Protocol):
    """Where stages are kept, to go on from."""

    def write(self, stage: Stage) -> None:
        """Replace the one before."""


class Learning(Protocol):
    """Where and by whom the passes are gone through.

    num_workers : that share every step
    """

    @property
    def compute(self) -> Compute: ...

    @property
    def num_workers(self) -> int: ...

    def run(self, prepared: Prepared, *, tell: Tell, keeper: Keeper | None, start: Stage | None) -> Stage:
        """Go through both passes, or through what is left of them; returns the end.

        tell   : called after every epoch
        keeper : is given every stage
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class LearnHere:
    """In this process, on one thread of the CPU or on a GPU."""

    compute: Compute = CPU
    num_workers: int = 1

    def run(self, prepared: Prepared, *, tell: Tell, keeper: Keeper | None, start: Stage | None) -> Stage:
        return learn(prepared, tell=tell, keeper=keeper, start=start, compute=self.compute)


def learn(
    prepared: Prepared,
    *,
    tell: Tell,
    keeper: Keeper | None,
    start: Stage | None,
    compute: Compute = CPU,
    workers: Workers = ALONE,
) -> Stage:
    """Go through both passes; of several workers each calls this, and the first alone tells and keeps.

    returns : the end, the same for all
    """
    if start is not None and start.is_over:
        return start
    reached = start

    def after_epoch(stage: Stage, progress: TrainProgress) -> None:
        nonlocal reached
        reached = stage
        if workers.rank == 0:
            if keeper is not None:
                keeper.write(stage)
            tell(progress)

    def after_trial_epoch(epoch: Epoch, trial: TrialPass) -> None:
        # As long as it is not known how many epochs serve best, all of them are announced.
        num_epochs = 2 * prepared.config.num_epochs
        progress = TrainProgress(epoch=epoch.number, num_epochs=num_epochs, loss=epoch.loss, validation=trial.losses[-1])
        after_epoch(Stage(phase=TRIAL, standing=epoch.standing, trial=trial), progress)

    def after_final_epoch(epoch: Epoch) -> None:
        done, num_epochs = len(trial.losses), config.num_epochs
        progress = TrainProgress(epoch=done + epoch.number, num_epochs=done + num_epochs, loss=epoch.loss, validation=None)
        after_epoch(Stage(phase=FINAL, standing=epoch.standing, trial=trial), progress)

    with one_torch_thread():
        trial = TrialPass() if start is None else start.trial
        if prepared.window.is_telling and (start is None or start.phase == TRIAL):
            trial = run_trial_pass(
                prepared,
                on_epoch=after_trial_epoch,
                compute=compute,
                workers=workers,
                start=None if start is None else (start.standing, trial),
            )
        config = final_config(prepared.config, trial)
        fit_weights(
            prepared.past,
            prepared.activity,
            config,
            known_until_us=prepared.as_of_us,
            on_epoch=after_final_epoch,
            compute=compute,
            workers=workers,
            start=start.standing if start is not None and start.phase == FINAL else None,
        )
    assert reached is not None
    return reached


def final_config(config: TrainConfig, trial: TrialPass) -> TrainConfig:
    """The settings of the final pass: with the epochs that served the trial pass best."""
    return replace(config, num_epochs=trial.num_epochs) if trial.losses else config
