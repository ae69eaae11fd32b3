"""The contrastive loss over two formats; it sees projections, never a model."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from mfcl.core.distributed import gather
from mfcl.core.settings import bounded, check_settings
from mfcl.errors import RecipeError, TrainingError, one_of

TERMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "inter": (("wave",), ("mel",)),
    "inter+intra": (("wave", "mel"), ("wave", "mel")),
    "wave-wave": (("wave",), ("wave",)),
    "mel-mel": (("mel",), ("mel",)),
}
"""Which formats the first and the second crop become; each of the one meets each of the other."""


@dataclass(frozen=True)
class LossSettings:
    """Which views attract each other, and how sharply."""

    terms: str = "inter"
    """"inter": one crop's waveform with the other crop's log-mel. "inter+intra": both formats of both crops.
    "wave-wave", "mel-mel": one format alone, to see what the other one adds."""
    temperature: float = bounded(0.1, 0.0001, 100.0)
    """Cosines are divided by it; where it starts if it is learned."""
    learned: bool = False
    """Learn the temperature with the weights."""
    lowest: float = bounded(0.01, 1e-06, 100.0)
    """A learned temperature stays above this."""
    highest: float = bounded(1.0, 0.0001, 1000.0)
    """A learned temperature stays below this."""
    voices: float = bounded(1.0, 1e-12, 1e6)
    """How much the voices' part counts beside the words', where the model has one."""
    labels: float = bounded(1.0, 1e-12, 1e6)
    """How much labels count beside all else, where some recordings have them and are to be learned by them."""
    neighbours: int = bounded(0, 0, 100000)
    """How many of the recordings most alike attract a recording's words as its own crops do; 0: its own crops alone."""
    ambiguous: int = bounded(60, 0, 1000000)
    """How many of those most alike never repel it: they may say the same. Not less than `neighbours`."""
    searches: int = bounded(4, 0, 10000)
    """How often the recordings most alike are looked for: before the first epoch, and then evenly over the run."""

    def __post_init__(self) -> None:
        check_settings(self, "loss")
        if self.terms not in TERMS:
            raise RecipeError(f"loss.terms: {one_of('loss', self.terms, TERMS)}")
        if self.neighbours and not (self.neighbours <= self.ambiguous and self.searches > 0):
            raise RecipeError(
                f"loss.neighbours {self.neighbours} must be 0, or from 1 to loss.ambiguous {self.ambiguous}, and "
                f"loss.searches {self.searches} 1 or more"
            )
        if self.learned and not self.lowest < self.temperature < self.highest:
            bounds = f"loss.lowest {self.lowest} and loss.highest {self.highest}"
            raise RecipeError(
                f"loss.temperature {self.temperature} must lie between {bounds} to be learned; change one"
            )


def nt_xent(
    a: Float[Tensor, "items dim"], b: Float[Tensor, "items dim"], temperature: float | Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """Return the normalised temperature-scaled cross-entropy of two views of the same items.

    Row i of `a` and row i of `b` attract each other; the negatives of a view are all 2 (items - 1) views of the other
    items, in both formats. The mean runs over all 2 x items views, so the loss is symmetric in `a` and `b`. Views of
    no information cost `chance_loss(items)`.

    Args:
        a: The first views; any length, only the direction counts.
        b: The second views.
        temperature: Above 0; cosines are divided by it.

    Source: Chen et al., "A simple framework for contrastive learning of visual representations",
        arXiv:2002.05709, equation 1.
    """
    items = a.shape[0]
    views = functional.normalize(torch.cat([a, b]).float(), dim=1)  # (2 items, dim)
    logits = views @ views.T / temperature
    itself = torch.eye(2 * items, dtype=torch.bool, device=logits.device)
    partners = torch.arange(2 * items, device=logits.device).roll(items)  # i <-> i + items
    return functional.cross_entropy(logits.masked_fill(itself, -math.inf), partners)


class NTXentLoss(nn.Module):
    """NT-Xent of two views of the same items, for a training loop of one's own on one process.

    With z the 2N views at length 1, j(i) the other view of the item of view i, and t the temperature:

        loss = mean over i of  -log( exp(z_i . z_j(i) / t) / sum over k != i of exp(z_i . z_k / t) )

    Views of no information cost log(2N - 1), see `chance_loss`. `ContrastiveLoss` is what recipes train with: several
    formats, several processes, a temperature that may be learned.

    Args:
        temperature: Above 0; cosines are divided by it.

    Raises:
        RecipeError: a temperature that is not above 0.
        TrainingError: in use, views that are not two tables of one shape with at least two rows.

    Source: Chen et al., "A simple framework for contrastive learning of visual representations",
        arXiv:2002.05709, equation 1.

    Example:
        >>> round(float(NTXentLoss(temperature=0.5)(torch.eye(2), torch.eye(2))), 4)
        0.2395
    """

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        if not 0 < temperature < math.inf:
            raise RecipeError(f"temperature: wanted a number above 0, got {temperature}; 0.1 is usual")
        self.temperature = temperature

    def forward(self, first: Float[Tensor, "..."], second: Float[Tensor, "..."]) -> Float[Tensor, ""]:
        """Return the loss of two views (items, dim): row i of one and row i of the other attract each other."""
        if first.ndim != 2 or first.shape != second.shape or len(first) < 2:
            raise TrainingError(
                f"NT-Xent: wanted two views of one shape (items, dim), at least 2 items, got {tuple(first.shape)} and "
                f"{tuple(second.shape)}"
            )
        return nt_xent(first, second, self.temperature)


@dataclass(frozen=True)
class Related:
    """Which recordings of a batch belong together; every recording with itself, and both ways alike."""

    same: Bool[Tensor, "items items"]
    """They attract each other."""
    ambiguous: Bool[Tensor, "items items"]
    """They do not repel each other; where they are the same too, they attract."""


def many_positives(
    views: Float[Tensor, "views dim"],
    related: Related,
    of: Int64[Tensor, " views"],
    temperature: float | Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """Return NT-Xent of views that each have several positives: the mean over them, outside of the logarithm.

    With two views an item, and each item related to itself alone, this is `nt_xent`.

    Args:
        views: Any length, only the direction counts.
        related: Which items belong together; a view's positives are all other views of those.
        of: The item of each view.
        temperature: Above 0; cosines are divided by it.

    Source: Khosla et al., "Supervised contrastive learning", arXiv:2004.11362, equation 2, with neighbours in place of
        labels; Huynh et al., "Boosting contrastive self-supervised learning with false negative cancellation",
        arXiv:2011.11765, leave out negatives that may be none.
    """
    units = functional.normalize(views.float(), dim=1)
    itself = torch.eye(len(units), dtype=torch.bool, device=units.device)
    positive = related.same[of][:, of] & ~itself
    left_out = (related.ambiguous[of][:, of] | itself) & ~positive
    logits = (units @ units.T / temperature).masked_fill(left_out, -math.inf)
    misses = (logits.logsumexp(dim=1, keepdim=True) - logits).masked_fill(~positive, 0.0)
    return (misses.sum(dim=1) / positive.sum(dim=1)).mean()


def chance_loss(items: int) -> float:
    """Return the loss of projections that know nothing: one right view among the 2 x items - 1 others.

    The terms of the loss are averaged, so the line is the same for "inter" and "inter+intra".

    Example:
        >>> round(chance_loss(128), 3)
        5.541
    """
    return math.log(max(2 * items - 1, 1))


def top1_accuracy(a: Float[Tensor, "items dim"], b: Float[Tensor, "items dim"]) -> Float[Tensor, ""]:
    """Return how often a view's nearest view of the other side is its own, from 0 to 1; chance is 1 / items.

    Mean of both directions. A tie is a miss: collapsed projections, all equal, score 0.
    """
    with torch.no_grad():
        cosines = functional.normalize(a.float(), dim=1) @ functional.normalize(b.float(), dim=1).T
        own = cosines.diagonal()
        others = cosines.masked_fill(torch.eye(len(a), dtype=torch.bool, device=a.device), -math.inf)
        hits = torch.stack([own > others.amax(dim=1), own > others.amax(dim=0)])
        return hits.float().mean()


class ContrastiveLoss(nn.Module):
    """The loss of a batch over the projections of all processes, with its temperature.

    Each process brings its own rows and computes the loss over everybody's (see `mfcl.core.distributed`).
    """

    def __init__(self, settings: LossSettings) -> None:
        super().__init__()
        self.settings = settings
        if settings.learned:
            place = math.log(settings.temperature / settings.lowest) / math.log(settings.highest / settings.lowest)
            self.place = nn.Parameter(torch.tensor(math.log(place / (1 - place))))

    def temperature(self) -> Float[Tensor, ""]:
        """Return the temperature now: fixed, or learned and strictly between its bounds.

        A sigmoid moves the learned one on a logarithmic scale; unlike a clamp it has a gradient everywhere.
        """
        settings = self.settings
        if not settings.learned:
            return torch.tensor(settings.temperature)
        return settings.lowest * (settings.highest / settings.lowest) ** torch.sigmoid(self.place)

    def forward(
        self,
        first: Mapping[str, Float[Tensor, "items _"]],
        second: Mapping[str, Float[Tensor, "items _"]],
        related: Related | None = None,
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Return the loss and what to watch: "top1" (between formats), "temperature" and "spread".

        Args:
            first: The projections of the first crop by format, those of `TERMS`.
            second: The projections of the second crop.
            related: Which recordings belong together: all processes' first crops', then all their second crops'. All
                views of those attract each other. None: the two crops of a recording do, format by format.

        Source: Wang and van den Oord, "Multi-format contrastive learning of audio representations", arXiv:2103.06508;
            the terms are averaged, not summed, so that losses of either kind share a chance line.
        """
        ones, others = ({name: gather(side[name]) for name in sorted(side)} for side in (first, second))
        one, other = ones[max(ones)], others[min(others)]  # the waveform and the log-mel, where both are there
        temperature = self.temperature().to(one.device)
        if related is None:
            pairs = itertools.product(ones.values(), others.values())
            loss = torch.stack([nt_xent(a, b, temperature) for a, b in pairs]).mean()
        else:
            items = torch.arange(2 * len(one), device=one.device).reshape(2, -1)
            of = torch.cat([items[side] for side, views in enumerate((ones, others)) for _ in views])
            loss = many_positives(torch.cat([*ones.values(), *others.values()]), related, of, temperature)
        watched = {"top1": top1_accuracy(one, other), "temperature": temperature.detach(), "spread": spread(one, other)}
        return loss, watched


def spread(*views: Float[Tensor, "_ dim"]) -> Float[Tensor, ""]:
    """Return how far views scatter: 0 is collapsed (all the same), 1 all around the sphere; the least of all given.

    The root mean square distance of the views, at length 1, from their mean.

    Source: Chen and He, "Exploring simple Siamese representation learning", arXiv:2011.10566, figure 2, watch the
        same deviation per dimension.
    """
    with torch.no_grad():
        means = [functional.normalize(view.float(), dim=1).mean(dim=0) for view in views]
        return torch.stack([(1 - mean.square().sum()).clamp(min=0).sqrt() for mean in means]).amin()
