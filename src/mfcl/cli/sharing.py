"""The commands that bring models out and in: export, import."""

import argparse

from mfcl.cli import options
from mfcl.core.files import check_file_place, check_folder_place
from mfcl.errors import MfclError


def add_commands(command: options.Command) -> None:
    """Add the commands of this file."""
    export = command("export", _export, "write a model for programs without torch (extra: onnx), or without mfcl")
    export.add_argument("model", type=options.path, help="a run folder or a checkpoint folder")
    export.add_argument("--onnx", type=options.path, metavar="FILE", help="the ONNX file to write")
    export.add_argument(
        "--pt2", type=options.path, metavar="FILE", help="the file of torch.export to write: torch is all that it needs"
    )
    export.add_argument(
        "--classifier",
        type=options.path,
        metavar="FOLDER",
        help="a classifier of this model (mfcl classify --fit): the file gives class probabilities too",
    )
    export.add_argument(
        "--int8",
        type=options.path,
        metavar="FILE",
        help="write a smaller file too, with 8-bit weights in linear layers",
    )

    bring = command("import", _import, "make a model of published weights, for embed, study and compare")
    bring.add_argument("source", choices=("panns", "torchvision"), help="PANNs' Res1dNet31, or torchvision's ResNet18")
    bring.add_argument("weights", type=options.path, help="the published file: .pth or .safetensors")
    bring.add_argument("--out", type=options.path, required=True, help="folder of the model")


def _export(given: argparse.Namespace) -> None:
    if given.onnx is None and given.pt2 is None:
        raise MfclError("wanted a file to write, got none; give --onnx FILE, --pt2 FILE or both")
    if given.onnx is None and (given.classifier is not None or given.int8 is not None):
        raise MfclError("--classifier and --int8 are for ONNX; give --onnx FILE too, or leave them out")
    from mfcl.exporting import export_onnx, export_pt2

    for place in (given.onnx, given.int8, given.pt2):
        if place is not None:
            check_file_place(place)
    written = []
    if given.onnx is not None:
        written += export_onnx(given.model, given.onnx, classifier=given.classifier, int8=given.int8)
    if given.pt2 is not None:
        written.append(export_pt2(given.model, given.pt2))
    for one in written:
        outputs = ", ".join(f"{name} {size}" for name, size in one.outputs.items())
        print(f"{one.path}: {one.size / 1e6:.1f} MB; {outputs}; differs from torch by {one.difference:.1e} of a vector")


def _import(given: argparse.Namespace) -> None:
    from mfcl.importing import import_model

    check_folder_place(given.out)
    made = import_model(given.source, given.weights, given.out)
    print(f"{given.out}: {made}; a model for `mfcl embed --format FORMAT`, `mfcl compare` and `mfcl.load`")
