"""What the figures of one section say, in words: few labels, the choices of a sweep, and noise.

The choices of a sweep are not compared in pairs. Their highest and lowest figure are named, and none is called better.
"""

import dataclasses
from collections.abc import Iterable, Sequence

from mfcl.evaluation import wording
from mfcl.evaluation.result import CLEAN, FROM_SCRATCH, NOISE, PRETRAINED, SUPERVISED
from mfcl.evaluation.summary import Summary
from mfcl.report.phrases import counted, shortened
from mfcl.report.selection import best, by_question, exceeds, leading
from mfcl.report.text import NO_INTERVAL, Differences, compare, condition_words, named, task_words, value


def efficiency(figures: Iterable[Summary]) -> list[str]:
    """Say who has the highest figure with the fewest labels and with the most, and how training from scratch stands.

    Supervised encoders saw every label in training, however few the probe knows: they are left out.
    """
    texts = []
    placed = [one for one in figures if one.x is not None]
    for label in dict.fromkeys(one.question.label for one in placed):
        own = [one for one in placed if one.question.label == label]
        found = [one for one in own if one.representation.kind != SUPERVISED]
        places = sorted({one.x for one in found if one.x is not None})
        for place, words in zip(
            dict.fromkeys((places[0], places[-1])) if places else (), ("fewest", "most"), strict=False
        ):
            here = sorted((one for one in found if one.x == place), key=lambda one: -one.value)
            second = f", the next {_figure(here[1])}" if len(here) > 1 else ""
            texts.append(
                f"With the {words} labels of {shortened(label)} ({counted(place, 'label')} a class) the highest figure "
                f"is {_figure(here[0])}{second}."
            )
        if len(found) < len(own):
            texts.append("Supervised encoders are left out of this order: they saw all labels in training.")
        texts += _scratch(found)
    return texts


def _scratch(found: Sequence[Summary]) -> list[str]:
    """Say from how many labels on training from scratch has the higher figure, of those where both were measured."""
    pairs = []
    for place in sorted({one.x for one in found if one.x is not None}):
        here = [one for one in found if one.x == place]
        frozen = best([one for one in here if one.representation.kind == PRETRAINED])
        scratch = best([one for one in here if one.representation.kind == FROM_SCRATCH])
        if frozen is not None and scratch is not None:
            pairs.append((place, frozen, scratch))
    for place, frozen, scratch in pairs:
        if not exceeds(frozen, scratch):
            return [
                f"Training from scratch first has as high a figure as frozen encoders at {counted(place, 'label')} "
                f"a class: {value(scratch)} beside {value(frozen)} ({NO_INTERVAL})."
            ]
    if not pairs:
        return []
    place, frozen, scratch = pairs[-1]
    return [
        f"Up to {counted(place, 'label')} a class, training from scratch has a lower figure than frozen encoders "
        f"wherever both were measured: {value(scratch)} beside {value(frozen)} at the last ({NO_INTERVAL})."
    ]


def _figure(one: Summary) -> str:
    """Return a figure and whose it is."""
    return f"{value(one)} ({shortened(wording.name(one.representation, one.question.section))})"


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


def robustness(figures: Iterable[Summary], differences: Differences) -> list[str]:
    """Say what the loudest noise costs the pre-trained encoders and how they stand in it beside the others."""
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
    return [*texts, compare(here, differences)]
