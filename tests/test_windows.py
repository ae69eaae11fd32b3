"""Windows of a recording: where they lie, and that a file in pieces gives what the whole of it gives."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.audio import LongSound, Preparation, heard, judging, prepare, read_audio, windows
from mfcl.audio.windows import bounded, check_window, hop_of, window_samples, window_starts
from mfcl.data import open_manifest
from mfcl.data.decoding import LeftOut, recording_windows, whole_recordings
from mfcl.embedder import Embedder
from mfcl.errors import AudioError
from tests.small_model import RATE, SETTINGS, saved, sound


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 30))
@settings(deadline=None, max_examples=200)
def test_windows_rise_by_the_step_and_the_last_one_ends_with_the_sound(samples: int, size: int, step: int) -> None:
    starts = window_starts(samples, size, step).tolist()
    assert starts[0] == 0
    assert starts[-1] == max(0, samples - size)
    assert (np.diff(starts[:-1]) == step).all()
    assert len(starts) < 2 or 0 < starts[-1] - starts[-2] <= step


@pytest.mark.parametrize("seconds", [1e15, 1e300, sys.float_info.max, 10**300], ids=["1e15", "1e300", "max", "int"])
@pytest.mark.parametrize("long", [False, True])
def test_a_window_and_a_hop_of_any_length_are_all_of_a_recording(
    seconds: float, long: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if long:
        monkeypatch.setattr(judging, "HELD", 1000)
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 8000), 16000)
    manifest, left_out = open_manifest(tmp_path / "a.wav"), LeftOut()
    for window, hop, count in ((seconds, seconds, 1), (seconds, 0.1, 1), (0.25, seconds, 2)):
        (found,) = recording_windows(manifest, Preparation(), left_out, window=window, hop=hop)
        assert [len(one.samples) for one in found] == [8000 // count] * count


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("rate", [16000, 22050])
@pytest.mark.parametrize("level_db", [None, -25.0])
@pytest.mark.parametrize("part", [("", ""), (0.5, 2.25)])
def test_windows_of_a_file_are_cut_from_the_whole_recording_that_is_not_trimmed(
    rate: int, level_db: float | None, part: tuple, long: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if long:
        monkeypatch.setattr(judging, "HELD", 1000)
    sound = 0.1 * np.random.default_rng(0).standard_normal((3 * rate, 2)).astype(np.float32)
    sound[: int(0.9 * rate)] *= 0.001  # what trimming would cut
    soundfile.write(tmp_path / "a.wav", sound + np.float32(0.2), rate, subtype="FLOAT")
    (tmp_path / "list.csv").write_text(f"path,start,end\na.wav,{part[0]},{part[1]}\n")
    manifest = open_manifest(tmp_path / "list.csv")
    preparation = Preparation(level_db=level_db, trim_db=20.0, remove_dc=rate == 16000, endpoints=True)
    left_out = LeftOut()
    found = [one for some in recording_windows(manifest, preparation, left_out, window=0.5, hop=0.3) for one in some]
    start, end = (None if edge == "" else edge for edge in part)
    samples, own = read_audio(tmp_path / "a.wav", start=start, end=end)
    whole = heard(prepare(samples, own, dataclasses.replace(preparation, trim_db=None, endpoints=False)))
    first = window_starts(len(whole), *window_samples(0.5, 0.3, 16000))
    assert not left_out.reasons
    assert [round((one.start - (start or 0.0)) * 16000) for one in found] == first.tolist()
    for one, place in zip(found, first, strict=True):
        np.testing.assert_allclose(one.samples, whole[place : place + 8000], atol=1e-5)


def test_a_long_recording_is_not_held_and_gives_the_same_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 60000), 16000)
    manifest = open_manifest(tmp_path / "a.wav")
    ((short,),) = whole_recordings(manifest, Preparation(), LeftOut())
    monkeypatch.setattr(judging, "HELD", 1000)
    ((long,),) = whole_recordings(manifest, Preparation(), LeftOut())
    assert isinstance(long.samples, LongSound)
    assert isinstance(short.samples, np.ndarray)
    np.testing.assert_allclose(long.samples[0 : len(long.samples)], short.samples, atol=1e-6)


def test_windows_come_in_groups_of_bounded_number_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "CHUNK", 3)
    assert list(bounded(range(7), lambda _: 1)) == [[0, 1, 2], [3, 4, 5], [6]]
    monkeypatch.setattr(windows, "MOST_SAMPLES", 4)
    assert list(bounded([1, 5, 2, 3], lambda size: size)) == [[1, 5], [2, 3]]


@pytest.mark.parametrize(
    ("window", "hop"), [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (float("nan"), 1.0), (1, float("inf")), (1e-9, 1e-9)]
)
def test_lengths_that_are_none_are_refused(window: float, hop: float) -> None:
    with pytest.raises(AudioError, match=r"0\.001 seconds or more, got"):
        check_window(window, hop)


HUGE = 10**400  # more than a float can be


@pytest.mark.parametrize(
    ("window", "hop"),
    [("1", None), (1.0, "1"), (None, None), ([1], 0.5), (True, None), (2.0, True), (HUGE, None), (1.0, HUGE)],
    ids=lambda given: type(given).__name__,
)
def test_lengths_that_are_no_numbers_are_refused(window: object, hop: object) -> None:
    with pytest.raises(AudioError, match=r"0\.001 seconds or more, got"):
        hop_of(window, hop)


def test_files_that_hold_nothing_usable_are_named_and_the_others_go_on(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "nan.wav", np.full(16000, np.nan, np.float32), 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "none.wav", np.zeros(0, np.float32), 16000)
    soundfile.write(tmp_path / "fine.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 16000), 16000)
    manifest, left_out = open_manifest(tmp_path), LeftOut()
    found = [one for some in recording_windows(manifest, Preparation(), left_out, window=1, hop=1) for one in some]
    assert [manifest.recordings[one.recording].id for one in found] == ["fine.wav"]
    assert sorted(name for name, _ in left_out.reasons) == ["nan.wav", "none.wav"]
    with pytest.raises(AudioError, match=r"nan\.wav"):
        list(recording_windows(manifest, Preparation(), LeftOut(strict=True), window=1, hop=1))


def test_a_window_is_its_samples_alone_where_they_have_the_recordings_mean_and_peak(tmp_path: Path) -> None:
    model = Embedder(saved({**SETTINGS, "preparation": {"sample_rate": RATE}}, tmp_path / "model"), device="cpu")
    pieces = np.stack([sound(0.5, seed=seed) for seed in range(4)])
    pieces -= pieces.mean(axis=1, keepdims=True)
    pieces *= 0.5 / np.abs(pieces).max(axis=1, keepdims=True)

    def apart(pieces: np.ndarray) -> float:
        """Return the largest difference of a window from its samples in a file, as a share of a vector's length."""
        files = [tmp_path / f"{place}.wav" for place in range(len(pieces))]
        for file, piece in zip(files, pieces, strict=True):
            soundfile.write(file, piece, RATE, subtype="FLOAT")
        soundfile.write(tmp_path / "whole.wav", pieces.ravel(), RATE, subtype="FLOAT")
        windows, alone = model.encode_windows(tmp_path / "whole.wav", window=0.5, hop=0.5).vectors, model.encode(files)
        return float((np.linalg.norm(windows - alone, axis=1) / np.linalg.norm(alone, axis=1)).max())

    assert apart(pieces) < 1e-5
    assert apart(pieces + np.array([[0.0], [0.1], [0.0], [0.0]], dtype=np.float32)) > 1e-4  # another mean
