"""Write counts of recordings as a cell of the scan's table."""

from collections import Counter
from collections.abc import Iterable, Sequence

from mfcl.core.console import worded
from mfcl.data.manifest import Manifest, Recording

SHOWN = 12  # most values that are counted one by one


def split_counts(recordings: Sequence[Recording]) -> str:
    """Return the count of each split, and of recordings without one."""
    given = [recording.split for recording in recordings if recording.split]
    lacking = len(recordings) - len(given)
    return value_counts(given) + (f"; none given: {lacking}" if lacking else "") if given else "none given"


def label_counts(manifest: Manifest, usable: Sequence[Recording], name: str) -> str:
    """Return the count of each value of a label among the usable recordings, and how many of them lack it."""
    every = {recording.label(name) for recording in manifest} - {""}
    values = [recording.label(name) for recording in usable if recording.label(name)]
    lacking = len(usable) - len(values)
    return f"{worded(len(every), 'value')}; {value_counts(values, every)}" + (
        f"; missing: {lacking}" if lacking else ""
    )


def value_counts(values: Iterable[str], every: Iterable[str] = ()) -> str:
    """Return the count of each value, and of those in `every`, which may be 0; for many values, the range of counts."""
    counts = Counter(values)
    counts.update(dict.fromkeys(every, 0))
    found = sorted(counts.items())
    if len(found) > SHOWN:
        return f"{min(count for _, count in found)} to {max(count for _, count in found)} each"
    return ", ".join(f"{value}: {count}" for value, count in found) or "none"


def rate_counts(rates: Iterable[int]) -> str:
    """Return the number of recordings per sample rate, the most frequent first."""
    found = Counter(rates).most_common()
    more = f", {len(found) - SHOWN} more rates" if len(found) > SHOWN else ""
    return ", ".join(f"{rate} Hz: {count}" for rate, count in found[:SHOWN]) + more or "none"
