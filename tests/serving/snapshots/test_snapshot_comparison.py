"""A comparison says what going through both snapshots customer by customer says, whatever their buckets."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from engine.errors import IntegrityError, InvalidArgumentError
from serving.risk import DEFAULT_THRESHOLDS, Grade
from serving.snapshots import Comparison, compare_snapshots, snapshot_folder
from serving.snapshots.comparison import NUM_GRADES
from tests.serving.made_snapshots import inputs_of, make_snapshot

GENERATOR = np.random.default_rng(0)


def draw(first: int, last: int) -> dict[str, float]:
    """Two decimals, so that there are ties."""
    return {f"c{number}": round(float(GENERATOR.uniform(0.01, 0.99)), 2) for number in range(first, last)}


THEN, NOW = draw(0, 400), draw(60, 450)
BOTH = sorted(set(THEN) & set(NOW))


def grade_of(probability: float) -> int:
    return int(DEFAULT_THRESHOLDS.grades(np.array([np.float32(probability) * np.float32(100)]))[0])


def change_of(customer_id: str) -> float:
    return float(np.float32(NOW[customer_id])) - float(np.float32(THEN[customer_id]))


def compare(store: Path, *, num_buckets: int = 4, limit: int = 10, out: Path | None = None) -> Comparison:
    before = make_snapshot(store, THEN, inputs_of())
    after = make_snapshot(store, NOW, inputs_of(days_later=7, num_buckets=num_buckets))
    return compare_snapshots(store, before, after, limit=limit, out=out)


@pytest.mark.parametrize("num_buckets", [4, 6, 3, 8])
def test_counts_and_means_are_those_of_every_customer(tmp_path: Path, num_buckets: int) -> None:
    comparison = compare(tmp_path, num_buckets=num_buckets)
    expected = np.zeros((NUM_GRADES, NUM_GRADES), np.int64)
    for customer_id in BOTH:
        expected[grade_of(THEN[customer_id]) - 1, grade_of(NOW[customer_id]) - 1] += 1
    assert comparison.transitions.tolist() == expected.tolist()
    left = np.bincount([grade_of(THEN[customer_id]) - 1 for customer_id in set(THEN) - set(NOW)], minlength=NUM_GRADES)
    came = np.bincount([grade_of(NOW[customer_id]) - 1 for customer_id in set(NOW) - set(THEN)], minlength=NUM_GRADES)
    assert (comparison.left.tolist(), comparison.came.tolist()) == (left.tolist(), came.tolist())
    assert comparison.num_both == len(BOTH) == 340
    means = (comparison.mean_before, comparison.mean_after, comparison.mean_before_of_both, comparison.mean_after_of_both)
    of_both = [np.mean([side[customer_id] for customer_id in BOTH]) for side in (THEN, NOW)]
    assert means == pytest.approx([np.mean([*THEN.values()]), np.mean([*NOW.values()]), *of_both], rel=1e-6)


@pytest.mark.parametrize(("num_buckets", "limit"), [(4, 7), (3, 7), (4, 1), (4, 1000), (6, 0)])
def test_those_who_moved_most_come_first_and_equal_ones_by_id(tmp_path: Path, num_buckets: int, limit: int) -> None:
    comparison = compare(tmp_path, num_buckets=num_buckets, limit=limit)
    risen = sorted((-change_of(customer_id), customer_id) for customer_id in BOTH if change_of(customer_id) > 0)[:limit]
    fallen = sorted((change_of(customer_id), customer_id) for customer_id in BOTH if change_of(customer_id) < 0)[:limit]
    assert [(-move.change, move.customer_id) for move in comparison.risen] == risen
    assert [(move.change, move.customer_id) for move in comparison.fallen] == fallen
    for move in comparison.risen:
        assert move.grade_after == Grade(grade_of(NOW[move.customer_id]))
        assert move.store_id == ("" if move.customer_id.endswith("0") else f"store {move.customer_id[-1]}")


@pytest.mark.parametrize("num_buckets", [4, 6])
def test_the_file_has_a_row_for_everybody(tmp_path: Path, num_buckets: int) -> None:
    comparison = compare(tmp_path, num_buckets=num_buckets, out=tmp_path / "moves.parquet")
    table = pq.read_table(tmp_path / "moves.parquet")
    assert table.schema.metadata[b"ebbtide.after"].decode() == comparison.after.snapshot_id
    found = {row["customer_id"]: row for row in table.to_pylist()}
    assert len(found) == table.num_rows == len(set(THEN) | set(NOW))
    for customer_id, row in found.items():
        then, now = THEN.get(customer_id), NOW.get(customer_id)
        assert row["presence"] == ("both" if customer_id in BOTH else "new" if then is None else "left")
        assert row["churn_probability_before"] == (None if then is None else pytest.approx(then))
        assert row["churn_probability_after"] == (None if now is None else pytest.approx(now))
        assert row["grade_before"] == (None if then is None else Grade(grade_of(then)).name)
        assert row["grade_after"] == (None if now is None else Grade(grade_of(now)).name)
        assert row["change"] == (pytest.approx(change_of(customer_id), abs=1e-6) if customer_id in BOTH else None)
        assert row["store_id"] == (None if customer_id.endswith("0") else f"store {customer_id[-1]}")


def test_bundles_of_other_horizons_are_compared_at_one(tmp_path: Path) -> None:
    before = make_snapshot(tmp_path, {"a1": 0.5}, inputs_of(horizon_days=60))
    after = make_snapshot(tmp_path, {"a1": 0.5}, inputs_of(days_later=1, horizon_days=30))
    (move,) = compare_snapshots(tmp_path, before, after).fallen
    assert (move.probability_before, move.probability_after) == pytest.approx((math.sqrt(0.5), 0.5), rel=1e-5)
    assert move.grade_before == Grade.R3


def test_a_snapshot_beside_itself_and_one_of_nobody(tmp_path: Path) -> None:
    same = make_snapshot(tmp_path, THEN, inputs_of())
    comparison = compare_snapshots(tmp_path, same, same)
    assert (comparison.num_both, int(np.trace(comparison.transitions)), comparison.risen, comparison.fallen) == (400, 400, (), ())
    nobody = make_snapshot(tmp_path, {}, inputs_of(days_later=1))
    comparison = compare_snapshots(tmp_path, same, nobody)
    assert (comparison.num_both, comparison.left.sum(), comparison.came.sum()) == (0, 400, 0)
    assert math.isnan(comparison.mean_after)
    assert math.isnan(comparison.mean_after_of_both)


def test_a_damaged_bucket_is_named_and_leaves_no_file(tmp_path: Path) -> None:
    before, after = make_snapshot(tmp_path, THEN, inputs_of()), make_snapshot(tmp_path, NOW, inputs_of(days_later=7))
    path = snapshot_folder(tmp_path, before.snapshot_id) / before.files[3].path
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match=r"bucket=0003\.arrow has hash"):
        compare_snapshots(tmp_path, before, after, out=tmp_path / "moves.csv")
    assert [entry.name for entry in tmp_path.iterdir()] == ["snapshots"]


def test_an_old_file_stays_unless_it_may_be_replaced(tmp_path: Path) -> None:
    manifest = make_snapshot(tmp_path, THEN, inputs_of())
    (tmp_path / "moves.csv").write_text("old")
    with pytest.raises(InvalidArgumentError, match="there already"):
        compare_snapshots(tmp_path, manifest, manifest, out=tmp_path / "moves.csv")
    assert (tmp_path / "moves.csv").read_text() == "old"
    compare_snapshots(tmp_path, manifest, manifest, out=tmp_path / "moves.csv", may_replace=True)
    assert len((tmp_path / "moves.csv").read_text().splitlines()) == 401
