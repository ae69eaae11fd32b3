"""Tell collections of isolated events, such as spoken words, from scenes, such as rain or a street."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

EVENT_SECONDS = 3.0
"""Longest sound that counts as one event."""
MOSTLY = 0.7
"""Share of clips with one event at which a collection counts as isolated events."""


@dataclass(frozen=True)
class SoundShare:
    """How much of a collection's clips is sound, and how it is laid out; `str` says it in one line."""

    clips: int
    """Clips that were measured: those of at most 30 s."""
    median: float
    """Median share of a clip's time that `preparation.endpoints` would keep, 0 to 1."""
    single: float
    """Share of all clips whose sound is one run of at most 3 s, 0 to 1; longer recordings count as others."""

    @property
    def isolated(self) -> bool:
        """Whether the collection looks like isolated events rather than scenes."""
        return self.single >= MOSTLY

    def __str__(self) -> str:
        """Return it in one line."""
        looks = "isolated events" if self.isolated else "scenes"
        return (
            f"{100 * self.median:.0f} % of a clip in its main run (median); "
            f"{100 * self.single:.0f} % of clips hold one run of at most {EVENT_SECONDS:g} s: {looks}"
        )


def sound_share(clips: Iterable[tuple[float, float | None, int]]) -> SoundShare | None:
    """Summarise where the sound of clips lies; a scan gives it as `ScanReport.sound`, `open_data` as `report.sound`.

    A clip counts as an isolated event if its sound is one run of at most `EVENT_SECONDS`, or if nothing stands out from
    its floor and the whole clip is as short. Minutes of rain, several barks, or recordings of more than 30 s do not.
    A collection looks like isolated events if at least `MOSTLY` of its clips do.

    Args:
        clips: Of each clip its seconds, its seconds of sound (None: not measured) and its separate runs of sound.

    Returns:
        None if no clip was measured.

    Example:
        >>> str(sound_share([(1.0, 0.5, 1), (1.0, 0.6, 1), (1.0, 0.7, 1)]))
        '60 % of a clip in its main run (median); 100 % of clips hold one run of at most 3 s: isolated events'
    """
    every = list(clips)
    measured = [(seconds, sound, runs) for seconds, sound, runs in every if sound is not None and seconds > 0]
    if not measured:
        return None
    single = sum(runs <= 1 and sound <= EVENT_SECONDS for _, sound, runs in measured)
    median = float(np.median([sound / seconds for seconds, sound, _ in measured]))
    return SoundShare(len(measured), median, single / len(every))
