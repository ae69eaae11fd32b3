"""What is wrong with sound, and what is heard of it all the same."""

import numpy as np
import pytest
import soundfile

from mfcl.audio import FAILURES, NOTICES, Preparation, judge, kind_of, read_audio, read_prepared
from mfcl.data.layouts import open_manifest
from mfcl.data.scanning import DONE, scan
from mfcl.errors import AudioError
from tests.sounds import tone


def write(path, wave, rate=16000, **options):
    soundfile.write(path, wave, rate, **options)
    return path


def noise(seed, level=0.1):
    return (level * np.random.default_rng(seed).standard_normal(8000)).astype(np.float32)


@pytest.mark.parametrize("residue", [0.0, 1e-3, 0.1])
def test_channels_that_cancel_are_named_and_the_louder_one_is_heard(tmp_path, residue):
    louder = noise(0)
    path = write(tmp_path / "it.wav", np.stack([-0.9 * louder, louder + residue * noise(1)], axis=1), subtype="FLOAT")
    (problem,) = judge(path).problems
    assert problem.startswith("channels cancel: their mean has -")
    assert problem.endswith("channel 2 has -20 dB")
    sound, notices = read_prepared(path, Preparation())
    assert notices == (problem,)
    expected = louder + residue * noise(1)
    np.testing.assert_allclose(sound, expected - expected.mean(), atol=1e-6)


@pytest.mark.parametrize("channels", [2, 5, 16])
def test_channels_that_have_nothing_in_common_do_not_cancel(tmp_path, channels):
    wave = np.stack([noise(seed) for seed in range(channels)], axis=1)
    assert judge(write(tmp_path / "a.wav", wave, subtype="FLOAT")).problems == ()
    one = np.zeros((8000, channels), dtype=np.float32)
    one[:, 1] = noise(0)
    assert judge(write(tmp_path / "b.wav", one, subtype="FLOAT")).problems == ()
    assert judge(write(tmp_path / "c.wav", 0 * one)).problems == ("silent: -120 dB",)


def test_two_recordings_whose_channels_cancel_are_no_duplicates_and_two_equal_ones_are(tmp_path):
    for name, seed in [("a", 0), ("b", 1), ("c", 1)]:
        write(tmp_path / f"{name}.wav", np.stack([noise(seed), -noise(seed)], axis=1), subtype="PCM_16")
    kinds = [entry.kinds for entry in scan(open_manifest(tmp_path), progress=False).entries]
    assert kinds == [("channels cancel",), ("channels cancel",), ("channels cancel", "duplicate")]


def test_recordings_whose_first_channel_is_silent_are_no_duplicates_where_the_others_cancel(tmp_path):
    for name, seed in [("a", 0), ("b", 1), ("c", 1)]:
        wave = np.stack([0 * noise(seed), noise(seed), -noise(seed)], axis=1)
        write(tmp_path / f"{name}.wav", (32767 * wave).astype(np.int16))
    kinds = [entry.kinds for entry in scan(open_manifest(tmp_path), progress=False).entries]
    assert kinds == [("channels cancel",), ("channels cancel",), ("channels cancel", "duplicate")]


@pytest.mark.parametrize("bad", [(np.inf, -np.inf), (3e38, 3e38), (np.nan, 0.0)])
def test_channels_whose_mean_is_no_number_are_named_and_warn_of_nothing(tmp_path, bad):
    wave = np.stack([noise(0), noise(1)], axis=1)
    wave[100] = bad
    problem = ("NaN: 1 sample is NaN, infinite or absurdly large",)
    assert judge(write(tmp_path / "it.wav", wave, subtype="FLOAT")).problems == problem
    with pytest.raises(AudioError, match="NaN"):
        read_audio(tmp_path / "it.wav")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"start": -0.5}, "wanted start as a number of seconds, 0 or more, got -0.5"),
        ({"start": np.nan}, "wanted start as a number of seconds, 0 or more, got nan"),
        ({"end": np.inf}, "wanted end as a number of seconds, 0 or more, got inf"),
        ({"start": 0.0, "end": -1.0}, "wanted end as a number of seconds, 0 or more, got -1.0"),
    ],
)
def test_a_part_at_a_time_that_is_none_is_one_line(tmp_path, part, said):
    path = write(tmp_path / "it.wav", noise(0))
    assert judge(path, **part).problems == (f"unreadable: {said}",)
    with pytest.raises(AudioError, match=f"it.wav: {said}; correct it"):
        read_audio(path, **part)


def test_the_same_samples_at_another_rate_are_no_duplicate(tmp_path):
    write(tmp_path / "a.wav", noise(0), 16000)
    write(tmp_path / "b.wav", noise(0), 44100)
    write(tmp_path / "c.wav", noise(0), 16000)
    kinds = [entry.kinds for entry in scan(open_manifest(tmp_path), progress=False).entries]
    assert kinds == [(), (), ("duplicate",)]


@pytest.mark.parametrize("offset", [0.3, 0.37, 0.38, 0.39, 0.7, 0.98])
def test_an_offset_alone_is_silent_whatever_its_size(tmp_path, offset):
    path = write(tmp_path / "it.wav", np.full(16000, offset), subtype="PCM_16")
    assert [kind_of(problem) for problem in judge(path).failures] == ["silent"]
    with pytest.raises(AudioError, match=r"it\.wav: silent: -120 dB; replace it or leave it out"):
        read_prepared(path, Preparation())


def test_a_small_offset_is_no_problem_since_it_is_removed(tmp_path):
    assert judge(write(tmp_path / "a.wav", noise(0, 0.01) + np.float32(0.015))).problems == ()
    assert (
        judge(write(tmp_path / "b.wav", noise(0, 0.01) + np.float32(0.03))).problems[0].startswith("DC offset: +0.03")
    )


def test_sound_on_the_scale_of_whole_numbers_is_above_full_scale(tmp_path):
    path = write(tmp_path / "it.wav", 32768 * tone(0.2, 440, level=0.5), subtype="FLOAT")
    judgement = judge(path)
    assert judgement.problems[0].startswith("above full scale: peak 231")
    assert judgement.failures == ()
    assert judge(write(tmp_path / "b.wav", 1.3 * noise(0, 0.3), subtype="FLOAT")).notices == ()


def test_failures_and_notices_are_told_apart_and_each_kind_says_what_is_done(tmp_path):
    assert not set(FAILURES) & set(NOTICES)
    assert set(DONE) == {*FAILURES, *NOTICES, "duplicate", "label missing", "name not UTF-8"}
    judgement = judge(write(tmp_path / "it.wav", np.full(16000, 0.999), subtype="PCM_16"))
    assert [kind_of(problem) for problem in judgement.failures] == ["silent"]
    assert [kind_of(problem) for problem in judgement.notices] == ["DC offset", "clipped"]


def test_a_file_that_does_not_fit_into_memory_is_that_files_failure(tmp_path, monkeypatch):
    path = write(tmp_path / "it.wav", noise(0))

    def full(*_):
        raise MemoryError

    monkeypatch.setattr("mfcl.audio.judging._Sums.add", full)
    assert judge(path).problems == ("unreadable: it does not fit into memory",)
    monkeypatch.undo()
    monkeypatch.setattr("mfcl.audio.sound.prepare", full)
    with pytest.raises(AudioError, match=r"it\.wav: it does not fit into memory"):
        read_prepared(path, Preparation())
