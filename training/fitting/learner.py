"""The learner: weights, their moving average and the optimiser, and the step that moves all three."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import nn

from training.config import TrainConfig
from training.device import Compute
from training.fitting.batches import Share
from training.fitting.dropout import share_dropout
from training.fitting.schedule import make_optimiser, move_average
from training.fitting.standing import Standing
from training.fitting.start import Begun, extend_last_seen_bin
from training.fitting.workers import Workers
from training.inference import FittedModel
from training.network.calibration import Calibration
from training.network.model import SequenceModel
from training.network.normaliser import Normaliser
from training.network.spend import SpendScale

_GRADIENT_LIMIT = 1.0


class Learner:
    """What a step changes, and what is read off it after an epoch."""

    def __init__(self, network: SequenceModel, config: TrainConfig, *, begun: Begun, compute: Compute, workers: Workers) -> None:
        averaged = SequenceModel(config.model)
        averaged.load_state_dict(network.state_dict())
        self._network, self._averaged = network.to(compute.device).train(), averaged.to(compute.device)
        self._optimiser = make_optimiser(self._network, config)
        self._config, self._begun, self._compute, self._workers = config, begun, compute, workers
        self._num_steps = 0
        self._rows = share_dropout(self._network) if workers.num_workers > 1 else None

    def step(self, share: Share, *, rate: float, queries_per_step: float) -> torch.Tensor:
        """Learn from a batch; returns the sum of the loss over its queries, those of other workers included."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._config.learning_rate * rate
        if self._rows is not None:
            self._rows.chosen, self._rows.total = torch.from_numpy(share.rows), share.num_rows
        # A constant, not the batch's own number: every query weighs the same whichever batch it falls into.
        losses = share.batch.on(self._compute.device).losses(self._network, self._compute)
        loss, spend_loss = (part / queries_per_step * share.weight for part in losses)
        self._optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss + spend_loss / self._begun.spend_of_a_query)
        total = loss.detach()
        if self._workers.num_workers > 1:
            self._workers.add_up([total, *_gradients(self._network)])
        # The heads share no gradient and no limit on it, so that neither slows the other down.
        for parameters in self._network.parameters_by_head():
            nn.utils.clip_grad_norm_(parameters, _GRADIENT_LIMIT)
        self._optimiser.step()
        self._num_steps += 1
        # The short memory at the start keeps the initial weights out of the average.
        decay = min(self._config.average_decay, self._num_steps / (self._num_steps + 10))
        move_average(self._averaged, self._network, decay)
        return total * queries_per_step

    def end_epoch(self) -> None:
        """Let bins that the past could not show follow the last one that it did."""
        extend_last_seen_bin(self._averaged.rates, self._begun.num_seen_bins)
        extend_last_seen_bin(self._averaged.spend_rates, self._begun.num_seen_spend_bins)

    def model(self, token_normaliser: Normaliser, situation_normaliser: Normaliser, spend_scale: SpendScale) -> FittedModel:
        """A copy of the averaged weights, on the CPU, uncalibrated."""
        return FittedModel(
            config=self._config,
            network=copy.deepcopy(self._averaged).to("cpu").requires_grad_(False).eval(),
            token_normaliser=token_normaliser,
            situation_normaliser=situation_normaliser,
            calibration=Calibration(),
            spend_scale=spend_scale,
        )

    def standing(self, num_epochs: int, model: FittedModel, draws: dict[str, object]) -> Standing:
        """A copy of all that is needed to go on.

        model : as `model` gives it now
        draws : state of the generator that queries are drawn from
        """
        random = {"cpu": torch.random.get_rng_state()}
        if self._compute.device == "cuda":
            random["cuda"] = torch.cuda.get_rng_state()
        moments = self._optimiser.state_dict()["state"]
        return Standing(
            num_epochs=num_epochs,
            num_steps=self._num_steps,
            begun=self._begun,
            network=_copies(self._network.state_dict()),
            model=model,
            optimiser={number: _copies(state) for number, state in moments.items()},
            draws=draws,
            torch_random=random,
        )

    def resume(self, standing: Standing) -> None:
        """Stand where another learner stood; torch's random states included.

        raises : KeyError, ValueError, RuntimeError where the standing is not of such a network
        """
        self._network.load_state_dict(standing.network)
        self._averaged.load_state_dict(standing.model.network.state_dict())
        groups = self._optimiser.state_dict()["param_groups"]
        # Copies: the optimiser would go on in the tensors that it is given.
        moments = {number: _copies(state) for number, state in standing.optimiser.items()}
        self._optimiser.load_state_dict({"state": moments, "param_groups": groups})
        self._num_steps = standing.num_steps
        torch.random.set_rng_state(standing.torch_random["cpu"])
        if self._compute.device == "cuda":
            torch.cuda.set_rng_state(standing.torch_random["cuda"])


def _gradients(network: nn.Module) -> list[torch.Tensor]:
    found = []
    for parameter in network.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        found.append(parameter.grad)
    return found


def _copies(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu().clone() for name, value in tensors.items()}
