"""Write a trained model as one file of `torch.export` that gives the answers of `mfcl embed` without this package."""

import functools
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch._higher_order_ops.while_loop import while_loop
from torch.nn import functional

from mfcl.audio.arrays import padded
from mfcl.checkpoint import Checkpoint
from mfcl.core.files import check_file_place, replacing
from mfcl.core.urls import local_path
from mfcl.embedder import Embedder, checkpoint_of
from mfcl.embeddings.parts import formats_of
from mfcl.embeddings.whitening import Whitening
from mfcl.errors import ExportError
from mfcl.exporting.answers import Clip, Exported, Reference, Vectors, metadata, part_sizes, refuse_far
from mfcl.exporting.network import Network, exported_program, multiple
from mfcl.models.inference import LONGEST_SECONDS
from mfcl.models.landmarks import Landmarks, nearness

FACTS = "about.json"
"""Name of the metadata inside the file."""


def export_pt2(model: Embedder | Checkpoint | str | Path, path: str | Path) -> Exported:
    """Write a model as a file of `torch.export`, and compare its answers with the model's.

    `torch.export.load(path).module()` takes prepared clips, `wave` (clips, samples) and `lengths` (clips,), of any
    number, and returns a dictionary: `embedding` and, if a whitening was saved with the model, `whitened`. Clips are
    padded with zeros to two or more times the metadata's `multiple` of samples; they last at most
    `mfcl.models.inference.LONGEST_SECONDS`. The metadata is the extra file `about.json`.

    Args:
        model: A trained model, or the folder of a model or a run.
        path: Where to write the file.

    Raises:
        ExportError: torch cannot export the encoders, or the file's answers are not those of the model.
    """
    check_file_place(local_path(path))
    loaded = checkpoint_of(model)
    program = exported_program(_Embedding(loaded).eval(), loaded.model)
    step = multiple(loaded.model)
    facts = metadata(loaded) | {"multiple": str(step)}
    with replacing(Path(path)) as temporary:
        whole = io.BytesIO()  # torch's own writer aborts the process where a disk is full
        torch.export.save(program, whole, extra_files={FACTS: json.dumps(facts, ensure_ascii=False)})
        temporary.write_bytes(whole.getbuffer())
        try:
            apart, outputs = _checked(temporary, step, Reference.of(loaded, LONGEST_SECONDS))
        except AssertionError as error:  # what torch's exporter took for true of all lengths
            said = str(error).partition("\n")[0]
            raise ExportError(f"{path}: the model cannot be exported for clips of any length: {said}") from error
        refuse_far(path, apart, of="the model's")
        size = temporary.stat().st_size
    return Exported(Path(path), size, apart, outputs)


def load_pt2(path: str | Path) -> tuple[nn.Module, dict[str, str]]:
    """Return the network in a file of `export_pt2`, and its metadata.

    Args:
        path: The file.
    """
    extra = {FACTS: ""}
    with Path(path).open("rb") as file:
        program = torch.export.load(file, extra_files=extra)
    return program.module(), json.loads(extra[FACTS])


def run_pt2(network: nn.Module, clips: Sequence[Clip], step: int) -> dict[str, Vectors]:
    """Return the outputs for prepared clips.

    Args:
        network: See `load_pt2`.
        clips: At the model's sample rate.
        step: The metadata's `multiple`.
    """
    lengths = np.array([len(clip) for clip in clips])
    wave = torch.from_numpy(padded(clips, lengths))
    width = max(2, -(-wave.shape[1] // step)) * step
    with torch.no_grad():
        found = network(functional.pad(wave, (0, width - wave.shape[1])), torch.from_numpy(lengths))
    return {name: values.numpy() for name, values in found.items()}


class _Near(nn.Module):
    """Nearness to landmarks of one kind, for clips of a length that is known only when the graph runs.

    `dtw` or, for pieces, `spotting`, a diagonal at a time.
    """

    marks: Float[Tensor, "longest dim count"]
    ends: Int64[Tensor, " count"]
    lane: Int64[Tensor, " longest"]

    def __init__(self, own: Landmarks, rows: slice, *, anywhere: bool, absent: int) -> None:
        super().__init__()
        marks, ends = own.known(rows)
        self.anywhere, self.absent, self.longest = anywhere, absent, marks.shape[1]
        # lane r of a diagonal holds frame j = longest - r of each landmark, and one lane more holds j = 0
        self.register_buffer("marks", marks.flip(1).permute(1, 2, 0).contiguous())
        self.register_buffer("ends", ends)
        self.register_buffer("lane", torch.arange(self.longest))

    def forward(
        self, frames: Float[Tensor, "batch frames dim"], steps: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch landmarks"]:
        """Return how near each clip is to each landmark of this kind.

        Args:
            frames: Unit frames, zero after each clip's end.
            steps: Number of frames of each clip.
        """
        batch, height, longest = frames.shape[0], frames.shape[1], self.longest
        if not longest:
            return frames.new_zeros(batch, self.absent)
        heard = functional.pad(frames, (0, 0, longest, longest)).transpose(0, 1)
        outside = functional.pad(torch.zeros_like(frames[0, :, 0]), (longest, longest), value=torch.inf)
        last = steps[:, None] + self.ends  # the diagonal on which each pair's path ends, or the last one
        places = (longest - self.ends).expand(1, batch, len(self.ends))
        nothing = frames.new_zeros(1, batch, len(self.ends))
        unknown = torch.full_like(nothing, torch.inf)
        border = nothing if self.anywhere else unknown
        before = unknown.expand(longest, -1, -1)

        def goes_on(at: Tensor, one: Tensor, two: Tensor, found: Tensor) -> Tensor:
            return at <= height + longest

        def diagonal(at: Tensor, one: Tensor, two: Tensor, found: Tensor) -> tuple[Tensor, ...]:
            those = at - 1 + self.lane
            costs = 1 - heard[those] @ self.marks + outside[those][:, None, None]
            reached = torch.minimum(torch.minimum(one[:-1], one[1:]), two[1:]) + costs
            least = torch.minimum(reached.gather(0, places), found)
            ends_here = last >= at if self.anywhere else last == at
            return at + 1, torch.cat([reached, border]), one.clone(), torch.where(ends_here, least, found)

        begun = (
            torch.full_like(last[0, 0], 2), torch.cat([before, border]), torch.cat([before, nothing]), unknown.clone(),
        )  # fmt: skip
        found = while_loop(goes_on, diagonal, begun)[3]  # type: ignore[no-untyped-call]
        apart = found[0].clamp(min=0) / (self.ends if self.anywhere else last)
        return functional.pad(nearness(apart), (0, self.absent))


class _Aligned(nn.Module):
    """What `Landmarks` returns, of its frames."""

    def __init__(self, own: Landmarks) -> None:
        super().__init__()
        self.near = nn.ModuleList(
            _Near(own, rows, anywhere=anywhere, absent=count - (rows.stop - rows.start))
            for (rows, anywhere), count in zip(own.kinds, own.counts, strict=True)
        )

    def forward(
        self, frames: Float[Tensor, "batch frames dim"], steps: Int64[Tensor, " batch"]
    ) -> Float[Tensor, "batch landmarks"]:
        """Return how near each clip is to each landmark; see `_Near`."""
        return torch.cat([near(frames, steps) for near in self.near], dim=1)


class _Whitened(nn.Module):
    """A part's whitening; see `Whitening`."""

    mean: Float[Tensor, " dim"]
    directions: Float[Tensor, "dim kept"]

    def __init__(self, own: Whitening) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(np.array(own.mean)))
        self.register_buffer("directions", torch.from_numpy(np.array(own.directions)))

    def forward(self, vectors: Float[Tensor, "clips dim"]) -> Float[Tensor, "clips kept"]:
        """Return the whitened vectors, of length 1."""
        return functional.normalize((vectors - self.mean) @ self.directions, dim=1, eps=1e-30)


class _Embedding(nn.Module):
    """A model from padded clips of at most `LONGEST_SECONDS` to its embedding, and the whitened one."""

    def __init__(self, loaded: Checkpoint) -> None:
        super().__init__()
        self.network, self.sizes = Network(loaded.model), list(part_sizes(loaded).values())
        self.formats = formats_of(loaded.model.default_format)
        landmarks = {format: getattr(loaded.model, format).landmarks for format in self.formats}
        self.aligned = nn.ModuleDict({
            format: _Aligned(own) for format, own in landmarks.items() if own is not None
        })  # fmt: skip
        whitening = loaded.whitening
        self.whitened = nn.ModuleList([_Whitened(whitening[name]) for name in part_sizes(loaded)] if whitening else [])

    def forward(
        self, wave: Float[Tensor, "clips samples"], lengths: Int64[Tensor, " clips"]
    ) -> dict[str, Float[Tensor, "clips _"]]:
        """Return the outputs by name."""
        made = dict(zip(self.network.outputs, self.network(wave, lengths), strict=True))
        columns = []
        for format in self.formats:
            frames, steps = made.pop(f"{format}_frames", None), made.pop(f"{format}_steps", None)
            own = [value for name, value in made.items() if name.startswith(format)]
            if frames is not None:
                own.insert(1, self.aligned[format](frames, steps))  # content, landmarks, speaker, spectrum
            columns += own
        embedding = torch.cat(columns, dim=1)
        if not len(self.whitened):
            return {"embedding": embedding}
        parts = torch.split(embedding, self.sizes, dim=1)
        white = [whiten(part) for whiten, part in zip(self.whitened, parts, strict=True)]
        return {"embedding": embedding, "whitened": torch.cat(white, dim=1)}


def _checked(file: Path, step: int, wanted: Reference) -> tuple[float, dict[str, int]]:
    """Return how far the file's answers, alone and in a batch, are from the wanted ones, and their sizes."""
    network, _ = load_pt2(file)
    run = functools.partial(run_pt2, network, step=step)
    sizes = {name: values.shape[1] for name, values in run(wanted.clips[:1]).items()}
    return wanted.farthest(run, together=len(wanted.clips)), sizes
