"""Write whole files or none: to a temporary name in the same folder, then rename."""

import contextlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mfcl.errors import MfclError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block ends well, remove it if not.

    Whoever reads `path` sees the old file or the new one, never a part, also after a kill or on a full disk.

    Raises:
        MfclError: the disk is full, or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with replacing(target) as temporary:
        ...     _ = temporary.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())  # a rename that outlives its contents would leave an empty file
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise MfclError(f"{path}: cannot be written ({reason}); free some space or choose another folder") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


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
