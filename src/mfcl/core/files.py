"""Atomic file writes, and JSON reading with a size limit."""

import contextlib
import errno
import json
import os
import re
import shutil
import stat
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mfcl.core.spans import path_there
from mfcl.core.urls import UrlPath, local_path
from mfcl.errors import MfclError, advice

OWN_TEMPORARY = re.compile(r"\..+\.\d+\.[0-9a-f]{8}\.tmp")
"""Names of temporary files; a killed process may leave one."""
MOST_JSON = 2**26
"""Size limit of a JSON file in bytes; this package writes far smaller ones."""
STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside `path`; rename it to `path` if the block succeeds, remove it if not.

    Readers of `path` see the old file or the whole new one, also after a kill or on a full disk. A symbolic link is
    followed and its target replaced. A device or a pipe (`/dev/stdout`) is written to, not replaced. The new file gets
    the permissions of the user's umask.

    Raises:
        MfclError: the disk is full, the folder cannot be written, or no file can be at `path`.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with replacing(target) as temporary:
        ...     _ = temporary.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    check_file_place(path)
    if is_stream(path):
        with _streamed(path) as temporary:
            yield temporary
        return
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with _write_errors(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.touch(
                exist_ok=False
            )  # for the umask's mode: some writers make files that only the owner may read
            mode = stat.S_IMODE(temporary.stat().st_mode)
            yield temporary
            temporary.chmod(mode)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())  # else a crash after the rename could leave an empty file
            temporary.replace(target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_file_place(path: Path) -> None:
    """Check that a file can be written at a path, before any work is done for it.

    Raises:
        MfclError: it is a folder, lies below a file or in a folder that may not be written, is a link to itself, or is
            a disk or a socket.
    """
    _check_local(path)
    with _write_errors(path):
        if path.name in ("", "..") or path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        kind = None
        with contextlib.suppress(FileNotFoundError):
            kind = path.stat().st_mode
        if kind is None or stat.S_ISREG(kind):
            if not is_stream(path):
                _check_parents(Path(os.path.realpath(path)))  # a new file is written beside the target of a link
        elif not any(test(kind) for test in (stat.S_ISREG, stat.S_ISCHR, stat.S_ISFIFO)):
            raise MfclError(f"{path}: wanted a path for a file, got a disk or a socket; choose another path")


def check_not_input(path: Path, *inputs: Path | None) -> None:
    """Check that a file that is to be written is none of those that are read, under any name.

    Raises:
        MfclError: it is one of them, and writing would replace it.
    """
    if isinstance(path, UrlPath) or is_stream(path):
        return
    for one in inputs:
        same = False
        with contextlib.suppress(OSError, ValueError):  # one of them is not there
            same = one is not None and not isinstance(one, UrlPath) and path.samefile(one)
        if same:
            raise MfclError(f"{path}: it is read here, and would be replaced; choose another place")


def check_folder_place(path: Path) -> None:
    """Check that a path is a folder or can become one, before any work is done for it.

    Raises:
        MfclError: it is a file or lies below one, or it is not there and cannot be made.
    """
    _check_local(path)
    with _write_errors(path):
        if path.exists() and not path.is_dir():
            raise MfclError(f"{path}: wanted a folder, it is a file; choose another place")
        if not path.exists():
            _check_parents(path)


def is_there(path: Path) -> bool:
    """Tell whether anything is at a path, or in the tar of a pack; nothing is at one that cannot be looked up.

    Unlike `Path.exists`, it raises nothing for a name that is too long or a folder that may not be entered. A storage
    that does not answer for a URL is an error (`TransferError`).

    Example:
        >>> is_there(Path("/")), is_there(Path("/" + 5000 * "x"))
        (True, False)
    """
    return path_there(path)


def check_there(path: Path, wanted: str, do: str) -> None:
    """Check that something is at a path; see `is_there`.

    Args:
        path: The path.
        wanted: What should be there.
        do: What to do if nothing is.

    Raises:
        MfclError: nothing is there.
    """
    if not is_there(path):
        raise MfclError(f"{path}: wanted {wanted}, there is nothing there; {do}")


def is_stream(path: Path) -> bool:
    """Return whether a path is a device or a pipe, which is written to and never replaced."""
    name = os.path.normpath(path)
    if name in STREAMS or name.startswith("/dev/fd/"):
        return True
    return path.exists() and not stat.S_ISREG(path.stat().st_mode)


def entries(folder: Path) -> list[Path]:
    """List a folder, without temporary files that a killed process left; an absent folder is empty.

    Raises:
        MfclError: it is not a folder, or cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if not OWN_TEMPORARY.fullmatch(path.name))
    except FileNotFoundError:
        return []
    except NotADirectoryError as error:
        raise MfclError(f"{folder}: wanted a folder, it is a file; choose another place") from error
    except OSError as error:
        raise MfclError(f"{folder}: cannot be read ({error.strerror or error}); {advice(error)}") from error


def cache_folder(asked: Path | None) -> Path:
    """Return the cache folder: `asked`, else $MFCL_CACHE, else ~/.cache/mfcl; it may be deleted at any time."""
    if asked:
        return local_path(asked, "cache")
    return Path(os.environ.get("MFCL_CACHE") or Path.home() / ".cache" / "mfcl")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def no_number(text: str) -> float:
    """Refuse NaN and infinity in JSON, which no file of ours holds; for `parse_constant` of `json.loads`.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"{text} is no number")


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, indented and with sorted keys, so that equal values give equal files."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path, *, do: str, kind: type[Any] = dict, error: type[MfclError] = MfclError) -> Any:
    """Read a JSON file that holds an object or a list.

    Args:
        path: The file.
        do: Advice for a damaged file, as the end of the message.
        kind: Expected type: `dict` or `list`.
        error: Class of the error.

    Raises:
        MfclError: it is absent, cannot be read, is too long, or holds another type.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_JSON + 1)
        if len(content) > MOST_JSON:
            raise error(f"{path}: wanted JSON of at most {MOST_JSON} bytes, it is longer; {do}")
        value = json.loads(content)
    except (OSError, ValueError, RecursionError) as reason:
        told = " ".join(str(getattr(reason, "strerror", None) or reason).split())[:200]
        raise error(f"{path}: wanted JSON, cannot read it ({told}); {do}") from reason
    if not isinstance(value, kind):
        raise error(f"{path}: wanted JSON that is a {kind.__name__}, got {type(value).__name__}; {do}")
    return value


def _check_local(path: Path) -> None:
    if isinstance(path, UrlPath):
        raise MfclError(f"{path}: only local files are written, this is a URL; choose a local path and copy it there")


def _check_parents(path: Path) -> None:
    """Raise an `OSError` if nothing can be made at a path: it lies below a file, or its folder may not be written."""
    folder = next((parent for parent in path.absolute().parents if parent.exists()), None)
    if folder is None:
        return
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(folder, os.W_OK | os.X_OK):
        number = errno.EROFS if os.statvfs(folder).f_flag & os.ST_RDONLY else errno.EACCES
        raise OSError(number, os.strerror(number))


@contextlib.contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    """Turn operating-system errors while writing a file into one-line `MfclError`s."""
    try:
        yield
    except OSError as error:
        raise MfclError(f"{path}: cannot be written ({error.strerror or error}); {advice(error)}") from error
    except UnicodeEncodeError as error:
        named = ascii(error.object[max(error.start - 40, 0) : error.start + 1])
        raise MfclError(
            f"{path}: cannot be written as UTF-8 ({named}); rename the file or folder of that name"
        ) from error


@contextlib.contextmanager
def _streamed(path: Path) -> Iterator[Path]:
    """Yield a temporary file elsewhere, and copy it to a device or a pipe if the block succeeds."""
    with tempfile.TemporaryDirectory(prefix="mfcl-") as folder:
        temporary = Path(folder) / "written"
        with _write_errors(path):
            temporary.touch()
            yield temporary
            with temporary.open("rb") as source, _opened(path) as sink:
                shutil.copyfileobj(source, sink)


def _opened(path: Path) -> Any:
    """Open a stream for writing; a stream that this process has already open continues at its position."""
    name = os.path.normpath(path)
    number = STREAMS.get(name, name.removeprefix("/dev/fd/"))
    if str(number).isdecimal():
        if sys.stdout is not None and number == 1:
            sys.stdout.flush()  # keeps the order with earlier prints
        return os.fdopen(os.dup(int(number)), "wb")
    return path.open("wb")
