"""What `mfcl classify`, `mfcl similar` and `mfcl map` do and print."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from mfcl.cli.labels_checks import check_options
from mfcl.cli.labels_events import MERGED, event_settings, events_of
from mfcl.core.console import are, counted, print_notes, printable, worded
from mfcl.core.files import check_file_place, check_folder_place, check_not_input, is_stream, write_text
from mfcl.core.plain_values import json_values
from mfcl.errors import MfclError


def classify(given: argparse.Namespace) -> None:
    """Fit a classifier, apply one, or list clips to label."""
    from mfcl.core.machine import use_machine
    from mfcl.labelling.classifier_file import is_classifier

    fits, events = not is_classifier(given.what), given.events or given.format in MERGED
    check_options(given, fits=fits, events=events)
    if given.out is not None:
        check_file_place(given.out)
        check_not_input(given.out, given.data, given.check, *(given.labels or ()))
    use_machine(given.threads)
    if given.suggest or given.draw:
        _list_clips(given)
    elif fits:
        _fit(given)
    else:
        _apply(given, given.what, events)


def _list_clips(given: argparse.Namespace) -> None:
    """Write the clips that are worth labelling, or a random draw, as a CSV with an empty column for the label."""
    from mfcl.classification import clips_to_label
    from mfcl.data.label_table import check_unlabelled

    check_unlabelled(given.out)
    notes: list[str] = []
    found = clips_to_label(
        given.what, given.data, given.suggest or given.draw, at_random=given.draw is not None, labels=given.labels,
        label=given.label, data_root=given.data_root, device=given.device, seed=given.seed, progress=not given.quiet,
        notes=notes,
    )  # fmt: skip
    print_notes(notes)
    write_text(given.out, _csv([{"id": one, "label": ""} for one in found]))
    print(f"{given.out}: {worded(len(found), 'clip')}; fill the column `label`, and give it as --labels or --check")


def _fit(given: argparse.Namespace) -> None:
    from mfcl.classification import Answers, fit_on
    from mfcl.labelling import save_classifier

    check_folder_place(given.fit)
    found = fit_on(
        given.what, given.data, given.labels, label=given.label, align=given.align, data_root=given.data_root,
        device=given.device, seed=given.seed, progress=not given.quiet,
    )  # fmt: skip
    fitted, labels = found.fitted, found.labels
    save_classifier(fitted.classifier, given.fit)
    print_notes(found.notes)
    print(_fitted_text(fitted, labels))
    print(f"{given.fit}: written")
    if given.out is not None:
        import numpy as np

        predicted = fitted.classifier.predict(found.embeddings, least=given.least)
        answers = Answers(found.embeddings.ids, np.full(len(found.embeddings), ""), predicted)
        _write_rows(given, [answers])


def _fitted_text(fitted: Any, labels: Any) -> str:
    from mfcl.core.console import table

    known = labels.values[labels.values != ""]
    rows = [
        (printable(str(name)), int((known == name).sum()), int((fitted.spread.labels == name).sum()))
        for name in fitted.classifier.classes
    ]
    lines = [table(rows, [labels.name, "labelled", "spread to"]), ""]
    if fitted.checked:
        right = ", ".join(f"{one.way} {one.right}/{one.count}" for one in fitted.checked)
        lines.append(f"given labels that were hidden and read from the others: {right}")
    else:
        lines.append("too few labels of one class to tell which graph is better; the first is taken")
    lines.append(f"spread by: {fitted.way}")
    lines.append("chosen labels do not tell how accurate it is: label some that --draw lists, and give them to --check")
    return "\n".join(lines)


def _apply(given: argparse.Namespace, folder: Path, events: bool) -> None:
    from mfcl.classification import classify as answer
    from mfcl.classification import classify_windows
    from mfcl.classification.sources import is_embeddings
    from mfcl.data.annotations import check_sources, written
    from mfcl.data.ids import readable
    from mfcl.data.layouts import open_manifest
    from mfcl.labelling import load_classifier

    made, data, sources = load_classifier(folder), given.data, []
    recordings: Any = ()
    settings = event_settings(given, made.classes.tolist()) if events else {}
    shared = {"model": given.model, "least": given.least, "data_root": given.data_root, "device": given.device}
    if not is_embeddings(data):
        data = open_manifest(data, data_root=given.data_root)
        recordings = data.recordings
        if given.out is not None and given.out.exists():
            check_not_input(given.out, *(one.path for one in recordings))
    if events and given.window is not None:
        sources = [readable(str(one.path)) for one in data]
        check_sources(given.format or "csv", sources)
    if given.window is None:
        found = iter([answer(made, data, **shared)])
    else:
        found = classify_windows(made, data, window=given.window, hop=given.hop, **shared)
    if not events:
        every = list(found)
        if given.check is not None:
            _print_estimate(given, every[0], recordings, made.about.get("labelled"))
        if given.check is None or given.out is not None:
            _write_rows(given, every)
        return
    merged = [event for answers in found for event in events_of(answers, settings)]  # of one recording after another
    text = written(merged, given.format or "csv", sources)
    if given.out is None:
        print(text, end="")
    else:
        write_text(given.out, text)
        having = len({event.source for event in merged})
        where = f"{having} of {counted(len(sources), 'recording')}" if sources else counted(having, "recording")
        print(f"{given.out}: {counted(len(merged), 'event')} in {where}")


def _print_estimate(given: argparse.Namespace, answers: Any, recordings: Any, fitted: object) -> None:
    """Say how accurate the answers are on held-out recordings, and what narrower intervals would take.

    Args:
        given: The options.
        answers: Those of the classifier.
        recordings: The recordings, where they are known.
        fitted: Digests of the ids that the classifier was fitted on; anything else where it does not say.
    """
    from mfcl.data.label_table import read_labels
    from mfcl.labelling import UNKNOWN, estimate
    from mfcl.labelling.fitting import id_digests

    truth = read_labels(given.check, answers.ids.tolist(), recordings=recordings, label=given.label)
    print_notes(truth.notes)
    checked = id_digests(answers.ids[truth.values != ""].tolist())
    again = sum(one in fitted for one in checked) if isinstance(fitted, list) else 0
    if again:
        print(
            f"note: {again} of the {len(checked)} labels {are(again)} of ids that the classifier was "
            "fitted on: if these are the same recordings, they are not held out, and the accuracy is too high; label "
            "some that --draw lists, given --labels with what was labelled before",
            file=sys.stderr,
        )
    found = estimate(answers.predictions.labels, truth.values)
    print(f"accuracy: {found} (95 % interval, for recordings drawn at random)")
    answered = (truth.values != "") & (answers.predictions.labels != UNKNOWN)
    right = int((answers.predictions.labels == truth.values)[answered].sum())
    strange = int((truth.values == UNKNOWN).sum())
    but = f", and as right for the {strange} that are labelled so" if strange else ""
    print(f"{int(answered.sum())} of them got a class, {right} the right one; `unknown` counts as wrong above{but}")
    print(
        f"for an interval of 10 points: {worded(found.more_for(0.1), 'more label')}; of 5 points: "
        f"{found.more_for(0.05)}"
    )


def _write_rows(given: argparse.Namespace, found: list[Any]) -> None:
    """Write or print the answers for recordings or windows."""
    from collections import Counter

    from mfcl.core.console import table

    rows = [row for answers in found for row in _rows(answers)]
    counts = Counter(row["class"] for row in rows)
    if given.out is not None:
        write_text(given.out, _json(rows) if given.format == "json" else _csv(rows))
        counted = "recordings" if all(answers.starts is None for answers in found) else "windows"
        print(table(sorted((printable(name), count) for name, count in counts.items()), ["class", counted]))
        print(f"\n{given.out}: {worded(len(rows), 'row')}")
    else:
        print(_json(rows) if given.format == "json" else _csv(rows), end="")


def _rows(answers: Any) -> list[dict[str, Any]]:
    made = answers.predictions
    columns: dict[str, list[Any]] = {"id": answers.ids.tolist()}
    if any(answers.paths.tolist()):
        columns["path"] = answers.paths.tolist()
    if answers.starts is not None:
        columns |= {"start": answers.starts.round(6).tolist(), "end": answers.ends.round(6).tolist()}
    columns |= {
        "class": made.labels.tolist(),
        "probability": made.confidence.round(4).tolist(),
        "likeliest": made.likeliest.tolist(),
        "distance": made.distances.round(4).tolist(),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _csv(rows: list[dict[str, Any]]) -> str:
    import csv
    import io

    lines = io.StringIO()
    writer = csv.DictWriter(lines, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return lines.getvalue()


def _json(rows: list[dict[str, Any]]) -> str:
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


def similar(given: argparse.Namespace) -> None:
    """Find similar recordings."""
    from mfcl.classification import similar as find
    from mfcl.core.console import table
    from mfcl.core.machine import use_machine

    use_machine(given.threads)
    found = find(
        given.what, given.clip, data=given.data, model=given.model, count=given.count, part=given.part,
        align={"auto": None, "yes": True, "no": False}[given.align], data_root=given.data_root, device=given.device,
        approximate=given.approximate, progress=given.approximate,
    )  # fmt: skip
    if given.json:
        print(json.dumps(json_values(found), indent=2, ensure_ascii=False))
        return
    rows = [
        (
            printable(one.id), f"{one.distance:.3f}", "-" if one.aligned is None else f"{one.aligned:.3f}",
            printable(", ".join(f"{name} {value}" for name, value in one.labels.items())),
        )
        for one in found
    ]  # fmt: skip
    print(table(rows, ["recording", "distance", "aligned", "labels"]))


def map_page(given: argparse.Namespace) -> None:
    """Draw embeddings as a page."""
    from mfcl.embeddings.blocks import load_embeddings
    from mfcl.report.clip_map import write_map

    check_file_place(given.out)
    if given.out.suffix.lower() not in (".html", ".htm") and not is_stream(given.out):
        raise MfclError(f"{given.out}: wanted a name that ends in .html: the map is a page")
    count = write_map(load_embeddings(given.embeddings), given.out, part=given.part, seed=given.seed)
    print(f"{given.out}: a map of {worded(count, 'clip')}")
