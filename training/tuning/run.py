"""The search: Optuna's TPE proposes, an executor tries, the study keeps."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import optuna

from engine.errors import AsOfError, InvalidArgumentError, NoStudyError
from engine.executors import Executor, InlineExecutor, Task
from engine.history import History
from engine.instants import format_instant
from engine.storage import Place, StoreLike, resolve, writer_lock
from training.config import TrainConfig
from training.passes.trial_pass import Prepared, prepare
from training.passes.window import LEAST_CUSTOMERS, LEAST_OF_AN_OUTCOME
from training.quiet_optuna import quiet_optuna
from training.tuning.space import SPACE, Setting, Values, values_of, with_values
from training.tuning.study import (
    COMPLETE,
    DIVERGED,
    LEAST_FOR_IMPORTANCE,
    PRUNED,
    Study,
    Subject,
    Trial,
    check_same_subject,
    read_study,
    study_folder,
    write_study,
)
from training.tuning.trial import run_trial

_STATES = {
    COMPLETE: optuna.trial.TrialState.COMPLETE,
    PRUNED: optuna.trial.TrialState.PRUNED,
    DIVERGED: optuna.trial.TrialState.FAIL,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneConfig:
    """How long to search."""

    num_trials: int
    """In all, those of earlier runs included: the same again goes on where it was cut off."""

    limit_s: float | None = None
    """No trial begins after so long; those that have begun are finished."""

    def __post_init__(self) -> None:
        if self.num_trials < 1:
            raise InvalidArgumentError("num_trials", f"found {self.num_trials}, expected 1 or more")
        if self.limit_s is not None and not self.limit_s > 0:
            raise InvalidArgumentError("limit_s", f"found {self.limit_s:g}, expected more than 0")


def tune(
    store: StoreLike,
    *,
    as_of_us: int,
    config: TuneConfig,
    base: TrainConfig | None = None,
    name: str = "default",
    executor: Executor | None = None,
    progress: Callable[[Study], None] | None = None,
) -> Study:
    """Search settings on what was known before an instant, and keep every trial in the store.

    The usual settings are tried first, so that the best is never worse than they are on the held-out window. One trial at a time
    (inline) gives the same study however often it was cut off.
    base     : what trials vary; its own settings are the usual ones
    progress : called at the beginning and after every trial
    raises   : AsOfError where there is nothing to learn from or too little to judge on; InvalidArgumentError where the study of
               that name is of something else, IntegrityError where it is damaged; StoreBusyError while another process tunes
    """
    base = TrainConfig() if base is None else base
    executor = InlineExecutor() if executor is None else executor
    store, folder = resolve(store), study_folder(store, name)
    history = History.open(store)
    prepared = prepare(history, as_of_us=as_of_us, config=base)
    _check_is_telling(prepared)
    usual = values_of(prepared.config)
    with writer_lock(folder) as lock:
        study = _open(folder, Study(name=name, subject=_subject(prepared, base), usual=usual))
        fixed = {"store": store, "history_hash": history.manifest_hash, "as_of_us": as_of_us}
        search = _Search(study, base, config)
        if progress is not None:
            progress(study)
        for result in executor.run(run_trial, search.tasks(fixed)):
            search.tell(result.value)
            lock.check()
            write_study(folder, search.study)
            if progress is not None:
                progress(search.study)
    return search.study


def importances(study: Study) -> dict[str, float]:
    """The share of each setting in reaching the best tenth of the losses, the largest first; empty for few trials.

    They add up to 1.

    source : Watanabe, Bansal & Hutter (2023), PED-ANOVA, IJCAI; Optuna's default, which needs nothing beyond it
    """
    completed = [trial for trial in study.trials if trial.state == COMPLETE]
    if len(completed) < LEAST_FOR_IMPORTANCE:
        return {}
    with quiet_optuna():
        return dict(optuna.importance.get_param_importances(_as_optuna(study)))


class _Search:
    """Asks Optuna for settings when a task can begin, and tells it what came of them."""

    def __init__(self, study: Study, base: TrainConfig, config: TuneConfig) -> None:
        self.study = study
        self._base, self._config = base, config
        self._ends_s = None if config.limit_s is None else time.monotonic() + config.limit_s
        self._optuna = _as_optuna(study)
        self._asked: dict[int, optuna.Trial] = {}
        if study.first is None:
            self._optuna.enqueue_trial(dict(study.usual))

    def tasks(self, fixed: dict[str, Any]) -> Iterator[Task]:
        number = max((trial.number for trial in self.study.trials), default=-1) + 1
        while len(self.study.trials) + len(self._asked) < self._config.num_trials:
            if self._ends_s is not None and time.monotonic() >= self._ends_s:
                return
            values = self._ask(number)
            earlier = [trial.curve for trial in self.study.trials if trial.state == COMPLETE]
            config = with_values(self._base, values)
            yield {**fixed, "config": config, "number": number, "values": values, "earlier": earlier}
            number += 1

    def tell(self, trial: Trial) -> None:
        with quiet_optuna():
            asked = self._asked.pop(trial.number)
            for epoch, loss in enumerate(trial.curve, start=1):
                asked.report(loss, epoch)
            self._optuna.tell(asked, trial.loss, state=_STATES[trial.state])
        self.study = self.study.with_trial(trial)

    def _ask(self, number: int) -> Values:
        # A stream of its own for each trial: a search that was cut off goes on as if it had not been.
        seed = int(np.random.SeedSequence([self._base.seed, number]).generate_state(1)[0])
        with quiet_optuna():
            self._optuna.sampler = optuna.samplers.TPESampler(seed=seed)
            self._asked[number] = asked = self._optuna.ask({one.name: _distribution(one) for one in SPACE})
        return {one.name: asked.params[one.name] for one in SPACE}


def _open(folder: Place, new: Study) -> Study:
    try:
        study = read_study(folder)
    except NoStudyError:
        return new
    check_same_subject(folder, study.subject, new.subject)
    return study


def _subject(prepared: Prepared, base: TrainConfig) -> Subject:
    churned = prepared.window.churned
    return Subject(
        as_of_us=prepared.as_of_us,
        base=json.loads(json.dumps(asdict(base))),  # tuples as they will be read back
        num_customers=prepared.past.num_customers,
        num_events=prepared.past.num_events,
        num_held_out=len(churned),
        num_churned=int(churned.sum()),
    )


def _check_is_telling(prepared: Prepared) -> None:
    churned = prepared.window.churned
    if not prepared.window.is_telling:
        raise AsOfError(
            f"as-of {format_instant(prepared.as_of_us)}: found {len(churned)} customers in the held-out window, "
            f"{int(churned.sum())} of whom churned, expected {LEAST_CUSTOMERS} or more with {LEAST_OF_AN_OUTCOME} of each "
            "outcome to compare settings by; train with the usual settings, or choose a later as-of"
        )


def _as_optuna(study: Study) -> optuna.Study:
    """The study in Optuna's memory; it goes on from there as from its own."""
    distributions = {one.name: _distribution(one) for one in SPACE}
    with quiet_optuna():
        known = optuna.create_study()
        for trial in study.trials:
            known.add_trial(
                optuna.trial.create_trial(
                    state=_STATES[trial.state],
                    value=trial.loss,
                    params=dict(trial.values),
                    distributions=distributions,
                    intermediate_values=dict(enumerate(trial.curve, start=1)),
                )
            )
    return known


def _distribution(setting: Setting) -> optuna.distributions.BaseDistribution:
    if setting.is_whole:
        return optuna.distributions.IntDistribution(
            int(setting.low), int(setting.high), log=setting.is_log, step=setting.step or 1
        )
    return optuna.distributions.FloatDistribution(setting.low, setting.high, log=setting.is_log, step=setting.step)
