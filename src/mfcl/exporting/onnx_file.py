"""Write a trained model as one ONNX file that gives the answers of `mfcl embed` without torch."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import mfcl
from mfcl.audio.arrays import padded
from mfcl.checkpoint import Checkpoint, model_digest
from mfcl.core.console import quiet_log
from mfcl.core.extras import need
from mfcl.core.files import check_file_place, replacing
from mfcl.core.urls import local_path
from mfcl.embedder import Embedder, checkpoint_of
from mfcl.embeddings.parts import formats_of
from mfcl.errors import ExportError
from mfcl.exporting.alignment_graph import add_alignment
from mfcl.exporting.answers import Clip, Exported, Reference, Vectors, metadata, part_sizes, refuse_far
from mfcl.exporting.graphs import Classifier, Graph, add_classifier, begin, finish
from mfcl.exporting.network import OPSET, multiple, network_graph
from mfcl.labelling.classifier import LabelClassifier, short
from mfcl.labelling.classifier_file import load_classifier
from mfcl.models.inference import LONGEST_SECONDS
from mfcl.models.pair import FormatEncoder

EXTRA = "onnx"
LEAST_QUANTISED = 1 << 14
"""Fewest weights of a layer that is stored as 8-bit integers: small layers save nothing."""


def export_onnx(
    model: Embedder | Checkpoint | str | Path,
    path: str | Path,
    *,
    classifier: Classifier | str | Path | None = None,
    int8: str | Path | None = None,
) -> list[Exported]:
    """Write a model as an ONNX file, and compare its answers with torch's.

    The graph takes prepared clips, `wave` (clips, samples) and `lengths` (clips,), of any number and length, and
    returns `embedding` and, if a whitening was saved with the model, `whitened`. How recordings are prepared is in the
    file's metadata; the program of `mfcl.exporting.write_runner` does it with NumPy.

    Args:
        model: A trained model, or the folder of a model or a run.
        path: Where to write the file.
        classifier: A linear classifier of the model's embeddings, or the folder of one; it adds `probabilities` and
            `distance`, that to the nearest class.
        int8: Where to write a second file, in which the weights of large linear layers are 8-bit integers.

    Returns:
        The written files: `path`, then `int8`.

    Raises:
        ExportError: torch cannot export the encoders, the classifier is of another model, or the file's answers are
            not those of torch.
        MissingExtraError: packages of the extra `onnx` are not installed.
    """
    for package in ("onnxscript", "onnxruntime", "onnx"):
        need(package, EXTRA)
    for place in (path, *([int8] if int8 else [])):
        check_file_place(local_path(place))
    if int8 and Path(int8).resolve() == Path(path).resolve():
        raise ExportError(f"{int8}: wanted another file for the 8-bit weights; give two names")
    loaded = checkpoint_of(model)
    made = _model_proto(loaded, _classifier(loaded, classifier))
    wanted = Reference.of(loaded)
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(made.SerializeToString())
        written = [_checked(temporary, Path(path), wanted)]
        refuse_far(path, written[0].difference, of="torch's")
        if int8:
            written.append(_quantised(temporary, made, Path(int8), wanted))
    return written


def _classifier(loaded: Checkpoint, classifier: Classifier | str | Path | None) -> Classifier | None:
    """Return a classifier, read from its folder, after checking that it is bound to the model."""
    made = load_classifier(classifier) if isinstance(classifier, str | Path) else classifier
    if isinstance(made, LabelClassifier) and made.model and made.model != (own := model_digest(loaded)):
        raise ExportError(
            f"{classifier if isinstance(classifier, str | Path) else 'classifier'}: bound to the model "
            f"{short(made.model)}, but {loaded.folder} is {short(own)}; export the model that it was fitted on"
        )
    return made


def _model_proto(loaded: Checkpoint, classifier: Classifier | None) -> Any:
    """Return the whole graph with its metadata."""
    import onnx

    model, rate = loaded.model, loaded.recipe.preparation.sample_rate
    network, outputs = network_graph(model)
    network = onnx.compose.add_prefix(network, "network/", rename_inputs=False, rename_outputs=False)
    graph = begin(int(LONGEST_SECONDS * rate), multiple(model))
    graph.nodes += network.graph.node
    columns = []
    for format in formats_of(model.default_format):
        encoder: FormatEncoder = getattr(model, format)
        if encoder.landmarks is not None:
            _align(graph, format, encoder)
        made = [name for name in outputs if name.startswith(format) and not name.endswith(("_frames", "_steps"))]
        if encoder.landmarks is not None:
            made.insert(1, f"{format}_landmarks")  # content, landmarks, speaker, spectrum: an embedding's order
        columns += made
    parts = part_sizes(loaded)
    finish(graph, parts, loaded.whitening, columns)
    sizes = {"embedding": sum(parts.values())}
    if loaded.whitening:
        sizes["whitened"] = sum(loaded.whitening[name].directions.shape[1] for name in parts)
    if classifier is not None:
        add_classifier(graph, parts, classifier)
        sizes |= {"probabilities": len(classifier.classes), "distance": 1}
    inputs = [_value("wave", onnx.TensorProto.FLOAT, ["clips", "samples"]), _value("lengths", 7, ["clips"])]
    used = _names(graph.nodes)  # of any other constant onnxruntime warns whenever the file is opened
    constants = [onnx.numpy_helper.from_array(v, n) for n, v in graph.constants.items() if n in used]
    made_graph = onnx.helper.make_graph(
        graph.nodes, "mfcl", inputs,
        [_value(name, onnx.TensorProto.FLOAT, ["clips", size]) for name, size in sizes.items()],
        [*network.graph.initializer, *constants],
    )  # fmt: skip
    made = onnx.helper.make_model(
        made_graph, opset_imports=network.opset_import, functions=network.functions, ir_version=network.ir_version,
        producer_name="mfcl", producer_version=mfcl.__version__,
    )  # fmt: skip
    facts = metadata(loaded) | {"opset": str(OPSET)}
    if classifier is not None:
        facts["classes"] = json.dumps([str(name) for name in classifier.classes], ensure_ascii=False)
        facts["farthest"] = repr(float(classifier.farthest))  # beyond this distance a sound is `unknown`
    onnx.helper.set_model_props(made, facts)
    onnx.checker.check_model(made)
    return made


def _names(nodes: Iterable[Any]) -> set[str]:
    """Return the names that nodes read, also those that the graphs inside them take from outside."""
    read: set[str] = set()
    for node in nodes:
        read.update(node.input)
        for one in node.attribute:
            for inner in (one.g, *one.graphs):
                read |= _names(inner.node)
    return read


def _value(name: str, kind: int, shape: list[str | int]) -> Any:
    import onnx

    return onnx.helper.make_tensor_value_info(name, kind, shape)


@torch.no_grad()
def _align(graph: Graph, format: str, encoder: FormatEncoder) -> None:
    own = encoder.landmarks
    assert own is not None
    near = []
    for kind, (rows, _), count in zip(("clips", "pieces"), own.kinds, own.counts, strict=True):
        marks, ends = own.known(rows)
        absent = count - len(marks)
        near.append(add_alignment(graph, format, kind, marks.numpy(), ends.numpy(), absent=absent))
    graph.add(f"{format}_landmarks = Concat<axis = 1>({', '.join(near)})")


def _checked(file: Path, path: Path, wanted: Reference) -> Exported:
    """Return the facts of a written file; the clips are embedded alone and, but for the longest, in one batch."""
    session, names = open_session(file), list(wanted.answers)
    outputs = {one.name: int(one.shape[1]) for one in session.get_outputs()}

    def run(clips: Sequence[Clip]) -> dict[str, Vectors]:
        return dict(zip(names, run_session(session, clips, names), strict=True))

    return Exported(path, file.stat().st_size, wanted.farthest(run, together=len(wanted.clips) - 1), outputs)


def open_session(file: Path) -> Any:
    """Return an onnxruntime session on the CPU."""
    runtime = need("onnxruntime", EXTRA)
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    return runtime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])


def run_session(session: Any, clips: Sequence[Clip], outputs: list[str]) -> list[Vectors]:
    """Return outputs for prepared clips, padded with zeros to one length."""
    lengths = np.array([len(clip) for clip in clips])
    try:
        found: list[Vectors] = session.run(outputs, {"wave": padded(clips, lengths), "lengths": lengths})
    except Exception as error:  # onnxruntime has exceptions of its own, which share no class
        raise ExportError(
            f"onnxruntime cannot run the exported model ({' '.join(str(error).split())[:200]})"
        ) from error
    return found


def _quantised(file: Path, made: Any, path: Path, wanted: Reference) -> Exported:
    """Write the file again with 8-bit weights in the large linear layers of the encoders.

    Convolutions stay: 8-bit ones are slower than float32 in onnxruntime on most processors. So do landmarks, PCA and
    whitening, where rounding would change distances.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    large = {
        one.name
        for one in made.graph.initializer
        if one.name.startswith("network/") and one.name.endswith("weight") and len(one.dims) == 2
        and one.dims[0] * one.dims[1] >= LEAST_QUANTISED
    }  # fmt: skip
    chosen = [
        # the quantiser first turns a Gemm into a MatMul of this name
        f"{node.name}_MatMul" if node.op_type == "Gemm" else node.name
        for node in made.graph.node
        if node.op_type in ("MatMul", "Gemm") and large & set(node.input)
    ]
    if not chosen:
        raise ExportError(f"{path}: the model has no large linear layer to store as 8-bit integers; leave int8 out")
    with replacing(path) as temporary:
        with quiet_log(""):  # it advises to optimise the graph first, which would undo the choice of layers
            quantize_dynamic(
                file, temporary, op_types_to_quantize=["MatMul"], nodes_to_quantize=chosen, per_channel=True,
                weight_type=QuantType.QInt8,
            )  # fmt: skip
        return _checked(temporary, path, wanted)
