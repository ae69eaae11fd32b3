"""Trait task: predict labels that are constant for a speaker, such as gender."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped

from mfcl.core.console import worded
from mfcl.core.random import generator
from mfcl.embeddings.table import Embeddings
from mfcl.evaluation.result import Result, noted
from mfcl.evaluation.tasks.labels import LabelProbes

MOST_VALUES = 10
FEWEST_SPEAKERS = 3
"""Fewest train and valid speakers of each value; with fewer, a probe could only recognise the voices."""
CHOOSING = 0.25
"""Share of each value's train and valid speakers that the probe's strength is chosen on."""


def measure_traits(
    embeddings: Embeddings, label: str | None, speaker: str, *, others: Sequence[str], seed: int
) -> list[Result]:
    """Measure the accuracy of a linear probe with all labels for each speaker trait.

    A few validation speakers may all have the same value, so train and valid speakers are split anew for each trait.
    Test speakers stay the same; their recordings in other splits are left out, which a note counts, as a probe could
    only recognise the voices.

    Args:
        embeddings: Embeddings of all splits.
        label: The label of what is said, which is no trait.
        speaker: The speaker label.
        others: Candidate labels; see `traits`.
        seed: Seed of the split and the bootstrap.
    """
    return [_measured(embeddings, name, speaker, seed) for name in traits(embeddings, speaker, others) if name != label]


def _measured(embeddings: Embeddings, name: str, speaker: str, seed: int) -> Result:
    drawn = redrawn(embeddings, speaker, name, seed=seed)
    found = LabelProbes(drawn, name, speaker, seed=seed).by_all().asked(section="traits")
    dropped = int(((embeddings.splits != "") & (drawn.splits == "")).sum())
    said = f"left out of training: {worded(dropped, 'recording')} of tested speakers" if dropped else ""
    return dataclasses.replace(found, note=noted(found.note, said))


def traits(embeddings: Embeddings, speaker: str, others: Sequence[str]) -> list[str]:
    """Return the labels in `others` that are measurable speaker traits.

    A trait is constant over all recordings of a speaker. It has 2 to 10 values in the test split, and each value occurs
    in 3 or more speakers of the other splits.
    """
    return [name for name in others if name != speaker and _is_trait(embeddings, speaker, name)]


def redrawn(embeddings: Embeddings, speaker: str, name: str, *, seed: int) -> Embeddings:
    """Split train and valid speakers anew: of each trait value a quarter to valid, the others to train.

    Recordings of tested speakers in these splits get none.
    """
    people, tested_voices = _people(embeddings, speaker, name)
    numbers = generator(seed, "traits", name)
    chosen: list[str] = []
    for value in np.unique(people[1]):
        voices = people[0][(people[1] == value) & ~np.isin(people[0], tested_voices)]
        chosen += numbers.permutation(voices)[: max(1, round(CHOOSING * len(voices)))].tolist()
    splits = embeddings.splits.astype("<U5").copy()
    pool = np.isin(splits, ("train", "valid"))
    speakers = embeddings.label(speaker)
    splits[pool] = np.where(np.isin(speakers[pool], chosen), "valid", "train")
    splits[pool & np.isin(speakers, tested_voices)] = ""
    return dataclasses.replace(embeddings, splits=splits)


def _is_trait(embeddings: Embeddings, speaker: str, name: str) -> bool:
    people, tested_voices = _people(embeddings, speaker, name)
    if len(np.unique(people[0])) < people.shape[1]:
        return False
    tested = np.isin(people[0], tested_voices)
    asked = np.unique(people[1][tested])
    known, counts = np.unique(people[1][~tested], return_counts=True)
    if not 2 <= len(asked) <= MOST_VALUES or len(known) > MOST_VALUES or len(np.setdiff1d(asked, known)):
        return False
    return int(counts.min()) >= FEWEST_SPEAKERS


def _people(
    embeddings: Embeddings, speaker: str, name: str
) -> tuple[Shaped[np.ndarray, "2 people"], Shaped[np.ndarray, " _"]]:
    """Return the distinct (speaker, value) pairs, and the test speakers."""
    known = (embeddings.label(speaker) != "") & (embeddings.label(name) != "") & (embeddings.splits != "")
    voices, values = embeddings.label(speaker)[known].astype(np.str_), embeddings.label(name)[known].astype(np.str_)
    people = np.unique(np.stack([voices, values]), axis=1)
    return people, np.unique(voices[embeddings.splits[known] == "test"])
