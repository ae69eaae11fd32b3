"""Paths that are URLs: files on object stores and web servers, in the place of local paths."""

import hashlib
import io
import os
import posixpath
import re
import stat
import sys
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mfcl.errors import MfclError, shown

if TYPE_CHECKING:
    from mfcl.core.remote import Facts

    _Base = PosixPath
else:
    _Base = type(Path())

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
"""Beginning of a URL; a scheme has two letters or more, unlike a drive."""
LOCAL = re.compile(r"file://(localhost)?(?=/)", re.IGNORECASE)
"""Beginning of a `file://` URL: the rest is a local path."""
COLLAPSED = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/[^/]")
"""Beginning of a URL that went through `Path`, which takes one of its slashes away."""
WEB = ("http", "https")
"""Schemes in which a `?` begins a query; in a key of an object store it is a letter like others."""
ACCOUNTS = ("abfs", "abfss", "adl", "az", "wasb", "wasbs")
"""Schemes in which what is before an `@` names a container, not a person."""


class UrlPath(_Base):
    """A file at a URL, for whatever takes a path: it can be asked for its name and size, opened and read.

    What is written of it (`str`, messages, ids) shows neither a password nor a query, which may be a key; `url` has
    them. Code that needs a local file gets an error in one line, not a wrong path.

    Attributes:
        url: The URL as it was given.

    Example:
        >>> path = UrlPath("https://me:secret@example.org/a/owl.wav?token=1")
        >>> str(path.parent), path.name, path.as_posix()
        ('https://example.org/a', 'owl.wav', 'https://example.org/a/owl.wav')
    """

    url: str

    def __new__(cls, url: str) -> "UrlPath":
        """Make a path of a URL."""
        made = super().__new__(cls, _inner(url))
        made.url = url
        return made

    def __init__(self, url: str) -> None:
        if sys.version_info >= (3, 12):
            super().__init__(_inner(url))

    @property
    def scheme(self) -> str:
        """The URL's scheme in small letters, such as `s3`."""
        return self.url.partition("://")[0].lower()

    @property
    def secret(self) -> bool:
        """Whether the URL has a password or a query, which is not shown."""
        return self.as_posix() != self.url

    def facts(self) -> "Facts":
        """Ask for the file's size and version; see `mfcl.core.remote.facts`."""
        from mfcl.core.remote import facts

        return facts(self)

    def open(self, mode: str = "r", buffering: int = -1, **text: Any) -> Any:  # type: ignore[override]
        """Open for reading; with `buffering=0` and mode `rb` no buffer is added to that of `RemoteFile`.

        Raises:
            OSError: it is not there or may not be read.
            TransferError: the storage does not answer.
        """
        from mfcl.core.remote import RemoteFile

        if set(mode) - set("rbt"):
            raise MfclError(f"{self}: files at a URL are only read; choose a local path")
        file = RemoteFile(self)
        if "b" in mode:
            return file if buffering == 0 else io.BufferedReader(file)
        return io.TextIOWrapper(io.BufferedReader(file), **text)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return the size as that of a regular file that may only be read; times are 0."""
        return os.stat_result((stat.S_IFREG | 0o444, 0, 0, 1, 0, 0, self.facts().size, 0, 0, 0))

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether there is such a file; one that may not be read counts as none."""
        try:
            self.facts()
        except OSError:
            return False
        return True

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether there is such a file."""
        return self.exists()

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Return False: what is at a URL is a file or nothing."""
        return False

    def resolve(self, strict: bool = False) -> "UrlPath":
        """Return the same URL."""
        return self

    def absolute(self) -> "UrlPath":
        """Return the same URL."""
        return self

    def is_absolute(self) -> bool:
        """Return True."""
        return True

    @property
    def parent(self) -> "UrlPath":
        """The URL of the folder, without a query."""
        folder, _, name = _without_query(self.url).rstrip("/").rpartition("/")
        return UrlPath(folder) if name and not folder.endswith("/") else self

    def __truediv__(self, other: Any) -> Any:
        """Join a path that is relative to this folder; a URL or an absolute path stands for itself."""
        text = other.url if isinstance(other, UrlPath) else str(other)
        if is_url(text) or text.startswith("/"):
            return as_path(text)
        folder = _without_query(self.url).rstrip("/")
        head, _, inside = folder.partition("://")
        host, _, key = inside.partition("/")
        if ".." in text.split("/"):
            joined = posixpath.normpath(f"/{key}/{text}").lstrip("/")
            return UrlPath(f"{head}://{host}/{joined}")
        return UrlPath(f"{folder}/{text.removeprefix('./')}")

    def is_relative_to(self, *other: Any) -> bool:
        """Return whether it lies below another URL."""
        return isinstance(other[0], UrlPath) and self.as_posix().startswith(_folder(other[0]))

    def relative_to(self, *other: Any) -> Path:  # type: ignore[override]
        """Return its path below another URL."""
        return Path(self.as_posix().removeprefix(_folder(other[0])))

    def as_posix(self) -> str:
        """Return the URL without password and query."""
        return without_secrets(self.url)

    def __str__(self) -> str:
        query = self.url[len(_without_query(self.url)) :]
        if not query:
            return self.as_posix()
        # two files that differ only in the query must have two names
        return f"{self.as_posix()}?...{hashlib.sha256(query.encode('utf-8', 'replace')).hexdigest()[:8]}"

    def __fspath__(self) -> str:
        raise MfclError(f"{self}: wanted a local file, got a URL, which is not read here; copy the file")

    def __hash__(self) -> int:
        return hash(self.url)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UrlPath) and self.url == other.url

    def __reduce__(self) -> tuple[type["UrlPath"], tuple[str]]:
        return UrlPath, (self.url,)


def is_url(text: str) -> bool:
    """Return whether a text begins like a URL.

    Example:
        >>> [is_url(text) for text in ("s3://b/a.wav", "file:///a.wav", "a/b.wav", "C:/a.wav", "s3:/b/a.wav")]
        [True, True, False, False, False]
    """
    return "://" in text and URL.match(text) is not None


def as_path(given: str | Path) -> Path:
    """Return a path of a text: a `UrlPath` for a URL, a local path for `file://` and for any other text.

    Raises:
        MfclError: a `file://` URL without an absolute path, or what is no path.

    Example:
        >>> as_path("file:///data/owl.wav").as_posix(), type(as_path("s3://birds/owl.wav")).__name__
        ('/data/owl.wav', 'UrlPath')
    """
    if not isinstance(given, str) or not is_url(given):
        return local_path(given)
    if not given.lower().startswith("file:"):
        return UrlPath(given)
    begin = LOCAL.match(given)
    if begin is None:
        raise MfclError(f"{given}: wanted file:/// and an absolute path; a relative path needs no file://")
    return Path(given[begin.end() :])


def local_path(given: str | Path, name: str = "path") -> Path:
    """Return a path as it is, or the local path of a text.

    Args:
        given: The argument.
        name: What it is the path of, for the message.

    Raises:
        MfclError: it is neither a path nor a text, an empty text, which would be the working folder, or one with a
            character that no path can have.

    Example:
        >>> local_path("runs/one", "model").name
        'one'
        >>> local_path("", "model")
        Traceback (most recent call last):
        ...
        mfcl.errors.MfclError: model: wanted a path, got ''
    """
    if isinstance(given, Path):
        text: object = str(given)  # a URL is not given as the path of a file
    else:
        text = os.fspath(given) if isinstance(given, str | os.PathLike) else None
    if not isinstance(text, str) or not text:
        raise MfclError(f"{name}: wanted a path, got {shown(given)}")
    if "\0" in text:
        raise MfclError(f"{name}: wanted a path without a null character, got {shown(given)}")
    return given if isinstance(given, Path) else Path(text)


def without_secrets(url: str) -> str:
    """Return a URL without the user and password of its host, and for a web server without its query.

    Example:
        >>> without_secrets("https://me:secret@example.org/a.wav?key=1"), without_secrets("s3://birds/a?b.wav")
        ('https://example.org/a.wav', 's3://birds/a?b.wav')
    """
    plain = _without_query(url)
    head, mark, rest = plain.partition("://")
    host, slash, key = rest.partition("/")
    if head.lower() not in ACCOUNTS:
        host = host.rpartition("@")[2]
    return f"{head}{mark}{host}{slash}{key}"


def safe_text(text: str, url: str = "") -> str:
    """Return a message of another package on one line, with the secrets of all URLs taken out of it."""
    query = urlsplit(url).query if url.lower().startswith(WEB) else ""
    plain = text.replace(query, "...") if len(query) > 2 else text
    plain = re.sub(r"[A-Za-z][A-Za-z0-9+.-]+://[^\s'\"<>)\]]+", lambda found: without_secrets(found[0]), plain)
    return " ".join(plain.split())[:200]


def _without_query(url: str) -> str:
    return re.split(r"[?#]", url, maxsplit=1)[0] if url.partition("://")[0].lower() in WEB else url


def _folder(path: UrlPath) -> str:
    return path.as_posix().rstrip("/") + "/"


def _inner(url: str) -> str:
    """Return the URL as a path whose last parts are the file's folders and name; only names are read from it."""
    return without_secrets(url).replace("://", ":/", 1)
