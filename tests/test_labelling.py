import importlib

import numpy as np
import pytest
from scipy import sparse

import mfcl
from mfcl.embeddings.alignment import distances, frames, nearest, nearest_graph
from mfcl.embeddings.alignment.covering import covering
from mfcl.embeddings.alignment.ties import as_graph
from mfcl.errors import MeasureError
from mfcl.labelling import propagate, suggest
from tests.sounds import spoken

WORDS = np.array(["abcd", "badc", "cdab", "dcba"])
EACH = 12


def clusters(sizes: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Distances of points in groups far from each other, and each one's group."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    points = 10.0 * group[:, None] + np.random.default_rng(seed).random((len(group), 2))
    return np.linalg.norm(points[:, None] - points, axis=2).astype(np.float32), group


def only(labels: np.ndarray, places: list[int]) -> np.ndarray:
    """The labels of some items, "" for all others."""
    return np.where(np.isin(np.arange(len(labels)), places), labels, "")


@pytest.fixture(scope="module")
def said() -> tuple[list[np.ndarray], np.ndarray]:
    clips = [
        frames(spoken(letters, pace=0.8 + 0.1 * (voice % 5), pitch=1 + 0.02 * voice, seed=voice), 16_000)
        for letters in WORDS
        for voice in range(EACH)
    ]
    return clips, np.repeat(WORDS, EACH)


def test_one_label_a_class_labels_the_rest(said: tuple[list[np.ndarray], np.ndarray]) -> None:
    clips, words = said
    table = distances(clips)
    known = only(words, [0, EACH, 2 * EACH, 3 * EACH])
    found = propagate(table, known)
    assert found.classes.tolist() == WORDS.tolist()
    assert found.scores.sum(axis=1) == pytest.approx(1)
    assert (found.labels == words).mean() > 0.95
    assert (found.margins >= 0).all()
    assert np.array_equal(propagate(nearest_graph(table), known).labels, found.labels)


def test_items_outside_the_graph_are_read_by_their_nearest_inside(said: tuple[list[np.ndarray], np.ndarray]) -> None:
    clips, words = said
    inside = np.arange(len(clips)) % 3 != 0
    held = [clip for clip, kept in zip(clips, inside, strict=True) if kept]
    asked = [clip for clip, kept in zip(clips, inside, strict=True) if not kept]
    known = only(words[inside], [0, 8, 16, 24])
    assert len(set(known)) == 5
    read = propagate(distances(held), known).read(*nearest(asked, held, 10))
    assert (read.labels == words[~inside]).mean() > 0.9
    assert read.scores.sum(axis=1) == pytest.approx(1)


def test_scores_are_those_of_the_series_in_the_paper() -> None:
    points = np.random.default_rng(0).random((15, 3))
    table = np.linalg.norm(points[:, None] - points, axis=2).astype(np.float32)
    ties = nearest_graph(table).toarray()
    known = np.zeros((15, 2))
    known[[1, 2, 8], [0, 0, 1]] = 1
    series = sum(np.linalg.matrix_power(0.97 * ties, step) for step in range(61)) @ known
    series = series / series.sum(axis=0)
    found = propagate(table, only(np.array(["a"] * 6 + ["b"] * 9), [1, 2, 8]))
    assert found.scores == pytest.approx(series / series.sum(axis=1, keepdims=True), abs=1e-9)


def test_an_item_that_no_label_reaches_has_no_label() -> None:
    apart = sparse.block_diag([np.ones((2, 2)) - np.eye(2)] * 2).tocsr()
    found = propagate(apart, np.array(["x", "", "", ""]))
    assert found.labels.tolist() == ["x", "x", "", ""]
    assert found.margins.tolist() == [1, 1, 0, 0]
    nobody = found.read(np.array([[2, 3], [0, 2]]), np.array([[0.1, 0.2], [0.1, 0.1]]))
    assert nobody.labels.tolist() == ["", "x"]


def test_suggestions_are_in_all_clusters() -> None:
    table, group = clusters([25, 40, 30, 25, 28])
    assert sorted(group[suggest(table, 5)]) == [0, 1, 2, 3, 4]


def test_suggested_labels_serve_better_than_none_and_words_are_all_covered(
    said: tuple[list[np.ndarray], np.ndarray],
) -> None:
    clips, words = said
    table = distances(clips)
    found = suggest(table, 4)
    assert set(words[found]) == set(WORDS)
    assert (propagate(table, only(words, found.tolist())).labels == words).mean() > 0.95


def test_what_is_labelled_is_not_suggested_and_nothing_twice() -> None:
    table, group = clusters([10, 10, 10])
    names = group.astype(str)
    for places in ([], [3], [3, 14], list(range(29))):
        count = 30 - len(places)
        found = suggest(table, count, known=only(names, places))
        assert sorted([*found, *places]) == list(range(30))
        assert np.array_equal(found, suggest(table, count, known=only(names, places)))


def test_with_labels_a_cluster_without_one_comes_first() -> None:
    table, group = clusters([40, 30, 20])
    names = group.astype(str)
    assert group[suggest(table, 1, known=only(names, [0]))].tolist() == [1]
    assert group[suggest(table, 1, known=only(names, [0, 50]))].tolist() == [2]


def chain(items: int) -> sparse.csr_matrix:
    """Each item tied to the one before and the one after."""
    return sparse.diags([0.5, 0.5], [-1, 1], shape=(items, items)).tocsr()


def test_with_labels_outliers_count_less() -> None:
    """Each choice adds most to the coverage by paths of up to twelve edges, weighted by the sums of the items' ties."""
    places = np.random.default_rng(3).random((60, 2)) ** 3  # a dense corner, and ever fewer items away from it
    table = np.linalg.norm(places[:, None] - places, axis=2).astype(np.float32)
    ties = nearest_graph(table).toarray()
    reach = sum(np.linalg.matrix_power(0.95 * ties, step) for step in range(13))
    reach /= reach.max(axis=1, keepdims=True)
    labelled = list(range(12))
    gains = np.maximum(reach - reach[:, labelled].max(axis=1, keepdims=True), 0)
    gains[:, labelled] = gains[labelled] = 0  # they are neither to be chosen nor to be covered
    best, unweighted = int((ties.sum(axis=1) @ gains).argmax()), int(gains.sum(axis=0).argmax())
    assert suggest(table, 1, known=only(np.full(60, "a"), labelled)).item() == best != unweighted


def test_labelled_items_count_as_chosen() -> None:
    first, second, third = suggest(chain(31), 3).tolist()
    assert suggest(chain(31), 1, known=only(np.full(31, "a"), [first, second])).item() == third


def test_of_many_items_some_are_drawn_by_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("mfcl.labelling.suggest")  # not the function of its name
    monkeypatch.setattr(module, "MOST", 12)
    monkeypatch.setattr(module, "CELLS_AT_ONCE", 100)
    table, group = clusters([30, 30])
    one, same, other = (suggest(table, 5, known=only(group.astype(str), [0]), seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert set(one) != set(other)
    assert len(suggest(table, 40)) == 40


@pytest.mark.parametrize("labelled", [[], [0, 31, 32]])
def test_more_items_than_are_compared_at_once_are_suggested_in_turns(
    labelled: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("mfcl.labelling.suggest")
    monkeypatch.setattr(module, "MOST", 12)
    sizes: list[int] = []

    def seen(reach: np.ndarray, count: int, **rest: np.ndarray | None) -> np.ndarray:
        sizes.append(max(reach.shape))
        return covering(reach, count, **rest)

    monkeypatch.setattr(module, "covering", seen)
    table, group = clusters([30, 30])
    known = only(group.astype(str), labelled) if labelled else None
    for count in (12, 13, 50, 60 - len(labelled)):
        found = suggest(table, count, known=known)
        assert len(found) == count
        assert len({*found.tolist(), *labelled}) == count + len(labelled)
        assert np.array_equal(found[:12], suggest(table, 12, known=known))
    assert max(sizes) == 12


def test_the_names_are_public() -> None:
    assert mfcl.propagate is propagate
    assert mfcl.suggest is suggest
    assert {"propagate", "suggest"} <= set(mfcl.__all__)


def test_none_is_no_label_and_never_a_class_of_that_name() -> None:
    far, group = clusters([4, 4])
    given = np.array(["a", None, None, None, None, None, None, "b"], dtype=object)
    assert propagate(far, given).labels.tolist() == ["a"] * 4 + ["b"] * 4
    assert not {0, 7} & set(suggest(far, 6, known=given).tolist())
    with pytest.raises(MeasureError, match="wanted texts"):
        propagate(far, np.where(group == 0, 1.0, np.nan))


def test_what_cannot_be_labelled_is_refused_in_one_line() -> None:
    table, group = clusters([3, 3])
    names = group.astype(str)
    one_way = sparse.csr_matrix(np.triu(np.ones((6, 6)), 1))
    spread = propagate(table, names)
    refused = [
        (lambda: propagate(table, np.full(6, "")), "at least one known label"),
        (lambda: propagate(table, names[:5]), "for 6 items"),
        (lambda: propagate(table[:3], names), r"\(items, items\)"),
        (lambda: propagate(one_way, names), "the same both ways"),
        (lambda: propagate(sparse.csr_matrix((0, 0)), names[:0]), "one item or more"),
        (lambda: as_graph(np.full((6, 6), "near")), "as real numbers, got <U4"),
        (lambda: spread.read(np.array([[6]]), np.array([[0.1]])), "outside of the graph"),
        (lambda: spread.read(np.empty((1, 0), dtype=np.int64), np.empty((1, 0))), "one shape"),
        (lambda: suggest(table, 0), "1 to 6"),
        (lambda: suggest(table, 1, known=names), "all 6 items have a label"),
        (lambda: suggest(table, 4, known=only(names, [0, 1, 2])), "1 to 3"),
        (lambda: suggest(table, 1, known=names[:2]), "for 6 items"),
    ]
    for work, said in refused:
        with pytest.raises(MeasureError, match=said) as caught:
            work()
        assert "\n" not in str(caught.value)
