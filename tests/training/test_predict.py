"""Survival curves of a bundle and what is read off them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from engine.errors import InvalidArgumentError
from engine.history import History
from engine.labels import eligible
from tests.training.conftest import AS_OF_US
from training.bundles.bundle import Bundle, load, save
from training.predict import churn_probability, expected_days_to_purchase, predict_survival
from training.trained import TrainedModel

EDGES = np.array([1.0, 3.0, 7.0, 30.0])
RATE = 0.05


@pytest.fixture(scope="module")
def bundle(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    folder: Path = tmp_path_factory.mktemp("models") / "default" / "0001"
    save(trained, folder)
    return load(folder)


def test_curves_fall_and_stay_inside_zero_and_one(bundle: Bundle, history: History) -> None:
    for partition in history.partitions():
        customers = eligible(partition, AS_OF_US, 60)
        survival = predict_survival(bundle, partition, history.activity(), customers, AS_OF_US)
        assert survival.dtype == np.float32
        assert survival.shape == (len(customers), len(bundle.edges_days))
        assert ((survival > 0) & (survival < 1)).all()
        assert all((later <= earlier).all() for earlier, later in pairwise(survival.T))


def test_a_score_does_not_depend_on_what_else_is_asked(bundle: Bundle, history: History) -> None:
    partition = history.partition(0)
    customers = eligible(partition, AS_OF_US, 60)
    together = predict_survival(bundle, partition, history.activity(), customers, AS_OF_US)
    backwards = predict_survival(bundle, partition, history.activity(), customers[::-1].copy(), AS_OF_US)[::-1]
    alone = np.concatenate(
        [predict_survival(bundle, partition, history.activity(), customers[row : row + 1], AS_OF_US) for row in range(10)]
    )
    assert np.abs(together - backwards).max() <= 1e-6
    assert np.abs(together[:10] - alone).max() <= 1e-6


def test_one_instant_is_the_same_as_one_for_each(bundle: Bundle, history: History) -> None:
    partition = history.partition(1)
    customers = eligible(partition, AS_OF_US, 60)
    one = predict_survival(bundle, partition, history.activity(), customers, AS_OF_US)
    each = predict_survival(bundle, partition, history.activity(), customers, np.full(len(customers), AS_OF_US))
    assert (one == each).all()


def test_nobody_asked_about_gives_no_rows(bundle: Bundle, history: History) -> None:
    nobody = np.zeros(0, np.int64)
    assert predict_survival(bundle, history.partition(0), history.activity(), nobody, AS_OF_US).shape == (
        0,
        len(bundle.edges_days),
    )


@pytest.mark.parametrize("horizon_days", [0.25, 1, 2, 3, 5.5, 7, 29, 30])
def test_a_constant_rate_is_read_exactly_at_any_horizon(horizon_days: float) -> None:
    survival = np.exp(-RATE * EDGES)[None, :]
    assert churn_probability(EDGES, survival, horizon_days) == pytest.approx([math.exp(-RATE * horizon_days)])


@pytest.mark.parametrize("horizon_days", [0, -1, 30.001, math.nan])
def test_a_horizon_beyond_the_edges_is_refused(horizon_days: float) -> None:
    with pytest.raises(InvalidArgumentError, match="horizon_days"):
        churn_probability(EDGES, np.full((1, 4), 0.5, np.float32), horizon_days)


def test_expected_days_of_a_constant_rate() -> None:
    survival = np.exp(-RATE * EDGES)[None, :]
    assert expected_days_to_purchase(EDGES, survival) == pytest.approx([(1 - math.exp(-RATE * 30)) / RATE])


def test_expected_days_of_who_never_comes_end_at_the_last_edge() -> None:
    never = np.full((1, 4), 1 - 1e-6, np.float32)
    assert expected_days_to_purchase(EDGES, never) == pytest.approx([30.0], rel=1e-5)
