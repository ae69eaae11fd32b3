"""Pooling by alignment: how near a clip is to landmark clips, measured by dynamic time warping (DTW) of its spectrum.

A mean over time forgets the order of sounds, and a third of a clip shifts with its tempo and its pauses. An alignment
path does neither: it compares like with like, whenever each sound comes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor, nn
from torch.nn import functional

from mfcl.core.settings import bounded, check_settings, later
from mfcl.embeddings import alignment
from mfcl.models.encoders.base import Frames, lengths_of, within
from mfcl.models.frame_encoder import FrameEncoder

CELLS_AT_ONCE = 2**21
"""Frame-pair costs held at once, but those of one clip: 8 MiB, twice."""
BLOCKS = 4
"""Most blocks of landmarks of similar length, so that few frames of them are padding."""
BANDS = 30
"""Bands that are aligned; of more, neighbouring ones are averaged."""
LEARNED_SHARE = 0.2
"""Share of learned frames in the cosine of two frames; the rest is the spectrum's."""
SHORTEST = 1e-6
"""Length below which a frame counts as silent; it matches no other frame."""


@dataclass(frozen=True)
class LandmarkSettings:
    """Size of a pooling by alignment."""

    count: int = bounded(256, 1, 4096)
    """Landmark clips, and values in the embedding."""
    frames: int = bounded(64, 1, 1024)
    """Most frames of 20 ms in a landmark; of a longer clip the beginning is used."""
    learned: int = later(0, 0, 1024)
    """Values of a frame that are learned from recordings that align well, beside the spectrum; 0: none."""
    steps: int = later(400, 1, 100_000)
    """Most steps in which they are learned; no more than the encoders' training has."""

    def __post_init__(self) -> None:
        check_settings(self, "landmarks")


class Landmarks(nn.Module):
    """How near each clip is to landmark clips, by its DTW distances to them; see `mfcl.embeddings.alignment.nearness`.

    Frames are a clip's spectrum, each band standardised over the clip, and its changes, as in
    `mfcl.embeddings.alignment.frames`. Two frames cost one minus their cosine; the cheapest path's cost is divided by
    the frames of both clips. Each distance counts as against the clip's distances to all landmarks: noise lengthens all
    of them.

    Beside the spectrum a frame may hold what a small encoder makes of it, once that has learned from recordings that
    align well (`mfcl.training.frame_learning`); the cosine of two frames is then made of both (`LEARNED_SHARE`).

    The landmarks are training clips, chosen to cover the training clips. Until `fit` all values are 0. Nothing here has
    a gradient in the training of the encoders.

    Source: Sakoe and Chiba, "Dynamic programming algorithm optimization for spoken word recognition", 1978.
    """

    marks: Float[Tensor, "count longest dim"]
    lengths: Int64[Tensor, " count"]
    learned: Bool[Tensor, ""]

    def __init__(self, features: int, settings: LandmarkSettings) -> None:
        super().__init__()
        self.settings = settings
        size = 2 * banded(features)
        self.frame_encoder: FrameEncoder | None = None
        if settings.learned:
            with torch.random.fork_rng(devices=[]):  # the encoders' weights are the same with it and without
                self.frame_encoder = FrameEncoder(size, settings.learned).requires_grad_(False)
            self.register_buffer("learned", torch.tensor(False))
        self.register_buffer("marks", torch.zeros(settings.count, settings.frames, size + settings.learned))
        self.register_buffer("lengths", torch.zeros(settings.count, dtype=torch.int64))  # 0: there is no such landmark

    @property
    def dim(self) -> int:
        """Values in an embedding."""
        return self.settings.count

    @torch.no_grad()
    def forward(self, spectrum: Frames) -> Float[Tensor, "batch count"]:
        """Return how near each clip is to each landmark, from 0 to 1; 0 where there is no landmark.

        Args:
            spectrum: Log powers, a frame every 20 ms.
        """
        batch = spectrum.values.shape[0]
        known = int((self.lengths > 0).sum())
        found = torch.zeros(batch, self.settings.count, device=spectrum.values.device)
        if not known:
            return found
        with torch.autocast(spectrum.values.device.type, enabled=False):
            own, lengths = self.frames(spectrum)
            apart = torch.empty_like(found[:, :known])
            for some in self._blocks(known, *own.shape[:2]):
                apart[:, some] = self._distances(own, lengths, some)
            found[:, :known] = nearness(apart)
        return found

    def _blocks(self, known: int, batch: int, width: int) -> Sequence[Int64[Tensor, " some"]]:
        """Split the landmarks into blocks of similar length; one for a clip or two, as each block costs time."""
        cells = batch * width * known * int(self.lengths.max())
        by_length = torch.argsort(self.lengths[:known], stable=True)
        return by_length.chunk(max(1, min(BLOCKS, batch, cells // CELLS_AT_ONCE)))

    def _distances(
        self, own: Float[Tensor, "batch frames dim"], lengths: Int64[Tensor, " batch"], some: Int64[Tensor, " some"]
    ) -> Float[Tensor, "batch some"]:
        """Return the DTW distances of clips to some landmarks, a few clips at a time."""
        ends = self.lengths[some]
        in_time = self.marks[some, : int(ends.max())].transpose(0, 1).contiguous()  # as `dtw` multiplies it
        marks = in_time.transpose(0, 1)
        at_once = max(1, CELLS_AT_ONCE // (own.shape[1] * marks.shape[0] * marks.shape[1]))
        found = [
            dtw(own[clips, : int(lengths[clips].max())], lengths[clips], marks, ends)
            for clips in (slice(first, first + at_once) for first in range(0, len(own), at_once))
        ]
        return torch.cat(found)

    def frames(self, spectrum: Frames) -> tuple[Float[Tensor, "batch frames dim"], Int64[Tensor, " batch"]]:
        """Return the frames that are aligned, of unit length and zero after each clip's end, and their number.

        Args:
            spectrum: Log powers in nepers, a frame every 20 ms.
        """
        own, lengths = aligned_frames(spectrum)
        if self.frame_encoder is None:
            return own, lengths
        share = LEARNED_SHARE * self.learned  # no branch: a branch on a value cannot be exported
        learned = self.frame_encoder(own, lengths)
        return torch.cat([(1 - share).sqrt() * own, share.sqrt() * learned], dim=2), lengths

    @torch.no_grad()
    def fit(self, clips: Sequence[Float32[np.ndarray, "_ dim"]], *, seed: int) -> Int64[np.ndarray, " chosen"]:
        """Choose the landmarks among training clips; return the places of those that were chosen.

        Args:
            clips: Frames of each clip, see `frames`; four times as many clips as landmarks are enough.
            seed: Seed of the draw of candidates.
        """
        cut = [clip[: self.settings.frames] for clip in clips]
        chosen = alignment.landmarks(cut, self.settings.count, seed=seed)
        self.marks.zero_()
        self.lengths.zero_()
        for row, place in enumerate(chosen):
            self.marks[row, : len(cut[place])] = torch.from_numpy(cut[place])
            self.lengths[row] = len(cut[place])
        return chosen


def banded(features: int) -> int:
    """Return how many bands a spectrum of so many values has after neighbours are averaged to about `BANDS`."""
    return features // max(1, features // BANDS)


def aligned_frames(spectrum: Frames) -> tuple[Float[Tensor, "batch frames dim"], Int64[Tensor, " batch"]]:
    """Return frames of the spectrum, of unit length and zero after each clip's end, and their number.

    Args:
        spectrum: Log powers in nepers, a frame every 20 ms.
    """
    lengths = lengths_of(spectrum)
    batch, width, features = spectrum.values.shape
    bands = banded(features)
    values = spectrum.values.float()[..., : bands * (features // bands)]
    values = values.reshape(batch, width, bands, -1).mean(dim=3)
    own = within(lengths, width)[:, :, None]
    loudest = torch.where(own > 0, values, -torch.inf).amax(dim=(1, 2), keepdim=True)
    values = torch.logaddexp(values, loudest - alignment.RANGE)
    count = lengths[:, None, None]
    values = (values - (values * own).sum(dim=1, keepdim=True) / count) * own
    deviation = (values.square().sum(dim=1, keepdim=True) / count).sqrt()
    values = values / (deviation + alignment.LEAST_DEVIATION)
    slopes = torch.zeros_like(values)
    slopes[:, 1:-1] = (values[:, 2:] - values[:, :-2]) / 2
    inside = torch.arange(width, device=lengths.device) < lengths[:, None] - 1  # a clip's ends have no slope
    frames = torch.cat([values, alignment.SLOPE_WEIGHT * slopes * inside[:, :, None]], dim=2)
    return functional.normalize(frames, dim=2, eps=SHORTEST), lengths


def nearness(distances: Float[Tensor, "batch count"]) -> Float[Tensor, "batch count"]:
    """Return what `mfcl.embeddings.alignment.nearness` does."""
    spread = distances.std(dim=1, keepdim=True, unbiased=False) + alignment.LEAST_SPREAD
    above = (distances - distances.mean(dim=1, keepdim=True)) / spread + alignment.NEAREST
    return torch.exp(-((above.clamp(min=0) / alignment.FALL) ** 2))


def dtw(
    clips: Float[Tensor, "batch steps dim"],
    lengths: Int64[Tensor, " batch"],
    marks: Float[Tensor, "count longest dim"],
    ends: Int64[Tensor, " count"],
) -> Float[Tensor, "batch count"]:
    """Return the DTW distance of every clip to every landmark: the cheapest path's cost over the frames of both.

    All pairs advance together along anti-diagonals, whose cells are independent:

        row 1       s=2  s=3  s=4         cell (i, j) lies on diagonal s = i + j and needs
        row 2       s=3  s=4  s=5         (i-1, j) and (i, j-1) of s-1, and (i-1, j-1) of s-2
                    j=1  j=2  j=3

    Args:
        clips: Unit frames, zero after each clip's end.
        lengths: Number of frames of each clip, 1 or more.
        marks: Unit frames of the landmarks.
        ends: Number of frames of each landmark, 1 or more.
    """
    batch, height, _ = clips.shape
    count, width, _ = marks.shape
    lanes = batch * count
    # landmarks last, so that putting the costs of all clips' diagonals together moves whole rows of them
    cosines = clips.reshape(batch * height, -1) @ marks.transpose(0, 1).reshape(width * count, -1).T
    apart = cosines.neg_().add_(1).reshape(batch, height, width, count).permute(1, 2, 0, 3)
    costs = apart.reshape(height, width, lanes).contiguous()
    rows = lengths.repeat_interleave(count)
    last = rows + ends.repeat(batch)  # the diagonal on which each pair's path ends
    order = torch.argsort(last)
    edges = torch.searchsorted(last[order], torch.arange(height + width + 2, device=last.device)).tolist()
    found = torch.zeros(lanes, device=clips.device)
    two_before, one_before, now = (torch.full((height + 1, lanes), torch.inf, device=clips.device) for _ in range(3))
    two_before[0] = 0
    for diagonal in range(2, height + width + 1):
        low, high = max(1, diagonal - width), min(height, diagonal - 1)
        best = torch.minimum(one_before[low - 1 : high], one_before[low : high + 1])
        torch.minimum(best, two_before[low - 1 : high], out=best)
        start = (low - 1) * width + diagonal - low - 1  # cell (low, diagonal - low); then one row down, one column less
        step = costs.as_strided((high - low + 1, lanes), (max(1, width - 1) * lanes, 1), start * lanes)
        torch.add(best, step, out=now[low : high + 1])
        now[low - 1] = torch.inf
        if high < height:
            now[high + 1] = torch.inf
        if edges[diagonal] < edges[diagonal + 1]:  # of one clip most diagonals end no path
            here = order[edges[diagonal] : edges[diagonal + 1]]
            found[here] = now[rows[here], here]
        two_before, one_before, now = one_before, now, two_before
    return (found.clamp(min=0) / last).reshape(batch, count)
