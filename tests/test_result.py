"""Results as rows and back, and the rows of version 0.1, whose texts are all that they have."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfcl.errors import MfclError
from mfcl.evaluation import wording
from mfcl.evaluation.result import (
    BABBLE,
    CLEAN,
    CONDITIONS,
    CONTENT,
    EMBEDDED_FORMATS,
    ENROLLED,
    GAIN,
    IDENTIFY,
    IDENTIFY_APART,
    KINDS,
    KNN,
    LINEAR,
    NETWORK,
    NOISE,
    PAIRS,
    PINK,
    PROBES,
    SPEAKER,
    Question,
    Representation,
    Result,
    grouped,
)
from mfcl.evaluation.result_file import (
    COLUMNS,
    difference_row,
    differences_from,
    from_rows,
    summaries_from,
    summary_row,
    to_row,
)
from mfcl.evaluation.summary import Difference, Summary
from mfcl.evaluation.typed_rows import LARGEST
from mfcl.evaluation.version_0_1 import old_task

OLD = ("table", "task", "representation", "metric", "value", "low", "high", "n", "x", "seed", "seconds", "command")
"""The columns of version 0.1."""
LABELS = ["digit", "speaker", "gender"]


def result(question=None, representation=None, **changed):
    """One figure, of everything."""
    asked = question or Question("labels", "accuracy", "digit", LINEAR, 10)
    about = representation or Representation("pre-trained", "", "both")
    made = Result(asked, 91.25, 88.0, 94.5, 450, 10.0, about, 2, 31.5, "mfcl study demo --only labels", "no 'seven'")
    return dataclasses.replace(made, **changed)


def back(one, **known):
    """What is read from what was written, after JSON."""
    (found,) = from_rows(json.loads(json.dumps([to_row(one)])), "results.json", **known)
    return found


# Round trips

finite = st.floats(-LARGEST, LARGEST, allow_nan=False)
whole = st.integers(0, 10**9)
questions = st.builds(
    Question, st.sampled_from(["labels", "voices", "robustness", "efficiency", "cost", "my own"]),
    st.sampled_from([*wording.METRICS, "other"]), st.text(max_size=9), st.sampled_from(PROBES), st.none() | whole,
    st.text(max_size=9), whole, st.sampled_from(CONDITIONS), finite, st.none() | whole, st.none() | whole,
    st.none() | whole, st.none() | whole,
)  # fmt: skip
representations = st.builds(
    Representation, st.sampled_from(("", *KINDS)), st.text(max_size=9), st.sampled_from(("", *EMBEDDED_FORMATS)),
    st.sampled_from(("", CONTENT, SPEAKER)),
)  # fmt: skip
results = st.builds(
    Result, questions, finite, st.none() | finite, st.none() | finite, whole, st.none() | finite, representations,
    whole, finite.map(abs), st.text(max_size=9), st.text(max_size=9),
)  # fmt: skip


@given(results)
def test_a_result_is_read_as_it_was_written(one):
    assert back(one) == one
    assert list(to_row(one)) == list(COLUMNS)


@given(questions, representations, representations, finite, st.none() | finite)
def test_summaries_and_differences_are_read_as_they_were_written(asked, first, second, value, end):
    summed = Summary(asked, first, value, end, end, 9, end, (0, 3), 1.5, "mfcl study demo")
    assert summaries_from(json.loads(json.dumps([summary_row(summed)])), "s") == [summed]
    apart = Difference(asked, first, second, value, end, end, (0, 3))
    row = json.loads(json.dumps(difference_row(apart)))
    assert differences_from([row], "d") == [apart]
    del row["seeds"]  # as before they were kept
    assert differences_from([row], "d")[0].seeds == ()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_representation_is_read_as_it_was_written(kind):
    for about in (Representation(kind, "v", "mel"), Representation(kind, "", "both", SPEAKER)):
        assert back(result(representation=about)) == result(representation=about)


def test_the_columns_of_version_0_1_come_first():
    assert COLUMNS[: len(OLD)] == OLD


@pytest.mark.parametrize(("kind", "words"), [(PINK, "pink noise at 10 dB"), (BABBLE, "babble at 10 dB")])
def test_other_noise_is_read_as_it_was_written_and_needs_its_level(kind, words):
    asked = Question("robustness", "accuracy", "digit", LINEAR, 10, condition=kind, condition_value=10.0)
    assert back(result(asked)) == result(asked)
    assert wording.task(asked) == f"digit, linear probe, 10 labels a class, {words}"
    with pytest.raises(MfclError, match="condition_value"):
        from_rows([to_row(result(asked)) | {"condition_value": None}], "results.json")


def test_a_row_from_before_noise_had_other_kinds_is_white_noise():
    row = to_row(result(Question("robustness", "accuracy", "digit", LINEAR, condition=NOISE, condition_value=0.0)))
    assert (row["condition"], row["task"]) == ("noise", "digit, linear probe, all labels, noise at 0 dB")
    (found,) = from_rows([row], "results.json")
    assert (found.question.condition, found.question.condition_value) == (NOISE, 0.0)


# Rows of version 0.1

QUESTIONS = {
    ("labels", "digit, linear probe, all labels"): Question("labels", "accuracy", "digit", LINEAR),
    ("labels", "digit, linear probe, 10 labels a class"): Question("labels", "accuracy", "digit", LINEAR, 10),
    ("labels", "digit, 5-NN, no training"): Question("labels", "accuracy", "digit", KNN),
    ("voices", "voices, kNN, half of each enrolled"): Question("voices", "accuracy", "speaker", IDENTIFY),
    ("voices", "voices, kNN, digits of enrolment and test apart"): Question(
        "voices", "accuracy", "speaker", IDENTIFY_APART, apart="digit"
    ),
    ("voices", "voices, all pairs of unseen speakers"): Question("voices", "eer", "speaker", PAIRS),
    ("voices", "voices, 1 clip enrolled"): Question("voices", "eer", "speaker", ENROLLED, enrolled=1),
    ("voices", "voices, 5 clips enrolled"): Question("voices", "min_dcf", "speaker", ENROLLED, enrolled=5),
    ("traits", "gender, linear probe, all labels"): Question("traits", "accuracy", "gender", LINEAR),
    ("efficiency", "digit, 1 labels a class"): Question("efficiency", "accuracy", "digit", LINEAR, 1),
    ("efficiency", "digit, all labels"): Question("efficiency", "accuracy", "digit", LINEAR),
    ("robustness", "digit, linear probe, all labels, clean"): Question(
        "robustness", "accuracy", "digit", LINEAR, condition=CLEAN
    ),
    ("robustness", "digit, linear probe, 10 labels a class, noise at 20 dB"): Question(
        "robustness", "accuracy", "digit", LINEAR, 10, condition=NOISE, condition_value=20.0
    ),
    ("robustness", "digit, linear probe, all labels, gain -10 dB"): Question(
        "robustness", "accuracy", "digit", LINEAR, condition=GAIN, condition_value=-10.0
    ),
    ("geometry", "geometry, test recordings"): Question("geometry", "rankme"),
    ("cost", "cost"): Question("cost", "seconds"),
    ("crops", "digit, linear probe, all labels"): Question("crops", "accuracy", "digit", LINEAR),
    ("ablation", "voices, all pairs of unseen speakers"): Question("ablation", "eer", "speaker", PAIRS),
}
REPRESENTATIONS = {
    "MFCC statistics": Representation("baseline", "MFCC statistics"),
    "untrained, wave": Representation("untrained", "", "wave"),
    "pre-trained, both": Representation("pre-trained", "", "both"),
    "pre-trained, words": Representation("pre-trained", "", "both", CONTENT),
    "supervised, voices": Representation("supervised", "", "both", SPEAKER),
    "pre-trained, crops 45 % disjoint, both": Representation("pre-trained", "crops 45 % disjoint", "both"),
    "pre-trained, augmented both, mel": Representation("pre-trained", "augmented both", "mel"),
    "pre-trained, wave-wave, wave": Representation("pre-trained", "wave-wave", "wave"),
    "pre-trained, loss.temperature=0.1, words": Representation("pre-trained", "loss.temperature=0.1", "both", CONTENT),
    "pre-trained, train.batch=48 loss.temperature=0.2, both": Representation(
        "pre-trained", "train.batch=48 loss.temperature=0.2", "both"
    ),
    "pre-trained, as it is, voices": Representation("pre-trained", "as it is", "both", SPEAKER),
    "untrained, model.mel.width=0.5, mel": Representation("untrained", "model.mel.width=0.5", "mel"),
}
TRAINED = {
    "pre-trained, mel, fine-tuned": Representation("fine-tuned", "", "mel"),
    "wave, from scratch": Representation("from scratch", "", "wave"),
    "pre-trained, both, joint": Representation("joint", "", "both"),
}


def old_row(section="labels", task="digit, 5-NN, no training", named="pre-trained, both", **changed):
    """A row as version 0.1 wrote it."""
    row = {
        "table": section, "task": task, "representation": named, "metric": "accuracy", "value": 50.0, "low": 40.0,
        "high": 60.0, "n": 24, "x": None, "seed": 1, "seconds": 2.5, "command": "mfcl study x",
    }  # fmt: skip
    return {**row, **changed}


def read_old(row, labels=LABELS, *, task=None, **known):
    """What is read from a row of version 0.1, which is written back as it was, or with the text of today."""
    (found,) = from_rows([row], "results.json", labels=labels, speaker="speaker", **known)
    written = to_row(found)
    assert {key: written[key] for key in OLD} == {**row, "task": task or row["task"]}
    return found


@pytest.mark.parametrize(("section", "task"), QUESTIONS)
def test_a_question_of_version_0_1_is_known_by_its_text(section, task):
    asked = QUESTIONS[section, task]
    found = read_old(old_row(section, task, "MFCC statistics", metric=asked.metric))
    assert found.question == asked
    assert (found.value, found.low, found.high, found.n) == (50.0, 40.0, 60.0, 24)
    assert (found.seed, found.seconds, found.command, found.note) == (1, 2.5, "mfcl study x", "")


@pytest.mark.parametrize("named", REPRESENTATIONS)
def test_a_representation_of_version_0_1_is_known_by_its_name(named):
    assert read_old(old_row(named=named)).representation == REPRESENTATIONS[named]


@pytest.mark.parametrize("count", [1, 7, 10, 48])
@pytest.mark.parametrize("named", TRAINED)
def test_a_network_trained_with_few_labels_answers_by_its_own_layer(named, count):
    found = read_old(old_row("efficiency", f"digit, {count} labels a class", named, x=float(count)))
    assert found.representation == TRAINED[named]
    assert found.question == Question("efficiency", "accuracy", "digit", NETWORK, count)
    every = read_old(old_row("efficiency", "digit, all labels", named, x=16.0))
    assert every.question == Question("efficiency", "accuracy", "digit", NETWORK)


def test_frozen_encoders_are_called_so_beside_trained_networks_alone():
    found = read_old(old_row("efficiency", "digit, 5 labels a class", "pre-trained, both, frozen", x=5.0))
    assert found.representation == Representation("pre-trained", "", "both")
    assert found.question == Question("efficiency", "accuracy", "digit", LINEAR, 5)
    control = read_old(old_row("efficiency", "digit, 5 labels a class", "log-mel picture", x=5.0))
    assert control.representation == Representation("baseline", "log-mel picture")


def test_a_part_of_one_format_is_known_where_it_is_said_what_is_likely():
    row = old_row("formats", "digit, 5-NN, no training", "pre-trained, mel-mel, words")
    likely = [Representation("pre-trained", "mel-mel", "mel"), Representation("pre-trained", "mel-mel", "mel", CONTENT)]
    assert read_old(row, about=likely).representation == likely[1]


def test_a_place_on_an_axis_is_no_number_of_labels():
    found = read_old(old_row("crops", "digit, linear probe, 10 labels a class", x=45.0))
    assert (found.question, found.x) == (Question("crops", "accuracy", "digit", LINEAR, 10), 45.0)


NAMES = ["voices", "both", "digit", "digit, linear probe", "clean", "digits"]


@pytest.mark.parametrize("label", NAMES)
def test_a_label_column_may_be_called_as_it_likes(label):
    for asked in (
        Question("labels", "accuracy", label, LINEAR),
        Question("labels", "accuracy", label, LINEAR, 10),
        Question("labels", "accuracy", label, KNN),
        Question("efficiency", "accuracy", label, LINEAR, 10),
        Question("robustness", "accuracy", label, LINEAR, 10, condition=NOISE, condition_value=0.0),
        Question("voices", "accuracy", "speaker", IDENTIFY_APART, apart=label),
        Question("voices", "accuracy", "speaker", IDENTIFY),
    ):
        row = old_row(asked.section, old_task(asked), "log-mel picture", x=10.0)
        assert read_old(row, NAMES, task=wording.task(asked)).question == asked


def test_a_question_that_no_version_asked_is_refused_in_one_line():
    with pytest.raises(MfclError, match=r"^results\.json, row 2: 'digit, by ear' is no question that this") as caught:
        from_rows([old_row(), old_row(task="digit, by ear")], "results.json", labels=LABELS, speaker="speaker")
    assert "\n" not in str(caught.value)


# What is not as it should be

WRONG = {
    **dict.fromkeys(("table", "metric", "label", "apart", "variant", "command", "note"), (None, 3, [], {}, True)),
    **dict.fromkeys(("kind", "format", "part", "probe", "condition"), (None, 3, [], {}, "sideways")),
    **dict.fromkeys(("value", "seed"), (None, "3", [], {}, True, float("nan"), float("inf"), 10**400)),
    **dict.fromkeys(("low", "high", "x", "seconds", "condition_value"), ("3", [], {}, True, float("nan"), 10**400)),
    **dict.fromkeys(("n", "labels_per_class", "enrolled"), ("3", [], {}, True, 1.5, float("nan"))),
}


@pytest.mark.parametrize("key", WRONG)
def test_a_value_of_the_wrong_kind_is_one_line_that_names_file_row_and_key(key):
    for value in WRONG[key]:
        rows = [to_row(result()), {**to_row(result()), key: value}]
        with pytest.raises(MfclError) as caught:
            from_rows(rows, "some/results.json")
        said = str(caught.value)
        assert said.startswith(f"some/results.json, row 2, {key!r}: wanted "), said
        assert "\n" not in said
        assert len(said) < 200 + len("some/results.json")


@pytest.mark.parametrize("key", ["seed", "value", "table", "metric", "command", "probe", "label"])
def test_a_key_that_is_missing_is_named(key):
    row = to_row(result())
    del row[key]
    with pytest.raises(MfclError, match=rf"row 1, '{key}': wanted .*, got None; run `mfcl study` again"):
        from_rows([row], "results.json")


@pytest.mark.parametrize("rows", [None, {}, "rows", 3, [3], [None], [[]]])
def test_what_holds_no_rows_is_named(rows):
    for read in (from_rows, summaries_from, differences_from):
        with pytest.raises(MfclError, match=r"^f(, row 1)?: wanted (a list of rows|key: value pairs), got"):
            read(rows, "f")


def test_summaries_and_differences_name_what_is_wrong_in_them():
    summed = summary_row(Summary(result().question, result().representation, 1.0, None, None, 9, None, (0,), 1.0, "x"))
    for key, value in (("seeds", ["0"]), ("seeds", 0), ("seeds", [True]), ("n", 0.5), ("value", None), ("kind", "k")):
        with pytest.raises(MfclError, match=rf"^f, row 1, '{key}': wanted"):
            summaries_from([{**summed, key: value}], "f")
    apart = difference_row(
        Difference(result().question, result().representation, result().representation, 1.0, 0.0, 2.0)
    )
    for side in ("first", "second"):
        with pytest.raises(MfclError, match=rf"^f, row 1, '{side}': wanted key: value pairs"):
            differences_from([{**apart, side: "pre-trained"}], "f")
        with pytest.raises(MfclError, match=rf"^f, row 1, {side}, 'kind': wanted one of"):
            differences_from([{**apart, side: {**apart[side], "kind": "k"}}], "f")


# Groups


def test_seeds_of_one_figure_come_together_and_other_figures_stay_apart():
    one, other = Representation("untrained", "", "mel"), Representation("untrained", "v", "mel")
    given_ = [result(representation=about, seed=seed) for seed in (0, 1) for about in (one, other)]
    found = grouped([*given_, given_[0].asked(section="crops")])
    assert [(asked.section, about, [own.seed for own in group]) for (asked, about), group in found.items()] == [
        ("labels", one, [0, 1]), ("labels", other, [0, 1]), ("crops", one, [0]),
    ]  # fmt: skip
