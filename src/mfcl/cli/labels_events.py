"""Events of `mfcl classify`: their settings, and windows merged to them."""

import argparse
from collections import Counter
from typing import Any

from mfcl.errors import MfclError

MERGED = ("raven", "audacity", "rttm")
"""Formats that hold events only."""
MERGING = ("begin", "go_on", "shortest", "longest", "gap")


def events_of(answers: Any, settings: Any) -> list[Any]:
    """Return the events of the windows of one or several recordings."""
    import numpy as np

    from mfcl.audio.windows import window_edges
    from mfcl.data.ids import whole_id
    from mfcl.labelling import UNKNOWN, find_events

    if answers.starts is None:
        raise MfclError("--events: wanted windows, got whole recordings; embed them with `mfcl embed --window`")
    owners = np.array([
        path or name.rpartition("@")[0]
        for name, path in zip(answers.ids.tolist(), answers.paths.tolist(), strict=True)
    ])  # fmt: skip
    chances = np.where((answers.predictions.labels == UNKNOWN)[:, None], 0.0, answers.predictions.probabilities)
    kept = answers.predictions.classes != UNKNOWN
    found = []
    for owner in dict.fromkeys(owners.tolist()):
        own = np.flatnonzero(owners == owner)
        own = own[np.argsort(answers.starts[own], kind="stable")]  # a list of chosen windows has any order
        source = owner if answers.paths[own[0]] else whole_id(owner)
        edges = window_edges(answers.starts[own], answers.ends[own])
        found += find_events(source, edges, chances[own][:, kept], answers.predictions.classes[kept].tolist(), settings)
    return found


def event_settings(given: argparse.Namespace, classes: list[str]) -> dict[str, Any]:
    """Return the settings of each class's events; a number alone is for the classes that are not named."""
    from mfcl.errors import one_of, shown
    from mfcl.labelling import EventSettings

    values: dict[str, dict[str, float]] = {name: {} for name in classes}
    for option in MERGING:
        flag = f"--{option.replace('_', '-')}"
        words = [word.rpartition("=") for word in getattr(given, option)]
        named = Counter(name for name, _, _ in words)
        if words and named.most_common(1)[0][1] > 1:
            twice = named.most_common(1)[0][0]
            raise MfclError(
                f"{flag}: two numbers for {f'the class {shown(twice)}' if twice else 'all classes'}; give one"
            )
        for name, _, text in sorted(words, key=lambda word: word[0] != ""):
            try:
                number = float(text)
            except ValueError:
                raise MfclError(f"{flag}: wanted a number, or CLASS=number, got {text!r}") from None
            if name and name not in values:
                raise MfclError(f"{flag}: {one_of('class', name, classes)}")
            for one in [name] if name else classes:
                values[one][option] = number
    return {name: EventSettings(**own) for name, own in values.items()}
