"""Joint training: the contrastive loss on all recordings, and a classification loss on the labelled ones."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from mfcl.core.distributed import all_reduce_sum, processes
from mfcl.core.machine import seeded
from mfcl.core.random import uniforms
from mfcl.data.store import Store
from mfcl.models.inference import embed_store
from mfcl.models.pair import MultiFormatModel
from mfcl.recipe import Recipe
from mfcl.training.side_by_side import side_by_side
from mfcl.training.tasks.contrastive import Pretrain
from mfcl.training.tasks.inputs import Crops, Represented, Seen, View, crop_inputs, cut_crops
from mfcl.training.tasks.supervised import both_formats, content_part, content_size, likeliest, linear_of
from mfcl.views.own import OwnAugment

HEARD: Mapping[str, View] = {"wave": "first", "mel": "second"}
"""The crop of a labelled recording that each format's classifier hears."""


@dataclass(frozen=True)
class Both:
    """A batch of joint training: crops of recordings, labelled or not, and crops of labelled ones."""

    crops: Crops
    labelled: Crops
    targets: Int64[Tensor, " labelled"]


@dataclass(frozen=True)
class BothSeen:
    """The encoder inputs of a batch of joint training."""

    crops: Seen
    labelled: Mapping[str, Represented]
    targets: Int64[Tensor, " labelled"]


class Joint(Pretrain):
    """Train two encoders by the contrastive loss, and by a linear classifier on each for the labelled recordings.

    For every two recordings of a batch one labelled recording is drawn. The classifiers are on the content part of the
    embeddings, neck included, so that what is learned from labels is where it is asked for.

    Args:
        model: The encoders.
        store: The training recordings.
        targets: The class of each recording, from 0; -1 if it has no label.
        recipe: The recipe; `loss.labels` weighs the classification loss.
        seed: Of the heads, the crops and the drawn labelled recordings.
        augment: The user's own augmentation of crops.

    Source: Zhai et al., "S4L: Self-supervised semi-supervised learning", arXiv:1905.03670, section 3 (both losses in
        one step).
    """

    def __init__(
        self,
        model: MultiFormatModel,
        store: Store,
        targets: Int64[np.ndarray, " items"],
        recipe: Recipe,
        *,
        seed: int,
        augment: OwnAugment | None = None,
    ) -> None:
        super().__init__(model, store, recipe, seed=seed, augment=augment)
        self.targets, self.labelled = targets, np.flatnonzero(targets >= 0)
        classes = int(targets.max()) + 1
        with seeded(seed):
            self.linears = nn.ModuleDict(
                {name: nn.Linear(content_size(getattr(model, name)), classes) for name in self.formats}
            )
        self.chance_loss += self.recipe.loss.labels * float(np.log(classes))

    def describe(self) -> dict[str, Any]:
        """Return the task's name, and the numbers of classes and labelled recordings."""
        return {
            "task": "joint",
            "classes": int(self.targets.max()) + 1,
            "labelled": len(self.labelled),
            **self._own_name(),
        }

    def batch(self, indices: Int64[np.ndarray, " batch"], epoch: int) -> Both:  # type: ignore[override]
        """Return crops of the recordings, and of labelled ones; every second recording's draw chooses one."""
        beside = indices[::2]
        draw = uniforms(self.seed, "labelled", epoch, beside, 1)[:, 0]
        chosen = self.labelled[np.minimum((draw * len(self.labelled)).astype(np.int64), len(self.labelled) - 1)]
        labelled = cut_crops(self.clips, chosen, self.recipe.crops, seed=self.seed, epoch=epoch, augment=self.augment)
        return Both(super().batch(indices, epoch), labelled, torch.from_numpy(self.targets[chosen]))

    @torch.no_grad()
    def see(self, batch: Both) -> BothSeen:  # type: ignore[override]
        """Make the encoder inputs; of labelled recordings the first crop as waveform, the second as log-mel."""
        labelled = {
            format: crop_inputs(
                getattr(self.model, format), batch.labelled, HEARD[format], self.recipe.augment, self.device
            )
            for format in self.formats
        }
        return BothSeen(super().see(batch.crops), labelled, batch.targets.to(self.device))

    def forward(self, batch: BothSeen) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:  # type: ignore[override]
        """Return the sum of both losses over all processes, and the contrastive figures with `labels_top1`."""
        loss, figures = super().forward(batch.crops)
        targets = batch.targets
        works = [functools.partial(self._logits, format, heard) for format, heard in batch.labelled.items()]
        logits = [
            own for (own,) in side_by_side(works, [getattr(self.model, format).encoder for format in batch.labelled])
        ]
        label_loss = torch.stack([functional.cross_entropy(own, targets) for own in logits]).mean()
        hits = (_mean_probabilities(logits).argmax(dim=1) == targets).float().mean()
        figures["labels_top1"] = all_reduce_sum(hits.detach()) / processes()
        return loss + self.recipe.loss.labels * all_reduce_sum(label_loss) / processes(), figures

    def predict(self, store: Store) -> Int64[np.ndarray, " items"]:
        """Return the class of each recording of a store, from the mean logits of the formats' linear layers."""
        embeddings = embed_store(self.model, store)
        layers = {name: linear_of(self.linears[name]) for name in self.formats}
        logits = [layer.logits(content_part(embeddings, name)) for name, layer in layers.items()]
        return likeliest(both_formats(logits))

    def _logits(self, format: str, heard: Represented) -> list[Float[Tensor, "batch classes"]]:
        """Return the logits of a format's linear layer."""
        frames = self._frames(format, heard)
        return [self.linears[format](self.content(getattr(self.model, format), frames))]


def _mean_probabilities(logits: Sequence[Float[Tensor, "batch classes"]]) -> Float[Tensor, "batch classes"]:
    return torch.stack(list(logits)).softmax(dim=2).mean(dim=0)
