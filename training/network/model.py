"""The sequence model: a causal GRU over events, a head that gives purchase rates, and one that gives spend."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.config import ModelConfig
from training.network.situation import NUM_SITUATION_FEATURES, SEASON_DAYS
from training.network.tokens import NUM_TOKEN_FEATURES

_SPEND_SIZE = 48


class SequenceModel(nn.Module):
    """States from tokens, log daily purchase and spend rates from a state and a situation.

    T: events of the longest sequence, F: token features, D: state size, S: situation features, K: hazard bins.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        num_bins = len(config.edges_days)
        self.gru = nn.GRU(NUM_TOKEN_FEATURES, config.state_size, batch_first=True)
        self.body = nn.Sequential(
            nn.Linear(config.state_size + NUM_SITUATION_FEATURES, config.head_size),
            nn.SiLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.head_size, config.head_size),
            nn.SiLU(),
            nn.Dropout(config.dropout),
        )
        self.rates = nn.Linear(config.head_size, num_bins)
        nn.init.zeros_(self.rates.weight)
        # Powers of what the season promises, by which all rates are multiplied; see training.network.season.
        self.season = nn.Parameter(torch.zeros(len(SEASON_DAYS)))
        # Drawn apart, so that what the churn head learns does not depend on there being another one.
        with torch.random.fork_rng(devices=[]):
            self.spend_body = nn.Sequential(
                nn.Linear(config.state_size + NUM_SITUATION_FEATURES, _SPEND_SIZE),
                nn.SiLU(),
            )
            self.spend_rates = nn.Linear(_SPEND_SIZE, num_bins)
        nn.init.zeros_(self.spend_rates.weight)

    def encode(self, tokens: Tensor, initial: Tensor | None = None) -> Tensor:
        """State after every event of right-padded sequences. (B, T, F) -> (B, T, D); states at padding mean nothing.

        initial : (B, D) states before the first event of each; zeros by default

        The GRU runs over the padding: causality keeps it out of what comes before, and the backward pass of packed sequences
        costs the square of T on the CPU (measured: 2.4 s against 0.03 s for 64 sequences of 128 events).
        """
        states: Tensor = self.gru(tokens, None if initial is None else initial[None])[0]
        return states

    def log_rates(self, state: Tensor, situation: Tensor) -> Tensor:
        """(N, D), (N, S) -> (N, K)"""
        hidden = self.body(torch.cat([state, situation], dim=1))
        rates: Tensor = self.rates(hidden)
        return rates

    def season_level(self, season: Tensor) -> Tensor:
        """What is added to the log rates of every bin; (N, len(SEASON_DAYS)), 0 where not known -> (N,)"""
        return season @ self.season

    def log_spend_rates(self, state: Tensor, situation: Tensor) -> Tensor:
        """Relative to what an order of the customer usually costs. (N, D), (N, S) -> (N, K)

        No gradient goes on to the state: what it is best for is churn, and that must not be paid for by spend.
        """
        rates: Tensor = self.spend_rates(self.spend_body(torch.cat([state.detach(), situation], dim=1)))
        return rates

    def parameters_by_head(self) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """Those that churn is learnt by, the GRU's among them, and those of spend."""
        spend = [*self.spend_body.parameters(), *self.spend_rates.parameters()]
        return [own for own in self.parameters() if all(own is not other for other in spend)], spend

    def encode_last(self, tokens: Tensor, lengths: Tensor, initial: Tensor | None = None) -> Tensor:
        """State after the last event of each sequence. (B, T, F), int64 (B,), (B, D) -> (B, D)"""
        return self.encode(tokens, initial)[torch.arange(len(lengths), device=tokens.device), lengths - 1]
