"""Estimate the memory of a training before it begins, and refuse one that cannot fit."""

import itertools

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn

from mfcl.core.machine import pick_device
from mfcl.core.memory import memory_bytes
from mfcl.errors import RecipeError
from mfcl.models.losses import TERMS
from mfcl.models.pair import MultiFormatModel, make_model, outline
from mfcl.recipe import Recipe
from mfcl.training.budget import budget
from mfcl.training.projections import head_sizes
from mfcl.views.crops import mean_seconds

FLOAT = 4
"""Bytes of a float32."""
COPIES = 4
"""Numbers kept for each parameter: itself, its gradient and the optimiser's two moments."""
MEASURED_SECONDS = 0.5
"""Length of the clip whose activations are counted."""


def check_memory(
    recipe: Recipe, lengths: Int64[np.ndarray, " items"], *, seed: int = 0, device: str = "auto"
) -> MultiFormatModel:
    """Return the recipe's model with random weights, or refuse a pre-training that cannot fit into memory.

    The estimate is low, about half of a step's peak. The memory of a GPU is not checked.

    Args:
        recipe: The recipe to train.
        lengths: Lengths of the training recordings in samples.
        seed: Of the weights.
        device: Device of the training.

    Raises:
        TrainingError: there are too few recordings for a batch.
        RecipeError: it cannot fit; gives the estimate and the settings to lower.
    """
    most = memory_bytes()
    weights = parameter_bytes(recipe)
    if weights > most:
        _refuse("the parameters", weights, most, "model.wave.width, model.mel.width and head.width")
    model = make_model(recipe.model, seed=seed)
    seconds = mean_seconds(recipe.crops, lengths, recipe.preparation.sample_rate)
    batch = budget(recipe.train, len(lengths), seconds=seconds).batch
    step = weights + activation_bytes(recipe, model, batch=batch, seconds=seconds)
    if step > most and pick_device(device).type == "cpu":
        _refuse("a step of this batch", step, most, "train.batch and crops.most_seconds, or raise mel_format.hop")
    return model


def parameter_bytes(recipe: Recipe) -> float:
    """Return the bytes of the parameters, their gradients and moments, without allocating them."""
    model, head = outline(recipe.model), recipe.head
    count = sum(weight.numel() for weight in model.parameters())
    for dim in head_sizes(recipe.model, model.parts).values():
        widths = [dim, *[head.width] * (head.layers - 1), head.out] if head.layers else []
        count += sum(size_in * size_out for size_in, size_out in itertools.pairwise(widths))
    return float(FLOAT * COPIES * count)


def activation_bytes(recipe: Recipe, model: MultiFormatModel, *, batch: int, seconds: float) -> float:
    """Return the bytes of the activations that a step keeps for its backward pass, estimated from a short clip.

    Args:
        recipe: Gives the crops for each encoder.
        model: The recipe's model; left in its present mode.
        batch: Recordings in a batch.
        seconds: Length of the crops.
    """
    rate, mel = recipe.model.sample_rate, recipe.model.mel_format
    samples = round(MEASURED_SECONDS * rate)
    counted = 0

    def count(_module: nn.Module, _given: tuple[object, ...], made: object) -> None:
        nonlocal counted
        tensors = made if isinstance(made, tuple) else (made,)
        counted += sum(one.numel() for one in tensors if isinstance(one, Tensor))

    was_training = model.training
    layers = [module for module in model.eval().modules() if not list(module.children())]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        with torch.no_grad():
            model(torch.zeros(1, samples))
    finally:
        for hook in hooks:
            hook.remove()
        model.train(was_training)
    first, second = TERMS[recipe.loss.terms]
    views = max(len(first), len(second))  # crops of a recording for each encoder
    fourier = 2 * (rate / mel.hop) * (mel.fft // 2 + 1)
    return FLOAT * batch * views * seconds * (counted / MEASURED_SECONDS + fourier)


def _refuse(what: str, needed: float, most: int, lower: str) -> None:
    asked, there = (f"{size / 2**30:.1f} GiB" for size in (needed, most))
    raise RecipeError(f"{what} would take about {asked} of memory or more, this machine has {there}; lower {lower}")
