"""Errors that a user can fix; each message is one line: what was wanted, what came, where, what to do."""

import difflib
import errno
import numbers
from collections.abc import Collection, Iterable
from typing import Any

LINE_BREAKS = str.maketrans({one: repr(one)[1:-1] for one in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"})
"""What ends a line, and how a message shows it."""


class MfclError(Exception):
    r"""Something outside the program is wrong; the command line prints the message and exits with 2.

    The message is one line, whatever names of files, columns or labels are in it.

    Example:
        >>> print(MfclError("two.csv: no column is called 'a\nb'"))
        two.csv: no column is called 'a\nb'
    """

    def __str__(self) -> str:
        return super().__str__().translate(LINE_BREAKS)


class AudioError(MfclError):
    """A file or array that cannot be used as audio."""


class ManifestError(MfclError):
    """A manifest that cannot be read or used as asked."""


class SplitError(ManifestError):
    """Recordings that cannot be split as asked."""


class StoreError(MfclError):
    """A cache of decoded audio that cannot be built or read."""


class FetchError(MfclError):
    """A public corpus that cannot be downloaded or unpacked, or that is incomplete."""


class TransferError(MfclError):
    """A file at a URL that storage or network did not give whole, through no fault of the recording.

    It stops a command: a recording is not left out because the network was away.
    """


class RecipeError(MfclError):
    """A setting that does not exist or is out of range."""


class CheckpointError(MfclError):
    """A saved model or run that cannot be read or continued."""


class TrainingError(MfclError):
    """A training run that cannot start or continue."""


class DivergedError(TrainingError):
    """A training run whose loss or gradient became NaN or infinite."""


class MeasureError(MfclError):
    """Embeddings or labels that cannot be evaluated as asked."""


class ExportError(MfclError):
    """A model that cannot be written in another format as asked."""


class MissingExtraError(MfclError):
    """A package that an optional part of mfcl needs is not installed."""


class GalleryError(MfclError):
    """A gallery of voices that cannot be read or changed as asked."""


def one_of(kind: str, given: object, allowed: Iterable[str]) -> str:
    """Return the end of a message about an unknown choice: the allowed names, and the nearest spelling.

    Example:
        >>> one_of("pooling", "maen", ["mean", "max"])
        "no pooling is called 'maen'; use one of max, mean (did you mean 'mean'?)"
    """
    names = sorted(allowed)
    if not isinstance(given, str):
        return f"no {kind} is called {shown(given)}; use one of {', '.join(names)}"
    near = difflib.get_close_matches(given, names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"no {kind} is called {given!r}; use one of {', '.join(names)}{hint}"


def check_choice(
    kind: str, given: object, allowed: Collection[str], *, error: type[MfclError] = MfclError, where: str = ""
) -> None:
    """Raise an error unless a value is one of some names; see `one_of`.

    Args:
        kind: What the names are of.
        given: The value.
        allowed: The names.
        error: Class of the error.
        where: How the message begins.

    Raises:
        MfclError: it is none of them, or no text at all.

    Example:
        >>> check_choice("pooling", "mean", ["mean", "max"])
        >>> check_choice("pooling", ["mean"], ["mean", "max"])
        Traceback (most recent call last):
        ...
        mfcl.errors.MfclError: no pooling is called ['mean']; use one of max, mean
    """
    if not isinstance(given, str) or given not in allowed:
        raise error(f"{where}{one_of(kind, given, allowed)}")


LONGEST_SHOWN = 80
"""Most characters of a value in a message."""


def shown(value: object) -> str:
    """Format any value for a message: on one line and of bounded length.

    Example:
        >>> shown("two words"), shown(10**5000), len(shown(list(range(1000))))
        ("'two words'", 'a number of about 5000 digits', 83)
    """
    if isinstance(value, int) and value.bit_length() > 4 * LONGEST_SHOWN:
        return f"a number of about {value.bit_length() * 0.30103:.0f} digits"
    try:
        text = ascii(value) if isinstance(value, str) and not _can_be_written(value) else repr(value)
    except (ValueError, RecursionError):  # it contains a number of thousands of digits, or deeply nested lists
        text = f"a {type(value).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."


def check_number(
    name: str,
    value: object,
    low: int | float,
    high: int | float,
    *,
    whole: bool = False,
    error: type[MfclError] = MfclError,
) -> None:
    """Raise an error unless a value is a number from `low` to `high`, both included.

    Args:
        name: Name of the setting or argument, for the message.
        value: The value to check.
        low: Smallest allowed number.
        high: Largest allowed number.
        whole: Allow integers only.
        error: Class of the error.

    Raises:
        MfclError: not a number, not finite, or out of range.

    Example:
        >>> check_number("batch", 64, 1, 4096, whole=True)
        >>> check_number("batch", -1, 1, 4096, whole=True)
        Traceback (most recent call last):
        ...
        mfcl.errors.MfclError: batch: wanted a whole number from 1 to 4096, got -1
    """
    kind = numbers.Integral if whole else numbers.Real
    number: Any = value
    if isinstance(value, kind) and not isinstance(value, bool) and low <= number <= high:
        return
    what = "a whole number" if whole else "a number"
    raise error(f"{name}: wanted {what} from {spoken_number(low)} to {spoken_number(high)}, got {shown(value)}")


def check_type(
    name: str, value: object, kind: Any, what: str, *, error: type[MfclError] = MfclError, do: str = ""
) -> None:
    """Raise an error unless an argument is of a type.

    Args:
        name: Name of the argument, for the message.
        value: The value to check.
        kind: The type, or a union of types.
        what: The type in words.
        error: Class of the error.
        do: What to do about it.

    Raises:
        MfclError: it is of another type.

    Example:
        >>> check_type("voice", "Ada", str, "a name")
        >>> check_type("voice", 3, str, "a name")
        Traceback (most recent call last):
        ...
        mfcl.errors.MfclError: voice: wanted a name, got 3
    """
    if not isinstance(value, kind):
        raise error(f"{name}: wanted {what}, got {shown(value)}{do and '; '}{do}")


def spoken_number(number: int | float) -> str:
    """Format a bound for a message or a table.

    Example:
        >>> spoken_number(4096), spoken_number(1e-6), spoken_number(2**32 - 1)
        ('4096', '1e-06', '4294967295')
    """
    return str(number) if isinstance(number, int) else f"{number:g}"


def advice(error: OSError) -> str:
    """Return what to do about an operating-system error."""
    # libraries that write files raise errors without a number, mostly because the disk is full
    return _ADVICE.get(error.errno or errno.ENOSPC, "choose another place")


_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free some space or choose another folder"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "check its permissions or choose another place"),
    errno.EISDIR: "it is a folder; give a file",
    errno.ENOTDIR: "a folder in the path is a file; choose another path",
    errno.EEXIST: "a folder in the path is a file; choose another path",
    errno.ENOENT: "check the path",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "the link points to itself; give its target",
    errno.EMFILE: "let the process open more files (ulimit -n)",
    errno.EIO: "check the disk for errors",
}


def _can_be_written(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
