"""Bundles: one trained model with all that scoring needs, in a folder, bound by a hash.

    weights.safetensors    weights and normalisers
    bundle.json            {"content_hash": "sha256:…", "content": {what it is, how it was trained, calibration}}

The content names the hash of the weights' bytes, the content hash is that of the content, and bundle.json has to be byte for
byte what would be written again: no byte of either file can change unnoticed. Nothing is loaded as a tensor before that is
settled, and nothing is ever unpickled.
"""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from engine.errors import IntegrityError, InvalidArgumentError, NoBundleError
from engine.files import sha256_bytes
from engine.sealed import hash_content, seal, unseal
from engine.storage import Place, StoreLike, resolve, write_bytes
from training.bundles.catalogue import catalogue_hash
from training.bundles.tensors import model_from, tensors_of
from training.config import ModelConfig, TrainConfig
from training.drift.reference import describe_reference, parse_reference
from training.inference import FittedModel
from training.network.calibration import Calibration
from training.network.situation import SITUATION_NAMES
from training.network.tokens import TOKEN_NAMES
from training.trained import TrainedModel

BUNDLE_SCHEMA_VERSION = 7
WEIGHTS_FILE = "weights.safetensors"
DESCRIPTION_FILE = "bundle.json"

# Fields of the content that the description passes on as they are.
_DESCRIBED = (
    "weights_hash",
    "catalogue_hash",
    "history_hash",
    "as_of_us",
    "first_event_us",
    "num_customers",
    "num_events",
    "config",
    "calibration",
    "validation",
    "backtest",
    "libraries",
)
# What a repetition has to agree in to give the same bits.
_LIBRARIES = ("numpy", "pyarrow", "scikit-learn", "torch")


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """A trained model as it lies in a folder.

    name, version : from the folder, store/models/<name>/<version>
    content_hash  : "sha256:…" over weights and description; the same for the same training, wherever it lies
    """

    name: str
    version: str
    folder: Place
    content_hash: str
    trained: TrainedModel

    @property
    def model(self) -> FittedModel:
        return self.trained.model

    @property
    def config(self) -> TrainConfig:
        return self.model.config

    @property
    def as_of_us(self) -> int:
        return self.trained.as_of_us

    @property
    def horizon_days(self) -> int:
        return self.config.horizon_days

    @property
    def active_within_days(self) -> int:
        return self.config.active_within_days

    @property
    def edges_days(self) -> NDArray[np.float64]:
        return self.model.edges_days

    @property
    def calibration(self) -> Calibration:
        return self.model.calibration


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleDescription:
    """What bundle.json says, of a bundle whose weights nobody needs right now.

    config     : the settings, as `dataclasses.asdict` of TrainConfig gives them
    validation : metrics on the last horizon before the as-of, by the first pass, which had not seen it; empty where none
    backtest   : metrics of back-tests with the same question, where they were given; see `training.bundles.backtest_summary`
    libraries  : name -> version
    """

    content_hash: str
    weights_hash: str
    catalogue_hash: str
    history_hash: str
    as_of_us: int
    first_event_us: int
    num_customers: int
    num_events: int
    horizon_days: int
    active_within_days: int
    config: dict[str, Any]
    calibration: dict[str, float]
    validation: dict[str, float]
    backtest: dict[str, Any] | None
    libraries: dict[str, str]


def save(trained: TrainedModel, directory: StoreLike, *, backtest: dict[str, Any] | None = None) -> str:
    """Write the two files into a folder, the description last; returns the content hash.

    backtest : metrics of back-tests to keep with it, JSON types
    """
    directory = resolve(directory)
    weights = save_tensors(tensors_of(trained.model))
    content = _content(trained, weights) | {"backtest": backtest}
    content_hash = hash_content(content)
    write_bytes(directory / WEIGHTS_FILE, weights)
    write_bytes(directory / DESCRIPTION_FILE, seal(content))
    return content_hash


def load(directory: StoreLike) -> Bundle:
    """The bundle in a folder.

    raises : NoBundleError where there is none; IntegrityError where a byte is not as written, or where the bundle was made for
             another catalogue of tokens or indicators
    """
    directory = resolve(directory).resolve()
    content_hash, content = _read_description(directory)
    weights = _read(directory / WEIGHTS_FILE)
    found, expected = sha256_bytes(weights), content["weights_hash"]
    if found != expected:
        raise IntegrityError(
            f"{directory / WEIGHTS_FILE}: found {found}, expected {expected}; the bundle is damaged: train again"
        )
    config = _parse_config(content["config"])
    model = model_from(load_tensors(weights), config, Calibration(**content["calibration"]))
    trained = TrainedModel(
        model=model,
        as_of_us=content["as_of_us"],
        first_event_us=content["first_event_us"],
        history_hash=content["history_hash"],
        num_customers=content["num_customers"],
        num_events=content["num_events"],
        validation=content["validation"],
        reference=parse_reference(content["reference"]),
    )
    return Bundle(
        name=directory.parent.name, version=directory.name, folder=directory, content_hash=content_hash, trained=trained
    )


def describe(directory: StoreLike) -> BundleDescription:
    """What a bundle is, from its description alone; the weights are not checked here, `load` does that.

    raises : NoBundleError, IntegrityError
    """
    content_hash, content = _read_description(resolve(directory))
    config = content["config"]
    return BundleDescription(
        content_hash=content_hash,
        horizon_days=config["horizon_days"],
        active_within_days=config["active_within_days"],
        **{name: content[name] for name in _DESCRIBED},
    )


def _content(trained: TrainedModel, weights: bytes) -> dict[str, Any]:
    return {
        "weights_hash": sha256_bytes(weights),
        "schema_version": BUNDLE_SCHEMA_VERSION,
        "catalogue_hash": catalogue_hash(TOKEN_NAMES, SITUATION_NAMES),
        "as_of_us": trained.as_of_us,
        "first_event_us": trained.first_event_us,
        "history_hash": trained.history_hash,
        "num_customers": trained.num_customers,
        "num_events": trained.num_events,
        "validation": trained.validation,
        "reference": describe_reference(trained.reference),
        "libraries": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
        "config": asdict(trained.model.config),
        "calibration": asdict(trained.model.calibration),
        "token_names": list(TOKEN_NAMES),
        "situation_names": list(SITUATION_NAMES),
    }


def _read_description(directory: Place) -> tuple[str, dict[str, Any]]:
    """The content hash and the content that it was checked against."""
    path = directory / DESCRIPTION_FILE
    if not path.exists():
        raise NoBundleError(f"{directory} holds no {DESCRIPTION_FILE}; run `ebbtide train`")
    data = _read(path)
    try:
        content_hash, content = unseal(data)
    except (ValueError, TypeError, KeyError) as error:
        raise IntegrityError(f"{path} is not a bundle's description, or is damaged ({error}); train again") from error
    found = content["schema_version"]
    if found != BUNDLE_SCHEMA_VERSION:
        raise IntegrityError(f"{path}: found bundle schema {found}, expected {BUNDLE_SCHEMA_VERSION}; train again")
    for field, names in (("token_names", TOKEN_NAMES), ("situation_names", SITUATION_NAMES)):
        if tuple(content[field]) != names:
            changed = sorted(set(content[field]) ^ set(names)) or ["their order"]
            raise IntegrityError(f"{path}: {field} differ from this version's in {', '.join(changed)}; train again")
    if content["catalogue_hash"] != catalogue_hash(TOKEN_NAMES, SITUATION_NAMES):
        raise IntegrityError(f"{path}: the catalogue of indicators is not this version's; train again")
    return content_hash, content


def _parse_config(document: dict[str, Any]) -> TrainConfig:
    try:
        model = ModelConfig(**{**document["model"], "edges_days": tuple(document["model"]["edges_days"])})
        return TrainConfig(**{**document, "model": model})
    except (InvalidArgumentError, TypeError) as error:
        raise IntegrityError(f"the bundle's settings are not this version's ({error}); train again") from error


def _read(path: Place) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise IntegrityError(f"{path} is missing; the bundle is damaged: train again") from error
