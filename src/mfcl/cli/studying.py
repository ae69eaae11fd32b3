"""The commands that train and measure: train, study, report, compare."""

import argparse
import os

from mfcl.cli import options
from mfcl.core.console import worded
from mfcl.core.files import check_file_place, check_folder_place
from mfcl.core.limits import MOST_PER_CLASS, MOST_SEEDS
from mfcl.errors import MfclError

STUDIED = (
    *("labels", "voices", "traits", "efficiency", "robustness", "geometry", "maps", "cost"),
    *("formats", "augmentation", "crops", "ablation"),
)
"""The sections of a study; listed here too, so that help needs no torch."""


def add_commands(command: options.Command) -> None:
    """Add the commands of this file."""
    train = command("train", _train, "pre-train a pair of encoders without labels")
    train.add_argument("data", type=options.source, help=options.DATA)
    train.add_argument("--out", type=options.path, required=True, help="the run folder")
    train.add_argument(
        "--recipe", default="default", help="default (if left out), quick, bioacoustics, reference, or a .yaml file"
    )
    train.add_argument(
        "--rate", type=_rate, metavar="HZ|keep", help="sample rate of the model; keep: that of most recordings"
    )
    train.add_argument("--joint", action="store_true", help="learn from the labels too, however few there are")
    train.add_argument(
        "--labels-per-class", type=options.number(0, MOST_PER_CLASS), default=0, metavar="N",
        help="with --joint: use at most N labels of each class",
    )  # fmt: skip
    train.add_argument("--resume", action="store_true", help="continue the run in --out exactly where it stopped")
    train.add_argument("--overwrite", action="store_true", help="replace the run in --out")
    options.data(train)
    options.work(train)

    study = command("study", _study, "the whole study: train, measure, compare with baselines and untrained encoders")
    study.add_argument("data", type=options.source, help=options.DATA)
    study.add_argument(
        "--out", type=options.path, required=True, help="folder of the study; one that was stopped continues"
    )
    study.add_argument(
        "--preset", choices=("quick", "default", "reference"), default="quick",
        help="how much is done: quick (if left out), one seed; default, three seeds with all sections; reference, as "
        "the published study",
    )  # fmt: skip
    study.add_argument("--recipe", help="recipe to use instead of the preset's")
    study.add_argument("--seeds", type=options.number(1, MOST_SEEDS), help="number of seeds, instead of the preset's")
    study.add_argument("--only", nargs="+", metavar="SECTION", help=f"do only these: {', '.join(STUDIED)}")
    study.add_argument("--skip", nargs="+", metavar="SECTION", help="sections to leave out")
    study.add_argument(
        "--ablate", nargs="+", action="append", metavar="KEY=A,B",
        help="train and measure every combination of these recipe settings, and no other section",
    )  # fmt: skip
    study.add_argument(
        "--also", action="append", metavar="NAME=FILE",
        help="measure embeddings made elsewhere too: .npz, .npy, .csv, .parquet or parts; a column id or path, then "
        "values",
    )  # fmt: skip
    study.add_argument("--dry-run", action="store_true", help="print the plan with its time, and do nothing")
    options.data(study)
    options.work(study)

    report = command("report", _report, "write a study's report again from its results")
    report.add_argument("study", type=options.path, help="the study's folder")
    report.add_argument(
        "--with-audio", action="store_true", help="put sound into the page: a click on the map plays it"
    )
    options.data_root(report)
    report.add_argument("--figures", type=options.path, help="folder for the figures as SVG and PNG (extra: figures)")

    compare = command("compare", _compare, "measure several models on the same recordings, with paired differences")
    compare.add_argument(
        "runs",
        type=options.path,
        nargs="+",
        help="run folders, .npz or .parquet files or folders of parts, or controls (mfcc, logmel, hydra, spectrum, "
        "untrained, alignment); differences are to the first",
    )
    compare.add_argument(
        "--part",
        default="",
        help="one format or part alone (wave, mel, words, voices); left out: words for labels, voices for speakers",
    )
    compare.add_argument("--data", type=options.source, help="recordings to measure on, instead of the first run's own")
    compare.add_argument("--out", type=options.path, help="JSON file for all figures")
    options.data(compare)
    options.seed(compare)
    options.machine(compare)
    options.quiet(compare)


def _rate(text: str) -> int | str:
    """Read a sample rate, or `keep`, for the parser."""
    return text if text == "keep" else options.number(1000, 384_000)(text)


def _train(given: argparse.Namespace) -> None:
    from mfcl.core.distributed import is_main, stop
    from mfcl.core.machine import use_machine
    from mfcl.training.api import train

    check_folder_place(given.out)
    use_machine(given.threads)
    try:
        made = train(
            given.data, given.out, recipe=given.recipe, overrides=given.set, rate=given.rate, protocol=given.protocol,
            split_by=given.split_by, label=given.label, speaker=given.speaker, joint=given.joint,
            labels_per_class=given.labels_per_class, seed=given.seed, resume=given.resume, overwrite=given.overwrite,
            device=given.device, cache=given.cache, strict=given.strict, data_root=given.data_root,
            progress=not given.quiet,
        )  # fmt: skip
        if is_main():
            print(f"{made.folder}: a model for `mfcl embed` and `mfcl.load`")
    finally:
        stop()  # under torchrun; alone it does nothing


def _study(given: argparse.Namespace) -> None:
    from mfcl.core.machine import use_machine
    from mfcl.studies import study
    from mfcl.studies.closing import closing_screen

    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise MfclError("study: it is one process; train with `mfcl train` under torchrun, then measure with compare")
    check_folder_place(given.out)
    use_machine(given.threads)
    study(
        given.data, given.out, preset=given.preset, recipe=given.recipe, overrides=given.set, protocol=given.protocol,
        split_by=given.split_by, label=given.label, speaker=given.speaker, seed=given.seed, seeds=given.seeds,
        only=given.only, skip=given.skip, ablate=given.ablate, also=given.also, dry_run=given.dry_run,
        device=given.device, cache=given.cache, strict=given.strict, data_root=given.data_root,
        progress=not given.quiet,
    )  # fmt: skip
    if not given.dry_run:
        print(closing_screen(given.out))


def _report(given: argparse.Namespace) -> None:
    from mfcl.report import make_report

    made = make_report(given.study, with_audio=given.with_audio, figures=given.figures, data_root=given.data_root)
    print(f"{made}: open it in a browser")
    if given.figures:
        print(f"{given.figures}: the figures as SVG and PNG")


def _compare(given: argparse.Namespace) -> None:
    from mfcl.core.files import write_json
    from mfcl.core.machine import use_machine
    from mfcl.embeddings.part_files import is_part_folder
    from mfcl.studies.comparing import compare, compare_files, is_control
    from mfcl.studies.paired import compare_tables

    if given.out:
        check_file_place(given.out)
    use_machine(given.threads)
    models = [run for run in given.runs if not is_control(run)]
    embedded = [run for run in models if run.suffix in (".npz", ".parquet") or is_part_folder(run)]
    files = bool(models) and len(embedded) == len(models)
    if embedded and not files:
        raise MfclError(
            f"{embedded[0]}: embeddings beside a run, which is embedded anew: give runs alone, or files of embeddings "
            "of all of them (mfcl embed)"
        )
    if (given.protocol or given.split_by) and (files or given.data is None):
        raise MfclError(
            "--protocol and --split-by are for runs on --data: files of embeddings keep their own splits, and runs "
            "without --data those of the first run; leave them out"
        )
    if files:
        found = compare_files(
            given.runs, label=given.label, speaker=given.speaker, part=given.part, seed=given.seed, data=given.data,
            cache=given.cache, data_root=given.data_root, progress=not given.quiet,
        )  # fmt: skip
    else:
        found = compare(
            given.runs, given.data, label=given.label, speaker=given.speaker, protocol=given.protocol,
            split_by=given.split_by, part=given.part, seed=given.seed, device=given.device, cache=given.cache,
            strict=given.strict, data_root=given.data_root, progress=not given.quiet,
        )  # fmt: skip
    print(compare_tables(found))
    if given.out:
        write_json(given.out, [one.row() for one in found])
        print(f"\n{given.out}: {worded(len(found), 'figure')}")
