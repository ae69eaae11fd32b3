"""The contrastive loss over two formats, computed on projections."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from mfcl.core.distributed import all_reduce_sum, gather, own_rows, processes
from mfcl.errors import RecipeError, TrainingError
from mfcl.models.loss_settings import TERMS, LossSettings

__all__ = [
    "TERMS",
    "ContrastiveLoss",
    "LossSettings",
    "NTXentLoss",
    "OwnRows",
    "Related",
    "chance_loss",
    "many_positives",
    "nt_xent",
    "spread",
    "top1_accuracy",
]


def nt_xent(
    a: Float[Tensor, "items dim"],
    b: Float[Tensor, "items dim"],
    temperature: float | Float[Tensor, ""],
    *,
    own: slice | None = None,
) -> Float[Tensor, ""]:
    """Return the normalised temperature-scaled cross-entropy of two views of the same items.

    Row i of `a` and row i of `b` are a positive pair. The negatives of a view are all 2 (items - 1) views of the other
    items, in both formats. The mean runs over all 2 x items views, so the loss is symmetric in `a` and `b`. Views
    without information give `chance_loss(items)`.

    Args:
        a: The first views; they are scaled to unit norm.
        b: The second views.
        temperature: Above 0; cosine similarities are divided by it.
        own: Take the mean over the views of these items only, among all others; memory grows with their number. The
            mean over shares of equal size is the loss.

    Source: Chen et al., "A simple framework for contrastive learning of visual representations",
        arXiv:2002.05709, equation 1.
    """
    items = a.shape[0]
    views = functional.normalize(torch.cat([a, b]).float(), dim=1)  # (2 items, dim)
    columns = torch.arange(2 * items, device=views.device)
    rows = columns if own is None else torch.cat([columns[:items][own], columns[items:][own]])
    logits = (views if own is None else views[rows]) @ views.T / temperature  # (2 own, 2 items)
    itself = rows[:, None] == columns
    partners = (rows + items) % (2 * items)  # i <-> i + items
    return functional.cross_entropy(logits.masked_fill(itself, -math.inf), partners)


class NTXentLoss(nn.Module):
    """NT-Xent of two views of the same items, for your own training loop on a single process.

    With z the 2N views at unit norm, j(i) the other view of the same item as view i, and t the temperature:

        loss = mean over i of  -log( exp(z_i . z_j(i) / t) / sum over k != i of exp(z_i . z_k / t) )

    Views without information give log(2N - 1), see `chance_loss`. Recipes train with `ContrastiveLoss`, which adds
    several formats, several processes and a learned temperature.

    Args:
        temperature: Above 0; cosine similarities are divided by it.

    Raises:
        RecipeError: the temperature is not above 0.
        TrainingError: raised by `forward`: the views differ in shape, or have fewer than two rows.

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
        """Return the loss of two views (items, dim); row i of one and row i of the other are a positive pair."""
        if first.ndim != 2 or first.shape != second.shape or len(first) < 2:
            raise TrainingError(
                f"NT-Xent: wanted two views of one shape (items, dim), at least 2 items, got {tuple(first.shape)} and "
                f"{tuple(second.shape)}; give both the same items"
            )
        return nt_xent(first, second, self.temperature)


@dataclass(frozen=True)
class Related:
    """Positive pairs, and pairs that are no negatives, among the recordings of a batch.

    Both matrices are symmetric; of several processes each has the rows of its own recordings.
    """

    same: Bool[Tensor, "own items"]
    """Positive pairs; true where both are one recording."""
    ambiguous: Bool[Tensor, "own items"]
    """Pairs never used as negatives; those in `same` are positives nevertheless."""


@dataclass(frozen=True)
class OwnRows:
    """The views whose terms of the loss a process computes."""

    views: Int64[Tensor, " rows"]
    """Their places among all views."""
    of: Int64[Tensor, " rows"]
    """The row of each in `Related`."""


def many_positives(
    views: Float[Tensor, "views dim"],
    related: Related,
    of: Int64[Tensor, " views"],
    temperature: float | Float[Tensor, ""],
    *,
    own: OwnRows | None = None,
) -> Float[Tensor, ""]:
    """Return NT-Xent of views with several positives each: the mean over the positives, outside the logarithm.

    With two views for each item, and each item related to itself only, this is `nt_xent`.

    Args:
        views: Scaled to unit norm here.
        related: Relations between items; a view's positives are all other views of its positive items.
        of: The item of each view, as a column of `related`.
        temperature: Above 0; cosine similarities are divided by it.
        own: Take the mean over these views only, among all others; by default over all, and `of` is their row, too.

    Source: Khosla et al., "Supervised contrastive learning", arXiv:2004.11362, equation 2, with neighbours in place of
        labels; Huynh et al., "Boosting contrastive self-supervised learning with false negative cancellation",
        arXiv:2011.11765 (possible false negatives are left out).
    """
    units = functional.normalize(views.float(), dim=1)
    columns = torch.arange(len(units), device=units.device)
    rows, rows_of = (columns, of) if own is None else (own.views, own.of)
    itself = rows[:, None] == columns
    positive = related.same[rows_of][:, of] & ~itself
    left_out = (related.ambiguous[rows_of][:, of] | itself) & ~positive
    mine = units if own is None else units[rows]
    logits = (mine @ units.T / temperature).masked_fill(left_out, -math.inf)
    misses = (logits.logsumexp(dim=1, keepdim=True) - logits).masked_fill(~positive, 0.0)
    return (misses.sum(dim=1) / positive.sum(dim=1)).mean()


def chance_loss(items: int) -> float:
    """Return the loss of projections without information: the log of the number of other views, 2 x items - 1.

    The terms of the loss are averaged, so it is the same for "inter" and "inter+intra".

    Example:
        >>> round(chance_loss(128), 3)
        5.541
    """
    return math.log(max(2 * items - 1, 1))


def top1_accuracy(
    a: Float[Tensor, "items dim"], b: Float[Tensor, "items dim"], *, own: slice | None = None
) -> Float[Tensor, ""]:
    """Return the share of rows whose nearest row of the other matrix is the same item, from 0 to 1.

    It is the mean of both directions; chance is 1 / items. A tie is a miss, so collapsed projections score 0.

    Args:
        a: One matrix.
        b: The other matrix.
        own: Take the mean over these items only, among all others.
    """
    with torch.no_grad():
        one, other = functional.normalize(a.float(), dim=1), functional.normalize(b.float(), dim=1)
        columns = torch.arange(len(a), device=a.device)
        rows = columns if own is None else columns[own]
        there = one[rows] @ other.T  # (own, items)
        back = there.T if own is None else other[rows] @ one.T
        itself = rows[:, None] == columns
        hits = [
            cosines.gather(1, rows[:, None])[:, 0] > cosines.masked_fill(itself, -math.inf).amax(dim=1)
            for cosines in (there, back)
        ]
        return torch.stack(hits).float().mean()


class ContrastiveLoss(nn.Module):
    """The contrastive loss of a batch, with its temperature.

    Each process gives its own rows and computes their terms, with the rows of all processes as negatives; the sum over
    processes is the loss (see `mfcl.core.distributed`). So time and memory of the loss grow with the batch of a process
    times the batch of all, not with the square of the latter.
    """

    def __init__(self, settings: LossSettings) -> None:
        super().__init__()
        self.settings = settings
        if settings.learned:
            place = math.log(settings.temperature / settings.lowest) / math.log(settings.highest / settings.lowest)
            self.place = nn.Parameter(torch.tensor(math.log(place / (1 - place))))

    def temperature(self, device: torch.device | None = None) -> Float[Tensor, ""]:
        """Return the present temperature on a device: fixed, or learned and strictly between its bounds.

        A sigmoid on a logarithmic scale keeps it there; unlike a clamp it has a gradient everywhere.
        """
        settings = self.settings
        if not settings.learned:
            return torch.full((), settings.temperature, device=device)
        return settings.lowest * (settings.highest / settings.lowest) ** torch.sigmoid(self.place)

    def forward(
        self,
        first: Mapping[str, Float[Tensor, "items _"]],
        second: Mapping[str, Float[Tensor, "items _"]],
        related: Related | None = None,
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Return the loss, and the figures "top1" (between formats), "temperature" and "spread".

        Args:
            first: Projections of the first crops, by the formats in `TERMS`.
            second: Projections of the second crops.
            related: Relations between the recordings of the crops: first crops of all processes, then second crops.
                All views of related recordings are positives. Its rows are of this process's first crops, then of its
                second crops. None: the two crops of a recording are a positive pair, for each pair of formats.

        Source: Wang and van den Oord, "Multi-format contrastive learning of audio representations", arXiv:2103.06508;
            here the terms are averaged, not summed, so that `chance_loss` is the same for all `terms`.
        """
        mine = own_rows(len(next(iter(first.values()))))
        ones, others = ({name: gather(side[name]) for name in sorted(side)} for side in (first, second))
        one, other = ones[max(ones)], others[min(others)]  # waveform and log-mel, if both are there
        temperature = self.temperature(one.device)
        if related is None:
            pairs = itertools.product(ones.values(), others.values())
            loss = torch.stack([nt_xent(a, b, temperature, own=mine) for a, b in pairs]).mean()
        else:
            items = torch.arange(2 * len(one), device=one.device).reshape(2, -1)
            of = torch.cat([items[side] for side, views in enumerate((ones, others)) for _ in views])
            views, own = torch.cat([*ones.values(), *others.values()]), None
            if mine is not None:
                places = torch.arange(len(views), device=one.device).reshape(-1, len(one))[:, mine]
                sides = torch.arange(2 * places.shape[1], device=one.device).reshape(2, -1)
                own = OwnRows(
                    places.flatten(),
                    torch.cat([sides[side] for side, some in enumerate((ones, others)) for _ in some]),
                )
            loss = many_positives(views, related, of, temperature, own=own)
        top1 = top1_accuracy(one, other, own=mine)
        watched = {
            "top1": all_reduce_sum(top1) / processes(),
            "temperature": temperature.detach(),
            "spread": spread(one, other),
        }
        return all_reduce_sum(loss) / processes(), watched


def spread(*views: Float[Tensor, "_ dim"]) -> Float[Tensor, ""]:
    """Return the spread of projections: 0 if all are equal (collapse), 1 if spread over the whole sphere.

    It is the root mean square distance of unit-norm rows from their mean; of several matrices, the smallest.

    Source: Chen and He, "Exploring simple Siamese representation learning", arXiv:2011.10566, figure 2 (they plot the
        standard deviation per dimension).
    """
    with torch.no_grad():
        means = [functional.normalize(view.float(), dim=1).mean(dim=0) for view in views]
        return torch.stack([(1 - mean.square().sum()).clamp(min=0).sqrt() for mean in means]).amin()
