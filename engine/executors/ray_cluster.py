"""A Ray cluster to work on: started here, or joined where it runs. Either way only with a token."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ray
import ray._private.worker
from ray._private.gcs_utils import create_gcs_channel
from ray._private.services import find_gcs_addresses
from ray._raylet import Config  # type: ignore[attr-defined]  # compiled
from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc

from engine.errors import ExecutionError, InvalidArgumentError
from engine.executors.ray_config import AUTO_ADDRESS, RayConfig

# Tasks pass paths and get counts, so that next to nothing is stored; Ray would set a third of the memory aside.
_OBJECT_STORE_BYTES = 128 << 20
# "k8s": the tokens are those of Kubernetes, which gives and checks them.
_SAFE_AUTH_MODES = ("token", "k8s")
_logger = logging.getLogger(__name__)
_WAY_IN = "set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the one that the cluster was started with"


def start_local_cluster(*, num_cpus: int | None = None, num_gpus: int | None = None) -> None:
    """Start a cluster on this machine and connect to it: token needed, no dashboard, no usage reports.

    num_cpus, num_gpus : what the machine has by default
    raises             : InvalidArgumentError where the environment turns tokens off; ExecutionError where Ray does not come up
    """
    # Ray >= 2.59 would write a token that it makes to the home folder. It reads settings from the environment alone, and so do
    # the processes that it starts.
    if not any(name in os.environ for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")):
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    _require_token_mode()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A cluster's workers see its GPUs even in tasks that ask for none; without this, Ray warns about it in every task.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Ray gives its server half a minute to begin: too little where 40 MB have yet to come from a disk that was just installed to.
    os.environ.setdefault("RAY_gcs_server_port_wait_time_s", "120")
    _keep_standard_output()
    try:
        ray.init(
            address="local",
            num_cpus=num_cpus,
            num_gpus=num_gpus,
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception as error:  # a bare one where a process of Ray did not come up in time
        reason = " ".join(str(error).split())
        raise ExecutionError(
            f"no Ray cluster could be started on this machine ({reason}); look at its memory and load, then run the same "
            "command again, or leave --executor ray out"
        ) from error


def join_cluster(config: RayConfig) -> None:
    """Connect to the running cluster of `config.address`, with the token that the environment or ~/.ray/auth_token holds.

    The workers look for ebbtide where it lies here, and where they have it installed.
    raises : ExecutionError, after `answer_limit_s` at most, where no cluster answers, or it refuses the token
    """
    _require_token_mode()
    _require_token()
    address = _find_local_address() if config.address in (None, AUTO_ADDRESS) else str(config.address)
    _check_answer(address, config.answer_limit_s)
    _keep_standard_output()
    try:
        ray.init(
            address=address,
            runtime_env=_runtime_env(),
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise ExecutionError(
            f"the Ray cluster at {address} cannot be joined ({reason}); run the command on a machine of the cluster, "
            f"with its versions of Ray ({ray.__version__} here) and Python"
        ) from error


def _keep_standard_output() -> None:
    """Log what Ray tells of its workers: it prints that a worker died where a program looks for one JSON document.

    Nothing public turns it off; `log_to_driver` is about what tasks print.
    """
    ray._private.worker.print_to_stdstream = _log_lines


def _log_lines(data: Mapping[str, Any], ignore_prefix: bool) -> None:
    """The first sentence of each; what follows is advice on Ray's own files, by the hundred words."""
    for line in data["lines"]:
        _logger.warning("Ray: %s", str(line).split(". ", 1)[0])


def _require_token_mode() -> None:
    mode = os.environ.setdefault("RAY_AUTH_MODE", "token")
    if mode.lower() not in _SAFE_AUTH_MODES:
        raise InvalidArgumentError(
            "RAY_AUTH_MODE", f"found {mode!r}, expected token: without one, anybody on the network can run code in a cluster"
        )
    Config.initialize("")  # Ray has read the environment when it was imported


def _require_token() -> None:
    """Ray ends the process where a token is asked for and its file cannot be read: look before."""
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ["RAY_AUTH_MODE"].lower() == "k8s":
        return
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named) if named else Path.home() / ".ray" / "auth_token"
    try:
        if path.read_text().strip():
            return
    except (OSError, UnicodeDecodeError) as error:
        if named:
            raise ExecutionError(f"the token of the Ray cluster cannot be read from {path} ({error}); {_WAY_IN}") from error
    raise ExecutionError(f"found no token for the Ray cluster (looked at RAY_AUTH_TOKEN and {path}); {_WAY_IN}")


def _find_local_address() -> str:
    addresses = sorted(find_gcs_addresses())
    if len(addresses) == 1:
        return str(addresses[0])
    found = "no Ray cluster" if not addresses else f"{len(addresses)} Ray clusters ({', '.join(addresses)})"
    raise ExecutionError(
        f"found {found} on this machine, expected one; name it with --ray-address HOST:PORT, or leave that out to start one"
    )


def _check_answer(address: str, limit_s: float) -> None:
    """Ask the cluster for its id: `ray.init` itself tries for two minutes, and does not say what a wrong token is."""
    channel = create_gcs_channel(address)
    try:
        stub = gcs_service_pb2_grpc.NodeInfoGcsServiceStub(channel)
        stub.GetClusterId(gcs_service_pb2.GetClusterIdRequest(), timeout=limit_s)  # type: ignore[attr-defined]  # generated
    except Exception as error:
        code = getattr(error, "code", None)  # of grpc.RpcError, which this room does not import
        if code is None:
            raise
        if code().name == "UNAUTHENTICATED":
            raise ExecutionError(f"the Ray cluster at {address} refused the token; {_WAY_IN}") from None
        raise ExecutionError(
            f"no Ray cluster answered at {address} within {limit_s:g} s ({code().name}); "
            "check the address and that `ray start` was run there, or leave --ray-address out to start one"
        ) from None
    finally:
        channel.close()


def _runtime_env() -> dict[str, Any]:
    """Lets workers of this machine, or of one with the same folders, import ebbtide from a source tree."""
    root = Path(__file__).resolve().parents[2]
    if root.name in ("site-packages", "dist-packages"):
        return {}
    return {"env_vars": {"PYTHONPATH": f"{root}{os.pathsep}${{PYTHONPATH}}"}}
