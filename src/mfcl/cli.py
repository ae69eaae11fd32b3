"""The command `mfcl`: what was asked, in words; the work is elsewhere and is imported when it is needed."""

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from mfcl import __version__
from mfcl.errors import MfclError

INTERRUPTED = 130
STUDIED = (
    *("labels", "voices", "traits", "efficiency", "robustness", "geometry", "maps", "cost"),
    *("formats", "augmentation", "crops", "ablation"),
)
"""The sections of a study; told here so that help needs no torch."""
SHOWN = 30
"""Problems that a scan prints."""


class OneLineParser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and leave with 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 with one line on standard error for what a person can mend."""
    given = parser().parse_args(arguments)
    # read when torch loads: threads that spin while they wait make every step several times slower beside other work
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        given.run(given)
        sys.stdout.flush()
    except MfclError as error:
        print(f"mfcl: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        text = str(error) or "interrupted; nothing is half-written, the same command goes on or starts again"
        print(f"\nmfcl: {text}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `mfcl scan ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.ENAMETOOLONG):
            raise
        print(f"mfcl: {error.filename or 'writing'}: {error.strerror}; nothing is half-written", file=sys.stderr)
        return 2
    return 0


def parser() -> OneLineParser:
    """Return the parser of all commands."""
    top = OneLineParser(prog="mfcl", description="Audio representations by multi-format contrastive learning.")
    top.add_argument("--version", action="version", version=f"mfcl {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        return made

    demo = command("demo", _demo, "synthesise a corpus of spoken digits (needs the extra `demo`)")
    demo.add_argument("folder", type=Path)
    demo.add_argument("--voices", type=int, default=60)
    demo.add_argument("--takes", type=int, default=3, help="of each digit by each voice")
    demo.add_argument("--seed", type=int, default=0)

    fetch = command("fetch", _fetch, "download a public corpus: audiomnist or fsdd")
    fetch.add_argument("corpus", choices=("audiomnist", "fsdd"))
    fetch.add_argument("folder", type=Path)

    scan = command("scan", _scan, "look at every recording; print a table and every problem, write a manifest")
    scan.add_argument("data", type=Path)
    scan.add_argument("--out", type=Path, help="manifest CSV of the usable recordings")
    scan.add_argument("--all", action="store_true", help=f"print every problem, not only {SHOWN}")
    scan.add_argument("--strict", action="store_true", help="leave with 2 if a recording cannot be used")
    _quiet(scan)

    train = command("train", _train, "pre-train a pair of encoders without labels")
    train.add_argument("data", type=Path)
    train.add_argument("--out", type=Path, required=True, help="the run folder")
    train.add_argument("--recipe", default="default", help="default, quick, reference, or a .yaml file")
    train.add_argument("--joint", action="store_true", help="learn by the labels that are there too, however few")
    train.add_argument("--labels-per-class", type=int, default=0, metavar="N", help="with --joint: use no more labels")
    train.add_argument("--resume", action="store_true", help="go on with the run in --out, exactly")
    train.add_argument("--overwrite", action="store_true", help="delete what is in --out")
    _data(train)
    _data_root(train)
    _work(train)

    study = command("study", _study, "the whole study: train, measure, compare with every control")
    study.add_argument("data", type=Path)
    study.add_argument("--out", type=Path, required=True, help="the study's folder; the same one goes on")
    study.add_argument("--preset", choices=("quick", "default", "reference"), default="quick")
    study.add_argument("--recipe", help="another recipe than the preset's")
    study.add_argument("--seeds", type=int, help="how many, instead of the preset's")
    study.add_argument("--only", nargs="+", metavar="SECTION", help=f"do these alone: {', '.join(STUDIED)}")
    study.add_argument("--skip", nargs="+", metavar="SECTION", help="leave these out")
    study.add_argument(
        "--ablate", nargs="+", action="append", metavar="KEY=A,B",
        help="train every combination of these choices of the recipe, and no other section",
    )  # fmt: skip
    study.add_argument("--dry-run", action="store_true", help="print the plan with its time, and do nothing")
    _data(study)
    _data_root(study)
    _work(study)

    report = command("report", _report, "make the report of a study again from what it has worked out")
    report.add_argument("study", type=Path, help="the study's folder")
    report.add_argument("--with-audio", action="store_true", help="a click on a point of the map plays its recording")
    _data_root(report)
    report.add_argument("--figures", type=Path, help="a folder for the figures as SVG and PNG (extra `figures`)")

    compare = command("compare", _compare, "measure several trained models on the same recordings, and what differs")
    compare.add_argument("runs", type=Path, nargs="+", help="run folders, or .npz; differences are to the first")
    compare.add_argument("--part", default="", help="of .npz: a format or a part alone (wave, mel, words, voices)")
    compare.add_argument("--data", type=Path, help="other recordings than the first run's own")
    compare.add_argument("--out", type=Path, help="a JSON file of all figures")
    _data(compare)
    _data_root(compare)
    compare.add_argument("--seed", type=int, default=0)
    compare.add_argument("--device", default="auto", help="auto, cpu, cuda")
    compare.add_argument("--threads", type=int)
    _quiet(compare)

    embed = command("embed", _embed, "turn recordings into vectors with a trained model")
    embed.add_argument("model", type=Path, help="a run folder or a checkpoint folder")
    embed.add_argument("data", type=Path, help="a file, a folder or a manifest")
    embed.add_argument(
        "--out", type=Path, required=True, help="an .npz file; bad files are named in failures.csv beside it"
    )
    embed.add_argument("--format", choices=("wave", "mel", "both"), default="both")
    embed.add_argument("--part", choices=("words", "voices"), help="of a model that has both; all of it if left out")
    embed.add_argument("--whiten", action="store_true", help="make vectors ready for cosines")
    embed.add_argument("--batch", type=int, default=64)
    _data_root(embed)
    embed.add_argument("--strict", action="store_true", help="make the first bad file an error")
    embed.add_argument("--device", default="auto")
    embed.add_argument("--threads", type=int)
    _quiet(embed)

    probe = command("probe", _probe, "measure labels and voices in embeddings that have a split")
    probe.add_argument("embeddings", type=Path, help="an .npz file of mfcl embed")
    probe.add_argument("--label", help="the label to predict; guessed from the usual names, or the only one there is")
    probe.add_argument("--speaker", help="the label that names the voice; guessed from the usual names")
    probe.add_argument("--seed", type=int, default=0)

    info = command("info", _info, "tell what a model or an embeddings file is")
    info.add_argument("path", type=Path)
    return top


def _data_root(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data-root", type=Path, help="where the recordings of a list lie now, if they were moved")


def _quiet(command: argparse.ArgumentParser) -> None:
    command.add_argument("--quiet", action="store_true", help="no progress bars")


def _data(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("data")
    group.add_argument("--label", help="what to measure by; guessed from the usual names (digit, label, word, species)")
    group.add_argument("--speaker", help="the label that names the voice; guessed likewise (speaker, individual)")
    group.add_argument("--split-by", help="a label no value of which is on two sides; `none`: by recording")
    group.add_argument("--protocol", help="a named split: manifest, label, recording, reference, becker-0 ... becker-4")
    group.add_argument("--strict", action="store_true", help="make the first bad file an error")
    group.add_argument("--cache", type=Path, help="where decoded sound is kept (default: MFCL_CACHE, ~/.cache/mfcl)")


def _work(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("work")
    group.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="train.epochs=5 ...")
    group.add_argument("--seed", type=int, default=0)
    group.add_argument("--device", default="auto", help="auto, cpu, cuda")
    group.add_argument("--threads", type=int, help="processor threads; as many as allowed if left out")
    _quiet(command)


def _demo(given: argparse.Namespace) -> None:
    from mfcl.data.demo import make_demo

    make_demo(given.folder, voices=given.voices, takes=given.takes, seed=given.seed)
    print(f"{given.folder}: {given.voices * given.takes * 10} clips of {given.voices} synthetic voices")


def _fetch(given: argparse.Namespace) -> None:
    from mfcl.data.fetch import fetch

    print(f"{fetch(given.corpus, given.folder)}: complete")


def _scan(given: argparse.Namespace) -> None:
    from mfcl.data.dataset import guessed_labels
    from mfcl.data.layouts import open_manifest
    from mfcl.data.manifest_csv import write_manifest
    from mfcl.data.scanning import scan
    from mfcl.data.split_notes import split_notes

    manifest = open_manifest(given.data)
    report = scan(manifest, progress=not given.quiet)
    print(report.table())
    if (manifest.splits != "").any() and len(report.failures) < len(manifest):
        label, speaker = guessed_labels(manifest.label_names, None, None)
        for note in split_notes(report.usable, report.usable, "manifest", speaker=speaker, label=label):
            print(f"note: {note}")
    problems = report.problems_table(None if given.all else SHOWN)
    if problems:
        print(f"\n{problems}" + ("; --all prints them" if "... and " in problems.splitlines()[-1] else ""))
    if report.failures and given.strict:
        name, reason = report.failures[0]
        raise MfclError(f"{name}: {reason}; {len(report.failures)} recordings cannot be used")
    if given.out:
        write_manifest(report.usable, given.out)
        print(f"\n{given.out}: {len(report.usable)} usable recordings of {len(report.entries)}")


def _train(given: argparse.Namespace) -> None:
    from mfcl.core.distributed import stop
    from mfcl.training.api import train

    made = train(
        given.data, given.out, recipe=given.recipe, overrides=given.set, protocol=given.protocol,
        split_by=given.split_by, label=given.label, speaker=given.speaker, joint=given.joint,
        per_class=given.labels_per_class, seed=given.seed, resume=given.resume, overwrite=given.overwrite,
        device=given.device, threads=given.threads, cache=given.cache, strict=given.strict,
        data_root=given.data_root, progress=not given.quiet,
    )  # fmt: skip
    print(f"{made.folder}: a model for `mfcl embed` and `mfcl.load`")
    stop()  # under torchrun; alone it does nothing


def _study(given: argparse.Namespace) -> None:
    from mfcl.studies import study
    from mfcl.studies.results import tables

    rows = study(
        given.data, given.out, preset=given.preset, recipe=given.recipe, overrides=given.set, protocol=given.protocol,
        split_by=given.split_by, label=given.label, speaker=given.speaker, seed=given.seed, seeds=given.seeds,
        only=given.only, skip=given.skip, ablate=given.ablate, dry_run=given.dry_run, device=given.device,
        threads=given.threads, cache=given.cache, strict=given.strict, data_root=given.data_root,
        progress=not given.quiet,
    )  # fmt: skip
    if given.dry_run:
        return
    print(tables(rows))
    print(f"\n{given.out / 'report.html'}: open it in a browser; {given.out / 'results.json'}: {len(rows)} figures")


def _compare(given: argparse.Namespace) -> None:
    from mfcl.core.files import write_json
    from mfcl.core.machine import use_machine
    from mfcl.studies.comparing import compare, compare_files, compare_tables

    use_machine(given.threads)
    if all(run.suffix == ".npz" for run in given.runs):
        found = compare_files(given.runs, label=given.label, speaker=given.speaker, part=given.part, seed=given.seed)
    else:
        found = compare(
            given.runs, given.data, label=given.label, speaker=given.speaker, protocol=given.protocol,
            split_by=given.split_by, seed=given.seed, device=given.device, cache=given.cache, strict=given.strict,
            data_root=given.data_root, progress=not given.quiet,
        )  # fmt: skip
    print(compare_tables(found))
    if given.out:
        write_json(given.out, [one.row() for one in found])
        print(f"\n{given.out}: {len(found)} figures")


def _report(given: argparse.Namespace) -> None:
    from mfcl.report import make_report

    made = make_report(given.study, with_audio=given.with_audio, figures=given.figures, data_root=given.data_root)
    print(f"{made}: open it in a browser")
    if given.figures:
        print(f"{given.figures}: the figures as SVG and PNG")


def _embed(given: argparse.Namespace) -> None:
    from mfcl.core.machine import use_machine
    from mfcl.embedder import embed

    use_machine(given.threads)
    found = embed(
        given.model, given.data, format=given.format, part=given.part, whiten=given.whiten, batch=given.batch,
        strict=given.strict, data_root=given.data_root, device=given.device,
        failures=given.out.parent / "failures.csv", progress=not given.quiet,
    )  # fmt: skip
    found.save(given.out)
    print(f"{given.out}: {found.vectors.shape[0]} recordings x {found.vectors.shape[1]} values")


def _probe(given: argparse.Namespace) -> None:
    from mfcl.core.console import table
    from mfcl.data.dataset import guessed_labels
    from mfcl.embeddings.table import load_embeddings
    from mfcl.evaluation.tasks import measure_labels, measure_voices

    embeddings = load_embeddings(given.embeddings)
    label, speaker = guessed_labels(list(embeddings.labels), given.label, given.speaker)
    if label is None and speaker is None:
        known = f"its labels are {', '.join(embeddings.labels)}" if embeddings.labels else "it has no labels"
        raise MfclError(f"{given.embeddings}: no label to measure by; {known}; name one (--label, --speaker)")
    for option, name, asked in (("label", label, given.label), ("speaker", speaker, given.speaker)):
        if name and not asked:
            print(f"--{option} {name}: taken, as none was named", file=sys.stderr)
    found, failed = [], []
    for measure, wanted in ((measure_labels, label), (measure_voices, speaker)):
        try:
            found += measure(embeddings, label, speaker, seed=given.seed) if wanted else []  # type: ignore[arg-type]
        except MfclError as error:  # the other may still be measured
            failed.append(error)
    if not found:
        raise failed[0]
    rows = [
        (m.task, m.metric, f"{m.value:.1f}", *("-" if end is None else f"{end:.1f}" for end in (m.low, m.high)), m.n)
        if m.metric != "min_dcf"  # a cost from 0 to 1
        else (m.task, m.metric, f"{m.value:.3f}", "-", "-", m.n)
        for m in found
    ]
    print(table(rows, ["task", "metric", "%", "low", "high", "n"]))
    said = [text for m in found for text in (m.left_out, m.no_interval)] + [f"not measured: {one}" for one in failed]
    for text in dict.fromkeys(said):
        if text:
            print(f"note: {text}")


def _info(given: argparse.Namespace) -> None:
    from mfcl.core.console import table

    if given.path.suffix == ".npz":
        from mfcl.embeddings.table import load_embeddings

        found = load_embeddings(given.path)
        rows = [("recordings", len(found.ids)), ("values", found.vectors.shape[1]), ("labels", ", ".join(found.labels))]
    else:
        from mfcl.checkpoint import load_checkpoint

        loaded = load_checkpoint(given.path)
        weights = sum(weight.numel() for weight in loaded.model.parameters())
        rows = [("recipe", loaded.recipe.name), ("parameters", f"{weights:,}")]
        rows += [(f"{name} values", dim) for name, dim in loaded.model.dims.items()]
        rows += [(key, value) for key, value in loaded.info.items() if isinstance(value, str | int | float)]
    print(table(rows, [str(given.path), ""]))
