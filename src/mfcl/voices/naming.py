"""What a person writes about a voice: its name, and the date of consent."""

import datetime

from mfcl.core.spelling import composed
from mfcl.errors import GalleryError, shown

LONGEST_NAME = 200
"""Most characters of a name."""
EARLIEST_ZONE = datetime.timedelta(hours=14)
"""How far the earliest clocks on Earth are ahead of UTC; people and machine may be in two zones."""


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
    """Refuse what is no date, or none that has come yet, since what is noted must tell a day later on; "" is none.

    Raises:
        GalleryError: there is no such day, or it lies in the future.
    """
    try:
        if not isinstance(day, str):
            raise TypeError
        noted = datetime.date.fromisoformat(day) if day else None
    except (TypeError, ValueError):
        raise GalleryError(f"consent: wanted a date such as 2026-11-02, got {shown(day)}") from None
    now = datetime.datetime.now(datetime.UTC)
    if noted is not None and noted > (now + EARLIEST_ZONE).date():
        raise GalleryError(
            f"consent: wanted the day on which the person agreed, got {day}, which is yet to come (it is {now.date()})"
        )
