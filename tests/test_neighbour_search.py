import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from mfcl.data.store import Store
from mfcl.embeddings import alignment
from mfcl.models.inference import embed_store
from mfcl.models.landmarks import LandmarkSettings
from mfcl.models.losses import LossSettings
from mfcl.training import neighbour_search
from mfcl.training import neighbour_search as module
from mfcl.training.neighbour_search import can_align, compare, judged, sound_frames
from tests.small_run import few_are_enough, make_task, open_tiny, tiny, with_neighbours
from tests.sounds import spoken, write_corpus

WORDS = ("abcd", "dcba", "adad", "bcbc")


def stored(sounds: list[np.ndarray], folder: Path) -> Store:
    for place, sound in enumerate(sounds):
        soundfile.write(folder / f"{place:03d}.wav", sound, 16000)
    return open_tiny(folder, tiny())


def words(folder: Path, takes: int = 12) -> tuple[Store, np.ndarray]:
    drawn = np.random.default_rng(0)
    said = [
        spoken(word, pace=drawn.uniform(0.8, 1.3), pitch=drawn.uniform(0.97, 1.03), seed=take)
        for word in WORDS for take in range(takes)
    ]  # fmt: skip
    return stored(said, folder), np.repeat(np.arange(len(WORDS)), takes)


def same_word(graph: Any, names: np.ndarray) -> float:
    ties = graph.tocoo()
    return float(np.average(names[ties.row] == names[ties.col], weights=ties.data))


def test_words_are_told_apart_and_noise_is_not(tmp_path: Path) -> None:
    (tmp_path / "words").mkdir()
    store, names = words(tmp_path / "words")
    found = compare(store, seed=0)
    assert found.tells
    assert found.near < 0.5 * found.typical
    assert same_word(found.graph(), names) > 0.99
    drawn = np.random.default_rng(1)
    (tmp_path / "noise").mkdir()
    tilts = np.arange(1, 3001) ** drawn.uniform(-1.5, 0.5, (48, 1))  # of many colours
    noise = np.fft.irfft(np.fft.rfft(drawn.standard_normal((48, 6000)))[:, 1:] * tilts)
    kept = stored(list(0.5 * noise / np.abs(noise).max(axis=1, keepdims=True)), tmp_path / "noise")
    assert not compare(kept, seed=0).tells


def test_few_recordings_tell_nothing(tmp_path: Path) -> None:
    store, _ = words(tmp_path, 2)
    assert judged(sound_frames(store), seed=0) == (1.0, 1.0)
    assert not compare(store, seed=0).tells


def test_whether_recordings_can_be_aligned_is_judged_as_in_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = words(tmp_path)
    monkeypatch.setattr(neighbour_search, "JUDGED", 44)  # of all recordings some, as of a large corpus
    assert len(store) > 44
    found = compare(store, seed=3)
    for limit, told in ((found.near / found.typical + 1e-6, True), (found.near / found.typical - 1e-6, False)):
        monkeypatch.setattr(neighbour_search, "APART", limit)
        assert found.tells == can_align(store, seed=3) == told


@pytest.mark.parametrize("compared_before", [False, True])
def test_words_get_landmarks_and_no_pca_and_noise_the_reverse(tmp_path: Path, compared_before: bool) -> None:
    (tmp_path / "words").mkdir()
    (tmp_path / "noise").mkdir()
    drawn = np.random.default_rng(1)
    noise = stored([0.1 * drawn.standard_normal(6000) for _ in range(48)], tmp_path / "noise")
    recipe = with_neighbours(tiny())
    model = dataclasses.replace(recipe.model, landmarks=LandmarkSettings(count=6, frames=30))
    for store, aligns in ((words(tmp_path / "words")[0], True), (noise, False)):
        task = make_task(store, dataclasses.replace(recipe, model=model))
        task.prepare()
        if compared_before:
            task.compared = compare(store, seed=0)
        task.finish()
        table = embed_store(task.model, store)
        for format in ("wave", "mel"):
            landmarks, directions = table.part(f"{format} words landmarks"), table.part(f"{format} words")
            assert landmarks.shape == (48, 6)
            assert directions.shape == (48, 4)
            varied, zero = (landmarks, directions) if aligns else (directions, landmarks)
            assert varied.std(axis=0).min() > 0.01
            assert not zero.any()
            assert table.part(f"{format} words projection").any()


def test_learned_vectors_count_beside_alignment(tmp_path: Path) -> None:
    store, names = words(tmp_path)
    found = compare(store, seed=0)
    drawn = np.random.default_rng(2)
    sides = np.arange(len(names)) % 2  # each word by two voices, told apart by the vectors alone
    angles = 2.5 * sides + 0.01 * drawn.standard_normal(len(names))
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    plain, both = found.graph(), found.graph(vectors.astype(np.float32))
    assert same_word(both, sides) > same_word(plain, sides) + 0.1
    assert same_word(both, names) > 0.6


def test_candidates_give_the_graph_of_all_pairs_where_they_are_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, names = words(tmp_path)
    whole = compare(store, seed=0)
    monkeypatch.setattr(module, "ALL_PAIRS", 10)
    monkeypatch.setattr(module, "CANDIDATES", len(names))
    some = compare(store, seed=0)
    assert whole.choices is None
    assert some.choices is not None
    assert abs(whole.graph() - some.graph()).max() < 1e-5
    vectors = np.random.default_rng(0).standard_normal((len(names), 4)).astype(np.float32)
    assert abs(whole.graph(vectors) - some.graph(vectors)).max() < 1e-5
    monkeypatch.setattr(module, "CANDIDATES", 16)
    assert compare(store, seed=0).distances.shape == (len(names), 16)
    assert same_word(compare(store, seed=0).graph(), names) > 0.9


def test_frames_lie_further_apart_where_there_is_much_sound_and_long_clips_are_cut(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, _ = words(tmp_path, 3)
    fine = sound_frames(store)
    monkeypatch.setattr(module, "FRAMES_HELD", sum(len(frames) for frames in fine) // 2)
    coarse = sound_frames(store)
    assert sum(map(len, coarse)) < 0.6 * sum(map(len, fine))
    monkeypatch.setattr(module, "LONGEST_SECONDS", 0.1)
    assert max(map(len, sound_frames(store))) <= 6


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return open_tiny(write_corpus(tmp_path_factory.mktemp("words"), speakers=4, digits=3, takes=4), tiny())


def aligned(**loss: Any) -> Any:
    recipe = with_neighbours(tiny())
    return dataclasses.replace(recipe, loss=dataclasses.replace(recipe.loss, alike_by="alignment", **loss))


def test_a_training_takes_its_neighbours_from_alignment(corpus: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    few_are_enough(monkeypatch.setattr)
    monkeypatch.setattr(module, "APART", 1.0)  # chords are less alike than words
    task = make_task(corpus, aligned())
    task.prepare()
    assert task.begin(0, 4) == []
    digits = corpus.manifest.column("digit")
    near = task.neighbourhood.near.numpy()[:, : task.neighbourhood.positives]
    assert (digits[near] == digits[:, None]).mean() > 0.9
    first = near.copy()
    assert task.begin(1, 4) == []  # no search is due
    assert (task.neighbourhood.near.numpy()[:, : task.neighbourhood.positives] == first).all()
    graphs = []

    def graph(self: Any, vectors: Any = None) -> Any:
        graphs.append(vectors)
        return alignment.nearest_graph(self.distances)

    monkeypatch.setattr(type(task.compared), "graph", graph)
    task.begin(2, 4)
    assert graphs[0].shape == (len(corpus), 16)  # the projections of both formats


def test_where_alignment_tells_nothing_there_are_no_neighbours_and_the_log_says_so(
    corpus: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_are_enough(monkeypatch.setattr)
    monkeypatch.setattr(module, "APART", 0.0)
    task = make_task(corpus, aligned())
    task.prepare()
    (line,) = task.begin(0, 4)
    assert line.startswith("no neighbours: ")
    assert task.begin(2, 4) == []  # said once
    assert (task.batch(np.arange(8), 0).views.others == np.arange(8)).all()


def test_the_way_of_searching_is_one_of_two() -> None:
    assert LossSettings().alike_by == "vectors"
