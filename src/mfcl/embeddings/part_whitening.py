"""Whiten each part of an embedding as befits it: projections are centred, voices turned, all else whitened."""

from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import Float32

from mfcl.embeddings.near_voices import fit_near_voices
from mfcl.embeddings.parts import Part
from mfcl.embeddings.whitening import FLOOR, MOST_ITEMS, Whitening, drawn_items, fit_centring, fit_whitening

FEWEST = 500
"""Fewest recordings to find pairs of one voice among: of 250 little was gained."""
CONTENT_FLOOR = 0.01
"""Share of the total variance added to the variance of each direction of what is said (`fit_whitening`)."""
NOISE = 1.0
"""For vectors without a role: the floor times the recordings, where these are few and more directions are noise."""


def fit_part(name: str, vectors: Float32[np.ndarray, "items _"], *, content_floor: float = CONTENT_FLOOR) -> Whitening:
    """Fit the whitening of one part without regard to others; see `docs/decisions/0043-floors-of-whitening.md`.

    Args:
        name: The part's or the baseline's name.
        vectors: That part of the training recordings.
        content_floor: The floor of what is said.

    Raises:
        MeasureError: there are fewer than two recordings, or no projection.
    """
    known = Part.parse(name)
    if known.stage == "projection":
        return fit_centring(vectors)
    if known.role == "content" or name.endswith(" landmarks"):  # similarities to landmarks tell what is said
        return fit_whitening(vectors, floor=content_floor)
    few = NOISE / max(1, len(vectors)) if not known.role else 0.0
    return fit_whitening(vectors, floor=max(FLOOR, few))


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
    for name in known:
        vectors = part(name)
        count = len(vectors)
        found[name] = fit_part(name, vectors)
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
