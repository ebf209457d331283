"""What only the Ray executor has: a bound on what is in flight, shares of GPUs, clusters to join and tokens to join them with."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InvalidArgumentError
from engine.executors import RayConfig
from engine.executors.ray import RayExecutor
from tests.environment import environment_with

_ROOT = Path(__file__).resolve().parents[2]
_LIMIT_S = 150

# Joins a cluster, asks a task what it was given, and tells either that or the error.
_DRIVER = """
import json, sys
from engine.errors import EbbtideError
from engine.executors import RayConfig
from engine.executors.ray import RayExecutor
from tests.engine.test_ray_executor import given
try:
    with RayExecutor(RayConfig(address=sys.argv[1], answer_limit_s=5)) as executor:
        print(json.dumps([result.value for uses_gpu in (True, False) for result in executor.run(given, [{}], uses_gpu=uses_gpu)]))
except EbbtideError as error:
    print(json.dumps(f"{type(error).__name__}: {error}"))
"""


class Handed(list[Any]):
    """Tasks that count how many of them were taken."""

    num_taken = 0

    def __iter__(self) -> Iterator[Any]:
        for task in super().__iter__():
            self.num_taken += 1
            yield task


def given() -> dict[str, float]:
    import ray

    return dict(ray.get_runtime_context().get_assigned_resources())


def nothing(number: int) -> int:
    return number


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("address", "10.0.0.5"),
        ("address", "ray://10.0.0.5:10001"),
        ("address", "host:0"),
        ("num_workers", 0),
        ("gpu_share", 0.0),
        ("gpu_share", 1.5),
        ("max_retries", -1),
        ("answer_limit_s", 0.0),
    ],
)
def test_a_setting_out_of_its_limits_is_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^{field}: found .*, expected"):
        RayConfig(**{field: value})


@pytest.mark.ray
def test_what_ray_tells_of_its_workers_leaves_standard_output_alone(
    ray_cluster: None, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    import ray._private.worker

    told = {"lines": ["A worker died or was killed. To troubleshoot the problem, …"], "pid": "raylet", "is_err": False}
    ray._private.worker.print_to_stdstream(told, ignore_prefix=False)  # as Ray itself does
    assert capsys.readouterr().out == ""
    assert "Ray: A worker died or was killed" in caplog.text


@pytest.mark.ray
@pytest.mark.parametrize(("config", "expected"), [(RayConfig(), 4), (RayConfig(address="auto", num_workers=1), 1)])
def test_no_more_is_in_flight_than_the_cluster_can_begin(ray_cluster: None, config: RayConfig, expected: int) -> None:
    tasks = Handed({"number": number} for number in range(20))
    most = num_results = 0
    with RayExecutor(config) as executor:
        for _ in executor.run(nothing, tasks):
            most = max(most, tasks.num_taken - num_results)
            num_results += 1
    assert (num_results, most) == (20, expected)  # two for each of the session's two cores; as many as were asked for


@pytest.mark.ray
def test_a_caller_who_does_not_take_results_gets_no_more_of_them(ray_cluster: None) -> None:
    tasks = Handed({"number": number} for number in range(20))
    with RayExecutor() as executor:
        results = executor.run(nothing, tasks)
        next(results)
        assert tasks.num_taken == 4
        results.close()  # type: ignore[attr-defined]
    assert tasks.num_taken == 4


@pytest.mark.ray
def test_a_task_asks_for_no_gpu_where_the_cluster_has_none(ray_cluster: None) -> None:
    with RayExecutor() as executor:
        assert [result.value for result in executor.run(given, [{}], uses_gpu=True)] == [{"CPU": 1.0}]


@pytest.fixture(scope="module")
def host() -> Iterator[tuple[str, str]]:
    """Address and token of a cluster of somebody else."""
    token = secrets.token_hex(32)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.engine.ray_host"],
        cwd=_ROOT,
        env=environment_with(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token, RAY_USAGE_STATS_ENABLED="0"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip(), token
        process.stdin.close()
        process.wait(_LIMIT_S)


def join(address: str, home: Path, **variables: str) -> Any:
    run = subprocess.run(
        [sys.executable, "-c", _DRIVER, address],
        cwd=_ROOT,
        env=environment_with(HOME=str(home), **variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=_LIMIT_S,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.ray
def test_a_task_in_a_joined_cluster_asks_for_a_share_of_its_gpu(host: tuple[str, str], tmp_path: Path) -> None:
    address, token = host
    (tmp_path / "token").write_text(token)
    found = join(address, tmp_path, RAY_AUTH_TOKEN_PATH=str(tmp_path / "token"))
    assert found == [{"CPU": 1.0, "GPU": 0.25}, {"CPU": 1.0}]


@pytest.mark.ray
def test_a_wrong_token_is_refused_in_words(host: tuple[str, str], tmp_path: Path) -> None:
    assert join(host[0], tmp_path, RAY_AUTH_TOKEN="wrong") == (
        f"ExecutionError: the Ray cluster at {host[0]} refused the token; "
        "set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the one that the cluster was started with"
    )


@pytest.mark.parametrize(
    ("address", "variables", "message"),
    [
        ("127.0.0.1:9", {}, "ExecutionError: found no token for the Ray cluster (looked at RAY_AUTH_TOKEN and "),
        ("127.0.0.1:9", {"RAY_AUTH_TOKEN_PATH": "/nowhere"}, "ExecutionError: the token of the Ray cluster cannot be read from "),
        (
            "127.0.0.1:9",
            {"RAY_AUTH_TOKEN": "a"},
            "ExecutionError: no Ray cluster answered at 127.0.0.1:9 within 5 s (UNAVAILABLE)",
        ),
        ("127.0.0.1:9", {"RAY_AUTH_MODE": "disabled"}, "InvalidArgumentError: RAY_AUTH_MODE: found 'disabled', expected token"),
    ],
)
def test_a_cluster_that_cannot_be_joined_is_an_error_that_says_why(
    tmp_path: Path, address: str, variables: dict[str, str], message: str
) -> None:
    assert join(address, tmp_path, **variables).startswith(message)
