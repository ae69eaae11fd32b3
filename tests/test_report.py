"""The report: its figures are the study's, its words follow from them, and nothing in a name can break the page."""

import base64
import builtins
import csv
import dataclasses
import io
import itertools
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfcl.errors import MfclError
from mfcl.evaluation.result import (
    BABBLE,
    BASELINE,
    CLEAN,
    CONTENT,
    FROM_SCRATCH,
    KNN,
    LINEAR,
    NETWORK,
    NOISE,
    PAIRS,
    PINK,
    PRETRAINED,
    SPEAKER,
    SUPERVISED,
    UNTRAINED,
    Question,
    Representation,
)
from mfcl.evaluation.summary import Difference, Summary
from mfcl.evaluation.wording import figure as written
from mfcl.report import charts, make_report
from mfcl.report.audio import clip_sounds, evenly
from mfcl.report.charts import crops
from mfcl.report.embedding_maps import map_data
from mfcl.report.load import Study, read_study
from mfcl.report.page import told
from mfcl.report.picture_charts import groups
from mfcl.report.picture_text import confused, worst
from mfcl.report.pictures import Confusion, Groups, Pictures
from mfcl.report.section_text import efficiency, robustness, variants
from mfcl.report.sections import sections
from mfcl.report.selection import leading, shown
from mfcl.report.svg.dots import DotChart
from mfcl.report.svg.lines import LineChart
from mfcl.report.svg.matrices import matrix
from mfcl.report.svg.scales import Scale, span
from mfcl.report.svg.spectrogram import png
from mfcl.report.tables import tables
from mfcl.report.text import compare, headline, tally, tally_note
from mfcl.report.tiles import tiles
from tests.report_data import write_study

TASK = "digit, linear probe, 10 labels a class"
FEW = Question("labels", "accuracy", "digit", LINEAR, 10)
EER = Question("voices", "eer", "speaker", PAIRS)
OURS, THEIRS = Representation(PRETRAINED, "", "both"), Representation(UNTRAINED, "", "both")
MEL = Representation(PRETRAINED, "", "mel")
MFCC, LOG_MEL = Representation(BASELINE, "MFCC statistics"), Representation(BASELINE, "log-mel picture")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("study"), speakers=4, takes=1, sounds=True)


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return make_report(folder).read_text(encoding="utf-8")


def figure(whose, value, *, asked=FEW, half: float | None = 1.0, x=None, seeds=(0,)) -> Summary:
    low, high = (None, None) if half is None else (value - half, value + half)
    return Summary(asked, whose, value, low, high, 100, x, seeds, 1.0, "mfcl study")


def paired(found, *, half: float | None = 1.0):
    """Return the differences of the first figure to the others."""
    ours = found[0]
    pairs = {}
    for other in found[1:]:
        value = ours.value - other.value
        ends = (None, None) if half is None else (value - half, value + half)
        key = (ours.question, ours.representation, other.representation)
        pairs[key] = Difference(*key, value, *ends)
    return pairs


# --- words


def test_a_gain_is_told_with_its_size_and_its_paired_interval() -> None:
    found = [figure(OURS, 95.1), figure(THEIRS, 91.9), figure(LOG_MEL, 94.6)]
    assert compare(found, paired(found)) == (
        "On digit with 10 labels a class (linear probe) the pre-trained encoders (both formats) reach 95.1 %: "
        "3.2 points above the same encoders untrained (better: 2.2 to 4.2) and 0.5 points above the log-mel picture "
        "(open: \N{MINUS SIGN}0.5 to 1.5)."
    )


def test_a_loss_to_a_control_is_told_as_plainly() -> None:
    found = [figure(OURS, 86.1), figure(THEIRS, 89.1), figure(MFCC, 95.0)]
    text = compare(found, paired(found))
    assert "3.0 points below the same encoders untrained (worse: " in text
    assert "8.9 points below MFCC statistics (worse: " in text
    assert "above" not in text


def test_a_difference_of_fewer_seeds_than_its_figures_names_them() -> None:
    found = [figure(OURS, 91.0, seeds=(0, 1)), figure(THEIRS, 89.0)]
    known = {pair: dataclasses.replace(one, seeds=(0,)) for pair, one in paired(found).items()}
    assert "(better: 1.0 to 3.0, of seed 0 alone)" in compare(found, known)
    assert tables(found)[0].mean == "Mean over 1 to 2 seeds."
    assert tables(found[1:])[0].mean == "One seed."


def test_of_errors_less_is_better() -> None:
    for ours, words in ((20.0, "above MFCC statistics (worse: 4.0 to 6.0)"),
                        (10.0, "below MFCC statistics (better: \N{MINUS SIGN}6.0 to \N{MINUS SIGN}4.0)")):  # fmt: skip
        found = [figure(OURS, ours, asked=EER), figure(MFCC, 15.0, asked=EER)]
        assert words in compare(found, paired(found))


def test_intervals_that_do_not_overlap_are_no_verdict() -> None:
    found = [figure(OURS, 95.0, half=0.1), figure(THEIRS, 80.0, half=0.1)]
    for known in ({}, paired(found, half=None)):
        text = compare(found, known)
        assert text.endswith(
            "reach 95.0 %. Shown beside (no paired interval): the same encoders untrained with 80.0 %."
        )
        assert not any(word in text for word in ("better", "worse", "above", "below", "overlap"))


def test_intervals_that_overlap_may_differ_in_pairs() -> None:
    found = [figure(OURS, 95.0, half=9.0), figure(THEIRS, 92.0, half=9.0)]
    assert "3.0 points above the same encoders untrained (better: 2.0 to 4.0)" in compare(found, paired(found))


def test_with_nothing_beside_it_nothing_is_compared() -> None:
    assert compare([figure(OURS, 95.1)], {}).endswith("reach 95.1 %; nothing was measured beside it.")
    assert compare([figure(THEIRS, 95.1)], {}) == ""
    assert "nothing to compare" in headline(study([]))
    assert tally(study([])) == []


def test_equal_figures_are_called_the_same() -> None:
    found = [figure(OURS, 90.0), figure(THEIRS, 90.02)]
    assert "the same as the same encoders untrained (open: " in compare(found, paired(found))


def test_a_higher_format_is_named_after_the_pair() -> None:
    text = compare([figure(OURS, 80.0), figure(MEL, 88.0), figure(THEIRS, 70.0)], {})
    assert text.endswith("The highest of all is 88.0 %, of the pre-trained mel encoder.")
    text = compare([figure(OURS, 20.0, asked=EER), figure(MEL, 12.0, asked=EER), figure(MFCC, 30.0, asked=EER)], {})
    assert text.endswith("The lowest of all is 12.0 %, of the pre-trained mel encoder.")


def test_few_labels_beside_encoders_that_saw_all_say_so() -> None:
    found = [figure(OURS, 80.0), figure(Representation(SUPERVISED, "", "both"), 88.0)]
    assert "Supervised encoders saw all labels in training." in compare(found, paired(found))


def study(found, known=None, **more) -> Study:
    return Study(Path(), (), tuple(found), known or {}, **more)


def test_the_tally_counts_paired_verdicts_alone() -> None:
    found, known = [], {}
    for label, ours, half in (("a", 90.0, 1.0), ("b", 50.0, 1.0), ("c", 70.5, 1.0), ("d", 99.0, None)):
        asked = Question("labels", "accuracy", label, KNN)
        own = [figure(OURS, ours, asked=asked), figure(THEIRS, 70.0, asked=asked)]
        found += own
        known.update(paired(own, half=half))
    assert tally(study(found, known)) == [
        "b, 5-NN, no training: 50.0 %, worse than untrained, both by 20.0 [19.0, 21.0].",
        "Of 4 measures against the same model untrained: better in 1, worse in 1, open in 1, 1 without a paired "
        "interval. Not shown: c, 5-NN, no training.",
    ]
    assert tally_note(study(found, known)) == "In brackets stands the 95 % interval of the paired difference."
    assert tally_note(study(found)) == ""
    assert tally(study(found)) == ["Nothing is called better or worse here: 4 measures have no paired interval."]


def test_the_first_screen_leads_with_the_clearest_difference() -> None:
    found = [figure(OURS, 91.0), figure(THEIRS, 90.5)]
    known = paired(found)
    noisy = Question("robustness", "accuracy", "digit", LINEAR, 10, condition=NOISE, condition_value=10.0)
    own = [figure(OURS, 84.0, asked=noisy), figure(THEIRS, 60.0, asked=noisy)]
    asked = study([*found, *own], {**known, **paired(own)})
    assert headline(asked).startswith("On digit with 10 labels a class (linear probe, noise at 10 dB) the pre-trained")
    assert headline(study(found, known)).startswith("On digit with 10 labels a class (linear probe) the pre-trained")


def test_of_traits_the_page_tells_the_part_that_its_verdicts_are_of() -> None:
    asked = Question("traits", "accuracy", "gender", LINEAR)
    found, known = [], {}
    for part, ours in (("", 85.0), (CONTENT, 70.0), (SPEAKER, 95.0)):
        pair = [
            figure(Representation(kind, "", "both", part), value, asked=asked)
            for kind, value in ((PRETRAINED, ours), (UNTRAINED, 80.0))
        ]
        found += pair
        known |= paired(pair)
    told = study(found, known)
    assert headline(told).startswith(
        "On gender with all labels (linear probe) the pre-trained encoders (the part for voices) reach 95.0 %: "
        "15.0 points above the same encoders untrained (better: "
    )
    assert tally(told) == ["Of 1 measures against the same model untrained: better in 1, worse in 0, open in 0."]
    assert tiles(found)[0].text == "95.0"


def curves(label="digit"):
    return [
        figure(whose, value, x=x, asked=Question("efficiency", "accuracy", label, probe, int(x)))
        for x, ours, theirs in ((1.0, 60.0, 20.0), (5.0, 80.0, 79.0), (50.0, 90.0, 95.0))
        for whose, value, probe in ((OURS, ours, LINEAR), (Representation(FROM_SCRATCH, "", "mel"), theirs, NETWORK))
    ]


def test_training_from_scratch_is_told_at_every_number_of_labels() -> None:
    start = "The best network trained from scratch beside the best frozen pre-trained encoder: "
    assert efficiency(curves())[-1] == (
        f"{start}lower with 1 label a class (20.0 % beside 60.0 %) and 5 labels a class (79.0 % beside 80.0 %), and "
        "as high or higher with 50 labels a class (95.0 % beside 90.0 %); no paired interval."
    )
    asked = Question("efficiency", "accuracy", "digit", LINEAR)
    both = [  # the mean number of labels of all need not be the same float for both
        figure(OURS, 99.0, x=133.0, asked=asked),
        figure(
            Representation(FROM_SCRATCH, "", "mel"), 99.04, x=133.0001, asked=dataclasses.replace(asked, probe=NETWORK)
        ),
    ]
    assert (
        "50 labels a class (95.0 % beside 90.0 %) and all labels (99.0 % beside 99.0 %);"
        in efficiency([*curves(), *both])[-1]
    )
    assert "all labels" not in efficiency([*curves(), both[0]])[-1]
    both[0] = dataclasses.replace(both[0], x=160.0)  # a probe is fitted on the labels of the validation split, too
    told = efficiency([*curves(), *both])
    assert told[1].startswith("With the most labels of digit (133 to 160 labels a class on average) the highest figure")
    assert "all labels (99.0 % beside 99.0 %);" in told[-1]
    (plot,) = charts.efficiency([*curves(), *both])
    assert [text for _, text in plot.chart.x.ticks] == ["1", "5", "50", "160"]
    assert efficiency([]) == []


PLACES = st.lists(st.tuples(st.sampled_from([1, 5, 50, None]), st.booleans(), st.floats(0, 100)), max_size=12)


@settings(deadline=None)
@given(PLACES)
def test_whatever_the_rows_what_is_said_of_training_from_scratch_is_true(rows) -> None:
    found, best = [], {}
    for per_class, scratch, value in rows:
        whose, probe = (Representation(FROM_SCRATCH, "", "mel"), NETWORK) if scratch else (OURS, LINEAR)
        asked = Question("efficiency", "accuracy", "digit", probe, per_class)
        found.append(figure(whose, value, asked=asked, x=float(per_class or 133)))
        best[per_class, scratch] = max(value, best.get((per_class, scratch), 0.0))
    (said,) = [text for text in efficiency(found) if "scratch beside" in text] or [""]
    lower, _, higher = said.partition("as high or higher with ")
    for per_class in (1, 5, 50, None):
        words = f"{per_class} {'label' if per_class == 1 else 'labels'} a class (" if per_class else "all labels ("
        ours, theirs = (best.get((per_class, scratch)) for scratch in (False, True))
        known = ours is not None and theirs is not None
        below = known and float(f"{theirs:.1f}") < float(f"{ours:.1f}")
        assert (re.search(rf"(with|,|and) {re.escape(words)}", lower) is not None) == below
        assert (words in f" {higher}") == (known and not below)


def test_encoders_that_saw_all_labels_do_not_lead_with_the_fewest() -> None:
    whose = Representation(SUPERVISED, "", "both")
    few, every = (Question("efficiency", "accuracy", "digit", LINEAR, count) for count in (1, None))
    rows = [figure(whose, 99.0, x=1.0, asked=few), figure(whose, 99.5, x=60.0, asked=every)]
    texts = efficiency([*curves(), *rows])
    assert texts[0].startswith("With the fewest labels of digit (1 label a class) the highest figure is 60.0 % (pre-tr")
    assert texts[1] == (
        "Beside it stands 99.0 % (supervised, both, frozen (all labels)): these encoders were trained on all labels, "
        "only the probe knows few."
    )
    assert "the highest figure is 99.5 % (supervised, both, frozen (all labels))" in texts[2]  # here all saw all
    (table,) = tables([*curves(), *rows])
    line = next(line for line in table.lines if line.representation.startswith("supervised, both, frozen (all labels)"))
    assert table.told_more
    assert [(cell.best, cell.told_more) for cell in line.cells if cell.text in ("99.0", "99.5")] == [
        (False, True),
        (False, False),  # alone in its column
    ]
    best = {cell.text for line in table.lines for cell in line.cells if cell.best}
    assert best == {"60.0", "80.0", "95.0"}


def test_with_few_labels_the_highest_of_all_is_sought_among_those_that_saw_no_more() -> None:
    found = [figure(OURS, 80.0), figure(MEL, 81.0), figure(Representation(SUPERVISED, "", "mel"), 99.0)]
    text = compare(found, {})
    assert "The highest of those that saw no more labels is 81.0 %, of the pre-trained mel encoder." in text
    (tile,) = tiles(found)
    assert [bar.name for bar in tile.bars] == ["pre-trained, both", "supervised, all labels"]
    every = dataclasses.replace(FEW, labels_per_class=None)
    found = [dataclasses.replace(one, question=every) for one in found]
    found.append(figure(Representation(SUPERVISED, "", "both"), 98.0, asked=every))
    assert "The highest of all is 99.0 %, of the supervised mel encoder." in compare(found, {})
    assert tiles(found)[0].bars[-1].name == "supervised, both"


def test_noise_costs_what_the_loudest_noise_costs() -> None:
    clean = Question("robustness", "accuracy", "digit", LINEAR, condition=CLEAN)
    found = [figure(OURS, 95.0, asked=clean)]
    for level, value in ((20.0, 93.0), (-5.0, 60.0)):
        asked = dataclasses.replace(clean, condition=NOISE, condition_value=level)
        found += [figure(OURS, value, asked=asked), figure(MFCC, 70.0, asked=asked)]
    first, second = robustness(found, paired(found[-2:]))
    assert robustness(found, paired(found[-2:]), (10.0, 40.0))[2:] == [
        "This is matched noise: it is white, and the pre-trained encoders were trained with white noise too, at 10 to "
        "40 dB. What they gain here they need not gain in other noise. How they stand in noise of another kind was not "
        "measured."
    ]
    for kind, value in ((PINK, 88.0), (BABBLE, 77.0)):
        asked = dataclasses.replace(clean, condition=kind, condition_value=10.0)
        found += [figure(OURS, value, asked=asked), figure(MFCC, 70.0, asked=asked)]
    *_, matched, of_pink, of_babble = robustness(found, {}, (-5.0, 40.0))
    assert matched.endswith(
        "they need not gain in other noise. Nothing was trained on pink noise and babble: what is said of noise should "
        "rest on these."
    )
    sloping = robustness(found, {}, (-5.0, 40.0), 6.0)[-3]
    assert "trained with noise from white to a fall of 6 dB an octave, at" in sloping
    assert sloping.endswith("Nothing was trained on babble: what is said of noise should rest on these.")
    assert "pink noise at 10 dB" in of_pink
    assert "88.0 %" in of_pink
    assert "babble at 10 dB" in of_babble
    assert "77.0 %" in of_babble
    assert first == (
        "From clean clips to noise at \N{MINUS SIGN}5 dB the figure of the pre-trained encoders (both formats) goes "
        "from 95.0 % to 60.0 %."
    )
    assert "10.0 points below MFCC statistics (worse: " in second


def test_a_sweep_names_its_highest_and_lowest_figure_and_no_winner() -> None:
    found = [
        figure(Representation(PRETRAINED, f"augmented {name}", "both"), value, asked=EER)
        for name, value in (("none", 30.0), ("both", 20.0))
    ]
    assert variants(found) == [
        "On voices (all pairs of unseen speakers), where less is better, the highest figure is 30.0 % (pre-trained, "
        "augmented none, both) and the lowest 20.0 % (pre-trained, augmented both, both); no paired interval."
    ]


def test_where_every_speaker_is_told_alike_none_is_the_lowest() -> None:
    def groups(*accuracy: float, clips: int = 1) -> Pictures:
        names = [f"s{place}" for place in range(len(accuracy))]
        return Pictures(groups=(Groups(OURS, "speaker", names, accuracy, [clips] * len(names)),))

    assert worst(groups(100.0, 100.0)) == [
        "With the pre-trained encoders (both formats) every speaker of 2 has the same accuracy, 100.0 %."
    ]
    (text,) = worst(groups(100.0, 50.0, 100.0))
    assert "the lowest accuracy is s1: 50.0 % of its 1 clip, too few for a figure of its own, 50.0 points below" in text
    assert "50.0 % of its 30 clips, 50.0 points below" in worst(groups(100.0, 50.0, 100.0, clips=30))[0]
    assert worst(groups(50.0, 50.0, 50.0, 50.0, 80.0, 90.0)) == [
        "With the pre-trained encoders (both formats) 4 speakers of 6 have the lowest accuracy, 50.0 %: s0, s1, s2 and "
        "1 more. That is 0.0 points below the middle one."
    ]
    assert worst(groups(100.0)) == []


def test_names_that_begin_alike_are_told_apart_in_sentences_and_pictures() -> None:
    names = ["S" * 90 + end for end in "abc"]
    drawn = Pictures(groups=(Groups(OURS, "speaker", names, [50.0, 50.0, 80.0], [1, 2, 3]),))
    (plot,) = groups(drawn)
    assert isinstance(plot.chart, DotChart)
    assert len({name for name, _ in plot.chart.rows}) == 3
    assert plot.chart.text == "The 3 lowest of 3."  # two of them
    (text,) = worst(drawn)
    assert "…SSSSSSSSSSSSSa and SSS" in text
    (text,) = confused(Pictures(confusions=(Confusion(OURS, names[:2], np.array([[0, 1], [0, 1]])),)))
    truth, said = re.findall(r"S+…S+[ab]", text)[:2]
    assert truth != said
    cells = str(matrix("x", names[:2], np.array([[0, 1], [0, 2]]), names[:2]))
    assert f"{truth} taken for {said}: 1 clip, 100.0 %" in cells
    assert f"{said} taken for {said}: 2 clips, 100.0 %" in cells


def test_clips_without_a_speaker_are_not_the_speaker_that_is_told_worst() -> None:
    drawn = Pictures(groups=(Groups(OURS, "speaker", ["", "b", "c"], [0.0, 80.0, 90.0], [40, 20, 20]),))
    assert worst(drawn) == [
        "With the pre-trained encoders (both formats) the speaker with the lowest accuracy is b: 80.0 % of its "
        "20 clips, 10.0 points below the middle one of 2."
    ]
    (plot,) = groups(drawn)
    assert isinstance(plot.chart, DotChart)
    assert [name for name, _ in plot.chart.rows] == ["b", "c"]


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([[0, 1], [0, 30]], "a taken for b, in 1 of 1 clip of a. That is 1 of 1 mistake."),
        ([[27, 3], [1, 30]], "a taken for b, in 10.0 % of the clips of a. That is 3 of 4 mistakes."),
    ],
)
def test_of_a_class_of_one_clip_no_share_is_told_in_percent(counts: list[list[int]], words: str) -> None:
    (text,) = confused(Pictures(confusions=(Confusion(OURS, ["a", "b"], np.array(counts)),)))
    assert text == f"The commonest mistake of the pre-trained encoders (both formats): {words}"


def test_of_mistakes_that_are_as_common_none_is_the_commonest() -> None:
    counts = np.array([[4, 2, 0], [2, 4, 0], [1, 0, 4]])
    (text,) = confused(Pictures(confusions=(Confusion(OURS, ["a", "b", "c"], counts),)))
    assert text.startswith(
        "One of the 2 commonest mistakes of the pre-trained encoders (both formats): a taken for b, "
    )
    assert text.endswith("That is 2 of 5 mistakes.")


def test_the_mean_number_of_all_labels_is_not_told_as_the_fewest() -> None:
    few, every = (Question("efficiency", "accuracy", "digit", LINEAR, count) for count in (1, None))
    own = [figure(MEL, 50.0, asked=few, x=1.0), figure(MEL, 60.0, asked=every, x=1.2)]
    first, most = efficiency(own)[:2]
    assert first.startswith("With the fewest labels of digit (1 label a class) ")
    assert most.startswith("With the most labels of digit (1.2 labels a class on average) ")
    (plot,) = charts.efficiency(own)
    assert isinstance(plot.chart, LineChart)
    assert plot.chart.text == "1 curve from 1 to 1.2 labels a class."
    assert plot.chart.x.ticks == ((1.0, "1"), (1.2, "1.2"))


@pytest.mark.parametrize("label", ["voices", "both", "mel", "noise at 10 dB", "digit, linear probe", "all labels"])
def test_a_label_column_of_any_name_is_a_label_column(label: str) -> None:
    few = Question("labels", "accuracy", label, LINEAR, 10)
    words = Representation(PRETRAINED, "", "both", "content")
    voices = Representation(PRETRAINED, "", "both", "speaker")
    own = [figure(one, 50.0, asked=few) for one in (MEL, voices, words, MFCC)]
    assert leading(own, PRETRAINED) is own[2]
    assert compare(own, {}).startswith(
        f"On {label} with 10 labels a class (linear probe) the pre-trained encoders (the"
    )
    assert efficiency(curves(label))[0].startswith(f"With the fewest labels of {label} (1 label a class)")
    (table,) = tables(own)
    assert [column.task for column in table.columns] == [f"{label}, linear probe, 10 labels a class"]


@pytest.mark.parametrize("label", ["voices", "noise at 10 dB", "digit, linear probe"])
def test_the_page_of_any_label_column_has_the_same_charts(tmp_path: Path, label: str) -> None:
    pages = [
        make_report(write_study(tmp_path / str(place), seeds=1, speakers=3, takes=1, label=name)).read_text("utf-8")
        for place, name in enumerate(("digit", label))
    ]
    terms = ("span", "dt", "dd")  # a label that holds a term of the field is explained, too
    first, second = ([tag for tag, _ in elements(page) if tag not in terms] for page in pages)
    assert first == second


# --- figures


def test_tables_hold_every_representation_and_task(folder: Path) -> None:
    study = read_study(folder)
    found = {table.name: table for table in tables(study.summaries)}
    assert set(found) == {one.question.section for one in study.results}
    labels = found["labels"]
    assert len(labels.lines) == 12
    assert [column.task for column in labels.columns][1] == TASK
    row = next(line for line in labels.lines if line.representation == "pre-trained, both")
    own = [one.value for one in study.results if one.representation == OURS and one.question == FEW]
    assert row.cells[1].text == f"{sum(own) / 3:.1f}"


def test_the_best_of_a_column_is_the_lowest_error_and_of_cost_there_is_none() -> None:
    found = [
        figure(whose, value, asked=Question("cost", metric))
        for metric in ("eer", "parameters")
        for whose, value in ((MFCC, 9.0), (OURS, 5.0))
    ]
    (table,) = tables(found)
    assert [[cell.best for cell in line.cells] for line in table.lines] == [[False, False], [True, False]]


def test_trained_networks_stand_in_one_column_with_the_linear_probe() -> None:
    (table,) = tables(curves())
    assert len(table.columns) == 3
    assert [[cell.text for cell in line.cells] for line in table.lines] == [
        ["60.0", "80.0", "90.0"],
        ["20.0", "79.0", "95.0"],
    ]


def test_an_output_layer_stands_beside_the_probe_where_both_were_asked() -> None:
    whose = Representation("supervised", "", "both")
    found = [
        figure(whose, value, asked=Question("labels", "accuracy", "digit", probe))
        for probe, value in ((LINEAR, 91.0), (NETWORK, 97.0))
    ]
    (table,) = tables(found)
    assert [[cell.text for cell in line.cells] for line in table.lines] == [["91.0", "97.0"]]


def test_an_interval_is_spoken_of_only_where_there_is_one(tmp_path: Path) -> None:
    page = make_report(write_study(tmp_path, seeds=2, speakers=3, takes=1)).read_text("utf-8")

    def origin(section: str) -> str:
        return page.partition(f'<section id="table-{section}">')[2].partition("</table>")[0]

    assert "95&nbsp;% interval over speakers and seeds" in origin("labels")
    assert "interval" not in origin("cost")


def test_without_a_speaker_column_intervals_are_over_recordings(tmp_path: Path) -> None:
    write_study(tmp_path, seeds=1, speakers=3, takes=1)
    about = json.loads((tmp_path / "about.json").read_text("utf-8"))
    (tmp_path / "about.json").write_text(json.dumps({**about, "speaker": None}), encoding="utf-8")
    page = make_report(tmp_path).read_text("utf-8")
    assert "95&nbsp;% interval over recordings." in page
    assert "interval over speakers" not in page


def test_a_sentence_explains_its_terms_where_they_come_first() -> None:
    text = str(told("<b> minDCF beside minDCF, alignment landmarks by DTW, labels spread, 20 labels in all, chosen"))
    assert text.startswith("&lt;b&gt; ")
    words = re.findall(r'<span class="term" title="[^"]+">([^<]+)</span>', text)
    assert words == ["minDCF", "alignment landmarks", "DTW", "labels spread", "labels in all, chosen"]
    assert "<span" not in told("retraining unsupervised-like")


def test_the_terms_of_the_field_are_explained_on_hover(page: str) -> None:
    for words, text in (("effective rank", "How many directions the vectors use"), ("CKA, 0 to 1", "How alike"),
                        ("minDCF, 0 to 1", "The lowest detection cost"), ("equal error rate, %", "as many impostors"),
                        ("Hydra-like features", "random convolution kernels"), ("linear probe", "Logistic regression"),
                        ("half of each enrolled", "Half of a speaker"), ("5-NN, no training", "nearest")):  # fmt: skip
        assert re.search(rf'class="term" title="[^"]*{text}[^"]*">[^<]*{words}', page), words
        assert text in page.partition('<section id="terms">')[2]


def test_crops_of_one_length_that_lie_in_two_ways_are_not_joined_by_a_line() -> None:
    found = [
        figure(Representation(PRETRAINED, f"crops {share:.0f} % {ways}", "both"), 80.0 + share / 9, x=share)
        for share, ways in ((30.0, "disjoint"), (45.0, "disjoint"), (45.0, "overlapping"))
    ]
    (joined,), (rows,) = crops(found[:2]), crops(found)
    assert [one.name for one in joined.chart.series] == ["both"]
    assert [name for name, _ in rows.chart.rows] == [
        "crops 30 % disjoint",
        "crops 45 % disjoint",
        "crops 45 % overlapping",
    ]


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("accuracy", 95.06, "95.1"),
        ("min_dcf", 0.5, "0.500"),
        ("multiply_adds", 812345678, "812,345,678"),
        ("seconds", 3456.2, "3,456"),
    ],
)
def test_every_metric_has_its_own_unit(metric: str, value: float, text: str) -> None:
    assert written(metric, float(value)) == text


def test_the_csv_holds_every_row_of_the_results(folder: Path, page: str) -> None:
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert len(rows) == len(results)
    for row, result in zip(rows, results, strict=True):
        assert {key: ("" if value is None else str(value)) for key, value in result.items()}.keys() == row.keys()
        assert float(row["value"]) == result["value"]
        assert (row["low"] == "") == (result["low"] is None)


def test_a_chart_shows_one_format_of_untrained_and_supervised_encoders() -> None:
    kinds = (UNTRAINED, PRETRAINED)
    found = [MFCC, *(Representation(kind, "", part) for kind in kinds for part in ("wave", "mel", "both"))]
    assert shown(found) == [MFCC, THEIRS, Representation(PRETRAINED, "", "wave"), MEL, OURS]


def test_normal_deviate_axes_are_symmetric_and_stay_within_their_ends() -> None:
    scale = Scale("probit", 0.01, 0.99, 0.0, 100.0)
    assert scale(0.5) == pytest.approx(50)
    assert scale(0.1) - 0 == pytest.approx(100 - scale(0.9))
    assert (scale(0.0), scale(1.0)) == (0.0, 100.0)
    low, high = span([99.0, 99.5], top=100.0)
    assert low < 99.0
    assert high == 100.0


def test_a_spectrogram_is_a_picture_with_the_low_band_below() -> None:
    image = pytest.importorskip("matplotlib.image", reason="reads the picture")
    data = base64.b64decode(png(np.array([[0, 0, 0], [255, 255, 255]])).partition(",")[2])
    pixels = image.imread(io.BytesIO(data))
    assert pixels.shape[:2] == (2, 3)
    assert pixels[0].sum() > pixels[1].sum()


# --- the page


class Texts(HTMLParser):
    """All elements and texts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))


def elements(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parsed = Texts()
    parsed.feed(page)
    return parsed.elements


def test_the_page_needs_no_other_file_and_no_network(page: str) -> None:
    for tag, attributes in elements(page):
        for name in ("src", "href", "data", "poster", "xlink:href"):
            address = attributes.get(name)
            assert address is None or address.startswith(("#", "data:")), (tag, name, address)
    assert "@import" not in page
    assert "url(" not in page
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert len(page) < 10_000_000


def test_every_chart_has_a_text_for_those_who_do_not_see_it(page: str) -> None:
    charts = [
        attributes for tag, attributes in elements(page) if tag == "svg" and "chart" in (attributes.get("class") or "")
    ]
    assert len(charts) > 20
    assert all(chart.get("role") == "img" and len(chart.get("aria-label") or "") > 10 for chart in charts)


def test_names_with_signs_of_html_stay_names(tmp_path: Path) -> None:
    folder = write_study(tmp_path, seeds=1, speakers=4, takes=1, nasty=True)
    page = make_report(folder).read_text(encoding="utf-8")
    tags = [tag for tag, _ in elements(page)]
    assert tags.count("script") == 3
    assert "img" not in tags
    assert "<script>alert" not in page
    embedded = re.search(r'<script type="application/json" id="map-data">(.*?)</script>', page, re.DOTALL)
    assert embedded is not None
    data = json.loads(embedded[1])
    assert "data/</script><img src=x onerror=alert(2)>.wav" in data["clips"]
    assert "</script><script>alert(1)</script>" in data["labels"][1]["values"]


def test_a_study_under_way_says_so(tmp_path: Path) -> None:
    page = make_report(write_study(tmp_path, seeds=1, speakers=3, takes=1, done=12)).read_text(encoding="utf-8")
    assert "12 of 40 parts are done" in page


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_folder_of_version_0_1_has_its_page_and_no_verdict(tmp_path: Path, seeds: int) -> None:
    for name, old in (("new", False), ("old", True)):
        make_report(write_study(tmp_path / name, seeds=seeds, speakers=3, takes=1, old=old, other_noise=False))
    new, page = ((tmp_path / name / "report.html").read_text("utf-8") for name in ("new", "old"))
    assert "Nothing is called better or worse here" in page
    assert not re.search(r"\((better|worse|open): ", page)
    assert "kept no paired differences" in page or "no interval of a mean over seeds and no paired differences" in page
    # the mean of the ends of several seeds is no interval of their mean
    assert ("95&nbsp;% interval over" in page) == (seeds == 1)
    titles = [re.findall(r"<figcaption>[^<]*", text) for text in (new, page)]
    assert titles[0] == titles[1]
    assert (tmp_path / "new" / "results.csv").read_bytes() == (tmp_path / "old" / "results.csv").read_bytes()


@pytest.mark.parametrize(
    ("part", "speaker", "words"),
    [
        ("train", "07", "30 of 2 unseen speakers"),
        ("train", "01", "30 of 2 speakers, 1 of them in training or validation too"),
        ("valid", "01", "30 of 2 speakers, 1 of them in training or validation too"),
    ],
)
def test_the_first_screen_says_whether_speakers_are_unseen_and_shows_the_notes(
    tmp_path: Path, part: str, speaker: str, words: str
) -> None:
    write_study(tmp_path, seeds=1, speakers=3, takes=1)
    about = json.loads((tmp_path / "about.json").read_text("utf-8"))
    about["parts"]["test"] = {"recordings": 30, "speakers": 2}
    about["notes"] = [f"note {place}" for place in range(5)]
    (tmp_path / "about.json").write_text(json.dumps(about), encoding="utf-8")
    rows = ["path,split,digit,speaker", f"a.wav,{part},1,{speaker}", "b.wav,test,1,01", "c.wav,test,2,02"]
    (tmp_path / "manifest.csv").write_text("\n".join(rows), encoding="utf-8")
    screen = make_report(tmp_path).read_text("utf-8").partition("</header>")[0]
    assert f"<dd>{words}</dd>" in screen
    assert [f"note {place}" in screen for place in range(5)] == [True, True, True, False, False]
    assert "2 more notes" in screen
    about["notes"].pop()
    (tmp_path / "about.json").write_text(json.dumps(about), encoding="utf-8")
    assert "1 more note</a>" in make_report(tmp_path).read_text("utf-8")


def test_brackets_are_explained_in_a_section_that_has_some(tmp_path: Path) -> None:
    told = "In brackets stands the 95 % interval of a paired difference."
    own = read_study(write_study(tmp_path, seeds=1, speakers=12, takes=1))
    assert any(told in section.note for section in sections(own))
    bare = {key: dataclasses.replace(one, low=None, high=None) for key, one in own.differences.items()}
    assert not any(told in section.note for section in sections(dataclasses.replace(own, differences=bare)))


def test_warnings_come_before_all_notes_and_all_stand_on_the_first_screen(tmp_path: Path) -> None:
    write_study(tmp_path, seeds=1, speakers=3, takes=1)
    about = json.loads((tmp_path / "about.json").read_text("utf-8"))
    about["notes"] = ["note 0", *(f"warning: pre-trained, seed {place}: collapsed" for place in range(5)), "note 1"]
    (tmp_path / "about.json").write_text(json.dumps(about), encoding="utf-8")
    screen = make_report(tmp_path).read_text("utf-8").partition("</header>")[0]
    found = re.findall(r'<p class="(remark[^"]*)">([^<]*)</p>', screen)
    assert found[:5] == [("remark warning", f"warning: pre-trained, seed {place}: collapsed") for place in range(5)]
    assert "note 0" not in screen
    assert "2 more notes" in screen


@pytest.mark.parametrize("left", [{}, {"maps": []}, {"training": [], "confusions": None}, "none"])
def test_pictures_may_be_missing(tmp_path: Path, left: object) -> None:
    write_study(tmp_path, seeds=1, speakers=3, takes=1)
    if left == "none":
        (tmp_path / "pictures.json").unlink()
    else:
        (tmp_path / "pictures.json").write_text(json.dumps(left), encoding="utf-8")
    page = make_report(tmp_path).read_text(encoding="utf-8")
    assert "map-data" not in page
    assert "Labels" in page


def test_a_study_without_labels_or_voices_has_a_page(tmp_path: Path) -> None:
    write_study(tmp_path, seeds=1, speakers=3, takes=1)
    about = {"parts": {"train": {"recordings": 5}}, "seeds": [0], "label": None, "speaker": None}
    rows = [row for row in json.loads((tmp_path / "results.json").read_text()) if row["table"] in ("cost", "geometry")]
    (tmp_path / "about.json").write_text(json.dumps(about), encoding="utf-8")
    (tmp_path / "results.json").write_text(json.dumps(rows), encoding="utf-8")
    for name in ("pictures.json", "summaries.json", "differences.json"):
        (tmp_path / name).unlink()
    assert "There is nothing to compare yet" in make_report(tmp_path).read_text(encoding="utf-8")


def test_the_maps_of_a_study_without_labels_are_drawn_in_one_colour(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="figures need matplotlib")
    write_study(tmp_path, seeds=1, speakers=3, takes=1)
    drawn = json.loads((tmp_path / "pictures.json").read_text())
    maps = [{**one, "labels": {}} for one in drawn["maps"]]
    (tmp_path / "pictures.json").write_text(json.dumps({"maps": maps}), encoding="utf-8")
    made = make_report(tmp_path, figures=tmp_path / "figures").read_text(encoding="utf-8")
    assert made.count('<div class="panel"') == 2  # on the first screen and among the maps
    assert "Every mark is a test clip. Near marks are alike." in made
    assert "<figcaption>no label</figcaption>" in made
    data = map_data(read_study(tmp_path))
    assert data is not None
    assert [(one["values"], set(one["of"])) for one in data["labels"]] == [(["clip"], {0})]
    figure_of_a_map = next((tmp_path / "figures").glob("map-*.svg")).read_text(encoding="utf-8")
    assert figure_of_a_map.count("<use ") > 30  # its marks


@pytest.mark.parametrize("name", ["results.json", "about.json"])
def test_a_folder_that_holds_no_study_is_named_in_one_line(tmp_path: Path, name: str) -> None:
    write_study(tmp_path, seeds=1, speakers=3, takes=1)
    (tmp_path / name).unlink()
    with pytest.raises(MfclError, match=f"{name}: cannot be read .* run `mfcl study`") as caught:
        make_report(tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("results.json", "{"), ("results.json", "{}"), ("results.json", '[{"table": "labels"}]'), ("about.json", "[]"),
        ("pictures.json", '{"maps": [{"ids": ["a"]}]}'), ("results.json", "[3]"),
    ],
)  # fmt: skip
def test_files_that_no_study_wrote_are_one_line(tmp_path: Path, name: str, text: str) -> None:
    write_study(tmp_path, seeds=1, speakers=3, takes=1)
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(MfclError, match="mfcl study") as caught:
        make_report(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_report_never_loads_torch_or_matplotlib(folder: Path) -> None:
    code = (
        "import sys; from mfcl.report import make_report; make_report(sys.argv[1]);"
        "sys.exit(len({'torch', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(folder)], check=False).returncode == 0


# --- maps and sound


def test_a_map_keeps_its_shape(folder: Path) -> None:
    study = read_study(folder)
    data = map_data(study)
    assert data is not None
    drawn = data["maps"][data["first"]]
    assert drawn["name"] == "pre-trained, both"
    source = next(one for one in study.pictures.maps if one.representation == OURS)
    left = min(range(len(source.x)), key=lambda place: source.x[place])
    high = max(range(len(source.y)), key=lambda place: source.y[place])
    assert drawn["x"].index(min(drawn["x"])) == left
    assert drawn["y"][high] == min(drawn["y"])  # up on the map is up on the screen
    assert max(max(drawn["x"]) - min(drawn["x"]), max(drawn["y"]) - min(drawn["y"])) == 1000
    assert [data["labels"][0]["values"][value] for value in data["labels"][0]["of"]] == source.labels["digit"]


def split_map(folder: Path) -> dict[str, object]:
    """Let the maps of both formats hold training and validation clips too; return what the page is given."""
    pictures = json.loads((folder / "pictures.json").read_text("utf-8"))
    tested = pictures["maps"][0]["ids"]
    for one in pictures["maps"]:
        if one["format"] == "both":
            one["ids"] = [*tested, *(f"more/{place}.wav" for place in range(20))]
            one["x"], one["y"] = ([*one[axis], *map(float, range(20))] for axis in ("x", "y"))
            one["labels"] = {name: [*values, *(["zz", *values[:19]])] for name, values in one["labels"].items()}
            one["splits"] = [*["test"] * len(tested), *["train", "valid"] * 10]
    (folder / "pictures.json").write_text(json.dumps(pictures), encoding="utf-8")
    about = json.loads((folder / "about.json").read_text("utf-8"))
    sides = (("test", len(tested)), ("train", 900), ("valid", 100))
    about["parts"] = {name: {"recordings": count, "speakers": 2} for name, count in sides}
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")
    data = map_data(read_study(folder))
    assert data is not None
    return data


def test_clips_of_every_part_of_the_split_are_on_the_maps_of_both_formats(tmp_path: Path) -> None:
    data = split_map(write_study(tmp_path, seeds=1, speakers=4, takes=1))
    assert data["parts"] == ["test", "train", "valid"]
    assert data["part"] == [0] * 40 + [1] * 10 + [2] * 10
    assert len(data["ids"]) == 40  # only these can have sound
    assert [len(one["of"]) for one in data["maps"] if one["name"].endswith(", both")] == [60] * 3
    assert {len(one["of"]) for one in data["maps"] if not one["name"].endswith(", both")} == {40}
    assert (data["left_out"], data["others_left_out"]) == (0, 980)
    assert data["labels"][0]["values"] == [*map(str, range(10)), "zz"]  # values of the test part come first
    page = make_report(tmp_path).read_text("utf-8")
    assert '<select id="clips">' in page
    assert "980 of these are left out" in page


def test_a_study_that_mapped_its_test_clips_alone_offers_no_others(folder: Path, page: str) -> None:
    data = map_data(read_study(folder))
    assert data is not None
    assert data["parts"] == ["test"]
    assert 'id="clips"' not in page


def test_the_page_of_many_clips_stays_small(tmp_path: Path) -> None:
    write_study(tmp_path, seeds=1, speakers=4, takes=1)
    plain = make_report(tmp_path).stat().st_size
    pictures = json.loads((tmp_path / "pictures.json").read_text("utf-8"))
    for one in pictures["maps"]:
        one["ids"] = [f"data/speaker/clip-{place:05d}.wav" for place in range(9000)]
        one["splits"] = ["test", "train", "valid"] * 3000
        one["x"], one["y"] = [float(place) for place in range(9000)], [float(place % 97) for place in range(9000)]
        one["labels"] = {"digit": [str(place % 10) for place in range(9000)]}
    (tmp_path / "pictures.json").write_text(json.dumps(pictures), encoding="utf-8")
    data = map_data(read_study(tmp_path))
    assert data is not None
    assert [data["part"].count(part) for part in range(3)] == [1500, 750, 750]
    assert data["others_left_out"] == 24000 - 1500  # of 18,000 and 6,000, as the study tells
    assert make_report(tmp_path).stat().st_size - plain < 600_000


def test_sound_is_in_the_page_only_if_asked_for(folder: Path, page: str) -> None:
    assert "data:audio" not in page
    heard = make_report(folder, with_audio=True).read_text(encoding="utf-8")
    assert heard.count("data:audio/") == 40


def test_of_too_much_sound_some_is_left_out_and_counted(folder: Path) -> None:
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        names = [recording["id"] for recording in csv.DictReader(file)]
    whole = clip_sounds(folder, names)
    assert whole.note == ""
    size = sum(map(len, whole.addresses.values()))
    part = clip_sounds(folder, names, limit=size // 2)
    assert sum(map(len, part.addresses.values())) <= size // 2
    assert 10 < len(part.addresses) < 30
    assert f"{40 - len(part.addresses)} of 40 clips have no sound here" in part.note
    assert clip_sounds(folder, [*names, "gone.wav"]).note == "1 clip could not be read"


def test_the_sound_of_a_study_is_found_where_it_was_moved(folder: Path, tmp_path: Path) -> None:
    study = shutil.copytree(folder, tmp_path / "study")
    with (study / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    moved = [tmp_path / "moved" / Path(row["path"]).name for row in rows]
    (tmp_path / "moved").mkdir()
    for row, place in zip(rows, moved, strict=True):
        shutil.move(study / row["path"], place)
    names = [row["id"] for row in rows]
    with pytest.raises(MfclError, match="data_root"):
        clip_sounds(study, names)
    assert clip_sounds(study, names, data_root=tmp_path / "moved").note == ""
    assert make_report(study, with_audio=True, data_root=tmp_path / "moved").exists()


def test_every_beginning_of_an_even_order_is_spread() -> None:
    names = [str(number) for number in range(100)]
    order = evenly(names)
    assert sorted(order, key=int) == names
    first = sorted(int(name) for name in order[:10])
    assert max(b - a for a, b in itertools.pairwise(first)) <= 20


def test_sound_without_a_manifest_is_one_line(tmp_path: Path) -> None:
    write_study(tmp_path, seeds=1, speakers=3, takes=1)
    with pytest.raises(MfclError, match=r"manifest\.csv: wanted for the sound"):
        make_report(tmp_path, with_audio=True)


# --- figures for print


def test_figures_are_written_as_svg_and_png_and_are_the_same_twice(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="figures need matplotlib")
    study = write_study(tmp_path / "study", seeds=1, speakers=3, takes=1, nasty=True)
    pictures = json.loads((study / "pictures.json").read_text(encoding="utf-8"))
    pictures["maps"] = pictures["maps"][:1]
    (study / "pictures.json").write_text(json.dumps(pictures), encoding="utf-8")
    for name in ("one", "two"):
        make_report(study, figures=tmp_path / name)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    kinds = {name.partition("-")[0] for name in names}
    swept = {"augmentation", "crops", "formats"}
    assert kinds == {"map", "labels", "traits", "efficiency", "robustness", "det", "training", *swept}
    assert {Path(name).suffix for name in names} == {".svg", ".png"}
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_figures_of_names_that_differ_in_signs_alone_are_all_kept(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="figures need matplotlib")
    study = write_study(tmp_path / "study", seeds=1, speakers=3, takes=1)
    drawn = json.loads((study / "pictures.json").read_text(encoding="utf-8"))["maps"][0]
    names = ("wav2vec", "wav2vec+", "+", "-")
    maps = [{**drawn, "kind": "elsewhere", "variant": name, "format": "", "part": ""} for name in names]
    (study / "pictures.json").write_text(json.dumps({"maps": maps}), encoding="utf-8")
    make_report(study, figures=tmp_path / "figures")
    found = sorted(path.name for path in (tmp_path / "figures").glob("map-*.png"))
    assert found == ["map--2.png", "map-.png", "map-wav2vec-2.png", "map-wav2vec.png"]


def test_without_matplotlib_the_extra_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name, *rest, **options):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MfclError, match=r'pip install "mfcl\[figures\]"'):
        make_report(folder, figures=tmp_path)
