"""Long recordings become rows of a manifest: without gaps, the same however they are read, and only what sounds."""

import itertools
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

import mfcl
from mfcl import cli
from mfcl.audio import io, read_audio
from mfcl.audio.onsets import BANDS, hop_samples, sound_spans, sounding
from mfcl.audio.onsets import _band_powers as band_powers
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import Manifest, Recording
from mfcl.data.manifest_csv import read_manifest
from mfcl.data.segments import segment, window_levels
from mfcl.errors import ManifestError
from tests.recipes import tiny_recipe

RATE = 8000


def cut(samples: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    """Samples of one channel as blocks whose sizes repeat."""
    edges, place = [0], 0
    while edges[-1] < len(samples):
        edges.append(min(edges[-1] + sizes[place % len(sizes)], len(samples)))
        place += 1
    return [samples[first:last, None] for first, last in itertools.pairwise(edges)]


@given(count=st.integers(1, 400), size=st.integers(1, 90), sizes=st.lists(st.integers(1, 70), min_size=1, max_size=4))
def test_windows_follow_one_another_and_have_the_level_of_their_own_samples(
    count: int, size: int, sizes: list[int]
) -> None:
    samples = np.random.default_rng([count, size]).standard_normal(count).astype(np.float32)
    spans, levels = window_levels(iter(cut(samples, sizes)), size)
    assert spans[0, 0] == 0
    assert spans[-1, 1] == count
    assert (spans[1:, 0] == spans[:-1, 1]).all()
    lengths = spans[:, 1] - spans[:, 0]
    assert (lengths[:-1] == size).all()
    assert len(spans) == 1 or size / 2 <= lengths[-1] < 1.5 * size
    wanted = [10 * np.log10(max(np.var(samples[a:b].astype(np.float64)), 1e-12)) for a, b in spans]
    assert levels == pytest.approx(wanted, abs=1e-6)


@settings(max_examples=25)
@given(
    seconds=st.floats(0.001, 4.0), seed=st.integers(0, 99), above=st.sampled_from((2.0, 6.0)),
    sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=3),
)  # fmt: skip
def test_onsets_do_not_depend_on_how_the_sound_is_read(
    seconds: float, seed: int, above: float, sizes: list[int]
) -> None:
    random = np.random.default_rng(seed)
    samples = (0.01 * random.standard_normal(max(1, round(seconds * RATE)))).astype(np.float32)
    samples[len(samples) // 3 : len(samples) // 2] *= 30
    if len(samples) // min(sizes) > 5000:
        sizes = [one + 50 for one in sizes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mfcl.audio.onsets.FLOOR_SECONDS", 0.5)
        active = sounding(cut(samples, sizes), RATE, above_db=above)
        assert np.array_equal(active, sounding([samples[:, None]], RATE, above_db=above))
    assert len(active) == -(-len(samples) // hop_samples(RATE))
    spans = sound_spans(active, len(samples), RATE, 0.3)
    assert (spans[:, 0] < spans[:, 1]).all()
    assert (spans[1:, 0] >= spans[:-1, 1]).all()
    assert ((spans >= 0) & (spans <= len(samples))).all()
    assert (spans[:, 1] - spans[:, 0] <= 0.3 * RATE).all()


def test_powers_of_bands_are_those_of_a_plain_loop() -> None:
    samples = np.random.default_rng(0).standard_normal((1000, 2)).astype(np.float32)
    hop = hop_samples(RATE)
    found = np.concatenate(list(band_powers([samples[:333], samples[333:]], hop)))
    padded = np.concatenate([np.zeros((hop, 2)), samples, np.zeros((2 * hop, 2))])
    window = np.sqrt(2 / 3) * (1 - np.cos(np.pi * np.arange(2 * hop) / hop))
    edges = np.unique(np.linspace(1, hop + 1, BANDS + 1).astype(int))
    for frame in range(13):
        power = np.zeros(len(edges) - 1)
        for channel in range(2):
            bins = np.abs(np.fft.rfft(padded[frame * hop : (frame + 2) * hop, channel] * window)) ** 2
            for band in range(len(power)):
                power[band] += bins[edges[band] : edges[band + 1]].sum() / (2 * hop**2) / 2
        assert found[frame] == pytest.approx(power, rel=1e-9)
    assert len(found) == 13
    assert found[1:12].sum(axis=1).mean() == pytest.approx(1, abs=0.15)  # the power of the noise


def test_a_quiet_call_in_one_band_stands_out_of_noise_in_all() -> None:
    random = np.random.default_rng(0)
    noise = 0.1 * random.standard_normal(90 * RATE)
    time = np.arange(RATE // 2) / RATE
    starts = (12.3, 40.0, 71.25)
    for start in starts:  # a call of 0.5 s at the level of the noise
        noise[round(start * RATE) :][: len(time)] += 0.1 * np.sqrt(2) * np.sin(2 * np.pi * (1500 + 300 * time) * time)
    active = sounding([noise[:, None].astype(np.float32)], RATE, above_db=6.0)
    spans = sound_spans(active, len(noise), RATE, 10.0) / RATE
    assert len(spans) == 3
    assert spans[:, 0] == pytest.approx(np.array(starts) - 0.05, abs=0.04)
    assert spans[:, 1] == pytest.approx(np.array(starts) + 0.55, abs=0.04)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings: 40 s of which 12 s are silent, in which words of tones are heard; and one of 1.3 s."""
    folder = tmp_path_factory.mktemp("day")
    random = np.random.default_rng(0)
    samples = 0.003 * random.standard_normal(40 * RATE)
    for place in range(20):
        time = np.arange(RATE // 2) / RATE
        at = round((0.4 + 2 * place) * RATE)
        samples[at : at + len(time)] += 0.2 * np.hanning(len(time)) * np.sin(2 * np.pi * (300 + 100 * place) * time)
    samples[16 * RATE : 28 * RATE] = 0
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    soundfile.write(folder / "a" / "long.flac", samples, RATE, subtype="PCM_24")
    soundfile.write(folder / "b" / "short.wav", samples[: round(1.3 * RATE)], RATE)
    return folder


def test_windows_of_a_file_are_its_own_samples(day: Path) -> None:
    found = segment(open_manifest(day), 1.7, progress=False)
    rows = list(found.manifest)
    assert rows[-1].id == "b/short.wav"  # shorter than a window: as it was
    assert (rows[-1].start, rows[-1].end) == (None, None)
    assert {one.labels["label"] for one in rows[:-1]} == {"a"}
    assert rows[1].id == "a/long.flac#1.7-3.4"
    whole, _ = read_audio(day / "a" / "long.flac")
    heard = np.concatenate([read_audio(one.path, start=one.start, end=one.end)[0] for one in rows[:-1]])
    kept = np.concatenate([whole[: round(10 * 1.7 * RATE)], whole[round(16 * 1.7 * RATE) :]])  # six are silent
    assert np.array_equal(heard, kept)
    assert found.left_out == 6
    assert len(found.levels) == len(rows) + 6
    assert found.seconds == pytest.approx(40 - 6 * 1.7 + 1.3)


def test_windows_of_a_segment_lie_in_it(day: Path, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(f"path,start,end,split\n{day}/a/long.flac,3.5,9.25,train\n")
    rows = segment(read_manifest(tmp_path / "list.csv"), 2.0, progress=False).manifest.recordings
    assert [(one.start, one.end) for one in rows] == [(3.5, 5.5), (5.5, 7.5), (7.5, 9.25)]
    assert {one.split for one in rows} == {"train"}


def test_a_rate_that_does_not_divide_the_window_leaves_no_gap(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).standard_normal(11025 * 7).astype(np.float32) * 0.1
    soundfile.write(tmp_path / "a.wav", samples, 11025, subtype="FLOAT")
    rows = segment(open_manifest(tmp_path), 1 / 3, progress=False).manifest.recordings
    heard = [read_audio(one.path, start=one.start, end=one.end)[0] for one in rows]
    assert np.array_equal(np.concatenate(heard), samples)
    assert {len(one) for one in heard[:-1]} == {3675}


def test_only_a_windows_own_samples_are_decoded(day: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = segment(open_manifest(day / "a"), 1.0, progress=False).manifest.recordings
    read, own = [], io.AudioFile._read

    def counted(*words: object) -> np.ndarray:
        read.append(len(block := own(*words)))
        return block

    monkeypatch.setattr(io.AudioFile, "_read", counted)
    read_audio(rows[-1].path, start=rows[-1].start, end=rows[-1].end)
    assert sum(read) == RATE


def test_the_command_splits_and_training_learns_from_the_rows(
    day: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "windows.csv"
    assert cli.main(["scan", str(day), "--segment", "2", "--level", "-70", "--out", str(out), "--quiet"]) == 0
    said = capsys.readouterr().out
    assert "15 segments of 2 recordings" in said
    assert "6 windows below -70 dB left out" in said
    rows = read_manifest(out)
    assert rows.splits.tolist() == ["train"] * 12 + ["valid", "test", "train"]
    assert "note: fewer than 3 files: each is split by time" in said
    model = mfcl.train(out, tmp_path / "run", recipe=tiny_recipe(tmp_path), cache=tmp_path / "cache", progress=False)
    assert model.encode([day / "b" / "short.wav"]).shape[0] == 1
    assert cli.main(["scan", str(day), "--segment", "onsets", "--out", str(out), "--quiet"]) == 0
    assert "hours of background between them" in capsys.readouterr().out
    sounds = [one for one in read_manifest(out) if one.start is not None and one.path.name == "long.flac"]
    # tones begin at 0.4 s of every other second, but for the six in silence
    assert np.round(np.array([one.start for one in sounds]), 0).tolist() == [*range(0, 16, 2), *range(28, 40, 2)]


def test_a_split_by_time_is_one_by_time_in_whatever_order_the_list_is(day: Path) -> None:
    path = day / "a" / "long.flac"
    listed = [Recording(f"part {start}", path, float(start), start + 2.0) for start in (34, 2, 10, 0, 14, 8)]
    found = segment(Manifest(tuple(listed), day), 2.0, progress=False).manifest
    assert [one.id for one in found] == [one.id for one in listed]
    assert {one.start: one.split for one in found if one.split != "train"} == {14.0: "valid", 34.0: "test"}


def test_what_cannot_be_split_is_one_line(day: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (["--segment", "0.01"], "segment: wanted a number from 0.05 to 3600"),
        (["--segment", "2", "--above", "3"], "--level is for --segment SECONDS, --above for --segment onsets"),
        (["--level", "-50"], "give --segment too"),
        (["--segment", "2", "--level", "-2"], "no segment is left: nothing is as loud; lower --level"),
        (["--segment", "onsets", "--above", "60"], "nothing stands out of the background; lower --above"),
    ):
        assert cli.main(["scan", str(day / "b"), *words, "--quiet"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    with pytest.raises(SystemExit):
        cli.main(["scan", str(day), "--segment", "words"])
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    with pytest.raises(ManifestError, match=r"no segment is left.*not a readable audio file"):
        segment(open_manifest(tmp_path), 1.0, progress=False)


def test_a_file_in_which_one_cannot_seek_is_named(tmp_path: Path) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal(8 * 16000)
    soundfile.write(tmp_path / "a.mp3", samples, 16000)
    found = segment(open_manifest(tmp_path), 0.1, progress=False)
    assert any("convert it to FLAC or WAV" in note for note in found.notes)


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    for minutes in (4, 12):
        with soundfile.SoundFile(tmp_path / f"{minutes}.wav", "w", RATE, 1) as file:
            for minute in range(minutes):
                file.write(0.1 * np.random.default_rng(minute).standard_normal(60 * RATE))
    most = []
    for minutes in (4, 12):
        manifest = open_manifest(tmp_path / f"{minutes}.wav")
        tracemalloc.start()
        segment(manifest, 5.0, progress=False)
        with pytest.raises(ManifestError, match="nothing stands out"):
            segment(manifest, "onsets", above_db=12, progress=False)
        most.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert most[1] < most[0] + 500_000  # the sound itself grew by 15 MB


def test_selections_in_one_recording_are_split_by_time_as_the_refusal_of_training_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = np.random.default_rng(0).standard_normal(RATE * 12).astype(np.float32) / 8
    soundfile.write(tmp_path / "day.wav", sound, RATE)
    rows = ["Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tAnnotation"]
    rows += [f"{one}\tSpectrogram 1\t1\t{one}.0\t{one}.5\tcall {one % 2}" for one in range(1, 11)]
    table, out = tmp_path / "day.Table.1.selections.txt", tmp_path / "list.csv"
    table.write_text("\n".join(rows) + "\n")
    assert cli.main(["train", str(table), "--recipe", str(tiny_recipe(tmp_path)), "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert (
        "`mfcl scan DATA --segment SECONDS --out LIST` splits long recordings, and selections in them, by time" in said
    )
    assert not (tmp_path / "run").exists()
    assert cli.main(["scan", str(table), "--segment", "60", "--out", str(out), "--quiet"]) == 0
    found = read_manifest(out)
    assert [(one.start, one.end, one.label("Annotation")) for one in found] == [
        (one, one + 0.5, f"call {one % 2}") for one in range(1, 11)
    ]
    assert found.splits.tolist() == [*["train"] * 8, "valid", "test"]
