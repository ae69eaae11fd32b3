"""Comparisons in words: the pre-trained encoders beside what they must be compared with, losses as plainly as gains.

"Better" and "worse" come from paired differences alone. Where none is known, the two figures stand side by side.
"""

from collections.abc import Iterable, Mapping, Sequence

from mfcl.core.console import are, counted, have
from mfcl.evaluation import standing, wording
from mfcl.evaluation.result import (
    BASELINE,
    CONTENT,
    NOISE,
    PRETRAINED,
    SPEAKER,
    SUPERVISED,
    UNTRAINED,
    Question,
    Representation,
)
from mfcl.evaluation.summary import Difference, Summary
from mfcl.report.load import Pair, Study
from mfcl.report.names import saw_more
from mfcl.report.phrases import listed, shortened
from mfcl.report.selection import COMPARED, beside, best, by_question, exceeds, leading, view

VIEWS: dict[tuple[str, str], str] = {
    ("both", ""): "both formats", ("both", CONTENT): "the part for words", ("both", SPEAKER): "the part for voices",
    ("mel", ""): "mel", ("wave", ""): "wave",
}  # fmt: skip
ERRORS: dict[str, str] = {"eer": "an equal error rate", "min_dcf": "a minDCF"}
"""Metric of errors -> its name in a sentence."""
FIRST = (*COMPARED, "robustness")
"""Sections of which the first screen may tell."""
NO_INTERVAL = "no paired interval"
Differences = Mapping[Pair, Difference]


def task_words(question: Question) -> str:
    """Return a question as a sentence has it.

    Example:
        >>> task_words(Question("labels", "accuracy", "digit", "linear", 10))
        'digit with 10 labels a class (linear probe)'
        >>> task_words(Question("voices", "eer", "speaker", "enrolled", enrolled=1))
        'voices (1 clip enrolled)'
    """
    amount = wording.amount(question)
    rest = [shortened(word) for word in (wording.reading(question), condition_words(question)) if word]
    what = shortened(wording.subject(question))
    return what + (f" with {amount}" if amount else "") + (f" ({', '.join(rest)})" if rest else "")


def condition_words(question: Question) -> str:
    """Return what the test recordings were made to sound like, with a minus sign where the value has one."""
    return wording.condition(question).replace("-", "\N{MINUS SIGN}")


def named(one: Representation, *, like: Representation | None = None) -> str:
    """Return a representation as a sentence has it; `like` is the one just spoken of.

    Example:
        >>> named(Representation("pre-trained", "", "both")), named(Representation("baseline", "MFCC statistics"))
        ('the pre-trained encoders (both formats)', 'MFCC statistics')
    """
    single = one.format in ("wave", "mel") and not one.part
    encoders = "encoder" if single else "encoders"
    if one.variant or one.kind not in (PRETRAINED, UNTRAINED, SUPERVISED):
        text = shortened(wording.name(one))
        return f"the {text}" if one.kind == BASELINE and text == "log-mel picture" else text
    if one.kind == UNTRAINED and like is not None and view(like) == view(one):
        return f"the same {encoders} untrained"
    words = VIEWS.get(view(one), wording.name(Representation("", "", one.format, one.part)))
    return f"the {one.kind} {words} encoder" if single else f"the {one.kind} encoders ({words})"


def value(one: Summary) -> str:
    """Return a figure with its unit."""
    return wording.figure_with_unit(one.question.metric, one.value)


def compare(found: Sequence[Summary], differences: Differences) -> str:
    """Say how the pre-trained encoders stand on one question: beside untrained ones, baselines and supervision.

    Args:
        found: The figures of that question.
        differences: The paired differences that are known.

    Returns:
        A few sentences, "" where pre-trained encoders were not measured.

    Example:
        >>> asked, whose = Question("labels", "accuracy", "digit", "knn"), Representation("pre-trained", "", "mel")
        >>> compare([Summary(asked, whose, 95.1, 93.0, 97.0, 9, None, (0,), 1.0, "")], {})
        'On digit (5-NN, no training) the pre-trained mel encoder reaches 95.1 %; nothing was measured beside it.'
    """
    ours = leading(found, PRETRAINED)
    if ours is None:
        return ""
    start = f"On {task_words(ours.question)} {named(ours.representation)} {_reach(ours)} {value(ours)}"
    rivals = beside(found, ours)
    if not rivals:
        return f"{start}; nothing was measured beside it."
    known = [text for rival in rivals if (text := _beside(ours, rival, differences))]
    plain = [rival for rival in rivals if not _beside(ours, rival, differences)]
    text = f"{start}: {listed(known)}." if known else f"{start}."
    if plain:
        figures = [f"{named(rival.representation, like=ours.representation)} with {value(rival)}" for rival in plain]
        text += f" Shown beside ({NO_INTERVAL}): {listed(figures)}."
    if any(saw_more(one.representation, one.question) for one in rivals):
        text += " Supervised encoders saw all labels in training."
    winner = best(found)
    fair = not any(saw_more(one.representation, one.question) for one in found)
    if winner is not None and exceeds(winner, ours) and winner not in rivals:
        word = "lowest" if wording.metric(ours.question.metric).best < 0 else "highest"
        which = "of all" if fair else "of those that saw no more labels"
        text += f" The {word} {which} is {value(winner)}, of {named(winner.representation)}."
    return text


def _beside(ours: Summary, rival: Summary, differences: Differences) -> str:
    """Return how far ours is from a rival by their paired difference, "" where no interval of it is known."""
    found = differences.get((ours.question, ours.representation, rival.representation))
    if found is None or found.low is None or found.high is None:
        return ""
    what = named(rival.representation, like=ours.representation)
    metric = ours.question.metric
    amount = wording.figure(metric, abs(found.value))
    points = f"{amount} points" if wording.metric(metric).unit == "%" else amount
    fewer = found.of_fewer(ours, rival)
    ends = f"{wording.figure(metric, found.low)} to {wording.figure(metric, found.high)}"
    judged = f"({found.verdict}: {ends}{f', {fewer}' if fewer else ''})"
    if amount == wording.figure(metric, 0.0):
        return f"the same as {what} {judged}"
    return f"{points} {'above' if found.value > 0 else 'below'} {what} {judged}"


def _reach(ours: Summary) -> str:
    """Return the verb between encoders and their figure."""
    one = ours.representation.format in ("wave", "mel") and not ours.representation.part
    error = ERRORS.get(ours.question.metric)
    if error is None:
        return "reaches" if one else "reach"
    return f"{'has' if one else 'have'} {error} of"


def of_section(figures: Iterable[Summary], differences: Differences) -> list[str]:
    """Return a comparison for every question of one section."""
    return [text for own in by_question(figures).values() if (text := compare(own, differences))]


def headline(study: Study) -> str:
    """Return the sentence of the first screen: the measure with the clearest paired difference to all its controls.

    Where there is none, it is a measure with few labels, else the first of all.
    """
    asked = [told.question for told in _clearest(study) if told.verdict == "better"]
    groups = {question: own for section in FIRST for question, own in by_question(study.section(section)).items()}
    for section in COMPARED:
        there = by_question(study.section(section))
        asked += [question for question in there if question.labels_per_class is not None]
        asked += there
    return next(
        (text for question in asked if (text := compare(groups[question], study.differences))),
        "There is nothing to compare yet: no pre-trained encoder has been measured.",
    )


def tally(study: Study) -> list[str]:
    """Say where pre-trained encoders are better, worse or open, as the screen that ends a study does: sentences."""
    ours = standing.main_results(study.summaries)
    differences = list(study.differences.values())
    counts = standing.counts(ours, study.summaries, differences)
    if not counts:
        unknown = f"{counted(len(ours), 'measure')} {have(len(ours))} {NO_INTERVAL}."
        return [f"Nothing is called better or worse here: {unknown}"] if ours else []
    told = _clearest(study)
    said = [one.text for place, one in enumerate(told) if place or one.verdict != "better"]  # but the headline's
    open_ = standing.not_shown(ours, study.summaries, differences)
    said += [one.sentence + (f" Not shown: {open_[one.rival]}" if one.rival in open_ else "") for one in counts]
    return said


def tally_note(study: Study) -> str:
    """Say how to read `tally`; "" where nothing is paired."""
    ours = standing.main_results(study.summaries)
    if not standing.counts(ours, study.summaries, list(study.differences.values())):
        return ""
    noisy = sum(one.question.condition == NOISE for one in ours)
    many = f"{counted(noisy, 'measure')} of those counted {are(noisy)}"
    matched = f"{many} in white noise, with which the pre-trained encoders were trained too. "
    brackets = "In brackets stands the 95 % interval of the paired difference."
    return (matched if noisy and study.noise else "") + brackets


def _clearest(study: Study) -> list[standing.Told]:
    ours = standing.main_results(study.summaries)
    return standing.clearest(ours, study.summaries, list(study.differences.values()), most=2)
