"""Files that are written whole or not at all, and JSON that is read with a limit."""

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

from mfcl.errors import MfclError, advice

OWN_TEMPORARY = re.compile(r"\..+\.\d+\.[0-9a-f]{8}\.tmp")
"""The names of temporary files; one that is left was of a process that was killed."""
MOST_JSON = 2**26
"""Bytes of a JSON file that are read; those of this package are far smaller."""
STREAMS = {"/dev/stdout": 1, "/dev/stderr": 2}


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside `path`; rename it to `path` if the block ends well, remove it if not.

    Whoever reads `path` sees the old file or the new one, never a part, also after a kill or on a full disk. A link is
    followed: what it leads to is replaced. A device or a pipe (`/dev/stdout`) is written to and stays what it is. The
    new file may be read by those whom the user's umask lets.

    Raises:
        MfclError: the disk is full, the folder cannot be written, or `path` is no place for a file.

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
        with _told(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.touch(exist_ok=False)  # some writers make files that only their owner may read
            mode = stat.S_IMODE(temporary.stat().st_mode)
            yield temporary
            temporary.chmod(mode)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())  # a rename that outlives its contents would leave an empty file
            temporary.replace(target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_file_place(path: Path) -> None:
    """Refuse a path where no file can be written, before any work is done for it.

    Raises:
        MfclError: it is a folder, lies in what is no folder, is a link that leads nowhere, or is a disk or a socket.
    """
    with _told(path):
        if path.name in ("", "..") or path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        _check_parents(path)
        try:
            kind = path.stat().st_mode
        except FileNotFoundError:
            return
        if not any(test(kind) for test in (stat.S_ISREG, stat.S_ISCHR, stat.S_ISFIFO)):
            raise MfclError(f"{path}: wanted a place for a file, it is a disk or a socket; choose another place")


def check_folder_place(path: Path) -> None:
    """Refuse a path where no folder can be, before any work is done for it.

    Raises:
        MfclError: it is a file, or lies in one.
    """
    with _told(path):
        if path.exists() and not path.is_dir():
            raise MfclError(f"{path}: wanted a folder, it is a file; choose another place")
        _check_parents(path)


def is_there(path: Path) -> bool:
    """Tell whether anything is at a path; nothing is at one that the system cannot look up.

    Unlike `Path.exists`, it raises nothing for a name that is too long or a folder that may not be entered.

    Example:
        >>> is_there(Path("/")), is_there(Path("/" + 5000 * "x"))
        (True, False)
    """
    return os.path.exists(path)  # noqa: PTH110


def is_stream(path: Path) -> bool:
    """Tell whether a path is a device or a pipe, which is written to and never replaced."""
    name = os.path.normpath(path)
    if name in STREAMS or name.startswith("/dev/fd/"):
        return True
    return path.exists() and not stat.S_ISREG(path.stat().st_mode)


def entries(folder: Path) -> list[Path]:
    """Return what is in a folder, but for temporary files that a killed process has left; nothing if it is absent.

    Raises:
        MfclError: it is no folder, or cannot be read.
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
    """Return where what can be made again is kept: what is asked for, else $MFCL_CACHE, else ~/.cache/mfcl."""
    return asked or Path(os.environ.get("MFCL_CACHE") or Path.home() / ".cache" / "mfcl")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole or not at all, indented and with sorted keys, so that equal values give equal files."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path, *, do: str, kind: type[Any] = dict, error: type[MfclError] = MfclError) -> Any:
    """Read a JSON file that holds an object, or a list.

    Args:
        path: The file.
        do: What to do if it is damaged, as the end of the message.
        kind: `dict` or `list`.
        error: What to raise.

    Raises:
        MfclError: it is absent, cannot be read, or is something else.
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


def _check_parents(path: Path) -> None:
    """Raise what making the folders above a path would raise, where one of them is no folder."""
    for parent in path.absolute().parents:
        if parent.exists():
            if not parent.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            return


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Make one line of what the system says against writing a file."""
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
    """Yield a temporary file elsewhere, and send what it holds to a device or a pipe when the block has ended well."""
    with tempfile.TemporaryDirectory(prefix="mfcl-") as folder:
        temporary = Path(folder) / "written"
        with _told(path):
            temporary.touch()
            yield temporary
            with temporary.open("rb") as source, _opened(path) as sink:
                shutil.copyfileobj(source, sink)


def _opened(path: Path) -> Any:
    """Open a stream; one that the process has open already goes on where it stands."""
    name = os.path.normpath(path)
    number = STREAMS.get(name, name.removeprefix("/dev/fd/"))
    if str(number).isdecimal():
        if sys.stdout is not None and number == 1:
            sys.stdout.flush()  # what was printed before comes before
        return os.fdopen(os.dup(int(number)), "wb")
    return path.open("wb")
