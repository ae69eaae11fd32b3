"""The commands about labels: classify, similar, map."""

from mfcl.cli import labels_actions as actions
from mfcl.cli import options


def add_commands(command: options.Command) -> None:
    """Add the commands of this file."""
    classify = command(
        "classify", actions.classify, "fit a classifier on few labels (--fit), or say what recordings are"
    )
    classify.epilog = (
        "To fit: mfcl classify MODEL DATA --labels labels.csv --fit FOLDER. To use it: mfcl classify FOLDER DATA --out "
        "FILE.csv, with --window and --events for events in long recordings."
    )
    classify.add_argument("what", type=options.path, metavar="MODEL|CLASSIFIER", help="a model to fit, or a classifier")
    classify.add_argument(
        "data",
        type=options.source,
        help="a file, a folder, a manifest, or the embeddings of mfcl embed (.npz, .parquet, parts)",
    )
    classify.add_argument("--out", type=options.path, help="file for the answers; --format says which")
    classify.add_argument("--model", type=options.path, help="the classifier's model, if it was moved")
    classify.add_argument(
        "--least", type=float, default=0.0, metavar="P", help="probability below which a recording is unknown"
    )
    classify.add_argument(
        "--check", type=options.source, metavar="CSV", help="true labels of clips drawn at random: how accurate it is"
    )
    options.data_root(classify)
    fit = classify.add_argument_group("fit")
    fit.add_argument("--fit", type=options.path, metavar="FOLDER", help="write the classifier here")
    fit.add_argument(
        "--labels", nargs="+", action="extend", type=options.source, metavar="CSV",
        help="one or several files with the columns id, or path (of segments: path, start, end), and a label",
    )  # fmt: skip
    fit.add_argument("--label", help="column of the labels; one with a usual name if left out")
    fit.add_argument("--align", action="store_true", help="also compare the sound by alignment; takes minutes")
    fit.add_argument(
        "--suggest",
        type=options.number(1, 100_000),
        metavar="N",
        help="write to --out N clips that are worth labelling",
    )
    fit.add_argument(
        "--draw",
        type=options.number(1, 100_000),
        metavar="N",
        help="write to --out N clips drawn at random, for --check; those of --labels are left out",
    )
    options.seed(fit)
    windows = classify.add_argument_group("windows and events")
    windows.add_argument("--window", type=float, metavar="SECONDS", help="classify windows of this length")
    windows.add_argument("--hop", type=float, metavar="SECONDS", help="step between windows; default: half a window")
    windows.add_argument(
        "--format", choices=("csv", "json", "raven", "audacity", "rttm"),
        help="of --out; the answers, or with --events (and for raven, audacity and rttm) events",
    )  # fmt: skip
    windows.add_argument(
        "--events", action="store_true", help="merge windows to events; those of embeddings name recordings as these do"
    )
    for name, text in (
        ("begin", "probability from which an event begins (0.5)"),
        ("go-on", "probability down to which it goes on (0.6 of begin)"),
        ("shortest", "seconds that an event must last (0)"),
        ("longest", "seconds after which it is cut (never)"),
        ("gap", "seconds of lower probability that it bridges (0)"),
    ):
        windows.add_argument(
            f"--{name}",
            nargs="+",
            action="extend",
            default=[],
            metavar="X",
            help=f"{text}; one number, or CLASS=number",
        )
    options.machine(classify)
    options.quiet(classify)

    similar = command("similar", actions.similar, "find the recordings most similar to a clip")
    similar.add_argument(
        "what", type=options.path, metavar="MODEL|EMBEDDINGS", help="a model, or embeddings of mfcl embed"
    )
    similar.add_argument("clip", help="a file, or the id of one of the recordings")
    similar.add_argument(
        "--in",
        dest="data",
        type=options.source,
        metavar="DATA",
        help="the recordings to search in; of embeddings: their sound, for --align yes",
    )
    similar.add_argument("--model", type=options.path, help="for embeddings: their model, to hear a file with")
    similar.add_argument("--count", type=options.number(1, 10_000), default=10, help="recordings to show (10)")
    similar.add_argument(
        "--part",
        choices=("words", "voices", "all"),
        help="compare by this part; if left out, the one likely to tell recordings apart",
    )
    similar.add_argument(
        "--align", choices=("auto", "yes", "no"), default="auto", help="order the nearest by alignment of their sound"
    )
    similar.add_argument(
        "--approximate", action="store_true",
        help="search by an index beside the embeddings, which is made once: for a million recordings (extra ann)",
    )  # fmt: skip
    similar.add_argument("--json", action="store_true", help="print JSON")
    options.data_root(similar)
    options.machine(similar)

    drawn = command("map", actions.map_page, "draw at most 20,000 embedded clips on a page that needs no server")
    drawn.add_argument("embeddings", type=options.path, help="embeddings of mfcl embed (.npz, .parquet, parts)")
    drawn.add_argument("--out", type=options.path, required=True, metavar="HTML", help="the page")
    drawn.add_argument("--part", choices=("words", "voices", "all"), help="draw only this part; all kinds if left out")
    options.seed(drawn)
