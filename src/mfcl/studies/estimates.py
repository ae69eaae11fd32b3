"""Estimate a study's run time: one step of each encoder is timed on noise, the rest uses rough constants."""

import timeit
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from mfcl.data.dataset import Data
from mfcl.embeddings.alignment import PIECE_FRAMES
from mfcl.models.landmarks import Landmarks
from mfcl.models.losses import TERMS
from mfcl.models.pair import FormatEncoder, make_model
from mfcl.recipe import Recipe, TrainSettings
from mfcl.studies.evaluators import HEARD
from mfcl.studies.fine_tuning import JOINT_EPOCHS
from mfcl.studies.representations import Source
from mfcl.training.budget import budget, shortened
from mfcl.training.frame_learning import PAIRS
from mfcl.training.neighbour_search import LONGEST_SECONDS
from mfcl.training.positives import MOST
from mfcl.training.precision import settle
from mfcl.training.tasks.supervised import enough_steps
from mfcl.views.crops import mean_seconds

BATCH = 32
ROUNDS = 3
"""Timed rounds, after one to warm up."""
PER_VIEW = 1.5e-3
"""Seconds per recording to evaluate one section on one representation; right within a factor of two."""
CONTROL = 6e-3
"""Seconds per recording to compute a baseline; the slowest takes nearly three times as long."""
PICTURE = 3e-3
"""Seconds per recording for a log-mel picture and its nearest-neighbour search."""
FRAMES_A_SECOND = 50
"""Frames of a landmark for a second of sound."""
FRAMES_LEARNED = 2e-3
"""Seconds for a second of sound that frames are learned from; of one core 2.5e-3."""
AUGMENTED = 1.3
"""Factor on the encoders' time for augmentation, log-mels, losses and the optimiser."""


@dataclass(frozen=True)
class Rates:
    """Measured times on this machine for the given recordings, and sizes of the data."""

    train: dict[str, float]
    """Format -> seconds per whole recording for forward and backward pass."""
    embed: float
    """Seconds per recording to embed with both encoders."""
    recordings: int
    trained: int
    """Training recordings."""
    classes: int
    fewest: int
    """Training recordings of the rarest class."""
    seconds: float = 1.0
    """Mean length of a training recording in seconds."""

    def source(self, source: Source) -> float:
        """Estimate the seconds to train and embed a source."""
        embedding = self.embed * self.recordings
        if not source.encodes:
            return CONTROL * self.recordings
        if source.kind == "untrained":
            return embedding
        if source.kind == "supervised":
            settings = enough_steps(source.recipe.supervised, self.trained)
            return embedding + self.supervised(settings, self.trained)
        return embedding + self.pretraining(source.recipe, source.recipe.train)

    def pretraining(self, recipe: Recipe, settings: TrainSettings) -> float:
        """Estimate the seconds of contrastive pre-training."""
        crops, terms = recipe.crops, TERMS[recipe.loss.terms]
        share = (crops.length + (crops.longest or crops.length)) / 2 if crops.unit == "fraction" else 1.0
        lengths = np.array([round(self.seconds * recipe.model.sample_rate)])
        size = budget(settings, max(self.trained, 2), seconds=mean_seconds(crops, lengths, recipe.model.sample_rate))
        once = AUGMENTED * share * sum(self.train[name] for side in terms for name in side)
        searches = recipe.loss.searches * (self.embed + PICTURE) if recipe.loss.neighbours else 0.0
        marks, frames = recipe.model.landmarks, 0.0
        if marks is not None and marks.learned and recipe.loss.neighbours:
            frames = FRAMES_LEARNED * 2 * PAIRS * min(self.seconds, LONGEST_SECONDS) * min(marks.steps, size.steps)
        return once * size.steps * size.batch + searches * min(self.trained, MOST) + frames

    def joint(self, recipe: Recipe) -> float:
        """Estimate the seconds of joint training on few labels and all recordings."""
        return 1.25 * self.pretraining(recipe, shortened(recipe.train, min(JOINT_EPOCHS, recipe.train.epochs)))

    def supervised(self, settings: TrainSettings, count: int) -> float:
        """Estimate the seconds of supervised training of both encoders on `count` recordings."""
        size = budget(settings, max(count, 2), seconds=self.seconds)
        return sum(self.train.values()) * size.steps * size.batch

    def labelled(self, per_class: int) -> int:
        """Return the number of recordings with `per_class` labels per class; 0 means all labels."""
        return min(per_class * self.classes, self.trained) if per_class else self.trained

    def question(self, section: str, views: int) -> float:
        """Estimate the seconds to evaluate one section on `views` representations."""
        noisy = len(HEARD) * self.embed * self.recordings / 3 if section == "robustness" else 0.0
        return 1.0 if section == "cost" else PER_VIEW * self.recordings * views + noisy


def measured_rates(data: Data, recipe: Recipe, device: torch.device) -> Rates:
    """Time a training step and an embedding step of each encoder, on noise of the recordings' mean length."""
    seconds = min(float(np.mean(data.store.lengths)) / data.store.sample_rate, 5.0)
    model = make_model(recipe.model, seed=0).to(device).train()
    noise = torch.randn(BATCH, max(round(seconds * data.store.sample_rate), 800), device=device)
    train, embed = {}, 0.0
    for name, precision in (("wave", recipe.train.wave_precision), ("mel", recipe.train.mel_precision)):
        encoder: FormatEncoder = getattr(model, name)
        bf16 = settle(precision, device) == "bf16"

        def step(encoder: FormatEncoder = encoder, bf16: bool = bf16) -> None:
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                embedding = encoder(noise)
            embedding.float().square().mean().backward()

        fill(encoder.landmarks, noise.shape[1] / data.store.sample_rate)

        def forward(encoder: FormatEncoder = encoder) -> None:
            with torch.no_grad():
                encoder(noise)

        train[name] = _timed(step) / BATCH
        embed += _timed(forward) / BATCH
    train_part = data.manifest.splits == "train"
    labels = data.manifest.column(data.label)[train_part] if data.label else np.zeros(0, dtype=str)
    counts = np.unique(labels[labels != ""], return_counts=True)[1]
    trained = int(train_part.sum())
    lengths = data.store.lengths[train_part]
    mean = float(np.mean(lengths)) / data.store.sample_rate if trained else 0.0
    return Rates(train, embed, len(data.store), trained, len(counts), int(counts.min(initial=trained)), mean)


def fill(landmarks: Landmarks | None, seconds: float) -> None:
    """Fill landmarks that are not fitted with noise: aligning to them is most of the time of embedding."""
    if landmarks is not None:
        frames = min(max(round(seconds * FRAMES_A_SECOND), 1), landmarks.marks.shape[1])
        landmarks.marks.normal_()
        landmarks.lengths[: landmarks.settings.count] = frames
        landmarks.lengths[landmarks.settings.count :] = max(PIECE_FRAMES)


def _timed(work: Callable[[], None]) -> float:
    """Return the seconds that a work takes, the least of some: another program beside one of them would count twice."""
    work()
    return min(timeit.repeat(work, number=1, repeat=ROUNDS))
