"""Check, before a training, that padding does not count in encoders of the user's own."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mfcl.errors import RecipeError
from mfcl.models.pair import ModelSettings, MultiFormatModel

SECONDS = 0.5
"""Length of the longer of two clips of noise; the other has seven tenths."""
APART = 1e-3
"""Most that rounding may change a value, as a share of the largest."""


def check_encoders(model: MultiFormatModel, settings: ModelSettings, formats: Sequence[str]) -> None:
    """Refuse a user's own encoder whose frames of a clip depend on the padding after it.

    Encoders of this package are taken as they are.

    Args:
        model: On the processor; left in its present mode.
        settings: Its settings.
        formats: The formats that are trained.

    Raises:
        RecipeError: an encoder does not do what `mfcl.models.WaveEncoder.forward` asks for.
    """
    samples, bands = round(SECONDS * settings.sample_rate), settings.mel_format.bands
    shapes = {"wave": (samples,), "mel": (bands, 1 + samples // settings.mel_format.hop)}
    for format in formats:
        encoder = getattr(model, format).encoder
        fault = "" if type(encoder).__module__.startswith("mfcl.") else fault_of(encoder, shapes[format])
        if fault:
            raise RecipeError(
                f"model.{format}.name: of a padded clip wanted {fault} from the encoder "
                f"{getattr(settings, format).name!r}; padding must not count: see "
                f"mfcl.models.{format.capitalize()}Encoder.forward"
            )


@torch.no_grad()
def fault_of(encoder: nn.Module, shape: tuple[int, ...]) -> str:
    """Return what is wrong with an encoder's frames of a clip in a padded batch, beside those of it alone; or "".

    Args:
        encoder: Left in its present mode.
        shape: Of what the encoder takes of a clip, time last.
    """
    lengths = torch.tensor([shape[-1], shape[-1] * 7 // 10 | 1])  # an odd number ends within a frame
    own = int(lengths[1])
    clips = torch.randn((2, *shape), generator=torch.Generator().manual_seed(0))
    clips[1, ..., own:] = 0
    was_training = encoder.training
    encoder.eval()
    try:
        with torch.random.fork_rng(devices=[]):
            values, counts = encoder(clips, lengths)
            alone = encoder(clips[1:, ..., :own], None)[0][0]
    finally:
        encoder.train(was_training)
    return "the number of frames of each, got None" if counts is None else _apart(values[1], int(counts[1]), alone)


def _apart(values: Tensor, count: int, alone: Tensor) -> str:
    if count < 1 or count != len(alone):
        return f"as many frames as of it alone, one or more, got {count} and {len(alone)}"
    if values[count:].any():
        return f"zeros after its {count} frames, got other values"
    apart, largest = float((values[:count] - alone).abs().max()), float(alone.abs().max())
    return f"its frames alone, got some {apart:.2g} apart" if not apart <= APART * largest else ""
