"""What the pictures say, in words: confusions, the worst speakers, and how training went."""

from typing import Any

from mfcl.report.aggregate import VIEWS, kind, view
from mfcl.report.load import Study
from mfcl.report.text import PRETRAINED, named


def foremost(pictures: list[dict[str, Any]], made: str = PRETRAINED) -> str | None:
    """Return the representation of a kind that stands for it in pictures: its words, else both formats, mel or wave."""
    names = [str(picture["representation"]) for picture in pictures]
    own = [name for choice in ("words", *VIEWS, None) for name in names if kind(name) == made and view(name) == choice]
    return own[0] if own else None


def summed(study: Study, representation: str) -> tuple[list[str], list[list[int]]]:
    """Return the classes and the confusions of a representation, added over seeds; no classes where none were kept."""
    own = [one for one in study.pictured("confusions") if one["representation"] == representation]
    classes = [str(name) for name in own[0]["classes"]] if own else []
    same = [one["counts"] for one in own if [str(name) for name in one["classes"]] == classes]
    size = range(len(classes))
    return classes, [[sum(int(counts[row][column]) for counts in same) for column in size] for row in size]


def confused(study: Study) -> list[str]:
    """Name the commonest mistake of the pre-trained encoders."""
    name = foremost(study.pictured("confusions"))
    if name is None:
        return []
    classes, counts = summed(study, name)
    errors = [
        (counts[row][column], row, column)
        for row in range(len(classes))
        for column in range(len(classes))
        if row != column
    ]
    total = sum(count for count, _, _ in errors)
    if not total:
        return [f"{_upper(named(name))} confuses no two of the {len(classes)} classes."]
    count, row, column = max(errors)
    share = 100 * count / max(sum(counts[row]), 1)
    return [
        f"The commonest mistake of {named(name)}: {classes[row]} taken for {classes[column]}, in {share:.1f} % of the "
        f"clips of {classes[row]} and {100 * count / total:.0f} % of all its mistakes."
    ]


def by_group(study: Study, representation: str) -> dict[str, tuple[float, int]]:
    """Return group -> (accuracy in percent, clips), averaged over seeds, the lowest first."""
    sums: dict[str, list[tuple[float, int]]] = {}
    for one in study.pictured("groups"):
        if one["representation"] == representation:
            for name, accuracy, count in zip(one["names"], one["accuracy"], one["n"], strict=False):
                sums.setdefault(str(name), []).append((float(accuracy), int(count)))
    means = {name: (sum(value for value, _ in own) / len(own), own[0][1]) for name, own in sums.items()}
    return dict(sorted(means.items(), key=lambda item: (item[1][0], item[0])))


def worst(study: Study) -> list[str]:
    """Name the group that fares worst with the pre-trained encoders, and how far it is behind the middle one."""
    pictures = study.pictured("groups")
    name = foremost(pictures)
    if name is None:
        return []
    found = list(by_group(study, name).items())
    by = str(pictures[0].get("by", "group"))
    lowest, (accuracy, count) = found[0]
    middle = sorted(value for _, (value, _) in found)[len(found) // 2]
    return [
        f"With {named(name)} the lowest {by} is {lowest}: {accuracy:.1f} % of {count} clips, "
        f"{middle - accuracy:.1f} points below the middle one of {len(found)}."
    ]


def trained(study: Study) -> list[str]:
    """Say where each run's loss and validation figure ended, beside chance."""
    texts = []
    for run in dict.fromkeys(str(one["run"]) for one in study.pictured("training")):
        own = [one for one in study.pictured("training") if one["run"] == run and one.get("epochs")]
        if not own:
            continue
        lasts = [one["epochs"][-1] for one in own]
        loss = sum(float(last["loss"]) for last in lasts) / len(lasts)
        chance = own[0].get("chance_loss")
        against = f" (chance: {chance:.2f})" if chance is not None else ""
        text = f"{_upper(run)}: the loss ends at {loss:.2f}{against} after {len(own[0]['epochs'])} epochs"
        valid = [[epoch["valid_knn"] for epoch in one["epochs"] if epoch.get("valid_knn") is not None] for one in own]
        ends = [values[-1] for values in valid if values]
        if ends:
            knn = own[0].get("chance_knn")
            text += f", validation kNN at {sum(ends) / len(ends):.1f} %" + (
                f" (chance: {knn:.1f} %)" if knn is not None else ""
            )
        texts.append(text + ".")
    return texts


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
