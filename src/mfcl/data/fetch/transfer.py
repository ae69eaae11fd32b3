"""Download one file over HTTP, and resume interrupted downloads.

The received bytes are in the part file. A small JSON file beside it names the version of the file (address and ETag),
so that a later call, even days later, never joins two versions.
"""

import contextlib
import http.client
import json
import re
import time
import urllib.error
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from mfcl.core import files
from mfcl.core.progress import progress as progress_bar
from mfcl.data.fetch.connection import check_address, one_line, open_answer
from mfcl.errors import FetchError

TRIES = 5
PAUSE_SECONDS = 1.0  # before the second try; twice as long before each further one
BLOCK = 1 << 16
WORTHWHILE = 1 << 20  # bytes; after this much progress the tries are counted from 1 again
PASSING = frozenset([408, 425, 429, 500, 502, 503, 504])  # status codes of temporary failures
LONGEST_NOTE = 1 << 16  # most bytes of the JSON file
NUMBER = r"\d{1,18}"  # enough for any length, few enough for int()
VALIDATOR = re.compile(r'"[!#-~\x80-\xff]{0,500}"|[A-Z][ -~]{1,99}')  # a strong ETag, or a date


@dataclass(frozen=True)
class _Version:
    """The version of a file to which a part belongs."""

    url: str
    validator: str | None
    """Strong ETag or modification date from the server; None: the part cannot be resumed."""
    total: int | None
    """Size of the whole file in bytes; None if unknown."""


class _CutError(Exception):
    """The connection failed; another try may help."""


def download(url: str, part: Path, *, expected_bytes: int, shown: bool = True) -> None:
    """Download a file to `part`, resuming an earlier download; check its length against the server's.

    Args:
        url: An http or https address.
        part: The file to write; kept, with its JSON file, after a failure or an interrupt.
        expected_bytes: Approximate size of the file; a response of more than twice that is refused.
        shown: Show progress.

    Raises:
        FetchError: an invalid address, an error status, a response that is too long, a connection that repeatedly
            fails, times out or is too slow, or a full disk.
    """
    check_address(url)
    _check_places(part)
    tries, furthest = 0, _size(part)
    while True:
        try:
            _try_once(url, part, expected_bytes, shown)
            return
        except _CutError as error:
            size = _size(part)
            tries = 1 if size >= furthest + WORTHWHILE else tries + 1
            furthest = max(furthest, size)
            if tries >= TRIES:
                raise FetchError(
                    f"{url}: failed {tries} times in a row, last because {error}; "
                    f"{size:,} bytes are kept in {part}, so run the same command later to resume"
                ) from error
            time.sleep(PAUSE_SECONDS * 2 ** (tries - 1))


def discard(part: Path) -> None:
    """Remove a part and its JSON file."""
    _beside(part).unlink(missing_ok=True)
    part.unlink(missing_ok=True)


def _beside(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _check_places(part: Path) -> None:
    """Raise an error if a folder or a pipe is in the place of a file; writing to a pipe would wait forever."""
    for path in (part, _beside(part)):
        if path.exists() and not (path.is_file() or path.is_char_device()):
            raise FetchError(f"{path}: wanted a path for a file, got something else; move it away")


def _known(part: Path, url: str, most_bytes: int) -> _Version:
    """Read the version of a part; an unknown one if the JSON file is damaged or of another address."""
    nothing = _Version(url, None, None)
    try:
        with _beside(part).open("rb") as file:
            note = json.loads(file.read(LONGEST_NOTE))
    except (OSError, ValueError, RecursionError):
        return nothing
    if not isinstance(note, dict) or set(note) != set(asdict(nothing)) or note["url"] != url:
        return nothing
    validator, total = note["validator"], note["total"]
    valid = validator is None or (isinstance(validator, str) and VALIDATOR.fullmatch(validator) is not None)
    whole = total is None or (type(total) is int and 0 <= total <= most_bytes)
    return _Version(url, validator, total) if valid and whole else nothing


def _try_once(url: str, part: Path, expected_bytes: int, shown: bool) -> None:
    most = 2 * expected_bytes
    version, size = _known(part, url, most), _size(part)
    if version.total is not None and size == version.total:
        return  # an earlier call was interrupted after the last byte
    start = size if version.validator and size < (most if version.total is None else version.total) else 0
    with _open(version, start, part, most) as response:
        if response.status == 206:
            version = _continued(response, version, start, part)
        else:  # the whole file: a first download, a server that cannot resume, or a changed file
            start, version = 0, _Version(url, _validator(response), _length(response))
        if version.total is not None and version.total > most:
            raise FetchError(
                f"{url}: wanted an archive of about {expected_bytes:,} bytes, the server announces "
                f"{version.total:,}; check the address, or give another"
            )
        total = version.total or expected_bytes
        with progress_bar(total=total, what=part.stem, unit="B", initial=start, shown=shown) as bar:
            _store(response, part, version, start, most, bar.update)
    size = _size(part)
    if version.total is not None and size < version.total:
        raise _CutError(f"the connection ended after {size:,} of {version.total:,} bytes")
    if version.total is not None and size > version.total:
        discard(part)
        raise _CutError(f"{size:,} bytes were received, {version.total:,} were announced")
    files.write_json(_beside(part), asdict(_Version(url, version.validator, size)))


@contextlib.contextmanager
def _open(version: _Version, start: int, part: Path, most_bytes: int) -> Iterator[http.client.HTTPResponse]:
    headers = {"User-Agent": "mfcl", "Accept-Encoding": "identity"}
    if start and version.validator:
        headers |= {"Range": f"bytes={start}-", "If-Range": version.validator}
    try:
        response = open_answer(version.url, headers, most_bytes=most_bytes)
    except urllib.error.HTTPError as error:
        error.close()
        answer = f"the server answered {error.code} {one_line(error.reason)}".rstrip()
        if error.code == 416:  # range not satisfiable: the part is longer than the file
            discard(part)
        elif error.code not in PASSING:
            raise FetchError(f"{version.url}: {answer}; check the address, or give another") from error
        raise _CutError(answer) from error
    except (OSError, http.client.HTTPException) as error:
        raise _CutError(_reason(error)) from error
    with response:
        yield response


def _continued(response: http.client.HTTPResponse, version: _Version, start: int, part: Path) -> _Version:
    """Check that a partial response continues the part; return the version with its size."""
    span = re.fullmatch(
        rf"bytes ({NUMBER})-{NUMBER}/({NUMBER}|\*)", response.headers.get("Content-Range", "").strip(), re.ASCII
    )
    total = int(span[2]) if span and span[2] != "*" else None
    same_total = None in (total, version.total) or total == version.total
    if not span or int(span[1]) != start or not start or not same_total or _changed(response, version):
        discard(part)
        raise _CutError("the server resumed with another file or position")
    return _Version(version.url, version.validator, version.total if total is None else total)


def _changed(response: http.client.HTTPResponse, version: _Version) -> bool:
    return _validator(response) not in (None, version.validator)


def _validator(response: http.client.HTTPResponse) -> str | None:
    """Return the validator that identifies the exact bytes; a weak ETag does not (RFC 9110, section 13.1.5)."""
    for name, begin in (("ETag", '"'), ("Last-Modified", "")):
        text = response.headers.get(name, "")
        if text.startswith(begin) and VALIDATOR.fullmatch(text):
            return text
    return None


def _length(response: http.client.HTTPResponse) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if re.fullmatch(NUMBER, text, re.ASCII) and not response.chunked else None


def _store(
    response: http.client.HTTPResponse,
    part: Path,
    version: _Version,
    start: int,
    most_bytes: int,
    arrived: Callable[[int], object],
) -> None:
    kept = start
    try:
        if not start:
            _beside(part).unlink(missing_ok=True)  # first, so that a kill in between cannot leave a wrong pair of files
        with part.open("ab" if start else "wb") as file:
            files.write_json(_beside(part), asdict(version))
            for block in _blocks(response):
                kept += len(block)
                if kept > most_bytes:
                    break
                file.write(block)
                arrived(len(block))
    except OSError as error:
        raise FetchError(
            f"{part}: cannot be written ({error.strerror}); free some space and run the same command to resume"
        ) from error
    if kept > most_bytes:
        discard(part)  # not the expected archive, so it cannot be resumed
        raise FetchError(
            f"{version.url}: more than {most_bytes:,} bytes came, twice what the archive has; "
            "check the address, or give another"
        )


def _blocks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while block := response.read1(BLOCK):  # returns what has arrived, so that a failure loses nothing
            yield block
    except (OSError, http.client.HTTPException) as error:
        raise _CutError(_reason(error)) from error


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return f"the connection failed ({one_line(reason) or type(error).__name__})"
