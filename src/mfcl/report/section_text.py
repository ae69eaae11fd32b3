"""What the figures of one section say, in words: few labels, the choices of a sweep, and noise.

The choices of a sweep are not compared in pairs. Their highest and lowest figure are named, and none is called better.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence

from mfcl.core.console import counted
from mfcl.evaluation import wording
from mfcl.evaluation.result import CLEAN, FROM_SCRATCH, LINEAR, NETWORK, NOISE, OTHER_NOISE, PINK, PRETRAINED, Question
from mfcl.evaluation.summary import Summary
from mfcl.report.names import called, saw_more
from mfcl.report.phrases import listed, mean_count, shortened
from mfcl.report.selection import best, by_question, exceeds, leading
from mfcl.report.text import NO_INTERVAL, Differences, compare, condition_words, named, task_words, value


def efficiency(figures: Iterable[Summary]) -> list[str]:
    """Say who has the highest figure with the fewest labels and with the most, and how training from scratch stands.

    Supervised encoders saw every label in training, however few the probe knows. With the fewest labels they are named
    apart; with all labels they stand with the others.
    """
    texts = []
    placed = [one for one in figures if one.x is not None]
    for label in dict.fromkeys(one.question.label for one in placed):
        own = [one for one in placed if one.question.label == label]
        counts = sorted(set(map(_by_labels, own)))
        for count, words in zip(dict.fromkeys((counts[0], counts[-1])), ("fewest", "most"), strict=False):
            here = [one for one in own if _by_labels(one) == count]
            fair = sorted((one for one in here if not saw_more(one.representation, one.question)), key=_downward)
            more = sorted((one for one in here if saw_more(one.representation, one.question)), key=_downward)
            start = f"With the {words} labels of {shortened(label)} ({_amount(here)})"
            if fair:
                second = f", the next {_figure(fair[1])}" if len(fair) > 1 else ""
                texts.append(f"{start} the highest figure is {_figure(fair[0])}{second}.")
            if more:
                where = "Beside it stands" if fair else f"{start} there is only"
                texts.append(
                    f"{where} {_figure(more[0])}: these encoders were trained on all labels, only the probe knows few."
                )
        texts += _scratch(own)
    return texts


def _amount(figures: Sequence[Summary]) -> str:
    """Return how many labels a class figures rest on.

    All labels are more for a probe, which is fitted on those of the validation split too, than for a network.
    """
    places = [one.x for one in figures if one.x is not None]
    least, most = (mean_count(end(places)) for end in (min, max))
    if least != most:
        return f"{least} to {most} labels a class on average"
    return f"{most} labels a class on average" if "." in most else f"{counted(max(places), 'label')} a class"


def _downward(one: Summary) -> float:
    return -one.value


def _scratch(found: Sequence[Summary]) -> list[str]:
    """Say with how many labels the best network from scratch is below the best frozen encoder, and with how many not.

    Every number of labels at which both were measured is named, so that nothing is said of the others. Figures count as
    they are printed.
    """
    below: list[str] = []
    above: list[str] = []
    read = [one for one in found if one.question.probe in (LINEAR, NETWORK)]
    for asked in dict.fromkeys(map(_asked, sorted(read, key=_by_labels))):
        here = [one for one in read if _asked(one) == asked]
        frozen = best([one for one in here if one.representation.kind == PRETRAINED])
        scratch = best([one for one in here if one.representation.kind == FROM_SCRATCH])
        if frozen is None or scratch is None:
            continue
        amount = wording.amount(asked)
        pair = (
            f"{'1 label a class' if amount == '1 labels a class' else amount} ({value(scratch)} beside {value(frozen)})"
        )
        (below if exceeds(frozen, scratch) and value(frozen) != value(scratch) else above).append(pair)
    ways = [
        f"{words} with {listed(pairs)}" for words, pairs in (("lower", below), ("as high or higher", above)) if pairs
    ]
    if not ways:
        return []
    start = "The best network trained from scratch beside the best frozen pre-trained encoder"
    return [f"{start}: {', and '.join(ways)}; {NO_INTERVAL}."]


def _asked(one: Summary) -> Question:
    """Return the question, the same for a network's own output layer as for a probe on frozen vectors."""
    return dataclasses.replace(one.question, probe=LINEAR)


def _by_labels(one: Summary) -> float:
    return math.inf if one.question.labels_per_class is None else float(one.question.labels_per_class)


def _figure(one: Summary) -> str:
    """Return a figure and whose it is."""
    return f"{value(one)} ({called(one.representation, one.question.section)})"


def variants(figures: Iterable[Summary]) -> list[str]:
    """Say which choice of a sweep has the highest and which the lowest figure on each question."""
    texts = []
    for question, group in by_question(figures).items():
        own = [one for one in group if one.representation.format == "both" and not one.representation.part] or group
        ordered = sorted(own, key=lambda one: -one.value)
        if len(ordered) < 2:
            continue
        first, last = ordered[0], ordered[-1]
        less = ", where less is better," if wording.metric(question.metric).best < 0 else ""
        texts.append(
            f"On {task_words(question)}{less} the highest figure is {_figure(first)} "
            f"and the lowest {_figure(last)}; {NO_INTERVAL}."
        )
    return texts


def robustness(
    figures: Iterable[Summary],
    differences: Differences,
    trained: tuple[float, float] | None = None,
    slope_db: float = 0.0,
) -> list[str]:
    """Say what the loudest white noise costs the pre-trained encoders, and how they stand in it and in other noise.

    Args:
        figures: Of the section.
        differences: The paired differences that are known.
        trained: Signal-to-noise ratios of the noise in pre-training, lowest and highest, in dB; None without.
        slope_db: Steepest fall of that noise in dB per octave; 0: all of it was white.
    """
    found = list(figures)
    noisy = [one for one in found if one.question.condition == NOISE and one.question.condition_value is not None]
    if not noisy:
        return []
    asked = min(noisy, key=lambda one: one.question.condition_value or 0.0).question
    here = [one for one in noisy if one.question == asked]
    ours = leading(here, PRETRAINED)
    if ours is None:
        return []
    texts = []
    calm = dataclasses.replace(asked, condition=CLEAN, condition_value=None)
    for quiet in found:
        if quiet.question == calm and quiet.representation == ours.representation:
            texts.append(
                f"From clean clips to {condition_words(asked)} the figure of {named(ours.representation)} goes from "
                f"{value(quiet)} to {value(ours)}."
            )
    others = [
        compare([one for one in found if one.question == question], differences)
        for question in dict.fromkeys(one.question for one in found if one.question.condition in OTHER_NOISE)
        if dataclasses.replace(question, condition=CLEAN, condition_value=None) == calm
    ]
    return [*texts, compare(here, differences), *matched_noise(found, trained, slope_db), *filter(None, others)]


def matched_noise(found: Sequence[Summary], trained: tuple[float, float] | None, slope_db: float = 0.0) -> list[str]:
    """Say that the white noise of the test was in training too, where it was, and which other noise was not."""
    if trained is None or not any(one.question.condition == NOISE for one in found):
        return []
    low, high = (f"{end:g}".replace("-", "\N{MINUS SIGN}") for end in trained)
    heard = {one.question.condition for one in found}
    sloping = slope_db > 0
    kinds = f"noise from white to a fall of {slope_db:g} dB an octave" if sloping else "white noise too"
    others = listed([kind for kind in OTHER_NOISE if kind in heard and not (sloping and kind == PINK)])
    rest = (
        f"Nothing was trained on {others}: what is said of noise should rest on these."
        if others
        else "How they stand in noise of another kind was not measured."
    )
    return [
        f"This is matched noise: it is white, and the pre-trained encoders were trained with {kinds}, at {low} "
        f"to {high} dB. What they gain here they need not gain in other noise. {rest}"
    ]
