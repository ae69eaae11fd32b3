"""Where a gallery's sound comes from: files, folders, lists, arrays; held-out people; the cohort."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mfcl.audio.arrays import listed
from mfcl.core.console import print_notes
from mfcl.core.random import generator
from mfcl.core.urls import UrlPath, as_path
from mfcl.data.dataset import guessed_labels
from mfcl.data.decoding import LeftOut
from mfcl.data.ids import readable
from mfcl.data.layouts import open_manifest
from mfcl.data.manifest import Manifest, Recording
from mfcl.errors import GalleryError, ManifestError, check_type, one_of
from mfcl.voices.held_out import People
from mfcl.voices.sound import Heard, Listener

COHORT_SIZE = 300
"""Training recordings that are kept to normalise scores by."""


def manifest_of(files: str | Path | Manifest | Sequence[str | Path]) -> Manifest:
    """Return the recordings of a file, a folder, a list, or several of them; their paths are the ids.

    A recording of a list keeps its id; one of another list with the same id has its folder in front.

    Raises:
        ManifestError: a path does not exist or holds no audio, or two recordings of lists cannot be told apart.
    """
    if isinstance(files, Manifest):
        return files
    given = [files] if isinstance(files, str | Path) else listed(files)
    for one in given:
        check_type("recordings", one, str | Path, "files or folders", error=GalleryError, do="`identify` takes arrays")
    found: dict[str, Recording] = {}
    for one in given:
        path = as_path(one)
        opened = open_manifest(path)
        print_notes(opened.notes)
        for recording in opened:
            itself = opened.layout == "one file"
            name = readable(str(path if itself else path / recording.id)) if itself or path.is_dir() else recording.id
            if name in found and not _same_sound(found[name], recording):
                name = readable(str(opened.root / recording.id))
                if name in found and not _same_sound(found[name], recording):
                    raise ManifestError(f"{path}: another recording is called {name} too; rename one")
            found[name] = replace(recording, id=name)
    if not found:
        raise ManifestError("wanted files of sound, got none; give at least one")
    return Manifest(tuple(found.values()), Path())


def _same_sound(one: Recording, other: Recording) -> bool:
    places = [each.path if isinstance(each.path, UrlPath) else each.path.absolute() for each in (one, other)]
    return places[0] == places[1] and (one.start, one.end) == (other.start, other.end)


def held_out_people(
    data: str | Path | Manifest,
    listener: Listener,
    left_out: LeftOut,
    *,
    speaker: str | None = None,
    label: str | None = None,
    split: str | None = None,
) -> People:
    """Return the clips of a labelled list or folder, with their people.

    Args:
        data: A list, a corpus or a folder whose sub-folders are people.
        listener: Hears the recordings.
        left_out: Collects recordings that cannot be read.
        speaker: Column of the people; default: one with a usual name, or the only label of a folder.
        label: Column of what is said; default: one with a usual name, if there is any.
        split: Only recordings of this split.

    Raises:
        ManifestError: there is no such column or split.
    """
    manifest = data if isinstance(data, Manifest) else open_manifest(data)
    print_notes(manifest.notes)
    names = manifest.label_names
    guessed_word, guessed = guessed_labels(names, label, speaker)
    who = guessed or (names[0] if len(names) == 1 else None)
    word = guessed_word if guessed_word != who else None
    for wanted in (who, word):
        if wanted is not None and wanted not in names:
            raise ManifestError(f"{manifest.root}: {one_of('column', wanted, names)}")
    if who is None:
        raise ManifestError(f"{manifest.root}: no column names the people; name one (--speaker)")
    kept = manifest.column(who) != ""
    if guessed is None:
        one = next((str(name) for name in manifest.column(who)[kept]), "")
        print_notes([f"the values of {who!r}, the only label, are taken for people, such as {one!r} (--speaker)"])
    if split is not None:
        check_type("split", split, str, "its name", error=ManifestError)
        splits = {one for one in manifest.splits if one}
        if not splits:
            raise ManifestError(
                f"{manifest.root}: wanted the split {split!r}, but no recording has a split; take them all"
            )
        if split not in splits:
            raise ManifestError(f"{manifest.root}: {one_of('split', split, splits)}")
        kept &= manifest.splits == split
    if not kept.any():
        raise ManifestError(f"{manifest.root}: no recording has a {who}; fill the column")
    chosen = manifest.select(np.flatnonzero(kept))
    heard, places = listener.hear(chosen, left_out)
    words = chosen.column(word)[places] if word else np.full(len(places), "")
    return People(heard, chosen.column(who)[places], words)


def cohort_of(data: str | Path | Manifest, listener: Listener, left_out: LeftOut, *, size: int) -> Heard:
    """Return a draw of the training recordings of a list, or of all recordings of one without a training split."""
    manifest = data if isinstance(data, Manifest) else open_manifest(data)
    train = np.flatnonzero(manifest.splits == "train")
    usable = train if len(train) else np.arange(len(manifest))
    drawn = np.sort(usable[generator(0, "cohort").permutation(len(usable))[:size]])
    return listener.hear(manifest.select(drawn), left_out)[0]


def training_list(model_folder: str | Path) -> Path:
    """Return the list of recordings that a model was trained on, which lies in its run folder.

    Raises:
        GalleryError: the model's folder is not in a run folder.
    """
    found = Path(model_folder).resolve().parent / "manifest.csv"
    if not found.is_file():
        raise GalleryError(
            f"{model_folder}: not in a run folder with its manifest.csv; name recordings of other voices to normalise "
            "scores by (--cohort), or none (--cohort none)"
        )
    return found
