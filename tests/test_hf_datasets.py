"""Data sets of the package `datasets`, in and out, without its decoder and without the network."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import mfcl
from mfcl.cli import main
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import Manifest, Recording
from mfcl.data.manifest_csv import read_manifest, write_manifest
from mfcl.data.shards.writing import pack
from mfcl.embeddings.table import Embeddings
from mfcl.errors import AudioError, ManifestError, MeasureError, MfclError, MissingExtraError
from mfcl.hf_datasets import open_source, sound_files
from mfcl.hf_datasets.sound_files import file_name
from tests.sounds import tone, write_corpus

if importlib.util.find_spec("datasets") is None:
    pytest.skip("datasets (extra datasets) is not installed", allow_module_level=True)

# read when the packages are imported; the cache is set to a temporary folder for each test below
os.environ.update({"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"})
import datasets
import pyarrow

ROOT = Path(__file__).parents[1]
Audio, Features, Value = datasets.Audio, datasets.Features, datasets.Value


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf-cache")
    monkeypatch.setattr(datasets.config, "HF_MODULES_CACHE", str(tmp_path / "hf-modules"), raising=False)
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def made(columns: dict[str, list[Any]], **features: Any) -> Any:
    """A data set in memory; `audio` is a list of (bytes or None, path or None), or None."""
    rows = [one and {"bytes": one[0], "path": one[1]} for one in columns["audio"]]
    kinds = {name: features.get(name, Value("string")) for name in columns}
    kinds["audio"] = features.get("audio", Audio())
    schema = Features(kinds).arrow_schema
    arrays = [
        pyarrow.array(rows if name == "audio" else some, schema.field(name).type) for name, some in columns.items()
    ]
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, schema) as stream:
        stream.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
    return datasets.Dataset.from_buffer(sink.getvalue())


@pytest.fixture
def clips(tmp_path: Path) -> list[bytes]:
    """A WAV, a FLAC and an MP3 file."""
    found = []
    for number, suffix in enumerate((".wav", ".flac", ".mp3")):
        soundfile.write(tmp_path / f"clip{suffix}", tone(0.3, 300.0 + 200 * number), 16000)
        found.append((tmp_path / f"clip{suffix}").read_bytes())
    return found


def contents(manifest: Manifest) -> list[bytes]:
    return [one.path.read_bytes() for one in manifest]


def facts(manifest: Manifest) -> list[Any]:
    return [(one.id, dict(one.labels), one.split) for one in manifest]


def test_bytes_are_written_as_they_are_and_names_of_a_data_set_lead_nowhere(clips: list[bytes], tmp_path: Path) -> None:
    paths = ["../../../evil.wav", "/etc/owl.flac", None, "C:\\up\\..\\owl 1.WAV", "owl.flac", "owl.flac", "..", ".wav"]
    sounds = [(clips[number % 3], path) for number, path in enumerate(paths)]
    folder = tmp_path / "in"
    found = mfcl.from_dataset(made({"audio": sounds}), folder, progress=False)
    assert contents(found) == [content for content, _ in sounds]
    assert {one.path.parent for one in found} == {folder / "audio" / "00000"}
    names = [one.path.name for one in found]
    assert names[:4] == ["00000000_evil.wav", "00000001_owl.flac", "00000002.mp3", "00000003_owl_1.wav"]
    assert names[4:6] == ["00000004_owl.flac", "00000005_owl.flac"]
    assert len(set(names)) == len(names)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("evil")) == []
    again = read_manifest(folder / "manifest.csv")
    assert again.recordings == found.recordings
    assert not (folder / "failures.csv").exists()


@pytest.mark.parametrize(
    ("path", "name"),
    [("a/\0b.wav", "00000001_b.wav"), ("ü" * 300 + ".ogg", f"00000001_{'ü' * 40}.ogg"), ("\n.flac", "00000001.flac")],
)
def test_any_name_becomes_one_that_a_folder_holds(path: str, name: str, tmp_path: Path) -> None:
    assert file_name(1, path, b"RIFF") == name
    (tmp_path / name).write_bytes(b"")


def test_a_file_that_is_there_is_used_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = write_corpus(tmp_path / "corpus", speakers=1, digits=2, takes=1)
    files = sorted(corpus.rglob("*.wav"))
    other = files[1].read_bytes()
    monkeypatch.chdir(tmp_path)
    sounds = [
        (None, str(files[0])),
        (other, str(files[1])),  # these very bytes
        (other, str(files[0])),  # a path of another file
        (other, str(files[1].relative_to(tmp_path))),  # relative: it says nothing
        (None, str(files[1].relative_to(tmp_path))),
        (b"", str(files[0])),
        (None, "https://example.org/owl.wav"),
        (None, files[0].as_uri()),
    ]
    found = mfcl.from_dataset(made({"audio": sounds}), tmp_path / "in", progress=False)
    places = [one.path for one in found]
    assert places[:2] == files
    assert [path.is_relative_to(tmp_path / "in") for path in places[2:4]] == [True, True]
    assert [path.read_bytes() == other for path in places[2:4]] == [True, True]
    assert places[4:6] == [files[1], files[0]]
    assert places[6].as_posix() == "https://example.org/owl.wav"
    assert places[7] == files[0]
    assert "00000004_0" not in (tmp_path / "in" / "failures.csv").read_text().partition("\n")[0]
    assert (tmp_path / "in" / "failures.csv").read_text().count("taken from the current folder") == 1
    texts = datasets.Dataset.from_dict({"sound": [str(files[0])]})
    named = mfcl.from_dataset(texts, tmp_path / "texts", audio="sound", progress=False)
    assert [one.path for one in named] == files[:1]


def test_columns_become_labels_and_those_that_clash_are_renamed_and_said(
    clips: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = {
        "audio": [(content, None) for content in clips],
        "digit": [0, 1, -1],
        "age": [31, None, 5],
        "snr": [1.5, float("nan"), 0.1],
        "native": [True, False, None],
        "text": [" one ", "two,\nlines", ""],
        "path": ["a", "b", "c"],
        "start_time": [0.5, 1.0, 2.0],
        "offset": ["x", "y", "z"],
        "Split": ["p", "q", "r"],
        "dataset_path": ["k", "l", "m"],
        "id": ["7", "7", "8"],
        "split": ["fold1", "fold2", ""],
        "values": [[1.0], [2.0], [3.0]],
        "more": [None] * len(clips),
    }
    given = made(
        columns,
        digit=datasets.ClassLabel(names=["zero", "one"]),
        age=Value("int32"),
        snr=Value("float32"),
        native=Value("bool"),
        start_time=Value("float64"),
        values=datasets.Sequence(Value("float32")),
        more=Audio(),
    )
    with pytest.raises(ManifestError, match=r"wanted one column of audio, .* several \('audio', 'more'\)"):
        mfcl.from_dataset(given, tmp_path / "in", progress=False)
    found = mfcl.from_dataset(given, tmp_path / "in", audio="audio", progress=False)
    assert dict(found.recordings[0].labels) == {
        "digit": "zero", "age": "31", "snr": "1.5", "native": "true", "text": "one", "dataset_dataset_path": "a",
        "dataset_start_time": "0.5", "dataset_offset": "x", "dataset_Split": "p", "dataset_path": "k",
        "dataset_id": "7", "dataset_split": "fold1",
    }  # fmt: skip
    assert found.recordings[1].labels["text"] == "two,\nlines"
    assert set(found.recordings[2].labels) & {"digit", "native", "text", "dataset_split"} == set()
    assert found.recordings[2].labels["snr"] == "0.1"
    assert {one.split for one in found} == {None}
    said = capsys.readouterr().err
    assert "note: columns of lists, pictures or bytes are left out: 'values', 'more'" in said
    assert "the column 'id' is the label 'dataset_id': its values are not ids" in said
    assert "the column 'path' is the label 'dataset_dataset_path', as that name has a meaning" in said
    again = read_manifest(tmp_path / "in" / "manifest.csv")
    assert again.recordings == found.recordings
    wrong = made({"audio": [(clips[0], None)], "digit": [5]}, digit=datasets.ClassLabel(names=["zero"]))
    with pytest.raises(ManifestError, match="'digit' has the class 5, but 1 names"):
        mfcl.from_dataset(wrong, tmp_path / "wrong", progress=False)


def test_splits_are_those_of_the_hub_and_other_names_are_asked_for(
    clips: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = made({"audio": [(clips[0], "a.wav")], "id": ["x"]})
    two = made({"audio": [(clips[1], "a.wav"), (clips[2], "a.wav")], "id": ["y", "z"]})
    whole = datasets.DatasetDict({"train": two, "validation": one})
    found = mfcl.from_dataset(whole, tmp_path / "in", progress=False)
    assert facts(found) == [("y", {}, "train"), ("z", {}, "train"), ("x", {}, "valid")]
    odd = datasets.DatasetDict({"train.clean.100": two, "extra": one})
    with pytest.raises(ManifestError, match=r"a split 'train.clean.100', none of train, .* --split train.clean.100=tr"):
        mfcl.from_dataset(odd, tmp_path / "odd", progress=False)
    assert not (tmp_path / "odd").exists()
    some = mfcl.from_dataset(odd, tmp_path / "odd", splits={"train.clean.100": "test"}, progress=False)
    assert some.splits.tolist() == ["test", "test"]
    for splits, said in (
        ({"train": "train"}, "no split of the data set is called 'train'"),
        ({"extra": "dev"}, "no split is called 'dev'"),
        ({}, "wanted one of train.clean.100, extra or more"),
    ):
        with pytest.raises(ManifestError, match=said):
            mfcl.from_dataset(odd, tmp_path / "none", splits=splits, progress=False)
    capsys.readouterr()
    alone = mfcl.from_dataset(datasets.DatasetDict({"train": two}), tmp_path / "alone", progress=False)
    assert alone.splits.tolist() == ["", ""]
    assert "the only split, 'train', is not written" in capsys.readouterr().err
    column = made({"audio": [(content, None) for content in clips], "split": ["dev", "", "test"]})
    assert mfcl.from_dataset(column, tmp_path / "column", progress=False).splits.tolist() == ["valid", "", "test"]
    with pytest.raises(ManifestError, match="a Dataset has none"):
        mfcl.from_dataset(column, tmp_path / "none", splits={"train": "train"}, progress=False)
    with pytest.raises(ManifestError, match="got IterableDataset; a streamed one"):
        mfcl.from_dataset(column.to_iterable_dataset(), tmp_path / "none", progress=False)


def test_rows_without_sound_are_named(clips: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sounds = [
        None,
        (b"", None),
        (None, None),
        (None, "/no/such.wav"),
        (None, "zip://a.wav::b.zip"),
        (clips[0], "a.wav"),
    ]
    given = made({"audio": sounds, "id": list("abcdef")})
    found = mfcl.from_dataset(given, tmp_path / "in", progress=False)
    assert found.ids.tolist() == ["f"]
    lines = (tmp_path / "in" / "failures.csv").read_text().splitlines()
    assert len(lines) == 6
    said = ("a,00000000: it has no sound,", "b,00000001: its bytes are empty,", "c,00000002: it has no sound,")
    assert all(line.startswith(begin) for line, begin in zip(lines[1:4], said, strict=True))
    assert "there is no file /no/such.wav" in lines[4]
    assert "within an archive" in lines[5]
    assert "5 recordings left out, the first: 00000000: it has no sound" in capsys.readouterr().err
    with pytest.raises(AudioError, match="00000000: it has no sound"):
        mfcl.from_dataset(given, tmp_path / "strict", strict=True, progress=False)
    with pytest.raises(AudioError, match="none of 5 recordings could be read; the first: 00000000"):
        mfcl.from_dataset(given.select(range(5)), tmp_path / "none", progress=False)
    assert not (tmp_path / "none" / "manifest.csv").exists()


def test_what_is_no_column_of_audio_is_one_line(clips: list[bytes], tmp_path: Path) -> None:
    given = made({"audio": [(clips[0], None)], "digit": [3]}, digit=Value("int64"))
    with pytest.raises(ManifestError, match="no column is called 'sound'; use one of audio, digit"):
        mfcl.from_dataset(given, tmp_path / "in", audio="sound")
    with pytest.raises(ManifestError, match=r"the column 'digit' holds Value\('?i?n?t?"):
        mfcl.from_dataset(given, tmp_path / "in", audio="digit")
    with pytest.raises(ManifestError, match="the data set has none; name one"):
        mfcl.from_dataset(given.remove_columns(["audio"]), tmp_path / "in")
    assert not (tmp_path / "in").exists()


def test_a_stopped_call_leaves_no_half_file_and_goes_on(
    clips: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    given = made({"audio": [(clips[number % 3], f"{number}.wav") for number in range(100)]})
    whole = mfcl.from_dataset(given, tmp_path / "whole", progress=False)
    real, calls = sound_files.replacing, []

    def full(path: Path) -> Any:
        calls.append(path)
        if len(calls) > 40:
            raise MfclError(f"{path}: cannot be written (No space left on device); free some space")
        return real(path)

    monkeypatch.setattr(sound_files, "replacing", full)
    with pytest.raises(MfclError, match="No space left"):
        mfcl.from_dataset(given, folder, progress=False)
    assert not (folder / "manifest.csv").exists()
    first = sorted(path for path in folder.rglob("*.wav"))
    assert 30 < len(first) <= 40
    times = {path: path.stat().st_mtime_ns for path in first}
    torn = folder / "audio" / "00000" / "00000003_3.wav"
    torn.write_bytes(clips[0][:100])  # as a crash of the machine might leave it
    left = folder / "audio" / "00000" / ".00000099_99.wav.1.0123abcd.tmp"
    left.write_bytes(b"half")
    monkeypatch.setattr(sound_files, "replacing", real)
    found = mfcl.from_dataset(given, folder, progress=False)
    assert contents(found) == contents(whole)
    assert facts(found) == facts(whole)
    assert not left.exists()
    assert all(path.stat().st_mtime_ns == time for path, time in times.items() if path != torn)
    with pytest.raises(ManifestError, match="a data set with other splits or numbers of rows"):
        mfcl.from_dataset(given.select(range(9)), folder, progress=False)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("mine")
    with pytest.raises(ManifestError, match=r"it holds mine.txt and no dataset.json; choose an empty folder"):
        mfcl.from_dataset(given, tmp_path / "used", progress=False)


def test_a_killed_process_goes_on(clips: list[bytes], tmp_path: Path) -> None:
    sounds = [(clips[0], f"{number}.wav") for number in range(300)]
    made({"audio": sounds}).save_to_disk(str(tmp_path / "set"))
    script = (
        "import os, sys\nfrom mfcl.hf_datasets import sound_files\nreal = sound_files.replacing\ncalls = []\n"
        "def dying(path):\n    calls.append(path)\n    made = real(path)\n"
        "    if len(calls) == 150:\n        temporary = made.__enter__()\n        temporary.write_bytes(b'half')\n"
        "        os.kill(os.getpid(), 9)\n    return made\n"
        "sound_files.replacing = dying\nfrom mfcl.cli import main\nmain(sys.argv[1:])\n"
    )
    words = ["import", "datasets", str(tmp_path / "set"), "--out", str(tmp_path / "in")]
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-c", script, *words], check=False, env=environment, capture_output=True)
    assert done.returncode == -9, done.stderr
    assert 100 < len(list((tmp_path / "in").rglob("*.wav"))) < 200
    assert not (tmp_path / "in" / "manifest.csv").exists()
    assert main(words) == 0
    found = open_manifest(tmp_path / "in")
    assert contents(found) == [clips[0]] * 300
    assert list((tmp_path / "in").rglob("*.tmp")) == []


def test_in_out_in_gives_the_same_sound_labels_and_splits(tmp_path: Path) -> None:
    corpus = open_manifest(write_corpus(tmp_path / "corpus", speakers=3, digits=2, takes=2))
    splits = ["train" if one.label("speaker") != "03" else "test" for one in corpus]
    listed = corpus.with_splits(splits)
    out = mfcl.to_dataset(listed)
    assert out.column_names == ["audio", "id", "split", "speaker", "digit", "take"]
    assert out.features["audio"] == Audio(decode=False)
    assert out[0]["audio"] == {"bytes": None, "path": str(corpus.recordings[0].path)}
    inside = mfcl.to_dataset_dict(listed, arrow=tmp_path / "corpus.arrow", progress=False)
    assert {name: len(rows) for name, rows in inside.items()} == {"train": 8, "test": 4}
    assert inside["test"][0]["audio"]["bytes"] == listed.subset("test").recordings[0].path.read_bytes()
    inside.save_to_disk(str(tmp_path / "saved"))
    back = mfcl.from_dataset(open_source(tmp_path / "saved"), tmp_path / "back", progress=False)
    order = np.argsort(np.array(splits) == "test", kind="stable")
    assert facts(back) == facts(listed.select(order))
    assert contents(back) == contents(listed.select(order))
    third = mfcl.from_dataset(mfcl.to_dataset(back), tmp_path / "third", progress=False)
    assert facts(third) == facts(back)
    assert [one.path for one in third] == [one.path for one in back]
    out.save_to_disk(str(tmp_path / "by-path"))  # the package puts the bytes in
    shutil.rmtree(tmp_path / "corpus")
    last = mfcl.from_dataset(open_source(tmp_path / "by-path"), tmp_path / "last", progress=False)
    assert sorted(contents(last)) == sorted(contents(back))
    assert sorted(facts(last)) == sorted(facts(back))


def test_rows_of_a_shuffled_and_cut_data_set_are_its_own(clips: list[bytes], tmp_path: Path) -> None:
    given = made({"audio": [(clips[number % 3] + bytes([number]), None) for number in range(90)], "n": list(range(90))},
                 n=Value("int32")).shuffle(seed=1).select(range(70))  # fmt: skip
    found = mfcl.from_dataset(given, tmp_path / "in", progress=False)
    assert [int(one.labels["n"]) for one in found] == given["n"][:]
    assert [content[-1] for content in contents(found)] == given["n"][:]


def test_embedding_a_data_set_is_embedding_its_files(tmp_path: Path) -> None:
    from mfcl.checkpoint import load_checkpoint
    from mfcl.embedding_lists import embed
    from tests.small_model import SETTINGS, saved

    folder = saved(SETTINGS, tmp_path / "model").folder
    corpus = write_corpus(tmp_path / "corpus", speakers=2, digits=2, takes=1)
    direct = embed(load_checkpoint(folder), open_manifest(corpus), progress=False)
    inside = mfcl.to_dataset(corpus, arrow=tmp_path / "corpus.arrow", embeddings=direct, progress=False)
    assert inside.features["embedding"] == datasets.Sequence(Value("float32"), length=direct.dim)
    np.testing.assert_array_equal(np.array(inside["embedding"][:], dtype=np.float32), direct.vectors)
    found = mfcl.from_dataset(inside, tmp_path / "in", progress=False)
    assert list(found.label_names) == ["speaker", "digit", "take"]
    again = embed(load_checkpoint(folder), found, progress=False)
    np.testing.assert_array_equal(again.vectors, direct.vectors)
    assert again.ids.tolist() == direct.ids.tolist()


def test_vectors_go_to_recordings_by_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = open_manifest(write_corpus(tmp_path / "corpus", speakers=1, digits=3, takes=1))
    ids = np.array([*corpus.ids[::-1], "other"])
    values = np.arange(8, dtype=np.float32).reshape(4, 2)
    vectors = Embeddings(values, ids, {"digit": np.array(["2", "1", "", "9"])}, {}, np.array(["test", "", "", "train"]))
    vectors.save(tmp_path / "vectors.npz")
    vectors.save(tmp_path / "vectors.parquet")
    for path in (tmp_path / "vectors.npz", tmp_path / "vectors.parquet"):
        found = mfcl.to_dataset(corpus, embeddings=path)
        assert found["embedding"][:] == values[[2, 1, 0]].tolist()
        assert "note: 1 of 4 vectors is of no recording in the list" in capsys.readouterr().err
    assert mfcl.to_dataset(tmp_path / "vectors.parquet")["id"][:] == ids.tolist()
    alone = mfcl.to_dataset(tmp_path / "vectors.npz")
    assert alone.column_names == ["id", "split", "digit", "embedding"]
    assert (alone["digit"][:], alone["split"][:]) == (["2", "1", None, "9"], ["test", None, None, "train"])
    with pytest.raises(MeasureError, match=r"1 of 3 recordings has no vector, the first .*; ids of the vectors are"):
        mfcl.to_dataset(corpus, embeddings=vectors.select(np.array([0, 2])))
    with pytest.raises(MeasureError, match="'other' has several vectors"):
        mfcl.to_dataset(corpus, embeddings=vectors.select(np.array([0, 1, 2, 3, 3])))
    with pytest.raises(ManifestError, match="2 of 4 recordings have no split"):
        mfcl.to_dataset_dict(vectors)
    with pytest.raises(ManifestError, match="embeddings alone have no sound"):
        mfcl.to_dataset(vectors, arrow=tmp_path / "none.arrow")
    with pytest.raises(ManifestError, match="got other embeddings"):
        mfcl.to_dataset(vectors, embeddings=vectors)


def test_parts_of_a_file_are_cut_and_never_the_whole_file(tmp_path: Path) -> None:
    wave = (tone(2.0, 300.0) * 20000).astype(np.int16)
    soundfile.write(tmp_path / "long.wav", wave, 16000, subtype="PCM_16")
    rows = [Recording("a", tmp_path / "long.wav", 0.5, 1.0), Recording("b", tmp_path / "long.wav", 1.5, None)]
    listed = Manifest(tuple(rows), tmp_path)
    with pytest.raises(ManifestError, match=r"2 of 2 recordings are parts of files, .* the first 'a'; name a file"):
        mfcl.to_dataset(listed)
    cut = mfcl.to_dataset(listed, arrow=tmp_path / "cut.arrow", progress=False)
    found = mfcl.from_dataset(cut, tmp_path / "in", progress=False)
    sounds = [soundfile.read(one.path, dtype="int16")[0] for one in found]
    np.testing.assert_array_equal(sounds[0], wave[8000:16000])
    np.testing.assert_array_equal(sounds[1], wave[24000:])
    assert {one.path.suffix for one in found} == {".flac"}
    assert [one.start for one in found] == [None, None]
    broken = Manifest((Recording("c", tmp_path / "long.wav", 5.0, 6.0),), tmp_path)
    with pytest.raises(AudioError):
        mfcl.to_dataset(broken, arrow=tmp_path / "broken.arrow", progress=False)
    assert not (tmp_path / "broken.arrow").exists()


def test_a_pack_goes_out_with_its_bytes(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", speakers=1, digits=2, takes=1)
    pack(corpus, tmp_path / "packed", progress=False)
    with pytest.raises(ManifestError, match="inside tars of a pack"):
        mfcl.to_dataset(tmp_path / "packed")
    inside = mfcl.to_dataset(tmp_path / "packed", arrow=tmp_path / "packed.arrow", progress=False)
    found = mfcl.from_dataset(inside, tmp_path / "in", progress=False)
    for one, file in zip(found, sorted(corpus.rglob("*.wav")), strict=True):
        np.testing.assert_array_equal(soundfile.read(one.path)[0], soundfile.read(file)[0])


def test_what_cannot_go_out_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = open_manifest(write_corpus(tmp_path / "corpus", speakers=1, digits=2, takes=1))
    first = corpus.recordings[0]
    named = Manifest((Recording("a", first.path, labels={"embedding": "x"}),), tmp_path)
    with pytest.raises(ManifestError, match="a label cannot be called 'embedding'"):
        mfcl.to_dataset(named)
    absent = Manifest((first, Recording("b", tmp_path / "no.wav")), tmp_path)
    with pytest.raises(ManifestError, match=r"1 of 2 files does not exist, the first .*no.wav"):
        mfcl.to_dataset(absent)
    with pytest.raises(AudioError, match=r"no.wav: cannot be read \(No such file"):
        mfcl.to_dataset(absent, arrow=tmp_path / "no.arrow", progress=False)
    assert not (tmp_path / "no.arrow").exists()
    from mfcl.core.urls import UrlPath

    remote = Manifest((Recording("c", UrlPath("https://example.org/a.wav")),), tmp_path)
    with pytest.raises(ManifestError, match="1 of 1 recording is at URLs"):
        mfcl.to_dataset(remote)
    monkeypatch.setitem(sys.modules, "datasets", None)
    for call in (mfcl.to_dataset, mfcl.to_dataset_dict, lambda given: mfcl.from_dataset(given, tmp_path / "in")):
        with pytest.raises(MissingExtraError, match=r"pip install 'mfcl\[datasets\]'"):
            call(corpus)


def test_the_command_takes_a_folder_of_parquet_and_one_of_save_to_disk(
    clips: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = made({"audio": [(content, "same.wav") for content in clips], "word": list("abc")})
    (tmp_path / "birds" / "data").mkdir(parents=True)
    one.to_parquet(str(tmp_path / "birds" / "data" / "train-00000-of-00001.parquet"))
    one.select([2]).to_parquet(str(tmp_path / "birds" / "data" / "test-00000-of-00001.parquet"))
    assert main(["import", "datasets", str(tmp_path / "birds"), "--out", str(tmp_path / "in")]) == 0
    assert (
        "4 recordings, 4 of them in files of this folder, the others in files where they are; labels: word"
        in capsys.readouterr().out
    )
    found = open_manifest(tmp_path / "in")
    assert contents(found) == [*clips, clips[2]]
    assert found.splits.tolist() == ["train", "train", "train", "test"]
    assert found.column("word").tolist() == ["a", "b", "c", "c"]
    words = ["import", "datasets", str(tmp_path / "birds"), "--out", str(tmp_path / "some"), "--split", "test=valid"]
    assert main([*words, "--audio", "audio"]) == 0
    assert open_manifest(tmp_path / "some").splits.tolist() == ["valid"]
    datasets.DatasetDict({"train": one}).save_to_disk(str(tmp_path / "saved"))
    assert main(["import", "datasets", str(tmp_path / "saved"), "--out", str(tmp_path / "in2")]) == 0
    assert contents(open_manifest(tmp_path / "in2")) == clips


def test_an_id_is_asked_of_the_hub_and_no_code_is_allowed(
    clips: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def load_dataset(place: str, **options: Any) -> Any:
        asked.append((place, options))
        return datasets.DatasetDict({"train": made({"audio": [(clips[0], "a.wav")]})})

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    words = ["import", "datasets", "someone/birds", "--out", "in", "--config", "en", "--revision", "v1"]
    assert main(words) == 0
    assert asked == [("someone/birds", {"name": "en", "revision": "v1", "trust_remote_code": False})]
    assert contents(open_manifest("in")) == clips[:1]


def test_what_cannot_be_loaded_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "scripted"
    script.mkdir()
    (script / "scripted.py").write_text(f"open({str(tmp_path / 'trap')!r}, 'w')\n")
    (tmp_path / "empty").mkdir()
    torn = tmp_path / "torn"
    torn.mkdir()
    (torn / "state.json").write_text("{}")
    cases = (
        (["someone/no-such-set"], "someone/no-such-set: cannot be loaded as a data set ("),
        (["no-such-folder"], "no such folder, and no id of a data set on the hub"),
        ([str(script)], "cannot be loaded as a data set ("),
        ([str(tmp_path / "empty")], "cannot be loaded as a data set ("),
        ([str(torn)], "cannot be loaded as a data set ("),
        ([str(torn), "--config", "en"], "a folder of save_to_disk has no configurations"),
        ([str(torn), "--split", "train"], "--split 'train': wanted NAME=SPLIT"),
    )
    for words, said in cases:
        assert main(["import", "datasets", *words, "--out", str(tmp_path / "in")]) == 2, words
        error = capsys.readouterr().err
        assert said in error, error
        assert error.startswith("mfcl: "), error
        assert error.count("\n") == 1, error
    assert main(["import", "panns", "a.pth", "--out", str(tmp_path / "in"), "--audio", "x"]) == 2
    assert "are for data sets; leave them out" in capsys.readouterr().err
    with pytest.raises(ManifestError, match="no such folder, and no id"):
        open_source("s3://birds/set")
    assert not (tmp_path / "trap").exists()
    assert not (tmp_path / "in").exists()


def test_neither_the_library_nor_its_help_loads_the_package() -> None:
    code = (
        "import sys, mfcl, mfcl.cli\nmfcl.from_dataset, mfcl.to_dataset\nmfcl.cli.parser().format_help()\n"
        "print([name for name in ('datasets', 'pyarrow', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_the_example_of_the_documents_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "use-elsewhere.md").read_text(encoding="utf-8")
    section = text.partition("## Data sets of Hugging Face")[2].partition("\n## ")[0]
    block = section.partition("```python\n")[2].partition("```")[0]
    assert "from_dataset" in block
    write_corpus(tmp_path / "recordings", speakers=2, digits=2, takes=1)
    monkeypatch.chdir(tmp_path)
    corpus = open_manifest("recordings")
    splits = ["train", "train", "valid", "test"]
    write_manifest(corpus.with_splits(splits), Path("list.csv"))
    Embeddings(np.ones((4, 3), np.float32), corpus.ids, {}, {}, np.array(splits)).save("vectors.npz")
    exec(block, {})
    assert open_manifest("again").splits.tolist() == splits
    assert sorted(contents(open_manifest("again"))) == sorted(contents(corpus))
