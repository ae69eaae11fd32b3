"""Take voices out of a gallery and into another one of the same model."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mfcl.core.files import check_file_place, check_folder_place, replacing
from mfcl.embeddings.table import Embeddings
from mfcl.errors import GalleryError
from mfcl.voices.places import check_free, is_address
from mfcl.voices.server_search import FILLED
from mfcl.voices.storage import Storage, Voice


@dataclass(frozen=True)
class Imported:
    """What an import did."""

    voices: int
    clips: int
    skipped: int
    """Clips that were there already."""


def export(storage: Storage, out: str | Path, names: Sequence[str] = ()) -> list[Voice]:
    """Write voices to a new gallery, or as embeddings with the label `voice` if `out` ends in `.npz`.

    A new gallery has the model, the cohort and the calibration too, so it can be used and imported. A file is there
    only when it is whole.

    Args:
        storage: Where they are.
        out: The new file, or the address of an empty PostgreSQL database.
        names: The voices; all if left out.

    Returns:
        The voices that were written.

    Raises:
        GalleryError: there is no such voice, or none at all, or the file is there already (an `.npz` is replaced).
    """
    chosen = _chosen(storage, names)
    if not chosen:
        raise GalleryError(f"{storage.name}: no voice is enrolled; there is nothing to export")
    if not is_address(out) and Path(out).suffix == ".npz":
        _export_npz(storage, Path(out), chosen)
        return chosen
    if is_address(out):
        _export_gallery(storage, out, chosen)
        return chosen
    check_free(out)
    with replacing(Path(out)) as temporary:
        _export_gallery(storage, temporary, chosen)
        for end in ("-wal", "-shm"):  # of a gallery that was here once: SQLite would read it into this one
            Path(os.path.realpath(out) + end).unlink(missing_ok=True)
    return chosen


def _chosen(storage: Storage, names: Sequence[str]) -> list[Voice]:
    """Return the voices of these names, each once; all where no name is given."""
    return list({voice.id: voice for voice in map(storage.find, names)}.values()) if names else storage.voices()


def _export_gallery(storage: Storage, out: str | Path, chosen: Sequence[Voice]) -> None:
    own = ("schema", "written_by", "changes", FILLED)
    about = {name: value for name, value in storage.about().items() if name not in own}
    made = Storage.create(out, about, storage.cohort())
    try:
        calibration = storage.calibration()
        if calibration is not None:
            made.calibrate(calibration)
        for voice in chosen:
            made.enrol(voice.name, storage.clips(voice.name), consent=voice.consent, note=voice.note)
    finally:
        made.close()


def take_in(storage: Storage, other: Storage) -> Imported:
    """Add all voices of another gallery; clips of a voice that are there already are left out.

    The date of consent and the note of a voice that is here already stay; where there are none, the other's are taken.

    Raises:
        GalleryError: it is bound to another model.
    """
    mine, theirs = storage.about(), other.about()
    if mine["digest"] != theirs["digest"]:
        raise GalleryError(
            f"{other.name}: bound to the model {theirs['digest'][:12]}, {storage.name} to {mine['digest'][:12]}; "
            "embeddings of two models cannot be compared: enrol the recordings again"
        )
    known = {voice.name: voice for voice in storage.voices()}
    added = skipped = 0
    voices = other.voices()
    for voice in voices:
        clips, name = other.clips(voice.name), storage.spelled(voice.name)
        here = known.get(name, voice)
        kept = sum(storage.enrol(name, clips, consent=here.consent or voice.consent, note=here.note or voice.note))
        added += kept
        skipped += len(clips) - kept
    return Imported(len(voices), added, skipped)


def write_audio(storage: Storage, folder: Path, names: Sequence[str] = ()) -> int:
    """Write the files that were kept to `folder/<voice number>/<clip number>-<file name>`; return how many."""
    check_folder_place(folder)
    chosen = _chosen(storage, names)
    written = 0
    for voice in chosen:
        for place, clip in enumerate(storage.clips(voice.name)):
            if clip.audio is not None:  # numbers: names of voices and sources may hold anything
                with replacing(folder / str(voice.id) / f"{place:03d}-{Path(clip.source).name}") as temporary:
                    temporary.write_bytes(clip.audio)
                written += 1
    return written


def _export_npz(storage: Storage, out: Path, voices: Sequence[Voice]) -> None:
    check_file_place(out)
    clips = [(voice.name, clip) for voice in voices for clip in storage.clips(voice.name)]
    if not clips:
        raise GalleryError(f"{storage.name}: these voices have no clips; there is nothing to export")
    vectors = np.stack([clip.vector for _, clip in clips])
    sources = np.array([f"{place}:{clip.source}" for place, (_, clip) in enumerate(clips)])
    labels = {"voice": np.array([name for name, _ in clips])}
    Embeddings(vectors, sources, labels, {"voices": (0, vectors.shape[1])}, np.full(len(clips), "")).save(out)
