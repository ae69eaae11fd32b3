"""Who is trained on and who is measured: every split is a function of label values and a seed, never of an order.

A recording without the label that decides comes on no side: its speaker, say, could be anyone's. Copies of one sound,
as the scan finds them, stay on one side of a drawn split. A drawn split whose sides lack classes is mended where units
can be exchanged (see `mfcl.data.covering`).
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from mfcl.core.random import generator
from mfcl.data.covering import covering
from mfcl.data.manifest import Manifest
from mfcl.errors import SplitError, one_of

PROTOCOLS = ("manifest", "label", "recording", "reference", *(f"becker-{rotation}" for rotation in range(5)))
"""Names that `split` knows."""

BECKER_FOLDS = (
    (28, 56, 7, 19, 35, 1, 6, 16, 23, 34, 46, 53),
    (36, 57, 9, 24, 37, 2, 8, 17, 29, 39, 48, 54),
    (43, 58, 14, 25, 38, 3, 10, 20, 30, 40, 49, 55),
    (12, 47, 59, 15, 27, 41, 4, 11, 21, 31, 44, 50),
    (26, 52, 60, 18, 32, 42, 5, 13, 22, 33, 45, 51),
)
"""The 60 speakers of AudioMNIST in five groups of 12, by number.

Source: Becker et al., arXiv:1807.03418; the lists are those of the repository soerenab/AudioMNIST,
    audiomnist/train/splits.py ("digit").
"""


def split(
    manifest: Manifest,
    protocol: str,
    *,
    seed: int = 0,
    label: str | None = None,
    speaker: str = "speaker",
    digit: str = "digit",
    test: float = 0.25,
    valid: float = 0.2,
) -> Manifest:
    """Return the manifest with every recording on a side, by one of `PROTOCOLS`.

    Args:
        manifest: What to split.
        protocol: `manifest` obeys the manifest's own sides and draws validation recordings from its train side if it
            has none; `label` and `recording` draw sides; `reference` and `becker-0` to `becker-4` are those of studies.
        seed: Of the draws; Becker's rotations have none.
        label: No value of it comes on two sides: for `label`, and for the validation recordings of `manifest`.
        speaker: The label that the studies' protocols call speaker.
        digit: The label that the reference study's calls digit; the drawn protocols bring its values on every side,
            as far as that can be.
        test: Share of values or files that is measured: for `label` and `recording`.
        valid: Share of the rest that choices are made on.

    Raises:
        SplitError: no such protocol, or too little to split.
    """
    classes = digit if digit in manifest.label_names else None
    if protocol == "manifest":
        return draw_validation(manifest, label, seed=seed, share=valid, classes=classes)
    if protocol == "label":
        if label is None:
            raise SplitError("the protocol 'label' splits by a label; say which in split_by, such as 'speaker'")
        return split_by_label(manifest, label, seed=seed, test=test, valid=valid, classes=classes)
    if protocol == "recording":
        return split_by_recording(manifest, seed=seed, test=test, valid=valid, classes=classes)
    if protocol == "reference":
        return split_reference(manifest, seed=seed, speaker=speaker, digit=digit)
    if protocol in PROTOCOLS:
        return split_becker(manifest, int(protocol[-1]), speaker=speaker)
    raise SplitError(one_of("protocol", protocol, PROTOCOLS))


def split_by_label(
    manifest: Manifest,
    label: str,
    *,
    seed: int,
    test: float = 0.25,
    valid: float = 0.2,
    classes: str | None = None,
) -> Manifest:
    """Draw sides so that no value of a label, such as a speaker, is on two.

    Args:
        manifest: What to split.
        label: The label's name.
        seed: Of the draw.
        test: Share of the values that is measured.
        valid: Share of the other values that choices are made on.
        classes: A label whose values are to be on every side, as far as can be.

    Raises:
        SplitError: fewer than three values.
    """
    units = _joined(manifest, _values(manifest, label))
    advice = "or split by another label or by recording (split_by 'none')"
    sides = _three_sides(manifest, units, seed, (f"values of {label!r}", advice), test, valid, classes)
    return manifest.with_splits(sides.get(unit, "") for unit in units)


def split_by_recording(
    manifest: Manifest, *, seed: int, test: float = 0.25, valid: float = 0.2, classes: str | None = None
) -> Manifest:
    """Draw sides by file; parts of one file stay together. For `classes` see `split_by_label`.

    Raises:
        SplitError: fewer than three files.
    """
    units = _joined(manifest, _files(manifest))
    sides = _three_sides(manifest, units, seed, ("files", ""), test, valid, classes)
    return manifest.with_splits(sides[unit] for unit in units)


def split_reference(manifest: Manifest, *, seed: int, speaker: str = "speaker", digit: str = "digit") -> Manifest:
    """Split as the reference study: a third of the speakers is measured; the rest 80/20 inside each speaker and digit.

    Its faults are left out: the 80/20 is stratified by the labels themselves, and neither draw depends on the order in
    which a file system lists. A speaker and digit of few recordings gives a validation recording with the probability
    that makes the share 20 % on the whole.

    Raises:
        SplitError: fewer than three speakers, or too few recordings.
    """
    speakers, digits = _joined(manifest, _values(manifest, speaker)), _values(manifest, digit)
    files = _joined(manifest, _files(manifest))
    order = _shuffled(sorted({*speakers} - {""}), seed, "reference")
    if len(order) < 3:
        raise SplitError(_too_few(manifest, len(order), f"values of {speaker!r}", "or use another protocol"))
    measured = set(order[: round(len(order) / 3)])
    cells: dict[tuple[str, str], set[str]] = defaultdict(set)
    for who, what, file in zip(speakers, digits, files, strict=True):
        cells[who, what].add(file)
    chosen: set[str] = set()
    for (who, what), members in cells.items():
        draw = generator(seed, "reference", "valid", who, what)
        count = int(0.2 * len(members) + draw.random())
        chosen.update(draw.permutation(sorted(members))[:count].tolist())
    sides = [
        "" if not (who and what) else "test" if who in measured else "valid" if file in chosen else "train"
        for who, what, file in zip(speakers, digits, files, strict=True)
    ]
    if not {"train", "valid"} <= set(sides):
        raise SplitError(
            f"{manifest.root}: {len(manifest)} recordings are too few to train and to choose on; record more"
        )
    return manifest.with_splits(sides)


def split_becker(manifest: Manifest, rotation: int, *, speaker: str = "speaker") -> Manifest:
    """Split AudioMNIST as Becker et al.: 36 speakers to train, 12 to choose, 12 to measure; five rotations.

    Raises:
        SplitError: the speakers are not AudioMNIST's 60, or there is no such rotation.
    """
    if not 0 <= rotation < 5:
        raise SplitError(f"Becker's rotations are 0 to 4, not {rotation}")
    values = _values(manifest, speaker)
    numbers = {value: int(value) if value.isdecimal() else 0 for value in {*values} - {""}}
    if sorted(numbers.values()) != list(range(1, 61)):
        raise SplitError(
            f"{manifest.root}: Becker's rotations are of AudioMNIST's 60 speakers, 01 to 60, here are {len(numbers)} "
            f"({', '.join(sorted(numbers)[:3])}, ...); use the protocol 'label' or 'reference'"
        )
    sides: dict[int, str] = {}
    for place, side in enumerate(["train", "train", "train", "valid", "test"]):
        sides |= dict.fromkeys(BECKER_FOLDS[(rotation + place) % 5], side)
    return manifest.with_splits(sides[numbers[value]] if value else "" for value in values)


def draw_validation(
    manifest: Manifest, label: str | None, *, seed: int, share: float = 0.2, classes: str | None = None
) -> Manifest:
    """Move part of a manifest's train side to validation, unless it has validation recordings already.

    Args:
        manifest: One with a train side; what is on no side stays so.
        label: No value of it comes on both sides, such as a speaker; what has none stays. No label: files are drawn.
        seed: Of the draw.
        share: Share of the values, or files, that is moved.
        classes: A label whose values are to be on both sides, as far as can be.

    Raises:
        SplitError: no train side, or fewer than two values on it.
    """
    splits = manifest.splits
    if "train" not in splits:
        raise SplitError(
            f"{manifest.root}: no recording has the split 'train'; give a column `split` or another protocol"
        )
    if "valid" in splits:
        return manifest
    places = np.flatnonzero(splits == "train")
    train = manifest.select(places)
    units = _joined(train, _files(train) if label is None else _values(train, label))
    order = _shuffled(sorted({*units} - {""}), seed, "valid")
    if len(order) < 2:
        what = "files" if label is None else f"values of {label!r}"
        raise SplitError(
            f"{manifest.root}: validation needs 2 or more {what} on the train side, there is 1; record more"
        )
    chosen = _count(len(order), share, 1)
    drawn = {unit: "valid" if place < chosen else "train" for place, unit in enumerate(order)}
    sides = covering(drawn, _classes(train, units, classes))
    splits = splits.astype("<U5")
    splits[places] = [sides.get(unit, "train") for unit in units]
    return manifest.with_splits(splits.tolist())


def _three_sides(
    manifest: Manifest,
    units: Sequence[str],
    seed: int,
    words: tuple[str, str],
    test: float,
    valid: float,
    classes: str | None,
) -> dict[str, str]:
    """Return the side of each unit; `words` say what the units are, and what to do if they are too few."""
    values = sorted({*units} - {""})
    if len(values) < 3:
        raise SplitError(_too_few(manifest, len(values), *words))
    order = _shuffled(values, seed, "sides")
    measured = _count(len(order), test, 2)
    chosen = measured + _count(len(order) - measured, valid, 1)
    drawn = {
        value: "test" if place < measured else "valid" if place < chosen else "train"
        for place, value in enumerate(order)
    }
    return covering(drawn, _classes(manifest, units, classes))


def _classes(manifest: Manifest, units: Sequence[str], label: str | None) -> dict[str, set[str]]:
    """Return the values of a label in each unit."""
    found: dict[str, set[str]] = defaultdict(set)
    for unit, recording in zip(units, manifest, strict=True):
        if unit and label and recording.label(label):
            found[unit].add(recording.label(label))
    return found


def _joined(manifest: Manifest, names: Sequence[str]) -> list[str]:
    """Return the names of units, one for those that share a sound: the first by the alphabet; "" stays so."""
    parent = {name: name for name in names}

    def first(name: str) -> str:
        while parent[name] != name:
            parent[name] = name = parent[parent[name]]
        return name

    seen: dict[str, str] = {}
    for name, recording in zip(names, manifest, strict=True):
        if name and recording.digest:
            one, other = sorted((first(name), first(seen.setdefault(recording.digest, name))))
            parent[other] = one
    return [first(name) for name in names]


def _count(values: int, share: float, kept: int) -> int:
    """Return how many of the values a share is: at least one, and `kept` are left over."""
    return min(max(round(values * share), 1), values - kept)


def _shuffled(values: Sequence[str], seed: int, stream: str) -> list[str]:
    return [values[place] for place in generator(seed, "split", stream).permutation(len(values))]


def _values(manifest: Manifest, label: str) -> list[str]:
    return [str(value) for value in manifest.column(label)]


def _files(manifest: Manifest) -> list[str]:
    """Return one name for each recording's file, the first id of its parts: ids, unlike paths, move with a folder."""
    first: dict[str, str] = {}
    for recording in manifest:
        path = str(recording.path)
        first[path] = min(first.get(path, recording.id), recording.id)
    return [first[str(recording.path)] for recording in manifest]


def _too_few(manifest: Manifest, count: int, what: str, advice: str) -> str:
    return f"{manifest.root}: a split needs 3 or more {what}, here are {count}; record more" + (
        advice and f", {advice}"
    )
