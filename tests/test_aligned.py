"""Landmarks and nearest clips by alignment, as a baseline: fitted on training clips alone, applied to any."""

import numpy as np
import pytest

from mfcl.embeddings import alignment
from mfcl.errors import MeasureError
from mfcl.evaluation import aligned
from mfcl.evaluation.aligned import aligned_neighbourhood, fit_landmarks
from mfcl.evaluation.neighbourhood import load_neighbourhood
from tests.sounds import spoken
from tests.test_baselines import RATE, InPieces, Two, sound

CLIPS = [spoken(letters, pace=1 + 0.1 * take, seed=take) for letters in ("abc", "cba", "bca") for take in range(6)]
KNOWN = np.arange(18) % 3 != 0


def test_landmarks_are_training_clips_alone_and_values_their_nearness(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fit_landmarks(CLIPS, RATE, known=KNOWN, seed=0, count=6, pieces=0)(CLIPS)
    made = [alignment.frames(clip, RATE) for clip in CLIPS]
    held = [made[place] for place in np.flatnonzero(KNOWN)]
    marks = [held[place] for place in alignment.landmarks(held, 6, seed=0)]
    apart = alignment.distances(made, marks)
    standing = (apart - apart.mean(axis=1, keepdims=True)) / (apart.std(axis=1, keepdims=True) + 0.001)
    assert found == pytest.approx(np.exp(-((np.maximum(standing + 3, 0) / 2) ** 2)), abs=1e-5)
    both = fit_landmarks(CLIPS, RATE, known=KNOWN, seed=0, count=6, pieces=4)(CLIPS)
    pieces = alignment.nearness(alignment.spotted(made, alignment.choose_pieces(held, 4, seed=0)))
    assert np.array_equal(both[:, :6], found)
    assert sorted(both[:, 6:].ravel()) == pytest.approx(sorted(pieces.ravel()), abs=1e-5)
    assert ((apart[KNOWN] < 1e-6).sum(axis=0) == 1).all()  # each mark is a training clip

    monkeypatch.setattr(aligned, "CLIPS_AT_ONCE", 4)
    assert np.array_equal(fit_landmarks(iter(CLIPS), RATE, known=KNOWN, seed=0, count=6, pieces=4)(iter(CLIPS)), both)
    other = [clip if kept else clip[::-1].copy() for clip, kept in zip(CLIPS, KNOWN, strict=True)]
    assert np.array_equal(fit_landmarks(other, RATE, known=KNOWN, seed=0, count=6, pieces=4)(CLIPS), both)
    assert fit_landmarks(Two(), RATE, known=np.array([True, False]), seed=0, pieces=0)(Two()).shape == (2, 1)


def test_noisy_clips_are_compared_with_the_clean_landmarks() -> None:
    describe = fit_landmarks(CLIPS, RATE, known=KNOWN, seed=0, count=6)
    rng = np.random.default_rng(0)
    noisy = [clip + np.float32(0.02) * rng.standard_normal(len(clip), dtype=np.float32) for clip in CLIPS]
    found, clean = describe(noisy), describe(CLIPS)
    assert np.array_equal(describe([noisy[3]])[0], found[3])  # a clip's vector depends on that clip alone
    assert np.corrcoef(found.ravel(), clean.ravel())[0, 1] > 0.8


def test_landmarks_without_training_clips_are_refused_in_one_line() -> None:
    clips = [sound(0.1), sound(0.1)]
    with pytest.raises(MeasureError, match="at least one training clip"):
        fit_landmarks(clips, RATE, known=np.array([False, False]), seed=0)
    with pytest.raises(MeasureError, match=r"one entry a clip \(2\)"):
        fit_landmarks(clips, RATE, known=np.array([True]), seed=0)
    with pytest.raises(MeasureError, match="one is empty"):
        fit_landmarks([np.empty(0, dtype=np.float32)], RATE, known=np.array([True]), seed=0)


def test_neighbours_by_alignment_are_those_of_all_distances(tmp_path) -> None:  # type: ignore[no-untyped-def]
    store = InPieces(CLIPS)
    splits = np.where(np.arange(18) % 3 == 0, "test", np.where(np.arange(18) % 3 == 1, "train", "valid"))
    vectors = fit_landmarks(store, RATE, known=splits == "train", seed=0)(store)
    near = aligned_neighbourhood(store, RATE, vectors, splits)
    made = [alignment.frames(clip, RATE) for clip in CLIPS]
    known, tested = np.flatnonzero(splits != "test"), np.flatnonzero(splits == "test")
    assert near.known.tolist() == known.tolist()
    assert near.tested.tolist() == tested.tolist()
    gallery = [made[place] for place in known]
    places, distances = alignment.nearest([made[place] for place in tested], gallery, 10)
    assert np.array_equal(near.tested_places, places)
    assert np.array_equal(near.tested_distances, distances)
    wanted = alignment.nearest_graph(alignment.distances(gallery))
    assert near.graph.toarray() == pytest.approx(wanted.toarray(), abs=1e-6)
    near.save(tmp_path / "near.npz")
    again = load_neighbourhood(tmp_path / "near.npz")
    assert np.array_equal(again.places, near.places)
    assert np.array_equal(again.distances, near.distances)
