"""What the figures say, in words: every sentence is worked out from the figures, losses as plainly as gains."""

from collections.abc import Iterable, Sequence

from mfcl.report.aggregate import CONTROLS, Mean, best, better, kind, leading, means, number_in, view
from mfcl.report.load import Figure
from mfcl.report.units import BEST, PERCENT, listed, write

PRETRAINED = "pre-trained"
FORMATS = {
    "both": "the pre-trained pair (both)",
    "words": "the pre-trained pair (words)",
    "voices": "the pre-trained pair (voices)",
    "mel": "the pre-trained mel encoder",
    "wave": "the pre-trained wave encoder",
}


def task_words(task: str) -> str:
    """Return a task as a sentence has it.

    Example:
        >>> task_words("digit, linear probe, 10 labels a class")
        'digit with 10 labels a class (linear probe)'
        >>> task_words("digit, 5-NN, no training")
        'digit (5-NN, no training)'
    """
    words = task.split(", ")
    amount = next((word for word in words if word.endswith("labels a class") or word == "all labels"), None)
    rest = [word for word in words[1:] if word != amount]
    return words[0] + (f" with {amount}" if amount else "") + (f" ({', '.join(rest)})" if rest else "")


def named(representation: str, *, same: str | None = None) -> str:
    """Return a representation as a sentence has it; `same` is the format just spoken of."""
    made, format = kind(representation), view(representation)
    if made == PRETRAINED and format:
        return FORMATS[format]
    if made == "untrained" and format and format == same:
        return f"the same {'encoder' if format in ('wave', 'mel') else 'encoders'} untrained"
    if made in ("untrained", "supervised") and format:
        return f"the {made} {format} encoder" if format in ("wave", "mel") else f"{made} encoders ({format})"
    return f"the {representation}" if representation in CONTROLS and representation[:3] == "log" else representation


def compare(found: Sequence[Mean]) -> str:
    """Say how the pre-trained encoders stand on one task and metric: beside untrained ones, controls and supervision.

    Returns:
        One sentence or two, empty where pre-trained encoders were not measured.

    Example:
        >>> row = Mean("pre-trained, both", "digit, 5-NN, no training", "accuracy", 95.1, 93.0, 97.0, None, 100, 1)
        >>> compare([row])
        'On digit (5-NN, no training) the pre-trained pair (both) reaches 95.1 %; nothing was measured beside it.'
    """
    ours = leading(found, PRETRAINED)
    if ours is None:
        return ""
    format = view(ours.representation)
    verb = "has an error of" if ours.metric == "eer" else "has a minDCF of" if ours.metric == "min_dcf" else "reaches"
    start = f"On {task_words(ours.task)} {named(ours.representation)} {verb} {_value(ours)}"
    rivals = [
        leading(found, "untrained", format),
        best([one for one in found if one.representation in CONTROLS]),
        leading(found, "supervised", format),
    ]
    present = [rival for rival in rivals if rival is not None]
    if not present:
        return f"{start}; nothing was measured beside it."
    text = f"{start}, " + listed([_beside(ours, rival, format) for rival in present]) + "."
    winner = best(found)
    if winner and better(winner, ours) and winner not in (*present, ours):
        text += f" The best of all is {named(winner.representation)} with {_value(winner)}."
    return text


def _beside(ours: Mean, rival: Mean, format: str | None) -> str:
    """Return how far ours is from a rival and whether the intervals overlap."""
    what = named(rival.representation, same=format)
    apart = ours.value - rival.value
    amount = write(ours.metric, abs(apart))
    if amount == write(ours.metric, 0.0):
        return f"the same as {what}"
    points = f"{amount} points" if ours.metric in PERCENT else amount
    way = "above" if apart > 0 else "below"
    judged = ""
    if BEST.get(ours.metric, 1) < 0:  # where less is better, "below" alone would be misread
        judged = "better, " if apart < 0 else "worse, "
    overlaps = ours.overlaps(rival)
    ends = "" if overlaps is None else " (intervals overlap)" if overlaps else " (intervals do not overlap)"
    if judged:
        return f"{points} {way} {what} ({judged}{ends.strip(' ()') or 'no interval'})"
    return f"{points} {way} {what}{ends}"


def _value(one: Mean) -> str:
    return f"{write(one.metric, one.value)} %" if one.metric in PERCENT else write(one.metric, one.value)


def of_table(figures: Iterable[Figure]) -> list[str]:
    """Return a comparison for every task of one table that compares representations."""
    groups: dict[tuple[str, str], list[Mean]] = {}
    for one in means(figures):
        groups.setdefault((one.task, one.metric), []).append(one)
    return [text for text in (compare(group) for group in groups.values()) if text]


def efficiency(figures: Iterable[Figure]) -> list[str]:
    """Say who leads with the fewest labels and with the most, and where training from scratch catches up."""
    found = [one for one in means(figures) if one.x is not None]
    if not found:
        return []
    places = sorted({one.x for one in found if one.x is not None})
    texts = []
    for place, words in zip(dict.fromkeys((places[0], places[-1])), ("fewest", "most"), strict=False):
        here = sorted((one for one in found if one.x == place), key=lambda one: -one.value)
        second = f", ahead of {here[1].representation} with {_value(here[1])}" if len(here) > 1 else ""
        amount = f"{place:.0f} label{'s' if round(place) != 1 else ''} a class"
        texts.append(
            f"With the {words} labels ({amount}) {here[0].representation} leads with {_value(here[0])}{second}."
        )
    return [*texts, *_catching_up(found)]


def _catching_up(found: Sequence[Mean]) -> list[str]:
    frozen = [one for one in found if one.representation.startswith("pre-trained") and "frozen" in one.representation]
    scratch = [one for one in found if "scratch" in one.representation]
    for one in sorted(frozen, key=lambda one: one.x or 0):
        rivals = [other for other in scratch if other.x == one.x]
        ours = best([other for other in frozen if other.x == one.x])
        rival = best(rivals)
        if rival and ours and not better(ours, rival):
            amount = f"{one.x:.0f} labels a class" if round(one.x or 0) != 1 else "a single label a class"
            return [f"Training from scratch catches up with the frozen encoders at {amount}."]
    if frozen and scratch:
        return ["Training from scratch nowhere catches up with the frozen encoders."]
    return []


def variants(figures: Iterable[Figure], what: str) -> list[str]:
    """Say which choice of augmentation, crops or formats is best on each task, and how far the worst is behind."""
    texts = []
    groups: dict[tuple[str, str], list[Mean]] = {}
    for one in means(figures):
        groups.setdefault((one.task, one.metric), []).append(one)
    for group in groups.values():
        rival_views = [one for one in group if view(one.representation) == "both"] or group
        ordered = sorted(rival_views, key=lambda one: -BEST.get(one.metric, 1) * one.value)
        if len(ordered) < 2:
            continue
        first, last = ordered[0], ordered[-1]
        verdict = {True: "intervals overlap", False: "intervals do not overlap", None: "no intervals"}[
            first.overlaps(last)
        ]
        texts.append(
            f"On {task_words(first.task)} the best {what} is {_choice(first)} with {_value(first)}; "
            f"the last is {_choice(last)} with {_value(last)} ({verdict})."
        )
    return texts


def _choice(one: Mean) -> str:
    words = one.representation.split(", ")
    return (
        (", ".join(words[1:]) if len(words) > 1 else one.representation)
        .removeprefix("crops ")
        .removeprefix("augmented ")
    )


def robustness(figures: Iterable[Figure]) -> list[str]:
    """Say what the loudest noise costs the pre-trained encoders and who bears it best."""
    found = means(figures)
    noisy = [
        one for one in found if "noise" in one.task and (one.x is not None or number_in(one.task, "dB") is not None)
    ]
    if not noisy:
        return []
    loudest = min(noisy, key=lambda one: _level(one)).task
    here = [one for one in noisy if one.task == loudest]
    ours = leading(here, PRETRAINED)
    start = loudest.split(", noise")[0]
    texts = []
    if ours:
        quiet = [one for one in found if one.representation == ours.representation and one.task == f"{start}, clean"]
        lost = f", {quiet[0].value - ours.value:.1f} points less than without noise" if quiet else ""
        texts.append(
            f"In noise at {_level(ours):.0f} dB {named(ours.representation)} is left with {_value(ours)}{lost}."
        )
    winner = best(here)
    if winner and (ours is None or winner.representation != ours.representation):
        texts.append(f"Best in this noise is {named(winner.representation)} with {_value(winner)}.")
    elif winner:
        texts.append("Nothing else that was measured is better in this noise.")
    return [text.replace("at -", "at \N{MINUS SIGN}") for text in texts]


def _level(one: Mean) -> float:
    return one.x if one.x is not None else number_in(one.task, "dB") or 0.0


def headline(figures: Sequence[Figure]) -> str:
    """Return the sentence of the first screen: few labels if they were measured, else the first task of all."""
    for table in ("labels", "voices", "traits"):
        own = [figure for figure in figures if figure.table == table]
        tasks = list(dict.fromkeys(figure.task for figure in own))
        few = [task for task in tasks if "labels a class" in task]
        for task in [*few, *tasks]:
            metric = next(figure.metric for figure in own if figure.task == task)
            text = compare(means(figure for figure in own if figure.task == task and figure.metric == metric))
            if text:
                return text
    return "There is nothing to compare yet: no pre-trained encoder has been measured."


def tally(figures: Iterable[Figure]) -> str:
    """Count the tasks on which pre-trained encoders beat, equal or lose to the best of what needs no training."""
    groups: dict[tuple[str, str], list[Mean]] = {}
    for one in means(figure for figure in figures if figure.table in ("labels", "voices", "traits")):
        groups.setdefault((one.task, one.metric), []).append(one)
    wins = ties = losses = 0
    for group in groups.values():
        ours = leading(group, PRETRAINED)
        rival = best(
            [one for one in group if one.representation in CONTROLS or kind(one.representation) == "untrained"]
        )
        if ours is None or rival is None:
            continue
        apart = ours.overlaps(rival) is False
        wins += apart and better(ours, rival)
        losses += apart and better(rival, ours)
        ties += not apart
    total = wins + ties + losses
    if not total:
        return ""
    return (
        f"Of {total} measure{'s' * (total != 1)}, the pre-trained encoders are clearly better than the best that "
        f"needs no training in {wins}, clearly worse in {losses}, and within overlapping intervals in {ties}."
    )
