"""Download public corpora of spoken digits from a pinned commit, unpack them safely and check every clip.

Evidence for the pinned commits (looked up, not downloaded, when this was written; `docs/decisions/0001-fetch.md`):

- `audiomnist`, 630d7dab: a public project that pins this commit records a zip archive of 996,621,372 bytes, 30,000
  clips (60 speakers x 10 digits x takes 0 to 49, all 48 kHz, mono, 16 bit) and a meta file that names all 60 speakers.
  This is one source, but it had checked every clip.
- `fsdd`, d6938f9b: two independent public projects name it as the commit of the tag v1.0.10; one of them records 3,000
  clips (6 speakers x 10 digits x takes 0 to 49) and 16,419,872 bytes.

The check of the clips after the download does not depend on these records. AudioMNIST's clips are compared with one
digest per speaker (`digests.py`). No digests of FSDD are known, so its clips are counted and read.
"""

import contextlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mfcl import audio
from mfcl.core.console import are
from mfcl.core.locks import alone
from mfcl.core.progress import progress as progress_bar
from mfcl.core.urls import local_path
from mfcl.data.fetch.archives import DamagedArchiveError, RefusedArchiveError, unpack
from mfcl.data.fetch.digests import Digest, differences, read_digests
from mfcl.data.fetch.transfer import discard, download
from mfcl.errors import AudioError, FetchError, check_choice

DOWNLOADS = 2  # tries, if an archive of the right length is damaged
BESIDE = 1000
"""Expected files and folders in an archive other than clips; up to twice the expected total is unpacked."""
LONGEST_CLIP = 60 * 48_000  # samples; a spoken digit takes a second, and hours would fill the memory
DIFFERENT = 3  # most speakers that a message names


@dataclass(frozen=True)
class Corpus:
    """A public corpus and the contents of a complete copy."""

    name: str
    repository: str
    """Owner and name on GitHub."""
    commit: str
    """The pinned version, 40 hexadecimal digits."""
    clip: str
    """Path of a clip, with fields for speaker, digit and take."""
    speakers: tuple[str, ...]
    archive_bytes: int
    """Approximate size of the download."""
    unpacked_bytes: int
    """Approximate size on disk; an archive that unpacks to more than twice that is refused."""
    digits: int = 10
    takes: int = 50
    digested: bool = False
    """Whether the package has a digest per speaker, in `<name>.json`."""

    @property
    def url(self) -> str:
        """Address of the archive of the pinned commit."""
        return f"https://codeload.github.com/{self.repository}/zip/{self.commit}"

    @property
    def clips(self) -> int:
        """Number of clips.

        Example:
            >>> CORPORA["audiomnist"].clips
            30000
        """
        return len(self.speakers) * self.digits * self.takes

    @property
    def digests(self) -> dict[str, Digest]:
        """Digest of each speaker's clips; empty if unknown."""
        return read_digests(self.name) if self.digested else {}

    def paths(self) -> Iterator[str]:
        """Yield the path of every clip, relative to the corpus folder.

        Example:
            >>> next(CORPORA["fsdd"].paths())
            'recordings/0_george_0.wav'
        """
        for speaker in self.speakers:
            for digit in range(self.digits):
                for take in range(self.takes):
                    yield self.clip.format(speaker=speaker, digit=digit, take=take)


CORPORA = {
    "audiomnist": Corpus(
        name="audiomnist",
        repository="soerenab/AudioMNIST",
        commit="630d7dab4c040882834de6fa21baf9a60372accd",
        clip="data/{speaker}/{digit}_{speaker}_{take}.wav",
        speakers=tuple(f"{number:02d}" for number in range(1, 61)),
        archive_bytes=996_621_372,
        unpacked_bytes=1_900_000_000,
        digested=True,
    ),
    "fsdd": Corpus(
        name="fsdd",
        repository="Jakobovski/free-spoken-digit-dataset",
        commit="d6938f9bf1545aa66d8489fc9f1385a7abd64282",
        clip="recordings/{digit}_{speaker}_{take}.wav",
        speakers=("george", "jackson", "lucas", "nicolas", "theo", "yweweler"),
        archive_bytes=16_419_872,
        unpacked_bytes=22_000_000,
    ),
}


def fetch(name: str, folder: Path, *, url: str | None = None, progress: bool = True) -> Path:
    """Download a public corpus, unpack it into `folder` and check that every clip can be read.

    A folder that already holds the corpus is returned at once. An interrupted download is kept beside the folder, as
    `<folder>.part`, and the next call continues it. The folder itself appears only when it is complete.

    After unpacking, each speaker's clips are compared with a digest, if one is known. Speakers that differ are named on
    standard error and kept: the digests are of a public copy, which may be older than the archive.

    Args:
        name: "audiomnist" (30,000 clips, 1 GB to download, 2 GB unpacked) or "fsdd" (3,000 clips, 16 MB).
        folder: New or empty folder for the corpus.
        url: Another address of the same archive (zip or tar.gz), such as a mirror.
        progress: Show progress.

    Returns:
        The folder.

    Raises:
        FetchError: an unknown name, a folder with other contents, a server or connection that fails or is too slow, an
            archive that is too large, damaged or would write outside the folder, clips that are missing, unreadable or
            too long, or a full disk.
    """
    check_choice("corpus", name, CORPORA, error=FetchError)
    corpus, folder = CORPORA[name], local_path(folder, "folder")
    try:
        if _is_there(corpus, folder):
            return folder
    except OSError as error:
        raise FetchError(f"{folder}: cannot be read ({error.strerror or error}); choose another folder") from error
    target = folder.absolute()
    with _alone(target):
        _check_space(corpus, target)
        _download_and_unpack(corpus, target, url or corpus.url, progress)
    return folder


def _is_there(corpus: Corpus, folder: Path) -> bool:
    if folder.exists() and not folder.is_dir():
        raise FetchError(f"{folder}: wanted a folder, this is a file; choose another path")
    if not folder.exists() or not any(folder.iterdir()):
        return False
    absent = [path for path in corpus.paths() if not (folder / path).is_file()]
    if len(absent) == corpus.clips:
        raise FetchError(f"{folder}: not empty, and not {corpus.name}; choose a new folder")
    if absent:
        raise FetchError(
            f"{folder}: {len(absent):,} of the {corpus.clips:,} clips of {corpus.name} "
            f"{are(len(absent))} missing, the first {absent[0]}; remove the folder and fetch again"
        )
    return True


@contextlib.contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Raise an error if another fetch into the same folder is running; lock it for this one."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        refusal = FetchError(f"{target}: another fetch into this folder is running; wait for it")
        with alone(target.with_name(f".{target.name}.lock"), refusal):
            yield
    except OSError as error:
        raise FetchError(f"{target}: cannot be written ({error.strerror or error}); choose another folder") from error


def _check_space(corpus: Corpus, target: Path) -> None:
    part = _part(target)
    wanted = corpus.unpacked_bytes + corpus.archive_bytes - (part.stat().st_size if part.exists() else 0)
    free = shutil.disk_usage(target.parent).free
    if free < wanted:
        raise FetchError(
            f"{target.parent}: {corpus.name} needs {wanted / 1e9:.2f} GB more to download and unpack, only "
            f"{free / 1e9:.2f} GB are free; free some space or choose another disk"
        )


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _download_and_unpack(corpus: Corpus, target: Path, url: str, progress: bool) -> None:
    part = _part(target)
    for left in reversed(range(DOWNLOADS)):
        download(url, part, expected_bytes=corpus.archive_bytes, shown=progress)
        try:
            _unpack_and_check(corpus, part, target, progress)
            break
        except DamagedArchiveError:
            discard(part)  # its length was right, so continuing it would not help
            if not left:
                raise
        except (RefusedArchiveError, _IncompleteError):
            discard(part)
            raise
    discard(part)


class _IncompleteError(FetchError):
    """An archive without all the clips."""


def _unpack_and_check(corpus: Corpus, part: Path, target: Path, progress: bool) -> None:
    unpacked = target.with_name(f".{target.name}.unpacking")
    shutil.rmtree(unpacked, ignore_errors=True)  # left by a killed call
    try:
        unpack(
            part,
            unpacked,
            most_bytes=2 * corpus.unpacked_bytes,
            most_members=2 * (corpus.clips + BESIDE),
            shown=progress,
        )
        _check_clips(corpus, unpacked, progress)
        _compare(corpus, unpacked)
        if target.exists():
            target.rmdir()  # empty, as was checked
        unpacked.rename(target)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def _check_clips(corpus: Corpus, folder: Path, progress: bool) -> None:
    faults = []
    for path in progress_bar(corpus.paths(), total=corpus.clips, what="checking", unit="clips", shown=progress):
        try:
            with audio.open_audio(folder / path) as file:
                frames = file.frames
            if frames is None or frames > LONGEST_CLIP:
                faults.append(path)
            else:
                audio.read_audio(folder / path)
        except AudioError:
            faults.append(path)
    if faults:
        raise _IncompleteError(
            f"{corpus.name}: {len(faults):,} of the {corpus.clips:,} clips in the archive "
            f"{are(len(faults))} missing or unreadable, the first {faults[0]}; fetch again, or give another address"
        )


def _compare(corpus: Corpus, folder: Path) -> None:
    """Print a warning that names the speakers whose clips differ from the digests."""
    found = differences(folder, corpus.clip, corpus.digests)
    if found:
        named = "; ".join(f"{speaker} ({text})" for speaker, text in list(found.items())[:DIFFERENT])
        more = f"; and {len(found) - DIFFERENT} more" if len(found) > DIFFERENT else ""
        print(  # noqa: T201
            f"{corpus.name}: the clips of {len(found)} of {len(corpus.digests)} speakers differ from the known "
            f"digests: {named}{more}",
            file=sys.stderr,
        )
