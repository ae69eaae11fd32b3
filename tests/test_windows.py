"""Windows of a recording: where they lie, and that a file in pieces gives what the whole of it gives."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.audio import Preparation, prepare, read_audio, windows
from mfcl.audio.windows import array_windows, bounded, check_window, file_windows
from mfcl.errors import AudioError

PLAIN = Preparation(sample_rate=1000, remove_dc=False)


@given(st.integers(1, 60), st.integers(1, 20), st.integers(1, 30), st.integers(1, 25))
@settings(deadline=None, max_examples=200)
def test_windows_of_a_sound_in_blocks_are_those_of_the_formula(samples: int, size: int, step: int, block: int) -> None:
    sound = np.arange(samples, dtype=np.float32)
    blocks = [sound[first : first + block] for first in range(0, samples, block)]
    starts = list(range(0, max(1, samples - size + 1), step))
    if starts[-1] + size < samples:
        starts.append(samples - size)
    found = list(windows._cut(blocks, size, step))
    assert [first for first, _ in found] == starts
    for first, own in found:
        assert own.tolist() == sound[first : first + size].tolist()


@pytest.mark.parametrize("rate", [16000, 22050])
@pytest.mark.parametrize("level_db", [None, -25.0])
@pytest.mark.parametrize("part", [(None, None), (0.5, 2.25)])
def test_a_file_in_pieces_gives_what_the_whole_of_it_gives(
    rate: int, level_db: float | None, part: tuple[float | None, float | None], tmp_path: Path
) -> None:
    sound = 0.1 * np.random.default_rng(0).standard_normal((3 * rate, 2)).astype(np.float32)
    sound[: int(0.9 * rate)] *= 0.001  # what trimming would cut
    soundfile.write(tmp_path / "a.wav", sound + np.float32(0.2), rate, subtype="FLOAT")
    preparation = Preparation(level_db=level_db, trim_db=20.0, remove_dc=rate == 16000)
    start, end = part
    found = list(file_windows(tmp_path / "a.wav", preparation, window=0.5, hop=0.3, start=start, end=end))
    samples, own = read_audio(tmp_path / "a.wav", start=start, end=end)
    whole = prepare(samples, own, dataclasses.replace(preparation, trim_db=None))
    alike = list(array_windows(samples, own, preparation, window=0.5, hop=0.3))
    assert [first for first, _ in found] == [first for first, _ in alike]
    assert found[-1][0] == len(whole) - 8000
    for (first, window), (_, other) in zip(found, alike, strict=True):
        np.testing.assert_allclose(window, whole[first : first + 8000], atol=1e-6)
        np.testing.assert_allclose(other, whole[first : first + 8000], atol=1e-6)


def test_memory_holds_some_windows_however_long_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "PIECE", 5000)
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 60000), 16000)
    given = file_windows(tmp_path / "a.wav", Preparation(), window=0.1, hop=0.05)
    most = max(own.base.size for _, own in given if own.base is not None)
    assert most < 5000 + 4096 + 2 * 1600


def test_windows_come_in_groups_of_bounded_number_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "CHUNK", 3)
    assert list(bounded(range(7), lambda _: 1)) == [[0, 1, 2], [3, 4, 5], [6]]
    monkeypatch.setattr(windows, "MOST_SAMPLES", 4)
    assert list(bounded([1, 5, 2, 3], lambda size: size)) == [[1, 5], [2, 3]]


@pytest.mark.parametrize(
    ("window", "hop"), [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (float("nan"), 1.0), (1, float("inf"))]
)
def test_lengths_that_are_none_are_refused(window: float, hop: float) -> None:
    with pytest.raises(AudioError, match="above 0 seconds, got"):
        check_window(window, hop)


def test_files_that_hold_nothing_usable_are_said_as_elsewhere(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan, np.float32), 1000, subtype="FLOAT")
    soundfile.write(tmp_path / "none.wav", np.zeros(0, np.float32), 1000)
    soundfile.write(tmp_path / "short.wav", np.zeros(100, np.float32), 1000)
    for name, start, said in (
        ("nan", None, "NaN"),
        ("none", None, "empty"),
        ("short", 9.0, "nothing at 9"),
        ("x", None, "cannot"),
    ):
        with pytest.raises(AudioError, match=said):
            list(file_windows(tmp_path / f"{name}.wav", PLAIN, window=1.0, hop=1.0, start=start))
    soundfile.write(tmp_path / "one.wav", np.zeros(1, np.float32), 384000)
    with pytest.raises(AudioError, match="1 samples leave nothing at 1000 Hz"):
        list(file_windows(tmp_path / "one.wav", PLAIN, window=1.0, hop=1.0))
