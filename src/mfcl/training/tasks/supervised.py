"""Supervised training of one encoder with a linear layer."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from mfcl.core.distributed import all_reduce_sum, processes
from mfcl.data.store import Store
from mfcl.models.pair import FormatEncoder, MultiFormatModel
from mfcl.training.normalisation import fit_front, on_device
from mfcl.training.tasks.base import Task
from mfcl.views.batches import ClipBatch, length_batches, whole_clips

LONGEST = 2.0
"""Most seconds of a recording; of longer ones a new crop is drawn in each epoch."""


@dataclass(frozen=True)
class Labelled:
    """A batch of supervised training: clips and their classes."""

    clips: ClipBatch
    targets: Int64[Tensor, " batch"]


class Classify(Task):
    """Train one encoder and a linear layer to classify recordings.

    Args:
        model: The encoders.
        format: The encoder to train.
        store: The training recordings.
        targets: The class of each recording, from 0.
        seed: Of the linear layer and the crops.
    """

    def __init__(
        self,
        model: MultiFormatModel,
        format: Literal["wave", "mel"],
        store: Store,
        targets: Int64[np.ndarray, " items"],
        *,
        seed: int,
    ) -> None:
        super().__init__(store, seed=seed)
        self.format = format
        self.encoder: FormatEncoder = getattr(model, format)
        self.targets = targets
        self.classes = int(targets.max()) + 1
        self.chance_loss = float(np.log(self.classes))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.linear = nn.Linear(self.encoder.pooled["content"], self.classes)

    @property
    def partial(self) -> bool:
        """Whether there is a neck: the classifier bypasses it, so it gets no gradient."""
        return self.encoder.neck is not None

    def describe(self) -> dict[str, Any]:
        """Return the task's name, the format and the number of classes."""
        return {"task": "classify", "format": self.format, "classes": self.classes}

    def prepare(self) -> None:
        """Fit the normalisation of the format on the training recordings."""
        fit_front(self.encoder, self.store, seed=self.seed)

    def batch(self, indices: Int64[np.ndarray, " batch"], epoch: int) -> Labelled:
        """Return whole recordings, and random crops of those longer than `LONGEST`."""
        clips = whole_clips(self.store, indices, longest_seconds=LONGEST, seed=self.seed, epoch=epoch)
        return Labelled(clips, torch.from_numpy(self.targets[indices]))

    def forward(self, batch: Labelled) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Return the cross-entropy over the recordings of all processes, and the top-1 accuracy."""
        targets = batch.targets.to(self.linear.weight.device)
        logits = self._logits(batch.clips)
        hits = (logits.detach().argmax(dim=1) == targets).float().mean()
        loss = functional.cross_entropy(logits, targets)
        return all_reduce_sum(loss) / processes(), {"top1": all_reduce_sum(hits) / processes()}

    @torch.no_grad()
    def predict(self, store: Store, *, batch: int = 64) -> Int64[np.ndarray, " items"]:
        """Return the predicted class of each recording of a store; the task is left in its present mode."""
        was, found = self.training, np.zeros(len(store), dtype=np.int64)
        self.eval()
        try:
            for indices in length_batches(store.lengths, batch):
                logits = self._logits(whole_clips(store, indices, longest_seconds=LONGEST))
                found[indices] = logits.argmax(dim=1).cpu().numpy()
        finally:
            self.train(was)
        return found

    def _logits(self, clips: ClipBatch) -> Float[Tensor, "batch classes"]:
        represented, lengths = self.encoder.front(*on_device(clips, self.linear.weight.device))
        frames = self.frames(self.encoder, self.format, represented, lengths)
        logits: Tensor = self.linear(self.encoder.pooling("content")(frames))
        return logits
