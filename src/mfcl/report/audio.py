"""The sound of the clips on the maps, small enough to travel inside the page."""

import base64
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mfcl.audio import read_audio, resample, write_audio
from mfcl.core.console import have, worded
from mfcl.data.manifest import Recording
from mfcl.data.manifest_csv import read_manifest
from mfcl.errors import AudioError, MfclError

LIMIT = 8_000_000
"""Characters of sound in a page."""

LONGEST = 5.0
"""Seconds of a clip; the rest of a longer one is left out."""

RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""Hz that MP3 can hold; it is chosen because every browser plays it."""


@dataclass(frozen=True)
class Sounds:
    """What can be heard.

    Attributes:
        addresses: Clip -> data address.
        note: What is missing and why, empty where nothing is.
    """

    addresses: dict[str, str]
    note: str


def clip_sounds(folder: Path, clips: Sequence[str], *, limit: int = LIMIT, data_root: Path | None = None) -> Sounds:
    """Return the sound of clips of a study's manifest, as many as there is room for, taken evenly.

    Raises:
        MfclError: no manifest, or none of its files is there any more.
    """
    path = folder / "manifest.csv"
    if not path.is_file():
        raise MfclError(f"{path}: wanted for the sound, is not there; run `mfcl study` again or leave the sound out")
    known = {recording.id: recording for recording in read_manifest(path, data_root=data_root)}
    found: dict[str, str] = {}
    room, silent, full = limit, 0, 0
    with tempfile.TemporaryDirectory() as workplace:
        for name in evenly(clips):
            address = _address(known.get(name), Path(workplace))
            if address is None:
                silent += 1
            elif len(address) > room:
                full += 1
            else:
                found[name] = address
                room -= len(address)
            if full > 20:  # there is no room left worth looking for
                break
    left_out = len(clips) - len(found) - silent
    notes = (
        [f"{left_out} of {worded(len(clips), 'clip')} {have(left_out)} no sound here: the page would become too large"]
        if left_out
        else []
    )
    notes += [f"{worded(silent, 'clip')} could not be read"] if silent else []
    return Sounds(found, "; ".join(notes))


def evenly(names: Sequence[str]) -> list[str]:
    """Return names in an order of which every beginning is spread over the whole."""
    golden = 0.6180339887498949  # multiples of it fall evenly between 0 and 1, wherever they are stopped
    return [names[place] for place in sorted(range(len(names)), key=lambda place: place * golden % 1)]


def _address(recording: Recording | None, workplace: Path) -> str | None:
    """Return a recording as data address; none where it cannot be read."""
    if recording is None:
        return None
    start = recording.start or 0.0
    end = min(recording.end if recording.end is not None else start + LONGEST, start + LONGEST)
    try:
        samples, rate = read_audio(recording.path, start=recording.start, end=end)
    except AudioError:
        return None
    target = rate if rate in RATES else min((one for one in RATES if one >= rate), default=RATES[-1])
    for suffix, kind in ((".mp3", "mpeg"), (".wav", "wav")):  # an old sound library may not know MP3
        path = workplace / f"clip{suffix}"
        try:
            write_audio(path, resample(samples, rate, target), target)
        except AudioError:
            continue
        return f"data:audio/{kind};base64," + base64.b64encode(path.read_bytes()).decode("ascii")
    return None
