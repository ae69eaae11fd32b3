"""How much of the speaker lies in embeddings of speakers never seen: identification and verification."""

from collections.abc import Sequence

import numpy as np

from mfcl.embeddings.table import Embeddings
from mfcl.evaluation.speaker import EnrolledResult, VerifyResult, verify, verify_enrolled
from mfcl.evaluation.speaker.identification import identify, identify_apart
from mfcl.evaluation.tasks.measure import Measure, Tested

ENROLLED = (1, 5)
"""Clips enrolled of each speaker."""


def measure_voices(
    embeddings: Embeddings, label: str | None, speaker: str, *, seed: int, enrolled: Sequence[int] = ENROLLED
) -> list[Measure]:
    """Measure how much of the speaker lies in embeddings of speakers never seen: identification and verification.

    Args:
        embeddings: Of all parts; the test part is measured, the training part only whitens it.
        label: What is said; half of each (speaker, label) is enrolled, and words are kept apart by it.
        speaker: The label that names the voice.
        seed: For who is enrolled and the bootstrap.
        enrolled: Clips enrolled of each speaker, for verification; those that no speaker has are left out.

    Raises:
        MeasureError: the test part has one speaker, or one clip of each.
    """
    voices = embeddings.label(speaker)
    test = np.flatnonzero((embeddings.splits == "test") & (voices != ""))
    vectors, voices, ids = embeddings.whitened[test], voices[test], embeddings.ids[test]
    words = embeddings.label(label)[test] if label else np.full(len(test), "any")
    named = [("voices, kNN, half of each enrolled", identify(vectors, voices, words, seed=seed))]
    if len(np.unique(words)) > 1:
        apart = identify_apart(vectors, voices, words)
        named.append((f"voices, kNN, {label}s of enrolment and test apart", apart))
    found = [
        Tested(ids[who.tested], who.speakers, who.speakers).accuracy("voices", task, who.correct, seed=seed)
        for task, who in named
    ]
    centre = np.zeros(vectors.shape[1], dtype=np.float32)  # taken away already
    tested = Tested(ids, voices)
    pairs = verify(vectors, voices, centre, seed=seed)
    found.append(_error_rate("voices, all pairs of unseen speakers", pairs, pairs.pairs, tested))
    most = int(np.unique(voices, return_counts=True)[1].max())
    for clips in (count for count in enrolled if count < most):
        result = verify_enrolled(vectors, voices, words, centre, clips=clips, seed=seed)
        task = f"voices, {clips} clip{'s' if clips > 1 else ''} enrolled"
        found.append(_error_rate(task, result, result.trials, tested))
        found.append(Measure("voices", task, "min_dcf", result.min_dcf, None, None, result.trials, ids=ids))
    return found


def _error_rate(task: str, found: VerifyResult | EnrolledResult, n: int, tested: Tested) -> Measure:
    eer, low, high = (100 * value for value in (found.eer, found.low, found.high))
    curve, clips = (found.curve, found.clips) if isinstance(found, EnrolledResult) else (None, None)
    return Measure(
        "voices", task, "eer", eer, low, high, n,
        ids=tested.ids, groups=tested.groups, resampled=100 * found.resampled,
        curve=curve, clips=clips,
    )  # fmt: skip
