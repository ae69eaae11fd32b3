"""List the recordings of a path: a manifest, a corpus of a known layout, a folder with sub-folders, or one file."""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from mfcl.audio import AUDIO_SUFFIXES, OTHER_SUFFIXES
from mfcl.core.console import are, worded
from mfcl.core.files import is_there
from mfcl.core.urls import COLLAPSED, UrlPath, as_path
from mfcl.data.folders import audio_names, none_read, passed_over
from mfcl.data.ids import default_id, readable
from mfcl.data.manifest import Manifest, Recording
from mfcl.data.manifest_csv import read_manifest
from mfcl.data.shards.receipt import complete_index, is_pack
from mfcl.errors import ManifestError

AUDIOMNIST = re.compile(
    r"(?P<speaker>\d+)/(?P<digit>\d)_(?P=speaker)_(?P<take>\d+)\.(?:wav|flac)", re.IGNORECASE | re.ASCII
)
FSDD = re.compile(r"(?P<digit>\d)_(?P<speaker>[^/_]+)_(?P<take>\d+)\.(?:wav|flac)", re.IGNORECASE | re.ASCII)
LAYOUTS = {
    "AudioMNIST": ("data/", AUDIOMNIST, "<speaker>/<digit>_<speaker>_<take>"),
    "the Free Spoken Digit Dataset": ("recordings/", FSDD, "<digit>_<speaker>_<take>"),
}
"""Corpus -> folder of its audio, pattern of a file's path below it, and the pattern for messages."""
META = "audioMNIST_meta.txt"
TABLES = (".csv", ".tsv", ".parquet")
MOST_NOTES = 5
"""Notes of several lists that are told one by one."""
OLDEST = 120  # years; the published file has a speaker of age 1234


def open_manifest(path: Path | str, *, data_root: Path | None = None) -> Manifest:
    """List the recordings of a path, sorted by name in the same way on every file system.

    - A `.csv`, `.tsv` or `.parquet` file, a text file with tabs, or a folder with a `manifest.csv`: that manifest, in
      its own order.
    - A pack (`mfcl pack`): the recordings in its tars.
    - A folder whose audio files all have AudioMNIST's layout, `data/<speaker>/<digit>_<speaker>_<take>.wav` or `.flac`
      with numbers for all three: labels `speaker`, `digit`, `take`, and the facts about speakers in
      `audioMNIST_meta.txt`.
    - A folder whose audio files all have the layout of the Free Spoken Digit Dataset,
      `recordings/<digit>_<speaker>_<take>.wav`: labels `digit`, `speaker`, `take`.
    - Any other folder: the names of sub-folders are the labels `label`, `label_2` and so on. A level of sub-folders
      counts if at least half of the files lie that deep.
    - An audio file: that file.

    A table or an audio file may be at a URL. What is below a bucket is not listed.

    Args:
        path: What to open.
        data_root: For a manifest: folder of the recordings, if they were moved.

    Raises:
        ManifestError: no such path, or no audio file in it.
    """
    given = as_path(path)
    if isinstance(given, UrlPath):
        return _at_url(given, data_root)
    root = Path(os.path.abspath(given))  # noqa: PTH100  # unlike resolve, it keeps the names given
    if not is_there(root):
        do = "give a folder of recordings, a CSV or an audio file"
        if COLLAPSED.match(str(given)):
            do = "a URL is given as text: a Path takes one of its slashes away"
        raise ManifestError(f"{given}: does not exist; {do}")
    if root.is_file():
        if _is_list(root):
            return read_manifest(given, data_root=data_root)
        if root.suffix.lower() in AUDIO_SUFFIXES:
            return Manifest((Recording(readable(root.name), root),), root.parent, "one file")
        do = "convert it to FLAC or WAV" if root.suffix.lower() in OTHER_SUFFIXES else "give one"
        known = ", ".join(sorted(AUDIO_SUFFIXES))
        raise ManifestError(f"{given}: neither a CSV nor an audio file that can be read ({known}); {do}")
    if is_pack(root):
        found = read_manifest(complete_index(given), data_root=data_root)
        return replace(found, layout=f"a pack of {worded(len(found), 'recording')}")
    if (root / "manifest.csv").is_file():
        return _listed(read_manifest(given / "manifest.csv", data_root=data_root), root)
    names, others = audio_names(root)
    if not names:
        raise none_read(given, others)
    found = _corpus(root, names) or _folder(root, names)
    return replace(found, notes=(*found.notes, *passed_over(others)))


def open_manifests(paths: Sequence[Path | str], *, data_root: Path | None = None) -> Manifest:
    """List the recordings of several paths as one manifest, such as a selection table for each recording.

    Default ids are made anew below the folder that holds all of them; ids that were given stay.

    Args:
        paths: What to open: see `open_manifest`.
        data_root: For manifests: folder of the recordings, if they were moved.

    Raises:
        ManifestError: see `open_manifest`; or two recordings have the same id.
    """
    opened = [open_manifest(path, data_root=data_root) for path in paths]
    if len(opened) == 1:
        return opened[0]
    local = not any(isinstance(one.root, UrlPath) for one in opened)
    roots = {str(one.root) for one in opened}
    root = Path(os.path.commonpath(roots)) if local and len(roots) > 1 else opened[0].root
    recordings = tuple(_below(recording, one.root, root) for one in opened for recording in one)
    notes = [f"{path}: {note}" for path, one in zip(paths, opened, strict=True) for note in one.notes]
    more = [worded(len(notes) - MOST_NOTES, "more such note")] if len(notes) > MOST_NOTES else []
    return Manifest(recordings, root, f"{len(opened)} lists or folders", (*notes[:MOST_NOTES], *more))


def _below(recording: Recording, before: Path, root: Path) -> Recording:
    """Return a recording with the default id below another folder, if it has the default id."""
    span = (recording.start, recording.end)
    if before == root or recording.id != default_id(recording.path, before, *span):
        return recording
    return replace(recording, id=default_id(recording.path, root, *span))


def _at_url(path: UrlPath, data_root: Path | None) -> Manifest:
    """Return the recordings of a table at a URL, or the audio file there."""
    suffix = path.suffix.lower()
    if suffix in TABLES:
        return read_manifest(path, data_root=data_root)
    if suffix not in AUDIO_SUFFIXES:
        raise ManifestError(
            f"{path}: wanted a .csv, .tsv, .parquet or audio file, got another URL; what is below a bucket or folder "
            "is not listed: write a CSV with a column `path`, a URL on each line, and give that"
        )
    path.facts()
    return Manifest((Recording(path.as_posix(), path),), path.parent, "one file")


def _is_list(path: Path) -> bool:
    """Return whether a file is a table: by its suffix, or a text file with tabs, as Raven and Audacity write."""
    if path.suffix.lower() != ".txt":
        return path.suffix.lower() in TABLES
    with path.open("rb") as file:
        return b"\t" in file.readline(10_000)


def _listed(manifest: Manifest, root: Path) -> Manifest:
    """Return a folder's manifest, with a note if it does not list all audio files of the folder."""
    known = {os.path.normpath(recording.path) for recording in manifest}
    found = [os.path.normpath(root / name) for name in audio_names(root)[0]]
    unseen = len(set(found) - known)
    if not unseen:
        return manifest
    files = f"{unseen} of the {worded(len(found), 'audio file')} in this folder"
    note = f"{root / 'manifest.csv'} is used; {files} {are(unseen)} not in it"
    return replace(manifest, notes=(*manifest.notes, note))


def _corpus(root: Path, names: Sequence[str]) -> Manifest | None:
    """Return the recordings if all files fit a known layout, whether `root` is the corpus or its audio folder."""
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
    """Return all recordings, labelled by the levels of sub-folders that at least half of the files have."""
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
        where = f"deeper than {levels} {'folder' if levels == 1 else 'folders'}" if levels else "in sub-folders"
        files = f"{deeper} of {len(names)} files"
        notes.append(
            f"{files} {'lies' if deeper == 1 else 'lie'} {where}; these folders are no labels, as most files have none"
        )
    return Manifest(
        tuple(recordings),
        root,
        "sub-folders are labels" if levels else "a folder of recordings",
        (*notes, *_nearly_a_corpus(names)),
    )


def _nearly_a_corpus(names: Sequence[str]) -> Iterator[str]:
    """Yield a note if most files, but not all, fit a known layout."""
    for name, (inside, pattern, form) in LAYOUTS.items():
        for below in (inside, ""):
            aside = [one for one in names if _match(pattern, one, below) is None]
            if 0 < len(aside) < len(names) / 2:
                yield (
                    f"{len(names) - len(aside)} of {len(names)} files are in the layout of {name} ({form}), "
                    f"{worded(len(aside), 'is', 'are')} not, such as {readable(aside[0])}: all are read as a plain "
                    f"folder; "
                    "give a folder with the corpus alone to get its labels"
                )
                return


def _at(depths: Sequence[int], level: int) -> int:
    """Return how many files lie at least `level` folders deep."""
    return sum(depth >= level for depth in depths)


def _recording(root: Path, name: str, labels: Mapping[str, str]) -> Recording:
    known = {label: readable(value).strip() for label, value in labels.items()}  # a folder's name may end in a space
    return Recording(readable(name), root / name, labels={label: value for label, value in known.items() if value})


def _read_meta(places: Sequence[Path]) -> dict[str, dict[str, str]]:
    """Return the facts about each speaker in AudioMNIST's description, by number without leading zeros.

    The published file lacks some speakers, mixes numbers and strings, varies the capitals of accents and rooms, and has
    an impossible age. Impossible values are dropped, and spellings are unified.
    """
    place = next((place for place in places if place.is_file()), None)
    if place is None:
        return {}
    try:
        text = re.sub(r",(\s*[}\]])", r"\1", place.read_text(encoding="utf-8-sig"))  # the file has trailing commas
        speakers = json.loads(text)
    except (OSError, ValueError) as error:
        raise ManifestError(f"{place}: not AudioMNIST's JSON of speakers ({error}); correct or remove it") from error
    if not isinstance(speakers, dict):
        raise ManifestError(f"{place}: wanted a JSON object of speakers; correct or remove it")
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
