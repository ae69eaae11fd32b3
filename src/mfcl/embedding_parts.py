"""Embed a list of recordings of any size in part files, which any number of processes and machines may share."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import mfcl
from mfcl.checkpoint import Checkpoint, model_digest
from mfcl.core.console import print_notes, worded
from mfcl.core.extras import need
from mfcl.core.files import check_folder_place, is_there
from mfcl.core.limits import MOST_PARTS
from mfcl.core.machine import pick_device
from mfcl.core.progress import progress as progress_bar
from mfcl.core.urls import local_path
from mfcl.data.decoding import LeftOut
from mfcl.data.manifest import Manifest
from mfcl.data.manifest_blocks import ListedParts, list_parts
from mfcl.data.unchanged import Contents, Marks, are_those, marks_of
from mfcl.embedder import Embedder, check_asked, checkpoint_of, hop_seconds
from mfcl.embedding_lists import Asked, embed_recordings
from mfcl.embeddings.parquet_file import EXTRA, PARQUET
from mfcl.embeddings.part_files import AGAIN, PartFiles, Receipt, begin_parts
from mfcl.errors import AudioError, MeasureError, check_number, shown
from mfcl.models.inference import Format

FAILURES = "failures.csv"
"""File in a folder of parts that names the recordings of all parts that could not be read."""


@dataclass(frozen=True)
class PartsMade:
    """What a call did.

    Attributes:
        folder: The folder of parts.
        parts: Number of parts of the whole list.
        made: Parts that this call wrote.
        kept: Parts of its share that were there before.
        missing: Parts, of any share, that are still missing.
        items: Recordings of the whole list.
    """

    folder: Path
    parts: int
    made: int
    kept: int
    missing: int
    items: int


def embed_parts(
    model: Embedder | Checkpoint | str | Path,
    data: str | Path | Manifest,
    out: str | Path,
    *,
    parts: int,
    share: tuple[int, int] = (1, 1),
    parquet: bool = False,
    format: Format | None = None,
    part: str | None = None,
    whiten: bool = False,
    window: int | float | None = None,
    hop: int | float | None = None,
    batch: int = 64,
    strict: bool = False,
    data_root: Path | None = None,
    device: str = "auto",
    progress: bool = True,
) -> PartsMade:
    """Embed recordings into a folder of part files; parts that are there already are kept, so a killed call goes on.

    A part is written once, whole, with the recordings that could not be read and a receipt: model, list of recordings,
    settings, versions. The parts hold in their order what one call of `mfcl.embed` returns, to the last bit where the
    batches are the same. Read them by `mfcl.load_embeddings`, or one at a time by `mfcl.embeddings.blocks.open_blocks`.
    Memory grows with the recordings of a part, and by 8 bytes for each of a CSV, not with the whole list.

    Args:
        model: A trained model, or the folder of a model or a run.
        data: The recordings: best a CSV, which is read row by row; also a folder, an audio file or a `Manifest`.
        out: The folder of parts, the same for all shares.
        parts: Number of part files; each should hold some hundreds or thousands of recordings.
        share: Make only parts i, i + n, i + 2n, ... for the share (i, n), i from 1 to n.
        parquet: Write `.parquet` (extra `parquet`) in place of `.npz`.
        format: See `mfcl.embed`, as the following.
        part: One part of the embedding, `words` or `voices`.
        whiten: Whether to whiten.
        window: Window length in seconds.
        hop: Step between windows in seconds.
        batch: Recordings per forward pass.
        strict: Raise an error at the first unreadable file.
        data_root: For a manifest: the folder that holds the recordings now, if they were moved.
        device: `auto`, `cpu`, `cuda`, ...
        progress: Show a progress bar.

    Raises:
        MfclError: the folder holds parts of something else, a part in it is damaged or none of its files exists, or
            (`strict`) a file could not be read.
    """
    if not isinstance(share, list | tuple) or len(share) != 2:
        raise MeasureError(f"share: wanted two numbers, such as (3, 8) for the third of eight, got {shown(share)}")
    number, shares = share
    check_number("share", shares, 1, MOST_PARTS, whole=True, error=MeasureError)
    check_number("share", number, 1, shares, whole=True, error=MeasureError)
    parts, whiten, window, hop = (_plain(one) for one in (parts, whiten, window, hop))  # the receipt is JSON
    asked = Asked(format, part, whiten, window, hop_seconds(window, hop), batch)
    plan = plan_parts(model, data, out, asked, parts=parts, parquet=parquet, data_root=data_root)
    if not (isinstance(model, Embedder) and device == "auto"):  # an Embedder stays on the device it was loaded to
        plan.loaded.model.to(pick_device(device))
    own, made = range(number - 1, parts, shares), 0
    maker = PartMaker(plan.files, plan.loaded, plan.asked, plan.listed.embedded_names, LeftOut(strict))
    total = sum(end - first for first, end in (plan.listed.limits(one, parts) for one in own))
    with progress_bar(total=total, what="embedding", unit="clips", shown=progress) as bar:
        for one, manifest in plan.listed.parts(own, parts):
            made += maker.make(one, manifest, bar)
    missing = close_parts(plan.files, maker.left_out)
    return PartsMade(plan.files.folder, parts, made, len(own) - made, missing, plan.listed.count)


@dataclass(frozen=True)
class PartsPlan:
    """What is to be made, after every check that can be made before.

    Attributes:
        files: The folder with its receipt.
        loaded: The model.
        listed: The recordings.
        asked: What is asked for, with the model's own format where none was named.
    """

    files: PartFiles
    loaded: Checkpoint
    listed: ListedParts
    asked: Asked


def plan_parts(
    model: Embedder | Checkpoint | str | Path,
    data: str | Path | Manifest,
    out: str | Path,
    asked: Asked,
    *,
    parts: int,
    parquet: bool,
    data_root: Path | None,
) -> PartsPlan:
    """Check all that is asked, read the list, and write the folder's receipt; see `embed_parts`.

    Raises:
        MfclError: the model or the list cannot be used as asked, or the folder holds parts of something else.
    """
    folder = local_path(out, "out")
    check_number("parts", parts, 1, MOST_PARTS, whole=True, error=MeasureError)
    if parquet:
        need("pyarrow.parquet", EXTRA)
    loaded = checkpoint_of(model)
    asked = replace(asked, format=asked.format or loaded.model.default_format)
    check_asked(loaded, asked.format, asked.part, whiten=asked.whiten)
    check_folder_place(folder)
    listed = list_parts(data, data_root=data_root)
    print_notes(listed.notes)
    if parts > listed.count:
        rows = worded(listed.count, "recording")
        raise MeasureError(f"parts: wanted at most one for each of the {rows}, got {parts}")
    settings = {name: value for name, value in asdict(asked).items() if name != "batch"}
    suffix = PARQUET if parquet else ".npz"
    files = begin_parts(folder, Receipt(parts, listed.count, listed.digest, model_digest(loaded), suffix, settings))
    return PartsPlan(files, loaded, listed, asked)


def _plain(value: Any) -> Any:
    """Return a number of NumPy as one of Python, which JSON can hold."""
    return value.item() if isinstance(value, np.generic) else value


def close_parts(files: PartFiles, left_out: LeftOut) -> int:
    """Return how many parts are missing; if none, write the list of all recordings that could not be read.

    Args:
        files: The folder.
        left_out: Those of the parts that were just made, which are said if parts are missing.
    """
    missing = len(files.missing())
    if missing:
        left_out.write(None)
    else:
        _all_left_out(files).write(files.folder / FAILURES)
    return missing


@dataclass(frozen=True)
class PartMaker:
    """Makes parts, one after another."""

    files: PartFiles
    loaded: Checkpoint
    asked: Asked
    label_names: tuple[str, ...]
    left_out: LeftOut

    def make(self, part: int, manifest: Manifest, bar: Any) -> bool:
        """Embed one part and write its file, or check the one that is there; return whether it was made."""
        path, marks = self.files.path(part), marks_of(manifest)
        if path.is_file():
            if not are_those(manifest, marks, self.files.read_receipt(part)):
                raise MeasureError(
                    f"{path}: some of its recordings changed since it was made; delete it and {AGAIN}, or choose "
                    "another folder"
                )
            bar.update(len(manifest))
            return False
        own, model, contents = LeftOut(self.left_out.strict), self.files.receipt.model, Contents()
        found = embed_recordings(
            self.loaded, manifest, own, self.asked,
            bar=bar, label_names=self.label_names, digest=model, read=contents.add,
        )  # fmt: skip
        if not len(found) and not any(is_there(recording.path) for recording in manifest):
            raise AudioError(
                f"{path.name}: none of its {worded(len(manifest), 'file')} exists, such as "
                f"{manifest.recordings[0].path}; is the storage there? {AGAIN} when it is"
            )
        if marks_of(manifest) != marks:
            raise MeasureError(
                f"{path.name}: some of its recordings changed while they were read; {AGAIN} when they are written"
            )
        found.save(path, receipt=self._receipt(part, len(manifest), marks, contents, own))
        self.left_out.reasons += own.reasons
        self.left_out.notices += own.notices
        return True

    def _receipt(
        self, part: int, recordings: int, marks: Marks, contents: Contents, left_out: LeftOut
    ) -> dict[str, Any]:
        kinds = (("failure", left_out.reasons), ("notice", left_out.notices))
        return {
            **asdict(self.files.receipt),
            "part": part,
            "recordings": recordings,
            **marks._asdict(),
            "contents": contents.digest(),
            "failures": [[name, text, kind] for kind, some in kinds for name, text in some],
            "versions": {"mfcl": mfcl.__version__, "torch": torch.__version__, "numpy": np.__version__},
        }


def _all_left_out(files: PartFiles) -> LeftOut:
    """Return the recordings of all parts that could not be read, or have problems."""
    found = LeftOut()
    for part in range(files.receipt.parts):
        for name, text, kind in files.read_receipt(part)["failures"]:
            (found.reasons if kind == "failure" else found.notices).append((name, text))
    return found
