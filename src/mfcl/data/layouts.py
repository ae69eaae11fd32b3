"""Recordings from a path: a list, a corpus of a known layout, a folder of folders, or one file."""

import json
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from mfcl.audio import AUDIO_SUFFIXES
from mfcl.core.files import is_there
from mfcl.data.manifest import Manifest, Recording, readable
from mfcl.data.manifest_csv import read_manifest
from mfcl.errors import ManifestError

AUDIOMNIST = re.compile(
    r"(?P<speaker>\d+)/(?P<digit>\d)_(?P=speaker)_(?P<take>\d+)\.(?:wav|flac)", re.IGNORECASE | re.ASCII
)
FSDD = re.compile(r"(?P<digit>\d)_(?P<speaker>[^/_]+)_(?P<take>\d+)\.(?:wav|flac)", re.IGNORECASE | re.ASCII)
LAYOUTS = {
    "AudioMNIST": ("data/", AUDIOMNIST, "<speaker>/<digit>_<speaker>_<take>"),
    "the Free Spoken Digit Dataset": ("recordings/", FSDD, "<digit>_<speaker>_<take>"),
}
"""Corpus -> the folder that its sound lies in, a file's path below that, and the same in words."""
META = "audioMNIST_meta.txt"
OLDEST = 120  # years; the public file gives one speaker an age of 1234


def open_manifest(path: Path | str, *, data_root: Path | None = None) -> Manifest:
    """Return the recordings that a path stands for, sorted by their names on every file system.

    - a `.csv` or `.tsv` file, a text with tabs, or a folder with a `manifest.csv`: that list, in its own order;
    - a folder all of whose sound is in AudioMNIST's layout, `data/<speaker>/<digit>_<speaker>_<take>.wav` or `.flac`
      with numbers for all three: labels `speaker`, `digit`, `take`, and what `audioMNIST_meta.txt` knows of the
      speakers;
    - one all of whose sound is in that of the Free Spoken Digit Dataset, `recordings/<digit>_<speaker>_<take>.wav`:
      labels `digit`, `speaker`, `take`;
    - any other folder: sub-folders are the labels `label`, `label_2` and so on, as deep as half of the files lie;
    - a sound file: that one.

    Args:
        path: What to open.
        data_root: For a list: where its recordings lie now, if they were moved.

    Raises:
        ManifestError: no such path, or no sound in it.
    """
    given = Path(path)
    root = Path(os.path.abspath(given))  # noqa: PTH100  # unlike resolve, it keeps the names given
    if not is_there(root):
        raise ManifestError(f"{given}: does not exist; give a folder of recordings, a CSV or a sound file")
    if root.is_file():
        if _is_list(root):
            return read_manifest(given, data_root=data_root)
        if root.suffix.lower() in AUDIO_SUFFIXES:
            return Manifest((Recording(readable(root.name), root),), root.parent, "one file")
        raise ManifestError(f"{given}: neither a CSV nor a sound file ({', '.join(sorted(AUDIO_SUFFIXES))})")
    if (root / "manifest.csv").is_file():
        return _listed(read_manifest(given / "manifest.csv", data_root=data_root), root)
    names = _audio_names(root)
    if not names:
        raise ManifestError(
            f"{given}: no sound file in this folder ({', '.join(sorted(AUDIO_SUFFIXES))}); give another"
        )
    return _corpus(root, names) or _folder(root, names)


def _is_list(path: Path) -> bool:
    """Return whether a file is a table: by its name, or a text with tabs, such as Raven and Audacity write."""
    if path.suffix.lower() != ".txt":
        return path.suffix.lower() in (".csv", ".tsv")
    with path.open("rb") as file:
        return b"\t" in file.readline(10_000)


def _listed(manifest: Manifest, root: Path) -> Manifest:
    """Return a folder's list, with a note if the folder holds sound that is not on it."""
    known = {os.path.normpath(recording.path) for recording in manifest}
    found = [os.path.normpath(root / name) for name in _audio_names(root)]
    unseen = len(set(found) - known)
    if not unseen:
        return manifest
    note = f"{root / 'manifest.csv'} is used; {unseen} of the {len(found)} sound files in this folder are not on it"
    return replace(manifest, notes=(*manifest.notes, note))


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


def _corpus(root: Path, names: Sequence[str]) -> Manifest | None:
    """Return the recordings of a known layout that all files fit, wherever in it the folder given lies."""
    for layout, (inside, pattern, form) in LAYOUTS.items():
        for below in (inside, ""):
            found = [_match(pattern, name, below) for name in names]
            matches = [match for match in found if match is not None]
            if len(matches) < len(names):
                continue
            facts = _read_meta([root / META, root / below / META]) if layout == "AudioMNIST" else {}
            recordings = [
                _recording(root, name, match.groupdict() | facts.get(match["speaker"].lstrip("0"), {}))
                for name, match in zip(names, matches, strict=True)
            ]
            return Manifest(tuple(recordings), root, f"{layout}, {form}")
    return None


def _match(pattern: re.Pattern[str], name: str, below: str) -> re.Match[str] | None:
    return pattern.fullmatch(name[len(below) :]) if name.startswith(below) else None


def _folder(root: Path, names: Sequence[str]) -> Manifest:
    """Return all recordings with their sub-folders as labels; a few files that lie deeper make no label for all."""
    depths = [len(PurePosixPath(name).parts) - 1 for name in names]
    levels = max((level for level in range(1, max(depths) + 1) if _at(depths, level) * 2 >= len(names)), default=0)
    recordings = []
    for name in names:
        folders = PurePosixPath(name).parts[:-1][:levels]
        labels = {"label" if level == 0 else f"label_{level + 1}": value for level, value in enumerate(folders)}
        recordings.append(_recording(root, name, labels))
    notes = []
    deeper = _at(depths, levels + 1)
    if deeper:
        notes.append(f"{deeper} of {len(names)} files lie deeper than {levels} folders; further folders are no labels")
    return Manifest(
        tuple(recordings),
        root,
        "sub-folders are labels" if levels else "a folder without sub-folders",
        (*notes, *_nearly(names)),
    )


def _nearly(names: Sequence[str]) -> Iterator[str]:
    """Yield what to say of a layout that most files fit, but not all."""
    for name, (inside, pattern, form) in LAYOUTS.items():
        for below in (inside, ""):
            aside = [one for one in names if _match(pattern, one, below) is None]
            if 0 < len(aside) < len(names) / 2:
                yield (
                    f"{len(names) - len(aside)} of {len(names)} files are in the layout of {name} ({form}), "
                    f"{len(aside)} are not, such as {readable(aside[0])}: all are read as a folder; "
                    "give the corpus alone to have its labels"
                )
                return


def _at(depths: Sequence[int], level: int) -> int:
    """Return how many files lie at least so many folders deep."""
    return sum(depth >= level for depth in depths)


def _recording(root: Path, name: str, labels: Mapping[str, str]) -> Recording:
    known = {label: readable(value).strip() for label, value in labels.items()}  # a folder's name may end in a space
    return Recording(readable(name), root / name, labels={label: value for label, value in known.items() if value})


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
