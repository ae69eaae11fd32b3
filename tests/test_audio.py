import subprocess
import sys

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.audio import Preparation, level_db, open_audio, prepare, read_audio, resample, write_audio
from mfcl.errors import AudioError, MfclError, RecipeError
from tests.sounds import tone


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 192000])
@pytest.mark.parametrize(
    ("suffix", "subtype", "error"),
    [
        ("wav", "PCM_U8", 0.01),
        ("wav", "PCM_16", 1e-4),
        ("wav", "PCM_24", 1e-6),
        ("wav", "FLOAT", 1e-7),
        ("wav", "DOUBLE", 1e-7),
        ("flac", "PCM_24", 1e-6),
        ("aiff", "PCM_16", 1e-4),
    ],
)
def test_any_rate_width_and_format_is_read(tmp_path, rate, suffix, subtype, error):
    wave = tone(0.1, 300, rate)
    path = tmp_path / f"clip.{suffix}"
    soundfile.write(path, wave, rate, subtype=subtype)
    samples, found = read_audio(path)
    assert found == rate
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, wave, atol=error)


@pytest.mark.parametrize("channels", [1, 2, 3, 8])
def test_channels_become_their_mean(tmp_path, channels):
    block = np.random.default_rng(0).uniform(-0.5, 0.5, (800, channels)).astype(np.float32)
    soundfile.write(tmp_path / "clip.wav", block, 16000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "clip.wav")[0], block.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("kind", ["ogg", "mp3", "flac", "gsm.wav"])
def test_compressed_formats_are_read_alike_in_blocks_whole_and_from_the_middle(tmp_path, kind):
    path = tmp_path / f"clip.{kind}"
    soundfile.write(path, tone(1.0), 16000, subtype="GSM610" if "gsm" in kind else None)
    samples, _ = read_audio(path)
    np.testing.assert_allclose(samples, soundfile.read(path, dtype="float32")[0], atol=1e-6)
    assert level_db(samples) == pytest.approx(-20, abs=0.5)
    np.testing.assert_allclose(read_audio(path, start=0.5, end=0.75)[0], samples[8000:12000], atol=1e-6)


def test_a_wrong_ending_does_not_matter(tmp_path):
    soundfile.write(tmp_path / "clip.flac", tone(), 16000)
    (tmp_path / "clip.flac").rename(tmp_path / "clip.wav")
    assert read_audio(tmp_path / "clip.wav")[0].size == 4800


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 5000), st.integers(1, 5000))
def test_a_part_is_the_same_samples_as_in_the_whole(tmp_path_factory, first, count):
    path = tmp_path_factory.getbasetemp() / "whole.wav"
    wave = np.linspace(-1, 1, 10000, dtype=np.float32)
    if not path.exists():
        soundfile.write(path, wave, 16000, subtype="FLOAT")
    part, _ = read_audio(path, start=first / 16000, end=(first + count) / 16000)
    np.testing.assert_array_equal(part, wave[first : first + count])


@pytest.mark.parametrize(
    ("rate", "channels", "count"), [(16000, 1, 48777), (16000, 2, 48777), (48000, 1, 40001), (8000, 1, 900)]
)
def test_a_part_of_an_ogg_file_is_exact_to_its_last_page(tmp_path, rate, channels, count):
    path = tmp_path / "clip.ogg"
    wave = 0.2 * np.random.default_rng(0).standard_normal((count, channels))
    soundfile.write(path, wave, rate)
    samples, _ = read_audio(path)
    assert samples.size == count
    for first in range(0, count, 97):
        np.testing.assert_allclose(
            read_audio(path, start=first / rate, end=(first + 300) / rate)[0], samples[first : first + 300], atol=1e-6
        )


def test_an_end_beyond_the_file_gives_what_is_there_and_a_start_beyond_is_an_error(tmp_path):
    soundfile.write(tmp_path / "clip.wav", tone(0.5), 16000)
    assert read_audio(tmp_path / "clip.wav", start=0.25, end=9.0)[0].size == 4000
    with pytest.raises(AudioError, match=r"nothing at 0\.75 s, the file has 0\.500 s"):
        read_audio(tmp_path / "clip.wav", start=0.75)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_are_no_numbers_are_an_error(tmp_path, bad):
    wave = tone()
    wave[4500] = bad
    soundfile.write(tmp_path / "clip.wav", wave, 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"clip\.wav: NaN"):
        read_audio(tmp_path / "clip.wav")


def test_what_is_no_sound_is_an_error_of_one_line(tmp_path):
    (tmp_path / "text.wav").write_text("not a sound at all\n" * 100)
    (tmp_path / "nothing.wav").touch()
    (tmp_path / "folder.wav").mkdir()
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, dtype=np.float32), 16000)
    for name in ["text.wav", "nothing.wav", "folder.wav", "empty.wav", "absent.wav"]:
        with pytest.raises(AudioError) as caught:
            read_audio(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["wav", "aiff", "flac"])
def test_of_a_file_cut_short_what_is_there_is_read_and_its_promise_is_known(tmp_path, suffix):
    path = tmp_path / f"clip.{suffix}"
    wave = (0.2 * np.random.default_rng(0).standard_normal(40000)).astype(np.float32)
    soundfile.write(path, wave, 16000, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    samples, _ = read_audio(path)
    assert 12000 < samples.size < 21000
    np.testing.assert_allclose(samples, wave[: samples.size], atol=1e-4)
    with open_audio(path) as file:
        assert abs(file.frames - 40000) < 10


def test_a_stream_without_a_known_length_is_not_cut_short(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, tone(), 16000)
    data = bytearray(path.read_bytes())
    data[data.find(b"data") + 4 : data.find(b"data") + 8] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    with open_audio(path) as file:
        assert file.frames == 4800


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 4000), st.sampled_from([8000, 11025, 16000, 44100, 48000, 192000]))
def test_resampling_keeps_the_duration(count, rate):
    resampled = resample(np.ones(count, dtype=np.float32), rate, 16000)
    assert abs(resampled.size - count * 16000 / rate) <= 1


def test_an_hour_is_resampled_in_pieces_that_cannot_be_heard(monkeypatch):
    wave = tone(2.0, 440, 44100) + np.float32(0.2)
    whole = prepare(wave, 44100, Preparation())
    level = level_db(wave, mean=0.2)
    monkeypatch.setattr("mfcl.audio.preparation.PIECE", 1000)
    np.testing.assert_array_equal(prepare(wave, 44100, Preparation()), whole)
    same_rate = resample(wave, 16000, 16000, less=0.25)
    np.testing.assert_array_equal(same_rate, wave - np.float32(0.25))
    assert level_db(wave, mean=0.2) == pytest.approx(level)


def test_resampling_keeps_a_tone():
    resampled = resample(tone(1.0, 440, 48000), 48000, 16000)
    np.testing.assert_allclose(resampled[500:-500], tone(1.0, 440, 16000)[500:-500], atol=1e-4)
    assert level_db(resample(tone(1.0, 9000, 48000), 48000, 16000)[500:-500]) < -80  # above half the new rate


def test_preparing_removes_the_mean_before_anything_else():
    prepared = prepare(tone(0.5, 440, 48000) + np.float32(0.3), 48000, Preparation())
    assert prepared.size == 8000
    assert abs(prepared.mean()) < 1e-4
    assert np.abs(prepared).max() < 0.16  # no step at the ends
    kept = prepare(tone() + np.float32(0.3), 16000, Preparation(remove_dc=False))
    assert kept.mean() == pytest.approx(0.3, abs=1e-3)


def test_trimming_cuts_quiet_ends_and_keeps_quiet_middles():
    quiet = tone(0.2, level=1e-4)
    wave = np.concatenate([quiet, tone(0.1), quiet, tone(0.1), quiet])
    trimmed = prepare(wave, 16000, Preparation(trim_db=40.0))
    assert abs(trimmed.size - 0.4 * 16000) <= 2 * 160
    assert prepare(wave, 16000, Preparation(trim_db=80.0)).size == wave.size


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 1000), st.sampled_from([1e-5, 1e-2, 1.0]))
def test_trimming_and_levelling_leave_something_of_any_length(count, size):
    wave = size * np.random.default_rng(count).standard_normal(count).astype(np.float32)
    prepared = prepare(wave, 16000, Preparation(remove_dc=False, trim_db=40.0, level_db=-20.0))
    assert 1 <= prepared.size <= count
    assert np.abs(prepared).max() <= 1.0001


def test_levelling_meets_its_target_unless_peaks_would_clip():
    assert level_db(prepare(tone(level=0.01), 16000, Preparation(level_db=-25.0))) == pytest.approx(-25, abs=0.01)
    loud = prepare(tone(level=0.01), 16000, Preparation(level_db=0.0))
    assert np.abs(loud).max() == pytest.approx(1, abs=1e-3)
    assert np.all(prepare(np.zeros(99, dtype=np.float32), 16000, Preparation(level_db=-20.0)) == 0)


def test_sound_too_short_for_a_sample_is_an_error():
    with pytest.raises(AudioError, match="leave nothing"):
        prepare(np.ones(1, dtype=np.float32), 192000, Preparation())


@pytest.mark.parametrize("values", [{"sample_rate": 10}, {"trim_db": -1.0}, {"level_db": 3.0}])
def test_preparations_out_of_range_are_refused(values):
    with pytest.raises(RecipeError, match=next(iter(values))):
        Preparation(**values)


def test_what_is_written_is_read_back_and_clipped_at_full_scale(tmp_path):
    wave = tone()
    wave[0] = 1.5
    for name in ["a.wav", "deep/b.flac"]:
        write_audio(tmp_path / name, wave, 16000)
        samples, rate = read_audio(tmp_path / name)
        assert rate == 16000
        np.testing.assert_allclose(samples, np.clip(wave, -1, 1), atol=1e-4)


def test_writing_an_unknown_format_or_nowhere_is_an_error(tmp_path):
    with pytest.raises(AudioError, match="XYZ"):
        write_audio(tmp_path / "clip.xyz", tone(), 16000)
    (tmp_path / "file").touch()
    with pytest.raises(MfclError, match="cannot be written"):
        write_audio(tmp_path / "file" / "clip.wav", tone(), 16000)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_silence_has_a_level():
    assert level_db(np.zeros(10, dtype=np.float32)) == -120
    assert level_db(np.zeros(0, dtype=np.float32)) == -120


def test_a_minute_is_written_as_ogg(tmp_path):  # in a process of its own: what fails here is the stack
    wave = np.tile(tone(1.0, 300, 48000), 60)
    text = (
        "import sys, numpy, pathlib; from mfcl.audio import write_audio; "
        "write_audio(pathlib.Path(sys.argv[2]), numpy.load(sys.argv[1]), 48000)"
    )
    np.save(tmp_path / "wave.npy", wave)
    subprocess.run([sys.executable, "-c", text, tmp_path / "wave.npy", tmp_path / "long.ogg"], check=True)
    assert read_audio(tmp_path / "long.ogg")[0].shape == wave.shape
