"""Learning on several workers of a Ray cluster by Ray Train: data parallel, to the loss that one worker has.

Each worker reads the history from the store, goes through the same epochs and computes its share of every step; gradients
travel by gloo between CPUs and by NCCL between GPUs. Nothing but settings, losses and one checkpoint goes through Ray, and Ray
keeps none of it: its own records lie in a folder that is removed.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.train import RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2.api.exceptions import WorkerGroupError
from ray.util.queue import Empty, Queue

from engine.errors import EbbtideError, ExecutionError, StoreBusyError
from engine.executors import RayConfig
from engine.executors.ray import connected, num_of
from engine.files import sha256_bytes
from engine.history import History
from engine.storage import resolve
from training.config import TrainConfig
from training.device import Compute, resolve_device
from training.fitting import ProcessGroup, Workers
from training.passes.both import Keeper, Stage, Tell, learn
from training.passes.checkpoint import pack, unpack
from training.passes.trial_pass import Prepared, prepare

# A step takes milliseconds, a look at the held-out window of a large chain minutes: who takes longer is dead.
_ANSWER_LIMIT_S = 600
_POLL_S = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class LearnOnRay:
    """On `num_workers` workers with a core each, and with a GPU each where the device is "cuda".

    device : "cpu" or "cuda", as every machine of the cluster is to have it
    """

    history: History
    num_workers: int = 2
    device: str = "cpu"
    ray: RayConfig = field(default_factory=RayConfig)

    @property
    def compute(self) -> Compute:
        return Compute(device=self.device, bfloat16=self.device == "cuda")

    def run(self, prepared: Prepared, *, tell: Tell, keeper: Keeper | None, start: Stage | None) -> Stage:
        """As `Learning` has it; the first worker writes the checkpoints, for which it needs the store in its reach.

        raises : ExecutionError where the cluster is too small, or a worker failed
        """
        if start is not None and start.is_over:
            return start
        with connected(self.ray):
            self._check_room()
            folder = tempfile.mkdtemp(prefix="ebbtide-ray-train-")
            try:
                with _telling(tell) as told, _interruptible():
                    task = {
                        "store": resolve(self.history.store),
                        "history_hash": self.history.manifest_hash,
                        "as_of_us": prepared.as_of_us,
                        "config": prepared.config,
                        "device": self.device,
                        "keeper": keeper,
                        "start": None if start is None else pack(start, {}),
                        "told": told,
                    }
                    packed = self._fit(task, folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        return _unpack(packed, prepared)

    def _fit(self, task: dict[str, Any], folder: str) -> tuple[str, bytes, bytes]:
        trainer = TorchTrainer(
            _learn_on_worker,  # type: ignore[arg-type]  # what it returns is the result's, which the annotation leaves out
            train_loop_config=task,
            torch_config=TorchConfig(timeout_s=_ANSWER_LIMIT_S),
            scaling_config=ScalingConfig(num_workers=self.num_workers, use_gpu=self.device == "cuda"),
            run_config=RunConfig(name="train", storage_path=folder),
        )
        try:
            packed = trainer.fit().return_value  # type: ignore[attr-defined]  # its annotation is that of the former Result
        except TrainingFailedError as error:
            raise explain(error) from error
        if packed is None:  # Ray Train took the Ctrl-C and ended its workers
            raise KeyboardInterrupt
        name, tensors, document = packed
        return name, tensors, document

    def _check_room(self) -> None:
        """Ray Train would wait for machines that never come."""
        for resource in ("CPU", "GPU") if self.device == "cuda" else ("CPU",):
            if num_of(resource) < self.num_workers:
                raise ExecutionError(
                    f"found {num_of(resource):g} {resource}s in the Ray cluster, expected one for each of {self.num_workers} "
                    "workers; ask for fewer with --num-workers, or enlarge the cluster"
                )


def explain(error: TrainingFailedError) -> EbbtideError:
    """What a worker refused, as it said it; all else as an ExecutionError."""
    failures = error.worker_failures if isinstance(error, WorkerGroupError) else {}
    for failure in failures.values():
        cause = getattr(failure, "_base_exc", failure)
        if isinstance(cause, EbbtideError):
            return cause
    what = "; ".join(f"worker {rank}: {failure!r}".splitlines()[0] for rank, failure in sorted(failures.items())) or str(error)
    return ExecutionError(
        f"training on the Ray cluster failed ({what}); run the same with --resume: the epochs that were finished are kept"
    )


def _learn_on_worker(task: dict[str, Any]) -> tuple[str, bytes, bytes] | None:
    """What every worker runs; the first returns the end of the training."""
    workers = ProcessGroup()
    history = History.open(task["store"])
    if history.manifest_hash != task["history_hash"]:
        raise StoreBusyError(f"{task['store']}: the history changed while workers began; run the same again")
    config: TrainConfig = task["config"]
    prepared = prepare(history, as_of_us=task["as_of_us"], config=config)
    device = resolve_device(task["device"])
    end = learn(
        prepared,
        tell=task["told"].put,
        keeper=task["keeper"],
        start=None if task["start"] is None else _unpack(task["start"], prepared),
        compute=Compute(device=device, bfloat16=device == "cuda"),
        workers=workers,
    )
    packed = pack(end, {})
    _check_agreement(packed, workers)
    return packed if workers.rank == 0 else None


def _check_agreement(packed: tuple[str, bytes, bytes], workers: Workers) -> None:
    """Every worker has to end with the same bits, weights and random states: else they learnt past each other."""
    own = float(int(sha256_bytes(packed[1]).removeprefix("sha256:")[:12], 16))
    if workers.agree(own) != own:
        raise ExecutionError(
            f"worker {workers.rank} came to other weights than the first; use machines of one kind and the same version of torch"
        )


def _unpack(packed: tuple[str, bytes, bytes], prepared: Prepared) -> Stage:
    _, tensors, document = packed
    return unpack(document, lambda _: tensors, {}, prepared, "what the first worker sent")


@contextmanager
def _telling(tell: Tell) -> Iterator[Queue]:
    """A queue whose entries are told here as they come."""
    told = Queue(actor_options={"num_cpus": 0})
    is_over = threading.Event()

    def pass_on() -> None:
        while not is_over.is_set():
            try:
                tell(told.get(timeout=_POLL_S))
            except Empty:
                continue
            except ray.exceptions.RayError:
                return  # the cluster is gone, which `fit` tells

    teller = threading.Thread(target=pass_on, name="ray-train-progress", daemon=True)
    teller.start()
    try:
        yield told
        is_over.set()
        teller.join()
        for progress in told.get_nowait_batch(told.size()):
            tell(progress)
    finally:
        is_over.set()
        teller.join()
        told.shutdown(force=True)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ray Train takes Ctrl-C for itself, and would keep it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
