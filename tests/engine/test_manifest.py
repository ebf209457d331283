"""The manifest comes back as it was written, and equal ones are equal bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from engine.files import sha256_bytes, write_json_atomic
from engine.history.manifest import Manifest, PartRecord, SourceRecord, read_manifest, write_manifest
from engine.history.totals import BucketTotals

PART = PartRecord(
    bucket=3,
    path="bucket=0003/abc",
    sha256="sha256:abc",
    customers_bytes=10,
    events_bytes=20,
    num_customers=2,
    num_events=5,
)
FIRSTS = {"purchase": -4, "return": 0, "visit": -5}
TOTALS = BucketTotals(
    bucket=3,
    num_customers=2,
    num_by_kind={"purchase": 4, "return": 1, "visit": 2},
    amount_minor_total=-(10**20),
    first_us_by_kind=FIRSTS,
    last_event_us=9,
    last_order_us=8,
)
VISITS = replace(
    TOTALS, bucket=4, num_by_kind={"visit": 3}, first_us_by_kind={"visit": -5}, amount_minor_total=0, last_order_us=None
)
SOURCE = SourceRecord(
    sha256="sha256:def",
    name="größe.csv",
    kind="feedback",
    mapping={"customer_id": "who", "timestamp": "when"},
    timestamp_format=None,
    num_rows=9,
    bad_rows={"amount missing": 2, "customer_id missing": 1},
)
MANIFEST = Manifest(
    num_buckets=8,
    customer_id_type="string",
    fields=("customer_id", "timestamp"),
    sources=(SOURCE,),
    parts=(PART, replace(PART, path="bucket=0003/def"), replace(PART, bucket=4)),
    totals=(TOTALS, VISITS),
)


def test_a_manifest_survives_the_file(tmp_path: Path) -> None:
    write_manifest(tmp_path, MANIFEST)
    first_bytes = (tmp_path / "manifest.json").read_bytes()
    manifest, manifest_hash = read_manifest(tmp_path)
    assert manifest == MANIFEST
    write_manifest(tmp_path, manifest)
    assert (tmp_path / "manifest.json").read_bytes() == first_bytes
    assert read_manifest(tmp_path) == (manifest, manifest_hash)


def test_a_manifest_of_before_knows_no_part_as_an_addition(tmp_path: Path) -> None:
    known = replace(MANIFEST, parts=tuple(replace(part, is_addition=True) for part in MANIFEST.parts))
    write_manifest(tmp_path, known)
    assert read_manifest(tmp_path)[0] == known
    body = known.to_json()
    assert all(part.pop("is_addition") for part in body["parts"])
    text = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    write_json_atomic(tmp_path / "manifest.json", body | {"checksum": sha256_bytes(text.encode())})
    assert read_manifest(tmp_path)[0] == MANIFEST


def test_totals_come_from_the_buckets_and_sources() -> None:
    assert MANIFEST.amount_minor_total == -(10**20)
    assert (MANIFEST.num_customers, MANIFEST.num_events, MANIFEST.num_orders, MANIFEST.num_returns) == (4, 10, 4, 1)
    assert (MANIFEST.num_by_kind["visit"], MANIFEST.num_by_kind["complaint"]) == (5, 0)
    assert (MANIFEST.first_event_us, MANIFEST.last_event_us, MANIFEST.num_bad_rows) == (-5, 9, 3)
    assert (MANIFEST.first_order_us, MANIFEST.last_order_us) == (-4, 8)
    assert PART.files == (("bucket=0003/abc.customers.arrow", 10), ("bucket=0003/abc.events.arrow", 20))


def test_parts_are_listed_by_bucket_the_oldest_first() -> None:
    first, second, third = MANIFEST.parts
    assert MANIFEST.parts_by_bucket() == {3: (first, second), 4: (third,)}
