"""Models in folders as the Hugging Face hub keeps them: a checkpoint with its model card."""

import re
from pathlib import Path
from typing import Any

from mfcl.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from mfcl.checkpoint_files import CARD, CONFIG, DIGESTS, FILES, WHITENING
from mfcl.core.extras import need
from mfcl.core.files import is_there, read_json, write_text
from mfcl.core.urls import local_path
from mfcl.embedder import Embedder
from mfcl.errors import CheckpointError, shown

EXTRA = "hub"
RESULTS, ABOUT, SUMMARIES = "results.md", "about.json", "summaries.json"
"""Files of a study: its tables, which models it trained, and the rows of its tables."""
AGAIN = "run the same `mfcl study` again, which keeps its answers"
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def save_pretrained(model: Embedder | str | Path, folder: str | Path, *, study: str | Path | None = None) -> Path:
    """Write a model and its card to a folder, ready for `huggingface-cli upload`.

    Args:
        model: A trained model, or the folder of a model or a run.
        folder: Created if missing; an earlier model in it is replaced.
        study: Folder of a study that trained and measured this model, or of which it is a copy (one of `runs/` in the
            study); the card gets its tables, and says which of their rows are of this model.

    Returns:
        The folder.

    Raises:
        CheckpointError: there is no such model, the study did not measure it, or the folder cannot be written.
    """
    loaded = model.checkpoint if isinstance(model, Embedder) else load_checkpoint(local_path(model, "model"))
    measured = None if study is None else _measured(local_path(study, "study"), loaded)
    facts = {str(name): str(value) for name, value in loaded.info["facts"].items()}
    target = local_path(folder, "folder")
    save_checkpoint(loaded.model, loaded.recipe, target, card=facts, whitening=loaded.whitening)
    if measured is not None:
        text = (target / CARD).read_text(encoding="utf-8")
        write_text(target / CARD, f"{text}\n## Measured\n\n{measured}\n")
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
    folder = local_path(name, "model")
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


def _measured(study: Path, model: Checkpoint) -> str:
    """Return the tables of a study that measured this model, after a sentence on which rows are of it."""
    tables = _tables(study)
    about = read_json(study / ABOUT, do=AGAIN, error=CheckpointError)
    rows = read_json(study / SUMMARIES, do=AGAIN, kind=list, error=CheckpointError)
    models = about.get("models")
    if not isinstance(models, dict) or not all(isinstance(one, dict) for one in (*models.values(), *rows)):
        raise CheckpointError(f"{study}: it does not say which models it measured; {AGAIN}")
    own = _identity(model.folder)
    there = {name: study / "runs" / name / "model" for name in models if is_there(study / "runs" / name / "model")}
    if not there:
        raise CheckpointError(f"{study}: its models are not there any more, so none can be told to be {model.folder}")
    name = next((name for name, place in there.items() if _identity(place) == own), None)
    if name is None:
        raise CheckpointError(
            f"{study}: its figures are of other models, not of {model.folder}; give one of the study's own, such as "
            f"{next(iter(there.values())).parent}, or leave the study out"
        )
    made = models[name]
    mine = [row for row in rows if all(row.get(key) == made.get(key) for key in ("kind", "variant"))]
    if not mine:
        raise CheckpointError(f"{study}: no row of its tables is of {model.folder}; run the study's other sections too")
    names = ", ".join(dict.fromkeys(f"`{row.get('representation')}`" for row in mine))
    others = sorted({seed for row in mine for seed in row.get("seeds", ())} - {made.get("seed")})
    likewise = f", as means with models of seed {', '.join(map(str, others))} that were trained likewise"
    told = f"Rows {names} are of this model (seed {made.get('seed')}){likewise if others else ''}"
    return f"{told}; the other rows are there to compare with.\n\n{tables}"


def _identity(folder: Path) -> tuple[object, ...]:
    """Return what tells models apart: the digests of weights and whitening, and the settings of model and sound."""
    config = read_json(folder / CONFIG, do="copy the checkpoint again", error=CheckpointError)
    recipe = config.get("recipe", {})
    return config.get(DIGESTS) or str(folder.resolve()), recipe.get("model"), recipe.get("preparation")


def _tables(study: Path) -> str:
    try:
        return (study / RESULTS).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{study / RESULTS}: wanted the tables of a study, cannot read them; give its folder"
        ) from error
