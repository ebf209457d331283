"""One customer alone is told what the batch tells of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from serving.service.rows import score_batch, score_one
from serving.snapshots import open_current
from serving.wire.batches import customer_scores


@pytest.mark.parametrize("horizon_days", [30, 1, 17, 365])
def test_each_customer_alone_scores_as_in_the_batch(chain_store: Path, horizon_days: int) -> None:
    snapshot = open_current(chain_store)
    together = customer_scores(score_batch(snapshot, snapshot.slice(0, snapshot.num_customers), horizon_days))
    assert len({score.grade for score in together}) > 5
    for row, expected in enumerate(together):
        alone = score_one(snapshot, row, expected.customer_id, horizon_days)
        assert alone.churn_probability == pytest.approx(expected.churn_probability, abs=1e-7)
        assert replace(alone, churn_probability=expected.churn_probability) == expected
        assert snapshot.lookup(expected.customer_id) == row
