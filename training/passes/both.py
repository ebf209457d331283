"""The passes of a training, on trial and in full, and how they go on from where they were cut off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from training.config import TrainConfig
from training.device import CPU, Compute
from training.fitting import ALONE, Epoch, Standing, Workers, fit_weights
from training.passes.trial_pass import Prepared, TrialPass, choose_pass, rates_to_try, run_trial_pass
from training.threads import one_torch_thread
from training.trained import TrainProgress

TRIAL, FINAL = "trial", "final"

Tell = Callable[[TrainProgress], None]
_AfterEpoch = Callable[["Stage", TrainProgress], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """How far a training has come: an epoch of a pass.

    phase      : TRIAL or FINAL, the pass that `standing` is of
    trial      : the trial pass so far, in the final pass the one that was chosen; without epochs where the held-out window tells
                 nothing
    rival      : the trial pass before this one, of another learning rate; None in the first and in the final pass
    num_before : epochs of the passes before this one
    """

    phase: str
    standing: Standing
    trial: TrialPass
    rival: TrialPass | None = None
    num_before: int = 0

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
        """Go through the passes, or through what is left of them; returns the end.

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
    """Go through the passes; of several workers each calls this, and the first alone tells and keeps.

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

    def after_final_epoch(epoch: Epoch) -> None:
        progress = TrainProgress(
            epoch=num_before + epoch.number, num_epochs=num_before + config.num_epochs, loss=epoch.loss, validation=None
        )
        after_epoch(Stage(phase=FINAL, standing=epoch.standing, trial=trial, num_before=num_before), progress)

    with one_torch_thread():
        if start is not None and start.phase == FINAL:
            trial, num_before = start.trial, start.num_before
        elif prepared.window.is_telling:
            trial, num_before = _try_rates(prepared, start, after_epoch, compute, workers)
        else:
            trial, num_before = TrialPass(), 0
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


def _try_rates(
    prepared: Prepared, start: Stage | None, after_epoch: _AfterEpoch, compute: Compute, workers: Workers
) -> tuple[TrialPass, int]:
    """A trial pass for each learning rate; returns the one that the final pass follows, and the epochs of all of them."""
    configs = rates_to_try(prepared.config)
    followed = None if start is None else start.rival
    num_before = 0 if start is None else start.num_before
    for number, config in enumerate(configs):
        if number == 0 and followed is not None:
            continue  # it was done with before the training was cut off
        # As long as it is not known how many epochs serve best, all of them are announced.
        num_epochs = num_before + (len(configs) - number + 1) * config.num_epochs
        trial = run_trial_pass(
            prepared,
            config,
            on_epoch=_keeping(after_epoch, rival=followed, num_before=num_before, num_epochs=num_epochs),
            compute=compute,
            workers=workers,
            start=None if start is None else (start.standing, start.trial),
        )
        start = None
        followed = trial if followed is None else choose_pass(followed, trial)
        num_before += len(trial.losses)
    assert followed is not None
    return followed, num_before


def _keeping(
    after_epoch: _AfterEpoch, *, rival: TrialPass | None, num_before: int, num_epochs: int
) -> Callable[[Epoch, TrialPass], None]:
    """What is done after the epochs of a trial pass."""

    def keep(epoch: Epoch, trial: TrialPass) -> None:
        progress = TrainProgress(
            epoch=num_before + epoch.number, num_epochs=num_epochs, loss=epoch.loss, validation=trial.losses[-1]
        )
        after_epoch(Stage(phase=TRIAL, standing=epoch.standing, trial=trial, rival=rival, num_before=num_before), progress)

    return keep


def final_config(config: TrainConfig, trial: TrialPass) -> TrainConfig:
    """The settings of the final pass: those of the trial pass that was followed, with the epochs that served it best."""
    return replace(trial.config or config, num_epochs=trial.num_epochs) if trial.losses else config
