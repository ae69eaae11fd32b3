"""Check with one digest per speaker whether the clips on disk are the published ones."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BLOCK = 1 << 20


@dataclass(frozen=True)
class Digest:
    """Count, size and hash of all clips of one speaker."""

    clips: int
    bytes: int
    """Size of all clips together."""
    sha256: str
    """Hash of the list of clips; see `digest`."""


def digest(clips: Mapping[str, tuple[int, str]]) -> Digest:
    """Return the digest of a speaker's clips: SHA-256 over the lines "name size sha256", sorted by name.

    Args:
        clips: File name without folders -> size in bytes and SHA-256 in hexadecimal.

    Example:
        >>> digest({"1_01_0.wav": (4, "ab"), "0_01_0.wav": (3, "cd")}).sha256[:8]
        'aaac29f0'
    """
    lines = "".join(f"{name} {size} {sha256}\n" for name, (size, sha256) in sorted(clips.items()))
    total = sum(size for size, _ in clips.values())
    return Digest(len(clips), total, hashlib.sha256(lines.encode()).hexdigest())


def read_digests(corpus: str) -> dict[str, Digest]:
    """Return the digests in the package: speaker -> digest."""
    text = Path(__file__).with_name(f"{corpus}.json").read_text(encoding="utf-8")
    return {speaker: Digest(**known) for speaker, known in json.loads(text).items()}


def digest_files(folder: Path, pattern: str, speaker: str) -> Digest:
    """Return the digest of a speaker's clips on disk.

    Args:
        folder: The corpus folder.
        pattern: Path of a clip with fields {speaker}, {digit} and {take}; all digits and takes are included.
        speaker: The speaker.
    """
    clips = {}
    for path in folder.glob(pattern.format(speaker=speaker, digit="*", take="*")):
        if path.is_file():
            clips[path.name] = (path.stat().st_size, _sha256(path))
    return digest(clips)


def differences(folder: Path, pattern: str, known: Mapping[str, Digest]) -> dict[str, str]:
    """Return a description of the difference for each speaker whose clips on disk differ from the known digest.

    One digest cannot tell which clip differs. The description gives the number of missing or extra clips, else sizes.
    """
    found = {}
    for speaker, right in known.items():
        there = digest_files(folder, pattern, speaker)
        if there != right:
            found[speaker] = _difference(there, right)
    return found


def _difference(there: Digest, right: Digest) -> str:
    if there.clips != right.clips:
        count = abs(there.clips - right.clips)
        return f"{count:,} clip{'s' if count > 1 else ''} {'missing' if there.clips < right.clips else 'too many'}"
    if there.bytes != right.bytes:
        return f"other sizes, {there.bytes:,} bytes instead of {right.bytes:,}"
    return "the same total size, other contents"


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found.update(block)
    return found.hexdigest()
