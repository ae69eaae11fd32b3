"""`mfcl classify`, `mfcl similar` and `mfcl map` from sound to files, and what they say when something is wrong."""

import csv
import dataclasses
import json
import os
import re
import shutil
import weakref
from pathlib import Path

import numpy as np
import pytest
import soundfile

import mfcl
from mfcl import cli
from mfcl.checkpoint import model_digest
from mfcl.classification import applying
from mfcl.data.manifest_csv import read_manifest
from mfcl.embeddings.blocks import load_embeddings
from mfcl.embeddings.table import Embeddings
from mfcl.labelling import UNKNOWN
from mfcl.report.clip_map import write_map
from tests.recipes import tiny_recipe
from tests.sounds import tone, word, write_corpus


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, two tiny models, embeddings of it, labels of a few of its clips, and a classifier."""
    folder = tmp_path_factory.mktemp("desk")
    corpus = write_corpus(folder / "corpus", speakers=8, digits=3, takes=2)
    for seed in (0, 1):
        mfcl.train(
            corpus, folder / f"run{seed}", recipe=tiny_recipe(folder), overrides=["model.voices=statistics"],
            seed=seed, cache=folder / "cache", progress=False,
        )  # fmt: skip
    run("embed", folder / "run0", corpus, "--out", folder / "e.npz", "--quiet")
    rows = [
        (f"data/{voice:02d}/{digit}_{voice:02d}_0.wav", f"word {digit}") for voice in (1, 4, 7) for digit in range(3)
    ]
    write_rows(folder / "labels.csv", ("path", "word"), [(f"corpus/{path}", name) for path, name in rows])
    write_rows(folder / "ids.csv", ("id", "word"), rows)
    run("classify", folder / "run0", corpus, "--labels", folder / "labels.csv", "--fit", folder / "made", "--quiet")
    return folder


def write_rows(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run(*words):
    assert cli.main([str(one) for one in words]) == 0


def refused(capsys, *words):
    capsys.readouterr()
    assert cli.main([str(one) for one in words]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mfcl: ")]
    return line


def test_a_folder_becomes_a_csv_of_classes(desk, tmp_path, capsys):
    run("classify", desk / "made", desk / "corpus", "--out", tmp_path / "found.csv")
    found = rows_of(tmp_path / "found.csv")
    assert len(found) == 48
    assert {one["class"] for one in found} <= {"word 0", "word 1", "word 2", UNKNOWN}
    right = [one["likeliest"] == f"word {Path(one['path']).name[0]}" for one in found]
    assert np.mean(right) > 0.6  # a model of seconds; guessing has a third
    assert all(0 < float(one["probability"]) <= 1 for one in found)
    assert "48 rows" in capsys.readouterr().out


@pytest.mark.parametrize("options", [[], ["--window", "0.2"]])
def test_what_is_to_be_said_of_the_recordings_is_said_once(options, desk, tmp_path, capsys):
    one = next((desk / "corpus").rglob("*.wav"))
    (tmp_path / "one.wav").write_bytes(one.read_bytes())
    (tmp_path / "two.m4a").write_bytes(b"sound")
    capsys.readouterr()
    run("classify", desk / "made", tmp_path, "--out", tmp_path / "found.csv", *options)
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert notes == ["note: files whose formats cannot be read are passed over: 1 .m4a; convert them to FLAC or WAV"]


@pytest.mark.parametrize("options", [[], ["--window", "0.2"]])
def test_a_file_that_is_no_sound_is_one_line(options, desk, tmp_path, capsys):
    (tmp_path / "text.wav").write_text("no sound")
    capsys.readouterr()
    assert cli.main(["classify", str(desk / "made"), str(tmp_path / "text.wav"), *options]) == 2
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith(f"mfcl: {tmp_path / 'text.wav'}: not a readable audio file")
    assert said.out == ""


def test_embeddings_and_recordings_have_one_answer(desk, tmp_path):
    run("classify", desk / "made", desk / "corpus", "--out", tmp_path / "sound.csv")
    run("classify", desk / "made", desk / "e.npz", "--out", tmp_path / "vectors.csv")
    sound, vectors = rows_of(tmp_path / "sound.csv"), rows_of(tmp_path / "vectors.csv")
    assert [one["id"] for one in sound] == [one["id"] for one in vectors]
    assert [one["likeliest"] for one in sound] == [one["likeliest"] for one in vectors]
    for one, other in zip(sound, vectors, strict=True):
        assert float(one["probability"]) == pytest.approx(float(other["probability"]), abs=2e-3)


def test_embeddings_in_parquet_are_taken_as_those_of_an_archive(desk, long, tmp_path, capsys):
    pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    vectors = tmp_path / "e.parquet"
    load_embeddings(desk / "e.npz").save(vectors)
    answers = []
    for source in (desk / "e.npz", vectors):
        run("classify", desk / "made", source, "--out", tmp_path / "found.csv")
        run("classify", desk / "run0", source, "--labels", desk / "ids.csv", "--draw", "9", "--out", tmp_path / "d.csv")
        capsys.readouterr()
        run("similar", source, "data/04/2_04_1.wav", "--json")
        answers.append((rows_of(tmp_path / "found.csv"), rows_of(tmp_path / "d.csv"), capsys.readouterr().out))
    assert answers[0] == answers[1]
    run("embed", desk / "run0", long, "--window", "0.3", "--hop", "0.1", "--out", tmp_path / "w.parquet", "--quiet")
    run(
        "classify",
        desk / "made",
        tmp_path / "w.parquet",
        "--events",
        "--begin",
        "0.1",
        "--out",
        tmp_path / "ev.csv",
    )
    events = rows_of(tmp_path / "ev.csv")
    assert [(one["label"], one["start"], one["end"]) for one in events] == [
        ("word 1", "1.1", "1.2"),
        ("word 1", "2.6", "2.7"),
    ]  # what is said, and no silence


def test_a_classifier_is_described(desk, capsys):
    capsys.readouterr()
    run("info", desk / "made")
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if len(line.split()) > 1)
    made = mfcl.load_classifier(desk / "made")
    assert said["classes"] == ", ".join(made.classes.tolist())
    assert said["labels"] == f"{made.about['labels']} of {made.about['recordings']} recordings"
    assert said["model"] == str((desk / "run0").resolve() / "model")


def test_labels_by_id_on_embeddings_fit_the_same_classifier(desk, tmp_path, capsys):
    run("classify", desk / "run0", desk / "e.npz", "--labels", desk / "ids.csv", "--fit", tmp_path / "made")
    said = capsys.readouterr().out
    assert "labelled" in said
    assert "spread by" in said
    one, other = (json.loads((folder / "classifier.json").read_text()) for folder in (desk / "made", tmp_path / "made"))
    assert one["model"] == other["model"] == model_digest(mfcl.load_checkpoint(desk / "run0"))
    assert one["farthest"] == pytest.approx(other["farthest"], abs=1e-3)


def parted(desk, folder):
    """The labels in two files, of which the second says one label again, under another name of the column."""
    first, second = (rows_of(desk / "ids.csv")[part] for part in (slice(0, 5), slice(4, None)))
    write_rows(folder / "a.csv", ("id", "word"), [(one["id"], one["word"]) for one in first])
    write_rows(folder / "b.csv", ("id", "label"), [(one["id"], one["word"]) for one in second])
    return [folder / "a.csv", folder / "b.csv"]


def test_labels_in_two_files_are_those_of_one(desk, tmp_path, capsys):
    both = parted(desk, tmp_path)
    run("classify", desk / "run0", desk / "e.npz", "--labels", desk / "ids.csv", "--fit", tmp_path / "one")
    run("classify", desk / "run0", desk / "e.npz", "--labels", *both, "--fit", tmp_path / "two")
    said = capsys.readouterr().err
    assert f"note: labels are of 'word' in {both[0]} and of 'label' in {both[1]}" in said
    run("classify", desk / "run0", desk / "e.npz", "--labels", both[0], "--labels", both[1], "--fit", tmp_path / "each")
    one, two, each = ((tmp_path / name / "classifier.safetensors").read_bytes() for name in ("one", "two", "each"))
    assert one == two == each


def test_clips_to_label_are_none_that_either_file_labels(desk, tmp_path):
    both = parted(desk, tmp_path)
    words = ("classify", desk / "run0", desk / "e.npz", "--suggest", "9", "--out", tmp_path / "next.csv")
    run(*words, "--labels", *both)
    found = {one["id"] for one in rows_of(tmp_path / "next.csv")}
    assert len(found) == 9
    assert not found & {one["id"] for one in rows_of(desk / "ids.csv")}
    run(*words, "--labels", desk / "ids.csv")
    assert {one["id"] for one in rows_of(tmp_path / "next.csv")} == found


@pytest.mark.parametrize("option", ["--suggest", "--draw"])
def test_clips_that_the_data_label_are_listed_only_where_all_have_labels(desk, tmp_path, option, capsys):
    table = load_embeddings(desk / "e.npz")
    given = np.where(np.arange(48) < 40, table.label("digit"), "")
    dataclasses.replace(table, labels={"digit": given, "other": given}).save(tmp_path / "few.npz")
    unlabelled, out = set(table.ids[40:].tolist()), tmp_path / "list.csv"
    for label in ((), ("--label", "other")):  # what --fit would take
        run("classify", desk / "run0", tmp_path / "few.npz", option, "8", *label, "--out", out)
        assert {one["id"] for one in rows_of(out)} == unlabelled
    run("classify", desk / "run0", desk / "e.npz", option, "30", "--out", out)  # true labels of all: to try it out
    assert len(rows_of(out)) == 30
    (tmp_path / "labels.csv").write_text((desk / "ids.csv").read_text() + "nobody.wav,word 1\n")
    run("classify", desk / "run0", desk / "e.npz", option, "8", "--labels", tmp_path / "labels.csv", "--out", out)
    assert "note: " in (said := capsys.readouterr().err)
    assert "1 row names no recording, the first 'nobody.wav'" in said


@pytest.mark.parametrize("option", ["--suggest", "--draw"])
def test_labels_that_somebody_wrote_are_not_lost_to_a_second_list(desk, tmp_path, option, capsys):
    out = tmp_path / "label.csv"
    words = ("classify", desk / "run0", desk / "e.npz", option, "5", "--out", out)
    run(*words)
    run(*words)  # nothing was filled in yet
    names = [one["id"] for one in rows_of(out)]
    write_rows(out, ("id", "label"), [(name, "word 1" if place < 2 else "") for place, name in enumerate(names)])
    filled = out.read_bytes()
    assert "label.csv: 2 of its rows have labels, which would be lost; give another --out" in refused(capsys, *words)
    assert out.read_bytes() == filled
    out.write_bytes("id;label\nx;Ger\u00e4usch\n".encode("latin-1"))  # as a spreadsheet may save it
    assert "it is there and is no list of clips" in refused(capsys, *words)


def test_a_recording_with_two_labels_in_two_files_is_one_line_that_names_both(desk, tmp_path, capsys):
    first, second = parted(desk, tmp_path)
    name = rows_of(first)[-1]["id"]
    second.write_text(second.read_text().replace(f"{name},word 1", f"{name},word 2"))
    line = refused(
        capsys, "classify", desk / "run0", desk / "e.npz", "--labels", first, second, "--fit", tmp_path / "made"
    )
    assert line == f"mfcl: {second}: '{name}' is labelled 'word 2', but 'word 1' in {first}; keep one of them"
    assert not (tmp_path / "made").exists()


def test_fit_on_takes_a_list_of_label_files(desk, tmp_path):
    both = parted(desk, tmp_path)
    one = mfcl.fit_on(desk / "run0", desk / "e.npz", desk / "ids.csv", progress=False)
    two = mfcl.fit_on(desk / "run0", desk / "e.npz", [str(both[0]), both[1]], progress=False)
    assert two.labels.values.tolist() == one.labels.values.tolist()
    assert two.labels.name == one.labels.name == "word"
    with pytest.raises(mfcl.MfclError, match="wanted one or more CSVs, got none"):
        mfcl.fit_on(desk / "run0", desk / "e.npz", [], progress=False)


@pytest.mark.parametrize("kind", ["None where unknown", "numbers"])
def test_fit_on_takes_an_array_of_labels_as_a_collection_does(desk, kind):
    found = load_embeddings(desk / "e.npz")
    digits, drawn = found.label("digit"), found.label("take") == "0"
    labels = np.where(drawn, digits.astype(object), None) if kind.startswith("None") else digits.astype(np.int64)
    given = drawn if kind.startswith("None") else np.ones(len(found), dtype=bool)
    made = mfcl.fit_on(desk / "run0", found, labels, progress=False)
    assert made.labels.values.tolist() == np.where(given, digits, "").tolist()
    assert len(made.fitted.classifier.about["labelled"]) == given.sum()  # those that `--check` says are not held out
    assert made.notes == made.fitted.notes


def test_one_file_prints_its_class(desk, capsys):
    capsys.readouterr()
    run("classify", desk / "made", desk / "corpus" / "data" / "03" / "1_03_1.wav", "--format", "json")
    (one,) = json.loads(capsys.readouterr().out)
    assert one["id"] == "1_03_1.wav"


@pytest.fixture(scope="module")
def long(desk):
    """Four seconds in which word 1 is said at 1.0 and 2.5 s, in silence."""
    samples = np.zeros(64_000, dtype=np.float32)
    for start in (16_000, 40_000):
        samples[start : start + 4800] = word(3, 1)[:4800]
    soundfile.write(desk / "long.wav", samples, 16_000)
    return desk / "long.wav"


def test_windows_have_times_and_each_is_what_it_is_alone(desk, long, tmp_path, capsys):
    run("classify", desk / "made", long, "--window", "0.3", "--hop", "0.1", "--out", tmp_path / "windows.csv")
    assert capsys.readouterr().out.split()[:2] == ["class", "windows"]
    found = rows_of(tmp_path / "windows.csv")
    assert [float(one["start"]) for one in found] == pytest.approx(np.arange(38) * 0.1)
    assert all(float(one["end"]) - float(one["start"]) == pytest.approx(0.3) for one in found)
    alone = mfcl.load(desk / "run0").encode_windows(long, window=0.3, hop=0.1)
    table = load_embeddings(desk / "e.npz")
    made = mfcl.load_classifier(desk / "made")
    own = made.predict(
        mfcl.Embeddings(alone.vectors, np.arange(38).astype(str), {}, table.parts, np.full(38, ""), table.model)
    )
    assert [one["likeliest"] for one in found] == own.likeliest.tolist()


def test_windows_of_recordings_and_of_embeddings_have_one_name_and_are_read_back_as_a_list(
    desk, long, tmp_path, monkeypatch, capsys
):
    words = ("--window", "0.3", "--hop", "0.1")
    monkeypatch.chdir(desk)
    (tmp_path / "deep").mkdir()
    run("classify", "made", "long.wav", *words, "--out", tmp_path / "deep" / "w.csv")
    run("embed", "run0", "long.wav", *words, "--out", tmp_path / "w.npz", "--quiet")
    found = rows_of(tmp_path / "deep" / "w.csv")
    assert [one["id"] for one in found] == load_embeddings(tmp_path / "w.npz").ids.tolist()
    assert [one["id"] for one in found[:2]] == ["long.wav@0.0", "long.wav@0.1"]
    read = read_manifest(tmp_path / "deep" / "w.csv")
    assert [(one.path, one.start) for one in read] == [(long, float(one["start"])) for one in found]
    run("scan", tmp_path / "deep" / "w.csv", "--quiet")
    run("classify", "run0", tmp_path / "w.npz", "--labels", tmp_path / "deep" / "w.csv", "--label", "likeliest",
        "--fit", tmp_path / "f")  # fmt: skip


def test_a_silent_window_is_unknown_whatever_its_vector_is_near_to(desk, long):
    """As a scan leaves silent windows out, and silent files are refused."""
    near = dataclasses.replace(mfcl.load_classifier(desk / "made"), farthest=2.0)
    (found,) = mfcl.classify_windows(near, long, window=0.3, hop=0.1, model=desk / "run0")
    silent = (found.starts > 1.35) & (found.starts < 2.15)
    assert silent.sum() > 5
    assert set(found.predictions.labels[silent].tolist()) == {"unknown"}
    assert found.predictions.labels[10] == found.predictions.likeliest[10] != "unknown"


def test_windows_of_several_recordings_are_those_of_each_alone(desk, tmp_path):
    made = mfcl.load_classifier(desk / "made")
    folder = tmp_path / "some"
    (folder).mkdir()
    for name in ("0_01_0.wav", "1_01_0.wav", "2_01_1.wav"):
        shutil.copy(desk / "corpus" / "data" / "01" / name, folder)
    together = list(mfcl.classify_windows(made, folder, window=0.1, hop=0.05))
    names = ["0_01_0.wav", "1_01_0.wav", "2_01_1.wav"]
    assert [one.ids[0] for one in together] == [f"{name}@0.0" for name in names]
    for name, one in zip(names, together, strict=True):
        (alone,) = mfcl.classify_windows(made, folder / name, window=0.1, hop=0.05)
        assert np.array_equal(alone.starts, one.starts)
        assert alone.predictions.probabilities == pytest.approx(one.predictions.probabilities, abs=1e-5)


@pytest.mark.parametrize("format", ["csv", "json", "raven", "audacity", "rttm"])
def test_windows_become_events_in_every_format(desk, long, tmp_path, format, capsys):
    out = tmp_path / "events.txt"
    run(
        "classify", desk / "made", long, "--window", "0.3", "--hop", "0.1", "--events", "--format", format,
        "--begin", "1", "word 1=0.2", "--go-on", "0.1", "--gap", "0.2", "--out", out,
    )  # fmt: skip
    assert "2 events in 1 of 1 recording\n" in capsys.readouterr().out
    if format in ("csv", "raven"):
        found = read_manifest(out)
        assert all(0 <= one.start < one.end <= 4 for one in found)
    else:
        assert out.read_text()


def test_windows_become_events_as_they_come(desk, tmp_path, monkeypatch):
    alive = weakref.WeakSet()
    most = []

    class Counted(applying.Answers):
        def __init__(self, *words):
            super().__init__(*words)
            alive.add(self)
            most.append(len(alive))

    monkeypatch.setattr(applying, "Answers", Counted)
    run(
        "classify",
        desk / "made",
        desk / "corpus" / "data" / "03",
        "--window",
        "0.3",
        "--events",
        "--out",
        tmp_path / "e",
    )
    assert len(most) == 6
    assert max(most) <= 2


def test_settings_of_classes_add_up_and_one_that_is_given_twice_is_refused(desk, long, tmp_path, capsys):
    words = (
        "classify",
        desk / "made",
        long,
        "--window",
        "0.3",
        "--hop",
        "0.1",
        "--events",
        "--out",
        tmp_path / "e.csv",
    )
    asked = cli.parser().parse_args([str(one) for one in (*words, "--begin", "word 1=0.2", "--begin", "0.9", "x=1")])
    assert asked.begin == ["word 1=0.2", "0.9", "x=1"]
    twice = refused(capsys, *words, "--gap", "word 1=0.2", "--gap", "word 1=0.3")
    assert twice == "mfcl: --gap: two numbers for the class 'word 1'; give one"
    assert "--begin: two numbers for all classes; give one" in refused(capsys, *words, "--begin", "0.2", "0.3")


def test_events_of_embedded_segments_name_their_file_and_end_with_each_segment(desk, long, tmp_path):
    rows = [("long.wav", 0.9, 1.5), ("long.wav", 2.4, 3)]
    write_rows(desk / "parts.csv", ("path", "start", "end"), rows)
    run("embed", desk / "run0", desk / "parts.csv", "--window", "0.3", "--hop", "0.1", "--out", tmp_path / "w.npz")
    out = tmp_path / "events.csv"
    run("classify", desk / "made", tmp_path / "w.npz", "--events", "--begin", "0.01", "--out", out)
    found = rows_of(out)
    assert {one["path"] for one in found} == {"long.wav"}
    assert all(any(start <= float(one["start"]) < float(one["end"]) <= end for _, start, end in rows) for one in found)


def test_events_of_embedded_recordings_keep_ids_that_look_like_segments(desk, long, tmp_path):
    names = ("dawn #1-2", "dawn #3-4")  # take numbers: times of a segment have a decimal point
    rows = [("long.wav", names[0], 0.9, 1.5), ("long.wav", names[1], 2.4, 3)]
    write_rows(desk / "takes.csv", ("path", "id", "start", "end"), rows)
    run("embed", desk / "run0", desk / "takes.csv", "--window", "0.3", "--hop", "0.1", "--out", tmp_path / "w.npz")
    out = tmp_path / "events.csv"
    run("classify", desk / "made", tmp_path / "w.npz", "--events", "--begin", "0.01", "--out", out)
    assert {one["path"] for one in rows_of(out)} == set(names)


def test_events_do_not_depend_on_the_order_in_which_windows_were_embedded(desk, long, tmp_path):
    made = tmp_path / "w.npz"
    run("embed", desk / "run0", long, "--window", "0.3", "--hop", "0.1", "--out", made)
    whole = load_embeddings(made)
    order = np.random.default_rng(0).permutation(len(whole))
    whole.select(order).save(tmp_path / "shuffled.npz")
    for name in ("w", "shuffled"):
        asked = ("classify", desk / "made", tmp_path / f"{name}.npz", "--events", "--begin", "0.01")
        run(*asked, "--out", tmp_path / f"{name}.csv")
    assert (tmp_path / "shuffled.csv").read_text() == (tmp_path / "w.csv").read_text()


@pytest.mark.parametrize("format", ["raven", "audacity"])
def test_a_format_of_one_recording_is_refused_before_anything_is_heard(desk, format, monkeypatch, capsys):
    monkeypatch.setattr(applying, "recording_windows", lambda *_, **__: pytest.fail("it has begun"))
    line = refused(capsys, "classify", desk / "made", desk / "corpus", "--window", "0.3", "--format", format)
    assert "is for one recording, got 48; give one file, or write csv" in line


def test_clips_to_label_are_listed_and_drawn_clips_say_how_accurate_it_is(desk, tmp_path, capsys):
    for option, name in (("--suggest", "next.csv"), ("--draw", "drawn.csv")):
        run(
            "classify",
            desk / "run0",
            desk / "e.npz",
            "--labels",
            desk / "ids.csv",
            option,
            "20",
            "--out",
            tmp_path / name,
        )
    known = {one["id"] for one in rows_of(desk / "ids.csv")}
    for name in ("next.csv", "drawn.csv"):
        listed = [one["id"] for one in rows_of(tmp_path / name)]
        assert len(set(listed)) == 20
        assert not known & set(listed)
    truth = [(one["id"], f"word {Path(one['id']).name[0]}") for one in rows_of(tmp_path / "drawn.csv")]
    write_rows(tmp_path / "drawn.csv", ("id", "label"), truth)
    capsys.readouterr()
    run("classify", desk / "made", desk / "e.npz", "--check", tmp_path / "drawn.csv")
    said = capsys.readouterr()
    assert re.search(r"accuracy: \d+ % \[\d+, \d+\] of 20 held-out labels", said.out)
    assert "note" not in said.err


def test_silent_recordings_are_not_listed_and_of_windows_that_may_be_silent_a_note_tells(desk, tmp_path, capsys):
    folder = tmp_path / "sounds"
    folder.mkdir()
    for number in range(4):
        soundfile.write(folder / f"{number}.wav", tone(1.0, 200 * (number + 1)) * (number != 2), 16000)
    capsys.readouterr()
    for option in ("--suggest", "--draw"):
        run("classify", desk / "run0", folder, option, "3", "--out", tmp_path / "list.csv", "--quiet")
        said = capsys.readouterr().err
        assert "1 recording left out, the first:" in said
        assert "silent" in said
        assert "note" not in said
        assert {one["id"] for one in rows_of(tmp_path / "list.csv")} == {"0.wav", "1.wav", "3.wav"}
    run("embed", desk / "run0", folder, "--window", "0.5", "--out", tmp_path / "w.npz", "--quiet")
    dataclasses.replace(load_embeddings(tmp_path / "w.npz"), silent=None).save(tmp_path / "old.npz")
    for name, told in (("w.npz", False), ("old.npz", True)):
        run("classify", desk / "run0", tmp_path / name, "--draw", "3", "--out", tmp_path / "list.csv")
        said = "note: these embeddings do not tell which windows are silent" in capsys.readouterr().err
        assert said is told


def test_classes_that_differ_by_capital_letters_alone_are_named(desk, tmp_path, capsys):
    names = ["Owl", "owl", "wren", "Unknown"]
    rows = [(one["id"], name) for one, name in zip(rows_of(desk / "ids.csv"), names, strict=False)]
    write_rows(tmp_path / "labels.csv", ("id", "word"), rows)
    capsys.readouterr()
    labels = ("--labels", tmp_path / "labels.csv")
    run("classify", desk / "run0", desk / "e.npz", *labels, "--fit", tmp_path / "made", "--quiet")
    said = capsys.readouterr().err
    assert "note: 'Owl' and 'owl' are different classes" in said
    assert "note: 'Unknown' and 'unknown' are different classes" in said


def test_labels_that_the_classifier_was_fitted_on_are_said_not_to_be_held_out(desk, tmp_path, capsys):
    others = [(one["id"], "word 0") for one in rows_of(desk / "ids.csv")[:2]] + [("data/02/0_02_0.wav", "word 0")]
    write_rows(tmp_path / "truth.csv", ("id", "label"), others)
    capsys.readouterr()
    run("classify", desk / "made", desk / "e.npz", "--check", tmp_path / "truth.csv")
    said = capsys.readouterr().err
    assert "note: 2 of the 3 labels are of ids that the classifier was fitted on" in said
    assert "label some that --draw lists, given --labels with what was labelled before" in said


def test_the_nearest_recording_to_a_copy_is_the_recording(desk, tmp_path, capsys):
    copy = tmp_path / "copy.wav"
    shutil.copy(desk / "corpus" / "data" / "04" / "2_04_1.wav", copy)
    capsys.readouterr()
    for source in ([desk / "run0"], [desk / "e.npz", "--model", desk / "run0"]):
        run("similar", *source, copy, "--count", "3", "--json")
        text = capsys.readouterr().out
        assert max(len(digits) for digits in re.findall(r"\d\.(\d+)", text)) <= 6
        found = json.loads(text)
        assert len(found) == 3
        assert found[0]["id"] == "data/04/2_04_1.wav"
        assert found[0]["distance"] == pytest.approx(0, abs=1e-3)
        assert found[0]["labels"]["speaker"] == "04"
    run("similar", desk / "e.npz", "data/04/2_04_1.wav", "--part", "voices")
    said = capsys.readouterr().out
    assert "data/04/2_04_1.wav" not in said
    assert len(said.splitlines()) == 12


def test_the_file_of_a_recording_is_not_found_as_most_similar_to_itself(desk, capsys, monkeypatch):
    monkeypatch.chdir(desk / "corpus")
    capsys.readouterr()
    for clip in (desk / "corpus/data/04/2_04_1.wav", "data/../data/04/2_04_1.wav"):
        run("similar", desk / "run0", clip, "--json")
        said = capsys.readouterr()
        assert "data/04/2_04_1.wav" not in {one["id"] for one in json.loads(said.out)}
        assert "note" not in said.err


@pytest.mark.parametrize("more", [[], ["--approximate"]])
def test_in_embeddings_alone_the_file_of_a_recording_is_not_found_either(desk, tmp_path, capsys, more):
    if more:
        pytest.importorskip("usearch")
    shutil.copy(desk / "e.npz", tmp_path)  # an index is made beside it
    words = (tmp_path / "e.npz", desk / "corpus/data/04/2_04_1.wav", "--model", desk / "run0", "--count", "47", *more)
    capsys.readouterr()
    run("similar", *words, "--json")
    found = [one["id"] for one in json.loads(capsys.readouterr().out)]
    assert len(found) == 47
    assert "data/04/2_04_1.wav" not in found
    other = tmp_path / "data/04/2_04_1.wav"  # another sound of that name
    other.parent.mkdir(parents=True)
    shutil.copy(desk / "corpus/data/02/0_02_0.wav", other)
    run("similar", words[0], other, *words[2:], "--json")
    assert "data/04/2_04_1.wav" in {one["id"] for one in json.loads(capsys.readouterr().out)}


def test_a_file_that_is_called_like_a_recording_is_said_not_to_be_taken(desk, tmp_path, capsys, monkeypatch):
    name = "data/04/2_04_1.wav"
    (tmp_path / name).parent.mkdir(parents=True)
    shutil.copy(desk / "corpus" / "data" / "02" / "0_02_0.wav", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    note = f"note: {name} is taken as the id of one of the recordings; for the file of that name give ./{name}\n"
    run("similar", desk / "e.npz", name, "--model", desk / "run0", "--json")
    said = capsys.readouterr()
    assert note in said.err
    assert name not in {one["id"] for one in json.loads(said.out)}
    run("similar", desk / "e.npz", f"./{name}", "--model", desk / "run0", "--json")
    said = capsys.readouterr()
    assert json.loads(said.out)[0]["id"] == "data/02/0_02_0.wav"
    assert "note" not in said.err
    run("similar", desk / "e.npz", name, "--json")
    assert capsys.readouterr().err == ""


def test_alignment_orders_the_nearest(desk, tmp_path):
    copy = tmp_path / "copy.wav"
    shutil.copy(desk / "corpus" / "data" / "04" / "2_04_1.wav", copy)
    found = mfcl.similar(desk / "run0", copy, data=desk / "corpus")  # this model has no landmarks
    assert found[0].id == "data/04/2_04_1.wav"
    assert found[0].aligned == pytest.approx(0, abs=1e-5)
    assert all(one.aligned > 0 for one in found[1:])
    plain = mfcl.similar(desk / "run0", copy, data=desk / "corpus", align=False)
    assert plain[0].aligned is None
    assert [one.distance for one in plain] == sorted(one.distance for one in plain)
    assert {one.id for one in found} != {one.id for one in plain} or found[1].id != plain[1].id


def test_a_recording_that_is_no_sound_any_more_cannot_be_aligned_with(desk, tmp_path, capsys):
    shutil.copytree(desk / "corpus", tmp_path / "corpus")
    (tmp_path / "corpus" / "data" / "04" / "2_04_0.wav").write_text("no sound")
    line = refused(
        capsys, "similar", desk / "e.npz", "data/04/2_04_1.wav", "--in", tmp_path / "corpus", "--model", desk / "run0",
        "--align", "yes",
    )  # fmt: skip
    assert "data/04/2_04_0.wav: not a readable audio file" in line


def test_refusals_are_one_line(desk, long, tmp_path, capsys):
    made, corpus = desk / "made", desk / "corpus"
    other = refused(capsys, "classify", made, corpus, "--model", desk / "run1")
    assert "bound to the model" in other
    run("embed", desk / "run1", corpus, "--out", tmp_path / "other.npz", "--quiet")
    assert "embeddings of two models cannot be compared" in refused(capsys, "classify", made, tmp_path / "other.npz")
    told = refused(
        capsys, "classify", desk / "run0", tmp_path / "other.npz", "--labels", desk / "ids.csv", "--fit", tmp_path / "f"
    )
    assert "wanted ones of the model" in told
    assert "not a classifier" in refused(capsys, "classify", desk / "run0", corpus)
    assert "a classifier already" in refused(capsys, "classify", made, corpus, "--fit", tmp_path / "f")
    assert "--window SECONDS too" in refused(capsys, "classify", made, long, "--events")
    assert "for events" in refused(capsys, "classify", made, long, "--window", "1", "--begin", "0.4")
    wrong = refused(capsys, "classify", made, long, "--window", "1", "--events", "--begin", "wrod 1=0.4")
    assert "no class is called 'wrod 1'" in wrong
    assert "wanted a number" in refused(capsys, "classify", made, long, "--window", "1", "--events", "--gap", "x")
    assert "got whole recordings" in refused(capsys, "classify", made, desk / "e.npz", "--events")
    assert "0.001 seconds or more" in refused(capsys, "classify", made, long, "--window", "0")
    sparse = refused(capsys, "classify", made, long, "--window", "0.3", "--hop", "1", "--events")
    assert "a hop of at most the window" in sparse
    assert "--hop, --events" in refused(capsys, "classify", made, desk / "e.npz", "--hop", "1")
    assert "neither a file nor the id" in refused(capsys, "similar", desk / "e.npz", "nobody.wav")
    assert "give --model" in refused(capsys, "similar", desk / "e.npz", long)
    assert "one of the two" in refused(
        capsys, "classify", desk / "run0", corpus, "--suggest", "3", "--draw", "3", "--out", tmp_path / "x"
    )


def test_options_that_would_be_ignored_and_numbers_out_of_range_are_refused_first(desk, tmp_path, capsys):
    fit = ("classify", desk / "run0", desk / "e.npz", "--labels", desk / "ids.csv", "--fit", tmp_path / "f")
    draw = ("classify", desk / "run0", desk / "e.npz", "--draw", "5", "--out", tmp_path / "d.csv")
    for more in (["--events"], ["--gap", "1"], ["--format", "raven"], ["--format", "audacity"], ["--hop", "1"]):
        assert "events are of a classifier: fit one" in refused(capsys, *fit, "--out", tmp_path / "a", *more)
        assert "leave out --format and the options of events" in refused(capsys, *draw, *more)
    suggest = ("classify", desk / "run0", desk / "e.npz", "--suggest", "5", "--out", tmp_path / "s.csv")
    for words in (draw, suggest):
        assert "choose clips without it" in refused(capsys, *words, "--align")
    for words in (fit, draw, suggest):
        assert "named first" in refused(capsys, *words, "--model", desk / "run1")
    assert "write a CSV of clips" in refused(capsys, *draw, "--format", "json")
    for words in (fit, draw, ("classify", desk / "made", desk / "e.npz", "--out", tmp_path / "a")):
        assert "least: wanted a number from 0 to 1" in refused(capsys, *words, "--least", "1.5")
    for words in (fit, draw, suggest):
        assert "give it where you classify" in refused(capsys, *words, "--least", "0.5")
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_not_utf_8_is_written_escaped(desk, tmp_path, capsys):
    sounds, answers = tmp_path / "sounds", tmp_path / "answers.csv"
    sounds.mkdir()
    shutil.copy(desk / "corpus" / "data" / "03" / "1_03_1.wav", sounds / os.fsdecode(b"caf\xe9.wav"))
    run("classify", desk / "made", sounds, "--out", answers)
    assert [(one["id"], one["path"]) for one in rows_of(answers)] == [("caf\\xe9.wav", str(sounds / "caf\\xe9.wav"))]
    capsys.readouterr()
    run("classify", desk / "made", sounds, "--window", "0.2", "--format", "rttm", "--begin", "0")
    assert {line.split()[1] for line in capsys.readouterr().out.splitlines()} == {"caf\\xe9"}


def test_a_true_unknown_is_said_to_count_as_right(desk, tmp_path, capsys):
    truth = [(one["id"], UNKNOWN if place < 2 else one["word"]) for place, one in enumerate(rows_of(desk / "ids.csv"))]
    write_rows(tmp_path / "truth.csv", ("id", "word"), truth)
    capsys.readouterr()
    run("classify", desk / "made", desk / "e.npz", "--check", tmp_path / "truth.csv")
    assert "`unknown` counts as wrong above, and as right for the 2 that are labelled so\n" in capsys.readouterr().out


def test_what_is_read_is_not_replaced_by_what_is_written(desk, tmp_path, capsys):
    corpus, made, labels = tmp_path / "corpus", desk / "made", tmp_path / "labels.csv"
    corpus.mkdir()
    shutil.copy(desk / "corpus" / "data" / "03" / "1_03_1.wav", corpus / "a.wav")
    shutil.copy(desk / "e.npz", tmp_path)
    shutil.copy(desk / "ids.csv", labels)
    (tmp_path / "same.csv").symlink_to(labels)
    sound, vectors = corpus / "a.wav", tmp_path / "e.npz"
    before = [one.read_bytes() for one in (sound, vectors, labels)]
    for words in (
        ("scan", sound, "--out", sound),
        ("scan", corpus, "--out", sound),
        ("classify", made, sound, "--out", sound),
        ("classify", made, corpus, "--out", sound),
        ("classify", made, vectors, "--out", vectors),
        ("classify", made, vectors, "--check", labels, "--out", tmp_path / "same.csv"),
        ("classify", desk / "run0", vectors, "--labels", labels, "--fit", tmp_path / "f", "--out", labels),
    ):
        assert "it is read here, and would be replaced; choose another place" in refused(capsys, *words)
    assert before == [one.read_bytes() for one in (sound, vectors, labels)]
    assert not (tmp_path / "f").exists()


def test_the_list_or_tar_by_which_a_folder_is_read_is_not_replaced(desk, tmp_path, capsys):
    corpus, packed = tmp_path / "corpus", tmp_path / "packed"
    corpus.mkdir()
    shutil.copy(desk / "corpus" / "data" / "03" / "1_03_1.wav", corpus / "a.wav")
    run("pack", corpus, packed, "--quiet")
    (corpus / "manifest.csv").write_text("path,word\na.wav,one\ngone.wav,two\n")
    for folder, name in ((corpus, "manifest.csv"), (packed, "index.csv"), (packed, "shard-000000.tar")):
        before = (folder / name).read_bytes()
        told = refused(capsys, "scan", folder, "--out", folder / name)
        assert "it is read here, and would be replaced; choose another place" in told
        assert before == (folder / name).read_bytes()
    run("scan", corpus, "--out", corpus / "index.csv", "--quiet")
    run("scan", corpus, "--out", corpus / "index.csv", "--quiet")  # by which nothing is read


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,word\na,b\n", "wanted a column `id` or `path`"),
        ("id,sort,kind\na,b,c\n", "wanted one column of labels, got sort, kind"),
        ("id\na\n", "wanted one column of labels, got none"),
        ("id,word\nnobody.wav,b\n", "none of its rows labels one of the 48 recordings"),
        ("id,word\ndata/01/0_01_0.wav,\n", "its column 'word' has no label yet; fill it"),
        (
            "id,word\ndata/01/0_01_0.wav,a\ndata/01/0_01_0.wav,b\n",
            "line 3: 'data/01/0_01_0.wav' is labelled 'b', but 'a'",
        ),
        ("id,word\ndata/01/0_01_0.wav,a\n", "2 or more classes, got 1"),
    ],
)
def test_tables_of_labels_that_cannot_be_used_are_one_line(desk, tmp_path, capsys, text, message):
    (tmp_path / "labels.csv").write_text(text)
    line = refused(
        capsys,
        "classify",
        desk / "run0",
        desk / "e.npz",
        "--labels",
        tmp_path / "labels.csv",
        "--fit",
        tmp_path / "made",
    )
    assert message in line
    assert not (tmp_path / "made").exists()


def test_a_row_that_names_no_recording_is_said(desk, tmp_path, capsys):
    text = (desk / "ids.csv").read_text() + "nobody.wav,word 1\n"
    (tmp_path / "labels.csv").write_text(text)
    run("classify", desk / "run0", desk / "e.npz", "--labels", tmp_path / "labels.csv", "--fit", tmp_path / "made")
    assert "1 row names no recording, the first 'nobody.wav'" in capsys.readouterr().err


def test_a_map_of_windows_is_coloured_by_their_recordings_and_not_by_their_times(tmp_path):
    ids = np.array([f"{name}.wav@{start}" for name in "ab" for start in range(10)])
    labels = {"start": np.array([f"{start}" for start in range(10)] * 2), "end": np.array(["1"] * 20)}
    vectors = np.random.default_rng(0).standard_normal((20, 6)).astype(np.float32)
    windows = Embeddings(vectors, ids, labels, {"wave": (0, 6)}, np.full(20, ""))
    for chosen, names in ((range(20), ["recording"]), (range(10), [])):
        write_map(windows.select(np.array(chosen)), tmp_path / "map.html")
        data = json.loads(re.search(r'id="map-data">(.*?)</script>', (tmp_path / "map.html").read_text(), re.DOTALL)[1])
        assert [one["name"] for one in data["labels"] if len(one["values"]) > 1] == names


def test_a_map_is_one_page_that_loads_nothing(desk, tmp_path, capsys):
    run("map", desk / "e.npz", "--out", tmp_path / "map.html")
    page = (tmp_path / "map.html").read_text()
    assert "a map of 48 clips" in capsys.readouterr().out
    assert cli.main(["map", str(desk / "e.npz"), "--out", str(tmp_path / "map.pdf")]) == 2
    assert "wanted a name that ends in .html" in capsys.readouterr().err
    assert not (tmp_path / "map.pdf").exists()
    data = json.loads(re.search(r'id="map-data">(.*?)</script>', page, re.DOTALL)[1])
    assert len(data["clips"]) == 48
    assert {"digit", "speaker"} <= {one["name"] for one in data["labels"]}
    assert len(data["maps"]) == 3
    assert all(0 <= place <= 1000 for one in data["maps"] for axis in "xy" for place in one[axis])
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert "http" not in re.sub(r"http://www.w3.org/2000/svg", "", page)
