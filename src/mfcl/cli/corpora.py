"""The commands about corpora: demo, fetch, scan, pack."""

import argparse
from typing import TYPE_CHECKING

from mfcl.cli import options
from mfcl.core.console import counted, printable, worded
from mfcl.core.files import check_file_place, check_folder_place, check_not_input, is_stream
from mfcl.core.limits import MOST_MEGABYTES
from mfcl.core.spans import file_of
from mfcl.errors import MfclError

if TYPE_CHECKING:
    from mfcl.data.manifest import Manifest

LISTS = (".csv", ".tsv")
"""Ends of names by which a list is known that is written as CSV."""


def add_commands(command: options.Command) -> None:
    """Add the commands of this file."""
    demo = command("demo", _demo, "synthesise a corpus of spoken digits (needs the extra `demo`)")
    demo.add_argument("folder", type=options.path, help="where to write it")
    demo.add_argument("--voices", type=options.number(1, 999), default=60, help="synthetic speakers (60)")
    demo.add_argument(
        "--takes", type=options.number(1, 1000), default=3, help="recordings of each digit by each voice (3)"
    )
    options.seed(demo)

    fetch = command("fetch", _fetch, "download a public corpus: audiomnist or fsdd")
    fetch.add_argument("corpus", choices=("audiomnist", "fsdd"), help="AudioMNIST, or the Free Spoken Digit Dataset")
    fetch.add_argument("folder", type=options.path, help="where to write it")

    scan = command("scan", _scan, "check every recording; print what is there and what is wrong; write a manifest")
    scan.add_argument(
        "data", type=options.source, nargs="+", help=options.DATA + "; of several, such as selection tables, one list"
    )
    scan.add_argument("--out", type=options.path, help="manifest CSV of the usable recordings")
    scan.add_argument("--all", action="store_true", help="print every recording with a problem, not only the kinds")
    scan.add_argument("--strict", action="store_true", help="exit with 2 if a recording cannot be used")
    scan.add_argument(
        "--segment", type=_segment_length, metavar="SECONDS|onsets",
        help="split long recordings into windows of this length, or into stretches of sound; --out lists them",
    )  # fmt: skip
    scan.add_argument(
        "--level", type=float, metavar="DB", help="with --segment SECONDS: leave out windows below this level (-90)"
    )
    scan.add_argument(
        "--above", type=float, metavar="DB", help="with --segment onsets: how far sound stands out of its band (6)"
    )
    options.data_root(scan)
    options.quiet(scan)

    packing = command("pack", _pack, "pack recordings into a few large tars, which training and WebDataset read")
    packing.add_argument("data", type=options.path, help="a list, a corpus or a folder")
    packing.add_argument("out", type=options.path, metavar="DIR", help="folder of the pack; a stopped one goes on")
    packing.add_argument(
        "--encoding", choices=("flac", "wav"), default="flac",
        help="flac: samples of 16 or 24 bits as they are; wav: 16 bits, faster to read, twice the size",
    )  # fmt: skip
    packing.add_argument(
        "--shard-megabytes",
        type=options.number(1, MOST_MEGABYTES),
        default=256,
        metavar="N",
        help="megabytes of a tar (256)",
    )
    packing.add_argument("--strict", action="store_true", help="stop at the first recording that cannot be read")
    options.data_root(packing)
    options.quiet(packing)


def _pack(given: argparse.Namespace) -> None:
    from mfcl.data.shards.writing import pack

    made = pack(
        given.data, given.out, encoding=given.encoding, shard_megabytes=given.shard_megabytes, strict=given.strict,
        data_root=given.data_root, progress=not given.quiet,
    )  # fmt: skip
    rounded = (
        f"; {worded(made.rounded, 'was', 'were')} rounded to {'24' if given.encoding == 'flac' else '16'} bits"
        if made.rounded
        else ""
    )
    print(
        f"{given.out}: {made.packed} of {worded(made.items, 'recording')} in {worded(made.shards, 'shard')}, "
        f"{made.bytes / 1e6:.1f} MB: "
        f"{made.made} made, {made.shards - made.made} kept{rounded}"
    )


def _demo(given: argparse.Namespace) -> None:
    from mfcl.data.demo import make_demo

    check_folder_place(given.folder)
    make_demo(given.folder, voices=given.voices, takes=given.takes, seed=given.seed)
    print(f"{given.folder}: {given.voices * given.takes * 10} clips of {worded(given.voices, 'synthetic voice')}")


def _fetch(given: argparse.Namespace) -> None:
    from mfcl.data.fetch import fetch

    check_folder_place(given.folder)
    print(f"{fetch(given.corpus, given.folder)}: complete")


def _segment_length(text: str) -> float | str:
    """Read seconds, or `onsets`, for the parser."""
    if text == "onsets":
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"wanted seconds of a window, or onsets, got {text!r}") from None


def _segmented(given: argparse.Namespace, manifest: "Manifest") -> "Manifest":
    """Return the segments of recordings, after saying how many there are and what is left out."""
    import numpy as np

    from mfcl.audio import SILENCE_DB
    from mfcl.data.segments import ABOVE_DB, segment

    onsets = given.segment == "onsets"
    level = SILENCE_DB if given.level is None else given.level
    above = ABOVE_DB if given.above is None else given.above
    found = segment(manifest, given.segment, level_db=level, above_db=above, progress=not given.quiet)
    kept = f"{counted(len(found.manifest), 'segment')} of {counted(len(manifest), 'recording')}"
    kept += f", {found.seconds / 3600:.2f} hours"
    if onsets:
        print(f"{kept}; {found.left_out / 3600:.2f} hours of background between them")
    else:
        low, middle, high = np.nanpercentile(found.levels, (10, 50, 90))
        print(
            f"{kept}; {worded(int(found.left_out), 'window')} below {level:g} dB left out (levels: a tenth below "
            f"{low:.0f} dB, "
            f"half below {middle:.0f} dB, a tenth above {high:.0f} dB)"
        )
    for name, reason in found.failures:
        print(f"left out: {printable(name)}: {printable(reason)}")
        if given.strict:
            raise MfclError(f"{name}: {reason}")
    return found.manifest


def _scan(given: argparse.Namespace) -> None:
    from mfcl.data.dataset import guessed_labels
    from mfcl.data.layouts import open_manifests
    from mfcl.data.manifest_csv import write_manifest
    from mfcl.data.scanning import scan
    from mfcl.data.shards.receipt import INDEX, is_pack
    from mfcl.data.split_notes import split_notes

    if given.out:
        check_file_place(given.out)
        check_not_input(given.out, *given.data)
    if given.segment is None and (given.level is not None or given.above is not None):
        raise MfclError("--level and --above are for segments; give --segment too")
    if (given.level is not None and given.segment == "onsets") or (
        given.above is not None and given.segment != "onsets"
    ):
        raise MfclError("--level is for --segment SECONDS, --above for --segment onsets")
    manifest = open_manifests(given.data, data_root=given.data_root)
    if given.out and given.out.exists():
        read_by = [one / (INDEX if is_pack(one) else "manifest.csv") for one in given.data if one.is_dir()]
        check_not_input(given.out, *read_by, *(file_of(one.path) for one in manifest))
    if given.out and given.out.suffix.lower() not in LISTS and not is_stream(given.out):
        raise MfclError(f"{given.out}: wanted a name that ends in .csv, as a list is written as CSV and known by that")
    if given.segment is not None:
        manifest = _segmented(given, manifest)
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
        raise MfclError(f"{name}: {reason}; {worded(len(report.failures), 'recording')} cannot be used")
    usable = report.usable  # an error if there is none: after the tables, which say what is wrong with each
    if given.out:
        write_manifest(usable, given.out)
        print(f"\n{given.out}: {worded(len(usable), 'usable recording')} of {len(report.entries)}")
