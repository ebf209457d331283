"""Rescore on a Ray cluster of two nodes and take one of them away while it scores; prints the report.

RAY_AUTH_MODE=token RAY_AUTH_TOKEN=... python -m tests.serving.two_nodes STORE AS_OF_US SNAPSHOT_FOLDER LOG
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ray.cluster_utils import Cluster

from engine.executors import RayConfig
from serving.rescoring.rescore import RescoreProgress, rescore
from tests.serving.slow_scoring import SlowRayExecutor, doom, read_starts, wait_for_running


def main(store: Path, as_of_us: int, folder: Path, log: Path) -> None:
    options = {"num_cpus": 1, "object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**options, "include_dashboard": False})
    second = cluster.add_node(**options)
    doom(log, second.node_id)
    told: dict[str, object] = {}

    def take_away(progress: RescoreProgress) -> None:
        if told:
            return
        lost = wait_for_running(log, folder, node=second.node_id)
        told.update(done=[path.name for path in folder.glob("*.done.json")], lost=lost.bucket, num_starts=len(read_starts(log)))
        cluster.remove_node(second, allow_graceful=False)

    try:
        with SlowRayExecutor(RayConfig(address=cluster.address), log) as executor:
            report = rescore(store, as_of_us=as_of_us, executor=executor, device="cpu", progress=take_away)
        print(json.dumps({**told, "second": second.node_id, "num_buckets_scored": report.num_buckets_scored}))
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))
