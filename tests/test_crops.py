import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.errors import AudioError, RecipeError
from mfcl.views.crops import PLACEMENTS, UNITS, CropPair, CropSettings, crop_pair

RATE = 16000


def crops(lengths: np.ndarray, asked: CropSettings, *, seed: int = 0, epoch: int = 0) -> CropPair:
    return crop_pair(lengths, RATE, asked, seed=seed, epoch=epoch, recordings=np.arange(len(lengths)))


def distance(pair: CropPair) -> np.ndarray:
    """Samples between the end of the earlier crop and the start of the later one; negative where they overlap."""
    early = np.argmin(pair.starts, axis=1)
    rows = np.arange(len(early))
    return pair.starts[rows, 1 - early] - (pair.starts[rows, early] + pair.counts[rows, early])


@st.composite
def asked_settings(draw: st.DrawFn) -> CropSettings:
    unit, placement = draw(st.sampled_from(UNITS)), draw(st.sampled_from(PLACEMENTS))
    most = (0.45 if placement == "disjoint" else 1.0) if unit == "fraction" else 3.0
    length = draw(st.floats(0.01, most))
    longest = draw(st.none() | st.floats(length, most))
    gap = draw(st.floats(0, 0.1)) if placement == "disjoint" else 0.0
    return CropSettings(length, longest, unit, placement, gap, draw(st.sampled_from([0.0, 0.05, 0.5])))


lengths_of_recordings = st.lists(st.integers(1, 3 * RATE), min_size=1, max_size=40).map(np.array)


@given(lengths=lengths_of_recordings, asked=asked_settings(), seed=st.integers(0, 1000), epoch=st.integers(0, 50))
@settings(max_examples=25, deadline=None)
def test_crops_lie_inside_the_recording_and_keep_their_placement(
    lengths: np.ndarray, asked: CropSettings, seed: int, epoch: int
) -> None:
    pair = crops(lengths, asked, seed=seed, epoch=epoch)
    assert (pair.counts >= 1).all()
    assert (pair.starts >= 0).all()
    assert (pair.starts + pair.counts <= lengths[:, None]).all()
    assert (pair.counts[:, 0] == pair.counts[:, 1]).all()
    if asked.placement == "disjoint":
        assert (distance(pair)[lengths > 1] >= 0).all()
    if asked.placement == "overlapping":
        assert (distance(pair) < 0).all()


@given(lengths=st.lists(st.integers(1, 2000), min_size=30, max_size=30).map(np.array), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_short_recordings_never_share_a_sample_when_disjoint(lengths: np.ndarray, seed: int) -> None:
    for asked in (CropSettings(gap=0.1), CropSettings(0.4, unit="seconds", gap=0.02), CropSettings(0.5)):
        pair = crops(lengths, asked, seed=seed)
        assert (distance(pair)[lengths > 1] >= 0).all()
        # as long as half of the recording allows, up to the shortest
        assert (pair.counts[:, 0] >= np.maximum(np.minimum(lengths // 2, round(0.05 * RATE)), 1)).all()


@pytest.mark.parametrize("seed", range(5))
def test_overlapping_crops_of_a_few_samples_share_at_least_one(seed: int) -> None:
    lengths = np.arange(1, 200)
    asked = CropSettings(0.2, placement="overlapping", shortest_seconds=0.0)
    assert (distance(crops(lengths, asked, seed=seed)) < 0).all()


@given(lengths=st.lists(st.integers(2000, 3 * RATE), min_size=5, max_size=5).map(np.array), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_the_gap_is_kept(lengths: np.ndarray, seed: int) -> None:
    asked = CropSettings(0.4, gap=0.2)
    assert (distance(crops(lengths, asked, seed=seed)) >= np.rint(0.2 * lengths)).all()
    seconds = CropSettings(1.0, unit="seconds", gap=0.025)
    assert (distance(crops(lengths, seconds, seed=seed)) >= 400).all()


@pytest.mark.parametrize(
    "asked",
    [
        CropSettings(0.30, gap=0.1),
        CropSettings(0.40, gap=0.1),
        CropSettings(0.45),
        CropSettings(0.50),
        CropSettings(0.60, placement="overlapping"),
        CropSettings(0.80, placement="free"),
        CropSettings(1.00, placement="free"),
    ],
    ids=lambda asked: f"{asked.length:.0%} {asked.placement}",
)
def test_the_studys_sweep_gives_the_lengths_that_were_asked(asked: CropSettings) -> None:
    lengths = np.arange(8000, 12000, 7)
    pair = crops(lengths, asked)
    assert np.abs(pair.counts - asked.length * lengths[:, None]).max() <= 1  # 50 % of an odd length rounds down
    assert ((distance(pair) >= 0) == (asked.placement == "disjoint")).all()


def test_a_recording_of_one_sample_is_both_crops() -> None:
    for placement in PLACEMENTS:
        pair = crops(np.array([1]), CropSettings(placement=placement))
        assert pair.starts.tolist() == [[0, 0]]
        assert pair.counts.tolist() == [[1, 1]]


def test_a_recording_without_samples_is_named() -> None:
    with pytest.raises(AudioError, match="recording 1 "):
        crops(np.array([5, 0]), CropSettings())


def test_either_crop_comes_first_about_half_of_the_time() -> None:
    for placement in ("disjoint", "overlapping", "free"):
        pair = crops(np.full(4000, RATE), CropSettings(placement=placement))
        first = np.mean(pair.starts[:, 0] < pair.starts[:, 1])
        assert first == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_crops_reach_every_part_of_the_recording(placement: str) -> None:
    length = 10
    asked = CropSettings(0.3, placement=placement, shortest_seconds=0.0)
    pair = crops(np.full(4000, length), asked)
    counts = np.bincount(pair.starts.ravel(), minlength=length)
    assert (counts[: length - 3 + 1] > 200).all()
    assert (counts[length - 3 + 1 :] == 0).all()


def test_drawn_lengths_fill_the_range_and_change_with_the_epoch() -> None:
    asked = CropSettings(0.2, 0.4, gap=0.1)
    lengths = np.full(2000, RATE)
    shares = crops(lengths, asked).counts[:, 0] / RATE
    assert shares.min() == pytest.approx(0.2, abs=0.01)
    assert shares.max() == pytest.approx(0.4, abs=0.01)
    assert shares.mean() == pytest.approx(0.3, abs=0.01)
    assert (crops(lengths, asked, epoch=1).counts[:, 0] / RATE != shares).mean() > 0.9


@given(
    lengths=st.lists(st.integers(1, RATE), min_size=2, max_size=20).map(np.array),
    asked=asked_settings(),
    data=st.data(),
)
@settings(max_examples=25, deadline=None)
def test_a_recordings_crops_do_not_depend_on_its_batch(
    lengths: np.ndarray, asked: CropSettings, data: st.DataObject
) -> None:
    order = np.array(data.draw(st.permutations(range(len(lengths)))))[: data.draw(st.integers(1, len(lengths)))]
    whole = crops(lengths, asked)
    part = crop_pair(lengths[order], RATE, asked, seed=0, epoch=0, recordings=order)
    assert np.array_equal(part.starts, whole.starts[order])
    assert np.array_equal(part.counts, whole.counts[order])


def test_seed_and_epoch_move_the_crops() -> None:
    lengths = np.full(50, RATE)
    start = crops(lengths, CropSettings()).starts
    assert np.array_equal(start, crops(lengths, CropSettings()).starts)
    assert not np.array_equal(start, crops(lengths, CropSettings(), seed=1).starts)
    assert not np.array_equal(start, crops(lengths, CropSettings(), epoch=1).starts)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"unit": "second"}, "did you mean 'seconds'"),
        ({"placement": "apart"}, "disjoint"),
        ({"length": 0.0}, "length: wanted a number from 0.0001 to 3600, got 0.0"),
        ({"length": 0.4, "longest": 0.3}, "longest"),
        ({"length": 0.6}, "overlapping"),
        ({"length": 0.45, "gap": 0.2}, "do not fit"),
        ({"length": 1.5, "placement": "free"}, "unit: seconds"),
        ({"gap": -0.1}, "gap: wanted a number from 0 to 3600, got -0.1"),
        ({"gap": 0.1, "placement": "free"}, "set it to 0"),
        ({"length": float("nan")}, "length: wanted a number .* got nan"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(wrong: dict[str, object], word: str) -> None:
    with pytest.raises(RecipeError, match=word) as caught:
        CropSettings(**wrong)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_an_hour_of_sound_gives_crops_that_fit_into_memory():
    hour = np.array([3600 * 16000], dtype=np.int64)
    pair = crop_pair(hour, 16000, CropSettings(), seed=0, epoch=0, recordings=np.array([0]))
    assert pair.counts.tolist() == [[5 * 16000, 5 * 16000]]
    with pytest.raises(RecipeError, match="most_seconds"):
        CropSettings(unit="seconds", length=6.0)
