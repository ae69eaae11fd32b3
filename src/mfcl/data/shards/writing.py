"""Pack a list of recordings of any size into tars of bounded size, in bounded memory; a killed call goes on."""

from dataclasses import asdict, dataclass
from pathlib import Path

from mfcl.audio.lossless import Encoding
from mfcl.core.console import print_notes
from mfcl.core.files import check_folder_place
from mfcl.core.limits import MOST_MEGABYTES
from mfcl.core.progress import progress as progress_bar
from mfcl.core.urls import local_path
from mfcl.core.writers import only_writer
from mfcl.data.manifest import Manifest
from mfcl.data.manifest_blocks import list_parts
from mfcl.data.manifest_csv import check_labels
from mfcl.data.shards.receipt import INDEX, PACK, Pack, is_pack, read_pack, write_pack
from mfcl.data.shards.tars import ShardWriter
from mfcl.errors import ManifestError, check_choice, check_number

ENCODINGS = ("flac", "wav")


@dataclass(frozen=True)
class Packed:
    """What a call did.

    Attributes:
        folder: The pack.
        items: Recordings of the list.
        packed: Recordings in the pack.
        shards: Number of tars.
        made: Shards that this call wrote; the others were there before.
        rounded: Recordings whose samples were rounded, as the encoding does not hold them exactly.
        bytes: Of all tars.
    """

    folder: Path
    items: int
    packed: int
    shards: int
    made: int
    rounded: int
    bytes: int


def pack(
    data: str | Path | Manifest,
    out: str | Path,
    *,
    encoding: Encoding = "flac",
    shard_megabytes: int = 256,
    strict: bool = False,
    data_root: Path | None = None,
    progress: bool = True,
) -> Packed:
    """Pack recordings into a folder of tars that takes the place of a folder, corpus or manifest everywhere.

    Each tar holds for each recording `KEY.flac` (or `.wav`) and `KEY.json`, with id, split and all labels, as
    WebDataset reads them. A recording is kept with all its channels at its own rate; of a segment of a file only the
    segment. PCM of up to 24 bits comes back sample for sample; what neither 16 nor 24 bits hold is rounded to 24
    (`wav`: 16) and counted. Shards that are there are kept, so a killed call goes on.

    Args:
        data: The recordings: best a CSV, which is read row by row; also a folder, a corpus or a `Manifest`.
        out: The folder of the pack.
        encoding: `flac`, or `wav` with 16 bits.
        shard_megabytes: Most megabytes of a tar, unless a single recording has more.
        strict: Raise an error at the first unreadable recording.
        data_root: For a manifest: the folder that holds the recordings now, if they were moved.
        progress: Show a progress bar.

    Raises:
        MfclError: the folder holds another pack or a damaged one, none of the recordings can be used, or (`strict`)
            one cannot.
    """
    folder = local_path(out, "out")
    check_choice("encoding", encoding, ENCODINGS, error=ManifestError)
    check_number("shard_megabytes", shard_megabytes, 1, MOST_MEGABYTES, whole=True, error=ManifestError)
    check_folder_place(folder)
    listed = list_parts(data, data_root=data_root)
    print_notes(listed.notes)
    if listed.loose:
        raise ManifestError(
            f"{listed.root}: {listed.loose!r} is a segment of a file and has no split; in a pack segments are "
            "recordings of their own, and those of one file could get into different splits: give a column `split`"
        )
    check_labels(["path", "id", "split", *listed.label_names], listed.label_names, folder / INDEX)
    asked = Pack(listed.digest, listed.count, encoding, shard_megabytes * 10**6)
    folder.mkdir(parents=True, exist_ok=True)
    with only_writer(folder, "pack", error=ManifestError):
        _begin(folder, asked)
        with progress_bar(total=listed.count, what="packing", unit="clips", shown=progress) as bar:
            writer = ShardWriter(folder, asked, listed, strict, bar)
            made = writer.write()
    tars = [shard for shard in writer.shards if shard.bytes]
    return Packed(
        folder,
        asked.items,
        packed=sum(shard.packed for shard in tars),
        shards=len(tars),
        made=made,
        rounded=sum(shard.rounded for shard in tars),
        bytes=sum(shard.bytes for shard in tars),
    )


def _begin(folder: Path, asked: Pack) -> None:
    """Write the receipt of a new pack, or check that it has this one already."""
    if not is_pack(folder):
        others = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
        if others:
            raise ManifestError(f"{folder}: it holds {min(others)} and no {PACK}; choose an empty folder for a pack")
        write_pack(folder, asked, None)
    found, _ = read_pack(folder)
    difference = asked.difference(asdict(found))
    if difference is not None:
        raise ManifestError(f"{folder}: it holds a pack of {difference}; choose another folder")
