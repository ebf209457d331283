"""A Ray cluster of one core that claims to have a GPU; prints its address and lives until standard input ends.

RAY_AUTH_MODE=token RAY_AUTH_TOKEN=... python -m tests.engine.ray_host
"""

from __future__ import annotations

import sys

from ray.cluster_utils import Cluster

if __name__ == "__main__":
    options = {"num_cpus": 1, "num_gpus": 1, "object_store_memory": 100 << 20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=options)
    print(cluster.address, flush=True)
    sys.stdin.read()
    cluster.shutdown()
