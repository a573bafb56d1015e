"""A Ray cluster on this machine: a head without cores, and nodes of one core, told what to do through a pipe.

    python -m tests.support.ray_cluster FOLDER

Prints the address of the head when it is up, and `up NUMBER` for each node. It takes lines: `kill NUMBER`,
`add`; at the end of its input the cluster ends. RAY_AUTH_TOKEN is its token. Each node has a cache of its own
below FOLDER, so that data must travel.
"""

import os
import sys
from pathlib import Path

STORE_BYTES = 80_000_000
"""Of the memory of a node for what travels: more than the tests send, and the least that Ray takes."""


def main(folder: Path) -> None:
    os.environ.update(RAY_AUTH_MODE="token", RAY_USAGE_STATS_ENABLED="0", RAY_worker_niceness="0")
    os.environ["RAY_TMPDIR"] = str(folder)
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    print(cluster.address, flush=True)
    nodes = []
    commands = ["add", "add"]
    while True:
        match (commands.pop(0) if commands else sys.stdin.readline()).split():
            case ["add"]:
                os.environ["FULCRUM_CACHE"] = str(folder / f"cache{len(nodes)}" / "prepared")
                nodes.append(cluster.add_node(wait=False, num_cpus=1, object_store_memory=STORE_BYTES))
                print(f"up {len(nodes) - 1}", flush=True)
            case ["kill", number]:
                nodes[int(number)].kill_raylet(check_alive=False)
                print(f"killed {number}", flush=True)
            case _:
                break
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
