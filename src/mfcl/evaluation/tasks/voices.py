"""Speaker tasks on test speakers: identification and verification."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mfcl.core.console import plural
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError
from mfcl.evaluation.bootstrap import DRAWN_BY
from mfcl.evaluation.result import (
    ENROLLED,
    IDENTIFY,
    IDENTIFY_APART,
    PAIRS,
    Evidence,
    Names,
    Question,
    Result,
    Tested,
    noted,
)
from mfcl.evaluation.speaker import EnrolledResult, VerifyResult, verify, verify_enrolled
from mfcl.evaluation.speaker.identification import identify, identify_apart
from mfcl.evaluation.tasks.labelled_rows import files_of

CLIPS_ENROLLED = (1, 5)
"""Clips enrolled of each speaker."""


def measure_voices(
    embeddings: Embeddings, label: str | None, speaker: str, *, seed: int, enrolled: Sequence[int] = CLIPS_ENROLLED
) -> list[Result]:
    """Measure speaker identification and verification on the test split.

    If some test speakers occur in training, every question says how many. Where clips of a speaker are segments or
    windows of one file, as far as ids tell, a note says so.

    Args:
        embeddings: All splits; the train split is used for whitening only.
        label: The label of what is said. Half of each (speaker, label) is enrolled, and `IDENTIFY_APART` separates
            enrolment and test by it.
        speaker: The speaker label.
        seed: Seed of the enrolment. The bootstrap of equal error rates has a fixed seed, so that draws of several seeds
            can be averaged.
        enrolled: Clips enrolled of each speaker for verification; counts that no speaker exceeds are skipped.

    Raises:
        MeasureError: the test split has one speaker, one clip of each, or too few to choose k by; see `identify`.
    """
    voices = embeddings.label(speaker)
    test = np.flatnonzero((embeddings.splits == "test") & (voices != ""))
    known = np.unique(voices[embeddings.splits == "train"])
    vectors, voices, ids = embeddings.whitened[test], voices[test], embeddings.ids[test]
    words = embeddings.label(label)[test] if label else np.full(len(test), "any")
    files, told = files_of(embeddings, test)
    together = len(set(zip(voices.tolist(), files, strict=True))) < len(files)
    alike = f"{told}: enrolled and tested ones share rooms and moments, so voices are told too well" if together else ""
    asked = heard(Question("voices", "accuracy", speaker, IDENTIFY), voices, known)
    named = [(asked, identify(vectors, voices, words, seed=seed), test >= 0)]
    spoken, left_out = words != "", ""
    if label and len(np.unique(words[spoken])) > 1:
        try:
            found_apart = identify_apart(vectors[spoken], voices[spoken], words[spoken])
            named.append((replace(asked, probe=IDENTIFY_APART, apart=label), found_apart, spoken))
        except MeasureError as error:
            left_out = f"{plural(label)} of enrolment and test apart are not measured: {error}"
    note = noted(alike, left_out)
    found = [
        Tested(ids[of][who.tested], who.speakers, who.speakers, note).accuracy(question, who.correct, seed=seed)
        for question, who, of in named
    ]
    centre = np.zeros(vectors.shape[1], dtype=np.float32)  # whitened vectors are centred already
    tested = Tested(ids, voices, left_out=alike)
    pairs = verify(vectors, voices, centre, seed=DRAWN_BY)
    found.append(_error_rate(replace(asked, metric="eer", probe=PAIRS), pairs, pairs.pairs, tested))
    most = int(np.unique(voices, return_counts=True)[1].max())
    for clips in (count for count in enrolled if count < most):
        result = verify_enrolled(vectors, voices, words, centre, clips=clips, seed=seed, drawn_by=DRAWN_BY)
        question = replace(asked, metric="eer", probe=ENROLLED, enrolled=clips)
        found.append(_error_rate(question, result, result.trials, tested))
        cost = replace(question, metric="min_dcf")
        found.append(Result(cost, result.min_dcf, None, None, result.trials, evidence=Evidence(ids, voices)))
    if label and len(np.unique(words[spoken])) > 1:
        for clips in (count for count in enrolled if 1 < count < most):
            with contextlib.suppress(MeasureError):  # too few clips of half of the words: there is no such row
                result = verify_enrolled(
                    vectors[spoken], voices[spoken], words[spoken], centre, clips=clips, seed=seed, drawn_by=DRAWN_BY,
                    apart=True,
                )  # fmt: skip
                question = replace(asked, metric="eer", probe=ENROLLED, enrolled=clips, apart=label)
                found.append(
                    _error_rate(question, result, result.trials, Tested(ids[spoken], voices[spoken], left_out=alike))
                )
    return found


def heard(asked: Question, voices: Names, known: Names) -> Question:
    """Note in the question how many tested speakers occur in training, if any do.

    Example:
        >>> voices, known = np.array(["a", "b", "b"]), np.array(["b", "c"])
        >>> asked = heard(Question("voices", "accuracy", "speaker", IDENTIFY), voices, known)
        >>> asked.seen, asked.speakers
        (1, 2)
    """
    tested = np.unique(voices)
    count = int(np.isin(tested, known).sum())
    return replace(asked, seen=count, speakers=len(tested)) if count else asked


def _error_rate(question: Question, found: VerifyResult | EnrolledResult, n: int, tested: Tested) -> Result:
    low, high = (None if end is None else 100 * end for end in (found.low, found.high))
    curve = found.curve if isinstance(found, EnrolledResult) else None
    evidence = Evidence(tested.ids, tested.groups, resampled=100 * found.resampled, curve=curve)
    return Result(
        question, 100 * found.eer, low, high, n, note=noted(tested.left_out, found.no_interval), evidence=evidence
    )
