"""What an executor promises, over every executor."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import ExecutionError, InvalidArgumentError, SourceError, UnknownCustomerError
from engine.executors import EXECUTORS, Executor, make_executor


def square(number: int) -> int:
    return number * number


def refuse(number: int) -> int:
    if number == 2:
        raise SourceError("orders.csv", "found nothing, expected orders")
    return number


def divide(number: int) -> float:
    return 1 / number


def die_once(marker: str) -> str:
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def die_always(marker: str) -> None:
    with Path(marker).open("a") as file:
        file.write("x")
    os.kill(os.getpid(), signal.SIGKILL)


def test_every_task_yields_its_result_once(executor: Executor) -> None:
    results = list(executor.run(square, [{"number": number} for number in range(20)]))
    assert sorted((result.index, result.value) for result in results) == [(n, n * n) for n in range(20)]


def test_no_tasks_yield_nothing(executor: Executor) -> None:
    assert list(executor.run(square, [])) == []


def test_an_ebbtide_error_of_a_task_reaches_the_caller_as_it_was(executor: Executor) -> None:
    with pytest.raises(SourceError, match=r"^orders\.csv: found nothing") as caught:
        list(executor.run(refuse, [{"number": number} for number in range(4)]))
    assert caught.value.source == "orders.csv"


def test_of_tasks_that_share_a_gpu_a_few_are_in_flight_at_once() -> None:
    lock, at_once, most = threading.Lock(), 0, 0

    def work() -> None:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.01)
        with lock:
            at_once -= 1

    with make_executor("inline", num_threads=16) as executor:
        assert len(list(executor.run(work, [{}] * 40, uses_gpu=True))) == 40
    assert 1 < most <= 4


def test_tasks_side_by_side_yield_their_results_as_they_end_and_are_asked_for_when_they_can_begin() -> None:
    meet = threading.Barrier(2, timeout=30)
    asked = []

    def tasks() -> Iterator[dict[str, int]]:
        for number in range(6):
            asked.append(number)
            yield {"number": number}

    def wait_for_another(number: int) -> int:
        meet.wait()
        return number * number

    with make_executor("inline", num_threads=2) as executor:
        results = executor.run(wait_for_another, tasks())
        first = next(results)
        assert len(asked) <= 4
        assert sorted((one.index, one.value) for one in (first, *results)) == [(n, n * n) for n in range(6)]


def test_an_error_side_by_side_ends_the_run(tmp_path: Path) -> None:
    with make_executor("inline", num_threads=2) as executor, pytest.raises(SourceError, match=r"^orders\.csv"):
        list(executor.run(refuse, [{"number": number} for number in range(40)]))


@pytest.mark.ray
def test_another_error_of_a_ray_task_names_the_task(ray_cluster: None) -> None:
    with make_executor("ray") as executor, pytest.raises(ExecutionError, match=r"task 0 failed .*ZeroDivisionError"):
        list(executor.run(divide, [{"number": 0}]))


@pytest.mark.ray
def test_a_task_whose_ray_worker_was_killed_runs_again(ray_cluster: None, tmp_path: Path) -> None:
    with make_executor("ray") as executor:
        results = list(executor.run(die_once, [{"marker": str(tmp_path / str(n))} for n in range(3)]))
    assert [result.value for result in results] == ["alive"] * 3


@pytest.mark.ray
def test_a_task_that_kills_every_ray_worker_ends_as_an_error(ray_cluster: None, tmp_path: Path) -> None:
    with make_executor("ray") as executor, pytest.raises(ExecutionError, match="lost 4 times"):
        list(executor.run(die_always, [{"marker": str(tmp_path / "deaths")}]))
    assert (tmp_path / "deaths").read_text() == "xxxx"


@pytest.mark.ray
def test_a_local_ray_cluster_wants_a_token_and_has_no_dashboard(ray_cluster: None) -> None:
    import ray

    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert len(os.environ["RAY_AUTH_TOKEN"]) >= 32
    assert not ray._private.worker.global_worker.node.webui_url


def test_an_unknown_executor_is_refused_by_name() -> None:
    with pytest.raises(InvalidArgumentError, match=f"executor: found 'dask', expected one of {', '.join(EXECUTORS)}"):
        make_executor("dask")


def test_errors_survive_pickling() -> None:
    import pickle

    for error in (InvalidArgumentError("limit", "found -1"), SourceError("a.csv", "empty"), UnknownCustomerError("17")):
        copy = pickle.loads(pickle.dumps(error))
        assert str(copy) == str(error)
        assert vars(copy) == vars(error)
