"""Recordings from a path: a list, a corpus of a known layout, a folder of folders, or one file."""

import json
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from mfcl.audio import AUDIO_SUFFIXES
from mfcl.data.manifest import Manifest, Recording, readable
from mfcl.data.manifest_csv import read_manifest
from mfcl.errors import ManifestError

AUDIOMNIST = re.compile(
    r"(?P<speaker>[^/]+)/(?P<digit>[^/_]+)_(?P=speaker)_(?P<take>[^/]+)\.(?:wav|flac)", re.IGNORECASE
)
FSDD = re.compile(r"(?P<digit>\d)_(?P<speaker>[^/_]+)_(?P<take>\d+)\.(?:wav|flac)", re.IGNORECASE)
META = "audioMNIST_meta.txt"
OLDEST = 120  # years; the public file gives one speaker an age of 1234


def open_manifest(path: Path | str) -> Manifest:
    """Return the recordings that a path stands for, sorted by their names on every file system.

    - a `.csv` file, or a folder with a `manifest.csv`: that list, in its own order;
    - AudioMNIST's layout, `data/<speaker>/<digit>_<speaker>_<take>.wav` or `.flac`: labels `speaker`, `digit`, `take`,
      and what `audioMNIST_meta.txt` knows of the speakers;
    - the Free Spoken Digit Dataset's, `recordings/<digit>_<speaker>_<take>.wav`: labels `digit`, `speaker`, `take`;
    - any other folder: sub-folders are the labels `label`, `label_2` and so on;
    - a sound file: that one.

    Raises:
        ManifestError: no such path, or no sound in it.
    """
    given = Path(path)
    root = Path(os.path.abspath(given))  # noqa: PTH100  # unlike resolve, it keeps the names given
    if not root.exists():
        raise ManifestError(f"{given}: does not exist; give a folder of recordings, a CSV or a sound file")
    if root.is_file():
        if root.suffix.lower() == ".csv":
            return read_manifest(given)
        if root.suffix.lower() in AUDIO_SUFFIXES:
            return Manifest((Recording(root.name, root),), root.parent)
        raise ManifestError(f"{given}: neither a CSV nor a sound file ({', '.join(sorted(AUDIO_SUFFIXES))})")
    if (root / "manifest.csv").is_file():
        return read_manifest(given / "manifest.csv")
    names = _audio_names(root)
    if not names:
        raise ManifestError(
            f"{given}: no sound file in this folder ({', '.join(sorted(AUDIO_SUFFIXES))}); give another"
        )
    return _audiomnist(root, names) or _fsdd(root, names) or _folder(root, names)


def _audio_names(root: Path) -> list[str]:
    """Return the paths of all sound files below a folder, relative and sorted; hidden ones are left out."""
    names, visited = [], set()

    def refuse(error: OSError) -> None:
        raise ManifestError(f"{error.filename}: cannot be listed ({error.strerror}); make it readable") from error

    for folder, folders, files in os.walk(root, followlinks=True, onerror=refuse):
        real = os.path.realpath(folder)
        folders[:] = [] if real in visited else [name for name in folders if not name.startswith((".", "__MACOSX"))]
        if real in visited:  # links in a circle
            continue
        visited.add(real)
        inside = Path(folder).relative_to(root).as_posix()
        names += [
            name if inside == "." else f"{inside}/{name}"
            for name in files
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES  # noqa: PTH122
        ]
    # file systems differ in how they spell accents, and in the order in which they list
    return sorted(names, key=lambda name: (unicodedata.normalize("NFC", name), name))


def _audiomnist(root: Path, names: Sequence[str]) -> Manifest | None:
    below = "data/" if any(name.startswith("data/") for name in names) else ""
    names = [name for name in names if name.startswith(below)]
    matches = {name: AUDIOMNIST.fullmatch(name.removeprefix(below)) for name in names}
    if sum(match is not None for match in matches.values()) <= len(names) / 2:
        return None
    facts = _read_meta([root / META, root / below / META])
    recordings = []
    for name, match in matches.items():
        if match is not None:
            known = facts.get(match["speaker"].lstrip("0"), {})
            labels = {"speaker": match["speaker"], "digit": match["digit"], "take": match["take"]} | known
        else:
            labels = {}  # a stray file: the scan says that its labels are missing
        recordings.append(_recording(root, name, labels))
    return Manifest(tuple(recordings), root)


def _fsdd(root: Path, names: Sequence[str]) -> Manifest | None:
    below = "recordings/" if any(name.startswith("recordings/") for name in names) else ""
    names = [name for name in names if name.startswith(below)]
    matches = {name: FSDD.fullmatch(name.removeprefix(below)) for name in names}
    if sum(match is not None for match in matches.values()) <= len(names) / 2:
        return None
    found = (_recording(root, name, match.groupdict() if match else {}) for name, match in matches.items())
    return Manifest(tuple(found), root)


def _folder(root: Path, names: Sequence[str]) -> Manifest:
    recordings = []
    for name in names:
        levels = PurePosixPath(name).parts[:-1]
        labels = {"label" if level == 0 else f"label_{level + 1}": value for level, value in enumerate(levels)}
        recordings.append(_recording(root, name, labels))
    return Manifest(tuple(recordings), root)


def _recording(root: Path, name: str, labels: Mapping[str, str]) -> Recording:
    return Recording(readable(name), root / name, labels=dict(labels))


def _read_meta(places: Sequence[Path]) -> dict[str, dict[str, str]]:
    """Return what AudioMNIST's description says of each speaker, by number without leading zeros.

    The public file lacks some speakers, mixes numbers and texts, spells accents and rooms with and without capitals and
    holds an impossible age: what cannot be true is left out, and spellings are made one.
    """
    place = next((place for place in places if place.is_file()), None)
    if place is None:
        return {}
    try:
        text = re.sub(r",(\s*[}\]])", r"\1", place.read_text(encoding="utf-8-sig"))  # commas before an end
        speakers = json.loads(text)
    except (OSError, ValueError) as error:
        raise ManifestError(f"{place}: not the JSON that AudioMNIST has here ({error}); mend or remove it") from error
    if not isinstance(speakers, dict):
        raise ManifestError(f"{place}: a JSON object of speakers is wanted; mend or remove it")
    return {
        str(speaker).strip().lstrip("0"): dict(sorted(_facts(facts).items()))
        for speaker, facts in speakers.items()
        if isinstance(facts, dict)
    }


def _facts(facts: dict[str, Any]) -> dict[str, str]:
    found = {}
    for name, value in facts.items():
        key, text = "_".join(str(name).split()), " ".join(str(value).split())
        impossible = key == "age" and not (text.isdecimal() and 0 < int(text) <= OLDEST)
        if value is None or isinstance(value, (dict, list)) or not text or impossible:
            continue
        if key in ("gender", "recordingroom"):
            text = text.lower()
        elif key == "accent":
            text = text[0].upper() + text[1:]
        if key not in ("speaker", "digit", "take"):
            found[key] = text
    return found
