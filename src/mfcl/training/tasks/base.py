"""Interface between a training objective and the loop."""

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from mfcl.core.distributed import processes
from mfcl.core.memory import GROWTH
from mfcl.core.random import generator
from mfcl.data.store import Store
from mfcl.models.encoders import Frames
from mfcl.models.pair import FormatEncoder
from mfcl.recipe import TrainSettings
from mfcl.training.budget import Budget, budget
from mfcl.views.batches import ClipStore


class Task(nn.Module, abc.ABC):
    """A training objective: makes batches on the CPU, and computes their loss on the device.

    Attributes:
        store: The audio of the training recordings only.
        clips: Where crops are cut from: the store, or a copy of its samples on the device.
        seed: Of crops and augmentations.
        chance_loss: The loss of a model whose outputs carry no information.
        precision: The precision of each format's encoder, "fp32" or "bf16".
        growth: Bytes by which steps may raise what the process holds; see `mfcl.core.memory.most_held`.
    """

    chance_loss: float
    growth: int = GROWTH

    def __init__(self, store: Store, *, seed: int) -> None:
        super().__init__()
        self.store, self.seed = store, seed
        self.clips: ClipStore = store
        self.precision: Mapping[str, str] = {"wave": "fp32", "mel": "fp32"}

    @property
    def count(self) -> int:
        """Number of training recordings."""
        return len(self.store)

    def some(self, most: int) -> Store:
        """Return the training recordings; of more than `most`, a fixed random subset of that size."""
        drawn = generator(self.seed, "some recordings").permutation(self.count)[:most]
        return self.store.select(np.sort(drawn))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    @property
    def partial(self) -> bool:
        """Whether some weights get no gradient; distributed training must know."""
        return False

    @property
    def cut_there(self) -> bool:
        """Whether crops may be cut on a GPU; else they are arrays until they are sent there."""
        return True

    def share(self, name: str) -> float:
        """Return the learning rate of the parameter of that name, as a share of the rate of each step."""
        return 1.0

    def network(self, name: str) -> str:
        """Return which network the parameter of that name is of: each one's gradient is clipped by itself."""
        return ""

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return the task's name and settings in plain values; a run is resumed only if they are the same."""

    @abc.abstractmethod
    def prepare(self) -> None:
        """Fit the front ends' normalisation, before the first step."""

    @property
    def crop_seconds(self) -> float:
        """Mean seconds of sound that a step takes of a recording; see `TrainSettings.most_sound`."""
        return float(np.mean(self.store.lengths)) / self.store.sample_rate if self.count else 0.0

    def budget(self, settings: TrainSettings) -> Budget:
        """Return the size of a run of this task in the processes that train now."""
        return budget(settings, self.count, seconds=self.crop_seconds, processes=processes())

    def begin(self, stage: int, stages: int) -> list[str]:
        """Prepare a stage, one of `stages` equal parts of the run (an epoch, if nothing else sizes the run).

        It runs in all processes, and anything it changes must be in the task's state dict. Returns lines to log.
        """
        return []

    @abc.abstractmethod
    def batch(self, indices: Int64[np.ndarray, " batch"], epoch: int) -> Any:
        """Return the batch of these recordings; depends on them, the seed and the state at the stage's beginning."""

    def see(self, batch: Any) -> Any:
        """Make the encoder inputs of a batch, which `forward` takes.

        Must not use trained weights, since on CPU it runs in a thread during the previous step.
        """
        return batch

    @abc.abstractmethod
    def forward(self, batch: Any) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Return the loss of a batch over all processes, and figures to record."""

    def learning(self, figures: Mapping[str, float]) -> dict[str, tuple[float, float]]:
        """Return the loss of each network that learns by itself, and its chance line; "" names the only one.

        Args:
            figures: The latest figures, as `forward` returns them and with the loss.
        """
        return {"": (figures["loss"], self.chance_loss)}

    def content(self, encoder: FormatEncoder, frames: Frames) -> Float[Tensor, "batch _"]:
        """Return the content part of the embeddings: what a classifier is fitted on."""
        pooled: Tensor = encoder.pooling("content")(frames)
        if encoder.neck is None:
            return pooled
        shortened: Tensor = encoder.neck(pooled)
        return shortened

    def frames(
        self, encoder: FormatEncoder, format: str, represented: Float[Tensor, "batch ..."], lengths: Tensor | None
    ) -> Frames:
        """Return an encoder's frames, computed in the precision of its format; poolings return float32."""
        device = represented.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.precision[format] == "bf16"):
            frames: Frames = encoder.encoder(represented, lengths)
        return frames
