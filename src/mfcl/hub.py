"""Models in folders as the Hugging Face hub keeps them: a checkpoint with its model card."""

import re
from pathlib import Path
from typing import Any

from mfcl.checkpoint import CARD, FILES, WHITENING, load_checkpoint, save_checkpoint
from mfcl.core.extras import need
from mfcl.core.files import write_text
from mfcl.embedder import Embedder
from mfcl.errors import CheckpointError, shown

EXTRA = "hub"
RESULTS = "results.md"
"""The file of a study with its tables."""
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def save_pretrained(model: Embedder | str | Path, folder: str | Path, *, study: str | Path | None = None) -> Path:
    """Write a model and its card to a folder, ready for `huggingface-cli upload`.

    Args:
        model: A trained model, or the folder of a model or a run.
        folder: Created if missing; an earlier model in it is replaced.
        study: Folder of a study, whose tables are added to the card.

    Returns:
        The folder.

    Raises:
        CheckpointError: there is no such model, no tables in the study, or the folder cannot be written.
    """
    loaded = model.checkpoint if isinstance(model, Embedder) else load_checkpoint(Path(model))
    tables = None if study is None else _tables(Path(study))
    facts = {str(name): str(value) for name, value in loaded.info["facts"].items()}
    target = Path(folder)
    save_checkpoint(loaded.model, loaded.recipe, target, card=facts, whitening=loaded.whitening)
    if tables is not None:
        text = (target / CARD).read_text(encoding="utf-8")
        write_text(target / CARD, f"{text}\n## Measured\n\n{tables}\n")
    return target


def from_pretrained(name: str | Path, *, revision: str | None = None, device: str = "auto") -> Embedder:
    """Load a model from a folder, or by its id from the hub (extra `hub`); no code of a repository is run.

    Args:
        name: A folder, or an id such as `someone/birds`; a folder of that name comes first.
        revision: Branch, tag or commit on the hub; None: its main branch.
        device: `auto`, `cpu`, `cuda`, ...

    Raises:
        CheckpointError: there is no such folder and no such id, or it holds no model.
        MissingExtraError: it is an id, and `huggingface_hub` is not installed.
    """
    folder = Path(name)
    if not folder.exists() and REPOSITORY.fullmatch(str(name)):
        folder = _downloaded(str(name), revision)
    return Embedder(load_checkpoint(folder), device=device)


def _downloaded(name: str, revision: str | None) -> Path:
    hub: Any = need("huggingface_hub", EXTRA)
    try:
        return Path(hub.snapshot_download(name, revision=revision, allow_patterns=[*FILES, WHITENING]))
    except Exception as error:  # the hub's exceptions share no class with each other
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
        raise CheckpointError(f"{shown(name)}: neither a folder nor a model on the hub ({reason})") from error


def _tables(study: Path) -> str:
    try:
        return (study / RESULTS).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{study / RESULTS}: wanted the tables of a study, cannot read them; give its folder"
        ) from error
