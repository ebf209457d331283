"""The best settings found, for a training to use."""

from __future__ import annotations

from engine.errors import AsOfError, InvalidArgumentError, NoStudyError
from engine.instants import format_instant
from engine.storage import StoreLike
from training.config import TrainConfig
from training.tuning.space import with_values
from training.tuning.study import STUDY_FILE, read_study, study_folder


def tuned_config(store: StoreLike, *, as_of_us: int, config: TrainConfig, name: str = "default") -> TrainConfig:
    """The configuration with the best settings of a study.

    as_of_us : of the training to come, no earlier than the study's
    raises   : NoStudyError where no trial was completed; InvalidArgumentError where the study is of something else; AsOfError
               where it has seen what the training must not; IntegrityError where it is damaged
    """
    folder = study_folder(store, name)
    study = read_study(folder)
    for field in ("horizon_days", "active_within_days"):
        found, asked = study.subject.base[field], getattr(config, field)
        if found != asked:
            raise InvalidArgumentError(
                field, f"found {asked}, the study in {folder} is of {found}; train with {found}, or tune under another --name"
            )
    if study.subject.as_of_us > as_of_us:
        raise AsOfError(
            f"as-of {format_instant(as_of_us)}: the study in {folder} was judged on what came later, up to "
            f"{format_instant(study.subject.as_of_us)}; choose an as-of from there on, or tune for this one under another --name"
        )
    if study.best is None:
        raise NoStudyError(f"{folder / STUDY_FILE} holds no completed trial; run `ebbtide tune` again with more --trials")
    return with_values(config, study.best.values)
