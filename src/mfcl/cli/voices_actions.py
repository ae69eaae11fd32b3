"""What the actions of `mfcl voices` do and print."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from mfcl.cli.voices_text import (
    calibration_text,
    enrolment_rows,
    expected,
    identification_rows,
    interval,
    percent,
    plain,
    turn_rows,
    verification_rows,
)
from mfcl.core.console import counted, worded
from mfcl.core.files import check_file_place, check_folder_place, check_not_input, write_text
from mfcl.core.plain_values import json_values
from mfcl.errors import MfclError

CONSENT = "An embedding of a voice identifies a person: enrol only people who agreed to it. This is no security device."


def opened(given: argparse.Namespace) -> Any:
    """Open the gallery that an action is for."""
    from mfcl.voices import Gallery

    model = getattr(given, "model", None)
    if hasattr(given, "threads"):
        from mfcl.core.machine import use_machine

        use_machine(given.threads)
    return Gallery.open(given.gallery, model=model, device=getattr(given, "device", "auto"))


def check_out(out: Path | None, gallery: str, *read: Path) -> None:
    """Check that an answer can be written to a file, and replaces neither the gallery nor what is read.

    Raises:
        MfclError: it cannot, or would.
    """
    from mfcl.voices.places import is_address

    if out is not None:
        check_file_place(out)
        check_not_input(out, None if is_address(gallery) else Path(gallery), *read)


def say(notes: Any) -> None:
    """Print notes to standard error."""
    for note in notes:
        print(f"note: {plain(note)}", file=sys.stderr)


def create(given: argparse.Namespace) -> None:
    """Make a gallery."""
    from mfcl.core.machine import use_machine
    from mfcl.voices import Gallery
    from mfcl.voices.scoring import LEAST_COHORT

    use_machine(given.threads)
    with Gallery.create(
        given.gallery, given.model, cohort=None if given.cohort == "none" else given.cohort,
        cohort_size=0 if given.cohort == "none" else given.cohort_size, score=given.score, nearest=given.nearest,
        device=given.device,
    ) as made:  # fmt: skip
        about, cohort = made.about, len(made.storage.cohort())
        part = f"its part for {about['part']}" if about["part"] else "all of its embedding"
        print(f"{plain(made.name)}: bound to the model {about['digest'][:12]} in {plain(about['model'])}, {part}")
        others = worded(cohort, "recording of another voice tells", "recordings of other voices tell")
        print(f"{others} what strangers score" if cohort else "no cohort")
        if 0 < cohort < LEAST_COHORT and given.nearest:
            say([f"scores stay cosines: normalising needs {LEAST_COHORT} recordings of other voices (--cohort)"])
        print(CONSENT)


def enrol(given: argparse.Namespace) -> None:
    """Add clips to a voice."""
    from mfcl.core.console import table

    with opened(given) as gallery:
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


def identify(given: argparse.Namespace) -> None:
    """Say who speaks."""
    from mfcl.core.console import table
    from mfcl.voices.material import manifest_of

    form = "json" if given.json else given.format or "table"
    if given.json and given.format not in (None, "json"):
        raise MfclError(f"--json and --format {given.format} are two forms; give one")
    check_out(given.out, given.gallery, *given.files)
    with opened(given) as gallery:
        recordings = manifest_of(given.files)
        check_out(given.out, given.gallery, *(one.path for one in recordings))
        threshold = gallery.threshold()
        if given.window is not None:
            if given.margin is not None:
                raise MfclError("--margin is for whole clips, windows have --switch; give --window or --margin")
            text = _turns(gallery, given, form, recordings, threshold.notes)
        else:
            if form in ("rttm", "audacity") or given.hop is not None or given.switch is not None:
                raise MfclError("rttm, audacity, --hop and --switch are for windows; give --window SECONDS too")
            found = gallery.identify(recordings, least_margin=given.margin)
            text = (
                _json(clips=found, notes=threshold.notes)
                if form == "json"
                else table(identification_rows(found), ["file", "who", "why", "score", "margin", "nearest clips"])
            )
        say(threshold.notes)
        _write(given.out, text)
        if form == "table" and given.out is None:
            margin = 0 if given.window is not None else threshold.margin if given.margin is None else given.margin
            print(f"\n{expected(threshold, len(gallery.voices), margin)}")


def _turns(gallery: Any, given: argparse.Namespace, form: str, recordings: Any, notes: tuple[str, ...]) -> str:
    from mfcl.core.console import table
    from mfcl.data.annotations import check_sources, written
    from mfcl.data.ids import whole_id
    from mfcl.voices import turns

    files = [whole_id(name) for name in recordings.ids.tolist()]
    switch = turns.SWITCH if given.switch is None else given.switch
    if form in ("rttm", "audacity"):
        check_sources(form, files)
    found = gallery.turns(recordings, window=given.window, hop=given.hop, switch=switch)
    if form == "json":
        return _json(turns=found, notes=notes)
    if form in ("rttm", "audacity"):
        return written(found, form, files).rstrip("\n")
    return table(turn_rows(found), ["file", "from, s", "to, s", "who", "score"])


def verify(given: argparse.Namespace) -> None:
    """Say whether a claim holds."""
    from mfcl.core.console import table

    with opened(given) as gallery:
        found = gallery.verify(given.name, given.files)
        threshold = gallery.threshold(size=1)
        say(threshold.notes)
        if given.json:
            print(_json(clips=found, notes=threshold.notes))
        else:
            print(table(verification_rows(found), ["file", "claimed", "answer", "score", "threshold", "nearer"]))
            print(f"\n{expected(threshold, 1)}")


def remove(given: argparse.Namespace) -> None:
    """Remove voices."""
    with opened(given) as gallery:
        for name in {gallery.storage.find(name).name: None for name in given.names}:  # all of them or none
            note = gallery.remove(name)
            print(f"{plain(name)}: removed with all embeddings")
            say([note] if note else [])


def rename(given: argparse.Namespace) -> None:
    """Rename a voice."""
    with opened(given) as gallery:
        gallery.rename(given.name, given.new)
    print(f"{plain(given.name)}: now {plain(given.new)}")


def merge(given: argparse.Namespace) -> None:
    """Merge two voices."""
    with opened(given) as gallery:
        gallery.merge(given.name, given.other)
        clips = worded(gallery.storage.find(given.name).clips, "clip")
        print(f"{plain(given.name)}: {clips}, with those of {plain(given.other)}")


def show(given: argparse.Namespace) -> None:
    """Say who is enrolled."""
    from mfcl.core.console import table

    with opened(given) as gallery:
        voices, about, calibration = gallery.voices, gallery.about, gallery.calibration
    if given.json:
        facts = {key: about[key] for key in ("model", "digest", "part", "schema")}
        rows = [{key: value for key, value in vars(voice).items() if key != "id"} for voice in voices]
        calibrated = None if calibration is None else calibration.to_json()
        print(_json(**facts, voices=rows, calibration=calibrated))
        return
    rows_ = [
        (one.name, one.clips, round(one.seconds, 1), one.consent or "-", one.added[:10], one.note) for one in voices
    ]
    print(table(rows_, ["voice", "clips", "seconds", "consent", "since", "note"]))
    print(f"\n{counted(len(voices), 'voice')}; model {about['digest'][:12]} in {plain(about['model'])}")
    print("not calibrated" if calibration is None else calibration_text(calibration))


def export(given: argparse.Namespace) -> None:
    """Write voices elsewhere."""
    from mfcl.voices.exchange import export as write
    from mfcl.voices.exchange import write_audio
    from mfcl.voices.postgres import without_password

    if given.audio is not None:
        check_folder_place(given.audio)
    with opened(given) as gallery:
        written = write(gallery.storage, given.out, given.voices)
        print(f"{plain(without_password(given.out))}: {counted(len(written), 'voice')}")
        if given.audio is not None:
            files = write_audio(gallery.storage, given.audio, given.voices)
            print(f"{plain(str(given.audio))}: {worded(files, 'file')}")


def take(given: argparse.Namespace) -> None:
    """Add another gallery's voices."""
    from mfcl.voices.exchange import take_in
    from mfcl.voices.storage import Storage

    with opened(given) as gallery:
        other = Storage.open(given.other)
        try:
            found = take_in(gallery.storage, other)
        finally:
            other.close()
    there = f"{worded(found.skipped, 'was', 'were')} there already"
    print(f"{worded(found.voices, 'voice')}, {worded(found.clips, 'clip')} added, {there}")


def calibrate(given: argparse.Namespace) -> None:
    """Set the thresholds."""
    from mfcl.core.console import table

    with opened(given) as gallery:
        made, notes = gallery.calibrate(
            given.data, far=given.far, speaker=given.speaker, label=given.label, split=given.split, clips=given.clips,
            use_quality=given.quality, seed=given.seed,
        )  # fmt: skip
        say(notes)
        if given.json:
            print(_json(**made.to_json(), notes=notes))
            return
        rows = [
            (
                level.size, f"{level.threshold:.2f}", interval(level.low, level.high, "{:.2f}"),
                percent(level.false_alarms), interval(level.false_alarms_low, level.false_alarms_high),
                percent(level.misses), interval(level.misses_low, level.misses_high),
            )
            for level in made.levels
        ]  # fmt: skip
        heads = ["voices", "threshold", "95 %", "strangers named, %", "95 %", "enrolled missed, %", "95 %"]
        print(table(rows, heads))
        print(f"\n{calibration_text(made)}")
        print(expected(gallery.threshold(), max(1, len(gallery.voices))))


def _json(**content: Any) -> str:
    return json.dumps(json_values(content), indent=2, ensure_ascii=False)


def _write(out: Path | None, text: str) -> None:
    if out is None:
        print(text)
    else:
        write_text(out, text + "\n")
        print(f"{plain(str(out))}: written")
