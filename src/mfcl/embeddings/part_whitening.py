"""Whiten each part of an embedding as befits it: projections are centred, voices turned, all else whitened."""

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float32

from mfcl.embeddings.near_voices import fit_near_voices
from mfcl.embeddings.parts import Part
from mfcl.embeddings.whitening import MOST_ITEMS, Whitening, drawn_items, fit_centring, fit_whitening

FEWEST = 500
"""Fewest recordings to find pairs of one voice among: of 250 little was gained."""


def fit_whitenings(names: Iterable[str], part: Callable[[str], Float32[np.ndarray, "items _"]]) -> dict[str, Whitening]:
    """Fit a PCA whitening of each part; of projections, only the mean, since they were trained for plain cosines.

    Where there are projections of what is said, speaker parts are turned so that one voice's recordings lie close
    together; see `fit_near_voices`.

    Args:
        names: Names of the parts.
        part: Returns a part of the training recordings; it is asked for one at a time.

    Raises:
        MeasureError: there are fewer than two recordings.
    """
    known = {name: Part.parse(name) for name in names}
    count, found = 0, {}
    for name, own in known.items():
        vectors = part(name)
        count = len(vectors)
        found[name] = (fit_centring if own.stage == "projection" else fit_whitening)(vectors)
    said = [name for name, own in known.items() if (own.role, own.stage) == ("content", "projection")]
    voices = [name for name, own in known.items() if own.role == "speaker"]
    if not said or not voices or count < FEWEST:
        return found
    some = drawn_items(count) if count > MOST_ITEMS else np.arange(count)
    turned = fit_near_voices(
        {name: part(name)[some] for name in voices},
        [part(name)[some] - found[name].mean for name in said],
        {name: found[name] for name in voices},
    )
    return found | turned
