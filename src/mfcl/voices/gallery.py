"""A gallery of voices: enrol, identify, verify, and who speaks when; its thresholds are those of `MeasuredGallery`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mfcl.audio.windows import check_covered, hop_of
from mfcl.data.decoding import LeftOut
from mfcl.data.manifest import Manifest
from mfcl.errors import GalleryError, check_number, check_type
from mfcl.voices.answers import identifications, spoken_turns, verifications
from mfcl.voices.bound import listener_of
from mfcl.voices.creating import check_settings, create
from mfcl.voices.decisions import Identification, Verification
from mfcl.voices.enrolment import Enrolment, clips_of, findings, without_copies
from mfcl.voices.material import COHORT_SIZE, manifest_of
from mfcl.voices.measured import MeasuredGallery
from mfcl.voices.naming import check_consent, check_name
from mfcl.voices.places import check_free
from mfcl.voices.scoring import TOP, WAY, Way
from mfcl.voices.sound import Heard
from mfcl.voices.storage import Storage, Voice
from mfcl.voices.turns import SWITCH, Turn


class Gallery(MeasuredGallery):
    """Voices on disk, bound to one model.

    Made by `Gallery.create` and `Gallery.open`. The model is loaded when sound is to be heard, not before.

    Args:
        storage: An open storage.
        model: The model, its folder, or a `Listener`; default: the folder that the gallery was created with.
        device: Of the model: `auto`, `cpu`, `cuda`, ...

    Example:
        ``gallery = Gallery.create("team.db", "runs/mine"); gallery.enrol("Ada", ["ada1.wav", "ada2.wav"])``
    """

    @classmethod
    def create(
        cls,
        place: str | Path,
        model: Any,
        *,
        cohort: str | Path | Manifest | Heard | None = None,
        cohort_size: int = COHORT_SIZE,
        score: Way = WAY,
        nearest: int = TOP,
        device: str = "auto",
    ) -> "Gallery":
        """Make an empty gallery for one model.

        Args:
            place: A new file, or the address of a PostgreSQL database.
            model: The trained model, or its folder.
            cohort: Recordings of other voices, for what strangers score; default: those that the model was trained on.
            cohort_size: Most recordings of the cohort; 0 for none.
            score: How the clips of a voice make one score: `mean`, `best`, `average`, `both`; see `raw_scores`.
            nearest: Cohort members that scores are normalised by; 0: scores stay cosines, and the cohort only tells
                what strangers score.
            device: `auto`, `cpu`, `cuda`, ...

        Raises:
            GalleryError: there is a gallery already, or the model cannot be used.
        """
        check_settings(cohort_size=cohort_size, score=score, nearest=nearest)
        check_free(place)
        listener = listener_of(model, device)
        made = create(place, listener, cohort=cohort, cohort_size=cohort_size, score=score, nearest=nearest)
        return cls(made, model=listener)

    @classmethod
    def open(cls, place: str | Path, *, model: Any = None, device: str = "auto") -> "Gallery":
        """Open a gallery.

        Raises:
            GalleryError: there is none, it is damaged, or it was written by a newer version.
        """
        return cls(Storage.open(place), model=model, device=device)

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._storage.close()

    @property
    def about(self) -> Mapping[str, str]:
        """The model's folder and digest, the part and size of the vectors, the version of the schema."""
        return self._storage.about()

    @property
    def voices(self) -> list[Voice]:
        """All voices by name."""
        return self._storage.voices()

    def enrol(
        self,
        name: str,
        sounds: Any,
        *,
        sample_rate: int | float | None = None,
        consent: str = "",
        note: str = "",
        keep_audio: bool = False,
    ) -> Enrolment:
        """Add clips to a voice; all are written in one transaction, or none.

        Clips that the voice has are skipped; if it has all of them, a date of consent or a note is still written.

        Args:
            name: Name of the voice; a new one is made.
            sounds: Files, a folder, arrays, or what was `Heard`.
            sample_rate: Of arrays, in Hz; default: the model's.
            consent: Date on which the person agreed, such as `2026-11-02`.
            note: Any text.
            keep_audio: Keep the files' bytes too.

        Returns:
            What was added, and what is suspicious about it.

        Raises:
            GalleryError: no clip is new and nothing is noted, the name or the date can be none, or the gallery cannot
                be written.
        """
        check_name(name)
        check_consent(consent)
        check_type("note", note, str, "a text", error=GalleryError)
        name = self._storage.spelled(name)
        heard = self._bound.hear(sounds, sample_rate)
        new, skipped = without_copies(self._memory.all(), name, heard)
        if not len(new) and not (skipped and (consent or note)):
            clips = "the clip is" if len(heard) == 1 else f"all {len(heard)} clips are"
            raise GalleryError(f"{self.name}: {clips} enrolled as {name!r} already; give others")
        added = np.array(
            self._storage.enrol(name, clips_of(new, keep_audio=keep_audio), consent=consent, note=note), dtype=np.bool_
        )
        skipped += new.select(~added).sources
        return findings(name, new.select(added), skipped, self._memory.all())

    def identify(
        self,
        sounds: Any,
        *,
        sample_rate: int | float | None = None,
        least_margin: int | float | None = None,
    ) -> list[Identification]:
        """Say who speaks in each clip: a name, or `unknown` with the reason.

        Args:
            sounds: Files, a folder, arrays, or what was `Heard`.
            sample_rate: Of arrays, in Hz; default: the model's.
            least_margin: Smallest difference to the next voice; default: see `Threshold.margin`.

        Raises:
            GalleryError: the margin is negative or no number.
        """
        if least_margin is not None:
            check_number("margin", least_margin, 0, 1e6, error=GalleryError)
        heard = self._bound.hear(sounds, sample_rate)
        return identifications(self._memory.likely(heard), heard, least_margin=least_margin)

    def verify(self, name: str, sounds: Any, *, sample_rate: int | float | None = None) -> list[Verification]:
        """Say for each clip whether it is of the voice it is said to be of.

        Raises:
            GalleryError: there is no such voice.
        """
        name = self._storage.find(name).name
        heard = self._bound.hear(sounds, sample_rate)
        return verifications(self._memory.likely(heard, name), name, heard)

    def turns(
        self,
        files: str | Path | Manifest | Sequence[str | Path],
        *,
        window: int | float = 2.0,
        hop: int | float | None = None,
        switch: int | float = SWITCH,
    ) -> list[Turn]:
        """Say who speaks when in recordings of any length; pauses are left out.

        Args:
            files: The recordings.
            window: Length of a window in seconds.
            hop: Step between windows in seconds; default: a quarter of a window.
            switch: Cost of a change of speaker; 0 takes each window for itself.

        Raises:
            MfclError: no recording can be read, or the hop is above the window.
        """
        check_number("switch", switch, 0, 1e6, error=GalleryError)
        step = hop_of(window, hop, share=4)
        check_covered(window, step)
        left_out = LeftOut()
        recordings = self.listener.windows(manifest_of(files), left_out, window=window, hop=step)
        found = spoken_turns(self._memory.all(), recordings, hop=step, switch=switch)
        left_out.write(None)
        return found

    def remove(self, name: str) -> str:
        """Remove a voice and its embeddings for good; return what is still to be said about it, or ""."""
        return self._storage.remove(name)

    def rename(self, name: str, new: str) -> None:
        """Give a voice another name."""
        self._storage.rename(name, new)

    def merge(self, name: str, other: str) -> None:
        """Move the clips of `other` to `name`; `other` is gone then."""
        self._storage.merge(name, other)

    @property
    def storage(self) -> Storage:
        """The rows on disk."""
        return self._storage
