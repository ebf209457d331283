"""The manifest of a snapshot: what it was made from, and the hash of every file. A snapshot without one does not exist."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from engine.activity import DailyActivity
from engine.errors import IntegrityError
from engine.files import sha256_bytes
from engine.instants import DAY_US, format_instant
from engine.storage import Place
from serving.snapshots.schema import SCHEMA_VERSION
from training.network.situation import LONGEST_CHAIN_WINDOW

# What mends every damage to a snapshot; ends the messages.
MEND = "run `ebbtide rescore` again"


@dataclass(frozen=True, kw_only=True, slots=True)
class SnapshotInputs:
    """All that decides the bytes of a snapshot."""

    as_of_us: int
    model_version: str  # "name/version"
    model_hash: str  # "sha256:…" of the bundle
    history_hash: str  # "sha256:…" of the history's manifest
    horizon_days: int
    active_within_days: int
    edges_days: tuple[float, ...]  # upper edges of the hazard bins, ascending
    num_buckets: int
    state_size: int  # width of the bundle's states
    has_amounts: bool = True  # whether expected spend is money; else it is orders
    begun_from: str = ""  # id of the snapshot whose states were rolled on; empty where every customer began anew

    def __post_init__(self) -> None:
        # 30 and 30.0 are equal and are written differently: one form, so that equal inputs have equal digests.
        object.__setattr__(self, "edges_days", tuple(float(edge) for edge in self.edges_days))

    @property
    def digest(self) -> str:
        """ "sha256:…" over every field and the schema version."""
        return _digest_of(self)

    @property
    def snapshot_id(self) -> str:
        """Such as 20180101T000000Z-default-0001-1f2e3d4c: equal inputs have equal ids."""
        moment = re.sub(r"[-:]", "", format_instant(self.as_of_us))
        moment = f"{moment}T000000Z" if self.as_of_us % DAY_US == 0 else moment
        model = re.sub(r"[^A-Za-z0-9._-]", "-", self.model_version)
        return f"{moment}-{model}-{self.digest.removeprefix('sha256:')[:8]}"


@lru_cache(maxsize=8)
def _digest_of(inputs: SnapshotInputs) -> str:
    text = json.dumps({"schema_version": SCHEMA_VERSION, **asdict(inputs)}, sort_keys=True)
    return sha256_bytes(text.encode())


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketFile:
    """One file of a snapshot."""

    bucket: int
    path: str  # relative to the snapshot's folder
    checksum: str  # "xxh3:…" of its bytes
    num_bytes: int
    num_customers: int
    parts: tuple[str, ...] = ()  # hashes of the parts of the history that it was made from; empty where nobody tells

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))  # JSON has lists


@dataclass(frozen=True, kw_only=True, slots=True)
class RecentActivity:
    """Orders of the whole chain on each of the last days before as_of: what a situation has that no customer's row tells."""

    first_day: int  # days since 1970
    num_orders: tuple[int, ...]

    @classmethod
    def of(cls, activity: DailyActivity, as_of_us: int) -> RecentActivity:
        """As much of the chain's activity as a situation at as_of looks at."""
        recent = activity.before(as_of_us, LONGEST_CHAIN_WINDOW)
        return cls(first_day=recent.first_day, num_orders=tuple(recent.num_orders.tolist()))

    def daily(self) -> DailyActivity:
        """As the situation takes it."""
        return DailyActivity(first_day=self.first_day, num_orders=np.array(self.num_orders, np.int64))


@dataclass(frozen=True, kw_only=True, slots=True)
class SnapshotManifest:
    """What a committed snapshot is."""

    snapshot_id: str
    inputs: SnapshotInputs
    num_customers: int
    device: str  # "cpu" or "cuda", or both where a GPU was lost on the way: "cpu+cuda"
    executor: str
    files: tuple[BucketFile, ...]  # one per bucket, in order
    activity: RecentActivity | None = None  # None where nobody told: then there are no reasons

    def to_json(self) -> dict[str, Any]:
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


def read_manifest(path: Place, *, expected_sha256: str | None = None) -> SnapshotManifest:
    """Read and check a manifest file.

    raises : IntegrityError naming the file, if it is absent, is not what it was, or does not hold together
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise IntegrityError(f"{path} is absent; {MEND}") from None
    if expected_sha256 is not None and (found := sha256_bytes(data)) != expected_sha256:
        raise IntegrityError(f"{path} has hash {found}, expected {expected_sha256}; {MEND}")
    try:
        manifest = _parse(json.loads(data))
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{path} is not a snapshot manifest of schema version {SCHEMA_VERSION} ({error}); {MEND}") from error
    problem = _inconsistency(manifest, path.parent.name)
    if problem:
        raise IntegrityError(f"{path}: {problem}; {MEND}")
    return manifest


def _parse(values: Mapping[str, Any]) -> SnapshotManifest:
    values = dict(values)
    version = values.pop("schema_version")
    if version != SCHEMA_VERSION:
        raise ValueError(f"found schema version {version!r}")
    inputs = SnapshotInputs(**values.pop("inputs"))
    files = tuple(BucketFile(**entry) for entry in values.pop("files"))
    activity = _parse_activity(values.pop("activity", None))
    return SnapshotManifest(inputs=inputs, files=files, activity=activity, **values)


def _parse_activity(values: Mapping[str, Any] | None) -> RecentActivity | None:
    if values is None:
        return None
    return RecentActivity(first_day=int(values["first_day"]), num_orders=tuple(int(number) for number in values["num_orders"]))


def _inconsistency(manifest: SnapshotManifest, folder: str) -> str:
    if manifest.snapshot_id != folder:
        return f"it names snapshot {manifest.snapshot_id}, expected {folder}"
    if manifest.snapshot_id != manifest.inputs.snapshot_id:
        return f"its inputs belong to snapshot {manifest.inputs.snapshot_id}"
    if [entry.bucket for entry in manifest.files] != list(range(manifest.inputs.num_buckets)):
        return f"it lists {len(manifest.files)} files, expected one for each of {manifest.inputs.num_buckets} buckets"
    if any(Path(entry.path).name != entry.path for entry in manifest.files):
        return "it lists a file outside the snapshot's folder"
    if sum(entry.num_customers for entry in manifest.files) != manifest.num_customers:
        return "the customers of its files do not add up to num_customers"
    return ""
