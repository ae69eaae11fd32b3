"""What a person writes about a voice: its name, and the date of consent."""

import datetime

from mfcl.core.spelling import composed
from mfcl.errors import GalleryError, shown

LONGEST_NAME = 200
"""Most characters of a name."""


def normal(name: str) -> str:
    r"""Return a name in Unicode's composed form: two spellings that look the same are one voice.

    Example:
        >>> normal("Jose\u0301") == "Jos\u00e9"
        True
    """
    return composed(name)


def check_name(name: object) -> None:
    """Refuse a name that no voice can have.

    Raises:
        GalleryError: it is no text, empty, too long, not printable, or `unknown`.
    """
    if (
        not isinstance(name, str)
        or not name.strip()
        or name != name.strip()
        or len(name) > LONGEST_NAME
        or not name.isprintable()
    ):
        raise GalleryError(
            f"voice: wanted a name of 1 to {LONGEST_NAME} printable characters without outer spaces, got {shown(name)}"
        )
    if name == "unknown":
        raise GalleryError("voice: 'unknown' is the answer for a voice that is not enrolled; choose another name")


def check_consent(day: object) -> None:
    """Refuse what is no date, since what is noted must tell a day later on; "" is none.

    Raises:
        GalleryError: there is no such day.
    """
    try:
        if not isinstance(day, str):
            raise TypeError
        if day:
            datetime.date.fromisoformat(day)
    except (TypeError, ValueError):
        raise GalleryError(f"consent: wanted a date such as 2026-11-02, got {shown(day)}") from None
