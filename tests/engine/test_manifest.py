"""The manifest comes back as it was written, and equal ones are equal bytes."""

from __future__ import annotations

from pathlib import Path

from engine.history.manifest import Manifest, PartRecord, SourceRecord, read_manifest, write_manifest

PART = PartRecord(
    bucket=3,
    path="bucket=0003/abc",
    sha256="sha256:abc",
    customers_bytes=10,
    events_bytes=20,
    num_customers=2,
    num_events=5,
    num_orders=4,
    num_returns=1,
    amount_minor_total=-(10**20),
    first_event_us=-5,
    last_event_us=9,
)
SOURCE = SourceRecord(
    sha256="sha256:def",
    name="größe.csv",
    mapping={"customer_id": "who", "timestamp": "when"},
    timestamp_format=None,
    num_rows=9,
    bad_rows={"amount missing": 2, "customer_id missing": 1},
)
MANIFEST = Manifest(
    num_buckets=8, customer_id_type="string", fields=("customer_id", "timestamp"), sources=(SOURCE,), parts=(PART, PART)
)


def test_a_manifest_survives_the_file(tmp_path: Path) -> None:
    write_manifest(tmp_path, MANIFEST)
    first_bytes = (tmp_path / "manifest.json").read_bytes()
    manifest, manifest_hash = read_manifest(tmp_path)
    assert manifest == MANIFEST
    write_manifest(tmp_path, manifest)
    assert (tmp_path / "manifest.json").read_bytes() == first_bytes
    assert read_manifest(tmp_path) == (manifest, manifest_hash)


def test_totals_come_from_the_parts_and_sources() -> None:
    assert MANIFEST.amount_minor_total == -2 * 10**20
    assert (MANIFEST.num_customers, MANIFEST.num_events, MANIFEST.num_orders, MANIFEST.num_returns) == (4, 10, 8, 2)
    assert (MANIFEST.first_event_us, MANIFEST.last_event_us, MANIFEST.num_bad_rows) == (-5, 9, 3)
    assert PART.files == (("bucket=0003/abc.customers.arrow", 10), ("bucket=0003/abc.events.arrow", 20))
