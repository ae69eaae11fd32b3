"""The questions asked of every representation: what is known must be found, what is not must be chance."""

import numpy as np
import pytest

from mfcl.embeddings import Embeddings
from mfcl.errors import MeasureError
from mfcl.measures import measure_labels, measure_voices, standardised

SPEAKERS, DIGITS, TAKES = 12, 4, 4


def corpus(*, digit: float = 0.0, voice: float = 0.0, scale: float = 1.0) -> Embeddings:
    """Vectors of noise with as much of the digit and the voice as asked: 6 train, 2 valid and 4 test speakers."""
    rng = np.random.default_rng(0)
    speakers, digits = (
        np.repeat(np.arange(SPEAKERS), DIGITS * TAKES),
        np.tile(np.repeat(np.arange(DIGITS), TAKES), SPEAKERS),
    )
    vectors = rng.standard_normal((len(digits), 24))
    vectors += digit * rng.standard_normal((DIGITS, 24))[digits] + voice * rng.standard_normal((SPEAKERS, 24))[speakers]
    vectors[:, :16] *= scale
    names = np.array([f"{number:02d}" for number in speakers])
    sides = np.array(["train"] * 6 + ["valid"] * 2 + ["test"] * 4)[speakers]
    ids = np.array([f"{place:04d}" for place in range(len(digits))])
    labels = {"speaker": names, "digit": digits.astype(np.str_)}
    return Embeddings(vectors.astype(np.float32), ids, labels, {"wave": (0, 16), "mel": (16, 24)}, sides)


def by_task(embeddings: Embeddings) -> dict[str, float]:
    found = measure_labels(embeddings, "digit", "speaker", seed=0)
    found += measure_voices(embeddings, "digit", "speaker", seed=0)
    return {measure.task: measure.value for measure in found}


def test_what_lies_in_the_vectors_is_found_and_nothing_else() -> None:
    words, voices = by_task(corpus(digit=2.0)), by_task(corpus(voice=2.0))
    labels = [task for task in words if task.startswith("digit")]
    assert len(labels) == 3
    assert all(words[task] > 90 for task in labels)
    assert all(voices[task] < 50 for task in labels)
    same, apart, pairs = (next(task for task in voices if word in task) for word in ("half", "apart", "pairs"))
    assert voices[same] > 90
    assert words[same] < 50
    assert voices[apart] > 90
    assert voices[pairs] < 10 < 35 < words[pairs]


def test_a_format_with_larger_numbers_does_not_outweigh_the_other() -> None:
    same, scaled = corpus(digit=1.0, voice=1.0), corpus(digit=1.0, voice=1.0, scale=1000.0)
    np.testing.assert_allclose(standardised(scaled), standardised(same), rtol=1e-4, atol=1e-5)
    for part in ((0, 16), (16, 24)):
        np.testing.assert_allclose(np.linalg.norm(standardised(same)[:, slice(*part)], axis=1), 1, rtol=1e-5)


def test_test_recordings_decide_nothing() -> None:
    plain = corpus(digit=1.0)
    vectors = plain.vectors.copy()
    vectors[plain.splits == "test"] += 100
    moved = Embeddings(vectors, plain.ids, plain.labels, plain.parts, plain.splits)
    others = plain.splits != "test"
    np.testing.assert_array_equal(standardised(moved)[others], standardised(plain)[others])


def test_recordings_without_the_label_are_left_out() -> None:
    full = corpus(digit=2.0)
    digits = full.labels["digit"].copy()
    digits[::5] = ""
    part = Embeddings(full.vectors, full.ids, {**full.labels, "digit": digits}, full.parts, full.splits)
    found = measure_labels(part, "digit", "speaker", seed=0)
    assert {measure.n for measure in found} == {int(((full.splits == "test") & (digits != "")).sum())}


def test_what_cannot_be_measured_is_said_in_one_line() -> None:
    whole = corpus()
    with pytest.raises(MeasureError, match="did you mean 'digit'"):
        measure_labels(whole, "digits", "speaker", seed=0)
    alone = whole.select(np.flatnonzero(whole.splits != "test"))
    with pytest.raises(MeasureError, match="2 or more values in the test part, got 0"):
        measure_labels(alone, "digit", "speaker", seed=0)
    nobody = whole.select(np.flatnonzero(whole.splits == "test"))
    with pytest.raises(MeasureError, match="2 or more training recordings"):
        measure_labels(nobody, "digit", "speaker", seed=0)
    one = whole.select(np.flatnonzero((whole.splits != "test") | (whole.labels["speaker"] == "08")))
    with pytest.raises(MeasureError, match="speaker"):
        measure_voices(one, "digit", "speaker", seed=0)
