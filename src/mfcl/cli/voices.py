"""The command `mfcl voices`: a gallery of voices on disk."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from mfcl.cli import options
from mfcl.cli.voices_text import (
    FIGURES,
    calibration_text,
    enrolment_rows,
    expected,
    identification_rows,
    percent,
    plain,
    turn_rows,
    verification_rows,
)
from mfcl.core.files import write_text
from mfcl.core.limits import MOST_BATCH
from mfcl.errors import MfclError

CONSENT = "An embedding of a voice identifies a person: enrol only people who agreed to it. This is no security device."


def add_commands(command: options.Command) -> None:
    """Add the commands of this file."""
    top = command("voices", None, "a gallery of voices: enrol, identify with `unknown` as an answer, verify")
    top.epilog = CONSENT
    actions = top.add_subparsers(
        title="what to do", metavar="ACTION", required=True, parser_class=options.OneLineParser
    )

    def action(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=text, description=text)
        made.set_defaults(run=run)
        made.add_argument("gallery", help="a file, or the address of a PostgreSQL database (postgresql://...)")
        return made

    create = action("create", _create, "make an empty gallery, bound to one model")
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
        "--nearest", type=options.number(0, 100_000), default=0, metavar="N",
        help="normalise scores by the N nearest recordings of the cohort (AS-norm); 0: not",
    )  # fmt: skip
    options.machine(create)

    enrol = action("enrol", _enrol, "add clips to a voice")
    enrol.add_argument("name", help="name of the voice; a new one is made")
    enrol.add_argument("files", type=options.path, nargs="+", metavar="FILE", help="files or folders")
    enrol.add_argument("--consent", default="", metavar="DATE", help="date on which the person agreed")
    enrol.add_argument("--note", default="", help="any text")
    enrol.add_argument("--keep-audio", action="store_true", help="keep the files in the gallery too")
    _uses_model(enrol)

    identify = action("identify", _identify, "say who speaks in each file, or when in long recordings (--window)")
    identify.add_argument("files", type=options.path, nargs="+", metavar="FILE", help="files, folders or lists")
    identify.add_argument("--margin", type=float, default=None, metavar="X", help="least margin to the next voice")
    identify.add_argument("--window", type=float, metavar="SECONDS", help="who speaks when, in windows of this length")
    identify.add_argument("--hop", type=float, metavar="SECONDS", help="step between windows; a quarter window")
    identify.add_argument("--switch", type=float, metavar="X", help="what a change of speaker costs; 0: no smoothing")
    identify.add_argument("--format", choices=("table", "json", "rttm", "audacity"), help="form of the answer")
    _prints_json(identify)
    identify.add_argument("--out", type=options.path, help="file for the answer, instead of printing it")
    _uses_model(identify)

    verify = action("verify", _verify, "say whether files are of the voice they are said to be of")
    verify.add_argument("name", help="name of the voice")
    verify.add_argument("files", type=options.path, nargs="+", metavar="FILE", help="files, folders or lists")
    _prints_json(verify)
    _uses_model(verify)

    remove = action("remove", _remove, "remove voices and their embeddings for good")
    remove.add_argument("names", nargs="+", metavar="NAME")

    rename = action("rename", _rename, "give a voice another name")
    rename.add_argument("name")
    rename.add_argument("new")

    merge = action("merge", _merge, "move all clips of OTHER to NAME; OTHER is gone then")
    merge.add_argument("name")
    merge.add_argument("other")

    listing = action("list", _list, "say who is enrolled")
    _prints_json(listing)

    export = action("export", _export, "write voices to a new gallery, or to an .npz file of embeddings")
    export.add_argument("out", help="a new gallery, or an .npz file")
    export.add_argument("--voices", nargs="+", default=[], metavar="NAME", help="only these")
    export.add_argument("--audio", type=options.path, metavar="FOLDER", help="write the files that were kept here")

    take = action("import", _import, "add the voices of another gallery of the same model")
    take.add_argument("other", help="a gallery")

    calibrate = action("calibrate", _calibrate, "set the thresholds by held-out recordings of other people")
    _held_out(calibrate)
    calibrate.add_argument("--quality", action="store_true", help="let scores depend on seconds and level of a clip")
    calibrate.add_argument("--clips", type=options.number(1, MOST_BATCH), help="clips to enrol; as the gallery has")

    evaluate = action("evaluate", _evaluate, "measure on held-out recordings of other people")
    _held_out(evaluate)
    evaluate.add_argument("--clips", type=options.number(1, MOST_BATCH), nargs="+", help="clips to enrol: 1 3 5 10")
    evaluate.add_argument("--det", type=options.path, metavar="SVG", help="draw the DET curves into this file")


def _uses_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", type=options.path, help="the gallery's model, if it was moved")
    options.machine(command)


def _prints_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON")


def _held_out(command: argparse.ArgumentParser) -> None:
    command.add_argument("data", type=options.path, help="a list, a corpus, or a folder with a sub-folder a person")
    command.add_argument(
        "--far", type=float, default=0.01, metavar="RATE", help="share of strangers that may get a name"
    )
    command.add_argument("--speaker", help="column of the people; one with a usual name if left out")
    command.add_argument("--label", help="column of what is said; one with a usual name if left out")
    command.add_argument("--split", choices=("train", "valid", "test"), help="only recordings of this split")
    options.seed(command)
    _prints_json(command)
    _uses_model(command)


def _opened(given: argparse.Namespace) -> Any:
    from mfcl.voices import Gallery

    model = getattr(given, "model", None)
    if hasattr(given, "threads"):
        from mfcl.core.machine import use_machine

        use_machine(given.threads)
    return Gallery.open(given.gallery, model=model, device=getattr(given, "device", "auto"))


def _say(notes: Any) -> None:
    for note in notes:
        print(f"note: {plain(note)}", file=sys.stderr)


def _create(given: argparse.Namespace) -> None:
    from mfcl.core.machine import use_machine
    from mfcl.voices import Gallery

    use_machine(given.threads)
    with Gallery.create(
        given.gallery, given.model, cohort=None if given.cohort == "none" else given.cohort,
        cohort_size=0 if given.cohort == "none" else given.cohort_size, score=given.score, nearest=given.nearest,
        device=given.device,
    ) as made:  # fmt: skip
        about, cohort = made.about, len(made.storage.cohort())
        part = f"its part for {about['part']}" if about["part"] else "all of its embedding"
        print(f"{plain(made.name)}: bound to the model {about['digest'][:12]} in {plain(about['model'])}, {part}")
        print(f"{cohort} recordings of other voices tell what strangers score" if cohort else "no cohort")
        print(CONSENT)


def _enrol(given: argparse.Namespace) -> None:
    from mfcl.core.console import table

    with _opened(given) as gallery:
        found = gallery.enrol(
            given.name, given.files, consent=given.consent, note=given.note, keep_audio=given.keep_audio
        )
    print(table(enrolment_rows(found), ["voice", "added", "clips", "seconds", "level, dB", "agreement"]))
    for name in found.skipped:
        print(f"already enrolled: {plain(name)}", file=sys.stderr)
    for text in found.warnings:
        print(f"warning: {plain(text)}", file=sys.stderr)
    if not given.consent:
        print("note: no date of consent is noted (--consent)", file=sys.stderr)


def _identify(given: argparse.Namespace) -> None:
    from mfcl.core.console import table

    form = "json" if given.json else given.format or "table"
    with _opened(given) as gallery:
        threshold = gallery.threshold()
        if given.window is not None:
            text = _turns(gallery, given, form)
        else:
            if form in ("rttm", "audacity") or given.hop is not None or given.switch is not None:
                raise MfclError("rttm, audacity, --hop and --switch are for windows; give --window SECONDS too")
            options_ = {} if given.margin is None else {"least_margin": given.margin}
            found = gallery.identify(given.files, **options_)
            text = (
                json.dumps([_plain(one) for one in found], indent=2, ensure_ascii=False)
                if form == "json"
                else table(identification_rows(found), ["file", "who", "why", "score", "margin", "nearest clips"])
            )
        _say(threshold.notes)
        _write(given.out, text)
        if form == "table" and given.out is None:
            print(f"\n{expected(threshold, len(gallery.voices))}")


def _turns(gallery: Any, given: argparse.Namespace, form: str) -> str:
    from mfcl.core.console import table
    from mfcl.voices import turns

    hop = given.window / 4 if given.hop is None else given.hop
    switch = turns.SWITCH if given.switch is None else given.switch
    found = gallery.turns(given.files, window=given.window, hop=hop, switch=switch)
    if form == "json":
        return json.dumps([_plain(one) for one in found], indent=2, ensure_ascii=False)
    if form in ("rttm", "audacity"):
        if form == "audacity" and len({turn.source for turn in found}) > 1:
            raise MfclError("audacity: a label track is for one recording; give one file")
        return (turns.rttm if form == "rttm" else turns.audacity)(found).rstrip("\n")
    return table(turn_rows(found), ["file", "from, s", "to, s", "who", "score"])


def _verify(given: argparse.Namespace) -> None:
    from mfcl.core.console import table

    with _opened(given) as gallery:
        found = gallery.verify(given.name, given.files)
        threshold = gallery.threshold(size=1)
        _say(threshold.notes)
        if given.json:
            print(json.dumps([_plain(one) for one in found], indent=2, ensure_ascii=False))
        else:
            print(table(verification_rows(found), ["file", "claimed", "answer", "score", "threshold", "nearer"]))
            print(f"\n{expected(threshold, 1)}")


def _remove(given: argparse.Namespace) -> None:
    with _opened(given) as gallery:
        for name in given.names:
            gallery.storage.find(name)  # all of them or none
        for name in given.names:
            note = gallery.remove(name)
            print(f"{plain(name)}: removed with all embeddings")
            _say([note] if note else [])


def _rename(given: argparse.Namespace) -> None:
    with _opened(given) as gallery:
        gallery.rename(given.name, given.new)
    print(f"{plain(given.name)}: now {plain(given.new)}")


def _merge(given: argparse.Namespace) -> None:
    with _opened(given) as gallery:
        gallery.merge(given.name, given.other)
        print(
            f"{plain(given.name)}: {gallery.storage.find(given.name).clips} clips, with those of {plain(given.other)}"
        )


def _list(given: argparse.Namespace) -> None:
    from mfcl.core.console import table

    with _opened(given) as gallery:
        voices, about, calibration = gallery.voices, gallery.about, gallery.calibration
    if given.json:
        facts = {key: about[key] for key in ("model", "digest", "part", "schema")}
        rows = [{key: value for key, value in vars(voice).items() if key != "id"} for voice in voices]
        calibrated = None if calibration is None else calibration.to_json()
        print(json.dumps({**facts, "voices": rows, "calibration": calibrated}, indent=2, ensure_ascii=False))
        return
    rows_ = [
        (one.name, one.clips, round(one.seconds, 1), one.consent or "-", one.added[:10], one.note) for one in voices
    ]
    print(table(rows_, ["voice", "clips", "seconds", "consent", "since", "note"]))
    print(f"\n{len(voices)} voices; model {about['digest'][:12]} in {plain(about['model'])}")
    print("not calibrated" if calibration is None else calibration_text(calibration))


def _export(given: argparse.Namespace) -> None:
    from mfcl.voices.exchange import export, write_audio

    with _opened(given) as gallery:
        written = export(gallery.storage, given.out, given.voices)
        print(f"{plain(given.out)}: {len(written)} voices")
        if given.audio is not None:
            print(f"{plain(str(given.audio))}: {write_audio(gallery.storage, given.audio, given.voices)} files")


def _import(given: argparse.Namespace) -> None:
    from mfcl.voices.exchange import take_in
    from mfcl.voices.storage import Storage

    with _opened(given) as gallery:
        other = Storage.open(given.other)
        try:
            found = take_in(gallery.storage, other)
        finally:
            other.close()
    print(f"{found.voices} voices, {found.clips} clips added, {found.skipped} were there already")


def _calibrate(given: argparse.Namespace) -> None:
    from mfcl.core.console import table

    with _opened(given) as gallery:
        made, notes = gallery.calibrate(
            given.data, far=given.far, speaker=given.speaker, label=given.label, split=given.split, clips=given.clips,
            use_quality=given.quality, seed=given.seed,
        )  # fmt: skip
        _say(notes)
        if given.json:
            print(json.dumps(made.to_json(), indent=2))
            return
        rows = [
            (
                level.size, f"{level.threshold:.2f}", _interval(level.low, level.high, "{:.2f}"),
                percent(level.false_alarms), _interval(level.false_alarms_low, level.false_alarms_high),
                percent(level.misses), _interval(level.misses_low, level.misses_high),
            )
            for level in made.levels
        ]  # fmt: skip
        heads = ["voices", "threshold", "95 %", "strangers named, %", "95 %", "enrolled missed, %", "95 %"]
        print(table(rows, heads))
        print(f"\n{calibration_text(made)}")
        print(expected(gallery.threshold(), max(1, len(gallery.voices))))


def _evaluate(given: argparse.Namespace) -> None:
    from mfcl.core.console import table

    asked = {} if given.clips is None else {"clips": tuple(given.clips)}
    with _opened(given) as gallery:
        found = gallery.evaluate(
            given.data, far=given.far, speaker=given.speaker, label=given.label, split=given.split, seed=given.seed,
            **asked,
        )  # fmt: skip
    if given.det is not None:
        from mfcl.cli.voices_text import det_curves

        write_text(given.det, det_curves(found))
    _say(found.notes)
    if given.json:
        print(json.dumps({"figures": [vars(one) for one in found.figures], "people": found.people,
                          "clips": found.clips}, indent=2))  # fmt: skip
        return
    rows = []
    for one in found.figures:
        name, form = FIGURES[one.what]
        where = "words apart" if one.apart else ""
        if one.seconds is not None:
            where = f"clips of {one.seconds[0]:.2f} to {one.seconds[1]:.2f} s"
        ends = _interval(one.low, one.high)
        rows.append((name, one.clips, f"{one.voices:g}", where, form(one.value), ends, one.n))
    print(table(rows, ["what", "clips enrolled", "voices", "", "value", "95 %", "tested"]))
    print(f"\n{found.people} people, {found.clips} clips; open set at {percent(given.far)} % false alarms")


def _interval(low: float | None, high: float | None, form: str = "") -> str:
    if low is None or high is None:
        return "-"
    return f"[{form.format(low)}, {form.format(high)}]" if form else f"[{percent(low)}, {percent(high)}]"


def _plain(one: Any) -> dict[str, Any]:
    """Return a frozen result as plain values for JSON, which has no infinity."""
    import dataclasses
    import math

    def finite(value: Any) -> Any:
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {key: finite(value) for key, value in dataclasses.asdict(one).items()}


def _write(out: Path | None, text: str) -> None:
    if out is None:
        print(text)
    else:
        write_text(out, text + "\n")
        print(f"{plain(str(out))}: written")
