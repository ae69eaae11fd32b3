"""A table in the columns that embedding-atlas reads: places on the map, nearest clips, labels, and the sound."""

from pathlib import Path
from typing import Any

import numpy as np

from mfcl.core.files import replacing
from mfcl.errors import AudioError, MfclError
from mfcl.explore.background import place
from mfcl.explore.session import Session

NEAREST = 15


def write_parquet(session: Session, path: Path, *, audio: bool = False) -> None:
    """Write a Parquet file with a row a clip.

    Columns: `row` (the clip's number, which `neighbors` names), `id`, `x` and `y` (t-SNE; of further parts `x_voices`
    and so on), `neighbors` (`ids` and `distances`), every label, for columns labelled on the page `NAME_guess` and
    `NAME_confidence` too, and with `audio` the sound as WAV (`audio.bytes`).

    Raises:
        MfclError: pyarrow is not installed, or the file cannot be written.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise MfclError("pyarrow is not installed; install it with pip install 'mfcl[explore]'") from None
    clips = session.collection
    table: dict[str, Any] = {"row": np.arange(len(clips), dtype=np.int64), "id": clips.embeddings.ids.tolist()}
    for number, part in enumerate(session.parts):
        place(session.spaces, part, session.maps)
        found = session.spaces.map(part)
        places = session.spaces.principal(part) if found is None else found
        ending = f"_{part}" if number else ""
        table |= {f"x{ending}": places[:, 0], f"y{ending}": places[:, 1]}
    table["neighbors"] = _neighbours(session)
    for name, values in clips.columns.items():
        table[_free(name, table)] = values.tolist()
    for name in session.book.columns:
        table[_free(name, table)] = session.book.labels(name).tolist()
        session.assistant.settle(name)
        guesses = session.assistant.guesses_to_keep(name)
        if guesses is not None:
            names = [*guesses.classes, ""]
            table[_free(f"{name}_guess", table)] = [names[code] for code in guesses.codes]
            table[_free(f"{name}_confidence", table)] = guesses.confidence
    if audio:
        table["audio"] = [_wav(session, clip) for clip in range(len(clips))]
    with replacing(path) as temporary:
        pyarrow.parquet.write_table(pyarrow.table(table), temporary)


def _neighbours(session: Session) -> list[dict[str, list[Any]]]:
    places, angles = session.spaces.prepared.table(session.spaces.kind(session.parts[0]))
    rows = []
    for clip, (near, angle) in enumerate(zip(places, angles, strict=True)):
        other = near != clip
        distances = 1 - np.cos(angle[other][:NEAREST].astype(np.float64))
        rows.append({"ids": near[other][:NEAREST].tolist(), "distances": distances.tolist()})
    return rows


def _free(name: str, table: dict[str, Any]) -> str:
    """Return a column's name, with `label_` before it where it is taken."""
    while name in table:
        name = f"label_{name}"
    return name


def _wav(session: Session, clip: int) -> dict[str, Any] | None:
    try:
        return {"bytes": session.sounds.wav(clip), "path": f"{clip}.wav"}
    except AudioError:
        return None
