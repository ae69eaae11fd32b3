"""Sound in arrays, where it enters: every kind means what its type says, and what means nothing is one line."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mfcl.audio import Preparation, read_prepared
from mfcl.audio.arrays import listed, mono_samples, padded, whole_rate
from mfcl.errors import AudioError
from tests.sounds import tone

CLIP = tone(0.1)


@pytest.mark.parametrize(
    ("made", "within"),
    [
        (lambda: CLIP.astype(np.float64), 1e-7),
        (lambda: CLIP.astype(np.float16), 1e-3),
        (lambda: (CLIP * 32768).round().astype(np.int16), 1 / 32768),
        (lambda: (CLIP.astype(np.float64) * 2**31).astype(np.int32), 1e-6),
        (lambda: (CLIP * 128 + 128).round().astype(np.uint8), 1 / 128),
        (lambda: CLIP[None], 0),
        (lambda: CLIP[:, None], 0),
        (lambda: np.stack([CLIP, CLIP]), 1e-7),
        (lambda: np.stack([CLIP, CLIP, CLIP], axis=1), 1e-7),
        (lambda: torch.from_numpy(CLIP), 0),
        (lambda: torch.from_numpy(CLIP).requires_grad_(), 0),
        (lambda: CLIP.tolist(), 1e-7),
        (lambda: tuple(CLIP.tolist()), 1e-7),
    ],
)
def test_sound_of_any_kind_is_the_same_sound(made, within: float) -> None:
    found = mono_samples(made())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, CLIP, rtol=0, atol=within)


@pytest.mark.parametrize("kind", ["float32", "int16"])
def test_channels_of_an_array_that_cancel_are_named_and_the_loudest_is_heard_as_of_a_file(
    tmp_path, caplog, kind
) -> None:
    stereo = (np.stack([-0.9 * CLIP, CLIP], axis=1) * 32767).round().astype(np.int16)
    soundfile.write(tmp_path / "it.wav", stereo, 16000)
    given = stereo if kind == "int16" else stereo / np.float32(32768)
    heard, notices = read_prepared(tmp_path / "it.wav", Preparation(remove_dc=False))
    np.testing.assert_array_equal(mono_samples(given, name="array 3"), heard)
    assert [record.getMessage() for record in caplog.records] == [f"array 3: {notice}" for notice in notices]
    assert mono_samples(np.zeros((1600, 2), np.float32)).tolist() == [0.0] * 1600  # silence has none that is louder


def test_whole_numbers_are_scaled_by_the_range_of_their_type() -> None:
    assert mono_samples(np.array([-32768, 0, 16384], np.int16)).tolist() == [-1, 0, 0.5]
    assert mono_samples(np.array([-(2**31), 2**30], np.int32)).tolist() == [-1, 0.5]
    assert mono_samples(np.array([0, 128, 192], np.uint8)).tolist() == [-1, 0, 0.5]


@pytest.mark.parametrize(
    ("sound", "said"),
    [
        (np.zeros(0, np.float32), r"empty array of shape \(0,\)"),
        (np.zeros((2, 2, 2), np.float32), r"got \(2, 2, 2\); give several clips as a list"),
        (np.stack([CLIP] * 3), r"got \(3, 1600\); give several clips as a list"),
        (np.stack([CLIP] * 64), r"got \(64, 1600\); give several clips as a list"),
        (np.zeros((1600, 9), np.float32), r"got \(1600, 9\)"),
        (np.zeros((20, 2), np.float32), r"got \(20, 2\)"),
        (np.float32(0.5), r"got \(\)"),
        (np.array([0.0, np.nan]), "NaN or infinity"),
        (np.array([0.0, -np.inf]), "NaN or infinity"),
        (CLIP * np.float32(1e20), r"peak of \d.*e\+19"),
        (np.full(9, 1e300), r"peak of 1e\+300"),
        (CLIP * 32768, "from -1 to 1, got a peak of .*; divide by the full scale"),
        (np.zeros(9, bool), "got bool"),
        (np.zeros(9, complex), "got complex128"),
        (np.zeros(9, np.int64), "got int64"),
        (np.array([None, 1.0], object), "got object"),
        (np.array(["a", "b"]), "got str"),
        ([[0.0, 0.1], [0.2]], "cannot be read as an array"),
        (np.ma.masked_greater(CLIP, 0.1), "some are masked; fill them or cut them out"),
        (None, "got object"),
    ],
)
def test_what_is_no_sound_is_one_line(sound, said: str) -> None:
    with pytest.raises(AudioError, match=rf"^array 3: .*{said}") as raised:
        mono_samples(sound, name="array 3")
    assert "\n" not in str(raised.value)


def test_a_float_a_little_above_full_scale_is_kept_as_it_is() -> None:
    assert mono_samples(np.array([0.0, -7.9, 2.0])).tolist() == pytest.approx([0, -7.9, 2])


def test_one_sound_and_several_are_told_apart() -> None:
    assert listed(Path("a.wav")) == [Path("a.wav")]
    assert listed(np.array(["a.wav", "b.wav"])) == ["a.wav", "b.wav"]
    assert listed(np.array([Path("a.wav"), "b.wav"], object)) == [Path("a.wav"), "b.wav"]
    assert listed([0, 0.5]) == [[0, 0.5]]
    assert listed([]) == []
    assert [len(one) for one in listed([CLIP, CLIP.tolist(), torch.from_numpy(CLIP)])] == [1600] * 3
    assert len(listed(CLIP)) == len(listed(torch.from_numpy(CLIP))) == 1
    assert len(listed(iter([CLIP, CLIP]))) == 2


@pytest.mark.parametrize("rate", [0, -16000, float("nan"), float("inf"), 99, 2**40, 22050.5, True, "16000", None, 1j])
def test_a_rate_that_no_sound_has_is_refused(rate) -> None:
    with pytest.raises(AudioError, match=f"^sample_rate: wanted .* got {re.escape(repr(rate))}$"):
        whole_rate(rate)


def test_a_rate_of_any_number_type_is_taken() -> None:
    assert [whole_rate(rate) for rate in (16000, 44100.0, np.int64(8000), np.float32(500000))] == [
        *(16000, 44100, 8000, 500000)
    ]


def test_clips_side_by_side_end_in_zeros() -> None:
    clips = [np.ones(2, np.float32), np.ones(3, np.float32)]
    assert padded(iter(clips), np.array([2, 3])).tolist() == [[1, 1, 0], [1, 1, 1]]
    assert padded([], np.zeros(0, np.int64)).shape == (0, 0)


@pytest.mark.parametrize("wrong", [None, 5, 0.5])
def test_what_is_no_recording_is_one_line(wrong: object) -> None:
    with pytest.raises(AudioError, match=f"wanted a path, samples or a list of either, got {wrong}"):
        listed(wrong)
