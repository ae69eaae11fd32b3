"""`mfcl voices` from a tiny trained model to answers, and what it says when something is wrong."""

import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

import mfcl
from mfcl import cli
from mfcl.data.decoding import LeftOut
from mfcl.errors import AudioError, GalleryError
from mfcl.voices import hearing
from mfcl.voices.hearing import ModelListener
from mfcl.voices.material import manifest_of
from mfcl.voices.scoring import TOP, WAY
from tests.recipes import tiny_recipe
from tests.sounds import tone, word, write_corpus


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus, two tiny models with parts for voices, and a gallery of four voices."""
    folder = tmp_path_factory.mktemp("desk")
    corpus = write_corpus(folder / "corpus", speakers=16, digits=3, takes=2)
    for seed in (0, 1):
        mfcl.train(
            corpus, folder / f"run{seed}", recipe=tiny_recipe(folder), overrides=["model.voices=statistics"],
            seed=seed, cache=folder / "cache", progress=False,
        )  # fmt: skip
    assert cli.main(["voices", "create", str(folder / "team.db"), str(folder / "run0")]) == 0
    for voice in ("01", "02", "03", "04"):
        assert cli.main(["voices", "enrol", str(folder / "team.db"), f"voice {voice}", *clips(folder, voice)]) == 0
    return folder


def clips(desk, voice, pattern="[01]_*.wav"):
    return [str(path) for path in sorted((desk / "corpus" / "data" / voice).glob(pattern))]


@pytest.fixture
def team(desk, tmp_path):
    """A copy of the gallery."""
    for path in desk.glob("team.db*"):
        shutil.copy(path, tmp_path)
    return tmp_path / "team.db"


def run(*words):
    assert cli.main(["voices", *map(str, words)]) == 0


def refused(capsys, *words):
    capsys.readouterr()
    assert cli.main(["voices", *map(str, words)]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mfcl: ")]
    return line


def longest_decimals(text):
    """The most digits that a number of a JSON text has after its point."""
    return max(len(found) for found in re.findall(r"\d\.(\d+)", text))


def test_numbers_of_json_are_rounded(team, desk, capsys):
    """Clips of 0.2 and 0.4 s are 0.6 s of sound, not 0.6000000000000001."""
    with mfcl.Gallery.open(team) as gallery:
        gallery.enrol("six tenths", [word(9, 0, seconds=0.2), word(9, 1, seconds=0.4)], sample_rate=16000)
        (seconds,) = {voice.seconds for voice in gallery.voices if voice.name == "six tenths"}
    assert seconds == 0.6
    capsys.readouterr()
    for words in (("list", team), ("identify", team, clips(desk, "02")[0])):
        run(*words, "--json")
        assert longest_decimals(capsys.readouterr().out) <= 6


def test_an_enrolled_file_is_nearest_to_itself_and_the_answer_says_all(team, desk, capsys):
    capsys.readouterr()
    run("identify", team, clips(desk, "02")[0], "--json")
    (found,) = json.loads(capsys.readouterr().out)["clips"]
    assert found["best"] == "voice 02"
    assert found["near"][0]["source"] == clips(desk, "02")[0]
    assert found["near"][0]["cosine"] == pytest.approx(1, abs=1e-3)
    assert found["name"] in ("voice 02", "unknown")
    assert 0.2 < found["seconds"] < 0.4


def test_the_notes_stand_in_the_json_of_answers_too(team, desk, capsys):
    clip = clips(desk, "02")[0]
    for words in (
        ("identify", team, clip),
        ("identify", team, clip, "--window", "0.2"),
        ("verify", team, "voice 02", clip),
    ):
        capsys.readouterr()
        run(*words, "--json")
        said = capsys.readouterr()
        notes = json.loads(said.out)["notes"]
        assert "not calibrated" in notes[0]
        assert [f"note: {note}" for note in notes] == said.err.splitlines()[-len(notes) :]


def test_what_a_gallery_is_asked_for_elsewhere_is_said(team, desk, capsys):
    capsys.readouterr()
    assert cli.main(["info", str(team)]) == 2
    assert f"if it is a gallery of voices: mfcl voices list {team}" in capsys.readouterr().err
    assert cli.main(["info", str(desk / "run0")]) == 0
    assert re.search(r"^sample rate +16,000 Hz, so sound of up to 8,000 Hz$", capsys.readouterr().out, re.MULTILINE)


def test_the_command_scores_as_the_library_does_where_nothing_is_said(team):
    with mfcl.Gallery.open(team) as gallery:
        assert (gallery.about["score"], gallery.about["nearest"]) == (WAY, str(TOP))


def test_the_vectors_are_those_of_encode(desk):
    listener, model = ModelListener(desk / "run0"), mfcl.load(desk / "run0")
    heard, places = listener.hear(manifest_of(clips(desk, "05")), _left_out())
    expected = model.encode(clips(desk, "05"), part="voices", whiten=True)
    np.testing.assert_allclose(heard.vectors, expected, atol=1e-4)
    assert places.tolist() == list(range(4))
    array = listener.arrays([word(4, 0), tone(0.4, level=0.01)], None)
    np.testing.assert_allclose(array.vectors[0], model.encode(word(4, 0), part="voices", whiten=True)[0], atol=1e-4)
    assert array.levels[1] == pytest.approx(-40, abs=0.5)
    assert (listener.part, listener.dim) == ("voices", expected.shape[1])


def _left_out():
    from mfcl.data.decoding import LeftOut

    return LeftOut()


def test_arrays_are_enrolled_and_identified_in_python(team, desk):
    with mfcl.Gallery.open(team) as gallery:
        said = gallery.enrol("array", [word(9, digit) for digit in range(3)], sample_rate=16000)
        assert (said.added, said.clips) == (3, 3)
        assert gallery.identify(word(9, 0), sample_rate=16000)[0].best == "array"


def test_a_silent_array_is_refused_as_a_silent_file_is_and_gets_no_name(team):
    """Its vector is that of no sound, and may be nearer to a quiet voice than any sound is."""
    silent = np.full(8000, 0.1, dtype=np.float32)  # an offset is no sound
    with mfcl.Gallery.open(team) as gallery:
        for use in (gallery.identify, lambda sounds: gallery.enrol("nobody", sounds)):
            with pytest.raises(AudioError, match="array 1: silent: -120 dB; replace it or leave it out"):
                use([word(9, 0), silent])


def test_files_of_a_generator_are_heard(team, desk):
    files = clips(desk, "02")
    with mfcl.Gallery.open(team) as gallery:
        assert [one.source for one in gallery.identify(name for name in files)] == files
        gallery.close()
        with pytest.raises(GalleryError, match="open it again"):
            gallery.identify(files)


def test_calibrate_evaluate_verify_and_identify_say_what_to_expect(team, desk, capsys):
    held = desk / "held.csv"
    rows = ["path,speaker,digit"]
    for voice in (f"{number:02d}" for number in range(5, 17)):
        rows += [f"{path},{voice},{Path(path).name[0]}" for path in clips(desk, voice, "*.wav")]
    held.write_text("\n".join(rows) + "\n")
    run("calibrate", team, held, "--far", "0.1", "--clips", "3")
    said = capsys.readouterr().out
    assert "calibrated for 10.0 % false alarms on 72 clips of 12 people, 3 clips enrolled" in said
    run("evaluate", team, held, "--far", "0.1", "--clips", "1", "3", "--det", team.with_name("det.svg"))
    said = capsys.readouterr()
    assert "closed set, right, %" in said.out
    assert "calibrated: strangers named, %" in said.out
    assert "words apart" in said.out
    assert "tested, 5 draws" in said.out  # 12 people of six clips: five times the 36 that are not enrolled
    assert re.search(r"closed set, right, %  +3 .* 180$", said.out, re.MULTILINE)
    assert said.out.endswith("open set at 10.0 % false alarms\n")
    for action in ("calibrate", "evaluate"):
        run(action, team, held, "--far", "0.1", "--clips", "3", "--json")
        said = capsys.readouterr()
        content = json.loads(said.out)
        assert [f"note: {note}" for note in content["notes"]] == said.err.splitlines()[-len(content["notes"]) :]
        assert any("12 people are few" in note or "of 72 clips were calibrated on" in note for note in content["notes"])
        assert longest_decimals(said.out) <= 6
    run("evaluate", team, held, "--clips", "3")
    assert capsys.readouterr().out.endswith("open set at 1.0 % false alarms, calibrated for 10.0 %\n")
    picture = team.with_name("det.svg").read_text()
    assert picture.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "3 clips enrolled" in picture
    ids = mfcl.open_manifest(held).ids
    people = np.array([[Path(one).name[2:4] == f"{number:02d}" for number in range(5, 17)] for one in ids.tolist()])
    blank = np.full(len(ids), "")
    mfcl.Embeddings(people.astype(np.float32), ids, {}, {}, blank).save(team.with_name("told.npz"))
    words = ("--far", "0.1", "--clips", "3", "--also", f"told={team.with_name('told.npz')}")
    run("evaluate", team, held, *words)
    lines = [line for line in capsys.readouterr().out.splitlines() if "closed set" in line]
    assert [line.split("  ")[0] for line in lines] == ["the gallery's model", "told"]
    assert "100.0" in lines[1]
    run("evaluate", team, held, *words, "--json")
    assert {one["value"] for one in json.loads(capsys.readouterr().out)["also"]["told"] if one["what"] == "eer"} == {0}
    mfcl.Embeddings(people[1:].astype(np.float32), ids[1:], {}, {}, blank[1:]).save(team.with_name("fewer.npz"))
    assert "1 of 72 recordings has no vector" in refused(
        capsys, "evaluate", team, held, "--also", f"told={team.with_name('fewer.npz')}"
    )
    run("identify", team, *clips(desk, "01", "2_*.wav"))
    assert "of strangers' clips get a name" in capsys.readouterr().out
    run("verify", team, "voice 01", *clips(desk, "01", "2_*.wav"), *clips(desk, "09", "2_*.wav"), "--json")
    answers = json.loads(capsys.readouterr().out)["clips"]
    assert [one["claimed"] for one in answers] == ["voice 01"] * 4
    assert min(one["score"] for one in answers[:2]) > max(one["score"] for one in answers[2:])


def test_who_speaks_when_in_every_form(team, desk, tmp_path, capsys):
    parts = [word(0, 0, seconds=1.5), word(2, 1, seconds=1.5), np.zeros(16000, np.float32), word(0, 1, seconds=1.5)]
    soundfile.write(tmp_path / "talk one.wav", np.concatenate(parts), 16000)
    talk = tmp_path / "talk one.wav"
    capsys.readouterr()
    run("identify", team, talk, "--window", "0.5", "--hop", "0.25", "--json")
    found = json.loads(capsys.readouterr().out)["turns"]
    with mfcl.Gallery.open(team) as gallery:  # a quarter of a window, as of the command
        own = [gallery.turns(talk, window=0.4, **hop) for hop in ({}, {"hop": 0.1})]
        assert own[0] == own[1]
    run("identify", team, talk, "--window", "0.4", "--json")
    assert [(one["start"], one["end"]) for one in json.loads(capsys.readouterr().out)["turns"]] == [
        (round(one.start, 6), round(one.end, 6)) for one in own[0]
    ]
    assert found[0]["start"] == 0
    assert found[-1]["end"] == pytest.approx(sum(map(len, parts)) / 16000, abs=0.01)
    assert any(later["start"] - sooner["end"] > 0.3 for sooner, later in itertools.pairwise(found))  # silence
    run("identify", team, talk, "--window", "0.5", "--hop", "0.25", "--format", "rttm")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(found)
    assert all(len(line.split()) == 10 and line.startswith("SPEAKER talk_one 1 ") for line in lines)
    run("identify", team, talk, "--window", "0.5", "--format", "audacity", "--out", tmp_path / "labels.txt")
    assert all(len(line.split("\t")) == 3 for line in (tmp_path / "labels.txt").read_text().splitlines())
    assert "--window" in refused(capsys, "identify", team, talk, "--format", "rttm")
    assert "two forms" in refused(capsys, "identify", team, talk, "--window", "1", "--format", "rttm", "--json")
    assert "window" in refused(capsys, "identify", team, talk, "--window", "0")
    assert "--margin" in refused(capsys, "identify", team, talk, "--window", "1", "--margin", "2")
    assert "margin" in refused(capsys, "identify", team, talk, "--margin", "nan")
    assert "a hop of at most the window" in refused(capsys, "identify", team, talk, "--window", "1", "--hop", "2")


def test_recordings_are_heard_one_after_another(desk, tmp_path, monkeypatch):
    for place, name in enumerate("ab"):
        soundfile.write(tmp_path / f"{name}.wav", word(place, 0, seconds=1.5), 16000)
    read, batches = hearing.recording_windows, []

    def one_by_one(*given, **options):
        for pieces in read(*given, **options):
            for piece in pieces:
                batches.append(piece.recording)
                yield [piece]

    listener, manifest = ModelListener(desk / "run0"), manifest_of(tmp_path)
    monkeypatch.setattr(hearing, "recording_windows", one_by_one)
    for place, found in enumerate(listener.windows(manifest, LeftOut(), window=0.5, hop=0.25)):
        assert (found.source, len(found.heard)) == (manifest.recordings[place].id, 5)
        assert set(batches[:-1]) <= set(range(place + 1))  # nothing but the next one's beginning was heard yet
    assert place == 1


def test_files_of_one_name_in_two_folders_have_two_names_in_rttm(team, tmp_path, monkeypatch, capsys):
    for place, folder in enumerate(("x", "y")):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "a.wav", word(place, 0, seconds=1.5), 16000)
    capsys.readouterr()
    run("identify", team, tmp_path, "--window", "0.5", "--format", "rttm")
    assert {line.split()[1] for line in capsys.readouterr().out.splitlines()} == {"x/a", "y/a"}
    monkeypatch.setattr(ModelListener, "windows", lambda *_, **__: pytest.fail("it has begun"))
    line = refused(capsys, "identify", team, tmp_path, "--window", "0.5", "--format", "audacity")
    assert "is for one recording, got 2" in line


def test_turns_of_segments_are_of_their_file_as_their_times_are(team, tmp_path, capsys):
    talk = tmp_path / "talk.wav"
    soundfile.write(talk, np.concatenate([word(1, digit, seconds=1) for digit in range(4)]), 16000)
    (tmp_path / "parts.csv").write_text("path,start,end\ntalk.wav,0.0,1.25\ntalk.wav,2.0,3.25\n")
    asked = ("identify", team, tmp_path / "parts.csv", "--window", "0.5", "--hop", "0.25")
    capsys.readouterr()
    run(*asked, "--format", "rttm")  # two names that were the segments' ids were cut to one at their last point
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("SPEAKER")]
    assert {line[1] for line in lines} == {"talk"}
    assert max(float(line[3]) for line in lines) >= 2
    run(*asked, "--format", "audacity")  # a label track of the one file
    assert len(capsys.readouterr().out.splitlines()) == len(lines)
    run(*asked, "--json")
    assert {one["source"] for one in json.loads(capsys.readouterr().out)["turns"]} == {"talk.wav"}


def test_an_answer_replaces_neither_the_gallery_nor_a_recording(team, desk, tmp_path, monkeypatch, capsys):
    clip, held = tmp_path / "a.wav", tmp_path / "held.csv"
    shutil.copy(clips(desk, "01")[0], clip)
    held.write_text("path,speaker\na.wav,1\n")
    before = [one.read_bytes() for one in (team, clip, held)]
    monkeypatch.setattr(ModelListener, "hear", lambda *_, **__: pytest.fail("it has begun"))
    for words in (
        ("identify", team, clip, "--out", team),
        ("identify", team, clip, "--out", clip),
        ("identify", team, tmp_path, "--out", clip, "--window", "1"),
        ("identify", team, held, "--out", held),
        ("evaluate", team, held, "--det", team),
        ("evaluate", team, held, "--det", held),
        ("evaluate", team, desk / "corpus", "--also", f"x={held}", "--det", held),
    ):
        assert "it is read here, and would be replaced" in refused(capsys, *words)
    assert "a folder" in refused(capsys, "identify", team, clip, "--out", tmp_path).lower()
    assert before == [one.read_bytes() for one in (team, clip, held)]


def test_consent_that_was_forgotten_is_noted_by_the_same_clips_again(team, desk, capsys):
    capsys.readouterr()
    assert "give others" in refused(capsys, "enrol", team, "voice 01", *clips(desk, "01"))
    run("enrol", team, "voice 01", *clips(desk, "01"), "--consent", "2026-11-02")
    said = capsys.readouterr()
    assert said.out.splitlines()[2].split() == ["voice", "01", "0", "4", "0.0", "-", said.out.split()[-1]]
    assert said.err.count("already enrolled: ") == 4
    run("list", team, "--json")
    listed = json.loads(capsys.readouterr().out)["voices"]
    assert [(one["clips"], one["consent"]) for one in listed] == [(4, "2026-11-02"), (4, ""), (4, ""), (4, "")]


def test_voices_are_listed_renamed_merged_exported_imported_and_removed(team, desk, tmp_path, capsys):
    capsys.readouterr()
    run("rename", team, "voice 01", "Ada")
    run("merge", team, "Ada", "voice 02")
    run("list", team, "--json")
    listed = json.loads("{" + capsys.readouterr().out.split("{", 1)[1])
    assert {one["name"]: one["clips"] for one in listed["voices"]} == {"Ada": 8, "voice 03": 4, "voice 04": 4}
    assert listed["part"] == "voices"
    run("export", team, tmp_path / "some.db", "--voices", "Ada", "voice 03")
    run("remove", team, "Ada", "voice 03")
    run("import", team, tmp_path / "some.db")
    assert "2 voices, 12 clips added, 0 were there already" in capsys.readouterr().out
    run("export", team, tmp_path / "some.npz")
    assert len(mfcl.load_embeddings(tmp_path / "some.npz")) == 16
    run("list", team)
    assert "3 voices" in capsys.readouterr().out
    assert "nobody" in refused(capsys, "remove", team, "voice 04", "nobody")
    run("list", team)
    assert "voice 04" in capsys.readouterr().out  # all of them or none
    run("remove", team, "voice 04", "voice 04")
    assert capsys.readouterr().out.count("removed") == 1


def test_the_model_of_another_run_is_refused_and_a_moved_one_is_found_by_its_digest(team, desk, tmp_path, capsys):
    line = refused(capsys, "identify", team, clips(desk, "01")[0], "--model", desk / "run1")
    assert "two models" in line
    shutil.copytree(desk / "run0" / "model", tmp_path / "moved")
    run("identify", team, clips(desk, "01")[0], "--model", tmp_path / "moved")


def test_a_share_that_is_meant_in_percent_is_refused_before_anything_is_heard(team, desk, monkeypatch, capsys):
    monkeypatch.setattr(ModelListener, "hear", lambda *_, **__: pytest.fail("it has begun"))
    for action in ("calibrate", "evaluate"):
        assert "far: wanted a number" in refused(capsys, action, team, desk / "corpus", "--far", "5")


def test_wrong_words_and_files_are_one_line(team, desk, tmp_path, capsys):
    assert "no gallery" in refused(capsys, "list", tmp_path / "none.db")
    assert "nowhere" in refused(capsys, "enrol", team, "Ada", tmp_path / "nowhere.wav")
    assert "no voice" in refused(capsys, "verify", team, "Adda", clips(desk, "01")[0])
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    assert "bad.wav" in refused(capsys, "enrol", team, "Ada", tmp_path / "bad.wav")
    assert "run folder" in refused(capsys, "create", tmp_path / "new.db", tmp_path)
    shutil.copytree(desk / "run0" / "model", tmp_path / "moved")
    assert "--cohort" in refused(capsys, "create", tmp_path / "new.db", tmp_path / "moved")
    assert not (tmp_path / "new.db").exists()
    run("create", tmp_path / "new.db", tmp_path / "moved", "--cohort", "none")
    assert "already" in refused(capsys, "create", tmp_path / "new.db", tmp_path / "moved", "--cohort", "none")
    few = (tmp_path / "few.db", tmp_path / "moved", "--cohort", desk / "corpus" / "data" / "01")
    run("create", *few)
    assert "note: scores stay cosines" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        cli.main(["voices", "enroll", "x"])


def test_a_model_without_a_part_for_voices_uses_all(desk, tmp_path):
    mfcl.train(desk / "corpus", tmp_path / "run", recipe=tiny_recipe(tmp_path), cache=desk / "cache", progress=False)
    listener = ModelListener(tmp_path / "run")
    assert listener.part == ""
    assert listener.dim == mfcl.load(tmp_path / "run").encode(word(0, 0), whiten=True).shape[1]
