import dataclasses
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.core import random as seeds
from mfcl.data import demo
from mfcl.data.demo import espeak, make_demo
from mfcl.data.demo.rooms import coloured_noise, cut_silence, impulse_response, record
from mfcl.data.demo.voices import FEMALE, MALE, draw_speech, draw_voice
from mfcl.data.layouts import open_manifest
from mfcl.errors import MfclError

pytest.importorskip("espeakng_loader", reason="the extra `demo` is not installed")

VOICES, TAKES = 4, 2


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_demo(tmp_path_factory.mktemp("corpus") / "demo", voices=VOICES, takes=TAKES, workers=2, progress=False)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def waves(folder, *, take):
    """Return speakers, digits and sounds of one take."""
    found = sorted((folder / "data").glob(f"*/*_{take}.wav"))
    return [path.parent.name for path in found], [path.name[0] for path in found], [soundfile.read(p)[0] for p in found]


def long_term(wave, bands=24):
    """Return mean and spread over time of the log power in bands: what a voice and its room sound like."""
    frames = np.lib.stride_tricks.sliding_window_view(wave, 400)[::160] * np.hanning(400)
    power = np.abs(np.fft.rfft(frames, 512)) ** 2
    edges = np.unique(np.geomspace(2, 257, bands + 1).astype(int))
    log_power = np.log(np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1) + 1e-9)  # (frames, bands)
    return np.concatenate([log_power.mean(0), log_power.std(0)])


def test_the_corpus_has_the_layout_of_audiomnist(corpus):
    manifest = open_manifest(corpus)
    assert len(manifest) == VOICES * 10 * TAKES
    assert set(manifest.column("speaker")) == {f"{number:02d}" for number in range(1, VOICES + 1)}
    assert set(manifest.column("digit")) == set("0123456789")
    assert set(manifest.column("gender")) == {"female", "male"}
    assert (corpus / "data/04/9_04_1.wav").is_file()
    assert sorted(path.name for path in corpus.iterdir()) == ["data", "demo.json"]
    assert all(not path.name.startswith(".") for path in (corpus / "data").iterdir())
    assert [path.name for path in corpus.parent.iterdir()] == ["demo"]


def test_it_is_marked_as_synthetic(corpus):
    meta = json.loads((corpus / "data/audioMNIST_meta.txt").read_text())
    assert sorted(meta) == [f"{number:02d}" for number in range(1, VOICES + 1)]
    assert all("synthetic" in facts["origin"] and facts["age"] == "synthetic" for facts in meta.values())
    assert "no person" in json.loads((corpus / "demo.json").read_text())["note"]


def test_clips_are_as_long_and_loud_as_spoken_digits(corpus):
    for path in corpus.rglob("*.wav"):
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        wave = soundfile.read(path)[0]
        assert 0.25 < len(wave) / 16000 < 1.6
        assert -45 < 10 * np.log10(np.mean(wave**2)) < -10
        assert np.abs(wave).max() < 0.99
        assert abs(wave.mean()) < 0.003


def test_equal_settings_give_equal_bytes_for_one_worker_and_for_several(corpus, tmp_path):
    again = make_demo(tmp_path / "again", voices=VOICES, takes=TAKES, workers=1, progress=False)
    assert contents(again) == contents(corpus)


def test_speakers_and_takes_stay_the_same_in_a_smaller_corpus(corpus, tmp_path):
    small = contents(make_demo(tmp_path / "small", voices=2, takes=1, progress=False))
    clips = {name: content for name, content in small.items() if name.endswith(".wav")}
    assert len(clips) == 20
    assert clips.items() <= contents(corpus).items()


def test_another_seed_gives_other_voices_and_other_takes(corpus, tmp_path, monkeypatch):
    assert draw_voice(1, 1) != draw_voice(0, 1)
    monkeypatch.setattr(demo, "draw_voice", lambda _, number: draw_voice(0, number))
    other = contents(make_demo(tmp_path / "other", voices=1, takes=1, seed=1, progress=False))
    same = contents(corpus)
    assert all(content != same[name] for name, content in other.items() if name.endswith(".wav"))


def test_takes_of_a_word_differ_in_length_and_sound(corpus):
    first, second = waves(corpus, take=0)[2], waves(corpus, take=1)[2]
    assert np.mean([len(a) != len(b) for a, b in zip(first, second, strict=True)]) > 0.9
    for a, b in zip(first, second, strict=True):
        count = min(len(a), len(b))
        assert np.corrcoef(a[:count], b[:count])[0, 1] < 0.9


def test_a_speaker_is_known_by_the_sound_across_takes_and_digits(corpus):
    speakers, digits, first = waves(corpus, take=0)
    _, _, second = waves(corpus, take=1)
    known, asked = (np.stack([long_term(wave) for wave in part]) for part in (first, second))
    spread = known.std(axis=0)
    distances = np.linalg.norm((asked[:, None] - known[None]) / spread, axis=2)  # (asked, known)
    nearest = np.array(speakers)[distances.argmin(axis=1)]
    assert np.mean(nearest == np.array(speakers)) > 0.9
    distances[np.array(digits)[:, None] == np.array(digits)[None]] = np.inf  # another word than the one asked
    nearest = np.array(speakers)[distances.argmin(axis=1)]
    assert np.mean(nearest == np.array(speakers)) > 2 / VOICES


def test_no_two_of_71_voices_share_a_variant():
    cast = [draw_voice(0, number) for number in range(1, 72)]
    assert len({voice.variant for voice in cast}) == 71
    assert len({voice.name for voice in cast}) == 71
    assert len({voice.room for voice in cast}) == 71
    assert sum(voice.gender == "female" for voice in cast[:60]) == 15
    assert draw_voice(0, 72).variant == draw_voice(0, 4).variant
    assert draw_voice(0, 72).room != draw_voice(0, 4).room


def test_whispers_croaks_and_robots_are_left_out():
    assert not [name for name in FEMALE + MALE if any(part in name.lower() for part in ("whisper", "croak", "robo"))]
    there = {path.name for path in (Path(espeak.espeak_loader().get_data_path()) / "voices" / "!v").iterdir()}
    assert set(FEMALE + MALE) <= there


def test_a_finished_corpus_is_returned_at_once(corpus, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)  # not even the extra is needed
    before = contents(corpus)
    assert make_demo(corpus, voices=VOICES, takes=TAKES, progress=False) == corpus
    assert contents(corpus) == before


def test_a_folder_with_something_else_is_refused(corpus, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(MfclError, match="not empty, and not this synthetic corpus"):
        make_demo(tmp_path, progress=False)
    with pytest.raises(MfclError, match="not empty, and not this synthetic corpus"):
        make_demo(corpus, voices=VOICES, takes=TAKES, seed=1, progress=False)
    with pytest.raises(MfclError, match="wanted a folder"):
        make_demo(tmp_path / "note.txt", progress=False)


def test_an_interrupted_corpus_is_gone_on_with(corpus, tmp_path, monkeypatch):
    folder, spoken = tmp_path / "demo", []

    def interrupted(voice, **options):
        if len(spoken) == 2:
            raise KeyboardInterrupt
        spoken.append(voice.name)
        speak(voice, **options)

    speak = demo._speak
    with monkeypatch.context() as patched:
        patched.setattr(demo, "_speak", interrupted)
        with pytest.raises(KeyboardInterrupt):
            make_demo(folder, voices=VOICES, takes=TAKES, workers=1, progress=False)
    assert sorted(path.name for path in folder.iterdir()) == ["data", "demo.part.json"]
    assert sorted(path.name for path in (folder / "data").iterdir()) == ["01", "02"]
    with pytest.raises(MfclError, match="not this synthetic corpus"):
        make_demo(folder, voices=VOICES, takes=TAKES, seed=1, progress=False)
    make_demo(folder, voices=VOICES, takes=TAKES, progress=False)
    assert contents(folder) == contents(corpus)


def test_a_corpus_that_lost_a_speaker_gets_it_back(corpus, tmp_path):
    folder = shutil.copytree(corpus, tmp_path / "demo")
    shutil.rmtree(folder / "data/03")
    make_demo(folder, voices=VOICES, takes=TAKES, progress=False)
    assert contents(folder) == contents(corpus)


KILLED = """
import os, signal, sys
from mfcl.data import demo

written, whole = [], demo.audio.write_audio

def write_audio(path, *given):
    whole(path, *given)
    written.append(path)
    if len(written) == 5:
        os.kill(os.getpid(), signal.SIGKILL)

demo.audio.write_audio = write_audio
demo.make_demo(sys.argv[1], voices=int(sys.argv[2]), takes=int(sys.argv[3]), workers=1, progress=False)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_killed_call_leaves_nothing_that_hinders_the_next(corpus, tmp_path):
    folder = tmp_path / "demo"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(VOICES), str(TAKES)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in (folder / "data").iterdir()] == [".01.part"]
    make_demo(folder, voices=VOICES, takes=TAKES, workers=1, progress=False)
    assert contents(folder) == contents(corpus)


def test_a_full_disk_is_one_line_and_leaves_no_half_speaker(tmp_path, monkeypatch):
    def full(path, *_):
        if path.name.startswith("5_"):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(demo.audio, "write_audio", full)
    with pytest.raises(MfclError, match=r"cannot be written \(No space left on device\); free some space"):
        make_demo(tmp_path / "demo", voices=1, takes=1, progress=False)
    assert list((tmp_path / "demo" / "data").iterdir()) == []


def test_without_the_extra_one_line_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(MfclError, match=r'pip install "mfcl\[demo\]"'):
        make_demo(tmp_path / "demo", progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "wrong",
    [{"voices": 0}, {"voices": 1000}, {"takes": 0}, {"seed": -1}, {"sample_rate": 7999}, {"sample_rate": 96000}],
)
def test_values_out_of_range_are_named(tmp_path, wrong):
    with pytest.raises(MfclError, match=rf"{next(iter(wrong))} is .*; give \d+ to \d+"):
        make_demo(tmp_path / "demo", **wrong)


def test_another_sample_rate_holds_the_same_words(tmp_path):
    folder = make_demo(tmp_path / "demo", voices=1, takes=1, sample_rate=44100, progress=False)
    assert {soundfile.info(path).samplerate for path in folder.rglob("*.wav")} == {44100}


def test_a_long_path_to_the_data_does_not_silence_the_library(tmp_path, monkeypatch):
    deep = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 8)
    deep.mkdir(parents=True)
    (deep / "espeak-ng-data").symlink_to(espeak.espeak_loader().get_data_path(), target_is_directory=True)
    monkeypatch.setattr(espeak.espeak_loader(), "get_data_path", lambda: str(deep / "espeak-ng-data"))
    with espeak.open_espeak() as library:
        assert len(library.say("nine", espeak.Speech("en-us+m3", 120, 50, 50), seed=0)) > 4000


def test_data_that_are_not_there_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(espeak.espeak_loader(), "get_data_path", lambda: str(tmp_path / "nothing"))
    with pytest.raises(MfclError, match="cannot read its data"), espeak.open_espeak():
        pass


def test_a_voice_that_does_not_exist_is_named():
    with espeak.open_espeak() as library, pytest.raises(MfclError, match="no voice 'en-xx"):
        library.say("nine", espeak.Speech("en-xx+m3", 120, 50, 50), seed=0)


def test_breath_and_roughness_come_from_the_seed_alone():
    def say(seed):
        with espeak.open_espeak() as library:
            return library.say("three", espeak.Speech("en-us+f2", 120, 50, 50), seed=seed)

    np.testing.assert_array_equal(say(1), say(1))
    assert not np.array_equal(say(1), say(2))


def test_a_speaker_says_each_take_a_little_differently_in_the_same_voice():
    voice = draw_voice(0, 1)
    takes = [draw_speech(voice, seeds.generator(0, "take", take)) for take in range(50)]
    assert {take.voice for take in takes} == {f"{voice.accent}+{voice.variant}"}
    for drawn, middle, spread in (
        ([take.pitch for take in takes], voice.pitch, 5),
        ([take.range for take in takes], voice.range, 12),
        ([take.rate for take in takes], voice.rate, 0.12 * voice.rate),
    ):
        assert len(set(drawn)) > 5
        assert max(abs(value - middle) for value in drawn) <= spread + 0.5


def test_silence_is_cut_from_both_ends_only():
    speech = np.zeros(16000, dtype=np.float32)
    speech[4000:5000] = speech[7000:9000] = 0.5
    kept = cut_silence(speech, 16000)
    assert 5000 <= len(kept) <= 5000 + 160
    assert np.count_nonzero(kept) == 3000
    assert len(cut_silence(np.zeros(100, dtype=np.float32), 16000)) == 100


def test_a_room_begins_with_the_direct_sound_and_dies_away():
    room = draw_voice(0, 1).room
    response = impulse_response(room, 16000)
    assert response[0] == 1.0
    assert not response[1 : int(min(room.delays_seconds) * 16000)].any()
    halves = np.array_split(response[round(0.03 * 16000) :], 2)  # after the early reflections
    assert np.sum(halves[0] ** 2) > 10 * np.sum(halves[1] ** 2)
    np.testing.assert_array_equal(response, impulse_response(room, 16000))
    assert not np.array_equal(response, impulse_response(draw_voice(0, 2).room, 16000))


def test_noise_of_colour_one_loses_three_decibels_an_octave():
    noise = coloured_noise(2**16, 1.0, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(noise)) ** 2
    low, high = power[1000:2000].mean(), power[2000:4000].mean()
    assert 10 * np.log10(low / high) == pytest.approx(3, abs=0.3)
    assert np.mean(noise**2) == pytest.approx(1)
    assert np.mean(noise) == pytest.approx(0, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(samples=st.integers(0, 9000), level=st.sampled_from([0.0, 1e-6, 0.5, 1.0]), sample_rate=st.integers(8000, 48000))
def test_any_speech_is_recorded_within_full_scale(samples, level, sample_rate):
    room = dataclasses.replace(draw_voice(3, 5).room, level_db=-1.0)
    speech = (level * np.sin(np.arange(samples))).astype(np.float32)
    recorded = record(speech, room, sample_rate, seeds.generator(0, "take"))
    assert np.isfinite(recorded).all()
    assert np.abs(recorded).max() <= 0.97 + 1e-6
    assert len(recorded) >= round(0.08 * sample_rate) - 2
