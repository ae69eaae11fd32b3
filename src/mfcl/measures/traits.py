"""What else of a speaker lies in embeddings: every label that belongs to the person, such as the gender."""

from collections.abc import Sequence

import numpy as np

from mfcl.embeddings import Embeddings
from mfcl.measures.labels import LabelProbes
from mfcl.measures.measure import Measure

MOST_VALUES = 10
FEWEST_SPEAKERS = 2
"""Speakers of each value in the training part: with one, the trait is a voice."""


def measure_traits(
    embeddings: Embeddings, label: str | None, speaker: str, *, others: Sequence[str], seed: int
) -> list[Measure]:
    """Measure how much of each trait of the speakers lies in embeddings, by a linear probe with all labels.

    Args:
        embeddings: Of all parts.
        label: What is said; no trait.
        speaker: The label that names the voice.
        others: Labels that may be traits; see `traits`.
        seed: For the bootstrap.
    """
    return [
        LabelProbes(embeddings, name, speaker, seed=seed).by_all("traits", f"{name}, linear probe, all labels")
        for name in traits(embeddings, speaker, others)
        if name != label
    ]


def traits(embeddings: Embeddings, speaker: str, others: Sequence[str]) -> list[str]:
    """Return which labels can be measured as traits of the speakers.

    A trait is the same in all recordings of a speaker; it has 2 to 10 values in every part, those of the validation
    and the test part come in the training part too, and there each is that of 2 or more speakers.
    """
    return [name for name in others if name != speaker and _is_trait(embeddings, speaker, name)]


def _is_trait(embeddings: Embeddings, speaker: str, name: str) -> bool:
    known = (embeddings.label(speaker) != "") & (embeddings.label(name) != "")
    voices, values, splits = embeddings.label(speaker)[known], embeddings.label(name)[known], embeddings.splits[known]
    people = np.unique(np.stack([voices.astype(np.str_), values.astype(np.str_)]), axis=1)
    if len(np.unique(people[0])) < people.shape[1]:
        return False
    found = {part: np.unique(values[splits == part]) for part in ("train", "valid", "test")}
    if not all(2 <= len(kinds) <= MOST_VALUES for kinds in found.values()):
        return False
    if len(np.setdiff1d(np.concatenate([found["valid"], found["test"]]), found["train"])):
        return False
    train = people[1][np.isin(people[0], voices[splits == "train"])]
    return int(np.unique(train, return_counts=True)[1].min()) >= FEWEST_SPEAKERS
