"""The processes of a training share the searches for neighbours; what they find is what one process finds."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mfcl.core.distributed import rows_shared_out, shared_out
from mfcl.embeddings.alignment import search
from mfcl.training import neighbour_search
from mfcl.training.positives import Neighbourhood
from mfcl.training.tasks.neighbours import search_content, search_voices
from mfcl.training.vector_search import content_vectors, voice_vectors
from tests.small_run import make_task, open_tiny, tiny
from tests.sounds import write_corpus

WORKER = """
import gc, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy as np
from mfcl.core import distributed
from tests.test_shared_search import found
folder = Path(sys.argv[2])
distributed.start("cpu", meeting=(folder / "meeting").as_uri())
np.savez(folder / f"{distributed.rank()}.npz", **found(folder / "corpus"))
gc.collect()
distributed.barrier()
distributed.stop()
"""


def found(corpus: Path) -> dict[str, np.ndarray]:
    """All that the searches of a training find, and how many alignments this process made."""
    made: list[int] = []
    compare = search._compare

    def counted(asked, queries, held, items, cells):
        made.append(len(queries) * len(items))
        return compare(asked, queries, held, items, cells)

    search._compare, search.QUERIES_AT_ONCE = counted, 8  # few recordings would be one task
    try:
        recipe = tiny()
        store = open_tiny(corpus, recipe)
        task = make_task(store, recipe)
        formats = ("wave", "mel")
        whole = neighbour_search.compare(store, seed=0)
        neighbour_search.ALL_PAIRS, neighbour_search.CANDIDATES = 10, 12
        some = neighbour_search.compare(store, seed=0)
        by_content, by_voice = (Neighbourhood(len(store), positives=2, ambiguous=6, seed=0) for _ in range(2))
        search_content(by_content, task.model, store, formats, project=None)
        search_voices(by_voice, task.model, store, formats, learned=True)
        aligned = Neighbourhood(len(store), positives=2, ambiguous=6, seed=0)
        aligned.renew(whole.graph())
        return {
            "distances": whole.distances, "near": np.array([whole.near, whole.typical]), "some": some.distances,
            "choices": some.choices, "content": np.concatenate(content_vectors(task.model, store, formats), axis=1),
            "voices": voice_vectors(task.model, store, formats, learned=True), "by_content": by_content.near.numpy(),
            "by_voice": by_voice.near.numpy(), "aligned": aligned.near.numpy(), "made": np.array(sum(made)),
        }  # fmt: skip
    finally:
        search._compare, search.QUERIES_AT_ONCE = compare, 64
        neighbour_search.ALL_PAIRS, neighbour_search.CANDIDATES = 4_000, 200


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, np.ndarray], list[dict[str, np.ndarray]]]:
    folder = tmp_path_factory.mktemp("shared")
    write_corpus(folder / "corpus", speakers=5, digits=4, takes=4, seconds=0.25)
    alone = found(folder / "corpus")
    command = [sys.executable, "-c", WORKER, str(Path(__file__).parents[1]), str(folder)]
    workers = [
        subprocess.Popen(
            command, env=os.environ | {"RANK": str(number), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE, text=True,
        )
        for number in range(2)
    ]  # fmt: skip
    for worker in workers:
        _, errors = worker.communicate(timeout=280)
        assert worker.returncode == 0, errors[-3000:]
    return alone, [dict(np.load(folder / f"{number}.npz")) for number in range(2)]


def test_two_processes_find_what_one_finds_to_the_bit(
    reports: tuple[dict[str, np.ndarray], list[dict[str, np.ndarray]]],
) -> None:
    alone, shares = reports
    assert len(np.unique(alone["aligned"])) > 20
    for name in alone.keys() - {"made"}:
        for share in shares:
            assert np.array_equal(share[name], alone[name]), name


def test_each_process_makes_a_share_of_the_alignments(
    reports: tuple[dict[str, np.ndarray], list[dict[str, np.ndarray]]],
) -> None:
    alone, shares = reports
    made = [int(share["made"]) for share in shares]
    assert sum(made) == int(alone["made"])
    assert max(made) < 0.75 * sum(made)


def test_a_process_alone_does_everything_in_order() -> None:
    assert [row.tolist() for row in shared_out(lambda item: np.array([item, item**2]), range(4))] == [
        [0, 0], [1, 1], [2, 4], [3, 9],
    ]  # fmt: skip
    rows = np.arange(10)
    assert np.array_equal(rows_shared_out(lambda part: rows[part] * 2, 10, at_once=3), rows * 2)
