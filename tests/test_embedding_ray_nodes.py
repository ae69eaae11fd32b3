"""Parts made on a Ray cluster of two nodes, as two machines with one folder would be; one of them is lost."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mfcl.embedding_parts import embed_parts
from mfcl.embedding_ray import embed_parts_on_ray
from mfcl.embeddings.part_files import open_part_files
from tests.ray_workers import own_workers
from tests.small_model import SETTINGS, saved
from tests.sounds import write_corpus

PARTS = 8


@pytest.fixture(scope="module")
def nodes() -> Iterator[tuple[Any, Any]]:
    """A cluster with a head that computes nothing, one node that stays and one that may go: the cluster, the latter."""
    ray = pytest.importorskip("ray", reason="Ray (extra ray) is not installed")
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    store = {"object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **store})
    cluster.add_node(num_cpus=1, **store)
    going = cluster.add_node(num_cpus=1, **store)
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    yield cluster, going
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.slow
def test_two_nodes_share_the_parts_and_a_lost_node_loses_and_doubles_nothing(
    nodes: tuple[Any, Any], tmp_path: Path
) -> None:
    cluster, going = nodes
    model, root = tmp_path / "model", write_corpus(tmp_path / "corpus", speakers=4, digits=4, takes=2)
    saved(SETTINGS, model)
    embed_parts(model, root, tmp_path / "here", parts=PARTS, progress=False)
    lost: list[float] = []

    def lose() -> None:
        """Take a node away while both work: each has one processor, so two parts at once are on two nodes."""
        end = time.monotonic() + 240
        while len(own_workers()) < 2:
            if time.monotonic() > end:
                return
            time.sleep(0.01)
        cluster.remove_node(going, allow_graceful=False)
        lost.append(time.monotonic())

    loser = threading.Thread(target=lose)
    loser.start()
    done = embed_parts_on_ray(model, root, tmp_path / "there", parts=PARTS, progress=False)
    loser.join()
    assert lost, "the two nodes were never seen at work together"
    assert (done.made, done.missing, done.items) == (PARTS, 0, 32)
    here, there = (open_part_files(tmp_path / one) for one in ("here", "there"))
    assert there.receipt == here.receipt
    for part in range(PARTS):
        assert there.path(part).read_bytes() == here.path(part).read_bytes()  # to the last bit
