"""What the one loop asks of whatever is to be learned."""

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from mfcl.core.random import generator
from mfcl.data.store import Store
from mfcl.models.encoders import Frames
from mfcl.models.pair import FormatEncoder


class Task(nn.Module, abc.ABC):
    """Something to learn: batches made on the processor, and the loss of one on the device.

    Attributes:
        store: The sound of the training recordings, and of no others.
        seed: Of crops and augmentations.
        chance_loss: The loss of a model that knows nothing.
        precision: The arithmetic of each format's encoder, "fp32" or "bf16".
    """

    chance_loss: float

    def __init__(self, store: Store, *, seed: int) -> None:
        super().__init__()
        self.store, self.seed = store, seed
        self.precision: Mapping[str, str] = {"wave": "fp32", "mel": "fp32"}

    @property
    def count(self) -> int:
        """How many recordings there are to train on."""
        return len(self.store)

    def some(self, most: int) -> Store:
        """Return the training recordings, or as many of them, always the same, if there are more."""
        drawn = generator(self.seed, "some recordings").permutation(self.count)[:most]
        return self.store.select(np.sort(drawn))

    @property
    def partial(self) -> bool:
        """Whether some weights have no part in the loss: several processes must know."""
        return False

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return what this task is, in plain values; a run is only continued with the same."""

    @abc.abstractmethod
    def prepare(self) -> None:
        """Fit what no step learns: the front ends' normalisation."""

    def begin(self, epoch: int, epochs: int) -> None:
        """Do what comes before each epoch, in all processes alike; what it changes must be in the task's state."""

    @abc.abstractmethod
    def batch(self, indices: Int64[np.ndarray, " batch"], epoch: int) -> Any:
        """Return the batch of these recordings: a function of them, the seed, and the state as the epoch begins."""

    def see(self, batch: Any) -> Any:
        """Return what `forward` takes: what the encoders see of a batch.

        Nothing learned may have a part in it: on a processor it is done beside the step before.
        """
        return batch

    @abc.abstractmethod
    def forward(self, batch: Any) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Return the loss of a batch over all processes, and figures to watch."""

    def frames(
        self, encoder: FormatEncoder, format: str, represented: Float[Tensor, "batch ..."], lengths: Tensor | None
    ) -> Frames:
        """Return an encoder's frames, in the arithmetic of its format; poolings make float32 of them."""
        device = represented.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.precision[format] == "bf16"):
            frames: Frames = encoder.encoder(represented, lengths)
        return frames
