"""The sweep `smoke` on a cluster of two nodes, one of which is killed in the middle.

    python -m tests.experiments.sweeps.on_ray IMAGES FOLDER

The images are an .npz. A process of its own, because Ray leaves threads and signal
handlers behind.
"""

import pathlib
import sys

from experiments import sweep
from experiments.sweeps import definition, engines, report
from experiments.sweeps.board import Board
from experiments.sweeps.process import State
from tests.experiments.sweeps import small

_MEMORY = 80 * 2**20
# Runs at once; the node that is killed has room for one.
_ROOM = 3


class NodeKiller(Board):
    """Kills a node when a quarter of the runs is over, and both nodes are full."""

    def __init__(self, cluster, node):
        super().__init__("smoke")
        self._cluster = cluster
        self._node = node

    def show(self, lines, is_last=False):
        super().show(lines, is_last)
        states = [line.state for line in lines]
        if (
            self._node is not None
            and states.count(State.FINISHED) * 4 >= len(states)
            and states.count(State.RUNNING) == _ROOM
        ):
            self._cluster.remove_node(self._node, allow_graceful=False)
            self._node = None
            print("A node was killed.", flush=True)


def main(images: str, folder: pathlib.Path) -> None:
    # Here, for pytest loads this file when it looks for doctests.
    from ray.cluster_utils import Cluster

    settings = {"object_store_memory": _MEMORY}
    first = {**settings, "num_cpus": _ROOM - 1, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=first)
    victim = cluster.add_node(**settings, num_cpus=1)
    engine = engines.Ray(cluster.address, engines.Needs(cpus=1, gpus=0))
    smoke = small.smoke(images)
    listed = definition.runs_of(smoke, folder)
    jobs = [run.job for run in listed]
    sweep.conduct("smoke", jobs, jobs, engine, NodeKiller(cluster, victim))
    report.write("smoke", smoke, listed, folder)
    cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
