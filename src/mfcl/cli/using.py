"""The commands that use what was trained: embed, probe, info."""

import argparse
import shlex
import sys

from mfcl.cli import options
from mfcl.core.console import worded
from mfcl.core.files import check_file_place, check_not_input, check_there, is_stream
from mfcl.core.limits import MOST_BATCH, MOST_PARTS
from mfcl.errors import MfclError


def add_commands(command: options.Command) -> None:
    """Add the commands of this file."""
    embed = command("embed", _embed, "embed recordings with a trained model")
    embed.add_argument("model", type=options.path, help="a run folder or a checkpoint folder")
    embed.add_argument("data", type=options.source, help="a file, a folder or a manifest; a file may be at a URL")
    embed.add_argument(
        "--out",
        type=options.path,
        required=True,
        help="NAME.npz or NAME.parquet; bad files are named in NAME.failures.csv beside it. With --parts: a folder",
    )
    parts = embed.add_argument_group("in parts", "for lists of any size; parts that are there are kept")
    parts.add_argument(
        "--parts", type=options.number(1, MOST_PARTS), metavar="N", help="write N part files into the folder --out"
    )
    parts.add_argument(
        "--share", type=_share, metavar="I/N", help="make only every N-th part, beginning with the I-th (1 to N)"
    )
    parts.add_argument(
        "--engine", choices=("local", "ray"), default="local",
        help="make the parts in this process, or on a Ray cluster (extra ray; RAY_ADDRESS names one)",
    )  # fmt: skip
    parts.add_argument("--parquet", action="store_true", help="write .parquet part files instead of .npz")
    embed.add_argument(
        "--format", choices=("wave", "mel", "both"),
        help="which encoder's values; default: both, of a model of published weights theirs alone",
    )  # fmt: skip
    embed.add_argument(
        "--part", type=_part, choices=("words", "voices", "content", "speaker"),
        help="one part of the embedding alone; content and speaker are other names of words and voices",
    )  # fmt: skip
    embed.add_argument("--window", type=float, metavar="SECONDS", help="embed windows of this length: one row each")
    embed.add_argument("--hop", type=float, metavar="SECONDS", help="step between windows; default: half a window")
    embed.add_argument("--whiten", action="store_true", help="whiten by the training data, for cosine similarity")
    embed.add_argument("--batch", type=options.number(1, MOST_BATCH), default=64, help="recordings a step")
    options.data_root(embed)
    embed.add_argument("--strict", action="store_true", help="make the first bad file an error")
    options.machine(embed)
    options.quiet(embed)

    probe = command("probe", _probe, "measure labels and speakers in embeddings that have a split")
    probe.add_argument("embeddings", type=options.path, help="an .npz or .parquet file, or parts, of mfcl embed")
    probe.add_argument("--label", help="label to predict; if left out, one with a usual name, or the only one")
    probe.add_argument("--speaker", help="label that names the speaker; if left out, one with a usual name")
    options.seed(probe)

    info = command("info", _info, "describe a model, an embeddings file, a classifier or a recipe")
    info.add_argument(
        "path",
        type=options.path,
        nargs="?",
        help="a run folder, a checkpoint folder, an .npz or a .parquet file, parts, or a classifier",
    )
    info.add_argument(
        "--recipe", nargs="?", const="default", metavar="NAME",
        help="list the settings of a recipe (default, quick, bioacoustics, reference, a .yaml file): bounds, meaning",
    )  # fmt: skip


def _embed(given: argparse.Namespace) -> None:
    from mfcl.core.extras import need
    from mfcl.core.machine import use_machine
    from mfcl.embedding_lists import embed
    from mfcl.embeddings.parquet_file import EXTRA, PARQUET
    from mfcl.embeddings.part_files import is_part_folder

    if given.parts is not None:
        _embed_parts(given)
        return
    if given.share is not None or given.parquet or given.engine != "local":
        raise MfclError("--share, --engine and --parquet are about part files; give their number, too (--parts)")
    if is_part_folder(given.out):
        raise MfclError(f"{given.out}: it holds part files; give their number to go on (--parts), or another --out")
    check_file_place(given.out)
    check_not_input(given.out, given.data)
    if given.out.suffix not in (".npz", ".parquet") and not is_stream(given.out):
        raise MfclError(f"{given.out}: wanted a name that ends in .npz or .parquet, by which commands know embeddings")
    if given.out.suffix == PARQUET:
        need("pyarrow.parquet", EXTRA)  # before hours of work for it
    name = f"{given.out.name.removesuffix('.npz').removesuffix('.parquet')}.failures.csv"
    failures = None if is_stream(given.out) else given.out.with_name(name)
    use_machine(given.threads)
    found = embed(
        given.model, given.data, format=given.format, part=given.part, whiten=given.whiten, batch=given.batch,
        window=given.window, hop=given.hop, strict=given.strict, data_root=given.data_root, device=given.device,
        failures=failures, progress=not given.quiet,
    )  # fmt: skip
    found.save(given.out)
    rows = worded(len(found), "recording" if given.window is None else "window")
    silent = len(found) - len(found.audible)
    told = f", {silent} of them silent" if silent else ""
    print(f"{given.out}: {rows} x {worded(found.dim, 'value')}{told}")


def _embed_parts(given: argparse.Namespace) -> None:
    wanted = {
        "parts": given.parts, "parquet": given.parquet, "format": given.format, "part": given.part,
        "whiten": given.whiten, "batch": given.batch, "window": given.window, "hop": given.hop,
        "strict": given.strict, "data_root": given.data_root, "device": given.device, "progress": not given.quiet,
    }  # fmt: skip
    if given.engine == "ray":
        from mfcl.embedding_ray import embed_parts_on_ray

        if given.share is not None:
            raise MfclError("--share: a cluster shares out the parts itself; leave it out with --engine ray")
        done = embed_parts_on_ray(given.model, given.data, given.out, threads=given.threads or 1, **wanted)
    else:
        from mfcl.core.machine import use_machine
        from mfcl.embedding_parts import embed_parts

        use_machine(given.threads)
        done = embed_parts(given.model, given.data, given.out, share=given.share or (1, 1), **wanted)
    whole = "it is there" if done.parts == 1 else f"all {done.parts} are there"
    left = f"{worded(done.missing, 'is', 'are')} missing" if done.missing else whole
    rows = f"{worded(done.items, 'recording')} in {worded(done.parts, 'part')}"
    print(f"{done.folder}: {rows}: {done.made} made, {done.kept} kept; {left}")


def _part(text: str) -> str:
    """Read the name of a part of an embedding for the parser."""
    if "/" in text:
        raise argparse.ArgumentTypeError(f"wanted words or voices; a share of part files is --share {text}")
    return text


def _share(text: str) -> tuple[int, int]:
    """Read a share for the parser, such as 3/8: the third of eight."""
    number, _, shares = text.partition("/")
    if not (number.isdecimal() and shares.isdecimal() and 1 <= int(number) <= int(shares) <= MOST_PARTS):
        raise argparse.ArgumentTypeError(f"wanted I/N, such as 3/8 for the third of eight shares, got {text!r}")
    return int(number), int(shares)


def _probe(given: argparse.Namespace) -> None:
    from mfcl.core.blas import one_blas_thread
    from mfcl.core.console import table
    from mfcl.data.dataset import guessed_labels
    from mfcl.embeddings.blocks import load_embeddings
    from mfcl.evaluation.standard import check_training
    from mfcl.evaluation.tasks import measure_labels, measure_voices
    from mfcl.evaluation.wording import figure, task

    embeddings = load_embeddings(given.embeddings)
    label, speaker = guessed_labels(list(embeddings.labels), given.label, given.speaker)
    known = f"its labels are {', '.join(embeddings.labels)}" if embeddings.labels else "it has no labels"
    if label is None and speaker is None:
        raise MfclError(f"{given.embeddings}: no label to measure by; {known}; name one (--label, --speaker)")
    for option, name, asked in (("label", label, given.label), ("speaker", speaker, given.speaker)):
        if name and not asked:
            print(f"--{option} {name}: taken, as none was named", file=sys.stderr)
        if name and not embeddings.labels:
            raise MfclError(f"{given.embeddings}: no label is called {name!r}; {known}: embed a list that has it")
    if embeddings.made_for("words") is not embeddings:
        print("labels are measured by the words' part, speakers by the voices' part", file=sys.stderr)
    found, failed = [], []
    for measure, wanted, part in ((measure_labels, label, "words"), (measure_voices, speaker, "voices")):
        try:
            with one_blas_thread(embeddings.vectors.size):
                found += measure(embeddings.made_for(part), label, speaker, seed=given.seed) if wanted else []  # type: ignore[arg-type]
        except MfclError as error:  # the other may still be measured
            failed.append(error)
    if not found:
        check_training(embeddings, given.embeddings)
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
    from mfcl.core.console import printable, table

    if (given.path is None) == (given.recipe is None):
        raise MfclError("wanted a model, embeddings, a classifier or --recipe, one of them; see mfcl info --help")
    if given.recipe is not None:
        from mfcl.recipe import load_recipe, schema

        print(table(schema(load_recipe(given.recipe)), ["key", "type", "value", "bounds", "what it means"]))
        return
    from mfcl.core.sqlite import is_database
    from mfcl.embeddings.part_files import is_part_folder
    from mfcl.labelling.classifier_file import is_classifier, load_classifier

    check_there(given.path, "a model, embeddings or a classifier", "give a run folder, or what `mfcl embed` wrote")
    if is_database(given.path):
        raise MfclError(
            f"{given.path}: wanted a model, embeddings or a classifier, got a database; "
            f"if it is a gallery of voices: mfcl voices list {shlex.quote(str(given.path))}"
        )
    if given.path.suffix in (".npz", ".parquet") or is_part_folder(given.path):
        from mfcl.embeddings.blocks import open_blocks

        blocks = open_blocks(given.path)
        found = next(iter(blocks), None) or blocks.whole()
        tallies = [(len(one), len(one) - len(one.audible)) for one in blocks]
        count, silent = (sum(side) for side in zip(*tallies, strict=True))
        parts = ", ".join(f"{part} {size}" for part, size in found.sizes.items())
        rows = [
            ("recordings", count),
            ("values", found.dim),
            ("parts", parts),
            ("labels", ", ".join(found.labels)),
            *([("silent", silent)] if silent else []),
        ]
    elif is_classifier(given.path):
        made = load_classifier(given.path)
        about = {name: made.about.get(name, "not known") for name in ("label", "labels", "recordings", "model_folder")}
        rows = [
            ("label", printable(str(about["label"]))),
            ("classes", printable(", ".join(made.classes.tolist()), 200)),
            ("labels", f"{about['labels']} of {about['recordings']} recordings"),
            ("features", made.features.name),
            ("model", printable(str(about["model_folder"]), 200)),
            ("digest of it", made.model or "not known"),
        ]
    else:
        from mfcl.checkpoint import load_checkpoint

        loaded = load_checkpoint(given.path)
        weights = sum(weight.numel() for weight in loaded.model.parameters())
        rate = loaded.recipe.preparation.sample_rate
        rows = [
            ("recipe", loaded.recipe.name),
            ("parameters", f"{weights:,}"),
            ("sample rate", f"{rate:,} Hz, so sound of up to {rate / 2:,.0f} Hz"),
        ]
        if loaded.folder not in (given.path, given.path / "model"):
            rows.insert(0, ("model", printable(str(loaded.folder), 200)))  # of a study: which of its runs
        rows += [(f"{name} values", dim) for name, dim in loaded.model.dims.items()]
        if (own := loaded.model.default_format) != "both":
            rows.append(("format", f"{own}; the encoder of {'mel' if own == 'wave' else 'wave'} is untrained"))
        named = {"format": "file version", "mfcl_version": "written by mfcl"}
        plain = {key: value for key, value in loaded.info.items() if isinstance(value, str | int | float)}
        rows += [(named.get(key, key), value) for key, value in plain.items()]
    print(table(rows, [str(given.path), ""]))
