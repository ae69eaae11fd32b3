"""Scores, unknown with its reason, calibration that holds on others, who speaks when."""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mfcl.data.manifest import Manifest, Recording
from mfcl.errors import GalleryError, MeasureError
from mfcl.evaluation.speaker.open_set import Trials, cllr, min_cllr, operating_point
from mfcl.voices import Gallery, Heard
from mfcl.voices import gallery as gallery_module
from mfcl.voices.agreement import agreement
from mfcl.voices.answers import identifications
from mfcl.voices.calibration import Calibration, apply_weights, fit_weights, sketched
from mfcl.voices.decisions import BELOW, EMPTY, MARGIN, OVERLAP
from mfcl.voices.scoring import Profiles, Scorer, raw_scores
from mfcl.voices.sound import amount_of_sound
from mfcl.voices.turns import best_path, turns
from tests.small_voices import SmallListener, clips_of, cohort, people, recording, small_gallery
from tests.sounds import tone


@pytest.fixture
def gallery(tmp_path):
    with small_gallery(tmp_path / "team.db", voices=range(10)) as made:
        yield made


def noisy(gallery, noise):
    gallery._bound._listener = SmallListener(noise=noise)
    return gallery


# scores


@pytest.mark.parametrize("way", ["mean", "best", "average", "both"])
def test_scores_are_the_cosines_that_a_loop_gives(way):
    heard = [clips_of(voice, count) for voice, count in ((1, 3), (2, 1), (3, 5))]
    owners = np.repeat([0, 1, 2], [3, 1, 5])
    shuffled = np.random.default_rng(0).permutation(9)
    vectors = np.concatenate([one.vectors for one in heard])
    profiles = Profiles.of(("a", "b", "c"), owners[shuffled], vectors[shuffled])
    query = clips_of(1, 1, take=4).vectors
    unit = [row / np.linalg.norm(row) for row in vectors]
    asked = query[0] / np.linalg.norm(query)
    expected = []
    for voice in range(3):
        own = [row for row, owner in zip(unit, owners, strict=True) if owner == voice]
        mean = np.mean(own, axis=0)
        cosines = [float(asked @ row) for row in own]
        values = {"mean": float(asked @ mean / np.linalg.norm(mean)), "best": max(cosines)}
        values |= {"average": np.mean(cosines), "both": (values["mean"] + values["best"]) / 2}
        expected.append(values[way])
    np.testing.assert_allclose(raw_scores(asked[None].astype(np.float32), profiles, way=way)[0], expected, atol=1e-5)


def test_normalised_scores_are_those_of_the_paper_written_as_loops():
    members = cohort(40).vectors
    members = members / np.linalg.norm(members, axis=1, keepdims=True)
    profiles = Profiles.of(
        ("a", "b"), np.array([0, 0, 1]), np.concatenate([clips_of(1, 2).vectors, clips_of(2, 1).vectors])
    )
    query = clips_of(1, 1, take=3).vectors
    asked = query[0] / np.linalg.norm(query)
    found = Scorer(profiles, members, top=10)(query)[0]
    for voice in range(2):
        model = profiles.means[voice]
        score = asked @ model
        own, of_voice = np.sort(members @ asked)[-10:], np.sort(members @ model)[-10:]
        expected = ((score - own.mean()) / own.std() + (score - of_voice.mean()) / of_voice.std()) / 2
        assert found[voice] == pytest.approx(expected, rel=1e-3)
    assert Scorer(profiles, members[:5], top=10)(query)[0] == pytest.approx(raw_scores(asked[None], profiles)[0])


def test_a_clips_score_does_not_depend_on_the_clips_beside_it(gallery):
    heard = clips_of(3, 6, take=2)
    together = gallery.identify(heard)
    for place in range(6):
        alone = gallery.identify(heard.select(np.array([place])))[0]
        assert alone.score == pytest.approx(together[place].score, rel=1e-5)
        assert alone.name == together[place].name


# answers


def test_the_margin_is_to_the_next_person_and_never_to_a_second_clip(gallery):
    found = gallery.identify(clips_of(3, 1, take=2), least_margin=0)[0]
    assert found.best == "voice 3"
    assert found.second != "voice 3"
    assert {near.voice for near in found.near} == {"voice 3"}  # all nearest clips are of one person
    assert found.margin > 0.3


def test_unknown_says_why(gallery, tmp_path):
    gallery.calibrate(people(100, 30), far=0.05)
    known, stranger = gallery.identify(clips_of(3, 1, take=2))[0], gallery.identify(clips_of(77, 1))[0]
    assert (known.name, known.reason) == ("voice 3", "")
    assert (stranger.name, stranger.reason) == ("unknown", BELOW)
    assert stranger.best.startswith("voice")
    with small_gallery(tmp_path / "none.db") as empty:
        assert empty.identify(clips_of(1, 1))[0].reason == EMPTY


def test_a_person_under_two_names_is_said_aloud_and_never_guessed(gallery):
    said = gallery.enrol("voice 3 again", clips_of(3, 4, take=9))
    assert any("'voice 3'" in text and "merge" in text for text in said.warnings)
    gallery.calibrate(people(100, 30), far=0.05)
    found = gallery.identify(clips_of(3, 1, take=2), least_margin=1000.0)[0]
    assert (found.name, found.reason) == ("unknown", OVERLAP)
    assert {found.best, found.second} == {"voice 3", "voice 3 again"}
    other = gallery.identify(clips_of(5, 1, take=2), least_margin=1000.0)[0]
    assert (other.name, other.reason) == ("unknown", MARGIN)
    gallery.merge("voice 3", "voice 3 again")
    assert gallery.identify(clips_of(3, 1, take=2))[0].name == "voice 3"


def test_a_claim_holds_for_its_own_voice_and_for_no_other(gallery):
    gallery.calibrate(people(100, 30), far=0.05)
    own, other = gallery.verify("voice 3", clips_of(3, 5, take=2)), gallery.verify("voice 3", clips_of(4, 5, take=2))
    assert all(one.accepted and one.nearer == "" for one in own)
    assert not any(one.accepted for one in other)
    assert {one.nearer for one in other} == {"voice 4"}
    with pytest.raises(GalleryError, match="no voice"):
        gallery.verify("nobody", clips_of(3, 1))


def test_vectors_of_another_size_are_refused(gallery):
    heard = clips_of(3, 1, dim=7)
    with pytest.raises(GalleryError, match="24 values, got 7"):
        gallery.identify(heard)


# enrolment


def test_a_clip_that_disagrees_is_named(gallery):
    odd = clips_of(50, 1)
    mixed = Heard(*(np.concatenate([getattr(clips_of(40, 5), name), getattr(odd, name)]) for name in
                    ("vectors", "seconds", "levels")), ("a", "b", "c", "d", "e", "odd.wav"))  # fmt: skip
    said = gallery.enrol("Ada", mixed)
    assert [text for text in said.warnings if "disagrees" in text] == [
        "odd.wav disagrees with the other clips of 'Ada'"
    ]
    assert gallery.enrol("Bea", clips_of(41, 6)).warnings == ()


def test_two_voices_in_one_profile_are_suspected_and_one_voice_is_not():
    members = cohort().vectors
    members = members / np.linalg.norm(members, axis=1, keepdims=True)
    two = np.concatenate([clips_of(60, 4).vectors, clips_of(61, 4).vectors])
    groups = agreement(two, members).groups
    assert groups in ((0,) * 4 + (1,) * 4, (1,) * 4 + (0,) * 4)
    assert agreement(clips_of(60, 8).vectors, members).groups == ()


@pytest.mark.parametrize("few_first", [True, False])
def test_of_two_voices_in_one_profile_the_clips_of_the_smaller_group_are_named(gallery, few_first):
    few, many = clips_of(60, 2), clips_of(61, 6)
    few, many = replace(few, sources=("a.wav", "b.wav")), replace(many, sources=tuple("uvwxyz"))
    for heard in (few, many) if few_first else (many, few):
        said = gallery.enrol("Ada", heard)
    assert "two voices in 'Ada'? these are apart from the others: a.wav, b.wav" in said.warnings


def test_a_recording_is_enrolled_once(gallery):
    said = gallery.enrol("voice 3", clips_of(3, 6))  # four of them are there
    assert (said.added, said.clips) == (2, 6)
    assert said.skipped == ("3-0-0.wav", "3-0-1.wav", "3-0-2.wav", "3-0-3.wav")
    with pytest.raises(GalleryError, match="already"):
        gallery.enrol("voice 3", clips_of(3, 6))
    said = gallery.enrol("other", clips_of(3, 1))
    assert "3-0-0.wav is enrolled as 'voice 3' too: the same recording" in said.warnings
    said = gallery.enrol("another", clips_of(2, 3))
    assert "2-0-0.wav and 2 more clips are enrolled as 'voice 2' too: the same recordings" in said.warnings


def test_the_amount_of_sound_leaves_pauses_out_and_does_not_depend_on_level():
    wave = np.concatenate([tone(0.5, level=0.1), np.zeros(16000, np.float32), tone(0.25, level=0.1)])
    seconds, level = amount_of_sound(wave, 16000)
    assert seconds == pytest.approx(0.75, abs=0.02)
    assert level == pytest.approx(-20, abs=0.2)
    assert amount_of_sound(wave * np.float32(0.01), 16000)[0] == pytest.approx(seconds, abs=0.02)


# calibration


def test_what_calibration_promises_holds_on_other_people(tmp_path):
    gallery = small_gallery(tmp_path / "team.db")
    for voice in range(10):
        gallery.enrol(f"voice {voice}", clips_of(voice, 4, noise=1.6))
    made, notes = noisy(gallery, 1.6).calibrate(people(1000, 80), far=0.05, clips=4)
    assert notes == []
    level = made.level(10)[0]
    assert level.false_alarms == pytest.approx(0.05, abs=0.005)
    assert level.low < level.threshold < level.high
    named = [one.name != "unknown" for one in gallery.identify(_all(range(5000, 5300), 1.6), least_margin=0)]
    assert 0.02 < np.mean(named) < 0.09  # 0.05 was promised, of 300 clips
    own = gallery.identify(_all(range(10), 1.6, clips=30), least_margin=0)
    missed = np.mean([one.name != f"voice {place // 30}" for place, one in enumerate(own)])
    assert missed == pytest.approx(level.misses, abs=0.12)


def _all(voices, noise, clips=1):
    some = [clips_of(voice, clips, take=77, noise=noise) for voice in voices]
    vectors, seconds, levels = (
        np.concatenate([getattr(one, n) for one in some]) for n in ("vectors", "seconds", "levels")
    )
    return Heard(vectors, seconds, levels, tuple(name for one in some for name in one.sources))


def test_too_few_recordings_get_the_best_rate_that_they_support(gallery):
    made, notes = gallery.calibrate(people(1000, 6, clips=5), far=0.01, clips=2)
    assert made.far == pytest.approx(0.1)
    assert "too few for 1 %" in notes[0]
    assert "10 %" in notes[0]
    assert "6 people are few" in notes[-1]
    with pytest.raises(MeasureError, match="5 or more people"):
        gallery.calibrate(people(1000, 4), far=0.05)
    with pytest.raises(MeasureError, match="more clips than the 10"):
        gallery.calibrate(people(1000, 20), far=0.05, clips=10)


def test_false_alarms_of_a_few_people_are_noted_however_many_clips_there_are(tmp_path):
    few = "come from what amounts to fewer than 5 people"
    with small_gallery(tmp_path / "team.db", listener=SmallListener(noise=0.2)) as gallery:
        made, notes = gallery.calibrate(people(1000, 20, clips=15), far=0.01, clips=3)
    assert made.far == 0.01
    assert [few in note for note in notes] == [True]
    assert notes[0].startswith("galleries of ")
    assert "19: " in notes[0]
    with small_gallery(tmp_path / "other.db", listener=SmallListener(noise=1.6)) as gallery:
        _, notes = gallery.calibrate(people(1000, 60, clips=8), far=0.05, clips=3)
    assert notes == []


def test_a_person_of_the_gallery_is_no_stranger_to_the_own_voice(gallery):
    rows = [
        Recording(f"{person}-{clip}", Path("none.wav"), labels={"speaker": str(person)})
        for person in range(10) for clip in range(10)
    ]  # fmt: skip
    for person in range(10):
        gallery.rename(f"voice {person}", str(person))
    made, _ = gallery.calibrate(Manifest(tuple(rows), Path()), far=0.05)
    own = gallery.identify(_all(range(10), 0.5, clips=10))
    assert np.mean([one.name == str(place // 10) for place, one in enumerate(own)]) > 0.95
    assert made.levels[-1].misses < 0.05


def test_a_calibration_comes_back_from_the_file_and_is_refused_when_it_is_damaged(gallery, tmp_path):
    made, _ = gallery.calibrate(people(1000, 20), far=0.05)
    assert gallery.calibration == made
    content = made.to_json()
    for broken in ({**content, "levels": []}, {**content, "weights": [1.0]}, {"far": 1}, {**content, "more": 1}):
        with pytest.raises(GalleryError, match="calibrate again"):
            Calibration.from_json(broken, where="team.db")


def test_a_larger_gallery_has_a_higher_threshold_and_beyond_what_was_measured_it_is_said(gallery):
    made, _ = noisy(gallery, 1.0).calibrate(people(1000, 40), far=0.05)
    thresholds = [made.level(size)[0].threshold for size in (1, 3, 10, 30, 100, 1000)]
    assert all(first < second for first, second in itertools.pairwise(thresholds))
    assert [made.level(size)[1] for size in (1, 30, 1000)] == [False, False, True]
    assert "extrapolated" in gallery.threshold(size=1000).notes[0]
    assert gallery.threshold().notes == ()


def test_a_threshold_beyond_what_was_measured_does_not_rise_by_the_chance_of_two_sizes_that_are_close(gallery):
    made, _ = gallery.calibrate(people(1000, 20), far=0.05)
    at = {1: 0.0, 2: 0.3, 5: 0.6, 10: 1.1, 11: 1.0}  # of 11 by chance lower than of 10
    levels = tuple(replace(made.levels[0], size=size, threshold=value) for size, value in at.items())
    made = replace(made, levels=levels)
    assert made.level(10)[0].threshold == pytest.approx(1.1)
    assert 1.0 < made.level(11)[0].threshold + 1e-9 < 1.1
    assert made.level(11**2 // 5)[0].threshold == pytest.approx(1.4, abs=0.02)  # as far beyond 11 as 11 is beyond 5
    two = replace(made, levels=levels[3:])
    assert two.level(20)[0].threshold < 1.0  # nothing else was measured


def test_calibrating_on_people_of_the_cohort_is_noted(tmp_path):
    listener = SmallListener()
    held = people(1000, 10)
    heard, _ = listener.hear(held, None)
    with Gallery.create(tmp_path / "team.db", listener, cohort=heard.select(np.arange(50))) as made:
        notes = made.calibrate(held, far=0.05, clips=3)[1]
    assert "50 of 100 clips are in the cohort" in notes[0]


def test_voices_with_other_numbers_of_clips_than_in_calibration_are_noted(gallery):
    gallery.calibrate(people(1000, 20), far=0.05, clips=4)
    assert gallery.threshold().notes == ()
    gallery.enrol("short", clips_of(90, 1))
    (note,) = gallery.threshold().notes
    assert "1 has fewer than half of that and is missed more often, 0 have more" in note


def test_the_rate_reached_is_told_for_the_calibrated_number_of_clips_only(gallery):
    gallery.calibrate(people(1000, 20), far=0.05, clips=3)
    found = gallery.evaluate(people(2000, 20), far=0.05, clips=(1, 3))
    reached = [one for one in found.figures if one.what == "false_alarms_reached"]
    assert {one.clips for one in reached} == {3}
    assert all(one.value < 0.12 for one in reached)
    assert "3 clips" in gallery.evaluate(people(2000, 20), clips=(1,)).notes[0]


def test_clips_that_another_process_adds_meanwhile_are_not_added_twice(gallery, monkeypatch):
    heard, looked = clips_of(77, 4), gallery_module.without_copies

    def slowly(now, name, clips):
        found = looked(now, name, clips)
        with Gallery.open(Path(gallery.name), model=SmallListener()) as other:
            monkeypatch.setattr(gallery_module, "without_copies", looked)
            other.enrol(name, clips.select(np.array([True, True, True, False])))
        return found

    monkeypatch.setattr(gallery_module, "without_copies", slowly)
    found = gallery.enrol("late", heard)
    assert (found.added, found.clips) == (1, 4)
    assert found.skipped == heard.sources[:3]
    assert {voice.name: voice.clips for voice in gallery.voices}["late"] == 4


def test_what_is_reached_stands_beside_the_rate_that_was_calibrated_for(gallery):
    gallery.calibrate(people(1000, 20), far=0.05, clips=3)
    figures = gallery.evaluate(people(2000, 20), far=0.1, clips=(3,)).figures
    asked = {one.what: one.asked for one in figures if one.asked is not None}
    assert asked == {"misses": 0.1, "false_alarms_reached": 0.05, "misses_reached": 0.05}


def test_clips_that_were_calibrated_on_are_known_again(gallery):
    made, _ = gallery.calibrate(people(100, 30), far=0.05)
    assert len(made.sketches) == made.clips
    heard = "clips were calibrated on: on other people the thresholds will do worse"
    again = [note for note in gallery.evaluate(people(100, 30), clips=(1,)).notes if heard in note]
    assert again[0].startswith(f"{made.clips} of {made.clips} clips")
    assert not any(heard in note for note in gallery.evaluate(people(2000, 20), clips=(1,)).notes)
    vectors = np.random.default_rng(0).normal(size=(3, 40))
    kept = replace(made, sketches=sketched(vectors[:2]))
    nearly = vectors * (1 + 2e-4 * np.random.default_rng(1).normal(size=vectors.shape))
    assert kept.calibrated_on(nearly) == 2
    before = {name: value for name, value in kept.to_json().items() if name != "sketches"}
    assert Calibration.from_json(before, where="here").calibrated_on(vectors) == 0
    assert Calibration.from_json(json.loads(json.dumps(kept.to_json())), where="here") == kept
    with pytest.raises(GalleryError, match="calibrate again"):
        Calibration.from_json({**before, "sketches": [[1.0, 2.0]]}, where="here")


def test_fitted_ratios_are_calibrated_on_other_trials():
    draw = np.random.default_rng(0)
    same = np.repeat([True, False], [2000, 8000])
    scores = draw.normal(np.where(same, 2.0, 0.0), 1.0)  # the true ratio is 2 x - 2
    weights = fit_weights(scores, np.zeros((10000, 2)), same)
    assert weights == pytest.approx([-2.0, 2.0], abs=0.15)
    ratios = apply_weights(weights, scores[:, None], np.zeros((10000, 2)))[:, 0]
    assert cllr(ratios[same], ratios[~same]) == pytest.approx(min_cllr(ratios[same], ratios[~same]), abs=0.01)
    with pytest.raises(MeasureError, match="no more alike"):
        fit_weights(-scores, np.zeros((10000, 2)), same)


def test_quality_helps_where_short_clips_score_lower():
    draw = np.random.default_rng(1)
    same, quality = draw.random(8000) < 0.5, draw.standard_normal((8000, 2))
    scores = draw.normal(np.where(same, 2.0, 0.0) + quality[:, 0], 1.0)
    costs = []
    for use in (False, True):
        ratios = apply_weights(fit_weights(scores, quality, same, use_quality=use), scores[:, None], quality)[:, 0]
        costs.append(cllr(ratios[same], ratios[~same]))
    assert costs[1] < costs[0] - 0.05


# open set


def test_false_alarms_are_the_mean_over_all_galleries_of_a_size():
    draw = np.random.default_rng(0)
    scores = draw.standard_normal((4, 6))
    trials = Trials.of(scores, np.array([-1, -1, 2, 3]), np.arange(4))
    threshold = np.array([0.3])
    for size in (1, 2, 4):
        found = trials.false_alarms(threshold, size)[:, 0]
        for clip in range(4):
            others = [s for voice, s in enumerate(scores[clip]) if not (clip >= 2 and voice == clip)]
            draws = list(itertools.combinations(others, size))
            assert found[clip] == pytest.approx(np.mean([max(some) >= 0.3 for some in draws]))
    missed = trials.misses(threshold, 3)[:, 0]
    for clip, voice in ((2, 2), (3, 3)):
        others = [s for place, s in enumerate(scores[clip]) if place != voice]
        own = scores[clip, voice]
        expected = np.mean([not (own >= 0.3 and max(some) < own) for some in itertools.combinations(others, 2)])
        assert missed[clip - 2] == pytest.approx(expected)


def test_an_operating_point_keeps_to_the_rate_and_a_pool_that_is_too_small_is_refused():
    draw = np.random.default_rng(0)
    own = np.repeat(np.arange(20), 10)
    scores = draw.standard_normal((200, 20))
    scores[np.arange(200), own] += 4
    trials = Trials.of(scores, own, own)
    points = [operating_point(trials, size, 0.05) for size in (1, 5, 19)]
    assert all(0.03 < point.false_alarms <= 0.05 + 1e-9 for point in points)
    assert points[0].threshold < points[1].threshold < points[2].threshold
    assert points[0].misses < points[2].misses
    assert points[0].false_alarms_interval.low < points[0].false_alarms < points[0].false_alarms_interval.high
    with pytest.raises(MeasureError, match="1 to 19"):
        operating_point(trials, 20, 0.05)


def test_no_operating_point_is_made_of_infinite_scores_or_of_no_share():
    own, scores = np.arange(12) % 4, np.random.default_rng(0).standard_normal((12, 4))
    trials = Trials.of(scores, own, own)
    for far in (float("nan"), -0.1, 1.5):  # at the lowest threshold every stranger got a name
        with pytest.raises(MeasureError, match="far: wanted a number from 0 to 1, got "):
            operating_point(trials, 2, far)
    for value in (np.inf, -np.inf):
        spoiled = scores.copy()
        spoiled[3, :2] = value
        with pytest.raises(MeasureError, match="trials: 2 scores are infinite"):
            Trials.of(spoiled, own, own)


def test_the_cost_of_ratios_is_the_papers_formula():
    same, other = np.array([1.0, -0.5, 3.0]), np.array([-2.0, 0.3])
    expected = sum(np.log2(1 + np.exp(-x)) for x in same) / 3 + sum(np.log2(1 + np.exp(x)) for x in other) / 2
    assert cllr(same, other) == pytest.approx(expected / 2)
    assert min_cllr(10 * same + 3, 10 * other + 3) == pytest.approx(min_cllr(same, other))
    assert min_cllr(same, other) < cllr(same, other)


def test_evaluation_finds_easy_voices_perfect_and_noise_useless(gallery):
    easy = {
        (one.what, one.clips, one.apart): one.value for one in gallery.evaluate(people(1000, 12), clips=(1, 3)).figures
    }
    assert easy["accuracy", 3, False] > 0.98
    assert easy["accuracy", 3, True] > 0.98
    assert easy["eer", 3, False] < 0.03
    hard = noisy(gallery, 30.0).evaluate(people(1000, 12), clips=(1,))
    values = {(one.what, one.apart, one.seconds): one.value for one in hard.figures}
    assert 0.02 < values["accuracy", False, None] < 0.2  # chance is 1 in 12
    assert 0.4 < values["eer", False, None] < 0.6
    assert set(hard.curves) == {1}
    with pytest.raises(MeasureError, match="two or more people"):
        gallery.evaluate(people(1000, 1))


# who speaks when


def _turns(gallery, talk, **options):
    now = gallery._memory.all()
    kept, scores = now.window_scores(talk.heard)
    names = tuple(now.profiles.names[place] for place in kept)
    return turns(
        talk.source, talk.starts, talk.ends, talk.heard.levels, scores, names, now.threshold().value, hop=0.5, **options
    )


def test_turns_have_their_speakers_times_and_pauses(gallery):
    gallery.calibrate(people(100, 30), far=0.05)
    talk = recording([(3, 10), (5, 12), (None, 6), (70, 10), (3, 8)])
    found = _turns(gallery, talk)
    assert [turn.name for turn in found] == ["voice 3", "voice 5", "unknown", "voice 3"]
    # a window's answer holds half-way to the middles of its neighbours
    assert [turn.end for turn in found] == pytest.approx([5.75, 11.75, 19.75, 24.5])
    assert [turn.start for turn in found] == pytest.approx([0.0, 5.75, 14.75, 19.75])


def test_silence_is_a_pause_where_speech_is_rare():
    """Of a recording with digital silence between a few words, a twentieth of the windows may be silent too."""
    scores, starts = np.tile([6.0, 1.0], (100, 1)), 0.5 * np.arange(100)
    levels = np.where((starts >= 10) & (starts < 12), -25.0, -120.0)
    found = turns("a", starts, starts + 2, levels, scores, ("Ada", "Bea"), 3.0, hop=0.5)
    assert [(turn.name, turn.start, turn.end) for turn in found] == [("Ada", 10.75, 12.75)]


def test_steady_noise_is_a_pause_where_speech_is_rare():
    """Of a recording with a few words in a quiet room, nineteen twentieths of the windows may be the room alone."""
    scores, starts = np.tile([6.0, 1.0], (200, 1)), 0.5 * np.arange(200)
    room = -65 + 0.5 * np.random.default_rng(0).standard_normal(200)
    levels = np.where((starts >= 10) & (starts < 12), -25.0, room)
    found = turns("a", starts, starts + 2, levels, scores, ("Ada", "Bea"), 3.0, hop=0.5)
    assert [(turn.name, turn.start, turn.end) for turn in found] == [("Ada", 10.75, 12.75)]
    talk = -50 + 4 * np.random.default_rng(1).standard_normal(200)  # speech far away, and a cough near by
    levels = np.where(starts == 10, -15.0, talk)
    found = turns("a", starts, starts + 2, levels, scores, ("Ada", "Bea"), 3.0, hop=0.5)
    assert [(turn.start, turn.end) for turn in found] == [(0.0, 101.5)]


def test_smoothing_mends_single_windows():
    scores = np.tile([6.0, 1.0], (17, 1))
    scores[8] = [1.0, 6.0]
    starts, levels = 0.5 * np.arange(17), np.full(17, -25.0)
    found = [
        [
            turn.name
            for turn in turns("a", starts, starts + 2, levels, scores, ("Ada", "Bea"), 3.0, hop=0.5, switch=switch)
        ]
        for switch in (0.0, 3.0)
    ]
    assert found == [["Ada", "Bea", "Ada"], ["Ada"]]


def test_the_best_path_is_the_best_of_all_paths():
    draw = np.random.default_rng(0)
    for _ in range(20):
        states, switch = draw.standard_normal((6, 3)), float(draw.uniform(0, 2))

        def total(path, states=states, switch=switch):
            changes = sum(first != second for first, second in itertools.pairwise(path))
            return sum(states[window, state] for window, state in enumerate(path)) - switch * changes

        best = max(total(path) for path in itertools.product(range(3), repeat=6))
        assert total(best_path(states, switch).tolist()) == pytest.approx(best)


def test_a_large_gallery_follows_only_likely_voices_and_answers_the_same(gallery, monkeypatch):
    talk = recording([(3, 10), (5, 12)])
    before = _turns(gallery, talk)
    monkeypatch.setattr("mfcl.voices.snapshot.VOICES_AT_ONCE", 3)
    monkeypatch.setattr("mfcl.voices.snapshot.WINDOWS_AT_ONCE", 4)
    after = _turns(gallery, talk)
    assert [(one.name, one.start, one.end) for one in before] == [(one.name, one.start, one.end) for one in after]


def test_without_cohort_and_calibration_nobody_gets_a_name(tmp_path):
    with small_gallery(tmp_path / "team.db", voices=(1, 2), cohort_size=0) as bare:
        now = bare._memory.all()
        assert identifications(now, clips_of(1, 1), least_margin=0)[0].name == "unknown"
        assert "nothing tells a threshold" in bare.threshold().notes[0]
