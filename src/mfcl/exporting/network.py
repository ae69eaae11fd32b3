"""The encoders as a graph of real-valued operations, ONNX's or torch's own, made by torch's exporter."""

import copy
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jaxtyping
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from mfcl.core.console import quiet_log
from mfcl.embeddings.parts import formats_of
from mfcl.errors import ExportError
from mfcl.models.encoders import filterbank
from mfcl.models.encoders.base import Lengths, NewGrid
from mfcl.models.encoders.filterbank import Filterbank1d
from mfcl.models.frontends import LogMel
from mfcl.models.pair import FormatEncoder, MultiFormatModel
from mfcl.models.pcen import smoothed_by_filter

OPSET = 18
"""Version of the ONNX operators that the file needs; torch's exporter has translations for it."""
WAVE, LENGTHS = "rows", "row_lengths"
"""Inputs of the network: padded clips, and the samples of each."""
MOST_STEPS = 1 << 16
"""Most multiples of `multiple` in a clip that the exporter is told of; the graph itself has no limit."""


class RealLogMel(LogMel):
    """`LogMel` whose Fourier transform is a convolution with windowed cosines and sines.

    ONNX runtimes have no FFT for all machines, and no complex numbers. Bins that no band hears are left out.
    """

    kernels: Float[Tensor, "doubled_bins 1 window"]

    def __init__(self, front: LogMel) -> None:
        super().__init__(front.settings, front.sample_rate)
        self.load_state_dict(front.state_dict())
        fft, length = self.settings.fft, self.settings.window
        heard = self.filterbank.any(dim=0).nonzero()[:, 0]
        self.bins = slice(int(heard[0]), int(heard[-1]) + 1)
        self.lead = (fft - length) // 2  # zeros before the window, which the kernels leave out
        time = torch.arange(self.lead, self.lead + length, dtype=torch.float64)
        bins = torch.arange(self.bins.start, self.bins.stop, dtype=torch.float64)
        angles = 2 * math.pi / fft * bins[:, None] * time
        window = self.window[self.lead : self.lead + length].double()
        kernels = torch.cat([torch.cos(angles) * window, torch.sin(angles) * window])
        self.register_buffer("kernels", kernels.float()[:, None], persistent=False)

    def log_power(
        self, wave: Float[Tensor, "batch samples"], lengths: Int64[Tensor, " batch"] | None = None
    ) -> tuple[Float[Tensor, "batch bands frames"], Int64[Tensor, " batch"] | None]:
        """Return what `LogMel.log_power` returns."""
        settings = self.settings
        padded = functional.pad(wave, (settings.fft // 2 - self.lead, settings.fft))
        parts = functional.conv1d(padded[:, None], self.kernels, stride=settings.hop)
        real, imaginary = parts[:, :, : 1 + wave.shape[1] // settings.hop].chunk(2, dim=1)
        power = self.filterbank[:, self.bins] @ (real.square() + imaginary.square())
        mel = power.clamp(settings.floor, settings.ceiling).log()
        return mel, None if lengths is None else 1 + lengths // settings.hop

    def smoothed(
        self, power: Float[Tensor, "batch bands frames"], weight: float
    ) -> Float[Tensor, "batch bands frames"]:
        """Return what `LogMel.smoothed` returns."""
        return smoothed_by_filter(power, weight)


class ConvolvedFilterbank(Filterbank1d):
    """`Filterbank1d` whose filters are a convolution, in place of a product with copies of overlapping pieces."""

    def log_power(
        self,
        wave: Float[Tensor, "batch samples"],
        lengths: Lengths,
        filters: Float[Tensor, "doubled_filters kernel"],
        *,
        above: bool = False,
    ) -> tuple[NewGrid, Lengths]:
        """Return what `Filterbank1d.log_power` returns."""
        hop, before = filterbank.HOP, (filterbank.KERNEL - filterbank.HOP) // 2
        padded = functional.pad(wave, (before, filterbank.KERNEL - hop - before))
        cosines, sines = functional.conv1d(padded[:, None], filters[:, None], stride=hop).chunk(2, dim=1)
        power = cosines.square() + sines.square()
        power = torch.log1p(power / filterbank.FLOOR) if above else torch.log(power + filterbank.FLOOR)
        return power[:, :, None], None if lengths is None else lengths // hop


class Network(nn.Module):
    """The encoders up to what is pooled: one output for each name in `outputs`.

    Attributes:
        outputs: Names: `FORMAT_words`, `FORMAT_voices`, with an average spectrum `FORMAT_spectrum`, and with landmarks
            `FORMAT_frames` and `FORMAT_steps`, the frames to align and their number.
    """

    def __init__(self, model: MultiFormatModel) -> None:
        super().__init__()
        own = copy.deepcopy(model).cpu().eval()
        assert isinstance(own.mel.front, LogMel)
        own.mel.front = RealLogMel(own.mel.front)
        if isinstance(own.wave.encoder, Filterbank1d):
            own.wave.encoder.__class__ = ConvolvedFilterbank  # same weights, other arithmetic
        formats = formats_of(own.default_format)
        self.encoders = nn.ModuleDict({format: getattr(own, format) for format in formats})
        self.outputs = [name for format in formats for name in _outputs(format, getattr(own, format))]

    def forward(self, rows: Float[Tensor, "batch samples"], lengths: Int64[Tensor, " batch"]) -> tuple[Tensor, ...]:
        """Return the outputs of clips, padded with zeros to a multiple of `multiple(model)` samples."""
        return tuple(value for encoder in self.encoders.values() for value in _pooled(encoder, rows, lengths))  # type: ignore[arg-type]


def multiple(model: MultiFormatModel) -> int:
    """Return a number of samples of which rows must be a multiple, so that all encoders have whole frames.

    Rows are two or more times as long, which is more than a frame of each encoder: of a single frame the exporter would
    take for granted that there is one.
    """
    assert isinstance(model.mel.front, LogMel)
    own = (int(getattr(encoder.encoder, "samples", 1)) for encoder in (model.wave, model.mel))
    hop = model.mel.front.settings.hop
    whole = math.lcm(8 * 160, 8 * hop, *own)
    return whole * math.ceil(int(getattr(model.mel.encoder, "stride", 1)) * hop / (2 * whole))


def network_graph(model: MultiFormatModel) -> tuple[Any, list[str]]:
    """Return the encoders as an `onnx.ModelProto`, and the names of its outputs; see `Network`.

    Raises:
        ExportError: torch cannot export an encoder, such as one of the user's own.
    """
    network = Network(model)
    inputs, shapes = _example(model)
    with _traced(model):
        made = torch.onnx.export(
            network, inputs, dynamo=True, dynamic_shapes=shapes, opset_version=OPSET, verbose=False,
            input_names=[WAVE, LENGTHS], output_names=network.outputs,
        )  # fmt: skip
    assert made is not None
    proto = made.model_proto
    for given in proto.graph.input:
        for axis in given.type.tensor_type.shape.dim:
            if not axis.dim_param:  # some operation took a size of the example for a constant
                raise ExportError(
                    f"{_names(model)}: cannot be exported for clips of any number and length; {given.name}"
                )
    for node in proto.graph.node:
        del node.metadata_props[:]  # traces of the source, with its place on this machine
    return proto, network.outputs


def exported_program(network: nn.Module, model: MultiFormatModel) -> torch.export.ExportedProgram:
    """Return a network of padded clips and their lengths as torch's own graph, for clips of any number and length.

    Args:
        network: In evaluation mode; its clips are multiples of `multiple(model)` samples, two or more.
        model: The model that it was made of.

    Raises:
        ExportError: torch cannot export it, such as an encoder of the user's own.
    """
    inputs, shapes = _example(model)
    with _traced(model):
        program = torch.export.export(network, inputs, dynamic_shapes=shapes)
    for graph in (
        module.graph for module in program.graph_module.modules() if isinstance(module, torch.fx.GraphModule)
    ):
        for node in graph.nodes:
            node.meta.pop("stack_trace", None)  # it names the source's place on this machine
    return program


def _example(model: MultiFormatModel) -> tuple[tuple[Tensor, Tensor], tuple[dict[int, Any], dict[int, Any]]]:
    """Return inputs to trace a network with, and which of their sizes are free."""
    step, generator = multiple(model), torch.Generator().manual_seed(0)
    batch, steps = torch.export.Dim("batch", min=1, max=1 << 16), torch.export.Dim("steps", min=2, max=MOST_STEPS)
    rows = torch.randn(3, 4 * step, generator=generator)
    lengths = torch.tensor([4 * step, 3 * step + 1, step // 2])
    return (rows, lengths), ({0: batch, 1: steps * step}, {0: batch})


def _names(model: MultiFormatModel) -> str:
    return ", ".join(type(encoder.encoder).__name__ for encoder in (model.wave, model.mel))


def _outputs(format: str, encoder: FormatEncoder) -> list[str]:
    parts = [f"{format}_{word}" for word in encoder.poolings]
    parts += [f"{format}_spectrum"] if encoder.averaged else []
    return parts if encoder.landmarks is None else [*parts, f"{format}_frames", f"{format}_steps"]


def _pooled(encoder: FormatEncoder, rows: Tensor, lengths: Tensor) -> Iterator[Tensor]:
    represented, own = encoder.front(rows, lengths)
    frames = encoder.encoder(represented, own)
    for role in encoder.roles:
        pooled = encoder.pooling(role)(frames)
        yield encoder.neck(pooled) if role == "content" and encoder.neck is not None else pooled
    if encoder.averaged:
        assert isinstance(encoder.front, LogMel)
        yield encoder.front.average_spectrum(represented, own)
    if encoder.landmarks is not None:
        yield from encoder.landmarks.frames(encoder.spectrum(represented, own))


@contextmanager
def _traced(model: MultiFormatModel) -> Iterator[None]:
    """Let the exporter call functions with sizes that are symbols, and hide what it says of its own parts.

    Where types are checked at run time, a symbol is no `int`.

    Raises:
        ExportError: the exporter failed.
    """
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        with quiet_log("torch.onnx"), warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # the exporter raises many kinds, with pages of text
        raise ExportError(
            f"{_names(model)}: torch {torch.__version__} cannot export them ({_reason(error)})"
        ) from error
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


def _reason(error: BaseException) -> str:
    """Return the first line of the error at the bottom of a chain."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:200]
