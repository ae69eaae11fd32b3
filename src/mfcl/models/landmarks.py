"""Pooling by alignment: how near a clip is to landmarks, measured by dynamic time warping (DTW) of its spectrum.

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
from mfcl.models.dtw import dtw, spotting
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
SHORTEST = 1e-2
"""Length below which a frame counts as silent, as in digital silence that another program rounds otherwise; it is
zero, and matches no other frame."""


@dataclass(frozen=True)
class LandmarkSettings:
    """Size of a pooling by alignment."""

    count: int = bounded(256, 1, 4096)
    """Landmark clips, each a value in the embedding."""
    frames: int = bounded(64, 1, 1024)
    """Most frames of 20 ms in a landmark; of a longer clip the beginning is used."""
    pieces: int = later(0, 0, 4096)
    """Pieces of clips that are landmarks, too, found anywhere in a clip; each is a value in the embedding."""
    learned: int = later(0, 0, 1024)
    """Values of a frame that are learned from recordings that align well, beside the spectrum; 0: none."""
    steps: int = later(400, 1, 100_000)
    """Most steps in which they are learned; no more than the encoders' training has."""

    def __post_init__(self) -> None:
        check_settings(self, "landmarks")


class Landmarks(nn.Module):
    """How near each clip is to landmarks, by its DTW distances to them; see `mfcl.embeddings.alignment.nearness`.

    Frames are a clip's spectrum, each band standardised over the clip, and its changes, as in
    `mfcl.embeddings.alignment.frames`. Two frames cost one minus their cosine. Landmarks are training clips, aligned
    from end to end, the cheapest path's cost divided by the frames of both clips; and pieces of such clips, a sound or
    two long, each aligned to the stretch of a clip where it costs least, that cost divided by the frames of the piece.
    Each distance counts as against the clip's distances to all landmarks of its kind: noise lengthens all of them.

    Beside the spectrum a frame may hold what a small encoder makes of it, once that has learned from recordings that
    align well (`mfcl.training.frame_learning`); the cosine of two frames is then made of both (`LEARNED_SHARE`).

    Landmarks are chosen to cover the training clips. Until `fit` all values are 0. Nothing here has a gradient in the
    training of the encoders.

    Source: Sakoe and Chiba, "Dynamic programming algorithm optimization for spoken word recognition", 1978; for pieces
        Müller, "Information Retrieval for Music and Motion", 2007, section 4.4 (subsequence DTW).
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
        longest = max(settings.frames, max(alignment.PIECE_FRAMES) if settings.pieces else 0)
        self.register_buffer("marks", torch.zeros(self.dim, longest, size + settings.learned))  # clips, then pieces
        self.register_buffer("lengths", torch.zeros(self.dim, dtype=torch.int64))  # 0: there is no such landmark

    @property
    def dim(self) -> int:
        """Values in an embedding."""
        return self.settings.count + self.settings.pieces

    @property
    def counts(self) -> tuple[int, int]:
        """How many clips and how many pieces there may be."""
        return self.settings.count, self.settings.pieces

    @torch.no_grad()
    def known(self, rows: slice) -> tuple[Float[Tensor, "some longest dim"], Int64[Tensor, " some"]]:
        """Return the frames of some landmarks, zero after each one's end, and their numbers, for export."""
        ends = self.lengths[rows].cpu().clone()
        return self.marks[rows, : int(ends.max()) if len(ends) else 0].float().cpu().clone(), ends

    @property
    def kinds(self) -> tuple[tuple[slice, bool], tuple[slice, bool]]:
        """Rows of the landmarks that there are, and whether each is found anywhere in a clip: the clips, the pieces."""
        first = self.settings.count
        clips, pieces = int((self.lengths[:first] > 0).sum()), int((self.lengths[first:] > 0).sum())
        return (slice(0, clips), False), (slice(first, first + pieces), True)

    @torch.no_grad()
    def forward(self, spectrum: Frames) -> Float[Tensor, "batch count"]:
        """Return how near each clip is to each landmark, from 0 to 1; 0 where there is no landmark.

        Args:
            spectrum: Log powers, a frame every 20 ms.
        """
        found = torch.zeros(spectrum.values.shape[0], self.dim, device=spectrum.values.device)
        kinds = [(rows, anywhere) for rows, anywhere in self.kinds if rows.stop > rows.start]
        if not kinds:
            return found
        with torch.autocast(spectrum.values.device.type, enabled=False):
            own, lengths = self.frames(spectrum)
            for rows, anywhere in kinds:
                apart = torch.empty_like(found[:, rows])
                for some in [slice(None)] if anywhere else self._blocks(self.lengths[rows], *own.shape[:2]):
                    marks, ends = self.marks[rows][some], self.lengths[rows][some]
                    apart[:, some] = _distances(own, lengths, marks, ends, anywhere=anywhere)
                found[:, rows] = nearness(apart)
        return found

    @staticmethod
    def _blocks(ends: Int64[Tensor, " known"], batch: int, width: int) -> Sequence[Int64[Tensor, " some"] | slice]:
        """Split the landmarks into blocks of similar length; one for a few short clips, as each block costs time."""
        cells = batch * width * len(ends) * int(ends.max())
        blocks = min(BLOCKS, batch, cells // CELLS_AT_ONCE)
        return [slice(None)] if blocks < 2 else torch.argsort(ends, stable=True).chunk(blocks)  # a slice copies nothing

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
        """Choose the landmarks among training clips; return the places of the clips that were chosen whole.

        Args:
            clips: Frames of each clip, see `frames`; four times as many clips as landmarks are enough.
            seed: Seed of the draw of candidates.
        """
        cut = [clip[: self.settings.frames] for clip in clips]
        chosen = alignment.landmarks(cut, self.settings.count, seed=seed)
        pieces = alignment.choose_pieces(clips, self.settings.pieces, seed=seed)
        self.marks.zero_()
        self.lengths.zero_()
        for first, marks in ((0, [cut[place] for place in chosen]), (self.settings.count, pieces)):
            for row, mark in enumerate(marks, start=first):
                self.marks[row, : len(mark)] = torch.from_numpy(mark)
                self.lengths[row] = len(mark)
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
    sounding = (frames.square().sum(dim=2, keepdim=True) > SHORTEST**2).to(frames.dtype)
    return functional.normalize(frames, dim=2, eps=SHORTEST) * sounding, lengths


def nearness(distances: Float[Tensor, "batch count"]) -> Float[Tensor, "batch count"]:
    """Return what `mfcl.embeddings.alignment.nearness` does."""
    spread = distances.std(dim=1, keepdim=True, unbiased=False) + alignment.LEAST_SPREAD
    above = (distances - distances.mean(dim=1, keepdim=True)) / spread + alignment.NEAREST
    return torch.exp(-((above.clamp(min=0) / alignment.FALL) ** 2))


def _distances(
    own: Float[Tensor, "batch frames dim"],
    lengths: Int64[Tensor, " batch"],
    marks: Float[Tensor, "some longest dim"],
    ends: Int64[Tensor, " some"],
    *,
    anywhere: bool,
) -> Float[Tensor, "batch some"]:
    """Return the DTW distances of clips to some landmarks, a few clips at a time."""
    in_time = marks[:, : int(ends.max())].transpose(0, 1).contiguous()  # as they are multiplied with
    marks = in_time.transpose(0, 1)
    at_once = max(1, CELLS_AT_ONCE // (own.shape[1] * marks.shape[0] * marks.shape[1]))
    measure = spotting if anywhere else dtw
    found = [
        measure(own[clips, : int(lengths[clips].max())], lengths[clips], marks, ends)
        for clips in (slice(first, first + at_once) for first in range(0, len(own), at_once))
    ]
    return torch.cat(found)
