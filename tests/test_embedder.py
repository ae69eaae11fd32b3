"""A trained model in use: order, files that cannot be read, long recordings, windows, arrays."""

import csv
import dataclasses
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

import mfcl
from mfcl.cli import main
from mfcl.data.layouts import open_manifest
from mfcl.data.scanning import scan
from mfcl.data.store import open_store
from mfcl.embedder import Embedder
from mfcl.errors import AudioError, MeasureError, MfclError
from mfcl.explore.collection import open_collection
from mfcl.explore.exports import Labelled, manifest_csv
from mfcl.models import inference
from mfcl.models.inference import Listed, embed_clips, embed_store
from mfcl.recipe import changed, load_recipe
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


def test_files_arrays_and_a_store_are_cut_to_their_sound_and_windows_are_not(tmp_path: Path, model: Embedder) -> None:
    recipe = changed(model.recipe, ["preparation.endpoints=true"])
    cutting = Embedder(dataclasses.replace(model.checkpoint, recipe=recipe))
    rng = np.random.default_rng(0)
    clip = (0.001 * rng.standard_normal(32000)).astype(np.float32)
    clip[12000:20000] += tone(0.5, 440)
    clip -= clip.mean()
    soundfile.write(tmp_path / "a.wav", clip, 16000, subtype="FLOAT")
    (array,), (file,) = cutting.encode(clip), cutting.encode(tmp_path / "a.wav")
    np.testing.assert_allclose(array, file, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(mfcl.embed(cutting, tmp_path / "a.wav", progress=False).vectors[0], file, atol=1e-4)
    store = open_store(open_manifest(tmp_path / "a.wav"), recipe.preparation, cache=tmp_path / "c", progress=False)
    assert 8000 < store.lengths[0] < 10500
    np.testing.assert_allclose(embed_store(model.model, store).vectors[0], file, rtol=1e-4, atol=1e-4)
    assert not np.allclose(model.encode(clip)[0], array, atol=1e-2)
    own, plain = (one.encode_windows(clip, window=0.5) for one in (cutting, model))
    np.testing.assert_array_equal(own.vectors, plain.vectors)
    assert own.ends[-1] == 2.0
    windows = mfcl.embed(cutting, tmp_path / "a.wav", window=0.5, progress=False)
    np.testing.assert_array_equal(windows.labels["end"].astype(float), own.ends)


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
    assert "1 recording left out" in capsys.readouterr().err
    with pytest.raises(MfclError, match="0_01_5"):
        mfcl.embed(run, data, strict=True, progress=False)


@pytest.mark.parametrize("count", [1, 3])
def test_nothing_that_can_be_read_is_said_once_and_written_down(
    count: int, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    for place in range(count):
        (tmp_path / "in" / f"{place}.wav").write_text("no sound")
    said = "^[^;]*0.wav: not a readable audio file" if count == 1 else "none of 3 recordings could be read; the first"
    with pytest.raises(AudioError, match=said):
        mfcl.embed(run, tmp_path / "in", failures=tmp_path / "failures.csv", progress=False)
    assert capsys.readouterr().err == ""
    with (tmp_path / "failures.csv").open() as file:
        assert [row["kind"] for row in csv.DictReader(file)] == ["failure"] * count


def test_files_with_something_wrong_are_embedded_counted_and_written_down(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_corpus(tmp_path / "corpus", speakers=1, digits=3, takes=2) / "data" / "01"
    cut, silent, loud = (data / f"{digit}_01_0.wav" for digit in range(3))
    cut.write_bytes(cut.read_bytes()[:4044])
    soundfile.write(silent, np.zeros(4000, dtype=np.float32), 16000)
    soundfile.write(loud, np.clip(9 * tone(0.3), -0.999, 0.999), 16000)
    found = mfcl.embed(run, tmp_path / "corpus", failures=tmp_path / "failures.csv", progress=False)
    assert len(found.ids) == 5
    with (tmp_path / "failures.csv").open() as file:
        listed = [(row["id"], row["kind"], row["reason"]) for row in csv.DictReader(file)]
    assert [row[:2] for row in listed] == [
        ("data/01/1_01_0.wav", "failure"),
        ("data/01/0_01_0.wav", "notice"),
        ("data/01/2_01_0.wav", "notice"),
    ]
    assert [row[2].removeprefix(f"{silent}: ")[:9] for row in listed] == ["silent: -", "cut short", "clipped: "]
    said = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in said] == [
        "1 recording left out",
        "2 recordings used although they have problems",
    ]
    scanned = scan(open_manifest(tmp_path / "corpus"), progress=False)
    assert [name for name, _ in scanned.failures] == [row[0] for row in listed[:1]]
    assert [entry.id for entry in scanned.entries if entry.usable and entry.problems] == [row[0] for row in listed[1:]]


def test_a_silent_file_is_an_error_of_encoding_and_a_notice_is_logged(
    model: Embedder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(4000, dtype=np.float32), 16000)
    with pytest.raises(AudioError, match=r"silent\.wav: silent: -120 dB"):
        model.encode(tmp_path / "silent.wav")
    soundfile.write(tmp_path / "loud.wav", np.clip(9 * tone(0.3), -0.999, 0.999), 16000)
    model.encode(tmp_path / "loud.wav")
    assert "clipped: at" in caplog.text


def test_a_recordings_embedding_is_the_same_from_its_file_and_from_a_store(
    run: Path, model: Embedder, corpus: Path
) -> None:
    store = open_store(open_manifest(corpus), model.checkpoint.recipe.preparation, cache=run / "store", progress=False)
    stored = embed_store(model.checkpoint.model, store)
    np.testing.assert_array_equal(mfcl.embed(run, corpus, progress=False).vectors, stored.vectors)


def test_a_recording_too_long_to_be_held_is_embedded_as_if_it_were_held(
    run: Path, model: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    rng = np.random.default_rng(0)
    for seconds in (0.5, 2.2, 3.1):
        soundfile.write(tmp_path / "in" / f"{seconds}.flac", 0.1 * rng.standard_normal(int(22050 * seconds)), 22050)
    paths = sorted((tmp_path / "in").iterdir())
    monkeypatch.setattr("mfcl.models.inference.LONGEST_SECONDS", 0.7)
    held = mfcl.embed(run, tmp_path / "in", progress=False).vectors
    frames = model.encode_frames(paths[2], window=0.4, hop=0.3)
    monkeypatch.setattr("mfcl.audio.judging.HELD", 30000)
    monkeypatch.setattr("mfcl.audio.sound.BLOCK", 2000)
    np.testing.assert_allclose(mfcl.embed(run, tmp_path / "in", progress=False).vectors, held, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(model.encode(paths), held, rtol=1e-3, atol=1e-4)
    again = model.encode_frames(paths[2], window=0.4, hop=0.3)
    np.testing.assert_allclose(again[0], frames[0], rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(again[1], frames[1])


def test_no_more_than_a_bounded_number_of_samples_is_held_at_a_time(
    run: Path, corpus: Path, model: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = mfcl.embed(run, corpus, progress=False).vectors
    steps: list[int] = []

    def counted(network: object, clips: Listed, *rest: object, **options: object) -> np.ndarray:
        steps.append(int(clips.lengths.sum()))
        return embed_clips(network, clips, *rest, **options)  # type: ignore[arg-type]

    for module in ("embedder", "embedding_lists"):
        monkeypatch.setattr(f"mfcl.{module}.embed_clips", counted)
    monkeypatch.setattr("mfcl.audio.windows.MOST_SAMPLES", 20000)
    np.testing.assert_allclose(mfcl.embed(run, corpus, progress=False).vectors, whole, rtol=1e-3, atol=1e-4)
    paths = [corpus / name for name in mfcl.embed(run, corpus, progress=False).ids]
    np.testing.assert_allclose(model.encode(paths), whole, rtol=1e-3, atol=1e-4)
    assert max(steps) < 20000 + 6000
    assert len(steps) > 20


class OnlyWindows:
    """Clips that count what is read of them."""

    def __init__(self, length: int) -> None:
        self.lengths = np.array([length, 8000])
        self.read: list[int] = []

    def piece(self, index: int, start: int, stop: int) -> np.ndarray:
        assert 0 <= start < stop <= self.lengths[index]
        self.read.append(stop - start)
        return tone((stop - start) / 16000)


def test_of_a_long_recording_only_its_windows_are_read_and_a_step_has_few_long_ones(
    model: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mfcl.models.inference.LONGEST_SECONDS", 1.0)
    clips = OnlyWindows(16000 * 20)
    embed_clips(model.checkpoint.model, clips, 16000)
    assert sum(clips.read) == clips.lengths.sum()  # each sample once
    assert max(clips.read) <= 16000
    sizes: list[int] = []
    stack = inference._stack

    def counted(pieces: list[np.ndarray]) -> object:
        sizes.append(len(pieces) * max(map(len, pieces)))
        return stack(pieces)

    monkeypatch.setattr(inference, "_stack", counted)
    monkeypatch.setattr(inference, "MOST_SAMPLES", 50000)
    embed_clips(model.checkpoint.model, clips, 16000)
    assert max(sizes) <= 50000


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
    with pytest.raises(AudioError, match=r"0\.001 seconds or more"):
        model.encode_frames(tone(0.4), hop=0.0)


def test_arrays_of_another_rate_or_shape_are_prepared_like_files(model: Embedder, tmp_path: Path) -> None:
    stereo = np.stack([tone(0.5, sample_rate=44100), tone(0.5, 660, sample_rate=44100)], axis=1)
    soundfile.write(tmp_path / "stereo.wav", stereo, 44100, subtype="FLOAT")
    np.testing.assert_allclose(
        model.encode(stereo, sample_rate=44100), model.encode(tmp_path / "stereo.wav"), rtol=1e-4, atol=1e-4
    )
    assert model.encode([]).shape == (0, model.dim())
    assert model.encode([], whiten=True).shape == (0, model.encode(tone(), whiten=True).shape[1])
    lengths = np.linalg.norm(model.encode([tone(), tone(0.5)], normalize=True), axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)
    own = model.encode([tone(), tone(0.4, 900)])
    assert np.allclose(np.diag(model.similarity(own, own)), 1, atol=1e-5)
    assert np.array_equal(model.similarity(own[0], own[1]), model.similarity(own[:1], own[1:]))
    with pytest.raises(MeasureError, match=f"got {own.shape[1]} and 3 values; encode both alike"):
        model.similarity(own, own[:, :3])
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
    for wrong, text in (({"part": "voices"}, "no part is called 'voices'"), ({"whiten": True}, "no whitening")):
        with pytest.raises(MfclError, match=text):  # and not of the file: that is said before anything is read
            mfcl.embed(bare, ["no such file.wav"], progress=False, **wrong)
        with pytest.raises(MfclError, match=text):
            bare.encode_windows("no such file.wav", **wrong)


def test_training_returns_what_one_can_encode_with(corpus: Path, tmp_path: Path) -> None:
    recipe = load_recipe(tiny_recipe(tmp_path), ["train.epochs=1"])
    made = mfcl.train(
        corpus, tmp_path / "run", recipe=recipe, joint=True, labels_per_class=1, cache=tmp_path / "cache",
        progress=False,
    )  # fmt: skip
    assert made.encode(tone()).shape == (1, made.dim())
    assert made.folder == tmp_path / "run" / "model"
    assert made.recipe == recipe
    assert set(made.whitening) == {"wave", "mel"}
    assert made.model is made.checkpoint.model
    assert made.info["facts"]["training"].startswith("multi-format contrastive, 3 labels")
    assert len(mfcl.embed(made, corpus, progress=False)) == 36
    again = mfcl.train(
        corpus, tmp_path / "again", recipe=recipe, joint=True, per_class=1, cache=tmp_path / "cache", progress=False
    )
    assert again.info["facts"]["training"] == made.info["facts"]["training"]
    assert len(mfcl.embed(checkpoint=again, recordings=corpus, progress=False)) == 36
    with pytest.raises(MfclError, match="data and recordings are one argument"):
        mfcl.embed(model=again, data=corpus, recordings=corpus)


def test_windows_have_starts_and_ends_and_every_choice_of_encode(model: Embedder, tmp_path: Path) -> None:
    sound = tone(2.3, sample_rate=44100)
    found = model.encode_windows(sound, sample_rate=44100, window=1.0, hop=0.5, format="mel", whiten=True)
    np.testing.assert_allclose(found.starts, [0, 0.5, 1.0, 1.3])
    np.testing.assert_allclose(found.ends, [1.0, 1.5, 2.0, 2.3])
    soundfile.write(tmp_path / "a.wav", sound, 44100, subtype="FLOAT")
    vectors, starts, ends = model.encode_windows(tmp_path / "a.wav", window=1.0, format="mel", part="mel", whiten=True)
    np.testing.assert_allclose(vectors, found.vectors, atol=1e-3)
    assert (starts.tolist(), ends.tolist()) == (found.starts.tolist(), found.ends.tolist())
    old, places = model.encode_frames(tmp_path / "a.wav", format="mel")
    assert places.tolist() == starts.tolist()
    np.testing.assert_allclose(model.whitening["mel"](old), vectors, atol=1e-5)


def test_one_vector_a_window_is_embedded_of_every_recording(model: Embedder, tmp_path: Path) -> None:
    long = np.concatenate([word(0, digit, seconds=0.5) for digit in range(4)])  # 2 s
    soundfile.write(tmp_path / "long.wav", long, 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "short.wav", long[:3200], 16000, subtype="FLOAT")
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    rows = ("long.wav,,,a,whole", "long.wav,0.5,1.75,b,part", "bad.wav,,,c,bad", "short.wav,,,d,short")
    (tmp_path / "list.csv").write_text("\n".join(["path,start,end,kind,id", *rows]))
    found = mfcl.embed(model, tmp_path / "list.csv", window=1.0, hop=0.5, format="mel", progress=False)
    assert found.ids.tolist() == ["whole@0.0", "whole@0.5", "whole@1.0", "part@0.5", "part@0.75", "short@0.0"]
    assert found.label("start").tolist() == ["0.0", "0.5", "1.0", "0.5", "0.75", "0.0"]
    assert found.label("end").tolist() == ["1.0", "1.5", "2.0", "1.5", "1.75", "0.2"]
    assert found.label("kind").tolist() == ["a", "a", "a", "b", "b", "d"]
    own = model.encode_windows(tmp_path / "long.wav", window=1.0, hop=0.5, format="mel")
    np.testing.assert_allclose(found.vectors[:3], own.vectors, rtol=1e-4, atol=1e-4)
    part = model.encode_windows(long[8000:28000], window=1.0, hop=0.5, format="mel")
    np.testing.assert_allclose(found.vectors[3:5], part.vectors, rtol=1e-3, atol=1e-3)
    assert len(mfcl.embed(model, tmp_path / "short.wav", window=0.1, progress=False)) == 3  # a hop of half a window
    for wrong in ({"hop": 1.0}, {"window": 0.0}, {"window": 1.0, "hop": float("nan")}):
        with pytest.raises(AudioError, match="window"):
            mfcl.embed(model, tmp_path / "list.csv", progress=False, **wrong)


def test_windows_that_the_explorer_exported_are_windows_when_they_are_embedded_again(
    model: Embedder, tmp_path: Path
) -> None:
    rising = np.linspace(0.1, 1, round(2.3 * 16000), dtype=np.float32) ** 2  # of a steady tone all windows are equal
    soundfile.write(tmp_path / "long.wav", rising * tone(2.3), 16000, subtype="FLOAT")
    (tmp_path / "list.csv").write_text("path,id\nlong.wav,long\n")
    found = mfcl.embed(model, tmp_path / "list.csv", window=0.7, progress=False)
    found.save(tmp_path / "clips.npz")
    explored = open_collection(tmp_path / "clips.npz", audio=tmp_path / "list.csv")
    some = [Labelled(clip, "a", "picked", 1.0) for clip in range(len(found))]
    (tmp_path / "a.csv").write_bytes(manifest_csv(explored, "call", some, spread=False))
    again = mfcl.embed(model, tmp_path / "a.csv", progress=False)
    assert again.ids.tolist() == found.ids.tolist()
    assert {name: again.label(name).tolist() for name in ("start", "end", "call")} == {
        "start": found.label("start").tolist(), "end": found.label("end").tolist(), "call": ["a"] * len(found)
    }  # fmt: skip
    again.save(tmp_path / "again.npz")
    heard = open_collection(tmp_path / "again.npz", audio=tmp_path / "list.csv")  # by the recordings, not the windows
    assert [heard.times(clip) for clip in range(len(found))] == [explored.times(clip) for clip in range(len(found))]


def test_a_list_of_files_is_embedded_in_its_order(model: Embedder, corpus: Path) -> None:
    files = [corpus / "data" / "02" / "1_02_0.wav", corpus / "data" / "01" / "0_01_1.wav"]
    found = mfcl.embed(model, [str(files[0]), files[1]], progress=False)
    assert found.ids.tolist() == [str(file) for file in files]
    np.testing.assert_allclose(
        found.vectors, model.encode(np.array([str(file) for file in files])), rtol=1e-4, atol=1e-4
    )


def test_the_list_of_bad_files_is_never_that_of_an_earlier_call(model: Embedder, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "good.wav", tone(), 16000)
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    out = tmp_path / "out.failures.csv"
    mfcl.embed(model, [tmp_path / "good.wav", tmp_path / "bad.wav"], failures=str(out), progress=False)
    assert "bad.wav" in out.read_text()
    mfcl.embed(model, [tmp_path / "good.wav"], failures=out, progress=False)
    assert not out.exists()


def test_sound_of_every_kind_is_taken_or_refused_in_one_line(run: Path) -> None:
    code = f"""
import numpy as np, torch, mfcl
from mfcl.errors import MfclError
model = mfcl.load({str(run)!r})
clip = (0.4 * np.sin(np.arange(8000) / 7)).astype(np.float32)
right = model.encode(clip)[0]
same = [
    torch.from_numpy(clip), clip.tolist(), clip[None], np.stack([clip, clip]), clip.astype(np.float64),
    (clip * 32768).astype(np.int16), (clip.astype(np.float64) * 2**31).astype(np.int32),
]
for sound in same:
    assert model.similarity(model.encode(sound), right[None])[0, 0] > 0.999, type(sound)
assert model.encode([clip[None], clip.tolist()]).shape[0] == 2
wrong = [
    ("batch", lambda: model.encode(clip, batch=0)), ("batch", lambda: model.encode(clip, batch=-1)),
    ("batch", lambda: model.encode_windows(clip, batch=0)),
    ("no format is called 'words'", lambda: model.encode(clip, format="words")),
    ("no format is called 'words'", lambda: mfcl.embed(model, [{str(run / "x.wav")!r}], format="words")),
    ("no format is called 'words'", lambda: model.dim("words")),
    ("no part is called 'wave words'", lambda: model.encode(clip, part="wave words")),
    ("sample_rate", lambda: model.encode(clip, sample_rate=float("nan"))),
    ("sample_rate", lambda: model.encode(clip, sample_rate=0)),
    ("sample_rate", lambda: model.encode_windows(clip, sample_rate=-1)),
    ("a peak of", lambda: model.encode(clip * 1e20)), ("list of clips", lambda: model.encode(np.stack([clip] * 3))),
    ("wanted paths, got ndarray", lambda: mfcl.embed(model, [clip])),
    ("got object", lambda: model.encode([None])), ("got bool", lambda: model.encode(clip > 0)),
]
for said, call in wrong:
    try:
        call()
    except MfclError as error:
        assert said in str(error) and len(str(error).splitlines()) == 1, error
    else:
        raise AssertionError(said)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_the_command_embeds_windows_and_names_bad_files_after_its_output(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in" / "good.wav", tone(2.0), 16000)
    (tmp_path / "in" / "bad.wav").write_bytes(b"RIFF")
    options = ["--quiet", "--window", "1", "--hop", "0.5"]
    for name, part in (("one.npz", ["--format", "mel"]), ("two.npz", [])):
        command = ["embed", run, tmp_path / "in", "--out", tmp_path / name, *options, *part]
        assert main([str(word) for word in command]) == 0
        assert "3 windows" in capsys.readouterr().out
        assert "bad.wav" in (tmp_path / name.replace(".npz", ".failures.csv")).read_text()
    assert mfcl.load_embeddings(str(tmp_path / "one.npz")).label("end").tolist() == ["1.0", "1.5", "2.0"]
    (tmp_path / "in" / "bad.wav").unlink()
    assert main([str(word) for word in ("embed", run, tmp_path / "in", "--out", tmp_path / "one.npz", "--quiet")]) == 0
    assert sorted(path.name for path in tmp_path.glob("*.csv")) == ["two.failures.csv"]
    assert main(["info", str(tmp_path / "two.npz")]) == 0
    assert "mel" in capsys.readouterr().out


def test_a_model_of_one_trained_encoder_embeds_with_that_one_unless_another_is_named(
    corpus: Path, tmp_path: Path
) -> None:
    recipe = load_recipe(tiny_recipe(tmp_path), ["train.epochs=1", "loss.terms=mel-mel"])
    mfcl.train(corpus, tmp_path / "run", recipe=recipe, cache=tmp_path / "cache", progress=False)
    model, clip = mfcl.load(tmp_path / "run"), word(0, 0, seconds=0.4)
    assert np.array_equal(model.encode(clip), model.encode(clip, format="mel"))
    assert model.encode(clip, format="both").shape[1] > model.encode(clip).shape[1]
    assert {name.split()[0] for name in mfcl.embed(tmp_path / "run", corpus, progress=False).parts} == {"mel"}


def test_a_list_of_failures_takes_the_place_of_no_input(model: Embedder, tmp_path: Path) -> None:
    """Without failures an earlier list of them is removed, whatever file that was."""
    soundfile.write(tmp_path / "a.wav", tone(), 16000)
    listed = tmp_path / "list.csv"
    listed.write_text("path\na.wav\n")
    held = {path: path.read_bytes() for path in (listed, tmp_path / "a.wav")}
    for path in held:
        with pytest.raises(MfclError, match="it is read here, and would be replaced"):
            mfcl.embed(model, listed, failures=path, progress=False)
    with pytest.raises(MfclError, match="cannot be written"):
        mfcl.embed(model, listed, failures=tmp_path, progress=False)
    assert {path: path.read_bytes() for path in held} == held
