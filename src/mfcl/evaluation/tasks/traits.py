"""What else of a speaker lies in embeddings: every label that belongs to the person, such as the gender."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped

from mfcl.core.random import generator
from mfcl.embeddings.table import Embeddings
from mfcl.evaluation.result import Result
from mfcl.evaluation.tasks.labels import LabelProbes

MOST_VALUES = 10
FEWEST_SPEAKERS = 3
"""Speakers of each value to train and choose on: with fewer, the trait is a voice."""
CHOOSING = 0.25
"""Share of each value's speakers that the probe's strength is chosen on."""


def measure_traits(
    embeddings: Embeddings, label: str | None, speaker: str, *, others: Sequence[str], seed: int
) -> list[Result]:
    """Measure how much of each trait of the speakers lies in embeddings, by a linear probe with all labels.

    Few validation speakers may all be of one value, so those to choose the probe's strength on are drawn anew from each
    value's training and validation speakers. Test speakers stay what they are.

    Args:
        embeddings: Of all parts.
        label: What is said; no trait.
        speaker: The label that names the voice.
        others: Labels that may be traits; see `traits`.
        seed: For the draw and the bootstrap.
    """
    return [
        LabelProbes(redrawn(embeddings, speaker, name, seed=seed), name, speaker, seed=seed)
        .by_all()
        .asked(section="traits")
        for name in traits(embeddings, speaker, others)
        if name != label
    ]


def traits(embeddings: Embeddings, speaker: str, others: Sequence[str]) -> list[str]:
    """Return which labels can be measured as traits of the speakers.

    A trait is the same in all recordings of a speaker; it has 2 to 10 values in the test part, each of which 3 or more
    of the other speakers have.
    """
    return [name for name in others if name != speaker and _is_trait(embeddings, speaker, name)]


def redrawn(embeddings: Embeddings, speaker: str, name: str, *, seed: int) -> Embeddings:
    """Return the same items with a quarter of each value's other speakers on the validation side, the rest on train."""
    people, tested_voices = _people(embeddings, speaker, name)
    numbers = generator(seed, "traits", name)
    chosen: list[str] = []
    for value in np.unique(people[1]):
        voices = people[0][(people[1] == value) & ~np.isin(people[0], tested_voices)]
        chosen += numbers.permutation(voices)[: max(1, round(CHOOSING * len(voices)))].tolist()
    splits = embeddings.splits.astype("<U5").copy()
    pool = np.isin(splits, ("train", "valid"))
    splits[pool] = np.where(np.isin(embeddings.label(speaker)[pool], chosen), "valid", "train")
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
    """Return each speaker with each value that they have, and the test speakers."""
    known = (embeddings.label(speaker) != "") & (embeddings.label(name) != "") & (embeddings.splits != "")
    voices, values = embeddings.label(speaker)[known].astype(np.str_), embeddings.label(name)[known].astype(np.str_)
    people = np.unique(np.stack([voices, values]), axis=1)
    return people, np.unique(voices[embeddings.splits[known] == "test"])
