"""What the pictures say, in words: confusions, the speakers that are told worst, and how training went."""

from mfcl.core.console import counted, plural
from mfcl.evaluation.result import Representation
from mfcl.evaluation.typed_rows import Numbers
from mfcl.report.phrases import apart, listed, shortened
from mfcl.report.pictures import Pictures, Training
from mfcl.report.selection import pictured
from mfcl.report.text import named

ENOUGH = 10
"""Fewest clips whose share is told in percent."""
NAMED = 3
"""Most groups of equal accuracy that are named."""


def summed(pictures: Pictures, one: Representation) -> tuple[list[str], Numbers | None]:
    """Return the classes and the confusions of a representation, added over seeds; None where none were kept."""
    own = [picture for picture in pictures.confusions if picture.representation == one]
    if not own:
        return [], None
    same = [picture.counts for picture in own if picture.classes == own[0].classes]
    return list(own[0].classes), sum(same[1:], start=same[0])


def confused(pictures: Pictures) -> list[str]:
    """Name the commonest mistake of the pre-trained encoders."""
    whose = pictured(picture.representation for picture in pictures.confusions)
    if whose is None:
        return []
    classes, counts = summed(pictures, whose)
    if counts is None or not counts.size:
        return []
    who = _upper(named(whose))
    wrong = counts.copy()
    wrong[range(len(classes)), range(len(classes))] = 0
    total = int(wrong.sum())
    if not total:
        return [f"{who} take none of the {len(classes)} classes for another."]
    row, column = divmod(int(wrong.argmax()), len(classes))
    truth, said = apart([classes[row], classes[column]])
    count, clips = int(wrong[row, column]), int(counts[row].sum())
    share = f"{100 * count / clips:.1f} % of the clips" if clips >= ENOUGH else f"{count} of {counted(clips, 'clip')}"
    alike = int((wrong == count).sum())
    what = "The commonest mistake" if alike == 1 else f"One of the {alike:,} commonest mistakes"
    return [
        f"{what} of {named(whose)}: {truth} taken for {said}, in {share} of {truth}. "
        f"That is {count:,} of {counted(total, 'mistake')}."
    ]


def by_group(pictures: Pictures, one: Representation) -> dict[str, tuple[float, int]]:
    """Return group -> (accuracy in percent, clips), averaged over seeds, the lowest first.

    Clips without a speaker, whose group has no name, are of nobody and left out.
    """
    sums: dict[str, list[tuple[float, int]]] = {}
    for picture in pictures.groups:
        if picture.representation == one:
            for name, accuracy, count in zip(picture.names, picture.accuracy, picture.n, strict=True):
                if name:
                    sums.setdefault(name, []).append((accuracy, count))
    means = {name: (sum(value for value, _ in own) / len(own), own[0][1]) for name, own in sums.items()}
    return dict(sorted(means.items(), key=lambda item: (item[1][0], item[0])))


def worst(pictures: Pictures) -> list[str]:
    """Name the group that fares worst with the pre-trained encoders, and how far it is below the middle one."""
    whose = pictured(picture.representation for picture in pictures.groups)
    found = list(by_group(pictures, whose).items()) if whose is not None else []
    if whose is None or len(found) < 2:
        return []
    by = shortened(pictures.groups[0].by)
    lowest, (accuracy, count) = found[0]
    if accuracy >= found[-1][1][0]:
        return [f"With {named(whose)} every {by} of {len(found):,} has the same accuracy, {accuracy:.1f} %."]
    middle = sorted(value for _, (value, _) in found)[len(found) // 2]
    alike = [name for name, (value, _) in found if f"{value:.1f}" == f"{accuracy:.1f}"]
    if len(alike) > 1:
        some = apart(alike[:NAMED], 30)
        more = [f"{len(alike) - NAMED} more"] if len(alike) > NAMED else []
        return [
            f"With {named(whose)} {len(alike)} {plural(by)} of {len(found):,} have the lowest accuracy, "
            f"{accuracy:.1f} %: {listed([*some, *more])}. That is {middle - accuracy:.1f} points below the middle one."
        ]
    few = "" if count >= ENOUGH else ", too few for a figure of its own"
    return [
        f"With {named(whose)} the {by} with the lowest accuracy is {shortened(lowest)}: {accuracy:.1f} % of its "
        f"{counted(count, 'clip')}{few}, {middle - accuracy:.1f} points below the middle one of {len(found)}."
    ]


def trained(pictures: Pictures) -> list[str]:
    """Say where each run's loss and validation figure ended, beside chance."""
    texts = []
    runs = [one for one in pictures.training if one.epochs]
    for run in dict.fromkeys(one.run for one in runs):
        text = _ended([one for one in runs if one.run == run])
        if text:
            texts.append(f"{_upper(shortened(run))}: {text}.")
    return texts


def _ended(own: list[Training]) -> str:
    """Return where the runs of one name ended, averaged over seeds."""
    losses = [one.epochs[-1].loss for one in own]
    known = [loss for loss in losses if loss is not None]
    ends = [values[-1] for one in own if (values := [e.valid_knn for e in one.epochs if e.valid_knn is not None])]
    parts = []
    if known:
        chance = own[0].chance_loss
        against = f" (chance: {chance:.2f})" if chance is not None else ""
        epochs = counted(len(own[0].epochs), "epoch")
        parts.append(f"the loss ends at {sum(known) / len(known):.2f}{against} after {epochs}")
    if ends:
        knn = own[0].chance_knn
        against = f" (chance: {knn:.1f} %)" if knn is not None else ""
        parts.append(f"validation kNN at {sum(ends) / len(ends):.1f} %{against}")
    return ", ".join(parts)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
