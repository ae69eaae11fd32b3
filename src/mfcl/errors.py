"""The errors a person can cause and mend; each message is one line: what was wanted, what came, where, what to do."""

import difflib
import errno
import numbers
from collections.abc import Iterable
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
    """A file that cannot be used as sound."""


class ManifestError(MfclError):
    """A list of recordings that cannot be read or used as asked."""


class SplitError(ManifestError):
    """Recordings that cannot be split as asked."""


class StoreError(MfclError):
    """The cache of decoded sound cannot be built or read."""


class FetchError(MfclError):
    """A public archive that cannot be had, or is not what it should be."""


class RecipeError(MfclError):
    """A setting that does not exist or is out of range."""


class CheckpointError(MfclError):
    """A saved model or run that cannot be read or continued."""


class TrainingError(MfclError):
    """A training run that cannot go on."""


class MeasureError(MfclError):
    """Embeddings or labels that cannot be measured as asked."""


def one_of(kind: str, given: str, allowed: Iterable[str]) -> str:
    """Return the end of a message about a wrong choice: what is allowed, and the nearest spelling.

    Example:
        >>> one_of("pooling", "maen", ["mean", "max"])
        "no pooling is called 'maen'; use one of max, mean (did you mean 'mean'?)"
    """
    names = sorted(allowed)
    near = difflib.get_close_matches(given, names, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"no {kind} is called {given!r}; use one of {', '.join(names)}{hint}"


LONGEST_SHOWN = 80
"""Characters of a value that a message shows."""


def shown(value: object) -> str:
    """Return a value as a message shows it: on one line, of bounded length, whatever it is.

    Example:
        >>> shown("two words"), shown(10**5000), len(shown(list(range(1000))))
        ("'two words'", 'a number of about 5000 digits', 83)
    """
    if isinstance(value, int) and value.bit_length() > 4 * LONGEST_SHOWN:
        return f"a number of about {value.bit_length() * 0.30103:.0f} digits"
    try:
        text = ascii(value) if isinstance(value, str) and not _can_be_written(value) else repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, or lists in lists, inside of it
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
    """Refuse what is no number from `low` to `high`, both included.

    Args:
        name: What the number is, as the person who gives it knows it.
        value: What came.
        low: The smallest that makes sense.
        high: The largest.
        whole: Refuse fractions.
        error: What to raise.

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


def spoken_number(number: int | float) -> str:
    """Return a bound as a person writes it.

    Example:
        >>> spoken_number(4096), spoken_number(1e-6), spoken_number(2**32 - 1)
        ('4096', '1e-06', '4294967295')
    """
    return str(number) if isinstance(number, int) else f"{number:g}"


def advice(error: OSError) -> str:
    """Return what to do about an error of the system, by its kind."""
    return _ADVICE.get(error.errno or errno.ENOSPC, "choose another place")  # without a number: of a library's writer


_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free some space or choose another folder"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "choose a place that you may use"),
    errno.EISDIR: "it is a folder; give a file",
    errno.ENOTDIR: "a part of the path is a file; give a folder",
    errno.EEXIST: "a part of the path is a file; give a folder",
    errno.ENOENT: "look at how the path is written",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "it is a link that leads to itself; give what it should lead to",
    errno.EMFILE: "let the process open more files (ulimit -n)",
    errno.EIO: "look whether the disk is well",
}


def _can_be_written(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
