"""What `mfcl voices evaluate` does and prints: a gallery's model, and embeddings made elsewhere beside it."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from mfcl.cli.voices_actions import check_out, opened, say
from mfcl.cli.voices_text import FIGURES, interval, percent
from mfcl.core.files import write_text
from mfcl.core.plain_values import json_values


def evaluate(given: argparse.Namespace) -> None:
    """Measure on held-out people."""
    from mfcl.voices.calibration import check_far

    check_far(given.far)
    asked: dict[str, Any] = {} if given.clips is None else {"clips": tuple(given.clips)}
    files = [Path(one.partition("=")[2]) for one in given.also or []]
    check_out(given.det, given.gallery, given.data, *files)
    with opened(given) as gallery:
        held = gallery.held_out(given.data, speaker=given.speaker, label=given.label, split=given.split)
        others = _elsewhere(given.also or [], given.data, held)
        found = {"": gallery.evaluate(held, far=given.far, seed=given.seed, **asked)}
    for name, people in others.items():
        import numpy as np

        from mfcl.voices import evaluating

        nobody = np.zeros((0, people.heard.vectors.shape[1]), dtype=np.float32)  # plain cosines: it has no cohort
        found[name] = evaluating.evaluate(people, nobody, far=given.far, seed=given.seed, **asked)
    own = found[""]
    if given.det is not None:
        from mfcl.cli.voices_text import det_curves

        write_text(given.det, det_curves(own))
    say(own.notes)
    if given.json:
        about: dict[str, Any] = {"figures": own.figures, "people": own.people, "clips": own.clips}
        about |= {"also": {name: one.figures for name, one in found.items() if name}} if others else {}
        print(json.dumps(json_values({**about, "notes": own.notes}), indent=2, ensure_ascii=False))
        return
    _print(found, bool(others))
    calibrated = {one.asked for one in own.figures if one.what == "false_alarms_reached"} - {given.far}
    more = "".join(f", calibrated for {percent(rate)} %" for rate in calibrated)
    print(f"\n{own.people} people, {own.clips} clips; open set at {percent(given.far)} % false alarms{more}")


def _elsewhere(also: list[str], data: Path, held: Any) -> dict[str, Any]:
    """Return the same people with vectors that were made elsewhere; see `--also` of `mfcl study`."""
    if not also:
        return {}
    import numpy as np

    from mfcl.data.layouts import open_manifest
    from mfcl.studies.elsewhere import open_elsewhere

    manifest = open_manifest(data)
    known = {name: place for place, name in enumerate(manifest.ids.tolist())}
    places = np.array([known[name] for name in held.heard.sources])
    found = {}
    for name, one in open_elsewhere(also, manifest).items():
        assert one.vectors is not None  # the command takes files, no functions
        found[name] = replace(held, heard=replace(held.heard, vectors=one.vectors[places]))
    return found


def _print(found: dict[str, Any], beside: bool) -> None:
    from mfcl.core.console import table
    from mfcl.voices.held_out import DRAWS

    rows = []
    for by, evaluation in found.items():
        for one in evaluation.figures:
            name, form = FIGURES[one.what]
            where = "words apart" if one.apart else ""
            if one.seconds is not None:
                where = f"clips of {one.seconds[0]:.2f} to {one.seconds[1]:.2f} s"
            ends = interval(one.low, one.high)
            row = (name, one.clips, f"{one.voices:.1f}".removesuffix(".0"), where, form(one.value), ends, one.n)
            rows.append((by or "the gallery's model", *row) if beside else row)
    head = ["what", "clips enrolled", "voices", "", "value", "95 %", f"tested, {DRAWS} draws"]
    print(table(rows, ["by", *head] if beside else head))
