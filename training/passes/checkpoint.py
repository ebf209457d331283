"""Checkpoints: the newest stage of a training that is not finished, for `train --resume`.

    store/models/<name>/.training/trial-0003.safetensors    weights, averages, moments, random states
    store/models/<name>/.training/checkpoint.json           {"content_hash": …, "content": {which training, how far, which file}}

The tensors are written first and under a name of their own, then the document is replaced: a kill leaves the stage before or this
one. Neither holds anything of a customer: what the trial pass promised is computed anew from its weights.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from engine.errors import IntegrityError, InvalidArgumentError
from engine.files import sha256_bytes
from engine.sealed import seal, unseal
from engine.storage import Place, StoreLike, write_bytes
from training.bundles.bundle import BUNDLE_SCHEMA_VERSION
from training.bundles.catalogue import catalogue_hash
from training.bundles.tensors import model_from, tensors_of
from training.config import TrainConfig
from training.device import Compute
from training.differences import differences
from training.fitting.standing import parse_standing
from training.network.calibration import Calibration
from training.network.situation import SITUATION_NAMES
from training.network.tokens import TOKEN_NAMES
from training.passes.both import TRIAL, Stage, final_config
from training.passes.trial_pass import Prepared, TrialPass
from training.registry.bundles import name_folder

CHECKPOINT_SCHEMA_VERSION = 4
CHECKPOINT_FOLDER = ".training"
CHECKPOINT_FILE = "checkpoint.json"
_STANDING, _CHOSEN, _RIVAL = "standing.", "trial.", "rival."
_WAY_OUT = "omit --resume to start over"
# What a repetition has to agree in to give the same bits.
_LIBRARIES = ("numpy", "torch")


@dataclass(frozen=True, kw_only=True, slots=True)
class Unfinished:
    """What a folder says that it holds, unchecked.

    epoch : done, of the phase, which is TRIAL or FINAL
    """

    phase: str
    epoch: int

    def __str__(self) -> str:
        return f"{self.phase} pass, {self.epoch} epoch{'' if self.epoch == 1 else 's'} done"


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoints:
    """The checkpoint of one training in a folder.

    subject : what has to be the same to go on, JSON types
    """

    folder: Place
    subject: dict[str, Any]

    def write(self, stage: Stage) -> None:
        """Keep a stage in place of the one before."""
        name, tensors, document = pack(stage, self.subject)
        write_bytes(self.folder / name, tensors)
        write_bytes(self.folder / CHECKPOINT_FILE, document)
        for path in list(self.folder.glob("*.safetensors")):
            if path.name != name:
                path.unlink(missing_ok=True)

    def read(self, prepared: Prepared) -> Stage | None:
        """The stage that was kept; None where there is none.

        raises : IntegrityError where it is damaged; InvalidArgumentError where it is of another training
        """
        try:
            document = (self.folder / CHECKPOINT_FILE).read_bytes()
        except FileNotFoundError:
            return None
        return unpack(document, lambda name: (self.folder / name).read_bytes(), self.subject, prepared, str(self.folder))


def checkpoint_folder(store: StoreLike, name: str) -> Place:
    """Where the training of a bundle's name keeps its checkpoint.

    raises : InvalidArgumentError for a name that could leave the folder
    """
    return name_folder(store, name) / CHECKPOINT_FOLDER


def find_unfinished(folder: Place) -> Unfinished | None:
    """What a folder holds, to be told to a person; None where nothing is, or nothing that can be read."""
    try:
        content = json.loads((folder / CHECKPOINT_FILE).read_bytes())["content"]
        return Unfinished(phase=str(content["phase"]), epoch=int(content["standing"]["num_epochs"]))
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def subject_of(history_hash: str, prepared: Prepared, compute: Compute, num_workers: int) -> dict[str, Any]:
    """What a training has to agree in with one that was cut off to give the bits that it would have given."""
    subject = {
        "bundle_schema": BUNDLE_SCHEMA_VERSION,
        "catalogue_hash": catalogue_hash(TOKEN_NAMES, SITUATION_NAMES),
        "history_hash": history_hash,
        "as_of_us": prepared.as_of_us,
        "config": asdict(prepared.config),
        "device": compute.device,
        "bfloat16": compute.bfloat16,
        "num_workers": num_workers,
        "libraries": {name: version(name) for name in _LIBRARIES},
    }
    parsed: dict[str, Any] = json.loads(json.dumps(subject))  # tuples as they will be read back
    return parsed


def pack(stage: Stage, subject: Mapping[str, Any]) -> tuple[str, bytes, bytes]:
    """Name and bytes of the tensors, and the document that names them."""
    tensors = {_STANDING + name: value for name, value in stage.standing.tensors().items()}
    if stage.trial.losses:
        # While the pass goes on its newest model is that of the standing; afterwards the chosen one is all that is asked for.
        kept = stage.trial.best if stage.phase == TRIAL else stage.trial.chosen
        assert kept is not None
        # Copies: the newest model may be the best one, and no two names may share memory.
        tensors |= {_CHOSEN + name: value.clone() for name, value in tensors_of(kept).items()}
    if stage.rival is not None:
        tensors |= {_RIVAL + name: value.clone() for name, value in tensors_of(stage.rival.chosen).items()}
    data = save_tensors(tensors)
    name = f"{stage.phase}-{stage.standing.num_epochs:04d}.safetensors"
    content = {
        "schema_version": CHECKPOINT_SCHEMA_VERSION,
        "subject": subject,
        "phase": stage.phase,
        "standing": stage.standing.numbers(),
        "num_before": stage.num_before,
        "trial": _numbers(stage.trial),
        "rival": None if stage.rival is None else _numbers(stage.rival),
        "tensors_file": name,
        "tensors_hash": sha256_bytes(data),
    }
    return name, data, seal(content)


def unpack(document: bytes, read: Callable[[str], bytes], subject: Mapping[str, Any], prepared: Prepared, where: str) -> Stage:
    """The stage of a document.

    read   : gives the bytes of the tensors by their name
    where  : of messages
    raises : IntegrityError where a byte is not as written; InvalidArgumentError where it is of another training
    """
    try:
        _, content = unseal(document)
        schema_version, found = content["schema_version"], content["subject"]
    except (ValueError, TypeError, KeyError) as error:
        raise IntegrityError(f"{where} holds no checkpoint, or a damaged one ({error}); {_WAY_OUT}") from error
    if schema_version != CHECKPOINT_SCHEMA_VERSION:
        raise InvalidArgumentError(
            "resume", f"{where}: found checkpoint schema {schema_version}, expected {CHECKPOINT_SCHEMA_VERSION}; {_WAY_OUT}"
        )
    if differing := differences(found, subject):
        raise InvalidArgumentError(
            "resume",
            f"the unfinished training in {where} is a different one ({'; '.join(differing)}); ask for that one again to "
            f"resume it, or {_WAY_OUT}",
        )
    try:
        return _parse(content, _tensors(content, read), prepared)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        raise IntegrityError(f"the checkpoint in {where} is damaged ({error}); {_WAY_OUT}") from error


def _tensors(content: Mapping[str, Any], read: Callable[[str], bytes]) -> dict[str, torch.Tensor]:
    data = read(content["tensors_file"])
    if sha256_bytes(data) != content["tensors_hash"]:
        raise ValueError(f"{content['tensors_file']} is not as it was written")
    return load_tensors(data)


def _parse(content: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], prepared: Prepared) -> Stage:
    phase, rival = content["phase"], None
    trial = _parse_pass(content["trial"], _below(_CHOSEN, tensors), prepared.config)
    config = (trial.config or prepared.config) if phase == TRIAL else final_config(prepared.config, trial)
    standing = parse_standing(content["standing"], _below(_STANDING, tensors), config)
    if phase == TRIAL:
        trial = replace(trial, last=standing.model)
    if content["rival"] is not None:
        rival = _parse_pass(content["rival"], _below(_RIVAL, tensors), prepared.config)
    return Stage(phase=phase, standing=standing, trial=trial, rival=rival, num_before=int(content["num_before"]))


def _numbers(trial: TrialPass) -> dict[str, Any]:
    """A trial pass without its models; text, as a loss that lost all measure is no number to JSON."""
    rate = None if trial.config is None else repr(trial.config.learning_rate)
    return {"learning_rate": rate, "losses": [repr(loss) for loss in trial.losses]}


def _parse_pass(numbers: Mapping[str, Any], tensors: Mapping[str, torch.Tensor], base: TrainConfig) -> TrialPass:
    """The reverse, with the one model that was kept of it."""
    losses = tuple(float(loss) for loss in numbers["losses"])
    if not losses:
        return TrialPass()
    config = replace(base, learning_rate=float(numbers["learning_rate"]))
    kept = model_from(tensors, config, Calibration())
    return TrialPass(config=config, losses=losses, best=kept, last=kept)


def _below(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
