"""The screen that a study ends with."""

import dataclasses
import json
from pathlib import Path

import pytest

from mfcl.core import console
from mfcl.evaluation import standing
from mfcl.evaluation.result import (
    ENROLLED,
    IDENTIFY,
    IDENTIFY_APART,
    KNN,
    LINEAR,
    NOISE,
    PAIRS,
    Question,
    Representation,
)
from mfcl.evaluation.result_file import difference_row, summary_row
from mfcl.evaluation.standing import main_results
from mfcl.evaluation.summary import Difference, Summary
from mfcl.studies.closing import SHOWN, closing, closing_screen

FEW = Question("labels", "accuracy", "digit", LINEAR, 10)
NEAR = Question("labels", "accuracy", "digit", KNN)
NOISY = Question("robustness", "accuracy", "digit", LINEAR, 10, condition=NOISE, condition_value=10.0)
APART = Question("voices", "accuracy", "speaker", IDENTIFY_APART, apart="digit")
ONE_CLIP = Question("voices", "eer", "speaker", ENROLLED, enrolled=1)
EVERY = Question("labels", "accuracy", "digit", LINEAR)
FACES = Question("voices", "eer", "speaker", PAIRS)
FOLDER = Path("runs/demo-quick")
QUESTIONS = [FACES, EVERY, Question("voices", "accuracy", "speaker", IDENTIFY), ONE_CLIP, APART, NOISY, NEAR, FEW]
"""Those that matter least first."""
OURS, UNTRAINED = Representation("pre-trained", "", "both"), Representation("untrained", "", "both")
BASELINES = [Representation("baseline", "MFCC statistics"), Representation("baseline", "log-mel picture")]
ABOUT = {
    "data": "demo", "speaker": "speaker", "seeds": [0], "recipe": "quick", "notes": [],
    "parts": {"train": {"recordings": 1200}, "valid": {"recordings": 300}, "test": {"recordings": 450, "speakers": 15}},
}  # fmt: skip


def figure(asked, about=OURS, value=90.0):
    return Summary(asked, about, value, value - 5, value + 5, 450, None, (0,), 3.0, "mfcl study demo")


def apart(asked, second, value, low, high, first=OURS):
    return Difference(asked, first, second, value, low, high)


FOUND = [
    figure(asked, about, value)
    for asked in QUESTIONS
    for about, value in ((OURS, 90.0), (UNTRAINED, 80.0), (BASELINES[0], 70.0), (BASELINES[1], 75.0))
]
ALL_BETTER = [apart(asked, other, 15.0, 12.5, 18.5) for asked in QUESTIONS for other in (UNTRAINED, *BASELINES)]


@pytest.fixture
def screen(monkeypatch):
    """A terminal of 80 columns."""
    monkeypatch.setattr(console, "width", lambda: 80)


def test_it_fits_40_lines_of_80_columns(screen):
    text = closing(FOLDER, FOUND, ALL_BETTER, ABOUT)
    lines = text.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert lines[0] == "demo: 1,950 recordings, 450 of 15 speakers for the test; recipe quick, 1 seed"
    assert str(FOLDER / "report.html") in text
    assert str(FOLDER / "results.md") in text


def test_one_speaker_and_a_column_whose_name_is_a_plural_are_told_in_words_that_fit():
    about = {**ABOUT, "speaker": "species", "parts": {"test": {"recordings": 4, "speakers": 1}}}
    text = closing(FOLDER, [dataclasses.replace(one, low=None, high=None) for one in FOUND], [], about)
    assert text.splitlines()[0] == "demo: 4 recordings, 4 of 1 species for the test; recipe quick, 1 seed"
    assert "the test has 1 species, and 5 are wanted" in " ".join(text.split())
    about["speaker"] = "speaker"
    assert "4 of 1 speaker for the test" in closing(FOLDER, FOUND, [], about)


def test_where_nothing_is_paired_one_line_is_empty_before_the_table():
    lines = closing(FOLDER, [figure(asked) for asked in QUESTIONS], [], ABOUT).splitlines()
    assert lines[1] == ""
    assert lines[2].startswith("measure, %")


def test_it_shows_six_figures_those_that_tell_most_first():
    ours = main_results(FOUND)
    assert [one.question for one in ours[:SHOWN]] == [FEW, NEAR, NOISY, APART, ONE_CLIP, EVERY]
    assert len(ours) == len(QUESTIONS)
    text = closing(FOLDER, FOUND, ALL_BETTER, ABOUT).partition("measure, %")[2]
    shown = ["digit, 5-NN", "noise at 10 dB", "digits of enrolment", "voices, 1 clip enrolled (error)", "all labels"]
    places = [text.index("digit, linear probe, 10 labels a class  "), *map(text.index, shown)]
    assert places == sorted(places)
    assert text.count("[85.0, 95.0]") == SHOWN == 6
    assert "all pairs" not in text
    assert "half of each" not in text


def test_a_figure_stands_beside_the_untrained_encoders_and_the_best_baseline():
    gaps = [apart(FEW, UNTRAINED, 10.0, 8.0, 12.0), apart(FEW, BASELINES[1], -3.0, -5.5, 1.5)]
    gaps.append(apart(FEW, BASELINES[0], 20.0, 18.0, 22.0))
    text = closing(FOLDER, [one for one in FOUND if one.question == FEW], gaps, ABOUT)
    assert "+10.0 better" in text
    assert "[+8.0, +12.0]" in text
    assert "-3.0 " in text
    assert "-3.0 worse" not in text
    assert "[-5.5, +1.5]" in text
    assert "log-mel\n" in text  # 75 is the best; MFCC statistics have 70
    assert "than MFCC" not in text


def test_an_interval_stands_below_its_figure():
    text = closing(FOLDER, [one for one in FOUND if one.question == FEW], ALL_BETTER, ABOUT)
    lines = text.partition("measure, %")[2].splitlines()
    place = next(place for place, line in enumerate(lines) if line.startswith("digit, linear probe"))
    assert lines[place].split()[-6:] == ["90.0", "+15.0", "better", "+15.0", "better", "log-mel"]
    assert lines[place + 1].split() == ["[85.0,", "95.0]", "[+12.5,", "+18.5]", "[+12.5,", "+18.5]", "picture"]
    assert r"\n" not in "".join(lines)


@pytest.mark.parametrize(
    ("changed", "over"),
    [
        ({}, "speakers"),
        ({"seeds": [0, 1]}, "speakers and seeds"),
        ({"speaker": None, "seeds": [0]}, "recordings"),
    ],
)
def test_it_says_what_its_intervals_are_over(changed, over):
    parts = {"test": {"recordings": 450}}
    assert f"intervals over {over}; differences" in closing(FOLDER, FOUND, [], {**ABOUT, "parts": parts, **changed})


@pytest.mark.parametrize(
    ("test", "speaker", "why"),
    [
        ({"recordings": 40, "speakers": 2}, "speaker", ": the test has 2 speakers, and 5 are wanted."),
        ({"recordings": 3}, None, ": the test has 3 recordings, and 5 are wanted."),
        ({"recordings": 40, "speakers": 20}, "speaker", "."),
        ({}, "speaker", "."),
    ],
)
def test_without_any_interval_it_says_why_and_that_all_may_be_chance(test, speaker, why):
    bare = [dataclasses.replace(one, low=None, high=None) for one in FOUND]
    text = " ".join(closing(FOLDER, bare, [], {**ABOUT, "parts": {"test": test}, "speaker": speaker}).split())
    assert f"No figure has a 95 % interval{why} Any difference here may be chance." in text
    assert "In [ ]" not in text


def test_a_difference_with_an_interval_is_not_said_to_be_chance_where_the_figure_has_none():
    bare = [dataclasses.replace(one, low=None, high=None) for one in FOUND]
    text = closing(FOLDER, bare, ALL_BETTER, ABOUT)
    assert "may be chance" not in text
    assert "In [ ] 95 % intervals over speakers; differences are paired by item." in text
    other = apart(Question("crops", "accuracy", "digit", KNN), UNTRAINED, 15.0, 12.5, 18.5)
    assert "may be chance" in closing(FOLDER, bare, [other], ABOUT)


def test_of_errors_the_best_baseline_has_the_lowest():
    found = [one for one in FOUND if one.question == ONE_CLIP]
    text = closing(FOLDER, found, [apart(ONE_CLIP, BASELINES[0], 20.0, 18.0, 22.0)], ABOUT)
    assert "+20.0 worse" in text
    assert "voices, 1 clip enrolled: 90.0 %, worse than MFCC statistics by 20.0 [18.0," in text


def test_better_worse_and_open_are_counted_against_each_rival():
    gaps = [
        apart(FEW, UNTRAINED, 10.0, 8.0, 12.0),
        apart(NEAR, UNTRAINED, 1.0, -1.0, 3.0),
        apart(ONE_CLIP, UNTRAINED, -4.0, -6.0, -2.0),  # a lower error is better
        apart(EVERY, UNTRAINED, -4.0, -6.0, -2.0),
        apart(NOISY, UNTRAINED, 4.0, None, None),  # not known in single items
        apart(FEW, BASELINES[1], -10.0, -12.0, -8.0),
        apart(NEAR, BASELINES[0], 10.0, 8.0, 12.0),  # not the best one
        apart(FACES, BASELINES[0], 4.0, 2.0, 6.0),
    ]
    found = standing.counts(main_results(FOUND), FOUND, gaps)
    assert [one.sentence for one in found] == [
        "Of 8 measures against the best of MFCC, log-mel, Hydra-like and average spectrum: better in 0, worse in 2, "
        "open in 0, 6 without a paired interval.",
        "Of 8 measures against the same model untrained: better in 2, worse in 1, open in 1, 4 without a paired "
        "interval.",
    ]
    lines = closing(FOLDER, FOUND, gaps, ABOUT).splitlines()
    assert next(line.split() for line in lines if line.startswith("than the same model untrained"))[-4:] == list("2114")


ALIGNED = Representation("baseline", "alignment landmarks")


def test_alignment_is_counted_apart_from_simple_features():
    found = [*FOUND, figure(FEW, ALIGNED, 95.0), figure(NEAR, Representation("baseline", "alignment"), 99.0)]
    gaps = [apart(FEW, ALIGNED, -5.0, -6.0, -4.0), apart(FEW, BASELINES[1], 15.0, 12.0, 18.0)]
    simple, aligned = standing.counts(main_results(found), found, gaps)
    assert (simple.better, simple.worse, aligned.better, aligned.worse) == (1, 0, 0, 1)
    assert aligned.rival == "alignment, nothing trained"


def test_it_leads_with_what_pre_training_adds_even_where_alignment_is_as_good():
    found = [*FOUND, figure(FEW, ALIGNED, 89.5)]
    gaps = [
        apart(FEW, UNTRAINED, 2.0, 1.0, 3.5),
        apart(FEW, BASELINES[1], 15.0, 14.0, 16.0),
        apart(FEW, ALIGNED, 0.5, -1.0, 2.0),  # open: said below, and no reason to be silent above
        apart(NOISY, BASELINES[1], 30.0, 29.0, 31.0),  # clearer, but pre-training adds nothing that is known
    ]
    told = [one.text for one in standing.clearest(main_results(found), found, gaps)]
    assert [text.partition(": ")[0] for text in told] == [
        "digit, linear probe, 10 labels a class",
        "digit, linear probe, 10 labels a class, noise at 10 dB",
    ]
    assert "better than untrained, both by 2.0 [1.0, 3.5]" in told[0]
    assert "alignment, nothing trained" in standing.not_shown(main_results(found), found, gaps)


def test_a_difference_of_fewer_seeds_than_its_figure_names_them():
    found = [dataclasses.replace(one, seeds=(0, 1)) if one.representation == OURS else one for one in FOUND]
    gaps = [dataclasses.replace(apart(FEW, UNTRAINED, 10.0, 8.0, 12.0), seeds=(0,))]
    assert [one.text for one in standing.clearest(main_results(found), found, gaps)] == [
        "digit, linear probe, 10 labels a class: 90.0 %, better than untrained, both by 10.0 [8.0, 12.0], of seed 0 "
        "alone."
    ]


def test_it_leads_with_the_clearest_differences_and_what_was_lost():
    gaps = [
        apart(FEW, UNTRAINED, 10.0, 8.0, 12.0),
        apart(FEW, BASELINES[1], 15.0, 14.0, 16.0),  # clearer, but the other rival is nearer
        apart(NOISY, BASELINES[1], 30.0, 10.0, 50.0),
        apart(EVERY, UNTRAINED, -4.0, -6.0, -2.0),
        apart(NEAR, UNTRAINED, 1.0, -1.0, 3.0),
    ]
    ours = main_results(FOUND)
    assert [one.text for one in standing.clearest(ours, FOUND, gaps)] == [
        "digit, linear probe, 10 labels a class: 90.0 %, better than untrained, both by 10.0 [8.0, 12.0].",
        "digit, linear probe, 10 labels a class, noise at 10 dB: 90.0 %, better than log-mel picture by 30.0 "
        "[10.0, 50.0].",
        "digit, linear probe, all labels: 90.0 %, worse than untrained, both by 4.0 [2.0, 6.0].",
    ]
    assert len(standing.clearest(ours, FOUND, gaps, most=1)) == 1
    assert standing.not_shown(ours, FOUND, gaps) == {"the same model untrained": "digit, 5-NN, no training."}
    lines = closing(FOLDER, FOUND, gaps, ABOUT).splitlines()
    assert "Not shown, against the same model untrained: digit, 5-NN, no training." in lines
    assert lines[2].startswith("digit, linear probe, 10 labels a class: 90.0 %, better than untrained, both")


def test_without_differences_nothing_is_counted_and_the_gaps_have_no_interval():
    text = closing(FOLDER, FOUND, [], ABOUT)
    assert "better in" not in text
    assert "+10.0" in text
    assert "[+" not in text


def test_a_question_is_told_of_the_part_that_is_made_for_it():
    parts = [Representation("pre-trained", "", "both", part) for part in ("content", "speaker")]
    single = Representation("pre-trained", "", "mel")
    every = [single, OURS, *parts, Representation("pre-trained", "as it is", "both")]
    found = [figure(asked, about) for asked in (FEW, ONE_CLIP) for about in every]
    assert [one.representation for one in main_results(found)] == parts
    assert [one.representation for one in main_results(found[1:2])] == [OURS]
    other = [figure(FEW, Representation("pre-trained", variant, "both")) for variant in ("as it is", "train.batch=7")]
    assert [one.representation for one in main_results([*other, figure(FEW)])] == [OURS]  # no choice of a sweep
    assert main_results(other) == []
    assert [one.representation for one in main_results(found[:1])] == [single]


def test_where_nothing_is_measured_by_a_label_it_says_so(screen):
    found = [figure(Question("geometry", "rankme")), figure(Question("cost", "seconds"))]
    about = {**ABOUT, "seeds": [0, 1], "parts": {"train": {"recordings": 9}}, "notes": ["no label to measure by"]}
    text = closing(FOLDER, found, [], about)
    assert "No pre-trained encoder was measured by a label or by voices; the report shows what else was made." in text
    assert "geometry" not in closing(FOLDER, found[1:], [], about)
    assert "demo: 9 recordings, 0 for the test; recipe quick, 2 seeds" in text
    assert "no label to measure by" in text
    assert "pre-trained  " not in text


def test_it_is_read_from_a_studys_folder(tmp_path):
    (tmp_path / "summaries.json").write_text(json.dumps([summary_row(one) for one in FOUND]))
    (tmp_path / "differences.json").write_text(json.dumps([difference_row(one) for one in ALL_BETTER]))
    (tmp_path / "about.json").write_text(json.dumps(ABOUT))
    assert closing_screen(tmp_path) == closing(tmp_path, FOUND, ALL_BETTER, ABOUT)
