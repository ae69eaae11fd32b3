"""The whitening of speaker parts: pairs of one voice that say different things, found without labels."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mfcl.embeddings import near_voices
from mfcl.embeddings.near_voices import fit_near_voices
from mfcl.embeddings.part_whitening import FEWEST
from mfcl.embeddings.table import Embeddings
from mfcl.embeddings.whitening import fit_whitening
from mfcl.evaluation.speaker.identification import identify_apart
from mfcl.studies.comparing import compare_files

WORDS, VOICES, TAKES = 10, 30, 3


def spoken(*, seed: int = 0) -> tuple[Embeddings, np.ndarray, np.ndarray]:
    """Speaker parts that hold the voice and, in other directions, the word; and projections of the word."""
    draw = np.random.default_rng(seed)
    word = np.tile(np.arange(WORDS), VOICES * TAKES)
    voice = np.repeat(np.arange(VOICES), WORDS * TAKES)
    of_voice, of_word = draw.standard_normal((VOICES, 12)), draw.standard_normal((WORDS, 12))
    speaker = np.concatenate([of_voice[voice], 1.5 * of_word[word]], axis=1)
    speaker = speaker + 0.8 * draw.standard_normal(speaker.shape)
    said = 3 * draw.standard_normal((WORDS, 16))[word] + 0.5 * draw.standard_normal((len(word), 16))
    parts = {"mel words projection": (0, 16), "mel voices": (16, 40)}
    vectors = np.concatenate([said, speaker], axis=1).astype(np.float32)
    splits = np.where(voice < 20, "train", "test")
    return Embeddings(vectors, np.arange(len(word)).astype(str), {}, parts, splits), voice, word


def told_apart(embeddings: Embeddings, voice: np.ndarray, word: np.ndarray) -> float:
    test = embeddings.splits == "test"
    vectors = embeddings.whiten(embeddings.whitenings()).only("voices").vectors[test]
    return identify_apart(vectors, voice[test].astype(str), word[test].astype(str)).accuracy


def test_voices_that_say_other_things_are_told_better(monkeypatch: pytest.MonkeyPatch) -> None:
    table, voice, word = spoken()
    better = told_apart(table, voice, word)
    monkeypatch.setattr("mfcl.embeddings.part_whitening.FEWEST", 10**9)
    assert better > told_apart(table, voice, word) + 0.05


def test_pairs_are_of_one_voice_and_of_two_words() -> None:
    table, voice, word = spoken()
    train = table.splits == "train"
    said, speaker = table.part("mel words projection")[train], table.part("mel voices")[train]
    white = fit_whitening(speaker)(speaker)
    words = said - said.mean(axis=0)
    words /= np.linalg.norm(words, axis=1, keepdims=True)
    first, second = near_voices._near_pairs(white, words)
    voice, word = voice[train], word[train]
    assert len(first) > 100
    assert (word[first] != word[second]).mean() > 0.99
    assert (voice[first] == voice[second]).mean() > 0.5  # 1 in 20 by chance


def test_only_speaker_parts_change_and_selections_have_what_the_whole_has() -> None:
    table, _, _ = spoken()
    turned, alone = table.whitenings(), table.only("voices").whitenings()
    plain = fit_whitening(table.part("mel voices")[table.splits == "train"])
    assert np.array_equal(alone["mel voices"].directions, plain.directions)  # nothing tells what is said
    assert not np.allclose(turned["mel voices"].directions, plain.directions)
    assert np.array_equal(turned["mel voices"].mean, plain.mean)
    assert np.array_equal(turned["mel words projection"].directions, np.eye(16, dtype=np.float32))
    for chosen in (spoken()[0].only("voices"), spoken()[0].only("mel").only("voices"), table.made_for("voices")):
        assert np.array_equal(chosen.whitened, table.whiten(turned).only("voices").vectors)
    whole = table.whitened
    assert np.array_equal(table.only("voices").whitened, whole[:, 16:])


def test_a_comparison_by_the_voices_part_is_that_of_the_whole(tmp_path: Path) -> None:
    table, voice, _ = spoken()
    files = [tmp_path / "one.npz", tmp_path / "other.npz"]
    for file in files:
        dataclasses.replace(table, labels={"speaker": voice.astype(str)}).save(file)
    whole, part = (compare_files(files, part=part) for part in ("", "voices"))
    assert [(one.result.question, one.result.value) for one in whole] == [
        (one.result.question, one.result.value) for one in part
    ]


def test_few_recordings_and_equal_ones_are_whitened_as_they_are() -> None:
    table, _, _ = spoken()
    few = dataclasses.replace(table, splits=np.where(np.arange(len(table)) < FEWEST - 1, "train", "test"))
    plain = fit_whitening(few.part("mel voices")[few.splits == "train"])
    assert np.array_equal(few.whitenings()["mel voices"].directions, plain.directions)
    equal = np.ones((FEWEST, 4), dtype=np.float32)
    whitening = fit_whitening(equal)
    found = fit_near_voices(
        {"mel voices": equal}, [np.zeros((len(equal), 3), dtype=np.float32)], {"mel voices": whitening}
    )
    assert np.isfinite(found["mel voices"](equal)).all()


def test_the_same_recordings_give_the_same_whitening_and_the_spread_within_pairs_is_even() -> None:
    table, voice, _ = spoken()
    one, other = table.whitenings()["mel voices"], table.whitenings()["mel voices"]
    assert np.array_equal(one.directions, other.directions)
    train = table.splits == "train"
    values = (table.part("mel voices")[train] - one.mean) @ one.directions
    voice = voice[train]
    within = values - np.stack([values[voice == who].mean(axis=0) for who in range(20)])[voice]
    plain = fit_whitening(table.part("mel voices")[train])
    before = (table.part("mel voices")[train] - plain.mean) @ plain.directions
    spread = before - np.stack([before[voice == who].mean(axis=0) for who in range(20)])[voice]
    assert np.ptp(np.log(within.var(axis=0))) < np.ptp(np.log(spread.var(axis=0)))
