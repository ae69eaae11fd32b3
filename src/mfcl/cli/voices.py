"""The command `mfcl voices`: a gallery of voices on disk."""

import argparse
from typing import Any

from mfcl.cli import options
from mfcl.cli import voices_actions as actions
from mfcl.cli import voices_evaluating as evaluating
from mfcl.core.limits import MOST_BATCH


def add_commands(command: options.Command) -> None:
    """Add the commands of this file."""
    top = command("voices", None, "a gallery of voices: enrol, identify with `unknown` as an answer, verify")
    top.epilog = actions.CONSENT
    verbs = top.add_subparsers(title="what to do", metavar="ACTION", required=True, parser_class=options.OneLineParser)

    def action(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        made.add_argument("gallery", help="a file, or the address of a PostgreSQL database (postgresql://...)")
        return made

    create = action("create", actions.create, "make an empty gallery, bound to one model")
    create.add_argument("model", type=options.path, help="a run folder or a checkpoint folder")
    create.add_argument(
        "--cohort", metavar="DATA",
        help="recordings of other voices, to know what strangers score, or none; the model's own if left out",
    )  # fmt: skip
    create.add_argument("--cohort-size", type=options.number(20, 100_000), default=300, help="most recordings of it")
    create.add_argument(
        "--score", choices=("mean", "best", "average", "both"), default="mean",
        help="cosine with the mean of a voice's clips, its nearest clip, the mean of all, or half mean, half best",
    )  # fmt: skip
    create.add_argument(
        "--nearest", type=options.number(0, 100_000), default=75, metavar="N",
        help="normalise scores by the N nearest recordings of the cohort (AS-norm); 0: not",
    )  # fmt: skip
    options.machine(create)

    enrol = action("enrol", actions.enrol, "add clips to a voice")
    enrol.add_argument("name", help="name of the voice; a new one is made")
    enrol.add_argument("files", type=options.source, nargs="+", metavar="FILE", help="files or folders")
    enrol.add_argument("--consent", default="", metavar="DATE", help="date on which the person agreed (2026-11-02)")
    enrol.add_argument("--note", default="", help="any text")
    enrol.add_argument("--keep-audio", action="store_true", help="keep the files in the gallery too")
    _uses_model(enrol)

    identify = action(
        "identify", actions.identify, "say who speaks in each file, or when in long recordings (--window)"
    )
    identify.add_argument("files", type=options.source, nargs="+", metavar="FILE", help="files, folders or lists")
    identify.add_argument("--margin", type=float, default=None, metavar="X", help="least margin to the next voice")
    identify.add_argument("--window", type=float, metavar="SECONDS", help="who speaks when, in windows of this length")
    identify.add_argument(
        "--hop", type=float, metavar="SECONDS", help="step between windows; default: a quarter of a window"
    )
    identify.add_argument("--switch", type=float, metavar="X", help="what a change of speaker costs; 0: no smoothing")
    identify.add_argument("--format", choices=("table", "json", "rttm", "audacity"), help="form of the answer")
    _prints_json(identify)
    identify.add_argument("--out", type=options.path, help="file for the answer, instead of printing it")
    _uses_model(identify)

    verify = action("verify", actions.verify, "say whether files are of the voice they are said to be of")
    verify.add_argument("name", help="name of the voice")
    verify.add_argument("files", type=options.source, nargs="+", metavar="FILE", help="files, folders or lists")
    _prints_json(verify)
    _uses_model(verify)

    remove = action("remove", actions.remove, "remove voices and their embeddings for good")
    remove.add_argument("names", nargs="+", metavar="NAME", help="names of the voices")

    rename = action("rename", actions.rename, "give a voice another name")
    rename.add_argument("name", help="name of the voice")
    rename.add_argument("new", help="its new name")

    merge = action("merge", actions.merge, "move all clips of OTHER to NAME; OTHER is gone then")
    merge.add_argument("name", help="name of the voice that stays")
    merge.add_argument("other", help="name of the other, of the same person")

    listing = action("list", actions.show, "say who is enrolled")
    listing.add_argument("--json", action="store_true", help="print JSON")

    export = action("export", actions.export, "write voices to a new gallery, or to an .npz file of embeddings")
    export.add_argument("out", help="a new gallery, or an .npz file")
    export.add_argument("--voices", nargs="+", default=[], metavar="NAME", help="only these")
    export.add_argument("--audio", type=options.path, metavar="FOLDER", help="write the files that were kept here")

    take = action("import", actions.take, "add the voices of another gallery of the same model")
    take.add_argument("other", help="a gallery")

    calibrate = action("calibrate", actions.calibrate, "set the thresholds by held-out recordings of other people")
    _held_out(calibrate)
    calibrate.add_argument("--quality", action="store_true", help="let scores depend on seconds and level of a clip")
    calibrate.add_argument("--clips", type=options.number(1, MOST_BATCH), help="clips to enrol; as the gallery has")

    evaluate = action("evaluate", evaluating.evaluate, "measure on held-out recordings of other people")
    _held_out(evaluate)
    evaluate.add_argument("--clips", type=options.number(1, MOST_BATCH), nargs="+", help="clips to enrol: 1 3 5 10")
    evaluate.add_argument(
        "--also",
        action="append",
        metavar="NAME=FILE",
        help="embeddings of the same recordings made elsewhere, measured beside",
    )
    evaluate.add_argument("--det", type=options.path, metavar="SVG", help="draw the DET curves into this file")


def _uses_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", type=options.path, help="the gallery's model, if it was moved")
    options.machine(command)


def _prints_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON, with what the notes say as `notes`")


def _held_out(command: argparse.ArgumentParser) -> None:
    command.add_argument("data", type=options.source, help="a list, a corpus, or a folder with a sub-folder a person")
    command.add_argument(
        "--far", type=float, default=0.01, metavar="RATE", help="share of strangers that may get a name (0.01)"
    )
    command.add_argument("--speaker", help="column of the people; one with a usual name if left out")
    command.add_argument("--label", help="column of what is said; one with a usual name if left out")
    command.add_argument("--split", choices=("train", "valid", "test"), help="only recordings of this split")
    options.seed(command)
    _prints_json(command)
    _uses_model(command)
