"""The forward path: events through the recurrent unit, and what the head makes of a million customers.

Two threads for everybody. The peers get tokens that are ready made, and batches of neighbours by length; ebbtide reads the memory
map, makes the tokens and rolls. That the states are the same is proven. Weights are random: they do not matter for how fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import PackedSequence

from benchmarks.conftest import Report
from benchmarks.onnx_unit import OnnxUnit
from benchmarks.process_usage import Stopwatch, per_second
from benchmarks.standard_chain import Chain
from engine.history import History
from engine.indicators import compute_summary
from engine.partition import Partition
from kernels import gather_sequences
from training.config import TrainConfig
from training.inference import FittedModel, encode_states, look_ahead_from_summary
from training.network.calibration import Calibration
from training.network.model import SequenceModel
from training.network.normaliser import fit_normaliser
from training.network.situation import situation_of
from training.network.spend import fit_spend_scale
from training.network.tokens import all_event_tokens
from training.predict import churn_probability, clip_survival, expected_days_to_purchase
from training.threads import share

# As many as fit into memory beside the peers' tokens.
_MOST_EVENTS = 2_000_000
_MOST_CUSTOMERS = 1_000_000
# Sequences in a peer's batch: of 256, 1024 and 4096 the fastest for torch.
_BATCH_SEQUENCES = 1024
_PLAIN_BATCH_SEQUENCES = 512
_NUM_THREADS = 2
_BARS = {"torch.nn.GRU": 0.8, "ONNX Runtime": 1.0}  # how many times the peer's events a second ebbtide should make

Batch = tuple[NDArray[np.int64], Any]  # which sequences, and what a peer takes for them


@pytest.fixture(scope="module", autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(_NUM_THREADS)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def history(chain: Chain) -> History:
    return History.open(chain.store())


@pytest.fixture(scope="module")
def model(history: History) -> FittedModel:
    """Normalised as a trained one would be; the weights are those that torch begins with."""
    torch.manual_seed(0)
    partition, config = history.partition(0), TrainConfig()
    network = SequenceModel(config.model).eval()
    torch.nn.init.normal_(network.rates.weight, 0.0, 0.05)
    torch.nn.init.constant_(network.rates.bias, -3.5)
    customers = np.arange(partition.num_customers)
    end_us = np.full(len(customers), int(partition.timestamp_us.max()) + 1)
    last_us = partition.timestamp_us[partition.offsets[1:] - 1]
    situation = situation_of(compute_summary(partition, customers, end_us), last_us, end_us, history.activity())
    return FittedModel(
        config=config,
        network=network,
        token_normaliser=fit_normaliser(all_event_tokens(partition)),
        situation_normaliser=fit_normaliser(situation),
        calibration=Calibration(shift=0.02, slope=1.01),
        spend_scale=fit_spend_scale(partition),
    )


def test_all_events_through_the_recurrent_unit(
    history: History, model: FittedModel, chain: Chain, quick: bool, report: Report
) -> None:
    partitions: list[Partition] = []
    for partition in history.partitions():
        if partitions and sum(taken.num_events for taken in partitions) + partition.num_events > _MOST_EVENTS:
            break
        partitions.append(partition)
    lengths = np.concatenate([np.diff(partition.offsets) for partition in partitions])
    tokens = np.concatenate([model.token_normaliser.apply(all_event_tokens(partition)) for partition in partitions])
    stop = np.cumsum(lengths)

    def ebbtide() -> NDArray[np.float32]:
        return np.concatenate([_encode(model, partition) for partition in partitions])

    unit = model.network.gru
    works: dict[str, Callable[[], NDArray[np.float32]]] = {"ebbtide, tokens and all": ebbtide}
    packed = list(_packed_batches(tokens, stop - lengths, lengths))

    def torch_packed(batch: PackedSequence) -> NDArray[np.float32]:
        with torch.inference_mode():
            return unit(batch)[1][0].numpy()

    works[f"torch.nn.GRU {torch.__version__}, packed"] = lambda: _run(torch_packed, packed, len(lengths))
    if find_spec("onnx") and find_spec("onnxruntime"):
        onnx_unit = OnnxUnit(*model.gru_weights)
        steps = list(_time_major_batches(tokens, stop - lengths, lengths))
        works[f"ONNX Runtime {version('onnxruntime')}"] = lambda: _run(lambda batch: onnx_unit(*batch), steps, len(lengths))
    few = slice(0, _PLAIN_BATCH_SEQUENCES)
    works["PyTorch, a plain loop over padded batches"] = lambda: _plain_loop(model, tokens, (stop - lengths)[few], lengths[few])

    rows: list[dict[str, Any]] = []
    expected = None
    for peer, work in works.items():
        found = work()  # compiles, and proves that it is the same work
        expected = found if expected is None else expected
        np.testing.assert_allclose(found, expected[: len(found)], rtol=0, atol=2e-6, err_msg=peer)
        rows.append(_measure(peer, work, "events", int(lengths[: len(found)].sum()), rounds=1 if quick else 3))
        rows[-1] |= {
            "ebbtide_makes_times": rows[0]["events_per_s"] / rows[-1]["events_per_s"],
            "bar": next((bar for name, bar in _BARS.items() if peer.startswith(name)), 0.0),
        }
    if len(works) < 4:
        rows.append({**dict.fromkeys(rows[0], 0.0), "peer": "ONNX Runtime: not installed (pip install 'ebbtide[onnx]')"})
    report("forward_events", f"{lengths.sum():,} events of {len(lengths):,} customers of {chain.name}", rows)


def test_the_outlook_of_many_customers(history: History, model: FittedModel, chain: Chain, quick: bool, report: Report) -> None:
    partition, activity = history.partition(0), history.activity()
    num_customers = 10_000 if quick else _MOST_CUSTOMERS
    kept = np.resize(np.arange(partition.num_customers), num_customers)
    as_of_us = np.full(num_customers, int(partition.timestamp_us.max()) + 1)
    states = _encode(model, partition)[kept]
    summary = compute_summary(partition, kept, as_of_us)
    last_us = partition.timestamp_us[partition.offsets[1:] - 1][kept]
    situation = model.situation_normaliser.apply(situation_of(summary, last_us, as_of_us, activity))

    def ebbtide() -> NDArray[np.float32]:
        outlook = look_ahead_from_summary(model, states, summary, last_us, as_of_us, activity)
        survival = clip_survival(outlook.survival)
        churn_probability(model.edges_days, survival, 30.0)
        expected_days_to_purchase(model.edges_days, survival)
        return survival

    def torch_head_alone() -> NDArray[np.float32]:
        with torch.inference_mode():
            return model.network.log_rates(torch.from_numpy(states), torch.from_numpy(situation)).numpy()

    works = {
        "ebbtide: situation, head, calibration, probability, expected days": ebbtide,
        f"torch {torch.__version__}: the head alone, its inputs ready made": torch_head_alone,
    }
    rows = []
    for peer, work in works.items():
        work()
        rows.append(_measure(peer, work, "customers", num_customers, rounds=1 if quick else 3))
    report("forward_outlook", f"{num_customers:,} customers, drawn from {chain.name}", rows)


def _encode(model: FittedModel, partition: Partition) -> NDArray[np.float32]:
    customers = np.arange(partition.num_customers)
    return encode_states(model, partition, customers, partition.offsets[:-1], partition.offsets[1:])


def _by_length(lengths: NDArray[np.int64], batch_size: int) -> Iterator[NDArray[np.int64]]:
    order = np.argsort(-lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def _packed_batches(tokens: NDArray[np.float32], begin: NDArray[np.int64], lengths: NDArray[np.int64]) -> Iterator[Batch]:
    """Sequences by falling length, an event of each after the other: no padding at all."""
    for chosen in _by_length(lengths, _BATCH_SEQUENCES):
        sizes = lengths[chosen]
        alive = np.searchsorted(-sizes, -np.arange(sizes[0]), side="left")
        rows = np.concatenate([begin[chosen[:count]] + step for step, count in enumerate(alive)])
        yield chosen, PackedSequence(torch.from_numpy(tokens[rows]), torch.from_numpy(alive))


def _time_major_batches(tokens: NDArray[np.float32], begin: NDArray[np.int64], lengths: NDArray[np.int64]) -> Iterator[Batch]:
    for chosen in _by_length(lengths, _BATCH_SEQUENCES):
        padded, sizes = gather_sequences(tokens, begin[chosen], begin[chosen] + lengths[chosen], int(lengths[chosen].max()))
        yield chosen, (np.ascontiguousarray(padded.transpose(1, 0, 2)), sizes)


def _run(work: Callable[[Any], NDArray[np.float32]], batches: list[Batch], num_sequences: int) -> NDArray[np.float32]:
    """States of all batches, as many batches at a time as there are threads."""
    states = np.empty((num_sequences, work(batches[-1][1]).shape[1]), np.float32)

    def fill(batch: Batch) -> None:
        states[batch[0]] = work(batch[1])

    share(fill, batches)
    return states


def _plain_loop(
    model: FittedModel, tokens: NDArray[np.float32], begin: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.float32]:
    """As one writes it first: customers as they come, padded, torch's own threads."""
    states = []
    with torch.inference_mode():
        every = iter(range(len(lengths)))
        while chosen := list(islice(every, _PLAIN_BATCH_SEQUENCES)):
            padded = torch.nn.utils.rnn.pad_sequence(
                [torch.from_numpy(tokens[begin[one] : begin[one] + lengths[one]]) for one in chosen], batch_first=True
            )
            states.append(model.network.encode_last(padded, torch.from_numpy(lengths[chosen])).numpy())
    return np.concatenate(states)


def _measure(peer: str, work: Callable[[], Any], unit: str, amount: int, *, rounds: int) -> dict[str, Any]:
    watches = []
    for _ in range(rounds):
        with Stopwatch() as watch:
            work()
        watches.append(watch)
    seconds, cpu_s = min(watch.seconds for watch in watches), min(watch.cpu_s for watch in watches)
    return {
        "peer": peer,
        "min_s": seconds,
        "median_s": float(np.median([watch.seconds for watch in watches])),
        "cpu_s": cpu_s,
        f"{unit}_per_s": per_second(amount, seconds),
        f"{unit}_per_cpu_s": per_second(amount, cpu_s),
    }
