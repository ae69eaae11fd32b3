import numpy as np
import pytest

from mfcl.embeddings import diffusion as module
from mfcl.embeddings.diffusion import alike, powered_cosine_graph
from mfcl.errors import MeasureError


def chain(items: int, reach: float) -> np.ndarray:
    """Vectors along an arc: each is near to the next, the ends are far apart."""
    angles = np.linspace(0, reach, items)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def straight(vectors: np.ndarray) -> np.ndarray:
    """What `alike` says, by whole matrices."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = units @ units.T
    items = len(units)
    ties = np.zeros((items, items))
    for row in range(items):
        others = [place for place in np.argsort(-cosines[row], kind="stable") if place != row][: module.EDGES]
        ties[row, others] = np.maximum(cosines[row, others], 1e-3) ** module.SHARPNESS
    ties = np.maximum(ties, ties.T)
    degree = ties.sum(axis=1)
    ties /= np.sqrt(degree[:, None] * degree)
    total = sum(module.DAMPING**step * np.linalg.matrix_power(ties, step + 1) for step in range(module.STEPS))
    np.fill_diagonal(total, -1)
    return total


@pytest.mark.parametrize("items", [2, 7, 60])
def test_the_most_alike_are_those_of_the_whole_walk(items: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EDGES", 4)
    monkeypatch.setattr(module, "CELLS_AT_ONCE", 5 * items)  # blocks of five rows
    vectors = np.random.default_rng(items).standard_normal((items, 5))
    kept = min(6, items - 1)
    total, found = straight(vectors), alike(powered_cosine_graph(vectors), kept)
    assert found.shape == (items, kept)
    np.testing.assert_allclose(
        np.take_along_axis(total, found, axis=1), -np.sort(-total, axis=1)[:, :kept], rtol=1e-4, atol=1e-7
    )


def test_the_ends_of_a_chain_are_alike_before_something_nearer_that_nothing_leads_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "EDGES", 2)
    arc = np.concatenate([chain(6, 1.5), np.zeros((6, 1))], axis=1)
    crowd = np.array([[0.5, 0.0, 0.87 + 0.001 * place] for place in range(4)])  # near to each other first of all
    vectors = np.concatenate([arc, crowd])
    assert arc[0] @ arc[5] < 0.1 < crowd[0] @ arc[0]
    assert set(alike(powered_cosine_graph(vectors), 9)[0, :5].tolist()) == {1, 2, 3, 4, 5}


def test_nobody_is_his_own_neighbour_and_nobody_is_there_twice() -> None:
    vectors = np.repeat(chain(4, 1.0), 3, axis=0)  # three of each, with a cosine of 1
    found = alike(powered_cosine_graph(vectors), 11)
    for item, row in enumerate(found.tolist()):
        assert sorted(row) == [other for other in range(12) if other != item]


def test_too_few_items_and_wrong_numbers_are_one_line() -> None:
    with pytest.raises(MeasureError, match="wanted 1 to 3 per item, got 4"):
        alike(powered_cosine_graph(chain(4, 1.0)), 4)
    broken = chain(4, 1.0)
    broken[2, 0] = np.nan
    with pytest.raises(MeasureError):
        alike(powered_cosine_graph(broken), 2)
