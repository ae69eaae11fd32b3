"""Supervised training of encoders, each with a linear layer."""

import dataclasses
import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn
from torch.nn import functional

from mfcl.core.distributed import all_reduce_sum, processes
from mfcl.core.machine import seeded
from mfcl.core.memory import GROWTH
from mfcl.data.store import Store
from mfcl.data.store.interfaces import StoredClips
from mfcl.embeddings.table import Embeddings
from mfcl.models.inference import Format, embed_store
from mfcl.models.pair import FormatEncoder, MultiFormatModel, without
from mfcl.recipe import Recipe, TrainSettings
from mfcl.training.normalisation import fit_front
from mfcl.training.side_by_side import side_by_side
from mfcl.training.tasks.base import Task
from mfcl.training.tasks.inputs import Crops, Represented, crop_inputs, cut_crops, mixed_in
from mfcl.views.crops import CropSettings

Settings = TypeVar("Settings", bound=TrainSettings)
LEAST_STEPS = 200
"""Fewest training steps: with few labels an epoch is one batch, and the recipe's epochs would be too few steps."""
FEW_BATCH = 32
"""Largest batch of few recordings."""


@dataclass(frozen=True)
class Labelled:
    """A batch of supervised training: crops and their classes."""

    crops: Crops
    """Of which the first are used."""
    targets: Int64[Tensor, " batch"]


@dataclass(frozen=True)
class LabelledSeen:
    """The encoder inputs of a batch of supervised training."""

    inputs: Mapping[str, Represented]
    """By format."""
    targets: Int64[Tensor, " batch"]


class Classify(Task):
    """Train encoders, each with a linear layer on the content part of its embedding, to classify recordings.

    Two formats are two networks that share nothing but their crops: the loss is the sum of theirs. Crops and
    augmentations are drawn as in pre-training; `recipe.supervised` sets how much of a recording is heard.

    Args:
        model: The encoders.
        formats: The encoders to train.
        store: The training recordings.
        targets: The class of each recording, from 0.
        recipe: Gives the augmentation and, in `supervised`, crops and label smoothing.
        seed: Of the linear layer, the crops and the augmentations.

    Source: Szegedy et al., "Rethinking the Inception architecture", arXiv:1512.00567, section 7 (label smoothing).
    """

    growth = 3 * GROWTH // 4  # one crop of a recording, where pre-training has two

    def __init__(
        self,
        model: MultiFormatModel,
        formats: Sequence[str],
        store: Store,
        targets: Int64[np.ndarray, " items"],
        recipe: Recipe,
        *,
        seed: int,
    ) -> None:
        super().__init__(store, seed=seed)
        # in a tuple, as another format's weights are not trained
        self.whole, self.recipe = (model,), recipe
        self.encoders = nn.ModuleDict({format: getattr(model, format) for format in formats})
        self.targets = targets
        self.classes = int(targets.max()) + 1
        self.chance_loss = len(self.encoders) * float(np.log(self.classes))
        asked = recipe.supervised
        self.crops = CropSettings(
            asked.crop, 1.0, placement="free", most_seconds=max(asked.longest_seconds, recipe.crops.shortest_seconds),
            shortest_seconds=recipe.crops.shortest_seconds,
        )  # fmt: skip
        self.linears = nn.ModuleDict()
        for format in self.encoders:
            with seeded(seed):  # a format's layer is the same with another beside it
                self.linears[format] = nn.Linear(content_size(self.encoder(format)), self.classes)

    def encoder(self, format: str) -> FormatEncoder:
        """Return the encoder of a format."""
        return cast(FormatEncoder, self.encoders[format])

    @property
    def partial(self) -> bool:
        """Whether an encoder has a part for the speaker with weights of its own, which get no gradient."""
        voices = [encoder.pooling("speaker") for encoder in self.trained if "speaker" in encoder.roles]
        return any(True for pooling in voices for _ in pooling.parameters())

    @property
    def trained(self) -> list[FormatEncoder]:
        """The encoders that are trained."""
        return [self.encoder(format) for format in self.encoders]

    def network(self, name: str) -> str:
        """Return the format: a network of one learns as it does without the other."""
        return name.split(".")[1]

    def describe(self) -> dict[str, Any]:
        """Return the task's name, the formats and the number of classes."""
        return {"task": "classify", "formats": list(self.encoders), "classes": self.classes}

    def prepare(self) -> None:
        """Fit the normalisation of each format on the training recordings."""
        for encoder in self.trained:
            fit_front(encoder, self.store, seed=self.seed)

    def batch(self, indices: Int64[np.ndarray, " batch"], epoch: int) -> Labelled:
        """Return a crop of each recording, and of another recording if the recipe mixes log-mels."""
        partners = "mel" in self.encoders and self.recipe.augment.needs_partner
        crops = cut_crops(self.clips, indices, self.crops, seed=self.seed, epoch=epoch, partners=partners)
        return Labelled(crops, torch.from_numpy(self.targets[indices]))

    @torch.no_grad()
    def see(self, batch: Labelled) -> LabelledSeen:
        """Make the augmented encoder inputs of the crops, without trained weights."""
        partner = mixed_in(self.encoder("mel"), batch.crops, self.device) if "mel" in self.encoders else None
        inputs = {
            format: crop_inputs(
                self.encoder(format), batch.crops, "first", self.recipe.augment, self.device, partner=partner
            )
            for format in self.encoders
        }
        return LabelledSeen(inputs, batch.targets.to(self.device))

    def forward(self, batch: LabelledSeen) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Return the sum of the formats' cross-entropies over the recordings of all processes, and mean top-1."""
        works = [functools.partial(self._scores, format, heard) for format, heard in batch.inputs.items()]
        logits = [own for (own,) in side_by_side(works, [own.encoder for own in self.trained])]
        targets = batch.targets
        hits = torch.stack([(own.detach().argmax(dim=1) == targets).float().mean() for own in logits]).mean()
        smoothing = self.recipe.supervised.label_smoothing
        losses = [functional.cross_entropy(own, targets, label_smoothing=smoothing) for own in logits]
        loss = torch.stack(losses).sum()
        figures = {"top1": hits, **self._apart(losses)}
        return all_reduce_sum(loss) / processes(), {
            name: all_reduce_sum(value) / processes() for name, value in figures.items()
        }

    def _apart(self, losses: Sequence[Float[Tensor, ""]]) -> dict[str, Tensor]:
        """Return each format's loss by name, where there are two: their sum could hide that one of them is lost."""
        names = [_loss_of(format) for format in self.encoders]
        return dict(zip(names, (loss.detach() for loss in losses), strict=True)) if len(names) > 1 else {}

    def learning(self, figures: Mapping[str, float]) -> dict[str, tuple[float, float]]:
        """Return the loss of each network and its chance line; see `Task.learning`."""
        if not all(_loss_of(format) in figures for format in self.encoders):
            return super().learning(figures)
        return {format: (figures[_loss_of(format)], float(np.log(self.classes))) for format in self.encoders}

    def _scores(self, format: str, heard: Represented) -> list[Float[Tensor, "batch classes"]]:
        """Return the class scores of a format's crops."""
        encoder = self.encoder(format)
        return [self.linears[format](self.content(encoder, self.frames(encoder, format, *heard)))]

    def classifiers(self) -> dict[str, "Linear"]:
        """Return the trained output layer of each format."""
        return {format: linear_of(layer) for format, layer in self.linears.items()}

    def embed(self, store: StoredClips, *, batch: int = 64) -> dict[str, Float32[np.ndarray, "items dim"]]:
        """Return the content part of whole recordings' embeddings by format; of long ones the mean of their windows."""
        model = self.whole[0].to(self.device)
        only = cast(Format, next(iter(self.encoders))) if len(self.encoders) == 1 else None
        try:
            with without(model, "landmarks"):  # they are no part of it, and take longer than all else
                embeddings = embed_store(model, store, format=only, batch=batch)
        finally:
            self.train(self.training)  # embedding has set the mode of both encoders
        return {format: content_part(embeddings, format) for format in self.encoders}

    def logits(self, store: StoredClips, *, batch: int = 64) -> dict[str, Float32[np.ndarray, "items classes"]]:
        """Return the output for whole recordings by format; the task is left in its present mode."""
        contents = self.embed(store, batch=batch)
        return {format: layer.logits(contents[format]) for format, layer in self.classifiers().items()}

    def predict(self, store: StoredClips, *, batch: int = 64) -> Int64[np.ndarray, " items"]:
        """Return the class of each recording of a store, by the mean of the formats' outputs."""
        return likeliest(both_formats(self.logits(store, batch=batch).values()))


def _loss_of(format: str) -> str:
    return f"{format}_loss"


@dataclass(frozen=True)
class Linear:
    """An output layer: class scores are `pooled @ weight.T + bias`."""

    weight: Float32[np.ndarray, "classes dim"]
    bias: Float32[np.ndarray, " classes"]

    def logits(self, content: Float32[np.ndarray, "items dim"]) -> Float32[np.ndarray, "items classes"]:
        """Return the class scores of the content parts of embeddings."""
        scores: Float32[np.ndarray, "items classes"] = content @ self.weight.T + self.bias
        return scores


def linear_of(layer: nn.Module) -> Linear:
    """Return the weights of an `nn.Linear`."""
    weight, bias = (layer.get_parameter(name).detach().cpu().numpy() for name in ("weight", "bias"))
    return Linear(weight, bias)


def content_size(encoder: FormatEncoder) -> int:
    """Return the size of the learned content part of a format's embedding: all but landmarks, which cannot learn."""
    return sum(size for (role, stage), size in encoder.dims.items() if role == "content" and stage != "landmarks")


def content_part(embeddings: Embeddings, format: str) -> Float32[np.ndarray, "items dim"]:
    """Return the learned content part of a format's embeddings: all columns but the speaker part's and landmarks."""
    wanted = [
        part
        for part in embeddings.sizes
        if part.format == format and part.role != "speaker" and part.stage != "landmarks"
    ]
    return np.concatenate([embeddings.part(part) for part in wanted], axis=1)


def both_formats(logits: Iterable[Float32[np.ndarray, "items classes"]]) -> Float32[np.ndarray, "items classes"]:
    """Return the prediction of several networks together: the mean of their logits.

    Example:
        >>> both_formats([np.float32([[2, 0, 1]]), np.float32([[0, 0, 2]])]).tolist()
        [[1.0, 0.0, 1.5]]
    """
    mean: Float32[np.ndarray, "items classes"] = np.asarray(np.mean(list(logits), axis=0), dtype=np.float32)
    return mean


def likeliest(logits: Float32[np.ndarray, "items classes"]) -> Int64[np.ndarray, " items"]:
    """Return the class of the highest score of each item."""
    return np.asarray(logits.argmax(axis=1), dtype=np.int64)


def enough_steps(settings: Settings, count: int) -> Settings:
    """Return settings with smaller batches for few recordings, and enough epochs for `LEAST_STEPS`.

    Example:
        >>> few = enough_steps(TrainSettings(epochs=8, batch=64), 10)
        >>> few.batch, few.epochs * (10 // few.batch) >= LEAST_STEPS
        (10, True)
    """
    if settings.fill:  # its batches follow from the number of recordings
        least = max(settings.least_steps, min(LEAST_STEPS, settings.most_steps or LEAST_STEPS))
        return dataclasses.replace(settings, least_steps=least)
    batch = min(settings.batch, FEW_BATCH if count < 4 * settings.batch else settings.batch, count)
    epochs = max(settings.epochs, math.ceil(LEAST_STEPS / (count // batch)))
    return dataclasses.replace(settings, batch=batch, epochs=epochs)
