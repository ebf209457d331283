"""The trial pass ends when it got clearly worse, and what it chooses does not depend on how coarse the products are."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.history import History
from tests.training.conftest import AS_OF_US, QUICK
from tests.training.network.test_calibration import draw
from training.device import Compute
from training.network.calibration import Calibration
from training.passes.both import LearnHere
from training.passes.trial_pass import TrialPass, choose_epochs, choose_pass, got_worse, prepare
from training.passes.window import Window
from training.train import train
from training.trained import TrainProgress


@pytest.mark.parametrize(
    ("losses", "patience_epochs", "worse"),
    [
        ((0.30, 0.31, 0.32), 3, False),  # not for long enough
        ((0.40, 0.30, 0.31, 0.32, 0.31), 3, True),
        ((0.40, 0.30, 0.31, 0.302, 0.31), 3, False),  # 0.302 is not clearly worse than 0.30
        ((0.40, 0.30, 0.31, 0.32, 0.29), 3, False),
        ((0.40, 0.30, 0.31), 1, True),
        ((0.30, float("nan"), float("nan")), 2, False),
        ((0.30,), 1, False),
    ],
)
def test_it_ends_after_epochs_each_clearly_worse_than_the_best(
    losses: tuple[float, ...], patience_epochs: int, worse: bool
) -> None:
    assert got_worse(losses, patience_epochs) is worse
    if worse:
        assert choose_epochs(losses) == 2


@pytest.mark.parametrize(
    ("usual", "faster", "followed"),
    [
        ((0.40, 0.30), (0.35, 0.29), "faster"),
        ((0.40, 0.30), (0.35, 0.30), "usual"),
        ((0.40, 0.30), (0.20, 0.31), "faster"),  # by its first epoch, with which it would end
        ((0.40, 0.30), (0.35, float("nan")), "usual"),
    ],
)
def test_the_faster_pass_is_followed_where_the_window_is_clearly_better_served(
    usual: tuple[float, ...], faster: tuple[float, ...], followed: str
) -> None:
    passes = {"usual": TrialPass(losses=usual), "faster": TrialPass(losses=faster)}
    assert choose_pass(passes["usual"], passes["faster"]) is passes[followed]


@pytest.mark.parametrize(
    ("faster", "rate"),
    [
        (0.3, 3 * QUICK.learning_rate),
        (0.399, math.sqrt(3) * QUICK.learning_rate),  # may be chance
        (0.6, QUICK.learning_rate),
    ],
)
def test_the_final_pass_learns_as_fast_as_the_trial_that_is_followed(
    history: History, monkeypatch: pytest.MonkeyPatch, faster: float, rate: float
) -> None:
    curve = iter([0.5, 0.4, faster, faster])
    monkeypatch.setattr(Window, "loss", lambda *_: next(curve))
    told: list[TrainProgress] = []
    trained = train(history, as_of_us=AS_OF_US, config=replace(QUICK, adapt_rate=True), progress=told.append)
    assert trained.model.config.learning_rate == pytest.approx(rate)
    assert [at.epoch for at in told] == list(range(1, 1 + told[-1].num_epochs))


def test_training_takes_the_best_epochs_of_a_pass_that_ended_early(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    curve = iter([0.5, 0.4, 0.45, 0.46, 0.47])
    monkeypatch.setattr(Window, "loss", lambda *_: next(curve))
    told: list[TrainProgress] = []
    train(history, as_of_us=AS_OF_US, config=replace(QUICK, num_epochs=9, patience_epochs=2), progress=told.append)
    assert [at.validation for at in told] == [0.5, 0.4, 0.45, 0.46, 0.47, None, None]
    assert (told[-1].epoch, told[-1].num_epochs) == (7, 7)


def test_what_the_first_epochs_look_like_does_not_end_a_pass(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    curve = iter([0.4, 0.45, 0.46, 0.38, 0.37, 0.37])
    monkeypatch.setattr(Window, "loss", lambda *_: next(curve))
    told: list[TrainProgress] = []
    train(history, as_of_us=AS_OF_US, config=replace(QUICK, num_epochs=6, patience_epochs=2), progress=told.append)
    assert [at.validation for at in told[:6]] == [0.4, 0.45, 0.46, 0.38, 0.37, 0.37]


def test_what_a_season_did_to_the_level_is_no_reason_to_prefer_an_epoch(history: History) -> None:
    prepared = prepare(history, as_of_us=AS_OF_US, config=QUICK)
    promised = np.random.default_rng(0).uniform(0.1, 0.9, len(prepared.window.churned))
    losses = [
        prepared.window.levelled_cross_entropy(Calibration(shift=shift, slope=1.0).apply(promised)) for shift in (-0.5, 0, 0.5)
    ]
    assert losses == pytest.approx([losses[1]] * 3, abs=1e-6)
    assert losses[1] < prepared.window.cross_entropy(Calibration(shift=0.5, slope=1.0).apply(promised))


def test_coarse_products_validate_about_as_well(history: History) -> None:
    fine: list[TrainProgress] = []
    coarse: list[TrainProgress] = []
    train(history, as_of_us=AS_OF_US, config=QUICK, progress=fine.append)
    learning = LearnHere(compute=Compute(bfloat16=True))
    train(history, as_of_us=AS_OF_US, config=QUICK, progress=coarse.append, learning=learning)
    assert [at.validation for at in coarse if at.validation] == pytest.approx(
        [at.validation for at in fine if at.validation], abs=0.01
    )
    assert [at.loss for at in coarse] == pytest.approx([at.loss for at in fine], abs=0.02)
    assert coarse != fine


def _window(num: int, *, shift: float, slope: float) -> tuple[Window, NDArray[np.float64]]:
    """A window in which promises were off by so much, and the promises."""
    promised, churned = draw(num, shift=shift, slope=slope)
    window = Window.__new__(Window)
    window.churned = churned
    return window, promised


def test_that_customers_differ_more_than_promised_is_believed() -> None:
    window, promised = _window(20_000, shift=0.0, slope=1.3)
    assert window.calibrate(promised).slope == pytest.approx(1.3, abs=0.05)


@pytest.mark.parametrize("slope", [0.7, 1.3])
def test_the_level_of_a_window_is_not(slope: float) -> None:
    window, promised = _window(20_000, shift=0.0, slope=slope)
    shifted, same_promised = _window(20_000, shift=0.5, slope=slope)
    means = [one.calibrate(given).apply(given).mean() for one, given in ((window, promised), (shifted, same_promised))]
    assert abs(means[1] - means[0]) < 0.5 * abs(shifted.churned.mean() - window.churned.mean())


def test_that_they_differ_less_is_believed_a_little() -> None:
    window, promised = _window(20_000, shift=0.0, slope=0.7)
    assert 0.8 < window.calibrate(promised).slope < 1.0


def test_a_handful_of_customers_say_nothing_of_the_slope() -> None:
    window, promised = _window(40, shift=0.0, slope=1.3)
    assert window.calibrate(promised).slope == pytest.approx(1.0, abs=0.1)
