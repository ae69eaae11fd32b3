"""Sound files of four kinds: read, prepared and scanned."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import soundfile

from mfcl.audio import Preparation, prepare, read_audio
from mfcl.data.layouts import open_manifest
from mfcl.data.scanning import scan
from tests.fuzz.kinds import Kind
from tests.fuzz.mutations import spoil_bytes
from tests.sounds import word

WRITTEN = (("pcm.wav", "PCM_16"), ("float.wav", "FLOAT"), ("a.flac", None), ("a.ogg", None), ("a.mp3", None))


def write(folder: Path) -> None:
    """Write a word as each kind."""
    for name, kind in WRITTEN:
        soundfile.write(folder / name, word(0, 3), 16000, subtype=kind)


def spoil(folder: Path, chance: Random) -> None:
    """Keep one file alone, spoilt."""
    chosen = chance.choice(sorted(folder.iterdir()))
    for path in folder.iterdir():
        if path != chosen:
            path.unlink()
    chosen.write_bytes(spoil_bytes(chance, chosen.read_bytes()))


def use(folder: Path) -> Iterator[object]:
    """Scan the folder, then read each file and prepare it."""
    yield scan(open_manifest(folder), workers=1, progress=False).table()
    for path in sorted(folder.iterdir()):
        samples, rate = read_audio(path)
        yield samples
        yield prepare(samples, rate, Preparation())


KIND = Kind(write, spoil, use)
