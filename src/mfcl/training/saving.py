"""Save a trained model in its run folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mfcl.checkpoint import save_checkpoint
from mfcl.checkpoint_files import ONLY_FORMAT
from mfcl.core.distributed import is_main
from mfcl.embeddings.whitening import MOST_ITEMS
from mfcl.models.inference import embed_store
from mfcl.models.pair import MultiFormatModel
from mfcl.recipe import Recipe
from mfcl.training.tasks.base import Task


def save_trained(
    model: MultiFormatModel, task: Task, recipe: Recipe, out: Path, *, formats: Sequence[str], facts: Mapping[str, str]
) -> None:
    """Save a model with its card and the whitening of its embeddings, from the main process alone.

    Args:
        model: The trained model.
        task: Its task, which gives the training recordings to whiten by, at most `MOST_ITEMS`.
        recipe: Its recipe.
        out: The run folder; the model lies in its folder `model`.
        formats: The trained formats; a model of one embeds with that one unless another is named.
        facts: What its card says of its training.
    """
    only = {ONLY_FORMAT: formats[0]} if len(formats) == 1 else {}
    model.to(task.device)  # the encoder of a format that was not trained is still where it was made
    whitening = embed_store(model, task.some(MOST_ITEMS)).whitenings() if is_main() else {}
    save_checkpoint(model, recipe, out / "model", card={**facts, **only}, whitening=whitening)
