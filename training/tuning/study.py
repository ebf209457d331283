"""Studies: the trials of a search, in store/studies/<name>/study.json, under a hash.

Optuna's own journal is a local file with a lock beside it that a kill leaves behind; this document is replaced whole after every
trial, lies in remote stores as well as in local ones, and is all that a search needs to go on. It holds settings and losses, and
nothing of any customer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from engine.errors import IntegrityError, InvalidArgumentError, NoStudyError
from engine.sealed import seal, unseal
from engine.storage import Place, StoreLike, resolve, write_bytes
from training.differences import differences
from training.passes.trial_pass import choose_epochs
from training.registry import check_name
from training.tuning.space import SPACE, Values, describe_space

STUDY_SCHEMA_VERSION = 3
STUDIES_FOLDER = "studies"
STUDY_FILE = "study.json"
# A trial that went through all epochs, that was given up on the way, that lost all measure.
COMPLETE, PRUNED, DIVERGED = "complete", "pruned", "diverged"
# With fewer completed trials the share of each setting in the outcome is noise.
LEAST_FOR_IMPORTANCE = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One setting, tried.

    number : in the order in which they were begun, from 0; those that a kill cut off are missing
    curve  : cross entropy on the held-out window with its level set right, after each epoch, nats per customer; finite
    """

    number: int
    values: Values
    state: str
    curve: tuple[float, ...]
    seconds: float

    @property
    def loss(self) -> float | None:
        """At the epoch that training would stop at; None of a trial that was not completed."""
        return self.curve[choose_epochs(self.curve) - 1] if self.state == COMPLETE else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What trials have to agree in to be compared.

    base : the configuration that trials vary, as JSON types
    num_held_out, num_churned : customers of the held-out window
    """

    as_of_us: int
    base: dict[str, Any]
    num_customers: int
    num_events: int
    num_held_out: int
    num_churned: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """A search as far as it has come.

    usual : the settings that would be used without it, tried first
    """

    name: str
    subject: Subject
    usual: Values
    trials: tuple[Trial, ...] = field(default=())

    @property
    def best(self) -> Trial | None:
        """The completed trial of the lowest loss, the earlier of two."""
        return min((trial for trial in self.trials if trial.loss is not None), key=_loss, default=None)

    @property
    def first(self) -> Trial | None:
        """The trial of the usual settings."""
        return next((trial for trial in self.trials if trial.values == self.usual), None)

    def lead_of(self, loss: float) -> float | None:
        """By how much another's loss on the same customers is lower than the best trial's; None where it is not."""
        best = self.best
        return best.loss - loss if best is not None and best.loss is not None and loss < best.loss else None

    def with_trial(self, trial: Trial) -> Study:
        return replace(self, trials=tuple(sorted((*self.trials, trial), key=lambda one: one.number)))


def study_folder(store: StoreLike, name: str) -> Place:
    """Where a study lies.

    raises : InvalidArgumentError for a name that could leave the folder
    """
    check_name(name)
    return resolve(store) / STUDIES_FOLDER / name


def write_study(folder: Place, study: Study) -> None:
    """Replace the document; a kill leaves the one before or this one."""
    content = {
        "schema_version": STUDY_SCHEMA_VERSION,
        "space": describe_space(),
        "subject": asdict(study.subject),
        "usual": study.usual,
        "trials": [asdict(trial) for trial in study.trials],
    }
    write_bytes(folder / STUDY_FILE, seal(content))


def read_study(folder: Place) -> Study:
    """The study of a folder.

    raises : NoStudyError where there is none; IntegrityError where it is damaged; InvalidArgumentError where it is of another
             schema or search
    """
    path = folder / STUDY_FILE
    way_out = f"tune under another --name, or remove {folder} to start over"
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise NoStudyError(f"{path} is not there; run `ebbtide tune` with --name {folder.name}") from error
    try:
        _, content = unseal(data)
        schema_version, space = content["schema_version"], content["space"]
    except (ValueError, TypeError, KeyError) as error:
        raise IntegrityError(f"{path} is not a study, or is damaged ({error}); {way_out}") from error
    if schema_version != STUDY_SCHEMA_VERSION:
        raise InvalidArgumentError("name", f"{path}: found schema {schema_version}, expected {STUDY_SCHEMA_VERSION}; {way_out}")
    if space != describe_space():
        found, expected = ({one["name"]: one for one in listed} for listed in (space, describe_space()))
        names = [name for name in dict.fromkeys([*found, *expected]) if found.get(name) != expected.get(name)]
        raise InvalidArgumentError(
            "name", f"{path}: found a study of another search space ({', '.join(names) or 'another order'} differ); {way_out}"
        )
    try:
        trials = tuple(Trial(**{**trial, "curve": tuple(trial["curve"])}) for trial in content["trials"])
        return Study(name=folder.name, subject=Subject(**content["subject"]), usual=_values(content["usual"]), trials=trials)
    except (TypeError, KeyError) as error:
        raise IntegrityError(f"{path} is no study of this version ({error}); {way_out}") from error


def check_same_subject(folder: Place, found: Subject, asked: Subject) -> None:
    """Refuse to compare what cannot be compared.

    raises : InvalidArgumentError, naming what differs
    """
    if differing := differences(asdict(found), asdict(asked)):
        raise InvalidArgumentError(
            "name",
            f"found a study of something else in {folder} ({'; '.join(differing)}); ask for the same again to go on with it, "
            f"tune under another --name, or remove {folder} to start over",
        )


def _values(found: Mapping[str, float | int]) -> Values:
    return {setting.name: found[setting.name] for setting in SPACE}


def _loss(trial: Trial) -> float:
    assert trial.loss is not None
    return trial.loss
