"""The questions asked of every representation: what is known must be found, what is not must be chance."""

import dataclasses
import json
import tracemalloc

import numpy as np
import pytest

from mfcl.core.console import counted
from mfcl.embeddings import linalg
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError
from mfcl.evaluation import result as results
from mfcl.evaluation import standard
from mfcl.evaluation.geometry import alignment, linear_cka, rankme, retrieval, uniformity
from mfcl.evaluation.result import (
    ENROLLED,
    KNN,
    LINEAR,
    NOISE,
    Evidence,
    Question,
    Result,
)
from mfcl.evaluation.result_file import to_row
from mfcl.evaluation.standard import standardised
from mfcl.evaluation.tasks import (
    LabelProbes,
    by_group,
    confusion,
    det,
    measure_efficiency,
    measure_geometry,
    measure_labels,
    measure_traits,
    measure_under,
    measure_voices,
    placed,
    traits,
    unplaced,
)
from mfcl.evaluation.tasks.traits import redrawn
from tests.small_study import task

SPEAKERS, DIGITS, TAKES = 13, 4, 4


def corpus(*, digit: float = 0.0, voice: float = 0.0, scale: float = 1.0) -> Embeddings:
    """Vectors of noise with as much of the digit and the voice as asked: 6 train, 2 valid and 5 test speakers."""
    rng = np.random.default_rng(0)
    speakers, digits = (
        np.repeat(np.arange(SPEAKERS), DIGITS * TAKES),
        np.tile(np.repeat(np.arange(DIGITS), TAKES), SPEAKERS),
    )
    vectors = rng.standard_normal((len(digits), 24))
    vectors += digit * rng.standard_normal((DIGITS, 24))[digits] + voice * rng.standard_normal((SPEAKERS, 24))[speakers]
    vectors[:, :16] *= scale
    names = np.array([f"{number:02d}" for number in speakers])
    sides = np.array(["train"] * 6 + ["valid"] * 2 + ["test"] * 5)[speakers]
    ids = np.array([f"{place:04d}" for place in range(len(digits))])
    labels = {"speaker": names, "digit": digits.astype(np.str_)}
    return Embeddings(vectors.astype(np.float32), ids, labels, {"wave": (0, 16), "mel": (16, 24)}, sides)


def test_vectors_that_are_not_finite_are_counted_as_they_came() -> None:
    made = corpus(digit=0.6)
    made.vectors[3, 1] = np.nan
    with pytest.raises(MeasureError, match=r"1 of \d+ vectors hold NaN or infinity \(the first is number 3\)"):
        measure_labels(made, "digit", "speaker", seed=0)


def by_task(embeddings: Embeddings) -> dict[str, float]:
    found = measure_labels(embeddings, "digit", "speaker", seed=0)
    found += measure_voices(embeddings, "digit", "speaker", seed=0)
    return {task(one): one.value for one in found if one.question.metric != "min_dcf"}


def labelled(embeddings: Embeddings, **labels: np.ndarray) -> Embeddings:
    return dataclasses.replace(embeddings, labels={**embeddings.labels, **labels})


def test_what_lies_in_the_vectors_is_found_and_nothing_else() -> None:
    words, voices = by_task(corpus(digit=2.0)), by_task(corpus(voice=2.0))
    labels = [text for text in words if text.startswith("digit")]
    assert len(labels) == 3
    assert all(words[text] > 90 for text in labels)
    assert all(voices[text] < 50 for text in labels)
    same, apart, pairs = (next(text for text in voices if word in text) for word in ("half", "apart", "pairs"))
    assert voices[same] > 90
    assert words[same] < 50
    assert voices[apart] > 90
    assert voices[pairs] < 10 < 35 < words[pairs]


def test_a_format_with_larger_numbers_does_not_outweigh_the_other() -> None:
    same, scaled = corpus(digit=1.0, voice=1.0), corpus(digit=1.0, voice=1.0, scale=1000.0)
    np.testing.assert_allclose(standardised(scaled), standardised(same), rtol=1e-4, atol=1e-5)
    for part in ((0, 16), (16, 24)):
        np.testing.assert_allclose(np.linalg.norm(standardised(same)[:, slice(*part)], axis=1), 1, rtol=1e-5)


def test_standardised_blocks_are_the_whole_table(monkeypatch: pytest.MonkeyPatch) -> None:
    same = corpus(digit=1.0, scale=1000.0)
    same.vectors[:, 3] = 7  # the same everywhere
    train = same.vectors[same.splits == "train"].astype(np.float64)
    deviation = np.maximum(train.std(axis=0), 1e-6 * train.std())
    wanted = ((same.vectors - train.mean(axis=0)) / deviation).astype(np.float32)
    whole = dataclasses.replace(same, vectors=wanted).scaled().vectors
    monkeypatch.setattr(standard, "ROWS", 5)
    monkeypatch.setattr(linalg, "COLUMNS", 7)
    np.testing.assert_array_equal(standardised(same), whole)
    rows = np.array([9, 2, 2, 200, 0, 41, 77])
    np.testing.assert_array_equal(standardised(same, rows=rows), whole[rows])
    assert (whole[:, 3] == 0).all()


def test_probes_hold_no_table_of_double_precision() -> None:
    dim = 4000
    vectors = np.random.default_rng(0).standard_normal((SPEAKERS * DIGITS * TAKES, dim)).astype(np.float32)
    wide = dataclasses.replace(corpus(), vectors=vectors, parts={"wave": (0, dim // 2), "mel": (dim // 2, dim)})
    table, exact = vectors.nbytes, 2 * vectors.nbytes
    fitted_on = 8 / SPEAKERS  # 6 train and 2 valid speakers
    tracemalloc.start()
    probes = LabelProbes(wide, "digit", "speaker", seed=0)
    probes.efficiency((1, 10))
    held, highest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 1.5 * table
    assert highest < table + 1.7 * fitted_on * exact  # the standardised table, and the features of one fit


def test_test_recordings_decide_nothing() -> None:
    plain = corpus(digit=1.0)
    vectors = plain.vectors.copy()
    vectors[plain.splits == "test"] += 100
    moved = Embeddings(vectors, plain.ids, plain.labels, plain.parts, plain.splits)
    others = plain.splits != "test"
    np.testing.assert_array_equal(standardised(moved)[others], standardised(plain)[others])


def test_recordings_without_the_label_are_left_out() -> None:
    full = corpus(digit=2.0)
    digits = full.labels["digit"].copy()
    digits[::5] = ""
    part = Embeddings(full.vectors, full.ids, {**full.labels, "digit": digits}, full.parts, full.splits)
    found = measure_labels(part, "digit", "speaker", seed=0)
    assert {measure.n for measure in found} == {int(((full.splits == "test") & (digits != "")).sum())}


def test_what_cannot_be_measured_is_said_in_one_line() -> None:
    whole = corpus()
    with pytest.raises(MeasureError, match="did you mean 'digit'"):
        measure_labels(whole, "digits", "speaker", seed=0)
    alone = whole.select(np.flatnonzero(whole.splits != "test"))
    with pytest.raises(MeasureError, match="2 or more values in the test split, got 0"):
        measure_labels(alone, "digit", "speaker", seed=0)
    nobody = whole.select(np.flatnonzero(whole.splits == "test"))
    with pytest.raises(MeasureError, match="2 or more training recordings"):
        measure_labels(nobody, "digit", "speaker", seed=0)
    one = whole.select(np.flatnonzero((whole.splits != "test") | (whole.labels["speaker"] == "08")))
    with pytest.raises(MeasureError, match="speaker"):
        measure_voices(one, "digit", "speaker", seed=0)


def test_a_result_is_written_without_its_evidence() -> None:
    for one in measure_labels(corpus(digit=1.0), "digit", "speaker", seed=0):
        row = json.loads(json.dumps(to_row(one)))
        old = {
            "table": "labels", "task": task(one), "metric": "accuracy", "value": one.value,
            "low": one.low, "high": one.high, "n": one.n, "x": None,
        }  # fmt: skip
        assert {key: row[key] for key in old} == old
        assert not {"evidence", "ids", "correct", "groups"} & set(row)


def test_the_evidence_is_what_the_figure_was_made_of() -> None:
    whole = corpus(digit=0.5, voice=0.5)
    place = {name: at for at, name in enumerate(whole.ids.tolist())}
    found = measure_labels(whole, "digit", "speaker", seed=0) + measure_voices(whole, "digit", "speaker", seed=0)
    for one in found:
        behind = one.evidence
        assert behind is not None
        own = [place[name] for name in behind.ids.tolist()]
        assert set(whole.splits[own]) == {"test"}
        assert behind.groups.tolist() == whole.labels["speaker"][own].tolist()
        if behind.correct is not None:
            assert one.value == pytest.approx(100 * behind.correct.mean())
            assert len(behind.correct) == one.n
        if behind.predicted is not None:
            assert (behind.predicted == behind.truth).tolist() == behind.correct.tolist()
        if behind.resampled is not None:
            assert np.nanquantile(behind.resampled, 0.025) == pytest.approx(one.low)
    assert sum(one.evidence.predicted is not None for one in found) == 2
    assert sum(one.evidence.resampled is not None for one in found) == 5  # few labels, too: of draws
    assert [one.question.metric for one in found if one.low is None] == ["min_dcf", "min_dcf"]


def test_speakers_enrolled_with_more_clips_are_told_better() -> None:
    measured = measure_voices(corpus(voice=0.6), "digit", "speaker", seed=0)
    found = {
        (m.question.enrolled, m.question.metric): m
        for m in measured
        if m.question.probe == ENROLLED and not m.question.apart
    }
    one, five = (found[clips, "eer"] for clips in (1, 5))
    assert [task(m) for m in (one, five)] == ["voices, 1 clip enrolled", "voices, 5 clips enrolled"]
    assert five.value < one.value < 40
    assert one.low <= one.value <= one.high
    assert 0 < found[5, "min_dcf"].value <= 1
    picture = det(five)
    assert (picture["clips"], picture["eer"]) == (5, five.value)
    assert len(picture["false_accept"]) == len(picture["false_reject"]) <= 200
    few = corpus(voice=0.6).select(np.arange(0, SPEAKERS * DIGITS * TAKES, 4))  # 4 clips of each speaker
    told = {task(m) for m in measure_voices(few, "digit", "speaker", seed=0)}
    assert {text for text in told if "enrolled" in text} == {
        "voices, kNN, half of each enrolled",
        "voices, 1 clip enrolled",
    }


def test_traits_are_labels_of_the_person_and_found_where_they_are() -> None:
    plain = corpus()
    person = np.array(plain.labels["speaker"]).astype(int)
    kinds = person % 2
    rng = np.random.default_rng(1)
    vectors = (plain.vectors + 2 * rng.standard_normal((2, 24))[kinds]).astype(np.float32)
    columns = {
        "gender": kinds.astype(np.str_),
        "mood": np.where(np.arange(len(plain)) % 2, "glad", "sad"),  # changes within a speaker
        "city": person.astype(np.str_),  # each test value is new
        "club": np.where(person == 0, "chess", kinds.astype(np.str_)),  # one speaker has it
        "hall": np.full(len(plain), "A"),
        "age": np.where(kinds == 0, "", "30"),
    }
    whole = labelled(dataclasses.replace(plain, vectors=vectors), **columns)
    assert traits(whole, "speaker", [*columns, "speaker", "digit"]) == ["gender"]
    (found,) = measure_traits(whole, "digit", "speaker", others=[*columns, "speaker", "digit"], seed=0)
    assert found.question == Question("traits", "accuracy", "gender", LINEAR)
    assert task(found) == "gender, linear probe, all labels"
    assert found.value > 90
    (chance,) = measure_traits(labelled(plain, **columns), "digit", "speaker", others=["gender"], seed=0)
    assert chance.value < 80
    assert measure_traits(whole, "gender", "speaker", others=["gender"], seed=0) == []


def test_a_trait_is_measured_where_all_validation_speakers_are_alike() -> None:
    plain = corpus()
    person = np.array(plain.labels["speaker"]).astype(int)
    alike = np.isin(person, np.unique(person[plain.splits == "valid"]))
    whole = labelled(plain, gender=np.where(alike, "0", (person % 2).astype(np.str_)))
    assert set(whole.labels["gender"][whole.splits == "valid"]) == {"0"}
    (found,) = measure_traits(whole, "digit", "speaker", others=["gender"], seed=0)
    assert found.n == int((whole.splits == "test").sum())
    drawn = redrawn(whole, "speaker", "gender", seed=0)
    assert ((drawn.splits == "test") == (whole.splits == "test")).all()
    for part in ("train", "valid"):
        assert set(drawn.labels["gender"][drawn.splits == part]) == {"0", "1"}
    sides = {(str(who), str(side)) for who, side in zip(person, drawn.splits, strict=True)}
    assert len(sides) == SPEAKERS  # no speaker is on two sides


def test_a_trait_is_not_learned_from_recordings_of_tested_speakers() -> None:
    person = np.array(corpus().labels["speaker"]).astype(int)
    kinds = (person % 2).astype(np.str_)
    apart = labelled(corpus(voice=3.0), sex=kinds)
    moved = (apart.splits == "test") & (np.arange(len(apart)) % 2 == 0)
    seen = dataclasses.replace(apart, splits=np.where(moved, "train", apart.splits))
    drawn = redrawn(seen, "speaker", "sex", seed=0)
    assert (drawn.splits[moved] == "").all()
    assert (drawn.splits[~moved] != "").all()
    (found,) = measure_traits(seen, None, "speaker", others=["sex"], seed=0)
    assert f"left out of training: {moved.sum()} recordings of tested speakers" in found.note
    (alone,) = measure_traits(apart, None, "speaker", others=["sex"], seed=0)
    assert "left out" not in alone.note


def test_a_trait_may_be_unknown_of_some() -> None:
    person = np.array(corpus().labels["speaker"]).astype(int)
    values = np.where(person == 11, "", (person % 2).astype(np.str_))
    (found,) = measure_traits(labelled(corpus(), sex=values), None, "speaker", others=["sex"], seed=0)
    assert found.n == 4 * DIGITS * TAKES


def test_segments_of_one_file_are_one_group_where_no_speaker_is_known() -> None:
    plain = corpus(digit=0.6)
    ids = np.array([f"day {at // 8}.wav#{at % 8 * 2.5}-{at % 8 * 2.5 + 2}" for at in range(len(plain.ids))])
    cut = dataclasses.replace(plain, ids=ids)
    found = measure_labels(cut, "digit", None, seed=0)[0]
    files = [name.partition("#")[0] for name in ids[plain.splits == "test"]]
    assert found.evidence.groups.tolist() == files
    assert f"{len(files)} test segments are of {len(set(files))} files, which are a group each" in found.note
    alone = measure_labels(plain, "digit", None, seed=0)[0]
    assert alone.evidence.groups.tolist() == plain.ids[plain.splits == "test"].tolist()
    assert "group each" not in alone.note
    assert found.value == alone.value
    assert (found.low, found.high) != (alone.low, alone.high)
    names = plain.labels["speaker"].astype("<U4").copy()
    names[np.flatnonzero(plain.splits == "test")[16:]] = ""
    some = measure_labels(labelled(cut, speaker=names), "digit", "speaker", seed=0)[0]
    assert some.evidence.groups.tolist()[16:] == [f"without a speaker: {name}" for name in files[16:]]
    assert f"without 'speaker', 64 test segments are of {len(set(files[16:]))} files" in some.note


@pytest.mark.parametrize("part", ["", "#1.5-9.0"])
def test_windows_of_one_recording_are_one_group_where_no_speaker_is_known(part: str) -> None:
    plain = corpus(digit=0.6)
    starts = np.array([repr(0.5 * (at % 8)) for at in range(len(plain))])
    ids = np.array([f"day {at // 8}.wav{part}@{start}" for at, start in enumerate(starts)])
    windows = labelled(dataclasses.replace(plain, ids=ids), start=starts, end=starts)
    found = measure_labels(windows, "digit", None, seed=0)[0]
    files = [name.partition(".wav")[0] + ".wav" for name in ids[plain.splits == "test"]]
    assert found.evidence.groups.tolist() == files
    assert f"{len(files)} test windows are of {len(set(files))} recordings, which are a group each" in found.note
    named = dataclasses.replace(plain, ids=ids)  # recordings that are called so are none
    assert (
        measure_labels(named, "digit", None, seed=0)[0].evidence.groups.tolist() == ids[plain.splits == "test"].tolist()
    )


def test_voices_of_segments_of_one_file_are_said_to_be_told_too_well() -> None:
    plain = corpus(digit=0.6)
    ids = np.array([f"day {at // 8}.wav#{at % 8 * 2.5}-{at % 8 * 2.5 + 2}" for at in range(len(plain.ids))])
    found = measure_voices(dataclasses.replace(plain, ids=ids), "digit", "speaker", seed=0)
    told = "80 test segments are of 10 files: enrolled and tested ones share rooms and moments"
    assert all(told in one.note for one in found if one.question.metric != "min_dcf")
    alone = measure_voices(plain, "digit", "speaker", seed=0)
    assert not any("files" in one.note for one in alone)
    assert [one.value for one in found] == [one.value for one in alone]
    first = np.array([f"day {at % 16}.wav#{at // 16}.0-{at // 16}.5" for at in range(len(plain.ids))])
    apart = measure_voices(dataclasses.replace(plain, ids=first), "digit", "speaker", seed=0)
    assert not any("files" in one.note for one in apart)  # each file has a segment of each speaker


def test_a_recording_without_a_speaker_is_a_group_of_its_own() -> None:
    plain = corpus(digit=0.6)
    tested = np.flatnonzero(plain.splits == "test")
    names = plain.labels["speaker"].astype("<U4").copy()
    names[tested[16:]] = ""  # one of five speakers is known
    found = measure_labels(labelled(plain, speaker=names), "digit", "speaker", seed=0)[0]
    assert found.evidence.groups.tolist() == [
        *names[tested[:16]],
        *(f"without a speaker: {one}" for one in plain.ids[tested[16:]]),
    ]
    assert found.low is not None
    assert "64 test recordings without 'speaker' are a group each" in found.note
    whole = measure_labels(plain, "digit", "speaker", seed=0)[0]
    assert "group each" not in whole.note
    shown = by_group(found, "digit", "speaker")
    assert (shown["names"], shown["n"]) == (["", str(names[tested[0]])], [64, 16])


def test_efficiency_grows_with_the_labels_that_are_known() -> None:
    whole = corpus(digit=0.6)
    found = measure_efficiency(whole, "digit", "speaker", counts=(1, 5, 10, 50), seed=0)
    assert [task(one) for one in found] == [
        *(f"digit, {count} labels a class" for count in (1, 5, 10)),
        "digit, all labels",
    ]  # of 24 in training
    fitted_on = np.isin(whole.splits, ["train", "valid"]).sum() / len(np.unique(whole.label("digit")))
    assert [one.x for one in found] == [1, 5, 10, fitted_on]
    assert fitted_on > 24
    assert [one.question.labels_per_class for one in found] == [1, 5, 10, None]
    assert {one.question.section for one in found} == {"efficiency"}
    assert found[0].value < found[1].value < found[3].value
    labels = {task(m): m.value for m in measure_labels(whole, "digit", "speaker", seed=0)}
    assert found[2].value == labels["digit, linear probe, 10 labels a class"]
    assert found[3].value == labels["digit, linear probe, all labels"]


def test_no_classifier_is_fitted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    from mfcl.evaluation.tasks import labels as module

    asked: list[object] = []
    whole, few = module.linear_probe, module.few_label_probe
    monkeypatch.setattr(module, "linear_probe", lambda *parts, **more: (asked.append("all"), whole(*parts, **more))[1])
    monkeypatch.setattr(
        module, "few_label_probe", lambda *parts, seed: (asked.append(parts[2]), few(*parts, seed=seed))[1]
    )
    clean = corpus(digit=1.0)
    fitted = module.Fitted()
    probes = LabelProbes(clean, "digit", "speaker", seed=0, fitted=fitted)
    probes.measures()
    probes.efficiency((1, 10))
    probes = LabelProbes(clean, "digit", "speaker", seed=0, fitted=fitted)  # of another section
    for x in (10.0, 0.0):
        probes.under(clean, condition=NOISE, value=x, x=x)
        probes.under(clean, condition=NOISE, value=x, x=x, per_class=10)
    assert sorted(map(str, asked)) == ["1", "10", "all"]


def test_what_was_fitted_on_clean_recordings_is_asked_of_disturbed_ones() -> None:
    clean = corpus(digit=1.0)
    rng = np.random.default_rng(3)
    known = {task(m): m for m in measure_labels(clean, "digit", "speaker", seed=0)}
    for per_class, words in ((None, "all labels"), (10, "10 labels a class")):
        found = []
        for noise in (0.0, 1.0, 20.0):
            vectors = (clean.vectors + noise * rng.standard_normal(clean.vectors.shape)).astype(np.float32)
            vectors[clean.splits != "test"] = 1e6  # of the disturbed ones only the test part is looked at
            disturbed = dataclasses.replace(clean, vectors=vectors)
            found.append(
                measure_under(
                    clean,
                    disturbed,
                    "digit",
                    "speaker",
                    condition=NOISE,
                    value=noise,
                    x=noise,
                    seed=0,
                    per_class=per_class,
                )
            )
        asked = Question("robustness", "accuracy", "digit", LINEAR, per_class, condition=NOISE)
        assert [(one.question, one.x) for one in found] == [
            (dataclasses.replace(asked, condition_value=noise), noise) for noise in (0.0, 1.0, 20.0)
        ]
        assert task(found[2]) == f"digit, linear probe, {words}, noise at 20 dB"
        assert found[0].value == known[f"digit, linear probe, {words}"].value
        assert found[0].value > found[1].value > found[2].value
        assert found[2].value < 45
    with pytest.raises(MeasureError, match="wanted vectors of 24 values like those to standardise by, got 16"):
        measure_under(clean, clean.only("wave"), "digit", "speaker", condition=NOISE, value=0.0, x=0.0, seed=0)


def test_geometry_is_of_the_test_part() -> None:
    whole = corpus(digit=1.0, voice=1.0)
    test = whole.splits == "test"
    rng = np.random.default_rng(4)
    wave = rng.standard_normal((len(whole), 6)).astype(np.float32)
    mel = (wave + 0.8 * rng.standard_normal((len(whole), 6))).astype(np.float32)
    found = {m.question.metric: m for m in measure_geometry(whole, {"wave": wave, "mel": mel}, 0, speaker="speaker")}
    assert {one.question.section for one in found.values()} == {"geometry"}
    expected = {
        "rankme": rankme(whole.vectors[test]),
        "uniformity": uniformity(whole.whitened[test]),
        "cka": linear_cka(whole.part("wave")[test], whole.part("mel")[test]),
        "alignment": alignment(wave[test], mel[test]),
        "r_at_1": 100 * retrieval(wave[test], mel[test], 1),
        "r_at_5": 100 * retrieval(wave[test], mel[test], 5),
    }
    assert {name: measure.value for name, measure in found.items()} == pytest.approx(expected)
    assert found["r_at_1"].low <= found["r_at_1"].value <= found["r_at_1"].high
    assert 5 < found["r_at_1"].value < found["r_at_5"].value < 100
    nameless = labelled(whole, speaker=np.full(len(whole), ""))
    found = {m.question.metric: m for m in measure_geometry(nameless, {"wave": wave, "mel": mel}, 0, speaker="speaker")}
    assert len(np.unique(found["r_at_1"].evidence.groups)) == test.sum()
    assert "80 test recordings without 'speaker' are a group each" in found["r_at_1"].note
    assert [m.question.metric for m in measure_geometry(whole.only("mel"), None, 0)] == ["rankme", "uniformity"]
    assert [m.question.metric for m in measure_geometry(whole, None, 0)] == ["rankme", "uniformity", "cka"]
    with pytest.raises(MeasureError, match="wanted projections 'wave' of 208 recordings, got 10 rows"):
        measure_geometry(whole, {"wave": wave[:10], "mel": mel}, 0)


def test_pictures_say_what_the_figures_say() -> None:
    whole = corpus(digit=0.6)
    found = measure_labels(labelled(whole, digit=np.char.add("1", whole.labels["digit"])), "digit", "speaker", seed=0)
    picture = confusion(found[0], "digit")
    counts = np.array(picture["counts"])
    assert picture["classes"] == ["10", "11", "12", "13"]
    assert counts.sum(axis=1).tolist() == [5 * TAKES] * DIGITS
    assert 100 * np.trace(counts) / counts.sum() == pytest.approx(found[0].value)
    truth, predicted = found[0].evidence.truth, found[0].evidence.predicted
    for row, kind in zip(counts, picture["classes"], strict=True):
        assert row.tolist() == [int(((truth == kind) & (predicted == other)).sum()) for other in picture["classes"]]
    groups = by_group(found[1], "digit", "speaker")
    assert groups["names"] == ["08", "09", "10", "11", "12"]
    assert groups["n"] == [DIGITS * TAKES] * 5
    assert np.mean(groups["accuracy"]) == pytest.approx(found[1].value, abs=1e-2)
    json.dumps([picture, groups])
    with pytest.raises(MeasureError, match="wanted a result with 'predicted'"):
        confusion(found[1], "digit")
    with pytest.raises(MeasureError, match="wanted a result with 'curve'"):
        det(found[0])


def test_classes_that_are_numbers_stand_in_their_order() -> None:
    truth = np.array(["10", "9", "9"])
    behind = Evidence(truth, truth, truth=truth, predicted=truth)
    one = Result(Question("labels", "accuracy", "digit", KNN), 100.0, None, None, 3, evidence=behind)
    assert confusion(one, "digit")["classes"] == ["9", "10"]


def test_a_map_is_of_the_test_part_with_its_labels() -> None:
    whole = corpus(voice=3.0)
    (picture,) = placed([unplaced(whole, ["digit", "speaker"], seed=0)], seed=0)
    test = np.flatnonzero(whole.splits == "test")
    assert picture["ids"] == whole.ids[test].tolist()
    assert picture["labels"] == {name: whole.labels[name][test].tolist() for name in ("digit", "speaker")}
    places = np.stack([picture["x"], picture["y"]], axis=1)
    gaps = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(gaps, np.inf)
    voices = np.array(picture["labels"]["speaker"])
    assert (voices[gaps.argmin(axis=1)] == voices).mean() > 0.9
    (few,) = placed([unplaced(whole, ["speaker"], seed=0, most=10)], seed=0)
    assert len(few["ids"]) == len(few["x"]) == len(few["labels"]["speaker"]) == 10
    assert set(few["ids"]) < set(picture["ids"])
    json.dumps(picture)
    both = [unplaced(whole, ["digit", "speaker"], seed=0), unplaced(whole, ["speaker"], seed=0, most=10)]
    assert placed(both, seed=0) == [picture, few]  # laid out at the same time, each is as it is alone


@pytest.mark.parametrize("groups", [["s", "s"], ["s", "t"]])
def test_few_groups_have_no_interval(groups: list[str]) -> None:
    about = results.Tested(np.array(["a", "b"]), np.array(groups))
    found = about.accuracy(Question("labels", "accuracy", "digit", KNN), np.array([True, False]), seed=0)
    assert (found.value, found.low, found.high) == (50.0, None, None)
    assert (
        found.note
        == f"no interval of {counted(len(set(groups)), 'group')} (speakers, else recordings); 5 or more are wanted"
    )


def changed(embeddings: Embeddings, name: str, places: np.ndarray, value: str) -> Embeddings:
    values = embeddings.labels[name].astype("<U8").copy()
    values[places] = value
    return labelled(embeddings, **{name: values})


def test_a_class_that_training_lacks_is_left_out_counted_and_named() -> None:
    whole = corpus(digit=2.0)
    test, valid = (np.flatnonzero(whole.splits == part) for part in ("test", "valid"))
    rare = changed(changed(whole, "digit", test[:3], "rare"), "digit", valid[:2], "odd")
    probes = LabelProbes(rare, "digit", "speaker", seed=0)
    found = [*probes.measures(), *probes.efficiency((1, 10)), probes.under(rare, condition="noise", value=0.0, x=0.0)]
    for measure in found:
        assert measure.n == len(test) - 3
        assert measure.note.startswith("left out of 80 test recordings: 3 of 1 class (rare), which training lacks")
        assert measure.evidence is not None
        assert not set(measure.evidence.ids) & set(whole.ids[test[:3]])
    assert all(measure.value > 80 for measure in found if "1 labels" not in task(measure))


def test_recordings_without_a_label_are_counted_and_the_rest_is_measured() -> None:
    whole = corpus(digit=2.0, voice=2.0)
    part = changed(whole, "digit", np.arange(0, len(whole), 3), "")
    labels = measure_labels(part, "digit", "speaker", seed=0)
    assert {measure.note for measure in labels} == {"left out of 80 test recordings: 27 without 'digit'"}
    voices = {task(measure): measure for measure in measure_voices(part, "digit", "speaker", seed=0)}
    assert voices["voices, all pairs of unseen speakers"].n == 80 * 79 // 2
    apart = voices["voices, kNN, digits of enrolment and test apart"]
    assert apart.n == 53
    assert apart.value > 90


def test_the_rarest_class_does_not_decide_whether_few_labels_are_asked() -> None:
    whole = corpus(digit=2.0)
    train, test = (np.flatnonzero(whole.splits == part) for part in ("train", "test"))
    twos = np.flatnonzero(whole.labels["digit"] == "2")
    part = changed(whole, "digit", np.intersect1d(train, twos)[5:], "")
    probes = LabelProbes(part, "digit", "speaker", seed=0)
    (few,) = [measure for measure in probes.measures() if "10 labels" in task(measure)]
    assert task(few) == "digit, linear probe, 10 labels a class, 3 of 4 classes"
    assert few.n == len(test) - len(np.intersect1d(test, twos)) == 60
    assert few.note.startswith("left out for fewer than 10 labels: 1 class (2)")
    assert few.value > 90
    noisy = probes.under(part, condition="noise", value=0.0, x=0.0, per_class=10)
    assert (noisy.value, noisy.n, noisy.note) == (few.value, few.n, few.note)
    assert [task(measure) for measure in probes.efficiency((1, 5, 10))] == [
        "digit, 1 labels a class", "digit, 5 labels a class", "digit, all labels",
    ]  # fmt: skip
    one = changed(whole, "digit", np.intersect1d(train, np.flatnonzero(whole.labels["digit"] != "1"))[:60], "")
    assert not LabelProbes(one, "digit", "speaker", seed=0).can_few(20)


def test_figures_of_speakers_that_training_heard_do_not_claim_unseen_ones() -> None:
    whole = corpus(voice=2.0)
    seen = changed(whole, "speaker", np.flatnonzero(whole.labels["speaker"] == "08"), "00")
    tasks = [task(measure) for measure in measure_voices(seen, "digit", "speaker", seed=0)]
    assert tasks[2] == "voices, all pairs of speakers, 1 of 5 seen in training"
    assert all(text.endswith(", 1 of 5 seen in training") for text in tasks)
    assert not any(
        "seen" in task(measure).replace("unseen", "") for measure in measure_voices(whole, "digit", "speaker", seed=0)
    )
