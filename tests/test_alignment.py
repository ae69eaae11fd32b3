import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as drawn

from mfcl.embeddings.alignment import (
    PIECE_FRAMES,
    choose_pieces,
    distances,
    frames,
    graph,
    landmark_pool,
    landmarks,
    nearest,
    nearest_graph,
    nearness,
    search,
    spotted,
)
from mfcl.embeddings.alignment.affinity import affinities, affinity_scale
from mfcl.embeddings.alignment.covering import covering
from mfcl.embeddings.alignment.ties import as_graph
from mfcl.errors import MeasureError
from tests.sounds import spoken, word

RATE = 16_000
WORDS = ("abcd", "dcba", "badc", "cdab")


def clip(length: int, seed: int, dim: int = 5) -> np.ndarray:
    """Unit frames drawn at random."""
    values = np.random.default_rng([seed, length]).standard_normal((length, dim))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def by_loops(one: np.ndarray, other: np.ndarray) -> float:
    """The recurrence as it is written."""
    best = np.full((len(one) + 1, len(other) + 1), np.inf)
    best[0, 0] = 0
    for i in range(len(one)):
        for j in range(len(other)):
            cost = 1 - float(one[i].astype(np.float64) @ other[j])
            best[i + 1, j + 1] = cost + min(best[i, j + 1], best[i + 1, j], best[i, j])
    return best[-1, -1] / (len(one) + len(other))


def spotted_by_loops(clip: np.ndarray, piece: np.ndarray) -> float:
    """The same recurrence from before any frame of the clip to any of them."""
    best = np.full((len(clip) + 1, len(piece) + 1), np.inf)
    best[:, 0] = 0
    for i in range(len(clip)):
        for j in range(len(piece)):
            cost = 1 - float(clip[i].astype(np.float64) @ piece[j])
            best[i + 1, j + 1] = cost + min(best[i, j + 1], best[i + 1, j], best[i, j])
    return best[1:, -1].min() / len(piece)


def table_by_loops(queries: list[np.ndarray], gallery: list[np.ndarray]) -> np.ndarray:
    return np.array([[by_loops(one, other) for other in gallery] for one in queries])


def voices(count: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Frames of each word by some voices at some paces, and which word each is."""
    said = [
        frames(spoken(letters, pace=0.8 + 0.2 * (voice % 3), pitch=1 + 0.03 * (voice % 5), seed=voice), RATE)
        for letters in WORDS
        for voice in range(count)
    ]
    return said, np.repeat(WORDS, count)


def test_frames_are_unit_vectors_whatever_the_level() -> None:
    sound = word(0, 3)
    made = frames(sound, RATE)
    assert made.shape == (1 + len(sound) // 320, 61)
    assert np.linalg.norm(made, axis=1) == pytest.approx(1, abs=1e-5)
    assert not made[:, -1].any()
    assert frames(4 * sound, RATE) == pytest.approx(made, abs=1e-3)


def test_frames_are_the_formula() -> None:
    from mfcl.audio.log_mel import log_mel

    sound = word(0, 3)
    levels = log_mel(sound, RATE, bands=30, low_hz=80.0, high_hz=7000.0).T[::2] * np.log(10) / 10
    levels = np.log(np.exp(levels) + np.exp(levels.max() - 9))  # a soft floor 39 dB below the peak
    wanted = []
    for place in range(len(levels)):
        shape = (levels - levels.mean(axis=0)) / (levels.std(axis=0) + 0.3)
        inner = 0 < place < len(levels) - 1
        row = [*shape[place], *(shape[place + 1] - shape[place - 1] if inner else np.zeros(30))]
        wanted.append(np.array(row) / np.linalg.norm(row))
    assert frames(sound, RATE)[:, :60] == pytest.approx(np.array(wanted), abs=1e-5)


@given(samples=st.integers(1, 2000), rate=st.sampled_from([1000, 8000, 16_000, 44_100]))
@settings(deadline=None, max_examples=30)
def test_clips_of_any_length_and_rate_have_frames_and_equal_themselves(samples: int, rate: int) -> None:
    made = frames(word(0, 1)[:samples], rate)
    assert np.isfinite(made).all()
    assert distances([made], [made]).item() == 0


def test_silence_equals_silence_and_nothing_else() -> None:
    short, long = (frames(np.zeros(samples, dtype=np.float32), RATE) for samples in (640, 3200))
    found = distances([short], [long, frames(spoken("abcd"), RATE)])
    assert found[0, 0] == 0
    assert found[0, 1] > 0.5


@given(
    asked=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    held=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    cells=st.integers(1, 200),
    lanes=st.integers(1, 4),
)
@settings(deadline=None, max_examples=60)
def test_distances_are_those_of_a_plain_loop(asked: list[int], held: list[int], cells: int, lanes: int) -> None:
    queries = [clip(length, seed) for seed, length in enumerate(asked)]
    gallery = [clip(length, 100 + seed) for seed, length in enumerate(held)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mfcl.embeddings.alignment.search.LANES", lanes)
        patch.setattr("mfcl.embeddings.alignment.search.QUERIES_AT_ONCE", 2)
        found = distances(queries, gallery, cells=cells, workers=2)
        mutual = distances(gallery, cells=cells)
    assert found == pytest.approx(table_by_loops(queries, gallery), abs=1e-5)
    assert mutual == pytest.approx(table_by_loops(gallery, gallery), abs=1e-5)
    assert np.array_equal(mutual, mutual.T)
    assert not mutual.diagonal().any()


def test_a_distance_is_the_same_both_ways_and_whatever_is_beside_it() -> None:
    clips = [clip(length, seed) for seed, length in enumerate((7, 3, 7, 12, 1, 5))]
    together = distances(clips, clips)
    assert np.array_equal(together, together.T)
    assert np.array_equal(together, distances(clips))
    for row, one in enumerate(clips):
        for column, other in enumerate(clips):
            assert distances([one], [other]).item() == together[row, column]


MEASURE = """
import gc, sys, tracemalloc
from mfcl.embeddings.alignment import search
from tests.test_alignment import clip, distances
count, length = map(int, sys.argv[1:])
search.VALUES_AT_ONCE = 2**12
clips = [clip(length, seed) for seed in range(count)]
distances(clips[:2], clips, cells=2**13, workers=1)  # what a first call imports is no part of it
gc.collect()
tracemalloc.start()
distances(clips[:2], clips, cells=2**13, workers=1)
print(tracemalloc.get_traced_memory()[1] - sum(one.nbytes for one in clips))
"""


@pytest.mark.parametrize(("count", "length"), [(60, 200), (1200, 40)])
def test_memory_is_bounded_however_long_or_many_the_clips(count: int, length: int) -> None:
    # in a process of its own: in this one, what checks shapes at run time allocates too
    asked = [sys.executable, "-c", MEASURE, str(count), str(length)]
    told = subprocess.run(asked, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True, timeout=120)
    assert int(told.stdout) < 2**19 < 4 * length * length * count / 7  # the costs of one query to all clips


def test_distances_are_symmetric_without_rounding_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfcl.embeddings.alignment.search.STEPS", 2.0**60)
    found = distances([clip(3 + seed % 20, seed, dim=81) for seed in range(60)])
    assert np.array_equal(found, found.T)


def test_of_two_clips_one_is_compared_with_the_other_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    compared, compare = [], search._compare

    def counted(*given: Any) -> np.ndarray:
        compared.append(len(given[1]) * len(given[3]))
        return compare(*given)

    monkeypatch.setattr(search, "_compare", counted)
    monkeypatch.setattr(search, "QUERIES_AT_ONCE", 4)
    for lanes in (7, 512):  # blocks that end within a task's queries, and one block
        compared.clear()
        monkeypatch.setattr(search, "LANES", lanes)
        distances([clip(3 + seed % 5, seed) for seed in range(40)])
        assert sum(compared) <= 40 * (40 + 4 + 4) / 2


@pytest.mark.parametrize("at_once", [1, 7, 10_000])
def test_the_nearest_are_those_of_the_table(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfcl.embeddings.alignment.search.TABLE_AT_ONCE", at_once)
    gallery = [clip(1 + seed % 6, seed) for seed in range(12)]
    gallery[7] = gallery[2]  # of equals the earlier comes first
    queries = [clip(4, 50), gallery[7]]
    table = distances(queries, gallery)
    places, values = nearest(queries, gallery, 5)
    assert np.array_equal(places, np.argsort(table, axis=1, kind="stable")[:, :5])
    assert np.array_equal(values, np.take_along_axis(table, places, axis=1))
    assert places[1, :2].tolist() == [2, 7]


def test_the_nearest_of_candidates_are_compared_with_them_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfcl.embeddings.alignment.search.LANES", 2)
    gallery = [clip(1 + seed % 6, seed) for seed in range(12)]
    queries = [clip(4, 50), clip(2, 51)]
    table = distances(queries, gallery)
    candidates = np.array([[9, 1, 4, 6, 11], [0, 3, 2, 8, 10]])
    places, values = nearest(queries, gallery, 3, candidates=candidates)
    for query in range(2):
        wanted = sorted(candidates[query], key=lambda item, query=query: table[query, item])[:3]
        assert places[query].tolist() == wanted
        assert np.array_equal(values[query], table[query, wanted])
    gallery[7] = gallery[2]
    assert nearest([gallery[2]], gallery, 2, candidates=np.array([[7, 3, 2]]))[0].tolist() == [[2, 7]]
    every = np.broadcast_to(np.arange(12), (2, 12))
    assert np.array_equal(nearest(queries, gallery, 4, candidates=every)[0], nearest(queries, gallery, 4)[0])


def test_a_word_said_slower_is_nearer_than_another_word() -> None:
    once, slower = (frames(spoken("abcd", pace=pace, seed=seed), RATE) for seed, pace in enumerate((1.2, 0.6)))
    others = [frames(spoken(letters, pace=1.2, seed=5), RATE) for letters in WORDS[1:]]
    found = distances([once], [slower, *others])[0]
    assert found[0] < 0.5 * found[1:].min()


def test_the_nearest_by_alignment_say_the_same_word() -> None:
    said, words = voices(6)
    places, _ = nearest(said, said, 4)
    assert (words[places[:, 1:]] == words[:, None]).mean() > 0.95


def test_landmarks_tell_words_apart_by_a_plain_cosine() -> None:
    said, words = voices(8)
    marks = landmarks(said, 6, seed=0)
    assert set(words[marks]) == set(WORDS)  # chosen to cover
    table = distances(said, [said[place] for place in marks])
    vectors = nearness(table)
    vectors = vectors - vectors.mean(axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    assert (words[cosines.argmax(axis=1)] == words).mean() > 0.95


def test_landmarks_are_a_function_of_the_seed_and_differ() -> None:
    clips = [clip(3, seed) for seed in range(60)]
    one, same, other = (landmarks(clips, 5, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert len(set(one)) == 5
    assert set(one) <= set(landmark_pool(60, 5, seed=0))
    assert sorted(landmarks(clips[:3], 5, seed=0)) == [0, 1, 2]
    assert landmarks(clips[:1], 5, seed=0).tolist() == [0]


def test_the_scale_is_the_median_distance_to_the_tenth_neighbour() -> None:
    clips = [clip(3, seed) for seed in range(30)]
    table = distances(clips)
    others = np.sort(table + np.diag(np.full(30, np.inf, dtype=np.float32)), axis=1)
    assert affinity_scale(table) == pytest.approx(np.median(others[:, 9]))
    assert affinities(table, 0.2) == pytest.approx(np.exp(-((table / 0.3) ** 2)), abs=1e-6)
    assert affinities(np.zeros((1, 2), dtype=np.float32), 0.0).tolist() == [[1.0, 1.0]]


TABLES = drawn.arrays(np.float32, (3, 7), elements=st.floats(0, 1, width=32))


@given(table=TABLES)
def test_nearness_is_the_formula_and_keeps_a_clips_order(table: np.ndarray) -> None:
    found = nearness(table)
    standing = (table - table.mean(axis=1, keepdims=True)) / (table.std(axis=1, keepdims=True) + 0.001)
    assert found == pytest.approx(np.exp(-((np.maximum(0, standing + 3) / 2) ** 2)), abs=1e-4)
    for near, far in zip(found, table, strict=True):
        assert (np.diff(near[np.argsort(far)]) <= 0).all()


@given(table=TABLES, longer=st.floats(0.0, 1.0))
def test_what_lengthens_all_distances_alike_changes_no_nearness(table: np.ndarray, longer: float) -> None:
    assert nearness(table + np.float32(longer)) == pytest.approx(nearness(table), abs=2e-3)
    assert nearness(table[:1]) == pytest.approx(nearness(table)[:1])  # a clip's values are its own


def test_a_single_landmark_or_equal_distances_have_a_value() -> None:
    assert nearness(np.array([[0.4], [0.0]], dtype=np.float32)) == pytest.approx(np.exp(-2.25))


def test_covering_takes_what_adds_most_and_nothing_twice() -> None:
    reach = np.random.default_rng(0).random((20, 8))
    found = covering(reach, 8).tolist()
    assert sorted(found) == list(range(8))
    covered = np.zeros(20)
    for place in range(8):
        gains = [np.maximum(reach[:, one] - covered, 0).sum() if one not in found[:place] else -1 for one in range(8)]
        assert found[place] == int(np.argmax(gains))
        covered = np.maximum(covered, reach[:, found[place]])


def test_covering_leaves_what_is_covered_and_what_counts_for_nothing() -> None:
    reach = np.eye(4)
    assert covering(reach, 2, covered=np.array([1.0, 0, 1, 0])).tolist() == [1, 3]
    assert covering(np.ones((3, 3)), 3).tolist() == [0, 1, 2]
    assert covering(reach, 2, weights=np.array([0.0, 1, 2, 0])).tolist() == [2, 1]


def graph_by_loops(table: np.ndarray, edges: int, local: int) -> np.ndarray:
    items = len(table)
    others = [sorted((j for j in range(items) if j != i), key=lambda j, i=i: table[i, j]) for i in range(items)]
    reach = [table[i, others[i][: min(local, items - 1)][-1]] for i in range(items)]
    ties = np.zeros((items, items))
    for i in range(items):
        for j in others[i][:edges]:
            ties[i, j] = ties[j, i] = np.exp(-2 * table[i, j] ** 2 / (reach[i] * reach[j] + 1e-9))
    scale = 1 / np.sqrt(ties.sum(axis=1) + 1e-9)
    return scale[:, None] * ties * scale


@pytest.mark.parametrize("items", [2, 5, 40])
def test_the_graph_ties_each_to_its_nearest(items: int) -> None:
    table = distances([clip(4, seed) for seed in range(items)])
    found = nearest_graph(table)
    assert found.toarray() == pytest.approx(graph_by_loops(table.astype(np.float64), 20, 7), abs=1e-6)
    assert abs(found - found.T).max() < 1e-12
    assert not found.diagonal().any()


def test_a_graph_of_candidates_is_that_of_the_table_where_they_are_all() -> None:
    clips = [clip(4, seed) for seed in range(30)]
    places, values = nearest(clips, clips, 21)
    assert abs(graph(places, values) - nearest_graph(distances(clips))).max() < 1e-9


def test_what_cannot_be_compared_is_refused_in_one_line() -> None:
    some, wide, empty = [clip(3, 0)], [clip(3, 0, dim=6)], [np.empty((0, 5), dtype=np.float32)]
    broken = [np.full((2, 5), np.nan, dtype=np.float32)]
    refused = [
        (lambda: frames(np.empty(0, dtype=np.float32), RATE), "one is empty"),
        (lambda: frames(np.array([np.inf], dtype=np.float32), RATE), "NaN or infinity"),
        (lambda: distances([]), "at least one clip"),
        (lambda: distances(some, []), "gallery of at least one clip"),
        (lambda: distances(some, wide), "queries of 6 values a frame like the gallery's"),
        (lambda: distances(some + wide), "frames of one size"),
        (lambda: distances(some, empty), "frames of one size"),
        (lambda: distances(broken), "finite"),
        (lambda: nearest(some, some, 2), "k from 1 to 1"),
        (lambda: nearest(some, some, 1, candidates=np.array([[1]])), "lies outside"),
        (lambda: nearest(some, some, 1, candidates=np.array([[0, 0]])), "twice"),
        (lambda: nearest(some, some, 1, candidates=np.array([[0], [0]])), "1 queries"),
        (lambda: landmarks(some, 0, seed=0), "1 or more"),
        (lambda: graph(np.array([[1]]), np.array([[0.1]])), "lies outside"),
        (lambda: graph(np.array([[0]]), np.array([[-0.1]])), "negative"),
        (lambda: graph(np.array([[0]]), np.array([[0.1, 0.2]])), "one shape"),
        (lambda: nearest_graph(np.zeros((1, 1), dtype=np.float32)), "two items"),
        (lambda: as_graph(np.zeros((2, 3))), r"\(items, items\)"),
    ]
    for work, said in refused:
        with pytest.raises(MeasureError, match=said) as caught:
            work()
        assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=25)
@given(
    asked=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    held=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    cells=st.sampled_from([1, 20, 2**20]),
)
def test_pieces_are_found_by_the_recurrence(asked: list[int], held: list[int], cells: int) -> None:
    clips = [clip(length, seed=place) for place, length in enumerate(asked)]
    pieces = [clip(length, seed=50 + place) for place, length in enumerate(held)]
    wanted = [[spotted_by_loops(one, piece) for piece in pieces] for one in clips]
    np.testing.assert_allclose(spotted(clips, pieces, cells=cells, workers=1), wanted, atol=2e-6)


def test_a_piece_of_a_clip_is_found_in_it_wherever_it_is() -> None:
    whole = clip(40, seed=1)
    found = spotted([whole, clip(40, seed=2)], [whole[:8], whole[20:36], whole[32:]])
    np.testing.assert_allclose(found[0], 0, atol=1e-6)
    assert (found[1] > 0.1).all()


def test_pieces_come_from_the_clips_sound_and_cover_them() -> None:
    sounds = [clip(30, seed=place) for place in range(12)]
    for sound in sounds:
        sound[10:14] = 0  # silence
    found = choose_pieces(sounds, 9, seed=0, workers=1)
    assert [len(piece) for piece in found] == [8] * 5 + [16] * 4
    assert all(np.isclose(np.linalg.norm(piece, axis=1), 1).all() for piece in found)
    held = [sound[start : start + size].tobytes() for size in PIECE_FRAMES for sound in sounds for start in range(30)]
    assert {piece.tobytes() for piece in found} <= set(held)
    assert len({piece.tobytes() for piece in found}) == 9
    again = choose_pieces(sounds, 9, seed=0, workers=1)
    assert all(np.array_equal(one, other) for one, other in zip(found, again, strict=True))


def test_pieces_are_of_no_silent_clip() -> None:
    silent = frames(np.zeros(RATE, dtype=np.float32), RATE)  # its frames are marked as silent, and have length 1, too
    found = choose_pieces([silent, clip(30, seed=0, dim=silent.shape[1])], 8, seed=0, workers=1)
    assert len(found) == 8
    assert not any(piece[:, -1].all() and not piece[:, :-1].any() for piece in found)
    assert choose_pieces([silent], 4, seed=0) == []


def test_clips_too_short_for_a_piece_give_fewer() -> None:
    assert choose_pieces([clip(7, seed=0)], 4, seed=0) == []
    some = choose_pieces([clip(9, seed=0), clip(8, seed=1)], 10, seed=0)
    assert sorted(len(piece) for piece in some) == [8, 8, 8]
    assert choose_pieces([clip(20, seed=0)], 1, seed=0)[0].shape == (8, 5)
    assert choose_pieces([np.zeros((30, 5), dtype=np.float32)], 4, seed=0) == []


def test_long_clips_give_more_pieces_where_the_others_hold_too_few() -> None:
    few = [clip(8, seed=place) for place in range(7)] + [clip(60, seed=7)]  # 60 pieces of 8 frames, 45 of 16
    assert [len(piece) for piece in choose_pieces(few, 60, seed=0, workers=1)] == [8] * 30 + [16] * 30


def test_pieces_of_another_kind_are_refused_in_one_line() -> None:
    with pytest.raises(MeasureError, match="pieces of at least one clip"):
        spotted([clip(9, seed=0)], [])
    with pytest.raises(MeasureError, match="wanted queries of 5 values a frame"):
        spotted([clip(9, seed=0, dim=4)], [clip(8, seed=0)])
