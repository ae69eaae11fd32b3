"""Who speaks when: windows' scores smoothed to turns."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from mfcl.audio.preparation import SILENCE_DB
from mfcl.audio.windows import window_edges
from mfcl.voices.decisions import UNKNOWN

PAUSE_DB = 25.0
"""A window this far below the recording's loud windows is a pause, and so is one that is silent (`SILENCE_DB`)."""
STEADY_DB = 3.0
"""Of a recording with a tenth and nineteen twentieths of its windows this near in level, most is steady noise."""
SWITCH = 2.0
"""What a change of speaker costs, in log-likelihood ratio; chosen by measuring (docs/voices.md)."""
MOST_NAMES = 200
"""Most voices that are followed through one recording."""


@dataclass(frozen=True)
class Turn:
    """A stretch of a recording with one speaker."""

    source: str
    start: float
    """Seconds from the file's beginning."""
    end: float
    """Seconds from the file's beginning."""
    name: str
    score: float
    """Mean score of its windows with the best voice."""


def turns(
    source: str,
    starts: Float64[np.ndarray, " windows"],
    ends: Float64[np.ndarray, " windows"],
    levels: Float64[np.ndarray, " windows"],
    scores: Float64[np.ndarray, "windows voices"],
    names: tuple[str, ...],
    threshold: int | float,
    *,
    hop: int | float,
    switch: int | float = SWITCH,
) -> list[Turn]:
    """Smooth windows to turns; pauses are left out.

    Each window is a voice, or unknown with the threshold as its score. The path of highest summed score is taken, where
    every change costs `switch`. Windows that overlap hear the same sound several times, so their scores count by the
    share of a window that is new.

    Args:
        source: Name of the recording.
        starts: Of the windows, in seconds, rising.
        ends: Of the windows, in seconds.
        levels: Of the windows, in dB.
        scores: Of each window with each voice.
        names: Name of each voice.
        threshold: Score from which a window is a voice.
        hop: Step between windows in seconds.
        switch: Cost of a change; 0 takes each window for itself.
    """
    followed = _followed(scores, threshold)
    states = np.concatenate([scores[:, followed], np.full((len(scores), 1), threshold)], axis=1)
    if len(starts) > 1:
        states = states * min(1.0, hop / float(np.median(ends - starts)))
    path = best_path(states, switch)
    speaks = levels > max(_loud(levels) - PAUSE_DB, SILENCE_DB)
    labels = [UNKNOWN if place == len(followed) else names[followed[place]] for place in path.tolist()]
    best = scores.max(axis=1) if scores.shape[1] else np.full(len(scores), -np.inf)
    own = [
        float(best[window]) if place == len(followed) else float(scores[window, followed[place]])
        for window, place in enumerate(path.tolist())
    ]
    edges = window_edges(starts, ends)
    found: list[Turn] = []
    inside: list[float] = []
    for window in np.flatnonzero(speaks).tolist():
        start, end, name = float(edges[window]), float(edges[window + 1]), labels[window]
        if found and found[-1].name == name and found[-1].end >= start - 1e-9:
            inside.append(own[window])
            found[-1] = Turn(source, found[-1].start, end, name, float(np.mean(inside)))
        else:
            inside = [own[window]]
            found.append(Turn(source, start, end, name, own[window]))
    return found


def _loud(levels: Float64[np.ndarray, " windows"]) -> float:
    """Return the level of a recording's loud windows, also where they are fewer than a twentieth.

    Where nearly all windows are as steady as no speech is, and some are further above them than loud ones are above a
    pause, these are the loud ones, and the others noise.

    Example:
        >>> _loud(np.array([-60.0] * 97 + [-25.0] * 3)), _loud(np.array([-60.0] * 97 + [-45.0] * 3))
        (-25.0, -60.0)
    """
    low, loud = (float(level) for level in np.quantile(levels, [0.1, 0.95]))
    above = levels[levels > loud + PAUSE_DB]
    steady = loud > SILENCE_DB and loud - low < STEADY_DB
    return float(np.quantile(above, 0.95)) if steady and len(above) else loud


def best_path(states: Float64[np.ndarray, "windows states"], switch: int | float) -> Int64[np.ndarray, " windows"]:
    """Return the state of each window on the path of highest sum, where every change costs `switch` (Viterbi).

    Example:
        >>> best_path(np.array([[1.0, 0.0], [0.0, 0.5], [1.0, 0.0]]), 1.0).tolist()
        [0, 0, 0]
        >>> best_path(np.array([[1.0, 0.0], [0.0, 0.5], [1.0, 0.0]]), 0.0).tolist()
        [0, 1, 0]
    """
    windows, count = states.shape
    came = np.zeros((windows, count), dtype=np.int64)
    total = states[0].copy()
    for window in range(1, windows):
        top = int(np.argmax(total))
        changed = total[top] - switch > total
        came[window] = np.where(changed, top, np.arange(count))
        total = np.where(changed, total[top] - switch, total) + states[window]
    path = np.empty(windows, dtype=np.int64)
    path[-1] = int(np.argmax(total))
    for window in range(windows - 1, 0, -1):
        path[window - 1] = came[window, path[window]]
    return path


def _followed(scores: Float64[np.ndarray, "windows voices"], threshold: int | float) -> Int64[np.ndarray, " followed"]:
    """Return the voices that are the best of some window and reach the threshold, the most frequent ones."""
    if not scores.shape[1]:
        return np.zeros(0, dtype=np.int64)
    best = scores.argmax(axis=1)
    reached = best[scores[np.arange(len(scores)), best] >= threshold]
    voices, counts = np.unique(reached, return_counts=True)
    return np.asarray(voices[np.argsort(-counts, kind="stable")][:MOST_NAMES], dtype=np.int64)
