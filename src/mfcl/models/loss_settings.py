"""What the contrastive loss is computed of: which formats and recordings are positives, temperature and weights."""

from dataclasses import dataclass
from typing import Literal

from mfcl.core.settings import bounded, check_settings, later
from mfcl.errors import RecipeError, one_of

TERMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "inter": (("wave",), ("mel",)),
    "inter+intra": (("wave", "mel"), ("wave", "mel")),
    "wave-wave": (("wave",), ("wave",)),
    "mel-mel": (("mel",), ("mel",)),
}
"""Name -> formats of the first crop, and formats of the second; each of the first is paired with each of the second."""


@dataclass(frozen=True)
class LossSettings:
    """The positive pairs of the contrastive loss, its temperature, and the weights of its terms."""

    terms: str = "inter"
    """"inter": one crop's waveform with the other crop's log-mel. "inter+intra": both formats of both crops.
    "wave-wave", "mel-mel": one format only, for comparison."""
    temperature: float = bounded(0.1, 0.0001, 100.0)
    """Cosine similarities are divided by it; the initial value if it is learned."""
    learned: bool = False
    """Learn the temperature with the weights."""
    lowest: float = bounded(0.01, 1e-06, 100.0)
    """Lower bound of a learned temperature."""
    highest: float = bounded(1.0, 0.0001, 1000.0)
    """Upper bound of a learned temperature."""
    voices: float = bounded(1.0, 1e-12, 1e6)
    """Weight of the speaker embedding's loss relative to the content embedding's, if the model has both."""
    labels: float = bounded(1.0, 1e-12, 1e6)
    """Weight of the classification loss relative to the contrastive loss, in joint training."""
    neighbours: int = bounded(0, 0, 100000)
    """Number of nearest recordings used as extra positives for the content embedding; 0 uses only its own crops."""
    alike_by: Literal["vectors", "alignment"] = later("vectors")
    """How nearest recordings are found: by cosine of "vectors", or by "alignment" of log-mels in time, later together
    with the projections. Alignment is for words, calls and other sounds with a course; where it cannot tell recordings
    apart, there are no neighbours, and the log says so."""
    ambiguous: int = bounded(60, 0, 1000000)
    """Number of nearest recordings never used as negatives, as they may say the same; at least `neighbours`."""
    voice_neighbours: int = later(0, 0, 100000)
    """Number of nearest recordings by voice used as extra positives for the speaker embedding, found by their average
    spectrum, later by the speaker embedding, too; 0 uses only the halves of each crop."""
    searches: int = bounded(4, 0, 10000)
    """Number of nearest-neighbour searches in a run: before the first epoch, then evenly spaced."""

    def __post_init__(self) -> None:
        check_settings(self, "loss")
        if self.terms not in TERMS:
            raise RecipeError(f"loss.terms: {one_of('loss', self.terms, TERMS)}")
        for name, count in (("neighbours", self.neighbours), ("voice_neighbours", self.voice_neighbours)):
            if count and not (count <= self.ambiguous and self.searches > 0):
                raise RecipeError(
                    f"loss.{name} {count} must be 0, or from 1 to loss.ambiguous {self.ambiguous} with "
                    f"loss.searches {self.searches} 1 or more; change one"
                )
        if self.learned and not self.lowest < self.temperature < self.highest:
            bounds = f"loss.lowest {self.lowest} and loss.highest {self.highest}"
            raise RecipeError(
                f"loss.temperature {self.temperature} must lie between {bounds} to be learned; change one"
            )
