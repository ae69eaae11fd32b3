"""How much of the speaker lies in embeddings of speakers never seen: identification and verification."""

from collections.abc import Sequence

import numpy as np

from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError
from mfcl.evaluation.speaker import EnrolledResult, VerifyResult, verify, verify_enrolled
from mfcl.evaluation.speaker.identification import identify, identify_apart
from mfcl.evaluation.tasks.measure import Measure, Names, Tested

ENROLLED = (1, 5)
"""Clips enrolled of each speaker."""


def measure_voices(
    embeddings: Embeddings, label: str | None, speaker: str, *, seed: int, enrolled: Sequence[int] = ENROLLED
) -> list[Measure]:
    """Measure how much of the speaker lies in embeddings of speakers never seen: identification and verification.

    Where training has heard some of the test speakers, the name of every figure says how many.

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
    known = np.unique(voices[embeddings.splits == "train"])
    vectors, voices, ids = embeddings.whitened[test], voices[test], embeddings.ids[test]
    words = embeddings.label(label)[test] if label else np.full(len(test), "any")
    seen = seen_words(voices, known)
    named = [("voices, kNN, half of each enrolled", identify(vectors, voices, words, seed=seed), test >= 0)]
    spoken, left_out = words != "", ""
    if len(np.unique(words[spoken])) > 1:
        try:
            apart = identify_apart(vectors[spoken], voices[spoken], words[spoken])
            named.append((f"voices, kNN, {label}s of enrolment and test apart", apart, spoken))
        except MeasureError as error:
            left_out = f"{label}s of enrolment and test apart are not measured: {error}"
    found = [
        Tested(ids[of][who.tested], who.speakers, who.speakers, left_out).accuracy(
            "voices", task + seen, who.correct, seed=seed
        )
        for task, who, of in named
    ]
    centre = np.zeros(vectors.shape[1], dtype=np.float32)  # taken away already
    tested = Tested(ids, voices)
    pairs = verify(vectors, voices, centre, seed=seed)
    of = f"speakers{seen}" if seen else "unseen speakers"
    found.append(_error_rate(f"voices, all pairs of {of}", pairs, pairs.pairs, tested))
    most = int(np.unique(voices, return_counts=True)[1].max())
    for clips in (count for count in enrolled if count < most):
        result = verify_enrolled(vectors, voices, words, centre, clips=clips, seed=seed)
        task = f"voices, {clips} clip{'s' if clips > 1 else ''} enrolled{seen}"
        found.append(_error_rate(task, result, result.trials, tested))
        found.append(Measure("voices", task, "min_dcf", result.min_dcf, None, None, result.trials, ids=ids))
    return found


def seen_words(voices: Names, known: Names) -> str:
    """Return what the name of a figure says of speakers whom training has heard; nothing where there are none.

    Example:
        >>> seen_words(np.array(["a", "b", "b"]), np.array(["b", "c"]))
        ', 1 of 2 seen in training'
    """
    tested = np.unique(voices)
    count = int(np.isin(tested, known).sum())
    return f", {count} of {len(tested)} seen in training" if count else ""


def _error_rate(task: str, found: VerifyResult | EnrolledResult, n: int, tested: Tested) -> Measure:
    low, high = (None if end is None else 100 * end for end in (found.low, found.high))
    curve, clips = (found.curve, found.clips) if isinstance(found, EnrolledResult) else (None, None)
    return Measure(
        "voices", task, "eer", 100 * found.eer, low, high, n,
        ids=tested.ids, groups=tested.groups, resampled=100 * found.resampled,
        curve=curve, clips=clips, no_interval=found.no_interval,
    )  # fmt: skip
