"""Settings refuse what cannot be, and small chains get small models."""

from __future__ import annotations

import pytest

from engine.errors import InvalidArgumentError
from training.config import ModelConfig, TrainConfig


@pytest.mark.parametrize(("num_customers", "state_size", "dropout"), [(10, 16, 0.3), (700, 24, 0.2), (2000, 48, 0.1)])
def test_a_small_chain_gets_a_small_model(num_customers: int, state_size: int, dropout: float) -> None:
    model = TrainConfig().sized_for(num_customers).model
    assert (model.state_size, model.dropout) == (state_size, dropout)
    assert model.head_size == 2 * state_size


def test_a_model_that_is_smaller_already_stays_as_it_is() -> None:
    tiny = TrainConfig(model=ModelConfig(state_size=4, head_size=8, dropout=0.5))
    assert tiny.sized_for(10) == tiny


def test_a_size_that_was_asked_for_is_kept() -> None:
    config = TrainConfig(adapt_size=False)
    assert config.sized_for(10) is config


@pytest.mark.parametrize(
    ("field", "value"), [("num_epochs", 0), ("learning_rate", float("nan")), ("horizon_days", 400), ("seed", -1)]
)
def test_a_setting_out_of_its_limits_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"{field}: found .*expected"):
        TrainConfig(**{field: value})  # type: ignore[arg-type]
