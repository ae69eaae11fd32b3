"""Train a model from a path: the entry points of the command and the study."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from safetensors.torch import save_file

from mfcl.checkpoint import Checkpoint, load_checkpoint
from mfcl.core.console import worded
from mfcl.core.distributed import barrier, is_main, start
from mfcl.core.files import replacing
from mfcl.core.keywords import also_called
from mfcl.core.limits import MOST_PER_CLASS
from mfcl.core.machine import set_threads
from mfcl.core.memory import give_back
from mfcl.core.progress import Shown
from mfcl.core.random import check_seed
from mfcl.core.urls import local_path
from mfcl.data.dataset import Data
from mfcl.data.labels import known_classes
from mfcl.data.manifest_csv import manifest_bytes
from mfcl.embedder import Embedder
from mfcl.errors import TrainingError, check_number, check_type
from mfcl.models.pair import MultiFormatModel, make_model
from mfcl.recipe import Recipe, load_recipe
from mfcl.training import fit
from mfcl.training.memory import check_memory
from mfcl.training.metrics import cautions
from mfcl.training.own_encoders import check_encoders
from mfcl.training.run_folder import HEADS, MANIFEST, check_place, resumed_fingerprint
from mfcl.training.saving import save_trained
from mfcl.training.suited import open_suited
from mfcl.training.tasks.contrastive import Pretrain
from mfcl.training.tasks.joint import Joint
from mfcl.training.trackers import Tracker
from mfcl.training.validation import live_figures
from mfcl.views.own import OwnAugment


@also_called(per_class="labels_per_class")  # its name in version 0.1
def train(
    data: str | Path,
    out: str | Path,
    *,
    recipe: str | Path | Recipe = "default",
    overrides: Sequence[str] = (),
    rate: int | Literal["keep"] | None = None,
    protocol: str | None = None,
    split_by: str | None = None,
    label: str | None = None,
    speaker: str | None = None,
    joint: bool = False,
    labels_per_class: int = 0,
    augment: OwnAugment | None = None,
    trackers: Sequence[Tracker] = (),
    seed: int = 0,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    threads: int | None = None,
    cache: Path | None = None,
    strict: bool = False,
    data_root: Path | None = None,
    progress: bool = True,
) -> Embedder:
    """Pre-train a pair of encoders without labels, save them in a run folder, and return them for use.

    It trains on the train split. The valid split is only used for figures along the way, the test split not at all.

    Under `torchrun` every process calls this and each gets the model; the first one writes and shows progress. `out`
    must be one folder for all of them.

    Args:
        data: A folder of audio, a corpus or a manifest.
        out: The run folder; see `mfcl.training.run_log` for its files.
        recipe: The name of a recipe, its path, or a `Recipe`.
        overrides: Single settings, such as `train.epochs=5`.
        rate: Sample rate of the model in Hz; `keep`: that of most recordings; None: the recipe's. Windows and steps in
            samples stay as they are.
        protocol: Name of a corpus's published splits; see `open_data`.
        split_by: Keep recordings with the same value of this label in one split.
        label: Label for the kNN figure of the valid split, and for `joint`.
        speaker: Speaker label; split by it if neither `protocol` nor `split_by` is given.
        joint: Also train a classifier on the recordings that have a label.
        labels_per_class: With `joint`, use only so many labels of each class; 0 uses all.
        augment: An augmentation of your own, a function `f(samples, sample_rate)` that returns as many samples; it gets
            every crop (float32, mono) before the recipe's augmentations, in a thread. Its name stands in `config.yaml`.
            A run repeats itself, and goes on as if it had not been stopped, only if the function gives the same for the
            same samples; if it draws, seed the draw by them.
        trackers: What is told of the run beside `metrics.jsonl`: objects with `begin`, `record` and `end`, such as
            those of `mfcl.training.trackers` for TensorBoard, Weights & Biases and MLflow.
        seed: Of the split, the weights, the crops and the augmentations.
        resume: Continue the run in `out`; the result is as if it had not been stopped.
        overwrite: Delete the run in `out` and begin again.
        device: `auto`, `cpu`, `cuda`, ...
        threads: Number of torch's CPU threads; None leaves it as it is.
        cache: Folder of the cache of decoded audio.
        strict: Stop at the first bad file.
        data_root: For a manifest: the present folder of its recordings, if they were moved.
        progress: Show progress.

    Returns:
        The trained model, as `mfcl.load` returns it for the run folder, on the training device.

    Raises:
        MfclError: bad input, in one line.
    """
    seed = check_seed(seed)
    check_number("labels_per_class", labels_per_class, 0, MOST_PER_CLASS, whole=True)
    if labels_per_class and not joint:
        raise TrainingError("labels_per_class: no other training than a joint one learns from labels; give joint too")
    if resume and overwrite:
        raise TrainingError("resume goes on with a run, overwrite deletes it; give one of the two")
    check_place(local_path(out, "out"), resume=resume, overwrite=overwrite)
    check_type("trackers", trackers, list | tuple, "a list of objects with `begin`, `record` and `end`")
    check_type("augment", augment, Callable | None, "a function of samples and their rate")
    set_threads(threads)
    start(device)  # the size of a run depends on the number of processes; nobody writes to `out` before all are here
    progress = progress and is_main()
    chosen = load_recipe(recipe, overrides)
    opened, chosen = open_suited(
        data, chosen, rate=rate, protocol=protocol, split_by=split_by, label=label, speaker=speaker, seed=seed,
        cache=cache, strict=strict, data_root=data_root, progress=progress,
    )  # fmt: skip
    made = pretrain(
        opened, chosen, Path(out), joint=joint, per_class=labels_per_class, augment=augment, trackers=trackers,
        seed=seed, resume=resume, overwrite=overwrite, device=device, progress=progress,
    )  # fmt: skip
    return Embedder(made, device=device)


def pretrain(
    data: Data,
    recipe: Recipe,
    out: Path,
    *,
    joint: bool = False,
    per_class: int = 0,
    augment: OwnAugment | None = None,
    trackers: Sequence[Tracker] = (),
    seed: int,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    progress: Shown = True,
) -> Checkpoint:
    """Pre-train a pair of encoders on the train split of opened data; see `train`."""
    store = data.subset("train")
    model = check_memory(recipe, store.lengths, seed=seed, device=device)
    task = (
        Joint(
            model, store, known_classes(store, data.label, per_class, seed=seed)[1], recipe, seed=seed, augment=augment
        )
        if joint
        else Pretrain(model, store, recipe, seed=seed, augment=augment)
    )
    check_encoders(model, recipe.model, task.formats)
    listed = manifest_bytes(data.manifest, out / MANIFEST, relative=True)  # before training: may refuse file names
    fingerprint = resumed_fingerprint(data.manifest, out) if resume else data.manifest.fingerprint()
    result = fit(
        task, recipe.train, out, recipe=recipe, fingerprint=fingerprint, seed=seed, resume=resume,
        overwrite=overwrite, device=device, validate=live_figures(task, data),
        cautions=cautions(task.budget(recipe.train), task.count), trackers=trackers, progress=progress,
    )  # fmt: skip
    labels_used = f"{worded(len(task.labelled), 'label')} of {data.label!r}" if isinstance(task, Joint) else "no labels"
    facts = {
        "training": f"multi-format contrastive, {labels_used}",
        "recordings": f"{task.count} (fingerprint {fingerprint})",
        "seed": str(seed),
        "steps": str(result.steps),
        "seconds": f"{result.seconds:.0f}",
        "loss": f"{result.loss:.3f} (chance {task.chance_loss:.3f})",
    }
    task.finish(shown=bool(progress) and is_main())
    give_back()  # what chose the landmarks
    save_trained(model, task, recipe, out, formats=task.formats, facts=facts)  # most valuable first
    if is_main():
        with replacing(out / HEADS) as temporary:
            save_file({name: weight.contiguous().cpu() for name, weight in task.heads.state_dict().items()}, temporary)
        with replacing(out / MANIFEST) as temporary:
            temporary.write_bytes(listed)
    barrier()
    give_back()
    return load_checkpoint(out)


def untrained(data: Data, recipe: Recipe, *, seed: int) -> MultiFormatModel:
    """Return the recipe's encoders with random weights and fitted normalisation, as a baseline."""
    model = make_model(recipe.model, seed=seed)
    task = Pretrain(model, data.subset("train"), recipe, seed=seed)
    task.prepare()
    task.finish()
    return model.eval()
