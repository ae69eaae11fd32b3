"""The command `mfcl`: what was asked, in words; the work is elsewhere and is imported when it is needed."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from mfcl import __version__
from mfcl.core.console import printable
from mfcl.core.files import check_file_place, check_folder_place, is_stream
from mfcl.core.limits import LARGEST_SEED, MOST_BATCH, MOST_PER_CLASS, MOST_SEEDS, MOST_THREADS
from mfcl.errors import MfclError, advice, check_number

INTERRUPTED = 130
STUDIED = (
    *("labels", "voices", "traits", "efficiency", "robustness", "geometry", "maps", "cost"),
    *("formats", "augmentation", "crops", "ablation"),
)
"""The sections of a study; told here so that help needs no torch."""


class OneLineParser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and leave with 2."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 with one line on standard error for what a person can mend."""
    _open_streams()
    words = sys.argv[1:] if arguments is None else arguments
    if not words:
        parser().print_help()
        return 0
    given = parser().parse_args(words)
    # read when torch loads: threads that spin while they wait make every step several times slower beside other work
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        given.run(given)
        sys.stdout.flush()
    except MfclError as error:
        _complain(f"mfcl: {printable(str(error))}")
        return 2
    except KeyboardInterrupt as error:
        text = str(error) or "interrupted; nothing is half-written, the same command goes on or starts again"
        _complain(f"\nmfcl: {text}")
        return INTERRUPTED
    except BrokenPipeError:  # `mfcl scan ... | head`
        _print_no_more()
    except OSError as error:
        _print_no_more()  # what is still to be printed would fail again at the end
        place = os.fsdecode(error.filename) if error.filename is not None else "printing or writing"
        _complain(f"mfcl: {place}: {error.strerror or error}; {advice(error)}; nothing is half-written")
        return 2
    except UnicodeEncodeError as error:
        named = ascii(error.object[max(error.start - 80, 0) : error.start + 1])
        _complain(f"mfcl: {named}: a name that is not UTF-8; rename the file or folder")
        return 2
    except MemoryError as error:
        _complain(f"mfcl: not enough memory{f' ({error})' if str(error) else ''}; use a smaller batch or shorter sound")
        return 2
    return 0


def _open_streams() -> None:
    """Give the process the streams that it was started without, and let them write any name in some way.

    A file that is opened while standard error is closed would get its number, and then whatever is printed there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with contextlib.suppress(OSError):
                os.fstat(number)
                continue
            place = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            if place != number:
                os.dup2(place, number)
                os.close(place)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _complain(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody listens
        print(text, file=sys.stderr, flush=True)


def _print_no_more() -> None:
    """Send what is still to be printed nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _number(low: int, high: int) -> Callable[[str], int]:
    """Return a reader of whole numbers within bounds for the parser."""

    def read(text: str) -> int:
        plain = len(text) < 30 and text.isascii() and text.removeprefix("-").isdecimal()
        value: object = int(text) if plain else text
        try:
            check_number("this option", value, low, high, whole=True)
        except MfclError as error:
            raise argparse.ArgumentTypeError(str(error).removeprefix("this option: ")) from None
        return int(text)

    return read


def _path(text: str) -> Path:
    """Read a path for the parser; an empty one is a variable that was not set."""
    if not text:
        raise argparse.ArgumentTypeError("wanted a path, got nothing")
    return Path(text)


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
    demo.add_argument("folder", type=_path)
    demo.add_argument("--voices", type=_number(1, 999), default=60)
    demo.add_argument("--takes", type=_number(1, 1000), default=3, help="of each digit by each voice")
    _seed(demo)

    fetch = command("fetch", _fetch, "download a public corpus: audiomnist or fsdd")
    fetch.add_argument("corpus", choices=("audiomnist", "fsdd"))
    fetch.add_argument("folder", type=_path)

    scan = command("scan", _scan, "look at every recording; print a table and every problem, write a manifest")
    scan.add_argument("data", type=_path)
    scan.add_argument("--out", type=_path, help="manifest CSV of the usable recordings")
    scan.add_argument("--all", action="store_true", help="print every recording that has a problem, not only the kinds")
    scan.add_argument("--strict", action="store_true", help="leave with 2 if a recording cannot be used")
    _quiet(scan)

    train = command("train", _train, "pre-train a pair of encoders without labels")
    train.add_argument("data", type=_path)
    train.add_argument("--out", type=_path, required=True, help="the run folder")
    train.add_argument("--recipe", default="default", help="default, quick, reference, or a .yaml file")
    train.add_argument("--joint", action="store_true", help="learn by the labels that are there too, however few")
    train.add_argument(
        "--labels-per-class", type=_number(0, MOST_PER_CLASS), default=0, metavar="N",
        help="with --joint: use no more labels",
    )  # fmt: skip
    train.add_argument("--resume", action="store_true", help="go on with the run in --out, exactly")
    train.add_argument("--overwrite", action="store_true", help="delete what is in --out")
    _data(train)
    _work(train)

    study = command("study", _study, "the whole study: train, measure, compare with every control")
    study.add_argument("data", type=_path)
    study.add_argument("--out", type=_path, required=True, help="the study's folder; the same one goes on")
    study.add_argument("--preset", choices=("quick", "default", "reference"), default="quick")
    study.add_argument("--recipe", help="another recipe than the preset's")
    study.add_argument("--seeds", type=_number(1, MOST_SEEDS), help="how many, instead of the preset's")
    study.add_argument("--only", nargs="+", metavar="SECTION", help=f"do these alone: {', '.join(STUDIED)}")
    study.add_argument("--skip", nargs="+", metavar="SECTION", help="leave these out")
    study.add_argument(
        "--ablate", nargs="+", action="append", metavar="KEY=A,B",
        help="train every combination of these choices of the recipe, and no other section",
    )  # fmt: skip
    study.add_argument("--dry-run", action="store_true", help="print the plan with its time, and do nothing")
    _data(study)
    _work(study)

    report = command("report", _report, "make the report of a study again from what it has worked out")
    report.add_argument("study", type=_path, help="the study's folder")
    report.add_argument("--with-audio", action="store_true", help="a click on a point of the map plays its recording")
    _data_root(report)
    report.add_argument("--figures", type=_path, help="a folder for the figures as SVG and PNG (extra `figures`)")

    compare = command("compare", _compare, "measure several trained models on the same recordings, and what differs")
    compare.add_argument("runs", type=_path, nargs="+", help="run folders, or .npz; differences are to the first")
    compare.add_argument("--part", default="", help="of .npz: a format or a part alone (wave, mel, words, voices)")
    compare.add_argument("--data", type=_path, help="other recordings than the first run's own")
    compare.add_argument("--out", type=_path, help="a JSON file of all figures")
    _data(compare)
    _seed(compare)
    _machine(compare)
    _quiet(compare)

    embed = command("embed", _embed, "turn recordings into vectors with a trained model")
    embed.add_argument("model", type=_path, help="a run folder or a checkpoint folder")
    embed.add_argument("data", type=_path, help="a file, a folder or a manifest")
    embed.add_argument(
        "--out", type=_path, required=True, help="an .npz file; bad files are named beside it, in OUT.failures.csv"
    )
    embed.add_argument("--format", choices=("wave", "mel", "both"), default="both")
    embed.add_argument(
        "--part", choices=("words", "voices", "content", "speaker"),
        help="of a model that has both; all of it if left out; content and speaker are other names of words and voices",
    )  # fmt: skip
    embed.add_argument("--window", type=float, metavar="SECONDS", help="one row for each window of each recording")
    embed.add_argument("--hop", type=float, metavar="SECONDS", help="from window to window; half a window if left out")
    embed.add_argument("--whiten", action="store_true", help="make vectors ready for cosines")
    embed.add_argument("--batch", type=_number(1, MOST_BATCH), default=64)
    _data_root(embed)
    embed.add_argument("--strict", action="store_true", help="make the first bad file an error")
    _machine(embed)
    _quiet(embed)

    probe = command("probe", _probe, "measure labels and voices in embeddings that have a split")
    probe.add_argument("embeddings", type=_path, help="an .npz file of mfcl embed")
    probe.add_argument("--label", help="the label to predict; guessed from the usual names, or the only one there is")
    probe.add_argument("--speaker", help="the label that names the voice; guessed from the usual names")
    _seed(probe)

    info = command("info", _info, "tell what a model, an embeddings file or a recipe is")
    info.add_argument("path", type=_path, nargs="?", help="a run folder, a checkpoint folder or an .npz file")
    info.add_argument(
        "--recipe", nargs="?", const="default", metavar="NAME",
        help="every setting of a recipe (default, quick, reference, a .yaml file) with its bounds and what it means",
    )  # fmt: skip
    return top


def _data_root(command: argparse._ActionsContainer) -> None:
    command.add_argument("--data-root", type=_path, help="where the recordings of a list lie now, if they were moved")


def _seed(command: argparse._ActionsContainer) -> None:
    command.add_argument("--seed", type=_number(0, LARGEST_SEED), default=0, help="of everything that is drawn")


def _machine(command: argparse._ActionsContainer) -> None:
    command.add_argument("--device", default="auto", help="auto, cpu, cuda")
    command.add_argument(
        "--threads", type=_number(1, MOST_THREADS), help="processor threads; as many as allowed if left out"
    )


def _quiet(command: argparse.ArgumentParser) -> None:
    command.add_argument("--quiet", action="store_true", help="no progress bars")


def _data(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("data")
    group.add_argument("--label", help="what to measure by; guessed from the usual names (digit, label, word, species)")
    group.add_argument("--speaker", help="the label that names the voice; guessed likewise (speaker, individual)")
    group.add_argument("--split-by", help="a label no value of which is on two sides; `none`: by recording")
    group.add_argument("--protocol", help="a named split: manifest, label, recording, reference, becker-0 ... becker-4")
    group.add_argument("--strict", action="store_true", help="make the first bad file an error")
    group.add_argument("--cache", type=_path, help="where decoded sound is kept (default: MFCL_CACHE, ~/.cache/mfcl)")
    _data_root(group)


def _work(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("work")
    group.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="train.epochs=5 ...")
    _seed(group)
    _machine(group)
    _quiet(command)


def _demo(given: argparse.Namespace) -> None:
    from mfcl.data.demo import make_demo

    check_folder_place(given.folder)
    make_demo(given.folder, voices=given.voices, takes=given.takes, seed=given.seed)
    print(f"{given.folder}: {given.voices * given.takes * 10} clips of {given.voices} synthetic voices")


def _fetch(given: argparse.Namespace) -> None:
    from mfcl.data.fetch import fetch

    check_folder_place(given.folder)
    print(f"{fetch(given.corpus, given.folder)}: complete")


def _scan(given: argparse.Namespace) -> None:
    from mfcl.data.dataset import guessed_labels
    from mfcl.data.layouts import open_manifest
    from mfcl.data.manifest_csv import write_manifest
    from mfcl.data.scanning import scan
    from mfcl.data.split_notes import split_notes

    if given.out:
        check_file_place(given.out)
    manifest = open_manifest(given.data)
    report = scan(manifest, progress=not given.quiet)
    print(report.table())
    if (manifest.splits != "").any() and len(report.failures) < len(manifest):
        label, speaker = guessed_labels(manifest.label_names, None, None)
        for note in split_notes(report.usable, report.usable, "manifest", speaker=speaker, label=label):
            print(f"note: {note}")
    problems = report.problems_table() if given.all else report.kinds_table()
    if problems:
        print(f"\n{problems}" + ("" if given.all else "\n\n--all prints every recording that has a problem"))
    if report.failures and given.strict:
        name, reason = report.failures[0]
        raise MfclError(f"{name}: {reason}; {len(report.failures)} recordings cannot be used")
    if given.out:
        write_manifest(report.usable, given.out)
        print(f"\n{given.out}: {len(report.usable)} usable recordings of {len(report.entries)}")


def _train(given: argparse.Namespace) -> None:
    from mfcl.core.distributed import stop
    from mfcl.core.machine import use_machine
    from mfcl.training.api import train

    check_folder_place(given.out)
    use_machine(given.threads)
    made = train(
        given.data, given.out, recipe=given.recipe, overrides=given.set, protocol=given.protocol,
        split_by=given.split_by, label=given.label, speaker=given.speaker, joint=given.joint,
        labels_per_class=given.labels_per_class, seed=given.seed, resume=given.resume, overwrite=given.overwrite,
        device=given.device, cache=given.cache, strict=given.strict, data_root=given.data_root,
        progress=not given.quiet,
    )  # fmt: skip
    print(f"{made.folder}: a model for `mfcl embed` and `mfcl.load`")
    stop()  # under torchrun; alone it does nothing


def _study(given: argparse.Namespace) -> None:
    from mfcl.core.machine import use_machine
    from mfcl.studies import study
    from mfcl.studies.closing import closing_screen

    check_folder_place(given.out)
    use_machine(given.threads)
    study(
        given.data, given.out, preset=given.preset, recipe=given.recipe, overrides=given.set, protocol=given.protocol,
        split_by=given.split_by, label=given.label, speaker=given.speaker, seed=given.seed, seeds=given.seeds,
        only=given.only, skip=given.skip, ablate=given.ablate, dry_run=given.dry_run, device=given.device,
        cache=given.cache, strict=given.strict, data_root=given.data_root, progress=not given.quiet,
    )  # fmt: skip
    if not given.dry_run:
        print(closing_screen(given.out))


def _compare(given: argparse.Namespace) -> None:
    from mfcl.core.files import write_json
    from mfcl.core.machine import use_machine
    from mfcl.studies.comparing import compare, compare_files, compare_tables

    if given.out:
        check_file_place(given.out)
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

    check_file_place(given.out)
    name = f"{given.out.name.removesuffix('.npz')}.failures.csv"
    failures = None if is_stream(given.out) else given.out.with_name(name)
    use_machine(given.threads)
    found = embed(
        given.model, given.data, format=given.format, part=given.part, whiten=given.whiten, batch=given.batch,
        window=given.window, hop=given.hop, strict=given.strict, data_root=given.data_root, device=given.device,
        failures=failures, progress=not given.quiet,
    )  # fmt: skip
    found.save(given.out)
    rows = "recordings" if given.window is None else "windows"
    print(f"{given.out}: {found.vectors.shape[0]} {rows} x {found.vectors.shape[1]} values")


def _probe(given: argparse.Namespace) -> None:
    from mfcl.core.console import table
    from mfcl.data.dataset import guessed_labels
    from mfcl.embeddings.table import load_embeddings
    from mfcl.evaluation.tasks import measure_labels, measure_voices
    from mfcl.evaluation.wording import figure, task

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
        (
            task(one.question), one.question.metric, figure(one.question.metric, one.value),
            *("-" if end is None else figure(one.question.metric, end) for end in (one.low, one.high)), one.n,
        )
        for one in found
    ]  # fmt: skip
    print(table(rows, ["task", "metric", "%", "low", "high", "n"]))
    said = [one.note for one in found] + [f"not measured: {one}" for one in failed]
    for text in dict.fromkeys(said):
        if text:
            print(f"note: {text}")


def _info(given: argparse.Namespace) -> None:
    from mfcl.core.console import table

    if (given.path is None) == (given.recipe is None):
        raise MfclError("wanted a model, an .npz file or --recipe, one of them; see mfcl info --help")
    if given.recipe is not None:
        from mfcl.recipe import load_recipe, schema

        print(table(schema(load_recipe(given.recipe)), ["key", "type", "value", "bounds", "what it means"]))
        return
    if given.path.suffix == ".npz":
        from mfcl.embeddings.table import load_embeddings

        found = load_embeddings(given.path)
        parts = ", ".join(f"{part} {size}" for part, size in found.sizes.items())
        rows = [
            ("recordings", len(found)),
            ("values", found.dim),
            ("parts", parts),
            ("labels", ", ".join(found.labels)),
        ]
    else:
        from mfcl.checkpoint import load_checkpoint

        loaded = load_checkpoint(given.path)
        weights = sum(weight.numel() for weight in loaded.model.parameters())
        rows = [("recipe", loaded.recipe.name), ("parameters", f"{weights:,}")]
        rows += [(f"{name} values", dim) for name, dim in loaded.model.dims.items()]
        rows += [(key, value) for key, value in loaded.info.items() if isinstance(value, str | int | float)]
    print(table(rows, [str(given.path), ""]))
