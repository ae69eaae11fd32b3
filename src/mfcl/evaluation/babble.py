"""Babble: recordings of several other speakers, talking at once, as noise."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int64

from mfcl.data.manifest import Recording
from mfcl.data.store import Store
from mfcl.errors import MeasureError

VOICES = 4
"""Voices that talk at once."""


@dataclass(frozen=True, eq=False)
class Babble:
    """Recordings to make babble of, such as a store's train split.

    Attributes:
        store: The recordings.
        speaker: Label that names the speaker; None if unknown, where other recordings are taken for other voices.

    Raises:
        MeasureError: fewer than `VOICES` recordings have sound.
        ManifestError: no recording has the label.

    Example:
        `Disturbed(data.subset("test"), snr_db=10, colour="babble", babble=Babble(data.subset("train"), "speaker"))`
    """

    store: Store
    speaker: str | None = None

    def __post_init__(self) -> None:
        if self.speaker is not None:
            self.store.manifest.column(self.speaker)
        if (found := int((self.store.lengths > 0).sum())) < VOICES:
            raise MeasureError(f"babble: wanted {VOICES} or more recordings to make it of, got {found}; give more")

    def around(self, recording: Recording) -> "Crowd":
        """Return what may be heard around a recording: others' recordings, never itself."""
        given = (("path", str(recording.path)), ("digest", recording.digest), ("speaker", self._speaker_of(recording)))
        return Crowd(self, recording.id, given)

    @cached_property
    def usable(self) -> Bool[np.ndarray, " recordings"]:
        """Whether each recording has sound, and a speaker if speakers are known."""
        named = self.store.manifest.column(self.speaker) != "" if self.speaker else True
        return (self.store.lengths > 0) & named

    @cached_property
    def people(self) -> Int64[np.ndarray, " recordings"]:
        """A number for each recording's speaker."""
        names = [self._speaker_of(one) for one in self.store.manifest]
        return np.unique(names, return_inverse=True)[1].astype(np.int64)

    @cached_property
    def places(self) -> Mapping[tuple[str, str], list[int]]:
        """File, digest (equal for copies) or speaker -> places of its recordings."""
        found: dict[tuple[str, str], list[int]] = {}
        for place, one in enumerate(self.store.manifest):
            for kind, value in (("path", str(one.path)), ("digest", one.digest), ("speaker", self._speaker_of(one))):
                if value:
                    found.setdefault((kind, value), []).append(place)
        return found

    def _speaker_of(self, recording: Recording) -> str:
        return recording.label(self.speaker) if self.speaker else ""


@dataclass(frozen=True)
class Crowd:
    """The babble around one recording, of which its file, its copies and its speaker are no part.

    Attributes:
        babble: What it is made of.
        id: The recording's id.
        without: Kind and value of what is left out; see `Babble.places`.
    """

    babble: Babble
    id: str
    without: tuple[tuple[str, str], ...]

    def noise(self, numbers: np.random.Generator, length: int) -> Float64[np.ndarray, " samples"]:
        """Return `VOICES` voices of equal power, summed.

        The voices are speakers drawn at random. Where fewer others are named, one speaker is several voices, each with
        recordings of its own.

        Args:
            numbers: What everything is drawn from.
            length: Samples.

        Raises:
            MeasureError: fewer than `VOICES` recordings are others', or those drawn for a voice are silent.
        """
        return sum((self._voice(own, numbers, length) for own in self._drawn(numbers)), np.zeros(length))

    def _drawn(self, numbers: np.random.Generator) -> list[Int64[np.ndarray, " recordings"]]:
        """Return the recordings of each voice, in random order."""
        order = numbers.permutation(np.flatnonzero(self._others()))
        if len(order) < VOICES:
            whose = " of another speaker" if self.babble.speaker else ""
            raise MeasureError(
                f"babble: wanted {VOICES} or more other recordings{whose} to put around {self.id}, got {len(order)}; "
                "give more training recordings"
            )
        people = self.babble.people[order]
        first = np.unique(people, return_index=True)[1]
        if len(first) < VOICES:
            return [order[voice::VOICES] for voice in range(VOICES)]
        return [order[people == people[place]] for place in np.sort(first)[:VOICES]]

    def _others(self) -> Bool[np.ndarray, " recordings"]:
        others = self.babble.usable.copy()
        for one in self.without:
            others[self.babble.places.get(one, [])] = False
        return others

    def _voice(
        self, recordings: Int64[np.ndarray, " recordings"], numbers: np.random.Generator, length: int
    ) -> Float64[np.ndarray, " samples"]:
        """Return recordings one after another, the first from a random place on, with a root mean square of 1."""
        start = int(numbers.integers(self.babble.store.lengths[recordings[0]]))
        for turn in range(len(recordings)):
            wave = self._joined(np.roll(recordings, -turn), start if not turn else 0, length)
            power = float(np.square(wave).mean()) if length else 1.0
            if power > 0:
                scaled: Float64[np.ndarray, " samples"] = wave / np.sqrt(power)
                return scaled
        raise MeasureError(f"babble: the recordings drawn around {self.id} are silent; leave silent ones out")

    def _joined(
        self, recordings: Int64[np.ndarray, " recordings"], start: int, length: int
    ) -> Float64[np.ndarray, " samples"]:
        """Return `length` samples of the recordings one after another, repeated if they are too short."""
        store, wave, filled, turn = self.babble.store, np.zeros(length), 0, 0
        while filled < length:
            piece = store.piece(int(recordings[turn % len(recordings)]), start, start + length - filled)
            wave[filled : filled + len(piece)] = piece
            filled, turn, start = filled + len(piece), turn + 1, 0
        return wave
