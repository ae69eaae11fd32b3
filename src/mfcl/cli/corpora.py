"""The commands about corpora: demo, fetch, scan."""

import argparse

from mfcl.cli import options
from mfcl.core.files import check_file_place, check_folder_place
from mfcl.errors import MfclError


def add_commands(command: options.Command) -> None:
    """Add the commands of this file."""
    demo = command("demo", _demo, "synthesise a corpus of spoken digits (needs the extra `demo`)")
    demo.add_argument("folder", type=options.path)
    demo.add_argument("--voices", type=options.number(1, 999), default=60, help="synthetic speakers")
    demo.add_argument("--takes", type=options.number(1, 1000), default=3, help="recordings of each digit by each voice")
    options.seed(demo)

    fetch = command("fetch", _fetch, "download a public corpus: audiomnist or fsdd")
    fetch.add_argument("corpus", choices=("audiomnist", "fsdd"))
    fetch.add_argument("folder", type=options.path)

    scan = command("scan", _scan, "check every recording; print what is there and what is wrong; write a manifest")
    scan.add_argument("data", type=options.path)
    scan.add_argument("--out", type=options.path, help="manifest CSV of the usable recordings")
    scan.add_argument("--all", action="store_true", help="print every recording with a problem, not only the kinds")
    scan.add_argument("--strict", action="store_true", help="exit with 2 if a recording cannot be used")
    options.quiet(scan)


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
