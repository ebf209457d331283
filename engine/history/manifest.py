"""The manifest: the one file that says which parts are the history; whoever replaces it commits."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.activity import DailyActivity, add_activities
from engine.coverage import Coverage
from engine.errors import IntegrityError, NoHistoryError
from engine.files import sha256_bytes
from engine.history.totals import BucketTotals
from engine.schema import KIND_NAMES, SCHEMA_VERSION, EventKind
from engine.storage import Place, write_bytes

MANIFEST_NAME = "manifest.json"
_WAY_OUT = "restore it from a backup, or ingest the sources again into a new store"


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceRecord:
    """A source file that went in.

    name             : the file's own name, without its folder
    kind             : what its rows are where they do not say it themselves, a name of engine.schema.KIND_NAMES
    mapping          : field -> column, as resolved, those included that were found by their own name
    timestamp_format : as given, or None
    bad_rows         : reason -> rows kept out
    """

    sha256: str
    name: str
    kind: str
    mapping: Mapping[str, str]
    timestamp_format: str | None
    num_rows: int
    bad_rows: Mapping[str, int]

    @property
    def num_bad_rows(self) -> int:
        return sum(self.bad_rows.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class PartRecord:
    """One part of a bucket: `<path>.customers.arrow` and `<path>.events.arrow` below the history folder.

    sha256        : of the bytes of both files, customers first; the path ends in its first digits
    num_customers : rows of the first file
    num_events    : rows of the second, those included that a newer part of the bucket replaces
    is_addition   : no event of it is a new version of one in an older part of the bucket; False of a bucket's first part, and
                    where nobody knows
    """

    bucket: int
    path: str
    sha256: str
    customers_bytes: int
    events_bytes: int
    num_customers: int
    num_events: int
    is_addition: bool = False

    @property
    def files(self) -> tuple[tuple[str, int], tuple[str, int]]:
        """(path below the history folder, bytes) of the customers and of the events."""
        return (f"{self.path}.customers.arrow", self.customers_bytes), (f"{self.path}.events.arrow", self.events_bytes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What the history is made of. Equal content gives equal bytes, so the hash of the bytes names the state.

    customer_id_type : "integer" only while every source had integer ids, else "string"
    fields           : the source fields ever seen, in the order of engine.schema.SOURCE_FIELDS
    parts            : by bucket, and in a bucket the oldest first: of two versions of an event that in the newer part counts
    num_forgotten    : customers erased so far; who they were is not kept
    totals           : one per bucket that has parts, ascending
    """

    num_buckets: int
    customer_id_type: str
    fields: tuple[str, ...]
    sources: tuple[SourceRecord, ...]
    parts: tuple[PartRecord, ...]
    totals: tuple[BucketTotals, ...]
    num_forgotten: int = 0
    schema_version: int = SCHEMA_VERSION

    @property
    def num_customers(self) -> int:
        return sum(bucket.num_customers for bucket in self.totals)

    @property
    def num_events(self) -> int:
        return sum(bucket.num_events for bucket in self.totals)

    @property
    def num_by_kind(self) -> dict[str, int]:
        """Name of the kind -> events, for every kind."""
        return {name: sum(bucket.num_by_kind.get(name, 0) for bucket in self.totals) for name in KIND_NAMES}

    @property
    def num_orders(self) -> int:
        """Purchases; returns are counted apart."""
        return sum(bucket.num_by_kind.get("purchase", 0) for bucket in self.totals)

    @property
    def num_returns(self) -> int:
        return sum(bucket.num_by_kind.get("return", 0) for bucket in self.totals)

    @property
    def amount_minor_total(self) -> int:
        """Purchases and returns together, each with the sign that the source gave."""
        return sum(bucket.amount_minor_total for bucket in self.totals)

    @property
    def first_event_us(self) -> int:
        return min(bucket.first_event_us for bucket in self.totals)

    @property
    def last_event_us(self) -> int:
        return max(bucket.last_event_us for bucket in self.totals)

    @property
    def first_order_us(self) -> int | None:
        """Of purchases and returns; None where there are none."""
        return min((bucket.first_order_us for bucket in self.totals if bucket.first_order_us is not None), default=None)

    @property
    def last_order_us(self) -> int | None:
        """How far the log of orders reaches, which may be less far than that of visits."""
        return max((bucket.last_order_us for bucket in self.totals if bucket.last_order_us is not None), default=None)

    @property
    def num_bad_rows(self) -> int:
        return sum(source.num_bad_rows for source in self.sources)

    @property
    def coverage(self) -> Coverage:
        """What the log of the chain has, and since when."""
        firsts = {
            kind: [bucket.first_us_by_kind[name] for bucket in self.totals if name in bucket.first_us_by_kind]
            for kind, name in zip(EventKind, KIND_NAMES, strict=True)
        }
        return Coverage(
            since_us={kind: min(instants_us) for kind, instants_us in firsts.items() if instants_us},
            has_amounts="amount" in self.fields,
            has_discounts="discount" in self.fields,
        )

    @property
    def activity(self) -> DailyActivity | None:
        """Purchases of the whole chain per day; None where a bucket does not know its own."""
        texts = [bucket.purchases_by_day for bucket in self.totals]
        known = [text for text in texts if text is not None]
        return add_activities(map(DailyActivity.from_text, known)) if len(known) == len(texts) else None

    def parts_by_bucket(self) -> dict[int, tuple[PartRecord, ...]]:
        """Bucket -> its parts, the oldest first."""
        buckets: dict[int, list[PartRecord]] = {}
        for part in self.parts:
            buckets.setdefault(part.bucket, []).append(part)
        return {bucket: tuple(parts) for bucket, parts in buckets.items()}

    def to_json(self) -> dict[str, Any]:
        """All fields, and the totals for whoever reads the file without ebbtide."""
        chain = (
            "num_customers",
            "num_events",
            "num_by_kind",
            "num_orders",
            "num_returns",
            "amount_minor_total",
            "first_event_us",
            "last_event_us",
            "first_order_us",
            "last_order_us",
            "num_bad_rows",
        )
        sources = [dataclasses.asdict(source) | {"num_bad_rows": source.num_bad_rows} for source in self.sources]
        return dataclasses.asdict(self) | {"sources": sources} | {name: getattr(self, name) for name in chain}


def write_manifest(folder: Place, manifest: Manifest) -> None:
    """Commit: from here on a reader sees these parts. The file ends in a checksum of what stands before it."""
    body = manifest.to_json()
    body["checksum"] = _checksum(body)
    write_bytes(folder / MANIFEST_NAME, json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n")


def read_manifest(folder: Place) -> tuple[Manifest, str]:
    """The manifest of a history folder and the "sha256:…" of its bytes.

    raises : NoHistoryError where there is none; IntegrityError where it is damaged or of another schema version
    """
    path = folder / MANIFEST_NAME
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise NoHistoryError(
            f"{folder.parent} holds no history (no {path}); run `ebbtide ingest --store {folder.parent} FILE` first"
        ) from None
    try:
        body = json.loads(data)
        version = body["schema_version"]
        if version != SCHEMA_VERSION:
            raise IntegrityError(
                f"{path} has schema version {version!r}, expected {SCHEMA_VERSION}: "
                "it was written by another version of ebbtide; use that one, or ingest the sources again into a new store"
            )
        is_whole = body.pop("checksum") == _checksum(body)
        manifest = _from_json(body)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{path} is damaged ({type(error).__name__}: {error}); {_WAY_OUT}") from error
    if not is_whole:
        raise IntegrityError(f"{path} is damaged (its checksum does not match what it says); {_WAY_OUT}")
    return manifest, sha256_bytes(data)


def _from_json(body: Mapping[str, Any]) -> Manifest:
    source_fields = [field.name for field in dataclasses.fields(SourceRecord)]
    part_fields = [field.name for field in dataclasses.fields(PartRecord)]
    totals_fields = [field.name for field in dataclasses.fields(BucketTotals)]
    return Manifest(
        schema_version=body["schema_version"],
        num_buckets=body["num_buckets"],
        num_forgotten=body["num_forgotten"],
        customer_id_type=body["customer_id_type"],
        fields=tuple(body["fields"]),
        sources=tuple(SourceRecord(**{name: source[name] for name in source_fields}) for source in body["sources"]),
        parts=tuple(PartRecord(**{name: part[name] for name in part_fields if name in part}) for part in body["parts"]),
        totals=tuple(
            BucketTotals(**{name: bucket[name] for name in totals_fields if name in bucket}) for bucket in body["totals"]
        ),
    )


def _checksum(body: Mapping[str, Any]) -> str:
    return sha256_bytes(json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode())
