"""Compare checkpoints and controls on the same recordings: results of each, and differences to the first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mfcl.audio import Preparation
from mfcl.checkpoint import load_checkpoint
from mfcl.checkpoint_files import model_folder
from mfcl.core.blas import one_blas_thread
from mfcl.core.console import print_notes
from mfcl.core.machine import pick_device
from mfcl.core.urls import local_path
from mfcl.data.dataset import guessed_labels, open_data
from mfcl.embeddings.blocks import load_embeddings
from mfcl.embeddings.table import Embeddings
from mfcl.errors import MeasureError, check_type
from mfcl.evaluation.result import Result
from mfcl.evaluation.standard import check_training
from mfcl.evaluation.tasks import measure_labels, measure_voices
from mfcl.models.inference import Format, embed_store
from mfcl.recipe import load_recipe
from mfcl.studies.alike import in_common, refuse_other_answers
from mfcl.studies.controls import CONTROLS, UNTRAINED, control_embeddings, split_as
from mfcl.studies.paired import Compared, paired
from mfcl.studies.trained_on import MANIFEST, manifest_of, refuse_known
from mfcl.training.suited import open_suited


def compare(
    runs: Sequence[str | Path],
    data: str | Path | None = None,
    *,
    label: str | None = None,
    speaker: str | None = None,
    protocol: str | None = None,
    split_by: str | None = None,
    seed: int = 0,
    format: Format | None = None,
    part: str = "",
    device: str = "auto",
    cache: Path | None = None,
    strict: bool = False,
    data_root: Path | None = None,
    progress: bool = True,
) -> list[Compared]:
    """Evaluate several checkpoints or controls on the same recordings, with paired differences to the first.

    Each checkpoint applies its own audio preparation, a control that of the first checkpoint; only recordings that all
    of them can read are evaluated.

    Args:
        runs: Run folders, checkpoint folders or names of controls (`mfcl.studies.controls.CONTROLS`; a folder of that
            name comes first); the others are compared with the first.
        data: Recordings to evaluate on; default: the recordings and splits of the first run's `manifest.csv`.
        label: Label column to predict; default: guessed from common names.
        speaker: Speaker column; default: guessed from common names.
        protocol: Split protocol for `data`; see `mfcl.data.dataset.open_data`.
        split_by: For `data`: keep recordings with the same value of this label in one split.
        seed: Seed of the split, the draws and the intervals.
        format: `wave`, `mel`, or `both` side by side; default: each model's own, `both` of most.
        part: A format or part of the embeddings, such as `words`, by which everything is measured; by default labels
            are measured by the words' part and speakers by the voices' part, where there are both.
        device: `auto`, `cpu`, `cuda`, ...
        cache: Folder for decoded sound.
        strict: Raise an error at the first unreadable file.
        data_root: The folder that holds the manifests' recordings now, if they were moved.
        progress: Show progress.

    Raises:
        MfclError: fewer than two runs, no recordings, no label to predict, or a run that was trained on test
            recordings.
    """
    runs = _paths(runs)
    names = run_names(runs)
    trained = [run for run in runs if not is_control(run)]
    source = data if data is not None or not trained else manifest_of(trained[0])
    if source is None:
        wanted = f"a run folder with {MANIFEST}, found none" if trained else "recordings"
        first = trained[0] if trained else "compare"
        raise MeasureError(f"{first}: wanted {wanted}; give the recordings to measure on as data")
    for run in trained:
        model_folder(run)  # one that is not there is said before the others embed all recordings
    settings: dict[str, Any] = {"label": label, "speaker": speaker, "seed": seed, "cache": cache, "strict": strict}
    settings["data_root"] = data_root
    settings |= {"protocol": protocol, "split_by": split_by} if data is not None else {"protocol": "manifest"}
    leading = load_checkpoint(trained[0]) if trained else None
    first_recipe = leading.recipe if leading else load_recipe("default")
    of_controls = format or (leading.model.default_format if leading else "both")
    views = []
    for run, name in zip(runs, names, strict=True):
        loaded = None if is_control(run) else load_checkpoint(run)
        recipe = loaded.recipe if loaded else first_recipe
        opened, recipe = open_suited(source, recipe, progress=progress, **settings)
        if opened.label is None and opened.speaker is None:
            raise MeasureError(f"{source}: no label to predict; give label or speaker")
        label, speaker = opened.label, opened.speaker
        if loaded is None:
            made = control_embeddings(
                str(run), opened, recipe, seed=seed, format=of_controls, device=device, progress=progress
            )  # fmt: skip
        else:
            refuse_known(opened.manifest, run, name, data_root=data_root)
            made = embed_store(loaded.model.to(pick_device(device)), opened.store, format=format, progress=progress)
        views.append(made)
    found = _measured(_only(in_common(views), part), label, speaker, seed)
    return paired(dict(zip(names, found, strict=True)))


def compare_files(
    files: Sequence[str | Path],
    *,
    label: str | None = None,
    speaker: str | None = None,
    part: str = "",
    seed: int = 0,
    data: str | Path | None = None,
    cache: Path | None = None,
    data_root: Path | None = None,
    progress: bool = True,
) -> list[Compared]:
    """Evaluate several embedding files of the same recordings, with paired differences to the first.

    Args:
        files: Files of `mfcl embed`, or of a study's folder `embeddings`, or names of controls except `untrained`,
            which wants a run's recipe; the others are compared with the first.
        label: Label column to predict; default: guessed from common names.
        speaker: Speaker column; default: guessed from common names.
        part: As in `compare`; a file without it is evaluated whole.
        seed: Seed of the draws and the intervals.
        data: For controls: the recordings of the first file, which gives their splits.
        cache: For controls: folder for decoded sound.
        data_root: For controls: the folder that holds a manifest's recordings now, if they were moved.
        progress: Show progress.

    Raises:
        MfclError: fewer than two files, one without embeddings, no item in common, other splits or labels than the
            first's, no label to predict, or a control without recordings.
    """
    files = _paths(files)
    names = run_names(files)
    kept = {file: load_embeddings(file) for file in files if not is_control(file)}
    if not kept:
        raise MeasureError("compare: wanted a file of embeddings beside the controls, got none; name one")
    first = next(iter(kept))
    label, speaker = guessed_labels(list(kept[first].labels), label, speaker)
    if label is None and speaker is None:
        raise MeasureError(f"{first}: no label to predict; give label or speaker")
    if label is not None:
        check_training(kept[first], first)
    opened = None
    if len(kept) < len(files):
        if data is None or any(str(file) == UNTRAINED for file in files):
            raise MeasureError(
                "compare: beside files of embeddings a control wants its recordings as data, and untrained wants a run "
                f"instead of {first.name}, whose recipe it takes"
            )
        held_sound = open_data(data, Preparation(), seed=seed, cache=cache, data_root=data_root, progress=progress)
        opened = split_as(held_sound, kept[first], first.name)
    whole = [
        kept[file]
        if file in kept or opened is None
        else control_embeddings(str(file), opened, load_recipe("default"), seed=seed)
        for file in files
    ]
    views = _only(in_common(whole), part)
    refuse_other_answers(views, names, [one for one in (label, speaker) if one])
    found = _measured(views, label, speaker, seed)
    return paired(dict(zip(names, found, strict=True)))


def _paths(given: Sequence[str | Path]) -> list[Path]:
    check_type("compare", given, list | tuple, "a list of runs or files", error=MeasureError)
    return [local_path(one, "compare") for one in given]


def run_names(runs: Sequence[Path]) -> list[str]:
    """Return a unique name for each run: the folder's name, with as many parents as necessary.

    Raises:
        MeasureError: there are fewer than two runs, or one is given twice.

    Example:
        >>> run_names([Path("a/runs/one"), Path("a/runs/two/model")])
        ['one', 'two']
        >>> run_names([Path("a/one"), Path("b/one")])
        ['a/one', 'b/one']
    """
    if len(runs) < 2:
        raise MeasureError(
            f"compare: wanted 2 or more runs, got {len(runs)}; name another run folder, or a control: "
            + ", ".join(CONTROLS)
        )
    folders = [run.parent if run.name == "model" else run for run in runs]
    if len(set(folders)) < len(folders):
        raise MeasureError("compare: wanted different runs, but one is given twice; name each once")
    for depth in range(1, max(len(folder.parts) for folder in folders)):
        names = ["/".join(folder.parts[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def is_control(run: Path) -> bool:
    """Return whether a run is the name of a control; a folder or file of that name comes first."""
    return str(run) in CONTROLS and not run.exists()


def _measured(views: Sequence[Embeddings], label: str | None, speaker: str | None, seed: int) -> list[list[Result]]:
    """Measure labels by the words' part and speakers by the voices' part, where there are both.

    Beside labels, voices may be left out where too little is there to measure them by, which is said.

    Raises:
        MeasureError: labels cannot be measured; or voices, where no label is asked for.
    """
    found, lacking = [], dict[str, None]()
    for view in views:
        with one_blas_thread(view.vectors.size):
            own = measure_labels(view.made_for("words"), label, speaker, seed=seed) if label else []
            if speaker:
                try:
                    own += measure_voices(view.made_for("voices"), label, speaker, seed=seed)
                except MeasureError as error:
                    if not label:
                        raise
                    lacking[f"voices are not measured: {error}"] = None
        found.append(own)
    print_notes(lacking)
    return found


def _only(views: Sequence[Embeddings], part: str) -> list[Embeddings]:
    """Return a part of the embeddings that have it, and the others whole.

    Raises:
        MeasureError: none has it.
    """
    if not part:
        return list(views)
    held = [any(own.matches(part) for own in view.sizes) for view in views]
    if not any(held):
        return [views[0].only(part), *views[1:]]  # its error says which parts there are
    return [view.only(part) if has else view for view, has in zip(views, held, strict=True)]
