"""Read files at URLs through fsspec: whole or by ranges, tried again when the network fails, never silently shorter."""

import errno
import io
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeAlias, TypeVar

from mfcl.core import gcs
from mfcl.core.extras import need
from mfcl.core.transfer_errors import ADVICE, EXTRAS, Again, failure
from mfcl.core.urls import WEB, UrlPath, safe_text
from mfcl.errors import MfclError, TransferError

EXTRA = "remote"
WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between the tries of one request."""
PATIENCE = 30.0
"""Seconds that a request may take; those of its bytes at `SLOWEST` are added."""
SLOWEST = 1 << 16
"""Bytes in a second; a slower transfer counts as hanging."""
WHOLE = 1 << 23
"""Bytes; a file up to this size is one request."""
NEAR = 1 << 18
"""Bytes of the first range of a longer file; each range that follows the one before is twice as long, up to `WHOLE`."""
MOST_WHOLE = 1 << 26
"""Bytes; a longer file on a server that gives no ranges is refused."""
KEPT = 1 << 26
"""Bytes of ranges kept in memory for all open files; each open file holds one range more."""
FRESH = 300.0
"""Seconds for which a file's size and version are not asked for again."""
MOST_FACTS = 50_000
READERS = 8
"""Files that are read at once: most of the time is spent waiting for answers."""
VERSIONS = (
    "ETag", "etag", "Content-MD5", "md5Hash", "Digest", "generation", "LastModified", "Last-Modified", "last_modified",
    "updated", "mtime", "created",
)  # fmt: skip
"""What filesystems call that which changes with a file's contents; the first that there is."""

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Facts:
    """What is known of a file without reading it."""

    size: int
    """Bytes."""
    version: str
    """Changes with the contents, such as an ETag; empty if the storage tells nothing."""


class _Memory:
    """Open filesystems, facts and ranges of this process; may be forgotten at any time."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.systems: dict[tuple[Any, ...], Any] = {}
        self.facts: OrderedDict[str, tuple[float, Facts]] = OrderedDict()
        self.ranges: OrderedDict[tuple[str, Facts, int], bytes] = OrderedDict()
        self.held = 0

    def keep_facts(self, url: str, found: Facts) -> None:
        with self.lock:
            self.facts[url] = (time.monotonic(), found)
            self.facts.move_to_end(url)
            while len(self.facts) > MOST_FACTS:
                self.facts.popitem(last=False)

    def known_facts(self, url: str) -> Facts | None:
        with self.lock:
            when, found = self.facts.get(url, (0.0, None))
            return found if time.monotonic() - when < FRESH else None

    def keep_range(self, url: str, about: Facts, first: int, content: bytes) -> None:
        with self.lock:
            if (url, about, first) not in self.ranges:
                self.held += len(content)
                self.ranges[url, about, first] = content
            while self.held > KEPT:
                self.held -= len(self.ranges.popitem(last=False)[1])

    def known_range(self, url: str, about: Facts, first: int) -> bytes | None:
        with self.lock:
            found = self.ranges.get((url, about, first))
            if found is not None:
                self.ranges.move_to_end((url, about, first))
            return found


_memory = _Memory()


def forget() -> None:
    """Forget open filesystems, facts and ranges, as when settings of the storage changed."""
    with _memory.lock:
        _memory.__init__()  # type: ignore[misc]


def facts(path: UrlPath, *, fresh: bool = False) -> Facts:
    """Ask for a file's size and version; an answer is kept for `FRESH` seconds.

    Args:
        path: The file.
        fresh: Ask again.

    Raises:
        OSError: it is not there, may not be read, or is a folder.
        TransferError: the storage does not answer, or does not tell the size.
        MissingExtraError: a package is not installed.
    """
    known = None if fresh else _memory.known_facts(path.url)
    if known is not None:
        return known
    system, inner = _system(path)
    limits = {"timeout": PATIENCE} if system.async_impl else {}
    found = _persistently(path, lambda: system.info(inner, **limits))
    if found.get("type") == "directory":
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if found.get("size") is None:
        raise OSError(
            errno.ESPIPE, "the server does not say how long it is, so that a part could be taken for the whole"
        )
    about = Facts(int(found["size"]), next((str(found[name]) for name in VERSIONS if found.get(name)), ""))
    _memory.keep_facts(path.url, about)
    return about


class RemoteFile(io.RawIOBase):
    """A file at a URL, open for reading; it can be sought in, and holds at most `WHOLE` bytes.

    Reads give what was asked for or raise an error; only the end of the file makes them shorter.

    Args:
        path: The file.

    Raises:
        OSError: see `facts`.
        TransferError: the storage does not answer, gives other bytes than it announced, or the file changed.
    """

    def __init__(self, path: UrlPath) -> None:
        super().__init__()
        self.path = path
        self.facts = facts(path)
        self._place = 0
        self._first, self._range = 0, b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position, as for any file object."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self.facts.size}[whence]
        self._place = max(origin + offset, 0)
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from the position on; less is read only at the end of the file."""
        view = memoryview(buffer).cast("B")
        done, wanted = 0, min(len(view), max(self.facts.size - self._place, 0))
        while done < wanted:
            if not self._first <= self._place < self._first + len(self._range):
                self._turn_to(self._place)
            begin = self._place - self._first
            some = self._range[begin : begin + wanted - done]
            view[done : done + len(some)] = some
            done, self._place = done + len(some), self._place + len(some)
        return done

    def _turn_to(self, place: int) -> None:
        """Hold the range that begins at a place, or for a short file all of it."""
        size = self.facts.size
        follows = place == self._first + len(self._range) and place > 0
        first = 0 if size <= WHOLE else place
        length = size if size <= WHOLE else min(max(2 * len(self._range), NEAR), WHOLE) if follows else NEAR
        self._first, self._range = first, b""  # freed before the next one is read
        known = _memory.known_range(self.path.url, self.facts, first)
        if known is None:
            known = _fetched(self.path, self.facts, first, min(first + length, size))
            _memory.keep_range(self.path.url, self.facts, first, known)
        self._range = known


Opened: TypeAlias = BinaryIO | RemoteFile
"""A file whose bytes are read, local or at a URL."""


def _fetched(path: UrlPath, about: Facts, first: int, end: int) -> bytes:
    """Return a range of a file as it was announced."""
    if facts(path) != about:
        raise TransferError(f"{path}: changed while it was read; run the same command again")
    system, inner = _system(path)
    limits = {"timeout": PATIENCE + (end - first) / SLOWEST} if system.async_impl else {}

    def whole() -> bytes:
        return bytes(system.cat_file(inner, **limits))[first:end]

    def part() -> bytes:
        if path.scheme in WEB:  # unlike `cat_file`, it does not read on when a server gives more than the range
            file = system.open(inner, size=about.size, block_size=NEAR, cache_type="none")
            try:
                return bytes(need("fsspec.asyn", EXTRA).sync(system.loop, file.async_fetch_range, first, end, **limits))
            except ValueError:
                if about.size > MOST_WHOLE:
                    raise OSError(
                        errno.ESPIPE, f"the server gives no parts of files, and it has {about.size >> 20} MB; copy it"
                    ) from None
                return whole()
        return bytes(system.cat_file(inner, start=first, end=end, **limits))

    def checked() -> bytes:
        content = part()
        if len(content) != end - first:
            if facts(path, fresh=True) != about:
                raise TransferError(f"{path}: changed while it was read; run the same command again")
            raise Again(f"{len(content)} of {end - first} bytes came")
        return content

    return _persistently(path, checked)


def _persistently(path: UrlPath, ask: Callable[[], Answer]) -> Answer:
    """Return an answer, asking again while network or storage fail."""
    begun = time.monotonic()
    for wait in (*WAITS, None):
        try:
            return ask()
        except TransferError:
            raise
        except Exception as error:
            reason = failure(path, error)
            if not isinstance(reason, Again):
                raise reason from None  # the cause may have secrets in its text
            if wait is None:
                raise TransferError(
                    f"{path}: could not be read, tried {len(WAITS) + 1} times in {time.monotonic() - begun:.0f} s "
                    f"({reason}); run the same command again when the storage is there"
                ) from None
        time.sleep(wait)
    raise AssertionError


def _system(path: UrlPath) -> tuple[Any, Any]:
    """Return the filesystem of a URL, and its name of the file."""
    fsspec = need("fsspec", EXTRAS.get(path.scheme, EXTRA))
    try:
        kind = fsspec.get_filesystem_class(path.scheme)
        kind = gcs.reading_class(kind) if path.scheme in gcs.SCHEMES else kind
        options = kind._get_kwargs_from_urls(path.url)
        with _memory.lock:  # fsspec would keep one for each thread
            key = (os.getpid(), path.scheme, repr(sorted(options.items())))
            if key not in _memory.systems:
                _memory.systems[key] = kind(skip_instance_cache=True, **options)
            return _memory.systems[key], kind._strip_protocol(path.url)
    except Exception as error:
        reason = failure(path, error)
        if not isinstance(reason, MfclError):  # nothing was asked about the file yet: credentials cannot be read or got
            told = safe_text(str(error), path.url) or type(error).__name__
            reason = TransferError(f"{path}: its storage cannot be opened ({told}); {ADVICE}")
        raise reason from None
