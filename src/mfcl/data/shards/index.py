"""Write the index of a pack: a manifest, whose paths name spans of tars."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from mfcl.core.files import replacing
from mfcl.core.spans import Span
from mfcl.data.manifest import Recording
from mfcl.data.manifest_blocks import ListedParts
from mfcl.data.shards.receipt import AGAIN, INDEX, Shard, key_of, tar_path
from mfcl.errors import ManifestError


def write_index(folder: Path, listed: ListedParts, shards: Iterable[Shard]) -> None:
    """Write the manifest of the packed recordings, in the list's order."""
    names = listed.label_names
    with replacing(folder / INDEX) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
        table.writerow(["path", "id", "split", *names])
        for recording, span in _packed(folder, listed, shards):
            place = span.path.relative_to(folder).as_posix()
            labels = (recording.label(name) for name in names)
            table.writerow([place, recording.id, recording.split or "", *labels])


def _packed(folder: Path, listed: ListedParts, shards: Iterable[Shard]) -> Iterator[tuple[Recording, Span]]:
    """Yield the recordings that were packed, each with its place.

    Raises:
        ManifestError: the list is no longer the one that was opened, or a packed name is of another recording.
    """
    rows = enumerate(listed.rows_of_digest())
    for shard in shards:
        for number, offset, size, name, *_ in shard.members:
            recording = next((one for at, one in rows if at == number), None)
            if recording is None or not name.startswith(f"{key_of(number, recording.id)}."):
                raise ManifestError(f"{listed.root}: the list changed while it was packed; {AGAIN} into another folder")
            yield recording, Span(tar_path(folder, shard.number), offset, size, name)
    for _ in rows:  # to its end, where it is compared
        pass
