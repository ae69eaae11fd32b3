"""Alignment without the learned frames of a model that has learned none."""

import contextlib
from collections.abc import Iterator

from torch.nn import functional

from mfcl.models.landmarks import Landmarks
from mfcl.models.pair import MultiFormatModel


@contextlib.contextmanager
def spectrum_alone(model: MultiFormatModel) -> Iterator[None]:
    """Align frames of the spectrum alone inside a `with` block, if a model has room for learned ones but none learned.

    Those are zero, as before any training: they change no distance, but double the values of a frame. Landmarks may be
    fitted inside the block. No other thread may use the model meanwhile.
    """
    own = (model.wave.landmarks, model.mel.landmarks)
    unlearned = [(one, one.frame_encoder) for one in own if one is not None and not _learned(one)]
    for one, _ in unlearned:
        one.frame_encoder = None
        one.marks = one.marks[..., : one.marks.shape[2] - one.settings.learned].contiguous()
    try:
        yield
    finally:
        for one, frame_encoder in unlearned:
            one.frame_encoder = frame_encoder
            one.marks = functional.pad(one.marks, (0, one.settings.learned))


def _learned(one: Landmarks) -> bool:
    return one.frame_encoder is None or bool(one.learned)
