"""The commands that bring models out, and models and data sets in: export, import."""

import argparse

from mfcl.cli import options
from mfcl.core.console import printable, worded
from mfcl.core.files import check_file_place, check_folder_place
from mfcl.errors import MfclError, shown


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
    export.add_argument(
        "--runner",
        type=options.path,
        metavar="FILE",
        help="write run_onnx.py too, which runs the ONNX file with numpy, soundfile and onnxruntime alone",
    )

    bring = command("import", _import, "make a model of published weights, or a list of recordings of a data set")
    bring.add_argument(
        "source",
        choices=("panns", "torchvision", "datasets"),
        help="PANNs' Res1dNet31, torchvision's ResNet18, or a data set of Hugging Face's `datasets` (extra: datasets)",
    )
    bring.add_argument(
        "what",
        type=options.path,
        metavar="FILE|DATASET",
        help="the published weights, .pth or .safetensors; or the data set: a folder, or its id on the hub",
    )
    bring.add_argument("--out", type=options.path, required=True, help="folder of the model, or of the list")
    sets = bring.add_argument_group("data sets")
    sets.add_argument("--audio", metavar="COLUMN", help="the column of audio; default: the only one")
    sets.add_argument(
        "--split",
        action="append",
        metavar="NAME=SPLIT",
        help="take only this split, as train, valid or test; may be repeated; default: all, by their usual names",
    )
    sets.add_argument("--config", metavar="NAME", help="which configuration of a data set that has several")
    sets.add_argument("--revision", help="branch, tag or commit on the hub")
    sets.add_argument("--strict", action="store_true", help="stop at the first row without sound")


def _export(given: argparse.Namespace) -> None:
    if given.onnx is None and given.pt2 is None:
        raise MfclError("wanted a file to write, got none; give --onnx FILE, --pt2 FILE or both")
    if given.onnx is None and any(one is not None for one in (given.classifier, given.int8, given.runner)):
        raise MfclError("--classifier, --int8 and --runner are for ONNX; give --onnx FILE too, or leave them out")
    places = [one for one in (given.onnx, given.int8, given.pt2, given.runner) if one is not None]
    for number, place in enumerate(places):
        check_file_place(place)
        if place.resolve() in [one.resolve() for one in places[:number]]:
            raise MfclError(f"{place}: wanted another name for each file to write, got it twice; give two names")
    from mfcl.exporting import export_onnx, export_pt2, write_runner

    print("Exporting, and comparing what it answers with torch: a minute or two.", flush=True)
    written = []
    if given.onnx is not None:
        written += export_onnx(given.model, given.onnx, classifier=given.classifier, int8=given.int8)
    if given.pt2 is not None:
        written.append(export_pt2(given.model, given.pt2))
    for one in written:
        outputs = ", ".join(f"{name} {size}" for name, size in one.outputs.items())
        print(f"{one.path}: {one.size / 1e6:.1f} MB; {outputs}; differs from torch by {one.difference:.1e} of a vector")
    if given.runner is not None:
        write_runner(given.runner)
        print(f"{given.runner}: runs it with numpy, soundfile and onnxruntime: python {given.runner.name} --help")


def _import(given: argparse.Namespace) -> None:
    check_folder_place(given.out)
    if given.source == "datasets":
        _import_dataset(given)
        return
    if any((given.audio, given.split, given.config, given.revision, given.strict)):
        raise MfclError("--audio, --split, --config, --revision and --strict are for data sets; leave them out")
    from mfcl.importing import import_model

    made = import_model(given.source, given.what, given.out)
    print(f"{given.out}: {made}; a model for `mfcl embed`, `mfcl compare` and `mfcl.load`")


def _import_dataset(given: argparse.Namespace) -> None:
    from mfcl.hf_datasets import from_dataset, open_source

    splits = None if given.split is None else dict(_named_split(text) for text in given.split)
    dataset = open_source(given.what, config=given.config, revision=given.revision)
    made = from_dataset(dataset, given.out, audio=given.audio, splits=splits, strict=given.strict)
    written = sum(recording.path.is_relative_to(made.root / "audio") for recording in made)
    labels = printable(", ".join(made.label_names)) or "none"
    where = f"{written} of them in files of this folder, the others in files where they are"
    print(f"{given.out}: {worded(len(made), 'recording')}, {where}; labels: {labels}")


def _named_split(text: str) -> tuple[str, str]:
    name, sign, split = text.rpartition("=")
    if not (name and sign):
        raise MfclError(f"--split {shown(text)}: wanted NAME=SPLIT, such as train.clean.100=train")
    return name, split
