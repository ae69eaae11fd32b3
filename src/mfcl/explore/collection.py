"""What is explored: embeddings, the recordings they are of, and the folder that keeps what a person adds."""

import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Shaped

from mfcl.core.console import worded
from mfcl.core.files import is_there
from mfcl.core.processes import own_process
from mfcl.core.urls import UrlPath
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import WINDOW_TIMES, Manifest, Recording
from mfcl.data.manifest_csv import read_manifest
from mfcl.embeddings.blocks import load_embeddings
from mfcl.embeddings.part_files import is_part_folder, open_part_files
from mfcl.embeddings.study_files import is_study, main_embeddings, run_of, without_model
from mfcl.embeddings.table import Embeddings
from mfcl.errors import ManifestError, MfclError
from mfcl.labelling.features import differ

MOST_CLIPS = 200_000
"""Most clips of a page."""
SOME = 1000
"""Clips at which one looks first to see whether they differ."""
FOLDER = "explore"
"""Name of the folder in a run or a study that keeps maps and labels."""


@dataclass(frozen=True, eq=False)
class Collection:
    """Everything that the page shows, before anybody has labelled.

    Attributes:
        name: A name for the page's title.
        embeddings: One vector per clip.
        recordings: Clip number -> recording to play; clips without one are left out.
        folder: Where maps and labels are kept; made when something is written.
        model: Folder of the model that embedded the clips; None if it is unknown.
        notes: What a person should know, such as recordings that were moved.
    """

    name: str
    embeddings: Embeddings
    recordings: Mapping[int, Recording]
    folder: Path
    model: Path | None = None
    notes: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.embeddings)

    @property
    def columns(self) -> dict[str, Shaped[np.ndarray, " items"]]:
        """The labels that came with the clips; the split is one of them."""
        found = {name: values for name, values in self.embeddings.labels.items() if name not in WINDOW_TIMES}
        if (self.embeddings.splits != "").any() and "split" not in found:
            found["split"] = self.embeddings.splits
        return found

    @property
    def parts(self) -> dict[str, str]:
        """Name of a map -> the part of the embeddings that it shows; "" for all of it."""
        roles = {part.role for part in self.embeddings.sizes}
        return {"words": "words", "voices": "voices"} if roles >= {"content", "speaker"} else {"all": ""}

    def part(self, name: str) -> Embeddings:
        """Return the embeddings of one map."""
        wanted = self.parts[name]
        return self.embeddings.only(wanted) if wanted else self.embeddings

    def times(self, clip: int) -> tuple[float | None, float | None]:
        """Return where a clip begins and ends in its file, in seconds."""
        one = self.recordings.get(clip)
        return (None, None) if one is None else (one.start, one.end)


def open_collection(
    place: Path,
    *,
    audio: Path | None = None,
    data_root: Path | None = None,
    folder: Path | None = None,
    model: Path | None = None,
    progress: bool = True,
) -> Collection:
    """Open a study's folder, a run's folder, or an `.npz` file or a folder of parts of `mfcl embed`.

    A run is embedded first, in a process of its own, and the result is kept; a study has its embeddings already.

    Args:
        place: What to open.
        audio: The recordings: for a run those to embed instead of its own, else where to find what was embedded.
        data_root: Folder where a manifest's recordings are now, if they were moved.
        folder: Where to keep maps and labels; by default a folder in or beside `place`.
        model: The model of an `.npz` file.
        progress: Whether embedding shows its progress.

    Raises:
        MfclError: nothing there that can be explored, or too much of it.
    """
    if place.is_file() or is_part_folder(place):
        count = open_part_files(place).receipt.items if is_part_folder(place) else 0
        _check_size(place, count)  # before they are read
        embeddings, run = load_embeddings(place), run_of(place)
        listed = audio if audio is not None or run is None else _manifest_of(run.parents[1])
        kept = folder or place.with_suffix(".explore")
        found = _explored(place.stem, embeddings, listed, data_root, kept, model or run)
    elif is_study(place):
        path = main_embeddings(place)
        listed, own = audio if audio is not None else _manifest_of(place), model or run_of(path)
        found = _explored(place.name, load_embeddings(path), listed, data_root, folder or place / FOLDER, own)
    elif (place / "model").is_dir() or (place / "config.json").is_file():
        found = _of_run(place, audio, data_root, folder or place / FOLDER, progress=progress)
    elif unfinished := without_model(place):
        raise MfclError(unfinished)
    else:
        raise MfclError(
            f"{place}: wanted a study, a run, or an .npz file or parts of `mfcl embed`, "
            f"{'it is none of them' if is_there(place) else 'there is nothing there'}; give one of them"
        )
    _check_size(place, len(found))
    _check_ids(place, found.embeddings.ids)
    _check_differ(place, found.embeddings.vectors)
    return found


def _check_size(place: Path, clips: int) -> None:
    if clips > MOST_CLIPS:
        raise MfclError(f"{place}: {clips} clips, the page shows at most {MOST_CLIPS}; embed fewer recordings")


def _check_ids(place: Path, ids: Shaped[np.ndarray, " clips"]) -> None:
    """Check that each clip has an id of its own: labels are kept by it, and would come to another clip's."""
    names, counts = np.unique(ids, return_counts=True)
    if len(names) < len(ids):
        often = int(counts.argmax())
        raise MfclError(
            f"{place}: {counts[often]} clips have the id {str(names[often])!r}, by which labels are kept; give each "
            "clip one of its own"
        )


def _check_differ(place: Path, vectors: Float32[np.ndarray, "clips _"]) -> None:
    """Check that there is something to compare, before anything is made of it."""
    if len(vectors) < 2:
        raise MfclError(f"{place}: wanted 2 clips or more to compare, got {len(vectors)}; embed more recordings")
    if not (differ(vectors[:SOME]) or differ(vectors)):  # all of many are only looked at where the first are equal
        raise MfclError(
            f"{place}: wanted vectors that differ, but those of all {len(vectors)} clips are equal; embed other "
            "recordings, or with another model"
        )


def _manifest_of(place: Path) -> Path | None:
    return place / "manifest.csv" if (place / "manifest.csv").is_file() else None


def _of_run(place: Path, audio: Path | None, data_root: Path | None, folder: Path, *, progress: bool) -> Collection:
    """Embed a run's own recordings, or others, with its model; what this model embedded before is used again.

    Labels and splits are those of the list as it is now: the kept file is the vectors' alone.
    """
    listed = audio if audio is not None else _manifest_of(place)
    if listed is None:
        raise MfclError(f"{place}: a model without a list of recordings; give recordings with --audio")
    manifest = open_manifest(listed, data_root=data_root)
    kept = hashlib.sha256(f"{Path(listed).absolute()}".encode()).hexdigest()[:8]
    folder = folder if audio is None else folder / f"{manifest.root.name}-{kept}"
    made = folder / f"embeddings-{manifest.files_key(('explore', _model_key(place)))[:12]}.npz"
    if not made.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        words = own_process("mfcl", "embed", place, listed, "--out", made)
        words += ["--data-root", str(data_root)] if data_root else []
        words += [] if progress else ["--quiet"]
        done = subprocess.run(words, stdout=subprocess.DEVNULL, check=False)
        if done.returncode:
            raise MfclError(f"{listed}: could not be embedded with {place}; see the line above")
    found, known = load_embeddings(made), {recording.id: recording for recording in manifest}
    own = [known[name] for name in found.ids.tolist()]
    labels = {name: np.array([one.label(name) for one in own]) for name in manifest.label_names}
    found = replace(found, labels=labels, splits=np.array([one.split or "" for one in own]))
    return _matched(place.name, found, manifest, folder, place, ())


def _model_key(run: Path) -> str:
    """Return what tells a run's model from one that was trained in its place: its `config.json` names the weights."""
    for path in (run / "config.json", run / "model" / "config.json"):
        if path.is_file():
            return hashlib.sha256(path.read_bytes()).hexdigest()
    return ""


def _explored(
    name: str, embeddings: Embeddings, audio: Path | None, data_root: Path | None, folder: Path, model: Path | None
) -> Collection:
    if audio is None:
        note = "No sound: name the recordings with --audio."
        return Collection(name, embeddings, {}, folder, model, (note,))
    try:
        manifest = (
            read_manifest(audio, data_root=data_root)
            if audio.suffix == ".csv"
            else open_manifest(audio, data_root=data_root)
        )
    except ManifestError as error:
        if not is_there(audio):
            raise
        return Collection(name, embeddings, {}, folder, model, (f"No sound: {error}",))
    return _matched(name, embeddings, manifest, folder, model, manifest.notes)


def _matched(
    name: str, embeddings: Embeddings, manifest: Manifest, folder: Path, model: Path | None, notes: tuple[str, ...]
) -> Collection:
    """Find each clip's recording by its id; a window's id is that of its recording, `@` and its start."""
    known = {recording.id: recording for recording in manifest}
    windows = all(name in embeddings.labels for name in WINDOW_TIMES)
    found: dict[int, Recording] = {}
    for clip, given in enumerate(embeddings.ids.tolist()):
        one = known.get(given)
        if one is None and windows:
            one = _window(known.get(given.rpartition("@")[0]), embeddings, clip)
        if one is not None:
            found[clip] = one
    if not found:
        example = str(embeddings.ids[0]) if len(embeddings) else ""
        raise MfclError(
            f"{manifest.root}: none of its {len(manifest)} recordings is among the {len(embeddings)} clips, such as "
            f"{example!r}; give the recordings that were embedded"
        )
    gone = len({one.path for one in found.values() if not isinstance(one.path, UrlPath) and not is_there(one.path)})
    told = [*notes]
    if len(found) < len(embeddings):
        silent = len(embeddings) - len(found)
        clips = worded(len(embeddings), "clip")
        told.append(
            f"{silent} of {clips} {'has no recording and stays' if silent == 1 else 'have no recording and stay'} "
            f"silent."
        )
    if gone:
        were = worded(
            gone, "recording is not where it was; if it was", "recordings are not where they were; if they were"
        )
        told.append(f"{were} moved, give {'its' if gone == 1 else 'their'} folder (--data-root).")
    return Collection(name, embeddings, found, folder, model, tuple(told))


def _window(recording: Recording | None, embeddings: Embeddings, clip: int) -> Recording | None:
    """Return a window of a recording; its labels are times in the file, also where the recording is a part of one."""
    if recording is None:
        return None
    first, last = (float(embeddings.labels[side][clip]) for side in WINDOW_TIMES)
    labels = {name: str(values[clip]) for name, values in embeddings.labels.items() if name not in WINDOW_TIMES}
    return Recording(str(embeddings.ids[clip]), recording.path, first, last, labels, recording.split)
