"""Endpoints: a clip is cut to its sound by its own noise floor, or stays as it is."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.audio import LongSound, Preparation, heard, judge, prepare, read_prepared
from mfcl.audio.endpoints import FrameSums, frame_power, sound_span
from mfcl.core.plain_values import from_dict, to_dict
from mfcl.data.decoding import LeftOut, recording_windows, whole_recordings
from mfcl.data.events import sound_share
from mfcl.data.layouts import open_manifest
from mfcl.data.scanning import scan, scan_once
from mfcl.data.store import open_store
from mfcl.recipe import Recipe, load_recipe
from tests.sounds import tone

RATE = 16000
ENDPOINTS = Preparation(endpoints=True, remove_dc=False)


def noise(seconds, level, seed=0):
    return (level * np.random.default_rng(seed).standard_normal(round(RATE * seconds))).astype(np.float32)


def bursts(total, places, *, level=0.2, floor=0.0):
    """Return tones of 0.3 s at the given seconds, in white noise."""
    clip = noise(total, floor) if floor else np.zeros(round(total * RATE), dtype=np.float32)
    for place in places:
        first = round(place * RATE)
        burst = tone(0.3, 440, RATE, level=level)
        clip[first : first + burst.size] += burst
    return clip


def cut(clip, preparation=ENDPOINTS):
    """Return what is kept, and seconds of its first and last sample in the clip, which has no two equal places."""
    kept = prepare(clip, RATE, preparation)
    first = next(i for i in range(0, clip.size - kept.size + 1, 160) if np.array_equal(clip[i : i + kept.size], kept))
    return first / RATE, (first + kept.size) / RATE


@pytest.mark.parametrize("snr_db", [15, 20, 30, 60])
def test_a_burst_in_noise_is_kept_with_a_margin_of_about_50_ms(snr_db):
    floor = 0.2 / np.sqrt(2) * 10 ** (-snr_db / 20)
    first, last = cut(bursts(1.5, [0.7], floor=floor))
    assert 0.58 < first <= 0.66
    assert 1.04 <= last < 1.12


def test_a_burst_in_digital_silence_is_kept_with_a_margin():
    kept = prepare(bursts(2.0, [0.7]), RATE, ENDPOINTS)
    assert 0.38 * RATE <= kept.size <= 0.46 * RATE
    np.testing.assert_array_equal(np.trim_zeros(kept), np.trim_zeros(bursts(2.0, [0.7])))


def test_digital_silence_behind_a_noisy_scene_is_cut_although_it_is_not_the_noise_floor():
    scene = np.concatenate([noise(1.0, 0.1), np.zeros(RATE, dtype=np.float32)])
    first, last = cut(scene)
    assert first == 0
    assert 1.03 <= last <= 1.08


def test_bursts_close_together_are_one_and_a_faint_one_far_away_is_left_out():
    near = bursts(3.0, [1.0, 1.5], floor=1e-3)
    assert cut(near)[1] - cut(near)[0] == pytest.approx(0.9, abs=0.08)
    assert sound_span(frame_power(near, 160)).runs == 1
    far = bursts(3.0, [0.4], floor=1e-3) + bursts(3.0, [2.3], level=0.04)
    first, last = cut(far)
    assert first < 0.4
    assert 0.7 < last < 0.8
    assert sound_span(frame_power(far, 160)).runs == 2


def test_of_equal_bursts_far_apart_the_first_is_kept_and_of_unequal_ones_the_one_with_most_energy():
    barks = bursts(5.0, [0.5, 2.0, 3.5])
    assert cut(barks)[0] == pytest.approx(0.44, abs=0.03)
    assert cut(barks + bursts(5.0, [2.0], level=0.01))[0] == pytest.approx(1.94, abs=0.03)
    assert sound_span(frame_power(barks, 160)).runs == 3


def test_a_click_is_no_sound():
    clip = bursts(2.0, [1.2], floor=1e-3)
    clip[3200:3202] = 0.9
    assert cut(clip)[0] > 1.1


@pytest.mark.parametrize(
    "clip",
    [
        noise(2.0, 0.1),
        noise(2.0, 0.1) + bursts(2.0, [0.7], level=0.1),  # -3 dB: the burst does not stand out
        tone(1.0, 440, RATE),
        np.concatenate([noise(0.1, 1e-3), tone(0.5, 440, RATE), noise(0.1, 1e-3)]),
        np.zeros(RATE, dtype=np.float32),
        tone(0.07, 440, RATE),
        bursts(31.0, [3.0], floor=1e-3),
    ],
    ids=["steady noise", "too much noise", "all loud", "mostly loud", "silence", "70 ms", "31 s"],
)
def test_what_falls_short_stays_whole(clip):
    np.testing.assert_array_equal(prepare(clip, RATE, ENDPOINTS), clip)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 20_000),
    st.integers(0, 99),
    st.lists(st.tuples(st.floats(0, 1), st.floats(1e-4, 1)), max_size=4),
    st.integers(-12, 3),
)
def test_what_is_kept_is_one_piece_of_the_clip_and_its_level_changes_nothing(count, seed, louder, power):
    clip = 1e-4 * np.random.default_rng(seed).standard_normal(count).astype(np.float32)
    for place, level in louder:
        first = int(place * count)
        clip[first : first + 2000] *= np.float32(level / 1e-4)
    kept = prepare(clip, RATE, ENDPOINTS)
    assert 1 <= kept.size <= count
    place = int(np.flatnonzero(clip == kept[0])[0])
    np.testing.assert_array_equal(clip[place : place + kept.size], kept)
    np.testing.assert_array_equal(
        prepare(clip * np.float32(2.0**power), RATE, ENDPOINTS), kept * np.float32(2.0**power)
    )


@pytest.mark.parametrize("floor", [0.0, 1e-3, 1e-2])
def test_a_burst_that_was_cut_is_not_cut_again(floor):
    once = prepare(bursts(2.0, [0.9], floor=floor), RATE, ENDPOINTS)
    assert once.size < RATE
    np.testing.assert_array_equal(prepare(once, RATE, ENDPOINTS), once)


def test_endpoints_are_found_in_what_trimming_left():
    clip = bursts(2.0, [0.9], floor=1e-3)
    both = prepare(clip, RATE, replace(ENDPOINTS, trim_db=20.0))
    assert both.size == prepare(clip, RATE, Preparation(trim_db=20.0, remove_dc=False)).size


def corpus(folder):
    """Write clips of bursts at several rates; the last is a scene of noise."""
    folder.mkdir()
    for place, rate in enumerate([16000, 44100, 8000]):
        clip = 0.003 * np.random.default_rng(place).standard_normal(2 * rate)
        clip[round(0.8 * rate) :][: rate // 2] += 0.3 * np.sin(np.arange(rate // 2) * 2 * np.pi * 500 / rate)
        soundfile.write(folder / f"{place}.flac", clip + 0.05, rate)
    soundfile.write(folder / "3.wav", 0.1 * np.random.default_rng(3).standard_normal(4 * RATE), RATE)
    return open_manifest(folder)


@pytest.mark.parametrize("long", [False, True])
def test_file_array_and_store_are_cut_alike_whole_or_in_pieces(tmp_path, monkeypatch, long):
    manifest, preparation = corpus(tmp_path / "in"), Preparation(endpoints=True, level_db=-25.0)
    arrays = [prepare(*_read(one.path), preparation) for one in manifest]
    if long:
        monkeypatch.setattr("mfcl.audio.judging.HELD", 4000)
        monkeypatch.setattr("mfcl.audio.sound.BLOCK", 3000)
    store = open_store(manifest, preparation, cache=tmp_path / "cache", dtype="float32", progress=False)
    (pieces,) = whole_recordings(manifest, preparation, LeftOut())
    assert [array.size < 0.8 * RATE for array in arrays] == [True, True, True, False]
    for place, array in enumerate(arrays):
        np.testing.assert_allclose(store.clip(place), array, atol=1e-5)
        assert isinstance(pieces[place].samples, LongSound) == long
        np.testing.assert_allclose(pieces[place].samples[0 : array.size + 99], heard(array), atol=1e-4)


def _read(path):
    samples, rate = soundfile.read(path, dtype="float32")
    return samples, rate


def test_windows_are_cut_from_the_whole_recording(tmp_path):
    manifest = corpus(tmp_path / "in")
    for preparation in (Preparation(endpoints=True), Preparation(endpoints=True, trim_db=20.0)):
        found = [
            (one.recording, one.start)
            for some in recording_windows(manifest, preparation, LeftOut(), window=1.0, hop=1.0)
            for one in some
        ]
        assert found == [(place, start) for place in range(3) for start in (0.0, 1.0)] + [
            (3, 1.0 * i) for i in range(4)
        ]


@pytest.mark.parametrize("long", [False, True])
def test_a_file_of_more_than_30_s_is_not_cut(tmp_path, monkeypatch, long):
    if long:
        monkeypatch.setattr("mfcl.audio.judging.HELD", 4000)
    for seconds in (30.0, 30.1):
        clip = bursts(seconds, [3.0], floor=1e-3)
        soundfile.write(tmp_path / "it.wav", clip, RATE)
        sound, _ = read_prepared(tmp_path / "it.wav", Preparation(endpoints=True))
        assert len(sound) == (clip.size if seconds > 30 else pytest.approx(0.4 * RATE, abs=0.05 * RATE))


def test_a_store_is_known_by_its_endpoints_and_one_of_version_0_2_is_still_found(tmp_path):
    manifest = corpus(tmp_path / "in")
    plain, cutting = Preparation(), Preparation(endpoints=True)
    assert repr(plain) == "Preparation(sample_rate=16000, remove_dc=True, trim_db=None, level_db=None)"
    assert repr(cutting) == f"{repr(plain)[:-1]}, endpoints=True)"
    made = [open_store(manifest, one, cache=tmp_path / "cache", progress=False) for one in (plain, cutting, plain)]
    assert len([path for path in (tmp_path / "cache" / "store").iterdir() if path.is_dir()]) == 2
    assert made[0].lengths.tolist() == made[2].lengths.tolist() != made[1].lengths.tolist()


def test_recipes_without_the_setting_do_not_cut_and_are_saved_as_they_were():
    saved = to_dict(load_recipe("quick", ["preparation.endpoints=false"]))
    assert "endpoints" not in saved["preparation"]
    assert not from_dict(Recipe, saved, where="it").preparation.endpoints
    cutting = load_recipe("quick", ["preparation.endpoints=true"])
    assert to_dict(cutting)["preparation"]["endpoints"] is True
    assert from_dict(Recipe, json.loads(json.dumps(to_dict(cutting))), where="it") == cutting
    assert load_recipe(cutting, ["train.epochs=3"]).preparation.endpoints


def test_the_scan_measures_what_preparing_keeps_in_blocks_of_any_size(tmp_path, monkeypatch):
    manifest = corpus(tmp_path / "in")
    for recording in manifest:
        seconds, runs = judge(recording.path).sound
        sound, _ = read_prepared(recording.path, Preparation(endpoints=True))
        assert seconds == pytest.approx(len(sound) / RATE, abs=0.03)
        assert runs == (0 if recording.id == "3.wav" else 1)
    clip = bursts(2.0, [0.9], floor=1e-3).astype(np.float64) + 0.2
    whole = FrameSums(RATE)
    whole.add(clip)
    pieces = FrameSums(RATE)
    for block in np.split(clip, [1, 7, 500, 9999, 20000]):
        pieces.add(block)
    assert whole.sound(float(clip.mean())) == pieces.sound(float(clip.mean()))
    assert whole.sound(float(clip.mean()))[0] == pytest.approx(0.4, abs=0.04)
    pieces.add(np.zeros(29 * RATE))
    assert pieces.sound(0.0) is None


def test_a_scan_tells_isolated_events_from_scenes_and_caches_what_it_measured(tmp_path):
    for folder, clips in {
        "events": [bursts(1.0 + 0.1 * seed, [0.3], floor=1e-3) for seed in range(5)],
        "scenes": [noise(5.0, 0.1, seed) for seed in range(3)] + [bursts(5.0, [0.5, 2.0, 4.0], floor=1e-3)],
    }.items():
        (tmp_path / folder).mkdir()
        for place, clip in enumerate(clips):
            soundfile.write(tmp_path / folder / f"{place}.flac", clip, RATE)
    events, scenes = (scan(open_manifest(tmp_path / name), progress=False) for name in ("events", "scenes"))
    assert events.sound.isolated
    assert events.sound.median == pytest.approx(0.44 / 1.2, abs=0.01)
    assert (
        "37 % of a clip in its main run (median); 100 % of clips hold one run of at most 3 s: isolated events"
        in events.table()
    )
    assert not scenes.sound.isolated
    assert (
        "100 % of a clip in its main run (median); 0 % of clips hold one run of at most 3 s: scenes" in scenes.table()
    )
    manifest = open_manifest(tmp_path / "events")
    first, again = (scan_once(manifest, cache=tmp_path / "cache", progress=False) for _ in range(2))
    assert first.entries == again.entries == events.entries


def test_long_recordings_are_no_events_and_without_a_measured_clip_nothing_is_said():
    assert sound_share([(3600.0, None, 0)]) is None
    share = sound_share([(3600.0, None, 0), (1.0, 0.5, 1)])
    assert (share.clips, share.median, share.single, share.isolated) == (1, 0.5, 0.5, False)
    assert sound_share([]) is None
