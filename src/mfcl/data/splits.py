"""Assign recordings to train, valid and test as a function of label values and a seed, not of the recordings' order.

A recording without the label to split by gets no split: its speaker, for example, could be in any of them. Copies of a
recording, as found by a scan, stay in one drawn split. Drawn splits are stratified where there is a class: units are
exchanged until each split has its share of each class, as far as possible (see `mfcl.data.balancing`), and at least
one recording of it (see `mfcl.data.covering`).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from mfcl.core.console import are, worded
from mfcl.core.random import generator
from mfcl.data.balancing import balanced
from mfcl.data.covering import covering
from mfcl.data.manifest import Manifest
from mfcl.errors import SplitError, one_of

PROTOCOLS = ("manifest", "label", "recording", "reference", *(f"becker-{rotation}" for rotation in range(5)))
"""Names of the split protocols."""

BECKER_FOLDS = (
    (28, 56, 7, 19, 35, 1, 6, 16, 23, 34, 46, 53),
    (36, 57, 9, 24, 37, 2, 8, 17, 29, 39, 48, 54),
    (43, 58, 14, 25, 38, 3, 10, 20, 30, 40, 49, 55),
    (12, 47, 59, 15, 27, 41, 4, 11, 21, 31, 44, 50),
    (26, 52, 60, 18, 32, 42, 5, 13, 22, 33, 45, 51),
)
"""Five folds of 12 of AudioMNIST's 60 speakers, by number.

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
    """Assign every recording to a split by one of `PROTOCOLS`.

    Args:
        manifest: The recordings.
        protocol: `manifest` uses the manifest's own splits and draws valid from train if it has none. `label` and
            `recording` draw the splits. `reference` and `becker-0` to `becker-4` are the splits of published studies.
        seed: Seed of the draws; Becker's rotations are fixed.
        label: Keep recordings with the same value of this label in one split; used by `label`, and by `manifest` to
            draw valid.
        speaker: Label that names the speaker, for `reference` and `becker-*`.
        digit: Label that names the class: `reference` and the drawn protocols stratify by it.
        test: Fraction of the values or files for test, for `label` and `recording`.
        valid: Fraction of the remaining values or files for valid.

    Raises:
        SplitError: no such protocol, or too little to split.
    """
    classes = digit if digit in manifest.label_names else None
    if protocol == "manifest":
        return draw_validation(manifest, label, seed=seed, share=valid, classes=classes)
    if protocol == "label":
        if label is None:
            raise SplitError("the protocol 'label' needs a label to split by; give split_by, such as 'speaker'")
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
    """Draw splits that keep recordings with the same value of a label, such as a speaker, in one split.

    Args:
        manifest: The recordings.
        label: Name of the label.
        seed: Seed of the draw.
        test: Fraction of the values for test.
        valid: Fraction of the remaining values for valid.
        classes: Label to stratify by: its values have equal shares in every split, as far as possible.

    Raises:
        SplitError: fewer than three values.
    """
    advice = "or split by another label or by recording (split_by 'none')"
    words = (f"values of {label!r}", advice)
    return manifest.with_splits(_three_splits(manifest, _values(manifest, label), seed, words, test, valid, classes))


def split_by_recording(
    manifest: Manifest, *, seed: int, test: float = 0.25, valid: float = 0.2, classes: str | None = None
) -> Manifest:
    """Draw splits by file; segments of one file stay together. For the arguments see `split_by_label`.

    Raises:
        SplitError: fewer than three files.
    """
    advice = (
        "or name the split of each recording in a column `split` of a manifest; `mfcl scan DATA --segment SECONDS "
        "--out LIST` splits long recordings, and selections in them, by time"
    )
    words = ("files", advice)
    return manifest.with_splits(_three_splits(manifest, _files(manifest), seed, words, test, valid, classes))


def split_reference(manifest: Manifest, *, seed: int, speaker: str = "speaker", digit: str = "digit") -> Manifest:
    """Split as the reference study: a third of the speakers for test; the rest 80/20 within each speaker and digit.

    Unlike in that study, the 80/20 split is stratified by the labels themselves, and no draw depends on the order in
    which a file system lists files. If a speaker has few recordings of a digit, the number for valid is rounded at
    random, so that valid is 20 % on average.

    Raises:
        SplitError: fewer than three speakers, or too few recordings.
    """
    names, digits = _values(manifest, speaker), _values(manifest, digit)
    speakers = _joined(manifest, names)
    files = _joined(manifest, _files(manifest))
    order = _shuffled(sorted({*speakers} - {""}), seed, "reference")
    if len(order) < 3:
        raise SplitError(_too_few(manifest, names, speakers, f"values of {speaker!r}", "or use another protocol"))
    measured = set(order[: round(len(order) / 3)])
    cells: dict[tuple[str, str], set[str]] = defaultdict(set)
    for who, what, file in zip(speakers, digits, files, strict=True):
        cells[who, what].add(file)
    chosen: set[str] = set()
    for (who, what), members in cells.items():
        draw = generator(seed, "reference", "valid", who, what)
        count = int(0.2 * len(members) + draw.random())
        chosen.update(draw.permutation(sorted(members))[:count].tolist())
    splits = [
        "" if not (who and what) else "test" if who in measured else "valid" if file in chosen else "train"
        for who, what, file in zip(speakers, digits, files, strict=True)
    ]
    if not {"train", "valid"} <= set(splits):
        few = worded(len(manifest), "recording is", "recordings are")
        raise SplitError(f"{manifest.root}: {few} too few for a train and a valid split; add more")
    return manifest.with_splits(splits)


def split_becker(manifest: Manifest, rotation: int, *, speaker: str = "speaker") -> Manifest:
    """Split AudioMNIST as Becker et al.: 36 speakers for train, 12 for valid, 12 for test; five rotations.

    Raises:
        SplitError: the speakers are not AudioMNIST's 60, or there is no such rotation.
    """
    if not 0 <= rotation < 5:
        raise SplitError(f"rotation: wanted a number from 0 to 4, got {rotation}")
    values = _values(manifest, speaker)
    numbers = {value: int(value) if value.isdecimal() else 0 for value in {*values} - {""}}
    if sorted(numbers.values()) != list(range(1, 61)):
        raise SplitError(
            f"{manifest.root}: Becker's rotations need AudioMNIST's 60 speakers, 01 to 60, but there are "
            f"{len(numbers)} ({', '.join(sorted(numbers)[:3])}, ...); use the protocol 'label' or 'reference'"
        )
    splits: dict[int, str] = {}
    for place, name in enumerate(["train", "train", "train", "valid", "test"]):
        splits |= dict.fromkeys(BECKER_FOLDS[(rotation + place) % 5], name)
    return manifest.with_splits(splits[numbers[value]] if value else "" for value in values)


def draw_validation(
    manifest: Manifest, label: str | None, *, seed: int, share: float = 0.2, classes: str | None = None
) -> Manifest:
    """Move some recordings from train to valid, unless the manifest has valid recordings already.

    Args:
        manifest: Recordings with a train split; those without a split stay without one.
        label: Keep recordings with the same value of this label, such as a speaker, in one split; those without a
            value stay in train. None: draw files.
        seed: Seed of the draw.
        share: Fraction of the values, or files, to move.
        classes: Label to stratify by: its values have equal shares in both splits, as far as possible.

    Raises:
        SplitError: no train split, or fewer than two values in it.
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
        raise SplitError(f"{manifest.root}: validation needs 2 or more {what} in the train split, there is 1; add more")
    moved = _count(len(order), share, 1)
    drawn = {unit: "valid" if place < moved else "train" for place, unit in enumerate(order)}
    moved_units = _stratified(drawn, train, units, classes)
    splits = splits.astype("<U5")
    splits[places] = [moved_units.get(unit, "train") for unit in units]
    return manifest.with_splits(splits.tolist())


def _three_splits(
    manifest: Manifest,
    names: Sequence[str],
    seed: int,
    words: tuple[str, str],
    test: float,
    valid: float,
    classes: str | None,
) -> list[str]:
    """Draw the split of each recording by the names of its unit, "" for those without one.

    `words` are the name of the units and the advice if there are too few.
    """
    units = _joined(manifest, names)
    values = sorted({*units} - {""})
    if len(values) < 3:
        raise SplitError(_too_few(manifest, names, units, *words))
    order = _shuffled(values, seed, "sides")
    tested = _count(len(order), test, 2)
    held_out = tested + _count(len(order) - tested, valid, 1)
    drawn = {
        value: "test" if place < tested else "valid" if place < held_out else "train"
        for place, value in enumerate(order)
    }
    splits = _stratified(drawn, manifest, units, classes)
    return [splits.get(unit, "") for unit in units]


def _stratified(drawn: dict[str, str], manifest: Manifest, units: Sequence[str], label: str | None) -> dict[str, str]:
    """Exchange drawn units so that each split has its share of each value of a label, and lacks none if possible."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for unit, recording in zip(units, manifest, strict=True):
        if unit and label and recording.label(label):
            counts[unit][recording.label(label)] += 1
    return covering(balanced(drawn, counts), {unit: set(own) for unit, own in counts.items()})


def _joined(manifest: Manifest, names: Sequence[str]) -> list[str]:
    """Merge units that share a copy of a recording: return the first of their names, one per recording; "" stays."""
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
    """Return the number of values in a share: at least 1, and at least `kept` values are left over."""
    return min(max(round(values * share), 1), values - kept)


def _shuffled(values: Sequence[str], seed: int, stream: str) -> list[str]:
    return [values[place] for place in generator(seed, "split", stream).permutation(len(values))]


def _values(manifest: Manifest, label: str) -> list[str]:
    return [str(value) for value in manifest.column(label)]


def _files(manifest: Manifest) -> list[str]:
    """Return a name of each recording's file: the first id of its segments, since ids do not change with the folder."""
    first: dict[str, str] = {}
    for recording in manifest:
        path = str(recording.path)
        first[path] = min(first.get(path, recording.id), recording.id)
    return [first[str(recording.path)] for recording in manifest]


def _too_few(manifest: Manifest, names: Sequence[str], units: Sequence[str], what: str, advice: str) -> str:
    named, count = (len({*own} - {""}) for own in (names, units))
    alike = f", not {named}, since those that share a copy of a sound count as one" if count < named else ""
    there = f"there {are(count)} {count}{alike}"
    return f"{manifest.root}: a split needs 3 or more {what}, {there}; add more" + (advice and f", {advice}")
