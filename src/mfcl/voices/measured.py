"""The thresholds of a gallery: set, told and measured by recordings of people who are not in it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mfcl.data.decoding import LeftOut
from mfcl.data.manifest import Manifest
from mfcl.errors import GalleryError, check_number
from mfcl.voices import calibrating, evaluating
from mfcl.voices.bound import BoundModel
from mfcl.voices.calibration import Calibration, check_far
from mfcl.voices.held_out import People
from mfcl.voices.material import held_out_people
from mfcl.voices.memory import Memory
from mfcl.voices.snapshot import Threshold, read_snapshot
from mfcl.voices.sound import Listener
from mfcl.voices.storage import Storage


class MeasuredGallery:
    """A gallery that is open, with its model and its thresholds; `Gallery` has its voices, too.

    Args:
        storage: An open storage.
        model: The model, its folder, or a `Listener`; default: the folder that the gallery was created with.
        device: Of the model: `auto`, `cpu`, `cuda`, ...
    """

    def __init__(self, storage: Storage, *, model: Any = None, device: str = "auto") -> None:
        self._storage = storage
        self._bound = BoundModel(storage, model, device)
        self._memory = Memory(storage)

    @property
    def name(self) -> str:
        """The gallery's place, for messages."""
        return self._storage.name

    @property
    def listener(self) -> Listener:
        """The model, loaded on first use.

        Raises:
            GalleryError: it is not the model that the gallery was created with.
        """
        return self._bound.listener

    @property
    def calibration(self) -> Calibration | None:
        """The calibration, None if there is none."""
        content = self._storage.calibration()
        return None if content is None else Calibration.from_json(content, where=self.name)

    def threshold(self, size: int | None = None) -> Threshold:
        """Return the threshold for a gallery of this size (default: its own), and what to expect of it.

        Without a calibration it is set by the cohort; without a cohort there is none, and nobody gets a name.

        Raises:
            GalleryError: the size is no whole number from 0 on.
        """
        if size is not None:
            check_number("size", size, 0, 10**9, whole=True, error=GalleryError)
        return self._memory.all().threshold(size)

    def calibrate(
        self,
        data: str | Path | Manifest,
        *,
        far: int | float = 0.01,
        speaker: str | None = None,
        label: str | None = None,
        split: str | None = None,
        clips: int | None = None,
        use_quality: bool = False,
        seed: int = 0,
    ) -> tuple[Calibration, list[str]]:
        """Set the thresholds by held-out recordings of other people; return them with notes.

        Raises:
            MfclError: there are too few people or clips.
        """
        check_far(far)
        held = self.held_out(data, speaker=speaker, label=label, split=split)
        now = read_snapshot(self._storage, calibrated=False)
        made, notes = calibrating.calibrate(
            held, now.scorer.cohort, now.profiles, far=far, setting=now.setting, clips=clips, seed=seed,
            use_quality=use_quality, way=now.scorer.way, top=now.scorer.top,
            what=str(data if not isinstance(data, Manifest) else data.root),
        )  # fmt: skip
        self._storage.calibrate(made.to_json())
        self._memory.forget()
        return made, notes

    def held_out(
        self,
        data: str | Path | Manifest,
        *,
        speaker: str | None = None,
        label: str | None = None,
        split: str | None = None,
    ) -> People:
        """Return the clips of held-out people, heard by the gallery's model; see `evaluate`."""
        left_out = LeftOut()
        held = held_out_people(data, self.listener, left_out, speaker=speaker, label=label, split=split)
        left_out.write(None)
        return held

    def evaluate(
        self,
        data: str | Path | Manifest | People,
        *,
        far: int | float = 0.01,
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
        check_far(far)
        held = data if isinstance(data, People) else self.held_out(data, speaker=speaker, label=label, split=split)
        now = self._memory.all()
        return evaluating.evaluate(
            held,
            now.scorer.cohort,
            far=far,
            clips=clips,
            calibration=now.calibration,
            seed=seed,
            way=now.scorer.way,
            top=now.scorer.top,
        )
