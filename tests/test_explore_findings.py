"""What the explorer finds doubtful: labels that are wrong, and none because few clips have its label."""

from pathlib import Path

import numpy as np
import pytest

from mfcl.embeddings.table import Embeddings
from mfcl.explore import findings
from mfcl.explore.collection import open_collection
from mfcl.explore.spaces import Spaces

NAMES = ("wren", "owl", "gull", "rook")
EACH = 20


def four_groups(folder: Path, seed: int) -> tuple[Spaces, np.ndarray]:
    """Four groups of clips that lie far apart, and the name of each clip's group."""
    draw = np.random.default_rng(seed)
    middles = np.repeat(3 * draw.standard_normal((4, 64)), EACH, axis=0)
    vectors = (middles + 0.2 * draw.standard_normal((4 * EACH, 64))).astype(np.float32)
    ids = np.array([f"{place}.wav" for place in range(4 * EACH)])
    Embeddings(vectors, ids, {}, {"mel": (0, 64)}, np.full(len(ids), "")).save(folder / "clips.npz")
    return Spaces(open_collection(folder / "clips.npz")), np.repeat(np.array(NAMES), EACH)


def labelled(truth: np.ndarray, counts: tuple[int, ...]) -> np.ndarray:
    labels = np.full(len(truth), "", dtype=truth.dtype)
    for place, count in enumerate(counts):
        labels[place * EACH : place * EACH + count] = NAMES[place]
    return labels


@pytest.mark.parametrize("seed", range(4))
def test_a_right_label_that_few_clips_have_is_not_doubted(tmp_path, seed):
    """Of three clips of a label only two can be near to the third: of ten, eight always had another label."""
    spaces, truth = four_groups(tmp_path, seed)
    assert findings.doubtful(spaces, "all", labelled(truth, (3, 8, 3, 3))) == []


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("each", [6, 12])
def test_a_wrong_label_is_doubted_with_the_reason(tmp_path, seed, each):
    """With as many standardised axes as labelled clips, a classifier knew no more than how frequent each label is."""
    spaces, truth = four_groups(tmp_path, seed)
    labels = labelled(truth, (each,) * 4)
    labels[3 * EACH] = "owl"
    (found,) = findings.doubtful(spaces, "all", labels)
    assert (found.clip, found.given, found.better) == (3 * EACH, "owl", "rook")
    asked = min(each, 10)
    told = (
        f"{min(each - 1, asked)} of its {asked} nearest labelled clips are 'rook', and a classifier that did not see it"
    )
    assert found.reason.startswith(told)
