"""Give the sound of each row a file: the one that is there already, or a new one with the same bytes."""

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from mfcl.audio import AUDIO_SUFFIXES
from mfcl.core.files import is_there, replacing
from mfcl.core.spans import span_of
from mfcl.core.urls import UrlPath, as_path, is_url
from mfcl.errors import AudioError, MfclError

AUDIO = "audio"
"""Folder of the new files."""
TOGETHER = 1000
"""Most files in one of its folders."""
LONGEST_NAME = 40
UNSAFE = re.compile(r"[^\w.-]+")
STARTS = {b"RIFF": ".wav", b"RF64": ".rf64", b"fLaC": ".flac", b"OggS": ".ogg", b"FORM": ".aiff", b".snd": ".au"}
"""First bytes of a file -> its suffix."""
BLOCK = 1 << 22


@dataclass(frozen=True)
class Row:
    """The sound of a row.

    Attributes:
        name: Its name, which no other row has; see `file_name`.
        number: Number of the row in the data set.
        content: The encoded bytes, as a buffer; None if there are none.
        path: A path, as the data set has it: anything may be in it.
    """

    name: str
    number: int
    content: Any
    path: str

    @property
    def is_relative(self) -> bool:
        """Whether the sound is only named by a path, which depends on the current folder."""
        return not self.content and bool(self.path) and not is_url(self.path) and not Path(self.path).is_absolute()


def file_name(number: int, path: str, content: Any) -> str:
    r"""Return a file name that no other row has, which keeps what is harmless of a path's last part.

    Example:
        >>> file_name(7, "../../etc/owl 1.WAV", b"RIFF"), file_name(8, "C:\\sounds\\..", b"fLaC")
        ('00000007_owl_1.wav', '00000008.flac')
    """
    last = PurePosixPath(path.replace("\\", "/")).name
    stem, dot, end = last.rpartition(".")
    suffix = f".{end.lower()}"
    if suffix not in AUDIO_SUFFIXES:
        stem, suffix = (last, "") if not (dot and stem) else (stem, "")
    plain = UNSAFE.sub("_", unicodedata.normalize("NFC", stem))[:LONGEST_NAME].strip("._-")
    return f"{number:08d}{'_' if plain else ''}{plain}{suffix or _suffix(content)}"


def _suffix(content: Any) -> str:
    head = b"" if content is None else bytes(memoryview(content)[:4])
    mpeg = head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)
    return ".mp3" if mpeg else STARTS.get(head, "")


def placed(row: Row, folder: Path) -> Path | AudioError:
    """Return the file of a row's sound, or why there is none.

    Bytes are written as they are, unless the path names a file with the same bytes or an earlier call wrote them.

    Raises:
        MfclError: a full disk.
    """
    content = None if row.content is None else memoryview(row.content).cast("B")  # Arrow's bytes are signed
    if content is None or not len(content):
        return _in_place(row, "its bytes are empty" if content is not None else "it has no sound")
    source = Path(row.path)
    if source.is_absolute() and _holds(source, content):
        return source
    target = folder / AUDIO / f"{row.number // TOGETHER:05d}" / row.name
    if not _holds(target, content):
        with replacing(target) as temporary, temporary.open("wb") as file:
            file.write(content)
    return target


def _in_place(row: Row, lacking: str) -> Path | AudioError:
    """Return the file that a row names by its path alone."""
    if not row.path:
        return AudioError(f"{row.name}: {lacking}")
    if "::" in row.path and "://" in row.path:
        return AudioError(f"{row.name}: {lacking}, and its path is one within an archive; load the data set with bytes")
    try:
        path = as_path(row.path) if is_url(row.path) else Path(row.path)
    except MfclError as error:
        return AudioError(f"{row.name}: {error}")
    if isinstance(path, UrlPath):
        return path
    path = Path(os.path.abspath(path))  # noqa: PTH100  # unlike resolve, it keeps the names given
    there = is_there(path) if span_of(path) else os.path.isfile(path)  # noqa: PTH113  # nothing for an impossible name
    return path if there else AudioError(f"{row.name}: {lacking}, and there is no file {path}")


def _holds(path: Path, content: memoryview) -> bool:
    """Return whether a file holds these bytes and no others."""
    try:
        if not os.path.isfile(path) or path.stat().st_size != len(content):  # noqa: PTH113
            return False
        with path.open("rb") as file:
            return all(file.read(BLOCK) == content[at : at + BLOCK] for at in range(0, len(content), BLOCK))
    except (OSError, ValueError):
        return False
