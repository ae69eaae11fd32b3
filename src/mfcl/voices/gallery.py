"""A gallery of voices: enrol, identify, verify, calibrate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from mfcl.audio.arrays import listed
from mfcl.data.decoding import LeftOut
from mfcl.data.manifest import Manifest
from mfcl.embeddings.linalg import unit_rows
from mfcl.errors import GalleryError, check_number
from mfcl.voices import calibrating, decisions, evaluating
from mfcl.voices.agreement import agreement
from mfcl.voices.calibration import Calibration, Level
from mfcl.voices.decisions import Identification, Verification
from mfcl.voices.enrolment import Enrolment, clips_of, findings
from mfcl.voices.material import COHORT_SIZE, cohort_of, held_out_people, manifest_of, training_list
from mfcl.voices.scoring import TOP, WAY, Profiles, Scorer
from mfcl.voices.sound import Heard, Listener, joined
from mfcl.voices.storage import Storage, Voice
from mfcl.voices.turns import SWITCH, Turn, turns

VOICES_AT_ONCE = 1000
"""Voices whose scores are kept for every window of a recording; of a larger gallery only the likely ones are."""
WINDOWS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The voices of a gallery in memory."""

    changes: int
    profiles: Profiles
    sources: list[str]
    scorer: Scorer
    calibration: Calibration | None


@dataclass(frozen=True)
class Threshold:
    """The threshold of a gallery, and what to expect of it."""

    value: float
    level: Level | None
    """What was measured in calibration; None without one."""
    notes: tuple[str, ...]


class Gallery:
    """Voices on disk, bound to one model.

    Made by `Gallery.create` and `Gallery.open`. The model is loaded when sound is to be heard, not before.

    Args:
        storage: An open storage.
        model: The model, its folder, or a `Listener`; default: the folder that the gallery was created with.
        device: Of the model: `auto`, `cpu`, `cuda`, ...

    Example:
        ``gallery = Gallery.create("team.db", "runs/mine"); gallery.enrol("Ada", ["ada1.wav", "ada2.wav"])``
    """

    def __init__(self, storage: Storage, *, model: Any = None, device: str = "auto") -> None:
        self._storage, self._model, self._device = storage, model, device
        self._listener: Listener | None = None
        self._snapshot: Snapshot | None = None

    @classmethod
    def create(
        cls,
        place: str | Path,
        model: Any,
        *,
        cohort: str | Path | Manifest | Heard | None = None,
        normalise: bool = True,
        cohort_size: int = COHORT_SIZE,
        device: str = "auto",
    ) -> "Gallery":
        """Make an empty gallery for one model.

        Args:
            place: A new file, or the address of a PostgreSQL database.
            model: The trained model, or its folder.
            cohort: Recordings of other voices to normalise scores by; default: those that the model was trained on.
            normalise: False for no cohort.
            cohort_size: Most recordings of the cohort.
            device: `auto`, `cpu`, `cuda`, ...

        Raises:
            GalleryError: there is a gallery already, or the model cannot be used.
        """
        check_number("cohort size", cohort_size, 2, 100_000, whole=True, error=GalleryError)
        listener, left_out = _listener(model, device), LeftOut()
        if not normalise:
            vectors = np.zeros((0, 1), dtype=np.float32)
            about = {"dim": str(listener.dim)}
        else:
            source = cohort if cohort is not None else training_list(listener.folder)
            heard = source if isinstance(source, Heard) else cohort_of(source, listener, left_out, size=cohort_size)
            vectors = unit_rows(heard.vectors, np.float32)
            about = {"dim": str(vectors.shape[1])}
        about |= {"model": listener.folder, "digest": listener.digest, "part": listener.part}
        left_out.write(None)
        made = cls(Storage.create(place, about, vectors), model=listener)
        made._listener = listener
        return made

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
    def name(self) -> str:
        """The gallery's place, for messages."""
        return self._storage.name

    @property
    def about(self) -> Mapping[str, str]:
        """The model's folder and digest, the part and size of the vectors, the version of the schema."""
        return self._storage.about()

    @property
    def voices(self) -> list[Voice]:
        """All voices by name."""
        return self._storage.voices()

    @property
    def calibration(self) -> Calibration | None:
        """The calibration, None if there is none."""
        content = self._storage.calibration()
        return None if content is None else Calibration.from_json(content, where=self.name)

    @property
    def listener(self) -> Listener:
        """The model, loaded on first use.

        Raises:
            GalleryError: it is not the model that the gallery was created with.
        """
        if self._listener is None:
            about = self.about
            found = _listener(about["model"] if self._model is None else self._model, self._device)
            if found.digest != about["digest"]:
                raise GalleryError(
                    f"{self.name}: bound to the model {about['digest'][:12]} (then in {about['model']}), but "
                    f"{found.folder} is {found.digest[:12]}; embeddings of two models cannot be compared: "
                    "give its own model (--model), or create a new gallery"
                )
            self._listener = found
        return self._listener

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

        Args:
            name: Name of the voice; a new one is made.
            sounds: Files, a folder, arrays, or what was `Heard`.
            sample_rate: Of arrays, in Hz; default: the model's.
            consent: Date on which the person agreed.
            note: Any text.
            keep_audio: Keep the files' bytes too.

        Returns:
            What was added, and what is suspicious about it.

        Raises:
            GalleryError: no clip is new, or the gallery cannot be written.
        """
        heard = self._hear(sounds, sample_rate)
        before = self._now()
        known = before.profiles.names.index(name) if name in before.profiles.names else -1
        old = before.profiles.vectors[before.profiles.owners == known]
        whole = agreement(np.concatenate([old, unit_rows(heard.vectors, np.float32)]), before.scorer.cohort)
        copies = {second - len(old) for _, second in whole.copies if second >= len(old)}
        new = heard.select(np.array([place not in copies for place in range(len(heard))]))
        if not len(new):
            raise GalleryError(f"{self.name}: all {len(heard)} clips are enrolled as {name!r} already; give others")
        self._storage.enrol(name, clips_of(new, keep_audio=keep_audio), consent=consent, note=note)
        after = self._now()
        skipped = tuple(heard.sources[place] for place in sorted(copies))
        return findings(name, new, skipped, after.profiles, after.sources, after.scorer)

    def identify(
        self,
        sounds: Any,
        *,
        sample_rate: int | float | None = None,
        least_margin: float = decisions.LEAST_MARGIN,
    ) -> list[Identification]:
        """Say who speaks in each clip: a name, or `unknown` with the reason."""
        heard, now = self._hear(sounds, sample_rate), self._now()
        threshold, names = self.threshold().value, now.profiles.names
        scores = self._scores(now, heard)
        found = []
        for place, row in enumerate(unit_rows(heard.vectors)):
            own = scores[place]
            # only the two best voices can overlap: their profiles are compared when it matters
            name, reason, best, second = decisions.decide(own, names, threshold, least_margin=least_margin)
            if reason == decisions.MARGIN and self._overlap(now, best, second) >= threshold:
                reason = decisions.OVERLAP
            found.append(
                Identification(
                    heard.sources[place], name, reason, names[best] if best >= 0 else "",
                    float(own[best]) if best >= 0 else float("-inf"),
                    float(own[best] - own[second]) if second >= 0 else None, names[second] if second >= 0 else "",
                    float(heard.seconds[place]), float(heard.levels[place]),
                    decisions.nearest_clips(row, now.profiles, now.sources) if len(names) else (),
                )
            )  # fmt: skip
        return found

    def verify(self, name: str, sounds: Any, *, sample_rate: int | float | None = None) -> list[Verification]:
        """Say for each clip whether it is of the voice it is said to be of.

        Raises:
            GalleryError: there is no such voice.
        """
        self._storage.find(name)
        heard, now = self._hear(sounds, sample_rate), self._now()
        if name not in now.profiles.names:
            raise GalleryError(f"{self.name}: {name!r} has no clips; enrol some")
        threshold = self.threshold(size=1).value
        scores, own = self._scores(now, heard), now.profiles.names.index(name)
        best = scores.argmax(axis=1)
        return [
            Verification(
                heard.sources[place], name, bool(scores[place, own] >= threshold), float(scores[place, own]), threshold,
                "" if best[place] == own else now.profiles.names[best[place]],
                float(heard.seconds[place]), float(heard.levels[place]),
            )
            for place in range(len(heard))
        ]  # fmt: skip

    def turns(
        self,
        files: str | Path | Manifest | Sequence[str | Path],
        *,
        window: float = 2.0,
        hop: float = 0.5,
        switch: float = SWITCH,
    ) -> list[Turn]:
        """Say who speaks when in recordings of any length; pauses are left out.

        Args:
            files: The recordings.
            window: Length of a window in seconds.
            hop: Step between windows in seconds.
            switch: Cost of a change of speaker; 0 takes each window for itself.
        """
        check_number("switch", switch, 0, 1e6, error=GalleryError)
        now, left_out, found = self._now(), LeftOut(), []
        threshold = self.threshold().value
        for recording in self.listener.windows(manifest_of(files), left_out, window=window, hop=hop):
            kept, scores = self._window_scores(now, recording.heard)
            names = tuple(now.profiles.names[place] for place in kept)
            found += turns(
                recording.source, recording.starts, recording.ends, recording.heard.levels, scores, names, threshold,
                hop=hop, switch=switch,
            )  # fmt: skip
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

    def calibrate(
        self,
        data: str | Path | Manifest,
        *,
        far: float = 0.01,
        speaker: str | None = None,
        label: str | None = None,
        split: str | None = None,
        clips: int | None = None,
        seed: int = 0,
    ) -> tuple[Calibration, list[str]]:
        """Set the thresholds by held-out recordings of other people; return them with notes.

        Raises:
            MfclError: there are too few people or clips.
        """
        left_out = LeftOut()
        held = held_out_people(data, self.listener, left_out, speaker=speaker, label=label, split=split)
        left_out.write(None)
        now = self._now()
        made, notes = calibrating.calibrate(
            held, now.scorer.cohort, now.profiles, far=far, setting=self._setting(now), clips=clips, seed=seed,
            what=str(data if not isinstance(data, Manifest) else data.root),
        )  # fmt: skip
        self._storage.calibrate(made.to_json())
        self._snapshot = None
        return made, notes

    def evaluate(
        self,
        data: str | Path | Manifest,
        *,
        far: float = 0.01,
        speaker: str | None = None,
        label: str | None = None,
        split: str | None = None,
        clips: Sequence[int] = evaluating.CLIPS,
        seed: int = 0,
    ) -> evaluating.Evaluation:
        """Measure the model, the cohort and the calibration on held-out people; nobody is enrolled here.

        Raises:
            MfclError: there are too few people or clips.
        """
        check_number("far", far, 1e-6, 0.5)
        left_out = LeftOut()
        held = held_out_people(data, self.listener, left_out, speaker=speaker, label=label, split=split)
        left_out.write(None)
        now = self._now()
        return evaluating.evaluate(
            held, now.scorer.cohort, far=far, clips=clips, calibration=now.calibration, seed=seed
        )

    def threshold(self, size: int | None = None) -> Threshold:
        """Return the threshold for a gallery of this size (default: its own), and what to expect of it.

        Without a calibration it is set by the cohort; without a cohort there is none, and nobody gets a name.
        """
        now = self._now()
        voices = max(1, len(now.profiles) if size is None else size)
        if now.calibration is not None:
            level, beyond = now.calibration.level(voices)
            note = (
                f"calibrated for up to {now.calibration.levels[-1].size} voices, the gallery has {voices}: "
                "the threshold is extrapolated; calibrate again"
            )
            return Threshold(level.threshold, level, (note,) if beyond else ())
        advice = "calibrate on recordings like yours: mfcl voices calibrate"
        if not now.scorer.normalises:
            note = f"neither calibrated nor a cohort: nothing tells a threshold, so all are unknown; {advice}"
            return Threshold(float("inf"), None, (note,))
        value = decisions.cohort_threshold(now.scorer) if len(now.profiles) else float("inf")
        note = f"not calibrated: the threshold is what 1 % of the training recordings reach; {advice}"
        return Threshold(value, None, (note,))

    def vectors(self, name: str) -> Float32[np.ndarray, "clips dim"]:
        """Return a voice's unit vectors."""
        now = self._now()
        self._storage.find(name)
        names = now.profiles.names
        chosen = now.profiles.owners == (names.index(name) if name in names else -1)
        return np.asarray(now.profiles.vectors[chosen])

    @property
    def storage(self) -> Storage:
        """The rows on disk."""
        return self._storage

    def _hear(self, sounds: Any, sample_rate: int | float | None) -> Heard:
        if isinstance(sounds, Heard):
            return sounds
        if isinstance(sounds, str | Path | Manifest) or all(isinstance(one, str | Path) for one in listed(sounds)):
            left_out = LeftOut()
            heard, _ = self.listener.hear(manifest_of(sounds), left_out)
            left_out.write(None)
            return heard
        return self.listener.arrays(listed(sounds), sample_rate)

    def _now(self) -> Snapshot:
        """Return the voices in memory, read again if another process has changed them."""
        storage = self._storage
        with storage.database.transaction(write=False):
            changes = storage.changes()
            if self._snapshot is None or self._snapshot.changes != changes:
                names, owners, vectors, sources = storage.profiles()
                content = storage.calibration()
                calibration = None if content is None else Calibration.from_json(content, where=self.name)
                scorer = Scorer(Profiles.of(tuple(names), owners, vectors), storage.cohort())
                self._snapshot = Snapshot(changes, scorer.profiles, sources, scorer, calibration)
                if calibration is not None and calibration.setting != self._setting(self._snapshot):
                    raise GalleryError(f"{self.name}: calibrated with other settings of scores; calibrate again")
            return self._snapshot

    def _scores(self, now: Snapshot, heard: Heard) -> Float64[np.ndarray, "clips voices"]:
        dim = int(self.about["dim"])
        if heard.vectors.shape[1] != dim:
            raise GalleryError(f"{self.name}: wanted vectors of {dim} values, got {heard.vectors.shape[1]}")
        scores = now.scorer(heard.vectors)
        return np.asarray(scores if now.calibration is None else now.calibration.ratios(scores, heard.seconds))

    def _window_scores(self, now: Snapshot, heard: Heard) -> tuple[list[int], Float64[np.ndarray, "windows voices"]]:
        """Return the scores of windows with all voices, or, in a large gallery, with those that are ever the best."""
        blocks = [
            np.arange(first, min(first + WINDOWS_AT_ONCE, len(heard)))
            for first in range(0, len(heard), WINDOWS_AT_ONCE)
        ]
        kept = list(range(len(now.profiles)))
        if len(kept) > VOICES_AT_ONCE:
            best = np.concatenate([self._scores(now, heard.select(block)).argmax(axis=1) for block in blocks])
            voices, counts = np.unique(best, return_counts=True)
            kept = voices[np.argsort(-counts, kind="stable")[:VOICES_AT_ONCE]].tolist()
        return kept, np.concatenate([self._scores(now, heard.select(block))[:, kept] for block in blocks])

    def _overlap(self, now: Snapshot, one: int, other: int) -> float:
        """Return the score of one voice's mean with another voice."""
        own = now.profiles.owners == one
        typical = joined([Heard(now.profiles.means[one : one + 1], np.array([1.0]), np.array([-20.0]), ("",))])
        return float(self._scores(now, typical)[0, other]) if own.any() else float("-inf")

    @staticmethod
    def _setting(now: Snapshot) -> str:
        return f"{WAY}, {len(now.scorer.cohort)} of a cohort, {TOP} nearest"


def _listener(model: Any, device: str) -> Listener:
    if isinstance(model, Listener):
        return model
    from mfcl.voices.hearing import ModelListener

    return ModelListener(model, device=device)
