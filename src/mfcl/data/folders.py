"""List the audio files of a folder."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from mfcl.audio import AUDIO_SUFFIXES, OTHER_SUFFIXES
from mfcl.core.spelling import composed
from mfcl.errors import ManifestError

CONVERT = "convert them to FLAC or WAV"


def audio_names(root: Path) -> tuple[list[str], Counter[str]]:
    """List a folder with all below it; hidden files are passed over.

    Returns:
        The relative paths of its audio files, sorted; and how many files there are of each suffix of sound that cannot
        be read.

    Raises:
        ManifestError: a folder cannot be listed.
    """
    names: list[str] = []
    others: Counter[str] = Counter()
    for name in _names(root):
        suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122
        if suffix in AUDIO_SUFFIXES:
            names.append(name)
        elif suffix in OTHER_SUFFIXES:
            others[suffix] += 1
    # file systems differ in the Unicode form of accents and in the order of listing
    return sorted(names, key=lambda name: (composed(name), name)), others


def none_read(root: Path, others: Mapping[str, int]) -> ManifestError:
    """Return the error of a folder without an audio file that can be read; `others` as from `audio_names`."""
    known = ", ".join(sorted(AUDIO_SUFFIXES))
    if others:
        return ManifestError(f"{root}: no audio file that can be read ({known}), only {_counted(others)}; {CONVERT}")
    return ManifestError(f"{root}: no audio file in this folder ({known}); give another folder")


def passed_over(others: Mapping[str, int]) -> tuple[str, ...]:
    """Return a note on files of sound that cannot be read, if there are any."""
    return (f"files whose formats cannot be read are passed over: {_counted(others)}; {CONVERT}",) if others else ()


def _counted(others: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))


def _names(root: Path) -> Iterator[str]:
    """Yield the relative paths of all files below a folder, in any order, without hidden ones."""

    def refuse(error: OSError) -> None:
        raise ManifestError(f"{error.filename}: cannot be listed ({error.strerror}); make it readable") from error

    visited = set()
    for folder, folders, files in os.walk(root, followlinks=True, onerror=refuse):
        real = os.path.realpath(folder)
        folders[:] = [] if real in visited else [name for name in folders if not name.startswith((".", "__MACOSX"))]
        if real in visited:  # a cycle of symbolic links
            continue
        visited.add(real)
        inside = Path(folder).relative_to(root).as_posix()
        yield from (name if inside == "." else f"{inside}/{name}" for name in files if not name.startswith("."))
