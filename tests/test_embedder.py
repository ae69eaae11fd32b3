"""A trained model in use: order, files that cannot be read, long recordings, windows, arrays."""

import csv
import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

import mfcl
from mfcl.embedder import Embedder
from mfcl.errors import AudioError, MfclError
from mfcl.models.inference import Listed, embed_clips
from mfcl.recipe import load_recipe
from tests.recipes import tiny_recipe
from tests.sounds import tone, word, write_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus"), speakers=6, digits=3, takes=2)


@pytest.fixture(scope="module")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    mfcl.train(corpus, folder / "run", recipe=tiny_recipe(folder), cache=folder / "cache", progress=False)
    return folder / "run"


@pytest.fixture(scope="module")
def model(run: Path) -> Embedder:
    return mfcl.load(run)


def test_embeddings_keep_the_order_of_the_recordings_and_both_formats(run: Path, corpus: Path, model: Embedder) -> None:
    found = mfcl.embed(run, corpus, progress=False)
    assert list(found.ids) == sorted(found.ids)
    assert found.vectors.shape == (36, model.dim())
    path = corpus / "data" / "03" / "1_03_0.wav"
    place = next(place for place, name in enumerate(found.ids) if name.endswith("1_03_0.wav"))
    np.testing.assert_allclose(model.encode(path)[0], found.vectors[place], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.encode([path], format="mel")[0], found.part("mel")[place], rtol=1e-4, atol=1e-4)


def test_a_recording_does_not_depend_on_its_batch(model: Embedder) -> None:
    clips = [word(0, 0, seconds=seconds) for seconds in (0.05, 0.3, 1.1, 0.31, 2.0)]
    together = model.encode(clips, batch=5)
    for clip, vector in zip(clips, together, strict=True):
        np.testing.assert_allclose(model.encode(clip)[0], vector, rtol=1e-3, atol=1e-4)


def test_bad_files_are_left_out_and_named(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_corpus(tmp_path / "corpus", speakers=2, digits=2, takes=1)
    (data / "data" / "01" / "0_01_5.wav").write_bytes(b"RIFF")
    found = mfcl.embed(run, data, failures=tmp_path / "failures.csv", progress=False)
    assert len(found.ids) == 4
    with (tmp_path / "failures.csv").open() as file:
        listed = list(csv.DictReader(file))
    assert [entry["id"] for entry in listed] == ["data/01/0_01_5.wav"]
    assert "1 recordings left out" in capsys.readouterr().err
    with pytest.raises(MfclError, match="0_01_5"):
        mfcl.embed(run, data, strict=True, progress=False)


def test_a_long_recording_is_the_mean_of_its_windows(model: Embedder) -> None:
    rng = np.random.default_rng(0)
    long = (0.1 * rng.standard_normal(25 * 16000)).astype(np.float32)
    network = model.checkpoint.model
    whole = embed_clips(network, Listed([long]), 16000)
    edges = [0, 133333, 266666, 400000]
    pieces = [long[a:b] for a, b in pairwise(edges)]
    parts = embed_clips(network, Listed(pieces), 16000)
    weights = np.array([len(piece) for piece in pieces])[:, None] / len(long)
    np.testing.assert_allclose(whole[0], (parts * weights).sum(axis=0), rtol=1e-4, atol=1e-5)


def test_windows_cover_the_whole_recording(model: Embedder) -> None:
    vectors, starts = model.encode_frames(tone(2.3), window=1.0, hop=0.5)
    np.testing.assert_allclose(starts, [0, 0.5, 1.0, 1.3])
    assert vectors.shape == (4, model.dim())
    vectors, starts = model.encode_frames(tone(0.4), window=1.0, hop=0.5)
    assert starts.tolist() == [0.0]
    with pytest.raises(AudioError, match="above 0 seconds"):
        model.encode_frames(tone(0.4), hop=0.0)


def test_arrays_of_another_rate_or_shape_are_prepared_like_files(model: Embedder, tmp_path: Path) -> None:
    stereo = np.stack([tone(0.5, sample_rate=44100), tone(0.5, 660, sample_rate=44100)], axis=1)
    soundfile.write(tmp_path / "stereo.wav", stereo, 44100, subtype="FLOAT")
    np.testing.assert_allclose(
        model.encode(stereo, sample_rate=44100), model.encode(tmp_path / "stereo.wav"), rtol=1e-4, atol=1e-4
    )
    assert model.encode([]).shape == (0, model.dim())
    lengths = np.linalg.norm(model.encode([tone(), tone(0.5)], normalize=True), axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)
    own = model.encode([tone(), tone(0.4, 900)])
    assert np.allclose(np.diag(model.similarity(own, own)), 1, atol=1e-5)
    for wrong in (np.zeros(0, np.float32), np.full(8, np.nan, np.float32), np.zeros((2, 2, 2), np.float32)):
        with pytest.raises(AudioError, match="array 0"):
            model.encode([wrong])


def test_a_part_and_whitened_vectors_are_asked_for_by_name(
    corpus: Path, run: Path, model: Embedder, tmp_path: Path
) -> None:
    voiced = load_recipe(tiny_recipe(tmp_path), ["model.voices=statistics", "train.epochs=1"])
    mfcl.train(corpus, tmp_path / "run", recipe=voiced, cache=tmp_path / "cache", progress=False)
    two = mfcl.load(tmp_path / "run")
    clips = [word(digit, 0, seconds=0.4) for digit in range(3)]
    whole = mfcl.embed(tmp_path / "run", corpus, progress=False)
    assert list(whole.parts) == ["wave words", "wave voices", "mel words", "mel voices"]
    voices = two.encode(clips, part="voices")
    assert voices.shape == (3, two.dim(part="voices"))
    assert two.dim() == two.dim(part="words") + two.dim(part="voices")
    mel = two.encode(clips, format="mel", part="voices")
    np.testing.assert_allclose(voices[:, -mel.shape[1] :], mel, rtol=1e-4, atol=1e-5)
    learned = two.checkpoint.whitening
    assert set(learned) == set(whole.parts)
    white = two.encode(clips, format="mel", part="voices", whiten=True)
    np.testing.assert_allclose(white, learned["mel voices"](mel), rtol=1e-3, atol=1e-4)
    found = mfcl.embed(tmp_path / "run", corpus, part="voices", whiten=True, progress=False)
    assert list(found.parts) == ["wave voices", "mel voices"]
    lengths = [np.linalg.norm(found.part(name), axis=1) for name in found.parts]
    np.testing.assert_allclose(lengths, 1, atol=1e-4)
    assert two.encode([], part="voices").shape == (0, two.dim(part="voices"))


def test_a_part_that_is_not_there_and_a_whitening_that_was_not_learned_are_said(run: Path, model: Embedder) -> None:
    clip = word(0, 0, seconds=0.3)
    with pytest.raises(MfclError, match="no part is called 'voices'"):
        model.encode(clip, part="voices")
    assert model.encode(clip, whiten=True).shape[1] > 0
    bare = Embedder(dataclasses.replace(model.checkpoint, whitening={}))
    with pytest.raises(MfclError, match="no whitening was learned"):
        bare.encode(clip, whiten=True)
